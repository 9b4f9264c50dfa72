/* Several sorted sets at once: union, intersection, difference; replied, stored, or only counted.
 *
 * A source is a sorted set, or a set, whose members then have the score 1. */
#include "cmd/cmd_zset.h"

#include <math.h>

#include "base/mem.h"
#include "cmd/families.h"
#include "store/t_set.h"

/* --- sources --- */

struct source {
    struct obj *o; /* NULL: no such key, an empty set */
    double weight;
    size_t len;
};

static bool source_open(struct call *c, int key, struct source *s)
{
    *s = (struct source){.o = db_read(c->db, c->argv[key]), .weight = 1};
    if (!s->o)
        return true;
    if (s->o->type != OBJ_ZSET && s->o->type != OBJ_SET) {
        call_wrong_type(c);
        return false;
    }
    s->len = s->o->type == OBJ_SET ? set_len(s->o) : zset_len(s->o);
    return true;
}

/* Infinity times nothing counts as nothing. */
static double weighted(const struct source *s, double score)
{
    double v = s->weight * score;
    return isnan(v) ? 0 : v;
}

static bool source_find(const struct source *s, struct slice member, double *score)
{
    *score = 1;
    if (!s->o)
        return false;
    return s->o->type == OBJ_SET ? set_has(s->o, member) : zset_score(s->o, member, score);
}

/* for (source_begin(&it, s); source_next(&it);) ... */
struct source_iter {
    struct slice member;
    double score;
    const struct source *s;
    union {
        struct zset_iter zset;
        struct set_iter set;
    } of;
};

static bool is_set(const struct source *s)
{
    return s->o && s->o->type == OBJ_SET;
}

static void source_begin(struct source_iter *it, const struct source *s)
{
    it->s = s;
    if (is_set(s))
        set_iter_begin(&it->of.set, s->o);
    else if (s->o)
        zset_iter_begin(&it->of.zset, s->o, 0, false);
}

static bool source_next(struct source_iter *it)
{
    if (!it->s->o)
        return false;
    if (is_set(it->s)) {
        it->score = 1;
        if (!set_iter_next(&it->of.set))
            return false;
        it->member = it->of.set.member;
        return true;
    }
    if (!zset_iter_next(&it->of.zset))
        return false;
    it->member = it->of.zset.member;
    it->score = it->of.zset.score;
    return true;
}

/* --- what is asked for --- */

enum op { UNION, INTER, DIFF };

struct query {
    enum op op;
    bool store, count_only; /* what the command is */
    enum { SUM, MIN, MAX } aggregate;
    bool scores;
    int64_t limit; /* of the count; 0: none */
    struct source *source;
    int n;
};

static bool parse_weights(struct call *c, int i, struct query *q)
{
    for (int k = 0; k < q->n; k++)
        if (!num_to_double(c->argv[i + k], &q->source[k].weight)) {
            reply_errorf(c->reply, "ERR weight value is not a float");
            return false;
        }
    return true;
}

static bool parse_aggregate(struct call *c, int i, struct query *q)
{
    static const char *const words[] = {[SUM] = "SUM", [MIN] = "MIN", [MAX] = "MAX"};
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (slice_is(c->argv[i], words[k])) {
            q->aggregate = k;
            return true;
        }
    call_syntax(c);
    return false;
}

/* One option at argv[*i], moved behind it. */
static bool parse_option(struct call *c, int *i, struct query *q)
{
    struct slice word = c->argv[(*i)++];
    int left = c->argc - *i;
    bool sums = q->op != DIFF && !q->count_only;
    if (sums && left >= q->n && slice_is(word, "WEIGHTS")) {
        *i += q->n;
        return parse_weights(c, *i - q->n, q);
    }
    if (sums && left >= 1 && slice_is(word, "AGGREGATE"))
        return parse_aggregate(c, (*i)++, q);
    if (!q->store && !q->count_only && slice_is(word, "WITHSCORES"))
        return q->scores = true;
    if (q->count_only && left >= 1 && slice_is(word, "LIMIT")) {
        if (num_to_i64(c->argv[(*i)++], &q->limit) && q->limit >= 0)
            return true;
        reply_errorf(c->reply, "ERR LIMIT can't be negative");
        return false;
    }
    call_syntax(c);
    return false;
}

