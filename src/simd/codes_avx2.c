/* AVX2 + F16C. Halves are widened eight at a time; ones are counted by looking nibbles up (Mula's way); a scan takes
 * a byte of 32 codes a step. */
#include "simd/codes.h"
#include "simd/levels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

static inline __m256 widen(const uint16_t *x)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)x));
}

/* The last up to 7, the rest zero. */
static inline __m256 widen_tail(const uint16_t *x, size_t left)
{
    uint16_t room[8] = {0};
    memcpy(room, x, left * sizeof *x);
    return widen(room);
}
static inline __m256 load_tail(const float *q, size_t left)
{
    float room[8] = {0};
    memcpy(room, q, left * sizeof *q);
    return _mm256_loadu_ps(room);
}

static inline float sum_of(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    s = _mm_add_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

static void half_from_avx2(uint16_t *to, const float *a, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(to + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(a + i), _MM_FROUND_TO_NEAREST_INT));
    if (i < n) {
        uint16_t room[8];
        __m128i h = _mm256_cvtps_ph(load_tail(a + i, n - i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(void *)room, h);
        memcpy(to + i, room, (n - i) * sizeof *to);
    }
}

static void half_to_avx2(float *to, const uint16_t *a, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(to + i, widen(a + i));
    if (i < n) {
        float room[8];
        _mm256_storeu_ps(room, widen_tail(a + i, n - i));
        memcpy(to + i, room, (n - i) * sizeof *to);
    }
}

static float dot_f16_avx2(const float *q, const uint16_t *x, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(q + i), widen(x + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(q + i + 8), widen(x + i + 8), s1);
    }
    for (; i + 8 <= n; i += 8)
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(q + i), widen(x + i), s0);
    if (i < n)
        s1 = _mm256_fmadd_ps(load_tail(q + i, n - i), widen_tail(x + i, n - i), s1);
    return sum_of(_mm256_add_ps(s0, s1));
}

static inline __m256 add_sq(__m256 s, __m256 q, __m256 scale, __m256 x)
{
    __m256 d = _mm256_fnmadd_ps(scale, x, q);
    return _mm256_fmadd_ps(d, d, s);
}

static float l2sq_f16_avx2(const float *q, const uint16_t *x, float scale, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, by = _mm256_set1_ps(scale);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        s0 = add_sq(s0, _mm256_loadu_ps(q + i), by, widen(x + i));
        s1 = add_sq(s1, _mm256_loadu_ps(q + i + 8), by, widen(x + i + 8));
    }
    for (; i + 8 <= n; i += 8)
        s0 = add_sq(s0, _mm256_loadu_ps(q + i), by, widen(x + i));
    if (i < n)
        s1 = add_sq(s1, load_tail(q + i, n - i), by, widen_tail(x + i, n - i));
    return sum_of(_mm256_add_ps(s0, s1));
}

static float dot_halves_avx2(const uint16_t *a, const uint16_t *b, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        s0 = _mm256_fmadd_ps(widen(a + i), widen(b + i), s0);
        s1 = _mm256_fmadd_ps(widen(a + i + 8), widen(b + i + 8), s1);
    }
    for (; i + 8 <= n; i += 8)
        s0 = _mm256_fmadd_ps(widen(a + i), widen(b + i), s0);
    if (i < n)
        s1 = _mm256_fmadd_ps(widen_tail(a + i, n - i), widen_tail(b + i, n - i), s1);
    return sum_of(_mm256_add_ps(s0, s1));
}

static float l2sq_halves_avx2(const uint16_t *a, float sa, const uint16_t *b, float sb, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, pa = _mm256_set1_ps(sa), pb = _mm256_set1_ps(sb);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        s0 = add_sq(s0, _mm256_mul_ps(pa, widen(a + i)), pb, widen(b + i));
        s1 = add_sq(s1, _mm256_mul_ps(pa, widen(a + i + 8)), pb, widen(b + i + 8));
    }
    for (; i + 8 <= n; i += 8)
        s0 = add_sq(s0, _mm256_mul_ps(pa, widen(a + i)), pb, widen(b + i));
    if (i < n)
        s1 = add_sq(s1, _mm256_mul_ps(pa, widen_tail(a + i, n - i)), pb, widen_tail(b + i, n - i));
    return sum_of(_mm256_add_ps(s0, s1));
}

