/* Kernels on short forms of vectors: IEEE half floats, 1-bit codes against a query in bit planes, and look-ups in 32
 * packed codes at once. As in simd.h the plain C ones (codes.c) define every answer. Half conversions, dot_bits and
 * scan are exact on every level; dot_f16 and l2sq_f16 may differ by rounding as simd.h says. The best level is chosen
 * once, before main() runs. Any length, any alignment that the type may have, nothing is read past the end. Thread:
 * any. */
#ifndef SIMD_CODES_H
#define SIMD_CODES_H

#include <stddef.h>
#include <stdint.h>

struct simd_codes {
    const char *name; /* "c", "avx2", "avx512", "avx512popcnt", "neon" */
    /* Nearest, ties to even; beyond 65,504 infinity; NaN stays NaN. */
    void (*half_from_f32)(uint16_t *to, const float *a, size_t n);
    void (*half_to_f32)(float *to, const uint16_t *a, size_t n);
    float (*dot_f16)(const float *q, const uint16_t *x, size_t n);               /* sum of q[i] * x[i] */
    float (*l2sq_f16)(const float *q, const uint16_t *x, float scale, size_t n); /* sum of (q[i] - scale * x[i])^2 */
    float (*dot_halves)(const uint16_t *a, const uint16_t *b, size_t n);         /* sum of a[i] * b[i] */
    /* sum of (sa * a[i] - sb * b[i])^2 */
    float (*l2sq_halves)(const uint16_t *a, float sa, const uint16_t *b, float sb, size_t n);
    /* Sum over p of 2^p * popcount(code & plane p): the product of a 0/1 vector and one of nplanes-bit numbers. Plane p
     * is planes[p * words ...]. At most 65,536 / 64 words and 8 planes, so that it fits. */
    uint32_t (*dot_bits)(const uint64_t *code, const uint64_t *planes, size_t words, int nplanes);
    /* to[j] = sum over the bytes i of code j of tables[32 * i + low nibble] + tables[32 * i + 16 + high nibble], for
     * the 32 codes of a block of simd_pack. At most 8,192 bytes. */
    void (*scan)(uint32_t to[32], const uint8_t *block, const uint8_t *tables, size_t bytes);
};

/* What a scan reads may be written meanwhile, see simd_pack. */
#define SIMD_RACES __attribute__((no_sanitize("thread")))

extern struct simd_codes simd_codes; /* the level in use */

int simd_codes_levels(void); /* how many this machine can run; level 0 is plain C, the last the best */
const struct simd_codes *simd_codes_level(int i);

/* A block: byte 0 of all codes, byte 1 of all, and so on, so that a code has its bytes to itself. simd_pack puts code
 * number `at` (0..31) in its place, the others are not touched. Scanning a block while another thread packs is allowed:
 * only the sum of the code being packed is then worth nothing. */
void simd_pack(uint8_t *block, int at, const void *code, size_t bytes);

#endif
