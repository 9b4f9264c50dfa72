/* Lists as commands.
 *
 * The blocking ones are their plain twins tried again: each has a function that serves the call if it can, used by the
 * handler at once and by the keyspace's wake-ups later. What is journaled is always the twin that does not block, with
 * what it really took. */
#include <stdint.h>

#include "cmd/cmd.h"
#include "store/t_list.h"

/* ---- helpers ---- */

static struct obj *read_list(struct call *c, int key, bool *wrong)
{
    struct obj *o = db_read_type(c->db, call_arg(c, key), OBJ_LIST, wrong);
    if (*wrong)
        call_wrong_type(c);
    return o;
}

static struct obj *write_list(struct call *c, int key, bool *wrong)
{
    struct obj *o = db_write_type(c->db, call_arg(c, key), OBJ_LIST, wrong);
    if (*wrong)
        call_wrong_type(c);
    return o;
}

/* After elements were taken from o: an empty list goes. */
static void removed(struct call *c, struct slice key, struct obj *o, const char *event)
{
    bool empty = list_len(o) == 0;
    db_changed(c->db, key, NOTIFY_LIST, event);
    if (empty) {
        db_delete(c->db, key);
        db_notify(c->db, NOTIFY_GENERIC, "del", key);
    }
}

static const char *pop_event(bool head)
{
    return head ? "lpop" : "rpop";
}

static bool parse_end(struct slice s, bool *head)
{
    *head = slice_is(s, "left");
    return *head || slice_is(s, "right");
}

static void reply_elements(struct call *c, const struct obj *o, int64_t from, size_t n, bool back)
{
    struct list_iter it;
    reply_array(c->reply, n);
    for (list_iter_begin(&it, o, from, back); n > 0 && list_iter_next(&it); n--)
        reply_bulk(c->reply, it.value);
}

/* Replies with up to n elements as an array and takes them away. Returns how many. */
static size_t pop_many(struct call *c, struct slice key, struct obj *o, bool head, size_t n)
{
    size_t len = list_len(o);
    if (n > len)
        n = len;
    reply_elements(c, o, head ? 0 : -1, n, !head);
    if (n == 0)
        return 0;
    list_delete(o, head ? 0 : len - n, n);
    removed(c, key, o, pop_event(head));
    return n;
}

/* Replies with the element at one end and takes it away. */
static void pop_one(struct call *c, struct slice key, struct obj *o, bool head)
{
    char tmp[NUM_I64_MAX];
    reply_bulk(c->reply, list_end(o, head, tmp));
    list_delete(o, head ? 0 : list_len(o) - 1, 1);
    removed(c, key, o, pop_event(head));
}

/* ---- adding ---- */

static void push(struct call *c, bool head, bool only_existing)
{
    bool wrong;
    struct slice key = call_arg(c, 1);
    struct obj *o = write_list(c, 1, &wrong);
    if (wrong)
        return;
    if (!o && only_existing) {
        reply_int(c->reply, 0);
        return;
    }
    if (!o)
        o = db_add(c->db, key, list_new());
    list_push(o, head, c->argv + 2, c->argc - 2);
    reply_int(c->reply, (int64_t)list_len(o));
    db_changed(c->db, key, NOTIFY_LIST, head ? "lpush" : "rpush");
}

/* > LPUSH colours red green
 * < (integer) 2
 * > LRANGE colours 0 -1
 * < 1) "green"
 * < 2) "red"
 */
static void lpush(struct call *c)
{
    push(c, true, false);
}

/* > RPUSH queue first second
 * < (integer) 2
 * > LPOP queue
 * < "first"
 */
static void rpush(struct call *c)
{
    push(c, false, false);
}

/* > LPUSHX nothing a
 * < (integer) 0
 * > EXISTS nothing
 * < (integer) 0
 */
static void lpushx(struct call *c)
{
    push(c, true, true);
}

/* > RPUSH l a
 * < (integer) 1
 * > RPUSHX l b
 * < (integer) 2
 */
static void rpushx(struct call *c)
{
    push(c, false, true);
}

