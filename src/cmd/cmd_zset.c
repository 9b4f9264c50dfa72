/* Sorted sets as commands: adding and removing, scores, ranks, random members, and what the family's files share.
 *
 * A key is made only once its first member is sure to be added, and deleted with its last one. */
#include "cmd/cmd_zset.h"
#include "cmd/drawn.h"

#include "base/mem.h"
#include "cmd/families.h"
#include "cmd/scan.h"

/* --- shared --- */

bool zset_arg_read(struct call *c, int i, struct obj **o)
{
    bool wrong;
    *o = db_read_type(c->db, c->argv[i], OBJ_ZSET, &wrong);
    if (wrong)
        call_wrong_type(c);
    return !wrong;
}

bool zset_arg_write(struct call *c, int i, struct obj **o)
{
    bool wrong;
    *o = db_write_type(c->db, c->argv[i], OBJ_ZSET, &wrong);
    if (wrong)
        call_wrong_type(c);
    return !wrong;
}

void zset_removed(struct call *c, struct slice key, struct obj *o, const char *event)
{
    bool empty = zset_len(o) == 0;
    if (empty)
        db_delete(c->db, key);
    db_changed(c->db, key, NOTIFY_ZSET, event);
    if (empty)
        db_notify(c->db, NOTIFY_GENERIC, "del", key);
}

void zset_reply_head(struct call *c, size_t n, bool scores)
{
    reply_array(c->reply, scores && c->reply->resp == 2 ? n * 2 : n);
}

void zset_reply_member(struct call *c, struct slice member, double score, bool scores)
{
    if (scores && c->reply->resp > 2)
        reply_array(c->reply, 2);
    reply_bulk(c->reply, member);
    if (scores)
        reply_double(c->reply, score);
}

void zset_result(struct obj *o)
{
    struct value v = zset_new();
    *o = (struct obj){.type = v.type, .enc = v.enc, .v.ptr = v.ptr};
}

void zset_store(struct call *c, struct slice key, struct obj *result, const char *event)
{
    size_t n = zset_len(result);
    struct value v = value_container(OBJ_ZSET, (enum obj_enc)result->enc, result->v.ptr);
    reply_int(c->reply, (int64_t)n);
    if (n) {
        db_set(c->db, key, v, false);
        db_changed(c->db, key, NOTIFY_ZSET, event);
        return;
    }
    value_release(&v);
    if (db_delete(c->db, key))
        db_changed(c->db, key, NOTIFY_GENERIC, "del");
}

int zset_numkeys_keys(int argc, const struct slice *argv, int at, int *pos, int room)
{
    int64_t n;
    if (at >= argc || !num_to_i64(argv[at], &n) || n <= 0 || n > argc - at - 1)
        return -1;
    if (n > room)
        n = room;
    for (int i = 0; i < (int)n; i++)
        pos[i] = at + 1 + i;
    return (int)n;
}

/* --- adding --- */

struct add {
    unsigned conditions; /* enum zset_condition */
    bool changed;        /* CH: count changed members too */
    int first;           /* argv index of the first score */
};

