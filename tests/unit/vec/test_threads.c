/* Searches on several threads while one writer adds, updates, removes and changes attributes. What a search returns
 * must at some moment have been true: known names, no name twice, attributes that belong to the name. Meant for TSan
 * above all. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "vec/filter.h"
#include "naive.h"

#define READERS 3
#define SLOTS   3000
#define DIM     12

static struct vec_index *v;
static struct filter *f;
static atomic_bool stop;
static atomic_ulong searches, wrong;

static void check(const struct vec_result *r, const struct vec_query *q)
{
    bool bad = r->count > q->k;
    for (uint32_t i = 0; i < r->count; i++) {
        char want[32];
        uint32_t e = naive_number(r->hits[i].name);
        size_t n = (size_t)snprintf(want, sizeof want, "{\"n\":%u", e);
        bad |= e >= SLOTS ||
               (r->hits[i].attr.len && (r->hits[i].attr.len <= n || memcmp(r->hits[i].attr.p, want, n) != 0));
        for (uint32_t j = 0; j < i; j++)
            bad |= slice_eq(r->hits[i].name, r->hits[j].name);
    }
    if (bad)
        atomic_fetch_add(&wrong, 1);
}

static void *reader(void *arg)
{
    struct rng r;
    float x[DIM];
    rng_seed(&r, (uint64_t)(uintptr_t)arg);
    while (!atomic_load(&stop)) {
        random_vector(&r, x, DIM);
        struct vec_query q = {.x = x, .dim = DIM, .k = 1 + (uint32_t)rng_below(&r, 40), .ef = 60, .with_attr = true};
        q.exact = rng_below(&r, 8) == 0;
        q.filter = rng_below(&r, 4) == 0 ? f : NULL;
        struct vec_result res;
        if (vec_search(v, &q, &res, NULL) != 0)
            atomic_fetch_add(&wrong, 1);
        check(&res, &q);
        vec_result_release(&res);
        atomic_fetch_add(&searches, 1);
    }
    return NULL;
}

static void put(struct rng *r, uint32_t e)
{
    float x[DIM];
    char t[16], attr[48];
    random_vector(r, x, DIM);
    snprintf(attr, sizeof attr, "{\"n\":%u,\"r\":%u}", e, (unsigned)rng_below(r, 1000));
    assert_true(vec_add(v, naive_name(e, t), x, DIM, slice_str(attr), NULL) >= 0);
}

/* Additions whose links another thread looks for while the graph changes. */
enum { EMPTY, TO_PLAN, TO_COMMIT, PENDING = 6 };
static struct {
    atomic_int state;
    struct vec_addition *a;
    uint32_t e;
} pending[PENDING];

static void *planner(void *arg)
{
    while (!atomic_load(&stop))
        for (int i = 0; i < PENDING; i++)
            if (atomic_load(&pending[i].state) == TO_PLAN) {
                vec_plan(pending[i].a);
                atomic_store(&pending[i].state, TO_COMMIT);
            }
    return NULL;
}

static void commit(int i)
{
    char t[16], attr[32];
    snprintf(attr, sizeof attr, "{\"n\":%u,\"p\":1}", pending[i].e);
    assert_true(vec_commit(pending[i].a, naive_name(pending[i].e, t), slice_str(attr), NULL) >= 0);
    vec_addition_destroy(pending[i].a);
    atomic_store(&pending[i].state, EMPTY);
}

static void put_planned(struct rng *r, uint32_t e)
{
    float x[DIM];
    int i = (int)rng_below(r, PENDING), state = atomic_load(&pending[i].state);
    if (state == TO_COMMIT)
        commit(i);
    if (state != EMPTY)
        return;
    random_vector(r, x, DIM);
    pending[i].e = e;
    assert_int_equal(vec_prepare(&pending[i].a, v, x, DIM, NULL), 0);
    atomic_store(&pending[i].state, TO_PLAN);
}

static void writer(struct rng *r, int ops)
{
    char t[16], attr[64];
    for (int i = 0; i < ops; i++) {
        uint32_t e = (uint32_t)rng_below(r, SLOTS), what = (uint32_t)rng_below(r, 10);
        if (what < 3) {
            vec_remove(v, naive_name(e, t));
        } else if (what == 3) {
            snprintf(attr, sizeof attr, "{\"n\":%u,\"again\":\"%d\"}", e, i);
            vec_set_attr(v, naive_name(e, t), rng_below(r, 4) ? slice_str(attr) : SLICE(""), NULL);
        } else if (what < 7) {
            put_planned(r, e);
        } else {
            put(r, e);
        }
    }
}