/* > RPUSH l a c
 * < (integer) 2
 * > LINSERT l BEFORE c b
 * < (integer) 3
 * > LINSERT l AFTER nobody x
 * < (integer) -1
 */
static void linsert(struct call *c)
{
    bool wrong, before = slice_is(call_arg(c, 2), "before");
    if (!before && !slice_is(call_arg(c, 2), "after")) {
        call_syntax(c);
        return;
    }
    struct obj *o = write_list(c, 1, &wrong);
    if (wrong)
        return;
    if (!o) {
        reply_int(c->reply, 0);
    } else if (!list_insert(o, call_arg(c, 3), before, call_arg(c, 4))) {
        reply_int(c->reply, -1);
    } else {
        reply_int(c->reply, (int64_t)list_len(o));
        db_changed(c->db, call_arg(c, 1), NOTIFY_LIST, "linsert");
    }
}

/* > RPUSH l a b
 * < (integer) 2
 * > LSET l -1 z
 * < OK
 * > LSET l 9 z
 * < (error) ERR index out of range
 */
static void lset(struct call *c)
{
    bool wrong;
    int64_t index;
    struct obj *o = write_list(c, 1, &wrong);
    if (wrong)
        return;
    if (!o) {
        reply_errorf(c->reply, "ERR no such key");
        return;
    }
    if (!call_i64(c, 2, &index))
        return;
    if (!list_set(o, index, call_arg(c, 3))) {
        reply_errorf(c->reply, "ERR index out of range");
        return;
    }
    reply_ok(c->reply);
    db_changed(c->db, call_arg(c, 1), NOTIFY_LIST, "lset");
}

/* ---- reading ---- */

/* > RPUSH l a b c
 * < (integer) 3
 * > LLEN l
 * < (integer) 3
 */
static void llen(struct call *c)
{
    bool wrong;
    struct obj *o = read_list(c, 1, &wrong);
    if (!wrong)
        reply_int(c->reply, o ? (int64_t)list_len(o) : 0);
}

/* > RPUSH l a b c
 * < (integer) 3
 * > LINDEX l -1
 * < "c"
 * > LINDEX l 3
 * < (nil)
 */
static void lindex(struct call *c)
{
    bool wrong;
    int64_t index;
    char tmp[NUM_I64_MAX];
    struct slice s;
    struct obj *o = read_list(c, 1, &wrong);
    if (wrong)
        return;
    if (!o) {
        reply_nil(c->reply);
        return;
    }
    if (!call_i64(c, 2, &index))
        return;
    if (list_get(o, index, &s, tmp))
        reply_bulk(c->reply, s);
    else
        reply_nil(c->reply);
}

/* A range with Redis's meaning of negative and excessive indexes; returns how many elements it covers. */
static size_t clamp_range(int64_t *start, int64_t stop, int64_t len)
{
    if (*start < 0)
        *start = *start + len < 0 ? 0 : *start + len;
    if (stop < 0)
        stop += len;
    if (stop >= len)
        stop = len - 1;
    return *start > stop ? 0 : (size_t)(stop - *start + 1);
}

/* > RPUSH l a b c d
 * < (integer) 4
 * > LRANGE l 1 -2
 * < 1) "b"
 * < 2) "c"
 */
static void lrange(struct call *c)
{
    bool wrong;
    int64_t start, stop;
    if (!call_i64(c, 2, &start) || !call_i64(c, 3, &stop))
        return;
    struct obj *o = read_list(c, 1, &wrong);
    if (wrong)
        return;
    size_t n = o ? clamp_range(&start, stop, (int64_t)list_len(o)) : 0;
    if (n)
        reply_elements(c, o, start, n, false);
    else
        reply_array(c->reply, 0);
}

struct lpos {
    int64_t rank, count, maxlen;
    bool many;
};

