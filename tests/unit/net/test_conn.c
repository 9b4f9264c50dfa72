/* Connections over real sockets on 127.0.0.1: the server's end is a conn, the client's a plain descriptor, both turned
 * by this one thread. The commands that the tests' handler knows are listed at on_command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/info.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/setting.h"
#include "net/conn.h"
#include "net/reply.h"
#include "net/settings.h"

static struct loop *L;
static struct conn_host *host;
static struct listener *door;
static struct loop_hook flush_hook;
static struct conn_limits usual;

struct peer { /* what the server knows of its one client */
    struct conn *conn;
    struct reply reply;
    int commands, closed, inside;
    int looked, foreseen; /* on_ahead's calls, and the commands that it was shown */
    size_t last_len;
    char bad[80];
};
static struct peer peer;

/* PING, ECHO x, BIG n, STOP (parks), BOTH (stop and go), KILL (closes now), QUIT (closes soon), LEN x */
static void on_command(void *arg, const struct resp_request *r)
{
    struct peer *p = arg;
    const struct slice *argv = r->argv;
    int argc = r->argc;
    assert_int_equal(p->inside, 0); /* commands never nest */
    p->inside++;
    p->commands++;
    assert_true(!r->what || (r->what == p && r->hash == argv[0].len)); /* its own notes, not another command's */
    p->last_len = argv[argc - 1].len;
    if (slice_is(argv[0], "ping")) {
        reply_status(&p->reply, "PONG");
    } else if (slice_is(argv[0], "echo")) {
        reply_bulk(&p->reply, argv[1]);
    } else if (slice_is(argv[0], "big")) {
        uint64_t n = 0;
        assert_true(num_to_u64(argv[1], &n));
        char *text = mem_alloc(n);
        for (size_t i = 0; i < n; i++)
            text[i] = (char)('a' + i % 23);
        reply_bulk(&p->reply, slice_of(text, n));
        mem_free(text);
    } else if (slice_is(argv[0], "stop")) {
        conn_stop(p->conn);
    } else if (slice_is(argv[0], "both")) {
        conn_stop(p->conn);
        conn_go(p->conn);
        reply_ok(&p->reply);
    } else if (slice_is(argv[0], "kill")) {
        conn_close(p->conn);
        conn_close(p->conn);
        assert_int_equal(p->closed, 0);
        assert_true(conn_closing(p->conn));
        reply_ok(&p->reply);
    } else if (slice_is(argv[0], "quit")) {
        reply_ok(&p->reply);
        conn_close_soon(p->conn);
    } else if (slice_is(argv[0], "len")) {
        reply_int(&p->reply, (int64_t)argv[1].len);
    }
    conn_wrote(p->conn);
    p->inside--;
}

static void on_bad(void *arg, const char *msg)
{
    struct peer *p = arg;
    snprintf(p->bad, sizeof p->bad, "%s", msg);
    reply_errorf(&p->reply, "ERR %s", msg);
    conn_wrote(p->conn);
}

static void on_closed(void *arg)
{
    struct peer *p = arg;
    assert_int_equal(p->inside, 0);
    p->closed++;
    p->conn = NULL;
}

static void on_ahead(void *arg, struct resp_request *r, int n)
{
    struct peer *p = arg;
    assert_int_equal(p->inside, 0);
    assert_true(n > 1);
    p->looked++;
    p->foreseen += n;
    for (int i = 0; i < n; i++) {
        r[i].what = p;
        r[i].hash = r[i].argv[0].len;
    }
}

static const struct conn_ops ops = {.ahead = on_ahead, .command = on_command, .bad_protocol = on_bad, .closed = on_closed};

static void on_accept(void *arg, struct sock *s)
{
    peer = (struct peer){0};
    peer.conn = conn_create(host, s, &ops, NULL);
    conn_set_arg(peer.conn, &peer);
    peer.reply = (struct reply){.out = conn_out(peer.conn), .resp = 2};
}

static void flush(void *arg)
{
    conn_host_flush(arg);
}