/* Ones in each of the four words. */
static inline __m256i ones_of(__m256i v)
{
    const __m256i count = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2,
                                           2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    __m256i bytes = _mm256_add_epi8(_mm256_shuffle_epi8(count, _mm256_and_si256(v, low)),
                                    _mm256_shuffle_epi8(count, _mm256_and_si256(_mm256_srli_epi16(v, 4), low)));
    return _mm256_sad_epu8(bytes, _mm256_setzero_si256());
}

static uint32_t dot_bits_avx2(const uint64_t *code, const uint64_t *planes, size_t words, int nplanes)
{
    __m256i sum = _mm256_setzero_si256();
    uint64_t rest = 0;
    for (int p = 0; p < nplanes; p++, planes += words) {
        __m256i ones = _mm256_setzero_si256();
        size_t i = 0;
        for (; i + 4 <= words; i += 4) {
            __m256i c = _mm256_loadu_si256((const __m256i *)(const void *)(code + i));
            __m256i q = _mm256_loadu_si256((const __m256i *)(const void *)(planes + i));
            ones = _mm256_add_epi64(ones, ones_of(_mm256_and_si256(c, q)));
        }
        sum = _mm256_add_epi64(sum, _mm256_sll_epi64(ones, _mm_cvtsi32_si128(p)));
        for (; i < words; i++)
            rest += (uint64_t)_mm_popcnt_u64(code[i] & planes[i]) << p;
    }
    __m128i s = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    return (uint32_t)(rest + (uint64_t)_mm_cvtsi128_si64(s) + (uint64_t)_mm_extract_epi64(s, 1));
}

/* Sums of bytes in 16-bit lanes: `all` takes a pair of bytes as one number, `odd` its upper byte. Wrapping does no
 * harm, because what is left after subtracting fits. */
struct sums {
    __m256i all, odd;
};

static inline void add_bytes(struct sums *s, __m256i bytes)
{
    s->all = _mm256_add_epi16(s->all, bytes);
    s->odd = _mm256_add_epi16(s->odd, _mm256_srli_epi16(bytes, 8));
}

/* Sixteen codes in each half of the register. */
static inline void flush(uint32_t *to, struct sums *s)
{
    __m256i even = _mm256_sub_epi16(s->all, _mm256_slli_epi16(s->odd, 8));
    __m256i low = _mm256_unpacklo_epi16(even, s->odd), high = _mm256_unpackhi_epi16(even, s->odd);
    __m128i eight[4] = {_mm256_castsi256_si128(low), _mm256_castsi256_si128(high), _mm256_extracti128_si256(low, 1),
                        _mm256_extracti128_si256(high, 1)};
    __m256i *at = (__m256i *)(void *)to;
    for (int k = 0; k < 4; k++)
        _mm256_storeu_si256(at + k, _mm256_add_epi32(_mm256_loadu_si256(at + k), _mm256_cvtepu16_epi32(eight[k])));
    s->all = s->odd = _mm256_setzero_si256();
}

static inline __m256i table(const uint8_t *p)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p));
}

SIMD_RACES static void scan_avx2(uint32_t to[32], const uint8_t *block, const uint8_t *tables, size_t bytes)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    struct sums s = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    memset(to, 0, 32 * sizeof *to);
    for (size_t i = 0; i < bytes; i++, block += 32, tables += 32) {
        __m256i codes = _mm256_loadu_si256((const __m256i *)(const void *)block);
        add_bytes(&s, _mm256_shuffle_epi8(table(tables), _mm256_and_si256(codes, nibble)));
        add_bytes(&s, _mm256_shuffle_epi8(table(tables + 16), _mm256_and_si256(_mm256_srli_epi16(codes, 4), nibble)));
        if (i % 128 == 127) /* 256 look-ups of at most 255 are what 16 bits hold */
            flush(to, &s);
    }
    flush(to, &s);
}

const struct simd_codes simd_codes_avx2 = {"avx2",           half_from_avx2, half_to_avx2,
                                           dot_f16_avx2,     l2sq_f16_avx2,  dot_halves_avx2,
                                           l2sq_halves_avx2, dot_bits_avx2,  scan_avx2};
#endif
