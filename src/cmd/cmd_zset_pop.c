/* Taking the lowest or highest members of sorted sets, at once or when there are some.
 *
 * The blocking ones are their plain twins tried again, as with lists: what is journaled is the ZPOPMIN or ZPOPMAX that
 * took place. */
#include "cmd/cmd_zset.h"

#include "cmd/families.h"

/* Replies with n members, of which there are so many, and takes them away. `nested`: pairs of their own on RESP2 too.
 */
static void pop(struct call *c, struct slice key, struct obj *o, bool max, size_t n, bool nested)
{
    struct zset_iter it;
    size_t len = zset_len(o), left = n;
    for (zset_iter_begin(&it, o, max ? len - 1 : 0, max); left && zset_iter_next(&it); left--) {
        if (nested)
            reply_array(c->reply, 2);
        reply_bulk(c->reply, it.member);
        reply_double(c->reply, it.score);
    }
    zset_delete_range(o, max ? len - n : 0, n);
    zset_removed(c, key, o, max ? "zpopmax" : "zpopmin");
}

static void effect_pop(struct call *c, bool max, struct slice key, size_t n)
{
    char text[NUM_I64_MAX];
    struct slice argv[] = {max ? SLICE("ZPOPMAX") : SLICE("ZPOPMIN"), key, slice_of(text, num_from_u64(text, n))};
    call_effect(c, 3, argv);
}

static size_t at_most(int64_t count, size_t len)
{
    return (uint64_t)count < len ? (size_t)count : len;
}

static void pop_now(struct call *c, bool max)
{
    struct obj *o;
    int64_t count = 1;
    bool nested = c->argc == 3 && c->reply->resp > 2;
    if (c->argc > 3) {
        call_syntax(c);
        return;
    }
    if (c->argc == 3 && (!num_to_i64(c->argv[2], &count) || count < 0)) {
        reply_errorf(c->reply, "ERR value is out of range, must be positive");
        return;
    }
    if (!zset_arg_write(c, 1, &o))
        return;
    size_t n = o ? at_most(count, zset_len(o)) : 0;
    reply_array(c->reply, nested ? n : n * 2);
    if (n)
        pop(c, c->argv[1], o, max, n, nested);
}

/* Takes the members with the lowest scores.
 *
 * > ZADD z 1 a 2 b 3 c
 * < (integer) 3
 * > ZPOPMIN z
 * < 1) "a"
 * < 2) "1"
 * > ZPOPMIN z 5
 * < 1) "b"
 * < 2) "2"
 * < 3) "c"
 * < 4) "3"
 */
static void zpopmin(struct call *c)
{
    pop_now(c, false);
}

/* Takes the members with the highest scores.
 *
 * > ZADD z 1 a 2 b
 * < (integer) 2
 * > ZPOPMAX z
 * < 1) "b"
 * < 2) "2"
 */
static void zpopmax(struct call *c)
{
    pop_now(c, true);
}

/* --- the first of several sets --- */

/* The first of n keys that holds a sorted set. A key of another type ends the search with an error, unless the call has
 * been waiting: then it is passed over. */
static struct obj *first_zset(struct call *c, int first, int n, bool waiting, int *key, bool *wrong)
{
    for (int i = first; i < first + n; i++) {
        struct obj *o = db_write_type(c->db, c->argv[i], OBJ_ZSET, wrong);
        *key = i;
        if (o)
            return o;
        if (*wrong && !waiting) {
            call_wrong_type(c);
            return NULL;
        }
    }
    *wrong = false;
    return NULL;
}

struct mpop {
    int first, n; /* the keys */
    bool max;
    int64_t count;
};

