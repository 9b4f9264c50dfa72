/* What the files of the HTTP server share: httpd.c has the server and its connections, httpd_req.c the requests.
 * httpd_push.c writes pieces of streams. Thread: loop. */
#ifndef NET_HTTPD_OWN_H
#define NET_HTTPD_OWN_H

#include <microhttpd.h>

#include "base/list.h"
#include "net/httpd.h"

struct httpd {
    struct MHD_Daemon *daemon;
    struct watch *watch;
    struct timer *timer, *sweep, *push;
    int vigil; /* an epoll of our own: connections that have slept, for their peers' end */
    struct watch *vigil_watch;
    struct list asleep;  /* struct httpd_req, by link */
    struct list ready;   /* struct httpd_req, by ready: with pieces to be pushed */
    struct list unheard; /* struct httpd_peer, by link: no complete request; the oldest first */
    void (*handler)(void *arg, struct httpd_req *r);
    void (*too_large)(void *arg, struct httpd_req *r, size_t max);
    void *arg;
    size_t body_max;
    int64_t idle_ms;
    int port;
    size_t unread;
    bool tls;
    bool closed_one; /* a connection went during this MHD_run */
    bool woken;      /* somebody was woken since MHD_run began */
};

/* A connection. */
struct httpd_peer {
    struct httpd *server;
    struct MHD_Connection *conn;
    struct httpd_req *req; /* the one under way; NULL: none */
    struct list link;      /* in server->unheard */
    int64_t due_ms;        /* by when its request must be complete */
    size_t heard;          /* bytes of a body since due_ms was set */
    int fd;
    bool watched; /* is in the vigil */
    bool hung_up;
    bool local;
};

struct httpd_req {
    struct httpd *server;
    struct httpd_peer *peer;     /* NULL: gone */
    struct MHD_Connection *conn; /* NULL: gone */
    struct list link;            /* in server->asleep */
    struct list ready;           /* in server->ready */
    char *method, *path;
    struct buf body, headers; /* headers: name NUL value NUL ... of the answer */
    size_t dropped;           /* bytes of a body that is too long */
    int64_t started_us;
    struct MHD_Response *answer;
    unsigned status;
    const char *stream_type; /* its answer is made when the library asks for it */
    struct buf out;          /* of a stream: the bytes from `taken` on wait */
    size_t taken;
    struct buf rest; /* of a chunk that the socket took a part of */
    bool handled;    /* the handler has been called */
    bool finished;   /* it has ended the request: httpd_reply, httpd_stream_end or _cut */
    bool stream, cut;
    bool leaving;                /* counted in server->unread */
    bool held;                   /* nothing leaves but the first `free` of the bytes that wait */
    size_t free, headers_before; /* of headers, when it was held */
    bool chunked;                /* can be pushed */
    bool pulled;                 /* the library is at the body */
    void (*gone)(void *arg);
    void *gone_arg;
    void (*drained)(void *arg);
    void *drained_arg;
};

/* The library's callback for a request, and the one for its end. */
enum MHD_Result httpd_on_request(void *arg, struct MHD_Connection *conn, const char *url, const char *method,
                                 const char *version, const char *data, size_t *n, void **state);
void httpd_on_finished(void *arg, struct MHD_Connection *conn, void **state, enum MHD_RequestTerminationCode code);

void httpd_wake(struct httpd_req *r);              /* nothing when it is not asleep */
size_t httpd_may_leave(const struct httpd_req *r); /* of the bytes that wait in `out` */
void httpd_took(struct httpd_req *r, size_t n);    /* n of them are on their way */

bool httpd_push_may(const struct httpd_req *r); /* no: wake it instead */
void httpd_push_soon(struct httpd_req *r);
void httpd_push_all(void *server);
void httpd_push_rest(struct httpd_peer *p); /* its socket can be written to */
void httpd_turn_soon(struct httpd *h);

/* For httpd_req.c: the peer begins to owe a request, has brought some of it, has brought it whole, falls asleep. */
void httpd_peer_owes(struct httpd_peer *p);
void httpd_peer_heard(struct httpd_peer *p, size_t bytes);
void httpd_peer_complete(struct httpd_peer *p);
void httpd_peer_watch(struct httpd_peer *p);

#endif
