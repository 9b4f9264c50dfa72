/* The HTTP server over real sockets: requests are written by hand, the loop and the client share this thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/httpd.h"

static struct loop *L;
static struct httpd *H;
static struct httpd_req *sleeping[8];
static int nsleeping, ngone;

static void gone(void *arg)
{
    ngone++;
}

/* /echo tells all it saw; /slow waits in sleeping[]; /big is a megabyte; anything else is 404 */
static void handler(void *arg, struct httpd_req *r)
{
    struct buf out = {0};
    if (strcmp(httpd_path(r), "/slow") == 0) {
        httpd_on_gone(r, gone, NULL);
        sleeping[nsleeping++] = r;
        return;
    }
    if (strcmp(httpd_path(r), "/big") == 0) {
        memset(buf_room(&out, 1 << 20), 'z', 1 << 20);
        buf_grow(&out, 1 << 20);
        httpd_reply(r, 200, "text/plain", buf_slice(&out));
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

static int up(void **state)
{
    struct err err;
    struct httpd_config config = {.addr = "127.0.0.1", .body_max = 100000, .connections = 4, .idle_s = 30};
    log_set_level(LOG_NOTHING);
    nsleeping = ngone = 0;
    if (loop_create(&L, &err) < 0)
        return -1;
    return httpd_open(&H, L, &config, handler, NULL, &err);
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
    int fd = dial();
    say(fd, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    while (nsleeping == 0)
        loop_turn_wait(L);
    close(fd);
    for (int i = 0; i < 10; i++)
        loop_turn(L);
    httpd_reply(sleeping[0], 200, "text/plain", SLICE("nobody hears"));
    ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "200", "body=");
}

static void test_close_with_sleepers(void **state)
{
    int fd = dial(), other = dial();
    say(fd, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    say(other, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
    while (nsleeping == 0)
        loop_turn_wait(L);
    httpd_close(H);
    H = NULL;
    assert_int_equal(ngone, 1);
    assert_string_equal(httpd_path(sleeping[0]), "/slow");
    assert_null(httpd_header(sleeping[0], "Host"));
    httpd_reply(sleeping[0], 200, "text/plain", SLICE("frees"));
    close(fd);
    close(other);
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
        TEST(test_close_with_sleepers),
        TEST(test_connection_limit),
        TEST(test_bad_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
