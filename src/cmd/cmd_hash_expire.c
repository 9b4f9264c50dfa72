/* Fields of a hash that expire: HEXPIRE and its kin, and the commands that set, read or delete fields and change when
 * they expire in one go.
 *
 * Effects carry points in time (HPEXPIREAT, HSETEX PXAT) or, for a time that has come already, the HDEL that it means. A
 * command sees one moment only: either all of its fields expire at once or none does. */
#include "cmd/cmd.h"

#include "base/mem.h"
#include "cmd/expire.h"
#include "cmd/families.h"
#include "store/t_hash.h"

#define LATEST ((int64_t)(HASH_EXPIRY_MAX >> 2)) /* what Redis takes from clients */

/* What a command answers for a field. */
enum { NO_FIELD = -2, NO_EXPIRY = -1, NOT_MET = 0, DONE = 1, DELETED = 2 };

enum when { WHEN_NX = 1, WHEN_XX, WHEN_GT, WHEN_LT };

/* The hash under argv[1], NULL when absent; false: it is something else, the error is replied. */
static bool hash_of(struct call *c, bool write, struct obj **o)
{
    bool wrong;
    *o = write ? db_write_type(c->db, c->argv[1], OBJ_HASH, &wrong) : db_read_type(c->db, c->argv[1], OBJ_HASH, &wrong);
    if (wrong)
        call_wrong_type(c);
    return !wrong;
}

static bool bad(struct call *c, const char *sentence)
{
    reply_errorf(c->reply, "ERR %s", sentence);
    return false;
}

/* FIELDS at argv[at], its count, then as many fields as it says and nothing else. */
static bool fields_arg(struct call *c, int at, const char *bad_count, int *first)
{
    int64_t n;
    if (at >= c->argc || !slice_is(c->argv[at], "FIELDS"))
        return bad(c, "Mandatory argument FIELDS is missing or not at the right position");
    if (at + 1 >= c->argc || !num_to_i64(c->argv[at + 1], &n) || n < 1)
        return bad(c, bad_count);
    if (n != c->argc - at - 2)
        return bad(c, "The `numfields` parameter must match the number of arguments");
    *first = at + 2;
    return true;
}

/* argv[i] as milliseconds since 1970, within what a field's expiry may be. */
static bool time_arg(struct call *c, int i, enum expire_unit unit, int64_t *at)
{
    int64_t t, now = unit == EXPIRE_EX || unit == EXPIRE_PX ? store_now(c->db->store) : 0;
    if (!call_i64(c, i, &t))
        return false;
    if (t < 0)
        return bad(c, "invalid expire time, must be >= 0");
    int64_t each = unit == EXPIRE_EX || unit == EXPIRE_EXAT ? 1000 : 1;
    if (t > LATEST / each || t * each > LATEST - now) {
        reply_errorf(c->reply, "ERR invalid expire time in '%s' command", c->cmd->name);
        return false;
    }
    *at = t * each + now;
    return true;
}

/* An effect of a head and a tail of arguments. */
static void effect_of(struct call *c, const struct slice *head, int nhead, const struct slice *tail, int ntail)
{
    struct slice *argv = mem_alloc((size_t)(nhead + ntail) * sizeof *argv);
    memcpy(argv, head, (size_t)nhead * sizeof *argv);
    memcpy(argv + nhead, tail, (size_t)ntail * sizeof *argv);
    call_effect(c, nhead + ntail, argv);
    mem_free(argv);
}

/* Fields that a command has picked out of its arguments. */
struct picked {
    struct slice *at;
    int n;
};

static struct picked picked_begin(const struct call *c)
{
    return (struct picked){.at = mem_alloc((size_t)c->argc * sizeof(struct slice))};
}

static void pick(struct picked *p, struct slice field)
{
    p->at[p->n++] = field;
}

/* FIELDS and what was picked, behind up to four words. */
static void effect_fields(struct call *c, const struct slice *words, int nwords, const struct picked *p)
{
    char n[NUM_I64_MAX];
    struct slice head[6];
    memcpy(head, words, (size_t)nwords * sizeof *head);
    head[nwords] = SLICE("FIELDS");
    head[nwords + 1] = slice_of(n, num_from_i64(n, p->n));
    effect_of(c, head, nwords + 2, p->at, p->n);
}