/* numkeys stands at argv[at]. Redis words each error. */
static bool parse_mpop(struct call *c, int at, struct mpop *m)
{
    int64_t n;
    bool counted = false;
    *m = (struct mpop){.first = at + 1, .count = 1};
    if (!num_to_i64(c->argv[at], &n) || n <= 0) {
        reply_errorf(c->reply, "ERR numkeys should be greater than 0");
        return false;
    }
    int64_t where = n <= c->argc - m->first - 1 ? m->first + n : 0;
    m->max = where && slice_is(c->argv[where], "MAX");
    if (!where || (!m->max && !slice_is(c->argv[where], "MIN"))) {
        call_syntax(c);
        return false;
    }
    m->n = (int)n;
    for (int i = (int)where + 1; i < c->argc; i += 2) {
        if (counted || !slice_is(c->argv[i], "COUNT") || i + 1 >= c->argc) {
            call_syntax(c);
            return false;
        }
        counted = true;
        if (!num_to_i64(c->argv[i + 1], &m->count) || m->count <= 0) {
            reply_errorf(c->reply, "ERR count should be greater than 0");
            return false;
        }
    }
    return true;
}

/* True when the call was answered, be it by an error. */
static bool serve_mpop(struct call *c, const struct mpop *m, bool waiting)
{
    int key;
    bool wrong = false;
    struct obj *o = first_zset(c, m->first, m->n, waiting, &key, &wrong);
    if (!o)
        return wrong;
    size_t n = at_most(m->count, zset_len(o));
    reply_array(c->reply, 2);
    reply_bulk(c->reply, c->argv[key]);
    reply_array(c->reply, n);
    pop(c, c->argv[key], o, m->max, n, true);
    effect_pop(c, m->max, c->argv[key], n);
    return true;
}

/* Takes members from the first of several sorted sets that has some.
 *
 * > ZADD b 1 x 2 y 3 z
 * < (integer) 3
 * > ZMPOP 2 a b MAX COUNT 2
 * < 1) "b"
 * < 2) 1) 1) "z"
 * <       2) "3"
 * <    2) 1) "y"
 * <       2) "2"
 */
static void zmpop(struct call *c)
{
    struct mpop m;
    if (parse_mpop(c, 1, &m) && !serve_mpop(c, &m, false))
        reply_nil_array(c->reply);
}

/* --- blocking --- */

static void timed_out(struct call *c)
{
    reply_nil_array(c->reply);
}

static bool retry_bzmpop(struct call *c)
{
    struct mpop m;
    return !parse_mpop(c, 2, &m) || serve_mpop(c, &m, true);
}

/* ZMPOP that waits until one of the sets has a member.
 *
 * > ZADD b 1 x
 * < (integer) 1
 * > BZMPOP 1 2 a b MIN
 * < 1) "b"
 * < 2) 1) 1) "x"
 * <       2) "1"
 */
static void bzmpop(struct call *c)
{
    struct mpop m;
    int64_t ms;
    if (parse_mpop(c, 2, &m) && call_timeout_ms(c, 1, &ms) && !serve_mpop(c, &m, false))
        call_block(c, c->argv + m.first, m.n, ms, retry_bzmpop, timed_out);
}

static bool serve_bzpop(struct call *c, bool max, bool waiting)
{
    int key;
    bool wrong = false;
    struct obj *o = first_zset(c, 1, c->argc - 2, waiting, &key, &wrong);
    if (!o)
        return wrong;
    reply_array(c->reply, 3);
    reply_bulk(c->reply, c->argv[key]);
    pop(c, c->argv[key], o, max, 1, false);
    effect_pop(c, max, c->argv[key], 1);
    return true;
}

static bool retry_bzpopmin(struct call *c)
{
    return serve_bzpop(c, false, true);
}

static bool retry_bzpopmax(struct call *c)
{
    return serve_bzpop(c, true, true);
}

/* Takes the member with the lowest score of the first of several sets, waiting until one has a member.
 *
 * > ZADD jobs 5 later 1 soon
 * < (integer) 2
 * > BZPOPMIN urgent jobs 0
 * < 1) "jobs"
 * < 2) "soon"
 * < 3) "1"
 * > BZPOPMIN urgent 0.01
 * < (nil)
 */
