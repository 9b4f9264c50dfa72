/* Set commands. The value itself is store/t_set; here are the arguments, the replies, the events, and the algebra.
 *
 * A key is made only once its first member is sure to be added, and deleted with its last one: an empty set is never
 * seen. What a random choice took is journaled as the SREM of what it was. */
#include "cmd/cmd.h"

#include <stdlib.h>

#include "base/mem.h"
#include "cmd/families.h"
#include "cmd/scan.h"
#include "store/t_set.h"

/* The set under a key, NULL when absent; false: it is something else, the error is replied. */
static bool set_read(struct call *c, struct slice key, struct obj **o)
{
    bool wrong;
    *o = db_read_type(c->db, key, OBJ_SET, &wrong);
    if (wrong)
        call_wrong_type(c);
    return !wrong;
}

static bool set_write(struct call *c, struct slice key, struct obj **o)
{
    bool wrong;
    *o = db_write_type(c->db, key, OBJ_SET, &wrong);
    if (wrong)
        call_wrong_type(c);
    return !wrong;
}

/* After members went: the event, and the key with its last member. */
static void removed(struct call *c, struct slice key, const struct obj *o, const char *event)
{
    bool empty = set_len(o) == 0;
    if (empty)
        db_delete(c->db, key);
    db_changed(c->db, key, NOTIFY_SET, event);
    if (empty)
        db_notify(c->db, NOTIFY_GENERIC, "del", key);
}

/* --- members --- */

/* Adds members; answers how many are new.
 *
 * > SADD fruit apple pear apple
 * < (integer) 2
 * > SADD fruit apple plum
 * < (integer) 1
 */
static void sadd(struct call *c)
{
    struct obj *o;
    int64_t fresh = 0;
    if (!set_write(c, c->argv[1], &o))
        return;
    if (!o)
        o = db_add(c->db, c->argv[1], set_new());
    for (int i = 2; i < c->argc; i++)
        fresh += set_add(o, c->argv[i]);
    if (fresh)
        db_changed(c->db, c->argv[1], NOTIFY_SET, "sadd");
    reply_int(c->reply, fresh);
}

/* Removes members; answers how many there were. The key goes with its last member.
 *
 * > SADD s a b
 * < (integer) 2
 * > SREM s a nothing
 * < (integer) 1
 * > SREM s b
 * < (integer) 1
 * > EXISTS s
 * < (integer) 0
 */
static void srem(struct call *c)
{
    struct obj *o;
    int64_t gone = 0;
    if (!set_write(c, c->argv[1], &o))
        return;
    for (int i = 2; o && i < c->argc && set_len(o); i++)
        gone += set_del(o, c->argv[i]);
    if (gone)
        removed(c, c->argv[1], o, "srem");
    reply_int(c->reply, gone);
}

/* Moves a member from one set to another.
 *
 * > SADD from a b
 * < (integer) 2
 * > SMOVE from to a
 * < (integer) 1
 * > SMOVE from to a
 * < (integer) 0
 * > SMEMBERS to
 * < 1) "a"
 */
static void smove(struct call *c)
{
    struct slice from = c->argv[1], to = c->argv[2], member = c->argv[3];
    struct obj *o, *dst;
    bool wrong;
    o = db_write(c->db, from);
    if (!o) {
        reply_int(c->reply, 0);
        return;
    }
    o = db_write_type(c->db, from, OBJ_SET, &wrong);
    if (wrong) {
        call_wrong_type(c);
        return;
    }
    if (!set_write(c, to, &dst))
        return;
    if (o == dst || !set_del(o, member)) {
        reply_int(c->reply, o == dst && set_has(o, member));
        return;
    }
    removed(c, from, o, "srem");
    if (!dst)
        dst = db_add(c->db, to, set_new());
    if (set_add(dst, member))
        db_changed(c->db, to, NOTIFY_SET, "sadd");
    reply_int(c->reply, 1);
}

