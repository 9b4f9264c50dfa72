/* The io_uring engine: a ring of 256, whose completions come by an eventfd that the loop watches.
 *
 * What would surprise: a chain is not made of linked entries. The kernel breaks a link at a short write, which is what
 * a full disk makes first, and the owner would then see its sync cancelled for a write that could have gone on. The
 * next operation is issued when the one before it has wholly succeeded: one turn of the loop more per chain, some ten
 * microseconds beside a sync of a hundred or more.
 *
 * Entries gather during a turn and go to the kernel in one io_uring_enter just before the loop sleeps, after all other
 * hooks. At most RING operations are in the kernel; the others wait here, so neither queue of the ring can overflow. */
#include "io/file_engine.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/loop_uv.h"

#define RING 256

struct uring_engine {
    struct file_io *f;
    struct loop *loop;
    struct io_uring ring;
    int event;
    struct watch *watch;
    struct loop_hook flush;
    struct file_op *first, *last; /* operations that wait for a place in the ring, linked by `wait` */
    int inside;                   /* entries that the kernel has or will get at the flush */
    bool unsent;
};

static void prepare(struct uring_engine *e, struct file_op *op)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&e->ring);
    assert(sqe); /* `inside` is below RING */
    char *at = (char *)op->data + op->moved;
    size_t left = op->len - op->moved;
    unsigned n = left < FILE_ONE_CALL ? (unsigned)left : FILE_ONE_CALL;
    switch (op->kind) {
    case FILE_READ: io_uring_prep_read(sqe, op->fd, at, n, op->off + op->moved); break;
    case FILE_WRITE: io_uring_prep_write(sqe, op->fd, at, n, op->off + op->moved); break;
    case FILE_WRITE_SYNC:
        io_uring_prep_write(sqe, op->fd, at, n, op->off + op->moved);
        sqe->rw_flags = RWF_DSYNC;
        break;
    case FILE_DATASYNC: io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC); break;
    }
    io_uring_sqe_set_data(sqe, op);
    e->inside++;
    e->unsent = true;
}

static void issue(struct uring_engine *e, struct file_op *op)
{
    if (e->inside < RING && !e->first) {
        prepare(e, op);
        return;
    }
    op->wait = NULL;
    if (e->first)
        e->last->wait = op;
    else
        e->first = op;
    e->last = op;
}

static void fill_ring(struct uring_engine *e)
{
    while (e->first && e->inside < RING) {
        struct file_op *op = e->first;
        e->first = op->wait;
        prepare(e, op);
    }
}

/* Notes one completion in op; true when the operation is over. */
static bool account(struct file_op *op, int res)
{
    if (res == -EINTR || res == -EAGAIN)
        return false;
    if (res < 0) {
        op->res = res;
        return true;
    }
    if (op->kind == FILE_DATASYNC)
        return true;
    op->moved += (size_t)res;
    if (res == 0 && op->moved < op->len && op->kind != FILE_READ)
        op->res = -EIO;
    return res == 0 || op->moved == op->len;
}

static void complete(struct uring_engine *e, struct file_op *op)
{
    struct file_op *next = op->next;
    bool failed = op->res < 0;
    if (next && !failed)
        issue(e, next);
    file_op_ended(e->f, op);
    while (failed && next) {
        op = next;
        next = op->next;
        op->res = -ECANCELED;
        file_op_ended(e->f, op);
    }
}

static void reap(struct uring_engine *e)
{
    struct io_uring_cqe *cqe;
    while (io_uring_peek_cqe(&e->ring, &cqe) == 0) {
        struct file_op *op = io_uring_cqe_get_data(cqe);
        int res = cqe->res;
        io_uring_cqe_seen(&e->ring, cqe);
        e->inside--;
        if (account(op, res))
            complete(e, op);
        else
            issue(e, op);
        fill_ring(e);
    }
}

static void on_event(void *arg)
{
    struct uring_engine *e = arg;
    eventfd_t n;
    while (eventfd_read(e->event, &n) < 0 && errno == EINTR)
        ;
    reap(e);
}

static void flush(void *arg)
{
    struct uring_engine *e = arg;
    if (!e->unsent)
        return;
    int r;
    do
        r = io_uring_submit(&e->ring);
    while (r == -EINTR);
    if (r < 0 && r != -EAGAIN && r != -EBUSY)
        log_warning("io_uring_submit: %s", strerror(-r));
    e->unsent = io_uring_sq_ready(&e->ring) > 0;
    if (e->unsent) /* the kernel is short of memory or of room for completions: once more in the next turn */
        loop_again(e->loop);
}

static int probe(struct io_uring *ring, struct err *err)
{
    static const int needed[] = {IORING_OP_READ, IORING_OP_WRITE, IORING_OP_FSYNC};
    struct io_uring_probe *p = io_uring_get_probe_ring(ring);
    int r = 0;
    for (unsigned i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!p || !io_uring_opcode_supported(p, needed[i]))
            r = err_set(err, ERR_IO, "this kernel's io_uring lacks reading, writing or syncing of files");
    if (p)
        io_uring_free_probe(p);
    return r;
}

static int uring_open(void **self, struct file_io *f, struct loop *l, struct err *err)
{
    struct uring_engine *e = mem_zero(sizeof *e);
    e->f = f;
    e->loop = l;
    e->event = -1;
    int r = io_uring_queue_init(RING, &e->ring, 0);
    if (r < 0) {
        mem_free(e);
        return err_set(err, ERR_IO, "io_uring is not available: %s", strerror(-r));
    }
    r = probe(&e->ring, err);
    if (r == 0 && (e->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        r = err_set(err, ERR_IO, "cannot make an eventfd: %s", strerror(errno));
    int reg = r == 0 ? io_uring_register_eventfd(&e->ring, e->event) : 0;
    if (reg < 0)
        r = err_set(err, ERR_IO, "cannot give io_uring its eventfd: %s", strerror(-reg));
    if (r < 0) {
        io_uring_queue_exit(&e->ring);
        if (e->event >= 0)
            close(e->event);
        mem_free(e);
        return r;
    }
    io_uring_ring_dontfork(&e->ring); /* a forked child must not find it */
    e->watch = watch_create(l, e->event, on_event, e);
    assert(e->watch);
    watch_background(e->watch);
    watch_inside(e->watch);
    e->flush = (struct loop_hook){.fn = flush, .arg = e};
    loop_flush_hook(l, &e->flush);
    *self = e;
    return 0;
}

static void uring_close(void *self)
{
    struct uring_engine *e = self;
    assert(e->inside == 0 && !e->first);
    loop_unhook(&e->flush);
    watch_close(e->watch);
    io_uring_queue_exit(&e->ring);
    close(e->event);
    mem_free(e);
}

static void uring_start(void *self, struct file_op *chain)
{
    issue(self, chain);
}

const struct file_engine_ops file_uring = {"io_uring", uring_open, uring_close, uring_start};
