/* Random numbers: xoshiro256** (Blackman, Vigna 2018), seeded from the kernel or by the caller. For sampling, levels of
 * a graph, jitter; secrets and ids come from rng_secure. Thread: a struct rng belongs to one thread. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed);    /* the same seed gives the same sequence on every machine */
void rng_init(struct rng *r);                   /* seeded by the kernel */
uint64_t rng_next(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n);  /* uniform in [0, n); n > 0 */
double rng_double(struct rng *r);               /* uniform in [0, 1) */
void rng_secure(void *to, size_t n);            /* bytes from the kernel; thread: any */

#define ID_LEN 36
/* A UUIDv7 (RFC 9562): 48 bits of wall milliseconds, then random bits; text form with dashes, NUL-terminated.
 * Ids made by one process are strictly increasing. Thread: any. */
void id_make(char out[ID_LEN + 1]);

#endif
