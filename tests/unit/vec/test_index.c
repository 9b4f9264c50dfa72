/* The index in memory: elements, searches, input checks, and random operations against a naive model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "vec/filter.h"
#include "naive.h"

static struct vec_index *make(struct vec_config c)
{
    struct vec_index *v = NULL;
    struct err err = {0};
    c.seed = c.seed ? c.seed : 42;
    c.quant = naive_quant;
    assert_int_equal(vec_create(&v, &c, &err), 0);
    return v;
}

static void verify(const struct vec_index *v)
{
    struct err err = {0};
    if (vec_verify(v, &err) != 0)
        fail_msg("%s", err.msg);
    struct vec_stats s;
    vec_stats_full(v, &s);
    assert_int_equal(s.alone, 0);
}

static int add(struct vec_index *v, const char *name, const float *x, const char *attr)
{
    struct err err = {0};
    struct slice a = attr ? slice_str(attr) : (struct slice){0};
    return vec_add(v, slice_str(name), x, vec_dim(v), a, &err);
}

static void elements_come_change_and_go(void **state)
{
    struct vec_index *v = make((struct vec_config){.dim = 3});
    float x[3] = {3, 0, 4}, y[3] = {0, 2, 0}, got[3];
    struct slice attr;
    assert_int_equal(add(v, "a", x, "{\"n\":1}"), VEC_ADDED);
    assert_int_equal(add(v, "b", y, NULL), VEC_ADDED);
    assert_int_equal(vec_count(v), 2);
    assert_true(vec_get_vector(v, SLICE("a"), got));
    assert_true(fabsf(got[0] - 3) < naive_off(1e-5) && got[1] == 0 && fabsf(got[2] - 4) < naive_off(1e-5));
    assert_int_equal(add(v, "a", y, NULL), VEC_UPDATED); /* keeps the attributes */
    assert_true(vec_get_attr(v, SLICE("a"), &attr) && slice_eq(attr, SLICE("{\"n\":1}")));
    assert_true(vec_get_vector(v, SLICE("a"), got) && got[0] == 0 && got[1] == 2);
    assert_int_equal(vec_set_attr(v, SLICE("a"), SLICE(""), NULL), 1);
    assert_true(vec_get_attr(v, SLICE("a"), &attr) && attr.len == 0);
    assert_int_equal(vec_set_attr(v, SLICE("nobody"), SLICE("x"), NULL), 0);
    assert_false(vec_get_attr(v, SLICE("nobody"), &attr));
    assert_int_equal(vec_set_attr(v, SLICE("b"), SLICE("not json"), NULL), 1);
    struct vec_stats s;
    vec_stats(v, &s);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.with_attr, 1);
    assert_int_equal(s.node_uid, 3);
    assert_int_equal(s.config.m, 16);
    verify(v);
    assert_true(vec_remove(v, SLICE("a")));
    assert_false(vec_remove(v, SLICE("a")));
    assert_false(vec_contains(v, SLICE("a")));
    assert_true(vec_remove(v, SLICE("b")));
    assert_int_equal(vec_count(v), 0);
    verify(v);
    struct vec_query q = {.x = x, .dim = 3, .k = 5};
    struct vec_result r;
    assert_int_equal(vec_search(v, &q, &r, NULL), 0);
    assert_int_equal(r.count, 0);
    vec_result_release(&r);
    vec_unref(v);
}

