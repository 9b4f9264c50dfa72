/* The packed set of strings: random changes against a plain array through growing and shrinking, strings of every
 * length on both sides of the inline limit, SCAN's guarantee while the table is resized, fair draws, what a string
 * costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/strset.h"

enum { KEYS = 6000, LONGEST = 400 };

/* Key k: its digits, then as many dots as make its length differ from its neighbours', some past the inline limit. */
static struct slice key(int k)
{
    static char text[LONGEST + 16];
    int n = snprintf(text, sizeof text, "%d", k), pad = k % 97 == 0 ? k % LONGEST : k % 7;
    memset(text + n, '.', (size_t)pad);
    return slice_of(text, (size_t)(n + pad));
}

static int number(struct slice s)
{
    int k = 0;
    for (size_t i = 0; i < s.len && s.p[i] != '.'; i++)
        k = k * 10 + s.p[i] - '0';
    return k;
}

static void holds_exactly(const struct strset *s, const bool *in, size_t count)
{
    static bool seen[KEYS];
    size_t n = 0;
    memset(seen, 0, sizeof seen);
    for (struct strset_iter it = {.set = s}; strset_next(&it); n++) {
        int k = number(it.str);
        assert_true(in[k] && !seen[k] && slice_eq(it.str, key(k)));
        seen[k] = true;
    }
    assert_int_equal(n, count);
    assert_int_equal(strset_count(s), count);
}

static void relocate(struct strset *s)
{
    uint64_t cursor = 0;
    mem_relocate_always(true);
    while ((cursor = strset_relocate(s, cursor)))
        ;
    mem_relocate_always(false);
}

static void random_changes_agree_with_a_model(void **state)
{
    static bool in[KEYS];
    struct strset s = {0};
    struct rng r;
    size_t count = 0, before = mem_used();
    rng_seed(&r, 3);
    for (int i = 0; i < 300000; i++) {
        int k = (int)rng_below(&r, KEYS);
        bool fill = i / 60000 % 2 == 0; /* by turns the set grows to nearly all keys and shrinks to nearly none */
        assert_int_equal(strset_has(&s, key(k)), in[k]);
        uint64_t hash = strset_prefetch(&s, key(k));
        strset_prefetch_on(&s, hash);
        if (rng_below(&r, 100) < (fill ? 95 : 5)) {
            assert_int_equal(strset_add(&s, key(k)), !in[k]);
            count += !in[k];
            in[k] = true;
        } else {
            assert_int_equal(strset_del(&s, key(k)), in[k]);
            count -= in[k];
            in[k] = false;
        }
        if (count)
            assert_true(in[number(strset_random(&s, &r))]);
        if (i % 5000 == 0) {
            relocate(&s);
            holds_exactly(&s, in, count);
        }
    }
    holds_exactly(&s, in, count);
    for (int k = 0; k < KEYS; k++)
        assert_int_equal(strset_del(&s, key(k)), in[k]);
    assert_int_equal(strset_count(&s), 0);
    assert_true(strset_buckets(&s) <= 4); /* it has shrunk */
    strset_release(&s);
    assert_int_equal(mem_used(), before);
}

static void the_empty_set_and_the_empty_string(void **state)
{
    struct strset s = {0};
    struct strset_iter it = {.set = &s};
    assert_false(strset_has(&s, slice_of("", 0)));
    assert_false(strset_del(&s, slice_of("", 0)));
    assert_false(strset_next(&it));
    assert_int_equal(strset_scan(&s, 5, NULL, NULL), 0);
    assert_true(strset_add(&s, slice_of("", 0)));
    assert_false(strset_add(&s, slice_of("", 0)));
    assert_true(strset_has(&s, slice_of("", 0)));
    assert_true(strset_del(&s, slice_of("", 0)));
    strset_release(&s);
}

