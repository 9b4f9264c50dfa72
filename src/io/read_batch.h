/* Many small reads at once, for a worker that cannot go on without them: the last candidates of a search whose full
 * vectors lie on a file. All reads of a batch are in the kernel together, so the wait is about that of the slowest.
 *
 * How to think of it: a list of wanted ranges. They are read in windows that begin and end at a multiple of 4 KiB, so
 * that the descriptor may be one with O_DIRECT; ranges that lie in one page, or in pages that touch, share a read. The
 * bytes are copied to where they are wanted. One batch per thread, kept for the thread's life: an io_uring of its own,
 * or the same reads one after another with pread where there is none.
 *
 * Order: add, add, ...; submit; next until it says false (or wait). Adding and submitting more before the first have
 * ended is allowed. Descriptors and buffers stay the caller's and must live until their read has ended.
 *
 * Thread: any, each its own. Blocks. Files that the loop reads and writes are file.h's. */
#ifndef IO_READ_BATCH_H
#define IO_READ_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READ_PAGE 4096

struct read_batch;

/* One range that has ended. */
struct read_end {
    uint64_t tag;
    int res; /* 0: all bytes are there; -ENODATA: the file ended before; else -errno. On failure the buffer has anything
              */
};

/* The calling thread's; nothing is on its way in it. */
struct read_batch *read_batch_mine(void);
void read_batch_add(struct read_batch *b, int fd, uint64_t off, void *buf, size_t len, uint64_t tag);
void read_batch_submit(struct read_batch *b); /* what was added goes to the kernel, as much as has room there */
/* Waits until a range has ended. False: all that were submitted have been told. */
bool read_batch_next(struct read_batch *b, struct read_end *end);
/* Waits for all. 0, or the first failure met. */
int read_batch_wait(struct read_batch *b);

uint64_t read_batch_windows(const struct read_batch *b); /* reads asked of the kernel so far, for facts and tests */
const char *read_batch_name(const struct read_batch *b); /* "io_uring" or "pread" */

/* false: batches of threads that have none yet will use pread. For a setting and for tests. */
void read_batch_allow_uring(bool on);

/* Opens a file for such reads; direct asks for O_DIRECT and makes do without where the file system has none. A
 * descriptor or -errno. */
int read_batch_open(const char *path, bool direct);

#endif