static bool lpos_option(struct call *c, int i, struct lpos *p)
{
    if (slice_is(call_arg(c, i), "rank")) {
        if (!call_range(c, i + 1, -INT64_MAX, INT64_MAX, &p->rank))
            return false;
        if (p->rank == 0)
            reply_errorf(c->reply, "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
                                   "or use negative to start from the end of the list");
        return p->rank != 0;
    }
    bool count = slice_is(call_arg(c, i), "count");
    if (!count && !slice_is(call_arg(c, i), "maxlen")) {
        call_syntax(c);
        return false;
    }
    int64_t *to = count ? &p->count : &p->maxlen;
    p->many |= count;
    if (num_to_i64(call_arg(c, i + 1), to) && *to >= 0)
        return true;
    reply_errorf(c->reply, "ERR %s can't be negative", count ? "COUNT" : "MAXLEN");
    return false;
}

static void lpos_search(struct call *c, const struct obj *o, const struct lpos *p)
{
    struct list_iter it;
    bool back = p->rank < 0;
    int64_t len = (int64_t)list_len(o), rank = back ? -p->rank : p->rank, seen = 0, found = 0;
    size_t place = p->many ? reply_defer(c->reply) : 0;
    list_iter_begin(&it, o, back ? -1 : 0, back);
    for (; (p->maxlen == 0 || seen < p->maxlen) && list_iter_next(&it); seen++) {
        if (!slice_eq(it.value, call_arg(c, 2)) || --rank > 0)
            continue;
        reply_int(c->reply, back ? len - 1 - seen : seen);
        found++;
        if (!p->many || found == p->count)
            break;
    }
    if (p->many)
        reply_defer_array(c->reply, place, (size_t)found);
    else if (!found)
        reply_nil(c->reply);
}

/* > RPUSH l a b c a b
 * < (integer) 5
 * > LPOS l b
 * < (integer) 1
 * > LPOS l a COUNT 0 RANK -1
 * < 1) (integer) 3
 * < 2) (integer) 0
 */
static void lpos(struct call *c)
{
    struct lpos p = {.rank = 1};
    bool wrong;
    for (int i = 3; i < c->argc; i += 2) {
        if (i + 1 >= c->argc) {
            call_syntax(c);
            return;
        }
        if (!lpos_option(c, i, &p))
            return;
    }
    struct obj *o = read_list(c, 1, &wrong);
    if (wrong)
        return;
    if (o)
        lpos_search(c, o, &p);
    else if (p.many)
        reply_array(c->reply, 0);
    else
        reply_nil(c->reply);
}

/* ---- taking away ---- */

static void pop(struct call *c, bool head)
{
    bool wrong, many = c->argc == 3;
    int64_t n = 1;
    if (c->argc > 3) {
        reply_errorf(c->reply, "ERR wrong number of arguments for '%s' command", c->cmd->name);
        return;
    }
    if (many && (!num_to_i64(call_arg(c, 2), &n) || n < 0)) {
        reply_errorf(c->reply, "ERR value is out of range, must be positive");
        return;
    }
    struct obj *o = write_list(c, 1, &wrong);
    if (wrong)
        return;
    if (!o && many)
        reply_nil_array(c->reply);
    else if (!o)
        reply_nil(c->reply);
    else if (many)
        pop_many(c, call_arg(c, 1), o, head, (size_t)n);
    else
        pop_one(c, call_arg(c, 1), o, head);
}

/* > RPUSH l a b c
 * < (integer) 3
 * > LPOP l
 * < "a"
 * > LPOP l 5
 * < 1) "b"
 * < 2) "c"
 */
static void lpop(struct call *c)
{
    pop(c, true);
}

/* > RPUSH l a b c
 * < (integer) 3
 * > RPOP l
 * < "c"
 */
static void rpop(struct call *c)
{
    pop(c, false);
}

/* > RPUSH l a b c d
 * < (integer) 4
 * > LTRIM l 1 2
 * < OK
 * > LRANGE l 0 -1
 * < 1) "b"
 * < 2) "c"
 */
static void ltrim(struct call *c)
{
    bool wrong;
    int64_t start, stop;
    if (!call_i64(c, 2, &start) || !call_i64(c, 3, &stop))
        return;
    struct obj *o = write_list(c, 1, &wrong);
    if (wrong)
        return;
    if (o) {
        size_t len = list_len(o), n = clamp_range(&start, stop, (int64_t)len), tail = n ? (size_t)start + n : 0;
        list_delete(o, tail, len - tail);
        if (n)
            list_delete(o, 0, (size_t)start);
        removed(c, call_arg(c, 1), o, "ltrim");
    }
    reply_ok(c->reply);
}

