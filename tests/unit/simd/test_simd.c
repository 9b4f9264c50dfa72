/* Every level against plain C: all lengths, all offsets from a cache line, odd values. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "base/rng.h"
#include "simd/simd.h"

#define LONGEST 320

static double bound(const float *a, const float *b, size_t n, bool l2)
{
    double s = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a[i] - b[i];
        s += l2 ? d * d : fabs((double)a[i] * b[i]);
    }
    return 1e-6 * sqrt((double)n) * s + FLT_MIN;
}

static void check(const struct simd_kernels *k, const float *a, const float *b, size_t n)
{
    const struct simd_kernels *c = simd_level(0);
    assert_true(fabs((double)k->dot_f32(a, b, n) - c->dot_f32(a, b, n)) <= bound(a, b, n, false));
    assert_true(fabs((double)k->l2sq_f32(a, b, n) - c->l2sq_f32(a, b, n)) <= bound(a, b, n, true));
}

static void every_length_and_offset(void **state)
{
    static float a[LONGEST + 16], b[LONGEST + 16];
    struct rng r;
    rng_seed(&r, 8);
    for (size_t i = 0; i < LONGEST + 16; i++)
        a[i] = (float)rng_double(&r) - 0.5f, b[i] = (float)rng_double(&r) - 0.5f;
    for (int level = 0; level < simd_levels(); level++)
        for (size_t n = 0; n <= LONGEST; n++)
            for (size_t off = 0; off < 16; off++)
                check(simd_level(level), a + off, b + (15 - off), n);
}

/* The last float of the vector is the last of its page and the next page may not be touched. */
static void nothing_past_the_end(void **state)
{
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    assert_int_equal(mprotect(p + 4096, 4096, PROT_NONE), 0);
    float *end = (float *)(void *)(p + 4096);
    for (size_t i = 1; i <= 1024; i++)
        end[-(ptrdiff_t)i] = (float)i;
    for (int level = 0; level < simd_levels(); level++)
        for (size_t n = 0; n <= 200; n++)
            check(simd_level(level), end - n, end - n, n);
    munmap(p, 8192);
}

static void odd_values(void **state)
{
    static const float odd[] = {0,     -0.0f,  FLT_MIN, 1e-42f, -1e-42f,  1e19f,    -1e19f,
                                3e38f, -3e38f, 1,       NAN,    INFINITY, -INFINITY};
    struct rng r;
    rng_seed(&r, 9);
    for (int level = 1; level < simd_levels(); level++)
        for (int round = 0; round < 20000; round++) {
            float a[40], b[40];
            size_t n = rng_below(&r, 41);
            for (size_t i = 0; i < n; i++) {
                a[i] = rng_below(&r, 4) ? (float)rng_double(&r) : odd[rng_below(&r, sizeof odd / sizeof *odd)];
                b[i] = rng_below(&r, 4) ? (float)rng_double(&r) : odd[rng_below(&r, sizeof odd / sizeof *odd)];
            }
            float plain = simd_level(0)->l2sq_f32(a, b, n), fast = simd_level(level)->l2sq_f32(a, b, n);
            /* A sum of squares overflows, or not, in any order of adding, but for sums at the very edge. */
            if (isnan(plain) || isinf(plain))
                assert_true(isnan(plain) == isnan(fast) && !isfinite(fast));
            else
                assert_true(fabs((double)fast - plain) <= bound(a, b, n, true));
            plain = simd_level(0)->dot_f32(a, b, n), fast = simd_level(level)->dot_f32(a, b, n);
            if (isfinite(plain) && isfinite(fast)) /* whether +3e38 and -3e38 cancel depends on the order */
                assert_true(fabs((double)fast - plain) <= bound(a, b, n, false));
        }
}

/* The kernels on codes: exact where they count, within rounding where they are floats; nothing read past the end. */
static void check_codes(const struct simd_kernels *k, const float *a, const struct simd_q16 *x, size_t n)
{
    const struct simd_kernels *c = simd_level(0);
    float decoded[LONGEST + 1];
    for (size_t i = 0; i < n; i++)
        decoded[i] = x->lo + x->fine * (float)(x->code[i] * 256 + (x->rest ? x->rest[i] : 0));
    assert_true(fabs((double)k->dot_q16(a, x, n) - c->dot_f32(a, decoded, n)) <=
                4 * bound(a, decoded, n, false) + 1e-6);
    assert_true(fabs((double)k->l2sq_q16(a, x, n) - c->l2sq_f32(a, decoded, n)) <=
                4 * bound(a, decoded, n, true) + 1e-6);
    if (n == 0)
        return;
    float lo, hi, lo2, hi2;
    uint8_t one[LONGEST], two[LONGEST];
    c->range_f32(a, n, &lo, &hi);
    k->range_f32(a, n, &lo2, &hi2);
    assert_true(lo == lo2 && hi == hi2);
    c->quantise_u8(one, a, lo, hi > lo ? 255 / (hi - lo) : 0, n);
    k->quantise_u8(two, a, lo, hi > lo ? 255 / (hi - lo) : 0, n);
    for (size_t i = 0; i < n; i++) /* a fused multiply-add may fall on the other side of a half */
        assert_true(abs(one[i] - two[i]) <= 1);
}

