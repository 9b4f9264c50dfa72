/* Globs: what matches, what does not, and that hostile patterns stay cheap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/glob.h"

static void check(const char *pat, const char *text, bool nocase, bool want)
{
    if (glob_match(slice_str(pat), slice_str(text), nocase) != want)
        fail_msg("glob '%s' on '%s' should be %d", pat, text, want);
}

static void test_matches(void **state)
{
    static const char *yes[][2] = {
        {"", ""},
        {"*", ""},
        {"*", "anything"},
        {"h?llo", "hello"},
        {"h*llo", "hllo"},
        {"h*llo", "heeeello"},
        {"h[ae]llo", "hallo"},
        {"h[^e]llo", "hbllo"},
        {"h[a-b]llo", "hbllo"},
        {"h[b-a]llo", "hallo"},
        {"\\*", "*"},
        {"[\\]]", "]"},
        {"*a*b*c", "xxaxxbxxabc"},
        {"[abc", "b"},
        {"a\\", "a\\"},
        {"***", ""},
        {"a**b", "ab"},
        {"*\\?", "what?"},
        {"[^]]", "a]"},
        {"user:*:name", "user:7:name"},
        {"[-a]", "-"},
        {"[a-]", "^"},
    };
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        check(yes[i][0], yes[i][1], false, true);
}

static void test_refusals(void **state)
{
    static const char *no[][2] = {
        {"", "a"},     {"a", ""},         {"h?llo", "hllo"}, {"h[^e]llo", "hello"}, {"\\*", "a"}, {"abc", "ab"},
        {"ab", "abc"}, {"*a*b*c", "acb"}, {"A", "a"},        {"[a-c]", "d"},        {"?", ""},    {"a*b", "ac"},
    };
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        check(no[i][0], no[i][1], false, false);
}

static void test_nocase(void **state)
{
    check("HeLLo*", "hEllO World", true, true);
    check("[A-C]x", "bX", true, true);
    check("[\\A]", "a", true, true);
    check("a", "B", true, false);
}

static void test_binary(void **state)
{
    assert_true(glob_match(slice_of("a\0*", 3), slice_of("a\0b", 3), false));
    assert_false(glob_match(slice_of("a\0b", 3), slice_of("a", 1), false));
    assert_true(glob_match(SLICE("[\xf0-\xff]"), SLICE("\xf5"), false));
}

/* Exponential in a naive matcher: this test would not end. */
static void test_hostile(void **state)
{
    char pat[400], text[4000];
    for (size_t i = 0; i < sizeof pat; i += 2)
        memcpy(pat + i, "a*", 2);
    pat[sizeof pat - 1] = 'b';
    memset(text, 'a', sizeof text);
    assert_false(glob_match(slice_of(pat, sizeof pat), slice_of(text, sizeof text), false));
}

static void test_literal(void **state)
{
    assert_true(glob_is_literal(SLICE("plain")));
    assert_true(glob_is_literal(slice_of("a\0b", 3)));
    assert_false(glob_is_literal(SLICE("pl*in")));
    assert_false(glob_is_literal(SLICE("a\\b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches), cmocka_unit_test(test_refusals), cmocka_unit_test(test_nocase),
        cmocka_unit_test(test_binary),  cmocka_unit_test(test_hostile),  cmocka_unit_test(test_literal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
