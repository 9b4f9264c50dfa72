/* The request parser: commands, errors and limits, with the bytes cut at every position. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "net/resp.h"

static const struct resp_limits usual = {.args = RESP_MAX_ARGS, .bulk = RESP_MAX_BULK};
static const struct resp_limits guest = {.args = RESP_MAX_ARGS, .bulk = RESP_MAX_BULK, .guest = true};

/* Feeds everything in pieces of `step` bytes and writes what came out: words in <>, commands ended by ';'. Each call
 * gets its own copy of exactly the bytes there are, so that a pointer kept too long or a read too far is a fault. */
static void run(struct buf *to, struct slice in, size_t first, size_t step, const struct resp_limits *limits)
{
    struct resp r;
    resp_init(&r);
    size_t start = 0, have = first < in.len ? first : in.len;
    for (;;) {
        char *copy = malloc(have - start ? have - start : 1);
        memcpy(copy, in.p + start, have - start);
        enum resp_result got = resp_feed(&r, copy, have - start, limits);
        if (got == RESP_COMMAND) {
            assert_true(r.used > 0 && r.used <= have - start);
            for (int i = 0; i < r.argc; i++) {
                buf_add_char(to, '<');
                buf_add(to, r.argv[i].p, r.argv[i].len);
                buf_add_char(to, '>');
            }
            buf_add_char(to, ';');
            start += r.used;
        } else if (got == RESP_ERROR) {
            buf_add_str(to, r.error);
        } else {
            assert_true(r.need > have - start);
        }
        free(copy);
        if (got == RESP_ERROR || (got == RESP_MORE && have == in.len))
            break;
        if (got == RESP_MORE)
            have = have + step < in.len ? have + step : in.len;
    }
    if (start < in.len && to->len && to->p[to->len - 1] == ';')
        buf_add_str(to, "...");
    resp_release(&r);
}

static void check_with(struct slice in, const char *want, const struct resp_limits *limits)
{
    struct buf got = {0};
    for (size_t split = 0; split <= in.len; split++) {
        buf_clear(&got);
        run(&got, in, split, in.len, limits);
        if (strcmp(buf_cstr(&got), want) != 0)
            fail_msg("split at %zu: got %s, want %s", split, buf_cstr(&got), want);
    }
    for (size_t step = 1; step < 5; step++) {
        buf_clear(&got);
        run(&got, in, step, step, limits);
        if (strcmp(buf_cstr(&got), want) != 0)
            fail_msg("steps of %zu: got %s, want %s", step, buf_cstr(&got), want);
    }
    buf_release(&got);
}

static void check(const char *in, const char *want)
{
    check_with(slice_str(in), want, &usual);
}

static void test_multibulk(void **state)
{
    check("*1\r\n$4\r\nPING\r\n", "<PING>;");
    check("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", "<SET><k><>;");
    check("*2\r\n$4\r\nECHO\r\n$12\r\nhello\r\nworld\r\n*1\r\n$4\r\nPING\r\n", "<ECHO><hello\r\nworld>;<PING>;");
    check("*0\r\n*-1\r\n*1\r\n$1\r\na\r\n", ";;<a>;");
    check("*2\r\n$1\r\na\r\n$3\r\nxy", "");
    check("*1\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n", "<a>;...");
}

static void test_many_args(void **state)
{
    struct buf in = {0}, want = {0}, got = {0};
    buf_add_str(&in, "*3000\r\n");
    for (int i = 0; i < 3000; i++) {
        buf_addf(&in, "$4\r\n%04d\r\n", i);
        buf_addf(&want, "<%04d>", i);
    }
    buf_add_char(&want, ';');
    for (size_t step = 1; step < 100000; step = step * 7 + 1) {
        buf_clear(&got);
        run(&got, buf_slice(&in), step, step, &usual);
        assert_string_equal(buf_cstr(&got), buf_cstr(&want));
    }
    buf_release(&in);
    buf_release(&want);
    buf_release(&got);
}

static void test_inline(void **state)
{
    check("PING\r\n", "<PING>;");
    check("PING\n\r\n\n  \t \r\nECHO  hi  \r\n", "<PING>;;;;<ECHO><hi>;");
    check("set k \"a b\\n\\x41\\\"\"\r\n", "<set><k><a b\nA\">;");
    check("set 'it\\'s' '\\n' \"\" ''\r\n", "<set><it's><\\n><><>;");
    check("a\"b c\" d\r\n", "<ab c><d>;");
    check("\"\\xzz\\t\\b\\a\\r\\q\"\n", "<xzz\t\b\a\rq>;");
    check("PING\r\n*1\r\n$4\r\nPING\r\nPING\r\n", "<PING>;<PING>;<PING>;");
}

