/* Commands on keys of any type: existence, names, scanning, copies and payloads, whole databases. Expiry is in
 * cmd_expire.c. */
#include "cmd/cmd.h"

#include "base/buf.h"
#include "base/glob.h"
#include "base/setting.h"
#include "cmd/expire.h"
#include "cmd/families.h"
#include "cmd/scan.h"
#include "cmd/snapshot.h"
#include "store/access.h"
#include "store/rdb.h"

static void changed(struct call *c, struct slice key, const char *event)
{
    db_changed(c->db, key, NOTIFY_GENERIC, event);
}

/* --- existence --- */

/* Deletes keys; answers how many there were. Large values are freed in the background.
 *
 * > MSET a 1 b 2
 * < OK
 * > DEL a b nothing
 * < (integer) 2
 */
static void del(struct call *c)
{
    int64_t gone = 0;
    for (int i = 1; i < c->argc; i++)
        if (db_delete(c->db, c->argv[i])) {
            changed(c, c->argv[i], "del");
            gone++;
        }
    reply_int(c->reply, gone);
}

/* How many of the keys exist; one that is named twice counts twice.
 *
 * > SET a 1
 * < OK
 * > EXISTS a a nothing
 * < (integer) 2
 */
static void exists(struct call *c)
{
    int64_t n = 0;
    for (int i = 1; i < c->argc; i++)
        n += db_peek(c->db, c->argv[i]) != NULL;
    reply_int(c->reply, n);
}

/* Marks keys as used just now, which keeps them from eviction; answers how many exist.
 *
 * > SET a 1
 * < OK
 * > TOUCH a nothing
 * < (integer) 1
 */
static void touch(struct call *c)
{
    int64_t n = 0;
    for (int i = 1; i < c->argc; i++)
        n += db_read(c->db, c->argv[i]) != NULL;
    reply_int(c->reply, n);
}

/* What kind of value a key holds.
 *
 * > HSET h f v
 * < (integer) 1
 * > TYPE h
 * < hash
 * > TYPE nothing
 * < none
 */
static void type(struct call *c)
{
    struct obj *o = db_peek(c->db, c->argv[1]);
    reply_status(c->reply, o ? type_of(o)->name : "none");
}

/* --- finding keys --- */

static bool has_expired(const struct db *db, const struct obj *o)
{
    int64_t at = obj_expire(o);
    return at >= 0 && !db->store->loading && at <= store_now(db->store);
}

/* All keys that match a pattern. It stops everybody else while it looks: SCAN does not.
 *
 * > MSET one 1 two 2 three 3
 * < OK
 * > KEYS *w*
 * < 1) "two"
 */
static void keys(struct call *c)
{
    struct dict_iter it;
    struct obj *o;
    size_t place = reply_defer(c->reply), n = 0;
    bool all = slice_is(c->argv[1], "*");
    for (dict_iter_begin(&it, &c->db->keys); (o = dict_iter_next(&it));)
        if ((all || glob_match(c->argv[1], obj_key(o), false)) && !has_expired(c->db, o)) {
            reply_bulk(c->reply, obj_key(o));
            n++;
        }
    dict_iter_end(&it);
    reply_defer_array(c->reply, place, n);
}

static void scan_key(void *arg, void *entry)
{
    struct scan *s = arg;
    struct obj *o = entry;
    if (!scan_seen(s, obj_key(o)))
        return;
    if (s->has_type && !slice_is(s->type, type_of(o)->name))
        return;
    if ((o = db_peek(s->call->db, obj_key(o)))) /* deletes what has expired: dict_scan allows that of this entry */
        scan_emit(s, obj_key(o));
}

/* Some keys, and the cursor to go on with; 0 begins and 0 ends. A key that is there all the while is reported.
 *
 * > HSET user:1 name Ada
 * < (integer) 1
 * > SET user:2 x
 * < OK
 * > SCAN 0 MATCH user:* COUNT 100 TYPE hash
 * < 1) "0"
 * < 2) 1) "user:1"
 */
static void scan(struct call *c)
{
    struct scan s;
    uint64_t cursor;
    if (!scan_cursor(c, 1, &cursor) || !scan_begin(&s, c, 2, true))
        return;
    do {
        cursor = dict_scan(&c->db->keys, cursor, scan_key, &s);
    } while (scan_more(&s, cursor));
    scan_end(&s, cursor);
}

/* Any key.
 *
 * > RANDOMKEY
 * < (nil)
 * > SET only 1
 * < OK
 * > RANDOMKEY
 * < "only"
 */
