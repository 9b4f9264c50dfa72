/* The HTTP server over libmicrohttpd: its life, its connections. See httpd.h; requests are in httpd_req.c.
 *
 * libmicrohttpd brings an epoll descriptor with all its sockets in it; the loop watches that one descriptor, and a
 * timer stands for MHD_get_timeout. No request is ever handled but from on_ready, so the library's own locks are never
 * waited for. A sleeping connection that is woken has no event of its own: the timer brings us to on_ready in the next
 * turn.
 *
 * Built for 10,000 open streams that each say something now and then, and some thousand whole answers a second.
 *
 * What would surprise: a stream's pieces mostly go past the library (httpd_push.c). The library does not look at
 * sleeping connections at all, so it does not see that a peer hung up. An epoll set of our own does (the vigil): a
 * connection enters it when it first sleeps, for nothing but its end, and stays to its own; that costs one system call
 * a connection and none a request. And the library refuses to stop while connections sleep: httpd_close wakes them
 * first. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/httpd_own.h"

#define BACKLOG     4096
#define HEADERS_MAX (16 * 1024) /* the memory of a connection, so of a head too; a longer one is answered with 431 */
#define SLOWEST     1024        /* bytes a second of a body, on average over idle_s */
#define SWEEP_MS    1000
#define EVENTS      256

/* --- connections --- */

static bool is_local(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
    if (a->sa_family != AF_INET6)
        return a->sa_family == AF_UNIX;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)a)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

void httpd_peer_owes(struct httpd_peer *p)
{
    list_del(&p->link);
    p->heard = 0;
    p->due_ms = clock_mono_ms() + p->server->idle_ms;
    list_add_tail(&p->server->unheard, &p->link);
}

void httpd_peer_heard(struct httpd_peer *p, size_t bytes)
{
    p->heard += bytes;
}

void httpd_peer_complete(struct httpd_peer *p)
{
    list_del(&p->link);
}

void httpd_peer_watch(struct httpd_peer *p)
{
    struct epoll_event e = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = p};
    if (!p->watched)
        p->watched = epoll_ctl(p->server->vigil, EPOLL_CTL_ADD, p->fd, &e) == 0;
}