static void beside_a_writer(enum vec_kind kind, enum vec_metric metric, int ops)
{
    pthread_t threads[READERS + 1];
    struct vec_config c = {
        .dim = DIM, .m = 6, .ef_construction = 40, .seed = 3, .kind = kind, .metric = metric, .quant = naive_quant};
    struct rng r;
    struct err err = {0};
    rng_seed(&r, 77);
    assert_int_equal(vec_create(&v, &c, &err), 0);
    for (uint32_t e = 0; e < SLOTS / 2; e++)
        put(&r, e);
    atomic_store(&stop, false);
    for (intptr_t i = 0; i < READERS; i++)
        pthread_create(&threads[i], NULL, reader, (void *)(i + 1));
    pthread_create(&threads[READERS], NULL, planner, NULL);
    writer(&r, ops);
    for (uint32_t e = 0; e < SLOTS; e++) { /* down to nothing and up again, so that slots are used anew */
        char t[16];
        vec_remove(v, naive_name(e, t));
    }
    writer(&r, ops / 4);
    atomic_store(&stop, true);
    for (int i = 0; i <= READERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < PENDING; i++)
        if (atomic_load(&pending[i].state) != EMPTY)
            commit(i); /* with or without a plan */
    printf("%lu searches\n", atomic_load(&searches));
    assert_int_equal(atomic_load(&wrong), 0);
    if (vec_verify(v, &err) != 0)
        fail_msg("%s", err.msg);
    /* Numbers are used again: now that no reader can be asleep in a search that began before all of the writing. */
    struct vec_stats s;
    writer(&r, ops / 4);
    vec_stats(v, &s);
    assert_true(s.node_uid > s.count + s.deleted);
    for (int i = 0; i < PENDING; i++)
        if (atomic_load(&pending[i].state) != EMPTY)
            commit(i);
    assert_int_equal(vec_verify(v, &err), 0);
    vec_unref(v);
}

static void hnsw(void **state)
{
    beside_a_writer(VEC_HNSW, VEC_L2, 8000);
}

static void hnsw_cosine(void **state)
{
    beside_a_writer(VEC_HNSW, VEC_COSINE, 4000);
}

static void flat(void **state)
{
    beside_a_writer(VEC_FLAT, VEC_IP, 8000);
}

/* The last reference may be given up by a worker, after the key is gone. */
static void *holder(void *arg)
{
    struct vec_index *mine = arg;
    float x[DIM] = {1};
    struct vec_query q = {.x = x, .dim = DIM, .k = 10};
    for (int i = 0; i < 50; i++) {
        struct vec_result r;
        if (vec_search(mine, &q, &r, NULL) != 0 || r.count != 10)
            atomic_fetch_add(&wrong, 1);
        vec_result_release(&r);
    }
    vec_unref(mine);
    return NULL;
}

static void references(void **state)
{
    pthread_t threads[READERS];
    struct vec_config c = {.dim = DIM};
    struct rng r;
    rng_seed(&r, 5);
    assert_int_equal(vec_create(&v, &c, NULL), 0);
    for (uint32_t e = 0; e < 200; e++)
        put(&r, e);
    for (int i = 0; i < READERS; i++)
        pthread_create(&threads[i], NULL, holder, vec_ref(v));
    vec_unref(v);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&wrong), 0);
}

static void cancelled(void **state)
{
    struct vec_config c = {.dim = DIM, .kind = VEC_FLAT};
    struct rng r;
    struct err err = {0};
    rng_seed(&r, 5);
    assert_int_equal(vec_create(&v, &c, NULL), 0);
    for (uint32_t e = 0; e < SLOTS; e++)
        put(&r, e);
    atomic_bool flag = true;
    float x[DIM] = {1};
    struct vec_query q = {.x = x, .dim = DIM, .k = 10, .cancel = &flag};
    struct vec_result res;
    assert_int_equal(vec_search(v, &q, &res, &err), ERR_CANCELLED);
    assert_null(res.hits);
    vec_unref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hnsw),       cmocka_unit_test(hnsw_cosine), cmocka_unit_test(flat),
        cmocka_unit_test(references), cmocka_unit_test(cancelled),
    };
    f = filter_create(SLICE(".n >= 0 and .n < 1500"), NULL);
    int rc = naive_each_quant(tests, sizeof tests / sizeof *tests);
    filter_destroy(f);
    return rc;
}