static void randomkey(struct call *c)
{
    struct obj *o = db_random(c->db);
    if (o)
        reply_bulk(c->reply, obj_key(o));
    else
        reply_nil(c->reply);
}

/* How many keys there are.
 *
 * > MSET a 1 b 2
 * < OK
 * > DBSIZE
 * < (integer) 2
 */
static void dbsize(struct call *c)
{
    reply_int(c->reply, (int64_t)dict_count(&c->db->keys));
}

/* --- names and places --- */

/* True when the key was renamed; otherwise the error, or the given answer, is replied. */
static bool rename_key(struct call *c, bool only_if_free)
{
    struct slice from = c->argv[1], to = c->argv[2];
    struct obj *o = db_write(c->db, from);
    if (!o) {
        reply_errorf(c->reply, "ERR no such key");
        return false;
    }
    if (slice_eq(from, to)) {
        if (only_if_free)
            reply_int(c->reply, 0);
        else
            reply_ok(c->reply);
        return false;
    }
    if (db_write(c->db, to)) {
        if (only_if_free) {
            reply_int(c->reply, 0);
            return false;
        }
        db_delete(c->db, to);
    }
    db_move(c->db, o, c->db, to);
    changed(c, from, "rename_from");
    changed(c, to, "rename_to");
    return true;
}

/* Gives a key another name; what was under that name is gone.
 *
 * > SET a 1
 * < OK
 * > RENAME a b
 * < OK
 * > GET b
 * < "1"
 * > RENAME a b
 * < (error) ERR no such key
 */
static void rename_cmd(struct call *c)
{
    if (rename_key(c, false))
        reply_ok(c->reply);
}

/* The same, only when the new name is free.
 *
 * > MSET a 1 b 2
 * < OK
 * > RENAMENX a b
 * < (integer) 0
 * > RENAMENX a c
 * < (integer) 1
 */
static void renamenx(struct call *c)
{
    if (rename_key(c, true))
        reply_int(c->reply, 1);
}

/* The database with the number in argv[i]; NULL: the error is replied. */
static struct db *db_arg(struct call *c, int i)
{
    int64_t id;
    struct store *s = c->db->store;
    if (!call_range(c, i, INT32_MIN, INT32_MAX, &id))
        return NULL;
    if (id >= 0 && id < s->ndbs)
        return &s->dbs[id];
    reply_errorf(c->reply, "ERR DB index is out of range");
    return NULL;
}

static void same_object(struct call *c)
{
    reply_errorf(c->reply, "ERR source and destination objects are the same");
}

/* Moves a key to another database, unless there is one of that name.
 *
 * > SET a 1
 * < OK
 * > MOVE a 9
 * < (integer) 1
 * > EXISTS a
 * < (integer) 0
 */
static void move(struct call *c)
{
    struct slice key = c->argv[1];
    struct db *to = db_arg(c, 2);
    if (!to)
        return;
    if (to == c->db) {
        same_object(c);
        return;
    }
    struct obj *o = db_write(c->db, key);
    if (!o || db_write(to, key)) {
        reply_int(c->reply, 0);
        return;
    }
    db_move(c->db, o, to, key);
    db_changed(c->db, key, NOTIFY_GENERIC, "move_from");
    db_changed(to, key, NOTIFY_GENERIC, "move_to");
    reply_int(c->reply, 1);
}

/* Copies a value, with its expiry, to another key or database.
 *
 * > SET a 1
 * < OK
 * > COPY a b
 * < (integer) 1
 * > SET a 2
 * < OK
 * > COPY a b
 * < (integer) 0
 * > COPY a b REPLACE
 * < (integer) 1
 * > GET b
 * < "2"
 */
static void copy(struct call *c)
{
    struct slice from = c->argv[1], to = c->argv[2];
    struct db *db = c->db;
    struct value v;
    struct err err;
    bool replace = false;
    for (int i = 3; i < c->argc; i++) {
        if (slice_is(c->argv[i], "REPLACE")) {
            replace = true;
        } else if (slice_is(c->argv[i], "DB") && i + 1 < c->argc) {
            if (!(db = db_arg(c, ++i)))
                return;
        } else {
            call_syntax(c);
            return;
        }
    }
    if (db == c->db && slice_eq(from, to)) {
        same_object(c);
        return;
    }
    struct obj *o = db_read(c->db, from);
    if (!o || (db_write(db, to) && !replace)) {
        reply_int(c->reply, 0);
        return;
    }
    if (type_of(o)->copy(o, &v, &err) < 0) {
        call_err(c, &err);
        return;
    }
    int64_t expire = obj_expire(o);
    db_delete(db, to);
    o = db_add(db, to, v);
    if (expire >= 0)
        db_set_expire(db, o, expire);
    db_changed(db, to, NOTIFY_GENERIC, "copy_to");
    reply_int(c->reply, 1);
}

