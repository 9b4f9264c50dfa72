/* Kernels on short forms of vectors: plain C and the choice among the levels. */
#include "simd/codes.h"

#include <string.h>

#include "simd/levels.h"

static uint16_t half_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    u &= 0x7fffffff;
    if (u > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (u >> 13 & 0x3ff));
    if (u >= 0x477ff000) /* 65,520 and more round to infinity */
        return sign | 0x7c00;
    if (u < 0x33000000) /* below half of the smallest denormal */
        return sign;
    int shift = 13;
    uint32_t m = u - 0x38000000; /* the exponent's bias from 127 to 15 */
    if (u < 0x38800000) {        /* a denormal half: the leading one is written out and moved down */
        shift = 126 - (int)(u >> 23);
        m = (u & 0x7fffff) | 0x800000;
    }
    uint32_t below = m & ((UINT32_C(1) << shift) - 1), tie = UINT32_C(1) << (shift - 1);
    m >>= shift;
    if (below > tie || (below == tie && (m & 1)))
        m++; /* may carry into the exponent, which is then right */
    return (uint16_t)(sign | m);
}

static float half_value(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3ff, u;
    if (e == 0) {
        float f = (float)m * 0x1p-24f;
        return sign ? -f : f;
    }
    if (e == 31)
        u = sign | 0x7f800000 | m << 13 | (m ? 0x400000 : 0);
    else
        u = sign | (e + 112) << 23 | m << 13;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static void half_from_c(uint16_t *to, const float *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = half_of(a[i]);
}

static void half_to_c(float *to, const uint16_t *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = half_value(a[i]);
}

static float dot_f16_c(const float *q, const uint16_t *x, size_t n)
{
    float s[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; i++)
        s[i % 4] += q[i] * half_value(x[i]);
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static float l2sq_f16_c(const float *q, const uint16_t *x, float scale, size_t n)
{
    float s[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; i++) {
        float d = q[i] - scale * half_value(x[i]);
        s[i % 4] += d * d;
    }
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static float dot_halves_c(const uint16_t *a, const uint16_t *b, size_t n)
{
    float s[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; i++)
        s[i % 4] += half_value(a[i]) * half_value(b[i]);
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static float l2sq_halves_c(const uint16_t *a, float sa, const uint16_t *b, float sb, size_t n)
{
    float s[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; i++) {
        float d = sa * half_value(a[i]) - sb * half_value(b[i]);
        s[i % 4] += d * d;
    }
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static uint32_t dot_bits_c(const uint64_t *code, const uint64_t *planes, size_t words, int nplanes)
{
    uint32_t sum = 0;
    for (int p = 0; p < nplanes; p++, planes += words) {
        uint32_t ones = 0;
        for (size_t i = 0; i < words; i++)
            ones += (uint32_t)__builtin_popcountll(code[i] & planes[i]);
        sum += ones << p;
    }
    return sum;
}

SIMD_RACES static void scan_c(uint32_t to[32], const uint8_t *block, const uint8_t *tables, size_t bytes)
{
    for (int j = 0; j < 32; j++)
        to[j] = 0;
    for (size_t i = 0; i < bytes; i++, block += 32, tables += 32)
        for (int j = 0; j < 32; j++)
            to[j] += (uint32_t)tables[block[j] & 15] + tables[16 + (block[j] >> 4)];
}

void simd_pack(uint8_t *block, int at, const void *code, size_t bytes)
{
    const uint8_t *from = code;
    for (size_t i = 0; i < bytes; i++)
        block[i * 32 + (size_t)at] = from[i];
}

static const struct simd_codes plain = {"c",          half_from_c,   half_to_c,  dot_f16_c, l2sq_f16_c,
                                        dot_halves_c, l2sq_halves_c, dot_bits_c, scan_c};

struct simd_codes simd_codes = {"c",          half_from_c,   half_to_c,  dot_f16_c, l2sq_f16_c,
                                dot_halves_c, l2sq_halves_c, dot_bits_c, scan_c};

static const struct simd_codes *found[4] = {&plain};
static int found_count = 1;

__attribute__((constructor)) static void choose(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) /* whatever has AVX2 has F16C */
        found[found_count++] = &simd_codes_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        found[found_count++] = &simd_codes_avx512;
    if (found[found_count - 1] == &simd_codes_avx512 && __builtin_cpu_supports("avx512vpopcntdq"))
        found[found_count++] = simd_codes_avx512popcnt();
#elif defined(__aarch64__)
    found[found_count++] = &simd_codes_neon;
#endif
    simd_codes = *found[found_count - 1];
}

int simd_codes_levels(void)
{
    return found_count;
}

const struct simd_codes *simd_codes_level(int i)
{
    return found[i];
}
