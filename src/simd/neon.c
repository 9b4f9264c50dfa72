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

const struct simd_kernels simd_neon = {"neon", dot_neon, l2sq_neon};
#endif
