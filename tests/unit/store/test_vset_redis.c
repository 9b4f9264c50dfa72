/* Vector sets that a Redis 8 saved: payloads built by hand here, whole, damaged and out of bounds. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "store/db.h"
#include "store/rdb.h"
#include "store/types.h"
#include "store/vset.h"
#include "store/vset_redis.h"

#define DIM 20
#define N   60

enum { UINT = 2, STRING = 5, END = 0 };
enum { NONE, Q8, BIN };

static struct store *store;

static int setup(void **state)
{
    types_boot();
    vset_boot();
    store = store_create(1, NULL);
    return 0;
}

static int teardown(void **state)
{
    store_destroy(store);
    return 0;
}

/* ---- building ---- */

struct saved {
    uint64_t dim, count, quant, m, flags;
    uint32_t input; /* of the projection */
    int version;    /* of the nodes */
    uint64_t count_said; /* 0: the count */
    float norm;          /* NAN: the vector's own */
    const char *twice;   /* the name of every element */
};

static void put_uint(struct rdb_out *o, uint64_t v)
{
    rdb_put_len(o, UINT);
    rdb_put_len(o, v);
}

static void put_str(struct rdb_out *o, struct slice s)
{
    rdb_put_len(o, STRING);
    rdb_put_str(o, s);
}

static float component(int i, int j)
{
    return sinf((float)(i * 7 + j * 3 + i * j)) + (j == i % DIM ? 1 : 0);
}

static void vector_of(int i, float *x)
{
    for (int j = 0; j < DIM; j++)
        x[j] = component(i, j) * (float)(1 + i % 3);
}

static float unit(float *x)
{
    double n = 0;
    for (int j = 0; j < DIM; j++)
        n += (double)x[j] * (double)x[j];
    for (int j = 0; j < DIM; j++)
        x[j] = (float)(x[j] / sqrt(n));
    return (float)sqrt(n);
}

static uint64_t two_floats(float low, float high)
{
    uint32_t l, h;
    memcpy(&l, &low, 4);
    memcpy(&h, &high, 4);
    return (uint64_t)h << 32 | l;
}

static void put_vector(struct rdb_out *o, const struct saved *s, const float *x, float *range)
{
    int8_t q8[DIM];
    uint64_t bits[1];
    *range = NAN; /* Redis leaves anything there unless it is bytes */
    if (s->quant == NONE) {
        put_str(o, slice_of((const char *)x, DIM * sizeof *x));
    } else if (s->quant == Q8) {
        redis_q8(x, DIM, q8, range);
        put_str(o, slice_of((const char *)q8, DIM));
    } else {
        redis_bin(x, DIM, bits);
        put_str(o, slice_of((const char *)bits, sizeof bits));
    }
}

static void put_node(struct rdb_out *o, const struct saved *s, int i, float norm, float range)
{
    int level = i % 4 == 0, per = 2 + 1 + s->version;
    put_uint(o, (uint64_t)(2 + (level + 1) * per + 1));
    put_uint(o, (uint64_t)i + 1);
    put_uint(o, (uint64_t)level | (uint64_t)s->version << 24);
    for (int l = 0; l <= level; l++) {
        put_uint(o, 1);
        put_uint(o, l ? 16 : 32);
        put_uint(o, (uint64_t)(i ^ 1) + 1);
        if (s->version)
            put_uint(o, two_floats(0, 0.5f));
    }
    put_uint(o, two_floats(norm, range));
}

static void put_element(struct rdb_out *o, const struct saved *s, int i)
{
    char name[32], attr[32];
    float x[DIM], range;
    vector_of(i, x);
    float norm = unit(x);
    put_str(o, slice_of(name, (size_t)snprintf(name, sizeof name, i % 5 ? "element %d" : "%d", i)));
    if (s->flags & 2)
        put_str(o, slice_of(attr, i % 2 ? (size_t)snprintf(attr, sizeof attr, "{\"i\":%d}", i) : 0));
    put_vector(o, s, x, &range);
    put_node(o, s, i, isnan(s->norm) ? norm : s->norm, range);
}