/* Whether something is a member.
 *
 * > SADD s a
 * < (integer) 1
 * > SISMEMBER s a
 * < (integer) 1
 * > SISMEMBER s b
 * < (integer) 0
 */
static void sismember(struct call *c)
{
    struct obj *o;
    if (set_read(c, c->argv[1], &o))
        reply_int(c->reply, o && set_has(o, c->argv[2]));
}

/* The same of several.
 *
 * > SADD s a
 * < (integer) 1
 * > SMISMEMBER s a b
 * < 1) (integer) 1
 * < 2) (integer) 0
 */
static void smismember(struct call *c)
{
    struct obj *o;
    if (!set_read(c, c->argv[1], &o))
        return;
    reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++)
        reply_int(c->reply, o && set_has(o, c->argv[i]));
}

/* How many members a set has.
 *
 * > SADD s a b c
 * < (integer) 3
 * > SCARD s
 * < (integer) 3
 */
static void scard(struct call *c)
{
    struct obj *o;
    if (set_read(c, c->argv[1], &o))
        reply_int(c->reply, o ? (int64_t)set_len(o) : 0);
}

static void reply_members(struct reply *r, const struct obj *o)
{
    struct set_iter it;
    for (set_iter_begin(&it, o); set_iter_next(&it);)
        reply_bulk(r, it.member);
}

/* All members.
 *
 * > SADD n 3 1 2
 * < (integer) 3
 * > SMEMBERS n
 * < 1) "1"
 * < 2) "2"
 * < 3) "3"
 */
static void smembers(struct call *c)
{
    struct obj *o;
    if (!set_read(c, c->argv[1], &o))
        return;
    reply_set(c->reply, o ? set_len(o) : 0);
    if (o)
        reply_members(c->reply, o);
}

static void scan_one(void *arg, struct slice member)
{
    if (scan_seen(arg, member))
        scan_emit(arg, member);
}

/* Some members, and the cursor to go on with.
 *
 * > SADD s apple pear
 * < (integer) 2
 * > SSCAN s 0 MATCH a*
 * < 1) "0"
 * < 2) 1) "apple"
 */
static void sscan(struct call *c)
{
    struct scan s;
    struct obj *o;
    uint64_t cursor;
    if (!scan_cursor(c, 2, &cursor) || !set_read(c, c->argv[1], &o))
        return;
    if (!o) {
        scan_reply_empty(c);
        return;
    }
    if (!scan_begin(&s, c, 3, false))
        return;
    do
        cursor = set_scan(o, cursor, scan_one, &s);
    while (scan_more(&s, cursor));
    scan_end(&s, cursor);
}

/* A set that is under no key: a sample, the result of an operation. */
static void bare(struct obj *o)
{
    struct value v = set_new();
    *o = (struct obj){.type = OBJ_SET, .enc = v.enc, .v.ptr = v.ptr};
}

static void bare_release(struct obj *o)
{
    value_release(&(struct value){.type = OBJ_SET, .enc = o->enc, .ptr = o->v.ptr});
}

/* --- random members --- */

/* A sample of n different members as a set of its own; n < length. Small samples are drawn again and again, large ones
 * come from one pass that takes each member with the probability that fills the sample exactly (Knuth's algorithm S).
 */
static void sample(struct call *c, const struct obj *o, size_t n, struct obj *out)
{
    struct rng *r = &c->db->store->rng;
    size_t left = set_len(o);
    char tmp[NUM_I64_MAX];
    bare(out);
    if (n < left / 3) {
        while (set_len(out) < n)
            set_add(out, set_random(o, r, tmp));
        return;
    }
    struct set_iter it;
    for (set_iter_begin(&it, o); n && set_iter_next(&it); left--)
        if (rng_below(r, left) < n) {
            set_add(out, it.member);
            n--;
        }
}

