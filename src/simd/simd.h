/* Arithmetic kernels. The plain C ones (simd.c) are the definition of every answer; the others lay over what the
 * machine has and differ only by rounding: |kernel - plain| <= 1e-6 * n^0.5 * sum|terms| + FLT_MIN, checked for all
 * lengths by tests/unit/simd. They do not stop at odd values: a NaN or an overflow comes out as plain float arithmetic
 * makes it.
 *
 * The best level is chosen once, before main() runs, by what the CPU says. Any length (0 gives 0), any alignment that a
 * float may have. Thread: any; simd_use only while no other thread computes (tests, a setting read at boot). */
#ifndef SIMD_SIMD_H
#define SIMD_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A vector in two bytes a component: component i is lo + fine * (256 * code[i] + rest[i]). */
struct simd_q16 {
    const uint8_t *code;
    const int8_t *rest; /* NULL: all zero */
    float lo, fine;
};

struct simd_kernels {
    const char *name;                                            /* "c", "avx2", "avx512", "avx512vnni", "neon" */
    float (*dot_f32)(const float *a, const float *b, size_t n);  /* sum of a[i] * b[i] */
    float (*l2sq_f32)(const float *a, const float *b, size_t n); /* sum of (a[i] - b[i])^2 */
    /* sum of a[i] * (b[i] - 128), exact; n at most 65,536. What the hardware multiplies is unsigned by signed: add 128
     * times the sum of a for the product of two unsigned vectors. */
    int32_t (*dot_u8)(const uint8_t *a, const uint8_t *b, size_t n);
    /* The same of one b with `count` others: to[i] is that of a[i] and b. */
    void (*dot_u8_many)(int32_t *to, const uint8_t *const *a, size_t count, const uint8_t *b, size_t n);
    float (*dot_q16)(const float *a, const struct simd_q16 *x, size_t n);  /* sum of a[i] * x[i] */
    float (*l2sq_q16)(const float *a, const struct simd_q16 *x, size_t n); /* sum of (a[i] - x[i])^2 */
    void (*range_f32)(const float *a, size_t n, float *min, float *max);   /* n >= 1, all finite */
    /* to[i] = (a[i] - lo) * by, rounded half up, cut to 0..255 */
    void (*quantise_u8)(uint8_t *to, const float *a, float lo, float by, size_t n);
};

extern struct simd_kernels simd; /* the level in use: simd.dot_f32(a, b, n) */

int simd_levels(void);                        /* how many this machine can run; level 0 is plain C, the last the best */
const struct simd_kernels *simd_level(int i); /* 0 <= i < simd_levels() */
bool simd_use(const char *name);              /* false: this machine has no such level */

/* Not in the table because they run once per vector. Double precision, so that neither 1e38 nor 1e-40 is lost. */
double simd_norm_f32(const float *a, size_t n);                      /* Euclidean length */
void simd_scale_f32(float *to, const float *a, double by, size_t n); /* to[i] = a[i] * by; to may be a */
bool simd_finite_f32(const float *a, size_t n);                      /* no NaN, no infinity */

#endif
