/* AVX-512: 16 halves a step, eight words of a code, two bytes of 32 packed codes; tails are masked. */
#include "simd/codes.h"
#include "simd/levels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

static inline __mmask16 mask_of(size_t left) /* the first `left` lanes, 0..15 */
{
    return (__mmask16)((1u << left) - 1);
}
static inline __m512 widen(const uint16_t *x)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)x));
}
static inline __m512 widen_tail(const uint16_t *x, __mmask16 m)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, x));
}

static void half_from_avx512(uint16_t *to, const float *a, size_t n)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm256_storeu_si256((__m256i *)(void *)(to + i),
                            _mm512_cvtps_ph(_mm512_loadu_ps(a + i), _MM_FROUND_TO_NEAREST_INT));
    if (i < n) {
        __mmask16 m = mask_of(n - i);
        _mm256_mask_storeu_epi16(to + i, m,
                                 _mm512_cvtps_ph(_mm512_maskz_loadu_ps(m, a + i), _MM_FROUND_TO_NEAREST_INT));
    }
}

static void half_to_avx512(float *to, const uint16_t *a, size_t n)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(to + i, widen(a + i));
    if (i < n) {
        __mmask16 m = mask_of(n - i);
        _mm512_mask_storeu_ps(to + i, m, widen_tail(a + i, m));
    }
}

static float dot_f16_avx512(const float *q, const uint16_t *x, size_t n)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(q + i), widen(x + i), s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(q + i + 16), widen(x + i + 16), s1);
    }
    for (; i + 16 <= n; i += 16)
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(q + i), widen(x + i), s0);
    if (i < n) {
        __mmask16 m = mask_of(n - i);
        s1 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(m, q + i), widen_tail(x + i, m), s1);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

static inline __m512 add_sq(__m512 s, __m512 q, __m512 scale, __m512 x)
{
    __m512 d = _mm512_fnmadd_ps(scale, x, q);
    return _mm512_fmadd_ps(d, d, s);
}