static void srem_effect(struct call *c, const struct obj *gone)
{
    enum { BATCH = 1024 };
    struct slice argv[BATCH + 2] = {SLICE("SREM"), c->argv[1]};
    struct buf bytes = {0};
    struct set_iter it;
    size_t ends[BATCH];
    int n = 0;
    bool more = true;
    set_iter_begin(&it, gone);
    while (more) {
        if ((more = set_iter_next(&it))) {
            buf_add(&bytes, it.member.p, it.member.len);
            ends[n++] = bytes.len;
        }
        if (n == 0 || (more && n < BATCH))
            continue;
        for (int i = 0; i < n; i++) {
            size_t from = i ? ends[i - 1] : 0;
            argv[i + 2] = slice_of(bytes.p + from, ends[i] - from);
        }
        call_effect(c, n + 2, argv);
        buf_clear(&bytes);
        n = 0;
    }
    buf_release(&bytes);
}

static void pop_all(struct call *c, struct obj *o)
{
    reply_set(c->reply, set_len(o));
    reply_members(c->reply, o);
    db_delete(c->db, c->argv[1]);
    db_changed(c->db, c->argv[1], NOTIFY_SET, "spop");
    db_notify(c->db, NOTIFY_GENERIC, "del", c->argv[1]);
    call_effect(c, 2, (struct slice[]){SLICE("DEL"), c->argv[1]});
}

static void pop_some(struct call *c, struct obj *o, size_t n)
{
    struct obj out;
    struct set_iter it;
    sample(c, o, n, &out);
    reply_set(c->reply, n);
    for (set_iter_begin(&it, &out); set_iter_next(&it);) {
        reply_bulk(c->reply, it.member);
        set_del(o, it.member);
    }
    removed(c, c->argv[1], o, "spop");
    srem_effect(c, &out);
    bare_release(&out);
}

static void pop_one(struct call *c, struct obj *o)
{
    char tmp[NUM_I64_MAX];
    struct slice s = set_random(o, &c->db->store->rng, tmp);
    char *copy = mem_dup(s.p, s.len); /* the member's own bytes go with it */
    s.p = copy;
    set_del(o, s);
    reply_bulk(c->reply, s);
    removed(c, c->argv[1], o, "spop");
    call_effect(c, 3, (struct slice[]){SLICE("SREM"), c->argv[1], s});
    mem_free(copy);
}

/* Removes a random member, or several, and answers them.
 *
 * > SADD s only
 * < (integer) 1
 * > SPOP s
 * < "only"
 * > SPOP s
 * < (nil)
 * > SPOP s 2
 * < (empty array)
 */
static void spop(struct call *c)
{
    struct obj *o;
    int64_t n = 1;
    if (c->argc > 3) {
        call_syntax(c);
        return;
    }
    if (c->argc == 3 && (!num_to_i64(c->argv[2], &n) || n < 0)) {
        reply_errorf(c->reply, "ERR value is out of range, must be positive");
        return;
    }
    if (!set_write(c, c->argv[1], &o))
        return;
    if (!o && c->argc == 2)
        reply_nil(c->reply);
    else if (c->argc == 2)
        pop_one(c, o);
    else if (!o || n == 0)
        reply_set(c->reply, 0);
    else if ((uint64_t)n >= set_len(o))
        pop_all(c, o);
    else
        pop_some(c, o, (size_t)n);
}

#define RANDOM_MAX ((int64_t)1 << 26) /* more repeats than this in one answer are a mistake, and would be gigabytes */

static void random_many(struct call *c, const struct obj *o, int64_t n)
{
    char tmp[NUM_I64_MAX];
    if (n < 0) {
        reply_array(c->reply, (size_t)-n);
        while (n++)
            reply_bulk(c->reply, set_random(o, &c->db->store->rng, tmp));
    } else if ((uint64_t)n >= set_len(o)) {
        reply_array(c->reply, set_len(o));
        reply_members(c->reply, o);
    } else {
        struct obj out;
        sample(c, o, (size_t)n, &out);
        reply_array(c->reply, (size_t)n);
        reply_members(c->reply, &out);
        bare_release(&out);
    }
}

