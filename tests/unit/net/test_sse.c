/* Server-Sent Events: every rule of the format, at every split of the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/sse.h"

/* Events as text: "type|data|id;" each. */
static int note(void *arg, const struct sse_event *e)
{
    struct buf *to = arg;
    buf_add(to, e->type.p, e->type.len);
    buf_add_char(to, '|');
    buf_add(to, e->data.p, e->data.len);
    buf_add_char(to, '|');
    buf_add(to, e->id.p, e->id.len);
    buf_add_char(to, ';');
    return 0;
}

static void expect(struct slice in, const char *want)
{
    struct err err;
    for (size_t cut = 0; cut <= in.len; cut++) {
        for (size_t step = 1; step <= 2; step++) { /* two pieces; and the first part byte by byte */
            struct sse s;
            struct buf got = {0};
            sse_init(&s, 1000);
            size_t first = step == 1 ? (cut ? cut : 1) : 1;
            for (size_t at = 0; at < cut; at += first)
                assert_int_equal(sse_feed(&s, slice_of(in.p + at, first), note, &got, &err), 0);
            assert_int_equal(sse_feed(&s, slice_of(in.p + cut, in.len - cut), note, &got, &err), 0);
            assert_string_equal(buf_cstr(&got), want);
            buf_release(&got);
            sse_release(&s);
        }
    }
}

static void events_at_every_split(void **state)
{
    expect(SLICE("data: a\n\n"), "|a|;");
    expect(SLICE("data: a\r\n\r\ndata:b\r\rdata:  c\n\n"), "|a|;|b|;| c|;");
    expect(SLICE("data: a\ndata: b\ndata\ndata:\n\n"), "|a\nb\n\n|;");
    expect(SLICE(": keep-alive\n\n:\ndata: x\n\n"), "|x|;");
    expect(SLICE("event: delta\ndata: x\n\ndata: y\n\n"), "delta|x|;|y|;");
    expect(SLICE("event: lost\n\ndata: y\n\n"), "|y|;");
    expect(SLICE("id: 7\ndata: x\n\ndata: y\n\nid\ndata: z\n\n"), "|x|7;|y|7;|z|;");
    expect(SLICE("id: 7\0 8\ndata: x\n\n"), "|x|;");
    expect(SLICE("data:\n\n"), "||;");
    expect(SLICE("\n\n\r\n\n"), "");
    expect(SLICE("\xef\xbb\xbf"
                 "data: after a byte order mark\n\n"),
           "|after a byte order mark|;");
    expect(SLICE("dataset: x\nunknown: y\n data: z\n\n"), "");
    expect(SLICE("data: an event that nothing closed\n"), "");
}

static void the_end_delivers_an_unclosed_event(void **state)
{
    struct sse s;
    struct err err;
    struct buf got = {0};
    sse_init(&s, 100);
    assert_int_equal(sse_feed(&s, SLICE("event: a\ndata: [DONE]"), note, &got, &err), 0);
    assert_int_equal(got.len, 0);
    assert_int_equal(sse_finish(&s, note, &got, &err), 0);
    assert_int_equal(sse_finish(&s, note, &got, &err), 0); /* nothing is left */
    assert_string_equal(buf_cstr(&got), "a|[DONE]|;");
    buf_release(&got);
    sse_release(&s);
}

static void retry_is_a_whole_number(void **state)
{
    struct sse s;
    struct err err;
    sse_init(&s, 100);
    assert_int_equal(s.retry_ms, -1);
    assert_int_equal(sse_feed(&s, SLICE("retry: 1500\nretry: soon\nretry: -3\n\n"), note, NULL, &err), 0);
    assert_int_equal(s.retry_ms, 1500);
    sse_release(&s);
}

static void over_the_limit_is_an_error(void **state)
{
    struct slice big[] = {
        SLICE("data: 0123456789012345678901234567890123456789\n\n"),          /* one line */
        SLICE("data: 01234567890\ndata: 01234567890\ndata: 01234567890\n\n"), /* their sum */
        SLICE(": 0123456789012345678901234567890123456789"),                  /* a comment without an end */
    };
    for (int i = 0; i < 3; i++) {
        struct sse s;
        struct err err;
        struct buf got = {0};
        sse_init(&s, 30);
        int r = 0;
        for (size_t at = 0; at < big[i].len && r == 0; at++)
            r = sse_feed(&s, slice_of(big[i].p + at, 1), note, &got, &err);
        assert_int_equal(r, ERR_UPSTREAM);
        assert_string_equal(err.msg, "an event of the stream is over the limit of 30 bytes");
        assert_int_equal(sse_feed(&s, SLICE("data: x\n\n"), note, &got, &err), ERR_UPSTREAM);
        assert_int_equal(got.len, 0);
        sse_release(&s);
    }
    struct sse s;
    struct err err;
    sse_init(&s, 30);
    assert_int_equal(sse_feed(&s, big[0], note, NULL, &err), ERR_UPSTREAM); /* also in one piece */
    sse_release(&s);
}

static int stop(void *arg, const struct sse_event *e)
{
    ++*(int *)arg;
    return 42;
}

static void a_callback_can_stop(void **state)
{
    struct sse s;
    struct err err;
    int n = 0;
    sse_init(&s, 100);
    assert_int_equal(sse_feed(&s, SLICE("data: a\n\ndata: b\n\n"), stop, &n, &err), 42);
    assert_int_equal(n, 1);
    sse_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_at_every_split),   cmocka_unit_test(the_end_delivers_an_unclosed_event),
        cmocka_unit_test(retry_is_a_whole_number), cmocka_unit_test(over_the_limit_is_an_error),
        cmocka_unit_test(a_callback_can_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
