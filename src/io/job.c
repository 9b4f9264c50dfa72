/* The pool behind jobs: a queue under one mutex, a thread per worker, and done() by loop_post_work.
 *
 * A job is in one of four states, changed only under the mutex:
 *
 *     IDLE ── job_submit ──► WAITING ── a worker takes it ──► RUNNING ── run() returned ──► ENDED ── done() ──► IDLE
 *                               └────────── job_cancel ──────────────────────────────────────►┘
 *
 * so a cancel either removes the job before any worker has seen it or leaves the end of it to the worker: done() is
 * posted by exactly one of the two. A job takes from some ten microseconds (a vector search) to minutes (an index
 * rebuild); one mutex is far from being a bottleneck at that grain. */
#include "io/job.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/loop_uv.h"

#define WORKER_NICE 5 /* above the process's own niceness */

enum job_state { IDLE, WAITING, RUNNING, ENDED };

struct job_pool {
    struct loop *loop;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct list queue;
    int waiting, running;
    bool stopping;
    int left; /* submitted, done() not called yet; loop only */
    int threads;
    pthread_t thread[];
};

static void finish(void *arg)
{
    struct job *j = arg;
    struct job_pool *p = j->pool;
    j->state = IDLE;
    j->pool = NULL; /* from here on a job_cancel finds nothing to do, also when the pool has gone */
    p->left--;
    loop_hold(p->loop, -1);
    j->done(j);
}

static void end(struct job *j)
{
    j->state = ENDED;
    loop_post_work(j->pool->loop, finish, j);
}

static void *worker(void *arg)
{
    struct job_pool *p = arg;
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + WORKER_NICE) < 0)
        log_verbose("a worker keeps its priority: %s", strerror(errno));
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (list_empty(&p->queue) && !p->stopping)
            pthread_cond_wait(&p->more, &p->lock);
        if (list_empty(&p->queue))
            break;
        struct job *j = list_entry(p->queue.next, struct job, link);
        list_del(&j->link);
        j->state = RUNNING;
        p->waiting--;
        p->running++;
        pthread_mutex_unlock(&p->lock);
        j->run(j);
        pthread_mutex_lock(&p->lock);
        p->running--;
        end(j); /* under the lock: job_cancel looks at the state */
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Workers block every signal, so that the process's signals reach the loop's thread. */
static bool start_worker(struct job_pool *p, int i)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&p->thread[i], NULL, worker, p);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r) {
        log_warning("cannot start worker %d of %d: %s", i + 1, p->threads, strerror(r));
        return false;
    }
    char name[16];
    snprintf(name, sizeof name, "worker-%u", (unsigned)i % 1000);
    pthread_setname_np(p->thread[i], name);
    return true;
}

struct job_pool *job_pool_create(struct loop *l, int threads)
{
    if (threads < 1)
        threads = 1;
    struct job_pool *p = mem_zero(sizeof *p + (size_t)threads * sizeof p->thread[0]);
    p->loop = l;
    p->threads = threads;
    list_init(&p->queue);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->more, NULL);
    for (int i = 0; i < threads; i++) {
        if (!start_worker(p, i)) {
            p->threads = i;
            break;
        }
    }
    if (p->threads == 0) {
        job_pool_destroy(p);
        return NULL;
    }
    return p;
}

void job_pool_destroy(struct job_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    while (!list_empty(&p->queue)) {
        struct job *j = list_entry(p->queue.next, struct job, link);
        list_del(&j->link);
        p->waiting--;
        atomic_store_explicit(&j->cancelled, true, memory_order_relaxed);
        end(j);
    }
    pthread_cond_broadcast(&p->more);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->threads; i++)
        pthread_join(p->thread[i], NULL);
    while (p->left > 0)
        loop_run_posts(p->loop);
    pthread_cond_destroy(&p->more);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}

int job_pool_threads(const struct job_pool *p)
{
    return p->threads;
}

void job_submit(struct job_pool *p, struct job *j)
{
    assert(j->run && j->done && j->state == IDLE);
    j->pool = p;
    atomic_store_explicit(&j->cancelled, false, memory_order_relaxed);
    p->left++;
    loop_hold(p->loop, 1);
    pthread_mutex_lock(&p->lock);
    if (p->stopping) { /* submitted by a done() while the pool goes down */
        atomic_store_explicit(&j->cancelled, true, memory_order_relaxed);
        end(j);
    } else {
        j->state = WAITING;
        list_add_tail(&p->queue, &j->link);
        p->waiting++;
        pthread_cond_signal(&p->more);
    }
    pthread_mutex_unlock(&p->lock);
}

void job_cancel(struct job *j)
{
    struct job_pool *p = j->pool;
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    if (j->state == WAITING) {
        list_del(&j->link);
        p->waiting--;
        atomic_store_explicit(&j->cancelled, true, memory_order_relaxed);
        end(j);
    } else if (j->state == RUNNING) {
        atomic_store_explicit(&j->cancelled, true, memory_order_relaxed);
    }
    pthread_mutex_unlock(&p->lock);
}

void job_pool_load(const struct job_pool *p, int *waiting, int *running)
{
    struct job_pool *q = (struct job_pool *)p; /* only its mutex changes */
    pthread_mutex_lock(&q->lock);
    *waiting = q->waiting;
    *running = q->running;
    pthread_mutex_unlock(&q->lock);
}
