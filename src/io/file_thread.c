/* The synchronous twin: one thread that makes the plain system calls, chain after chain, in the order of submission.
 *
 * For kernels and containers without io_uring, and for telling an error of the ring from an error of the disk. Chains
 * of separate submits run one after the other here and in parallel on the ring; file.h promises neither. */
#include "io/file_engine.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

struct thread_engine {
    struct file_io *f;
    struct loop *loop;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct file_op *first, *last; /* chains that wait, linked by `wait` */
    bool stopping;
};

/* What post carries: the chain and whose it is. */
struct ended {
    struct thread_engine *e;
    struct file_op *chain;
};

static void transfer(struct file_op *op)
{
    while (op->moved < op->len) {
        char *at = (char *)op->data + op->moved;
        size_t n = op->len - op->moved < FILE_ONE_CALL ? op->len - op->moved : FILE_ONE_CALL;
        off_t off = (off_t)(op->off + op->moved);
        ssize_t r = op->kind == FILE_READ ? pread(op->fd, at, n, off) : pwrite(op->fd, at, n, off);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            op->res = -errno;
        else if (r == 0 && op->kind != FILE_READ)
            op->res = -EIO;
        if (r <= 0)
            return;
        op->moved += (size_t)r;
    }
}

static void perform(struct file_op *op)
{
    if (op->kind == FILE_DATASYNC)
        op->res = fdatasync(op->fd) < 0 ? -errno : 0;
    else
        transfer(op);
    if (op->kind == FILE_WRITE_SYNC && op->res == 0)
        op->res = fdatasync(op->fd) < 0 ? -errno : 0;
}

static void finish(void *arg)
{
    struct ended done = *(struct ended *)arg;
    mem_free(arg);
    struct file_op *next;
    for (struct file_op *op = done.chain; op; op = next) {
        next = op->next;
        file_op_ended(done.e->f, op);
    }
}

static void run_chain(struct thread_engine *e, struct file_op *chain)
{
    bool failed = false;
    for (struct file_op *op = chain; op; op = op->next) {
        if (failed)
            op->res = -ECANCELED;
        else
            perform(op);
        failed = failed || op->res < 0;
    }
    struct ended *d = mem_alloc(sizeof *d);
    *d = (struct ended){e, chain};
    loop_post(e->loop, finish, d);
}

static void *serve(void *arg)
{
    struct thread_engine *e = arg;
    pthread_mutex_lock(&e->lock);
    for (;;) {
        while (!e->first && !e->stopping)
            pthread_cond_wait(&e->more, &e->lock);
        struct file_op *chain = e->first;
        if (!chain)
            break;
        e->first = chain->wait;
        pthread_mutex_unlock(&e->lock);
        run_chain(e, chain);
        pthread_mutex_lock(&e->lock);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

static int thread_open(void **self, struct file_io *f, struct loop *l, struct err *err)
{
    struct thread_engine *e = mem_zero(sizeof *e);
    e->f = f;
    e->loop = l;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->more, NULL);
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&e->thread, NULL, serve, e);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r) {
        mem_free(e);
        return err_set(err, ERR_IO, "cannot start the file thread: %s", strerror(r));
    }
    pthread_setname_np(e->thread, "files");
    *self = e;
    return 0;
}

static void thread_close(void *self)
{
    struct thread_engine *e = self;
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    pthread_cond_signal(&e->more);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->thread, NULL);
    pthread_cond_destroy(&e->more);
    pthread_mutex_destroy(&e->lock);
    mem_free(e);
}

static void thread_start(void *self, struct file_op *chain)
{
    struct thread_engine *e = self;
    pthread_mutex_lock(&e->lock);
    if (e->first)
        e->last->wait = chain;
    else
        e->first = chain;
    e->last = chain;
    pthread_cond_signal(&e->more);
    pthread_mutex_unlock(&e->lock);
}

const struct file_engine_ops file_thread = {"thread", thread_open, thread_close, thread_start};
