/* Lists against a plain array, across encodings, node limits and large elements; payloads of redis-server; damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/setting.h"
#include "store/db.h"
#include "store/rdb.h"
#include "store/t_list.h"
#include "store/types.h"

static struct store *store;

static int setup(void **state)
{
    types_boot();
    store = store_create(1, NULL);
    return 0;
}

static int teardown(void **state)
{
    store_destroy(store);
    return 0;
}

static struct obj *fresh(void)
{
    return db_set(&store->dbs[0], SLICE("l"), list_new(), false);
}

static void set(const char *name, const char *value)
{
    struct err err;
    assert_int_equal(setting_set(setting_find(slice_str(name)), slice_str(value), false, &err), 0);
}

/* --- the model: an array of strings --- */

#define MODEL_MAX 4000

struct model {
    struct slice at[MODEL_MAX];
    size_t n;
};

static void model_insert(struct model *m, size_t at, struct slice s)
{
    memmove(m->at + at + 1, m->at + at, (m->n - at) * sizeof *m->at);
    m->at[at] = slice_of(mem_dup(s.p, s.len), s.len);
    m->n++;
}

static void model_delete(struct model *m, size_t at)
{
    mem_free((void *)m->at[at].p);
    memmove(m->at + at, m->at + at + 1, (m->n - at - 1) * sizeof *m->at);
    m->n--;
}

static void compare(const struct obj *o, const struct model *m)
{
    struct list_iter it;
    size_t i = 0;
    assert_int_equal(list_len(o), m->n);
    for (list_iter_begin(&it, o, 0, false); list_iter_next(&it); i++)
        assert_true(slice_eq(it.value, m->at[i]));
    assert_int_equal(i, m->n);
    for (list_iter_begin(&it, o, -1, true); list_iter_next(&it);)
        assert_true(slice_eq(it.value, m->at[--i]));
    assert_int_equal(i, 0);
}

static struct slice random_element(struct rng *r, char *to, size_t room)
{
    switch (rng_below(r, 12)) {
    case 0: { /* now and then as large as a node, or larger */
        size_t n = rng_below(r, room);
        memset(to, 'a' + (int)rng_below(r, 3), n);
        return slice_of(to, n);
    }
    case 1: return slice_of(to, num_from_i64(to, (int64_t)rng_next(r)));
    case 2: return SLICE("");
    default: return slice_of(to, (size_t)sprintf(to, "%d", (int)rng_below(r, 30) - 5));
    }
}

static size_t model_remove(struct model *m, struct slice s, int64_t count)
{
    size_t gone = 0, max = count == 0 ? SIZE_MAX : (size_t)(count < 0 ? -count : count);
    for (size_t k = 0, i = 0; k < MODEL_MAX && gone < max && i < m->n; k++) {
        size_t at = count < 0 ? m->n - 1 - i : i;
        if (slice_eq(m->at[at], s)) {
            model_delete(m, at);
            gone++;
        } else {
            i++;
        }
    }
    return gone;
}

static void step(struct rng *r, struct obj *o, struct model *m, size_t room)
{
    static char bytes[40000];
    struct slice s = random_element(r, bytes, room), got;
    char tmp[NUM_I64_MAX];
    size_t at = m->n ? rng_below(r, m->n) : 0;
    switch (rng_below(r, m->n > 1500 ? 9 : 12)) {
    case 0:
        if (m->n) {
            bool head = rng_below(r, 2);
            assert_true(slice_eq(list_end(o, head, tmp), m->at[head ? 0 : m->n - 1]));
            list_delete(o, head ? 0 : m->n - 1, 1);
            model_delete(m, head ? 0 : m->n - 1);
        }
        break;
    case 1:
        if (m->n) {
            size_t n = rng_below(r, m->n - at < 300 ? m->n - at + 1 : 300);
            list_delete(o, at, n);
            while (n--)
                model_delete(m, at);
        }
        break;
    case 2: {
        int64_t count = (int64_t)rng_below(r, 7) - 3;
        assert_int_equal(list_remove(o, s, count), model_remove(m, s, count));
        break;
    }
    case 3:
    case 4:
        assert_int_equal(list_set(o, rng_below(r, 2) || !m->n ? (int64_t)at : (int64_t)at - (int64_t)m->n, s),
                         m->n > 0);
        if (m->n) {
            model_delete(m, at);
            model_insert(m, at, s);
        }
        break;
    case 5:
    case 6: {
        bool before = rng_below(r, 2);
        struct slice pivot = m->n ? slice_of(mem_dup(m->at[at].p, m->at[at].len), m->at[at].len) : SLICE("x");
        size_t i = 0;
        while (i < m->n && !slice_eq(m->at[i], pivot))
            i++;
        assert_int_equal(list_insert(o, pivot, before, s), m->n > 0);
        if (m->n) {
            model_insert(m, before ? i : i + 1, s);
            mem_free((void *)pivot.p);
        }
        break;
    }
    case 7:
    case 8:
        assert_int_equal(list_get(o, (int64_t)at, &got, tmp), m->n > 0);
        if (m->n)
            assert_true(slice_eq(got, m->at[at]));
        break;
    default: {
        bool head = rng_below(r, 2);
        struct slice two[] = {s, SLICE("12")};
        list_push(o, head, two, 2);
        for (int i = 0; i < 2; i++)
            model_insert(m, head ? 0 : m->n, two[i]);
    }
    }
}

