/* An index of bits: a scan by bits gives what comparing with everything gives, bits come when there are enough
 * elements, and a copy made from bytes has them too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "vec/bin.h"
#include "naive.h"

static struct vec_index *make(uint32_t dim, enum vec_metric metric, enum vec_kind kind)
{
    struct vec_index *v = NULL;
    struct vec_config c = {
        .dim = dim, .metric = metric, .kind = kind, .quant = VEC_QUANT_BIN, .seed = 9, .ef_construction = 60};
    assert_int_equal(vec_create(&v, &c, NULL), 0);
    return v;
}

/* Around a few hundred points away from zero, as real vectors are. */
static void clustered(struct rng *r, float *x, uint32_t dim)
{
    struct rng place;
    rng_seed(&place, rng_below(r, 300) + 1);
    for (uint32_t i = 0; i < dim; i++)
        x[i] = (float)(2 + rng_double(&place) + 0.4 * rng_double(r));
}

static void fill(struct vec_index *v, struct rng *r, uint32_t from, uint32_t to)
{
    char t[16];
    float *x = mem_alloc(vec_dim(v) * sizeof *x);
    for (uint32_t e = from; e < to; e++) {
        clustered(r, x, vec_dim(v));
        if (e % 101 == 0)
            memset(x, 0, vec_dim(v) * sizeof *x);
        assert_true(vec_add(v, naive_name(e, t), x, vec_dim(v), (struct slice){0}, NULL) >= 0);
    }
    mem_free(x);
}

static void check(const struct vec_index *v)
{
    struct err err = {0};
    if (vec_verify(v, &err) != 0)
        fail_msg("%s", err.msg);
}

/* The scores, best first, of a search for a random vector. */
static uint32_t ask(const struct vec_index *v, const float *x, bool exact, double *scores)
{
    struct vec_query q = {.x = x, .dim = vec_dim(v), .k = 20, .exact = exact};
    struct vec_result r;
    assert_int_equal(vec_search(v, &q, &r, NULL), 0);
    uint32_t n = r.count;
    for (uint32_t i = 0; i < n; i++)
        scores[i] = r.hits[i].score;
    vec_result_release(&r);
    return n;
}

static void a_scan_by_bits_is_exact(void **state)
{
    static const uint32_t dims[] = {2, 40, 128, 300};
    struct rng r;
    rng_seed(&r, 1);
    for (int metric = VEC_COSINE; metric <= VEC_IP; metric++)
        for (size_t k = 0; k < sizeof dims / sizeof *dims; k++) {
            struct vec_index *v = make(dims[k], (enum vec_metric)metric, VEC_FLAT);
            float *x = mem_alloc(dims[k] * sizeof *x);
            double bits[20], all[20];
            fill(v, &r, 0, LIGHTER(4000) + 1000);
            assert_true(bin_has_centre(v));
            for (int i = 0; i < 50; i++) {
                clustered(&r, x, dims[k]);
                assert_int_equal(ask(v, x, false, bits), ask(v, x, true, all));
                for (int n = 0; n < 20; n++)
                    assert_true(bits[n] == all[n]);
            }
            check(v);
            mem_free(x);
            vec_unref(v);
        }
}

/* How many of the others the bits of an index rule out: that is what they are for. */
static void bits_rule_out_most(void **state)
{
    struct rng r;
    rng_seed(&r, 2);
    struct vec_index *v = make(256, VEC_L2, VEC_FLAT);
    fill(v, &r, 0, 3000);
    float x[256];
    uint32_t out = 0, wrong = 0;
    void *room = mem_alloc(probe_room(v));
    for (int i = 0; i < 50; i++) {
        double scores[20];
        struct probe p;
        clustered(&r, x, 256);
        ask(v, x, true, scores);
        float worst = (float)(scores[2] * scores[2]);
        probe_query(v, &p, x, room);
        assert_non_null(p.bits);
        for (uint32_t n = 1; n < vec_top(v); n++)
            if (bin_excludes(v, p.bits, n, worst)) {
                out++;
                wrong += code_exact(v, &p, n) <= worst;
            }
    }
    mem_free(room);
    printf("  %.3f ruled out, %u wrongly\n", out / 50.0 / 3000, wrong);
    assert_true(out > 50 * 3000 * 0.9);
    assert_int_equal(wrong, 0);
    vec_unref(v);
}

static void bits_come_when_there_are_enough(void **state)
{
    struct rng r;
    rng_seed(&r, 3);
    struct vec_index *v = make(32, VEC_COSINE, VEC_HNSW);
    fill(v, &r, 0, 999);
    assert_false(bin_has_centre(v));
    check(v);
    fill(v, &r, 0, 500); /* changes do not count */
    assert_false(bin_has_centre(v));
    fill(v, &r, 999, 1001);
    assert_true(bin_has_centre(v));
    fill(v, &r, 900, 1500);
    check(v);
    vec_unref(v);
    v = make(65536, VEC_L2, VEC_FLAT); /* few, when each is long */
    fill(v, &r, 0, 17);
    assert_true(bin_has_centre(v));
    check(v);
    vec_unref(v);
}

/* What was prepared before there were bits is committed after. */
static void prepared_before_and_committed_after(void **state)
{
    struct rng r;
    rng_seed(&r, 4);
    struct vec_index *v = make(48, VEC_L2, VEC_HNSW);
    struct vec_addition *a;
    float x[48];
    clustered(&r, x, 48);
    fill(v, &r, 0, 990);
    assert_int_equal(vec_prepare(&a, v, x, 48, NULL), 0);
    vec_plan(a);
    fill(v, &r, 990, 1200);
    assert_int_equal(vec_commit(a, SLICE("late"), (struct slice){0}, NULL), VEC_ADDED);
    vec_addition_destroy(a);
    check(v);
    double score[20];
    ask(v, x, false, score);
    assert_true(score[0] < 1e-3);
    vec_unref(v);
}

static void a_copy_has_its_bits(void **state)
{
    struct rng r;
    rng_seed(&r, 5);
    for (uint32_t n = 500; n <= 2000; n += 1500) {
        struct vec_index *v = make(100, VEC_COSINE, VEC_HNSW), *w = NULL;
        struct buf bytes = {0}, again = {0};
        struct err err = {0};
        fill(v, &r, 0, n);
        assert_true(vec_save(v, &bytes));
        if (vec_load(&w, buf_slice(&bytes), NULL, &err) != 0)
            fail_msg("%s", err.msg);
        assert_true(bin_has_centre(v) == (n > 1000) && bin_has_centre(w) == (n > 1000));
        assert_true(vec_save(w, &again) && slice_eq(buf_slice(&bytes), buf_slice(&again)));
        float x[100];
        double one[20], two[20];
        for (int i = 0; i < 20; i++) {
            clustered(&r, x, 100);
            assert_int_equal(ask(v, x, false, one), ask(w, x, false, two));
            assert_memory_equal(one, two, sizeof one);
        }
        fill(w, &r, n, n + 600); /* and goes on */
        check(w);
        assert_true(bin_has_centre(w));
        buf_release(&bytes);
        buf_release(&again);
        vec_unref(v);
        vec_unref(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scan_by_bits_is_exact),
        cmocka_unit_test(bits_rule_out_most),
        cmocka_unit_test(bits_come_when_there_are_enough),
        cmocka_unit_test(prepared_before_and_committed_after),
        cmocka_unit_test(a_copy_has_its_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