/* numkeys is argv[at]. On true q->source is the caller's to free; false: the error is replied. */
static bool parse_query(struct call *c, int at, struct query *q)
{
    int64_t n;
    if (!call_i64(c, at, &n))
        return false;
    if (n < 1) {
        reply_errorf(c->reply, "ERR at least 1 input key is needed for '%s' command", c->cmd->name);
        return false;
    }
    if (n > c->argc - at - 1) {
        call_syntax(c);
        return false;
    }
    q->n = (int)n;
    q->source = mem_alloc((size_t)n * sizeof *q->source);
    bool ok = true;
    for (int k = 0; k < q->n && ok; k++)
        ok = source_open(c, at + 1 + k, &q->source[k]);
    for (int i = at + 1 + q->n; ok && i < c->argc;)
        ok = parse_option(c, &i, q);
    if (!ok)
        mem_free(q->source);
    return ok;
}

/* The smallest first: scores are added in this order, as Redis adds them; of an intersection it bounds the work, and a
 * member that one of the others lacks is soon found. */
static void sort_by_size(struct query *q)
{
    for (int k = 1; k < q->n; k++) {
        struct source s = q->source[k];
        int at = k;
        for (; at > 0 && q->source[at - 1].len > s.len; at--)
            q->source[at] = q->source[at - 1];
        q->source[at] = s;
    }
}

/* --- union --- */

struct sum { /* a member with what its scores have come to */
    double score;
    size_t len;
    char member[];
};

static struct slice sum_key(const void *entry)
{
    const struct sum *s = entry;
    return slice_of(s->member, s->len);
}

static const struct dict_type sums_type = {.key = sum_key, .free = mem_free};

static double aggregate(const struct query *q, double a, double b)
{
    if (q->aggregate == MIN)
        return a < b ? a : b;
    if (q->aggregate == MAX)
        return a > b ? a : b;
    return isnan(a + b) ? 0 : a + b; /* +inf and -inf */
}

static void sum_add(struct dict *sums, const struct query *q, struct slice member, double score)
{
    struct sum *s = dict_find(sums, member);
    if (s) {
        s->score = aggregate(q, s->score, score);
        return;
    }
    s = mem_alloc(sizeof *s + member.len);
    s->score = score;
    s->len = member.len;
    if (member.len)
        memcpy(s->member, member.p, member.len);
    dict_add(sums, s);
}

static void make_union(struct query *q, struct obj *result)
{
    struct dict sums;
    struct dict_iter di;
    const struct sum *s;
    sort_by_size(q);
    dict_init(&sums, &sums_type);
    for (int k = 0; k < q->n; k++) {
        struct source_iter it;
        for (source_begin(&it, &q->source[k]); source_next(&it);)
            sum_add(&sums, q, it.member, weighted(&q->source[k], it.score));
    }
    for (dict_iter_begin(&di, &sums); (s = dict_iter_next(&di));)
        zset_set(result, sum_key(s), s->score);
    dict_iter_end(&di);
    dict_release(&sums);
}

/* --- intersection and difference --- */

/* Whether all sources but the first have it; score is brought together with theirs. */
static bool in_all(const struct query *q, struct slice member, double *score)
{
    for (int k = 1; k < q->n; k++) {
        double other;
        if (!source_find(&q->source[k], member, &other))
            return false;
        *score = aggregate(q, *score, weighted(&q->source[k], other));
    }
    return true;
}

static bool in_another(const struct query *q, struct slice member)
{
    double score;
    for (int k = 1; k < q->n; k++)
        if (source_find(&q->source[k], member, &score))
            return true;
    return false;
}

static void make_inter(struct query *q, struct obj *result)
{
    struct source_iter it;
    sort_by_size(q);
    for (source_begin(&it, q->source); source_next(&it);) {
        double score = weighted(q->source, it.score);
        if (in_all(q, it.member, &score))
            zset_set(result, it.member, score);
    }
}

static void make_diff(const struct query *q, struct obj *result)
{
    struct source_iter it;
    for (source_begin(&it, q->source); source_next(&it);)
        if (!in_another(q, it.member))
            zset_set(result, it.member, it.score);
}

