/* Ranges of sorted sets as commands: by rank, by score, by string; reading, counting, storing, removing.
 *
 * All of them come down to the rank of a first member and a number of members (struct window); ZRANGE and its six older
 * forms are one function with more or less left open. */
#include "cmd/cmd_zset.h"

#include <math.h>
#include <stdlib.h>

#include "cmd/families.h"

enum by { BY_RANK, BY_SCORE, BY_LEX, BY_ANY /* the arguments say */ };

/* --- edges --- */

/* As strtod takes it: no digits at all are 0, as in Redis. */
static bool parse_score_edge(struct slice s, double *v, bool *excluded)
{
    char text[512];
    *excluded = s.len && s.p[0] == '(';
    size_t skip = *excluded;
    if (s.len - skip >= sizeof text)
        return false;
    memcpy(text, s.p + skip, s.len - skip);
    text[s.len - skip] = 0;
    char *end;
    *v = strtod(text, &end);
    return !*end && !isnan(*v);
}

static bool parse_lex_edge(struct slice s, struct slice *edge, signed char *inf, bool *excluded)
{
    *inf = 0;
    *excluded = s.len && s.p[0] == '(';
    if (s.len == 1 && (s.p[0] == '-' || s.p[0] == '+')) {
        *inf = s.p[0] == '-' ? -1 : 1;
        return true;
    }
    if (s.len == 0 || (s.p[0] != '(' && s.p[0] != '['))
        return false;
    *edge = slice_of(s.p + 1, s.len - 1);
    return true;
}

/* The edges at argv[min] and argv[max]; false: the error is replied. */
static bool parse_edges(struct call *c, int min, int max, enum by by, struct zset_range *r)
{
    struct slice lo = c->argv[min], hi = c->argv[max];
    bool ok;
    *r = (struct zset_range){.by = by == BY_LEX ? ZSET_BY_LEX : ZSET_BY_SCORE};
    if (by == BY_LEX)
        ok = parse_lex_edge(lo, &r->lmin, &r->min_inf, &r->min_excluded) &&
             parse_lex_edge(hi, &r->lmax, &r->max_inf, &r->max_excluded);
    else
        ok = parse_score_edge(lo, &r->min, &r->min_excluded) && parse_score_edge(hi, &r->max, &r->max_excluded);
    if (!ok)
        reply_errorf(c->reply,
                     by == BY_LEX ? "ERR min or max not valid string range item" : "ERR min or max is not a float");
    return ok;
}

/* --- what is asked for --- */

struct query {
    enum by by;
    bool back, scores;
    int64_t offset, limit; /* LIMIT; -1: no limit */
    int64_t start, stop;   /* BY_RANK */
    struct zset_range range;
};

struct window {
    size_t first, n; /* rank of the first member to visit; how many */
};

