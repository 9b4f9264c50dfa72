/* Hash commands. The value itself is store/t_hash; here are the arguments, the replies, the events.
 *
 * A key is made only once its first field is sure to be set, and deleted with its last one: an empty hash is never
 * seen. */
#include "cmd/cmd.h"
#include "cmd/drawn.h"

#include <math.h>

#include "base/mem.h"
#include "cmd/families.h"
#include "cmd/scan.h"
#include "store/t_hash.h"

/* The hash under argv[1], NULL when absent; false: it is something else, the error is replied. */
static bool hash_read(struct call *c, struct obj **o)
{
    bool wrong;
    *o = db_read_type(c->db, c->argv[1], OBJ_HASH, &wrong);
    if (wrong)
        call_wrong_type(c);
    return !wrong;
}

static bool hash_write(struct call *c, struct obj **o)
{
    bool wrong;
    *o = db_write_type(c->db, c->argv[1], OBJ_HASH, &wrong);
    if (wrong)
        call_wrong_type(c);
    return !wrong;
}

static struct obj *or_new(struct call *c, struct obj *o)
{
    return o ? o : db_add(c->db, c->argv[1], hash_new());
}

/* o: NULL when the key is gone. */
static void hash_changed(struct call *c, struct obj *o, const char *event)
{
    if (o && (o->flags & OBJ_TIMED))
        db_timed(c->db, o); /* the last expiry may have gone */
    db_changed(c->db, c->argv[1], NOTIFY_HASH, event);
}

static void reply_field(struct call *c, const struct obj *o, struct slice field)
{
    struct slice v;
    char tmp[NUM_I64_MAX];
    if (o && hash_get(o, field, &v, tmp))
        reply_bulk(c->reply, v);
    else
        reply_nil(c->reply);
}

/* --- setting --- */

/* Sets the pairs from argv[2] on; -1 when that failed and the error is replied, else how many fields are new. */
static int64_t set_pairs(struct call *c)
{
    struct obj *o;
    int64_t fresh = 0;
    if (c->argc % 2) {
        reply_errorf(c->reply, "ERR wrong number of arguments for '%s' command", c->cmd->name);
        return -1;
    }
    if (!hash_write(c, &o))
        return -1;
    o = or_new(c, o);
    for (int i = 2; i < c->argc; i += 2)
        fresh += hash_set(o, c->argv[i], c->argv[i + 1]);
    hash_changed(c, o, "hset");
    return fresh;
}

/* Sets fields of a hash; answers how many of them are new.
 *
 * > HSET user name Ada born 1815
 * < (integer) 2
 * > HSET user born 1816 died 1852
 * < (integer) 1
 * > HSET user name
 * < (error) ERR wrong number of arguments for 'hset' command
 */
static void hset(struct call *c)
{
    int64_t fresh = set_pairs(c);
    if (fresh >= 0)
        reply_int(c->reply, fresh);
}

/* The same with OK for an answer.
 *
 * > HMSET user name Ada born 1815
 * < OK
 * > HLEN user
 * < (integer) 2
 */
static void hmset(struct call *c)
{
    if (set_pairs(c) >= 0)
        reply_ok(c->reply);
}

/* Sets a field only when it does not exist.
 *
 * > HSETNX user name Ada
 * < (integer) 1
 * > HSETNX user name Grace
 * < (integer) 0
 */
static void hsetnx(struct call *c)
{
    struct obj *o;
    struct slice v;
    char tmp[NUM_I64_MAX];
    if (!hash_write(c, &o))
        return;
    if (o && hash_get(o, c->argv[2], &v, tmp)) {
        reply_int(c->reply, 0);
        return;
    }
    hash_set(or_new(c, o), c->argv[2], c->argv[3]);
    hash_changed(c, NULL, "hset");
    reply_int(c->reply, 1);
}

/* Deletes fields; answers how many there were. The key goes with its last field.
 *
 * > HSET h a 1 b 2
 * < (integer) 2
 * > HDEL h a nothing
 * < (integer) 1
 * > HDEL h b
 * < (integer) 1
 * > EXISTS h
 * < (integer) 0
 */