static void scores_of_each_metric(void **state)
{
    float x[2] = {3, 4}, same[2] = {6, 8}, zero[2] = {0, 0}, back[2] = {-3, -4};
    static const struct {
        enum vec_metric metric;
        double same, zero, back;
    } want[] = {{VEC_COSINE, 1, 0.5, 0}, {VEC_L2, 5, 5, 10}, {VEC_IP, 50, 0, -25}};
    for (size_t i = 0; i < 3; i++) {
        struct vec_index *v = make((struct vec_config){.dim = 2, .metric = want[i].metric});
        add(v, "same", same, NULL);
        add(v, "zero", zero, NULL);
        add(v, "back", back, NULL);
        struct vec_query q = {.x = x, .dim = 2, .k = 3};
        struct vec_result r;
        assert_int_equal(vec_search(v, &q, &r, NULL), 0);
        assert_int_equal(r.count, 3);
        for (uint32_t k = 0; k < 3; k++) {
            double s = r.hits[k].score, w = slice_eq(r.hits[k].name, SLICE("same"))   ? want[i].same
                                            : slice_eq(r.hits[k].name, SLICE("zero")) ? want[i].zero
                                                                                      : want[i].back;
            assert_true(fabs(s - w) < naive_off(1e-5));
            assert_true(k == 0 || (want[i].metric == VEC_L2 ? s >= r.hits[k - 1].score : s <= r.hits[k - 1].score));
        }
        vec_result_release(&r);
        q.has_radius = true;
        q.radius = want[i].metric == VEC_L2 ? 6 : want[i].zero;
        assert_int_equal(vec_search(v, &q, &r, NULL), 0);
        assert_int_equal(r.count, 2);
        vec_result_release(&r);
        vec_unref(v);
    }
}

