/* Listeners and streams, against plain sockets of this process. */
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
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/sock.h"

static struct loop *L;

struct peer {
    struct sock *s;
    char in[4096];
    size_t room, len;
    int ended, end_error, written, write_error, closed;
    bool close_in_got;
};

static size_t want(void *arg, char **room)
{
    struct peer *p = arg;
    *room = p->in + p->len;
    return p->room - p->len;
}

static void got(void *arg, size_t n)
{
    struct peer *p = arg;
    p->len += n;
    if (p->close_in_got)
        sock_close(p->s);
}

static void end(void *arg, int error)
{
    struct peer *p = arg;
    p->ended++;
    p->end_error = error;
}

static void written(void *arg, int error)
{
    struct peer *p = arg;
    p->written++;
    p->write_error = error;
}

static void closed(void *arg)
{
    ((struct peer *)arg)->closed++;
}

static const struct sock_ops ops = {want, got, end, written, closed};

static void accepted(void *arg, struct sock *s)
{
    struct peer *p = arg;
    *p = (struct peer){.s = s, .room = sizeof p->in};
    sock_attach(s, &ops, p);
    sock_read(s);
}

static int up(void **state)
{
    struct err err;
    return loop_create(&L, &err);
}

static int down(void **state)
{
    loop_destroy(L);
    return 0;
}

