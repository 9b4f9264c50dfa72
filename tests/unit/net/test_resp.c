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

/* What resp_whole finds, in the notation of run(); room for `max` commands and `nargs` arguments. */
static void whole_is(const char *in, int64_t bulk, int max, int nargs, const char *want, size_t used)
{
    struct resp_request r[8];
    struct slice args[16];
    struct buf got = {0};
    size_t len = strlen(in), at = 0;
    char *copy = malloc(len + 1); /* exactly the bytes there are: reading on would be a fault */
    memcpy(copy, in, len);
    copy = realloc(copy, len ? len : 1);
    int n = resp_whole(copy, len, bulk, r, max, args, nargs);
    for (int k = 0; k < n; k++) {
        for (int i = 0; i < r[k].argc; i++) {
            buf_add_char(&got, '<');
            buf_add(&got, r[k].argv[i].p, r[k].argv[i].len);
            buf_add_char(&got, '>');
        }
        buf_add_char(&got, ';');
        at += r[k].used;
        assert_null(r[k].what);
    }
    assert_string_equal(got.len ? buf_cstr(&got) : "", want);
    assert_int_equal(at, used);
    buf_release(&got);
    free(copy);
}

static void test_whole(void **state)
{
    whole_is("", 100, 8, 16, "", 0);
    whole_is("*1\r\n$4\r\nPING\r\n", 100, 8, 16, "<PING>;", 14);
    whole_is("*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$1\r\nx\r", 100, 8, 16, "<PING>;<GET><>;", 33);
    whole_is("*1\r\n$4\r\nPING\r\nPING\r\n", 100, 8, 16, "<PING>;", 14); /* inline: not for this way */
    whole_is("PING\r\n", 100, 8, 16, "", 0);
    whole_is("*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n*1\r\n$1\r\nc\r\n", 100, 2, 16, "<a>;<b>;", 22);
    whole_is("*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$1\r\nc\r\n$1\r\nd\r\n", 100, 8, 3, "<a><b>;", 18);
    whole_is("*1\r\n$12\r\nhello, world\r\n", 12, 8, 16, "<hello, world>;", 23);
    whole_is("*1\r\n$12\r\nhello, world\r\n", 11, 8, 16, "", 0); /* above the limit: the other parser says so */
    static const char *const left[] = {"*0\r\n", "*-1\r\n", "*01\r\n$1\r\na\r\n", "*1\r\n$01\r\na\r\n", "*1\r\n$-1\r\n", "*\r\n",
                                       "*1\n$1\na\n", "*1\r\n:1\r\n", "*1\r\n$9999999\r\n", "*1\r\n$1", "*1\r\n$1\r",
                                       "*1\r\n$1\r\n", "*1\r\n$1\r\na", "*1", "*", "*+1\r\n$1\r\na\r\n"};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        whole_is(left[i], RESP_MAX_BULK, 8, 16, "", 0);
}

static unsigned draw(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return *seed >> 16;
}

/* Pipelines of random commands, cut anywhere and with a byte changed now and then: the commands found the short way are
 * those that resp_feed finds, and of an undamaged pipeline it finds all that is complete. */
static void test_whole_agrees(void **state)
{
    unsigned seed = 1;
    for (int round = 0; round < 3000; round++) {
        struct buf in = {0};
        size_t ends[8], n = 0;
        for (int k = 0; k < 8; k++) {
            unsigned argc = 1 + draw(&seed) % 2;
            buf_addf(&in, "*%u\r\n", argc);
            for (unsigned i = 0; i < argc; i++) {
                unsigned len = draw(&seed) % (round % 3 ? 12 : 200);
                buf_addf(&in, "$%u\r\n", len);
                for (unsigned b = 0; b < len; b++)
                    buf_add_char(&in, (char)('a' + b % 26));
                buf_add_str(&in, "\r\n");
            }
            ends[k] = in.len;
        }
        bool damaged = round % 4 == 0;
        if (damaged)
            in.p[draw(&seed) % in.len] = (char)draw(&seed);
        size_t cut = draw(&seed) % (in.len + 1), at = 0;
        struct resp_request r[8];
        struct slice args[16];
        struct resp slow;
        resp_init(&slow);
        int found = resp_whole(in.p, cut, RESP_MAX_BULK, r, 8, args, 16);
        while (n < 8 && ends[n] <= cut)
            n++;
        if (!damaged)
            assert_int_equal(found, n);
        for (int k = 0; k < found; k++) {
            assert_int_equal(resp_feed(&slow, in.p + at, cut - at, &usual), RESP_COMMAND);
            assert_int_equal(slow.used, r[k].used);
            assert_int_equal(slow.argc, r[k].argc);
            for (int i = 0; i < slow.argc; i++)
                assert_true(slow.argv[i].p == r[k].argv[i].p && slow.argv[i].len == r[k].argv[i].len);
            at += slow.used;
        }
        resp_release(&slow);
        buf_release(&in);
    }
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
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_whole_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
