/* HyperLogLog commands. The value is a string in Redis's own format, store/hll; here are the arguments, the keys, the
 * events.
 *
 * A sparse value (at most a few KB) is copied, changed and stored again, so that a command that finds it damaged half
 * way leaves it as it was; a dense one is changed in place. PFCOUNT keeps what it computed inside the value: that is a
 * change which has to be journaled, although the command only reads. */
#include "cmd/cmd.h"
#include "cmd/families.h"
#include "store/hll.h"

static void damaged(struct call *c)
{
    reply_errorf(c->reply, "INVALIDOBJ Corrupted HLL object detected");
}

/* Checks an object that may be NULL: *s is its bytes, p NULL when it is. False: the error is replied. */
static bool check(struct call *c, struct obj *o, struct slice *s, char tmp[NUM_I64_MAX])
{
    *s = (struct slice){0};
    if (o && o->type != OBJ_STRING) {
        call_wrong_type(c);
        return false;
    }
    if (o)
        *s = obj_str(o, tmp);
    if (!o || hll_is(*s))
        return true;
    reply_errorf(c->reply, "WRONGTYPE Key is not a valid HyperLogLog string value.");
    return false;
}

/* A copy of the value to change; an absent key's is an empty one. */
static struct buf copy_of(struct slice hll)
{
    struct buf b = {0};
    if (hll.p)
        buf_add(&b, hll.p, hll.len);
    else
        hll_init(&b);
    return b;
}

/* Stores a changed copy; as in Redis it is never embstr, so that its short sparse forms are raw, too. */
static void store(struct call *c, struct slice key, struct obj *o, const struct buf *b)
{
    struct slice s = buf_slice(b);
    if (s.len <= OBJ_EMBSTR_NAMED)
        db_set(c->db, key, (struct value){.type = OBJ_STRING, .enc = ENC_RAW, .ptr = rawstr_make(s, 0)}, true);
    else if (o)
        db_set_str(c->db, o, s);
    else
        db_add(c->db, key, value_string(s));
}

static enum hll_change add_dense(struct call *c, struct obj *o)
{
    enum hll_change change = HLL_SAME;
    char *p;
    db_str_open(c->db, o, 0, HLL_DENSE_BYTES, &p);
    for (int i = 2; i < c->argc; i++)
        if (hll_dense_add(p, c->argv[i]) == HLL_CHANGED)
            change = HLL_CHANGED;
    return change;
}

static enum hll_change add_copied(struct call *c, struct obj *o, struct slice hll)
{
    struct buf b = copy_of(hll);
    enum hll_change change = o ? HLL_SAME : HLL_CHANGED;
    if (!o)
        hll_forget(b.p);
    for (int i = 2; i < c->argc && change != HLL_DAMAGED; i++) {
        enum hll_change one = hll_add(&b, c->argv[i]);
        change = one == HLL_SAME ? change : one;
    }
    if (change == HLL_CHANGED)
        store(c, c->argv[1], o, &b);
    buf_release(&b);
    return change;
}

/* Adds elements to a HyperLogLog, which is made when absent; answers whether its count may have changed.
 *
 * > PFADD visitors ann bob ann
 * < (integer) 1
 * > PFADD visitors bob
 * < (integer) 0
 * > PFCOUNT visitors
 * < (integer) 2
 * > SET text hello
 * < OK
 * > PFADD text x
 * < (error) WRONGTYPE Key is not a valid HyperLogLog string value.
 */
static void pfadd(struct call *c)
{
    struct obj *o = db_write(c->db, c->argv[1]);
    struct slice hll;
    char tmp[NUM_I64_MAX];
    if (!check(c, o, &hll, tmp))
        return;
    bool dense = o && hll_encoding(hll) == HLL_DENSE;
    enum hll_change change = dense ? add_dense(c, o) : add_copied(c, o, hll);
    if (change == HLL_DAMAGED) {
        damaged(c);
        return;
    }
    if (change == HLL_CHANGED)
        db_changed(c->db, c->argv[1], NOTIFY_STRING, "pfadd");
    reply_int(c->reply, change);
}

/* All keys from argv[1] on in one set of registers. False: the error is replied. */
static bool merge_keys(struct call *c, uint8_t max[HLL_REGISTERS], bool *dense)
{
    memset(max, 0, HLL_REGISTERS);
    *dense = false;
    for (int i = 1; i < c->argc; i++) {
        struct slice hll;
        char tmp[NUM_I64_MAX];
        struct obj *o = db_read(c->db, c->argv[i]);
        if (!check(c, o, &hll, tmp))
            return false;
        if (!o)
            continue;
        *dense |= hll_encoding(hll) == HLL_DENSE;
        if (!hll_merge(max, hll)) {
            damaged(c);
            return false;
        }
    }
    return true;
}