static int connect_tcp(int port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static struct listener *listen_tcp(struct peer *p)
{
    struct listener *ls;
    struct err err;
    assert_int_equal(listener_tcp(&ls, L, "127.0.0.1", 0, 16, accepted, p, &err), 0);
    assert_true(listener_port(ls) > 0);
    return ls;
}

static void close_all(struct peer *p, struct listener *ls)
{
    if (p)
        sock_close(p->s);
    listener_close(ls);
    while (loop_turn(L))
        ;
    if (p)
        assert_int_equal(p->closed, 1);
}

static void bytes_go_both_ways_and_the_end_is_seen(void **state)
{
    struct peer p = {0};
    struct listener *ls = listen_tcp(&p);
    int fd = connect_tcp(listener_port(ls));
    assert_int_equal(write(fd, "hello", 5), 5);
    while (p.len < 5)
        loop_turn_wait(L);
    assert_memory_equal(p.in, "hello", 5);
    assert_int_equal(sock_write(p.s, "world", 5), 1);
    assert_int_equal(sock_write(p.s, "", 0), 1);
    char back[8];
    assert_int_equal(read(fd, back, sizeof back), 5);
    assert_memory_equal(back, "world", 5);
    int on = 0;
    socklen_t len = sizeof on;
    getsockopt(sock_fd(p.s), IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, &len);
    assert_int_not_equal(on, 0);
    sock_keepalive(p.s, 30);
    close(fd);
    while (!p.ended)
        loop_turn_wait(L);
    assert_int_equal(p.end_error, 0);
    close_all(&p, ls);
    assert_int_equal(p.ended, 1);
    assert_int_equal(p.written, 0);
}

static void names_are_redis_names(void **state)
{
    struct peer p = {0};
    struct listener *ls = listen_tcp(&p);
    int fd = connect_tcp(listener_port(ls));
    while (!p.s)
        loop_turn_wait(L);
    char name[64], expect[64];
    sock_name(p.s, 1, name, sizeof name);
    snprintf(expect, sizeof expect, "127.0.0.1:%d", listener_port(ls));
    assert_string_equal(name, expect);
    struct sockaddr_in a;
    socklen_t len = sizeof a;
    getsockname(fd, (struct sockaddr *)&a, &len);
    sock_name(p.s, 0, name, sizeof name);
    snprintf(expect, sizeof expect, "127.0.0.1:%d", ntohs(a.sin_port));
    assert_string_equal(name, expect);
    assert_true(sock_is_local(p.s));
    assert_false(sock_is_unix(p.s));
    close(fd);
    close_all(&p, ls);
}

static void a_lender_without_room_pauses_reading(void **state)
{
    struct peer p = {0};
    struct listener *ls = listen_tcp(&p);
    int fd = connect_tcp(listener_port(ls));
    while (!p.s)
        loop_turn_wait(L);
    p.room = 4;
    assert_int_equal(write(fd, "abcdefgh", 8), 8);
    while (p.len < 4)
        loop_turn_wait(L);
    for (int i = 0; i < 5; i++)
        loop_turn(L);
    assert_int_equal(p.len, 4);
    assert_int_equal(p.ended, 0);
    p.room = sizeof p.in;
    sock_read(p.s);
    while (p.len < 8)
        loop_turn_wait(L);
    assert_memory_equal(p.in, "abcdefgh", 8);
    sock_pause(p.s);
    assert_int_equal(write(fd, "more", 4), 4);
    for (int i = 0; i < 5; i++)
        loop_turn(L);
    assert_int_equal(p.len, 8);
    close(fd);
    close_all(&p, ls);
}

static void a_large_write_ends_with_written(void **state)
{
    struct peer p = {0};
    struct listener *ls = listen_tcp(&p);
    int fd = connect_tcp(listener_port(ls));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (!p.s)
        loop_turn_wait(L);
    size_t n = 32u << 20, seen = 0;
    char *big = malloc(n), *back = malloc(1 << 20);
    for (size_t i = 0; i < n; i++)
        big[i] = (char)(i * 31 + (i >> 13));
    assert_int_equal(sock_write(p.s, big, n), 0);
    assert_int_equal(p.written, 0);
    while (seen < n) {
        loop_turn(L);
        ssize_t r = read(fd, back, 1 << 20);
        if (r < 0) {
            assert_int_equal(errno, EAGAIN);
            continue;
        }
        assert_memory_equal(back, big + seen, (size_t)r);
        seen += (size_t)r;
    }
    while (!p.written)
        loop_turn_wait(L);
    assert_int_equal(p.written, 1);
    assert_int_equal(p.write_error, 0);
    assert_int_equal(sock_write(p.s, "x", 1), 1);
    free(big);
    free(back);
    close(fd);
    close_all(&p, ls);
}

static void after_close_only_closed_comes(void **state)
{
    struct peer p = {0};
    struct listener *ls = listen_tcp(&p);
    int fd = connect_tcp(listener_port(ls));
    while (!p.s)
        loop_turn_wait(L);
    static char big[16 << 20];
    assert_int_equal(sock_write(p.s, big, sizeof big), 0); /* cannot finish: nobody reads */
    sock_close(p.s);
    assert_int_equal(p.closed, 0);
    assert_int_equal(sock_fd(p.s), -1);
    close_all(NULL, ls);
    assert_int_equal(p.closed, 1);
    assert_int_equal(p.written, 0);
    assert_int_equal(p.ended, 0);
    close(fd);
}

static void closing_inside_got_is_allowed(void **state)
{
    struct peer p = {0};
    struct listener *ls = listen_tcp(&p);
    int fd = connect_tcp(listener_port(ls));
    while (!p.s)
        loop_turn_wait(L);
    p.close_in_got = true;
    p.room = 2;
    assert_int_equal(write(fd, "abcdef", 6), 6);
    while (!p.closed)
        loop_turn_wait(L);
    assert_int_equal(p.len, 2);
    close(fd);
    close_all(NULL, ls);
}

static void a_broken_connection_ends_with_its_error(void **state)
{
    struct peer p = {0};
    struct listener *ls = listen_tcp(&p);
    int fd = connect_tcp(listener_port(ls));
    while (!p.s)
        loop_turn_wait(L);
    struct linger hard = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd); /* a reset */
    while (!p.ended)
        loop_turn_wait(L);
    assert_int_equal(p.end_error, -ECONNRESET);
    assert_true(sock_write(p.s, "x", 1) < 0);
    assert_int_equal(p.ended, 1);
    close_all(&p, ls);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strcpy(a.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void unix_sockets_work_and_clean_up(void **state)
{
    char dir[] = "/tmp/skald-sock-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    struct sockaddr_un stale = {.sun_family = AF_UNIX};
    strcpy(stale.sun_path, path);
    int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(dead, (struct sockaddr *)&stale, sizeof stale), 0);
    close(dead); /* what a killed server leaves: a path that nobody listens on */

    struct peer p = {0};
    struct listener *ls, *second;
    struct err err;
    assert_int_equal(listener_unix(&ls, L, path, 0700, 16, accepted, &p, &err), 0);
    assert_int_equal(listener_port(ls), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(listener_unix(&second, L, path, 0, 16, accepted, &p, &err), ERR_IO); /* it is alive */
    while (!p.ended) /* the second listener's look whether anybody answers */
        loop_turn_wait(L);
    sock_close(p.s);
    while (!p.closed)
        loop_turn_wait(L);
    p.s = NULL;
    p.len = 0;

    int fd = connect_unix(path);
    assert_int_equal(write(fd, "u", 1), 1);
    while (!p.s || p.len < 1)
        loop_turn_wait(L);
    char name[128], expect[80];
    snprintf(expect, sizeof expect, "%s:0", path);
    sock_name(p.s, 0, name, sizeof name);
    assert_string_equal(name, expect);
    assert_true(sock_is_local(p.s));
    assert_true(sock_is_unix(p.s));
    assert_int_equal(sock_write(p.s, "v", 1), 1);
    close(fd);
    close_all(&p, ls);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rmdir(dir), 0);
}

static void what_cannot_be_listened_on_says_so(void **state)
{
    struct peer p = {0};
    struct listener *ls = listen_tcp(&p), *other;
    struct err err;
    assert_int_equal(listener_tcp(&other, L, "127.0.0.1", listener_port(ls), 16, accepted, &p, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "in use"));
    assert_int_equal(listener_tcp(&other, L, "not an address", 0, 16, accepted, &p, &err), ERR_INVALID);
    assert_int_equal(listener_tcp(&other, L, "127.0.0.1", 65536, 16, accepted, &p, &err), ERR_INVALID);
    assert_int_equal(listener_tcp(&other, L, "192.0.2.1", 0, 16, accepted, &p, &err), ERR_IO);
    char path[200];
    memset(path, 'a', sizeof path);
    path[199] = 0;
    assert_int_equal(listener_unix(&other, L, path, 0, 16, accepted, &p, &err), ERR_INVALID);
    assert_int_equal(listener_unix(&other, L, "/nonexistent/s", 0, 16, accepted, &p, &err), ERR_IO);
    close_all(NULL, ls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_go_both_ways_and_the_end_is_seen, up, down),
        cmocka_unit_test_setup_teardown(names_are_redis_names, up, down),
        cmocka_unit_test_setup_teardown(a_lender_without_room_pauses_reading, up, down),
        cmocka_unit_test_setup_teardown(a_large_write_ends_with_written, up, down),
        cmocka_unit_test_setup_teardown(after_close_only_closed_comes, up, down),
        cmocka_unit_test_setup_teardown(closing_inside_got_is_allowed, up, down),
        cmocka_unit_test_setup_teardown(a_broken_connection_ends_with_its_error, up, down),
        cmocka_unit_test_setup_teardown(unix_sockets_work_and_clean_up, up, down),
        cmocka_unit_test_setup_teardown(what_cannot_be_listened_on_says_so, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
