/* Expiries of elements against an array: set, moved, dropped at random, always in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "store/ttls.h"

#define NAMES 300

static int64_t naive[NAMES]; /* -1: never */

static struct slice name_of(int i, char tmp[16])
{
    return slice_of(tmp, (size_t)snprintf(tmp, 16, "name%d", i));
}

static void compare(struct ttls *t)
{
    char tmp[16];
    int64_t first = -1;
    size_t n = 0;
    for (int i = 0; i < NAMES; i++) {
        assert_true(ttls_get(t, name_of(i, tmp)) == naive[i]);
        n += naive[i] >= 0;
        if (naive[i] >= 0 && (first < 0 || naive[i] < first))
            first = naive[i];
    }
    assert_true(ttls_count(t) == n);
    assert_true(ttls_first(t) ? ttls_first(t)->at == first : first == -1);
    for (int64_t now = -1; now < 1000; now += 333) {
        size_t due = 0;
        for (int i = 0; i < NAMES; i++)
            due += naive[i] >= 0 && naive[i] <= now;
        assert_true(ttls_due(t, now) == due);
    }
}

static void change(struct ttls *t, struct rng *r)
{
    char tmp[16];
    int i = (int)rng_below(r, NAMES);
    if (rng_below(r, 3)) {
        naive[i] = (int64_t)rng_below(r, 1000);
        ttls_set(t, name_of(i, tmp), naive[i]);
    } else {
        naive[i] = -1;
        ttls_drop(t, name_of(i, tmp));
    }
}

static void test_random(void **state)
{
    struct ttls t;
    struct rng r;
    rng_init(&r);
    ttls_init(&t);
    for (int i = 0; i < NAMES; i++)
        naive[i] = -1;
    for (int i = 0; i < 20000; i++) {
        change(&t, &r);
        if (i % 50 == 0)
            compare(&t);
    }
    for (int64_t last = -1; ttls_count(&t);) { /* taken from the top they come in order, until nothing is left */
        struct slice s = ttl_name(ttls_first(&t));
        char tmp[16];
        assert_true(ttls_first(&t)->at >= last && s.len < sizeof tmp);
        last = ttls_first(&t)->at;
        memcpy(tmp, s.p, s.len);
        ttls_drop(&t, slice_of(tmp, s.len));
    }
    ttls_release(&t);
}

static void test_memory_is_told_and_given_back(void **state)
{
    struct ttls t;
    char tmp[16];
    size_t before = mem_used();
    ttls_init(&t);
    for (int i = 0; i < NAMES; i++)
        ttls_set(&t, name_of(i, tmp), i);
    assert_true(ttls_bytes(&t) == mem_used() - before);
    ttls_release(&t);
    assert_true(mem_used() == before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_memory_is_told_and_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