static bool add_option(struct slice word, struct add *a)
{
    static const struct {
        const char *word;
        unsigned bit;
    } options[] = {{"NX", ZSET_NX}, {"XX", ZSET_XX}, {"GT", ZSET_GT}, {"LT", ZSET_LT}, {"INCR", ZSET_INCR}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (slice_is(word, options[i].word)) {
            a->conditions |= options[i].bit;
            return true;
        }
    if (!slice_is(word, "CH"))
        return false;
    return a->changed = true;
}

static bool add_parse(struct call *c, struct add *a)
{
    a->first = 2;
    while (a->first < c->argc && add_option(c->argv[a->first], a))
        a->first++;
    int left = c->argc - a->first;
    unsigned f = a->conditions;
    if (left == 0 || left % 2) {
        call_syntax(c);
    } else if (f & ZSET_NX && f & ZSET_XX) {
        reply_errorf(c->reply, "ERR XX and NX options at the same time are not compatible");
    } else if (__builtin_popcount(f & (ZSET_NX | ZSET_GT | ZSET_LT)) > 1) {
        reply_errorf(c->reply, "ERR GT, LT, and/or NX options at the same time are not compatible");
    } else if (f & ZSET_INCR && left > 2) {
        reply_errorf(c->reply, "ERR INCR option supports a single increment-element pair");
    } else {
        double score; /* all of them are looked at before anything changes */
        for (int i = a->first; i < c->argc; i += 2)
            if (!call_double(c, i, &score))
                return false;
        return true;
    }
    return false;
}

/* The reply of ZADD ... INCR, of which there is one pair. */
static void reply_increment(struct call *c, enum zset_outcome what, double score)
{
    if (what == ZSET_NAN)
        reply_errorf(c->reply, "ERR resulting score is not a number (NaN)");
    else if (what == ZSET_NOTHING)
        reply_nil(c->reply);
    else
        reply_double(c->reply, score);
}

static void add(struct call *c, struct add *a)
{
    struct obj *o;
    enum zset_outcome what = ZSET_NOTHING;
    double score = 0;
    int64_t added = 0, changed = 0;
    if (!add_parse(c, a) || !zset_arg_write(c, 1, &o))
        return;
    if (!o && !(a->conditions & ZSET_XX))
        o = db_add(c->db, c->argv[1], zset_new());
    for (int i = a->first; o && i < c->argc; i += 2) {
        num_to_double(c->argv[i], &score);
        what = zset_add(o, c->argv[i + 1], &score, a->conditions);
        added += what == ZSET_ADDED;
        changed += what == ZSET_CHANGED;
    }
    if (a->conditions & ZSET_INCR)
        reply_increment(c, what, score);
    else
        reply_int(c->reply, a->changed ? added + changed : added);
    if (added + changed)
        db_changed(c->db, c->argv[1], NOTIFY_ZSET, a->conditions & ZSET_INCR ? "zincr" : "zadd");
}

/* Adds members with their scores, or gives them other scores; answers how many are new.
 *
 * > ZADD board 10 ada 20 grace
 * < (integer) 2
 * > ZADD board CH 15 ada 20 grace
 * < (integer) 1
 * > ZADD board XX GT 12 ada
 * < (integer) 0
 * > ZADD board INCR 1 grace
 * < "21"
 * > ZADD board NX XX 1 x
 * < (error) ERR XX and NX options at the same time are not compatible
 */
static void zadd(struct call *c)
{
    add(c, &(struct add){0});
}

/* Adds to the score of a member, which counts from 0 when absent.
 *
 * > ZINCRBY board 2 ada
 * < "2"
 * > ZINCRBY board 0.5 ada
 * < "2.5"
 */
static void zincrby(struct call *c)
{
    add(c, &(struct add){.conditions = ZSET_INCR});
}

/* Removes members; answers how many there were. The key goes with its last member.
 *
 * > ZADD z 1 a 2 b
 * < (integer) 2
 * > ZREM z a nothing
 * < (integer) 1
 * > ZREM z b
 * < (integer) 1
 * > EXISTS z
 * < (integer) 0
 */
static void zrem(struct call *c)
{
    struct obj *o;
    int64_t gone = 0;
    if (!zset_arg_write(c, 1, &o))
        return;
    for (int i = 2; o && i < c->argc && zset_len(o); i++)
        gone += zset_del(o, c->argv[i]);
    if (gone)
        zset_removed(c, c->argv[1], o, "zrem");
    reply_int(c->reply, gone);
}

/* --- reading --- */

/* How many members a sorted set has.
 *
 * > ZADD z 1 a 2 b
 * < (integer) 2
 * > ZCARD z
 * < (integer) 2
 */
static void zcard(struct call *c)
{
    struct obj *o;
    if (zset_arg_read(c, 1, &o))
        reply_int(c->reply, o ? (int64_t)zset_len(o) : 0);
}

static void reply_score(struct call *c, const struct obj *o, struct slice member)
{
    double score;
    if (o && zset_score(o, member, &score))
        reply_double(c->reply, score);
    else
        reply_nil(c->reply);
}

/* The score of a member.
 *
 * > ZADD z 1.5 a
 * < (integer) 1
 * > ZSCORE z a
 * < "1.5"
 * > ZSCORE z nothing
 * < (nil)
 */
static void zscore(struct call *c)
{
    struct obj *o;
    if (zset_arg_read(c, 1, &o))
        reply_score(c, o, c->argv[2]);
}

/* The scores of several members.
 *
 * > ZADD z 1 a 2 b
 * < (integer) 2
 * > ZMSCORE z b nothing a
 * < 1) "2"
 * < 2) (nil)
 * < 3) "1"
 */
static void zmscore(struct call *c)
{
    struct obj *o;
    if (!zset_arg_read(c, 1, &o))
        return;
    reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++)
        reply_score(c, o, c->argv[i]);
}