static void put_all(struct rdb_out *o, const struct saved *s)
{
    put_uint(o, s->dim);
    put_uint(o, s->count_said ? s->count_said : s->count);
    put_uint(o, s->quant | s->m << 8);
    put_uint(o, s->flags);
    if (s->flags & 1) {
        size_t n = (size_t)s->input * DIM;
        float *m = mem_alloc(n * sizeof *m);
        for (size_t i = 0; i < n; i++)
            m[i] = i % (s->input + 1) == 0 ? 2 : 0; /* takes the first DIM components twice */
        put_uint(o, s->input);
        put_str(o, slice_of((const char *)m, n * sizeof *m));
        mem_free(m);
    }
    for (uint64_t i = 0; i < s->count; i++)
        put_element(o, s, s->twice ? 0 : (int)i);
}

static struct buf payload(const struct saved *s, bool compress)
{
    struct buf b = {0};
    struct rdb_out o = {.to = &b, .compress = compress};
    rdb_put_u8(&o, RDB_MODULE_2);
    rdb_put_len(&o, rdb_module_id("vectorset", 0));
    put_all(&o, s);
    rdb_put_len(&o, END);
    rdb_put_footer(&o, 0);
    return b;
}

static const struct saved usual = {.dim = DIM, .count = N, .m = 8, .flags = 2, .norm = NAN};

/* ---- reading ---- */

static struct vset *restore(const struct saved *s, bool compress)
{
    struct buf b = payload(s, compress);
    struct value v;
    struct err err = {0};
    db_delete(&store->dbs[0], SLICE("k"));
    if (rdb_restore(buf_slice(&b), &v, false, &err) < 0)
        fail_msg("%s", err.msg);
    buf_release(&b);
    return vset_of(db_add(&store->dbs[0], SLICE("k"), v));
}

static void assert_refused(const struct saved *s)
{
    struct buf b = payload(s, false);
    struct value v;
    struct err err = {0};
    assert_true(rdb_restore(buf_slice(&b), &v, false, &err) < 0);
    assert_non_null(strstr(err.msg, "Bad data format"));
    assert_null(strstr(err.msg, "not part of this server")); /* it was read */
    buf_release(&b);
}

static struct slice name_of(int i, char room[32])
{
    return slice_of(room, (size_t)snprintf(room, 32, i % 5 ? "element %d" : "%d", i));
}

static void assert_element(const struct vset *s, const struct saved *from, int i)
{
    char room[32], attr[32];
    float x[DIM], got[DIM];
    struct slice a;
    vector_of(i, x);
    assert_true(vec_get_vector(s->index, name_of(i, room), got));
    for (int j = 0; j < DIM; j++)
        if (from->quant == BIN)
            assert_true(fabsf(got[j] - (x[j] > 0 ? 1 : -1)) < 0.01f);
        else
            assert_true(fabsf(got[j] - x[j]) < (from->quant == Q8 ? 0.06f : 0.001f));
    assert_true(vec_get_attr(s->index, name_of(i, room), &a));
    assert_true(slice_eq(a, i % 2 && (from->flags & 2)
                                ? slice_of(attr, (size_t)snprintf(attr, sizeof attr, "{\"i\":%d}", i))
                                : SLICE("")));
}

static void assert_nearest(const struct vset *s, int i)
{
    float x[DIM];
    char room[32];
    struct vec_result r = {0};
    struct err err;
    vector_of(i, x);
    struct vec_query q = {.x = x, .dim = DIM, .k = 1};
    assert_int_equal(vec_search(s->index, &q, &r, &err), 0);
    assert_true(r.count == 1 && slice_eq(r.hits[0].name, name_of(i, room)));
    vec_result_release(&r);
}

static void assert_whole(const struct saved *from, bool compress)
{
    struct vset *s = restore(from, compress);
    struct vec_stats st;
    struct err err;
    vec_stats(s->index, &st);
    assert_int_equal(st.count, N);
    assert_int_equal(st.config.dim, DIM);
    assert_int_equal(st.config.m, from->m ? from->m : 16);
    assert_int_equal(st.config.quant == VEC_QUANT_NONE, from->quant == NONE);
    assert_int_equal(st.with_attr, from->flags & 2 ? N / 2 : 0);
    assert_int_equal(vec_verify(s->index, &err), 0);
    for (int i = 0; i < N; i++) {
        assert_element(s, from, i);
        if (from->quant != BIN)
            assert_nearest(s, i);
    }
}

