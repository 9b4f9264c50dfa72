/* String commands, all but the bit operations (a family of their own).
 *
 * What is journaled differs from what came in where time or arithmetic is involved: SET with any expiry becomes PXAT,
 * GETEX becomes PEXPIREAT or PERSIST, INCRBYFLOAT becomes the SET of its result (so that replaying on another machine
 * cannot round differently). */
#include "cmd/cmd.h"

#include <math.h>

#include "base/mem.h"
#include "cmd/expire.h"
#include "cmd/families.h"
#include "cmd/key_spec.h"
#include "net/conn.h"

/* --- what nearly all of them do first --- */

static bool is_string(struct call *c, struct obj *o, bool wrong)
{
    if (wrong)
        call_wrong_type(c);
    return !wrong;
}

/* The string under argv[i], NULL when absent; false: it is something else, the error is replied. */
static bool string_read(struct call *c, int i, struct obj **o)
{
    bool wrong;
    *o = db_read_type(c->db, c->argv[i], OBJ_STRING, &wrong);
    return is_string(c, *o, wrong);
}

static bool string_write(struct call *c, int i, struct obj **o)
{
    bool wrong;
    *o = db_write_type(c->db, c->argv[i], OBJ_STRING, &wrong);
    return is_string(c, *o, wrong);
}

static void reply_value(struct call *c, const struct obj *o)
{
    char tmp[NUM_I64_MAX];
    if (o)
        reply_bulk(c->reply, obj_str(o, tmp));
    else
        reply_nil(c->reply);
}

static size_t string_len(const struct obj *o)
{
    char tmp[NUM_I64_MAX];
    return o ? obj_str(o, tmp).len : 0;
}

