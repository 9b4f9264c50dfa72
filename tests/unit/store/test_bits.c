/* Bits of strings against loops that look at one bit at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "store/bits.h"

#define BYTES 400

static bool bit_at(const char *p, uint64_t i)
{
    return p[i >> 3] & (0x80 >> (i & 7));
}

static void fill(struct rng *rng, char *p)
{
    int kind = (int)rng_below(rng, 3);
    for (int i = 0; i < BYTES; i++)
        p[i] = (char)(kind == 0 ? rng_below(rng, 256) : rng_below(rng, 30) == 0 ? 0x10 : kind == 1 ? 0 : 0xff);
}

static void test_count_and_find(void **state)
{
    char p[BYTES];
    struct rng rng;
    rng_seed(&rng, 1);
    for (int round = 0; round < 3000; round++) {
        fill(&rng, p);
        uint64_t from = rng_below(&rng, BYTES * 8 + 1), to = rng_below(&rng, BYTES * 8 + 1), n = 0;
        int64_t where[2] = {-1, -1};
        for (uint64_t i = from; i < to; i++) {
            bool b = bit_at(p, i);
            n += b;
            where[b] = where[b] < 0 ? (int64_t)i : where[b];
        }
        assert_int_equal(bits_count(p, from, to), n);
        assert_int_equal(bits_find(p, from, to, false), where[0]);
        assert_int_equal(bits_find(p, from, to, true), where[1]);
    }
}

static void test_combine(void **state)
{
    char a[BYTES], b[BYTES], to[BYTES];
    struct rng rng;
    rng_seed(&rng, 2);
    for (size_t n = 0; n <= BYTES; n++) {
        for (enum bits_op op = BITS_AND; op <= BITS_NOT; op++) {
            fill(&rng, a);
            fill(&rng, b);
            memcpy(to, a, BYTES);
            bits_combine(op, to, b, n);
            for (size_t i = 0; i < n; i++) {
                char want[] = {(char)(a[i] & b[i]), (char)(a[i] | b[i]), (char)(a[i] ^ b[i]), (char)~a[i]};
                assert_int_equal(to[i], want[op]);
            }
            assert_memory_equal(to + n, a + n, BYTES - n);
        }
    }
}

static void test_fields(void **state)
{
    char p[BYTES], before[BYTES];
    struct rng rng;
    rng_seed(&rng, 3);
    for (int round = 0; round < 3000; round++) {
        fill(&rng, p);
        memcpy(before, p, BYTES);
        int bits = 1 + (int)rng_below(&rng, 64);
        uint64_t at = rng_below(&rng, 48 * 8 - 64), value = rng_next(&rng), want = 0;
        for (int i = 0; i < bits; i++)
            want = want << 1 | bit_at(p, at + (unsigned)i);
        assert_true(bits_field(slice_of(p, BYTES), at, bits) == want);
        bits_field_put(p, at, bits, value);
        for (uint64_t i = 0; i < BYTES * 8; i++) {
            bool inside = i >= at && i < at + (unsigned)bits;
            assert_int_equal(bit_at(p, i), inside ? value >> (at + (unsigned)bits - 1 - i) & 1 : bit_at(before, i));
        }
    }
}

static void test_a_field_past_the_end_is_zeros(void **state)
{
    assert_int_equal(bits_field(SLICE("\xff"), 4, 8), 0xf0);
    assert_int_equal(bits_field(SLICE("\xff"), 8, 64), 0);
    assert_int_equal(bits_field((struct slice){0}, UINT64_C(1) << 40, 64), 0);
}

static void test_overflow(void **state)
{
    static const struct {
        bool is_signed;
        int bits;
        int64_t value, by;
        int64_t wrap, sat;
        bool fits;
    } rows[] = {
        {false, 8, 250, 5, 255, 255, true},
        {false, 8, 250, 6, 0, 255, false},
        {false, 8, 3, -4, 255, 0, false},
        {false, 8, -1, 0, 255, 255, false}, /* SET of a negative number: taken as a huge one */
        {false, 63, INT64_MAX, 1, 0, INT64_MAX, false},
        {true, 8, 127, 1, -128, 127, false},
        {true, 8, -128, -1, 127, -128, false},
        {true, 8, 1000, 0, -24, 127, false},
        {true, 8, INT64_MIN, 0, 0, -128, false},
        {true, 64, INT64_MAX, 1, INT64_MIN, INT64_MAX, false},
        {true, 64, INT64_MIN, -1, INT64_MAX, INT64_MIN, false},
        {true, 64, -5, 7, 2, 2, true},
        {true, 1, 0, 1, -1, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t v = (uint64_t)rows[i].value, out = 42;
        assert_true(bits_sum(rows[i].is_signed, rows[i].bits, v, rows[i].by, BITS_WRAP, &out));
        assert_true((int64_t)out == rows[i].wrap);
        assert_true(bits_sum(rows[i].is_signed, rows[i].bits, v, rows[i].by, BITS_SAT, &out));
        assert_true((int64_t)out == rows[i].sat);
        assert_int_equal(bits_sum(rows[i].is_signed, rows[i].bits, v, rows[i].by, BITS_FAIL, &out), rows[i].fits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count_and_find), cmocka_unit_test(test_combine),
        cmocka_unit_test(test_fields),         cmocka_unit_test(test_a_field_past_the_end_is_zeros),
        cmocka_unit_test(test_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