static int up(void **state)
{
    struct err err;
    log_set_level(LOG_NOTHING);
    usual = conn_limits;
    if (loop_create(&L, &err) < 0)
        return -1;
    host = conn_host_create(L);
    flush_hook = (struct loop_hook){.fn = flush, .arg = host};
    loop_before_sleep(L, &flush_hook);
    return listener_tcp(&door, L, "127.0.0.1", 0, 16, on_accept, NULL, &err);
}

static int down(void **state)
{
    loop_unhook(&flush_hook);
    conn_host_destroy(host);
    listener_close(door);
    while (loop_turn(L))
        ;
    loop_destroy(L);
    conn_limits = usual;
    return 0;
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)listener_port(door))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int r = connect(fd, (struct sockaddr *)&a, sizeof a);
    assert_true(r == 0 || errno == EINPROGRESS);
    peer = (struct peer){0};
    while (!peer.conn)
        loop_turn_wait(L);
    return fd;
}

static void turn(int times)
{
    for (int i = 0; i < times; i++)
        loop_turn(L);
}

static void say_slice(int fd, struct slice s)
{
    while (s.len) {
        ssize_t n = write(fd, s.p, s.len);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            loop_turn(L);
            continue;
        }
        s = slice_of(s.p + n, s.len - (size_t)n);
    }
}

static void say(int fd, const char *text)
{
    say_slice(fd, slice_str(text));
}

/* Reads n bytes, or until the end of the stream when there are fewer; turns the loop in between. */
static void hear_bytes(int fd, struct buf *to, size_t n)
{
    int64_t deadline = clock_mono_ms() + 30000;
    while (to->len < n) {
        assert_true(clock_mono_ms() < deadline);
        ssize_t r = read(fd, buf_room(to, 65536), n - to->len < 65536 ? n - to->len : 65536);
        if (r > 0)
            buf_grow(to, (size_t)r);
        else if (r == 0 || errno != EAGAIN)
            return;
        else
            loop_turn(L);
    }
}

static void hear(int fd, const char *want)
{
    struct buf got = {0};
    hear_bytes(fd, &got, strlen(want));
    assert_string_equal(buf_cstr(&got), want);
    buf_release(&got);
}

static void hear_end(int fd)
{
    struct buf got = {0};
    hear_bytes(fd, &got, 1);
    assert_int_equal(got.len, 0);
    buf_release(&got);
    while (!peer.closed)
        loop_turn_wait(L);
    assert_int_equal(peer.closed, 1);
}

static void hang_up(int fd)
{
    close(fd);
    while (!peer.closed)
        loop_turn_wait(L);
    turn(3);
    assert_int_equal(peer.closed, 1);
}

static void test_pipeline(void **state)
{
    int fd = dial();
    struct buf in = {0}, want = {0};
    for (int i = 0; i < 5000; i++) {
        buf_addf(&in, i % 3 ? "*2\r\n$4\r\nECHO\r\n$5\r\n%05d\r\n" : "ECHO %05d\r\n", i);
        buf_addf(&want, "$5\r\n%05d\r\n", i);
    }
    say_slice(fd, buf_slice(&in));
    hear(fd, buf_cstr(&want));
    assert_int_equal(peer.commands, 5000);
    assert_int_equal(conn_in_total(peer.conn), in.len);
    assert_int_equal(conn_out_total(peer.conn), want.len);
    assert_int_equal(conn_query_bytes(peer.conn), 0);
    assert_int_equal(conn_out_bytes(peer.conn), 0);
    buf_release(&in);
    buf_release(&want);
    hang_up(fd);
}

static void test_byte_by_byte(void **state)
{
    int fd = dial();
    const char *text = "*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\nPING\r\n\r\nECHO 'x y'\r\n";
    for (; *text; text++) {
        say_slice(fd, slice_of(text, 1));
        turn(2);
    }
    hear(fd, "$3\r\nabc\r\n+PONG\r\n$3\r\nx y\r\n");
    hang_up(fd);
}