static int64_t count_inter(struct query *q)
{
    struct source_iter it;
    int64_t n = 0;
    sort_by_size(q);
    for (source_begin(&it, q->source); source_next(&it);) {
        double score = 0;
        if (in_all(q, it.member, &score) && ++n == q->limit)
            break;
    }
    return n;
}

/* --- commands --- */

static void reply_members(struct call *c, const struct obj *result, bool scores)
{
    struct zset_iter it;
    zset_reply_head(c, zset_len(result), scores);
    if (zset_len(result))
        for (zset_iter_begin(&it, result, 0, false); zset_iter_next(&it);)
            zset_reply_member(c, it.member, it.score, scores);
}

static void combine(struct call *c, enum op op, bool store)
{
    static const char *const events[] = {"zunionstore", "zinterstore", "zdiffstore"};
    struct query q = {.op = op, .store = store};
    if (!parse_query(c, store ? 2 : 1, &q))
        return;
    struct obj result;
    zset_result(&result);
    if (op == UNION)
        make_union(&q, &result);
    else if (op == INTER)
        make_inter(&q, &result);
    else
        make_diff(&q, &result);
    mem_free(q.source);
    if (store) {
        zset_store(c, c->argv[1], &result, events[op]);
        return;
    }
    reply_members(c, &result, q.scores);
    struct value v = value_container(OBJ_ZSET, (enum obj_enc)result.enc, result.v.ptr);
    value_release(&v);
}

/* All members of several sorted sets, their scores added up or brought together otherwise.
 *
 * > ZADD a 1 x 2 y
 * < (integer) 2
 * > ZADD b 10 y
 * < (integer) 1
 * > ZUNION 2 a b WITHSCORES
 * < 1) "x"
 * < 2) "1"
 * < 3) "y"
 * < 4) "12"
 * > ZUNION 2 a b WEIGHTS 2 1 AGGREGATE MAX WITHSCORES
 * < 1) "x"
 * < 2) "2"
 * < 3) "y"
 * < 4) "10"
 */
static void zunion(struct call *c)
{
    combine(c, UNION, false);
}

/* The members that all of several sorted sets have.
 *
 * > ZADD a 1 x 2 y
 * < (integer) 2
 * > ZADD b 10 y
 * < (integer) 1
 * > ZINTER 2 a b WITHSCORES
 * < 1) "y"
 * < 2) "12"
 */
static void zinter(struct call *c)
{
    combine(c, INTER, false);
}

/* The members of the first sorted set that no other has.
 *
 * > ZADD a 1 x 2 y
 * < (integer) 2
 * > ZADD b 10 y
 * < (integer) 1
 * > ZDIFF 2 a b
 * < 1) "x"
 */
static void zdiff(struct call *c)
{
    combine(c, DIFF, false);
}

/* Keeps what ZUNION gives; answers how many members that are.
 *
 * > ZADD a 1 x 2 y
 * < (integer) 2
 * > ZUNIONSTORE both 2 a nothing WEIGHTS 3 1
 * < (integer) 2
 * > ZSCORE both y
 * < "6"
 */
static void zunionstore(struct call *c)
{
    combine(c, UNION, true);
}

/* Keeps what ZINTER gives; a key that would be empty is deleted.
 *
 * > ZADD a 1 x 2 y
 * < (integer) 2
 * > ZINTERSTORE a 2 a nothing
 * < (integer) 0
 * > EXISTS a
 * < (integer) 0
 */
static void zinterstore(struct call *c)
{
    combine(c, INTER, true);
}

/* Keeps what ZDIFF gives.
 *
 * > ZADD a 1 x 2 y
 * < (integer) 2
 * > ZADD b 10 y
 * < (integer) 1
 * > ZDIFFSTORE rest 2 a b
 * < (integer) 1
 */
static void zdiffstore(struct call *c)
{
    combine(c, DIFF, true);
}

/* How many members ZINTER would give, counted up to a limit.
 *
 * > ZADD a 1 x 2 y 3 z
 * < (integer) 3
 * > ZADD b 1 x 2 y
 * < (integer) 2
 * > ZINTERCARD 2 a b
 * < (integer) 2
 * > ZINTERCARD 2 a b LIMIT 1
 * < (integer) 1
 */
