/* UTF-8 and JSON strings where steps of many bytes meet single ones: every place of a broken or special byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

#define N 40

/* A letter everywhere but at one place. */
static struct slice letters_but(char to[N], size_t len, size_t at, const char *what)
{
    memset(to, 'a', len);
    memcpy(to + at, what, strlen(what));
    return slice_of(to, len);
}

static void test_valid_at_every_place(void **state)
{
    static const char *const broken[] = {"\x80", "\xff", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80"};
    static const char *const whole[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\x7f"};
    char text[N];
    for (size_t len = 4; len <= N; len++) {
        for (size_t at = 0; at + 4 <= len; at++) {
            for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
                assert_false(utf8_valid(letters_but(text, len, at, broken[i])));
            for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
                assert_true(utf8_valid(letters_but(text, len, at, whole[i])));
        }
        assert_false(utf8_valid(letters_but(text, len, len - 1, "\xc3"))); /* cut off by the end */
    }
    assert_true(utf8_valid(slice_of("", 0)));
}

static void test_quote_at_every_place(void **state)
{
    static const struct {
        const char *byte, *quoted;
    } cases[] = {{"\"", "\\\""},          {"\\", "\\\\"},   {"\n", "\\n"}, {"\x01", "\\u0001"},
                 {"\x1f", "\\u001f"},     {"\x7f", "\x7f"}, {" ", " "},    {"\xe2\x82\xac", "\xe2\x82\xac"},
                 {"\xff", "\xef\xbf\xbd"}};
    char text[N];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t at = 0; at + 3 <= N; at++) {
            struct buf got = {0}, want = {0};
            json_quote(&got, letters_but(text, N, at, cases[i].byte));
            buf_addf(&want, "\"%.*s%s%.*s\"", (int)at, text, cases[i].quoted, (int)(N - at - strlen(cases[i].byte)),
                     text + at + strlen(cases[i].byte));
            assert_int_equal(got.len, want.len);
            assert_memory_equal(got.p, want.p, got.len);
            buf_release(&got);
            buf_release(&want);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_valid_at_every_place),
                                       cmocka_unit_test(test_quote_at_every_place)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
