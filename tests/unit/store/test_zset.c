/* Sorted sets against a plain model in both encodings: order, ranks, ranges, deletions; payloads that come back whole
 * and damaged ones that are refused; what a member costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/setting.h"
#include "store/db.h"
#include "store/rdb.h"
#include "store/t_zset.h"
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
    return db_set(&store->dbs[0], SLICE("z"), zset_new(), false);
}

static void set(const char *name, const char *value)
{
    struct err err;
    assert_int_equal(setting_set(setting_find(slice_str(name)), slice_str(value), false, &err), 0);
}

static void test_limits_decide_the_encoding(void **state)
{
    char text[65];
    set("zset-max-ziplist-entries", "3");
    struct obj *o = fresh();
    for (int i = 0; i < 3; i++)
        zset_set(o, slice_str((const char *[]){"a", "b", "c"}[i]), i);
    zset_set(o, SLICE("c"), 7);
    assert_string_equal(obj_encoding(o), "listpack");
    zset_set(o, SLICE("d"), 0);
    assert_string_equal(obj_encoding(o), "skiplist");
    zset_del(o, SLICE("d"));
    assert_string_equal(obj_encoding(o), "skiplist");
    set("zset-max-listpack-entries", "0");
    o = fresh();
    zset_set(o, SLICE("a"), 1);
    assert_string_equal(obj_encoding(o), "skiplist");
    set("zset-max-listpack-entries", "128");

    memset(text, 't', sizeof text);
    o = fresh();
    zset_set(o, slice_of(text, 64), 1);
    assert_string_equal(obj_encoding(o), "listpack");
    zset_set(o, slice_of(text, 65), 1);
    assert_string_equal(obj_encoding(o), "skiplist");
}

static void check_add(struct obj *o, double score, unsigned conditions, enum zset_outcome want, double now)
{
    double s = score;
    assert_int_equal(zset_add(o, SLICE("m"), &s, conditions), want);
    if (want != ZSET_NOTHING && want != ZSET_NAN)
        assert_true(s == now);
    bool there = zset_score(o, SLICE("m"), &s);
    assert_int_equal(there, !isnan(now));
    if (there)
        assert_true(s == now);
}

static void check_conditions(struct obj *o)
{
    check_add(o, 1, ZSET_XX, ZSET_NOTHING, NAN);
    check_add(o, 1, ZSET_NX, ZSET_ADDED, 1);
    check_add(o, 2, ZSET_NX, ZSET_NOTHING, 1);
    check_add(o, 1, ZSET_XX, ZSET_SAME, 1);
    check_add(o, 1, ZSET_GT, ZSET_NOTHING, 1);
    check_add(o, 3, ZSET_GT, ZSET_CHANGED, 3);
    check_add(o, 4, ZSET_LT, ZSET_NOTHING, 3);
    check_add(o, -1, ZSET_LT | ZSET_XX, ZSET_CHANGED, -1);
    check_add(o, 2.5, ZSET_INCR, ZSET_CHANGED, 1.5);
    check_add(o, -1, ZSET_INCR | ZSET_GT, ZSET_NOTHING, 1.5);
    check_add(o, INFINITY, 0, ZSET_CHANGED, INFINITY);
    check_add(o, -INFINITY, ZSET_INCR, ZSET_NAN, INFINITY);
    check_add(o, 5, ZSET_INCR, ZSET_SAME, INFINITY);
}

static void test_conditions(void **state)
{
    struct obj *o = fresh();
    check_conditions(o);
    assert_string_equal(obj_encoding(o), "listpack");
    set("zset-max-listpack-entries", "0");
    o = fresh();
    zset_set(o, SLICE("other"), 2);
    check_conditions(o);
    assert_string_equal(obj_encoding(o), "skiplist");
    set("zset-max-listpack-entries", "128");
}

/* --- the model: an array that is sorted anew each time --- */

#define MEMBERS 700
struct row {
    char name[24];
    double score;
};
static double model[MEMBERS]; /* NAN: absent */
static struct row sorted[MEMBERS];
static size_t count;

