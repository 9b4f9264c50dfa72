/* NEON: eight halves a step, two words of a code (cnt), a byte of 32 packed codes (tbl); scalar tails. */
#include "simd/codes.h"
#include "simd/levels.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

static inline float value_of(uint16_t h)
{
    __fp16 f;
    memcpy(&f, &h, sizeof f);
    return (float)f;
}

static void half_from_neon(uint16_t *to, const float *a, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1_u16(to + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(a + i))));
    for (; i < n; i++) {
        __fp16 h = (__fp16)a[i];
        memcpy(to + i, &h, sizeof h);
    }
}

static void half_to_neon(float *to, const uint16_t *a, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(to + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(a + i))));
    for (; i < n; i++)
        to[i] = value_of(a[i]);
}

static float dot_f16_neon(const float *q, const uint16_t *x, size_t n)
{
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        float16x8_t h = vreinterpretq_f16_u16(vld1q_u16(x + i));
        s0 = vfmaq_f32(s0, vld1q_f32(q + i), vcvt_f32_f16(vget_low_f16(h)));
        s1 = vfmaq_f32(s1, vld1q_f32(q + i + 4), vcvt_high_f32_f16(h));
    }
    float s = vaddvq_f32(vaddq_f32(s0, s1));
    for (; i < n; i++)
        s += q[i] * value_of(x[i]);
    return s;
}

static float l2sq_f16_neon(const float *q, const uint16_t *x, float scale, size_t n)
{
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0, by = vdupq_n_f32(scale);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        float16x8_t h = vreinterpretq_f16_u16(vld1q_u16(x + i));
        float32x4_t d0 = vfmsq_f32(vld1q_f32(q + i), by, vcvt_f32_f16(vget_low_f16(h)));
        float32x4_t d1 = vfmsq_f32(vld1q_f32(q + i + 4), by, vcvt_high_f32_f16(h));
        s0 = vfmaq_f32(s0, d0, d0);
        s1 = vfmaq_f32(s1, d1, d1);
    }
    float s = vaddvq_f32(vaddq_f32(s0, s1));
    for (; i < n; i++) {
        float d = q[i] - scale * value_of(x[i]);
        s += d * d;
    }
    return s;
}

static float dot_halves_neon(const uint16_t *a, const uint16_t *b, size_t n)
{
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        float16x8_t x = vreinterpretq_f16_u16(vld1q_u16(a + i)), y = vreinterpretq_f16_u16(vld1q_u16(b + i));
        s0 = vfmaq_f32(s0, vcvt_f32_f16(vget_low_f16(x)), vcvt_f32_f16(vget_low_f16(y)));
        s1 = vfmaq_f32(s1, vcvt_high_f32_f16(x), vcvt_high_f32_f16(y));
    }
    float s = vaddvq_f32(vaddq_f32(s0, s1));
    for (; i < n; i++)
        s += value_of(a[i]) * value_of(b[i]);
    return s;
}

static float l2sq_halves_neon(const uint16_t *a, float sa, const uint16_t *b, float sb, size_t n)
{
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0, by = vdupq_n_f32(sb);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        float16x8_t x = vreinterpretq_f16_u16(vld1q_u16(a + i)), y = vreinterpretq_f16_u16(vld1q_u16(b + i));
        float32x4_t d0 = vfmsq_f32(vmulq_n_f32(vcvt_f32_f16(vget_low_f16(x)), sa), by, vcvt_f32_f16(vget_low_f16(y)));
        float32x4_t d1 = vfmsq_f32(vmulq_n_f32(vcvt_high_f32_f16(x), sa), by, vcvt_high_f32_f16(y));
        s0 = vfmaq_f32(s0, d0, d0);
        s1 = vfmaq_f32(s1, d1, d1);
    }
    float s = vaddvq_f32(vaddq_f32(s0, s1));
    for (; i < n; i++) {
        float d = sa * value_of(a[i]) - sb * value_of(b[i]);
        s += d * d;
    }
    return s;
}

static uint32_t dot_bits_neon(const uint64_t *code, const uint64_t *planes, size_t words, int nplanes)
{
    uint32_t sum = 0;
    for (int p = 0; p < nplanes; p++, planes += words) {
        uint32x4_t ones = vdupq_n_u32(0);
        size_t i = 0;
        for (; i + 2 <= words; i += 2) {
            uint8x16_t both = vreinterpretq_u8_u64(vandq_u64(vld1q_u64(code + i), vld1q_u64(planes + i)));
            ones = vpadalq_u16(ones, vpaddlq_u8(vcntq_u8(both)));
        }
        uint32_t count = vaddvq_u32(ones);
        if (i < words)
            count += (uint32_t)__builtin_popcountll(code[i] & planes[i]);
        sum += count << p;
    }
    return sum;
}

static inline void flush(uint32_t *to, uint16x8_t *s)
{
    vst1q_u32(to, vaddw_u16(vld1q_u32(to), vget_low_u16(*s)));
    vst1q_u32(to + 4, vaddw_u16(vld1q_u32(to + 4), vget_high_u16(*s)));
    *s = vdupq_n_u16(0);
}

static inline uint8x16_t look_up(const uint8_t *tables, uint8x16_t codes, uint8x16_t *high)
{
    *high = vqtbl1q_u8(vld1q_u8(tables + 16), vshrq_n_u8(codes, 4));
    return vqtbl1q_u8(vld1q_u8(tables), vandq_u8(codes, vdupq_n_u8(15)));
}

SIMD_RACES static void scan_neon(uint32_t to[32], const uint8_t *block, const uint8_t *tables, size_t bytes)
{
    memset(to, 0, 32 * sizeof *to);
    uint16x8_t s[4] = {vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0)};
    for (size_t i = 0; i < bytes; i++) {
        for (size_t k = 0; k < 2; k++) {
            uint8x16_t high, low = look_up(tables + i * 32, vld1q_u8(block + i * 32 + k * 16), &high);
            s[2 * k] = vaddw_u8(vaddw_u8(s[2 * k], vget_low_u8(low)), vget_low_u8(high));
            s[2 * k + 1] = vaddw_u8(vaddw_u8(s[2 * k + 1], vget_high_u8(low)), vget_high_u8(high));
        }
        if (i % 128 == 127 || i + 1 == bytes) /* 256 look-ups of at most 255 are what 16 bits hold */
            for (int k = 0; k < 4; k++)
                flush(to + 8 * k, &s[k]);
    }
}

const struct simd_codes simd_codes_neon = {"neon",           half_from_neon, half_to_neon,
                                           dot_f16_neon,     l2sq_f16_neon,  dot_halves_neon,
                                           l2sq_halves_neon, dot_bits_neon,  scan_neon};
#endif