static void hdel(struct call *c)
{
    struct obj *o;
    int64_t gone = 0;
    if (!hash_write(c, &o))
        return;
    for (int i = 2; o && i < c->argc && hash_len(o); i++)
        gone += hash_del(o, c->argv[i]);
    if (gone) {
        bool empty = hash_len(o) == 0;
        if (empty)
            db_delete(c->db, c->argv[1]);
        hash_changed(c, empty ? NULL : o, "hdel");
        if (empty)
            db_notify(c->db, NOTIFY_GENERIC, "del", c->argv[1]);
    }
    reply_int(c->reply, gone);
}

/* --- arithmetic --- */

/* Adds an integer to a field, which counts from 0 when absent.
 *
 * > HINCRBY page views 3
 * < (integer) 3
 * > HINCRBY page views -1
 * < (integer) 2
 * > HSET page title Home
 * < (integer) 1
 * > HINCRBY page title 1
 * < (error) ERR hash value is not an integer
 */
static void hincrby(struct call *c)
{
    struct obj *o;
    struct slice text;
    int64_t by, v = 0;
    char tmp[NUM_I64_MAX];
    if (!call_i64(c, 3, &by) || !hash_write(c, &o))
        return;
    if (o && hash_get(o, c->argv[2], &text, tmp) && !num_to_i64(text, &v)) {
        reply_errorf(c->reply, "ERR hash value is not an integer");
        return;
    }
    if (__builtin_add_overflow(v, by, &v)) {
        reply_errorf(c->reply, "ERR increment or decrement would overflow");
        return;
    }
    hash_update(or_new(c, o), c->argv[2], slice_of(tmp, num_from_i64(tmp, v)));
    hash_changed(c, NULL, "hincrby");
    reply_int(c->reply, v);
}

/* Adds a number with a fraction to a field. Journaled as the setting of the sum, so that no replay rounds differently.
 *
 * > HSET p x 10.5
 * < (integer) 1
 * > HINCRBYFLOAT p x 0.1
 * < "10.6"
 */
