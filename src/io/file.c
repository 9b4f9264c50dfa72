/* Files: the choice of the engine, and what both engines share. */
#include "io/file.h"
#include "io/file_engine.h"

#include <assert.h>
#include <errno.h>
#include <sys/file.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop_uv.h"

struct file_io {
    struct loop *loop;
    const struct file_engine_ops *engine;
    void *self;
    int pending;
};

static int open_engine(struct file_io *f, const struct file_engine_ops *e, struct err *err)
{
    f->engine = e;
    return e->open(&f->self, f, f->loop, err);
}

int file_io_create(struct file_io **out, struct loop *l, enum file_engine want, struct err *err)
{
    struct err why;
    struct file_io *f = mem_zero(sizeof *f);
    f->loop = l;
    int r = open_engine(f, want == FILE_THREAD ? &file_thread : &file_uring, &why);
    if (r < 0 && want == FILE_AUTO) {
        log_notice("files are written by a thread: %s", why.msg);
        r = open_engine(f, &file_thread, &why);
    }
    if (r < 0) {
        mem_free(f);
        return err_set(err, r, "%s", why.msg);
    }
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error of the write (EFBIG), not the end of the process */
    *out = f;
    return 0;
}

void file_io_destroy(struct file_io *f)
{
    if (!f)
        return;
    file_io_drain(f);
    f->engine->close(f->self);
    mem_free(f);
}

const char *file_io_name(const struct file_io *f)
{
    return f->engine->name;
}

void file_submit(struct file_io *f, struct file_op **ops, int n)
{
    assert(n >= 1);
    for (int i = 0; i < n; i++) {
        ops[i]->res = 0;
        ops[i]->moved = 0;
        ops[i]->wait = NULL;
        ops[i]->next = i + 1 < n ? ops[i + 1] : NULL;
    }
    f->pending += n;
    loop_hold(f->loop, n);
    f->engine->start(f->self, ops[0]);
}

void file_op_ended(struct file_io *f, struct file_op *op)
{
    f->pending--;
    loop_hold(f->loop, -1);
    if (op->done)
        op->done(op);
}

void file_io_drain(struct file_io *f)
{
    while (f->pending > 0)
        loop_turn_wait(f->loop);
}

int file_io_pending(const struct file_io *f)
{
    return f->pending;
}

int file_write_all(int fd, const void *p, size_t n, struct err *err)
{
    const char *at = p;
    while (n > 0) {
        ssize_t w = write(fd, at, n < FILE_ONE_CALL ? n : FILE_ONE_CALL);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return err_set(err, ERR_IO, "cannot write to a file: %s", strerror(w < 0 ? errno : EIO));
        at += w;
        n -= (size_t)w;
    }
    return 0;
}

int file_sync_dir(const char *path, struct err *err)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof dir)
        return err_set(err, ERR_IO, "the path %.80s... is too long", path);
    memcpy(dir, path, n);
    dir[n] = 0;
    int fd = open(n ? dir : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ERR_IO, "cannot open the folder of %s: %s", path, strerror(errno));
    int r = fsync(fd);
    int why = errno;
    close(fd);
    return r == 0 ? 0 : err_set(err, ERR_IO, "cannot sync the folder of %s: %s", path, strerror(why));
}

int file_lock(int fd, int wait_ms)
{
    int64_t end = clock_mono_ms() + wait_ms;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        if (clock_mono_ms() >= end)
            return -EWOULDBLOCK;
        usleep(5000);
    }
    return 0;
}
