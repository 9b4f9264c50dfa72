/* Filter expressions: a table of what matches what, a table of what is refused and where, and junk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/rng.h"
#include "vec/filter.h"

static struct buf scratch;

static bool matches(const char *expr, const char *json)
{
    struct err err = {0};
    struct filter *f = filter_create(slice_str(expr), &err);
    if (!f)
        fail_msg("%s: %s", expr, err.msg);
    /* A copy without a NUL or room behind it, so that reading past the end shows. */
    size_t n = strlen(json);
    char *exact = malloc(n ? n : 1);
    memcpy(exact, json, n);
    bool yes = filter_match(f, slice_of(exact, n), &scratch);
    free(exact);
    filter_destroy(f);
    return yes;
}

#define DOC                                                                                                            \
    "{\"year\": 1994, \"price\":12.5e0, \"neg\":-3, \"name\": \"The \\\"Lion\\\" \\u0041\\ud83d\\ude00\\n\", "         \
    "\"genre\":\"drama\","                                                                                             \
    "\"ok\":true, \"no\":false, \"nil\":null, \"tags\":[\"a\", \"b\\u0063\", 7, true], \"empty\":[], "                 \
    "\"deep\":{\"x\":[1,{\"y\":2}]},"                                                                                  \
    "\"nest\":[1,[2]], \"zero\":0, \"blank\":\"\", \"num\":\"42\", \"a-b_c9\":1, \"last\":5}"

