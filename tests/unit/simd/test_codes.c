/* Kernels on halves, bits and packed codes: every level against plain C and against a naive sum, all lengths, nothing
 * read past the end. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "base/rng.h"
#include "simd/codes.h"

#define LONGEST 320

/* `size` bytes that end where a page begins that may not be touched. */
static void *at_the_edge(size_t size)
{
    size_t whole = (size + 4095) / 4096 * 4096;
    char *p = mmap(NULL, whole + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED && mprotect(p + whole, 4096, PROT_NONE) == 0);
    return p + whole - size;
}

static void halves_known(void **state)
{
    static const struct {
        float f;
        uint16_t h;
    } known[] = {
        {0, 0},
        {-0.0f, 0x8000},
        {1, 0x3c00},
        {-2, 0xc000},
        {65504, 0x7bff},
        {65519.99f, 0x7bff},
        {65520, 0x7c00},
        {1e38f, 0x7c00},
        {-INFINITY, 0xfc00},
        {0x1p-24f, 1},
        {0x1p-25f, 0},
        {0x1.8p-25f, 1},
        {0x1p-14f, 0x400},
        {0x1.ff8p-15f, 0x3ff},
        {1 + 0x1p-11f, 0x3c00},
        {1 + 0x3p-11f, 0x3c02},
        {1e-42f, 0},
    };
    for (int level = 0; level < simd_codes_levels(); level++)
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            uint16_t h;
            simd_codes_level(level)->half_from_f32(&h, &known[i].f, 1);
            assert_int_equal(h, known[i].h);
        }
}

static void every_half_and_back(void **state)
{
    static uint16_t all[65536], back[65536];
    static float f[65536], plain[65536];
    for (int i = 0; i < 65536; i++)
        all[i] = (uint16_t)i;
    simd_codes_level(0)->half_to_f32(plain, all, 65536);
    for (int level = 0; level < simd_codes_levels(); level++) {
        simd_codes_level(level)->half_to_f32(f, all, 65536);
        assert_memory_equal(f, plain, sizeof f);
        simd_codes_level(level)->half_from_f32(back, f, 65536);
        for (int i = 0; i < 65536; i++) /* a signalling NaN comes back quiet */
            assert_int_equal(back[i], (i & 0x7c00) == 0x7c00 && (i & 0x3ff) ? i | 0x200 : i);
    }
}

static void any_float_to_the_nearest_half(void **state)
{
    struct rng r;
    rng_seed(&r, 1);
    static float f[4096];
    static uint16_t plain[4096], fast[4096];
    for (int round = 0; round < 500; round++) {
        for (int i = 0; i < 4096; i++) {
            uint32_t u = (uint32_t)rng_next(&r);
            if (round % 2) /* the exponents that halves have */
                u = (u & 0x807fffff) | (uint32_t)(100 + rng_below(&r, 46)) << 23;
            memcpy(&f[i], &u, sizeof u);
        }
        simd_codes_level(0)->half_from_f32(plain, f, 4096);
        for (int level = 1; level < simd_codes_levels(); level++) {
            simd_codes_level(level)->half_from_f32(fast, f, 4096);
            assert_memory_equal(plain, fast, sizeof plain);
        }
    }
}

static void products_of_halves(void **state)
{
    struct rng r;
    rng_seed(&r, 2);
    for (size_t n = 0; n <= LONGEST; n++) {
        float *q = at_the_edge(n * sizeof *q), x[LONGEST + 1];
        uint16_t *h = at_the_edge(n * sizeof *h), h2[LONGEST + 1];
        float *back = at_the_edge(n * sizeof *back);
        double dot = 0, l2 = 0, abs = 0;
        for (size_t i = 0; i < n; i++)
            q[i] = (float)rng_double(&r) - 0.5f, back[i] = (float)rng_double(&r) - 0.5f;
        for (int level = 0; level < simd_codes_levels(); level++) {
            const struct simd_codes *k = simd_codes_level(level);
            k->half_from_f32(h, back, n);
            k->half_to_f32(x, h, n);
            simd_codes_level(0)->half_from_f32(h2, back, n);
            assert_memory_equal(h, h2, n * sizeof *h);
            dot = l2 = abs = 0;
            for (size_t i = 0; i < n; i++) {
                assert_true(fabsf(x[i] - back[i]) <= 0x1p-12f);
                double d = (double)q[i] - 3.0 * (double)x[i];
                dot += (double)q[i] * (double)x[i], abs += fabs((double)q[i] * (double)x[i]), l2 += d * d;
            }
            double by = 1e-6 * sqrt((double)n);
            assert_true(fabs((double)k->dot_f16(q, h, n) - dot) <= by * abs + (double)FLT_MIN);
            assert_true(fabs((double)k->l2sq_f16(q, h, 3, n) - l2) <= by * l2 + (double)FLT_MIN);
        }
    }
}