static void reply_rank(struct call *c, bool back)
{
    struct obj *o;
    double score;
    bool with = c->argc > 3;
    if (c->argc > 4) {
        reply_errorf(c->reply, "ERR wrong number of arguments for '%s' command", c->cmd->name);
        return;
    }
    if (with && !slice_is(c->argv[3], "WITHSCORE")) {
        call_syntax(c);
        return;
    }
    if (!zset_arg_read(c, 1, &o))
        return;
    int64_t rank = o ? zset_rank(o, c->argv[2], back, &score) : -1;
    if (rank < 0 && with) {
        reply_nil_array(c->reply);
    } else if (rank < 0) {
        reply_nil(c->reply);
    } else {
        if (with)
            reply_array(c->reply, 2);
        reply_int(c->reply, rank);
        if (with)
            reply_double(c->reply, score);
    }
}

/* How many members come before one, in the order of scores.
 *
 * > ZADD z 1 a 2 b 3 c
 * < (integer) 3
 * > ZRANK z c
 * < (integer) 2
 * > ZRANK z b WITHSCORE
 * < 1) (integer) 1
 * < 2) "2"
 * > ZRANK z nothing
 * < (nil)
 */
static void zrank(struct call *c)
{
    reply_rank(c, false);
}

/* The same from the highest score down.
 *
 * > ZADD z 1 a 2 b 3 c
 * < (integer) 3
 * > ZREVRANK z c
 * < (integer) 0
 */
static void zrevrank(struct call *c)
{
    reply_rank(c, true);
}

/* --- random members --- */

static void random_with_repeats(struct call *c, struct obj *o, size_t n, bool scores)
{
    zset_reply_head(c, n, scores);
    while (n--) {
        struct slice member;
        double score;
        char tmp[NUM_I64_MAX];
        zset_random(o, &c->db->store->rng, &member, &score, tmp);
        zset_reply_member(c, member, score, scores);
    }
}

/* One pass over the set that takes each member with the probability that fills the sample exactly (Knuth's algorithm
 * S). */
static void random_by_pass(struct call *c, struct obj *o, size_t n, bool scores)
{
    size_t left = zset_len(o);
    n = n < left ? n : left;
    zset_reply_head(c, n, scores);
    struct zset_iter it;
    for (zset_iter_begin(&it, o, 0, false); n && zset_iter_next(&it); left--)
        if (rng_below(&c->db->store->rng, left) < n) {
            zset_reply_member(c, it.member, it.score, scores);
            n--;
        }
}

/* A small sample of a large set: draw again what was drawn before. A member is known by where its bytes are. */
static void random_by_draws(struct call *c, struct obj *o, size_t n, bool scores)
{
    struct drawn drawn;
    drawn_init(&drawn, n);
    zset_reply_head(c, n, scores);
    while (n) {
        struct slice member;
        double score;
        char tmp[NUM_I64_MAX];
        zset_random(o, &c->db->store->rng, &member, &score, tmp);
        if (!drawn_add(&drawn, member.p))
            continue;
        zset_reply_member(c, member, score, scores);
        n--;
    }
    drawn_release(&drawn);
}

#define RANDOM_MAX ((int64_t)1 << 26) /* more repeats than this in one answer are a mistake, and would be gigabytes */

static bool random_count(struct call *c, int64_t *n, bool *scores)
{
    if (!call_range(c, 2, -INT64_MAX, INT64_MAX, n))
        return false;
    if (c->argc > 4 || (c->argc == 4 && !slice_is(c->argv[3], "WITHSCORES"))) {
        call_syntax(c);
        return false;
    }
    *scores = c->argc == 4;
    if (*n >= -RANDOM_MAX && !(*scores && *n > INT64_MAX / 2))
        return true;
    reply_errorf(c->reply, "ERR value is out of range");
    return false;
}

static void random_one(struct call *c, struct obj *o)
{
    struct slice member;
    double score;
    char tmp[NUM_I64_MAX];
    zset_random(o, &c->db->store->rng, &member, &score, tmp);
    reply_bulk(c->reply, member);
}

/* One random member; several different ones; or, with a negative count, that many of which some may repeat.
 *
 * > ZADD coin 1 heads
 * < (integer) 1
 * > ZRANDMEMBER coin
 * < "heads"
 * > ZRANDMEMBER coin 5 WITHSCORES
 * < 1) "heads"
 * < 2) "1"
 * > ZRANDMEMBER coin -2
 * < 1) "heads"
 * < 2) "heads"
 */
static void zrandmember(struct call *c)
{
    struct obj *o;
    int64_t n = 0;
    bool scores = false;
    if (c->argc > 2 && !random_count(c, &n, &scores))
        return;
    if (!zset_arg_read(c, 1, &o))
        return;
    if (c->argc == 2 && !o)
        reply_nil(c->reply);
    else if (c->argc == 2)
        random_one(c, o);
    else if (!o || n == 0)
        reply_array(c->reply, 0);
    else if (n < 0)
        random_with_repeats(c, o, (size_t)-n, scores);
    else if (o->enc == ENC_SKIPLIST && (uint64_t)n < zset_len(o) / 3)
        random_by_draws(c, o, (size_t)n, scores);
    else
        random_by_pass(c, o, (size_t)n, scores);
}

