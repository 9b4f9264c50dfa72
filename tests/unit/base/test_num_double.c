/* Doubles to text: Redis's notation, and every text reads back as the same number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "base/rng.h"

static void check(double v, const char *want)
{
    char text[NUM_DOUBLE_MAX + 1];
    text[num_from_double(text, v)] = 0;
    assert_string_equal(text, want);
}

static void test_notation(void **state)
{
    check(0, "0");
    check(-0.0, "-0");
    check(1, "1");
    check(-17, "-17");
    check(0.1, "0.1");
    check(-0.25, "-0.25");
    check(3.0000000000000004, "3.0000000000000004");
    check(1234.5678, "1234.5678");
    check(12345.678901234567, "1.2345678901234567e+4");
    check(0.00001, "0.00001");
    check(0.000001, "0.000001");
    check(1e-7, "1e-7");
    check(1.5e-7, "1.5e-7");
    check(1e-100, "1e-100");
    check(4503599627370496.0, "4503599627370496");
    check(5e15, "5e+15");
    check(1e20, "1e+20");
    check(1.25e300, "1.25e+300");
    check(-1e22, "-1e+22");
    check(DBL_MAX, "1.7976931348623157e+308");
    check(-DBL_MIN, "-2.2250738585072014e-308");
    check(5e-324, "5e-324");
    check(INFINITY, "inf");
    check(-INFINITY, "-inf");
    check(NAN, "nan");
}

static void test_round_trip(void **state)
{
    struct rng r;
    rng_seed(&r, 3);
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = rng_next(&r);
        double v, back;
        if (i % 3 == 0)
            v = ldexp(rng_double(&r), (int)rng_below(&r, 80) - 40);
        else if (i % 3 == 1)
            v = (double)(int64_t)(bits >> (bits % 50)) / 1000;
        else
            memcpy(&v, &bits, sizeof v);
        if (isnan(v))
            continue;
        char text[NUM_DOUBLE_MAX];
        size_t n = num_from_double(text, v);
        assert_true(n <= NUM_DOUBLE_MAX);
        if (fpclassify(v) == FP_SUBNORMAL)
            continue; /* num_to_double refuses what strtod calls out of range */
        assert_true(num_to_double(slice_of(text, n), &back));
        if (back != v)
            fail_msg("%.17g became %.*s", v, (int)n, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_notation), cmocka_unit_test(test_round_trip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