/* A random member; several different ones; or, with a negative count, that many of which some may repeat.
 *
 * > SADD coin heads
 * < (integer) 1
 * > SRANDMEMBER coin
 * < "heads"
 * > SRANDMEMBER coin 5
 * < 1) "heads"
 * > SRANDMEMBER coin -2
 * < 1) "heads"
 * < 2) "heads"
 */
static void srandmember(struct call *c)
{
    struct obj *o;
    int64_t n = 0;
    char tmp[NUM_I64_MAX];
    if (c->argc > 3) {
        call_syntax(c);
        return;
    }
    if (c->argc == 3 && !call_range(c, 2, -INT64_MAX, INT64_MAX, &n))
        return;
    if (n < -RANDOM_MAX) {
        reply_errorf(c->reply, "ERR value is out of range");
        return;
    }
    if (!set_read(c, c->argv[1], &o))
        return;
    if (c->argc == 3 && (!o || n == 0))
        reply_array(c->reply, 0);
    else if (c->argc == 3)
        random_many(c, o, n);
    else if (o)
        reply_bulk(c->reply, set_random(o, &c->db->store->rng, tmp));
    else
        reply_nil(c->reply);
}

/* --- algebra --- */

/* The sets under n keys, NULL for an absent one; NULL when one is of another type (the error is replied). The caller
 * frees the array. */
static struct obj **read_sets(struct call *c, const struct slice *keys, int n)
{
    struct obj **sets = mem_alloc((size_t)n * sizeof *sets);
    for (int i = 0; i < n; i++)
        if (!set_read(c, keys[i], &sets[i])) {
            mem_free(sets);
            return NULL;
        }
    return sets;
}

static size_t len_or_0(const struct obj *o)
{
    return o ? set_len(o) : 0;
}

static int by_length(const void *a, const void *b)
{
    size_t x = len_or_0(*(struct obj *const *)a), y = len_or_0(*(struct obj *const *)b);
    return x < y ? -1 : x > y;
}

static int by_length_down(const void *a, const void *b)
{
    return by_length(b, a);
}

/* Calls take for every member of all the sets until it answers false. Sorts the array: the smallest set is walked. */
static void intersect(struct obj **sets, int n, bool (*take)(void *arg, struct slice member), void *arg)
{
    struct set_iter it;
    qsort(sets, (size_t)n, sizeof *sets, by_length);
    if (!sets[0])
        return;
    set_iter_begin(&it, sets[0]);
    while (set_iter_next(&it)) {
        int k = 1;
        while (k < n && (sets[k] == sets[0] || set_has(sets[k], it.member)))
            k++;
        if (k == n && !take(arg, it.member))
            break;
    }
}

static bool take_into(void *arg, struct slice member)
{
    set_add(arg, member);
    return true;
}

static void unite(struct obj **sets, int n, struct obj *into)
{
    struct set_iter it;
    for (int k = 0; k < n; k++) {
        if (!sets[k])
            continue;
        for (set_iter_begin(&it, sets[k]); set_iter_next(&it);)
            set_add(into, it.member);
    }
}

/* Looking each member of the first set up in the others, or taking the others' members out of a copy of the first:
 * whichever touches less. */
static void subtract(struct obj **sets, int n, struct obj *into)
{
    struct set_iter it;
    size_t lookups = len_or_0(sets[0]) * (size_t)n / 2, walks = 0;
    for (int k = 0; k < n; k++)
        walks += len_or_0(sets[k]);
    if (!sets[0])
        return;
    for (int k = 1; k < n; k++)
        if (sets[k] == sets[0])
            return;
    qsort(sets + 1, (size_t)n - 1, sizeof *sets, by_length_down);
    for (set_iter_begin(&it, sets[0]); set_iter_next(&it);) {
        int k = 1;
        while (k < n && lookups <= walks && !(sets[k] && set_has(sets[k], it.member)))
            k++;
        if (k == n || lookups > walks)
            set_add(into, it.member);
    }
    for (int k = 1; k < n && lookups > walks; k++) {
        if (!sets[k])
            continue;
        for (set_iter_begin(&it, sets[k]); set_iter_next(&it);)
            set_del(into, it.member);
    }
}

