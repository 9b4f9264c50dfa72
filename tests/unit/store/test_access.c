/* The LFU counter: how fast it grows for which number of uses, and where it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "base/setting.h"
#include "store/access.h"
#include "store/evict.h"

static void set(const char *name, const char *value)
{
    assert_int_equal(setting_set(setting_find(slice_str(name)), slice_str(value), false, NULL), 0);
}

static int counter_after(struct rng *r, int uses)
{
    uint8_t c = 5;
    for (int i = 0; i < uses; i++)
        c = access_grown(c, (double)(rng_next(r) >> 11) * 0x1p-53);
    return c;
}

static void test_grows_with_the_logarithm(void **state)
{
    struct rng r;
    rng_init(&r);
    set("lfu-log-factor", "0");
    assert_int_equal(counter_after(&r, 100), 105); /* every use counts */
    assert_int_equal(counter_after(&r, 1000), 255);
    set("lfu-log-factor", "10"); /* about sqrt(uses / 5): what the settings' documentation of Redis tabulates */
    int few = counter_after(&r, 100), some = counter_after(&r, 1000), many = counter_after(&r, 100000);
    assert_in_range(few, 6, 14);
    assert_in_range(some, 13, 25);
    assert_in_range(many, 115, 170);
    assert_int_equal(counter_after(&r, 3000000), 255);
    set("lfu-log-factor", "100");
    assert_in_range(counter_after(&r, 100000), 35, 65);
}

static void test_what_is_set_is_told(void **state)
{
    union {
        struct obj o;
        char room[32];
    } u = {0};
    set("maxmemory-policy", "allkeys-lfu");
    assert_true(access_is_lfu());
    access_begin(&u.o);
    assert_int_equal(access_freq(&u.o), 5);
    access_set_freq(&u.o, 200);
    access_set_idle(&u.o, 1000); /* not kept under this policy */
    assert_int_equal(access_freq(&u.o), 200);
    assert_int_equal(access_badness(&u.o), 55);
    u.o.clock -= 3u << 16; /* three minutes ago */
    assert_int_equal(access_freq(&u.o), 197);
    set("lfu-decay-time", "0");
    assert_int_equal(access_freq(&u.o), 200);
    set("lfu-decay-time", "1");
    u.o.clock -= 1000u << 16;
    assert_int_equal(access_freq(&u.o), 0);

    set("maxmemory-policy", "allkeys-lru");
    access_begin(&u.o);
    assert_int_equal(access_idle_s(&u.o), 0);
    access_set_idle(&u.o, 1000);
    access_set_freq(&u.o, 7);
    assert_in_range(access_idle_s(&u.o), 1000, 1010);
    uint32_t bad = access_badness(&u.o);
    access_set_idle(&u.o, 2000);
    assert_true(access_badness(&u.o) > bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_with_the_logarithm),
        cmocka_unit_test(test_what_is_set_is_told),
    };
    evict_settings();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