/* --- OBJECT --- */

static void reply_help(struct call *c, const char *const *lines, size_t n)
{
    reply_array(c->reply, n);
    for (size_t i = 0; i < n; i++)
        reply_status(c->reply, lines[i]);
}

/* The object under argv[2]; NULL: nil is replied. */
static struct obj *object_arg(struct call *c)
{
    struct obj *o = db_peek(c->db, c->argv[2]);
    if (!o)
        reply_nil(c->reply);
    return o;
}

/* How a value is kept in memory.
 *
 * > MSET n 7 s hello
 * < OK
 * > OBJECT ENCODING n
 * < "int"
 * > OBJECT ENCODING s
 * < "embstr"
 * > HSET h f v
 * < (integer) 1
 * > OBJECT ENCODING h
 * < "listpack"
 */
static void object_encoding(struct call *c)
{
    struct obj *o = object_arg(c);
    if (o)
        reply_str(c->reply, obj_encoding(o));
}

/* How many hold the value: one. Values are not shared.
 *
 * > SET k v
 * < OK
 * > OBJECT REFCOUNT k
 * < (integer) 1
 */
static void object_refcount(struct call *c)
{
    if (object_arg(c))
        reply_int(c->reply, 1);
}

#define TAKES_TIME                                                                                                     \
    "Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."

/* How many seconds ago a key was last used.
 *
 * > SET k v
 * < OK
 * > OBJECT IDLETIME k
 * < (integer) 0
 */
static void object_idletime(struct call *c)
{
    struct obj *o = object_arg(c);
    if (o && access_is_lfu())
        reply_errorf(c->reply, "ERR An LFU maxmemory policy is selected, idle time not tracked. " TAKES_TIME);
    else if (o)
        reply_int(c->reply, access_idle_s(o));
}

/* How often a key was used lately, on a scale of 0 to 255 that grows with the logarithm; kept under an LFU policy only.
 *
 * > SET k v
 * < OK
 * > OBJECT FREQ k
 * < (error) ERR An LFU maxmemory policy is not selected*
 */
static void object_freq(struct call *c)
{
    struct obj *o = object_arg(c);
    if (o && access_is_lfu())
        reply_int(c->reply, access_freq(o));
    else if (o)
        reply_errorf(c->reply, "ERR An LFU maxmemory policy is not selected, access frequency not tracked. " TAKES_TIME);
}

static void object_help(struct call *c)
{
    static const char *const lines[] = {
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "    How the value is kept in memory.",
        "FREQ <key>",
        "    How often the key was used lately (LFU policies only).",
        "IDLETIME <key>",
        "    Seconds since the key was last used.",
        "REFCOUNT <key>",
        "    How many hold the value.",
        "HELP",
        "    This text.",
    };
    reply_help(c, lines, sizeof lines / sizeof *lines);
}

/* --- payloads --- */

/* A value as bytes with version and checksum, for RESTORE here or on a Redis server.
 *
 * > SET k v
 * < OK
 * > DUMP nothing
 * < (nil)
 */
static void dump(struct call *c)
{
    struct obj *o = db_read(c->db, c->argv[1]);
    struct buf b = {0};
    if (!o) {
        reply_nil(c->reply);
        return;
    }
    rdb_dump(o, &b, false);
    reply_bulk(c->reply, buf_slice(&b));
    buf_release(&b);
}

struct restore_options {
    bool replace, absolute;
    int64_t idle, freq; /* -1: not given */
};

