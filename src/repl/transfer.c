/* See transfer.h. What would surprise: the struct may outlive its follower by one read of the file that is under way. */
#include "repl/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "persist/child.h"

#define PIECE    (256u << 10)
#define MARK_LEN 40

struct transfer {
    struct follower *f; /* NULL: it has gone */
    const struct feed_setup *setup;
    struct rdb_write write;
    struct child *child;
    bool pipe, reading, child_done, pipe_done;
    int fd;              /* the file, or our end of the pipe */
    struct watch *watch; /* of the pipe */
    struct file_op op;   /* of the file */
    uint64_t size, at;
    char mark[MARK_LEN + 1];
    char *piece;
};

static void free_transfer(struct transfer *t)
{
    watch_close(t->watch);
    if (t->fd >= 0)
        close(t->fd);
    mem_free(t->piece);
    mem_free(t);
}

void transfer_destroy(struct transfer *t)
{
    if (!t)
        return;
    conn_on_drained(t->f->conn, NULL, NULL);
    t->f->transfer = NULL;
    t->f = NULL;
    child_kill(t->child);
    t->child = NULL;
    if (!t->reading)
        free_transfer(t);
}

static void give_up(struct transfer *t, const char *why)
{
    log_warning("the snapshot for a follower failed: %s", why);
    conn_close(t->f->conn); /* its closed() destroys the follower and this */
}

static void finish(struct transfer *t)
{
    struct follower *f = t->f;
    transfer_destroy(t);
    feed_online(f);
}

static void send_bytes(struct transfer *t, const void *p, size_t n)
{
    if (n)
        buf_add(conn_out(t->f->conn), p, n);
    conn_wrote(t->f->conn);
}

/* ---- from the file ---- */

static void read_file(struct transfer *t);

static void file_drained(void *arg)
{
    struct transfer *t = arg;
    if (!t->reading && t->f->state == FOLLOWER_SENDING)
        read_file(t);
}

static void file_read(struct file_op *op)
{
    struct transfer *t = op->arg;
    t->reading = false;
    if (!t->f) {
        free_transfer(t);
        return;
    }
    if (op->res < 0 || op->moved == 0) {
        give_up(t, op->res < 0 ? strerror(-op->res) : "its file is too short");
        return;
    }
    t->at += op->moved;
    send_bytes(t, t->piece, op->moved);
    if (t->at == t->size)
        finish(t);
}

static void read_file(struct transfer *t)
{
    uint64_t left = t->size - t->at;
    t->reading = true;
    t->op = (struct file_op){.kind = FILE_READ,
                             .fd = t->fd,
                             .data = t->piece,
                             .len = left < PIECE ? (size_t)left : PIECE,
                             .off = t->at,
                             .done = file_read,
                             .arg = t};
    file_submit(t->setup->files, (struct file_op *[]){&t->op}, 1);
}

static void begin_file(struct transfer *t)
{
    struct stat st;
    char head[32];
    if (fstat(t->fd, &st) < 0) {
        give_up(t, strerror(errno));
        return;
    }
    t->f->state = FOLLOWER_SENDING;
    t->size = (uint64_t)st.st_size;
    send_bytes(t, head, (size_t)snprintf(head, sizeof head, "$%llu\r\n", (unsigned long long)t->size));
    conn_on_drained(t->f->conn, file_drained, t);
    read_file(t);
}

/* ---- through the pipe ---- */

static void on_pipe(void *arg);

static void pipe_drained(void *arg)
{
    struct transfer *t = arg;
    if (!t->watch && !t->pipe_done)
        t->watch = watch_create(t->setup->loop, t->fd, on_pipe, t);
}

static void end_pipe(struct transfer *t)
{
    if (!t->child_done || !t->pipe_done)
        return;
    send_bytes(t, t->mark, MARK_LEN);
    finish(t);
}

static void on_pipe(void *arg)
{
    struct transfer *t = arg;
    ssize_t n = read(t->fd, t->piece, PIECE);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        send_bytes(t, t->piece, (size_t)n);
    else
        t->pipe_done = true;
    watch_close(t->watch); /* more is read when this is out */
    t->watch = NULL;
    if (n < 0)
        give_up(t, strerror(errno));
    else if (t->pipe_done)
        end_pipe(t);
}

/* ---- the child ---- */

static int write_on(void *arg, const void *p, size_t n, struct err *err)
{
    return file_write_all(*(int *)arg, p, n, err);
}

static int run_child(void *arg, int fd, struct child *c, struct err *err)
{
    struct transfer *t = arg;
    t->write.sink = write_on;
    t->write.arg = &fd;
    return rdb_file_write(t->setup->store, &t->write, NULL, err);
}

static void child_ended(void *arg, int result, const struct err *err)
{
    struct transfer *t = arg;
    t->child = NULL;
    t->child_done = true;
    if (result < 0) {
        give_up(t, err->msg);
        return;
    }
    if (t->pipe)
        end_pipe(t);
    else
        begin_file(t);
}

static int open_file(struct transfer *t, int *write_end, struct err *err)
{
    char name[] = "temp-repl-XXXXXX";
    t->fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (t->fd < 0) { /* a file system without nameless files */
        t->fd = mkostemp(name, O_CLOEXEC);
        if (t->fd >= 0)
            unlink(name);
    }
    *write_end = t->fd;
    return t->fd >= 0 ? 0 : err_set(err, ERR_IO, "cannot make a file for a snapshot: %s", strerror(errno));
}

static int open_pipe(struct transfer *t, int *write_end, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(err, ERR_IO, "cannot make a pipe: %s", strerror(errno));
    t->fd = ends[0];
    *write_end = ends[1];
    return 0;
}

static void make_mark(struct transfer *t)
{
    uint8_t raw[MARK_LEN];
    rng_secure(raw, sizeof raw);
    for (int i = 0; i < MARK_LEN; i++)
        t->mark[i] = "0123456789abcdef"[raw[i] & 15];
}

int transfer_start(struct follower *f, bool through_pipe, const struct feed_setup *s, uint64_t offset, struct err *err)
{
    static const struct child_ops ops = {.run = run_child, .ended = child_ended};
    struct transfer *t = mem_zero(sizeof *t);
    int write_end = -1;
    *t = (struct transfer){.f = f, .setup = s, .pipe = through_pipe, .fd = -1, .piece = mem_alloc(PIECE)};
    s->options(&t->write);
    t->write.no_keys = f->functions_only;
    t->write.repl_id = feed_id();
    t->write.repl_offset = offset;
    int rc = through_pipe ? open_pipe(t, &write_end, err) : open_file(t, &write_end, err);
    if (rc == 0)
        rc = child_start(&t->child, s->loop, &ops, t, write_end, err);
    if (through_pipe && write_end >= 0)
        close(write_end);
    if (rc < 0) {
        free_transfer(t);
        return rc;
    }
    f->transfer = t;
    if (through_pipe) {
        char head[MARK_LEN + 16];
        make_mark(t);
        f->state = FOLLOWER_SENDING;
        send_bytes(t, head, (size_t)snprintf(head, sizeof head, "$EOF:%s\r\n", t->mark));
        conn_on_drained(f->conn, pipe_drained, t);
    }
    return 0;
}
