/* The 1-bit code: the rotation is one, estimates are unbiased and as far off as promised, and nothing becomes NaN. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "simd/codes.h"
#include "vec/rabitq.h"

struct room {
    struct rabitq r;
    uint64_t *code, *planes;
    float *floats;
    struct rabitq_query q;
    struct rabitq_factors f;
};

static void open_room(struct room *m, uint32_t dim, uint64_t seed)
{
    rabitq_init(&m->r, dim, seed);
    m->code = mem_alloc(m->r.words * 8);
    m->planes = mem_alloc(RABITQ_BITS * m->r.words * 8);
    m->floats = mem_alloc(m->r.bits * sizeof(float));
}

static void close_room(struct room *m)
{
    rabitq_release(&m->r);
    mem_free(m->code);
    mem_free(m->planes);
    mem_free(m->floats);
}

static double gauss(struct rng *r)
{
    double u = 1 - rng_double(r);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * rng_double(r));
}

static double product_of(struct room *m, const float *o, const float *q, const float *c)
{
    rabitq_encode(&m->r, o, c, m->code, &m->f, m->floats);
    rabitq_query(&m->r, &m->q, q, c, m->planes, m->floats);
    uint32_t sum = simd_codes.dot_bits(m->code, m->planes, m->r.words, RABITQ_BITS);
    return rabitq_product(&m->q, &m->f, sum);
}

static void a_rotation_keeps_products(void **state)
{
    static const uint32_t dims[] = {1, 2, 63, 64, 65, 100, 128, 130, 192, 384, 784, 1000, 1024, 1536, 4096};
    struct rng r;
    rng_seed(&r, 5);
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++) {
        struct room m;
        open_room(&m, dims[k], k + 1);
        float *a = mem_zero(m.r.bits * sizeof *a), *b = mem_zero(m.r.bits * sizeof *b);
        double before = 0, after = 0, norm = 0, turned = 0;
        for (uint32_t i = 0; i < dims[k]; i++) {
            a[i] = (float)gauss(&r), b[i] = (float)gauss(&r);
            before += (double)a[i] * (double)b[i], norm += (double)a[i] * (double)a[i];
        }
        rabitq_rotate(&m.r, a);
        rabitq_rotate(&m.r, b);
        for (uint32_t i = 0; i < m.r.bits; i++)
            after += (double)a[i] * (double)b[i], turned += (double)a[i] * (double)a[i];
        assert_true(fabs(before - after) < 1e-4 * dims[k] && fabs(norm - turned) < 1e-4 * norm);
        mem_free(a);
        mem_free(b);
        close_room(&m);
    }
}

/* A vector with all its length in one coordinate is spread over all of them, wherever that coordinate is. */
static void a_rotation_spreads(void **state)
{
    static const uint32_t dims[] = {64, 128, 192, 448, 784, 960, 1536};
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++)
        for (uint32_t at = 0; at < dims[k]; at += dims[k] / 13) {
            struct room m;
            open_room(&m, dims[k], 77 + k);
            float *x = mem_zero(m.r.bits * sizeof *x);
            x[at] = 1;
            rabitq_encode(&m.r, x, NULL, m.code, &m.f, m.floats);
            assert_true(m.f.dot > 0.6f);
            mem_free(x);
            close_room(&m);
        }
}

/* The mean of (estimate - truth) / error over random pairs and rotations is near 0, its square near 1, and its tails
 * are as thin as said. Pairs are alike, so that the products are large. */
static void estimates_are_as_good_as_promised(void **state)
{
    static const uint32_t dims[] = {1, 3, 16, 64, 100, 128, 200, 384, 784, 1024, 4096};
    struct rng r;
    rng_seed(&r, 6);
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++) {
        uint32_t dim = dims[k], rounds = dim > 1000 ? 300 : 2000, over2 = 0, over3 = 0, over5 = 0;
        float *o = mem_alloc(dim * sizeof *o), *q = mem_alloc(dim * sizeof *q), *c = mem_alloc(dim * sizeof *c);
        double mean = 0, square = 0;
        for (uint32_t n = 0; n < rounds; n++) {
            struct room m;
            open_room(&m, dim, rng_next(&r));
            double truth = 0, l2 = 0, inner = 0;
            for (uint32_t i = 0; i < dim; i++) {
                c[i] = (float)(3 + gauss(&r));
                o[i] = c[i] + (float)gauss(&r);
                q[i] = n % 2 ? o[i] + (float)gauss(&r) : c[i] + 5 * (float)gauss(&r);
                truth += ((double)o[i] - (double)c[i]) * ((double)q[i] - (double)c[i]);
                l2 += ((double)o[i] - (double)q[i]) * ((double)o[i] - (double)q[i]);
                inner += (double)o[i] * (double)q[i];
            }
            double p = product_of(&m, o, q, c), error = rabitq_error(&m.q, &m.f, truth);
            double off = error > 0 ? (p - truth) / error : 0;
            mean += off, square += off * off;
            over2 += fabs(off) > 2, over3 += fabs(off) > 3, over5 += fabs(off) > 5;
            /* What follows from the product is exact when the product is. */
            assert_true(fabs(rabitq_l2sq(&m.q, &m.f, truth) - l2) <= 1e-4 * (1 + l2));
            assert_true(fabs(rabitq_inner(&m.q, &m.f, truth) - inner) <= 1e-3 * (1 + fabs(inner) + l2));
            close_room(&m);
        }
        mean /= rounds, square /= rounds;
        printf("  dim %4u: mean %+.3f, square %.3f, beyond 2: %.4f, 3: %.4f, 5: %.4f\n", dim, mean, square,
               (double)over2 / rounds, (double)over3 / rounds, (double)over5 / rounds);
        assert_true(fabs(mean) < 5 / sqrt(rounds));
        assert_true(square < 1.25);
        assert_true(over2 <= rounds * 0.08 && over3 <= rounds * 0.01 + 1 && over5 == 0);
        mem_free(o);
        mem_free(q);
        mem_free(c);
    }
}