static bool restore_parse(struct call *c, struct restore_options *o)
{
    *o = (struct restore_options){.idle = -1, .freq = -1};
    for (int i = 4; i < c->argc; i++) {
        struct slice word = c->argv[i];
        bool more = i + 1 < c->argc;
        if (slice_is(word, "REPLACE")) {
            o->replace = true;
        } else if (slice_is(word, "ABSTTL")) {
            o->absolute = true;
        } else if (slice_is(word, "IDLETIME") && more && o->freq < 0) {
            if (!call_i64(c, ++i, &o->idle))
                return false;
            if (o->idle < 0) {
                reply_errorf(c->reply, "ERR Invalid IDLETIME value, must be >= 0");
                return false;
            }
        } else if (slice_is(word, "FREQ") && more && o->idle < 0) {
            if (!call_i64(c, ++i, &o->freq))
                return false;
            if (o->freq < 0 || o->freq > 255) {
                reply_errorf(c->reply, "ERR Invalid FREQ value, must be >= 0 and <= 255");
                return false;
            }
        } else {
            call_syntax(c);
            return false;
        }
    }
    return true;
}

/* Adds what the payload held; ttl is absolute now, 0: none. */
static void restore_store(struct call *c, struct value v, int64_t at, const struct restore_options *opt)
{
    struct slice key = c->argv[1];
    char tmp[NUM_I64_MAX];
    db_delete(c->db, key);
    struct obj *o = db_add(c->db, key, v);
    if (at)
        o = db_set_expire(c->db, o, at);
    if (opt->idle >= 0)
        access_set_idle(o, opt->idle);
    if (opt->freq >= 0)
        access_set_freq(o, (uint8_t)opt->freq);
    changed(c, key, "restore");
    if (at && !opt->absolute) {
        struct slice effect[] = {
            SLICE("RESTORE"), key, slice_of(tmp, num_from_i64(tmp, at)), c->argv[3], SLICE("ABSTTL"), SLICE("REPLACE")};
        call_effect(c, opt->replace ? 6 : 5, effect);
    }
    reply_ok(c->reply);
}

/* Makes a key of DUMP's bytes, with a time to live in milliseconds (0: for ever; ABSTTL: a point in time).
 *
 * > RESTORE k 0 "\x00\x01b\n\x00\x16$\xb8\x91\xa6\xe3\x12\x83"
 * < OK
 * > GET k
 * < "b"
 * > RESTORE k 0 junk REPLACE
 * < (error) ERR DUMP payload version or checksum are wrong
 * > RESTORE k 0 junk
 * < (error) BUSYKEY Target key name already exists.
 */
