/* HTTP server over libmicrohttpd. See httpd.h.
 *
 * libmicrohttpd brings an epoll descriptor with all its sockets in it; the loop watches that one descriptor, and a
 * timer stands for MHD_get_timeout. No request is ever handled but from on_ready, so the library's own locks are never
 * waited for. Resuming a sleeping connection writes to a pipe inside that epoll set, which brings us back to on_ready.
 *
 * Built for scrapes, health checks and some hundred API calls at a time; the data path is RESP.
 *
 * What would surprise: the library sees the end of a sleeping connection only when it is woken, so a slow handler is
 * not told that its peer hung up. And it refuses to stop while connections sleep: httpd_close wakes them first. */
#include "net/httpd.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"

#define BACKLOG     128
#define HEADERS_MAX (32 * 1024) /* of one request; longer ones are answered with 431 by the library */

struct httpd_stats httpd_stats;

struct httpd {
    struct MHD_Daemon *daemon;
    struct watch *watch;
    struct timer *timer;
    struct list asleep; /* struct httpd_req, by link */
    void (*handler)(void *arg, struct httpd_req *r);
    void *arg;
    size_t body_max;
    int port;
    bool closed_one; /* a connection went during this MHD_run */
};

struct httpd_req {
    struct httpd *server;
    struct MHD_Connection *conn; /* NULL: gone */
    struct list link;            /* in server->asleep */
    char *method, *path;
    struct buf body, headers; /* headers: name NUL value NUL ... of the answer */
    size_t dropped;           /* bytes of a body that is too long */
    struct MHD_Response *answer;
    unsigned status;
    bool handled; /* the handler has been called */
    bool replied;
    void (*gone)(void *arg);
    void *gone_arg;
};

/* --- requests --- */

static struct httpd_req *req_create(struct httpd *h, struct MHD_Connection *conn, const char *method, const char *url)
{
    struct httpd_req *r = mem_zero(sizeof *r);
    r->server = h;
    r->conn = conn;
    list_init(&r->link);
    r->method = mem_strdup(method);
    r->path = mem_strdup(url);
    buf_init(&r->body, h->body_max);
    httpd_stats.requests++;
    return r;
}

static void req_destroy(struct httpd_req *r)
{
    if (r->answer)
        MHD_destroy_response(r->answer);
    mem_free(r->method);
    mem_free(r->path);
    buf_release(&r->body);
    buf_release(&r->headers);
    mem_free(r);
}

const char *httpd_method(const struct httpd_req *r)
{
    return r->method;
}

const char *httpd_path(const struct httpd_req *r)
{
    return r->path;
}

const char *httpd_query(const struct httpd_req *r, const char *name)
{
    const char *value = NULL;
    if (!r->conn ||
        MHD_lookup_connection_value_n(r->conn, MHD_GET_ARGUMENT_KIND, name, strlen(name), &value, NULL) != MHD_YES)
        return NULL;
    return value ? value : "";
}

const char *httpd_header(const struct httpd_req *r, const char *name)
{
    return r->conn ? MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name) : NULL;
}

struct slice httpd_body(const struct httpd_req *r)
{
    return buf_slice(&r->body);
}

void httpd_on_gone(struct httpd_req *r, void (*gone)(void *arg), void *arg)
{
    r->gone = gone;
    r->gone_arg = arg;
}

void httpd_add_header(struct httpd_req *r, const char *name, const char *value)
{
    buf_add(&r->headers, name, strlen(name) + 1);
    buf_add(&r->headers, value, strlen(value) + 1);
}

static void set_answer(struct httpd_req *r, int status, const char *type, struct slice body)
{
    r->status = (unsigned)status;
    r->answer = MHD_create_response_from_buffer(body.len, (void *)(body.len ? body.p : ""), MHD_RESPMEM_MUST_COPY);
    if (!r->answer)
        return;
    MHD_add_response_header(r->answer, "Content-Type", type);
    for (size_t at = 0; at < r->headers.len;) {
        const char *name = r->headers.p + at, *value = name + strlen(name) + 1;
        MHD_add_response_header(r->answer, name, value); /* refuses CR and LF */
        at += strlen(name) + strlen(value) + 2;
    }
    if (status >= 400)
        httpd_stats.errors++;
}

void httpd_reply(struct httpd_req *r, int status, const char *type, struct slice body)
{
    r->replied = true;
    if (!r->conn) {
        req_destroy(r);
        return;
    }
    set_answer(r, status, type, body);
    if (list_empty(&r->link))
        return; /* still inside the handler: on_request sends it */
    list_del(&r->link);
    MHD_resume_connection(r->conn);
}

/* --- the library's callbacks --- */

static enum MHD_Result send_answer(struct httpd_req *r)
{
    return r->answer ? MHD_queue_response(r->conn, r->status, r->answer) : MHD_NO; /* MHD_NO closes the connection */
}