static struct slice name_of(int i, char to[24])
{
    return slice_of(to, (size_t)snprintf(to, 24, i % 3 ? "member-%d" : "%d", i));
}

static int by_score(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return x->score != y->score ? (x->score > y->score) - (x->score < y->score) : strcmp(x->name, y->name);
}

static void sort_model(void)
{
    count = 0;
    for (int i = 0; i < MEMBERS; i++)
        if (!isnan(model[i])) {
            name_of(i, sorted[count].name);
            sorted[count++].score = model[i];
        }
    qsort(sorted, count, sizeof *sorted, by_score);
}

static void clear_model(void)
{
    for (int i = 0; i < MEMBERS; i++)
        model[i] = NAN;
}

static void check_walk(const struct obj *o, size_t from, bool back)
{
    struct zset_iter it;
    size_t at = from, n = back ? from + 1 : count - from;
    for (zset_iter_begin(&it, o, from, back); n; n--, at += back ? (size_t)-1 : 1) {
        assert_true(zset_iter_next(&it));
        assert_true(slice_eq(it.member, slice_str(sorted[at].name)));
        assert_true(it.score == sorted[at].score);
    }
    assert_false(zset_iter_next(&it));
}

static void check(const struct obj *o, struct rng *r)
{
    double score;
    sort_model();
    assert_int_equal(zset_len(o), count);
    for (size_t i = 0; i < count; i++) {
        struct slice m = slice_str(sorted[i].name);
        assert_true(zset_score(o, m, &score) && score == sorted[i].score);
        assert_int_equal(zset_rank(o, m, false, &score), (int64_t)i);
        assert_int_equal(zset_rank(o, m, true, &score), (int64_t)(count - 1 - i));
    }
    assert_int_equal(zset_rank(o, SLICE("nobody"), false, &score), -1);
    if (count == 0)
        return;
    check_walk(o, 0, false);
    check_walk(o, count - 1, true);
    check_walk(o, rng_below(r, count), false);
    check_walk(o, rng_below(r, count), true);
}

static void check_score_range(const struct obj *o, struct rng *r)
{
    struct zset_range q = {
        .by = ZSET_BY_SCORE, .min = (double)rng_below(r, 42) - 1, .max = (double)rng_below(r, 42) - 1};
    q.min_excluded = rng_below(r, 2);
    q.max_excluded = rng_below(r, 2);
    size_t start, n, first = 0, hits = 0;
    zset_find_range(o, &q, &start, &n);
    for (size_t i = 0; i < count; i++) {
        double s = sorted[i].score;
        if ((q.min_excluded ? s <= q.min : s < q.min))
            first++;
        else if (q.max_excluded ? s < q.max : s <= q.max)
            hits++;
    }
    assert_int_equal(n, hits);
    if (n)
        assert_int_equal(start, first);
}

static double random_score(struct rng *r, int round)
{
    if (round % 3 == 0)
        return (double)rng_below(r, 40);
    if (round % 3 == 1)
        return rng_double(r) * 40;
    return rng_below(r, 20) ? (double)rng_below(r, 5) : rng_below(r, 2) ? INFINITY : -INFINITY;
}

static void delete_some(struct obj *o, struct rng *r)
{
    sort_model();
    size_t start = rng_below(r, count + 1), n = rng_below(r, count - start + 1);
    n = n > 20 ? 20 : n;
    zset_delete_range(o, start, n);
    for (int i = 0; i < MEMBERS; i++) {
        char name[24];
        name_of(i, name);
        for (size_t k = start; k < start + n; k++)
            if (strcmp(sorted[k].name, name) == 0)
                model[i] = NAN;
    }
}

static void check_copy(struct obj *o, struct rng *r)
{
    struct value copy;
    uint8_t one[20] = {0}, two[20] = {0};
    assert_int_equal(type_of(o)->copy(o, &copy, NULL), 0);
    struct obj *c = db_set(&store->dbs[0], SLICE("copy"), copy, false);
    check(c, r);
    type_of(o)->digest(o, one);
    type_of(c)->digest(c, two);
    assert_memory_equal(one, two, 20);
    assert_true(obj_size(o, 0) > zset_len(o) * 2);
    zset_set(c, SLICE("only here"), 1);
    check(o, r);
}

