/* A connection: one socket, its query buffer and RESP parser below, its output buffer and their limits.
 *
 * Commands come up one at a time through ops->command, as many as arrived in one read (pipelining); replies are
 * appended to conn_out() and written once per turn of the loop. While conn_stop is in force (a parked call) nothing
 * more is parsed and, once the query buffer is full, nothing more is read. While conn_hold is in force (replies that
 * wait for the disk) nothing is written.
 *
 * Thread: loop. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "io/loop.h"
#include "io/sock.h"
#include "net/resp.h"

struct conn;
struct conn_host; /* what all connections of a server share: the loop, the flush list, settings */

struct conn_ops {
    /* r is borrowed for the time of the call; argc >= 1. */
    void (*command)(void *arg, const struct resp_request *r);
    /* Optional. These commands of a pipeline are complete and follow one by one, unless one of them stops the connection
     * (then they come again later, anew). Nothing may be done for them but to fetch what they will need and to note it
     * in r[].what, .hash. n >= 2. */
    void (*ahead)(void *arg, struct resp_request *r, int n);
    /* The bytes are not RESP: reply what you like, then the connection closes. msg is Redis's wording. */
    void (*bad_protocol)(void *arg, const char *msg);
    void (*closed)(void *arg); /* the connection is gone (peer, error, limit, conn_close); the last callback */
};

struct conn_limits {                                       /* settings, see conn.c */
    int64_t query_max;                                     /* client-query-buffer-limit */
    int64_t bulk_max;                                      /* proto-max-bulk-len */
    int64_t out_hard[3], out_soft[3], out_soft_seconds[3]; /* client-output-buffer-limit, by enum conn_class; 0: none */
    int64_t tcp_keepalive;                                 /* seconds; 0: off; for connections to come */
};
enum conn_class { CONN_NORMAL, CONN_PUBSUB, CONN_REPLICA };
extern struct conn_limits conn_limits;

struct conn_stats { /* since the start, all hosts */
    uint64_t in_bytes, out_bytes;
    uint64_t reads, writes; /* of sockets */
    uint64_t query_limit_closed, out_limit_closed;
};
extern struct conn_stats conn_stats;

struct conn_host *conn_host_create(struct loop *l);
/* Closes what is left; the connections' closed() and the host's memory come with the next turns of the loop. NULL
 * allowed. */
void conn_host_destroy(struct conn_host *h);
void conn_host_flush(struct conn_host *h); /* writes pending replies now: a before-sleep hook, after those that reply */

/* Takes the accepted sock over and starts to read. arg is what ops get; it may be set later, in the same turn. */
struct conn *conn_create(struct conn_host *h, struct sock *s, const struct conn_ops *ops, void *arg);
void conn_set_arg(struct conn *c, void *arg);
void conn_set_guest(struct conn *c, bool on); /* on: small requests only, for who has not authenticated; off at first */
struct buf *conn_out(struct conn *c);         /* append replies here, then conn_wrote() */
void conn_wrote(struct conn *c); /* schedules the write for the end of the turn; checks the output limits */
void conn_stop(struct conn *c);  /* no more commands until conn_go */
void conn_postpone(struct conn *c); /* from inside ops->command: conn_stop, and that command comes again after conn_go */
void conn_go(struct conn *c);    /* the next command comes in a later turn, never from inside this call */
void conn_hold(struct conn *c, bool on);
void conn_close_soon(struct conn *c); /* after what is in the output buffer was written; no more commands from now on */
void conn_close(struct conn *c);      /* now; closed() follows, not from inside */
bool conn_closing(const struct conn *c);
void conn_set_pubsub(struct conn *c, bool on); /* which class of output limits applies */
void conn_set_class(struct conn *c, enum conn_class k);
/* fn is called each time all replies have been taken by the kernel: for who sends more than memory should hold. It may
 * append; the next call comes when that is out. NULL: nobody asks any more. */
void conn_on_drained(struct conn *c, void (*fn)(void *arg), void *arg);
struct sock *conn_sock(struct conn *c);
/* Figures for CLIENT LIST; conn_memory is all that the connection has allocated. */
size_t conn_query_bytes(const struct conn *c);
size_t conn_query_free(const struct conn *c);  /* room behind them */
size_t conn_reply_room(const struct conn *c); /* of the buffers for replies */
size_t conn_out_bytes(const struct conn *c);
size_t conn_memory(const struct conn *c);
uint64_t conn_in_total(const struct conn *c);
uint64_t conn_out_total(const struct conn *c);

#endif
