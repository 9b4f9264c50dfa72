/* AVX2 + FMA: 8 floats a register, four running sums to cover the multiply-add's latency. The tail of up to 7 floats is
 * read through a mask, so that nothing past the end is touched. */
#include "simd/levels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>

static const int32_t tail_mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

static inline __m256i mask_of(size_t left) /* the first `left` lanes, 0..7 */
{
    return _mm256_loadu_si256((const __m256i *)(tail_mask + 8 - left));
}

static inline float sum_of(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    s = _mm_add_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

static float dot_avx2(const float *a, const float *b, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
        s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
        s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
    }
    for (; i + 8 <= n; i += 8)
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
    if (i < n) {
        __m256i m = mask_of(n - i);
        s1 = _mm256_fmadd_ps(_mm256_maskload_ps(a + i, m), _mm256_maskload_ps(b + i, m), s1);
    }
    return sum_of(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
}

static inline __m256 add_sq(__m256 s, __m256 x, __m256 y)
{
    __m256 d = _mm256_sub_ps(x, y);
    return _mm256_fmadd_ps(d, d, s);
}

static float l2sq_avx2(const float *a, const float *b, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = add_sq(s0, _mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
        s1 = add_sq(s1, _mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8));
        s2 = add_sq(s2, _mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16));
        s3 = add_sq(s3, _mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24));
    }
    for (; i + 8 <= n; i += 8)
        s0 = add_sq(s0, _mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
    if (i < n) {
        __m256i m = mask_of(n - i);
        s1 = add_sq(s1, _mm256_maskload_ps(a + i, m), _mm256_maskload_ps(b + i, m));
    }
    return sum_of(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
}

/* Bytes widened to 16 bits; pairs of products are added by the multiplication itself. */
static inline __m256i dot16(__m128i a, __m128i b)
{
    __m256i flip = _mm256_set1_epi16(128);
    return _mm256_madd_epi16(_mm256_cvtepu8_epi16(a), _mm256_sub_epi16(_mm256_cvtepu8_epi16(b), flip));
}

static int32_t dot_u8_avx2(const uint8_t *a, const uint8_t *b, size_t n)
{
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 =
            _mm256_add_epi32(s0, dot16(_mm_loadu_si128((const void *)(a + i)), _mm_loadu_si128((const void *)(b + i))));
        s1 = _mm256_add_epi32(
            s1, dot16(_mm_loadu_si128((const void *)(a + i + 16)), _mm_loadu_si128((const void *)(b + i + 16))));
    }
    for (; i + 16 <= n; i += 16)
        s0 =
            _mm256_add_epi32(s0, dot16(_mm_loadu_si128((const void *)(a + i)), _mm_loadu_si128((const void *)(b + i))));
    s0 = _mm256_add_epi32(s0, s1);
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(s0), _mm256_extracti128_si256(s0, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    int32_t sum = _mm_cvtsi128_si32(s);
    for (; i < n; i++)
        sum += a[i] * (b[i] - 128);
    return sum;
}

static void dot_u8_many_avx2(int32_t *to, const uint8_t *const *a, size_t count, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < count; i++)
        to[i] = dot_u8_avx2(a[i], b, n);
}

static inline __m256 component8(const struct simd_q16 *x, size_t i)
{
    __m256i w = _mm256_slli_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)(x->code + i))), 8);
    if (x->rest)
        w = _mm256_add_epi32(w, _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(x->rest + i))));
    return _mm256_fmadd_ps(_mm256_set1_ps(x->fine), _mm256_cvtepi32_ps(w), _mm256_set1_ps(x->lo));
}

static inline float component1(const struct simd_q16 *x, size_t i)
{
    return x->lo + x->fine * (float)(x->code[i] * 256 + (x->rest ? x->rest[i] : 0));
}

static float dot_q16_avx2(const float *a, const struct simd_q16 *x, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), component8(x, i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), component8(x, i + 8), s1);
    }
    float s = sum_of(_mm256_add_ps(s0, s1));
    for (; i < n; i++)
        s += a[i] * component1(x, i);
    return s;
}

static float l2sq_q16_avx2(const float *a, const struct simd_q16 *x, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        s0 = add_sq(s0, _mm256_loadu_ps(a + i), component8(x, i));
        s1 = add_sq(s1, _mm256_loadu_ps(a + i + 8), component8(x, i + 8));
    }
    float s = sum_of(_mm256_add_ps(s0, s1));
    for (; i < n; i++) {
        float d = a[i] - component1(x, i);
        s += d * d;
    }
    return s;
}

static void range_avx2(const float *a, size_t n, float *min, float *max)
{
    __m256 lo = _mm256_set1_ps(a[0]), hi = lo;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 x = _mm256_loadu_ps(a + i);
        lo = _mm256_min_ps(lo, x);
        hi = _mm256_max_ps(hi, x);
    }
    float l[8], h[8];
    _mm256_storeu_ps(l, lo);
    _mm256_storeu_ps(h, hi);
    *min = l[0], *max = h[0];
    for (int k = 1; k < 8; k++) {
        *min = l[k] < *min ? l[k] : *min;
        *max = h[k] > *max ? h[k] : *max;
    }
    for (; i < n; i++) {
        *min = a[i] < *min ? a[i] : *min;
        *max = a[i] > *max ? a[i] : *max;
    }
}

static void quantise_u8_avx2(uint8_t *to, const float *a, float lo, float by, size_t n)
{
    __m256 l = _mm256_set1_ps(lo), f = _mm256_set1_ps(by), half = _mm256_set1_ps(0.5f), top = _mm256_set1_ps(255);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 t = _mm256_add_ps(_mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(a + i), l), f), half);
        __m256i w = _mm256_cvttps_epi32(_mm256_max_ps(_mm256_min_ps(t, top), _mm256_setzero_ps()));
        __m128i h = _mm_packus_epi32(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
        _mm_storel_epi64((void *)(to + i), _mm_packus_epi16(h, h));
    }
    for (; i < n; i++) {
        float t = (a[i] - lo) * by + 0.5f;
        to[i] = (uint8_t)(t >= 255 ? 255 : t > 0 ? t : 0);
    }
}

const struct simd_kernels simd_avx2 = {"avx2",       dot_avx2,      l2sq_avx2,  dot_u8_avx2,     dot_u8_many_avx2,
                                       dot_q16_avx2, l2sq_q16_avx2, range_avx2, quantise_u8_avx2};
#endif