static void check_payload(struct obj *o, struct rng *r)
{
    struct buf bytes = {0};
    struct value v;
    struct err err;
    if (zset_len(o) == 0)
        return;
    rdb_dump(o, &bytes, false);
    assert_int_equal(rdb_restore(buf_slice(&bytes), &v, false, &err), 0);
    struct obj *c = db_set(&store->dbs[0], SLICE("restored"), v, false);
    check(c, r);
    buf_release(&bytes);
}

static void test_random_changes_match_model(void **state)
{
    struct rng r;
    rng_seed(&r, 17);
    for (int round = 0; round < 12; round++) {
        struct obj *o = fresh();
        int range = round % 2 ? MEMBERS : 60;
        clear_model();
        for (int step = 0; step < 4000; step++) {
            char name[24];
            int i = (int)rng_below(&r, (uint64_t)range);
            struct slice m = name_of(i, name);
            if (rng_below(&r, 400) == 0) {
                delete_some(o, &r);
            } else if (rng_below(&r, 4) == 0) {
                assert_int_equal(zset_del(o, m), !isnan(model[i]));
                model[i] = NAN;
            } else {
                double s = random_score(&r, round);
                enum zset_outcome want = isnan(model[i]) ? ZSET_ADDED : model[i] == s ? ZSET_SAME : ZSET_CHANGED;
                model[i] = s;
                assert_int_equal(zset_add(o, m, &s, 0), want);
            }
            if (step % 400 == 0) {
                check(o, &r);
                for (int k = 0; k < 20; k++)
                    check_score_range(o, &r);
            }
        }
        assert_int_equal(o->enc, round % 2 ? ENC_SKIPLIST : ENC_LISTPACK);
        check(o, &r);
        check_copy(o, &r);
        check_payload(o, &r);
    }
}

/* --- strings --- */

static void check_lex(const struct obj *o, struct zset_range q, size_t want_start, size_t want_n)
{
    size_t start, n;
    q.by = ZSET_BY_LEX;
    zset_find_range(o, &q, &start, &n);
    assert_int_equal(n, want_n);
    if (n)
        assert_int_equal(start, want_start);
}

static void check_lex_ranges(struct obj *o)
{
    for (char ch = 'a'; ch <= 'j'; ch++)
        zset_set(o, slice_of(&ch, 1), 0);
    check_lex(o, (struct zset_range){.min_inf = -1, .max_inf = 1}, 0, 10);
    check_lex(o, (struct zset_range){.min_inf = 1, .max_inf = -1}, 0, 0);
    check_lex(o, (struct zset_range){.lmin = SLICE("c"), .max_inf = 1}, 2, 8);
    check_lex(o, (struct zset_range){.lmin = SLICE("c"), .min_excluded = true, .max_inf = 1}, 3, 7);
    check_lex(o, (struct zset_range){.min_inf = -1, .lmax = SLICE("c")}, 0, 3);
    check_lex(o, (struct zset_range){.min_inf = -1, .lmax = SLICE("c"), .max_excluded = true}, 0, 2);
    check_lex(o, (struct zset_range){.lmin = SLICE("bb"), .lmax = SLICE("dd")}, 2, 2);
    check_lex(o, (struct zset_range){.lmin = SLICE("d"), .lmax = SLICE("c")}, 0, 0);
    check_lex(o, (struct zset_range){.lmin = SLICE("c"), .lmax = SLICE("c"), .max_excluded = true}, 0, 0);
    check_lex(o, (struct zset_range){.lmin = SLICE(""), .lmax = SLICE("z")}, 0, 10);
}

static void test_ranges_of_strings(void **state)
{
    check_lex_ranges(fresh());
    set("zset-max-listpack-entries", "0");
    check_lex_ranges(fresh());
    set("zset-max-listpack-entries", "128");
}

/* --- scanning and drawing --- */

