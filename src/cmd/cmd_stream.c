/* Streams as commands.
 *
 * What is journaled of an XADD has the id that was given to the entry; a trim that was approximate is journaled as the
 * length it led to, so that a replay does not depend on how entries happened to be spread over nodes. */
#include "base/mem.h"
#include "cmd/cmd_stream.h"
#include "cmd/families.h"

/* ---- helpers ---- */

struct obj *stream_arg_read(struct call *c, int key, bool *wrong)
{
    struct obj *o = db_read_type(c->db, call_arg(c, key), OBJ_STREAM, wrong);
    if (*wrong)
        call_wrong_type(c);
    return o;
}

struct obj *stream_arg_write(struct call *c, int key, bool *wrong)
{
    struct obj *o = db_write_type(c->db, call_arg(c, key), OBJ_STREAM, wrong);
    if (*wrong)
        call_wrong_type(c);
    return o;
}

void stream_reply_id(struct call *c, struct sid id)
{
    char text[SID_TEXT];
    reply_bulk(c->reply, sid_format(id, text));
}

bool stream_parse_id(struct call *c, int i, struct sid *id, bool *any_seq)
{
    if (sid_parse(call_arg(c, i), 0, id, any_seq))
        return true;
    reply_errorf(c->reply, "ERR Invalid stream ID specified as stream command argument");
    return false;
}

void stream_reply_entry(struct call *c, struct stream_iter *it)
{
    char ftmp[NUM_I64_MAX], vtmp[NUM_I64_MAX];
    reply_array(c->reply, 2);
    stream_reply_id(c, it->id);
    reply_array(c->reply, 2 * (size_t)it->fields);
    for (int64_t i = 0; i < it->fields; i++) {
        struct slice f, v;
        stream_iter_pair(it, &f, ftmp, &v, vtmp);
        reply_bulk(c->reply, f);
        reply_bulk(c->reply, v);
    }
}

void stream_reply_range(struct call *c, const struct obj *o, const struct stream_range *r)
{
    struct stream_iter it;
    size_t n = 0, place = reply_defer(c->reply);
    for (stream_iter_begin(&it, o, r->from, r->to, r->back); stream_iter_next(&it);) {
        stream_reply_entry(c, &it);
        if ((int64_t)++n == r->count)
            break;
    }
    reply_defer_array(c->reply, place, n);
}

/* ---- XADD and XTRIM ---- */

struct add {
    struct stream_trim trim;
    bool trims, approx, limited, no_stream;
    int64_t limit;
    bool auto_id, auto_seq;
    struct sid id;
    int id_at; /* XADD: where the id stands */
};