static void bzpopmin(struct call *c)
{
    int64_t ms;
    if (call_timeout_ms(c, c->argc - 1, &ms) && !serve_bzpop(c, false, false))
        call_block(c, c->argv + 1, c->argc - 2, ms, retry_bzpopmin, timed_out);
}

/* The same with the highest score.
 *
 * > ZADD jobs 5 later 1 soon
 * < (integer) 2
 * > BZPOPMAX jobs 0
 * < 1) "jobs"
 * < 2) "later"
 * < 3) "5"
 */
static void bzpopmax(struct call *c)
{
    int64_t ms;
    if (call_timeout_ms(c, c->argc - 1, &ms) && !serve_bzpop(c, true, false))
        call_block(c, c->argv + 1, c->argc - 2, ms, retry_bzpopmax, timed_out);
}

static int zmpop_keys(int argc, const struct slice *argv, int *pos)
{
    return zset_numkeys_keys(argc, argv, 1, pos, CMD_MAX_KEYS);
}

static int bzmpop_keys(int argc, const struct slice *argv, int *pos)
{
    return zset_numkeys_keys(argc, argv, 2, pos, CMD_MAX_KEYS);
}

#define BLOCK (CMD_WRITE | CMD_BLOCKING | CMD_NOSCRIPT)

/* clang-format off */
#define POP_COST "O(log(N)*M) where N is the size and M the number of members taken"
#define MPOP_COST "O(K) + O(M*log(N)): K keys looked at, M members taken, N the size"
static const struct cmd rows[] = {
    {.name = "zpopmin", .run = zpopmin, .arity = -2, .flags = CMD_WRITE | CMD_FAST, ZSET_KEY,
     .key_spec = "RW access delete", .syntax = "key [count]",
     .summary = "Takes the members with the lowest scores.", .since = "5.0.0", .complexity = POP_COST},
    {.name = "zpopmax", .run = zpopmax, .arity = -2, .flags = CMD_WRITE | CMD_FAST, ZSET_KEY,
     .key_spec = "RW access delete", .syntax = "key [count]",
     .summary = "Takes the members with the highest scores.", .since = "5.0.0", .complexity = POP_COST},
    {.name = "zmpop", .run = zmpop, .arity = -4, .flags = CMD_WRITE | CMD_MOVABLEKEYS, .acl = ACL_SORTEDSET,
     .keys = zmpop_keys, .key_spec = "RW access delete @1 keynum 0 1 1",
     .syntax = "numkeys key... (MIN|MAX) [COUNT count]",
     .summary = "Takes members from the first of several sorted sets that has some.", .since = "7.0.0",
     .complexity = MPOP_COST},
    {.name = "bzpopmin", .run = bzpopmin, .arity = -3, .flags = BLOCK | CMD_FAST, .acl = ACL_SORTEDSET, .first = 1,
     .last = -2, .step = 1, .key_spec = "RW access delete", .syntax = "key... timeout",
     .summary = "ZPOPMIN of the first of several sorted sets, waiting until one has a member.", .since = "5.0.0",
     .complexity = "O(log(N)) where N is the size"},
    {.name = "bzpopmax", .run = bzpopmax, .arity = -3, .flags = BLOCK | CMD_FAST, .acl = ACL_SORTEDSET, .first = 1,
     .last = -2, .step = 1, .key_spec = "RW access delete", .syntax = "key... timeout",
     .summary = "ZPOPMAX of the first of several sorted sets, waiting until one has a member.", .since = "5.0.0",
     .complexity = "O(log(N)) where N is the size"},
    {.name = "bzmpop", .run = bzmpop, .arity = -5, .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLEKEYS, .acl = ACL_SORTEDSET,
     .keys = bzmpop_keys, .key_spec = "RW access delete @2 keynum 0 1 1",
     .syntax = "timeout numkeys key... (MIN|MAX) [COUNT count]",
     .summary = "ZMPOP that waits until one of the sorted sets has a member.", .since = "7.0.0",
     .complexity = MPOP_COST},
};
/* clang-format on */

const struct cmd_family zset_pop_family = CMD_FAMILY("sorted-set", rows);