static void test_every_quantisation(void **state)
{
    for (int version = 0; version < 2; version++)
        for (unsigned quant = NONE; quant <= BIN; quant++)
            for (unsigned compress = 0; compress < 2; compress++) {
                struct saved s = usual;
                s.quant = quant;
                s.version = version;
                assert_whole(&s, compress);
            }
}

static void test_without_attributes_and_with_the_old_m(void **state)
{
    struct saved s = usual;
    s.flags = 0;
    s.m = 0;
    assert_whole(&s, false);
}

static void test_its_own_dump_is_ours(void **state)
{
    restore(&usual, false);
    struct obj *o = db_read(&store->dbs[0], SLICE("k"));
    struct buf b = {0};
    struct value v;
    struct err err;
    rdb_dump(o, &b, false);
    assert_int_equal(rdb_restore(buf_slice(&b), &v, false, &err), 0);
    struct vset *s = v.ptr;
    assert_int_equal(vec_count(s->index), N);
    value_release(&v);
    buf_release(&b);
}

static void test_a_projection(void **state)
{
    struct saved s = usual;
    struct err err;
    float x[30] = {0}, got[DIM];
    s.flags |= 1;
    s.input = 30;
    struct vset *set = restore(&s, false);
    assert_int_equal(vset_input_dim(set), 30);
    x[3] = 1;
    x[29] = 5; /* goes nowhere */
    assert_int_equal(vset_add(set, SLICE("new"), x, 30, SLICE(""), &err), VEC_ADDED);
    assert_true(vec_get_vector(set->index, SLICE("new"), got));
    for (int j = 0; j < DIM; j++)
        assert_true(fabsf(got[j] - (j == 3 ? 2 : 0)) < 1e-4f);
    assert_int_equal(vset_add(set, SLICE("new"), x, DIM, SLICE(""), &err), ERR_GENERIC);
}

static void test_what_cannot_be_is_refused(void **state)
{
    struct saved s;
#define REFUSED(...)                                                                                                   \
    do {                                                                                                               \
        s = usual;                                                                                                     \
        __VA_ARGS__;                                                                                                   \
        assert_refused(&s);                                                                                            \
    } while (0)
    REFUSED(s.dim = 0);
    REFUSED(s.dim = DIM + 1);
    REFUSED(s.dim = VEC_MAX_DIM + 1);
    REFUSED(s.dim = UINT64_MAX);
    REFUSED(s.quant = 3);
    REFUSED(s.m = 3);
    REFUSED(s.m = 4097);
    REFUSED(s.m = 1 << 16);
    REFUSED(s.flags = 4 | 2);
    REFUSED(s.count_said = N + 1);
    REFUSED(s.count_said = N - 1);
    REFUSED(s.count_said = UINT64_MAX);
    REFUSED(s.norm = INFINITY);
    REFUSED(s.norm = -1);
    REFUSED(s.twice = "yes");
    REFUSED(s.quant = BIN; s.dim = 65);
    REFUSED(s.flags |= 1; s.input = 0);
}

/* Under a right checksum, every byte turned, every length cut. */
static void test_damage_is_refused_or_harmless(void **state)
{
    struct saved s = usual;
    s.count = 6;
    struct rng r;
    struct buf good = payload(&s, false);
    size_t body = good.len - 10;
    rng_seed(&r, 7);
    for (size_t i = 0; i < 2 * body; i++) {
        struct buf b = {0};
        struct rdb_out o = {.to = &b};
        struct value v;
        struct err err = {0};
        buf_add(&b, good.p, i < body ? body : i - body);
        if (i < body)
            b.p[i] = (char)(b.p[i] ^ (1 << rng_below(&r, 8)));
        rdb_put_footer(&o, 0);
        if (rdb_restore(buf_slice(&b), &v, false, &err) == 0)
            value_release(&v);
        else
            assert_true(err.msg[0] != 0);
        buf_release(&b);
    }
    buf_release(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_quantisation),
        cmocka_unit_test(test_without_attributes_and_with_the_old_m),
        cmocka_unit_test(test_its_own_dump_is_ours),
        cmocka_unit_test(test_a_projection),
        cmocka_unit_test(test_what_cannot_be_is_refused),
        cmocka_unit_test(test_damage_is_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