/* Keeps a count inside the value. No event: nothing that a client asked for has changed. */
static void keep_count(struct call *c, struct obj *o, struct slice hll, uint64_t n)
{
    if (hll_encoding(hll) == HLL_DENSE) {
        char *p;
        db_str_open(c->db, o, 0, HLL_DENSE_BYTES, &p);
        hll_cache(p, n);
    } else {
        struct buf b = copy_of(hll);
        hll_cache(b.p, n);
        store(c, c->argv[1], o, &b);
        buf_release(&b);
    }
    db_changed(c->db, c->argv[1], 0, "");
    call_effect(c, c->argc, c->argv);
}

static void count_one(struct call *c)
{
    uint64_t n = 0;
    struct obj *o = db_read(c->db, c->argv[1]);
    struct slice hll;
    char tmp[NUM_I64_MAX];
    if (!check(c, o, &hll, tmp))
        return;
    if (o && !hll_cached(hll, &n)) {
        if (!hll_count(hll, &n)) {
            damaged(c);
            return;
        }
        keep_count(c, o, hll, n);
    }
    reply_int(c->reply, (int64_t)n);
}

/* About how many different elements were added to a HyperLogLog, or to several together.
 *
 * > PFADD monday ann bob
 * < (integer) 1
 * > PFADD tuesday bob eve
 * < (integer) 1
 * > PFCOUNT monday
 * < (integer) 2
 * > PFCOUNT monday tuesday sunday
 * < (integer) 3
 */
static void pfcount(struct call *c)
{
    uint8_t max[HLL_REGISTERS];
    bool dense;
    if (c->argc == 2)
        count_one(c);
    else if (merge_keys(c, max, &dense))
        reply_int(c->reply, (int64_t)hll_count_registers(max));
}

/* Adds what several HyperLogLogs hold to the first.
 *
 * > PFADD monday ann bob
 * < (integer) 1
 * > PFADD tuesday bob eve
 * < (integer) 1
 * > PFMERGE week monday tuesday
 * < OK
 * > PFCOUNT week
 * < (integer) 3
 */
static void pfmerge(struct call *c)
{
    uint8_t max[HLL_REGISTERS];
    bool dense;
    struct slice key = c->argv[1], hll;
    char tmp[NUM_I64_MAX];
    if (!merge_keys(c, max, &dense))
        return;
    struct obj *o = db_write(c->db, key);
    if (!check(c, o, &hll, tmp))
        return;
    struct buf b = copy_of(hll);
    if (dense)
        hll_to_dense(&b); /* its runs were found good when they were merged */
    for (unsigned i = 0; i < HLL_REGISTERS; i++)
        if (max[i])
            hll_raise(&b, i, max[i]);
    hll_forget(b.p);
    store(c, key, o, &b);
    buf_release(&b);
    db_changed(c->db, key, NOTIFY_STRING, "pfadd");
    reply_ok(c->reply);
}

/* --- PFDEBUG --- */

/* Makes the value dense. No event, as in Redis. */
static bool debug_to_dense(struct call *c, struct obj *o, struct slice hll, bool *was)
{
    struct buf b = copy_of(hll);
    enum hll_change change = hll_to_dense(&b);
    *was = change == HLL_SAME;
    if (change == HLL_CHANGED) {
        store(c, c->argv[2], o, &b);
        db_changed(c->db, c->argv[2], 0, "");
    }
    buf_release(&b);
    if (change == HLL_DAMAGED)
        damaged(c);
    return change != HLL_DAMAGED;
}

static void debug_registers(struct call *c, struct obj *o, struct slice hll)
{
    uint8_t regs[HLL_REGISTERS] = {0};
    bool was;
    hll_merge(regs, hll);
    if (!debug_to_dense(c, o, hll, &was))
        return;
    reply_array(c->reply, HLL_REGISTERS);
    for (unsigned i = 0; i < HLL_REGISTERS; i++)
        reply_int(c->reply, regs[i]);
}

static void debug_decode(struct call *c, struct slice hll)
{
    struct buf text = {0};
    if (hll_encoding(hll) != HLL_SPARSE) {
        reply_errorf(c->reply, "ERR HLL encoding is not sparse");
        return;
    }
    hll_decode(hll, &text);
    reply_bulk(c->reply, buf_slice(&text));
    buf_release(&text);
}