static void peer_begin(struct httpd *h, struct MHD_Connection *conn, void **state)
{
    struct httpd_peer *p = mem_zero(sizeof *p);
    p->server = h;
    p->conn = conn;
    p->fd = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    p->local = is_local(MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    list_init(&p->link);
    httpd_peer_owes(p);
    httpd_stats.connections++;
    *state = p;
}

/* The socket is still open; a child process may hold it open after us, so it must leave the vigil by name. */
static void peer_end(struct httpd_peer *p)
{
    if (p->watched)
        epoll_ctl(p->server->vigil, EPOLL_CTL_DEL, p->fd, NULL);
    list_del(&p->link);
    httpd_stats.connections--;
    p->server->closed_one = true;
    mem_free(p);
}

static void on_connection(void *arg, struct MHD_Connection *conn, void **state,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        peer_begin(arg, conn, state);
    else
        peer_end(*state);
}

/* Peers that hung up while their connections slept. Nothing is freed here: what is woken is handled by on_ready. */
static void on_vigil(void *arg)
{
    struct httpd *h = arg;
    struct epoll_event events[EVENTS];
    int n = epoll_wait(h->vigil, events, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        struct httpd_peer *p = events[i].data.ptr;
        if (!(events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) {
            httpd_push_rest(p);
            continue;
        }
        p->hung_up = true;
        if (p->req)
            httpd_wake(p->req);
    }
}

/* Requests that do not come to their end: the socket is shut, and the library sees to the rest. */
static void on_sweep(void *arg)
{
    struct httpd *h = arg;
    int64_t now = clock_mono_ms();
    while (!list_empty(&h->unheard)) {
        struct httpd_peer *p = list_entry(h->unheard.next, struct httpd_peer, link);
        if (p->due_ms > now)
            return;
        if (p->heard >= (size_t)h->idle_ms * SLOWEST / 1000) {
            httpd_peer_owes(p);
            continue;
        }
        list_del(&p->link);
        shutdown(p->fd, SHUT_RDWR);
    }
}

static void on_log(void *arg, const char *fmt, va_list ap)
{
    char line[400];
    int n = vsnprintf(line, sizeof line, fmt, ap);
    while (n > 0 && n < (int)sizeof line && line[n - 1] == '\n')
        line[--n] = 0;
    log_verbose("http: %s", line);
}

/* --- turned by the loop --- */

static void on_ready(void *arg)
{
    struct httpd *h = arg;
    MHD_UNSIGNED_LONG_LONG ms;
    h->woken = false;
    do { /* at its limit the library stops listening, and looks only at the start of a run whether that is over */
        h->closed_one = false;
        MHD_run(h->daemon);
    } while (h->closed_one);
    if (h->woken)
        timer_start(h->timer, 0, 0);
    else if (MHD_get_timeout(h->daemon, &ms) == MHD_YES)
        timer_start(h->timer, ms, 0);
    else
        timer_stop(h->timer);
}

void httpd_turn_soon(struct httpd *h)
{
    if (!h->woken)
        timer_start(h->timer, 0, 0);
    h->woken = true;
}

static int listen_on(const char *addr, int port, struct err *err)
{
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    int r = getaddrinfo(*addr ? addr : "0.0.0.0", service, &hints, &found);
    if (r != 0)
        return err_set(err, ERR_INVALID, "HTTP cannot listen on '%s': %s", addr, gai_strerror(r));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
    int error = errno;
    freeaddrinfo(found);
    if (ok)
        return fd;
    if (fd >= 0)
        close(fd);
    return err_set(err, ERR_IO, "HTTP cannot listen on %s port %d: %s", *addr ? addr : "*", port, strerror(error));
}

static int port_of(int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

static struct MHD_Daemon *start_daemon(struct httpd *h, int fd, const struct httpd_config *config)
{
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)config->tls_cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)config->tls_key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    return MHD_start_daemon(config->tls_cert ? flags | MHD_USE_TLS : flags, 0, NULL, NULL, httpd_on_request, h,
                            MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
                            MHD_OPTION_CONNECTION_LIMIT, config->connections, MHD_OPTION_CONNECTION_TIMEOUT,
                            config->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_MAX,
                            MHD_OPTION_NOTIFY_COMPLETED, httpd_on_finished, NULL, MHD_OPTION_NOTIFY_CONNECTION,
                            on_connection, h, MHD_OPTION_ARRAY, config->tls_cert ? tls : none, MHD_OPTION_END);
}

static void free_server(struct httpd *h)
{
    watch_close(h->watch);
    watch_close(h->vigil_watch);
    timer_close(h->timer);
    timer_close(h->sweep);
    timer_close(h->push);
    if (h->daemon)
        MHD_stop_daemon(h->daemon);
    if (h->vigil >= 0)
        close(h->vigil);
    mem_free(h);
}

static struct httpd *create_server(struct loop *l, const struct httpd_config *config)
{
    struct httpd *h = mem_zero(sizeof *h);
    h->body_max = config->body_max;
    h->too_large = config->too_large;
    h->idle_ms = (int64_t)config->idle_s * 1000;
    h->tls = config->tls_cert != NULL;
    list_init(&h->asleep);
    list_init(&h->ready);
    list_init(&h->unheard);
    h->timer = timer_create_on(l, on_ready, h);
    h->sweep = timer_create_on(l, on_sweep, h);
    h->push = timer_create_on(l, httpd_push_all, h);
    h->vigil = epoll_create1(EPOLL_CLOEXEC);
    h->vigil_watch = h->vigil >= 0 ? watch_create(l, h->vigil, on_vigil, h) : NULL;
    return h;
}

int httpd_open(struct httpd **out, struct loop *l, const struct httpd_config *config,
               void (*handler)(void *arg, struct httpd_req *r), void *arg, struct err *err)
{
    int fd = listen_on(config->addr, config->port, err);
    if (fd < 0)
        return fd;
    struct httpd *h = create_server(l, config);
    h->handler = handler;
    h->arg = arg;
    h->port = port_of(fd);
    h->daemon = h->vigil_watch ? start_daemon(h, fd, config) : NULL;
    const union MHD_DaemonInfo *info = h->daemon ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info)
        h->watch = watch_create(l, info->epoll_fd, on_ready, h);
    if (!h->watch) {
        if (!h->daemon)
            close(fd);
        free_server(h);
        return err_set(err, ERR_IO, "the HTTP server cannot be started on port %d%s", config->port,
                       config->tls_cert ? ": are the certificate and the key PEM, and do they belong together?" : "");
    }
    if (h->idle_ms)
        timer_start(h->sweep, SWEEP_MS, SWEEP_MS);
    *out = h;
    return 0;
}

int httpd_port(const struct httpd *h)
{
    return h->port;
}

size_t httpd_unread(const struct httpd *h)
{
    return h->unread;
}

void httpd_close(struct httpd *h)
{
    if (!h)
        return;
    while (!list_empty(&h->asleep))
        httpd_wake(list_entry(h->asleep.next, struct httpd_req, link));
    free_server(h);
}
