/* The manifest: which files make up the journal, in Redis's multi-part AOF format plus one key of ours.
 *
 *     file appendonly.aof.3.base.aof seq 3 type b lsn 81234
 *     file appendonly.aof.7.incr.aof seq 7 type i lsn 81234
 *
 * type b is the base (at most one), i an increment (in order of seq), h a file that is history and may be removed.
 * `lsn` is the journal position that a base stands for or at which an increment starts; Redis skips keys it does not
 * know, and a manifest that Redis wrote has none (has_lsn is then false). Thread: any; the store functions block. */
#ifndef PERSIST_MANIFEST_H
#define PERSIST_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define MANIFEST_NAME_MAX 240

struct manifest_file {
    char name[MANIFEST_NAME_MAX + 1];
    uint64_t seq, lsn;
    char type; /* 'b', 'i' or 'h' */
    bool has_lsn;
};

/* {0} is an empty manifest. */
struct manifest {
    struct manifest_file *files;
    int n;
};

void manifest_release(struct manifest *m);
void manifest_copy(struct manifest *to, const struct manifest *from); /* `to` is overwritten, not released */
struct manifest_file *manifest_add(struct manifest *m, char type, const char *name, uint64_t seq, uint64_t lsn);
const struct manifest_file *manifest_base(const struct manifest *m);      /* NULL when there is none */
const struct manifest_file *manifest_last_incr(const struct manifest *m); /* NULL when there is none */
uint64_t manifest_max_seq(const struct manifest *m, char type);           /* 0 when there is none */

/* Pure: text to manifest. On failure `m` is empty and err names the line. */
int manifest_parse(struct manifest *m, struct slice text, struct err *err);
void manifest_print(struct buf *to, const struct manifest *m);

/* Reads <path>; *found tells whether there is one. */
int manifest_read(struct manifest *m, const char *path, bool *found, struct err *err);
/* Replaces <path>: temporary file, fsync, rename, fsync of the folder. When *visible is set the new text is in place,
 * also if the call failed after that (the folder's sync did): it may then be lost again by a power failure. */
int manifest_store(const char *path, struct slice text, bool *visible, struct err *err);

#endif
