/* Databases: the keys, when they expire, and who is told of a change.
 *
 * Every function that looks a key up first deletes it when its time has come (lazy expiry), so a caller never sees an
 * expired object; the same with elements that have an expiry of their own (fields of a hash). Writers end with
 * db_changed, which marks watchers, wakes blocked clients, sends the keyspace notification and counts towards `dirty`
 * (what tells the dispatcher that a command had an effect).
 *
 * Nothing here knows of clients or of the journal: those are told through struct store_hooks, set at boot.
 *
 * Thread: loop. */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/dict.h"
#include "base/rng.h"
#include "store/obj.h"

struct store;

struct db {
    int id;
    struct dict keys;    /* struct obj * */
    struct dict expires; /* those of them with an expiry */
    struct dict timed;   /* those of them with elements that expire (OBJ_TIMED) */
    struct store *store;
    int64_t expire_cursor; /* where the active expiry goes on */
    int64_t timed_cursor;
    int64_t avg_ttl;       /* ms, for INFO */
};

/* Keyspace notification classes, as in notify-keyspace-events. */
enum notify_class {
    NOTIFY_KEYSPACE = 1 << 0, /* K */
    NOTIFY_KEYEVENT = 1 << 1, /* E */
    NOTIFY_GENERIC = 1 << 2,  /* g */
    NOTIFY_STRING = 1 << 3,   /* $ */
    NOTIFY_LIST = 1 << 4,     /* l */
    NOTIFY_SET = 1 << 5,      /* s */
    NOTIFY_HASH = 1 << 6,     /* h */
    NOTIFY_ZSET = 1 << 7,     /* z */
    NOTIFY_EXPIRED = 1 << 8,  /* x */
    NOTIFY_EVICTED = 1 << 9,  /* e */
    NOTIFY_STREAM = 1 << 10,  /* t */
    NOTIFY_KEYMISS = 1 << 11, /* m */
    NOTIFY_NEW = 1 << 12,     /* n */
    NOTIFY_MODULE = 1 << 13,  /* d: vector sets, sessions */
};

struct store_hooks {
    void *arg;
    void (*touched)(void *arg, struct db *db, struct slice key); /* WATCH, tracking, blocked clients */
    void (*notify)(void *arg, enum notify_class cls, const char *event, struct slice key, int db);
    void (*expired)(void *arg, struct db *db, struct slice key, bool evicted); /* a DEL must be journaled */
    /* Elements of a key went because their time had come: their removal must be journaled. */
    void (*elements_expired)(void *arg, struct db *db, struct slice key, size_t n, const struct slice *names);
    void (*flushed)(void *arg, struct db *db);                                 /* all keys of db went */
};

struct store {
    struct db *dbs;
    int ndbs;
    struct store_hooks hooks;
    struct rng rng;
    unsigned expire_db;  /* which database the active expiry looks at next */
    unsigned timed_db;
    uint64_t dirty;      /* grows with every change */
    bool no_touch;       /* the present command must not count as a use of its keys (CLIENT NO-TOUCH) */
    bool no_active_expire; /* DEBUG SET-ACTIVE-EXPIRE 0 */
    bool paused;         /* nothing is removed for its time or for memory: expired keys are just not seen */
    bool loading;        /* replaying: nothing expires by itself, nobody is notified */
    struct {             /* the hash of a key that the present command is about to use; see cmd/ahead.h */
        struct slice key; /* recognised by its address: the command's own argument; length SIZE_MAX: none */
        uint64_t hash;
    } known;
    int64_t command_ms;  /* the wall time that the present command sees; 0: read the clock */
    struct {
        uint64_t hits, misses, expired, evicted, expire_cycles;
        uint64_t expired_elements;
    } stats;
};

struct store *store_create(int ndbs, const struct store_hooks *hooks);
void store_destroy(struct store *s);
int64_t store_now(const struct store *s); /* wall ms, constant during one command */

/* NULL when absent or expired. db_read counts hits and misses and moves the access clock; db_peek does neither. */
struct obj *db_read(struct db *db, struct slice key);
struct obj *db_write(struct db *db, struct slice key); /* to change it: no hit or miss is counted */
struct obj *db_peek(struct db *db, struct slice key);
/* Like db_read/db_write, with *wrong set when the key holds another type (NULL is returned then). */
struct obj *db_read_type(struct db *db, struct slice key, enum obj_type type, bool *wrong);
struct obj *db_write_type(struct db *db, struct slice key, enum obj_type type, bool *wrong);

struct obj *db_add(struct db *db, struct slice key, struct value v);      /* key must be absent; takes v over */
struct obj *db_set(struct db *db, struct slice key, struct value v, bool keep_ttl); /* adds or replaces any type */
struct obj *db_set_str(struct db *db, struct obj *o, struct slice s);      /* new bytes for a string object */
/* Opens n bytes at `at` for writing in place (APPEND, SETRANGE, SETBIT): the object becomes ENC_RAW with length at
 * least at + n, new bytes zero. *p points at byte 0 of the value. Returns the object, which may have moved. */
struct obj *db_str_open(struct db *db, struct obj *o, size_t at, size_t n, char **p);
bool db_delete(struct db *db, struct slice key); /* frees, large values on a worker; false when absent */
struct obj *db_set_expire(struct db *db, struct obj *o, int64_t at_ms); /* -1 removes it; may move o */
/* Moves the object to another key and/or database; the target must be absent. Expiry goes along. */
struct obj *db_move(struct db *from, struct obj *o, struct db *to, struct slice key);
void db_flush(struct db *db);
void store_swap(struct store *s, int a, int b); /* SWAPDB */

/* To be called when expiries of elements of o came or went: keeps db->timed right. */
void db_timed(struct db *db, struct obj *o);

/* Ends a change: dirty + 1, watchers, waiters, notification. */
void db_changed(struct db *db, struct slice key, enum notify_class cls, const char *event);
void db_notify(struct db *db, enum notify_class cls, const char *event, struct slice key); /* notification alone */

struct obj *db_random(struct db *db); /* NULL when empty */

/* Active expiry: one slice of work, at most `budget_us` microseconds. Deletes through hooks.expired. */
void store_expire_cycle(struct store *s, int64_t budget_us);
/* Incremental rehashing of tables in idle time, at most budget_us. */
void store_rehash_cycle(struct store *s, int64_t budget_us);

#endif