static void codes_of_every_length(void **state)
{
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED && mprotect(p + 4096, 4096, PROT_NONE) == 0);
    static uint8_t b[LONGEST];
    static int8_t rest[LONGEST];
    static float f[LONGEST];
    uint8_t *end = (uint8_t *)p + 4096;
    struct rng r;
    rng_seed(&r, 10);
    for (size_t i = 0; i < LONGEST; i++) {
        end[-(ptrdiff_t)i - 1] = (uint8_t)rng_below(&r, 256);
        b[i] = (uint8_t)rng_below(&r, 256);
        rest[i] = (int8_t)(rng_below(&r, 256) - 128);
        f[i] = (float)rng_double(&r) - 0.5f;
    }
    for (int level = 0; level < simd_levels(); level++)
        for (size_t n = 0; n < LONGEST; n++) {
            const struct simd_kernels *k = simd_level(level);
            int32_t sum = 0;
            for (size_t i = 0; i < n; i++)
                sum += end[(ptrdiff_t)i - (ptrdiff_t)n] * (b[i] - 128);
            assert_int_equal(k->dot_u8(end - n, b, n), sum);
            assert_int_equal(k->dot_u8(b, end - n, n), simd_level(0)->dot_u8(b, end - n, n));
            const uint8_t *rows[7] = {end - n, b, end - n, b, b, end - n, b};
            int32_t got[7];
            k->dot_u8_many(got, rows, n % 8, b, n);
            for (size_t i = 0; i < n % 8; i++)
                assert_int_equal(got[i], simd_level(0)->dot_u8(rows[i], b, n));
            struct simd_q16 x = {.code = end - n, .rest = n % 3 ? rest : NULL, .lo = -0.5f, .fine = 1.5e-5f};
            check_codes(k, f, &x, n);
        }
    munmap(p, 8192);
}

static void the_longest_codes_do_not_overflow(void **state)
{
    static uint8_t a[65536], b[65536];
    memset(a, 255, sizeof a);
    for (int level = 0; level < simd_levels(); level++) {
        memset(b, 0, sizeof b);
        assert_int_equal(simd_level(level)->dot_u8(a, b, sizeof a), -128 * 255 * 65536);
        memset(b, 255, sizeof b);
        assert_int_equal(simd_level(level)->dot_u8(a, b, sizeof a), 127 * 255 * 65536);
    }
}

static void levels_by_name(void **state)
{
    assert_string_equal(simd_level(0)->name, "c");
    assert_string_equal(simd.name, simd_level(simd_levels() - 1)->name);
    assert_false(simd_use("abacus"));
    for (int i = simd_levels() - 1; i >= 0; i--) {
        assert_true(simd_use(simd_level(i)->name));
        assert_ptr_equal(simd.dot_f32, simd_level(i)->dot_f32);
    }
    assert_true(simd_use(simd_level(simd_levels() - 1)->name));
}

static void norm_scale_finite(void **state)
{
    float a[3] = {2e38f, 2e38f, 1e38f}, b[3] = {3e-42f, 0, 4e-42f}, c[2] = {1, NAN}, d[2] = {INFINITY, 0}, to[3];
    assert_true(fabs(simd_norm_f32(a, 3) - 3e38) < 1e32);
    assert_true(simd_norm_f32(b, 3) > 4.9e-42 && simd_norm_f32(b, 3) < 5.1e-42);
    assert_true(simd_norm_f32(a, 0) == 0);
    simd_scale_f32(to, a, 1 / simd_norm_f32(a, 3), 3);
    assert_true(fabs(simd_norm_f32(to, 3) - 1) < 1e-6);
    assert_true(simd_finite_f32(a, 3) && simd_finite_f32(c, 1) && simd_finite_f32(c, 0));
    assert_false(simd_finite_f32(c, 2) || simd_finite_f32(d, 2));
}

int main(void)
{
    printf("levels:");
    for (int i = 0; i < simd_levels(); i++)
        printf(" %s", simd_level(i)->name);
    printf("\n");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_and_offset),
        cmocka_unit_test(nothing_past_the_end),
        cmocka_unit_test(odd_values),
        cmocka_unit_test(levels_by_name),
        cmocka_unit_test(norm_scale_finite),
        cmocka_unit_test(codes_of_every_length),
        cmocka_unit_test(the_longest_codes_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
