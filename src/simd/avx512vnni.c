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

const struct simd_kernels *simd_avx512vnni(void)
{
    static struct simd_kernels k;
    k = simd_avx512;
    k.name = "avx512vnni";
    k.dot_u8 = dot_u8_vnni;
    return &k;
}
#endif
