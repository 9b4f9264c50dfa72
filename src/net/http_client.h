/* The outbound HTTP client: calls to model providers, hooks and whatever a flow asks for.
 *
 * Transfers run on the client's own threads over libcurl's multi interface, thousands on one thread; none has a thread
 * of its own. The loop hands a request over and sees its reply as callbacks on the loop: head once, piece any number of
 * times, end exactly once, in this order. A transfer that fails, is cancelled or outlives its client ends with an
 * error; nothing else is said after http_cancel than that end.
 *
 * A request is sent at most once, also when the kept connection it went over turns out to be dead: sending it again is
 * for whoever knows what may be repeated (http_end's may_retry, stale).
 *
 * Connections are kept and used again, TLS is verified (1.2 or newer), HTTP/2 is used where it is offered, redirects
 * are reported and not followed, the proxy variables of the environment are ignored (behind a proxy the address check
 * would see the proxy). URLs with user and password, headers and bodies are never logged.
 *
 * Addresses: unless the request allows it, no connection is made to (and none that exists is used for) an address that
 * is not public. The check is on the address that was really resolved, so a name that changes its mind does not pass.
 *
 * Thread: loop, all of it. */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/slice.h"
#include "io/loop.h"

struct http_client;
struct http_call; /* one transfer; valid from http_start until its end() returns */

struct http_request {
    const char *method;         /* "GET", "POST", ... */
    const char *url;            /* http:// or https:// */
    const char *const *headers; /* "Name: value" each; NULL-terminated; NULL when there are none */
    struct slice body;
    int connect_ms;     /* 0: 10 seconds */
    int timeout_ms;     /* for the whole transfer; 0: 10 minutes */
    size_t max_reply;   /* bytes of body, after decompression; 0: 64 MiB */
    bool allow_private; /* loopback, private, link-local and other addresses that are not public */
    bool stream;        /* body by piece(); else it is gathered and comes with end() */
};

struct http_end {
    struct err err;    /* code 0: the reply came whole (whatever its status) */
    int status;        /* 0 when no reply head came */
    struct slice head; /* raw header lines; see http_header */
    struct slice body; /* unless streamed */
    bool timed_out;
    bool sent;        /* all of the request went out; whether it arrived is another matter */
    bool may_retry;   /* nothing of a reply came and the failure may pass: not connected, reset, timed out */
    bool stale;       /* a kept connection ended before a byte came: it may just have grown old, or the request was read */
    int64_t us_first; /* from the start to the first byte of the reply; -1 when none came */
    int64_t us_total;
};

/* Borrowed slices live until the callback returns. Callbacks may start and cancel calls, also this one. */
struct http_ops {
    void (*head)(void *arg, int status, struct slice head); /* NULL allowed */
    void (*piece)(void *arg, struct slice bytes);           /* needed for streams only */
    void (*end)(void *arg, const struct http_end *end);
};

struct http_client_load {
    int calls;            /* started and not ended */
    uint64_t started;     /* since the beginning */
    uint64_t connections; /* opened since the beginning */
};

/* threads >= 1. */
int http_client_create(struct http_client **out, struct loop *l, int threads, struct err *err);
/* Waits for the threads; every call that is left gets its end() (ERR_CANCELLED) before this returns. NULL allowed.
 * Not from inside a callback of a call. */
void http_client_destroy(struct http_client *c);
void http_client_load(const struct http_client *c, struct http_client_load *to);

/* Everything in req is copied. 0 and *call (out may be NULL), or ERR_INVALID for a URL, method or header that is none;
 * no callback comes then. Callbacks never come from inside http_start. */
int http_start(struct http_client *c, const struct http_request *req, const struct http_ops *ops, void *arg,
               struct http_call **call, struct err *err);
void http_cancel(struct http_call *call); /* end() comes later, with ERR_CANCELLED; again is harmless */

/* on: no more of a stream is read from the vendor (what is on its way, at most 1 MiB, still comes) until off. For who
 * passes it on to somebody slow. The call's time-out runs on. */
void http_hold(struct http_call *call, bool on);

/* The value of a header in a raw head, trimmed; the last one when it is repeated; empty when absent. */
struct slice http_header(struct slice head, const char *name);

/* Is this an address on the public internet? The rule behind allow_private; IPv4 in IPv6 is looked through. Thread:
 * any. */
bool http_address_is_public(const struct sockaddr *a);

#endif
