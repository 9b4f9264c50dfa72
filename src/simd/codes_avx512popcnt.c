/* AVX-512 with VPOPCNTDQ: the ones of eight words in one instruction. All else is the avx512 level's. */
#include "simd/codes.h"
#include "simd/levels.h"

#if defined(__x86_64__)
#include <immintrin.h>

static uint32_t dot_bits_popcnt(const uint64_t *code, const uint64_t *planes, size_t words, int nplanes)
{
    __m512i sum = _mm512_setzero_si512();
    __mmask8 tail = (__mmask8)((1u << words % 8) - 1);
    for (int p = 0; p < nplanes; p++, planes += words) {
        __m512i ones = _mm512_setzero_si512();
        size_t i = 0;
        for (; i + 8 <= words; i += 8)
            ones = _mm512_add_epi64(ones, _mm512_popcnt_epi64(_mm512_and_si512(_mm512_loadu_si512(code + i),
                                                                               _mm512_loadu_si512(planes + i))));
        if (tail)
            ones = _mm512_add_epi64(ones,
                                    _mm512_popcnt_epi64(_mm512_and_si512(_mm512_maskz_loadu_epi64(tail, code + i),
                                                                         _mm512_maskz_loadu_epi64(tail, planes + i))));
        sum = _mm512_add_epi64(sum, _mm512_sll_epi64(ones, _mm_cvtsi32_si128(p)));
    }
    return (uint32_t)_mm512_reduce_add_epi64(sum);
}

const struct simd_codes *simd_codes_avx512popcnt(void)
{
    static struct simd_codes k;
    k = simd_codes_avx512;
    k.name = "avx512popcnt";
    k.dot_bits = dot_bits_popcnt;
    return &k;
}
#endif
