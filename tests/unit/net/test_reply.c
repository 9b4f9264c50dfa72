/* Replies: the exact bytes in both versions of the protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/reply.h"

static struct buf out;
static struct reply r2 = {.out = &out, .resp = 2}, r3 = {.out = &out, .resp = 3};

static void expect(const char *want)
{
    if (out.len != strlen(want) || memcmp(out.p, want, out.len) != 0)
        fail_msg("got '%s', want '%s'", buf_cstr(&out), want);
    buf_clear(&out);
}

#define BOTH(call, in2, in3)                                                                                           \
    do {                                                                                                               \
        struct reply *r = &r2;                                                                                         \
        call;                                                                                                          \
        expect(in2);                                                                                                   \
        r = &r3;                                                                                                       \
        call;                                                                                                          \
        expect(in3);                                                                                                   \
    } while (0)
#define SAME(call, bytes) BOTH(call, bytes, bytes)

static void test_simple(void **state)
{
    SAME(reply_ok(r), "+OK\r\n");
    SAME(reply_status(r, "PONG"), "+PONG\r\n");
    SAME(reply_int(r, 0), ":0\r\n");
    SAME(reply_int(r, -17), ":-17\r\n");
    SAME(reply_int(r, INT64_MIN), ":-9223372036854775808\r\n");
    SAME(reply_bulk(r, SLICE("")), "$0\r\n\r\n");
    SAME(reply_bulk(r, slice_of(NULL, 0)), "$0\r\n\r\n");
    SAME(reply_bulk(r, SLICE("hello")), "$5\r\nhello\r\n");
    SAME(reply_str(r, "a longer one"), "$12\r\na longer one\r\n");
    SAME(reply_bulkf(r, "%d-%s", 7, "x"), "$3\r\n7-x\r\n");
    SAME(reply_raw(r, SLICE(":1\r\n")), ":1\r\n");
}

static void test_errors(void **state)
{
    unsigned before = r2.errors;
    SAME(reply_errorf(r, "ERR no such key '%s'", "a\r\nb"), "-ERR no such key 'a  b'\r\n");
    struct err e;
    err_set(&e, ERR_INVALID, "bad JSON");
    SAME(reply_err(r, &e), "-INVALID bad JSON\r\n");
    assert_int_equal(r2.errors, before + 2);
}

static void test_versions(void **state)
{
    BOTH(reply_nil(r), "$-1\r\n", "_\r\n");
    BOTH(reply_nil_array(r), "*-1\r\n", "_\r\n");
    BOTH(reply_bool(r, true), ":1\r\n", "#t\r\n");
    BOTH(reply_bool(r, false), ":0\r\n", "#f\r\n");
    BOTH(reply_bignum(r, SLICE("1234567999999999999999999999999999999")),
         "$37\r\n1234567999999999999999999999999999999\r\n", "(1234567999999999999999999999999999999\r\n");
    BOTH(reply_verbatim(r, "txt", SLICE("some text")), "$9\r\nsome text\r\n", "=13\r\ntxt:some text\r\n");
}

static void test_doubles(void **state)
{
    BOTH(reply_double(r, 3.25), "$4\r\n3.25\r\n", ",3.25\r\n");
    BOTH(reply_double(r, 10), "$2\r\n10\r\n", ",10\r\n");
    BOTH(reply_double(r, 0.1), "$3\r\n0.1\r\n", ",0.1\r\n");
    BOTH(reply_double(r, INFINITY), "$3\r\ninf\r\n", ",inf\r\n");
    BOTH(reply_double(r, -INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
    BOTH(reply_double(r, 3.0000000000000004), "$18\r\n3.0000000000000004\r\n", ",3.0000000000000004\r\n");
}

static void test_aggregates(void **state)
{
    SAME(reply_array(r, 3), "*3\r\n");
    SAME(reply_array(r, 1000000), "*1000000\r\n");
    BOTH(reply_map(r, 2), "*4\r\n", "%2\r\n");
    BOTH(reply_set(r, 2), "*2\r\n", "~2\r\n");
    BOTH(reply_push(r, 3), "*3\r\n", ">3\r\n");
}

static void nested(struct reply *r)
{
    size_t outer = reply_defer(r);
    reply_int(r, 1);
    size_t inner = reply_defer(r);
    reply_int(r, 2);
    reply_int(r, 3);
    reply_defer_map(r, inner, 1);
    size_t last = reply_defer(r);
    reply_defer_set(r, last, 0);
    reply_defer_array(r, outer, 3);
}

static void test_deferred(void **state)
{
    BOTH(nested(r), "*3\r\n:1\r\n*2\r\n:2\r\n:3\r\n*0\r\n", "*3\r\n:1\r\n%1\r\n:2\r\n:3\r\n~0\r\n");
}

static void test_limit(void **state)
{
    struct buf small;
    buf_init(&small, 32);
    struct reply r = {.out = &small, .resp = 3};
    reply_ok(&r);
    reply_bulk(&r, SLICE("far too long for what this buffer may hold"));
    assert_true(small.full);
    assert_int_equal(small.len, 5);
    reply_verbatim(&r, "txt", SLICE("far too long for what this buffer may hold"));
    reply_status(&r, "far too long for what this buffer may hold");
    assert_int_equal(small.len, 5);
    buf_release(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple),  cmocka_unit_test(test_errors),     cmocka_unit_test(test_versions),
        cmocka_unit_test(test_doubles), cmocka_unit_test(test_aggregates), cmocka_unit_test(test_deferred),
        cmocka_unit_test(test_limit),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_release(&out);
    return failed;
}