/* Options from argv[i] on. What the command's name leaves open, they may say: by == BY_ANY, `may_reverse`. */
static bool parse_options(struct call *c, int i, bool may_reverse, bool may_score, struct query *q)
{
    bool any = q->by == BY_ANY;
    for (; i < c->argc; i++) {
        struct slice word = c->argv[i];
        if (may_score && slice_is(word, "WITHSCORES")) {
            q->scores = true;
        } else if (slice_is(word, "LIMIT") && i + 2 < c->argc) {
            if (!call_i64(c, i + 1, &q->offset) || !call_i64(c, i + 2, &q->limit))
                return false;
            i += 2;
        } else if (may_reverse && !q->back && slice_is(word, "REV")) {
            q->back = true;
        } else if (any && (slice_is(word, "BYSCORE") || slice_is(word, "BYLEX")) && q->by == BY_ANY) {
            q->by = slice_is(word, "BYLEX") ? BY_LEX : BY_SCORE;
        } else {
            call_syntax(c);
            return false;
        }
    }
    if (q->by == BY_ANY)
        q->by = BY_RANK;
    if (q->limit != -1 && q->by == BY_RANK)
        reply_errorf(c->reply, "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
    else if (q->scores && q->by == BY_LEX)
        reply_errorf(c->reply, "ERR syntax error, WITHSCORES not supported in combination with BYLEX");
    else
        return true;
    return false;
}

/* The key is argv[at], behind it the edges and the options. */
static bool parse_query(struct call *c, int at, bool may_reverse, bool may_score, struct query *q)
{
    q->limit = -1;
    if (!parse_options(c, at + 3, may_reverse, may_score, q))
        return false;
    if (q->by == BY_RANK)
        return call_i64(c, at + 1, &q->start) && call_i64(c, at + 2, &q->stop);
    return parse_edges(c, q->back ? at + 2 : at + 1, q->back ? at + 1 : at + 2, q->by, &q->range);
}

/* Redis's meaning of negative and excessive indexes. */
static struct window ranks(int64_t start, int64_t stop, size_t len)
{
    int64_t n = (int64_t)len;
    if (start < 0)
        start = start + n < 0 ? 0 : start + n;
    if (stop < 0)
        stop += n;
    if (stop >= n)
        stop = n - 1;
    return start > stop ? (struct window){0, 0} : (struct window){(size_t)start, (size_t)(stop - start + 1)};
}

static struct window find_window(const struct obj *o, const struct query *q)
{
    struct window w;
    size_t len = zset_len(o);
    if (q->by == BY_RANK) {
        w = ranks(q->start, q->stop, len);
        if (q->back)
            w.first = len - 1 - w.first;
        return w;
    }
    zset_find_range(o, &q->range, &w.first, &w.n);
    if (q->offset < 0 || (uint64_t)q->offset >= w.n)
        return (struct window){0, 0};
    w.first = q->back ? w.first + w.n - 1 - (size_t)q->offset : w.first + (size_t)q->offset;
    w.n -= (size_t)q->offset;
    if (q->limit >= 0 && (uint64_t)q->limit < w.n)
        w.n = (size_t)q->limit;
    return w;
}

/* --- reading --- */

static void range(struct call *c, struct query q, bool may_reverse)
{
    struct obj *o;
    if (!parse_query(c, 1, may_reverse, true, &q) || !zset_arg_read(c, 1, &o))
        return;
    struct window w = o ? find_window(o, &q) : (struct window){0, 0};
    zset_reply_head(c, w.n, q.scores);
    if (w.n == 0)
        return;
    struct zset_iter it;
    for (zset_iter_begin(&it, o, w.first, q.back); w.n && zset_iter_next(&it); w.n--)
        zset_reply_member(c, it.member, it.score, q.scores);
}

/* The members between two ranks, two scores or two strings, both included unless the edge says `(`.
 *
 * > ZADD z 1 a 2 b 3 c
 * < (integer) 3
 * > ZRANGE z 0 1 WITHSCORES
 * < 1) "a"
 * < 2) "1"
 * < 3) "b"
 * < 4) "2"
 * > ZRANGE z +inf (1 BYSCORE REV LIMIT 1 1
 * < 1) "b"
 * > ZRANGE z [b + BYLEX
 * < 1) "b"
 * < 2) "c"
 */
static void zrange(struct call *c)
{
    range(c, (struct query){.by = BY_ANY}, true);
}

/* The same by rank, from the highest score down.
 *
 * > ZADD z 1 a 2 b 3 c
 * < (integer) 3
 * > ZREVRANGE z 0 1
 * < 1) "c"
 * < 2) "b"
 */
static void zrevrange(struct call *c)
{
    range(c, (struct query){.by = BY_RANK, .back = true}, false);
}

/* The members between two scores.
 *
 * > ZADD z 1 a 2 b 3 c
 * < (integer) 3
 * > ZRANGEBYSCORE z (1 +inf LIMIT 0 1
 * < 1) "b"
 */
static void zrangebyscore(struct call *c)
{
    range(c, (struct query){.by = BY_SCORE}, false);
}

/* The same from the highest score down; the higher edge comes first.
 *
 * > ZADD z 1 a 2 b 3 c
 * < (integer) 3
 * > ZREVRANGEBYSCORE z 3 2
 * < 1) "c"
 * < 2) "b"
 */
static void zrevrangebyscore(struct call *c)
{
    range(c, (struct query){.by = BY_SCORE, .back = true}, false);
}

/* The members between two strings, of a set in which all scores are the same.
 *
 * > ZADD words 0 apple 0 banana 0 cherry
 * < (integer) 3
 * > ZRANGEBYLEX words [b (cherry
 * < 1) "banana"
 * > ZRANGEBYLEX words b c
 * < (error) ERR min or max not valid string range item
 */
static void zrangebylex(struct call *c)
{
    range(c, (struct query){.by = BY_LEX}, false);
}

/* The same backwards; the higher edge comes first.
 *
 * > ZADD words 0 apple 0 banana 0 cherry
 * < (integer) 3
 * > ZREVRANGEBYLEX words + [b
 * < 1) "cherry"
 * < 2) "banana"
 */
static void zrevrangebylex(struct call *c)
{
    range(c, (struct query){.by = BY_LEX, .back = true}, false);
}

/* Keeps what ZRANGE gives as a new sorted set; answers how many members it has.
 *
 * > ZADD z 1 a 2 b 3 c
 * < (integer) 3
 * > ZRANGESTORE top z 1 -1
 * < (integer) 2
 * > ZRANGE top 0 -1
 * < 1) "b"
 * < 2) "c"
 */
static void zrangestore(struct call *c)
{
    struct obj *o;
    struct query q = {.by = BY_ANY};
    if (!parse_query(c, 2, true, false, &q) || !zset_arg_read(c, 2, &o))
        return;
    struct obj result;
    zset_result(&result);
    struct window w = o ? find_window(o, &q) : (struct window){0, 0};
    struct zset_iter it;
    if (w.n)
        for (zset_iter_begin(&it, o, w.first, q.back); w.n && zset_iter_next(&it); w.n--)
            zset_set(&result, it.member, it.score);
    zset_store(c, c->argv[1], &result, "zrangestore");
}

/* --- counting and removing --- */

static void count(struct call *c, enum by by)
{
    struct obj *o;
    struct zset_range r;
    size_t start, n = 0;
    if (!parse_edges(c, 2, 3, by, &r) || !zset_arg_read(c, 1, &o))
        return;
    if (o)
        zset_find_range(o, &r, &start, &n);
    reply_int(c->reply, (int64_t)n);
}

/* How many members have a score in a range.
 *
 * > ZADD z 1 a 2 b 3 c
 * < (integer) 3
 * > ZCOUNT z (1 3
 * < (integer) 2
 * > ZCOUNT z x 3
 * < (error) ERR min or max is not a float
 */
static void zcount(struct call *c)
{
    count(c, BY_SCORE);
}

/* How many members lie between two strings.
 *
 * > ZADD words 0 apple 0 banana 0 cherry
 * < (integer) 3
 * > ZLEXCOUNT words - (cherry
 * < (integer) 2
 */
static void zlexcount(struct call *c)
{
    count(c, BY_LEX);
}

static void remove_range(struct call *c, enum by by, const char *event)
{
    struct obj *o;
    struct query q = {.by = by};
    struct window w = {0, 0};
    if (by == BY_RANK && (!call_i64(c, 2, &q.start) || !call_i64(c, 3, &q.stop)))
        return;
    if (by != BY_RANK && !parse_edges(c, 2, 3, by, &q.range))
        return;
    if (!zset_arg_write(c, 1, &o))
        return;
    if (o && by == BY_RANK)
        w = ranks(q.start, q.stop, zset_len(o));
    else if (o)
        zset_find_range(o, &q.range, &w.first, &w.n);
    if (w.n) {
        zset_delete_range(o, w.first, w.n);
        zset_removed(c, c->argv[1], o, event);
    }
    reply_int(c->reply, (int64_t)w.n);
}

/* Removes the members between two ranks; answers how many there were.
 *
 * > ZADD z 1 a 2 b 3 c
 * < (integer) 3
 * > ZREMRANGEBYRANK z 0 -2
 * < (integer) 2
 * > ZRANGE z 0 -1
 * < 1) "c"
 */
static void zremrangebyrank(struct call *c)
{
    remove_range(c, BY_RANK, "zremrangebyrank");
}

/* Removes the members between two scores.
 *
 * > ZADD z 1 a 2 b 3 c
 * < (integer) 3
 * > ZREMRANGEBYSCORE z -inf (3
 * < (integer) 2
 */
static void zremrangebyscore(struct call *c)
{
    remove_range(c, BY_SCORE, "zremrangebyscore");
}

/* Removes the members between two strings.
 *
 * > ZADD words 0 apple 0 banana 0 cherry
 * < (integer) 3
 * > ZREMRANGEBYLEX words [b +
 * < (integer) 2
 */
static void zremrangebylex(struct call *c)
{
    remove_range(c, BY_LEX, "zremrangebylex");
}

/* clang-format off */
#define RANGE_COST "O(log(N)+M) where N is the size and M the number of members given back"
static const struct cmd rows[] = {
    {.name = "zrange", .run = zrange, .arity = -4, .flags = CMD_READONLY, ZSET_KEY,
     .syntax = "key start:str stop:str [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
     .summary = "The members between two ranks, scores or strings.", .since = "1.2.0", .complexity = RANGE_COST},
    {.name = "zrevrange", .run = zrevrange, .arity = -4, .flags = CMD_READONLY, ZSET_KEY,
     .syntax = "key start stop [WITHSCORES]", .deprecated = "6.2.0 `ZRANGE` with `REV`",
     .summary = "The members between two ranks, highest scores first.",
     .since = "1.2.0", .complexity = RANGE_COST},
    {.name = "zrangebyscore", .run = zrangebyscore, .arity = -4, .flags = CMD_READONLY, ZSET_KEY,
     .syntax = "key min:double max:double [WITHSCORES] [LIMIT offset count]",
     .deprecated = "6.2.0 `ZRANGE` with `BYSCORE`", .summary = "The members between two scores.", .since = "1.0.5", .complexity = RANGE_COST},
    {.name = "zrevrangebyscore", .run = zrevrangebyscore, .arity = -4, .flags = CMD_READONLY, ZSET_KEY,
     .syntax = "key max:double min:double [WITHSCORES] [LIMIT offset count]",
     .deprecated = "6.2.0 `ZRANGE` with `REV` and `BYSCORE`",
     .summary = "The members between two scores, highest first.", .since = "2.2.0", .complexity = RANGE_COST},
    {.name = "zrangebylex", .run = zrangebylex, .arity = -4, .flags = CMD_READONLY, ZSET_KEY,
     .syntax = "key min max [LIMIT offset count]",
     .deprecated = "6.2.0 `ZRANGE` with `BYLEX`",
     .summary = "The members between two strings, where all scores are the same.", .since = "2.8.9",
     .complexity = RANGE_COST},
    {.name = "zrevrangebylex", .run = zrevrangebylex, .arity = -4, .flags = CMD_READONLY, ZSET_KEY,
     .syntax = "key max min [LIMIT offset count]",
     .deprecated = "6.2.0 `ZRANGE` with `REV` and `BYLEX`",
     .summary = "The members between two strings, backwards, where all scores are the same.", .since = "2.8.9",
     .complexity = RANGE_COST},
    {.name = "zrangestore", .run = zrangestore, .arity = -5, .flags = ZSET_GROW, .acl = ACL_SORTEDSET, .first = 1,
     .last = 2, .step = 1, .key_spec = "OW update @1; RO access @2",
     .syntax = "dst:key src:key min max [BYSCORE|BYLEX] [REV] [LIMIT offset count]",
     .summary = "Keeps a range of a sorted set under another key.", .since = "6.2.0",
     .complexity = "O(log(N)+M) where N is the size and M the number of members kept"},
    {.name = "zcount", .run = zcount, .arity = 4, .flags = ZSET_READ, ZSET_KEY, .syntax = "key min:double max:double",
     .summary = "How many members have a score in a range.", .since = "2.0.0", .complexity = "O(log(N))"},
    {.name = "zlexcount", .run = zlexcount, .arity = 4, .flags = ZSET_READ, ZSET_KEY, .syntax = "key min max",
     .summary = "How many members lie between two strings, where all scores are the same.", .since = "2.8.9",
     .complexity = "O(log(N))"},
    {.name = "zremrangebyrank", .run = zremrangebyrank, .arity = 4, .flags = CMD_WRITE, ZSET_KEY,
     .key_spec = "RW delete",
     .syntax = "key start stop", .summary = "Removes the members between two ranks.", .since = "2.0.0",
     .complexity = "O(log(N)+M) where N is the size and M the number of members removed"},
    {.name = "zremrangebyscore", .run = zremrangebyscore, .arity = 4, .flags = CMD_WRITE, ZSET_KEY,
     .key_spec = "RW delete",
     .syntax = "key min:double max:double", .summary = "Removes the members between two scores.", .since = "1.2.0",
     .complexity = "O(log(N)+M) where N is the size and M the number of members removed"},
    {.name = "zremrangebylex", .run = zremrangebylex, .arity = 4, .flags = CMD_WRITE, ZSET_KEY,
     .key_spec = "RW delete",
     .syntax = "key min max", .summary = "Removes the members between two strings, where all scores are the same.",
     .since = "2.8.9", .complexity = "O(log(N)+M) where N is the size and M the number of members removed"},
};
/* clang-format on */

const struct cmd_family zset_range_family = CMD_FAMILY("sorted-set", rows);
