/* When keys expire: EXPIRE and its variants, TTL and its variants, PERSIST.
 *
 * An expiry is journaled as the point in time it means (PEXPIREAT), and one that lies in the past as the DEL that it
 * is, so that a replay years later does the same. */
#include "cmd/cmd.h"

#include "cmd/expire.h"
#include "cmd/families.h"

enum expire_when { WHEN_NX = 1, WHEN_XX = 2, WHEN_GT = 4, WHEN_LT = 8 };

static bool expire_options(struct call *c, unsigned *when)
{
    static const char *const words[] = {"NX", "XX", "GT", "LT"};
    *when = 0;
    for (int i = 3; i < c->argc; i++) {
        unsigned flag = 0;
        for (int w = 0; w < 4; w++)
            flag |= slice_is(c->argv[i], words[w]) ? 1u << w : 0;
        if (!flag) {
            reply_errorf(c->reply, "ERR Unsupported option %.*s", (int)(c->argv[i].len < 128 ? c->argv[i].len : 128),
                         c->argv[i].p);
            return false;
        }
        *when |= flag;
    }
    if ((*when & WHEN_NX) && (*when & ~(unsigned)WHEN_NX)) {
        reply_errorf(c->reply, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if ((*when & WHEN_GT) && (*when & WHEN_LT)) {
        reply_errorf(c->reply, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* Never to expire counts as infinitely late: GT never changes it, LT always does. */
static bool expire_wanted(unsigned when, int64_t now, int64_t at)
{
    return !((when & WHEN_NX) && now >= 0) && !((when & WHEN_XX) && now < 0) &&
           !((when & WHEN_GT) && (now < 0 || at <= now)) && !((when & WHEN_LT) && now >= 0 && at >= now);
}

static void expire_generic(struct call *c, enum expire_unit unit)
{
    struct slice key = c->argv[1];
    unsigned when;
    int64_t at;
    char tmp[NUM_I64_MAX];
    if (!expire_options(c, &when) || !expire_arg(c, 2, unit, false, &at))
        return;
    struct obj *o = db_write(c->db, key);
    if (!o || !expire_wanted(when, obj_expire(o), at)) {
        reply_int(c->reply, 0);
        return;
    }
    reply_int(c->reply, 1);
    if (expire_is_past(c, at)) {
        db_delete(c->db, key);
        db_changed(c->db, key, NOTIFY_GENERIC, "del");
        call_effect(c, 2, (struct slice[]){SLICE("DEL"), key});
        return;
    }
    db_set_expire(c->db, o, at < 0 ? 0 : at);
    db_changed(c->db, key, NOTIFY_GENERIC, "expire");
    call_effect(c, 3, (struct slice[]){SLICE("PEXPIREAT"), key, slice_of(tmp, num_from_i64(tmp, at))});
}

/* Lets a key expire after some seconds; with NX, XX, GT, LT only when it has no expiry, has one, has an earlier or a
 * later one.
 *
 * > SET k v
 * < OK
 * > EXPIRE k 100
 * < (integer) 1
 * > TTL k
 * < (integer) 100
 * > EXPIRE k 50 GT
 * < (integer) 0
 * > EXPIRE k -1
 * < (integer) 1
 * > EXISTS k
 * < (integer) 0
 */
static void expire(struct call *c)
{
    expire_generic(c, EXPIRE_EX);
}

/* The same in milliseconds.
 *
 * > SET k v
 * < OK
 * > PEXPIRE k 100000
 * < (integer) 1
 * > TTL k
 * < (integer) 100
 */
static void pexpire(struct call *c)
{
    expire_generic(c, EXPIRE_PX);
}

/* Lets a key expire at a point in time, seconds since 1970.
 *
 * > SET k v
 * < OK
 * > EXPIREAT k 33177117420
 * < (integer) 1
 * > EXPIRETIME k
 * < (integer) 33177117420
 */
static void expireat(struct call *c)
{
    expire_generic(c, EXPIRE_EXAT);
}

/* The same in milliseconds since 1970.
 *
 * > SET k v
 * < OK
 * > PEXPIREAT k 33177117420000
 * < (integer) 1
 * > PEXPIRETIME k
 * < (integer) 33177117420000
 */
static void pexpireat(struct call *c)
{
    expire_generic(c, EXPIRE_PXAT);
}

/* Answers -2 without a key, -1 without an expiry. */
static void reply_expiry(struct call *c, bool relative, bool seconds)
{
    struct obj *o = db_peek(c->db, c->argv[1]);
    int64_t at = o ? obj_expire(o) : -1;
    if (!o || at < 0) {
        reply_int(c->reply, o ? -1 : -2);
        return;
    }
    if (relative) {
        at -= store_now(c->db->store);
        at = at < 0 ? 0 : at;
    }
    reply_int(c->reply, seconds ? (at + 500) / 1000 : at);
}

/* How many seconds a key has left; -1: for ever, -2: there is none.
 *
 * > SETEX k 100 v
 * < OK
 * > TTL k
 * < (integer) 100
 * > TTL nothing
 * < (integer) -2
 * > PERSIST k
 * < (integer) 1
 * > TTL k
 * < (integer) -1
 */
static void ttl(struct call *c)
{
    reply_expiry(c, true, true);
}

static void pttl(struct call *c)
{
    reply_expiry(c, true, false);
}

static void expiretime(struct call *c)
{
    reply_expiry(c, false, true);
}

static void pexpiretime(struct call *c)
{
    reply_expiry(c, false, false);
}

/* Takes a key's expiry away.
 *
 * > SETEX k 100 v
 * < OK
 * > PERSIST k
 * < (integer) 1
 * > PERSIST k
 * < (integer) 0
 */
static void persist(struct call *c)
{
    struct obj *o = db_write(c->db, c->argv[1]);
    bool had = o && obj_expire(o) >= 0;
    if (had) {
        db_set_expire(c->db, o, -1);
        db_changed(c->db, c->argv[1], NOTIFY_GENERIC, "persist");
    }
    reply_int(c->reply, had);
}

#define ONE_KEY     .acl = ACL_KEYSPACE, .first = 1, .last = 1, .step = 1
#define READ        (CMD_READONLY | CMD_FAST)
#define WRITE       (CMD_WRITE | CMD_FAST)
#define EXPIRE_WHEN " [NX|XX|GT|LT]"

/* clang-format off */
static const struct cmd rows[] = {
    {.name = "expire", .run = expire, .arity = -3, .flags = WRITE, ONE_KEY,
     .key_spec = "RW update",
     .syntax = "key seconds" EXPIRE_WHEN, .summary = "Lets a key expire after some seconds.", .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "pexpire", .run = pexpire, .arity = -3, .flags = WRITE, ONE_KEY,
     .key_spec = "RW update",
     .syntax = "key milliseconds" EXPIRE_WHEN, .summary = "Lets a key expire after some milliseconds.",
     .since = "2.6.0", .complexity = "O(1)"},
    {.name = "expireat", .run = expireat, .arity = -3, .flags = WRITE, ONE_KEY,
     .key_spec = "RW update",
     .syntax = "key unix-time-seconds" EXPIRE_WHEN, .summary = "Lets a key expire at a point in time.",
     .since = "1.2.0", .complexity = "O(1)"},
    {.name = "pexpireat", .run = pexpireat, .arity = -3, .flags = WRITE, ONE_KEY,
     .key_spec = "RW update", .syntax = "key unix-time-milliseconds" EXPIRE_WHEN,
     .summary = "Lets a key expire at a point in time, in milliseconds.", .since = "2.6.0", .complexity = "O(1)"},
    {.name = "ttl", .run = ttl, .arity = 2, .flags = READ, ONE_KEY, .syntax = "key",
     .summary = "How many seconds a key has left.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "pttl", .run = pttl, .arity = 2, .flags = READ, ONE_KEY, .syntax = "key",
     .summary = "How many milliseconds a key has left.", .since = "2.6.0", .complexity = "O(1)"},
    {.name = "expiretime", .run = expiretime, .arity = 2, .flags = READ, ONE_KEY,
     .syntax = "key", .summary = "When a key expires, in seconds since 1970.", .since = "7.0.0",
     .complexity = "O(1)"},
    {.name = "pexpiretime", .run = pexpiretime, .arity = 2, .flags = READ, ONE_KEY,
     .syntax = "key", .summary = "When a key expires, in milliseconds since 1970.", .since = "7.0.0",
     .complexity = "O(1)"},
    {.name = "persist", .run = persist, .arity = 2, .flags = WRITE, ONE_KEY, .key_spec = "RW update", .syntax = "key",
     .summary = "Takes a key's expiry away.", .since = "2.2.0", .complexity = "O(1)"},
};
/* clang-format on */

const struct cmd_family expire_family = CMD_FAMILY("generic", rows);