static void bad_input_is_refused(void **state)
{
    struct vec_index *v = make((struct vec_config){.dim = 2});
    struct vec_index *none = NULL;
    struct err err = {0};
    float x[3] = {1, 2, 3}, nan[2] = {NAN, 0}, inf[2] = {0, -INFINITY};
    static char big[VEC_MAX_ATTR + 2];
    assert_int_equal(vec_add(v, SLICE("a"), x, 3, SLICE(""), &err), ERR_INVALID);
    assert_string_equal(err.msg, "Vector dimension mismatch - got 3 but set has 2");
    assert_int_equal(vec_add(v, SLICE("a"), nan, 2, SLICE(""), &err), ERR_INVALID);
    assert_int_equal(vec_add(v, SLICE("a"), inf, 2, SLICE(""), &err), ERR_INVALID);
    assert_int_equal(vec_add(v, SLICE(""), x, 2, SLICE(""), &err), ERR_INVALID);
    assert_int_equal(vec_add(v, slice_of(big, VEC_MAX_NAME + 1), x, 2, SLICE(""), &err), ERR_INVALID);
    assert_int_equal(vec_add(v, SLICE("a"), x, 2, slice_of(big, VEC_MAX_ATTR + 1), &err), ERR_INVALID);
    assert_int_equal(vec_count(v), 0);
    assert_int_equal(vec_add(v, slice_of(big, VEC_MAX_NAME), x, 2, slice_of(big, VEC_MAX_ATTR), &err), VEC_ADDED);
    struct vec_query q = {.x = x, .dim = 3, .k = 1};
    struct vec_result r;
    assert_int_equal(vec_search(v, &q, &r, &err), ERR_INVALID);
    q = (struct vec_query){.x = x, .dim = 2, .k = 0};
    assert_int_equal(vec_search(v, &q, &r, &err), ERR_INVALID);
    q = (struct vec_query){.x = nan, .dim = 2, .k = 1};
    assert_int_equal(vec_search(v, &q, &r, &err), ERR_INVALID);
    assert_null(r.hits);
    static const struct vec_config bad[] = {{.dim = 0},
                                            {.dim = VEC_MAX_DIM + 1},
                                            {.dim = 1, .m = 3},
                                            {.dim = 1, .m = VEC_MAX_M + 1},
                                            {.dim = 1, .metric = 9}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(vec_create(&none, &bad[i], &err), ERR_INVALID);
    verify(v);
    vec_unref(v);
}

/* What the index says must be what the model says; what it finds must be nearly what a full scan finds. */
static void compare(struct vec_index *v, const struct naive *n, struct rng *r, enum vec_metric metric, double *recall)
{
    char t[16];
    float x[64];
    struct vec_query q = {.x = x, .dim = n->dim, .k = 10, .with_attr = true}, truth = q;
    truth.exact = true;
    struct vec_result a, b;
    random_vector(r, x, n->dim);
    assert_int_equal(vec_search(v, &q, &a, NULL), 0);
    assert_int_equal(vec_search(v, &truth, &b, NULL), 0);
    assert_int_equal(b.count, n->count < 10 ? n->count : 10);
    double worst = b.count ? b.hits[b.count - 1].score : 0;
    uint32_t good = 0, better = 0;
    for (uint32_t i = 0; i < a.count; i++) {
        uint32_t e = naive_number(a.hits[i].name);
        assert_true(n->live[e]); /* a removed element is never found */
        assert_true(slice_eq(a.hits[i].attr, slice_str(n->attr[e])));
        assert_true(fabs(a.hits[i].score - naive_score(metric, x, n->x + (size_t)e * n->dim, n->dim)) <
                    naive_off(1e-4));
        good += metric == VEC_L2 ? a.hits[i].score <= worst : a.hits[i].score >= worst;
    }
    double off = naive_off(naive_quant == VEC_QUANT_NONE ? 1e-5 : 1e-4);
    for (uint32_t e = 0; e < n->slots; e++) /* the truth is true */
        if (n->live[e]) {
            double s = naive_score(metric, x, n->x + (size_t)e * n->dim, n->dim);
            better += metric == VEC_L2 ? s < worst - off : s > worst + off;
        }
    assert_true(b.count == 0 || better < b.count);
    *recall += b.count ? (double)good / b.count : 1;
    vec_result_release(&a);
    vec_result_release(&b);
    uint32_t e = (uint32_t)rng_below(r, n->slots);
    assert_int_equal(vec_contains(v, naive_name(e, t)), n->live[e]);
}

static void put(struct vec_index *v, struct naive *n, struct rng *r, uint32_t e)
{
    char t[16];
    struct slice name = naive_name(e, t);
    float *x = n->x + (size_t)e * n->dim;
    random_vector(r, x, n->dim);
    if (rng_below(r, 50) == 0) /* a zero vector */
        memset(x, 0, n->dim * sizeof *x);
    if (rng_below(r, 50) == 0) /* a twin */
        memcpy(x, n->x, n->dim * sizeof *x);
    assert_int_equal(vec_add(v, name, x, n->dim, (struct slice){0}, NULL), n->live[e] ? VEC_UPDATED : VEC_ADDED);
    if (!n->live[e])
        n->attr[e][0] = 0;
    n->count += !n->live[e];
    n->live[e] = true;
}

static void change(struct vec_index *v, struct naive *n, struct rng *r, uint32_t removes)
{
    char t[16];
    uint32_t e = (uint32_t)rng_below(r, n->slots), what = (uint32_t)rng_below(r, 10);
    struct slice name = naive_name(e, t);
    if (what < removes) {
        assert_int_equal(vec_remove(v, name), n->live[e]);
        n->count -= n->live[e];
        n->live[e] = false;
    } else if (what == 9) {
        char attr[32];
        snprintf(attr, sizeof attr, "{\"n\":%u}", (unsigned)rng_below(r, 100));
        assert_int_equal(vec_set_attr(v, name, slice_str(attr), NULL), n->live[e]);
        if (n->live[e])
            strcpy(n->attr[e], attr);
    } else {
        put(v, n, r, e);
    }
    assert_int_equal(vec_count(v), n->count);
}
static void random_operations(void **state)
{
    static const struct {
        uint32_t slots, dim, m, ops;
        enum vec_metric metric;
        enum vec_kind kind;
    } shape[] = {{40, 3, 4, 6000, VEC_L2, VEC_HNSW},          {2500, 8, 8, 12000, VEC_L2, VEC_HNSW},
                 {2500, 16, 16, 10000, VEC_COSINE, VEC_HNSW}, {1500, 12, 16, 6000, VEC_IP, VEC_HNSW},
                 {500, 1, 4, 4000, VEC_COSINE, VEC_HNSW},     {1500, 5, 4, 8000, VEC_L2, VEC_FLAT}};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        struct rng r;
        rng_seed(&r, 100 + i);
        struct vec_index *v = make((struct vec_config){.dim = shape[i].dim,
                                                       .m = shape[i].m,
                                                       .metric = shape[i].metric,
                                                       .kind = shape[i].kind,
                                                       .ef_construction = 100});
        struct naive *n = naive_create(shape[i].slots, shape[i].dim);
        double recall = 0;
        uint32_t compared = 0;
        for (uint32_t e = 0; e < shape[i].slots * 4 / 5; e++)
            put(v, n, &r, e);
        for (uint32_t op = 0; op < LIGHTER(shape[i].ops); op++) {
            change(v, n, &r, op / 1000 % 2 ? 5 : 2);
            if (op % 20 == 0) {
                compare(v, n, &r, shape[i].metric, &recall);
                compared++;
            }
            if (op % 500 == 0)
                verify(v);
        }
        printf("%u slots, %u dims: recall %.4f\n", shape[i].slots, shape[i].dim, recall / compared);
        assert_true(recall / compared > (shape[i].metric == VEC_IP ? 0.9 : 0.97));
        char t[16];
        for (uint32_t e = 0; e < shape[i].slots; e++)
            vec_remove(v, naive_name(e, t));
        assert_int_equal(vec_count(v), 0);
        verify(v);
        naive_destroy(n);
        vec_unref(v);
    }
}

