/* Recall on real data (SIFT descriptors), built, after every vector has been replaced, and filtered. Skips with a word
 * when the data is not there: SKALD_DATA names its folder, ../shared/data of the project's folder is the default. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "vec/filter.h"
#include "naive.h"

#define N   LIGHTER(10000)
#define Q   100
#define DIM 128

static float *base, *more, *queries;

/* The first n vectors of a bvecs file: an int32 dimension, then the bytes. */
static bool read_bvecs(const char *command, float *to, uint32_t n)
{
    FILE *f = popen(command, "r");
    bool ok = f != NULL;
    unsigned char row[4 + DIM];
    for (uint32_t i = 0; ok && i < n; i++) {
        ok = fread(row, 1, sizeof row, f) == sizeof row && row[0] == DIM;
        for (int d = 0; d < DIM; d++)
            to[(size_t)i * DIM + d] = row[4 + d];
    }
    if (f)
        pclose(f);
    return ok;
}

static bool load(void)
{
    const char *env = getenv("SKALD_DATA"), *places[] = {env ? env : "", "../shared/data", "../../shared/data"};
    char file[512], command[600];
    base = mem_alloc((size_t)2 * N * DIM * sizeof *base);
    more = base + (size_t)N * DIM;
    queries = mem_alloc((size_t)Q * DIM * sizeof *queries);
    for (int i = 0; i < 3; i++) {
        snprintf(file, sizeof file, "%s/vectors/sift128_base.bvecs.gz", places[i]);
        if (access(file, R_OK) != 0)
            continue;
        snprintf(command, sizeof command, "gzip -dc '%s' 2>/dev/null", file);
        bool ok = read_bvecs(command, base, 2 * N);
        snprintf(command, sizeof command, "cat '%s/vectors/sift128_query.bvecs'", places[i]);
        return ok && read_bvecs(command, queries, Q);
    }
    return false;
}

static double recall(const struct vec_index *v, uint32_t ef, const struct filter *f)
{
    uint32_t good = 0, all = 0;
    uint64_t cost = 0;
    for (uint32_t i = 0; i < Q; i++) {
        struct vec_query q = {.x = queries + (size_t)i * DIM, .dim = DIM, .k = 10, .ef = ef, .filter = f}, truth = q;
        truth.exact = true;
        struct vec_result a, b;
        assert_int_equal(vec_search(v, &q, &a, NULL), 0);
        assert_int_equal(vec_search(v, &truth, &b, NULL), 0);
        assert_int_equal(a.count, b.count);
        bool l2 = vec_metric(v) == VEC_L2;
        for (uint32_t k = 0; k < a.count; k++)
            good += l2 ? a.hits[k].score <= b.hits[b.count - 1].score : a.hits[k].score >= b.hits[b.count - 1].score;
        all += b.count;
        cost += a.distances;
        vec_result_release(&a);
        vec_result_release(&b);
    }
    printf("  ef %u%s: recall@10 %.4f, %.0f distances a query\n", ef, f ? ", filtered" : "", (double)good / all,
           (double)cost / Q);
    return (double)good / all;
}

static void put(struct vec_index *v, uint32_t i, const float *x)
{
    char t[16], attr[48];
    snprintf(attr, sizeof attr, "{\"half\":%u,\"tenth\":%u,\"n\":%u}", i % 2, i % 10, i);
    assert_true(vec_add(v, naive_name(i, t), x, DIM, slice_str(attr), NULL) >= 0);
}

static void on_real_data(void **state)
{
    struct vec_index *v = NULL;
    struct vec_config c = {.dim = DIM, .metric = VEC_L2, .seed = 11, .ef_construction = 100, .quant = naive_quant};
    struct err err = {0};
    assert_int_equal(vec_create(&v, &c, &err), 0);
    for (uint32_t i = 0; i < N; i++)
        put(v, i, base + (size_t)i * DIM);
    printf("built\n");
    double fresh = recall(v, 100, NULL);
    assert_true(fresh >= 0.95);
    static const char *filters[] = {".half == 1", ".tenth == 3", ".n < 60", ".n >= 0 and .tenth in [1, 2]"};
    for (size_t i = 0; i < 4; i++) {
        struct filter *f = filter_create(slice_str(filters[i]), &err);
        assert_non_null(f);
        assert_true(recall(v, 100, f) >= 0.9);
        filter_destroy(f);
    }
    for (uint32_t i = 0; i < N; i++)
        put(v, i, more + (size_t)i * DIM);
    printf("every vector replaced\n");
    assert_int_equal(vec_count(v), N);
    double replaced = recall(v, 100, NULL);
    assert_true(replaced >= 0.95 && replaced >= fresh - 0.005);
    if (vec_verify(v, &err) != 0)
        fail_msg("%s", err.msg);
    uint32_t found = 0; /* by its own vector */
    for (uint32_t i = 0; i < N; i += 4) {
        struct vec_query q = {.x = more + (size_t)i * DIM, .dim = DIM, .k = 1};
        struct vec_result r;
        assert_int_equal(vec_search(v, &q, &r, NULL), 0);
        found += r.count == 1 && r.hits[0].score == 0;
        vec_result_release(&r);
    }
    printf("  %u of %u found by their own vector\n", found, N / 4);
    assert_true(found >= N / 4 - N / 4000);
    vec_unref(v);
}

int main(void)
{
    if (!load()) {
        printf("skipped: no sift128 vectors below SKALD_DATA or ../shared/data\n");
        return 0;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_real_data)};
    int rc = naive_each_quant(tests, sizeof tests / sizeof *tests);
    mem_free(base);
    mem_free(queries);
    return rc;
}
