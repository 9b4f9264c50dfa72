/* Sockets: listeners and streams on TCP and Unix domain, as the connection layer wants them.
 *
 * Reads go straight into the owner's buffer (want() lends room, got() says how much came). Writes are tried at once; what
 * the kernel does not take is sent as it drains, from the owner's memory, and written() tells when it may be reused.
 *
 * Thread: loop. Callbacks are never made from inside sock_close; after it only closed() comes (a write under way ends
 * without written(), its bytes are not touched any more). TCP streams start with Nagle's algorithm off. */
#ifndef IO_SOCK_H
#define IO_SOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "io/loop.h"

struct sock;
struct listener;

struct sock_ops {
    size_t (*want)(void *arg, char **room);  /* lend a buffer for the next read; 0 pauses reading until sock_read */
    void (*got)(void *arg, size_t n);        /* n bytes are in the lent buffer */
    void (*end)(void *arg, int error);       /* the peer closed (0) or the socket failed (-errno); close it now */
    void (*written)(void *arg, int error);   /* a sock_write that did not finish at once has */
    void (*closed)(void *arg);               /* the handle is gone; free what you like */
};

/* addr is a numeric address or a name; "" and "*" are every IPv4 address, "::*" every IPv6 one. A Unix path that nobody
 * listens on any more is replaced; mode 0 leaves its permissions to the umask. on_accept owns the new sock and must either sock_attach or sock_close it. */
int listener_tcp(struct listener **out, struct loop *l, const char *addr, int port, int backlog,
                 void (*on_accept)(void *arg, struct sock *s), void *arg, struct err *err);
int listener_unix(struct listener **out, struct loop *l, const char *path, int mode, int backlog,
                  void (*on_accept)(void *arg, struct sock *s), void *arg, struct err *err);
int listener_port(const struct listener *ls); /* the port in use (asked for 0: the one the kernel picked); 0 for Unix */
void listener_close(struct listener *ls);     /* NULL allowed; removes a Unix path */

/* Connects to a name or an address; connected() says how that went (0 or -errno) and is not called from inside. The sock is
 * attached and the caller's at once; closing it ends the attempt. Reading starts with sock_read, once connected. */
struct sock *sock_connect(struct loop *l, const char *host, int port, const struct sock_ops *ops, void *arg,
                          void (*connected)(void *arg, int error));
void sock_attach(struct sock *s, const struct sock_ops *ops, void *arg);
void sock_read(struct sock *s);  /* start or resume */
void sock_pause(struct sock *s); /* stop reading */
/* 1: all written now. 0: under way, written() will come, one write at a time. Negative errno: failed, end() is not called.
 * A sock that was not attached may be told a last word before it is closed; what the kernel does not take is lost. */
int sock_write(struct sock *s, const char *p, size_t n);
void sock_close(struct sock *s); /* NULL and a second call allowed */
void sock_nodelay(struct sock *s, bool on);
void sock_keepalive(struct sock *s, int seconds); /* 0 is off */
/* "127.0.0.1:5123", "[::1]:5123" or "/path:0" as Redis prints them; which: 0 peer, 1 ours. */
void sock_name(const struct sock *s, int which, char *to, size_t size);
bool sock_is_unix(const struct sock *s);
bool sock_is_local(const struct sock *s); /* loopback or Unix: what protected mode lets through */
int sock_fd(const struct sock *s);        /* for CLIENT LIST; -1 when closing */

#endif