static void hincrbyfloat(struct call *c)
{
    struct obj *o;
    struct slice text;
    long double by, v = 0;
    char tmp[NUM_I64_MAX], sum_text[NUM_LONG_MAX];
    if (!num_to_long_double(c->argv[3], &by)) {
        reply_errorf(c->reply, "ERR value is not a valid float");
        return;
    }
    if (isinf(by)) {
        reply_errorf(c->reply, "ERR value is NaN or Infinity");
        return;
    }
    if (!hash_write(c, &o))
        return;
    if (o && hash_get(o, c->argv[2], &text, tmp) && !num_to_long_double(text, &v)) {
        reply_errorf(c->reply, "ERR hash value is not a float");
        return;
    }
    v += by;
    if (isnan(v) || isinf(v)) {
        reply_errorf(c->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    struct slice sum = slice_of(sum_text, num_from_long_double(sum_text, v));
    o = or_new(c, o);
    hash_update(o, c->argv[2], sum);
    hash_changed(c, NULL, "hincrbyfloat");
    if (hash_expiry(o, c->argv[2]) >= 0)
        call_effect(c, 7,
                    (struct slice[]){SLICE("HSETEX"), c->argv[1], SLICE("KEEPTTL"), SLICE("FIELDS"), SLICE("1"),
                                     c->argv[2], sum});
    else
        call_effect(c, 4, (struct slice[]){SLICE("HSET"), c->argv[1], c->argv[2], sum});
    reply_bulk(c->reply, sum);
}

/* --- reading --- */

/* The value of a field.
 *
 * > HSET user name Ada
 * < (integer) 1
 * > HGET user name
 * < "Ada"
 * > HGET user nothing
 * < (nil)
 */
static void hget(struct call *c)
{
    struct obj *o;
    if (hash_read(c, &o))
        reply_field(c, o, c->argv[2]);
}

/* The values of several fields.
 *
 * > HSET user name Ada born 1815
 * < (integer) 2
 * > HMGET user born nothing name
 * < 1) "1815"
 * < 2) (nil)
 * < 3) "Ada"
 */
static void hmget(struct call *c)
{
    struct obj *o;
    if (!hash_read(c, &o))
        return;
    reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++)
        reply_field(c, o, c->argv[i]);
}

static void reply_all(struct call *c, bool fields, bool values)
{
    struct obj *o;
    if (!hash_read(c, &o))
        return;
    size_t n = o ? hash_len(o) : 0;
    if (fields && values)
        reply_map(c->reply, n);
    else
        reply_array(c->reply, n);
    if (!o)
        return;
    struct hash_iter it;
    for (hash_iter_begin(&it, o); hash_iter_next(&it);) {
        if (fields)
            reply_bulk(c->reply, it.field);
        if (values)
            reply_bulk(c->reply, it.value);
    }
    hash_iter_end(&it);
}

/* Everything in a hash.
 *
 * > HSET user name Ada born 1815
 * < (integer) 2
 * > HGETALL user
 * < 1) "name"
 * < 2) "Ada"
 * < 3) "born"
 * < 4) "1815"
 * > HGETALL nothing
 * < (empty array)
 */
static void hgetall(struct call *c)
{
    reply_all(c, true, true);
}

/* The fields of a hash.
 *
 * > HSET user name Ada born 1815
 * < (integer) 2
 * > HKEYS user
 * < 1) "name"
 * < 2) "born"
 */
static void hkeys(struct call *c)
{
    reply_all(c, true, false);
}

/* The values of a hash.
 *
 * > HSET user name Ada born 1815
 * < (integer) 2
 * > HVALS user
 * < 1) "Ada"
 * < 2) "1815"
 */
static void hvals(struct call *c)
{
    reply_all(c, false, true);
}

/* How many fields a hash has.
 *
 * > HSET user name Ada born 1815
 * < (integer) 2
 * > HLEN user
 * < (integer) 2
 */
static void hlen(struct call *c)
{
    struct obj *o;
    if (hash_read(c, &o))
        reply_int(c->reply, o ? (int64_t)hash_len(o) : 0);
}

/* How many bytes the value of a field has.
 *
 * > HSET user name Ada
 * < (integer) 1
 * > HSTRLEN user name
 * < (integer) 3
 */
static void hstrlen(struct call *c)
{
    struct obj *o;
    struct slice v;
    char tmp[NUM_I64_MAX];
    if (hash_read(c, &o))
        reply_int(c->reply, o && hash_get(o, c->argv[2], &v, tmp) ? (int64_t)v.len : 0);
}

/* Whether a field exists.
 *
 * > HSET user name Ada
 * < (integer) 1
 * > HEXISTS user name
 * < (integer) 1
 * > HEXISTS user age
 * < (integer) 0
 */
static void hexists(struct call *c)
{
    struct obj *o;
    struct slice v;
    char tmp[NUM_I64_MAX];
    if (hash_read(c, &o))
        reply_int(c->reply, o && hash_get(o, c->argv[2], &v, tmp));
}

/* --- random fields --- */

/* One element of HRANDFIELD's list: on RESP3 a field with its value is a pair of its own. */
static void reply_random(struct call *c, struct slice field, struct slice value, bool values)
{
    if (values && c->reply->resp > 2)
        reply_array(c->reply, 2);
    reply_bulk(c->reply, field);
    if (values)
        reply_bulk(c->reply, value);
}

static void reply_random_head(struct call *c, size_t n, bool values)
{
    reply_array(c->reply, values && c->reply->resp == 2 ? n * 2 : n);
}

static void random_with_repeats(struct call *c, struct obj *o, size_t n, bool values)
{
    reply_random_head(c, n, values);
    while (n--) {
        struct slice f, v;
        char ftmp[NUM_I64_MAX], vtmp[NUM_I64_MAX];
        hash_random(o, &c->db->store->rng, &f, &v, ftmp, vtmp);
        reply_random(c, f, v, values);
    }
}

/* One pass over the hash that takes each field with the probability that fills the sample exactly (Knuth's algorithm
 * S). */
static void random_by_pass(struct call *c, struct obj *o, size_t n, bool values)
{
    size_t left = hash_len(o);
    n = n < left ? n : left;
    reply_random_head(c, n, values);
    struct hash_iter it;
    for (hash_iter_begin(&it, o); n && hash_iter_next(&it); left--)
        if (rng_below(&c->db->store->rng, left) < n) {
            reply_random(c, it.field, it.value, values);
            n--;
        }
    hash_iter_end(&it);
}

/* A small sample of a large table: draw again what was drawn before. A field is known by where its bytes are. */
static void random_by_draws(struct call *c, struct obj *o, size_t n, bool values)
{
    struct drawn drawn;
    drawn_init(&drawn, n);
    reply_random_head(c, n, values);
    while (n) {
        struct slice f, v;
        char ftmp[NUM_I64_MAX], vtmp[NUM_I64_MAX];
        hash_random(o, &c->db->store->rng, &f, &v, ftmp, vtmp);
        if (!drawn_add(&drawn, f.p))
            continue;
        reply_random(c, f, v, values);
        n--;
    }
    drawn_release(&drawn);
}

#define RANDOM_MAX ((int64_t)1 << 26) /* more repeats than this in one answer are a mistake, and would be gigabytes */

static bool random_count(struct call *c, int64_t *n, bool *values)
{
    if (!call_range(c, 2, -INT64_MAX, INT64_MAX, n))
        return false;
    if (c->argc > 4 || (c->argc == 4 && !slice_is(c->argv[3], "WITHVALUES"))) {
        call_syntax(c);
        return false;
    }
    *values = c->argc == 4;
    if (*n < -RANDOM_MAX || (*values && *n > INT64_MAX / 2)) {
        reply_errorf(c->reply, "ERR value is out of range");
        return false;
    }
    return true;
}

/* One random field; several different ones; or, with a negative count, that many of which some may repeat.
 *
 * > HSET coin heads 1
 * < (integer) 1
 * > HRANDFIELD coin
 * < "heads"
 * > HRANDFIELD coin 5 WITHVALUES
 * < 1) "heads"
 * < 2) "1"
 * > HRANDFIELD coin -3
 * < 1) "heads"
 * < 2) "heads"
 * < 3) "heads"
 */
static void hrandfield(struct call *c)
{
    struct obj *o;
    int64_t n = 0;
    bool values = false;
    if (c->argc > 2 && !random_count(c, &n, &values))
        return;
    if (!hash_read(c, &o))
        return;
    if (c->argc == 2 && !o) {
        reply_nil(c->reply);
    } else if (c->argc == 2) {
        struct slice f, v;
        char ftmp[NUM_I64_MAX], vtmp[NUM_I64_MAX];
        hash_random(o, &c->db->store->rng, &f, &v, ftmp, vtmp);
        reply_bulk(c->reply, f);
    } else if (!o || n == 0) {
        reply_array(c->reply, 0);
    } else if (n < 0) {
        random_with_repeats(c, o, (size_t)-n, values);
    } else if (hash_is_table(o) && (uint64_t)n < hash_len(o) / 3) {
        random_by_draws(c, o, (size_t)n, values);
    } else {
        random_by_pass(c, o, (size_t)n, values);
    }
}

static void scan_field(void *arg, struct slice field, struct slice value)
{
    struct scan *s = arg;
    if (scan_seen(s, field)) {
        scan_emit(s, field);
        scan_emit(s, value);
    }
}

/* Some fields with their values, and the cursor to go on with.
 *
 * > HSET user name Ada born 1815
 * < (integer) 2
 * > HSCAN user 0 MATCH n*
 * < 1) "0"
 * < 2) 1) "name"
 * <    2) "Ada"
 */
static void hscan(struct call *c)
{
    struct obj *o;
    struct scan s;
    uint64_t cursor;
    if (!scan_cursor(c, 2, &cursor) || !hash_read(c, &o))
        return;
    if (!o) {
        scan_reply_empty(c);
        return;
    }
    if (!scan_begin(&s, c, 3, false))
        return;
    do {
        cursor = hash_scan(o, cursor, scan_field, &s);
    } while (scan_more(&s, cursor));
    scan_end(&s, cursor);
}

#define KEY  .acl = ACL_HASH, .first = 1, .last = 1, .step = 1
#define GROW (CMD_WRITE | CMD_DENYOOM | CMD_FAST)
#define READ (CMD_READONLY | CMD_FAST)

/* clang-format off */
static const struct cmd rows[] = {
    {.name = "hset", .run = hset, .arity = -4, .flags = GROW, KEY, .key_spec = "RW update",
     .syntax = "key (field value)...",
     .summary = "Sets fields of a hash.", .since = "2.0.0", .complexity = "O(N) where N is the number of fields"},
    {.name = "hsetnx", .run = hsetnx, .arity = 4, .flags = GROW, KEY, .key_spec = "RW insert",
     .syntax = "key field value",
     .summary = "Sets a field only when it does not exist.", .since = "2.0.0", .complexity = "O(1)"},
    {.name = "hmset", .run = hmset, .arity = -4, .flags = GROW, KEY, .key_spec = "RW update",
     .syntax = "key (field value)...",
     .deprecated = "4.0.0 `HSET`, which takes several fields",
     .summary = "HSET with OK for an answer.", .since = "2.0.0",
     .complexity = "O(N) where N is the number of fields"},
    {.name = "hget", .run = hget, .arity = 3, .flags = READ, KEY, .syntax = "key field",
     .summary = "The value of a field.", .since = "2.0.0", .complexity = "O(1)"},
    {.name = "hmget", .run = hmget, .arity = -3, .flags = READ, KEY, .syntax = "key field...",
     .summary = "The values of several fields.", .since = "2.0.0",
     .complexity = "O(N) where N is the number of fields"},
    {.name = "hgetall", .run = hgetall, .arity = 2, .flags = CMD_READONLY, KEY, .syntax = "key",
     .summary = "All fields of a hash with their values.", .since = "2.0.0",
     .complexity = "O(N) where N is the size"},
    {.name = "hkeys", .run = hkeys, .arity = 2, .flags = CMD_READONLY, KEY, .syntax = "key",
     .summary = "All fields of a hash.", .since = "2.0.0", .complexity = "O(N) where N is the size"},
    {.name = "hvals", .run = hvals, .arity = 2, .flags = CMD_READONLY, KEY, .syntax = "key",
     .summary = "All values of a hash.", .since = "2.0.0", .complexity = "O(N) where N is the size"},
    {.name = "hlen", .run = hlen, .arity = 2, .flags = READ, KEY, .key_spec = "RO", .syntax = "key",
     .summary = "How many fields a hash has.", .since = "2.0.0", .complexity = "O(1)"},
    {.name = "hstrlen", .run = hstrlen, .arity = 3, .flags = READ, KEY, .key_spec = "RO", .syntax = "key field",
     .summary = "How many bytes the value of a field has.", .since = "3.2.0", .complexity = "O(1)"},
    {.name = "hdel", .run = hdel, .arity = -3, .flags = CMD_WRITE | CMD_FAST, KEY, .key_spec = "RW delete",
     .syntax = "key field...",
     .summary = "Deletes fields; the key goes with its last one.", .since = "2.0.0",
     .complexity = "O(N) where N is the number of fields"},
    {.name = "hexists", .run = hexists, .arity = 3, .flags = READ, KEY, .key_spec = "RO", .syntax = "key field",
     .summary = "Whether a field exists.", .since = "2.0.0", .complexity = "O(1)"},
    {.name = "hincrby", .run = hincrby, .arity = 4, .flags = GROW, KEY, .syntax = "key field increment",
     .summary = "Adds an integer to a field.", .since = "2.0.0", .complexity = "O(1)"},
    {.name = "hincrbyfloat", .run = hincrbyfloat, .arity = 4, .flags = GROW, KEY,
     .syntax = "key field increment:double",
     .summary = "Adds a number with a fraction to a field.", .since = "2.6.0", .complexity = "O(1)"},
    {.name = "hrandfield", .run = hrandfield, .arity = -2, .flags = CMD_READONLY, KEY,
     .syntax = "key [count [WITHVALUES]]", .summary = "Random fields of a hash.", .since = "6.2.0",
     .complexity = "O(N) where N is the count"},
    {.name = "hscan", .run = hscan, .arity = -3, .flags = CMD_READONLY, KEY,
     .syntax = "key cursor [MATCH pattern] [COUNT count]",
     .summary = "Some fields with their values, and a cursor to go on with.", .since = "2.8.0",
     .complexity = "O(1) a call, O(N) for a whole iteration"},
};
/* clang-format on */

const struct cmd_family hash_family = CMD_FAMILY("hash", rows);