static enum MHD_Result refuse_body(struct httpd_req *r)
{
    char text[96];
    int n = snprintf(text, sizeof text, "{\"error\":{\"message\":\"the body is longer than %zu bytes\"}}",
                     r->server->body_max);
    r->handled = r->replied = true;
    httpd_add_header(r, "Connection", "close");
    set_answer(r, 413, "application/json", slice_of(text, (size_t)n));
    return send_answer(r);
}

/* The head of the request: a body that says it is too long is refused before it comes. */
static enum MHD_Result on_head(struct httpd_req *r)
{
    const char *length = httpd_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t n;
    if (length && num_to_u64(slice_str(length), &n) && n > r->server->body_max)
        return refuse_body(r);
    return MHD_YES;
}

/* A body without a length may turn out too long: it is read to its end and dropped, but not for ever. */
static enum MHD_Result on_piece(struct httpd_req *r, const char *data, size_t *n)
{
    size_t len = *n;
    *n = 0;
    if (r->dropped == 0 && buf_add(&r->body, data, len))
        return MHD_YES;
    r->dropped += len;
    buf_release(&r->body);
    return r->dropped <= r->server->body_max + (1u << 20) ? MHD_YES : MHD_NO;
}

static enum MHD_Result on_complete(struct httpd_req *r)
{
    if (r->dropped > 0 && !r->handled)
        return refuse_body(r);
    if (!r->handled) {
        r->handled = true;
        r->server->handler(r->server->arg, r);
    }
    if (r->replied)
        return send_answer(r);
    if (list_empty(&r->link)) {
        MHD_suspend_connection(r->conn);
        list_add_tail(&r->server->asleep, &r->link);
    }
    return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *url, const char *method,
                                  const char *version, const char *data, size_t *n, void **state)
{
    struct httpd_req *r = *state;
    if (!r) {
        *state = r = req_create(arg, conn, method, url);
        return on_head(r);
    }
    return *n > 0 ? on_piece(r, data, n) : on_complete(r);
}

static void on_finished(void *arg, struct MHD_Connection *conn, void **state, enum MHD_RequestTerminationCode code)
{
    struct httpd_req *r = *state;
    if (!r)
        return;
    *state = NULL;
    r->conn = NULL;
    list_del(&r->link);
    if (!r->handled || r->replied) {
        req_destroy(r);
        return;
    }
    void (*gone)(void *) = r->gone;
    r->gone = NULL;
    if (gone)
        gone(r->gone_arg); /* may reply, and so free it */
}

static void on_connection(void *arg, struct MHD_Connection *conn, void **state,
                          enum MHD_ConnectionNotificationCode code)
{
    struct httpd *h = arg;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        httpd_stats.connections++;
        return;
    }
    httpd_stats.connections--;
    h->closed_one = true;
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
    do { /* at its limit the library stops listening, and looks only at the start of a run whether that is over */
        h->closed_one = false;
        MHD_run(h->daemon);
    } while (h->closed_one);
    if (MHD_get_timeout(h->daemon, &ms) == MHD_YES)
        timer_start(h->timer, ms, 0);
    else
        timer_stop(h->timer);
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
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, h,
                            MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
                            MHD_OPTION_CONNECTION_LIMIT, config->connections, MHD_OPTION_CONNECTION_TIMEOUT,
                            config->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_MAX,
                            MHD_OPTION_NOTIFY_COMPLETED, on_finished, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
                            h, MHD_OPTION_END);
}

int httpd_open(struct httpd **out, struct loop *l, const struct httpd_config *config,
               void (*handler)(void *arg, struct httpd_req *r), void *arg, struct err *err)
{
    int fd = listen_on(config->addr, config->port, err);
    if (fd < 0)
        return fd;
    struct httpd *h = mem_zero(sizeof *h);
    h->handler = handler;
    h->arg = arg;
    h->body_max = config->body_max;
    h->port = port_of(fd);
    list_init(&h->asleep);
    h->daemon = start_daemon(h, fd, config);
    const union MHD_DaemonInfo *info = h->daemon ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info)
        h->watch = watch_create(l, info->epoll_fd, on_ready, h);
    if (!h->watch) {
        if (h->daemon)
            MHD_stop_daemon(h->daemon);
        else
            close(fd);
        mem_free(h);
        return err_set(err, ERR_IO, "the HTTP server cannot be started on port %d", config->port);
    }
    h->timer = timer_create_on(l, on_ready, h);
    *out = h;
    return 0;
}

int httpd_port(const struct httpd *h)
{
    return h->port;
}

void httpd_close(struct httpd *h)
{
    if (!h)
        return;
    watch_close(h->watch);
    timer_close(h->timer);
    while (!list_empty(&h->asleep)) {
        struct httpd_req *r = list_entry(h->asleep.next, struct httpd_req, link);
        list_del(&r->link);
        MHD_resume_connection(r->conn);
    }
    MHD_stop_daemon(h->daemon);
    mem_free(h);
}
