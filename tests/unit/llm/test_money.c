/* Prices and amounts as integers: exact in both directions, saturated at the end; limits as words; days. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "base/rng.h"
#include "llm/limits.h"
#include "llm/money.h"
#include "llm/usage.h"

static int64_t price_of(const char *text)
{
    int64_t v;
    struct err err;
    return price_parse(slice_str(text), "PRICE", &v, &err) == 0 ? v : -1;
}

static int64_t amount_of(const char *text)
{
    int64_t v;
    struct err err;
    return money_parse(slice_str(text), "BUDGET", &v, &err) == 0 ? v : -1;
}

static const char *as_text(int64_t amount)
{
    static char text[MONEY_TEXT + 1];
    text[money_text(text, amount)] = 0;
    return text;
}

static void prices_are_exact(void **state)
{
    assert_int_equal(price_of("0.15"), 150000);
    assert_int_equal(price_of("0"), 0);
    assert_int_equal(price_of("0.000001"), 1);
    assert_int_equal(price_of("2.50000000000"), 2500000);
    assert_int_equal(price_of("999999999.999999"), INT64_C(999999999999999));
    static const char *const bad[] = {
        "",   ".",    "1.",  ".5",  "-1",  "+1",        "1e3",        "0x1",
        "1 ", "1..2", "nan", "inf", "1,5", "0.0000001", "1000000000", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(price_of(bad[i]), -1);
}

static void amounts_come_back(void **state)
{
    assert_int_equal(amount_of("0.000123"), 123000000);
    assert_string_equal(as_text(123000000), "0.000123");
    assert_string_equal(as_text(0), "0");
    assert_string_equal(as_text(5 * MONEY_ONE), "5");
    assert_string_equal(as_text(1), "0.000000000001");
    assert_string_equal(as_text(INT64_MAX), "9223372.036854775807");
    assert_int_equal(amount_of("9223372.036854775807"), INT64_MAX);
    assert_int_equal(amount_of("9223372.036854775808"), -1);
    struct rng r;
    rng_seed(&r, 7);
    for (int i = 0; i < 20000; i++) {
        int64_t v = (int64_t)(rng_next(&r) >> (1 + rng_below(&r, 62)));
        assert_int_equal(amount_of(as_text(v)), v);
    }
}

static void sums_stay_at_the_end(void **state)
{
    assert_int_equal(money_add(INT64_MAX, 1), INT64_MAX);
    assert_int_equal(money_times(INT64_MAX / 2, 3), INT64_MAX);
    struct price p = {.known = true, .in = price_of("3"), .out = price_of("15"), .cached = price_of("0.3")};
    assert_int_equal(price_cost(&p, 1000, 200, 400), INT64_C(4920000000));
    assert_int_equal(price_cost(&p, 100, 0, 400), 100 * 300000); /* a vendor that says more cached than there was */
    assert_int_equal(price_cost(&p, INT64_MAX / 4, INT64_MAX / 4, 0), INT64_MAX);
    assert_false(price_free(&p));
    p = (struct price){0};
    assert_int_equal(price_cost(&p, 5, 5, 0), 0);
    assert_false(price_free(&p));
    p.known = true;
    assert_true(price_free(&p));
}

static struct buf out;

static void on_word(void *arg, struct slice w)
{
    buf_add_str(&out, out.len ? " " : "");
    buf_add(&out, w.p, w.len);
}

/* Words of one line to limits and back; NULL when they are refused. */
static const char *limits_of(const char *line)
{
    struct slice w[16];
    struct limits l;
    struct err err;
    int n = 0;
    for (const char *p = line; *p;) {
        size_t len = strcspn(p, " ");
        w[n++] = slice_of(p, len);
        p += len + (p[len] == ' ');
    }
    if (limits_parse(w, n, &l, &err) < 0)
        return NULL;
    buf_clear(&out);
    limits_words(&l, on_word, NULL);
    return buf_cstr(&out);
}

static void limits_are_words(void **state)
{
    assert_string_equal(limits_of(""), "");
    assert_string_equal(limits_of("rpm 60 TPM 90000"), "RPM 60 TPM 90000");
    assert_string_equal(limits_of("BUDGET 5.50 PER day CONCURRENCY 2"), "CONCURRENCY 2 BUDGET 5.5 PER DAY");
    assert_string_equal(limits_of("BUDGET 0"), "BUDGET 0 PER TOTAL");
    static const char *const bad[] = {
        "RPM", "RPM -1", "RPM x", "PER DAY", "BUDGET 1 PER YEAR", "BUDGET -1", "SPEED 1", "CONCURRENCY 1000001"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_null(limits_of(bad[i]));
    buf_release(&out);
}

static void days_are_utc(void **state)
{
    char text[DAY_TEXT];
    int64_t day;
    assert_true(day_parse(SLICE("2024-02-29"), &day));
    assert_int_equal(day, 19782);
    assert_int_equal(month_of_day(day), 2024 * 12 + 1);
    assert_int_equal(day_of_month_start(month_of_day(day)), 19754);
    day_text(19754, text);
    assert_string_equal(text, "2024-02-01");
    assert_int_equal(day_of_ms(INT64_C(86400000) * 19782 + 86399999), 19782);
    assert_true(day_parse(SLICE("1709164800"), &day));
    assert_int_equal(day, 19782);
    static const char *const bad[] = {"", "2023-02-29", "2023-13-01", "2023-1-01", "yesterday", "-5", "2023-02-2x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(day_parse(slice_str(bad[i]), &day));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prices_are_exact), cmocka_unit_test(amounts_come_back), cmocka_unit_test(sums_stay_at_the_end),
        cmocka_unit_test(limits_are_words), cmocka_unit_test(days_are_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
