/* An index built again from another: the same elements to the bit, a graph as good, places in the graph's order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <cmocka.h>

#include "base/clock.h"
#include "vec/hnsw.h"
#include "vec/rebuild.h"
#include "naive.h"

#define DIM 24
#define N   LIGHTER(2500)

static struct vec_index *index_of(enum vec_metric metric, enum vec_kind kind)
{
    struct vec_index *v = NULL;
    struct vec_config c = {
        .dim = DIM, .metric = metric, .kind = kind, .quant = naive_quant, .seed = 5, .m = 8, .ef_construction = 60};
    assert_int_equal(vec_create(&v, &c, NULL), 0);
    return v;
}

static void random_point(struct rng *rng, float *x)
{
    for (int i = 0; i < DIM; i++)
        x[i] = (float)(rng_double(rng) * 2 - 1);
}

static void put(struct vec_index *v, uint32_t i, struct rng *rng)
{
    float x[DIM];
    char t[16], attr[32];
    random_point(rng, x);
    snprintf(attr, sizeof attr, "{\"n\":%u}", i);
    struct slice a = i % 3 ? SLICE("") : slice_str(attr);
    assert_true(vec_add(v, naive_name(i, t), x, DIM, a, NULL) >= 0);
}

static struct vec_index *filled(enum vec_metric metric, enum vec_kind kind)
{
    struct vec_index *v = index_of(metric, kind);
    struct rng rng;
    char t[16];
    rng_seed(&rng, 3);
    for (uint32_t i = 0; i < N; i++)
        put(v, i, &rng);
    for (uint32_t i = 0; i < N; i += 3)
        vec_remove(v, naive_name(i * 7 % N, t));
    return v;
}

/* Every element of a is in b, with the same vector and attributes. */
static void assert_within(const struct vec_index *a, const struct vec_index *b)
{
    uint32_t cursor = 0;
    struct slice name, attr, other;
    float x[DIM], y[DIM];
    while (vec_next(a, &cursor, &name, &attr)) {
        float norm_x, norm_y;
        assert_true(vec_get_raw(a, name, x, &norm_x) && vec_get_raw(b, name, y, &norm_y));
        assert_memory_equal(x, y, sizeof x);
        assert_memory_equal(&norm_x, &norm_y, sizeof norm_x);
        assert_true(vec_get_attr(b, name, &other) && slice_eq(attr, other));
    }
}