/* A HyperLogLog from inside: its registers (which makes it dense), the runs of a sparse one, its encoding; or makes it
 * dense.
 *
 * > PFADD h a
 * < (integer) 1
 * > PFDEBUG ENCODING h
 * < sparse
 * > PFDEBUG DECODE h
 * < "Z:12711 v:2,1 Z:3672"
 * > PFDEBUG TODENSE h
 * < (integer) 1
 * > PFDEBUG DECODE h
 * < (error) ERR HLL encoding is not sparse
 */
static void pfdebug(struct call *c)
{
    struct slice word = c->argv[1], hll;
    char tmp[NUM_I64_MAX];
    bool was;
    struct obj *o = db_write(c->db, c->argv[2]);
    if (!o) {
        reply_errorf(c->reply, "ERR The specified key does not exist");
        return;
    }
    if (!check(c, o, &hll, tmp))
        return;
    if (slice_is(word, "GETREG"))
        debug_registers(c, o, hll);
    else if (slice_is(word, "DECODE"))
        debug_decode(c, hll);
    else if (slice_is(word, "ENCODING"))
        reply_status(c->reply, hll_encoding(hll) == HLL_DENSE ? "dense" : "sparse");
    else if (!slice_is(word, "TODENSE"))
        reply_errorf(c->reply, "ERR Unknown PFDEBUG subcommand '%.*s'", (int)(word.len < 128 ? word.len : 128), word.p);
    else if (debug_to_dense(c, o, hll, &was))
        reply_int(c->reply, !was);
}

/* Checks the arithmetic of HyperLogLogs on this machine.
 *
 * > PFSELFTEST
 * < OK
 */
static void pfselftest(struct call *c)
{
    struct err err;
    if (hll_self_test(&err) < 0)
        reply_errorf(c->reply, "TESTFAILED %s", err.msg);
    else
        reply_ok(c->reply);
}

#define GROW (CMD_WRITE | CMD_DENYOOM)

/* clang-format off */
static const struct cmd rows[] = {
    {.name = "pfadd", .run = pfadd, .arity = -2, .flags = GROW | CMD_FAST, .acl = ACL_HYPERLOGLOG, .first = 1,
     .last = 1, .step = 1, .key_spec = "RW insert", .syntax = "key [element...]",
     .summary = "Adds elements to a HyperLogLog, which is made when absent.", .since = "2.8.9",
     .complexity = "O(1) for each element"},
    {.name = "pfcount", .run = pfcount, .arity = -2, .flags = CMD_READONLY | CMD_MAY_REPLICATE, .acl = ACL_HYPERLOGLOG, .first = 1,
     .last = -1, .step = 1, .key_spec = "RW access", .syntax = "key...",
     .summary = "About how many different elements HyperLogLogs hold together.", .since = "2.8.9",
     .complexity = "O(1) for one key, O(N) where N is the number of keys"},
    {.name = "pfmerge", .run = pfmerge, .arity = -2, .flags = GROW, .acl = ACL_HYPERLOGLOG, .first = 1, .last = -1,
     .step = 1, .key_spec = "RW access insert @1; RO access @2 range -1 1 0",
     .syntax = "destkey:key [sourcekey:key...]", .summary = "Adds what several HyperLogLogs hold to one.",
     .since = "2.8.9", .complexity = "O(N) where N is the number of keys"},
    {.name = "pfdebug", .run = pfdebug, .arity = 3, .flags = GROW | CMD_ADMIN,
     .acl = ACL_HYPERLOGLOG | ACL_DANGEROUS, .first = 2, .last = 2, .step = 1,
     .key_spec = "RW access",
     .syntax = "(GETREG|DECODE|ENCODING|TODENSE) key", .summary = "A HyperLogLog from inside.", .since = "2.8.9",
     .complexity = "O(N) where N is the number of registers"},
    {.name = "pfselftest", .run = pfselftest, .arity = 1, .flags = CMD_ADMIN,
     .acl = ACL_HYPERLOGLOG | ACL_DANGEROUS, .syntax = "", .summary = "Checks the arithmetic of HyperLogLogs.",
     .since = "2.8.9", .complexity = "O(1)"},
};
/* clang-format on */

const struct cmd_family hyperloglog_family = CMD_FAMILY("hyperloglog", rows);