enum algebra { INTER, UNION, DIFF };

/* The result as a set of its own; false: an error is replied. */
static bool compute(struct call *c, enum algebra how, int from, struct obj *out)
{
    int n = c->argc - from;
    struct obj **sets = read_sets(c, c->argv + from, n);
    if (!sets)
        return false;
    bare(out);
    if (how == INTER)
        intersect(sets, n, take_into, out);
    else if (how == UNION)
        unite(sets, n, out);
    else
        subtract(sets, n, out);
    mem_free(sets);
    return true;
}

static void reply_algebra(struct call *c, enum algebra how)
{
    struct obj out;
    if (!compute(c, how, 1, &out))
        return;
    reply_set(c->reply, set_len(&out));
    reply_members(c->reply, &out);
    bare_release(&out);
}

static void store_algebra(struct call *c, enum algebra how, const char *event)
{
    struct obj out;
    struct slice to = c->argv[1];
    if (!compute(c, how, 2, &out))
        return;
    bool was = db_delete(c->db, to);
    size_t n = set_len(&out);
    if (n) {
        db_add(c->db, to, value_container(OBJ_SET, (enum obj_enc)out.enc, out.v.ptr));
        db_changed(c->db, to, NOTIFY_SET, event);
    } else {
        bare_release(&out);
        if (was)
            db_changed(c->db, to, NOTIFY_GENERIC, "del");
    }
    reply_int(c->reply, (int64_t)n);
}

/* What is in all of the sets.
 *
 * > SADD a 1 2 3
 * < (integer) 3
 * > SADD b 2 3 4
 * < (integer) 3
 * > SINTER a b
 * < 1) "2"
 * < 2) "3"
 */
static void sinter(struct call *c)
{
    reply_algebra(c, INTER);
}

/* What is in any of the sets.
 *
 * > SADD a 1 2
 * < (integer) 2
 * > SADD b 2 3
 * < (integer) 2
 * > SUNION a b nothing
 * < 1) "1"
 * < 2) "2"
 * < 3) "3"
 */
static void sunion(struct call *c)
{
    reply_algebra(c, UNION);
}

/* What is in the first set and in none of the others.
 *
 * > SADD a 1 2 3
 * < (integer) 3
 * > SADD b 2
 * < (integer) 1
 * > SDIFF a b
 * < 1) "1"
 * < 2) "3"
 */
static void sdiff(struct call *c)
{
    reply_algebra(c, DIFF);
}

/* The same, kept under a key; answers how many members that has.
 *
 * > SADD a 1 2 3
 * < (integer) 3
 * > SADD b 2 3 4
 * < (integer) 3
 * > SINTERSTORE both a b
 * < (integer) 2
 */
static void sinterstore(struct call *c)
{
    store_algebra(c, INTER, "sinterstore");
}

/* > SADD a 1 2
 * < (integer) 2
 * > SUNIONSTORE all a a
 * < (integer) 2
 */
static void sunionstore(struct call *c)
{
    store_algebra(c, UNION, "sunionstore");
}

/* > SADD a 1 2
 * < (integer) 2
 * > SDIFFSTORE none a a
 * < (integer) 0
 * > EXISTS none
 * < (integer) 0
 */
static void sdiffstore(struct call *c)
{
    store_algebra(c, DIFF, "sdiffstore");
}

struct counter {
    int64_t n, limit; /* limit 0: none */
};

static bool count_one(void *arg, struct slice member)
{
    struct counter *k = arg;
    return ++k->n != k->limit;
}