static void what_matches(void **state)
{
    static const struct {
        const char *expr;
        bool want;
    } table[] = {
        /* literals, truth */
        {"1", true},
        {"0", false},
        {"\"x\"", true},
        {"''", false},
        {"null", false},
        {"[1]", true},
        {"true", true},
        {"false", false},
        {"-1", true},
        {"1.5e2 == 150", true},
        {".5 == 0.5", false},
        {"+5 == 5", true},
        /* comparisons */
        {".year == 1994", true},
        {".year != 1994", false},
        {".year >= 1994 and .year <= 1994", true},
        {".year > 1994 or .year < 1994", false},
        {".price == 12.5", true},
        {".neg < 0", true},
        {".neg == -3", true},
        {".genre == 'drama'", true},
        {".genre == \"Drama\"", false},
        {".genre != 'x'", true},
        {".name == 'The \"Lion\" A\xf0\x9f\x98\x80\\n'", true},
        {".a-b_c9 == 1", true},
        {".ok", true},
        {".ok == 1", true},
        {".ok == true", true},
        {".no == 0", true},
        {"not .no", true},
        {"!.ok", false},
        {"!!.ok", true},
        {"not not 0", false},
        {".nil == null", true},
        {".nil != null", false},
        {".year == null", false},
        {".nil", false},
        {".blank", false},
        {".zero", false},
        {"null == 0", false},
        /* texts beside numbers */
        {".num == 42", true},
        {".num > 41", true},
        {".genre == 0", true},
        {".genre > 1", false},
        {".num + 1 == 43", true},
        /* arithmetic and precedence */
        {"1 + 2 * 3 == 7", true},
        {"(1 + 2) * 3 == 9", true},
        {"2 ** 3 ** 2 == 512", true},
        {"2 ** -1 ** 2 * 2 == 4", true},
        {"(2 ** 3) ** 2 == 64", true},
        {"1 and2", true},
        {"1 andnot 0", true},
        {"1 or.missing", false},
        {".year in[1994,]", true},
        {"5 in [1, '5' , ]", true},
        {"2 * 3 ** 2 == 18", true},
        {"10 - 3 - 2 == 5", true},
        {"10-3-2==5", true},
        {"7 % 4 == 3", true},
        {"8 / 4 / 2 == 1", true},
        {"1 / 0 > 1e300", true},
        {"5 - -3 == 8", true},
        {"1 or 0 and 0", true},
        {"(1 or 0) and 0", false},
        {"1 || 0 && 0", true},
        {"! 0 ** 2", true},
        {"1 < 2 == 1", true},
        {".year - 1990 > 3 and .year * 2 == 3988", true},
        {".year%100==94", true},
        /* in */
        {".genre in ['comedy', 'drama']", true},
        {".year in [1993, 1994]", true},
        {".year in []", false},
        {"'a' in .tags", true},
        {"\"bc\" in .tags", true},
        {"7 in .tags", true},
        {"1 in .tags", true},
        {"8 in .tags", false},
        {"'dra' in .genre", true},
        {"'' in .genre", true},
        {".genre in 'melodrama'", true},
        {"'x' in .genre", false},
        {"1 in .empty", false},
        {"1 in 1", false},
        {"'1994' in [1994]", true},
        {"not ('x' in .tags)", true},
        {"[1] in [1]", false},
        {".tags == .tags", true},
        {".tags == 0", true},
        {"[1] == [2]", true},
        {".tags == null", false},
        {".tags > -1", true},
        {"'it\\'s' == \"it's\"", true},
        {"'a\\\\b\\tc' == 'a\\\\b\tc'", true},
        {".tags", true},
        /* what makes the whole expression false */
        {".missing", false},
        {"not .missing", false},
        {".missing == 1 or 1", false},
        {".deep", false},
        {".deep == null", false},
        {".nest", false},
        {"1 or .nest", false},
        {".last == 5", true},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (matches(table[i].expr, DOC) != table[i].want)
            fail_msg("%s should be %s", table[i].expr, table[i].want ? "true" : "false");
}

static void attributes_that_are_no_object(void **state)
{
    static const char *bad[] = {"",
                                "{",
                                "[]",
                                "null",
                                "5",
                                "\"a\"",
                                "{\"a\"}",
                                "{\"a\":}",
                                "{a:1}",
                                "{\"b\":1}",
                                "{\"a\":01x}",
                                "{\"a\":--1}",
                                "{\"a\":\"x}",
                                "{\"a\":\"\\q\"}",
                                "{\"a\":\"\\u12g4\"}",
                                "{\"a\":nul}",
                                "{\"b\":[1,2,\"a\":1}",
                                "{\"a\":[1,]}",
                                "{\"a\":[1 2]}",
                                "{\"a\":NaN}",
                                "{\"b\":{]},\"a\":1",
                                "{\"b\":\"\n\",\"a\":1}",
                                "{\"a\":[,1]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (matches(".a == .a or 1", bad[i]))
            fail_msg("%s should match nothing", bad[i]);
    assert_true(matches(".a", " {\"b\":{\"c\":[{}, \"}\"]} , \"a\" : 1 }"));
    assert_true(matches(".a == 1", "{\"a\":1,\"a\":2}")); /* the first of two */
    assert_false(matches(".a == 1", "{\"a\":1"));
    assert_true(matches(".a == 1", "{\"a\":1,]")); /* nothing is read after the last field needed */
    assert_true(matches("1", "{}"));
    assert_false(matches("1", "")); /* no attributes: never */
    assert_true(matches(".a == 'x'", "{\"\\u0061\":\"x\"}"));
    assert_true(matches(".a == '\xef\xbf\xbd'", "{\"a\":\"\\ud800\"}"));
    char deep[400] = "{\"b\":";
    memset(deep + 5, '[', 100);
    memset(deep + 105, ']', 100);
    strcpy(deep + 205, ",\"a\":1}");
    assert_false(matches(".a", deep));
}

static void what_is_refused(void **state)
{
    static const struct {
        const char *expr, *near;
    } table[] = {
        {"", "near: end of the expression"},
        {"   ", "near: end of the expression"},
        {".year >", "near: end of the expression"},
        {".year > > 3", "near: > 3"},
        {"(1", "near: (1"},
        {"1)", "near: )"},
        {".", "near: ."},
        {". a", "near: . a"},
        {"abc", "near: abc"},
        {"1 2", "near: 2"},
        {"'open", "near: 'open"},
        {"[1, 2", "near: [1, 2"},
        {"[1,,2]", "near: ,2]"},
        {"[.a]", "near: .a]"},
        {"[1 2]", "near: 2]"},
        {"1.2.3", "near: 1.2.3"},
        {"5x", "near: 5x"},
        {".a = 1", "near: = 1"},
        {".a & 1", "near: & 1"},
        {"1 == ", "near: end"},
        {"* 3", "near: * 3"},
        {".a.b", "near: .b"},
        {"andy", "near: andy"},
        {"nullx", "near: nullx"},
        {"1 andy", "near: y"},
        {"[,]", "near: ,]"},
        {"[1,", "near: [1,"},
        {".a @", "near: @"},
        {"\\", "near: \\"},
        {"()", "near: )"},
        {"not", "near: end"},
        {"1 !", "near: !"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct err err = {0};
        struct filter *f = filter_create(slice_str(table[i].expr), &err);
        if (f || !strstr(err.msg, table[i].near))
            fail_msg("'%s': %s", table[i].expr, f ? "accepted" : err.msg);
        assert_int_equal(err.code, ERR_GENERIC);
        assert_non_null(strstr(err.msg, "syntax error in FILTER expression"));
    }
}

static void limits(void **state)
{
    static char big[FILTER_MAX_LEN + 2];
    struct err err = {0};
    memset(big, ' ', sizeof big);
    big[0] = '1';
    assert_null(filter_create(slice_of(big, FILTER_MAX_LEN + 1), &err));
    struct filter *f = filter_create(slice_of(big, FILTER_MAX_LEN), &err);
    assert_non_null(f);
    filter_destroy(f);
    memset(big, '(', 1000);
    assert_null(filter_create(slice_of(big, 1000), &err));
    memset(big, '!', 1000);
    assert_null(filter_create(slice_of(big, 1000), &err));
    /* as deep as may be, with every level of precedence waiting for its right side */
    struct buf b = {0};
    int depth = 0;
    for (; depth < FILTER_MAX_DEPTH - 1; depth++)
        buf_add_str(&b, "0 or 1 and 1 == 1 + 0 * 1 ** (");
    buf_add_str(&b, "1");
    for (; depth > 0; depth--)
        buf_add_str(&b, ")");
    f = filter_create(buf_slice(&b), &err);
    if (!f)
        fail_msg("%s", err.msg);
    assert_true(filter_match(f, SLICE("{}"), &scratch));
    filter_destroy(f);
    for (int n = FILTER_MAX_DEPTH; n <= FILTER_MAX_DEPTH + 1; n++) {
        buf_clear(&b);
        for (int i = 0; i < n; i++)
            buf_add_str(&b, "1 **");
        buf_add_str(&b, "1");
        f = filter_create(buf_slice(&b), &err);
        assert_true((f != NULL) == (n == FILTER_MAX_DEPTH));
        assert_true(!f || filter_match(f, SLICE("{}"), &scratch));
        filter_destroy(f);
    }
    buf_clear(&b);
    for (int i = 0; i <= FILTER_MAX_FIELDS; i++)
        buf_addf(&b, "%s.f%d", i ? "+" : "", i);
    assert_null(filter_create(buf_slice(&b), &err));
    buf_release(&b);
}

static void junk(void **state)
{
    static const char *bits[] = {".a",  ".b", "1",   "-2.5", "'t'",  "\"u", "(",  ")",  "[",  "]",   ",",
                                 "and", "or", "not", "in",   "!",    "==",  "!=", "<",  ">=", "+",   "-",
                                 "**",  "*",  "/",   "%",    "null", " ",   "&&", "||", "\\", "\xff"};
    static const char *json[] = {"{", "}",    "[",    "]",           "\"a\"", "\"b\"", ":", ",",
                                 "1", "true", "null", "\"\\u00e9\"", "\"\\",  "-",     " "};
    struct rng r;
    rng_seed(&r, 1);
    struct buf e = {0}, j = {0};
    int accepted = 0;
    for (int i = 0; i < 60000; i++) {
        buf_clear(&e);
        buf_clear(&j);
        for (uint64_t n = 1 + rng_below(&r, 9); n; n--)
            buf_add_str(&e, bits[rng_below(&r, sizeof bits / sizeof *bits)]);
        if (rng_below(&r, 2))
            buf_add_str(&j, "{\"a\":");
        for (uint64_t n = rng_below(&r, 9); n; n--)
            buf_add_str(&j, json[rng_below(&r, sizeof json / sizeof *json)]);
        struct filter *f = filter_create(buf_slice(&e), NULL);
        if (f) {
            accepted++;
            filter_match(f, buf_slice(&j), &scratch);
            filter_match(f, SLICE("{\"a\":[1,\"t\"],\"b\":\"t\"}"), &scratch);
        }
        filter_destroy(f);
    }
    assert_true(accepted > 1000);
    buf_release(&e);
    buf_release(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_matches),
        cmocka_unit_test(attributes_that_are_no_object),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(limits),
        cmocka_unit_test(junk),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    buf_release(&scratch);
    return rc;
}
