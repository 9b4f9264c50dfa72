/* The loop: one thread that owns the keyspace, the clients and the registries, and waits for everything else.
 *
 * It wraps a libuv loop; this folder is the only one that names libuv or liburing. Things that wait (timers, sockets,
 * jobs, files, watched descriptors) are made on the loop and call back on it. Other threads reach it by loop_post only.
 *
 * Thread: `loop` unless a function says otherwise. A turn may not be run from inside a callback of the loop, with one
 * exception: loop_turn_inside. */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

struct loop;

int loop_create(struct loop **out, struct err *err); /* the caller's thread is the loop's from now on; also makes
                                                         the process ignore SIGPIPE */
void loop_destroy(struct loop *l); /* everything made on the loop must have been closed */
void loop_run(struct loop *l);     /* until loop_stop */
void loop_stop(struct loop *l);
bool loop_turn(struct loop *l); /* one non-blocking turn; false when nothing is left to wait for: for tests and shutdown */
bool loop_turn_wait(struct loop *l); /* one turn that sleeps until something happens */
/* One non-blocking turn from inside a callback, for somebody who cannot return for long (a script) and wants others to be
 * told so. An inner turn is not a whole one. In it there are
 *
 *   sockets, listeners, signals    accepted, read, written, closed as ever; who owns the socket of the outer callback sees
 *                                  to it that it is not closed meanwhile (net/conn.c does, for the one that runs)
 *   before-sleep hooks, loop_post  run; what they must not do while somebody is in the middle of something, they know
 *   files, watches                 of watches only those with watch_inside, which is how io_uring tells of files
 *
 * and there are not: timers (they fire some milliseconds after the inner turns), other watches, and loop_post_work, which
 * brings the ends of jobs and of outbound calls; that comes with the next whole turn, in its order. So nothing but a
 * client's own command changes what the outer callback is working on. Inner turns do not nest. */
void loop_turn_inside(struct loop *l);
bool loop_stopping(const struct loop *l); /* has loop_stop been called? */
bool loop_is_here(const struct loop *l); /* is the caller the loop's thread? thread: any */

/* Hooks that run once per turn, just before the loop would sleep, in the order they were added: here replies are
 * written, the journal's group commit starts, expired keys go. The hook is embedded in its owner. */
struct loop_hook {
    struct list link;
    void (*fn)(void *arg);
    void *arg;
};
void loop_before_sleep(struct loop *l, struct loop_hook *h);
void loop_unhook(struct loop_hook *h); /* a hook of zero bytes that was never hooked is allowed */
/* Makes the coming sleep a mere look: for a hook that left work for the next turn. */
void loop_again(struct loop *l);

/* Runs fn(arg) on the loop soon, in the order of posting. Thread: any. Never fails, never blocks. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/* The same for what goes on with work (the end of a job, an answer from outside): not in inner turns. Thread: any. */
void loop_post_work(struct loop *l, void (*fn)(void *arg), void *arg);

/* Timers: one shot or repeating (repeat_ms > 0). timer_stop is idempotent; a stopped timer may be started again.
 * timer_close frees it and must be called once. */
struct timer;
struct timer *timer_create_on(struct loop *l, void (*fn)(void *arg), void *arg);
void timer_start(struct timer *t, uint64_t after_ms, uint64_t repeat_ms);
void timer_stop(struct timer *t);
void timer_close(struct timer *t); /* NULL allowed */

/* Watches a foreign descriptor (libmicrohttpd's epoll, an eventfd) for being readable; level-triggered. The descriptor
 * becomes non-blocking and must outlive the watch. NULL when the kernel cannot watch it (a regular file). */
struct watch;
struct watch *watch_create(struct loop *l, int fd, void (*fn)(void *arg), void *arg);
void watch_background(struct watch *w); /* it alone is no reason for loop_turn to say that something is to come */
void watch_inside(struct watch *w);     /* called in inner turns, too: it must not touch what others work on */
void watch_close(struct watch *w); /* NULL allowed; the descriptor stays open */

/* Unix signals, delivered on the loop. A forked child must put its signals back to SIG_DFL before it unblocks them:
 * the handlers write to a pipe that parent and child share. */
struct sigwatch;
struct sigwatch *sigwatch_create(struct loop *l, int signum, void (*fn)(void *arg, int signum), void *arg);
void sigwatch_close(struct sigwatch *s); /* NULL allowed */

#endif
