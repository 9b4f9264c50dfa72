/* The HTTP server over real sockets: requests are written by hand, the loop and the client share this thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/httpd.h"

static struct loop *L;
static struct httpd *H;
#define MANY 2000

static struct httpd_req *sleeping[8], *streams[MANY];
static int nsleeping, nstreams, ngone, ndrained;

static void gone(void *arg)
{
    ngone++;
}

static void drained(void *arg)
{
    ndrained++;
}

/* A stream that the test goes on with; when its client is gone it ends itself. */
static void stream_gone(void *arg)
{
    int i = (int)(intptr_t)arg;
    ngone++;
    httpd_stream_add(streams[i], SLICE("into the void"));
    assert_int_equal(httpd_stream_waiting(streams[i]), 0);
    httpd_stream_end(streams[i]);
    streams[i] = NULL;
}

static void open_stream(struct httpd_req *r)
{
    httpd_on_gone(r, stream_gone, (void *)(intptr_t)nstreams);
    httpd_stream_on_drained(r, drained, NULL);
    httpd_add_header(r, "X-Stream", "yes");
    httpd_stream_begin(r, 200, "text/event-stream");
    streams[nstreams++] = r;
}

/* /echo tells all it saw; /slow waits in sleeping[]; /held has its answer, held, and is there too; /stream opens
 * streams[], /once one that is over; /big is a megabyte; anything else is 404 */
static void handler(void *arg, struct httpd_req *r)
{
    struct buf out = {0};
    if (strcmp(httpd_path(r), "/slow") == 0) {
        httpd_on_gone(r, gone, NULL);
        sleeping[nsleeping++] = r;
        return;
    }
    if (strcmp(httpd_path(r), "/held") == 0) {
        httpd_on_gone(r, gone, NULL);
        httpd_add_header(r, "X-Before", "yes");
        httpd_hold(r);
        httpd_add_header(r, "X-Answer", "first");
        httpd_reply(r, 200, "text/plain", SLICE("the first answer"));
        sleeping[nsleeping++] = r;
        return;
    }
    if (strcmp(httpd_path(r), "/stream") == 0) {
        open_stream(r);
        return;
    }
    if (strcmp(httpd_path(r), "/once") == 0) {
        open_stream(r);
        httpd_stream_add(r, SLICE("all "));
        httpd_stream_add(r, SLICE("of it"));
        httpd_stream_end(r);
        return;
    }
    if (strcmp(httpd_path(r), "/big") == 0) {
        memset(buf_room(&out, 1 << 20), 'z', 1 << 20);
        buf_grow(&out, 1 << 20);
        httpd_reply_take(r, 200, "text/plain", &out);
        assert_int_equal(out.len, 0);
    } else if (strcmp(httpd_path(r), "/echo") == 0) {
        const char *q = httpd_query(r, "q"), *h = httpd_header(r, "x-thing");
        buf_addf(&out, "%s q=%s flag=%d h=%s body=", httpd_method(r), q ? q : "-", httpd_query(r, "flag") != NULL,
                 h ? h : "-");
        buf_add(&out, httpd_body(r).p, httpd_body(r).len);
        httpd_add_header(r, "X-Answer", "yes");
        httpd_reply(r, 200, "text/plain", buf_slice(&out));
    } else {
        httpd_reply(r, 404, "text/plain", SLICE("no"));
    }
    buf_release(&out);
}

static int up_with(unsigned connections, unsigned idle_s)
{
    struct err err;
    struct httpd_config config = {
        .addr = "127.0.0.1", .body_max = 100000, .connections = connections, .idle_s = idle_s};
    log_set_level(LOG_NOTHING);
    nsleeping = nstreams = ngone = ndrained = 0;
    if (loop_create(&L, &err) < 0)
        return -1;
    return httpd_open(&H, L, &config, handler, NULL, &err);
}

static int up(void **state)
{
    return up_with(4, 30);
}

static int up_many(void **state)
{
    struct rlimit lim;
    getrlimit(RLIMIT_NOFILE, &lim);
    lim.rlim_cur = lim.rlim_max;
    setrlimit(RLIMIT_NOFILE, &lim);
    return up_with(MANY, 30);
}