static void products_of_two_halves(void **state)
{
    struct rng r;
    rng_seed(&r, 12);
    for (size_t n = 0; n <= LONGEST; n++) {
        uint16_t *a = at_the_edge(n * sizeof *a), *b = at_the_edge(n * sizeof *b);
        float fa[LONGEST + 1], fb[LONGEST + 1];
        double dot = 0, l2 = 0, abs = 0;
        for (size_t i = 0; i < n; i++)
            fa[i] = (float)rng_double(&r) - 0.5f, fb[i] = (float)rng_double(&r) - 0.5f;
        simd_codes.half_from_f32(a, fa, n);
        simd_codes.half_from_f32(b, fb, n);
        simd_codes.half_to_f32(fa, a, n);
        simd_codes.half_to_f32(fb, b, n);
        for (size_t i = 0; i < n; i++) {
            double d = 2.0 * (double)fa[i] - 3.0 * (double)fb[i];
            dot += (double)fa[i] * (double)fb[i], abs += fabs((double)fa[i] * (double)fb[i]), l2 += d * d;
        }
        double by = 1e-6 * sqrt((double)n);
        for (int level = 0; level < simd_codes_levels(); level++) {
            const struct simd_codes *k = simd_codes_level(level);
            assert_true(fabs((double)k->dot_halves(a, b, n) - dot) <= by * abs + (double)FLT_MIN);
            assert_true(fabs((double)k->l2sq_halves(a, 2, b, 3, n) - l2) <= by * l2 + (double)FLT_MIN);
        }
    }
}

static void bits_of_every_length(void **state)
{
    struct rng r;
    rng_seed(&r, 3);
    for (size_t words = 0; words <= 40; words++)
        for (int nplanes = 0; nplanes <= 8; nplanes++) {
            size_t in_planes = words * (size_t)nplanes;
            uint64_t *code = at_the_edge(words * 8), *planes = at_the_edge(in_planes * 8), sum = 0;
            for (size_t i = 0; i < words; i++)
                code[i] = rng_next(&r);
            for (size_t i = 0; i < in_planes; i++)
                planes[i] = rng_next(&r);
            for (size_t bit = 0; bit < words * 64; bit++)
                for (int p = 0; p < nplanes; p++)
                    sum += (code[bit / 64] & planes[(size_t)p * words + bit / 64]) >> bit % 64 & 1 ? 1u << p : 0;
            for (int level = 0; level < simd_codes_levels(); level++)
                assert_int_equal(simd_codes_level(level)->dot_bits(code, planes, words, nplanes), sum);
        }
}

static void the_longest_bits(void **state)
{
    static uint64_t ones[8 * 1024];
    memset(ones, 255, sizeof ones);
    for (int level = 0; level < simd_codes_levels(); level++)
        assert_int_equal(simd_codes_level(level)->dot_bits(ones, ones, 1024, 8), 255 * 65536);
}

static void scan_check(struct rng *r, size_t bytes, bool full)
{
    uint8_t *block = at_the_edge(bytes * 32), *tables = at_the_edge(bytes * 32), *codes = calloc(32, bytes + 1);
    uint32_t want[32] = {0}, got[32];
    for (size_t i = 0; i < bytes * 32; i++)
        tables[i] = full ? 255 : (uint8_t)rng_below(r, 256), codes[i] = (uint8_t)rng_below(r, 256);
    for (int j = 31; j >= 0; j--)
        simd_pack(block, j, codes + (size_t)j * bytes, bytes);
    for (size_t j = 0; j < 32; j++)
        for (size_t i = 0; i < bytes; i++) {
            uint8_t code = codes[j * bytes + i];
            want[j] += (uint32_t)tables[i * 32 + (code & 15)] + tables[i * 32 + 16 + (code >> 4)];
        }
    for (int level = 0; level < simd_codes_levels(); level++) {
        memset(got, 77, sizeof got);
        simd_codes_level(level)->scan(got, block, tables, bytes);
        assert_memory_equal(got, want, sizeof want);
    }
    free(codes);
}

static void scans_of_every_length(void **state)
{
    struct rng r;
    rng_seed(&r, 4);
    for (size_t bytes = 0; bytes <= 400; bytes++)
        scan_check(&r, bytes, bytes % 5 == 0);
    scan_check(&r, 8192, true);
}

int main(void)
{
    printf("levels:");
    for (int i = 0; i < simd_codes_levels(); i++)
        printf(" %s", simd_codes_level(i)->name);
    printf("\n");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_known),
        cmocka_unit_test(every_half_and_back),
        cmocka_unit_test(any_float_to_the_nearest_half),
        cmocka_unit_test(products_of_halves),
        cmocka_unit_test(products_of_two_halves),
        cmocka_unit_test(bits_of_every_length),
        cmocka_unit_test(the_longest_bits),
        cmocka_unit_test(scans_of_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