/* The keys' number in argv[1] and LIMIT behind the keys; false: the error is replied. */
static bool intercard_parse(struct call *c, int64_t *n, int64_t *limit)
{
    if (!num_to_i64(c->argv[1], n) || *n < 1) {
        reply_errorf(c->reply, "ERR numkeys should be greater than 0");
        return false;
    }
    if (*n > c->argc - 2) {
        reply_errorf(c->reply, "ERR Number of keys can't be greater than number of args");
        return false;
    }
    for (int i = (int)*n + 2; i < c->argc; i += 2) {
        if (!slice_is(c->argv[i], "LIMIT") || i + 1 == c->argc) {
            call_syntax(c);
            return false;
        }
        if (!num_to_i64(c->argv[i + 1], limit) || *limit < 0) {
            reply_errorf(c->reply, "ERR LIMIT can't be negative");
            return false;
        }
    }
    return true;
}

/* How many members are in all of the sets; it stops counting at LIMIT.
 *
 * > SADD a 1 2 3
 * < (integer) 3
 * > SADD b 2 3 4
 * < (integer) 3
 * > SINTERCARD 2 a b
 * < (integer) 2
 * > SINTERCARD 2 a b LIMIT 1
 * < (integer) 1
 */
static void sintercard(struct call *c)
{
    struct counter k = {0};
    int64_t n;
    if (!intercard_parse(c, &n, &k.limit))
        return;
    struct obj **sets = read_sets(c, c->argv + 2, (int)n);
    if (!sets)
        return;
    intersect(sets, (int)n, count_one, &k);
    mem_free(sets);
    reply_int(c->reply, k.n);
}

static int intercard_keys(int argc, const struct slice *argv, int *pos)
{
    int64_t n;
    if (argc < 3 || !num_to_i64(argv[1], &n) || n < 1 || n > argc - 2)
        return -1;
    if (n > CMD_MAX_KEYS)
        n = CMD_MAX_KEYS;
    for (int i = 0; i < n; i++)
        pos[i] = i + 2;
    return (int)n;
}

#define ONE_KEY  .first = 1, .last = 1, .step = 1
#define TWO_KEYS .first = 1, .last = 2, .step = 1
#define ALL_KEYS .first = 1, .last = -1, .step = 1
#define READ     (CMD_READONLY | CMD_FAST)
#define WRITE    (CMD_WRITE | CMD_FAST)