static void restore(struct call *c)
{
    struct slice key = c->argv[1];
    struct restore_options opt;
    struct value v;
    struct err err;
    int64_t at;
    if (!restore_parse(c, &opt))
        return;
    if (!opt.replace && db_write(c->db, key)) {
        reply_errorf(c->reply, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!call_i64(c, 2, &at))
        return;
    if (at < 0 || (!opt.absolute && __builtin_add_overflow(at, at ? store_now(c->db->store) : 0, &at))) {
        reply_errorf(c->reply, "ERR Invalid TTL value, must be >= 0");
        return;
    }
    if (rdb_restore(c->argv[3], &v, (c->flags & CALL_REPLAY) != 0, &err) < 0) {
        call_err(c, &err);
        return;
    }
    if (!at || !expire_is_past(c, at)) {
        restore_store(c, v, at, &opt);
        return;
    }
    value_release(&v); /* it would be dead at once: all that happens is that the old one goes */
    if (db_delete(c->db, key)) {
        changed(c, key, "del");
        call_effect(c, 2, (struct slice[]){SLICE("DEL"), key});
    }
    reply_ok(c->reply);
}

/* --- whole databases --- */

/* Lets two databases change places: their clients see each other's keys from now on.
 *
 * > SET here 1
 * < OK
 * > SWAPDB 0 9
 * < OK
 * > EXISTS here
 * < (integer) 0
 * > SWAPDB 0 9
 * < OK
 * > EXISTS here
 * < (integer) 1
 */
static void swapdb(struct call *c)
{
    struct store *s = c->db->store;
    int64_t a, b;
    if (!num_to_i64(c->argv[1], &a) || a != (int)a) {
        reply_errorf(c->reply, "ERR invalid first DB index");
    } else if (!num_to_i64(c->argv[2], &b) || b != (int)b) {
        reply_errorf(c->reply, "ERR invalid second DB index");
    } else if (a < 0 || b < 0 || a >= s->ndbs || b >= s->ndbs) {
        reply_errorf(c->reply, "ERR DB index is out of range");
    } else {
        if (a != b)
            store_swap(s, (int)a, (int)b);
        reply_ok(c->reply);
    }
}

/* ASYNC and SYNC are the same here: small values go at once, large ones in the background. */
static bool flush_option_ok(struct call *c)
{
    if (c->argc == 1 || (c->argc == 2 && (slice_is(c->argv[1], "ASYNC") || slice_is(c->argv[1], "SYNC"))))
        return true;
    call_syntax(c);
    return false;
}

/* Deletes all keys of this database.
 *
 * > SET k v
 * < OK
 * > FLUSHDB
 * < OK
 * > DBSIZE
 * < (integer) 0
 */
static void flushdb(struct call *c)
{
    if (!flush_option_ok(c))
        return;
    db_flush(c->db);
    c->db->store->dirty++; /* an empty database is flushed on the replicas too */
    reply_ok(c->reply);
}

/* Deletes all keys of all databases.
 *
 * > SET k v
 * < OK
 * > FLUSHALL
 * < OK
 * > DBSIZE
 * < (integer) 0
 */
static void flushall(struct call *c)
{
    struct store *s = c->db->store;
    if (!flush_option_ok(c))
        return;
    for (int i = 0; i < s->ndbs; i++)
        db_flush(&s->dbs[i]);
    s->dirty++;
    if (!(c->flags & CALL_REPLAY))
        snapshot_flushed();
    reply_ok(c->reply);
}

#define ONE_KEY(n) .first = (n), .last = (n), .step = 1
#define TWO_KEYS   .first = 1, .last = 2, .step = 1
#define MANY_KEYS  .first = 1, .last = -1, .step = 1
#define READ       (CMD_READONLY | CMD_FAST)
#define WRITE      (CMD_WRITE | CMD_FAST)

/* clang-format off */
static const struct cmd object_subs[] = {
    {.name = "encoding", .run = object_encoding, .arity = 3, .flags = CMD_READONLY, .acl = ACL_KEYSPACE, ONE_KEY(2),
     .key_spec = "RO",
     .syntax = "key", .summary = "How a value is kept in memory.", .since = "2.2.3", .complexity = "O(1)"},
    {.name = "refcount", .run = object_refcount, .arity = 3, .flags = CMD_READONLY, .acl = ACL_KEYSPACE, ONE_KEY(2),
     .key_spec = "RO", .syntax = "key", .summary = "How many hold a value.", .since = "2.2.3", .complexity = "O(1)"},
    {.name = "idletime", .run = object_idletime, .arity = 3, .flags = CMD_READONLY, .acl = ACL_KEYSPACE, ONE_KEY(2),
     .key_spec = "RO",
     .syntax = "key", .summary = "Seconds since a key was last used.", .since = "2.2.3", .complexity = "O(1)"},
    {.name = "freq", .run = object_freq, .arity = 3, .flags = CMD_READONLY, .acl = ACL_KEYSPACE, ONE_KEY(2),
     .key_spec = "RO",
     .syntax = "key", .summary = "How often a key was used lately.", .since = "4.0.0", .complexity = "O(1)"},
    {.name = "help", .run = object_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_KEYSPACE,
     .syntax = "", .summary = "The subcommands of OBJECT.", .since = "6.2.0", .complexity = "O(1)"},
};
/* clang-format on */

/* clang-format off */
static const struct cmd rows[] = {
    {.name = "del", .run = del, .arity = -2, .flags = CMD_WRITE, .acl = ACL_KEYSPACE, MANY_KEYS, .key_spec = "RM delete",
     .syntax = "key...", .summary = "Deletes keys.", .since = "1.0.0", .complexity = "O(N) where N is the number of keys"},
    {.name = "unlink", .run = del, .arity = -2, .flags = WRITE, .acl = ACL_KEYSPACE, MANY_KEYS, .key_spec = "RM delete",
     .syntax = "key...",
     .summary = "Deletes keys, as DEL does.", .since = "4.0.0", .complexity = "O(N) where N is the number of keys"},
    {.name = "exists", .run = exists, .arity = -2, .flags = READ, .acl = ACL_KEYSPACE, MANY_KEYS, .key_spec = "RO",
     .syntax = "key...",
     .summary = "How many of the keys exist.", .since = "1.0.0", .complexity = "O(N) where N is the number of keys"},
    {.name = "touch", .run = touch, .arity = -2, .flags = READ, .acl = ACL_KEYSPACE, MANY_KEYS, .key_spec = "RO",
     .syntax = "key...",
     .summary = "Marks keys as used just now.", .since = "3.2.1", .complexity = "O(N) where N is the number of keys"},
    {.name = "type", .run = type, .arity = 2, .flags = READ, .acl = ACL_KEYSPACE, ONE_KEY(1), .key_spec = "RO",
     .syntax = "key",
     .summary = "What kind of value a key holds.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "keys", .run = keys, .arity = 2, .flags = CMD_READONLY, .acl = ACL_KEYSPACE | ACL_DANGEROUS,
     .syntax = "pattern", .summary = "All keys that match a pattern.", .since = "1.0.0",
     .complexity = "O(N) where N is the number of keys"},
    {.name = "scan", .run = scan, .arity = -2, .flags = CMD_READONLY, .acl = ACL_KEYSPACE,
     .syntax = "cursor [MATCH pattern] [COUNT count] [TYPE type]",
     .summary = "Some keys, and a cursor to go on with.", .since = "2.8.0",
     .complexity = "O(1) a call, O(N) for a whole iteration"},
    {.name = "randomkey", .run = randomkey, .arity = 1, .flags = CMD_READONLY, .acl = ACL_KEYSPACE, .syntax = "",
     .summary = "Any key.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "dbsize", .run = dbsize, .arity = 1, .flags = READ, .acl = ACL_KEYSPACE, .syntax = "",
     .group = "server",
     .summary = "How many keys the database has.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "rename", .run = rename_cmd, .arity = 3, .flags = CMD_WRITE, .acl = ACL_KEYSPACE, TWO_KEYS,
     .key_spec = "RW access delete @1; OW update @2",
     .syntax = "key newkey", .summary = "Gives a key another name.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "renamenx", .run = renamenx, .arity = 3, .flags = WRITE, .acl = ACL_KEYSPACE, TWO_KEYS,
     .key_spec = "RW access delete @1; OW insert @2",
     .syntax = "key newkey", .summary = "Gives a key another name when that is free.", .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "move", .run = move, .arity = 3, .flags = WRITE, .acl = ACL_KEYSPACE, ONE_KEY(1), .syntax = "key db",
     .summary = "Moves a key to another database.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "copy", .run = copy, .arity = -3, .flags = CMD_WRITE | CMD_DENYOOM, .acl = ACL_KEYSPACE, TWO_KEYS,
     .key_spec = "RO access @1; OW update @2", .syntax = "source destination [DB destination-db] [REPLACE]",
     .summary = "Copies a value to another key or database.", .since = "6.2.0",
     .complexity = "O(N) where N is the size of the value"},
    {.name = "object", .arity = -2, .acl = ACL_SLOW, .syntax = "", .summary = "How a value is kept.",
     .since = "2.2.3", .complexity = "Depends on the subcommand.", .subs = object_subs,
     .nsubs = sizeof object_subs / sizeof *object_subs},
    {.name = "dump", .run = dump, .arity = 2, .flags = CMD_READONLY, .acl = ACL_KEYSPACE, ONE_KEY(1), .syntax = "key",
     .summary = "A value as bytes, for RESTORE.", .since = "2.6.0",
     .complexity = "O(N) where N is the size of the value"},
    {.name = "restore", .run = restore, .arity = -4, .flags = CMD_WRITE | CMD_DENYOOM,
     .acl = ACL_KEYSPACE | ACL_DANGEROUS, ONE_KEY(1),
     .key_spec = "OW update",
     .syntax = "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
     .summary = "Makes a key of DUMP's bytes.", .since = "2.6.0",
     .complexity = "O(N) where N is the size of the value"},
    {.name = "swapdb", .run = swapdb, .arity = 3, .flags = WRITE, .acl = ACL_KEYSPACE | ACL_DANGEROUS,
     .syntax = "index1 index2", .group = "server",
     .summary = "Lets two databases change places.", .since = "4.0.0",
     .complexity = "O(N) where N is the number of clients that watch or wait for keys in them"},
    {.name = "flushdb", .run = flushdb, .arity = -1, .flags = CMD_WRITE, .acl = ACL_KEYSPACE | ACL_DANGEROUS,
     .syntax = "[ASYNC|SYNC]", .group = "server",
     .summary = "Deletes all keys of this database.", .since = "1.0.0",
     .complexity = "O(N) where N is the number of keys"},
    {.name = "flushall", .run = flushall, .arity = -1, .flags = CMD_WRITE, .acl = ACL_KEYSPACE | ACL_DANGEROUS,
     .syntax = "[ASYNC|SYNC]", .group = "server",
     .summary = "Deletes all keys of all databases.", .since = "1.0.0",
     .complexity = "O(N) where N is the number of keys"},
};
/* clang-format on */

const struct cmd_family generic_family = CMD_FAMILY("generic", rows);
