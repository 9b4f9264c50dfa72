#include "base/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

static struct histogram h;

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void test_percentiles_against_sorted_values(void **state)
{
    enum { N = 50000 };
    static uint64_t v[N];
    struct rng r;
    rng_seed(&r, 1);
    memset(&h, 0, sizeof h);
    assert_int_equal(histogram_percentile(&h, 50), 0);
    for (int i = 0; i < N; i++) {
        v[i] = rng_next(&r) >> (64 - 1 - rng_below(&r, 38)); /* all sizes */
        histogram_add(&h, v[i]);
    }
    qsort(v, N, sizeof *v, by_value);
    static const double percents[] = {0.1, 1, 50, 90, 99, 99.9, 100};
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        uint64_t exact = v[(size_t)(N * percents[i] / 100 + 0.5) - 1], said = histogram_percentile(&h, percents[i]);
        assert_true(said >= exact && said <= exact + exact / 32 + 1);
    }
    for (int power = 0; power < 44; power++) {
        uint64_t n = 0;
        while (n < N && v[n] < 1ULL << power)
            n++;
        assert_int_equal(histogram_below(&h, power), n);
    }
}

static void test_the_edges(void **state)
{
    memset(&h, 0, sizeof h);
    for (uint64_t v = 0; v < 64; v++) { /* small ones are exact */
        memset(&h, 0, sizeof h);
        histogram_add(&h, v);
        assert_int_equal(histogram_percentile(&h, 50), v);
    }
    memset(&h, 0, sizeof h);
    histogram_add(&h, UINT64_MAX);
    assert_int_equal(h.n, 1);
    assert_int_equal(h.at[HISTOGRAM_PLACES - 1], 1);
    assert_int_equal(histogram_below(&h, 63), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles_against_sorted_values),
        cmocka_unit_test(test_the_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
