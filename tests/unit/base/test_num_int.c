/* Integers to text and back, at every power of ten and two, and what is not canonical. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/rng.h"

static void same_u64(uint64_t v)
{
    char want[32], got[32];
    uint64_t back;
    int n = snprintf(want, sizeof want, "%" PRIu64, v);
    memset(got, '#', sizeof got);
    assert_int_equal(num_from_u64(got, v), n);
    assert_memory_equal(got, want, (size_t)n);
    assert_int_equal(got[n], '#'); /* not a byte more */
    assert_true(num_to_u64(slice_of(got, (size_t)n), &back));
    assert_true(back == v);
}

static void same_i64(int64_t v)
{
    char want[32], got[32];
    int64_t back;
    int n = snprintf(want, sizeof want, "%" PRId64, v);
    memset(got, '#', sizeof got);
    assert_int_equal(num_from_i64(got, v), n);
    assert_true((size_t)n <= NUM_I64_MAX);
    assert_memory_equal(got, want, (size_t)n);
    assert_int_equal(got[n], '#');
    assert_true(num_to_i64(slice_of(got, (size_t)n), &back));
    assert_true(back == v);
}

static void test_text(void **state)
{
    struct rng r;
    rng_seed(&r, 1);
    for (uint64_t v = 0; v < 20000; v++)
        same_u64(v);
    for (uint64_t p = 1; p <= UINT64_MAX / 10; p *= 10)
        for (int64_t d = -2; d <= 2; d++)
            same_u64(p * 10 + (uint64_t)d);
    for (int bit = 0; bit < 64; bit++)
        for (uint64_t d = 0; d < 3; d++) {
            uint64_t v = (1ULL << bit) - 1 + d;
            same_u64(v);
            same_i64((int64_t)v);
            same_i64((int64_t)(0 - v));
        }
    for (int i = 0; i < 100000; i++) {
        uint64_t v = rng_next(&r) >> rng_below(&r, 64);
        same_u64(v);
        same_i64((int64_t)v);
    }
}

static void test_refused(void **state)
{
    static const char *const not[] = {"", "-", "+1", "01", "-0", "-01", "1 ", " 1", "1.0", "0x1", "9223372036854775808",
                                      "-9223372036854775809", "18446744073709551616", "99999999999999999999999"};
    int64_t v;
    for (size_t i = 0; i < sizeof not / sizeof *not; i++)
        assert_false(num_to_i64(slice_str(not[i]), &v));
}

/* Whole numbers take a short way to a double; it must not change what they are. */
static void test_whole_doubles(void **state)
{
    static const char *const texts[] = {"0", "-0", "7", "-7", "+7", "007", "999999999999999", "-999999999999999",
                                        "9007199254740993", "1e3"};
    static const double want[] = {0.0, -0.0, 7, -7, 7, 7, 999999999999999.0, -999999999999999.0, 9007199254740992.0, 1000};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double got;
        assert_true(num_to_double(slice_str(texts[i]), &got));
        assert_memory_equal(&got, &want[i], sizeof got); /* the sign of zero, too */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_whole_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
