/* What a file engine is to file.c. An engine performs operations; chains, holds and callbacks are file.c's.
 * Private to io/. Thread: loop, unless said otherwise. */
#ifndef IO_FILE_ENGINE_H
#define IO_FILE_ENGINE_H

#include "io/file.h"

#define FILE_ONE_CALL (1u << 30) /* the most bytes asked of the kernel at once: res is an int there */

struct file_engine_ops {
    const char *name;
    int (*open)(void **self, struct file_io *f, struct loop *l, struct err *err);
    void (*close)(void *self); /* nothing is under way any more */
    /* Takes a whole chain (linked by `next`). The engine calls file_op_ended for each operation, on the loop, in the
     * chain's order and never from inside start. */
    void (*start)(void *self, struct file_op *chain);
};

extern const struct file_engine_ops file_uring, file_thread;

/* The operation is over: res and moved are set. May free it. */
void file_op_ended(struct file_io *f, struct file_op *op);

#endif