static float l2sq_f16_avx512(const float *q, const uint16_t *x, float scale, size_t n)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, by = _mm512_set1_ps(scale);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = add_sq(s0, _mm512_loadu_ps(q + i), by, widen(x + i));
        s1 = add_sq(s1, _mm512_loadu_ps(q + i + 16), by, widen(x + i + 16));
    }
    for (; i + 16 <= n; i += 16)
        s0 = add_sq(s0, _mm512_loadu_ps(q + i), by, widen(x + i));
    if (i < n) {
        __mmask16 m = mask_of(n - i);
        __m512 x512 = widen_tail(x + i, m);
        s1 = add_sq(s1, _mm512_maskz_loadu_ps(m, q + i), by, x512);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

static float dot_halves_avx512(const uint16_t *a, const uint16_t *b, size_t n)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = _mm512_fmadd_ps(widen(a + i), widen(b + i), s0);
        s1 = _mm512_fmadd_ps(widen(a + i + 16), widen(b + i + 16), s1);
    }
    for (; i + 16 <= n; i += 16)
        s0 = _mm512_fmadd_ps(widen(a + i), widen(b + i), s0);
    if (i < n) {
        __mmask16 m = mask_of(n - i);
        s1 = _mm512_fmadd_ps(widen_tail(a + i, m), widen_tail(b + i, m), s1);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

static float l2sq_halves_avx512(const uint16_t *a, float sa, const uint16_t *b, float sb, size_t n)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, pa = _mm512_set1_ps(sa), pb = _mm512_set1_ps(sb);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = add_sq(s0, _mm512_mul_ps(pa, widen(a + i)), pb, widen(b + i));
        s1 = add_sq(s1, _mm512_mul_ps(pa, widen(a + i + 16)), pb, widen(b + i + 16));
    }
    for (; i + 16 <= n; i += 16)
        s0 = add_sq(s0, _mm512_mul_ps(pa, widen(a + i)), pb, widen(b + i));
    if (i < n) {
        __mmask16 m = mask_of(n - i);
        s1 = add_sq(s1, _mm512_mul_ps(pa, widen_tail(a + i, m)), pb, widen_tail(b + i, m));
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

/* Ones in each of the eight words, by looking nibbles up. */
static inline __m512i ones_of(__m512i v)
{
    const __m512i count = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m512i low = _mm512_set1_epi8(15);
    __m512i bytes = _mm512_add_epi8(_mm512_shuffle_epi8(count, _mm512_and_si512(v, low)),
                                    _mm512_shuffle_epi8(count, _mm512_and_si512(_mm512_srli_epi16(v, 4), low)));
    return _mm512_sad_epu8(bytes, _mm512_setzero_si512());
}

static uint32_t dot_bits_avx512(const uint64_t *code, const uint64_t *planes, size_t words, int nplanes)
{
    __m512i sum = _mm512_setzero_si512();
    __mmask8 tail = (__mmask8)((1u << words % 8) - 1);
    for (int p = 0; p < nplanes; p++, planes += words) {
        __m512i ones = _mm512_setzero_si512();
        size_t i = 0;
        for (; i + 8 <= words; i += 8)
            ones = _mm512_add_epi64(
                ones, ones_of(_mm512_and_si512(_mm512_loadu_si512(code + i), _mm512_loadu_si512(planes + i))));
        if (tail)
            ones = _mm512_add_epi64(ones, ones_of(_mm512_and_si512(_mm512_maskz_loadu_epi64(tail, code + i),
                                                                   _mm512_maskz_loadu_epi64(tail, planes + i))));
        sum = _mm512_add_epi64(sum, _mm512_sll_epi64(ones, _mm_cvtsi32_si128(p)));
    }
    return (uint32_t)_mm512_reduce_add_epi64(sum);
}

/* Sums of bytes in 16-bit lanes: `all` takes a pair of bytes as one number, `odd` its upper byte. Wrapping does no
 * harm, because what is left after subtracting fits. */
struct sums {
    __m512i all, odd;
};

static inline void add_bytes(struct sums *s, __m512i bytes)
{
    s->all = _mm512_add_epi16(s->all, bytes);
    s->odd = _mm512_add_epi16(s->odd, _mm512_srli_epi16(bytes, 8));
}

/* Sixteen codes in a quarter of the register, the third and fourth quarters are the same codes as the first and second.
 */
static inline void flush(uint32_t *to, struct sums *s)
{
    __m512i even = _mm512_sub_epi16(s->all, _mm512_slli_epi16(s->odd, 8));
    __m256i e = _mm256_add_epi16(_mm512_castsi512_si256(even), _mm512_extracti64x4_epi64(even, 1));
    __m256i o = _mm256_add_epi16(_mm512_castsi512_si256(s->odd), _mm512_extracti64x4_epi64(s->odd, 1));
    __m256i low = _mm256_unpacklo_epi16(e, o), high = _mm256_unpackhi_epi16(e, o);
    __m512i first = _mm512_cvtepu16_epi32(_mm256_permute2x128_si256(low, high, 0x20));
    __m512i second = _mm512_cvtepu16_epi32(_mm256_permute2x128_si256(low, high, 0x31));
    _mm512_storeu_si512(to, _mm512_add_epi32(_mm512_loadu_si512(to), first));
    _mm512_storeu_si512(to + 16, _mm512_add_epi32(_mm512_loadu_si512(to + 16), second));
    s->all = s->odd = _mm512_setzero_si512();
}

/* Two bytes of every code; their four tables. */
static inline void look_up(struct sums *s, __m512i codes, __m512i tables)
{
    const __m512i nibble = _mm512_set1_epi8(15);
    __m512i low = _mm512_shuffle_i64x2(tables, tables, 0xa0), high = _mm512_shuffle_i64x2(tables, tables, 0xf5);
    add_bytes(s, _mm512_shuffle_epi8(low, _mm512_and_si512(codes, nibble)));
    add_bytes(s, _mm512_shuffle_epi8(high, _mm512_and_si512(_mm512_srli_epi16(codes, 4), nibble)));
}

SIMD_RACES static void scan_avx512(uint32_t to[32], const uint8_t *block, const uint8_t *tables, size_t bytes)
{
    struct sums s = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    memset(to, 0, 32 * sizeof *to);
    size_t i = 0;
    for (; i + 2 <= bytes; i += 2) {
        look_up(&s, _mm512_loadu_si512(block + i * 32), _mm512_loadu_si512(tables + i * 32));
        if (i % 128 == 126) /* 256 look-ups of at most 255 are what 16 bits hold */
            flush(to, &s);
    }
    if (i < bytes)
        look_up(&s, _mm512_maskz_loadu_epi64(15, block + i * 32), _mm512_maskz_loadu_epi64(15, tables + i * 32));
    flush(to, &s);
}

const struct simd_codes simd_codes_avx512 = {"avx512",           half_from_avx512, half_to_avx512,
                                             dot_f16_avx512,     l2sq_f16_avx512,  dot_halves_avx512,
                                             l2sq_halves_avx512, dot_bits_avx512,  scan_avx512};
#endif