/* MAXLEN or MINID with what follows it. Returns the index of its last argument, 0 when the error is replied. */
static int parse_strategy(struct call *c, int i, bool by_id, struct add *a)
{
    if (a->trims) {
        reply_errorf(c->reply,
                     "ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
        return 0;
    }
    a->trims = true;
    a->trim.by_id = by_id;
    if (i + 2 < c->argc && (slice_is(call_arg(c, i + 1), "~") || slice_is(call_arg(c, i + 1), "=")))
        a->approx = slice_is(call_arg(c, ++i), "~");
    if (by_id)
        return stream_parse_id(c, i + 1, &a->trim.minid, NULL) ? i + 1 : 0;
    int64_t n;
    if (!call_i64(c, i + 1, &n))
        return 0;
    if (n < 0)
        reply_errorf(c->reply, "ERR The MAXLEN argument must be >= 0.");
    a->trim.maxlen = (uint64_t)n;
    return n < 0 ? 0 : i + 1;
}

static bool parse_limit(struct call *c, int i, struct add *a)
{
    a->limited = true;
    if (!call_i64(c, i, &a->limit))
        return false;
    if (a->limit < 0)
        reply_errorf(c->reply, "ERR The LIMIT argument must be >= 0.");
    return a->limit >= 0;
}

/* An approximate trim is bounded also when the client does not say how, or XADD could take long. */
static bool settle_limit(struct call *c, bool xadd, struct add *a)
{
    if (a->limit && !a->trims) {
        reply_errorf(c->reply, "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
        return false;
    }
    if (!xadd && !a->trims) {
        reply_errorf(c->reply, "ERR syntax error, XTRIM must be called with at least one trimming strategy");
        return false;
    }
    if (a->limited && !a->approx) {
        reply_errorf(c->reply, "ERR syntax error, LIMIT cannot be used without the special ~ option");
        return false;
    }
    int64_t limit = a->limit;
    if (a->approx && !a->limited) {
        int64_t entries = stream_node_entries();
        limit = entries > 10000 ? 1000000 : entries ? 100 * entries : 10000;
    }
    a->trim.approx = a->approx;
    a->trim.limit = (uint64_t)limit;
    return true;
}

/* The options from argv[2] on; for XADD up to and with the id. False: the error is replied. */
static bool parse_add(struct call *c, bool xadd, struct add *a)
{
    *a = (struct add){0};
    for (int i = 2; i < c->argc; i++) {
        struct slice opt = call_arg(c, i);
        bool more = i + 1 < c->argc;
        if (xadd && slice_is(opt, "*")) {
            a->auto_id = true;
            a->id_at = i;
            break;
        }
        if (more && (slice_is(opt, "maxlen") || slice_is(opt, "minid"))) {
            if (!(i = parse_strategy(c, i, slice_is(opt, "minid"), a)))
                return false;
        } else if (more && slice_is(opt, "limit")) {
            if (!parse_limit(c, ++i, a))
                return false;
        } else if (xadd && slice_is(opt, "nomkstream")) {
            a->no_stream = true;
        } else if (xadd) {
            a->id_at = i;
            if (!stream_parse_id(c, i, &a->id, &a->auto_seq))
                return false;
            break;
        } else {
            call_syntax(c);
            return false;
        }
    }
    return settle_limit(c, xadd, a);
}

/* The id of the entry to come; false when it could not be above the last one, the error is replied. */
static bool choose_id(struct call *c, struct add *a, struct sid last)
{
    if (sid_cmp(last, SID_MAX) == 0) {
        reply_errorf(c->reply, "ERR The stream has exhausted the last possible ID, unable to add more items");
        return false;
    }
    if (a->auto_id) {
        a->id = (struct sid){(uint64_t)store_now(c->db->store), 0};
        if (sid_cmp(a->id, last) <= 0) {
            a->id = last;
            sid_next(&a->id);
        }
    } else if (a->auto_seq && a->id.ms == last.ms && last.seq != UINT64_MAX) {
        a->id.seq = last.seq + 1;
    }
    if (sid_cmp(a->id, last) > 0)
        return true;
    reply_errorf(c->reply, "ERR The ID specified in XADD is equal or smaller than the target stream top item");
    return false;
}

static void effect_add(struct call *c, const struct add *a, uint64_t trimmed, uint64_t length)
{
    int pairs = c->argc - a->id_at - 1, n = 0;
    char id[SID_TEXT], len[NUM_I64_MAX];
    struct slice *argv = mem_alloc((size_t)(pairs + 6) * sizeof *argv);
    argv[n++] = SLICE("XADD");
    argv[n++] = call_arg(c, 1);
    if (trimmed) {
        argv[n++] = SLICE("MAXLEN");
        argv[n++] = SLICE("=");
        argv[n++] = slice_of(len, num_from_u64(len, length));
    }
    argv[n++] = sid_format(a->id, id);
    memcpy(argv + n, c->argv + a->id_at + 1, (size_t)pairs * sizeof *argv);
    call_effect(c, n + pairs, argv);
    mem_free(argv);
}

static void append(struct call *c, struct add *a, struct obj *o)
{
    struct slice key = call_arg(c, 1);
    struct value fresh = o ? (struct value){0} : stream_new();
    struct obj tmp = {.type = OBJ_STREAM, .enc = ENC_STREAM, .v.ptr = fresh.ptr}; /* no key is made for a refusal */
    struct obj *to = o ? o : &tmp;
    bool chosen = choose_id(c, a, stream_info(to).last);
    if (!chosen || !stream_append(to, a->id, c->argv + a->id_at + 1, (size_t)(c->argc - a->id_at - 1) / 2)) {
        if (chosen)
            reply_errorf(c->reply, "ERR Elements are too large to be stored");
        if (!o)
            value_release(&fresh);
        return;
    }
    if (!o)
        o = db_add(c->db, key, fresh);
    stream_reply_id(c, a->id);
    uint64_t trimmed = a->trims ? stream_trim(o, &a->trim) : 0;
    effect_add(c, a, trimmed, stream_info(o).length);
    db_changed(c->db, key, NOTIFY_STREAM, "xadd");
    if (trimmed)
        db_notify(c->db, NOTIFY_STREAM, "xtrim", key);
}

/* > XADD log 5-1 level info text started
 * < "5-1"
 * > XADD log 5-* text next
 * < "5-2"
 * > XADD log 4 text late
 * < (error) ERR The ID specified in XADD is equal or smaller than the target stream top item
 * > XADD log MAXLEN = 1 6 text last
 * < "6-0"
 * > XLEN log
 * < (integer) 1
 */
static void xadd(struct call *c)
{
    struct add a;
    bool wrong;
    if (!parse_add(c, true, &a))
        return;
    int rest = c->argc - a.id_at - 1;
    if (!a.id_at || rest < 2 || rest % 2) {
        reply_errorf(c->reply, "ERR wrong number of arguments for 'xadd' command");
        return;
    }
    if (!a.auto_id && !a.auto_seq && sid_cmp(a.id, SID_MIN) == 0) {
        reply_errorf(c->reply, "ERR The ID specified in XADD must be greater than 0-0");
        return;
    }
    struct obj *o = stream_arg_write(c, 1, &wrong);
    if (wrong)
        return;
    if (!o && a.no_stream)
        reply_nil(c->reply);
    else
        append(c, &a, o);
}

/* > XADD s 1 f v
 * < "1-0"
 * > XADD s 2 f v
 * < "2-0"
 * > XTRIM s MINID 2
 * < (integer) 1
 */
static void xtrim(struct call *c)
{
    struct add a;
    bool wrong;
    if (!parse_add(c, false, &a))
        return;
    struct obj *o = stream_arg_write(c, 1, &wrong);
    if (wrong)
        return;
    uint64_t n = o ? stream_trim(o, &a.trim) : 0;
    reply_int(c->reply, (int64_t)n);
    if (!n)
        return;
    char len[NUM_I64_MAX];
    struct slice argv[] = {SLICE("XTRIM"), call_arg(c, 1), SLICE("MAXLEN"), SLICE("="),
                           slice_of(len, num_from_u64(len, stream_info(o).length))};
    call_effect(c, 5, argv);
    db_changed(c->db, call_arg(c, 1), NOTIFY_STREAM, "xtrim");
}

/* ---- reading ---- */

/* > XADD s 1 f v
 * < "1-0"
 * > XLEN s
 * < (integer) 1
 */
static void xlen(struct call *c)
{
    bool wrong;
    struct obj *o = stream_arg_read(c, 1, &wrong);
    if (!wrong)
        reply_int(c->reply, o ? (int64_t)stream_info(o).length : 0);
}

/* One end of an interval: "-", "+", an id, or "(" and an id to leave that one out. */
bool stream_parse_bound(struct call *c, int i, bool start, struct sid *id)
{
    struct slice s = call_arg(c, i);
    bool open = s.len > 1 && s.p[0] == '(';
    if (slice_is(s, "-") || slice_is(s, "+")) {
        *id = s.p[0] == '-' ? SID_MIN : SID_MAX;
        return true;
    }
    if (!sid_parse(open ? slice_of(s.p + 1, s.len - 1) : s, start ? 0 : UINT64_MAX, id, NULL)) {
        reply_errorf(c->reply, "ERR Invalid stream ID specified as stream command argument");
        return false;
    }
    if (!open || (start ? sid_next(id) : sid_prev(id)))
        return true;
    reply_errorf(c->reply, "ERR invalid %s ID for the interval", start ? "start" : "end");
    return false;
}

static void range(struct call *c, bool back)
{
    struct stream_range r = {.back = back};
    bool wrong, counted = false;
    if (!stream_parse_bound(c, back ? 3 : 2, true, &r.from) || !stream_parse_bound(c, back ? 2 : 3, false, &r.to))
        return;
    for (int i = 4; i < c->argc; i += 2) {
        if (i + 1 >= c->argc || !slice_is(call_arg(c, i), "count")) {
            call_syntax(c);
            return;
        }
        if (!call_i64(c, i + 1, &r.count))
            return;
        counted = true;
    }
    struct obj *o = stream_arg_read(c, 1, &wrong);
    if (wrong)
        return;
    if (!o)
        reply_array(c->reply, 0);
    else if (counted && r.count <= 0)
        reply_nil_array(c->reply);
    else
        stream_reply_range(c, o, &r);
}

/* > XADD s 1 a 1
 * < "1-0"
 * > XADD s 2 b 2
 * < "2-0"
 * > XRANGE s - + COUNT 1
 * < 1) 1) "1-0"
 * <    2) 1) "a"
 * <       2) "1"
 */
static void xrange(struct call *c)
{
    range(c, false);
}

/* > XADD s 1 a 1
 * < "1-0"
 * > XADD s 2 b 2
 * < "2-0"
 * > XREVRANGE s + (1
 * < 1) 1) "2-0"
 * <    2) 1) "b"
 * <       2) "2"
 */
static void xrevrange(struct call *c)
{
    range(c, true);
}

/* ---- the rest ---- */

/* > XADD s 1 f v
 * < "1-0"
 * > XDEL s 1 9
 * < (integer) 1
 * > EXISTS s
 * < (integer) 1
 */
static void xdel(struct call *c)
{
    bool wrong;
    struct sid id;
    int64_t n = 0;
    struct obj *o = stream_arg_write(c, 1, &wrong);
    if (wrong)
        return;
    for (int i = 2; o && i < c->argc; i++)
        if (!stream_parse_id(c, i, &id, NULL))
            return;
    for (int i = 2; o && i < c->argc; i++) {
        sid_parse(call_arg(c, i), 0, &id, NULL);
        n += stream_delete(o, id);
    }
    if (n)
        db_changed(c->db, call_arg(c, 1), NOTIFY_STREAM, "xdel");
    reply_int(c->reply, n);
}

struct set_id {
    struct sid last, max_deleted;
    bool has_max_deleted;
    int64_t added; /* -1: as it is */
};

static bool parse_set_id(struct call *c, struct set_id *s)
{
    *s = (struct set_id){.added = -1};
    if (!stream_parse_id(c, 2, &s->last, NULL))
        return false;
    for (int i = 3; i < c->argc; i += 2) {
        bool more = i + 1 < c->argc;
        if (more && slice_is(call_arg(c, i), "entriesadded")) {
            if (!call_i64(c, i + 1, &s->added))
                return false;
            if (s->added < 0) {
                reply_errorf(c->reply, "ERR entries_added must be positive");
                return false;
            }
        } else if (more && slice_is(call_arg(c, i), "maxdeletedid")) {
            if (!stream_parse_id(c, i + 1, &s->max_deleted, NULL))
                return false;
            s->has_max_deleted = true;
            if (sid_cmp(s->last, s->max_deleted) < 0) {
                reply_errorf(c->reply,
                             "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
                return false;
            }
        } else {
            call_syntax(c);
            return false;
        }
    }
    return true;
}

/* > XADD s 1 f v
 * < "1-0"
 * > XSETID s 100
 * < OK
 * > XADD s 50 f v
 * < (error) ERR The ID specified in XADD is equal or smaller than the target stream top item
 */
static void xsetid(struct call *c)
{
    struct set_id s;
    bool wrong;
    if (!parse_set_id(c, &s))
        return;
    struct obj *o = stream_arg_write(c, 1, &wrong);
    if (wrong)
        return;
    if (!o) {
        reply_errorf(c->reply, "ERR no such key");
        return;
    }
    struct stream_info i = stream_info(o);
    struct stream_range all = {.to = SID_MAX, .back = true};
    struct stream_iter it;
    stream_iter_begin(&it, o, all.from, all.to, true);
    if (i.length && stream_iter_next(&it) && sid_cmp(s.last, it.id) < 0) {
        reply_errorf(c->reply, "ERR The ID specified in XSETID is smaller than the target stream top item");
        return;
    }
    if (i.length && s.added >= 0 && i.length > (uint64_t)s.added) {
        reply_errorf(c->reply, "ERR The entries_added specified in XSETID is smaller than the target stream length");
        return;
    }
    stream_set_id(o, s.last, s.added, s.has_max_deleted ? &s.max_deleted : NULL);
    reply_ok(c->reply);
    db_changed(c->db, call_arg(c, 1), NOTIFY_STREAM, "xsetid");
}

/* clang-format off */
#define KEY   .first = 1, .last = 1, .step = 1
#define TRIM  "[(MAXLEN|MINID) [=|~] threshold [LIMIT count]]"

static const struct cmd rows[] = {
    {.name = "xadd", .run = xadd, .arity = -5, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .acl = ACL_STREAM, KEY,
     .key_spec = "RW update", .syntax = "key [NOMKSTREAM] " TRIM " (*|id) (field value)...",
     .summary = "Appends an entry to a stream, which is made if absent.", .since = "5.0.0",
     .complexity = "O(1), with trimming O(N) in the entries dropped."},
    {.name = "xtrim", .run = xtrim, .arity = -4, .flags = CMD_WRITE, .acl = ACL_STREAM, KEY,
     .key_spec = "RW delete", .syntax = "key (MAXLEN|MINID) [=|~] threshold [LIMIT count]",
     .summary = "Drops the oldest entries: down to a length, or below an id.", .since = "5.0.0",
     .complexity = "O(N) in the entries dropped."},
    {.name = "xlen", .run = xlen, .arity = 2, .flags = CMD_READONLY | CMD_FAST, .acl = ACL_STREAM, KEY,
     .key_spec = "RO",
     .syntax = "key", .summary = "How many entries a stream has.", .since = "5.0.0", .complexity = "O(1)"},
    {.name = "xrange", .run = xrange, .arity = -4, .flags = CMD_READONLY, .acl = ACL_STREAM, KEY,
     .syntax = "key start:str end [COUNT count]", .summary = "The entries whose ids lie in an interval.",
     .since = "5.0.0", .complexity = "O(log(S)+N): S nodes of the stream, N entries given back."},
    {.name = "xrevrange", .run = xrevrange, .arity = -4, .flags = CMD_READONLY, .acl = ACL_STREAM, KEY,
     .syntax = "key end start:str [COUNT count]", .summary = "The entries of an interval, the newest first.",
     .since = "5.0.0", .complexity = "O(log(S)+N): S nodes of the stream, N entries given back."},
    {.name = "xdel", .run = xdel, .arity = -3, .flags = CMD_WRITE | CMD_FAST, .acl = ACL_STREAM, KEY,
     .key_spec = "RW delete",
     .syntax = "key id...", .summary = "Deletes entries; the stream stays, also when it is empty.", .since = "5.0.0",
     .complexity = "O(1) for each id."},
    {.name = "xsetid", .run = xsetid, .arity = -3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .acl = ACL_STREAM,
     KEY, .key_spec = "RW update", .syntax = "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
     .summary = "Sets the last id of a stream.", .since = "5.0.0", .complexity = "O(1)"},
};
/* clang-format on */

const struct cmd_family stream_family = CMD_FAMILY("stream", rows);
