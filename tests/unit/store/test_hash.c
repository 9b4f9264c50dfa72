/* Hashes against a plain model, across the change from listpack to table; scan's guarantee; randomness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/setting.h"
#include "store/db.h"
#include "store/t_hash.h"
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
    return db_set(&store->dbs[0], SLICE("h"), hash_new(), false);
}

static void set(const char *name, const char *value)
{
    struct err err;
    assert_int_equal(setting_set(setting_find(slice_str(name)), slice_str(value), false, &err), 0);
}

static void test_limits_decide_the_encoding(void **state)
{
    set("hash-max-ziplist-entries", "3");
    struct obj *o = fresh();
    assert_string_equal(obj_encoding(o), "listpack");
    for (int i = 0; i < 3; i++)
        hash_set(o, slice_str((const char *[]){"a", "b", "c"}[i]), SLICE("1"));
    assert_string_equal(obj_encoding(o), "listpack");
    hash_set(o, SLICE("c"), SLICE("2"));
    assert_string_equal(obj_encoding(o), "listpack");
    hash_set(o, SLICE("d"), SLICE("2"));
    assert_string_equal(obj_encoding(o), "hashtable");
    hash_del(o, SLICE("d"));
    assert_string_equal(obj_encoding(o), "hashtable");
    set("hash-max-listpack-entries", "512");

    char text[65];
    memset(text, 't', sizeof text);
    o = fresh();
    hash_set(o, SLICE("f"), slice_of(text, 64));
    assert_string_equal(obj_encoding(o), "listpack");
    hash_set(o, SLICE("f"), slice_of(text, 65));
    assert_string_equal(obj_encoding(o), "hashtable");
    o = fresh();
    hash_set(o, slice_of(text, 65), SLICE("v"));
    assert_string_equal(obj_encoding(o), "hashtable");
}

#define FIELDS 1000
static char *model[FIELDS]; /* the value of field i, NULL: absent */

static void check(const struct obj *o)
{
    size_t n = 0, seen = 0;
    char tmp[NUM_I64_MAX], name[16];
    struct slice v;
    for (int i = 0; i < FIELDS; i++) {
        struct slice f = slice_of(name, (size_t)snprintf(name, sizeof name, "%d", i));
        assert_int_equal(hash_get(o, f, &v, tmp), model[i] != NULL);
        if (!model[i])
            continue;
        n++;
        assert_true(slice_eq(v, slice_str(model[i])));
    }
    assert_int_equal(hash_len(o), n);
    struct hash_iter it;
    for (hash_iter_begin(&it, o); hash_iter_next(&it); seen++) {
        int64_t i;
        assert_true(num_to_i64(it.field, &i));
        assert_true(slice_eq(it.value, slice_str(model[i])));
    }
    hash_iter_end(&it);
    assert_int_equal(seen, n);
}

static void test_random_changes_match_model(void **state)
{
    struct rng r;
    rng_seed(&r, 3);
    for (int round = 0; round < 8; round++) {
        struct obj *o = fresh();
        int range = round % 2 ? FIELDS : 60;
        for (int step = 0; step < 4000; step++) {
            char name[16], value[200];
            int i = (int)rng_below(&r, (uint64_t)range);
            struct slice f = slice_of(name, (size_t)snprintf(name, sizeof name, "%d", i));
            if (rng_below(&r, 3) == 0) {
                assert_int_equal(hash_del(o, f), model[i] != NULL);
                mem_free(model[i]);
                model[i] = NULL;
            } else {
                size_t width = 1 + rng_below(&r, round < 4 ? 40 : 150);
                memset(value, '0', width);
                snprintf(value + width, sizeof value - width, "%d", step);
                assert_int_equal(hash_set(o, f, slice_str(value)), model[i] == NULL);
                mem_free(model[i]);
                model[i] = mem_strdup(value);
            }
            if (step % 500 == 0)
                check(o);
        }
        check(o);
        struct value copy;
        assert_int_equal(type_of(o)->copy(o, &copy, NULL), 0);
        check(db_set(&store->dbs[0], SLICE("copy"), copy, false));
        assert_true(obj_size(o, 0) > hash_len(o) * 2);
        for (int i = 0; i < FIELDS; i++) {
            mem_free(model[i]);
            model[i] = NULL;
        }
    }
}

static void mark(void *arg, struct slice field, struct slice value)
{
    int64_t i;
    assert_true(num_to_i64(field, &i));
    ((int *)arg)[i]++;
}

static void test_scan_sees_what_stays(void **state)
{
    struct obj *o = fresh();
    char name[16];
    for (int i = 0; i < 700; i++)
        hash_set(o, slice_of(name, (size_t)snprintf(name, sizeof name, "%d", i)), SLICE("v"));
    int seen[20000] = {0}, added = 700;
    uint64_t cursor = 0;
    do { /* the table grows, then shrinks, under the scan */
        cursor = hash_scan(o, cursor, mark, seen);
        for (int k = 0; k < 60 && added < 20000; k++, added++)
            hash_set(o, slice_of(name, (size_t)snprintf(name, sizeof name, "%d", added)), SLICE("v"));
    } while (cursor);
    for (int i = 0; i < 700; i++)
        assert_true(seen[i] > 0);
}

static void check_random(struct obj *o, int n)
{
    int count[600] = {0};
    struct rng r;
    rng_seed(&r, 11);
    for (int i = 0; i < n * 200; i++) {
        struct slice f, v;
        char ftmp[NUM_I64_MAX], vtmp[NUM_I64_MAX];
        int64_t at;
        hash_random(o, &r, &f, &v, ftmp, vtmp);
        assert_true(num_to_i64(f, &at) && at < n);
        count[at]++;
    }
    for (int i = 0; i < n; i++)
        assert_in_range(count[i], 40, 1000); /* 200 on average */
}

static void test_random_is_fair(void **state)
{
    char name[16];
    struct obj *o = fresh();
    for (int i = 0; i < 100; i++)
        hash_set(o, slice_of(name, (size_t)snprintf(name, sizeof name, "%d", i)), SLICE("v"));
    assert_int_equal(o->enc, ENC_LISTPACK);
    check_random(o, 100);
    for (int i = 100; i < 600; i++)
        hash_set(o, slice_of(name, (size_t)snprintf(name, sizeof name, "%d", i)), SLICE("v"));
    assert_int_equal(o->enc, ENC_HASHTABLE);
    check_random(o, 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_decide_the_encoding),
        cmocka_unit_test(test_random_changes_match_model),
        cmocka_unit_test(test_scan_sees_what_stays),
        cmocka_unit_test(test_random_is_fair),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
