/* Projections: the fast transform beside the definition, matrices from outside, saving. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "store/projection.h"
#include "vec/vec.h"

static double element(uint32_t i, uint32_t j, uint32_t in)
{
    int bits = 0;
    for (uint32_t both = i & j; both; both >>= 1)
        bits += both & 1;
    return (bits % 2 ? -1 : 1) / sqrt(in);
}

static float *matrix(uint32_t in, uint32_t out)
{
    float *m = mem_alloc((size_t)in * out * sizeof *m);
    for (uint32_t i = 0; i < out; i++)
        for (uint32_t j = 0; j < in; j++)
            m[i * in + j] = (float)element(i, j, in);
    return m;
}

static struct slice bytes(const float *m, size_t n)
{
    return slice_of((const char *)m, n * sizeof *m);
}

static void assert_applies(const struct projection *p, const float *m, struct rng *rng)
{
    uint32_t in = projection_in(p), out = projection_out(p);
    float *x = mem_alloc(in * sizeof *x), *y = mem_alloc(out * sizeof *y);
    for (uint32_t j = 0; j < in; j++)
        x[j] = (float)(rng_double(rng) * 2 - 1);
    projection_apply(p, x, y);
    for (uint32_t i = 0; i < out; i++) {
        double sum = 0;
        for (uint32_t j = 0; j < in; j++)
            sum += (double)m[i * in + j] * (double)x[j];
        assert_true(fabs(sum - (double)y[i]) < 1e-4);
    }
    mem_free(x);
    mem_free(y);
}

static void test_the_definition(void **state)
{
    static const uint32_t dims[][2] = {{1, 1}, {1, 5}, {2, 1}, {3, 2}, {7, 7}, {8, 4}, {100, 80}, {64, 65}, {5, 64}, {300, 100}};
    struct rng rng;
    rng_seed(&rng, 1);
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++) {
        struct projection *p = projection_create(dims[k][0], dims[k][1]);
        float *m = matrix(dims[k][0], dims[k][1]);
        assert_applies(p, m, &rng);
        mem_free(m);
        projection_unref(p);
    }
}

static void test_a_matrix_from_outside(void **state)
{
    struct rng rng;
    struct projection *p;
    struct err err;
    float m[6 * 4];
    rng_seed(&rng, 2);
    for (int i = 0; i < 24; i++)
        m[i] = (float)rng_double(&rng);
    assert_int_equal(projection_of_matrix(&p, 6, 4, bytes(m, 24), &err), 0);
    assert_true(projection_bytes(p) > sizeof m);
    assert_applies(p, m, &rng);
    projection_unref(p);
    assert_int_equal(projection_of_matrix(&p, 6, 4, bytes(m, 23), &err), ERR_INVALID);
    m[7] = NAN;
    assert_int_equal(projection_of_matrix(&p, 6, 4, bytes(m, 24), &err), ERR_INVALID);
}

static void test_the_usual_matrix_is_not_kept(void **state)
{
    struct projection *p;
    struct err err;
    float *m = matrix(100, 30);
    assert_int_equal(projection_of_matrix(&p, 100, 30, bytes(m, 3000), &err), 0);
    assert_true(projection_bytes(p) < 100);
    projection_unref(p);
    m[1234] = -m[1234];
    assert_int_equal(projection_of_matrix(&p, 100, 30, bytes(m, 3000), &err), 0);
    assert_true(projection_bytes(p) > 12000);
    projection_unref(p);
    mem_free(m);
}

static struct projection *again(const struct projection *p)
{
    struct buf b = {0};
    struct rdb_out out = {.to = &b};
    struct projection *q;
    struct err err;
    projection_save(p, &out);
    for (size_t n = 0; n < b.len; n++) {
        struct rdb_in cut = {.p = (const uint8_t *)b.p, .end = (const uint8_t *)b.p + n};
        assert_true(projection_load(&q, &cut, &err) < 0);
        buf_release(&cut.scratch);
    }
    struct rdb_in in = {.p = (const uint8_t *)b.p, .end = (const uint8_t *)b.p + b.len};
    assert_int_equal(projection_load(&q, &in, &err), 0);
    assert_ptr_equal(in.p, in.end);
    buf_release(&in.scratch);
    buf_release(&b);
    return q;
}

static void test_saved_and_loaded(void **state)
{
    struct rng rng;
    struct err err;
    struct projection *p = projection_create(10, 3), *q = again(p);
    float *m = matrix(10, 3);
    rng_seed(&rng, 3);
    assert_applies(q, m, &rng);
    projection_unref(p);
    projection_unref(q);
    m[3] = 5;
    assert_int_equal(projection_of_matrix(&p, 10, 3, bytes(m, 30), &err), 0);
    q = again(p);
    assert_applies(q, m, &rng);
    projection_unref(p);
    projection_unref(q);
    mem_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_definition),
        cmocka_unit_test(test_a_matrix_from_outside),
        cmocka_unit_test(test_the_usual_matrix_is_not_kept),
        cmocka_unit_test(test_saved_and_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
