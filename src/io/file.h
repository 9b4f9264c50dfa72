/* Files: reads, writes and syncs that never block the loop.
 *
 * Two engines behind one table: io_uring (liburing), and a synchronous twin that does the same calls on a thread of its
 * own, for kernels and containers without io_uring. Which one runs is chosen at start or forced by a setting; nothing
 * above can tell them apart.
 *
 * A struct file_op is embedded in its owner and stays valid until done() is called. Operations of one file_submit call
 * form a chain: each starts after the one before it succeeded; after a failure the rest end with -ECANCELED. Separate
 * submits run in any order and in parallel. Short reads and writes are continued inside; `res` is 0 or -errno, and
 * `moved` says how many bytes went through (less than len with res 0 only when a read met the end of the file).
 *
 * Thread: loop. done() is called on the loop, never from inside file_submit. */
#ifndef IO_FILE_H
#define IO_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/loop.h"

enum file_engine { FILE_AUTO, FILE_URING, FILE_THREAD };
enum file_kind {
    FILE_READ,
    FILE_WRITE,
    FILE_DATASYNC,   /* all that was written before */
    FILE_WRITE_SYNC, /* a write that has ended when its bytes are on disk: one trip to the kernel where a write and a
                        sync are two. A failure may be of either half. */
};

struct file_io;

struct file_op {
    enum file_kind kind;
    int fd;
    void *data; /* bytes to write from or read into; owner's, untouched by us otherwise */
    size_t len;
    uint64_t off;
    void (*done)(struct file_op *op); /* NULL: nobody asks (only for ops inside a chain) */
    void *arg;
    int res;                     /* out */
    size_t moved;                /* out */
    struct file_op *next, *wait; /* private: the chain, and the engine's queue */
};

/* FILE_AUTO takes io_uring where it works and says in the log when it does not. Makes the process ignore SIGXFSZ. */
int file_io_create(struct file_io **out, struct loop *l, enum file_engine want, struct err *err);
void file_io_destroy(struct file_io *f);           /* NULL allowed; drains first */
const char *file_io_name(const struct file_io *f); /* "io_uring" or "thread" */

void file_submit(struct file_io *f, struct file_op **ops, int n); /* n >= 1 pointers; the array is not kept */
/* Runs loop turns until nothing is under way: for a clean stop and for tests, not from inside a callback of the loop.
 */
void file_io_drain(struct file_io *f);
int file_io_pending(const struct file_io *f);

/* A small blocking helper for boot and for child processes: writes all or fails. Thread: any. */
int file_write_all(int fd, const void *p, size_t n, struct err *err);
/* Makes a new or renamed name durable: fsync of the directory that holds `path`. Thread: any (blocks). */
int file_sync_dir(const char *path, struct err *err);

/* Locks the whole file for this process (flock, exclusive). A forked child shares its parent's locks until it has closed
 * its descriptors, so the lock of a server that was killed may outlive it by a moment: waits up to wait_ms for it.
 * 0, or a negative errno (-EWOULDBLOCK: somebody else has it). Thread: any (blocks). */
int file_lock(int fd, int wait_ms);
#define FILE_LOCK_WAIT_MS 2000

#endif