/* > RPUSH l a b a c a
 * < (integer) 5
 * > LREM l -2 a
 * < (integer) 2
 * > LRANGE l 0 -1
 * < 1) "a"
 * < 2) "b"
 * < 3) "c"
 */
static void lrem(struct call *c)
{
    bool wrong;
    int64_t count;
    if (!call_range(c, 2, -INT64_MAX, INT64_MAX, &count))
        return;
    struct obj *o = write_list(c, 1, &wrong);
    if (wrong)
        return;
    size_t n = o ? list_remove(o, call_arg(c, 3), count) : 0;
    if (n)
        removed(c, call_arg(c, 1), o, "lrem");
    reply_int(c->reply, (int64_t)n);
}

/* ---- moving ---- */

struct move {
    bool from_head, to_head;
};

/* Moves one element of a list that has one, and replies with it. False: the target is no list; the reply says so. */
static bool move(struct call *c, struct obj *from, struct move m)
{
    bool wrong;
    char tmp[NUM_I64_MAX];
    struct slice source = call_arg(c, 1), target = call_arg(c, 2);
    struct obj *to = write_list(c, 2, &wrong);
    if (wrong)
        return false;
    struct buf copy = {0}; /* both may be the same list */
    struct slice s = list_end(from, m.from_head, tmp);
    buf_add(&copy, s.p, s.len);
    s = buf_slice(&copy);
    list_delete(from, m.from_head ? 0 : list_len(from) - 1, 1);
    if (!to)
        to = db_add(c->db, target, list_new());
    list_push(to, m.to_head, &s, 1);
    reply_bulk(c->reply, s);
    buf_release(&copy);
    db_changed(c->db, target, NOTIFY_LIST, m.to_head ? "lpush" : "rpush");
    removed(c, source, from, pop_event(m.from_head));
    return true;
}

static bool parse_move(struct call *c, struct move *m)
{
    if (parse_end(call_arg(c, 3), &m->from_head) && parse_end(call_arg(c, 4), &m->to_head))
        return true;
    call_syntax(c);
    return false;
}

static void move_now(struct call *c, struct move m)
{
    bool wrong;
    struct obj *o = write_list(c, 1, &wrong);
    if (o)
        move(c, o, m);
    else if (!wrong)
        reply_nil(c->reply);
}

/* > RPUSH from a b
 * < (integer) 2
 * > LMOVE from to RIGHT LEFT
 * < "b"
 * > LRANGE to 0 -1
 * < 1) "b"
 */
static void lmove(struct call *c)
{
    struct move m;
    if (parse_move(c, &m))
        move_now(c, m);
}

/* > RPUSH ring a b c
 * < (integer) 3
 * > RPOPLPUSH ring ring
 * < "c"
 */
static void rpoplpush(struct call *c)
{
    move_now(c, (struct move){.from_head = false, .to_head = true});
}

/* ---- several keys ---- */

struct mpop {
    int first, n; /* the keys */
    bool head;
    int64_t count;
};

/* numkeys stands at argv[at]. Redis words each error. */
static bool parse_mpop(struct call *c, int at, struct mpop *m)
{
    int64_t n;
    bool counted = false;
    m->first = at + 1;
    m->count = 1;
    if (!num_to_i64(call_arg(c, at), &n) || n <= 0) {
        reply_errorf(c->reply, "ERR numkeys should be greater than 0");
        return false;
    }
    if (n > c->argc - m->first - 1 || !parse_end(call_arg(c, m->first + (int)n), &m->head)) {
        call_syntax(c);
        return false;
    }
    m->n = (int)n;
    for (int i = m->first + m->n + 1; i < c->argc; i += 2) {
        if (counted || !slice_is(call_arg(c, i), "count") || i + 1 >= c->argc) {
            call_syntax(c);
            return false;
        }
        counted = true;
        if (!num_to_i64(call_arg(c, i + 1), &m->count) || m->count <= 0) {
            reply_errorf(c->reply, "ERR count should be greater than 0");
            return false;
        }
    }
    return true;
}