static void random_walk(const char *size, size_t room, size_t plain)
{
    static struct model m;
    struct rng r;
    rng_seed(&r, 7);
    set("list-max-listpack-size", size);
    list_set_plain_from(plain);
    struct obj *o = fresh();
    for (int i = 0; i < 6000; i++) {
        step(&r, o, &m, room);
        if (i % 50 == 0)
            compare(o, &m);
    }
    compare(o, &m);
    while (m.n)
        model_delete(&m, 0);
    list_set_plain_from(0);
    set("list-max-listpack-size", "-2");
}

static void test_model(void **state)
{
    random_walk("-2", 300, 0);
    random_walk("-1", 6000, 0);
    random_walk("4", 20, 0);
    random_walk("1", 20000, 0);
    random_walk("0", 20, 0);
    random_walk("128", 400, 0);
    random_walk("-2", 20, 3);
    random_walk("-5", 35000, 0);
}

/* --- encodings --- */

static void push(struct obj *o, struct slice s)
{
    list_push(o, false, &s, 1);
}

static void test_encoding(void **state)
{
    struct obj *o = fresh();
    char big[9000];
    memset(big, 'x', sizeof big);
    push(o, SLICE("a"));
    assert_string_equal(obj_encoding(o), "listpack");
    push(o, slice_of(big, sizeof big));
    assert_string_equal(obj_encoding(o), "quicklist");
    assert_true(list_set(o, 1, SLICE("small")));
    assert_int_equal(list_len(o), 2);
    list_delete(o, 1, 1);
    assert_string_equal(obj_encoding(o), "listpack");
    set("list-max-listpack-size", "4");
    for (int i = 0; i < 4; i++)
        push(o, SLICE("b"));
    assert_string_equal(obj_encoding(o), "quicklist");
    list_delete(o, 4, 1);
    assert_string_equal(obj_encoding(o), "quicklist"); /* one node, but back only at half of the limit */
    list_delete(o, 0, 2);
    assert_string_equal(obj_encoding(o), "listpack");
    set("list-max-listpack-size", "-2");
}

static void test_remove_merges(void **state)
{
    struct obj *o = fresh();
    for (int i = 0; i < 20000; i++) {
        char text[24];
        push(o, i % 100 ? SLICE("gone") : slice_of(text, (size_t)sprintf(text, "%d", i)));
    }
    size_t before = obj_size(o, 0);
    assert_int_equal(list_remove(o, SLICE("gone"), 0), 19800);
    assert_int_equal(list_len(o), 200);
    assert_true(obj_size(o, 0) < before / 20);
    assert_string_equal(obj_encoding(o), "listpack");
}

/* --- payloads --- */

static struct obj *reload(struct obj *o)
{
    struct buf b = {0};
    struct value v;
    struct err err;
    rdb_dump(o, &b, false);
    assert_int_equal(rdb_restore(buf_slice(&b), &v, false, &err), 0);
    buf_release(&b);
    return db_set(&store->dbs[0], SLICE("copy"), v, false);
}

static void same(const struct obj *a, const struct obj *b)
{
    uint8_t x[20] = {0}, y[20] = {0};
    assert_int_equal(list_len(a), list_len(b));
    list_ops.digest(a, x);
    list_ops.digest(b, y);
    assert_memory_equal(x, y, 20);
}

static void test_payload(void **state)
{
    struct obj *o = fresh();
    static char big[20000];
    memset(big, 'y', sizeof big);
    push(o, SLICE("one"));
    same(o, reload(o));
    for (int i = 0; i < 3000; i++)
        push(o, i % 500 ? SLICE("element") : slice_of(big, sizeof big));
    struct obj *back = reload(o);
    same(o, back);
    assert_string_equal(obj_encoding(back), "quicklist");
    struct value v;
    struct err err;
    assert_int_equal(list_ops.copy(o, &v, &err), 0);
    same(o, db_set(&store->dbs[0], SLICE("copy2"), v, false));
}

static void test_damage(void **state)
{
    struct obj *o = fresh();
    struct buf b = {0};
    for (int i = 0; i < 5; i++)
        push(o, SLICE("abc"));
    struct rdb_out out = {.to = &b};
    list_ops.save(o, &out);
    for (size_t cut = 0; cut < b.len; cut++) {
        struct rdb_in in = {.p = (const uint8_t *)b.p, .end = (const uint8_t *)b.p + cut};
        struct value v;
        struct err err;
        assert_true(list_ops.load(RDB_LIST_QUICKLIST_2, &in, &v, &err) < 0);
        assert_true(err.msg[0] != 0);
        buf_release(&in.scratch);
    }
    struct rng r;
    rng_seed(&r, 3);
    for (int i = 0; i < 20000; i++) { /* any answer but a crash, and what loads can be walked */
        char bytes[64];
        memcpy(bytes, b.p, b.len);
        for (int k = 0; k < 3; k++)
            bytes[rng_below(&r, b.len)] = (char)rng_next(&r);
        struct rdb_in in = {.p = (const uint8_t *)bytes, .end = (const uint8_t *)bytes + b.len};
        struct value v;
        if (list_ops.load(rng_below(&r, 2) ? RDB_LIST : RDB_LIST_QUICKLIST_2, &in, &v, NULL) == 0) {
            struct obj *got = db_set(&store->dbs[0], SLICE("d"), v, false);
            uint8_t sha[20] = {0};
            list_ops.digest(got, sha);
        }
        buf_release(&in.scratch);
    }
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),   cmocka_unit_test(test_encoding), cmocka_unit_test(test_remove_merges),
        cmocka_unit_test(test_payload), cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests_name("store/list", tests, setup, teardown);
}