static void zintercard(struct call *c)
{
    struct query q = {.op = INTER, .count_only = true};
    if (!parse_query(c, 1, &q))
        return;
    reply_int(c->reply, count_inter(&q));
    mem_free(q.source);
}

static int read_keys(int argc, const struct slice *argv, int *pos)
{
    return zset_numkeys_keys(argc, argv, 1, pos, CMD_MAX_KEYS);
}

static int store_keys(int argc, const struct slice *argv, int *pos)
{
    int n = zset_numkeys_keys(argc, argv, 2, pos + 1, CMD_MAX_KEYS - 1);
    if (n < 0)
        return -1;
    pos[0] = 1;
    return n + 1;
}

#define STORES (ZSET_GROW | CMD_MOVABLEKEYS)
#define READS  (CMD_READONLY | CMD_MOVABLEKEYS)

/* clang-format off */
#define UNION_COST "O(N)+O(M*log(M)) where N is the size of all sets together and M that of the result"
#define INTER_COST "O(N*K)+O(M*log(M)) where N is the size of the smallest of K sets and M that of the result"
#define DIFF_COST "O(N*K)+O(M*log(M)) where N is the size of the first of K sets and M that of the result"
static const struct cmd rows[] = {
    {.name = "zunion", .run = zunion, .arity = -3, .flags = READS, .acl = ACL_SORTEDSET, .keys = read_keys,
     .key_spec = "RO access @1 keynum 0 1 1",
     .syntax = "numkeys key... [WEIGHTS weight...] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]",
     .summary = "All members of several sorted sets.", .since = "6.2.0", .complexity = UNION_COST},
    {.name = "zinter", .run = zinter, .arity = -3, .flags = READS, .acl = ACL_SORTEDSET, .keys = read_keys,
     .key_spec = "RO access @1 keynum 0 1 1",
     .syntax = "numkeys key... [WEIGHTS weight...] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]",
     .summary = "The members that all of several sorted sets have.", .since = "6.2.0", .complexity = INTER_COST},
    {.name = "zdiff", .run = zdiff, .arity = -3, .flags = READS, .acl = ACL_SORTEDSET, .keys = read_keys,
     .key_spec = "RO access @1 keynum 0 1 1",
     .syntax = "numkeys key... [WITHSCORES]", .summary = "The members of the first sorted set that no other has.",
     .since = "6.2.0", .complexity = DIFF_COST},
    {.name = "zunionstore", .run = zunionstore, .arity = -4, .flags = STORES, ZSET_KEY, .keys = store_keys,
     .key_spec = "OW update @1; RO access @2 keynum 0 1 1",
     .syntax = "destination numkeys key... [WEIGHTS weight...] [AGGREGATE (SUM|MIN|MAX)]",
     .summary = "Keeps all members of several sorted sets under another key.", .since = "2.0.0",
     .complexity = UNION_COST},
    {.name = "zinterstore", .run = zinterstore, .arity = -4, .flags = STORES, ZSET_KEY, .keys = store_keys,
     .key_spec = "OW update @1; RO access @2 keynum 0 1 1",
     .syntax = "destination numkeys key... [WEIGHTS weight...] [AGGREGATE (SUM|MIN|MAX)]",
     .summary = "Keeps the members that all of several sorted sets have under another key.", .since = "2.0.0",
     .complexity = INTER_COST},
    {.name = "zdiffstore", .run = zdiffstore, .arity = -4, .flags = STORES, ZSET_KEY, .keys = store_keys,
     .key_spec = "OW update @1; RO access @2 keynum 0 1 1", .syntax = "destination numkeys key...",
     .summary = "Keeps the members of the first sorted set that no other has under another key.", .since = "6.2.0",
     .complexity = DIFF_COST},
    {.name = "zintercard", .run = zintercard, .arity = -3, .flags = READS, .acl = ACL_SORTEDSET, .keys = read_keys,
     .key_spec = "RO access @1 keynum 0 1 1",
     .syntax = "numkeys key... [LIMIT limit]", .summary = "How many members all of several sorted sets have.",
     .since = "7.0.0", .complexity = "O(N*K) where N is the size of the smallest of K sets"},
};
/* clang-format on */

const struct cmd_family zset_ops_family = CMD_FAMILY("sorted-set", rows);
