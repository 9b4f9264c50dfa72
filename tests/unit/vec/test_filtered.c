/* Filtered searches, whichever way they take: the walk over matching nodes, the plan that chooses, the scan of the
 * columns, bounds of the caller's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "vec/epoch.h"
#include "vec/hnsw.h"
#include "vec/plan.h"
#include "naive.h"

#define N   LIGHTER(20000)
#define DIM 8
#define Q   40

static struct vec_index *v;

/* Once for all tests of a quantisation: none of them changes it. */
static void build(void)
{
    if (v && v->h.quant == naive_quant)
        return;
    vec_unref(v);
    struct vec_config c = {.dim = DIM, .metric = VEC_L2, .seed = 5, .ef_construction = 40, .quant = naive_quant};
    struct rng r;
    rng_seed(&r, 8);
    assert_int_equal(vec_create(&v, &c, NULL), 0);
    for (uint32_t e = 0; e < N; e++) {
        float x[DIM];
        char t[16], attr[80];
        random_vector(&r, x, DIM);
        snprintf(attr, sizeof attr, "{\"u\":%u,\"g\":\"g%u\",\"odd\":%s}", (unsigned)rng_below(&r, 1000), e % 50,
                 e % 2 ? "true" : "false");
        assert_int_equal(vec_add(v, naive_name(e, t), x, DIM, slice_str(attr), NULL), VEC_ADDED);
    }
}

static struct filter *filter(const char *expr)
{
    struct filter *f = filter_create(slice_str(expr), NULL);
    assert_non_null(f);
    return f;
}

static enum plan_way way(const char *expr, uint32_t ef, double share)
{
    struct filter *f = filter(expr);
    struct matcher m;
    int ticket = epoch_begin();
    struct searcher *s = searcher_get(vec_top(v));
    matcher_init(&m, v, f);
    struct plan p = plan_make(&m, ef, &s->text), again = plan_make(&m, ef, &s->text);
    epoch_end(ticket);
    filter_destroy(f);
    assert_true(p.way == again.way && p.share == again.share);
    assert_true(fabs(p.share - share) < 0.02 + share / 3);
    return p.way;
}

static void plans(void **state)
{
    build();
    assert_int_equal(way(".u < 950", 100, 0.95), PLAN_WALK);
    assert_int_equal(way(".odd", 100, 0.5), PLAN_WALK);
    assert_int_equal(way(".u < 5", 100, 0.005), PLAN_SCAN);
    assert_int_equal(way(".u < 0", 100, 0), PLAN_SCAN);
    assert_int_equal(way(".g == 'g7'", 100, 0.02), PLAN_SCAN);
    if (N >= 20000) /* where a scan is not nearly free */
        assert_int_equal(way(".u < 50", 4, 0.05), PLAN_HOP);
}

static double recall(const char *expr, uint32_t k)
{
    struct rng r;
    struct filter *f = filter(expr);
    uint32_t good = 0, all = 0;
    rng_seed(&r, 9);
    for (int i = 0; i < Q; i++) {
        float x[DIM];
        random_vector(&r, x, DIM);
        struct vec_query q = {.x = x, .dim = DIM, .k = k, .ef = 100, .filter = f}, truth = q;
        struct vec_result a, b;
        truth.exact = true;
        assert_int_equal(vec_search(v, &q, &a, NULL), 0);
        assert_int_equal(vec_search(v, &truth, &b, NULL), 0);
        assert_int_equal(a.count, b.count);
        for (uint32_t j = 0; j < a.count; j++)
            good += a.hits[j].score <= b.hits[b.count - 1].score;
        all += b.count;
        vec_result_release(&a);
        vec_result_release(&b);
    }
    filter_destroy(f);
    return all ? (double)good / all : 1;
}

static void finds_what_matches(void **state)
{
    static const char *filters[] = {
        ".u < 0",   ".u < 2",     ".u < 10",           ".u < 50",         ".u < 200",          ".u < 500",
        ".u < 900", ".g == 'g7'", ".g in ['g1','g2']", ".g != 'g1'",      ".odd and .u < 100", "not .odd",
        "1",        ".missing",   ".g == 'none'",      ".u + 1 < 30 or 0"};
    build();
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        double is = recall(filters[i], 10);
        printf("  %s: recall@10 %.3f\n", filters[i], is);
        assert_true(is >= 0.95);
    }
}

/* The walk over matching nodes by itself. */
static void hops(void **state)
{
    static const struct {
        const char *expr;
        double least;
    } table[] = {{".u < 20", 0.8}, {".u < 50", 0.9}, {".u < 200", 0.95}, {".u < 900", 0.95}};
    build();
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        struct filter *f = filter(table[t].expr);
        struct rng r;
        uint32_t good = 0, all = 0;
        rng_seed(&r, 10);
        for (int i = 0; i < Q; i++) {
            float x[DIM];
            random_vector(&r, x, DIM);
            struct vec_query truth = {.x = x, .dim = DIM, .k = 10, .filter = f, .exact = true};
            struct vec_result b;
            assert_int_equal(vec_search(v, &truth, &b, NULL), 0);
            int ticket = epoch_begin();
            struct searcher *s = searcher_get(vec_top(v));
            struct probe p;
            struct matcher m;
            probe_query(v, &p, x, searcher_query(s, probe_room(v)));
            matcher_init(&m, v, f);
            struct walk w = {.from = &p, .ef = 100, .match = &m, .budget = UINT32_MAX};
            uint64_t entry = atomic_load(&v->entry);
            assert_true(hnsw_walk_filtered(v, s, &w, hnsw_descend(v, s, &p, entry, 0)));
            searcher_forget(s);
            assert_true(s->best.n <= 100);
            for (uint32_t j = 0; j < s->best.n; j++) {
                assert_true(matcher_test(&m, s->best.a[j].node, &s->text));
                assert_true(j == 0 || cand_before(s->best.a[j - 1], s->best.a[j])); /* so none is there twice */
                good += vec_score(v, code_exact(v, &p, s->best.a[j].node)) <= b.hits[b.count - 1].score;
            }
            all += b.count;
            w.budget = 50;
            assert_false(hnsw_walk_filtered(v, s, &w, hnsw_descend(v, s, &p, entry, 0)));
            searcher_forget(s);
            epoch_end(ticket);
            vec_result_release(&b);
        }
        printf("  %s: recall@10 %.3f\n", table[t].expr, (double)good / all);
        assert_true((double)good / all >= table[t].least);
        filter_destroy(f);
    }
}

/* With a bound of the caller's no more nodes are judged, and what was found is the answer. */
static void bounded(void **state)
{
    build();
    struct filter *f = filter(".u < 2");
    float x[DIM] = {0};
    struct vec_query q = {.x = x, .dim = DIM, .k = 10, .ef = 100, .filter = f, .filter_ef = 60, .walk_only = true};
    struct vec_result r;
    assert_int_equal(vec_search(v, &q, &r, NULL), 0);
    assert_true(r.distances < 500 && r.count < 10);
    vec_result_release(&r);
    q.filter_ef = VEC_MAX_EF; /* no bound worth the name */
    assert_int_equal(vec_search(v, &q, &r, NULL), 0);
    assert_int_equal(r.count, 10);
    vec_result_release(&r);
    filter_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans),
        cmocka_unit_test(finds_what_matches),
        cmocka_unit_test(hops),
        cmocka_unit_test(bounded),
    };
    int rc = naive_each_quant(tests, sizeof tests / sizeof *tests);
    vec_unref(v);
    return rc;
}