static void test_errors(void **state)
{
    check("*1\r\n$-1\r\n", "Protocol error: invalid bulk length");
    check("*1\r\n$abc\r\n", "Protocol error: invalid bulk length");
    check("*1\r\n$\r\n", "Protocol error: invalid bulk length");
    check("*1\r\n$04\r\nPING\r\n", "Protocol error: invalid bulk length");
    check("*1\r\n$536870913\r\n", "Protocol error: invalid bulk length");
    check("*1\r\n$99999999999999999999\r\n", "Protocol error: invalid bulk length");
    check("*x\r\n", "Protocol error: invalid multibulk length");
    check("*\r\n", "Protocol error: invalid multibulk length");
    check("*3000000000\r\n", "Protocol error: invalid multibulk length");
    check("*1048577\r\n", "Protocol error: invalid multibulk length");
    check("*2\r\n$1\r\na\r\n:5\r\n", "Protocol error: expected '$', got ':'");
    check("*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "Protocol error: expected '$', got 'f'");
    check("*1\r\n\r\n", "Protocol error: expected '$', got '\r'");
    check("echo \"open\r\n", "Protocol error: unbalanced quotes in request");
    check("echo \"a\"b\r\n", "Protocol error: unbalanced quotes in request");
    check("echo 'a\r\n", "Protocol error: unbalanced quotes in request");
    check("echo \"a\\\r\n", "Protocol error: unbalanced quotes in request");
    check("PING\r\n*1\r\n$-5\r\n", "<PING>;Protocol error: invalid bulk length");
}

static void test_guest(void **state)
{
    check_with(SLICE("*10\r\n$1\r\n"), "", &guest);
    check_with(SLICE("*11\r\n"), "Protocol error: unauthenticated multibulk length", &guest);
    check_with(SLICE("*2\r\n$16385\r\n"), "Protocol error: unauthenticated bulk length", &guest);
    check_with(SLICE("*2\r\n$16384\r\n"), "", &guest);
}

/* A line without an end is refused at the same byte however it was cut. */
static void long_line(const char *head, const char *end, const char *want)
{
    static const size_t around[] = {RESP_MAX_LINE - 1, RESP_MAX_LINE, RESP_MAX_LINE + 1, RESP_MAX_LINE + 2, 100000};
    for (size_t k = 0; k < sizeof around / sizeof *around; k++) {
        struct buf in = {0}, whole = {0}, parts = {0};
        buf_add_str(&in, head);
        size_t line = in.len - (head[0] == '*' && head[1] == '1' ? 4 : 0);
        while (line < around[k]) {
            buf_add_char(&in, 'y');
            line++;
        }
        buf_add_str(&in, end);
        run(&whole, buf_slice(&in), in.len, 1, &usual);
        run(&parts, buf_slice(&in), 1000, 1009, &usual);
        assert_string_equal(buf_cstr(&whole), buf_cstr(&parts));
        if (around[k] > RESP_MAX_LINE)
            assert_string_equal(buf_cstr(&whole), want);
        else
            assert_string_not_equal(buf_cstr(&whole), want);
        buf_release(&in);
        buf_release(&whole);
        buf_release(&parts);
    }
}

static void test_long_lines(void **state)
{
    long_line("x", "\n", "Protocol error: too big inline request");
    long_line("*", "\r\n", "Protocol error: too big mbulk count string");
    long_line("*1\r\n$", "\r\n", "Protocol error: too big bulk count string");
}

/* 64 MB in pieces of 1 KB: were anything scanned again, this would be four thousand million bytes. */
static void test_large_bulk_is_linear(void **state)
{
    size_t n = 64u << 20, head = sizeof "*1\r\n$67108864\r\n" - 1;
    char *p = mem_alloc(head + n + 2);
    memcpy(p, "*1\r\n$67108864\r\n", head);
    memset(p + head, '\n', n);
    memcpy(p + head + n, "\r\n", 2);
    struct resp r;
    resp_init(&r);
    int calls = 0;
    for (size_t have = 1024; have < head + n + 2; have += 1024, calls++) {
        assert_int_equal(resp_feed(&r, p, have, &usual), RESP_MORE);
        assert_int_equal(r.need, head + n + 2);
    }
    assert_int_equal(resp_feed(&r, p, head + n + 2, &usual), RESP_COMMAND);
    assert_int_equal(r.argc, 1);
    assert_int_equal(r.argv[0].len, n);
    assert_ptr_equal(r.argv[0].p, p + head);
    resp_release(&r);
    mem_free(p);
}

/* A count is no reason to allocate. */
static void test_claims_cost_nothing(void **state)
{
    size_t before = mem_used();
    struct resp r;
    resp_init(&r);
    assert_int_equal(resp_feed(&r, "*1000000\r\n$400000000\r\n", 22, &usual), RESP_MORE);
    assert_true(mem_used() - before < 4096);
    resp_release(&r);
}

static void test_trim(void **state)
{
    struct buf in = {0};
    buf_add_str(&in, "*5000\r\n");
    for (int i = 0; i < 5000; i++)
        buf_add_str(&in, "$1\r\na\r\n");
    struct resp r;
    resp_init(&r);
    assert_int_equal(resp_feed(&r, in.p, in.len - 1, &usual), RESP_MORE);
    resp_trim(&r); /* half a command: must change nothing */
    assert_int_equal(resp_feed(&r, in.p, in.len, &usual), RESP_COMMAND);
    assert_int_equal(r.argc, 5000);
    resp_trim(&r);
    assert_int_equal(r.cap, 0);
    assert_int_equal(resp_feed(&r, "PING\n", 5, &usual), RESP_COMMAND);
    assert_int_equal(r.argc, 1);
    resp_release(&r);
    buf_release(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_multibulk),
        cmocka_unit_test(test_many_args),
        cmocka_unit_test(test_inline),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_guest),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_large_bulk_is_linear),
        cmocka_unit_test(test_claims_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