static void fields_changed(struct call *c, struct obj *o, const char *event)
{
    db_timed(c->db, o);
    db_changed(c->db, c->argv[1], NOTIFY_HASH, event);
}

/* The picked fields were deleted: the key goes with its last one. */
static void fields_deleted(struct call *c, struct obj *o, const struct picked *p)
{
    bool empty = hash_len(o) == 0;
    if (empty)
        db_delete(c->db, c->argv[1]);
    else
        db_timed(c->db, o);
    db_changed(c->db, c->argv[1], NOTIFY_HASH, "hdel");
    if (empty)
        db_notify(c->db, NOTIFY_GENERIC, "del", c->argv[1]);
    effect_of(c, (struct slice[]){SLICE("HDEL"), c->argv[1]}, 2, p->at, p->n);
}

/* One field gets an expiry, or is deleted when it has come. */
static void expire_one(struct obj *o, struct slice field, int64_t at, bool past)
{
    if (past)
        hash_del(o, field);
    else
        hash_set_expiry(o, field, at);
}

/* That was done to the picked fields. */
static void fields_expire(struct call *c, struct obj *o, int64_t at, bool past, const struct picked *p)
{
    char text[NUM_I64_MAX];
    if (p->n == 0)
        return;
    if (past) {
        fields_deleted(c, o, p);
        return;
    }
    fields_changed(c, o, "hexpire");
    effect_fields(c, (struct slice[]){SLICE("HPEXPIREAT"), c->argv[1], slice_of(text, num_from_i64(text, at))}, 3, p);
}

static bool has_field(const struct obj *o, struct slice field)
{
    struct slice v;
    char tmp[NUM_I64_MAX];
    return o && hash_get(o, field, &v, tmp);
}

/* --- when fields expire --- */

static enum when when_arg(const struct call *c, int i)
{
    static const char *const words[] = {"NX", "XX", "GT", "LT"};
    for (int w = 0; w < 4; w++)
        if (slice_is(c->argv[i], words[w]))
            return (enum when)(w + 1);
    return 0;
}

/* Never to expire is later than any time: GT does not change it, LT does. */
static bool when_met(enum when when, int64_t had, int64_t at)
{
    switch (when) {
    case WHEN_NX: return had < 0;
    case WHEN_XX: return had >= 0;
    case WHEN_GT: return had >= 0 && at > had;
    case WHEN_LT: return had < 0 || at < had;
    default: return true;
    }
}

static void expire_fields(struct call *c, enum expire_unit unit)
{
    struct obj *o;
    int64_t at;
    int first;
    if (!hash_of(c, true, &o) || !time_arg(c, 2, unit, &at))
        return;
    enum when when = when_arg(c, 3);
    if (!fields_arg(c, when ? 4 : 3, "Parameter `numFields` should be greater than 0", &first))
        return;
    struct picked p = picked_begin(c);
    bool past = expire_is_past(c, at);
    reply_array(c->reply, (size_t)(c->argc - first));
    for (int i = first; i < c->argc; i++) {
        struct slice f = c->argv[i];
        if (!has_field(o, f)) {
            reply_int(c->reply, NO_FIELD);
        } else if (!when_met(when, hash_expiry(o, f), at)) {
            reply_int(c->reply, NOT_MET);
        } else {
            expire_one(o, f, at, past);
            pick(&p, f);
            reply_int(c->reply, past ? DELETED : DONE);
        }
    }
    fields_expire(c, o, at, past, &p);
    mem_free(p.at);
}

/* Lets fields of a hash expire after some seconds; with NX, XX, GT, LT only those that have no expiry, have one, have an
 * earlier or a later one. Answers for each field: 1 done, 0 the condition is not met, 2 deleted because the time has come,
 * -2 there is no such field.
 *
 * > HSET h a 1 b 2
 * < (integer) 2
 * > HEXPIRE h 100 FIELDS 2 a nothing
 * < 1) (integer) 1
 * < 2) (integer) -2
 * > HEXPIRE h 50 GT FIELDS 1 a
 * < 1) (integer) 0
 * > HTTL h FIELDS 2 a b
 * < 1) (integer) 100
 * < 2) (integer) -1
 * > HEXPIRE h 0 FIELDS 1 a
 * < 1) (integer) 2
 * > HGETALL h
 * < 1) "b"
 * < 2) "2"
 */
static void hexpire(struct call *c)
{
    expire_fields(c, EXPIRE_EX);
}