static void assert_same(const struct vec_index *a, const struct vec_index *b)
{
    struct err err = {0};
    if (vec_verify(b, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(vec_count(a), vec_count(b));
    assert_within(a, b);
}

static void *steps(void *b)
{
    while (vec_rebuild_step(b, clock_mono_us() + 500))
        ;
    return NULL;
}

static void finish(struct vec_rebuild *b, int threads, struct vec_index **out)
{
    pthread_t t[8];
    while (!vec_rebuild_is_wide(b) && !vec_rebuild_over(b))
        vec_rebuild_step(b, 0);
    for (int i = 0; i < threads; i++)
        assert_int_equal(pthread_create(&t[i], NULL, steps, b), 0);
    for (int i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    assert_true(vec_rebuild_over(b));
    assert_int_equal(vec_rebuild_take(b, out, NULL), 0);
    vec_rebuild_destroy(b);
}

static struct vec_index *rebuilt(struct vec_index *v, int threads)
{
    struct vec_rebuild *b = NULL;
    struct vec_index *to = NULL;
    assert_int_equal(vec_rebuild_create(&b, v, 0, NULL), 0);
    finish(b, threads, &to);
    return to;
}

static double recall(const struct vec_index *v)
{
    struct rng rng;
    uint32_t good = 0;
    rng_seed(&rng, 77);
    for (int i = 0; i < 100; i++) {
        float x[DIM];
        random_point(&rng, x);
        struct vec_query q = {.x = x, .dim = DIM, .k = 10, .ef = 60}, all = q;
        struct vec_result a, b;
        all.exact = true;
        assert_int_equal(vec_search(v, &q, &a, NULL), 0);
        assert_int_equal(vec_search(v, &all, &b, NULL), 0);
        for (uint32_t k = 0; k < a.count; k++)
            for (uint32_t j = 0; j < b.count; j++)
                good += slice_eq(a.hits[k].name, b.hits[j].name);
        vec_result_release(&a);
        vec_result_release(&b);
    }
    return good / 1000.0;
}

static void holds_the_same(void **state)
{
    for (int metric = VEC_COSINE; metric <= VEC_IP; metric++)
        for (int kind = VEC_HNSW; kind <= VEC_FLAT; kind++) {
            struct vec_index *v = filled((enum vec_metric)metric, (enum vec_kind)kind);
            struct vec_index *to = rebuilt(v, 1 + metric);
            assert_same(v, to);
            struct vec_stats a, b;
            vec_stats(v, &a);
            vec_stats(to, &b);
            assert_memory_equal(&a.config, &b.config, sizeof a.config);
            assert_int_equal(b.deleted, 0);
            double before = recall(v), after = recall(to);
            printf("  metric %d, kind %d: recall@10 %.3f, built again %.3f\n", metric, kind, before, after);
            assert_true(after >= before - 0.01);
            vec_unref(v);
            vec_unref(to);
        }
}

static void of_nothing_and_of_one(void **state)
{
    struct vec_index *v = index_of(VEC_L2, VEC_HNSW), *to;
    struct rng rng;
    rng_seed(&rng, 1);
    for (uint32_t i = 0; i < 3; i++) {
        to = rebuilt(v, 2);
        assert_same(v, to);
        vec_unref(to);
        put(v, i, &rng);
    }
    vec_unref(v);
}

/* How far apart the numbers of neighbours are, on average. */
static double spread(const struct vec_index *v)
{
    double sum = 0, n = 0;
    for (uint32_t i = 1; i < vec_top(v); i++) {
        uint32_t cap, to;
        _Atomic uint32_t *l = hnsw_links(v, i, 0, &cap);
        for (uint32_t k = 0; k < cap && (to = hnsw_target(v, &l[k])); k++, n++)
            sum += to > i ? to - i : i - to;
    }
    return sum / n;
}

/* Elements on a line, added in random order: neighbours get numbers near each other. */
static void neighbours_lie_together(void **state)
{
    struct vec_index *v = index_of(VEC_L2, VEC_HNSW);
    float x[DIM] = {0};
    char t[16];
    for (uint32_t i = 0; i < N; i++) {
        x[0] = (float)(i * 1021ull % N);
        assert_int_equal(vec_add(v, naive_name(i, t), x, DIM, SLICE(""), NULL), VEC_ADDED);
    }
    struct vec_index *to = rebuilt(v, 1);
    printf("  numbers of neighbours differ by %.0f, built again by %.0f\n", spread(v), spread(to));
    assert_true(spread(to) < spread(v) / 4);
    assert_same(v, to);
    vec_unref(v);
    vec_unref(to);
}

/* The old index changes between steps; vec_copy for what changed makes the new one the same. */
static void changes_meanwhile(void **state)
{
    struct vec_index *v = filled(VEC_COSINE, VEC_HNSW), *to = NULL;
    struct vec_rebuild *b = NULL;
    struct rng rng;
    char t[16];
    uint32_t changed[N], n = 0;
    rng_seed(&rng, 9);
    assert_int_equal(vec_rebuild_create(&b, v, 100, NULL), 0);
    while (!vec_rebuild_over(b)) {
        uint32_t i = (uint32_t)rng_below(&rng, 2 * N);
        vec_rebuild_step(b, 0);
        if (n == sizeof changed / sizeof *changed || rng_below(&rng, 2))
            continue;
        changed[n++] = i;
        if (rng_below(&rng, 3) == 0)
            vec_remove(v, naive_name(i, t));
        else if (rng_below(&rng, 3) == 0)
            vec_set_attr(v, naive_name(i, t), SLICE("{\"new\":1}"), NULL);
        else
            put(v, i, &rng);
    }
    finish(b, 0, &to);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(vec_copy(to, v, naive_name(changed[i], t), NULL), 0);
    assert_same(v, to);
    assert_true(n > 100);
    vec_unref(v);
    vec_unref(to);
}

/* Through a flat one, as who has no time to look for links does it. */
static void copies_through_another(void **state)
{
    struct vec_index *v = filled(VEC_IP, VEC_HNSW), *flat = index_of(VEC_IP, VEC_FLAT),
                     *to = index_of(VEC_IP, VEC_HNSW);
    char t[16];
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(vec_copy(flat, v, naive_name(i, t), NULL), 0);
        assert_int_equal(vec_copy(to, flat, naive_name(i, t), NULL), 0);
    }
    assert_same(v, flat);
    assert_same(v, to);
    assert_int_equal(vec_copy(to, v, SLICE("nobody"), NULL), 0);
    assert_int_equal(vec_count(to), vec_count(v));
    vec_unref(v);
    vec_unref(flat);
    vec_unref(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_the_same),          cmocka_unit_test(of_nothing_and_of_one),
        cmocka_unit_test(neighbours_lie_together), cmocka_unit_test(changes_meanwhile),
        cmocka_unit_test(copies_through_another),
    };
    return naive_each_quant(tests, sizeof tests / sizeof *tests);
}
