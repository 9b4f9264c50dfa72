/* Listpacks against a plain model: an array of byte strings that undergoes the same changes. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "store/listpack.h"

static void assert_str(const uint8_t *at, struct slice want)
{
    char tmp[NUM_I64_MAX];
    struct slice got = listpack_str(at, tmp);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.p, want.p, want.len);
}

/* The bytes that Redis's own listpack.c makes of ["a", 5, -1, "hello"]. */
static void test_bytes_are_redis(void **state)
{
    static const uint8_t want[] = {0x16, 0,    0, 0,    4,   0,   0x81, 'a', 2,   5, 1,
                                   0xdf, 0xff, 2, 0x85, 'h', 'e', 'l',  'l', 'o', 6, 0xff};
    uint8_t *lp = listpack_create(0);
    listpack_append(&lp, SLICE("a"));
    listpack_append(&lp, SLICE("5"));
    listpack_append_int(&lp, -1);
    listpack_append(&lp, SLICE("hello"));
    assert_int_equal(listpack_bytes(lp), sizeof want);
    assert_memory_equal(lp, want, sizeof want);
    mem_free(lp);
}

static void test_integers_of_every_width(void **state)
{
    static const int64_t edges[] = {0,         1,          127,         128,       -1,       4095,
                                    4096,      -4096,      -4097,       32767,     32768,    -32768,
                                    -32769,    8388607,    8388608,     -8388608,  -8388609, INT32_MAX,
                                    INT32_MIN, 2147483648, -2147483649, INT64_MAX, INT64_MIN};
    static const size_t sizes[] = {2, 2, 2, 3, 3, 3, 4, 3, 4, 4, 5, 4, 5, 5, 6, 5, 6, 6, 6, 10, 10, 10, 10};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        uint8_t *lp = listpack_create(0);
        char text[NUM_I64_MAX];
        size_t n = num_from_i64(text, edges[i]);
        uint8_t *at = listpack_append(&lp, slice_of(text, n));
        int64_t got = 0;
        assert_true(listpack_int(at, &got));
        assert_int_equal(got, edges[i]);
        assert_int_equal(listpack_entry_bytes(at), sizes[i]);
        assert_str(at, slice_of(text, n));
        assert_true(listpack_eq(at, slice_of(text, n)));
        assert_true(listpack_valid(lp, listpack_bytes(lp)));
        mem_free(lp);
    }
}

static void test_not_quite_integers_stay_strings(void **state)
{
    static const char *texts[] = {"", "007", "+1", "-0", "1 ", "9223372036854775808", "-9223372036854775809", "1.0"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        uint8_t *lp = listpack_create(0);
        int64_t v;
        uint8_t *at = listpack_append(&lp, slice_str(texts[i]));
        assert_false(listpack_int(at, &v));
        assert_str(at, slice_str(texts[i]));
        mem_free(lp);
    }
}

/* Around every limit of the length encodings and of the back length, with a neighbour on both sides to step over to. */
static void test_string_lengths(void **state)
{
    static const size_t lens[] = {0,    1,     62,    63,    64,    125,   126,     127,    4095,
                                  4096, 16376, 16377, 16378, 16379, 70000, 2097146, 2097147};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        char *text = mem_alloc(lens[i] + 1);
        memset(text, 'x', lens[i]);
        uint8_t *lp = listpack_create(0);
        listpack_append(&lp, SLICE("before"));
        listpack_append(&lp, slice_of(text, lens[i]));
        listpack_append(&lp, SLICE("after"));
        uint8_t *last = listpack_last(lp);
        assert_str(last, SLICE("after"));
        uint8_t *mid = listpack_prev(lp, last);
        assert_str(mid, slice_of(text, lens[i]));
        assert_str(listpack_prev(lp, mid), SLICE("before"));
        assert_null(listpack_prev(lp, listpack_first(lp)));
        assert_ptr_equal(listpack_next(lp, mid), last);
        assert_null(listpack_next(lp, last));
        assert_true(listpack_valid(lp, listpack_bytes(lp)));
        mem_free(lp);
        mem_free(text);
    }
}

static void test_empty(void **state)
{
    uint8_t *lp = listpack_create(100);
    assert_int_equal(listpack_count(lp), 0);
    assert_int_equal(listpack_bytes(lp), 7);
    assert_null(listpack_first(lp));
    assert_null(listpack_last(lp));
    assert_null(listpack_seek(lp, 0));
    assert_null(listpack_seek(lp, -1));
    assert_null(listpack_find(lp, listpack_first(lp), SLICE("x"), 0));
    assert_true(listpack_valid(lp, 7));
    mem_free(lp);
}

static void test_find_skips(void **state)
{
    uint8_t *lp = listpack_create(0);
    const char *words[] = {"f1", "7", "7", "f1", "f3", "v3"};
    for (int i = 0; i < 6; i++)
        listpack_append(&lp, slice_str(words[i]));
    assert_ptr_equal(listpack_find(lp, listpack_first(lp), SLICE("7"), 1), listpack_seek(lp, 2));
    assert_ptr_equal(listpack_find(lp, listpack_first(lp), SLICE("7"), 0), listpack_seek(lp, 1));
    assert_null(listpack_find(lp, listpack_first(lp), SLICE("v3"), 1));
    assert_null(listpack_find(lp, listpack_first(lp), SLICE("07"), 0));
    mem_free(lp);
}