static void tables_say_what_planes_say(void **state)
{
    struct rng r;
    rng_seed(&r, 7);
    for (uint32_t dim = 1; dim < 700; dim += 37) {
        struct room m;
        open_room(&m, dim, dim);
        uint8_t *block = mem_zero(m.r.words * 256), *tables = mem_alloc(m.r.words * 256);
        float *x = mem_alloc(dim * sizeof *x);
        uint32_t want[32], got[32];
        uint64_t *codes = mem_alloc(32 * m.r.words * 8);
        for (int j = 0; j < 32; j++) {
            for (uint32_t i = 0; i < dim; i++)
                x[i] = (float)gauss(&r);
            rabitq_encode(&m.r, x, NULL, codes + (size_t)j * m.r.words, &m.f, m.floats);
            simd_pack(block, j, codes + (size_t)j * m.r.words, m.r.words * 8);
        }
        rabitq_query(&m.r, &m.q, x, NULL, m.planes, m.floats);
        rabitq_tables(&m.r, &m.q, tables);
        for (int j = 0; j < 32; j++)
            want[j] = simd_codes.dot_bits(codes + (size_t)j * m.r.words, m.planes, m.r.words, RABITQ_BITS);
        simd_codes.scan(got, block, tables, m.r.words * 8);
        assert_memory_equal(got, want, sizeof want);
        mem_free(codes);
        mem_free(x);
        mem_free(tables);
        mem_free(block);
        close_room(&m);
    }
}

static void all_finite(struct room *m, double product)
{
    assert_true(isfinite(product) && isfinite(rabitq_error(&m->q, &m->f, product)) &&
                rabitq_error(&m->q, &m->f, product) >= 0);
    assert_true(isfinite(rabitq_l2sq(&m->q, &m->f, product)) && isfinite(rabitq_inner(&m->q, &m->f, product)));
    assert_true(isfinite(m->f.norm) && m->f.dot > 0 && m->f.dot <= 1 && isfinite(m->f.own));
}

static void odd_vectors(void **state)
{
    static const float values[] = {0, 1e30f, -1e30f, FLT_MAX, -FLT_MAX, 1e-45f, -1e-42f, FLT_MIN, 1};
    static const uint32_t dims[] = {1, 3, 64, 100, 4096};
    enum { VALUES = sizeof values / sizeof *values };
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++) {
        struct room m;
        open_room(&m, dims[k], 3);
        float *o = mem_alloc(dims[k] * sizeof *o), *q = mem_alloc(dims[k] * sizeof *q),
              *c = mem_alloc(dims[k] * sizeof *c);
        for (int a = 0; a < VALUES; a++)
            for (int b = 0; b < VALUES; b++)
                for (uint32_t i = 0; i < dims[k]; i++) {
                    o[i] = values[a], q[i] = values[b], c[i] = values[(a + b) % VALUES];
                    if (i + 1 < dims[k])
                        continue;
                    all_finite(&m, product_of(&m, o, q, NULL));
                    all_finite(&m, product_of(&m, o, q, c));
                    all_finite(&m, product_of(&m, o, q, o));
                    assert_true(rabitq_product(&m.q, &m.f, 0) == 0 && m.f.norm == 0); /* o is the centre */
                }
        mem_free(o);
        mem_free(q);
        mem_free(c);
        close_room(&m);
    }
}

static void equal_vectors_have_equal_codes(void **state)
{
    struct rng r;
    rng_seed(&r, 8);
    struct room a, b;
    open_room(&a, 300, 9);
    open_room(&b, 300, 9);
    float x[300];
    for (int i = 0; i < 300; i++)
        x[i] = (float)gauss(&r);
    rabitq_encode(&a.r, x, NULL, a.code, &a.f, a.floats);
    rabitq_encode(&b.r, x, NULL, b.code, &b.f, b.floats);
    assert_memory_equal(a.code, b.code, a.r.words * 8);
    assert_memory_equal(&a.f, &b.f, sizeof a.f);
    close_room(&a);
    close_room(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rotation_keeps_products),
        cmocka_unit_test(a_rotation_spreads),
        cmocka_unit_test(estimates_are_as_good_as_promised),
        cmocka_unit_test(tables_say_what_planes_say),
        cmocka_unit_test(odd_vectors),
        cmocka_unit_test(equal_vectors_have_equal_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