/* The same in milliseconds.
 *
 * > HSET h a 1
 * < (integer) 1
 * > HPEXPIRE h 100000 FIELDS 1 a
 * < 1) (integer) 1
 * > HTTL h FIELDS 1 a
 * < 1) (integer) 100
 */
static void hpexpire(struct call *c)
{
    expire_fields(c, EXPIRE_PX);
}

/* Lets fields of a hash expire at a point in time, seconds since 1970.
 *
 * > HSET h a 1
 * < (integer) 1
 * > HEXPIREAT h 33177117420 FIELDS 1 a
 * < 1) (integer) 1
 * > HEXPIRETIME h FIELDS 1 a
 * < 1) (integer) 33177117420
 */
static void hexpireat(struct call *c)
{
    expire_fields(c, EXPIRE_EXAT);
}

/* The same in milliseconds since 1970.
 *
 * > HSET h a 1
 * < (integer) 1
 * > HPEXPIREAT h 33177117420000 FIELDS 1 a
 * < 1) (integer) 1
 * > HPEXPIRETIME h FIELDS 1 a
 * < 1) (integer) 33177117420000
 */
static void hpexpireat(struct call *c)
{
    expire_fields(c, EXPIRE_PXAT);
}

#define BAD_COUNT "Number of fields must be a positive integer"

static void reply_expiries(struct call *c, bool relative, bool seconds)
{
    struct obj *o;
    int first;
    int64_t now = relative ? store_now(c->db->store) : 0;
    if (!hash_of(c, false, &o) || !fields_arg(c, 2, BAD_COUNT, &first))
        return;
    reply_array(c->reply, (size_t)(c->argc - first));
    for (int i = first; i < c->argc; i++) {
        int64_t at = has_field(o, c->argv[i]) ? hash_expiry(o, c->argv[i]) : NO_FIELD;
        if (at >= 0)
            at = seconds ? (at - now + 999) / 1000 : at - now;
        reply_int(c->reply, at);
    }
}

/* How many seconds fields have left; -1: for ever, -2: there is no such field.
 *
 * > HSET h a 1 b 2
 * < (integer) 2
 * > HEXPIRE h 100 FIELDS 1 a
 * < 1) (integer) 1
 * > HTTL h FIELDS 3 a b c
 * < 1) (integer) 100
 * < 2) (integer) -1
 * < 3) (integer) -2
 */
static void httl(struct call *c)
{
    reply_expiries(c, true, true);
}

/* The same in milliseconds.
 *
 * > HSET h a 1
 * < (integer) 1
 * > HPTTL h FIELDS 1 a
 * < 1) (integer) -1
 */
static void hpttl(struct call *c)
{
    reply_expiries(c, true, false);
}

/* When fields expire, in seconds since 1970.
 *
 * > HSETEX h EXAT 33177117420 FIELDS 1 a 1
 * < (integer) 1
 * > HEXPIRETIME h FIELDS 1 a
 * < 1) (integer) 33177117420
 */
static void hexpiretime(struct call *c)
{
    reply_expiries(c, false, true);
}

/* The same in milliseconds.
 *
 * > HSETEX h PXAT 33177117420001 FIELDS 1 a 1
 * < (integer) 1
 * > HPEXPIRETIME h FIELDS 1 a
 * < 1) (integer) 33177117420001
 */
static void hpexpiretime(struct call *c)
{
    reply_expiries(c, false, false);
}

/* Takes the expiry of fields away: 1 done, -1 it had none, -2 there is no such field.
 *
 * > HSETEX h EX 100 FIELDS 1 a 1
 * < (integer) 1
 * > HPERSIST h FIELDS 2 a b
 * < 1) (integer) 1
 * < 2) (integer) -2
 * > HPERSIST h FIELDS 1 a
 * < 1) (integer) -1
 */
static void hpersist(struct call *c)
{
    struct obj *o;
    int first, done = 0;
    if (!hash_of(c, true, &o) || !fields_arg(c, 2, BAD_COUNT, &first))
        return;
    reply_array(c->reply, (size_t)(c->argc - first));
    for (int i = first; i < c->argc; i++) {
        int64_t answer = !has_field(o, c->argv[i]) ? NO_FIELD : hash_expiry(o, c->argv[i]) < 0 ? NO_EXPIRY : DONE;
        if (answer == DONE) {
            hash_set_expiry(o, c->argv[i], -1);
            done++;
        }
        reply_int(c->reply, answer);
    }
    if (done)
        fields_changed(c, o, "hpersist");
}