static int up_impatient(void **state)
{
    return up_with(4, 1);
}

static int down(void **state)
{
    httpd_close(H);
    while (loop_turn(L))
        ;
    loop_destroy(L);
    return 0;
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)httpd_port(H))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(connect(fd, (struct sockaddr *)&a, sizeof a) == 0 || errno == EINPROGRESS);
    return fd;
}

static void say_slice(int fd, struct slice s)
{
    while (s.len) {
        ssize_t n = send(fd, s.p, s.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != ENOTCONN)
            return; /* refused in the middle: the answer is read by the caller */
        if (n > 0)
            s = slice_of(s.p + n, s.len - (size_t)n);
        else
            loop_turn(L);
    }
}

static void say(int fd, const char *text)
{
    say_slice(fd, slice_str(text));
}

/* Reads until `upto` was seen or the peer closed. */
static void hear(int fd, struct buf *to, const char *upto)
{
    int64_t deadline = clock_mono_ms() + 30000;
    while (!strstr(buf_cstr(to), upto)) {
        assert_true(clock_mono_ms() < deadline);
        ssize_t r = read(fd, buf_room(to, 65536), 65536);
        if (r > 0)
            buf_grow(to, (size_t)r);
        else if (r == 0 || (errno != EAGAIN && errno != ENOTCONN))
            return;
        else
            loop_turn(L);
    }
}

static void ask(const char *request, const char *status, const char *body)
{
    struct buf got = {0};
    int fd = dial();
    say(fd, request);
    hear(fd, &got, body);
    if (strncmp(buf_cstr(&got), "HTTP/1.1 ", 9) != 0 || strncmp(got.p + 9, status, 3) != 0 || !strstr(got.p, body))
        fail_msg("got: %s", got.p);
    buf_release(&got);
    close(fd);
}

static void test_requests(void **state)
{
    uint64_t before = httpd_stats.requests, errors = httpd_stats.errors;
    ask("GET /echo?q=a%20b&flag HTTP/1.1\r\nHost: x\r\nX-THING: 7\r\n\r\n", "200",
        "\r\n\r\nGET q=a b flag=1 h=7 body=");
    ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "200", "X-Answer: yes");
    ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "200", "POST q=- flag=0 h=- body=hello");
    ask("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "200",
        "body=abcde");
    ask("GET /missing HTTP/1.1\r\nHost: x\r\n\r\n", "404", "\r\n\r\nno");
    ask("GET /%65cho HTTP/1.1\r\nHost: x\r\n\r\n", "200", "body=");
    struct buf got = {0};
    int fd = dial();
    say(fd, "nonsense\r\n\r\n");
    hear(fd, &got, "HTTP/1.1 200"); /* closed, with or without a 400 */
    assert_null(strstr(buf_cstr(&got), "200"));
    buf_release(&got);
    close(fd);
    assert_int_equal(httpd_stats.requests, before + 6);
    assert_int_equal(httpd_stats.errors, errors + 1);
}

static void test_keep_alive(void **state)
{
    int fd = dial();
    for (int i = 0; i < 20; i++) {
        struct buf got = {0};
        char request[80], want[40];
        snprintf(request, sizeof request, "GET /echo?q=n%d. HTTP/1.1\r\nHost: x\r\n\r\n", i);
        snprintf(want, sizeof want, "q=n%d. flag=0 h=- body=", i);
        say(fd, request);
        hear(fd, &got, want);
        assert_non_null(strstr(buf_cstr(&got), want));
        buf_release(&got);
    }
    close(fd);
}