static bool size_ok(struct call *c, uint64_t at, uint64_t add)
{
    uint64_t total;
    if (!__builtin_add_overflow(at, add, &total) && total <= (uint64_t)conn_limits.bulk_max)
        return true;
    reply_errorf(c->reply, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

static struct slice ms_text(char tmp[NUM_I64_MAX], int64_t ms)
{
    return slice_of(tmp, num_from_i64(tmp, ms));
}

/* --- SET and its relatives --- */

enum set_option {
    SET_NX = 1 << 0,
    SET_XX = 1 << 1,
    SET_GET = 1 << 2,
    SET_KEEPTTL = 1 << 3,
    SET_PERSIST = 1 << 4,
    SET_EX = 1 << 5, /* these four in enum expire_unit's order */
    SET_PX = 1 << 6,
    SET_EXAT = 1 << 7,
    SET_PXAT = 1 << 8,
};
#define SET_TIMES  (SET_EX | SET_PX | SET_EXAT | SET_PXAT)
#define SET_EXPIRY (SET_TIMES | SET_KEEPTTL | SET_PERSIST) /* at most one of them */

struct set_options {
    unsigned flags;
    int time_arg;      /* where the time stands, when one of SET_TIMES is given */
    int64_t expire_at; /* after set_expiry */
};

static bool set_parse(struct call *c, int from, unsigned allowed, struct set_options *o)
{
    static const struct {
        const char *word;
        unsigned flag, excludes;
    } words[] = {
        {"NX", SET_NX, SET_XX},
        {"XX", SET_XX, SET_NX},
        {"GET", SET_GET, 0},
        {"KEEPTTL", SET_KEEPTTL, SET_EXPIRY & ~SET_KEEPTTL},
        {"PERSIST", SET_PERSIST, SET_EXPIRY & ~SET_PERSIST},
        {"EX", SET_EX, SET_EXPIRY & ~SET_EX},
        {"PX", SET_PX, SET_EXPIRY & ~SET_PX},
        {"EXAT", SET_EXAT, SET_EXPIRY & ~SET_EXAT},
        {"PXAT", SET_PXAT, SET_EXPIRY & ~SET_PXAT},
    };
    *o = (struct set_options){0};
    for (int i = from; i < c->argc; i++) {
        unsigned flag = 0;
        for (size_t w = 0; w < sizeof words / sizeof *words; w++)
            if (slice_is(c->argv[i], words[w].word) && !(o->flags & words[w].excludes))
                flag = words[w].flag & allowed;
        if (!flag || ((flag & SET_TIMES) && i + 1 == c->argc)) {
            call_syntax(c);
            return false;
        }
        o->flags |= flag;
        if (flag & SET_TIMES)
            o->time_arg = ++i;
    }
    return true;
}

static bool set_expiry(struct call *c, struct set_options *o)
{
    if (!(o->flags & SET_TIMES))
        return true;
    enum expire_unit unit = (enum expire_unit)__builtin_ctz((o->flags & SET_TIMES) / SET_EX);
    return expire_arg(c, o->time_arg, unit, true, &o->expire_at);
}

/* Stores, notifies and journals; the reply is the caller's. */
static void set_store(struct call *c, struct slice key, struct slice value, const struct set_options *o)
{
    struct obj *obj = db_set(c->db, key, value_string(value), o->flags & SET_KEEPTTL);
    if (o->flags & SET_TIMES)
        db_set_expire(c->db, obj, o->expire_at);
    db_changed(c->db, key, NOTIFY_STRING, "set");
    if (o->flags & SET_TIMES) {
        char tmp[NUM_I64_MAX];
        db_notify(c->db, NOTIFY_GENERIC, "expire", key);
        struct slice effect[] = {SLICE("SET"), key, value, SLICE("PXAT"), ms_text(tmp, o->expire_at)};
        call_effect(c, 5, effect);
    } else if (o->flags & SET_GET) {
        struct slice effect[] = {SLICE("SET"), key, value, SLICE("KEEPTTL")};
        call_effect(c, o->flags & SET_KEEPTTL ? 4 : 3, effect);
    }
}

/* Sets a key's value, whatever it held before. With GET the answer is the old value.
 *
 * > SET greeting hello
 * < OK
 * > SET greeting again NX
 * < (nil)
 * > SET greeting bye XX GET
 * < "hello"
 * > SET greeting soon EX 100
 * < OK
 * > TTL greeting
 * < (integer) 100
 * > SET greeting later KEEPTTL
 * < OK
 * > TTL greeting
 * < (integer) 100
 * > SET greeting never EX 0
 * < (error) ERR invalid expire time in 'set' command
 */
static void set(struct call *c)
{
    struct set_options o;
    struct slice key = c->argv[1];
    if (!set_parse(c, 3, SET_NX | SET_XX | SET_GET | SET_KEEPTTL | SET_TIMES, &o) || !set_expiry(c, &o))
        return;
    if (o.flags & SET_GET) {
        struct obj *old;
        if (!string_read(c, 1, &old))
            return;
        reply_value(c, old);
    }
    if (o.flags & (SET_NX | SET_XX)) {
        bool there = db_write(c->db, key) != NULL;
        if (there == !!(o.flags & SET_NX)) {
            if (!(o.flags & SET_GET))
                reply_nil(c->reply);
            return;
        }
    }
    set_store(c, key, c->argv[2], &o);
    if (!(o.flags & SET_GET))
        reply_ok(c->reply);
}

/* Sets a key only when it does not exist.
 *
 * > SETNX lock me
 * < (integer) 1
 * > SETNX lock you
 * < (integer) 0
 * > GET lock
 * < "me"
 */
static void setnx(struct call *c)
{
    bool there = db_write(c->db, c->argv[1]) != NULL;
    if (!there)
        set_store(c, c->argv[1], c->argv[2], &(struct set_options){0});
    reply_int(c->reply, !there);
}

static void set_with_time(struct call *c, unsigned flag)
{
    struct set_options o = {.flags = flag, .time_arg = 2};
    if (!set_expiry(c, &o))
        return;
    set_store(c, c->argv[1], c->argv[3], &o);
    reply_ok(c->reply);
}

/* Sets a key and when it expires, in seconds.
 *
 * > SETEX token 60 abc
 * < OK
 * > TTL token
 * < (integer) 60
 */
static void setex(struct call *c)
{
    set_with_time(c, SET_EX);
}

/* The same in milliseconds.
 *
 * > PSETEX token 60000 abc
 * < OK
 * > TTL token
 * < (integer) 60
 */
static void psetex(struct call *c)
{
    set_with_time(c, SET_PX);
}

/* The value of a key.
 *
 * > GET nothing
 * < (nil)
 * > SET k "two words"
 * < OK
 * > GET k
 * < "two words"
 * > HSET h f v
 * < (integer) 1
 * > GET h
 * < (error) WRONGTYPE Operation against a key holding the wrong kind of value
 */
static void get(struct call *c)
{
    struct obj *o;
    if (string_read(c, 1, &o))
        reply_value(c, o);
}

/* The value of a key, and a new expiry for it.
 *
 * > SET k v
 * < OK
 * > GETEX k EX 50
 * < "v"
 * > TTL k
 * < (integer) 50
 * > GETEX k PERSIST
 * < "v"
 * > TTL k
 * < (integer) -1
 */
static void getex(struct call *c)
{
    struct set_options opt;
    struct obj *o;
    struct slice key = c->argv[1];
    char tmp[NUM_I64_MAX];
    if (!set_parse(c, 2, SET_PERSIST | SET_TIMES, &opt) || !string_read(c, 1, &o))
        return;
    if (!o) {
        reply_nil(c->reply);
        return;
    }
    if (!set_expiry(c, &opt))
        return;
    reply_value(c, o);
    if ((opt.flags & SET_TIMES) && expire_is_past(c, opt.expire_at)) {
        db_delete(c->db, key);
        db_changed(c->db, key, NOTIFY_GENERIC, "del");
        call_effect(c, 2, (struct slice[]){SLICE("DEL"), key});
    } else if (opt.flags & SET_TIMES) {
        db_set_expire(c->db, o, opt.expire_at);
        db_changed(c->db, key, NOTIFY_GENERIC, "expire");
        call_effect(c, 3, (struct slice[]){SLICE("PEXPIREAT"), key, ms_text(tmp, opt.expire_at)});
    } else if ((opt.flags & SET_PERSIST) && obj_expire(o) >= 0) {
        db_set_expire(c->db, o, -1);
        db_changed(c->db, key, NOTIFY_GENERIC, "persist");
        call_effect(c, 2, (struct slice[]){SLICE("PERSIST"), key});
    }
}

/* The value of a key, which is deleted.
 *
 * > SET k v
 * < OK
 * > GETDEL k
 * < "v"
 * > GETDEL k
 * < (nil)
 */
static void getdel(struct call *c)
{
    struct obj *o;
    if (!string_read(c, 1, &o))
        return;
    reply_value(c, o);
    if (!o)
        return;
    db_delete(c->db, c->argv[1]);
    db_changed(c->db, c->argv[1], NOTIFY_GENERIC, "del");
    call_effect(c, 2, (struct slice[]){SLICE("DEL"), c->argv[1]});
}

/* The value of a key, which gets a new one (and loses its expiry).
 *
 * > GETSET k one
 * < (nil)
 * > GETSET k two
 * < "one"
 */
static void getset(struct call *c)
{
    struct obj *o;
    if (!string_read(c, 1, &o))
        return;
    reply_value(c, o);
    set_store(c, c->argv[1], c->argv[2], &(struct set_options){.flags = SET_GET});
}

/* --- many keys --- */

/* The values of several keys; nil for one that is absent or no string.
 *
 * > MSET a 1 b two
 * < OK
 * > MGET a nothing b
 * < 1) "1"
 * < 2) (nil)
 * < 3) "two"
 */
static void mget(struct call *c)
{
    reply_array(c->reply, (size_t)c->argc - 1);
    for (int i = 1; i < c->argc; i++) {
        bool wrong;
        reply_value(c, db_read_type(c->db, c->argv[i], OBJ_STRING, &wrong));
    }
}

static bool pairs_ok(struct call *c)
{
    if (c->argc % 2)
        return true;
    reply_errorf(c->reply, "ERR wrong number of arguments for '%s' command", c->cmd->name);
    return false;
}

static void set_pairs(struct call *c)
{
    for (int i = 1; i < c->argc; i += 2)
        set_store(c, c->argv[i], c->argv[i + 1], &(struct set_options){0});
}

/* Sets several keys.
 *
 * > MSET a 1 b 2
 * < OK
 * > GET b
 * < "2"
 * > MSET a 1 b
 * < (error) ERR wrong number of arguments for 'mset' command
 */
static void mset(struct call *c)
{
    if (!pairs_ok(c))
        return;
    set_pairs(c);
    reply_ok(c->reply);
}

/* Sets several keys when none of them exists, otherwise none.
 *
 * > MSETNX a 1 b 2
 * < (integer) 1
 * > MSETNX b 3 c 4
 * < (integer) 0
 * > EXISTS c
 * < (integer) 0
 */
static void msetnx(struct call *c)
{
    if (!pairs_ok(c))
        return;
    for (int i = 1; i < c->argc; i += 2)
        if (db_write(c->db, c->argv[i])) {
            reply_int(c->reply, 0);
            return;
        }
    set_pairs(c);
    reply_int(c->reply, 1);
}

/* --- parts of a string --- */

/* Writes bytes at an offset of the key's string, which grows (zero bytes in a gap) and is made when absent. */
static size_t write_at(struct call *c, struct obj *o, size_t at, struct slice bytes, const char *event)
{
    char *p;
    if (!o)
        o = db_add(c->db, c->argv[1], value_string(SLICE("")));
    o = db_str_open(c->db, o, at, bytes.len, &p);
    if (bytes.len)
        memcpy(p + at, bytes.p, bytes.len);
    db_changed(c->db, c->argv[1], NOTIFY_STRING, event);
    return string_len(o);
}

/* Adds to the end of a string; answers its new length.
 *
 * > APPEND log one
 * < (integer) 3
 * > APPEND log ,two
 * < (integer) 7
 * > GET log
 * < "one,two"
 */
static void append(struct call *c)
{
    struct obj *o;
    struct slice more = c->argv[2];
    if (!string_write(c, 1, &o))
        return;
    if (!o) {
        db_add(c->db, c->argv[1], value_string(more));
        db_changed(c->db, c->argv[1], NOTIFY_STRING, "append");
        reply_int(c->reply, (int64_t)more.len);
        return;
    }
    size_t len = string_len(o);
    if (size_ok(c, len, more.len))
        reply_int(c->reply, (int64_t)write_at(c, o, len, more, "append"));
}

/* How many bytes a string has.
 *
 * > SET k hello
 * < OK
 * > STRLEN k
 * < (integer) 5
 * > STRLEN nothing
 * < (integer) 0
 */
static void string_strlen(struct call *c)
{
    struct obj *o;
    if (string_read(c, 1, &o))
        reply_int(c->reply, (int64_t)string_len(o));
}

/* Overwrites part of a string from an offset on; answers the new length.
 *
 * > SET k "Hello World"
 * < OK
 * > SETRANGE k 6 Redis
 * < (integer) 11
 * > GET k
 * < "Hello Redis"
 * > SETRANGE padded 3 x
 * < (integer) 4
 * > GET padded
 * < "\x00\x00\x00x"
 * > SETRANGE k -1 x
 * < (error) ERR offset is out of range
 */
static void setrange(struct call *c)
{
    int64_t at;
    struct obj *o;
    struct slice bytes = c->argv[3];
    if (!call_i64(c, 2, &at))
        return;
    if (at < 0) {
        reply_errorf(c->reply, "ERR offset is out of range");
        return;
    }
    if (!string_write(c, 1, &o))
        return;
    if (bytes.len == 0)
        reply_int(c->reply, (int64_t)string_len(o));
    else if (size_ok(c, (uint64_t)at, bytes.len))
        reply_int(c->reply, (int64_t)write_at(c, o, (size_t)at, bytes, "setrange"));
}

/* Part of a string: both ends included, negative ones count from the end.
 *
 * > SET k "This is a string"
 * < OK
 * > GETRANGE k 0 3
 * < "This"
 * > GETRANGE k -6 -1
 * < "string"
 * > GETRANGE k 5 3
 * < ""
 */
static void getrange(struct call *c)
{
    int64_t start, end;
    struct obj *o;
    char tmp[NUM_I64_MAX];
    if (!call_i64(c, 2, &start) || !call_i64(c, 3, &end) || !string_read(c, 1, &o))
        return;
    struct slice s = o ? obj_str(o, tmp) : SLICE("");
    int64_t len = (int64_t)s.len;
    bool backwards = start < 0 && end < 0 && start > end;
    start = start < 0 ? start + len : start;
    end = end < 0 ? end + len : end;
    start = start < 0 ? 0 : start;
    end = end < 0 ? 0 : end;
    end = end >= len ? len - 1 : end;
    if (backwards || start > end || len == 0)
        reply_str(c->reply, "");
    else
        reply_bulk(c->reply, slice_of(s.p + start, (size_t)(end - start + 1)));
}

/* --- numbers --- */

static void incr_by(struct call *c, int64_t by)
{
    struct obj *o;
    int64_t v = 0;
    char tmp[NUM_I64_MAX];
    if (!string_write(c, 1, &o))
        return;
    if (o && !num_to_i64(obj_str(o, tmp), &v)) {
        reply_errorf(c->reply, "ERR value is not an integer or out of range");
        return;
    }
    if (__builtin_add_overflow(v, by, &v)) {
        reply_errorf(c->reply, "ERR increment or decrement would overflow");
        return;
    }
    if (!o)
        db_add(c->db, c->argv[1], (struct value){.type = OBJ_STRING, .enc = ENC_INT, .num = v});
    else if (o->enc == ENC_INT)
        o->v.num = v; /* neither moves nor changes its size */
    else
        db_set_str(c->db, o, ms_text(tmp, v));
    db_changed(c->db, c->argv[1], NOTIFY_STRING, "incrby");
    reply_int(c->reply, v);
}

/* Counts up by one.
 *
 * > INCR visits
 * < (integer) 1
 * > INCR visits
 * < (integer) 2
 * > SET visits many
 * < OK
 * > INCR visits
 * < (error) ERR value is not an integer or out of range
 */
static void incr(struct call *c)
{
    incr_by(c, 1);
}

/* Counts down by one.
 *
 * > DECR left
 * < (integer) -1
 */
static void decr(struct call *c)
{
    incr_by(c, -1);
}

/* Adds an integer.
 *
 * > INCRBY n 40
 * < (integer) 40
 * > INCRBY n 9223372036854775807
 * < (error) ERR increment or decrement would overflow
 */
static void incrby(struct call *c)
{
    int64_t by;
    if (call_i64(c, 2, &by))
        incr_by(c, by);
}

/* Subtracts an integer.
 *
 * > DECRBY n 2
 * < (integer) -2
 */
static void decrby(struct call *c)
{
    int64_t by;
    if (!call_i64(c, 2, &by))
        return;
    if (by == INT64_MIN)
        reply_errorf(c->reply, "ERR decrement would overflow");
    else
        incr_by(c, -by);
}

/* Adds a number with a fraction; answers the sum.
 *
 * > SET n 10.50
 * < OK
 * > INCRBYFLOAT n 0.1
 * < "10.6"
 * > INCRBYFLOAT n -5.0e0
 * < "5.6"
 */
static void incrbyfloat(struct call *c)
{
    struct obj *o;
    long double v = 0, by;
    char tmp[NUM_I64_MAX], text[NUM_LONG_MAX];
    if (!string_write(c, 1, &o))
        return;
    if ((o && !num_to_long_double(obj_str(o, tmp), &v)) || !num_to_long_double(c->argv[2], &by)) {
        reply_errorf(c->reply, "ERR value is not a valid float");
        return;
    }
    v += by;
    if (isnan(v) || isinf(v)) {
        reply_errorf(c->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    struct slice sum = slice_of(text, num_from_long_double(text, v));
    if (o)
        db_set_str(c->db, o, sum);
    else
        db_add(c->db, c->argv[1], value_string(sum));
    db_changed(c->db, c->argv[1], NOTIFY_STRING, "incrbyfloat");
    call_effect(c, 4, (struct slice[]){SLICE("SET"), c->argv[1], sum, SLICE("KEEPTTL")});
    reply_bulk(c->reply, sum);
}

/* --- the longest common subsequence --- */

#define LCS_TABLE_MAX ((size_t)1 << 30) /* bytes; a command must not take the machine's memory for its scratch */

struct lcs {
    struct slice a, b;
    uint32_t *table; /* (a.len + 1) rows of (b.len + 1): the length for each pair of prefixes */
    bool len, idx, with_len;
    int64_t min_len;
};

static uint32_t *lcs_at(const struct lcs *l, size_t i, size_t j)
{
    return &l->table[i * (l->b.len + 1) + j];
}

static bool lcs_fill(struct lcs *l)
{
    size_t cells;
    if (l->a.len >= UINT32_MAX || l->b.len >= UINT32_MAX ||
        __builtin_mul_overflow(l->a.len + 1, l->b.len + 1, &cells) || cells > LCS_TABLE_MAX / sizeof *l->table)
        return false;
    l->table = mem_try(cells * sizeof *l->table);
    if (!l->table)
        return false;
    for (size_t i = 0; i <= l->a.len; i++)
        for (size_t j = 0; j <= l->b.len; j++) {
            uint32_t up = i ? *lcs_at(l, i - 1, j) : 0, left = j ? *lcs_at(l, i, j - 1) : 0;
            uint32_t best = up > left ? up : left;
            *lcs_at(l, i, j) = !i || !j ? 0 : l->a.p[i - 1] == l->b.p[j - 1] ? *lcs_at(l, i - 1, j - 1) + 1 : best;
        }
    return true;
}

/* A run of bytes that match in both strings, found from its end: it begins at i, j and has `len` bytes. */
static size_t lcs_run(struct call *c, const struct lcs *l, size_t i, size_t j, size_t len)
{
    if (len == 0 || (int64_t)len < l->min_len)
        return 0;
    reply_array(c->reply, l->with_len ? 3 : 2);
    size_t starts[] = {i, j};
    for (int k = 0; k < 2; k++) {
        reply_array(c->reply, 2);
        reply_int(c->reply, (int64_t)starts[k]);
        reply_int(c->reply, (int64_t)(starts[k] + len - 1));
    }
    if (l->with_len)
        reply_int(c->reply, (int64_t)len);
    return 1;
}

static void lcs_reply_runs(struct call *c, const struct lcs *l)
{
    reply_map(c->reply, 2);
    reply_str(c->reply, "matches");
    size_t place = reply_defer(c->reply), n = 0, run = 0, i = l->a.len, j = l->b.len;
    while (i && j) {
        if (l->a.p[i - 1] == l->b.p[j - 1]) {
            i--, j--, run++;
            continue;
        }
        n += lcs_run(c, l, i, j, run);
        run = 0;
        if (*lcs_at(l, i - 1, j) > *lcs_at(l, i, j - 1))
            i--;
        else
            j--;
    }
    n += lcs_run(c, l, i, j, run);
    reply_defer_array(c->reply, place, n);
    reply_str(c->reply, "len");
    reply_int(c->reply, *lcs_at(l, l->a.len, l->b.len));
}

static void lcs_reply_text(struct call *c, const struct lcs *l)
{
    size_t len = *lcs_at(l, l->a.len, l->b.len), at = len, i = l->a.len, j = l->b.len;
    char *text = mem_alloc(len);
    while (i && j) {
        if (l->a.p[i - 1] == l->b.p[j - 1]) {
            text[--at] = l->a.p[i - 1];
            i--, j--;
        } else if (*lcs_at(l, i - 1, j) > *lcs_at(l, i, j - 1)) {
            i--;
        } else {
            j--;
        }
    }
    reply_bulk(c->reply, slice_of(text, len));
    mem_free(text);
}

static bool lcs_options(struct call *c, struct lcs *l)
{
    for (int i = 3; i < c->argc; i++) {
        struct slice word = c->argv[i];
        if (slice_is(word, "IDX")) {
            l->idx = true;
        } else if (slice_is(word, "LEN")) {
            l->len = true;
        } else if (slice_is(word, "WITHMATCHLEN")) {
            l->with_len = true;
        } else if (slice_is(word, "MINMATCHLEN") && i + 1 < c->argc) {
            if (!call_i64(c, ++i, &l->min_len))
                return false;
        } else {
            call_syntax(c);
            return false;
        }
    }
    if (l->idx && l->len)
        reply_errorf(c->reply, "ERR If you want both the length and indexes, please just use IDX.");
    return !(l->idx && l->len);
}

/* The longest common subsequence of two strings: the text itself, its length, or where its runs are.
 *
 * > MSET a ohmytext b mynewtext
 * < OK
 * > LCS a b
 * < "mytext"
 * > LCS a b LEN
 * < (integer) 6
 * > LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN
 * < 1) "matches"
 * < 2) 1) 1) 1) (integer) 4
 * <          2) (integer) 7
 * <       2) 1) (integer) 5
 * <          2) (integer) 8
 * <       3) (integer) 4
 * < 3) "len"
 * < 4) (integer) 6
 */
static void lcs(struct call *c)
{
    char atmp[NUM_I64_MAX], btmp[NUM_I64_MAX];
    struct lcs l = {.a = SLICE(""), .b = SLICE("")};
    struct obj *a = db_read(c->db, c->argv[1]), *b = db_read(c->db, c->argv[2]);
    if ((a && a->type != OBJ_STRING) || (b && b->type != OBJ_STRING)) {
        reply_errorf(c->reply, "ERR The specified keys must contain string values");
        return;
    }
    if (!lcs_options(c, &l))
        return;
    if (a)
        l.a = obj_str(a, atmp);
    if (b)
        l.b = obj_str(b, btmp);
    if (!lcs_fill(&l)) {
        reply_errorf(c->reply, "ERR Insufficient memory, failed allocating transient memory for LCS");
        return;
    }
    if (l.idx)
        lcs_reply_runs(c, &l);
    else if (l.len)
        reply_int(c->reply, *lcs_at(&l, l.a.len, l.b.len));
    else
        lcs_reply_text(c, &l);
    mem_free(l.table);
}

/* Only with GET does SET tell what was there. */
static unsigned set_key_use(int argc, const struct slice *argv, int at)
{
    for (int i = 3; i < argc; i++)
        if (slice_is(argv[i], "get"))
            return KEY_RW | KEY_ACCESS | KEY_UPDATE;
    return KEY_OW | KEY_UPDATE;
}

#define GROW (CMD_WRITE | CMD_DENYOOM)

/* clang-format off */
static const struct cmd rows[] = {
    {.name = "set", .run = set, .arity = -3, .flags = GROW, .acl = ACL_STRING, .first = 1, .last = 1, .step = 1,
     .key_spec = "RW access update variable_flags", .key_use = set_key_use,
     .syntax = "key value [NX|XX] [GET] "
               "[EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]",
     .summary = "Sets a key's value, whatever it held before.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "setnx", .run = setnx, .arity = 3, .flags = GROW | CMD_FAST, .acl = ACL_STRING, .first = 1, .last = 1,
     .step = 1, .key_spec = "OW insert",
     .syntax = "key value", .deprecated = "2.6.12 `SET` with `NX`",
     .summary = "Sets a key only when it does not exist.", .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "setex", .run = setex, .arity = 4, .flags = GROW, .acl = ACL_STRING, .first = 1, .last = 1, .step = 1,
     .key_spec = "OW update",
     .syntax = "key seconds value", .deprecated = "2.6.12 `SET` with `EX`",
     .summary = "Sets a key and the seconds it lives.", .since = "2.0.0",
     .complexity = "O(1)"},
    {.name = "psetex", .run = psetex, .arity = 4, .flags = GROW, .acl = ACL_STRING, .first = 1, .last = 1, .step = 1,
     .key_spec = "OW update",
     .syntax = "key milliseconds value", .deprecated = "2.6.12 `SET` with `PX`",
     .summary = "Sets a key and the milliseconds it lives.", .since = "2.6.0",
     .complexity = "O(1)"},
    {.name = "get", .run = get, .arity = 2, .flags = CMD_READONLY | CMD_FAST, .acl = ACL_STRING, .first = 1,
     .last = 1, .step = 1, .syntax = "key", .summary = "The value of a key.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "getex", .run = getex, .arity = -2, .flags = CMD_WRITE | CMD_FAST, .acl = ACL_STRING, .first = 1,
     .last = 1, .step = 1,
     .syntax = "key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]",
     .summary = "The value of a key, and a new expiry for it.", .since = "6.2.0", .complexity = "O(1)"},
    {.name = "getdel", .run = getdel, .arity = 2, .flags = CMD_WRITE | CMD_FAST, .acl = ACL_STRING, .first = 1,
     .last = 1, .step = 1, .key_spec = "RW access delete",
     .syntax = "key", .summary = "The value of a key, which is deleted.", .since = "6.2.0",
     .complexity = "O(1)"},
    {.name = "getset", .run = getset, .arity = 3, .flags = GROW | CMD_FAST, .acl = ACL_STRING, .first = 1, .last = 1,
     .step = 1, .syntax = "key value", .deprecated = "6.2.0 `SET` with `!GET`",
     .summary = "The old value of a key, which gets a new one.", .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "mget", .run = mget, .arity = -2, .flags = CMD_READONLY | CMD_FAST, .acl = ACL_STRING, .first = 1,
     .last = -1, .step = 1, .syntax = "key...", .summary = "The values of several keys.", .since = "1.0.0",
     .complexity = "O(N) where N is the number of keys"},
    {.name = "mset", .run = mset, .arity = -3, .flags = GROW, .acl = ACL_STRING, .first = 1, .last = -1, .step = 2,
     .key_spec = "OW update", .syntax = "(key value)...", .summary = "Sets several keys at once.", .since = "1.0.1",
     .complexity = "O(N) where N is the number of keys"},
    {.name = "msetnx", .run = msetnx, .arity = -3, .flags = GROW, .acl = ACL_STRING, .first = 1, .last = -1,
     .step = 2, .key_spec = "OW insert",
     .syntax = "(key value)...", .summary = "Sets several keys when none of them exists.",
     .since = "1.0.1", .complexity = "O(N) where N is the number of keys"},
    {.name = "append", .run = append, .arity = 3, .flags = GROW | CMD_FAST, .acl = ACL_STRING, .first = 1, .last = 1,
     .step = 1, .key_spec = "RW insert",
     .syntax = "key value", .summary = "Adds to the end of a string.", .since = "2.0.0",
     .complexity = "O(1) amortised"},
    {.name = "strlen", .run = string_strlen, .arity = 2, .flags = CMD_READONLY | CMD_FAST, .acl = ACL_STRING,
     .first = 1, .last = 1, .step = 1, .key_spec = "RO",
     .syntax = "key", .summary = "How many bytes a string has.", .since = "2.2.0",
     .complexity = "O(1)"},
    {.name = "incr", .run = incr, .arity = 2, .flags = GROW | CMD_FAST, .acl = ACL_STRING, .first = 1, .last = 1,
     .step = 1, .syntax = "key", .summary = "Counts an integer up by one.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "decr", .run = decr, .arity = 2, .flags = GROW | CMD_FAST, .acl = ACL_STRING, .first = 1, .last = 1,
     .step = 1, .syntax = "key", .summary = "Counts an integer down by one.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "incrby", .run = incrby, .arity = 3, .flags = GROW | CMD_FAST, .acl = ACL_STRING, .first = 1, .last = 1,
     .step = 1, .syntax = "key increment", .summary = "Adds an integer to an integer.", .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "decrby", .run = decrby, .arity = 3, .flags = GROW | CMD_FAST, .acl = ACL_STRING, .first = 1, .last = 1,
     .step = 1, .syntax = "key decrement", .summary = "Subtracts an integer from an integer.", .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "incrbyfloat", .run = incrbyfloat, .arity = 3, .flags = GROW | CMD_FAST, .acl = ACL_STRING, .first = 1,
     .last = 1, .step = 1, .syntax = "key increment:double", .summary = "Adds a number with a fraction.", .since = "2.6.0",
     .complexity = "O(1)"},
    {.name = "setrange", .run = setrange, .arity = 4, .flags = GROW, .acl = ACL_STRING, .first = 1, .last = 1,
     .step = 1, .key_spec = "RW update",
     .syntax = "key offset value", .summary = "Overwrites part of a string from an offset on.",
     .since = "2.2.0", .complexity = "O(M) where M is the length of the value"},
    {.name = "getrange", .run = getrange, .arity = 4, .flags = CMD_READONLY, .acl = ACL_STRING, .first = 1, .last = 1,
     .step = 1, .syntax = "key start end:int", .summary = "Part of a string.", .since = "2.4.0",
     .complexity = "O(N) where N is the length of the answer"},
    {.name = "substr", .run = getrange, .arity = 4, .flags = CMD_READONLY, .acl = ACL_STRING, .first = 1, .last = 1,
     .step = 1, .syntax = "key start end:int", .deprecated = "2.0.0 `GETRANGE`",
     .summary = "The old name of GETRANGE.", .since = "1.0.0",
     .complexity = "O(N) where N is the length of the answer"},
    {.name = "lcs", .run = lcs, .arity = -3, .flags = CMD_READONLY, .acl = ACL_STRING, .first = 1, .last = 2,
     .step = 1, .syntax = "key1:key0 key2:key0 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
     .summary = "The longest common subsequence of two strings.", .since = "7.0.0",
     .complexity = "O(N*M) where N and M are the lengths"},
};
/* clang-format on */

const struct cmd_family string_family = CMD_FAMILY("string", rows);