struct links_seen {
    struct vec_index *v;
    struct slice from;
    uint32_t count, back;
    int last_level;
};

static void count_back(void *arg, int level, struct slice name, double score)
{
    struct links_seen *s = arg;
    s->back += slice_eq(name, s->from);
}

static void visit_link(void *arg, int level, struct slice name, double score)
{
    struct links_seen *s = arg, other = {.from = s->from};
    assert_true(level <= s->last_level && score >= 0);
    s->last_level = level;
    s->count++;
    assert_true(vec_links(s->v, name, NULL, count_back, &other));
    assert_true(other.back > 0); /* links go both ways */
}

static void walks_over_elements(void **state)
{
    struct vec_index *v = make((struct vec_config){.dim = 4, .metric = VEC_L2, .m = 4});
    struct rng r;
    char t[16];
    float x[4], norm;
    float raw[8];
    rng_seed(&r, 12);
    struct slice name, attr;
    assert_false(vec_random(v, &name));
    for (uint32_t e = 0; e < 400; e++) {
        random_vector(&r, x, 4);
        assert_int_equal(vec_add(v, naive_name(e, t), x, 4, e % 2 ? SLICE("{}") : SLICE(""), NULL), VEC_ADDED);
    }
    for (uint32_t e = 0; e < 400; e += 4)
        assert_true(vec_remove(v, naive_name(e, t)));
    uint8_t seen[400] = {0};
    uint32_t cursor = 0, n = 0;
    while (vec_next(v, &cursor, &name, &attr)) {
        uint32_t e = naive_number(name);
        assert_true(e < 400 && e % 4 && !seen[e]++);
        assert_int_equal(attr.len, e % 2 ? 2 : 0);
        n++;
        vec_remove(v, naive_name(e & ~3u, t)); /* nothing there: the walk goes on undisturbed */
    }
    assert_int_equal(n, 300);
    assert_false(vec_next(v, &cursor, &name, &attr));
    uint32_t different = 0;
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < 2000; i++) {
        assert_true(vec_random(v, &name));
        uint32_t e = naive_number(name);
        assert_true(e < 400 && e % 4);
        different += !seen[e]++;
    }
    assert_true(different > 280);
    struct vec_stats s;
    vec_stats_full(v, &s);
    uint64_t nodes = 0, links = 0;
    for (int l = 0; l < VEC_MAX_LEVELS; l++)
        nodes += s.level_count[l];
    assert_int_equal(nodes, 300);
    for (uint32_t e = 0; e < 400; e++) {
        struct links_seen l = {.v = v, .from = naive_name(e, t), .last_level = VEC_MAX_LEVELS};
        int levels = 0;
        assert_int_equal(vec_links(v, l.from, &levels, visit_link, &l), e % 4 != 0);
        assert_true(levels <= s.max_level + 1);
        links += l.count;
    }
    assert_int_equal(links, s.links);
    assert_true(vec_get_raw(v, SLICE("e1"), raw, &norm) && norm == 1 && vec_get_vector(v, SLICE("e1"), x));
    assert_memory_equal(raw, x, sizeof x);
    assert_false(vec_get_raw(v, SLICE("e0"), raw, &norm) || vec_get_vector(v, SLICE("e0"), x));
    vec_unref(v);
}