static void test_limits(void **state)
{
    ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n", "413", "longer than 100000 bytes");
    ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", "413", "\r\n\r\n");
    struct buf in = {0}, got = {0};
    buf_add_str(&in, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1d4c0\r\n");
    memset(buf_room(&in, 120000), 'b', 120000);
    buf_grow(&in, 120000);
    buf_add_str(&in, "\r\n0\r\n\r\n");
    int fd = dial();
    say_slice(fd, buf_slice(&in));
    hear(fd, &got, "longer than 100000 bytes");
    assert_memory_equal(got.p, "HTTP/1.1 413", 12);
    close(fd);
    buf_release(&got);
    buf_clear(&in);
    buf_add_str(&in, "GET /echo HTTP/1.1\r\nHost: x\r\nX-Long: ");
    memset(buf_room(&in, 60000), 'h', 60000);
    buf_grow(&in, 60000);
    buf_add_str(&in, "\r\n\r\n");
    fd = dial();
    say_slice(fd, buf_slice(&in));
    hear(fd, &got, "\r\n\r\n");
    assert_memory_equal(got.p, "HTTP/1.1 431", 12);
    close(fd);
    buf_release(&in);
    buf_release(&got);
}

static void test_big_answer(void **state)
{
    struct buf got = {0};
    int fd = dial();
    say(fd, "GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    hear(fd, &got, "never said");
    const char *body = strstr(buf_cstr(&got), "\r\n\r\n") + 4;
    assert_int_equal(got.p + got.len - body, 1 << 20);
    buf_release(&got);
    close(fd);
}

static void test_slow_answers(void **state)
{
    int fd[3];
    for (int i = 0; i < 3; i++) {
        fd[i] = dial();
        say(fd[i], "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
        while (nsleeping == i)
            loop_turn_wait(L);
    }
    ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "200", "body="); /* nobody waits for the sleeping ones */
    for (int i = 2; i >= 0; i--) {
        struct buf got = {0};
        char text[] = "late 0";
        text[5] = (char)('0' + i);
        httpd_reply(sleeping[i], 200, "text/plain", slice_str(text));
        hear(fd[i], &got, text);
        assert_non_null(strstr(buf_cstr(&got), text));
        buf_release(&got);
        say(fd[i], "GET /echo?q=again HTTP/1.1\r\nHost: x\r\n\r\n");
        hear(fd[i], &got, "q=again");
        buf_release(&got);
        close(fd[i]);
    }
    assert_int_equal(ngone, 0);
}

static void test_peer_of_a_slow_answer_leaves(void **state)
{
    for (int i = 0; i < 2; i++) {
        int fd = dial();
        say(fd, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
        while (nsleeping == i)
            loop_turn_wait(L);
        if (i == 0)
            close(fd);
        else
            shutdown(fd, SHUT_WR);
        while (ngone == i)
            loop_turn_wait(L);
        httpd_reply(sleeping[i], 200, "text/plain", SLICE("nobody hears"));
        if (i == 1)
            close(fd);
    }
    ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "200", "body=");
}

static int stream_to(const char *request)
{
    int fd = dial(), before = nstreams;
    say(fd, request);
    while (nstreams == before)
        loop_turn_wait(L);
    return fd;
}

static void test_stream(void **state)
{
    struct buf got = {0};
    int fd = stream_to("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(fd, &got, "\r\n\r\n"); /* the head does not wait for the first piece */
    assert_non_null(strstr(got.p, "X-Stream: yes"));
    assert_non_null(strstr(got.p, "chunked"));
    httpd_stream_add(streams[0], SLICE("one"));
    httpd_stream_add(streams[0], SLICE(""));
    hear(fd, &got, "one");
    assert_int_equal(httpd_stream_waiting(streams[0]), 0);
    httpd_stream_add(streams[0], SLICE("two"));
    httpd_stream_add(streams[0], SLICE("three"));
    httpd_stream_end(streams[0]);
    hear(fd, &got, "0\r\n\r\n");
    assert_non_null(strstr(got.p, "twothree"));
    buf_clear(&got);
    say(fd, "GET /echo?q=after HTTP/1.1\r\nHost: x\r\n\r\n"); /* the connection is as good as new */
    hear(fd, &got, "q=after");
    assert_non_null(strstr(got.p, "q=after"));
    assert_int_equal(ngone, 0);
    assert_int_equal(httpd_stats.streams, 0);
    buf_release(&got);
    close(fd);
}

static int held(void)
{
    int fd = dial(), before = nsleeping;
    say(fd, "GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
    while (nsleeping == before)
        loop_turn_wait(L);
    ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "200", "body="); /* so much time has passed */
    return fd;
}

static void assert_silent(int fd)
{
    char c;
    assert_int_equal(read(fd, &c, 1), -1);
    assert_int_equal(errno, EAGAIN);
}

static void test_held_answer(void **state)
{
    struct buf got = {0};
    int fd = held();
    assert_silent(fd);
    httpd_let_go(sleeping[0]);
    hear(fd, &got, "the first answer");
    assert_non_null(strstr(got.p, "X-Answer: first"));
    buf_clear(&got);
    say(fd, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"); /* one that is held when it has slept for a while */
    while (nsleeping == 1)
        loop_turn_wait(L);
    httpd_hold(sleeping[1]);
    httpd_reply(sleeping[1], 200, "text/plain", SLICE("late"));
    ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "200", "body=");
    assert_silent(fd);
    httpd_let_go(sleeping[1]);
    hear(fd, &got, "late");
    assert_int_equal(ngone, 0);
    buf_release(&got);
    close(fd);
}

static void test_held_answer_taken_back(void **state)
{
    struct buf got = {0};
    int fd = held();
    httpd_take_back(sleeping[0]);
    httpd_add_header(sleeping[0], "X-Answer", "second");
    httpd_reply(sleeping[0], 503, "text/plain", SLICE("the second answer"));
    httpd_let_go(sleeping[0]);
    hear(fd, &got, "the second answer");
    assert_memory_equal(got.p, "HTTP/1.1 503", 12);
    assert_non_null(strstr(got.p, "X-Before: yes"));
    assert_non_null(strstr(got.p, "X-Answer: second"));
    assert_null(strstr(got.p, "first"));
    buf_release(&got);
    close(fd);
}

static void test_peer_of_a_held_answer_leaves(void **state)
{
    int fd = held();
    close(fd);
    while (ngone == 0)
        loop_turn_wait(L);
    httpd_take_back(sleeping[0]); /* whoever does not know it yet may go on */
    httpd_reply(sleeping[0], 503, "text/plain", SLICE("nobody hears"));
    httpd_let_go(sleeping[0]);
    fd = held();
    close(fd);
    while (ngone == 1)
        loop_turn_wait(L);
    httpd_let_go(sleeping[1]);
    ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "200", "body=");
}

static void test_held_end_of_a_stream(void **state)
{
    struct buf got = {0};
    for (int i = 0; i < 4; i++) {
        int fd = stream_to("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
        if (i > 1) /* then its pieces are pushed */
            hear(fd, &got, "\r\n\r\n");
        httpd_stream_add(streams[i], SLICE("piece"));
        httpd_hold(streams[i]);
        httpd_stream_add(streams[i], SLICE("the end"));
        httpd_stream_end(streams[i]);
        hear(fd, &got, "piece");
        ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "200", "body=");
        assert_silent(fd);
        if (i % 2 == 1) {
            httpd_take_back(streams[i]);
            assert_int_equal(httpd_stats.streams, 1);
            httpd_stream_add(streams[i], SLICE("an error"));
            httpd_stream_end(streams[i]);
        }
        httpd_let_go(streams[i]);
        hear(fd, &got, "0\r\n\r\n");
        assert_int_equal(strstr(got.p, "the end") != NULL, i % 2 == 0);
        assert_int_equal(strstr(got.p, "an error") != NULL, i % 2 == 1);
        buf_clear(&got);
        close(fd);
    }
    assert_int_equal(httpd_stats.streams, 0);
    assert_int_equal(ngone, 0);
    buf_release(&got);
}

static void test_cut_stream(void **state)
{
    struct buf got = {0};
    int fd = stream_to("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    httpd_stream_add(streams[0], SLICE("half of it"));
    hear(fd, &got, "half of it");
    httpd_stream_cut(streams[0]);
    hear(fd, &got, "never said"); /* to the end of the connection */
    assert_null(strstr(got.p, "\r\n0\r\n"));
    assert_int_equal(ngone, 0);
    buf_release(&got);
    close(fd);
}

/* A producer that adds only while nothing waits: what gathers here is one piece, however much the client leaves. */
static void test_slow_reader(void **state)
{
    static char piece[65536];
    struct buf got = {0};
    size_t added = 0;
    int quiet = 0, fd = stream_to("GET /stream HTTP/1.0\r\nHost: x\r\n\r\n");
    memset(piece, 'p', sizeof piece);
    while (quiet < 200) {
        if (httpd_stream_waiting(streams[0]) == 0) {
            httpd_stream_add(streams[0], slice_of(piece, sizeof piece));
            added += sizeof piece;
            quiet = 0;
        }
        loop_turn(L);
        quiet++;
        assert_true(httpd_stream_waiting(streams[0]) <= sizeof piece);
    }
    assert_true(httpd_stream_waiting(streams[0]) > 0);
    int before = ndrained;
    assert_int_equal(before, added / sizeof piece - 1);
    while (ndrained == before) {
        hear(fd, &got, "p");
        buf_clear(&got);
        loop_turn(L);
    }
    assert_int_equal(httpd_stream_waiting(streams[0]), 0);
    httpd_stream_add(streams[0], SLICE("the last words"));
    httpd_stream_end(streams[0]);
    hear(fd, &got, "the last words");
    assert_non_null(strstr(buf_cstr(&got), "the last words"));
    buf_release(&got);
    close(fd);
}

/* Takes the whole chunks off the front of `in`; true once the last one has come. */
static bool take_chunks(struct buf *in, struct buf *to)
{
    for (;;) {
        char *end;
        size_t n = strtoul(buf_cstr(in), &end, 16), head = (size_t)(end - in->p) + 2;
        if (end == in->p || in->len < head + n + 2)
            return false;
        assert_memory_equal(end, "\r\n", 2);
        assert_memory_equal(in->p + head + n, "\r\n", 2);
        buf_add(to, in->p + head, n);
        buf_drop(in, head + n + 2);
        if (n == 0)
            return true;
    }
}

static int chunked_stream(struct buf *got)
{
    int fd = stream_to("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(fd, got, "\r\n\r\n");
    buf_drop(got, (size_t)(strstr(buf_cstr(got), "\r\n\r\n") + 4 - got->p));
    return fd;
}

/* Each piece is heard before the next one is said; the connection then serves other requests and streams. */
static void test_pieces_one_by_one(void **state)
{
    struct buf got = {0}, text = {0}, want = {0};
    int fd = chunked_stream(&got);
    for (int i = 0; i < 50; i++) {
        buf_addf(&want, "piece %d;", i);
        httpd_stream_add(streams[0], SLICE("piece "));
        char number[16];
        snprintf(number, sizeof number, "%d;", i);
        httpd_stream_add(streams[0], slice_str(number));
        while (text.len < want.len) {
            hear(fd, &got, ";\r\n");
            assert_false(take_chunks(&got, &text));
        }
        assert_int_equal(httpd_stream_waiting(streams[0]), 0);
        assert_int_equal(ndrained, i + 1);
    }
    httpd_stream_end(streams[0]);
    hear(fd, &got, "0\r\n\r\n");
    assert_true(take_chunks(&got, &text));
    assert_string_equal(buf_cstr(&text), buf_cstr(&want));
    say(fd, "GET /echo?q=after HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(fd, &got, "q=after");
    assert_int_equal(ngone, 0);
    buf_release(&got);
    buf_release(&text);
    buf_release(&want);
    close(fd);
}

/* A stream whose every word came before the head was asked for has a length. */
static void test_a_stream_that_is_over_at_once(void **state)
{
    struct buf got = {0};
    int fd = dial();
    say(fd, "GET /once HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(fd, &got, "all of it");
    assert_non_null(strstr(got.p, "Content-Length: 9\r\n"));
    assert_non_null(strstr(got.p, "X-Stream: yes"));
    assert_int_equal(httpd_stats.streams, 0);
    buf_release(&got);
    close(fd);
}

/* Fills the stream until its client's socket takes no more, with bytes that tell their place. */
static size_t fill(int stream)
{
    static uint32_t piece[40000];
    size_t said = 0;
    for (int quiet = 0; quiet < 200; quiet++) {
        if (httpd_stream_waiting(streams[stream]) == 0) {
            for (size_t i = 0; i < sizeof piece / sizeof *piece; i++)
                piece[i] = (uint32_t)(said / sizeof *piece + i);
            httpd_stream_add(streams[stream], slice_of((char *)piece, sizeof piece));
            said += sizeof piece;
            quiet = 0;
        }
        loop_turn(L);
    }
    assert_true(httpd_stream_waiting(streams[stream]) > 0);
    return said;
}

/* What the socket did not take, a part of a chunk among it, comes later and in its order, the end behind it. */
static void test_slow_reader_of_chunks(void **state)
{
    struct buf got = {0}, text = {0};
    for (int round = 0; round < 3; round++) {
        int fd = chunked_stream(&got);
        size_t said = fill(round);
        httpd_stream_add(streams[round], SLICE("the end"));
        if (round > 0)
            httpd_stream_end(streams[round]);
        bool over = false;
        for (int i = 0; text.len < said + 7 || (round > 0 && !over); i++) {
            ssize_t n = read(fd, buf_room(&got, 3001), 3001);
            buf_grow(&got, n > 0 ? (size_t)n : 0);
            over = take_chunks(&got, &text);
            loop_turn(L);
        }
        if (round == 0) {
            httpd_stream_end(streams[round]);
            hear(fd, &got, "0\r\n\r\n");
            assert_true(take_chunks(&got, &text));
        }
        assert_int_equal(text.len, said + 7);
        assert_memory_equal(text.p + said, "the end", 7);
        for (size_t i = 0; i < said / 4; i++)
            assert_int_equal(((uint32_t *)text.p)[i], i);
        assert_int_equal(got.len, 0);
        buf_clear(&text);
        close(fd);
    }
    assert_int_equal(ngone, 0);
    buf_release(&got);
    buf_release(&text);
}

static void test_a_stream_that_is_stuck_ends(void **state)
{
    struct buf got = {0};
    int fd = chunked_stream(&got);
    fill(0);
    close(fd); /* its reader vanishes */
    while (ngone == 0)
        loop_turn_wait(L);
    buf_clear(&got);
    fd = chunked_stream(&got);
    fill(1);
    httpd_stream_cut(streams[1]);
    hear(fd, &got, "never said"); /* to the end of the connection */
    assert_null(memmem(got.p, got.len, "\r\n0\r\n\r\n", 7));
    assert_int_equal(ngone, 1);
    assert_int_equal(httpd_stats.streams, 0);
    buf_release(&got);
    close(fd);
}

/* Longer than the library lets a connection be idle. */
static void test_an_old_stream_ends_well(void **state)
{
    struct buf got = {0}, text = {0};
    int fd = chunked_stream(&got);
    int64_t until = clock_mono_ms() + 2500;
    while (clock_mono_ms() < until) {
        httpd_stream_add(streams[0], SLICE("x"));
        loop_turn(L);
        poll(NULL, 0, 20);
    }
    httpd_stream_end(streams[0]);
    while (!take_chunks(&got, &text)) {
        ssize_t n = read(fd, buf_room(&got, 3001), 3001);
        assert_int_not_equal(n, 0); /* closed */
        buf_grow(&got, n > 0 ? (size_t)n : 0);
        loop_turn(L);
    }
    assert_true(text.len > 1);
    buf_release(&got);
    buf_release(&text);
    close(fd);
}

static void test_vanished_reader(void **state)
{
    struct buf got = {0};
    uint64_t before = httpd_stats.vanished;
    int fd = stream_to("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    httpd_stream_add(streams[0], SLICE("something"));
    hear(fd, &got, "something");
    close(fd);
    while (ngone == 0)
        loop_turn_wait(L);
    assert_int_equal(httpd_stats.streams, 0);
    assert_int_equal(httpd_stats.vanished, before + 1);
    buf_release(&got);
}

static void test_many_streams(void **state)
{
    static int fd[MANY];
    struct buf got = {0};
    for (int i = 0; i < MANY; i++)
        fd[i] = stream_to("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(httpd_stats.streams, MANY);
    for (int piece = 0; piece < 3; piece++) {
        for (int i = 0; i < MANY; i++)
            httpd_stream_add(streams[i], SLICE("tick"));
        while (ndrained < (piece + 1) * MANY)
            loop_turn_wait(L);
    }
    for (int i = 0; i < MANY; i += 2)
        close(fd[i]);
    while (ngone < MANY / 2)
        loop_turn_wait(L);
    for (int i = 1; i < MANY; i += 2) {
        httpd_stream_add(streams[i], SLICE("done"));
        httpd_stream_end(streams[i]);
        hear(fd[i], &got, "0\r\n\r\n");
        assert_non_null(strstr(got.p, "tick\r\n4\r\ndone"));
        buf_clear(&got);
        close(fd[i]);
    }
    assert_int_equal(ngone, MANY / 2);
    assert_int_equal(httpd_stats.streams, 0);
    buf_release(&got);
}

/* A head that never comes to its end, a byte now and then. */
static void test_slow_sender(void **state)
{
    int fd = dial();
    char c;
    say(fd, "GET /echo HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    while (send(fd, "s", 1, MSG_NOSIGNAL) == 1 && recv(fd, &c, 1, MSG_DONTWAIT) != 0) {
        loop_turn(L);
        poll(NULL, 0, 20);
    }
    close(fd);
    ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "200", "body=");
}

static void test_close_with_sleepers(void **state)
{
    int fd = dial(), other = dial(), third = stream_to("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    say(fd, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    say(other, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
    while (nsleeping == 0)
        loop_turn_wait(L);
    httpd_close(H);
    H = NULL;
    assert_int_equal(ngone, 2);
    assert_string_equal(httpd_path(sleeping[0]), "/slow");
    assert_null(httpd_header(sleeping[0], "Host"));
    httpd_reply(sleeping[0], 200, "text/plain", SLICE("frees"));
    close(fd);
    close(other);
    close(third);
}

/* More connections than allowed: the others wait, nobody is dropped. */
static void test_connection_limit(void **state)
{
    int fd[7];
    for (int i = 0; i < 7; i++) {
        fd[i] = dial();
        say(fd[i], "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    }
    for (int i = 0; i < 7; i++) {
        struct buf got = {0};
        hear(fd[i], &got, "body=");
        assert_non_null(strstr(buf_cstr(&got), "body="));
        buf_release(&got);
        close(fd[i]);
    }
}

static void test_bad_address(void **state)
{
    struct err err;
    struct httpd *h;
    struct httpd_config config = {.addr = "999.1.1.1", .body_max = 1, .connections = 1};
    assert_int_equal(httpd_open(&h, L, &config, handler, NULL, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "999.1.1.1"));
    config.addr = "127.0.0.1";
    config.port = httpd_port(H);
    assert_int_equal(httpd_open(&h, L, &config, handler, NULL, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "in use"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)
        TEST(test_requests),
        TEST(test_keep_alive),
        TEST(test_limits),
        TEST(test_big_answer),
        TEST(test_slow_answers),
        TEST(test_peer_of_a_slow_answer_leaves),
        TEST(test_held_answer),
        TEST(test_held_answer_taken_back),
        TEST(test_peer_of_a_held_answer_leaves),
        TEST(test_held_end_of_a_stream),
        TEST(test_stream),
        TEST(test_cut_stream),
        TEST(test_slow_reader),
        TEST(test_pieces_one_by_one),
        TEST(test_a_stream_that_is_over_at_once),
        TEST(test_slow_reader_of_chunks),
        TEST(test_a_stream_that_is_stuck_ends),
        cmocka_unit_test_setup_teardown(test_an_old_stream_ends_well, up_impatient, down),
        TEST(test_vanished_reader),
        cmocka_unit_test_setup_teardown(test_many_streams, up_many, down),
        cmocka_unit_test_setup_teardown(test_slow_sender, up_impatient, down),
        TEST(test_close_with_sleepers),
        TEST(test_connection_limit),
        TEST(test_bad_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