/* --- reading and setting with an expiry --- */

static void reply_value(struct call *c, const struct obj *o, struct slice field)
{
    struct slice v;
    char tmp[NUM_I64_MAX];
    if (o && hash_get(o, field, &v, tmp))
        reply_bulk(c->reply, v);
    else
        reply_nil(c->reply);
}

/* The values of fields, which are deleted. The key goes with its last one.
 *
 * > HSET h a 1 b 2
 * < (integer) 2
 * > HGETDEL h FIELDS 2 a nothing
 * < 1) "1"
 * < 2) (nil)
 * > HGETDEL h FIELDS 1 b
 * < 1) "2"
 * > EXISTS h
 * < (integer) 0
 */
static void hgetdel(struct call *c)
{
    struct obj *o;
    int first;
    if (!hash_of(c, true, &o) || !fields_arg(c, 2, BAD_COUNT, &first))
        return;
    struct picked p = picked_begin(c);
    reply_array(c->reply, (size_t)(c->argc - first));
    for (int i = first; i < c->argc; i++) {
        reply_value(c, o, c->argv[i]);
        if (o && hash_del(o, c->argv[i]))
            pick(&p, c->argv[i]);
    }
    if (p.n)
        fields_deleted(c, o, &p);
    mem_free(p.at);
}

/* The options of HGETEX and HSETEX: what stands before FIELDS. */
struct ex_options {
    bool timed;   /* an expiry is given, at */
    bool keep;    /* PERSIST, KEEPTTL */
    int wanted;   /* FNX -1, FXX 1 */
    int64_t at;
    int first;    /* the first field */
};

static bool ex_fields(struct call *c, int at, int each, struct ex_options *o)
{
    int64_t n;
    if (at + 1 >= c->argc || !num_to_i64(c->argv[at + 1], &n) || n < 1 || n > INT32_MAX)
        return bad(c, "invalid number of fields");
    if (n * each != c->argc - at - 2) {
        reply_errorf(c->reply, "ERR wrong number of arguments for '%s' command", c->cmd->name);
        return false;
    }
    o->first = at + 2;
    return true;
}

static bool ex_parse(struct call *c, bool set, struct ex_options *o)
{
    static const char *const units[] = {
        [EXPIRE_EX] = "EX", [EXPIRE_PX] = "PX", [EXPIRE_EXAT] = "EXAT", [EXPIRE_PXAT] = "PXAT"};
    *o = (struct ex_options){0};
    for (int i = 2; i < c->argc; i++) {
        struct slice word = c->argv[i];
        int unit = 0;
        while (unit < 4 && !slice_is(word, units[unit]))
            unit++;
        bool keep = slice_is(word, set ? "KEEPTTL" : "PERSIST");
        if (slice_is(word, "FIELDS"))
            return ex_fields(c, i, set ? 2 : 1, o);
        if ((unit < 4 || keep) && (o->timed || o->keep))
            return bad(c, set ? "Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
                              : "Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified");
        if (keep) {
            o->keep = true;
        } else if (unit < 4) {
            if (++i == c->argc)
                return bad(c, "missing expire time");
            if (!time_arg(c, i, (enum expire_unit)unit, &o->at))
                return false;
            o->timed = true;
        } else if (set && (slice_is(word, "FNX") || slice_is(word, "FXX"))) {
            if (o->wanted)
                return bad(c, "Only one of FXX or FNX arguments can be specified");
            o->wanted = slice_is(word, "FXX") ? 1 : -1;
        } else {
            reply_errorf(c->reply, "ERR unknown argument: %.*s", (int)(word.len < 128 ? word.len : 128), word.p);
            return false;
        }
    }
    return bad(c, "missing FIELDS argument");
}

/* The values of fields, and when they expire from now on; PERSIST: never.
 *
 * > HSET h a 1 b 2
 * < (integer) 2
 * > HGETEX h EX 100 FIELDS 2 a nothing
 * < 1) "1"
 * < 2) (nil)
 * > HTTL h FIELDS 2 a b
 * < 1) (integer) 100
 * < 2) (integer) -1
 * > HGETEX h PERSIST FIELDS 1 a
 * < 1) "1"
 * > HTTL h FIELDS 1 a
 * < 1) (integer) -1
 */