static void test_stop_and_go(void **state)
{
    int fd = dial();
    say(fd, "PING\r\nSTOP\r\nPING\r\nBOTH\r\nPING\r\n");
    hear(fd, "+PONG\r\n");
    turn(10);
    assert_int_equal(peer.commands, 2);
    reply_ok(&peer.reply);
    conn_wrote(peer.conn);
    conn_go(peer.conn);
    conn_go(peer.conn);
    assert_int_equal(peer.commands, 2); /* not from inside */
    hear(fd, "+OK\r\n+PONG\r\n+OK\r\n+PONG\r\n");
    assert_int_equal(peer.commands, 5);
    conn_stop(peer.conn);
    conn_go(peer.conn);
    say(fd, "PING\r\n");
    hear(fd, "+PONG\r\n");
    hang_up(fd);
}

/* A stop in the middle of what was looked at: the rest comes again, and is looked at anew. */
static void test_stop_in_a_pipeline(void **state)
{
    int fd = dial();
    say(fd, "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nSTOP\r\n*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\n*2\r\n$3\r\nLEN\r\n$2\r\nxy\r\nPING\r\n*1\r\n$4\r\nPI");
    hear(fd, "+PONG\r\n");
    turn(10);
    assert_int_equal(peer.commands, 2);
    assert_int_equal(peer.looked, 1);
    assert_int_equal(peer.foreseen, 4); /* not the inline one, not the half one */
    conn_go(peer.conn);
    hear(fd, "$3\r\nabc\r\n:2\r\n+PONG\r\n");
    assert_int_equal(peer.looked, 2);
    assert_int_equal(peer.foreseen, 6);
    say(fd, "NG\r\n*1\r\n$4\r\nPING\r\n");
    hear(fd, "+PONG\r\n+PONG\r\n");
    assert_int_equal(peer.looked, 2); /* nothing to look at: one is half, and one alone is no pipeline */
    hang_up(fd);
}

static void test_kill_in_a_pipeline(void **state)
{
    int fd = dial();
    say(fd, "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\n");
    hear(fd, "+PONG\r\n+OK\r\n");
    hear_end(fd);
    assert_int_equal(peer.commands, 2);
    close(fd);
    fd = dial();
    say(fd, "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nKILL\r\n*1\r\n$4\r\nPING\r\n");
    hear_end(fd);
    assert_int_equal(peer.commands, 2);
    close(fd);
}

/* More than is looked at together, and one with more arguments than there is room for. */
static void test_long_pipeline(void **state)
{
    int fd = dial();
    struct buf in = {0}, want = {0};
    for (int i = 0; i < 100; i++) {
        buf_addf(&in, "*2\r\n$4\r\nECHO\r\n$2\r\n%02d\r\n", i);
        buf_addf(&want, "$2\r\n%02d\r\n", i);
        if (i != 50)
            continue;
        buf_add_str(&in, "*2000\r\n$4\r\nPING\r\n");
        for (int k = 1; k < 2000; k++)
            buf_add_str(&in, "$1\r\na\r\n");
        buf_add_str(&want, "+PONG\r\n");
    }
    say(fd, buf_cstr(&in));
    hear(fd, buf_cstr(&want));
    assert_int_equal(peer.commands, 101);
    assert_true(peer.looked >= 4 && peer.foreseen <= 101);
    buf_release(&in);
    buf_release(&want);
    hang_up(fd);
}

static void test_stopped_client_is_not_read_for_ever(void **state)
{
    int fd = dial();
    say(fd, "STOP\r\n");
    turn(5);
    struct buf in = {0};
    for (int i = 0; i < 400000; i++)
        buf_add_str(&in, "PING\r\n");
    size_t sent = 0;
    for (int idle = 0; idle < 50;) {
        ssize_t n = write(fd, in.p + sent, in.len - sent);
        if (n > 0)
            sent += (size_t)n;
        idle = n > 0 ? 0 : idle + 1;
        loop_turn(L);
    }
    assert_true(conn_query_bytes(peer.conn) <= 64 * 1024);
    assert_int_equal(peer.commands, 1);
    conn_go(peer.conn);
    struct buf got = {0};
    while (sent < in.len) {
        ssize_t n = write(fd, in.p + sent, in.len - sent);
        sent += n > 0 ? (size_t)n : 0;
        turn(1);
        hear_bytes(fd, &got, got.len + 7);
    }
    hear_bytes(fd, &got, 400000 * 7);
    assert_int_equal(got.len, 400000 * 7);
    assert_int_equal(peer.commands, 400001);
    buf_release(&in);
    buf_release(&got);
    hang_up(fd);
}

