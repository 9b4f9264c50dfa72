/* AVX-512: 16 floats a register, four running sums, a masked tail (masked-off lanes are not read). */
#include "simd/levels.h"

#if defined(__x86_64__)
#include <immintrin.h>

static inline __mmask16 mask_of(size_t left) /* the first `left` lanes, 0..15 */
{
    return (__mmask16)((1u << left) - 1);
}

static float dot_avx512(const float *a, const float *b, size_t n)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
        s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
        s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
    }
    for (; i + 16 <= n; i += 16)
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
    if (i < n) {
        __mmask16 m = mask_of(n - i);
        s1 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(m, a + i), _mm512_maskz_loadu_ps(m, b + i), s1);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

static inline __m512 add_sq(__m512 s, __m512 x, __m512 y)
{
    __m512 d = _mm512_sub_ps(x, y);
    return _mm512_fmadd_ps(d, d, s);
}

static float l2sq_avx512(const float *a, const float *b, size_t n)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        s0 = add_sq(s0, _mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i));
        s1 = add_sq(s1, _mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16));
        s2 = add_sq(s2, _mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32));
        s3 = add_sq(s3, _mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48));
    }
    for (; i + 16 <= n; i += 16)
        s0 = add_sq(s0, _mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i));
    if (i < n) {
        __mmask16 m = mask_of(n - i);
        s1 = add_sq(s1, _mm512_maskz_loadu_ps(m, a + i), _mm512_maskz_loadu_ps(m, b + i));
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

static inline __m512i dot32(__m256i a, __m256i b)
{
    __m512i flip = _mm512_set1_epi16(128);
    return _mm512_madd_epi16(_mm512_cvtepu8_epi16(a), _mm512_sub_epi16(_mm512_cvtepu8_epi16(b), flip));
}

static int32_t dot_u8_avx512(const uint8_t *a, const uint8_t *b, size_t n)
{
    __m512i s = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        s = _mm512_add_epi32(
            s, dot32(_mm256_loadu_si256((const void *)(a + i)), _mm256_loadu_si256((const void *)(b + i))));
    if (i < n) {
        __mmask32 m = (__mmask32)((UINT32_C(1) << (n - i)) - 1); /* lanes masked off are 0 in a, so b's do not count */
        s = _mm512_add_epi32(s, dot32(_mm256_maskz_loadu_epi8(m, a + i), _mm256_maskz_loadu_epi8(m, b + i)));
    }
    return _mm512_reduce_add_epi32(s);
}

static void dot_u8_many_avx512(int32_t *to, const uint8_t *const *a, size_t count, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < count; i++)
        to[i] = dot_u8_avx512(a[i], b, n);
}

static inline __m512 component16(const struct simd_q16 *x, size_t i, __mmask16 m)
{
    __m512i w = _mm512_slli_epi32(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(m, x->code + i)), 8);
    if (x->rest)
        w = _mm512_add_epi32(w, _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(m, x->rest + i)));
    return _mm512_fmadd_ps(_mm512_set1_ps(x->fine), _mm512_cvtepi32_ps(w), _mm512_set1_ps(x->lo));
}

static float dot_q16_avx512(const float *a, const struct simd_q16 *x, size_t n)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), component16(x, i, 0xffff), s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), component16(x, i + 16, 0xffff), s1);
    }
    for (; i < n; i += 16) {
        __mmask16 m = n - i < 16 ? mask_of(n - i) : 0xffff;
        s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(m, a + i), component16(x, i, m), s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

static float l2sq_q16_avx512(const float *a, const struct simd_q16 *x, size_t n)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = add_sq(s0, _mm512_loadu_ps(a + i), component16(x, i, 0xffff));
        s1 = add_sq(s1, _mm512_loadu_ps(a + i + 16), component16(x, i + 16, 0xffff));
    }
    for (; i < n; i += 16) {
        __mmask16 m = n - i < 16 ? mask_of(n - i) : 0xffff;
        __m512 d = _mm512_maskz_sub_ps(m, _mm512_maskz_loadu_ps(m, a + i), component16(x, i, m));
        s0 = _mm512_fmadd_ps(d, d, s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

static void range_avx512(const float *a, size_t n, float *min, float *max)
{
    __m512 lo = _mm512_set1_ps(a[0]), hi = lo;
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = n - i < 16 ? mask_of(n - i) : 0xffff;
        __m512 x = _mm512_maskz_loadu_ps(m, a + i);
        lo = _mm512_mask_min_ps(lo, m, lo, x);
        hi = _mm512_mask_max_ps(hi, m, hi, x);
    }
    *min = _mm512_reduce_min_ps(lo);
    *max = _mm512_reduce_max_ps(hi);
}

static void quantise_u8_avx512(uint8_t *to, const float *a, float lo, float by, size_t n)
{
    __m512 l = _mm512_set1_ps(lo), f = _mm512_set1_ps(by), half = _mm512_set1_ps(0.5f);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = n - i < 16 ? mask_of(n - i) : 0xffff;
        __m512 t = _mm512_add_ps(_mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(m, a + i), l), f), half);
        t = _mm512_max_ps(_mm512_min_ps(t, _mm512_set1_ps(255)), _mm512_setzero_ps());
        _mm512_mask_cvtepi32_storeu_epi8(to + i, m, _mm512_cvttps_epi32(t));
    }
}

const struct simd_kernels simd_avx512 = {"avx512",        dot_avx512,         l2sq_avx512,
                                         dot_u8_avx512,   dot_u8_many_avx512, dot_q16_avx512,
                                         l2sq_q16_avx512, range_avx512,       quantise_u8_avx512};
#endif
