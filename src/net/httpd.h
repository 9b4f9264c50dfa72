/* The HTTP server: libmicrohttpd without threads of its own, turned by the loop. It knows no routes: every request,
 * once its body is complete, goes to one handler, which answers at once or later, whole or as a stream.
 *
 * A request belongs to its handler until httpd_reply (or httpd_reply_take), which must be called exactly once and ends
 * the handler's right to it. A handler that returns without having replied has put the connection to sleep; the reply
 * wakes it.
 *
 * A stream is the other way to answer: httpd_stream_begin once, httpd_stream_add as often as there is something, and
 * httpd_stream_end (or _cut) exactly once in the place of httpd_reply. What the client does not take gathers here: the
 * producer looks at httpd_stream_waiting, stops when that is too much, and goes on when `drained` is called.
 *
 * An answer that may not leave yet is held: what is replied or added after httpd_hold stays here, and the request stays
 * the handler's beyond the call that ends it, until the one httpd_let_go.
 *
 * When the client hangs up first, or the server closes, `gone` is told soon; the one call that ends the request is
 * still owed and then only frees. A client that closes its sending side counts as gone when its request is still
 * unanswered.
 *
 * Thread: loop. */
#ifndef NET_HTTPD_H
#define NET_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "io/loop.h"

struct httpd;
struct httpd_req;

struct httpd_config {
    const char *addr; /* numeric address or name; "" is every IPv4 address */
    int port;         /* 0: the kernel picks one, httpd_port tells which */
    size_t body_max;  /* a longer body is answered with 413 */
    /* Replies with 413, whole and at once, to a request whose body is not there; NULL: in plain words. */
    void (*too_large)(void *arg, struct httpd_req *r, size_t max);
    unsigned connections; /* at the same time; more wait to be accepted */
    /* A connection on which nothing moved for so long is closed; so is one whose request's head is not complete by
     * then, and one whose body comes at less than 1 KiB a second. */
    unsigned idle_s;
    const char *tls_cert, *tls_key; /* PEM text, needed until httpd_open returns; NULL: HTTP in clear. TLS 1.2 and up */
};

struct httpd_stats { /* since the start, all servers of the process */
    uint64_t requests;
    uint64_t errors;      /* answered with 400 and above */
    uint64_t connections; /* open now */
    uint64_t streams;     /* open now */
    uint64_t vanished;    /* clients that hung up before their answer was complete */
};
extern struct httpd_stats httpd_stats;

int httpd_open(struct httpd **out, struct loop *l, const struct httpd_config *config,
               void (*handler)(void *arg, struct httpd_req *r), void *arg, struct err *err);
int httpd_port(const struct httpd *h);
size_t httpd_unread(const struct httpd *h); /* answers that are made and not with their clients */
void httpd_close(struct httpd *h);          /* NULL allowed; not from inside a handler */

/* What was asked. Strings live as long as the request. The path is percent-decoded and has no query. */
const char *httpd_method(const struct httpd_req *r);
const char *httpd_path(const struct httpd_req *r);
const char *httpd_query(const struct httpd_req *r, const char *name);  /* NULL: absent; "" when given without a value */
const char *httpd_header(const struct httpd_req *r, const char *name); /* NULL: absent; case of the name is ignored */
struct slice httpd_body(const struct httpd_req *r);
bool httpd_is_local(const struct httpd_req *r);      /* from this machine, by the peer's address */
int64_t httpd_started_us(const struct httpd_req *r); /* monotonic: when its head was there */

void httpd_on_gone(struct httpd_req *r, void (*gone)(void *arg), void *arg);
void httpd_add_header(struct httpd_req *r, const char *name, const char *value); /* for the answer; both are copied */
void httpd_reply(struct httpd_req *r, int status, const char *type, struct slice body);     /* copied */
void httpd_reply_take(struct httpd_req *r, int status, const char *type, struct buf *body); /* taken; empty after it */

/* The headers are final now. type: a literal. */
void httpd_stream_begin(struct httpd_req *r, int status, const char *type);
void httpd_stream_add(struct httpd_req *r, struct slice bytes); /* copied; nothing once it is gone */
size_t httpd_stream_waiting(const struct httpd_req *r);         /* added and not yet taken */
/* Called each time the last of what waited has been taken; it may add, end or cut. */
void httpd_stream_on_drained(struct httpd_req *r, void (*drained)(void *arg), void *arg);
void httpd_stream_end(struct httpd_req *r); /* what waits is still sent */
void httpd_stream_cut(struct httpd_req *r); /* ends it so that the client can see that it is not whole */

/* Before httpd_reply, or before what of a stream must wait; not for one that is cut. */
void httpd_hold(struct httpd_req *r);
/* Drops what is held, with the headers that were added since: the call that ends the request is owed again, then
 * httpd_let_go. */
void httpd_take_back(struct httpd_req *r);
void httpd_let_go(struct httpd_req *r); /* it leaves; r is the server's from now on */

#endif
