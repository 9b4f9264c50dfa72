/* Plain C kernels and the choice among the levels. Four running sums, so that the compiler may keep them in one vector
 * register and so that the rounding of long vectors stays small. */
#include "simd/simd.h"

#include <math.h>
#include <string.h>

#include "simd/levels.h"

static float dot_c(const float *a, const float *b, size_t n)
{
    float s[4] = {0, 0, 0, 0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            s[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        s[0] += a[i] * b[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static float l2sq_c(const float *a, const float *b, size_t n)
{
    float s[4] = {0, 0, 0, 0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++) {
            float d = a[i + k] - b[i + k];
            s[k] += d * d;
        }
    for (; i < n; i++) {
        float d = a[i] - b[i];
        s[0] += d * d;
    }
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static int32_t dot_u8_c(const uint8_t *a, const uint8_t *b, size_t n)
{
    int32_t s = 0;
    for (size_t i = 0; i < n; i++)
        s += a[i] * (b[i] - 128);
    return s;
}

static void dot_u8_many_c(int32_t *to, const uint8_t *const *a, size_t count, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < count; i++)
        to[i] = dot_u8_c(a[i], b, n);
}

static inline float component(const struct simd_q16 *x, size_t i)
{
    return x->lo + x->fine * (float)(x->code[i] * 256 + (x->rest ? x->rest[i] : 0));
}

static float dot_q16_c(const float *a, const struct simd_q16 *x, size_t n)
{
    float s[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; i++)
        s[i % 4] += a[i] * component(x, i);
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static float l2sq_q16_c(const float *a, const struct simd_q16 *x, size_t n)
{
    float s[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; i++) {
        float d = a[i] - component(x, i);
        s[i % 4] += d * d;
    }
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static void range_c(const float *a, size_t n, float *min, float *max)
{
    float lo = a[0], hi = a[0];
    for (size_t i = 1; i < n; i++) {
        lo = a[i] < lo ? a[i] : lo;
        hi = a[i] > hi ? a[i] : hi;
    }
    *min = lo;
    *max = hi;
}

static void quantise_u8_c(uint8_t *to, const float *a, float lo, float by, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float t = (a[i] - lo) * by + 0.5f;
        to[i] = (uint8_t)(t >= 255 ? 255 : t > 0 ? t : 0);
    }
}

static const struct simd_kernels plain = {"c",       dot_c,      l2sq_c,  dot_u8_c,     dot_u8_many_c,
                                          dot_q16_c, l2sq_q16_c, range_c, quantise_u8_c};

struct simd_kernels simd = {"c", dot_c, l2sq_c, dot_u8_c, dot_u8_many_c, dot_q16_c, l2sq_q16_c, range_c, quantise_u8_c};

static const struct simd_kernels *found[5] = {&plain};
static int found_count = 1;

__attribute__((constructor)) static void choose(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        found[found_count++] = &simd_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        found[found_count++] = &simd_avx512;
    if (found[found_count - 1] == &simd_avx512 && __builtin_cpu_supports("avx512vnni"))
        found[found_count++] = simd_avx512vnni();
#elif defined(__aarch64__)
    found[found_count++] = &simd_neon;
#endif
    simd = *found[found_count - 1];
}

int simd_levels(void)
{
    return found_count;
}

const struct simd_kernels *simd_level(int i)
{
    return found[i];
}

bool simd_use(const char *name)
{
    for (int i = 0; i < found_count; i++)
        if (strcmp(found[i]->name, name) == 0) {
            simd = *found[i];
            return true;
        }
    return false;
}

double simd_norm_f32(const float *a, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += (double)a[i] * a[i];
    return sqrt(s);
}

void simd_scale_f32(float *to, const float *a, double by, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (float)(a[i] * by);
}

bool simd_finite_f32(const float *a, size_t n)
{
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        ok &= (bool)isfinite(a[i]);
    return ok;
}
