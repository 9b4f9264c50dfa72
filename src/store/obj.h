/* An object: one key of the keyspace with its value.
 *
 * Header, expiry, key and a small string value are one allocation, because most keys are small and an allocation costs
 * 16 bytes and a cache miss. A 16-byte key with a 64-byte string is 96 bytes plus its 10 in the table. So a change of
 * a string value or of whether there is an expiry may move the object: only db_* functions do that, they return the new
 * address, and every pointer from before is stale. Container values (list, hash, stream, vector set, session) sit
 * behind a pointer that stays during a command; between commands defragmentation may move all but our own types'.
 *
 *   offset  0  u8   type (enum obj_type)
 *           1  u8   enc  (enum obj_enc)
 *           2  u8   flags
 *           3  u8   key length, or 255: a u32 with the length stands before the key
 *           4  u32  access clock, see access.h
 *           8  u64  the integer (ENC_INT), the embedded length (ENC_EMBSTR), or the pointer
 *          16  [i64 expiry, milliseconds since 1970]   when OBJ_EXPIRES
 *              [u32 key length]                        when longer than 254
 *              key bytes
 *              [value bytes]                           when ENC_EMBSTR
 *
 * Thread: loop. */
#ifndef STORE_OBJ_H
#define STORE_OBJ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/dict.h"
#include "base/err.h"
#include "base/num.h"
#include "base/slice.h"

enum obj_type {
    OBJ_STRING,
    OBJ_LIST,
    OBJ_SET,
    OBJ_ZSET,
    OBJ_HASH,
    OBJ_STREAM,
    OBJ_VECTOR,
    OBJ_SESSION,
    OBJ_KB,
    OBJ_TYPES, /* how many */
};

/* Encodings, named as OBJECT ENCODING names them. */
enum obj_enc {
    ENC_INT,
    ENC_EMBSTR,
    ENC_RAW,
    ENC_LISTPACK,
    ENC_LISTPACK_EX, /* with expiries of its fields */
    ENC_HASHTABLE,
    ENC_HASHTABLE_EX, /* the same */
    ENC_QUICKLIST,
    ENC_INTSET,
    ENC_SKIPLIST,
    ENC_STREAM,
    ENC_OWN, /* our own types: the type's name is the encoding's */
};

enum obj_flags {
    OBJ_EXPIRES = 1,
    OBJ_TIMED = 2, /* elements of it expire: it is in db->timed */
};

struct obj {
    uint8_t type, enc, flags, klen;
    uint32_t clock;
    union {
        int64_t num;
        uint64_t len;
        void *ptr;
    } v;
    char tail[];
};
_Static_assert(sizeof(struct obj) == 16, "the offset table above");

/* A value that is under no key yet: what a type's load or copy gives, what db_add takes over. Strings use
 * value_string, which picks the encoding when the object is built. */
struct value {
    uint8_t type, enc;
    int64_t num;      /* ENC_INT */
    void *ptr;        /* containers; for strings a struct rawstr * (ENC_RAW), taken over */
    struct slice str; /* ENC_EMBSTR: borrowed, copied by db_add */
};

/* A string value that is too large to be embedded: length, room, bytes. */
struct rawstr {
    size_t len, cap;
    char p[];
};
struct rawstr *rawstr_make(struct slice s, size_t spare);
struct rawstr *rawstr_grow(struct rawstr *r, size_t cap); /* may move; cap >= len */

#define OBJ_EMBED_MAX    192 /* value bytes kept inside the object */
#define OBJ_EMBSTR_NAMED 44  /* up to here such a value is called embstr, as in Redis; above, raw */

static inline struct slice obj_key(const struct obj *o) /* borrowed; goes with the object */
{
    const char *p = o->tail + (o->flags & OBJ_EXPIRES ? sizeof(int64_t) : 0);
    if (__builtin_expect(o->klen < 255, 1))
        return slice_of(p, o->klen);
    uint32_t len;
    memcpy(&len, p, sizeof len);
    return slice_of(p + sizeof len, len);
}
static inline int64_t obj_expire(const struct obj *o) /* -1: never */
{
    int64_t at = -1;
    if (o->flags & OBJ_EXPIRES)
        memcpy(&at, o->tail, sizeof at);
    return at;
}
/* A string object's bytes. Integers are written into tmp. Borrowed until the object changes. */
struct slice obj_str(const struct obj *o, char tmp[NUM_I64_MAX]);

