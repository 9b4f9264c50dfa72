/* The dates of HTTP: every day of 130 years in every form, everything that is nearly one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "net/http_date.h"

#define NOW 1700000000000LL /* of November 2023 */

static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};

static bool reads(const char *text, int64_t *ms)
{
    return http_date(slice_str(text), NOW, ms);
}

static void every_day(void **state)
{
    char text[64];
    for (int64_t day = 0; day < 130 * 365; day++) {
        time_t at = (time_t)(day * 86400 + day * 7919 % 86400);
        struct tm tm;
        gmtime_r(&at, &tm);
        for (int f = 0; f < 3; f++) {
            int64_t ms = -1, want = (int64_t)at * 1000;
            strftime(text, sizeof text, forms[f], &tm);
            bool far = f == 1 && (tm.tm_year + 1900 <= 1973 || tm.tm_year + 1900 > 2073); /* two digits say less */
            if (!reads(text, &ms) || (!far && ms != want))
                fail_msg("'%s' is %lld, not %lld", text, (long long)ms, (long long)want);
        }
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
        int64_t ms;
        assert_true(http_date_rfc3339(slice_str(text), &ms) && ms == (int64_t)at * 1000);
    }
}

static void known_ones(void **state)
{
    static const char *const same[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    int64_t ms;
    for (int i = 0; i < 3; i++)
        assert_true(reads(same[i], &ms) && ms == 784111777000);
    assert_true(reads("Sat, 31 Dec 2016 23:59:60 GMT", &ms) && ms == 1483228800000);
    assert_true(reads("Thu, 29 Feb 2024 00:00:00 GMT", &ms) && ms == 1709164800000);
    assert_true(reads("Mon, 01 Jan 0001 00:00:00 GMT", &ms) && ms == -62135596800000);
    assert_true(reads("Fri, 31 Dec 9999 23:59:59 GMT", &ms) && ms == 253402300799000);
    assert_true(http_date(SLICE("Friday, 01-Jan-99 00:00:00 GMT"), 915148800000, &ms) && ms == 915148800000);
    assert_true(http_date(SLICE("Friday, 01-Jan-10 00:00:00 GMT"), 946684799000, &ms) && ms == 1262304000000);
}

/* All that begins like a date and stops, goes on, or has one wrong byte, is none; but for digits in the place of
 * digits. */
static void nearly(void **state)
{
    struct tm tm;
    time_t at = 784111777;
    gmtime_r(&at, &tm);
    for (int f = 0; f < 3; f++) {
        char text[64], wrong[64];
        int64_t ms;
        size_t n = strftime(text, sizeof text, forms[f], &tm);
        for (size_t i = 0; i < n; i++)
            assert_false(http_date(slice_of(text, i), NOW, &ms));
        strcpy(wrong, text);
        strcat(wrong, " ");
        assert_false(reads(wrong, &ms));
        for (size_t i = 0; i < n; i++)
            for (int c = 0; c < 256; c++) {
                bool digit = text[i] >= '0' && text[i] <= '9' && c >= '0' && c <= '9';
                bool day = f == 2 && text[i] == ' ' && c >= '0' && c <= '3'; /* " 6" may be "26" */
                strcpy(wrong, text);
                wrong[i] = (char)c;
                if (wrong[i] != text[i] && !digit && !day && http_date(slice_of(wrong, n), NOW, &ms))
                    fail_msg("'%s' is no date", wrong);
            }
    }
    static const char *const none[] = {"",
                                       "0",
                                       "Sun, 6 Nov 1994 08:49:37 GMT",
                                       "Sun, 06 Nov 1994 08:49:37 UTC",
                                       "Sun, 31 Nov 1994 08:49:37 GMT",
                                       "Sun, 00 Nov 1994 08:49:37 GMT",
                                       "Sun, 29 Feb 2023 08:49:37 GMT",
                                       "Sun, 29 Feb 1900 08:49:37 GMT",
                                       "Sun, 06 Nov 0000 08:49:37 GMT",
                                       "Sun, 06 Nov 1994 24:00:00 GMT",
                                       "Sun, 06 Nov 1994 08:60:37 GMT",
                                       "Sun, 06 Nov 1994 08:49:61 GMT",
                                       "Sun, 06 nov 1994 08:49:37 GMT",
                                       " Sun, 06 Nov 1994 08:49:37 GMT"};
    int64_t ms;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(reads(none[i], &ms));
}

static void rfc3339(void **state)
{
    int64_t ms;
    assert_true(http_date_rfc3339(SLICE("1994-11-06T08:49:37.2509Z"), &ms) && ms == 784111777250);
    assert_true(http_date_rfc3339(SLICE("1994-11-06T09:49:37+01:00"), &ms) && ms == 784111777000);
    assert_true(http_date_rfc3339(SLICE("1994-11-06t03:19:37.000000000000001-05:30"), &ms) && ms == 784111777000);
    static const char *const none[] = {"",
                                       "1994-11-06",
                                       "1994-11-06T08:49:37",
                                       "1994-11-06T08:49:37.Z",
                                       "1994-13-06T08:49:37Z",
                                       "1994-11-06T08:49:37Z ",
                                       "1994-11-06T08:49:37+24:00",
                                       "1994-11-06T08:49:37+01:60",
                                       "1994-11-31T08:49:37Z"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(http_date_rfc3339(slice_str(none[i]), &ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day),
        cmocka_unit_test(known_ones),
        cmocka_unit_test(nearly),
        cmocka_unit_test(rfc3339),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