static void hgetex(struct call *c)
{
    struct ex_options opt;
    struct obj *o;
    if (!ex_parse(c, false, &opt) || !hash_of(c, true, &o))
        return;
    struct picked p = picked_begin(c);
    bool past = opt.timed && expire_is_past(c, opt.at);
    reply_array(c->reply, (size_t)(c->argc - opt.first));
    for (int i = opt.first; i < c->argc; i++) {
        struct slice f = c->argv[i];
        reply_value(c, o, f);
        if (!has_field(o, f))
            continue;
        if (opt.timed)
            expire_one(o, f, opt.at, past);
        else if (opt.keep && hash_expiry(o, f) >= 0)
            hash_set_expiry(o, f, -1);
        else
            continue;
        pick(&p, f);
    }
    if (opt.timed) {
        fields_expire(c, o, opt.at, past, &p);
    } else if (p.n) {
        fields_changed(c, o, "hpersist");
        effect_fields(c, (struct slice[]){SLICE("HPERSIST"), c->argv[1]}, 2, &p);
    }
    mem_free(p.at);
}

/* FNX: none of the fields is there; FXX: all are. */
static bool set_wanted(const struct call *c, const struct obj *o, const struct ex_options *opt)
{
    for (int i = opt->first; opt->wanted && i < c->argc; i += 2)
        if (has_field(o, c->argv[i]) != (opt->wanted > 0))
            return false;
    return true;
}

/* Fields that would be dead at once: all that happens is that the ones before them go. */
static void set_dead(struct call *c, struct obj *o, const struct ex_options *opt)
{
    struct picked p = picked_begin(c);
    for (int i = opt->first; i < c->argc; i += 2)
        if (o && hash_del(o, c->argv[i]))
            pick(&p, c->argv[i]);
    db_notify(c->db, NOTIFY_HASH, "hset", c->argv[1]);
    if (p.n) {
        fields_deleted(c, o, &p);
    } else {
        db_notify(c->db, NOTIFY_HASH, "hdel", c->argv[1]);
        if (!o)
            db_notify(c->db, NOTIFY_GENERIC, "del", c->argv[1]);
    }
    mem_free(p.at);
}

static void set_effect(struct call *c, const struct ex_options *opt)
{
    char at[NUM_I64_MAX], n[NUM_I64_MAX];
    struct slice head[6] = {SLICE("HSETEX"), c->argv[1]};
    int len = 2, pairs = c->argc - opt->first;
    if (opt->timed) {
        head[len++] = SLICE("PXAT");
        head[len++] = slice_of(at, num_from_i64(at, opt->at));
    } else if (opt->keep) {
        head[len++] = SLICE("KEEPTTL");
    }
    head[len++] = SLICE("FIELDS");
    head[len++] = slice_of(n, num_from_i64(n, pairs / 2));
    effect_of(c, head, len, c->argv + opt->first, pairs);
}

/* Sets fields and when they expire. Without an expiry they never do, with KEEPTTL theirs stays. FNX: only when none of
 * the fields is there, FXX: when all are; then all are set (1) or none (0).
 *
 * > HSETEX h EX 100 FIELDS 2 a 1 b 2
 * < (integer) 1
 * > HTTL h FIELDS 2 a b
 * < 1) (integer) 100
 * < 2) (integer) 100
 * > HSETEX h FNX FIELDS 2 b 3 c 3
 * < (integer) 0
 * > HSETEX h KEEPTTL FIELDS 1 a 5
 * < (integer) 1
 * > HTTL h FIELDS 1 a
 * < 1) (integer) 100
 */
static void hsetex(struct call *c)
{
    struct ex_options opt;
    struct obj *o;
    if (!ex_parse(c, true, &opt) || !hash_of(c, true, &o))
        return;
    if (!set_wanted(c, o, &opt)) {
        reply_int(c->reply, 0);
        return;
    }
    reply_int(c->reply, 1);
    if (opt.timed && expire_is_past(c, opt.at)) {
        set_dead(c, o, &opt);
        return;
    }
    o = o ? o : db_add(c->db, c->argv[1], hash_new());
    for (int i = opt.first; i < c->argc; i += 2) {
        if (opt.keep)
            hash_update(o, c->argv[i], c->argv[i + 1]);
        else
            hash_set(o, c->argv[i], c->argv[i + 1]);
        if (opt.timed)
            hash_set_expiry(o, c->argv[i], opt.at);
    }
    fields_changed(c, o, "hset");
    if (opt.timed)
        db_notify(c->db, NOTIFY_HASH, "hexpire", c->argv[1]);
    set_effect(c, &opt);
}

