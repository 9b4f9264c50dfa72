#include "store/geo.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

static struct geo_point random_point(struct rng *r)
{
    return (struct geo_point){rng_double(r) * 360 - 180, (rng_double(r) * 2 - 1) * GEO_LAT_MAX};
}

static void test_known_scores(void **state)
{
    assert_int_equal(geo_score((struct geo_point){13.361389, 38.115556}), 3479099956230698);
    assert_int_equal(geo_score((struct geo_point){15.087269, 37.502669}), 3479447370796909);
    assert_int_equal(geo_score((struct geo_point){-180, -GEO_LAT_MAX}), 0);
    char hash[GEO_HASH_LEN];
    geo_hash(3479447370796909, hash);
    assert_memory_equal(hash, "sqdtr74hyu0", GEO_HASH_LEN);
}

static void test_a_decoded_point_is_in_the_cell(void **state)
{
    struct rng r;
    rng_seed(&r, 1);
    for (int i = 0; i < 20000; i++) {
        struct geo_point p = random_point(&r), q = geo_decode(geo_score(p));
        assert_true(fabs(p.lon - q.lon) <= 360.0 / (1 << 26) && fabs(p.lat - q.lat) <= 2 * GEO_LAT_MAX / (1 << 26));
        assert_int_equal(geo_score(q), geo_score(p));
    }
}

static void test_distances(void **state)
{
    struct geo_point palermo = {13.361389, 38.115556}, catania = {15.087269, 37.502669};
    assert_true(fabs(geo_distance(palermo, catania) - 166274.15) < 1);
    assert_true(geo_distance(palermo, palermo) == 0);
    /* Half of the way around, along the equator and over the pole. */
    assert_true(fabs(geo_distance((struct geo_point){0, 0}, (struct geo_point){180, 0}) - M_PI * 6372797.560856) < 1);
    assert_true(fabs(geo_distance((struct geo_point){0, 80}, (struct geo_point){180, 80}) - M_PI / 9 * 6372797.560856) < 1);
}

static void test_what_is_valid(void **state)
{
    assert_true(geo_valid((struct geo_point){180, GEO_LAT_MAX}) && geo_valid((struct geo_point){-180, -GEO_LAT_MAX}));
    assert_false(geo_valid((struct geo_point){180.1, 0}));
    assert_false(geo_valid((struct geo_point){0, 85.06}));
    assert_false(geo_valid((struct geo_point){NAN, 0}));
    assert_false(geo_valid((struct geo_point){0, INFINITY}));
}

/* The ranges are the index: whatever lies in the area must be in one of them, and in one only. */
static void test_the_ranges_cover_the_area(void **state)
{
    struct rng r;
    rng_seed(&r, 2);
    int inside = 0;
    for (int i = 0; i < 3000; i++) {
        struct geo_area a = {.centre = random_point(&r), .box = i % 2};
        double size = pow(10, rng_double(&r) * 6.6); /* 1 m to 4,000 km */
        a.radius = size;
        a.width = size * 2 * rng_double(&r);
        a.height = size * 2 * rng_double(&r);
        struct geo_range ranges[GEO_RANGES];
        int n = geo_ranges(&a, ranges);
        assert_in_range(n, 1, GEO_RANGES);
        for (int k = 0; k < 60; k++) {
            double reach = size / 111000 * 1.2;
            struct geo_point p = {a.centre.lon + (rng_double(&r) * 2 - 1) * reach, a.centre.lat + (rng_double(&r) * 2 - 1) * reach};
            double distance;
            if (!geo_valid(p) || fabs(a.centre.lat) + reach > 80 || fabs(p.lon) > 175 || fabs(a.centre.lon) + reach > 175)
                continue; /* around the poles and across the date line Redis does not promise it either */
            p = geo_decode(geo_score(p));
            if (!geo_within(&a, p, &distance))
                continue;
            int held = 0;
            for (int j = 0; j < n; j++)
                held += geo_score(p) >= ranges[j].min && geo_score(p) < ranges[j].end;
            assert_int_equal(held, 1);
            inside++;
        }
    }
    assert_true(inside > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_scores),
        cmocka_unit_test(test_a_decoded_point_is_in_the_cell),
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_what_is_valid),
        cmocka_unit_test(test_the_ranges_cover_the_area),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
