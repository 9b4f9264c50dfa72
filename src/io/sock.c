/* Listeners and streams over libuv.
 *
 * What would surprise: sock_write tries the kernel first and queues only what it did not take, so the usual reply costs
 * one write(2), no allocation and no callback. After sock_close nothing but closed() is called: libuv would still end a
 * queued write with an error, and that is swallowed here, so that owners have one way to die.
 *
 * Built for ten thousand connections that are idle most of the time: a struct sock is below 400 bytes. */
#include "io/sock.h"
#include "io/loop_uv.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

union handle {
    uv_handle_t any;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

struct listener {
    union handle uv;
    struct loop *loop;
    void (*on_accept)(void *arg, struct sock *s);
    void *arg;
    int port;
    int64_t complained_ms;
};

struct sock {
    union handle uv;
    uv_write_t write;
    const struct sock_ops *ops;
    void *arg;
    bool writing, closing;
    struct dial *dial; /* while it is being connected */
};

/* --- listeners --- */

static void free_listener(uv_handle_t *h)
{
    mem_free(h->data);
}

static struct sock *make_sock(struct loop *l, bool is_unix)
{
    struct sock *s = mem_zero(sizeof *s);
    if (is_unix)
        uv_pipe_init(loop_uv(l), &s->uv.pipe, 0);
    else
        uv_tcp_init(loop_uv(l), &s->uv.tcp);
    s->uv.any.data = s;
    return s;
}

/* One line a second at most: out of descriptors, this would be the whole log. */
static void complain(struct listener *ls, int status)
{
    int64_t now = clock_mono_ms();
    if (ls->complained_ms && now - ls->complained_ms < 1000)
        return;
    ls->complained_ms = now;
    log_warning("cannot accept a connection: %s", uv_strerror(status));
}

static void on_connection(uv_stream_t *h, int status)
{
    struct listener *ls = h->data;
    if (status < 0) {
        complain(ls, status);
        return;
    }
    bool is_unix = h->type == UV_NAMED_PIPE;
    struct sock *s = make_sock(ls->loop, is_unix);
    int r = uv_accept(h, &s->uv.stream);
    if (r < 0) {
        complain(ls, r);
        sock_close(s);
        return;
    }
    if (!is_unix)
        sock_nodelay(s, true);
    ls->on_accept(ls->arg, s);
}

static struct listener *make_listener(struct loop *l, void (*on_accept)(void *arg, struct sock *s), void *arg)
{
    struct listener *ls = mem_zero(sizeof *ls);
    ls->loop = l;
    ls->on_accept = on_accept;
    ls->arg = arg;
    return ls;
}

static int resolve(const char *addr, int port, struct sockaddr_storage *to, struct err *err)
{
    if (*addr == 0 || strcmp(addr, "*") == 0)
        addr = "0.0.0.0";
    else if (strcmp(addr, "::*") == 0)
        addr = "::";
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    int r = getaddrinfo(addr, NULL, &hints, &found);
    if (r != 0)
        return err_set(err, ERR_INVALID, "cannot listen on '%s': %s", addr, gai_strerror(r));
    memcpy(to, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (to->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)to)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)to)->sin_port = htons((uint16_t)port);
    return 0;
}

static int port_of(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)a)->sin6_port);
    return a->ss_family == AF_INET ? ntohs(((const struct sockaddr_in *)a)->sin_port) : 0;
}

int listener_tcp(struct listener **out, struct loop *l, const char *addr, int port, int backlog,
                 void (*on_accept)(void *arg, struct sock *s), void *arg, struct err *err)
{
    struct sockaddr_storage sa;
    if (port < 0 || port > 65535)
        return err_set(err, ERR_INVALID, "port %d is not between 0 and 65535", port);
    if (resolve(addr, port, &sa, err) < 0)
        return ERR_INVALID;
    struct listener *ls = make_listener(l, on_accept, arg);
    uv_tcp_init(loop_uv(l), &ls->uv.tcp);
    ls->uv.any.data = ls;
    /* IPv6 only, so that 0.0.0.0 and :: can both be listened on; libuv sets SO_REUSEADDR */
    int r = uv_tcp_bind(&ls->uv.tcp, (struct sockaddr *)&sa, sa.ss_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);
    if (r == 0)
        r = uv_listen(&ls->uv.stream, backlog, on_connection);
    int len = sizeof sa;
    if (r == 0)
        r = uv_tcp_getsockname(&ls->uv.tcp, (struct sockaddr *)&sa, &len);
    if (r < 0) {
        listener_close(ls);
        return err_set(err, ERR_IO, "cannot listen on %s port %d: %s", *addr ? addr : "*", port, uv_strerror(r));
    }
    ls->port = port_of(&sa);
    *out = ls;
    return 0;
}