#define KEY      .acl = ACL_HASH, .first = 1, .last = 1, .step = 1
#define READ     (CMD_READONLY | CMD_FAST)
#define WRITE    (CMD_WRITE | CMD_FAST)
#define GROW     (WRITE | CMD_DENYOOM)
#define FIELDS   " FIELDS numfields field..."
#define WHEN     " [NX|XX|GT|LT]" FIELDS
#define EACH     .complexity = "O(N) where N is the number of fields"
#define EX_TIMES "EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds"

/* clang-format off */
static const struct cmd rows[] = {
    {.name = "hexpire", .run = hexpire, .arity = -6, .flags = GROW, KEY, .key_spec = "RW update",
     .syntax = "key seconds" WHEN, .summary = "Lets fields of a hash expire after some seconds.",
     .since = "7.4.0", EACH},
    {.name = "hpexpire", .run = hpexpire, .arity = -6, .flags = GROW, KEY, .key_spec = "RW update",
     .syntax = "key milliseconds" WHEN, .summary = "Lets fields of a hash expire after some milliseconds.",
     .since = "7.4.0", EACH},
    {.name = "hexpireat", .run = hexpireat, .arity = -6, .flags = GROW, KEY, .key_spec = "RW update",
     .syntax = "key unix-time-seconds" WHEN, .summary = "Lets fields of a hash expire at a point in time.",
     .since = "7.4.0", EACH},
    {.name = "hpexpireat", .run = hpexpireat, .arity = -6, .flags = GROW, KEY, .key_spec = "RW update",
     .syntax = "key unix-time-milliseconds" WHEN,
     .summary = "Lets fields of a hash expire at a point in time, in milliseconds.", .since = "7.4.0", EACH},
    {.name = "httl", .run = httl, .arity = -5, .flags = READ, KEY, .syntax = "key" FIELDS,
     .summary = "How many seconds fields of a hash have left.", .since = "7.4.0", EACH},
    {.name = "hpttl", .run = hpttl, .arity = -5, .flags = READ, KEY, .syntax = "key" FIELDS,
     .summary = "How many milliseconds fields of a hash have left.", .since = "7.4.0", EACH},
    {.name = "hexpiretime", .run = hexpiretime, .arity = -5, .flags = READ, KEY, .syntax = "key" FIELDS,
     .summary = "When fields of a hash expire, in seconds since 1970.", .since = "7.4.0", EACH},
    {.name = "hpexpiretime", .run = hpexpiretime, .arity = -5, .flags = READ, KEY, .syntax = "key" FIELDS,
     .summary = "When fields of a hash expire, in milliseconds since 1970.", .since = "7.4.0", EACH},
    {.name = "hpersist", .run = hpersist, .arity = -5, .flags = WRITE, KEY, .key_spec = "RW update",
     .syntax = "key" FIELDS, .summary = "Takes the expiry of fields of a hash away.", .since = "7.4.0", EACH},
    {.name = "hgetdel", .run = hgetdel, .arity = -5, .flags = WRITE, KEY, .key_spec = "RW access delete",
     .syntax = "key" FIELDS, .summary = "The values of fields, which are deleted.", .since = "8.0.0", EACH},
    {.name = "hgetex", .run = hgetex, .arity = -5, .flags = WRITE, KEY, .key_spec = "RW access update",
     .syntax = "key [" EX_TIMES "|PERSIST]" FIELDS,
     .summary = "The values of fields, and when they expire from now on.", .since = "8.0.0", EACH},
    {.name = "hsetex", .run = hsetex, .arity = -6, .flags = GROW, KEY, .key_spec = "RW update",
     .syntax = "key [FNX|FXX] [" EX_TIMES "|KEEPTTL] FIELDS numfields (field value)...",
     .summary = "Sets fields of a hash and when they expire.", .since = "8.0.0", EACH},
};
/* clang-format on */

const struct cmd_family hash_expire_family = CMD_FAMILY("hash", rows);
