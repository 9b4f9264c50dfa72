/* RDB encoding: the primitives and the payloads that DUMP, RESTORE, the journal's base and (later) snapshots share.
 *
 * A payload is what Redis 7 makes: the type byte, the value in RDB form, a two-byte version (10), CRC-64. Types that
 * Redis has are written in forms that Redis 7 reads; ours are written as module values (type 7), which Redis's tools
 * can skip: module id, one opaque string, end mark.
 *
 * struct rdb_in never reads past its end: after a failed get, `bad` is set and every further get gives zero.
 * Thread: any; no globals. */
#ifndef STORE_RDB_H
#define STORE_RDB_H

#include "base/buf.h"
#include "store/obj.h"

#define RDB_VERSION      10 /* what we write: Redis 7.0 and later read it */
#define RDB_VERSION_TIMED 12 /* of a payload in a form that only Redis 7.4 and later read */
#define RDB_VERSION_READ 12 /* the newest that we try to read; a type byte that we do not know is refused anyway */

/* The type bytes that we write or read; those marked old are only read (rdb_old.c). */
enum rdb_type {
    RDB_STRING = 0,
    RDB_LIST = 1,
    RDB_SET = 2,
    RDB_ZSET = 3,
    RDB_HASH = 4,
    RDB_ZSET_2 = 5,
    RDB_MODULE_2 = 7,
    RDB_HASH_ZIPMAP = 9,    /* old */
    RDB_LIST_ZIPLIST = 10,  /* old */
    RDB_SET_INTSET = 11,
    RDB_ZSET_ZIPLIST = 12,  /* old */
    RDB_HASH_ZIPLIST = 13,  /* old */
    RDB_LIST_QUICKLIST = 14, /* old */
    RDB_STREAM_LISTPACKS = 15,
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_LIST_QUICKLIST_2 = 18,
    RDB_STREAM_LISTPACKS_2 = 19,
    RDB_SET_LISTPACK = 20,
    RDB_STREAM_LISTPACKS_3 = 21,
    RDB_HASH_TIMED_RC = 22,          /* read only: 7.4's release candidates, expiries as they are */
    RDB_HASH_LISTPACK_TIMED_RC = 23, /* the same */
    RDB_HASH_TIMED = 24,             /* with expiries of fields; since 7.4 */
    RDB_HASH_LISTPACK_TIMED = 25,    /* the same */
};

struct rdb_out {
    struct buf *to;
    bool by_reference; /* the journal's base: a value that has its own file may write a reference to it */
    bool compress;     /* longer strings are packed by LZF where that makes them shorter (rdbcompression) */
};

struct rdb_in {
    const uint8_t *p, *end;
    bool bad;
    bool by_reference;
    struct buf scratch; /* decompressed or decoded strings live here until the next get; release at the end */
};

void rdb_put_u8(struct rdb_out *o, uint8_t v);
void rdb_put_len(struct rdb_out *o, uint64_t len);
void rdb_put_str(struct rdb_out *o, struct slice s); /* integers are packed as Redis packs them */
void rdb_put_double(struct rdb_out *o, double v);    /* 8 bytes, little endian */
void rdb_put_u64(struct rdb_out *o, uint64_t v);     /* 8 bytes, little endian */

uint8_t rdb_get_u8(struct rdb_in *in);
uint64_t rdb_get_len(struct rdb_in *in);
/* Borrowed from the input or, when it was packed (integer, LZF), from scratch until the next rdb_get_str. */
struct slice rdb_get_str(struct rdb_in *in);
double rdb_get_double(struct rdb_in *in);
uint64_t rdb_get_u64(struct rdb_in *in);
/* How many elements of at least `min_bytes` each the rest of the input could hold: check counts against it. */
static inline bool rdb_fits(const struct rdb_in *in, uint64_t count, size_t min_bytes)
{
    return !in->bad && count <= (uint64_t)(in->end - in->p) / (min_bytes ? min_bytes : 1);
}

/* A module id from a nine-character name (A-Z a-z 0-9 - _) and a version below 1024. */
uint64_t rdb_module_id(const char name[9], int version);

/* The parts of a foreign module's value, each behind a mark of its kind; another mark sets `bad`. */
uint64_t rdb_get_module_uint(struct rdb_in *in);
struct slice rdb_get_module_str(struct rdb_in *in); /* borrowed as rdb_get_str's */

/* A value alone, as it stands behind its type byte (and, in a file, its key). */
uint8_t rdb_value_type(const struct obj *o);
void rdb_put_value(const struct obj *o, struct rdb_out *to);
/* Reads any type byte that Redis has written since 2.2. The sentence of a failure is for a log. */
int rdb_get_value(uint8_t type, struct rdb_in *in, struct value *out, struct err *err);

/* The forms of Redis before 7.0 (zipmap, ziplist): rewritten into today's and read as those. For rdb_get_value. */
bool rdb_is_old(uint8_t type);
int rdb_get_old(uint8_t type, struct rdb_in *in, struct value *out, struct err *err);

/* What ends a payload, version and checksum: of all that was written since `start`; taken off, *in is what stands before
 * it. False: damaged, or of a version that is not read. */
void rdb_put_footer(struct rdb_out *o, size_t start);
bool rdb_open_payload(struct slice payload, struct rdb_in *in);

/* Whole payloads with version and checksum: DUMP's bytes. */
void rdb_dump(const struct obj *o, struct buf *to, bool by_reference);
/* ERR_GENERIC "DUMP payload version or checksum are wrong" / "Bad data format", as Redis words them. */
int rdb_restore(struct slice payload, struct value *out, bool by_reference, struct err *err);

#endif