static void mark(void *arg, struct slice member, double score)
{
    assert_true(score >= 0 && score < 20000);
    ((int *)arg)[(int)score]++;
}

static void test_scan_sees_what_stays(void **state)
{
    struct obj *o = fresh();
    char name[24];
    for (int i = 0; i < 700; i++)
        zset_set(o, name_of(i, name), i);
    static int seen[20000];
    int added = 700;
    uint64_t cursor = 0;
    do {
        cursor = zset_scan(o, cursor, mark, seen);
        for (int k = 0; k < 60 && added < 20000; k++, added++)
            zset_set(o, name_of(added, name), added);
    } while (cursor);
    for (int i = 0; i < 700; i++)
        assert_true(seen[i] > 0);
}

static void check_random(int n)
{
    struct obj *o = fresh();
    int drawn[600] = {0};
    char name[24], tmp[NUM_I64_MAX];
    struct rng r;
    rng_seed(&r, 11);
    for (int i = 0; i < n; i++)
        zset_set(o, name_of(i, name), i);
    for (int i = 0; i < n * 200; i++) {
        struct slice m;
        double score;
        zset_random(o, &r, &m, &score, tmp);
        assert_true(slice_eq(m, name_of((int)score, name)));
        drawn[(int)score]++;
    }
    for (int i = 0; i < n; i++)
        assert_in_range(drawn[i], 40, 1000); /* 200 on average */
}

static void test_random_is_fair(void **state)
{
    check_random(100);
    check_random(600);
}

/* --- payloads from outside --- */

static void footer(struct buf *b)
{
    uint64_t crc;
    buf_add(b, "\x0a\0", 2);
    crc = crc64_redis(0, b->p, b->len);
    buf_add(b, &crc, 8);
}

/* A payload of these bytes with a right checksum. */
static int restore(const char *bytes, size_t n, struct value *v, struct err *err)
{
    struct buf b = {0};
    buf_add(&b, bytes, n);
    footer(&b);
    int rc = rdb_restore(buf_slice(&b), v, false, err);
    buf_release(&b);
    return rc;
}

static void refused(const char *bytes, size_t n, const char *why)
{
    struct value v;
    struct err err = {0};
    assert_true(restore(bytes, n, &v, &err) < 0);
    if (!strstr(err.msg, why))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
}
#define REFUSED(bytes, why) refused(bytes, sizeof(bytes) - 1, why)

static void test_damaged_payloads_are_refused(void **state)
{
    REFUSED("\x05\x00", "empty");
    REFUSED("\x05\x09\x01"
            "a\0\0\0\0\0\0\0\0",
            "claims more");
    REFUSED("\x05\x01\x03"
            "a\0\0\0\0\0\0\0\0",
            "ends too early");
    REFUSED("\x05\x01\x01"
            "a\0\0\0\0\0\0\xf8\x7f",
            "not a number");
    REFUSED("\x05\x02\x01"
            "a\0\0\0\0\0\0\0\0\x01"
            "a\0\0\0\0\0\0\0\0",
            "same member twice");
    REFUSED("\x05\x01\x01"
            "a\0\0\0\0\0\0\0\0\0",
            "left over");
    REFUSED("\x03\x01\x01"
            "a\xfd",
            "not a number");
    REFUSED("\x03\x01\x01"
            "a\x05"
            "12",
            "too early");
    REFUSED("\x03\x01\x01"
            "a\x01x",
            "not a number");
    REFUSED("\x0c\x01\x00", "an older Redis");
    REFUSED("\x11\x07\x07\0\0\0\0\0\xff", "empty");
    REFUSED("\x11\x09\x09\0\0\0\x01\0\x01\x01\xff", "without a score");
    REFUSED("\x11\x0b\x0b\0\0\0\x02\0\x01\x01\x02\x02\xff", "damaged");                           /* one byte short */
    REFUSED("\x11\x0c\x0c\0\0\0\x02\0\x01\x01\x81x\x02\xff", "not a number");                     /* 1 -> "x" */
    REFUSED("\x11\x0f\x0f\0\0\0\x04\0\x01\x01\x02\x01\x01\x01\x02\x01\xff", "same member twice"); /* 1 2 1 2 */
    REFUSED("\x11\x0f\x0f\0\0\0\x04\0\x01\x01\x02\x01\x03\x01\x01\x01\xff", "out of order");      /* 1 2 3 1 */
}

