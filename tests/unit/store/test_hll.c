/* HyperLogLogs: both encodings against a plain array of registers, and what is refused. The bytes themselves are held
 * against a redis-server in tests/cmd/test_hll.py. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/setting.h"
#include "store/hll.h"

static void limit(const char *bytes)
{
    struct err err;
    assert_int_equal(setting_set(setting_find(SLICE("hll-sparse-max-bytes")), slice_str(bytes), true, &err), 0);
}

static void assert_registers(const struct buf *hll, const uint8_t want[HLL_REGISTERS])
{
    uint8_t got[HLL_REGISTERS] = {0};
    uint64_t n;
    assert_true(hll_is(buf_slice(hll)));
    assert_true(hll_merge(got, buf_slice(hll)));
    assert_memory_equal(got, want, HLL_REGISTERS);
    assert_true(hll_count(buf_slice(hll), &n));
    assert_int_equal(n, hll_count_registers(want));
}

static void test_registers_against_an_array(void **state)
{
    struct rng rng;
    rng_seed(&rng, 4);
    for (int round = 0; round < 30; round++) {
        static uint8_t want[HLL_REGISTERS];
        struct buf hll = {0};
        unsigned spread = round % 2 ? 100 : HLL_REGISTERS, top = round % 3 ? 4 : 52;
        limit(round % 5 ? "3000" : "100000");
        memset(want, 0, sizeof want);
        hll_init(&hll);
        for (int i = 0; i < 3000; i++) {
            unsigned reg = (unsigned)rng_below(&rng, spread);
            uint8_t to = (uint8_t)rng_below(&rng, top);
            if (to == 0)
                continue;
            assert_int_equal(hll_raise(&hll, reg, to), to > want[reg] ? HLL_CHANGED : HLL_SAME);
            want[reg] = to > want[reg] ? to : want[reg];
            if (i % 300 == 0)
                assert_registers(&hll, want);
        }
        assert_registers(&hll, want);
        assert_int_not_equal(hll_to_dense(&hll), HLL_DAMAGED);
        assert_registers(&hll, want);
        assert_int_equal(hll.len, HLL_DENSE_BYTES);
        buf_release(&hll);
    }
}

static void test_sparse_runs_are_joined(void **state)
{
    struct buf hll = {0}, text = {0};
    limit("3000");
    hll_init(&hll);
    for (unsigned i = 0; i < 5; i++)
        hll_raise(&hll, 10 + i, 3);
    hll_decode(buf_slice(&hll), &text);
    assert_string_equal(buf_cstr(&text), "z:10 v:3,4 v:3,1 Z:16369");
    buf_clear(&text);
    hll_raise(&hll, 11, 9);
    hll_decode(buf_slice(&hll), &text);
    assert_string_equal(buf_cstr(&text), "z:10 v:3,1 v:9,1 v:3,3 Z:16369");
    buf_release(&hll);
    buf_release(&text);
}

static void test_a_large_value_makes_it_dense(void **state)
{
    struct buf hll = {0};
    hll_init(&hll);
    assert_int_equal(hll_raise(&hll, 5, 32), HLL_CHANGED);
    assert_int_equal(hll_encoding(buf_slice(&hll)), HLL_SPARSE);
    assert_int_equal(hll_raise(&hll, 5, 33), HLL_CHANGED);
    assert_int_equal(hll_encoding(buf_slice(&hll)), HLL_DENSE);
    assert_int_equal(hll_raise(&hll, 5, 33), HLL_SAME);
    buf_release(&hll);
}

static void test_the_kept_count(void **state)
{
    struct buf hll = {0};
    uint64_t n;
    hll_init(&hll);
    assert_true(hll_cached(buf_slice(&hll), &n) && n == 0);
    hll_cache(hll.p, 0x123456789a);
    assert_true(hll_cached(buf_slice(&hll), &n) && n == 0x123456789a);
    hll_add(&hll, SLICE("x"));
    assert_false(hll_cached(buf_slice(&hll), &n));
    buf_release(&hll);
}

static void test_counts_are_near(void **state)
{
    struct buf hll = {0};
    limit("3000");
    hll_init(&hll);
    for (uint64_t i = 1; i <= 300000; i++) {
        uint64_t n, name = i * UINT64_C(0x9e3779b97f4a7c15);
        hll_add(&hll, slice_of((const char *)&name, sizeof name));
        if ((i & (i - 1)) == 0) {
            assert_true(hll_count(buf_slice(&hll), &n));
            assert_true(fabs((double)n - (double)i) <= (double)i * 0.04);
        }
    }
    buf_release(&hll);
}

static void test_made_up_registers_have_some_count(void **state)
{
    uint8_t regs[HLL_REGISTERS];
    memset(regs, 63, sizeof regs);
    assert_int_equal(hll_count_registers(regs), INT64_MAX);
    memset(regs, 0, sizeof regs);
    assert_int_equal(hll_count_registers(regs), 0);
}

static void refuse(const char *runs, size_t n)
{
    struct buf hll = {0};
    uint8_t regs[HLL_REGISTERS] = {0};
    uint64_t count;
    buf_add(&hll, "HYLL\1\0\0\0\0\0\0\0\0\0\0\0", HLL_HEAD);
    buf_add(&hll, runs, n);
    assert_true(hll_is(buf_slice(&hll)));
    assert_false(hll_count(buf_slice(&hll), &count));
    assert_false(hll_merge(regs, buf_slice(&hll)));
    assert_int_equal(hll_raise(&hll, HLL_REGISTERS - 1, 33), HLL_DAMAGED);
    assert_int_equal(hll_to_dense(&hll), HLL_DAMAGED);
    buf_release(&hll);
}

static void test_damaged_runs_are_refused(void **state)
{
    refuse("", 0);
    refuse("\x7f", 1);             /* half a run */
    refuse("\x7f\xfe", 2);         /* one register too few */
    refuse("\x7f\xff\x80", 3);     /* one too many */
    refuse("\x7f\xfd\x83", 3);     /* a run over the end */
    refuse("\x7f\xff\x7f\xff", 4); /* all of them twice */
    refuse("\x7f\xff\x40", 3);     /* half a run after the end */
}

static void test_what_is_none(void **state)
{
    char dense[HLL_DENSE_BYTES + 1] = "HYLL";
    assert_false(hll_is(SLICE("")));
    assert_false(hll_is(SLICE("HYLL\1\0\0\0\0\0\0\0\0\0\0")));
    assert_false(hll_is(SLICE("HYLX\1\0\0\0\0\0\0\0\0\0\0\0\x7f\xff")));
    assert_false(hll_is(SLICE("HYLL\2\0\0\0\0\0\0\0\0\0\0\0\x7f\xff")));
    assert_true(hll_is(slice_of(dense, HLL_DENSE_BYTES)));
    assert_false(hll_is(slice_of(dense, HLL_DENSE_BYTES - 1)));
    assert_false(hll_is(slice_of(dense, HLL_DENSE_BYTES + 1)));
}

static void test_the_self_test_passes(void **state)
{
    struct err err;
    assert_int_equal(hll_self_test(&err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers_against_an_array),
        cmocka_unit_test(test_sparse_runs_are_joined),
        cmocka_unit_test(test_a_large_value_makes_it_dense),
        cmocka_unit_test(test_the_kept_count),
        cmocka_unit_test(test_counts_are_near),
        cmocka_unit_test(test_made_up_registers_have_some_count),
        cmocka_unit_test(test_damaged_runs_are_refused),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_the_self_test_passes),
    };
    hll_settings();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