/* A socket file that nobody listens on is what a killed server left behind. */
static void remove_stale(const struct sockaddr_un *sa)
{
    struct stat st;
    if (lstat(sa->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)sa, sizeof *sa) < 0 && errno == ECONNREFUSED)
        unlink(sa->sun_path);
    close(fd);
}

int listener_unix(struct listener **out, struct loop *l, const char *path, int mode, int backlog,
                  void (*on_accept)(void *arg, struct sock *s), void *arg, struct err *err)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (*path == 0 || strlen(path) >= sizeof sa.sun_path)
        return err_set(err, ERR_INVALID, "a Unix socket's path has 1 to %zu bytes", sizeof sa.sun_path - 1);
    strcpy(sa.sun_path, path);
    remove_stale(&sa);
    struct listener *ls = make_listener(l, on_accept, arg);
    uv_pipe_init(loop_uv(l), &ls->uv.pipe, 0);
    ls->uv.any.data = ls;
    int r = uv_pipe_bind(&ls->uv.pipe, path);
    if (r == 0 && mode && chmod(path, (mode_t)mode) < 0)
        r = -errno;
    if (r == 0)
        r = uv_listen(&ls->uv.stream, backlog, on_connection);
    if (r < 0) {
        listener_close(ls);
        return err_set(err, ERR_IO, "cannot listen on %s: %s", path, uv_strerror(r));
    }
    *out = ls;
    return 0;
}

int listener_port(const struct listener *ls)
{
    return ls->port;
}

void listener_close(struct listener *ls)
{
    if (ls)
        uv_close(&ls->uv.any, free_listener); /* libuv removes the path it bound */
}

/* --- streams --- */

/* --- connecting --- */

struct dial {
    uv_getaddrinfo_t look;
    uv_connect_t connect;
    struct sock *sock; /* NULL: closed meanwhile */
    int port, error;
    void (*connected)(void *arg, int error);
};

static void end_dial(struct dial *d, int error)
{
    struct sock *s = d->sock;
    void (*connected)(void *arg, int error) = d->connected;
    mem_free(d);
    if (!s)
        return;
    s->dial = NULL;
    if (s->closing)
        return;
    if (error == 0)
        sock_nodelay(s, true);
    connected(s->arg, error);
}

static void on_connect(uv_connect_t *c, int status)
{
    end_dial(c->data, status);
}

static void on_looked_up(uv_getaddrinfo_t *look, int status, struct addrinfo *found)
{
    struct dial *d = look->data;
    struct sockaddr_storage sa = {0};
    if (status == 0 && d->sock && !d->sock->closing) {
        memcpy(&sa, found->ai_addr, found->ai_addrlen);
        if (sa.ss_family == AF_INET6)
            ((struct sockaddr_in6 *)&sa)->sin6_port = htons((uint16_t)d->port);
        else
            ((struct sockaddr_in *)&sa)->sin_port = htons((uint16_t)d->port);
        d->connect.data = d;
        status = uv_tcp_connect(&d->connect, &d->sock->uv.tcp, (struct sockaddr *)&sa, on_connect);
        uv_freeaddrinfo(found);
        if (status == 0)
            return;
    } else if (status == 0) {
        uv_freeaddrinfo(found);
    }
    end_dial(d, status < 0 ? status : -ECANCELED);
}

static void refuse_dial(void *arg)
{
    end_dial(arg, ((struct dial *)arg)->error);
}

struct sock *sock_connect(struct loop *l, const char *host, int port, const struct sock_ops *ops, void *arg,
                          void (*connected)(void *arg, int error))
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct sock *s = make_sock(l, false);
    struct dial *d = mem_zero(sizeof *d);
    sock_attach(s, ops, arg);
    *d = (struct dial){.sock = s, .port = port, .connected = connected};
    d->look.data = d;
    s->dial = d;
    d->error = uv_getaddrinfo(loop_uv(l), &d->look, on_looked_up, host, NULL, &hints);
    if (d->error < 0) /* no name at all, or one that is too long */
        loop_post(l, refuse_dial, d);
    return s;
}

void sock_attach(struct sock *s, const struct sock_ops *ops, void *arg)
{
    s->ops = ops;
    s->arg = arg;
}