/* What the keyspace, persistence and replication know of a type. Every function gets an object of that type.
 * Registered at boot, so that a room above the store (sessions) can bring its own. */
struct rdb_out;
struct rdb_in;
struct type_ops {
    const char *name; /* as TYPE answers */
    enum obj_type id;
    void (*free)(uint8_t enc, void *ptr);        /* the container behind v.ptr */
    size_t (*size)(const struct obj *o, int samples); /* bytes behind v.ptr; samples 0: all elements */
    int (*copy)(const struct obj *o, struct value *out, struct err *err); /* a deep copy */
    /* RDB encoding (store/rdb.h): save writes the RDB type byte's payload; rdb_type says which byte. */
    uint8_t (*rdb_type)(const struct obj *o);
    void (*save)(const struct obj *o, struct rdb_out *to);
    int (*load)(uint8_t rdb_type, struct rdb_in *from, struct value *out, struct err *err); /* checks everything */
    void (*digest)(const struct obj *o, uint8_t sha[20]); /* for DEBUG DIGEST; order-independent where the type is */
    uint64_t rdb_module; /* own types: the module id under which RDB tools see the value; else 0 */
    /* Optional, both or none: values of somebody else's module that this type can take in. load_foreign reads with
     * rdb_get_module_uint and rdb_get_module_str and checks everything; the end mark is not its business. */
    uint64_t rdb_foreign;
    int (*load_foreign)(struct rdb_in *from, struct value *out, struct err *err);
    /* Optional: called when the object leaves the keyspace for good or its key changes (a vector set's files). */
    void (*unlinked)(struct obj *o);
    /* Optional, both or none: a member of a large container is looked up ahead of its command, in two steps that each
     * ask the cache for what the next one reads. prefetch gives the member's hash for prefetch_on; 0: nothing to fetch. */
    uint64_t (*prefetch)(const struct obj *o, struct slice member);
    void (*prefetch_on)(const struct obj *o, uint64_t hash);
    /* Optional, both or none: elements that have an expiry of their own. next_expiry: the earliest, -1: none has one.
     * expire removes elements that are due, at most `most`, and tells each one's name; *left is how many elements are
     * not due: at 0 nothing is removed, for the key goes. Returns how many were due. */
    int64_t (*next_expiry)(const struct obj *o);
    size_t (*expire)(struct obj *o, int64_t now_ms, size_t most, void (*gone)(void *arg, struct slice name), void *arg,
                     size_t *left);
    /* Optional: moves the value's memory (mem_relocated), a bounded part from this cursor on; the next cursor, 0: all is
     * done. Any cursor is taken: the value may have changed since. */
    uint64_t (*relocate)(struct obj *o, uint64_t cursor);
    /* Optional: how much work free is (elements); above 64 it goes to a worker. NULL: 1. */
    size_t (*effort)(uint8_t enc, const void *ptr);
};

void obj_settings(void); /* registers object-encoding-names */
void type_register(const struct type_ops *ops);
const struct type_ops *type_of(const struct obj *o);
const struct type_ops *type_by_id(enum obj_type id);         /* NULL when not registered */
const struct type_ops *type_by_name(struct slice name);      /* NULL when unknown */
const char *obj_encoding(const struct obj *o);               /* as OBJECT ENCODING */
size_t obj_size(const struct obj *o, int samples);           /* MEMORY USAGE: object and value */
void value_release(struct value *v);                         /* one that was not taken over */

static inline struct value value_string(struct slice s)
{
    return (struct value){.type = OBJ_STRING, .enc = ENC_EMBSTR, .str = s};
}
static inline struct value value_container(enum obj_type type, enum obj_enc enc, void *ptr)
{
    return (struct value){.type = (uint8_t)type, .enc = (uint8_t)enc, .ptr = ptr};
}

#endif