static void test_old_form_is_read(void **state)
{
    static const char bytes[] = "\x03\x03\x01"
                                "a\xfe\x01"
                                "b\xff\x01"
                                "c\x03"
                                "1.5";
    struct value v;
    struct err err;
    double s;
    assert_int_equal(restore(bytes, sizeof bytes - 1, &v, &err), 0);
    struct obj *o = db_set(&store->dbs[0], SLICE("old"), v, false);
    assert_true(zset_score(o, SLICE("a"), &s) && s == INFINITY);
    assert_true(zset_score(o, SLICE("b"), &s) && s == -INFINITY);
    assert_true(zset_score(o, SLICE("c"), &s) && s == 1.5);
}

/* Every single changed byte of a payload is refused or gives a set that is in order. */
static void flip_all(struct obj *o)
{
    struct buf bytes = {0};
    rdb_dump(o, &bytes, false);
    for (size_t i = 0; i < bytes.len - 10; i++)
        for (int bit = 0; bit < 8; bit++) {
            struct value v;
            struct err err;
            bytes.p[i] ^= (char)(1 << bit);
            if (restore(bytes.p, bytes.len - 10, &v, &err) == 0) {
                struct obj *c = db_set(&store->dbs[0], SLICE("flipped"), v, false);
                struct zset_iter it;
                double last = -INFINITY;
                if (c->type == OBJ_ZSET)
                    for (zset_iter_begin(&it, c, 0, false); zset_iter_next(&it); last = it.score)
                        assert_true(it.score >= last);
            }
            bytes.p[i] ^= (char)(1 << bit);
        }
    buf_release(&bytes);
}

static void test_flipped_bits(void **state)
{
    char name[24];
    struct obj *o = fresh();
    for (int i = 0; i < 12; i++)
        zset_set(o, name_of(i, name), i * 1.5 - 3);
    flip_all(o);
    set("zset-max-listpack-entries", "5");
    o = fresh();
    for (int i = 0; i < 12; i++)
        zset_set(o, name_of(i, name), i * 1.5 - 3);
    flip_all(o);
    set("zset-max-listpack-entries", "128");
}

static void test_limits_hold_for_what_is_loaded(void **state)
{
    char name[24];
    struct obj *o = fresh();
    struct rng r;
    rng_seed(&r, 5);
    clear_model();
    for (int i = 0; i < 100; i++)
        zset_set(o, name_of(i, name), model[i] = i % 7);
    struct buf bytes = {0};
    struct value v;
    struct err err;
    rdb_dump(o, &bytes, false);
    set("zset-max-listpack-entries", "99");
    assert_int_equal(rdb_restore(buf_slice(&bytes), &v, false, &err), 0);
    set("zset-max-listpack-entries", "128");
    assert_int_equal(v.enc, ENC_SKIPLIST);
    check(db_set(&store->dbs[0], SLICE("large"), v, false), &r);
    buf_release(&bytes);
}

static void test_what_a_member_costs(void **state)
{
    char name[24];
    struct obj *o = fresh();
    enum { N = 100000 };
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "member:%06d", i);
        zset_set(o, slice_str(name), i);
    }
    double each = (double)obj_size(o, 0) / N;
    print_message("%.1f bytes a member\n", each);
    assert_true(each < 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_decide_the_encoding),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_random_changes_match_model),
        cmocka_unit_test(test_ranges_of_strings),
        cmocka_unit_test(test_scan_sees_what_stays),
        cmocka_unit_test(test_random_is_fair),
        cmocka_unit_test(test_damaged_payloads_are_refused),
        cmocka_unit_test(test_old_form_is_read),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_limits_hold_for_what_is_loaded),
        cmocka_unit_test(test_what_a_member_costs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
