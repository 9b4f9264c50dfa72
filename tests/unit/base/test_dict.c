/* The hash table: a model test against a plain array, SCAN's guarantee under resizing, removal while iterating. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/dict.h"
#include "base/mem.h"

struct entry {
    char key[24];
    int seen;
};

static struct slice key_of(const void *e)
{
    return slice_str(((const struct entry *)e)->key);
}

static const struct dict_type type = {.key = key_of, .free = mem_free};
static const struct dict_type fold = {.key = key_of, .free = mem_free, .fold_case = true};

static struct entry *make(int n)
{
    struct entry *e = mem_zero(sizeof *e);
    snprintf(e->key, sizeof e->key, "key:%d", n);
    return e;
}

static void random_ops_agree_with_a_model(void **state)
{
    enum { KEYS = 5000, OPS = 200000 };
    static bool in[KEYS];
    struct dict d;
    struct rng r;
    char key[24];
    size_t count = 0, right = 0, there = 0;
    dict_init(&d, &type);
    rng_seed(&r, 7);
    for (int i = 0; i < OPS; i++) {
        int k = (int)rng_below(&r, i < OPS / 2 ? KEYS : KEYS / 50); /* later only few: the table shrinks */
        snprintf(key, sizeof key, "key:%d", k);
        assert_int_equal(dict_find(&d, slice_str(key)) != NULL, in[k]);
        uint64_t h = dict_hash(&d, slice_str(key));
        struct entry *guess = dict_guess(&d, h);
        dict_prefetch(&d, h);
        if (guess) /* some entry of the table */
            assert_ptr_equal(dict_find(&d, key_of(guess)), guess);
        assert_ptr_equal(dict_find_hashed(&d, slice_str(key), h), dict_find(&d, slice_str(key)));
        there += in[k];
        right += in[k] && guess == dict_find(&d, slice_str(key));
        if (!in[k] && rng_below(&r, 100) < 60) {
            dict_add(&d, make(k));
            in[k] = true;
            count++;
        } else if (in[k]) {
            struct entry *e = dict_remove(&d, slice_str(key));
            assert_non_null(e);
            assert_string_equal(e->key, key);
            mem_free(e);
            in[k] = false;
            count--;
        }
        assert_int_equal(dict_count(&d), count);
    }
    for (int k = 0; k < KEYS; k++) {
        snprintf(key, sizeof key, "key:%d", k);
        assert_int_equal(dict_find(&d, slice_str(key)) != NULL, in[k]);
    }
    assert_true(there > OPS / 4 && right > there / 10 * 8); /* wrong: two tags that agree, or behind a bucket's link */
    dict_release(&d);
}

static void mark(void *arg, void *entry)
{
    ((struct entry *)entry)->seen++;
}

/* Entries 0..N-1 stay during the scan; others come and go so that the table grows and shrinks under the cursor. */
static void scan_reports_all_that_stay(void **state)
{
    enum { N = 1000 };
    for (unsigned seed = 0; seed < 20; seed++) {
        struct dict d;
        struct rng r;
        struct entry *stay[N];
        uint64_t cursor = 0;
        int extra = 0, turns = 0;
        bool grow = seed & 1;
        char key[24];
        dict_init(&d, &type);
        rng_seed(&r, seed);
        for (int i = 0; i < N; i++)
            dict_add(&d, stay[i] = make(i));
        if (!grow)
            for (; extra < 20000; extra++)
                dict_add(&d, make(N + extra));
        do {
            cursor = dict_scan(&d, cursor, mark, NULL);
            for (int i = 0; i < (int)rng_below(&r, 200); i++) {
                if (grow && extra < 30000) {
                    dict_add(&d, make(N + extra++));
                } else if (!grow && extra > 0) {
                    snprintf(key, sizeof key, "key:%d", N + --extra);
                    mem_free(dict_remove(&d, slice_str(key)));
                }
            }
            assert_true(++turns < 100000);
        } while (cursor);
        for (int i = 0; i < N; i++)
            assert_true(stay[i]->seen >= 1);
        dict_release(&d);
    }
}

static void iteration_sees_each_once_and_allows_removal(void **state)
{
    struct dict d;
    struct dict_iter it;
    struct entry *e;
    int n = 0;
    dict_init(&d, &type);
    for (int i = 0; i < 3000; i++)
        dict_add(&d, make(i));
    for (dict_iter_begin(&it, &d); (e = dict_iter_next(&it));) {
        assert_int_equal(e->seen++, 0);
        if (++n % 3 == 0) {
            assert_ptr_equal(dict_remove(&d, slice_str(e->key)), e);
            mem_free(e);
        }
    }
    dict_iter_end(&it);
    assert_int_equal(n, 3000);
    assert_int_equal(dict_count(&d), 2000);
    dict_release(&d);
}

static void random_entries_cover_the_table_evenly(void **state)
{
    struct dict d;
    struct rng r;
    struct entry *all[100];
    dict_init(&d, &type);
    rng_seed(&r, 3);
    for (int i = 0; i < 100; i++)
        dict_add(&d, all[i] = make(i));
    for (int i = 0; i < 100000; i++)
        ((struct entry *)dict_random(&d, &r))->seen++;
    for (int i = 0; i < 100; i++)
        assert_in_range(all[i]->seen, 500, 2000); /* 1000 expected */
    dict_release(&d);
}

static void case_folding_tables_ignore_case(void **state)
{
    struct dict d;
    dict_init(&d, &fold);
    dict_add(&d, make(1));
    assert_non_null(dict_find(&d, SLICE("KEY:1")));
    assert_null(dict_find(&d, SLICE("KEY:2")));
    dict_release(&d);
}

static void tables_stay_small(void **state)
{
    struct dict d;
    dict_init(&d, &type);
    for (int i = 0; i < 100000; i++)
        dict_add(&d, make(i));
    while (dict_rehash(&d, 100))
        ;
    assert_true(dict_bytes(&d) < 100000 * 24);
    char key[24];
    for (int i = 0; i < 99990; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        mem_free(dict_remove(&d, slice_str(key)));
    }
    while (dict_rehash(&d, 100))
        ;
    assert_true(dict_bytes(&d) < 100000);
    dict_release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_ops_agree_with_a_model),
        cmocka_unit_test(scan_reports_all_that_stay),
        cmocka_unit_test(iteration_sees_each_once_and_allows_removal),
        cmocka_unit_test(random_entries_cover_the_table_evenly),
        cmocka_unit_test(case_folding_tables_ignore_case),
        cmocka_unit_test(tables_stay_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
