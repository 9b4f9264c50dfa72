/* Jobs: work for a pool of threads, ended by exactly one callback on the loop.
 *
 * The struct is embedded in what it works on. run() happens on a worker and owns everything it touches; it holds no
 * pointer into the keyspace (a reference-counted library object such as a vector index is fine). done() happens on the
 * loop, always, exactly once: after run(), or without it when the job was cancelled before a worker took it
 * (job->cancelled is then set, as it is when the cancel came while run() was busy; run() may poll job_cancelled()). The
 * struct is zeroed before its first use and may be submitted again from done() on; submitting clears `cancelled`.
 *
 * Workers run at a lower scheduling priority than the loop, so that a busy pool does not delay PING. */
#ifndef IO_JOB_H
#define IO_JOB_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/list.h"
#include "io/loop.h"

struct job_pool;

struct job {
    void (*run)(struct job *j);  /* thread: worker */
    void (*done)(struct job *j); /* thread: loop; may free the struct around j */
    struct list link;            /* the pool's */
    struct job_pool *pool;
    atomic_bool cancelled;
    int state; /* the pool's */
};

/* At least one thread is tried for; fewer than asked for when the system gives no more; NULL when it gives none. loop */
struct job_pool *job_pool_create(struct loop *l, int threads);
void job_pool_destroy(struct job_pool *p); /* loop; cancels what waits, waits for what runs, calls every done() */
int job_pool_threads(const struct job_pool *p);

void job_submit(struct job_pool *p, struct job *j); /* loop; first come, first served; run and done must be set */
/* done() still comes, later, and once. A job that has ended already, or was never submitted (a zeroed struct), is left as
 * it is. loop */
void job_cancel(struct job *j);
static inline bool job_cancelled(struct job *j)     /* any */
{
    return atomic_load_explicit(&j->cancelled, memory_order_relaxed);
}
/* How many jobs wait for a worker and how many run, for INFO. loop */
void job_pool_load(const struct job_pool *p, int *waiting, int *running);

#endif