static int mpop_keys(int argc, const struct slice *argv, int at, int *pos)
{
    int64_t n;
    if (at >= argc || !num_to_i64(argv[at], &n) || n <= 0 || n > argc - at - 1)
        return -1;
    if (n > CMD_MAX_KEYS)
        n = CMD_MAX_KEYS;
    for (int i = 0; i < (int)n; i++)
        pos[i] = at + 1 + i;
    return (int)n;
}

static int lmpop_keys(int argc, const struct slice *argv, int *pos)
{
    return mpop_keys(argc, argv, 1, pos);
}

static int blmpop_keys(int argc, const struct slice *argv, int *pos)
{
    return mpop_keys(argc, argv, 2, pos);
}

/* The first of n keys that holds a list. A key of another type ends the search with an error, unless the call has been
 * waiting: then it is passed over. */
static struct obj *first_list(struct call *c, int first, int n, bool waiting, int *key, bool *wrong)
{
    *wrong = false;
    for (int i = first; i < first + n; i++) {
        struct obj *o = db_write_type(c->db, call_arg(c, i), OBJ_LIST, wrong);
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

static void effect_pop(struct call *c, bool head, struct slice key, size_t n)
{
    char text[NUM_I64_MAX];
    struct slice argv[] = {head ? SLICE("LPOP") : SLICE("RPOP"), key, slice_of(text, num_from_u64(text, n))};
    call_effect(c, n ? 3 : 2, argv);
}

/* True when the call was answered, be it by an error. */
static bool serve_mpop(struct call *c, const struct mpop *m, bool waiting)
{
    int key;
    bool wrong;
    struct obj *o = first_list(c, m->first, m->n, waiting, &key, &wrong);
    if (!o)
        return wrong;
    size_t len = list_len(o), n = (uint64_t)m->count < len ? (size_t)m->count : len;
    reply_array(c->reply, 2);
    reply_bulk(c->reply, call_arg(c, key));
    pop_many(c, call_arg(c, key), o, m->head, n);
    effect_pop(c, m->head, call_arg(c, key), n);
    return true;
}

/* > RPUSH b x y z
 * < (integer) 3
 * > LMPOP 2 a b RIGHT COUNT 2
 * < 1) "b"
 * < 2) 1) "z"
 * <    2) "y"
 */
static void lmpop(struct call *c)
{
    struct mpop m;
    if (parse_mpop(c, 1, &m) && !serve_mpop(c, &m, false))
        reply_nil_array(c->reply);
}

/* ---- blocking ---- */

static void timed_out(struct call *c)
{
    reply_nil_array(c->reply);
}

/* A transaction's BLMOVE says that there was no element; one that waited says that it waited in vain. */
static void timed_out_move(struct call *c)
{
    if (c->flags & CALL_ATOMIC)
        reply_nil(c->reply);
    else
        reply_nil_array(c->reply);
}

static bool serve_bpop(struct call *c, bool head, bool waiting)
{
    int key;
    bool wrong;
    struct obj *o = first_list(c, 1, c->argc - 2, waiting, &key, &wrong);
    if (!o)
        return wrong;
    reply_array(c->reply, 2);
    reply_bulk(c->reply, call_arg(c, key));
    pop_one(c, call_arg(c, key), o, head);
    effect_pop(c, head, call_arg(c, key), 0);
    return true;
}

static bool retry_blpop(struct call *c)
{
    return serve_bpop(c, true, true);
}

static bool retry_brpop(struct call *c)
{
    return serve_bpop(c, false, true);
}

/* > RPUSH jobs one
 * < (integer) 1
 * > BLPOP urgent jobs 0
 * < 1) "jobs"
 * < 2) "one"
 * > BLPOP urgent jobs 0.01
 * < (nil)
 */
static void blpop(struct call *c)
{
    int64_t ms;
    if (call_timeout_ms(c, c->argc - 1, &ms) && !serve_bpop(c, true, false))
        call_block(c, c->argv + 1, c->argc - 2, ms, retry_blpop, timed_out);
}

/* > RPUSH jobs one two
 * < (integer) 2
 * > BRPOP jobs 0
 * < 1) "jobs"
 * < 2) "two"
 */
static void brpop(struct call *c)
{
    int64_t ms;
    if (call_timeout_ms(c, c->argc - 1, &ms) && !serve_bpop(c, false, false))
        call_block(c, c->argv + 1, c->argc - 2, ms, retry_brpop, timed_out);
}

static bool retry_blmpop(struct call *c)
{
    struct mpop m;
    return !parse_mpop(c, 2, &m) || serve_mpop(c, &m, true);
}

/* > RPUSH b x y
 * < (integer) 2
 * > BLMPOP 1 2 a b LEFT
 * < 1) "b"
 * < 2) 1) "x"
 */
static void blmpop(struct call *c)
{
    struct mpop m;
    int64_t ms;
    if (parse_mpop(c, 2, &m) && call_timeout_ms(c, 1, &ms) && !serve_mpop(c, &m, false))
        call_block(c, c->argv + m.first, m.n, ms, retry_blmpop, timed_out);
}

static void effect_move(struct call *c)
{
    struct slice argv[5] = {SLICE("LMOVE"), call_arg(c, 1), call_arg(c, 2)};
    bool two_ends = c->argc == 6; /* BLMOVE source target end end timeout; BRPOPLPUSH source target timeout */
    if (!two_ends)
        argv[0] = SLICE("RPOPLPUSH");
    for (int i = 3; two_ends && i < 5; i++)
        argv[i] = call_arg(c, i);
    call_effect(c, two_ends ? 5 : 3, argv);
}

static bool serve_bmove(struct call *c, struct move m, bool waiting)
{
    bool wrong;
    struct obj *o = db_write_type(c->db, call_arg(c, 1), OBJ_LIST, &wrong);
    if (!o && wrong && !waiting)
        call_wrong_type(c);
    if (!o)
        return wrong && !waiting;
    if (move(c, o, m))
        effect_move(c);
    return true;
}

static bool retry_blmove(struct call *c)
{
    struct move m;
    return !parse_move(c, &m) || serve_bmove(c, m, true);
}

static bool retry_brpoplpush(struct call *c)
{
    return serve_bmove(c, (struct move){.from_head = false, .to_head = true}, true);
}

/* > RPUSH from a b
 * < (integer) 2
 * > BLMOVE from to LEFT RIGHT 1
 * < "a"
 */
static void blmove(struct call *c)
{
    struct move m;
    int64_t ms;
    if (parse_move(c, &m) && call_timeout_ms(c, 5, &ms) && !serve_bmove(c, m, false))
        call_block(c, c->argv + 1, 1, ms, retry_blmove, timed_out_move);
}

/* > RPUSH from a b
 * < (integer) 2
 * > BRPOPLPUSH from to 1
 * < "b"
 */
static void brpoplpush(struct call *c)
{
    int64_t ms;
    struct move m = {.from_head = false, .to_head = true};
    if (call_timeout_ms(c, 3, &ms) && !serve_bmove(c, m, false))
        call_block(c, c->argv + 1, 1, ms, retry_brpoplpush, timed_out_move);
}

#define ADDS  (CMD_WRITE | CMD_DENYOOM)
#define BLOCK (CMD_WRITE | CMD_BLOCKING | CMD_NOSCRIPT)

/* clang-format off */
static const struct cmd rows[] = {
    {.name = "lpush", .run = lpush, .arity = -3, .flags = ADDS | CMD_FAST, .acl = ACL_LIST, .first = 1, .last = 1,
     .step = 1, .key_spec = "RW insert",
     .syntax = "key element...", .summary = "Puts elements at the head of a list, which is made if absent.",
     .since = "1.0.0", .complexity = "O(1) for each element."},
    {.name = "rpush", .run = rpush, .arity = -3, .flags = ADDS | CMD_FAST, .acl = ACL_LIST, .first = 1, .last = 1,
     .step = 1, .key_spec = "RW insert",
     .syntax = "key element...", .summary = "Puts elements at the tail of a list, which is made if absent.",
     .since = "1.0.0", .complexity = "O(1) for each element."},
    {.name = "lpushx", .run = lpushx, .arity = -3, .flags = ADDS | CMD_FAST, .acl = ACL_LIST, .first = 1, .last = 1,
     .step = 1, .key_spec = "RW insert",
     .syntax = "key element...", .summary = "Puts elements at the head of a list, if there is one.",
     .since = "2.2.0", .complexity = "O(1) for each element."},
    {.name = "rpushx", .run = rpushx, .arity = -3, .flags = ADDS | CMD_FAST, .acl = ACL_LIST, .first = 1, .last = 1,
     .step = 1, .key_spec = "RW insert",
     .syntax = "key element...", .summary = "Puts elements at the tail of a list, if there is one.",
     .since = "2.2.0", .complexity = "O(1) for each element."},
    {.name = "linsert", .run = linsert, .arity = 5, .flags = ADDS, .acl = ACL_LIST, .first = 1, .last = 1, .step = 1,
     .key_spec = "RW insert",
     .syntax = "key (BEFORE|AFTER) pivot element", .summary = "Puts an element beside the first one that equals pivot.",
     .since = "2.2.0", .complexity = "O(N) in the elements before the pivot."},
    {.name = "lset", .run = lset, .arity = 4, .flags = ADDS, .acl = ACL_LIST, .first = 1, .last = 1, .step = 1,
     .key_spec = "RW update",
     .syntax = "key index element", .summary = "Replaces the element at an index.", .since = "1.0.0",
     .complexity = "O(N) in the nodes between the index and the nearer end."},
    {.name = "llen", .run = llen, .arity = 2, .flags = CMD_READONLY | CMD_FAST, .acl = ACL_LIST, .first = 1, .last = 1,
     .step = 1, .key_spec = "RO",
     .syntax = "key", .summary = "How many elements a list has.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "lindex", .run = lindex, .arity = 3, .flags = CMD_READONLY, .acl = ACL_LIST, .first = 1, .last = 1,
     .step = 1, .syntax = "key index", .summary = "The element at an index; negative ones count from the tail.",
     .since = "1.0.0", .complexity = "O(N) in the nodes between the index and the nearer end."},
    {.name = "lrange", .run = lrange, .arity = 4, .flags = CMD_READONLY, .acl = ACL_LIST, .first = 1, .last = 1,
     .step = 1, .syntax = "key start stop", .summary = "The elements from one index to another, both included.",
     .since = "1.0.0", .complexity = "O(S+N): S to reach start, N elements given back."},
    {.name = "lpos", .run = lpos, .arity = -3, .flags = CMD_READONLY, .acl = ACL_LIST, .first = 1, .last = 1, .step = 1,
     .syntax = "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
     .summary = "The indexes of elements that equal the one given.", .since = "6.0.6",
     .complexity = "O(N) in the elements looked at."},
    {.name = "lpop", .run = lpop, .arity = -2, .flags = CMD_WRITE | CMD_FAST, .acl = ACL_LIST, .first = 1, .last = 1,
     .step = 1, .key_spec = "RW access delete",
     .syntax = "key [count]", .summary = "Takes elements from the head of a list.", .since = "1.0.0",
     .complexity = "O(N) in the elements taken."},
    {.name = "rpop", .run = rpop, .arity = -2, .flags = CMD_WRITE | CMD_FAST, .acl = ACL_LIST, .first = 1, .last = 1,
     .step = 1, .key_spec = "RW access delete",
     .syntax = "key [count]", .summary = "Takes elements from the tail of a list.", .since = "1.0.0",
     .complexity = "O(N) in the elements taken."},
    {.name = "ltrim", .run = ltrim, .arity = 4, .flags = CMD_WRITE, .acl = ACL_LIST, .first = 1, .last = 1, .step = 1,
     .key_spec = "RW delete",
     .syntax = "key start stop", .summary = "Keeps the elements of a range and drops the others.", .since = "1.0.0",
     .complexity = "O(N) in the elements dropped."},
    {.name = "lrem", .run = lrem, .arity = 4, .flags = CMD_WRITE, .acl = ACL_LIST, .first = 1, .last = 1, .step = 1,
     .key_spec = "RW delete", .syntax = "key count element",
     .summary = "Drops elements that equal the one given: so many from the head, from the tail (negative), or all (0).",
     .since = "1.0.0", .complexity = "O(N)"},
    {.name = "lmove", .run = lmove, .arity = 5, .flags = ADDS, .acl = ACL_LIST, .first = 1, .last = 2, .step = 1,
     .key_spec = "RW access delete @1; RW insert @2", .syntax = "source destination (LEFT|RIGHT) (LEFT|RIGHT)",
     .summary = "Takes an element from an end of one list to an end of another.", .since = "6.2.0",
     .complexity = "O(1)"},
    {.name = "rpoplpush", .run = rpoplpush, .arity = 3, .flags = ADDS, .acl = ACL_LIST, .first = 1, .last = 2,
     .step = 1, .key_spec = "RW access delete @1; RW insert @2", .syntax = "source destination",
     .deprecated = "6.2.0 `LMOVE` with `RIGHT` and `LEFT`",
     .summary = "Takes an element from the tail of one list to the head of another.", .since = "1.2.0",
     .complexity = "O(1)"},
    {.name = "lmpop", .run = lmpop, .arity = -4, .flags = CMD_WRITE | CMD_MOVABLEKEYS, .acl = ACL_LIST,
     .keys = lmpop_keys, .key_spec = "RW access delete @1 keynum 0 1 1",
     .syntax = "numkeys key... (LEFT|RIGHT) [COUNT count]",
     .summary = "Takes elements from the first of several lists that has some.", .since = "7.0.0",
     .complexity = "O(N+M): N keys looked at, M elements taken."},
    {.name = "blpop", .run = blpop, .arity = -3, .flags = BLOCK, .acl = ACL_LIST, .first = 1, .last = -2, .step = 1,
     .key_spec = "RW access delete",
     .syntax = "key... timeout", .summary = "LPOP of the first of several lists, waiting until one has an element.",
     .since = "2.0.0", .complexity = "O(N) in the keys."},
    {.name = "brpop", .run = brpop, .arity = -3, .flags = BLOCK, .acl = ACL_LIST, .first = 1, .last = -2, .step = 1,
     .key_spec = "RW access delete",
     .syntax = "key... timeout", .summary = "RPOP of the first of several lists, waiting until one has an element.",
     .since = "2.0.0", .complexity = "O(N) in the keys."},
    {.name = "blmpop", .run = blmpop, .arity = -5, .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLEKEYS, .acl = ACL_LIST,
     .keys = blmpop_keys, .key_spec = "RW access delete @2 keynum 0 1 1",
     .syntax = "timeout numkeys key... (LEFT|RIGHT) [COUNT count]",
     .summary = "LMPOP that waits until one of the lists has an element.", .since = "7.0.0",
     .complexity = "O(N+M): N keys looked at, M elements taken."},
    {.name = "blmove", .run = blmove, .arity = 6, .flags = BLOCK | CMD_DENYOOM, .acl = ACL_LIST, .first = 1, .last = 2,
     .step = 1, .key_spec = "RW access delete @1; RW insert @2",
     .syntax = "source destination (LEFT|RIGHT) (LEFT|RIGHT) timeout",
     .summary = "LMOVE that waits until the source has an element.", .since = "6.2.0", .complexity = "O(1)"},
    {.name = "brpoplpush", .run = brpoplpush, .arity = 4, .flags = BLOCK | CMD_DENYOOM, .acl = ACL_LIST, .first = 1,
     .last = 2, .step = 1, .key_spec = "RW access delete @1; RW insert @2", .syntax = "source destination timeout",
     .deprecated = "6.2.0 `BLMOVE` with `RIGHT` and `LEFT`",
     .summary = "RPOPLPUSH that waits until the source has an element.", .since = "2.2.0", .complexity = "O(1)"},
};
/* clang-format on */

const struct cmd_family list_family = CMD_FAMILY("list", rows);