static void lend(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct sock *s = h->data;
    char *room = NULL;
    size_t n = s->closing ? 0 : s->ops->want(s->arg, &room);
    *buf = uv_buf_init(room, n > INT32_MAX ? INT32_MAX : (unsigned)n);
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *buf)
{
    struct sock *s = h->data;
    if (n == 0 || s->closing)
        return;
    if (n > 0) {
        s->ops->got(s->arg, (size_t)n);
        return;
    }
    uv_read_stop(h);
    if (n != UV_ENOBUFS) /* that is want() having lent nothing */
        s->ops->end(s->arg, n == UV_EOF ? 0 : (int)n);
}

void sock_read(struct sock *s)
{
    assert(s->ops);
    if (!s->closing)
        uv_read_start(&s->uv.stream, lend, on_read);
}

void sock_pause(struct sock *s)
{
    if (!s->closing)
        uv_read_stop(&s->uv.stream);
}

static void on_written(uv_write_t *w, int status)
{
    struct sock *s = w->data;
    s->writing = false;
    if (!s->closing && s->ops)
        s->ops->written(s->arg, status);
}

int sock_write(struct sock *s, const char *p, size_t n)
{
    assert(!s->writing);
    if (s->closing)
        return -ENOTCONN;
    while (n > 0) {
        uv_buf_t buf = uv_buf_init((char *)p, n > INT32_MAX ? INT32_MAX : (unsigned)n);
        int r = uv_try_write(&s->uv.stream, &buf, 1);
        if (r == UV_EAGAIN)
            break;
        if (r < 0)
            return r;
        p += r;
        n -= (size_t)r;
        if ((size_t)r < buf.len)
            break;
    }
    if (n == 0)
        return 1;
    uv_buf_t rest[4]; /* uv_buf_t's length is fine for more, but one writev moves at most 2 GiB */
    unsigned k = 0;
    for (; n > 0 && k < 4; k++) {
        size_t part = n > INT32_MAX ? INT32_MAX : n;
        rest[k] = uv_buf_init((char *)p, (unsigned)part);
        p += part;
        n -= part;
    }
    if (n > 0)
        return -EMSGSIZE;
    s->write.data = s;
    int r = uv_write(&s->write, &s->uv.stream, rest, k, on_written);
    s->writing = r == 0;
    return r;
}

static void on_closed(uv_handle_t *h)
{
    struct sock *s = h->data;
    if (s->dial)
        s->dial->sock = NULL;
    if (s->ops)
        s->ops->closed(s->arg);
    mem_free(s);
}

void sock_close(struct sock *s)
{
    if (!s || s->closing)
        return;
    s->closing = true;
    uv_close(&s->uv.any, on_closed);
}

void sock_nodelay(struct sock *s, bool on)
{
    if (!s->closing && !sock_is_unix(s))
        uv_tcp_nodelay(&s->uv.tcp, on);
}

void sock_keepalive(struct sock *s, int seconds)
{
    if (!s->closing && !sock_is_unix(s))
        uv_tcp_keepalive(&s->uv.tcp, seconds > 0, seconds > 0 ? (unsigned)seconds : 0);
}

bool sock_is_unix(const struct sock *s)
{
    return s->uv.any.type == UV_NAMED_PIPE;
}

static bool address(const struct sock *s, int which, struct sockaddr_storage *to)
{
    socklen_t len = sizeof *to;
    int fd = sock_fd(s);
    memset(to, 0, sizeof *to);
    if (fd < 0)
        return false;
    return (which ? getsockname(fd, (struct sockaddr *)to, &len) : getpeername(fd, (struct sockaddr *)to, &len)) == 0;
}

/* Both ends of a Unix socket have the listener's name, as in Redis: a client's end has none of its own. */
void sock_name(const struct sock *s, int which, char *to, size_t size)
{
    struct sockaddr_storage a;
    char host[INET6_ADDRSTRLEN] = "?";
    if (sock_is_unix(s)) {
        bool known = address(s, 1, &a);
        snprintf(to, size, "%s:0", known ? ((struct sockaddr_un *)&a)->sun_path : "?");
        return;
    }
    if (!address(s, which, &a)) {
        snprintf(to, size, "?:0");
        return;
    }
    uv_ip_name((struct sockaddr *)&a, host, sizeof host);
    snprintf(to, size, a.ss_family == AF_INET6 ? "[%s]:%d" : "%s:%d", host, port_of(&a));
}

bool sock_is_local(const struct sock *s)
{
    struct sockaddr_storage a;
    if (sock_is_unix(s))
        return true;
    if (!address(s, 0, &a))
        return false;
    if (a.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&a)->sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *six = &((struct sockaddr_in6 *)&a)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

int sock_fd(const struct sock *s)
{
    uv_os_fd_t fd;
    if (s->closing || uv_fileno(&s->uv.any, &fd) < 0)
        return -1;
    return fd;
}
