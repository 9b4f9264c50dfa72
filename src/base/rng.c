#include "base/rng.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void rng_seed(struct rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) { /* splitmix64 spreads a small seed over the state */
        uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        r->s[i] = z ^ (z >> 31);
    }
}

void rng_init(struct rng *r)
{
    uint64_t seed;
    rng_secure(&seed, sizeof seed);
    rng_seed(r, seed);
}

uint64_t rng_next(struct rng *r)
{
    uint64_t *s = r->s, out = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return out;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, v;
    do
        v = rng_next(r);
    while (v >= limit);
    return v % n;
}

double rng_double(struct rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1.0p-53;
}

void rng_secure(void *to, size_t n)
{
    char *p = to;
    while (n) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0) {
            perror("skald: getrandom");
            abort();
        }
        p += got;
        n -= (size_t)got;
    }
}

static char *put_hex(char *to, uint64_t v, int digits)
{
    for (int i = digits - 1; i >= 0; i--)
        *to++ = "0123456789abcdef"[v >> (4 * i) & 15];
    return to;
}

#define DRAWN 32 /* ids' worth of random bytes that are asked of the kernel at once */

void id_make(char out[ID_LEN + 1])
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t last_ms;
    static uint32_t seq; /* 26 bits after the timestamp count up within one millisecond, which keeps ids increasing */
    static uint8_t drawn[DRAWN][8];
    static int left;
    uint8_t r[8];
    pthread_mutex_lock(&lock);
    if (left == 0) {
        rng_secure(drawn, sizeof drawn);
        left = DRAWN;
    }
    memcpy(r, drawn[--left], sizeof r);
    uint64_t ms = (uint64_t)clock_wall_ms();
    if (ms > last_ms) {
        last_ms = ms;
        seq = ((uint32_t)r[0] << 16 | (uint32_t)r[1] << 8 | r[2]) & 0xffffff; /* start low enough to count */
    } else if (++seq >= 1u << 26) {
        last_ms++;
        seq = 0;
    }
    ms = last_ms;
    uint32_t n = seq;
    pthread_mutex_unlock(&lock);
    unsigned hi = n >> 14, lo = n & 0x3fff; /* 12 bits in rand_a, 14 bits at the head of rand_b */
    uint64_t node = 0;
    for (int i = 2; i < 8; i++)
        node = node << 8 | r[i];
    out = put_hex(out, ms >> 16, 8);
    *out++ = '-';
    out = put_hex(out, ms, 4);
    *out++ = '-';
    out = put_hex(out, 0x7000 | (hi & 0xfff), 4);
    *out++ = '-';
    out = put_hex(out, 0x8000 | lo, 4);
    *out++ = '-';
    *put_hex(out, node, 12) = 0;
}
