/* Streams against a plain array, across nodes, deletions and trims; ids; payloads of redis-server; damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/setting.h"
#include "store/db.h"
#include "store/rdb.h"
#include "store/t_stream.h"
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
    return db_set(&store->dbs[0], SLICE("s"), stream_new(), false);
}

static void set(const char *name, const char *value)
{
    struct err err;
    assert_int_equal(setting_set(setting_find(slice_str(name)), slice_str(value), false, &err), 0);
}

/* --- ids --- */

static void test_ids(void **state)
{
    struct sid id;
    char text[SID_TEXT];
    bool any;
    assert_true(sid_parse(SLICE("5"), 7, &id, NULL) && id.ms == 5 && id.seq == 7);
    assert_true(sid_parse(SLICE("5-3"), 7, &id, NULL) && id.ms == 5 && id.seq == 3);
    assert_true(sid_parse(SLICE("18446744073709551615-18446744073709551615"), 0, &id, NULL));
    assert_int_equal(sid_cmp(id, SID_MAX), 0);
    assert_true(slice_eq(sid_format(id, text), SLICE("18446744073709551615-18446744073709551615")));
    assert_false(sid_next(&id));
    assert_true(sid_prev(&id) && id.seq == UINT64_MAX - 1);
    assert_true(sid_parse(SLICE("9-*"), 0, &id, &any) && any && id.ms == 9 && id.seq == 0);
    static const char *const bad[] = {"",    "-",   "5-",  "-5",   "5-3-1", "a", "5-a", "5-*",
                                      "5 ", "0x5", "18446744073709551616", "-1-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(sid_parse(slice_str(bad[i]), 0, &id, NULL));
    static const char *const lax[] = {"05", "+5", " 5"}; /* Redis takes them */
    for (size_t i = 0; i < sizeof lax / sizeof *lax; i++)
        assert_true(sid_parse(slice_str(lax[i]), 0, &id, NULL) && id.ms == 5 && id.seq == 0);
    id = (struct sid){4, UINT64_MAX};
    assert_true(sid_next(&id) && id.ms == 5 && id.seq == 0);
    assert_true(sid_prev(&id) && id.ms == 4 && id.seq == UINT64_MAX);
    id = SID_MIN;
    assert_false(sid_prev(&id));
}

/* --- the model: ids in order; an entry's fields follow from its id --- */

#define MODEL_MAX 6000

struct model {
    struct sid at[MODEL_MAX];
    size_t n;
};

static size_t pairs_of(struct sid id, struct slice *pairs, char text[4][32])
{
    size_t n = 1 + (id.seq % 7 == 0); /* mostly the same names: entries share them */
    for (size_t i = 0; i < n; i++) {
        pairs[2 * i] = i ? SLICE("other") : SLICE("name");
        pairs[2 * i + 1] = slice_of(text[i], (size_t)sprintf(text[i], "%llu/%zu", (unsigned long long)id.seq, i));
    }
    return n;
}

static void add(struct obj *o, struct model *m, struct sid id)
{
    struct slice pairs[4];
    char text[4][32];
    size_t n = pairs_of(id, pairs, text);
    assert_true(stream_append(o, id, pairs, n));
    m->at[m->n++] = id;
}

static void check_entry(struct stream_iter *it, struct sid want)
{
    struct slice pairs[4];
    char text[4][32], ftmp[NUM_I64_MAX], vtmp[NUM_I64_MAX];
    assert_int_equal(sid_cmp(it->id, want), 0);
    assert_int_equal(it->fields, pairs_of(want, pairs, text));
    for (int64_t i = 0; i < it->fields; i++) {
        struct slice f, v;
        stream_iter_pair(it, &f, ftmp, &v, vtmp);
        assert_true(slice_eq(f, pairs[2 * i]) && slice_eq(v, pairs[2 * i + 1]));
    }
}

static void compare(const struct obj *o, const struct model *m, struct sid from, struct sid to)
{
    struct stream_iter it;
    size_t low = 0, high = m->n;
    while (low < m->n && sid_cmp(m->at[low], from) < 0)
        low++;
    while (high > low && sid_cmp(m->at[high - 1], to) > 0)
        high--;
    size_t i = low;
    for (stream_iter_begin(&it, o, from, to, false); stream_iter_next(&it); i++)
        check_entry(&it, m->at[i]);
    assert_int_equal(i, high);
    for (stream_iter_begin(&it, o, from, to, true); stream_iter_next(&it);)
        check_entry(&it, m->at[--i]);
    assert_int_equal(i, low);
}

static void model_cut(struct model *m, size_t at, size_t n)
{
    memmove(m->at + at, m->at + at + n, (m->n - at - n) * sizeof *m->at);
    m->n -= n;
}

static void check_info(const struct obj *o, const struct model *m)
{
    struct stream_info i = stream_info(o);
    assert_int_equal(i.length, m->n);
    assert_int_equal(sid_cmp(i.first, m->n ? m->at[0] : SID_MIN), 0);
    if (m->n)
        assert_true(sid_cmp(i.last, m->at[m->n - 1]) >= 0);
}

static void trim(struct rng *r, struct obj *o, struct model *m)
{
    struct stream_trim t = {.by_id = rng_below(r, 2), .approx = rng_below(r, 2)};
    size_t want = m->n ? rng_below(r, m->n + 5) : 3, keep = want < m->n ? want : m->n;
    if (m->n > 200 && rng_below(r, 4))
        keep = want = m->n - rng_below(r, 40);
    t.maxlen = want;
    t.minid = keep ? m->at[m->n - keep] : SID_MAX;
    uint64_t gone = stream_trim(o, &t);
    if (t.approx)
        assert_true(gone <= m->n - keep);
    else
        assert_int_equal(gone, m->n - keep);
    model_cut(m, 0, gone);
}

static void walk(uint64_t seed, const char *bytes, const char *entries)
{
    static struct model m;
    struct rng r;
    struct sid next = {1, 0};
    m.n = 0;
    rng_seed(&r, seed);
    set("stream-node-max-bytes", bytes);
    set("stream-node-max-entries", entries);
    struct obj *o = fresh();
    for (int i = 0; i < 5000; i++) {
        uint64_t what = rng_below(&r, 40);
        size_t at = m.n ? rng_below(&r, m.n) : 0;
        if (what < 30) {
            next = rng_below(&r, 3) ? (struct sid){next.ms, next.seq + 1} : (struct sid){next.ms + 1, rng_below(&r, 9)};
            add(o, &m, next);
        } else if (what < 38 && m.n) {
            assert_true(stream_delete(o, m.at[at]));
            assert_false(stream_delete(o, m.at[at]));
            model_cut(&m, at, 1);
        } else if (what == 39 && rng_below(&r, 4) == 0) {
            trim(&r, o, &m);
        }
        if (i % 40 == 0) {
            struct sid from = m.n ? m.at[at] : SID_MIN;
            compare(o, &m, from, (struct sid){from.ms + rng_below(&r, 90), rng_below(&r, 5)});
            check_info(o, &m);
        }
    }
    compare(o, &m, SID_MIN, SID_MAX);
    check_info(o, &m);
    set("stream-node-max-bytes", "4096");
    set("stream-node-max-entries", "100");
}

static void test_model(void **state)
{
    walk(1, "4096", "100");
    walk(2, "200", "0");
    walk(3, "0", "3");
    walk(4, "0", "1");
    walk(5, "0", "0");
}

static void test_trim_limit(void **state)
{
    static struct model m;
    struct obj *o = fresh();
    m.n = 0;
    set("stream-node-max-entries", "10");
    for (uint64_t i = 1; i <= 100; i++)
        add(o, &m, (struct sid){i, 0});
    struct stream_trim t = {.approx = true, .maxlen = 0, .limit = 35};
    assert_int_equal(stream_trim(o, &t), 30); /* whole nodes of ten */
    t = (struct stream_trim){.approx = true, .maxlen = 65};
    assert_int_equal(stream_trim(o, &t), 0);
    t.approx = false;
    assert_int_equal(stream_trim(o, &t), 5);
    assert_int_equal(stream_info(o).max_deleted.ms, 0); /* trimming is no deletion, as in Redis */
    set("stream-node-max-entries", "100");
}

static void test_no_room(void **state)
{
    struct obj *o = fresh();
    static char byte;
    struct slice pair[2] = {SLICE("f"), slice_of(&byte, 2u << 30)}; /* refused by its length: not read */
    assert_false(stream_append(o, (struct sid){1, 0}, pair, 1));
    assert_int_equal(stream_info(o).length, 0);
    assert_int_equal(stream_info(o).nodes, 0);
}

/* --- payloads --- */

/* DUMP of redis-server 7.0.15 after XADD s 1-1 a 1 b two; XADD s 1-2 a 3 b four; XADD s 2-0 c x; XDEL s 1-1. */
#define DUMP_REDIS                                                                                                     \
    "\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x40\x45\x45\x00\x00\x00\x19\x00\x02" \
    "\x01\x01\x01\x02\x01\x81\x61\x02\x81\x62\x02\x00\x01\x03\x01\x00\x01\x00\x01\x01\x01\x83\x74\x77\x6f\x04\x05\x01" \
    "\x02\x01\x00\x01\x01\x01\x03\x01\x84\x66\x6f\x75\x72\x05\x05\x01\x00\x01\x01\x01\xdf\xff\x02\x01\x01\x81\x63\x02" \
    "\x81\x78\x02\x06\x01\xff\x02\x02\x00\x01\x02\x01\x01\x03\x00\x0a\x00\xa5\xd0\x63\xa0\x76\x61\x52\xad"

static void test_from_redis(void **state)
{
    struct value v;
    struct err err;
    struct stream_iter it;
    struct slice f, x;
    char ftmp[NUM_I64_MAX], vtmp[NUM_I64_MAX];
    assert_int_equal(rdb_restore(SLICE(DUMP_REDIS), &v, false, &err), 0);
    struct obj *o = db_set(&store->dbs[0], SLICE("redis"), v, false);
    struct stream_info i = stream_info(o);
    assert_true(i.length == 2 && i.added == 3 && i.last.ms == 2 && i.first.seq == 2 && i.max_deleted.seq == 1);
    stream_iter_begin(&it, o, SID_MIN, SID_MAX, true);
    assert_true(stream_iter_next(&it) && it.id.ms == 2 && it.fields == 1);
    stream_iter_pair(&it, &f, ftmp, &x, vtmp);
    assert_true(slice_eq(f, SLICE("c")) && slice_eq(x, SLICE("x")));
    assert_true(stream_iter_next(&it) && it.id.seq == 2 && it.fields == 2);
    stream_iter_pair(&it, &f, ftmp, &x, vtmp);
    assert_true(slice_eq(f, SLICE("a")) && slice_eq(x, SLICE("3")));
    assert_false(stream_iter_next(&it));
    struct buf b = {0};
    rdb_dump(o, &b, false);
    assert_int_equal(rdb_restore(buf_slice(&b), &v, false, &err), 0);
    value_release(&v);
    buf_release(&b);
}

static void test_round_trip(void **state)
{
    static struct model m;
    struct obj *o = fresh();
    m.n = 0;
    for (uint64_t i = 1; i <= 3000; i++)
        add(o, &m, (struct sid){i / 3 + 1, i});
    for (size_t i = 0; i < m.n; i += 2) {
        assert_true(stream_delete(o, m.at[i]));
        model_cut(&m, i, 1);
    }
    struct buf b = {0};
    struct value v;
    struct err err;
    rdb_dump(o, &b, false);
    assert_int_equal(rdb_restore(buf_slice(&b), &v, false, &err), 0);
    struct obj *back = db_set(&store->dbs[0], SLICE("back"), v, false);
    compare(back, &m, SID_MIN, SID_MAX);
    check_info(back, &m);
    struct stream_info x = stream_info(o), y = stream_info(back);
    assert_memory_equal(&x, &y, sizeof x);
    uint8_t sha[2][20] = {0};
    stream_ops.digest(o, sha[0]);
    stream_ops.digest(back, sha[1]);
    assert_memory_equal(sha[0], sha[1], 20);
    assert_int_equal(stream_ops.copy(o, &v, &err), 0);
    compare(db_set(&store->dbs[0], SLICE("copy"), v, false), &m, SID_MIN, SID_MAX);
    buf_release(&b);
}

static void test_damage(void **state)
{
    static struct model m;
    struct obj *o = fresh();
    struct buf b = {0};
    m.n = 0;
    for (uint64_t i = 1; i <= 12; i++)
        add(o, &m, (struct sid){i, i});
    assert_true(stream_delete(o, m.at[4]));
    struct rdb_out out = {.to = &b};
    stream_ops.save(o, &out);
    for (size_t cut = 0; cut < b.len; cut++) {
        struct rdb_in in = {.p = (const uint8_t *)b.p, .end = (const uint8_t *)b.p + cut};
        struct value v;
        struct err err;
        assert_true(stream_ops.load(RDB_STREAM_LISTPACKS_2, &in, &v, &err) < 0);
        buf_release(&in.scratch);
    }
    struct rng r;
    rng_seed(&r, 3);
    char bytes[1024];
    assert_true(b.len <= sizeof bytes);
    for (int i = 0; i < 60000; i++) { /* any answer but a crash; what loads can be walked, cut and added to */
        memcpy(bytes, b.p, b.len);
        for (uint64_t k = rng_below(&r, 3) + 1; k > 0; k--)
            bytes[rng_below(&r, b.len)] = (char)rng_next(&r);
        struct rdb_in in = {.p = (const uint8_t *)bytes, .end = (const uint8_t *)bytes + b.len};
        struct value v;
        uint8_t type = rng_below(&r, 3) ? RDB_STREAM_LISTPACKS_2 : RDB_STREAM_LISTPACKS;
        if (stream_ops.load(type, &in, &v, NULL) == 0) {
            struct obj *got = db_set(&store->dbs[0], SLICE("d"), v, false);
            uint8_t sha[20] = {0};
            stream_ops.digest(got, sha);
            struct stream_trim t = {.maxlen = rng_below(&r, 8)};
            stream_trim(got, &t);
            struct sid next = stream_info(got).last;
            struct slice pair[2] = {SLICE("name"), SLICE("v")};
            if (sid_next(&next))
                assert_true(stream_append(got, next, pair, 1));
        }
        buf_release(&in.scratch);
    }
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),     cmocka_unit_test(test_model),      cmocka_unit_test(test_trim_limit),
        cmocka_unit_test(test_no_room), cmocka_unit_test(test_from_redis), cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests_name("store/stream", tests, setup, teardown);
}