static void test_hold(void **state)
{
    int fd = dial();
    conn_hold(peer.conn, true);
    say(fd, "PING\r\nPING\r\n");
    turn(20);
    char c;
    assert_int_equal(read(fd, &c, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(conn_out_bytes(peer.conn), 14);
    conn_hold(peer.conn, false);
    hear(fd, "+PONG\r\n+PONG\r\n");
    conn_hold(peer.conn, true);
    say(fd, "QUIT\r\n");
    turn(20);
    assert_int_equal(peer.closed, 0);
    conn_hold(peer.conn, false);
    hear(fd, "+OK\r\n");
    hear_end(fd);
    close(fd);
}

static void test_big_reply_to_a_slow_reader(void **state)
{
    int fd = dial();
    say(fd, "BIG 30000000\r\nPING\r\nBIG 1000000\r\nQUIT\r\n");
    turn(20);
    assert_true(conn_out_bytes(peer.conn) > 0);
    assert_int_equal(peer.closed, 0);
    struct buf got = {0};
    size_t want = 11 + 30000000 + 2 + 7 + 10 + 1000000 + 2 + 5;
    hear_bytes(fd, &got, want);
    assert_int_equal(got.len, want);
    for (size_t i = 0; i < 30000000; i++)
        if (got.p[11 + i] != (char)('a' + i % 23))
            fail_msg("byte %zu", i);
    assert_memory_equal(got.p + 11 + 30000000, "\r\n+PONG\r\n$1000000\r\nab", 21);
    assert_memory_equal(got.p + want - 7, "\r\n+OK\r\n", 7);
    buf_release(&got);
    hear_end(fd);
    close(fd);
}

static void test_big_argument(void **state)
{
    int fd = dial();
    size_t n = 20000000;
    struct buf in = {0};
    buf_addf(&in, "*2\r\n$3\r\nLEN\r\n$%zu\r\n", n);
    memset(buf_room(&in, n), 'v', n);
    buf_grow(&in, n);
    buf_add_str(&in, "\r\nPING\r\n");
    say_slice(fd, buf_slice(&in));
    hear(fd, ":20000000\r\n+PONG\r\n");
    assert_int_equal(peer.last_len, 4);
    buf_release(&in);
    hang_up(fd);
}

static void test_announced_size_allocates_nothing(void **state)
{
    int fd = dial();
    size_t before = mem_used();
    say(fd, "*2\r\n$3\r\nLEN\r\n$500000000\r\nabc");
    turn(10);
    assert_true(mem_used() < before + 256 * 1024);
    hang_up(fd);
}

static void test_query_limit(void **state)
{
    conn_limits.query_max = 1 << 20;
    uint64_t before = conn_stats.query_limit_closed;
    int fd = dial();
    struct buf in = {0};
    buf_add_str(&in, "*2\r\n$3\r\nLEN\r\n$4000000\r\n");
    memset(buf_room(&in, 3000000), 'v', 3000000);
    buf_grow(&in, 3000000);
    for (size_t at = 0; at < in.len && !peer.closed;) {
        ssize_t n = write(fd, in.p + at, in.len - at);
        at += n > 0 ? (size_t)n : 0;
        loop_turn(L);
    }
    while (!peer.closed)
        loop_turn_wait(L);
    assert_int_equal(conn_stats.query_limit_closed, before + 1);
    buf_release(&in);
    close(fd);
}

static void test_hard_output_limit(void **state)
{
    conn_limits.out_hard[CONN_NORMAL] = 1 << 20;
    uint64_t before = conn_stats.out_limit_closed;
    int fd = dial();
    say(fd, "BIG 900000\r\n");
    struct buf got = {0};
    hear_bytes(fd, &got, 900000 + 11);
    assert_int_equal(got.len, 900000 + 11);
    assert_int_equal(peer.closed, 0);
    say(fd, "BIG 2000000\r\nPING\r\n");
    while (!peer.closed)
        loop_turn_wait(L);
    assert_int_equal(peer.commands, 2); /* the PING behind it was not run */
    assert_int_equal(conn_stats.out_limit_closed, before + 1);
    buf_release(&got);
    close(fd);
}

static void test_soft_output_limit(void **state)
{
    conn_limits.out_soft[CONN_PUBSUB] = 1000;
    conn_limits.out_soft_seconds[CONN_PUBSUB] = 0;
    int fd = dial();
    say(fd, "BIG 30000000\r\n"); /* normal: no limit */
    turn(20);
    assert_true(conn_out_bytes(peer.conn) > 1000);
    assert_int_equal(peer.closed, 0);
    conn_set_pubsub(peer.conn, true);
    while (!peer.closed) /* the host's own timer sees it */
        loop_turn_wait(L);
    close(fd);
}

static void test_kill_inside_a_command(void **state)
{
    int fd = dial();
    say(fd, "PING\r\nKILL\r\nPING\r\n");
    while (!peer.closed)
        loop_turn_wait(L);
    assert_int_equal(peer.commands, 2);
    assert_int_equal(peer.closed, 1);
    close(fd);
}

static void test_quit(void **state)
{
    int fd = dial();
    say(fd, "PING\r\nQUIT\r\nPING\r\n");
    hear(fd, "+PONG\r\n+OK\r\n");
    hear_end(fd);
    assert_int_equal(peer.commands, 2);
    close(fd);
}

static void test_bad_protocol(void **state)
{
    int fd = dial();
    say(fd, "PING\r\n*1\r\n$x\r\nPING\r\n");
    hear(fd, "+PONG\r\n-ERR Protocol error: invalid bulk length\r\n");
    assert_string_equal(peer.bad, "Protocol error: invalid bulk length");
    hear_end(fd);
    close(fd);
    fd = dial();
    conn_set_guest(peer.conn, true);
    say(fd, "*11\r\n");
    hear(fd, "-ERR Protocol error: unauthenticated multibulk length\r\n");
    hear_end(fd);
    close(fd);
}

/* printf 'PING\r\n' | nc: everything that was asked is answered. */
static void test_half_closed(void **state)
{
    int fd = dial();
    say(fd, "PING\r\nBIG 5000000\r\nECHO last\r\nECHO half");
    shutdown(fd, SHUT_WR);
    struct buf got = {0};
    hear_bytes(fd, &got, 1u << 30);
    assert_int_equal(got.len, 7 + 10 + 5000000 + 2 + 10);
    assert_memory_equal(got.p + got.len - 10, "$4\r\nlast\r\n", 10);
    buf_release(&got);
    hear_end(fd);
    close(fd);
}

static void test_parked_client_leaves(void **state)
{
    int fd = dial();
    say(fd, "STOP\r\nPING\r\n");
    turn(5);
    hang_up(fd);
    assert_int_equal(peer.commands, 1);
}

static void test_half_a_command_then_gone(void **state)
{
    int fd = dial();
    say(fd, "*3\r\n$3\r\nSET\r\n$100\r\nabc");
    turn(5);
    hang_up(fd);
    assert_int_equal(peer.commands, 0);
}

static void test_idle_buffers_go(void **state)
{
    int fd = dial();
    say(fd, "BIG 50000\r\n");
    struct buf got = {0};
    hear_bytes(fd, &got, 50000 + 10);
    buf_release(&got);
    assert_true(conn_memory(peer.conn) > 50000);
    while (conn_memory(peer.conn) > 4096)
        loop_turn_wait(L);
    say(fd, "PING\r\n");
    hear(fd, "+PONG\r\n");
    hang_up(fd);
}

static void test_many_come_and_go(void **state)
{
    size_t before = mem_used();
    for (int i = 0; i < 200; i++) {
        int fd = dial();
        say(fd, i % 2 ? "PING\r\nPIN" : "STOP\r\nPING\r\n");
        turn(i % 4);
        hang_up(fd);
    }
    turn(5);
    assert_true(mem_used() <= before + 4096);
}

/* The host goes with a parked, a held and a half-written connection; down() checks that the loop ends clean. */
static void test_host_goes_first(void **state)
{
    int fd = dial();
    say(fd, "BIG 30000000\r\nSTOP\r\nPING\r\n");
    turn(10);
    conn_go(peer.conn);
    loop_unhook(&flush_hook);
    conn_host_destroy(host);
    host = NULL;
    while (!peer.closed)
        loop_turn_wait(L);
    assert_int_equal(peer.commands, 2);
    close(fd);
}

static void get(const char *name, char *to, size_t size)
{
    struct buf b = {0};
    setting_get(setting_find(slice_str(name)), &b);
    snprintf(to, size, "%s", buf_cstr(&b));
    buf_release(&b);
}

static void test_settings(void **state)
{
    char text[200];
    struct err err;
    net_register_settings();
    get("client-output-buffer-limit", text, sizeof text);
    assert_string_equal(text, "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
    const struct setting *s = setting_find(SLICE("client-output-buffer-limit"));
    assert_int_equal(setting_set(s, SLICE("pubsub 1mb 100k 5 replica 1 2 3"), false, &err), 0);
    get("client-output-buffer-limit", text, sizeof text);
    assert_string_equal(text, "normal 0 0 0 slave 1 2 3 pubsub 1048576 100000 5");
    static const char *bad[] = {"wrong number",  "invalid_class 10mb 10mb 60", "normal 10mbs 10mb 60",
                                "normal 1 1 -1", "normal 1 1 1 pubsub",        "normal 5 5 5 nobody 1 1 1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(setting_set(s, slice_str(bad[i]), false, &err) < 0);
    get("client-output-buffer-limit", text, sizeof text);
    assert_string_equal(text, "normal 0 0 0 slave 1 2 3 pubsub 1048576 100000 5");
    assert_true(setting_set(setting_find(SLICE("proto-max-bulk-len")), SLICE("1000"), false, &err) < 0);
    assert_int_equal(setting_set(setting_find(SLICE("proto-max-bulk-len")), SLICE("2mb"), false, &err), 0);
    assert_int_equal(conn_limits.bulk_max, 2 << 20);
}

static void test_info(void **state)
{
    struct buf text = {0};
    struct slice section = SLICE("stats");
    net_register_info();
    conn_stats = (struct conn_stats){.in_bytes = 11, .out_bytes = 22, .query_limit_closed = 3, .out_limit_closed = 4};
    info_print(&text, &section, 1);
    assert_string_equal(buf_cstr(&text), "# Stats\r\ntotal_net_input_bytes:11\r\ntotal_net_output_bytes:22\r\n"
                                         "client_query_buffer_limit_disconnections:3\r\n"
                                         "client_output_buffer_limit_disconnections:4\r\n");
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)
        TEST(test_pipeline),
        TEST(test_byte_by_byte),
        TEST(test_stop_and_go),
        TEST(test_stop_in_a_pipeline),
        TEST(test_kill_in_a_pipeline),
        TEST(test_long_pipeline),
        TEST(test_stopped_client_is_not_read_for_ever),
        TEST(test_hold),
        TEST(test_big_reply_to_a_slow_reader),
        TEST(test_big_argument),
        TEST(test_announced_size_allocates_nothing),
        TEST(test_query_limit),
        TEST(test_hard_output_limit),
        TEST(test_soft_output_limit),
        TEST(test_kill_inside_a_command),
        TEST(test_quit),
        TEST(test_bad_protocol),
        TEST(test_half_closed),
        TEST(test_parked_client_leaves),
        TEST(test_half_a_command_then_gone),
        TEST(test_idle_buffers_go),
        TEST(test_many_come_and_go),
        TEST(test_host_goes_first),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_info),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