/* Lengths around every limit, with bytes of all values; what is a prefix of another is not it. */
static void every_length_is_kept(void **state)
{
    struct strset s = {0};
    static char text[LONGEST];
    for (int i = 0; i < LONGEST; i++)
        text[i] = (char)(i * 7);
    for (size_t n = 0; n < LONGEST; n++) {
        assert_false(strset_has(&s, slice_of(text, n)));
        assert_true(strset_add(&s, slice_of(text, n)));
    }
    for (size_t n = 0; n < LONGEST; n++) {
        assert_false(strset_add(&s, slice_of(text, n)));
        if (n)
            assert_false(strset_has(&s, slice_of(text + 1, n)));
    }
    for (size_t n = 0; n < LONGEST; n += 2)
        assert_true(strset_del(&s, slice_of(text, n)));
    for (size_t n = 0; n < LONGEST; n++)
        assert_int_equal(strset_has(&s, slice_of(text, n)), n % 2);
    strset_release(&s);
}

static int times[KEYS];

static void count_it(void *arg, struct slice str)
{
    (void)arg;
    times[number(str)]++;
}

/* Keys below KEPT stay all the while; others come or go between the steps, so that the table grows or shrinks. */
static void scan_while(bool growing)
{
    enum { KEPT = 300 };
    struct strset s = {0};
    uint64_t cursor = 0;
    int next = KEPT, steps = 0;
    memset(times, 0, sizeof times);
    for (int k = 0; k < (growing ? KEPT : KEYS); k++)
        strset_add(&s, key(k));
    size_t buckets = strset_buckets(&s);
    do {
        cursor = strset_scan(&s, cursor, count_it, NULL);
        for (int i = 0; i < 40 && next < KEYS; i++, next++)
            assert_true(growing ? strset_add(&s, key(next)) : strset_del(&s, key(next)));
        steps++;
    } while (cursor);
    for (int k = 0; k < KEPT; k++)
        assert_true(times[k] >= 1);
    assert_true(steps > 30 && strset_buckets(&s) != buckets);
    strset_release(&s);
}

static void a_scan_sees_what_stays(void **state)
{
    scan_while(true);
    scan_while(false);
}

static void a_scan_of_a_resting_set_sees_everything_once(void **state)
{
    for (int n = 1; n < 600; n += 7) { /* resting, but often in the middle of a resize */
        struct strset s = {0};
        uint64_t cursor = 0;
        memset(times, 0, sizeof times);
        for (int k = 0; k < n; k++)
            strset_add(&s, key(k));
        while ((cursor = strset_scan(&s, cursor, count_it, NULL)))
            ;
        for (int k = 0; k < n; k++)
            assert_int_equal(times[k], 1);
        strset_release(&s);
    }
}

static void draws_are_fair(void **state)
{
    enum { N = 500, DRAWS = N * 400 };
    struct strset s = {0};
    struct rng r;
    double chi2 = 0;
    memset(times, 0, sizeof times);
    rng_seed(&r, 11);
    for (int k = 0; k < N; k++)
        strset_add(&s, key(k));
    for (int i = 0; i < DRAWS; i++)
        times[number(strset_random(&s, &r))]++;
    for (int k = 0; k < N; k++)
        chi2 += (times[k] - 400.0) * (times[k] - 400.0) / 400.0;
    assert_true(chi2 < 700); /* 499 degrees of freedom: 658 is passed once in a million */
    strset_release(&s);
}

static void bytes_are_what_the_allocator_gave(void **state)
{
    size_t before = mem_used();
    struct strset s = {0};
    strset_reserve(&s, 100000);
    for (int k = 0; k < 100000; k++) {
        char text[32];
        strset_add(&s, slice_of(text, (size_t)snprintf(text, sizeof text, "member:%012d", k)));
    }
    size_t all = strset_bytes(&s, 0), guess = strset_bytes(&s, 5), used = mem_used() - before;
    assert_int_equal(all, used);
    assert_true(guess > all / 10 * 8 && guess < all / 10 * 12);
    assert_true(all / 100000 < 36); /* 19 bytes each */
    strset_release(&s);
    assert_int_equal(mem_used(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes_agree_with_a_model),
        cmocka_unit_test(the_empty_set_and_the_empty_string),
        cmocka_unit_test(every_length_is_kept),
        cmocka_unit_test(a_scan_sees_what_stays),
        cmocka_unit_test(a_scan_of_a_resting_set_sees_everything_once),
        cmocka_unit_test(draws_are_fair),
        cmocka_unit_test(bytes_are_what_the_allocator_gave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
