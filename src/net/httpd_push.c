/* Pieces of streams, written past the library.
 *
 * Waking a connection makes libmicrohttpd walk over all that sleep: with thousands of streams open that cost more than
 * everything else of a piece. So while a stream's connection sleeps, which means that the library has sent all it had,
 * its pieces go to the socket from here, each as one chunk, those of one turn together. The library goes on where it
 * stopped: with the bytes that the socket did not take, with the last chunk, and whenever the peer is gone.
 *
 *     httpd_stream_add ─► ready ─(next turn)─► push ─┬─ all taken ─────────────► still asleep
 *                                                    ├─ nothing taken, an error ─► woken: the library sees to it
 *                                                    └─ part of a chunk ─► rest ─(writable)─► woken
 *
 * Not over TLS, and not for HTTP/1.0, which has no chunks. */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "net/httpd_own.h"

#define ALIVE (EPOLLRDHUP | EPOLLONESHOT)

bool httpd_push_may(const struct httpd_req *r)
{
    return r->chunked && r->pulled && !list_empty(&r->link);
}

void httpd_push_soon(struct httpd_req *r)
{
    struct httpd *h = r->server;
    if (!list_empty(&r->ready))
        return;
    if (list_empty(&h->ready))
        timer_start(h->push, 0, 0);
    list_add_tail(&h->ready, &r->ready);
}

static void gone(struct httpd_req *r)
{
    r->peer->hung_up = true;
    httpd_wake(r);
}

/* What is left of a chunk of which `sent` bytes have gone. */
static void keep_rest(struct httpd_req *r, const struct iovec *parts, int n, size_t sent)
{
    struct httpd_peer *p = r->peer;
    struct epoll_event e = {.events = ALIVE | EPOLLOUT, .data.ptr = p};
    for (int i = 0; i < n; i++) {
        size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;
        buf_add(&r->rest, (const char *)parts[i].iov_base + skip, parts[i].iov_len - skip);
        sent -= skip;
    }
    if (!p->watched || epoll_ctl(p->server->vigil, EPOLL_CTL_MOD, p->fd, &e) < 0)
        gone(r);
}

static void push(struct httpd_req *r)
{
    char size[24];
    struct slice data = slice_of(r->out.p + r->taken, httpd_may_leave(r));
    if (!httpd_push_may(r) || r->rest.len || data.len == 0)
        return;
    int digits = snprintf(size, sizeof size, "%zx\r\n", data.len);
    struct iovec parts[] = {{size, (size_t)digits}, {(void *)data.p, data.len}, {(void *)"\r\n", 2}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 3};
    ssize_t sent = sendmsg(r->peer->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0) {
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            r->peer->hung_up = true;
        httpd_wake(r);
        return;
    }
    if ((size_t)sent < (size_t)digits + data.len + 2)
        keep_rest(r, parts, 3, (size_t)sent);
    httpd_took(r, data.len);
}

void httpd_push_all(void *server)
{
    struct httpd *h = server;
    struct list now; /* what a drained() adds comes in the next turn */
    list_init(&now);
    while (!list_empty(&h->ready)) {
        struct list *n = h->ready.next;
        list_del(n);
        list_add_tail(&now, n);
    }
    while (!list_empty(&now)) {
        struct httpd_req *r = list_entry(now.next, struct httpd_req, ready);
        list_del(&r->ready);
        push(r);
    }
}

/* The socket takes more of a chunk, or there is none to be finished and only the vigil goes on. */
void httpd_push_rest(struct httpd_peer *p)
{
    struct httpd_req *r = p->req;
    size_t left = r ? r->rest.len : 0;
    ssize_t sent = left ? send(p->fd, r->rest.p, left, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (left && sent < 0 && errno != EAGAIN && errno != EINTR) {
        gone(r);
        return;
    }
    if (sent > 0)
        buf_drop(&r->rest, (size_t)sent);
    bool done = !r || r->rest.len == 0;
    struct epoll_event e = {.events = done ? ALIVE : ALIVE | EPOLLOUT, .data.ptr = p};
    epoll_ctl(p->server->vigil, EPOLL_CTL_MOD, p->fd, &e);
    if (left && done) {
        httpd_took(r, 0);
        httpd_wake(r);
    }
}
