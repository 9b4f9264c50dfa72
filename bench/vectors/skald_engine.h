/* Skald's index (vec/vec.h) as the benchmark asks it: elements named by their number, ids back. C, because vec.h is. */
#ifndef BENCH_VECTORS_SKALD_ENGINE_H
#define BENCH_VECTORS_SKALD_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct skald_kind {
    const char *name; /* as the tables print it */
    int quant;        /* enum vec_quant */
};
extern const struct skald_kind skald_kinds[];
extern const int skald_kind_count;

/* All of these end the process with a sentence when the library refuses. */
void *skald_make(int quant, int dim, bool cosine, int m, int ef_construction);
void skald_build(void *index, const float *base, uint32_t n, int dim);        /* element i is base[i * dim] and so on */
void skald_build_by_two(void *index, const float *base, uint32_t n, int dim); /* the same with a second thread */
int skald_search(void *index, const float *x, int dim, int k, int ef, int32_t *ids); /* how many it found */
uint64_t skald_says(void *index); /* bytes of memory, by its own account */
void skald_save(void *index, const char *path);
void *skald_open(const char *path);
const char *skald_simd(void); /* the kernels in use */

#ifdef __cplusplus
}
#endif

#endif