/* clang-format off */
static const struct cmd rows[] = {
    {.name = "sadd", .run = sadd, .arity = -3, .flags = WRITE | CMD_DENYOOM, .acl = ACL_SET, ONE_KEY,
     .key_spec = "RW insert", .syntax = "key member...", .summary = "Adds members to a set.", .since = "1.0.0",
     .complexity = "O(N) where N is the number of members"},
    {.name = "srem", .run = srem, .arity = -3, .flags = WRITE, .acl = ACL_SET, ONE_KEY, .key_spec = "RW delete",
     .syntax = "key member...",
     .summary = "Removes members from a set.", .since = "1.0.0", .complexity = "O(N) where N is the number of members"},
    {.name = "smove", .run = smove, .arity = 4, .flags = WRITE, .acl = ACL_SET, TWO_KEYS,
     .key_spec = "RW access delete @1; RW insert @2",
     .syntax = "source destination member", .summary = "Moves a member from one set to another.", .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "sismember", .run = sismember, .arity = 3, .flags = READ, .acl = ACL_SET, ONE_KEY,
     .key_spec = "RO", .syntax = "key member", .summary = "Whether something is a member of a set.", .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "smismember", .run = smismember, .arity = -3, .flags = READ, .acl = ACL_SET, ONE_KEY,
     .syntax = "key member...", .summary = "Whether several things are members of a set.", .since = "6.2.0",
     .complexity = "O(N) where N is the number of members asked for"},
    {.name = "scard", .run = scard, .arity = 2, .flags = READ, .acl = ACL_SET, ONE_KEY, .key_spec = "RO",
     .syntax = "key",
     .summary = "How many members a set has.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "smembers", .run = smembers, .arity = 2, .flags = CMD_READONLY, .acl = ACL_SET, ONE_KEY, .syntax = "key",
     .summary = "All members of a set.", .since = "1.0.0", .complexity = "O(N) where N is the size of the set"},
    {.name = "sscan", .run = sscan, .arity = -3, .flags = CMD_READONLY, .acl = ACL_SET, ONE_KEY,
     .syntax = "key cursor [MATCH pattern] [COUNT count]", .summary = "Some members, and a cursor to go on with.",
     .since = "2.8.0", .complexity = "O(1) a call, O(N) for a whole iteration"},
    {.name = "spop", .run = spop, .arity = -2, .flags = WRITE, .acl = ACL_SET, ONE_KEY, .key_spec = "RW access delete",
     .syntax = "key [count]",
     .summary = "Removes random members and answers them.", .since = "1.0.0",
     .complexity = "O(1), or O(N) where N is the count"},
    {.name = "srandmember", .run = srandmember, .arity = -2, .flags = CMD_READONLY, .acl = ACL_SET, ONE_KEY,
     .syntax = "key [count]", .summary = "Random members of a set.", .since = "1.0.0",
     .complexity = "O(N) where N is the count"},
    {.name = "sinter", .run = sinter, .arity = -2, .flags = CMD_READONLY, .acl = ACL_SET, ALL_KEYS,
     .syntax = "key...", .summary = "What is in all of the sets.", .since = "1.0.0",
     .complexity = "O(N*M) where N is the size of the smallest set and M the number of sets"},
    {.name = "sintercard", .run = sintercard, .arity = -3, .flags = CMD_READONLY | CMD_MOVABLEKEYS, .acl = ACL_SET,
     .keys = intercard_keys, .key_spec = "RO access @1 keynum 0 1 1", .syntax = "numkeys key... [LIMIT limit]",
     .summary = "How many members are in all of the sets.", .since = "7.0.0",
     .complexity = "O(N*M) where N is the size of the smallest set and M the number of sets"},
    {.name = "sinterstore", .run = sinterstore, .arity = -3, .flags = CMD_WRITE | CMD_DENYOOM, .acl = ACL_SET,
     ALL_KEYS, .key_spec = "RW update @1; RO access @2 range -1 1 0",
     .syntax = "destination key...", .summary = "Keeps what is in all of the sets under a key.",
     .since = "1.0.0", .complexity = "O(N*M) where N is the size of the smallest set and M the number of sets"},
    {.name = "sunion", .run = sunion, .arity = -2, .flags = CMD_READONLY, .acl = ACL_SET, ALL_KEYS,
     .syntax = "key...", .summary = "What is in any of the sets.", .since = "1.0.0",
     .complexity = "O(N) where N is the number of members of all the sets"},
    {.name = "sunionstore", .run = sunionstore, .arity = -3, .flags = CMD_WRITE | CMD_DENYOOM, .acl = ACL_SET,
     ALL_KEYS, .key_spec = "OW update @1; RO access @2 range -1 1 0",
     .syntax = "destination key...", .summary = "Keeps what is in any of the sets under a key.",
     .since = "1.0.0", .complexity = "O(N) where N is the number of members of all the sets"},
    {.name = "sdiff", .run = sdiff, .arity = -2, .flags = CMD_READONLY, .acl = ACL_SET, ALL_KEYS, .syntax = "key...",
     .summary = "What is in the first set and in none of the others.", .since = "1.0.0",
     .complexity = "O(N) where N is the number of members of all the sets"},
    {.name = "sdiffstore", .run = sdiffstore, .arity = -3, .flags = CMD_WRITE | CMD_DENYOOM, .acl = ACL_SET,
     ALL_KEYS, .key_spec = "OW update @1; RO access @2 range -1 1 0", .syntax = "destination key...",
     .summary = "Keeps under a key what is in the first set and in none of the others.", .since = "1.0.0",
     .complexity = "O(N) where N is the number of members of all the sets"},
};
/* clang-format on */

const struct cmd_family set_family = CMD_FAMILY("set", rows);