/* --- scanning --- */

static void scan_member(void *arg, struct slice member, double score)
{
    struct scan *s = arg;
    char tmp[NUM_DOUBLE_MAX];
    if (scan_seen(s, member)) {
        scan_emit(s, member);
        scan_emit(s, slice_of(tmp, num_from_double(tmp, score)));
    }
}

/* Some members with their scores, and the cursor to go on with.
 *
 * > ZADD z 1 ada 2 grace
 * < (integer) 2
 * > ZSCAN z 0 MATCH a*
 * < 1) "0"
 * < 2) 1) "ada"
 * <    2) "1"
 */
static void zscan(struct call *c)
{
    struct obj *o;
    struct scan s;
    uint64_t cursor;
    if (!scan_cursor(c, 2, &cursor) || !zset_arg_read(c, 1, &o))
        return;
    if (!o) {
        scan_reply_empty(c);
        return;
    }
    if (!scan_begin(&s, c, 3, false))
        return;
    do {
        cursor = zset_scan(o, cursor, scan_member, &s);
    } while (scan_more(&s, cursor));
    scan_end(&s, cursor);
}

/* clang-format off */
static const struct cmd rows[] = {
    {.name = "zadd", .run = zadd, .arity = -4, .flags = ZSET_GROW | CMD_FAST, ZSET_KEY,
     .key_spec = "RW update", .syntax = "key [NX|XX] [GT|LT] [CH] [INCR] (score member)...",
     .summary = "Adds members to a sorted set, or gives them other scores.", .since = "1.2.0",
     .complexity = "O(log(N)) for each member, where N is the size"},
    {.name = "zincrby", .run = zincrby, .arity = 4, .flags = ZSET_GROW | CMD_FAST, ZSET_KEY,
     .syntax = "key increment member", .summary = "Adds to the score of a member.", .since = "1.2.0",
     .complexity = "O(log(N)) where N is the size"},
    {.name = "zrem", .run = zrem, .arity = -3, .flags = CMD_WRITE | CMD_FAST, ZSET_KEY, .key_spec = "RW delete",
     .syntax = "key member...",
     .summary = "Removes members; the key goes with its last one.", .since = "1.2.0",
     .complexity = "O(M*log(N)) where N is the size and M the number of members removed"},
    {.name = "zcard", .run = zcard, .arity = 2, .flags = ZSET_READ, ZSET_KEY, .key_spec = "RO", .syntax = "key",
     .summary = "How many members a sorted set has.", .since = "1.2.0", .complexity = "O(1)"},
    {.name = "zscore", .run = zscore, .arity = 3, .flags = ZSET_READ, ZSET_KEY, .syntax = "key member",
     .summary = "The score of a member.", .since = "1.2.0", .complexity = "O(1)"},
    {.name = "zmscore", .run = zmscore, .arity = -3, .flags = ZSET_READ, ZSET_KEY, .syntax = "key member...",
     .summary = "The scores of several members.", .since = "6.2.0",
     .complexity = "O(N) where N is the number of members"},
    {.name = "zrank", .run = zrank, .arity = -3, .flags = ZSET_READ, ZSET_KEY, .syntax = "key member [WITHSCORE]",
     .summary = "How many members come before one, from the lowest score up.", .since = "2.0.0",
     .complexity = "O(log(N))"},
    {.name = "zrevrank", .run = zrevrank, .arity = -3, .flags = ZSET_READ, ZSET_KEY,
     .syntax = "key member [WITHSCORE]", .summary = "How many members come before one, from the highest score down.",
     .since = "2.0.0", .complexity = "O(log(N))"},
    {.name = "zrandmember", .run = zrandmember, .arity = -2, .flags = CMD_READONLY, ZSET_KEY,
     .syntax = "key [count [WITHSCORES]]", .summary = "Random members of a sorted set.", .since = "6.2.0",
     .complexity = "O(N) where N is the count"},
    {.name = "zscan", .run = zscan, .arity = -3, .flags = CMD_READONLY, ZSET_KEY,
     .syntax = "key cursor [MATCH pattern] [COUNT count]",
     .summary = "Some members with their scores, and a cursor to go on with.", .since = "2.8.0",
     .complexity = "O(1) a call, O(N) for a whole iteration"},
};
/* clang-format on */

const struct cmd_family zset_family = CMD_FAMILY("sorted-set", rows);
