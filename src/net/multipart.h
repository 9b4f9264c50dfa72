/* multipart/form-data (RFC 7578): a whole body in, its parts out. Pure.
 *
 * At most MULTIPART_PARTS parts, each with at most MULTIPART_HEAD bytes of headers. The boundary is the one that the
 * Content-Type names. Thread: any. */
#ifndef NET_MULTIPART_H
#define NET_MULTIPART_H

#include "base/err.h"
#include "base/slice.h"

#define MULTIPART_PARTS 64
#define MULTIPART_HEAD  4096

struct multipart {
    struct slice name, filename, type; /* as they stand there, quotes taken off; empty: not given */
    struct slice data;
};

/* Borrows from body. 0 and *n parts; or ERR_INVALID with a sentence. */
int multipart_parse(const char *content_type, struct slice body, struct multipart parts[MULTIPART_PARTS], int *n,
                    struct err *err);
const struct multipart *multipart_find(const struct multipart *parts, int n, const char *name); /* NULL: none */

#endif
