/* AVX-512 with VNNI: 64 products of bytes and their sums by fours in one instruction. All else is the avx512 level's.
 */
#include "simd/levels.h"

#if defined(__x86_64__)
#include <immintrin.h>

static inline __m512i add_dot(__m512i s, __m512i a, __m512i b)
{
    return _mm512_dpbusd_epi32(s, a, _mm512_xor_si512(b, _mm512_set1_epi8((char)0x80)));
}

static int32_t dot_u8_vnni(const uint8_t *a, const uint8_t *b, size_t n)
{
    __m512i s0 = _mm512_setzero_si512(), s1 = s0;
    size_t i = 0;
    for (; i + 128 <= n; i += 128) {
        s0 = add_dot(s0, _mm512_loadu_si512(a + i), _mm512_loadu_si512(b + i));
        s1 = add_dot(s1, _mm512_loadu_si512(a + i + 64), _mm512_loadu_si512(b + i + 64));
    }
    if (i + 64 <= n) {
        s0 = add_dot(s0, _mm512_loadu_si512(a + i), _mm512_loadu_si512(b + i));
        i += 64;
    }
    if (i < n) {
        __mmask64 m = (UINT64_C(1) << (n - i)) - 1; /* lanes masked off are 0 in a, so b's do not count */
        s1 = add_dot(s1, _mm512_maskz_loadu_epi8(m, a + i), _mm512_maskz_loadu_epi8(m, b + i));
    }
    return _mm512_reduce_add_epi32(_mm512_add_epi32(s0, s1));
}

/* Lane by lane: the sums of four registers, side by side. */
static inline __m128i sums_of(__m512i a, __m512i b, __m512i c, __m512i d)
{
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    __m512i s = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    __m256i h = _mm256_add_epi32(_mm512_castsi512_si256(s), _mm512_extracti64x4_epi64(s, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
}

/* Four at a time: b is read and turned once for them, and their reads wait side by side. */
static void dot_u8_many_vnni(int32_t *to, const uint8_t *const *a, size_t count, const uint8_t *b, size_t n)
{
    const __m512i flip = _mm512_set1_epi8((char)0x80);
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const uint8_t *p = a[i], *q = a[i + 1], *r = a[i + 2], *t = a[i + 3];
        __m512i sp = _mm512_setzero_si512(), sq = sp, sr = sp, st = sp;
        size_t k = 0;
        for (; k + 64 <= n; k += 64) {
            __m512i y = _mm512_xor_si512(_mm512_loadu_si512(b + k), flip);
            sp = _mm512_dpbusd_epi32(sp, _mm512_loadu_si512(p + k), y);
            sq = _mm512_dpbusd_epi32(sq, _mm512_loadu_si512(q + k), y);
            sr = _mm512_dpbusd_epi32(sr, _mm512_loadu_si512(r + k), y);
            st = _mm512_dpbusd_epi32(st, _mm512_loadu_si512(t + k), y);
        }
        if (k < n) {
            __mmask64 m = (UINT64_C(1) << (n - k)) - 1;
            __m512i y = _mm512_xor_si512(_mm512_maskz_loadu_epi8(m, b + k), flip);
            sp = _mm512_dpbusd_epi32(sp, _mm512_maskz_loadu_epi8(m, p + k), y);
            sq = _mm512_dpbusd_epi32(sq, _mm512_maskz_loadu_epi8(m, q + k), y);
            sr = _mm512_dpbusd_epi32(sr, _mm512_maskz_loadu_epi8(m, r + k), y);
            st = _mm512_dpbusd_epi32(st, _mm512_maskz_loadu_epi8(m, t + k), y);
        }
        _mm_storeu_si128((void *)(to + i), sums_of(sp, sq, sr, st));
    }
    for (; i < count; i++)
        to[i] = dot_u8_vnni(a[i], b, n);
}

const struct simd_kernels *simd_avx512vnni(void)
{
    static struct simd_kernels k;
    k = simd_avx512;
    k.name = "avx512vnni";
    k.dot_u8 = dot_u8_vnni;
    k.dot_u8_many = dot_u8_many_vnni;
    return &k;
}
#endif