/* Additions that were planned together, some of them for a graph that has changed a lot since. */
static void planned_additions(void **state)
{
    enum { N = 4000, DIM = 12, BATCH = 40 };
    struct vec_index *v = make((struct vec_config){.dim = DIM, .metric = VEC_L2, .m = 8, .ef_construction = 60});
    struct naive *n = naive_create(N, DIM);
    struct vec_addition *a[BATCH];
    struct rng r;
    char t[16];
    double recall = 0;
    rng_seed(&r, 15);
    for (uint32_t e = 0; e < N; e += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            float *x = n->x + (size_t)(e + i) * DIM;
            random_vector(&r, x, DIM);
            if (i % 8 == 7)
                memcpy(x, x - DIM, DIM * sizeof *x);
            assert_int_equal(vec_prepare(&a[i], v, x, DIM, NULL), 0);
            assert_ptr_equal(vec_addition_for(a[i]), v);
            vec_plan(a[i]);
        }
        for (uint32_t i = 0; i < BATCH; i++) {
            if (e % 1000 == 0 && e && i % 4 == 0) /* what was found for it leaves */
                for (uint32_t k = 0; k < 8; k++) {
                    uint32_t gone = (uint32_t)rng_below(&r, e);
                    vec_remove(v, naive_name(gone, t));
                    n->live[gone] = false;
                }
            n->live[e + i] = true;
            assert_int_equal(vec_commit(a[i], naive_name(e + i, t), SLICE(""), NULL), VEC_ADDED);
            assert_int_equal(vec_contains(v, naive_name(e + i, t)), 1);
            vec_addition_destroy(a[i]);
        }
    }
    verify(v);
    n->count = 0;
    for (uint32_t e = 0; e < N; e++)
        n->count += n->live[e];
    assert_int_equal(vec_count(v), n->count);
    for (int i = 0; i < 100; i++)
        compare(v, n, &r, VEC_L2, &recall);
    printf("planned: recall %.4f\n", recall / 100);
    assert_true(recall / 100 > 0.97);
    struct vec_addition *none = NULL;
    float bad[DIM] = {NAN};
    struct err err = {0};
    assert_int_equal(vec_prepare(&none, v, bad, DIM, &err), ERR_INVALID);
    assert_int_equal(vec_prepare(&none, v, n->x, DIM - 1, &err), ERR_INVALID);
    naive_destroy(n);
    vec_unref(v);
}

