/* A forked child that writes one file from the memory it was born with, while the parent goes on changing its own.
 *
 * The child has the calling thread only: it must not touch the loop, the ring or a lock that another thread may hold.
 * Memory may be allocated (the allocators handle fork). It keeps the standard descriptors, `fd` and its line to the
 * parent; all others are closed (mapped files stay mapped). It dies with the parent, whatever kills that.
 *
 * Thread: loop; run() is the child. */
#ifndef PERSIST_CHILD_H
#define PERSIST_CHILD_H

#include <stdint.h>

#include "base/err.h"
#include "io/loop.h"

struct child_stats {
    uint64_t forks;
    unsigned running; /* children that are there now */
    int64_t last_us; /* how long the last fork kept the loop */
};
extern struct child_stats child_stats;

struct child;

struct child_ops {
    int (*run)(void *arg, int fd, struct child *c, struct err *err); /* 0 or a negative ERR_* */
    /* The child is gone and waited for: 0, or what it or its death says. The handle is freed after it. */
    void (*ended)(void *arg, int result, const struct err *err);
};

int child_start(struct child **out, struct loop *l, const struct child_ops *ops, void *arg, int fd, struct err *err);
void child_kill(struct child *c); /* waits for the death; ended() is not called; NULL allowed */

void child_report(struct child *c, uint64_t bytes); /* in the child: progress */
uint64_t child_bytes(const struct child *c);        /* in the parent: the last progress that came */
int child_pid(const struct child *c);

#endif
