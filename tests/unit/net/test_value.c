/* The reply parser: every type, every cut, every lie about a length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "net/value.h"

static struct err err;

static struct resp_value parse_all(const char *text)
{
    struct resp_value v;
    err.msg[0] = 0;
    if (resp_value_parse(slice_str(text), &v, &err) != (int64_t)strlen(text))
        fail_msg("%s was not parsed whole: %s", text, err.msg);
    return v;
}

static void scalars(void **state)
{
    struct resp_value v = parse_all("$5\r\nhello\r\n");
    assert_string_equal(v.str.p, "hello");
    resp_value_release(&v);
    v = parse_all(":-42\r\n");
    assert_int_equal(v.num, -42);
    assert_true(resp_value_num(&v, 0) == -42);
    v = parse_all(",3.5\r\n");
    assert_true(resp_value_num(&v, 0) == 3.5);
    v = parse_all("$3\r\n0.5\r\n");
    assert_true(resp_value_num(&v, 0) == 0.5);
    resp_value_release(&v);
    v = parse_all("=7\r\ntxt:abc\r\n");
    assert_string_equal(v.str.p, "abc");
    resp_value_release(&v);
    v = parse_all("#t\r\n");
    assert_int_equal(v.num, 1);
    assert_int_equal(parse_all("_\r\n").kind, RV_NIL);
    assert_int_equal(parse_all("$-1\r\n").kind, RV_NIL);
    assert_int_equal(parse_all("*-1\r\n").kind, RV_NIL);
    v = parse_all("+OK\r\n");
    assert_int_equal(v.kind, RV_STATUS);
    resp_value_release(&v);
}

static void maps_in_both_versions(void **state)
{
    struct resp_value v = parse_all("%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n");
    assert_int_equal(resp_value_get(&v, "a")->num, 1);
    assert_int_equal(resp_value_get(&v, "b")->item[0].num, 2);
    assert_null(resp_value_get(&v, "c"));
    resp_value_release(&v);
    v = parse_all("*2\r\n$1\r\na\r\n:1\r\n");
    assert_int_equal(resp_value_get(&v, "a")->num, 1);
    resp_value_release(&v);
    v = parse_all("|1\r\n+ttl\r\n:3\r\n:7\r\n");
    assert_int_equal(v.num, 7);
}

static void errors_keep_their_class(void **state)
{
    struct resp_value v = parse_all("-STATE no such model 'x'\r\n");
    struct err e;
    assert_int_equal(resp_value_err(&v, &e), ERR_STATE);
    assert_string_equal(e.msg, "no such model 'x'");
    resp_value_release(&v);
    v = parse_all("-ERR syntax error\r\n");
    assert_int_equal(resp_value_err(&v, &e), ERR_GENERIC);
    assert_string_equal(e.msg, "syntax error");
    resp_value_release(&v);
    v = parse_all("-LOADING wait\r\n");
    resp_value_err(&v, &e);
    assert_string_equal(e.msg, "LOADING wait");
    resp_value_release(&v);
}

static void a_cut_reply_needs_more(void **state)
{
    static const char text[] = "*3\r\n$3\r\nabc\r\n%1\r\n+k\r\n,1.5\r\n*2\r\n:1\r\n_\r\n";
    size_t before = mem_used();
    for (size_t n = 0; n < sizeof text - 1; n++) {
        struct resp_value v;
        char *cut = mem_dup(text, n);
        assert_int_equal(resp_value_parse(slice_of(cut, n), &v, &err), 0);
        assert_int_equal(v.n, 0);
        mem_free(cut);
    }
    assert_int_equal(mem_used(), before);
}

static void lies_are_refused(void **state)
{
    static const char *const bad[] = {"x\r\n",    "$x\r\n", "$-2\r\n", "$2\r\nabc\r\n", "*-2\r\n", ":1.5\r\n",
                                      ",abc\r\n", "#x\r\n", "_x\r\n",  "=2\r\nab\r\n",  "%-1\r\n", "*99999999999\r\n"};
    struct resp_value v;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(resp_value_parse(slice_str(bad[i]), &v, &err), ERR_INVALID);
    assert_int_equal(resp_value_parse(SLICE("*1000000000\r\n"), &v, &err), 0);
    char deep[200 * 4 + 1];
    for (int i = 0; i < 200; i++)
        memcpy(deep + i * 4, "*1\r\n", 4);
    assert_int_equal(resp_value_parse(slice_of(deep, 800), &v, &err), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars),
        cmocka_unit_test(maps_in_both_versions),
        cmocka_unit_test(errors_keep_their_class),
        cmocka_unit_test(a_cut_reply_needs_more),
        cmocka_unit_test(lies_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