/* Many equal vectors among different ones, beyond the size that is scanned: all that is far can still be found. */
static void duplicates(void **state)
{
    for (int metric = VEC_COSINE; metric <= VEC_L2; metric++) {
        struct vec_index *v =
            make((struct vec_config){.dim = 8, .metric = (enum vec_metric)metric, .ef_construction = 50});
        struct rng r;
        char t[16];
        float x[8], same[3][8];
        rng_seed(&r, 13);
        struct naive *n = naive_create(3000, 8);
        for (int i = 0; i < 3; i++)
            random_vector(&r, same[i], 8);
        for (uint32_t e = 0; e < 3000; e++) {
            random_vector(&r, x, 8);
            float *from = e % 3 ? same[e / 3 % 3] : x; /* two thirds are one of three vectors */
            memcpy(n->x + e * 8, from, sizeof x);
            assert_int_equal(vec_add(v, naive_name(e, t), from, 8, SLICE(""), NULL), VEC_ADDED);
        }
        verify(v);
        uint32_t found = 0;
        for (uint32_t e = 0; e < 3000; e += 3) {
            struct vec_query q = {.x = n->x + e * 8, .dim = 8, .k = 1};
            struct vec_result res;
            assert_int_equal(vec_search(v, &q, &res, NULL), 0);
            found += res.count == 1 && naive_number(res.hits[0].name) == e;
            vec_result_release(&res);
        }
        printf("%u of 1000 found among duplicates\n", found);
        assert_true(found >= 990);
        for (uint32_t e = 0; e < 3000; e++)
            if (e % 3 && e / 3 % 3 == 0)
                assert_true(vec_remove(v, naive_name(e, t)));
        verify(v);
        naive_destroy(n);
        vec_unref(v);
    }
}

static void extreme_values(void **state)
{
    static const float odd[] = {0, -0.0f, 1e-42f, 1e-30f, 1, -1, 1e18f, -1e20f, 3.4e38f, -3.4e38f};
    static const uint32_t dims[] = {1, 2, 3, 15, 16, 17, 100, 1025, 4096};
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (int metric = VEC_COSINE; metric <= VEC_IP; metric++) {
            struct vec_index *v = make((struct vec_config){.dim = dims[d], .metric = (enum vec_metric)metric, .m = 4});
            struct rng r;
            char t[16];
            rng_seed(&r, 14);
            float *x = mem_alloc(dims[d] * sizeof *x);
            for (uint32_t e = 0; e < 150; e++) {
                for (uint32_t i = 0; i < dims[d]; i++)
                    x[i] = rng_below(&r, 4) ? odd[rng_below(&r, 10)] : (float)rng_double(&r);
                assert_true(vec_add(v, naive_name((uint32_t)rng_below(&r, 120), t), x, dims[d], SLICE(""), NULL) >= 0);
                if (e % 7 == 0)
                    vec_remove(v, naive_name((uint32_t)rng_below(&r, 120), t));
            }
            verify(v);
            struct vec_query q = {.x = x, .dim = dims[d], .k = 200};
            struct vec_result res;
            assert_int_equal(vec_search(v, &q, &res, NULL), 0);
            assert_int_equal(res.count, vec_count(v));
            for (uint32_t i = 0; i < res.count; i++)
                assert_false(isnan(res.hits[i].score));
            vec_result_release(&res);
            mem_free(x);
            vec_unref(v);
        }
}

/* The same seed and the same operations give the same bytes. */
static void same_seed_same_index(void **state)
{
    struct buf b[2] = {{0}, {0}};
    for (int k = 0; k < 2; k++) {
        struct vec_index *v = make((struct vec_config){.dim = 6, .seed = 99, .ef_construction = 40});
        struct naive *n = naive_create(1500, 6);
        struct rng r;
        rng_seed(&r, 15);
        for (int i = 0; i < 3000; i++)
            change(v, n, &r, 3);
        assert_true(vec_save(v, &b[k]));
        naive_destroy(n);
        vec_unref(v);
    }
    assert_true(slice_eq(buf_slice(&b[0]), buf_slice(&b[1])));
    buf_release(&b[0]);
    buf_release(&b[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_come_change_and_go),
        cmocka_unit_test(scores_of_each_metric),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(random_operations),
        cmocka_unit_test(walks_over_elements),
        cmocka_unit_test(planned_additions),
        cmocka_unit_test(duplicates),
        cmocka_unit_test(extreme_values),
        cmocka_unit_test(same_seed_same_index),
    };
    return naive_each_quant(tests, sizeof tests / sizeof *tests);
}
