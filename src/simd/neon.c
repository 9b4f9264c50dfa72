/* NEON (every 64-bit ARM has it): 4 floats a register, four running sums, a scalar tail. */
#include "simd/levels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

static float dot_neon(const float *a, const float *b, size_t n)
{
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        s0 = vfmaq_f32(s0, vld1q_f32(a + i), vld1q_f32(b + i));
        s1 = vfmaq_f32(s1, vld1q_f32(a + i + 4), vld1q_f32(b + i + 4));
        s2 = vfmaq_f32(s2, vld1q_f32(a + i + 8), vld1q_f32(b + i + 8));
        s3 = vfmaq_f32(s3, vld1q_f32(a + i + 12), vld1q_f32(b + i + 12));
    }
    float s = vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3)));
    for (; i < n; i++)
        s += a[i] * b[i];
    return s;
}

static inline float32x4_t add_sq(float32x4_t s, float32x4_t x, float32x4_t y)
{
    float32x4_t d = vsubq_f32(x, y);
    return vfmaq_f32(s, d, d);
}

static float l2sq_neon(const float *a, const float *b, size_t n)
{
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        s0 = add_sq(s0, vld1q_f32(a + i), vld1q_f32(b + i));
        s1 = add_sq(s1, vld1q_f32(a + i + 4), vld1q_f32(b + i + 4));
        s2 = add_sq(s2, vld1q_f32(a + i + 8), vld1q_f32(b + i + 8));
        s3 = add_sq(s3, vld1q_f32(a + i + 12), vld1q_f32(b + i + 12));
    }
    float s = vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3)));
    for (; i < n; i++) {
        float d = a[i] - b[i];
        s += d * d;
    }
    return s;
}

static int32_t dot_u8_neon(const uint8_t *a, const uint8_t *b, size_t n)
{
    int32x4_t s0 = vdupq_n_s32(0), s1 = s0;
    int16x8_t flip = vdupq_n_s16(128);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        int16x8_t x = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(a + i)));
        int16x8_t y = vsubq_s16(vreinterpretq_s16_u16(vmovl_u8(vld1_u8(b + i))), flip);
        s0 = vmlal_s16(s0, vget_low_s16(x), vget_low_s16(y));
        s1 = vmlal_s16(s1, vget_high_s16(x), vget_high_s16(y));
    }
    int32_t s = vaddvq_s32(vaddq_s32(s0, s1));
    for (; i < n; i++)
        s += a[i] * (b[i] - 128);
    return s;
}

static void dot_u8_many_neon(int32_t *to, const uint8_t *const *a, size_t count, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < count; i++)
        to[i] = dot_u8_neon(a[i], b, n);
}

static inline void component8(const struct simd_q16 *x, size_t i, float32x4_t *lo, float32x4_t *hi)
{
    int16x8_t c = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(x->code + i)));
    int16x8_t r = x->rest ? vmovl_s8(vld1_s8(x->rest + i)) : vdupq_n_s16(0);
    int32x4_t wl = vaddw_s16(vshll_n_s16(vget_low_s16(c), 8), vget_low_s16(r));
    int32x4_t wh = vaddw_s16(vshll_n_s16(vget_high_s16(c), 8), vget_high_s16(r));
    *lo = vfmaq_n_f32(vdupq_n_f32(x->lo), vcvtq_f32_s32(wl), x->fine);
    *hi = vfmaq_n_f32(vdupq_n_f32(x->lo), vcvtq_f32_s32(wh), x->fine);
}

static inline float component1(const struct simd_q16 *x, size_t i)
{
    return x->lo + x->fine * (float)(x->code[i] * 256 + (x->rest ? x->rest[i] : 0));
}

static float dot_q16_neon(const float *a, const struct simd_q16 *x, size_t n)
{
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0, lo, hi;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        component8(x, i, &lo, &hi);
        s0 = vfmaq_f32(s0, vld1q_f32(a + i), lo);
        s1 = vfmaq_f32(s1, vld1q_f32(a + i + 4), hi);
    }
    float s = vaddvq_f32(vaddq_f32(s0, s1));
    for (; i < n; i++)
        s += a[i] * component1(x, i);
    return s;
}

static float l2sq_q16_neon(const float *a, const struct simd_q16 *x, size_t n)
{
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0, lo, hi;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        component8(x, i, &lo, &hi);
        s0 = add_sq(s0, vld1q_f32(a + i), lo);
        s1 = add_sq(s1, vld1q_f32(a + i + 4), hi);
    }
    float s = vaddvq_f32(vaddq_f32(s0, s1));
    for (; i < n; i++) {
        float d = a[i] - component1(x, i);
        s += d * d;
    }
    return s;
}

static void range_neon(const float *a, size_t n, float *min, float *max)
{
    float32x4_t lo = vdupq_n_f32(a[0]), hi = lo;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        lo = vminq_f32(lo, vld1q_f32(a + i));
        hi = vmaxq_f32(hi, vld1q_f32(a + i));
    }
    *min = vminvq_f32(lo), *max = vmaxvq_f32(hi);
    for (; i < n; i++) {
        *min = a[i] < *min ? a[i] : *min;
        *max = a[i] > *max ? a[i] : *max;
    }
}

static void quantise_u8_neon(uint8_t *to, const float *a, float lo, float by, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float t = (a[i] - lo) * by + 0.5f;
        to[i] = (uint8_t)(t >= 255 ? 255 : t > 0 ? t : 0);
    }
}

const struct simd_kernels simd_neon = {"neon",       dot_neon,      l2sq_neon,  dot_u8_neon,     dot_u8_many_neon,
                                       dot_q16_neon, l2sq_q16_neon, range_neon, quantise_u8_neon};
#endif
