/* RDB files: the whole dataset in Redis's snapshot format, written so that Redis 7.0 and its tools read it, read as any
 * Redis since 2.4 has written it.
 *
 *   REDIS0010  (aux)*  [functions]  (database: select, sizes, keys)*  [aux]  0xff  u64 CRC-64 of all before, 0: none
 *   key        [0xfc i64 ms | 0xfd i32 s: expiry]  [0xf8 length: idle seconds | 0xf9 u8: LFU]  type  name  value
 *
 * The version is 10, or 12 when a hash has fields that expire, which Redis reads from 7.4 on.
 *
 * What Redis has no type for (vector sets, sessions) is left out of a file: as module values Redis's tools could step over
 * them, but no Redis would load a file that holds any. How many keys that were stands in the file as the auxiliary field
 * "skald-left-out" and in the statistics. The journal holds them; it is what Skald itself starts from.
 *
 * Thread: both directions any (a forked child writes, the loop reads); no globals. Blocks. */
#ifndef PERSIST_RDB_FILE_H
#define PERSIST_RDB_FILE_H

#include "base/err.h"
#include "store/db.h"

struct rdb_file_stats {
    uint64_t keys, left_out, expired, bytes;
};

/* --- writing --- */

struct rdb_writer;

struct rdb_write {
    const char *version;  /* of the server, for the field redis-ver */
    bool compress, plain; /* LZF for long strings; plain: without a checksum */
    bool no_keys;         /* functions and auxiliary fields only */
    int64_t key_delay_us; /* sleeps so long after each key (rdb-key-save-delay, for tests) */
    const char *repl_id;  /* for a follower: the stream that goes on behind this snapshot; NULL: none */
    uint64_t repl_offset;
    /* Writes the bytes on: to a file, to a pipe. Negative ends the writing. */
    int (*sink)(void *arg, const void *p, size_t n, struct err *err);
    void (*progress)(void *arg, uint64_t bytes); /* now and then; may be NULL */
    /* Emits every function library through rdb_write_function; NULL: there are none. */
    void (*functions)(struct rdb_writer *w);
    void *arg;
};

int rdb_file_write(const struct store *s, const struct rdb_write *o, struct rdb_file_stats *st, struct err *err);
void rdb_write_function(struct rdb_writer *w, struct slice code);

/* --- reading --- */

struct rdb_key {
    int db;
    struct slice name;
    int64_t expire_ms; /* -1: never */
    int64_t idle_s;    /* -1: the file does not say */
    int lfu;           /* -1: the file does not say */
};

/* What the reader finds. Slices are valid during the call. Any may be NULL; a negative return stops. */
struct rdb_read {
    int (*aux)(void *arg, struct slice name, struct slice value, struct err *err);
    int (*function)(void *arg, struct slice code, struct err *err);
    int (*key)(void *arg, const struct rdb_key *k, struct value *v, struct err *err); /* takes v, also when it fails */
    void *arg;
};

/* Pure: trusts nothing in the bytes. *used (may be NULL) says where the file ended in them. */
int rdb_file_parse(struct slice bytes, const struct rdb_read *o, size_t *used, struct err *err);
/* A whole file, mapped. ERR_IO when it cannot be opened; *found (may be NULL) says whether it is there. */
int rdb_file_read(const char *path, const struct rdb_read *o, bool *found, struct err *err);

#endif