static void test_more_than_the_header_counts(void **state)
{
    uint8_t *lp = listpack_create(200000);
    for (int i = 0; i < 65540; i++)
        listpack_append(&lp, SLICE("1"));
    assert_int_equal(listpack_count(lp), 65540);
    assert_non_null(listpack_seek(lp, 65539));
    assert_null(listpack_seek(lp, 65540));
    assert_non_null(listpack_seek(lp, -65540));
    listpack_delete(&lp, listpack_first(lp), 65538);
    assert_int_equal(listpack_count(lp), 2);
    assert_true(listpack_valid(lp, listpack_bytes(lp)));
    mem_free(lp);
}

#define MODEL_MAX 200
struct model {
    struct slice item[MODEL_MAX];
    int n;
};

static void model_insert(struct model *m, int at, struct slice s)
{
    memmove(&m->item[at + 1], &m->item[at], (size_t)(m->n - at) * sizeof *m->item);
    m->item[at] = slice_of(mem_dup(s.p, s.len), s.len);
    m->n++;
}

static void model_delete(struct model *m, int at, int count)
{
    for (int i = at; i < at + count; i++)
        mem_free((void *)m->item[i].p);
    memmove(&m->item[at], &m->item[at + count], (size_t)(m->n - at - count) * sizeof *m->item);
    m->n -= count;
}

static void check_model(const struct model *m, const uint8_t *lp)
{
    assert_true(listpack_valid(lp, listpack_bytes(lp)));
    assert_int_equal(listpack_count(lp), m->n);
    const uint8_t *p = listpack_first(lp);
    for (int i = 0; i < m->n; i++, p = listpack_next(lp, p)) {
        assert_non_null(p);
        assert_str(p, m->item[i]);
        assert_ptr_equal(listpack_seek(lp, i), p);
        assert_ptr_equal(listpack_seek(lp, i - m->n), p);
    }
    assert_null(p);
    p = listpack_last(lp);
    for (int i = m->n; i-- > 0; p = listpack_prev(lp, p))
        assert_str(p, m->item[i]);
    assert_null(p);
}

static struct slice random_text(struct rng *r, char *tmp)
{
    if (rng_below(r, 2))
        return slice_of(tmp, num_from_i64(tmp, (int64_t)rng_next(r) >> rng_below(r, 64)));
    static const size_t upto[] = {4, 70, 200, 5000};
    size_t n = rng_below(r, upto[rng_below(r, 4)]);
    for (size_t i = 0; i < n; i++)
        tmp[i] = (char)rng_next(r);
    return slice_of(tmp, n);
}

static void test_random_changes_match_model(void **state)
{
    struct rng r;
    rng_seed(&r, 42);
    for (int round = 0; round < 20; round++) {
        struct model m = {0};
        uint8_t *lp = listpack_create(0);
        for (int step = 0; step < 300; step++) {
            char tmp[5000];
            struct slice s = random_text(&r, tmp);
            int at = m.n ? (int)rng_below(&r, (uint64_t)m.n) : 0;
            uint8_t *p = m.n ? listpack_seek(lp, at) : NULL;
            switch (m.n >= MODEL_MAX ? 4 : rng_below(&r, p ? 6 : 2)) {
            case 0: p = listpack_append(&lp, s), at = m.n, model_insert(&m, at, s); break;
            case 1: p = listpack_prepend(&lp, s), at = 0, model_insert(&m, at, s); break;
            case 2: p = listpack_insert_before(&lp, p, s), model_insert(&m, at, s); break;
            case 3: p = listpack_insert_after(&lp, p, s), model_insert(&m, ++at, s); break;
            case 4: {
                int n = 1 + (int)rng_below(&r, 3);
                n = n > m.n - at ? m.n - at : n;
                p = listpack_delete(&lp, p, (size_t)n), model_delete(&m, at, n);
                break;
            }
            case 5: p = listpack_replace(&lp, p, s), model_delete(&m, at, 1), model_insert(&m, at, s); break;
            }
            assert_ptr_equal(p, listpack_seek(lp, at));
            check_model(&m, lp);
        }
        model_delete(&m, 0, m.n);
        mem_free(lp);
    }
}

static void test_damage_is_seen(void **state)
{
    uint8_t *lp = listpack_create(0);
    char text[300];
    memset(text, 'y', sizeof text);
    listpack_append(&lp, slice_of(text, 300));
    listpack_append(&lp, SLICE("12345"));
    size_t n = listpack_bytes(lp);
    assert_true(listpack_valid(lp, n));
    for (size_t cut = 0; cut < n; cut++)
        assert_false(listpack_valid(lp, cut));
    size_t structural[] = {0, 1, 4, 6, 7, 308, 309, 310, 313, n - 1};
    for (size_t i = 0; i < sizeof structural / sizeof *structural; i++) {
        lp[structural[i]] ^= 0x41;
        assert_false(listpack_valid(lp, n));
        lp[structural[i]] ^= 0x41;
    }
    assert_true(listpack_valid(lp, n));
    mem_free(lp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_are_redis),
        cmocka_unit_test(test_integers_of_every_width),
        cmocka_unit_test(test_not_quite_integers_stay_strings),
        cmocka_unit_test(test_string_lengths),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_find_skips),
        cmocka_unit_test(test_more_than_the_header_counts),
        cmocka_unit_test(test_random_changes_match_model),
        cmocka_unit_test(test_damage_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
