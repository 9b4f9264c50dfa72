/* When a vendor wants to be asked again: every way to say it, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "llm/retry_after.h"

#define NOW 784111777000LL /* Sun, 06 Nov 1994 08:49:37 GMT */

static int64_t asked(bool limited, const char *headers)
{
    char head[600];
    int n = snprintf(head, sizeof head, "HTTP/1.1 429 No\r\n%s\r\n\r\n", headers);
    return retry_after(slice_of(head, (size_t)n), limited, NOW);
}

struct row {
    const char *headers;
    int64_t ms;
};

static void check(const struct row *rows, size_t n, bool limited)
{
    for (size_t i = 0; i < n; i++) {
        int64_t got = asked(limited, rows[i].headers);
        if (got != rows[i].ms)
            fail_msg("'%s' is %lld, not %lld", rows[i].headers, (long long)got, (long long)rows[i].ms);
    }
}
#define CHECK(rows, limited) check(rows, sizeof(rows) / sizeof *(rows), limited)

static void plain_forms(void **state)
{
    static const struct row rows[] = {
        {"", -1},
        {"Retry-After: 2", 2000},
        {"Retry-After:   0  ", 0},
        {"Retry-After: 007", 7000},
        {"Retry-After: 1.5", 1500},
        {"Retry-After: 0.0001", 1},
        {"Retry-After: 99999999999999999999", RETRY_AFTER_MAX_MS},
        {"Retry-After: 999999999999999999999999999999", -1},
        {"Retry-After: -1", -1},
        {"Retry-After: +1", -1},
        {"Retry-After: 1e3", -1},
        {"Retry-After: 1.", -1},
        {"Retry-After: .5", -1},
        {"Retry-After: 1.2.3", -1},
        {"Retry-After: 2s", -1},
        {"Retry-After: soon", -1},
        {"Retry-After: inf", -1},
        {"Retry-After:", -1},
        {"retry-after-ms: 1500\r\nretry-after: 7", 1500},
        {"retry-after-ms: 0.25", 1},
        {"retry-after-ms: x\r\nretry-after: 7", 7000},
        {"retry-after-ms: -5\r\nretry-after: 7", 7000},
        {"Retry-After: Sun, 06 Nov 1994 08:49:47 GMT", 10000},
        {"Retry-After: Sunday, 06-Nov-94 08:49:47 GMT", 10000},
        {"Retry-After: Sun Nov  6 08:49:47 1994", 10000},
        {"Retry-After: Sun, 06 Nov 1994 08:49:27 GMT", 0},
        {"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_MAX_MS},
        {"Retry-After: Sun, 31 Nov 1994 08:49:47 GMT", -1},
        {"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\nRetry-After: Tue, 14 Nov 2023 22:13:25 GMT", 5000},
        {"Date: never\r\nRetry-After: Sun, 06 Nov 1994 08:49:47 GMT", 10000},
        {"x-ratelimit-reset-requests: 1s", -1}, /* it was for another reason */
    };
    CHECK(rows, false);
}

static void resets_of_limits(void **state)
{
    static const struct row rows[] = {
        {"x-ratelimit-reset-requests: 6m0s", 360000},
        {"x-ratelimit-reset-requests: 17ms\r\nx-ratelimit-reset-tokens: 1.5s", 1500},
        {"x-ratelimit-reset-requests: 20s\r\nx-ratelimit-remaining-requests: 3\r\nx-ratelimit-reset-tokens: 1s\r\n"
         "x-ratelimit-remaining-tokens: 0",
         1000},
        {"x-ratelimit-reset-requests: 20s\r\nx-ratelimit-remaining-requests: 3", -1},
        {"x-ratelimit-reset-tokens: 12", 12000},
        {"x-ratelimit-reset-tokens: 12\r\nRetry-After: 3", 3000},
        {"x-ratelimit-reset-tokens: tomorrow", -1},
        {"anthropic-ratelimit-requests-reset: 1994-11-06T08:49:40Z", 3000},
        {"anthropic-ratelimit-requests-reset: 1994-11-06T08:49:40Z\r\nanthropic-ratelimit-requests-remaining: 9\r\n"
         "anthropic-ratelimit-output-tokens-reset: 1994-11-06T08:49:38.5Z\r\n"
         "anthropic-ratelimit-output-tokens-remaining: 0",
         1500},
        {"x-ratelimit-reset: 1000000001", RETRY_AFTER_MAX_MS},
        {"x-ratelimit-reset: 1000000000000", RETRY_AFTER_MAX_MS},
        {"ratelimit-reset: 30", 30000},
        {"ratelimit-reset: 30\r\nratelimit-remaining: 0", 30000},
    };
    CHECK(rows, true);
    static const char head[] = "x-ratelimit-reset: 1700000030\r\n", ms[] = "x-ratelimit-reset: 1700000030500\r\n";
    assert_int_equal(retry_after(SLICE(head), true, 1700000000000), 30000);
    assert_int_equal(retry_after(SLICE(ms), true, 1700000000000), 30500);
    assert_int_equal(retry_after(SLICE(head), true, 1700000040000), 0);
}

static void durations(void **state)
{
    static const struct row good[] = {
        {"1s", 1000},      {"6m0s", 360000}, {"17ms", 17}, {"1h2m3.5s", 3723500},         {"250us", 1},
        {"2\xc2\xb5s", 1}, {"1ns", 1},       {"0s", 0},    {"1000h", RETRY_AFTER_MAX_MS}, {"1.5h", 5400000},
        {"1m1ms", 60001}};
    static const char *const bad[] = {"",    "s",   "1",   "1s2", "1x",    "-1s", "1 s",
                                      " 1s", "1s ", "1.s", ".1s", "1..2s", "ms"};
    int64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(retry_after_duration(slice_str(good[i].headers), &ms) && ms == good[i].ms);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(retry_after_duration(slice_str(bad[i]), &ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_forms),
        cmocka_unit_test(resets_of_limits),
        cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
