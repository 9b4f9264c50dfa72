/* Streams as commands.
 *
 * What is journaled of an XADD has the id that was given to the entry; a trim that was approximate is journaled as the
 * length it led to, so that a replay does not depend on how entries happened to be spread over nodes. */
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/families.h"
#include "store/t_stream.h"

/* ---- helpers ---- */

static struct obj *read_stream(struct call *c, int key, bool *wrong)
{
    struct obj *o = db_read_type(c->db, call_arg(c, key), OBJ_STREAM, wrong);
    if (*wrong)
        call_wrong_type(c);
    return o;
}

static struct obj *write_stream(struct call *c, int key, bool *wrong)
{
    struct obj *o = db_write_type(c->db, call_arg(c, key), OBJ_STREAM, wrong);
    if (*wrong)
        call_wrong_type(c);
    return o;
}

static void reply_id(struct call *c, struct sid id)
{
    char text[SID_TEXT];
    reply_bulk(c->reply, sid_format(id, text));
}

static bool parse_id(struct call *c, int i, struct sid *id, bool *any_seq)
{
    if (sid_parse(call_arg(c, i), 0, id, any_seq))
        return true;
    reply_errorf(c->reply, "ERR Invalid stream ID specified as stream command argument");
    return false;
}

static void reply_entry(struct call *c, struct stream_iter *it)
{
    char ftmp[NUM_I64_MAX], vtmp[NUM_I64_MAX];
    reply_array(c->reply, 2);
    reply_id(c, it->id);
    reply_array(c->reply, 2 * (size_t)it->fields);
    for (int64_t i = 0; i < it->fields; i++) {
        struct slice f, v;
        stream_iter_pair(it, &f, ftmp, &v, vtmp);
        reply_bulk(c->reply, f);
        reply_bulk(c->reply, v);
    }
}

struct range {
    struct sid from, to;
    bool back;
    int64_t count; /* 0: all */
};

static void reply_range(struct call *c, const struct obj *o, const struct range *r)
{
    struct stream_iter it;
    size_t n = 0, place = reply_defer(c->reply);
    for (stream_iter_begin(&it, o, r->from, r->to, r->back); stream_iter_next(&it);) {
        reply_entry(c, &it);
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
        return parse_id(c, i + 1, &a->trim.minid, NULL) ? i + 1 : 0;
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
            if (!parse_id(c, i, &a->id, &a->auto_seq))
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
    reply_id(c, a->id);
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
    struct obj *o = write_stream(c, 1, &wrong);
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
    struct obj *o = write_stream(c, 1, &wrong);
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
    struct obj *o = read_stream(c, 1, &wrong);
    if (!wrong)
        reply_int(c->reply, o ? (int64_t)stream_info(o).length : 0);
}

/* One end of an interval: "-", "+", an id, or "(" and an id to leave that one out. */
static bool parse_bound(struct call *c, int i, bool start, struct sid *id)
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
    struct range r = {.back = back};
    bool wrong, counted = false;
    if (!parse_bound(c, back ? 3 : 2, true, &r.from) || !parse_bound(c, back ? 2 : 3, false, &r.to))
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
    struct obj *o = read_stream(c, 1, &wrong);
    if (wrong)
        return;
    if (!o)
        reply_array(c->reply, 0);
    else if (counted && r.count <= 0)
        reply_nil_array(c->reply);
    else
        reply_range(c, o, &r);
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

/* ---- XREAD ---- */

struct read {
    int64_t count, block_ms; /* block_ms -1: does not wait */
    int first, n;            /* the keys; their ids follow */
};

static bool parse_block(struct call *c, int i, int64_t *ms)
{
    if (!num_to_i64(call_arg(c, i), ms)) {
        reply_errorf(c->reply, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (*ms < 0)
        reply_errorf(c->reply, "ERR timeout is negative");
    else if (c->flags & CALL_SCRIPT)
        reply_errorf(c->reply, "ERR %s command is not allowed with BLOCK option from scripts", c->cmd->name);
    return *ms >= 0 && !(c->flags & CALL_SCRIPT);
}

static bool parse_streams(struct call *c, int first, struct read *r)
{
    int n = c->argc - first;
    r->first = first;
    r->n = n / 2;
    if (n % 2 == 0)
        return true;
    reply_errorf(c->reply, "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.");
    return false;
}

static bool parse_read(struct call *c, struct read *r)
{
    *r = (struct read){.block_ms = -1};
    for (int i = 1; i < c->argc; i++) {
        bool more = i + 1 < c->argc;
        if (more && slice_is(call_arg(c, i), "block")) {
            if (!parse_block(c, ++i, &r->block_ms))
                return false;
        } else if (more && slice_is(call_arg(c, i), "count")) {
            if (!call_i64(c, ++i, &r->count))
                return false;
            if (r->count < 0)
                r->count = 0;
        } else if (more && slice_is(call_arg(c, i), "streams")) {
            return parse_streams(c, i + 1, r);
        } else if (i + 2 < c->argc && slice_is(call_arg(c, i), "group")) {
            reply_errorf(c->reply,
                         "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.");
            return false;
        } else {
            break;
        }
    }
    call_syntax(c);
    return false;
}

static int xread_keys(int argc, const struct slice *argv, int *pos)
{
    for (int i = 1; i < argc; i++) {
        if (slice_is(argv[i], "block") || slice_is(argv[i], "count")) {
            i++;
            continue;
        }
        int n = (argc - i - 1) / 2;
        if (!slice_is(argv[i], "streams") || n == 0 || (argc - i - 1) % 2)
            return -1;
        if (n > CMD_MAX_KEYS)
            n = CMD_MAX_KEYS;
        for (int k = 0; k < n; k++)
            pos[k] = i + 1 + k;
        return n;
    }
    return -1;
}

/* The ids after which each stream is read. `$` is the last id there is now. False: the error is replied. */
static bool parse_after(struct call *c, const struct read *r, struct sid *after)
{
    for (int i = 0; i < r->n; i++) {
        bool wrong;
        int id = r->first + r->n + i;
        if (slice_is(call_arg(c, id), "$")) {
            struct obj *o = read_stream(c, r->first + i, &wrong);
            if (wrong)
                return false;
            after[i] = o ? stream_info(o).last : SID_MIN;
        } else if (slice_is(call_arg(c, id), ">")) {
            reply_errorf(c->reply, "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
                                   "<consumer> option.");
            return false;
        } else if (!parse_id(c, id, &after[i], NULL)) {
            return false;
        }
    }
    return true;
}

/* Whether the stream has an entry after the id; deleted ones do not count. */
static bool has_after(const struct obj *o, struct sid after, struct range *r)
{
    struct stream_iter it;
    if (sid_cmp(stream_info(o).last, after) <= 0 || !sid_next(&after))
        return false;
    r->from = after;
    r->to = SID_MAX;
    stream_iter_begin(&it, o, r->from, r->to, false);
    return stream_iter_next(&it);
}

/* True when the call was answered. */
static bool serve_read(struct call *c, const struct read *r, const struct sid *after, bool waiting)
{
    size_t served = 0, place = 0;
    struct range range = {.count = r->count};
    for (int i = 0; i < r->n; i++) {
        bool wrong;
        struct obj *o = db_read_type(c->db, call_arg(c, r->first + i), OBJ_STREAM, &wrong);
        if (wrong && !waiting && !served) {
            call_wrong_type(c);
            return true;
        }
        if (!o || !has_after(o, after[i], &range))
            continue;
        if (served++ == 0)
            place = reply_defer(c->reply);
        if (c->reply->resp == 2)
            reply_array(c->reply, 2);
        reply_bulk(c->reply, call_arg(c, r->first + i));
        reply_range(c, o, &range);
    }
    if (served && c->reply->resp == 2)
        reply_defer_array(c->reply, place, served);
    else if (served)
        reply_defer_map(c->reply, place, served);
    return served > 0;
}

static bool types_fit(struct call *c, const struct read *r)
{
    for (int i = 0; i < r->n; i++) {
        bool wrong;
        db_write_type(c->db, call_arg(c, r->first + i), OBJ_STREAM, &wrong);
        if (wrong) {
            call_wrong_type(c);
            return false;
        }
    }
    return true;
}

static bool retry_read(struct call *c)
{
    struct read r;
    if (!parse_read(c, &r))
        return true;
    struct sid *after = mem_alloc((size_t)r.n * sizeof *after);
    bool done = !parse_after(c, &r, after) || serve_read(c, &r, after, true);
    mem_free(after);
    return done;
}

static void no_entries(struct call *c)
{
    reply_nil_array(c->reply);
}

/* Waits with every `$` replaced by the id that it stood for when the command came. */
static void wait_for_entries(struct call *c, const struct read *r, const struct sid *after)
{
    const struct slice *given = c->argv;
    struct slice *argv = mem_dup(given, (size_t)c->argc * sizeof *argv);
    char(*ids)[SID_TEXT] = mem_alloc((size_t)r->n * sizeof *ids);
    for (int i = 0; i < r->n; i++)
        argv[r->first + r->n + i] = sid_format(after[i], ids[i]);
    c->argv = argv;
    call_block(c, argv + r->first, r->n, r->block_ms, retry_read, no_entries);
    c->argv = given;
    mem_free(ids);
    mem_free(argv);
}

/* > XADD s 1 a 1
 * < "1-0"
 * > XREAD COUNT 10 STREAMS s 0
 * < 1) 1) "s"
 * <    2) 1) 1) "1-0"
 * <          2) 1) "a"
 * <             2) "1"
 * > XREAD BLOCK 10 STREAMS s $
 * < (nil)
 */
static void xread(struct call *c)
{
    struct read r;
    if (!parse_read(c, &r))
        return;
    struct sid *after = mem_alloc((size_t)r.n * sizeof *after);
    if (parse_after(c, &r, after) && types_fit(c, &r) && !serve_read(c, &r, after, false)) {
        if (r.block_ms >= 0)
            wait_for_entries(c, &r, after);
        else
            no_entries(c);
    }
    mem_free(after);
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
    struct obj *o = write_stream(c, 1, &wrong);
    if (wrong)
        return;
    for (int i = 2; o && i < c->argc; i++)
        if (!parse_id(c, i, &id, NULL))
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
    if (!parse_id(c, 2, &s->last, NULL))
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
            if (!parse_id(c, i + 1, &s->max_deleted, NULL))
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
    struct obj *o = write_stream(c, 1, &wrong);
    if (wrong)
        return;
    if (!o) {
        reply_errorf(c->reply, "ERR no such key");
        return;
    }
    struct stream_info i = stream_info(o);
    struct range all = {.to = SID_MAX, .back = true};
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

/* ---- XINFO ---- */

static void info_id(struct call *c, const char *name, struct sid id)
{
    reply_str(c->reply, name);
    reply_id(c, id);
}

static void info_int(struct call *c, const char *name, uint64_t v)
{
    reply_str(c->reply, name);
    reply_int(c->reply, (int64_t)v);
}

/* Redis shows its radix tree here; ours is an array with one element for each node. */
static void info_common(struct call *c, const struct stream_info *i)
{
    info_int(c, "length", i->length);
    info_int(c, "radix-tree-keys", i->nodes);
    info_int(c, "radix-tree-nodes", i->nodes + 1);
    info_id(c, "last-generated-id", i->last);
    info_id(c, "max-deleted-entry-id", i->max_deleted);
    info_int(c, "entries-added", i->added);
    info_id(c, "recorded-first-entry-id", i->first);
}

static void info_edge(struct call *c, const char *name, const struct obj *o, bool last)
{
    struct stream_iter it;
    reply_str(c->reply, name);
    stream_iter_begin(&it, o, SID_MIN, SID_MAX, last);
    if (stream_iter_next(&it))
        reply_entry(c, &it);
    else
        reply_nil(c->reply);
}

static bool parse_full(struct call *c, bool *full, int64_t *count)
{
    *full = c->argc > 3;
    *count = 10;
    if (c->argc == 3)
        return true;
    bool fits = slice_is(call_arg(c, 3), "full") &&
                (c->argc == 4 || (c->argc == 6 && slice_is(call_arg(c, 4), "count")));
    if (!fits) {
        reply_errorf(c->reply, "ERR unknown subcommand or wrong number of arguments for 'stream'. Try XINFO HELP.");
        return false;
    }
    if (c->argc == 6 && !call_i64(c, 5, count))
        return false;
    if (*count < 0)
        *count = 10;
    return true;
}

/* > XADD s 1 f v
 * < "1-0"
 * > XINFO STREAM s
 * <  1) "length"
 * <  2) (integer) 1
 * < ...
 */
static void xinfo_stream(struct call *c)
{
    bool wrong, full;
    int64_t count;
    struct obj *o = read_stream(c, 2, &wrong);
    if (wrong)
        return;
    if (!o) {
        reply_errorf(c->reply, "ERR no such key");
        return;
    }
    if (!parse_full(c, &full, &count))
        return;
    struct stream_info i = stream_info(o);
    reply_map(c->reply, full ? 9 : 10);
    info_common(c, &i);
    if (full) {
        struct range all = {.to = SID_MAX, .count = count};
        reply_str(c->reply, "entries");
        reply_range(c, o, &all);
        reply_str(c->reply, "groups");
        reply_array(c->reply, 0);
    } else {
        info_int(c, "groups", 0);
        info_edge(c, "first-entry", o, false);
        info_edge(c, "last-entry", o, true);
    }
}

/* > XINFO HELP
 * < 1) XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
 * < ...
 */
static void xinfo_help(struct call *c)
{
    static const char *const lines[] = {
        "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "STREAM <key> [FULL [COUNT <count>]]",
        "    What there is to know of a stream; FULL shows its entries.",
        "HELP",
        "    Print this help.",
    };
    size_t n = sizeof lines / sizeof *lines;
    reply_array(c->reply, n);
    for (size_t i = 0; i < n; i++)
        reply_status(c->reply, lines[i]);
}

/* clang-format off */
static const struct cmd xinfo_subs[] = {
    {.name = "stream", .run = xinfo_stream, .arity = -3, .flags = CMD_READONLY, .acl = ACL_STREAM | ACL_SLOW,
     .first = 2, .last = 2, .step = 1, .syntax = "key [FULL [COUNT count]]",
     .summary = "What there is to know of a stream.", .since = "5.0.0",
     .complexity = "O(1), with FULL O(N) in the entries shown."},
    {.name = "help", .run = xinfo_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_STREAM | ACL_SLOW,
     .syntax = "", .summary = "The subcommands of XINFO.", .since = "5.0.0", .complexity = "O(1)"},
};

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
     .syntax = "key start end [COUNT count]", .summary = "The entries whose ids lie in an interval.",
     .since = "5.0.0", .complexity = "O(log(S)+N): S nodes of the stream, N entries given back."},
    {.name = "xrevrange", .run = xrevrange, .arity = -4, .flags = CMD_READONLY, .acl = ACL_STREAM, KEY,
     .syntax = "key end start [COUNT count]", .summary = "The entries of an interval, the newest first.",
     .since = "5.0.0", .complexity = "O(log(S)+N): S nodes of the stream, N entries given back."},
    {.name = "xread", .run = xread, .arity = -4, .flags = CMD_READONLY | CMD_BLOCKING | CMD_MOVABLEKEYS,
     .acl = ACL_STREAM, .keys = xread_keys, .key_spec = "RO access @STREAMS:1 range -1 1 2",
     .syntax = "[COUNT count] [BLOCK milliseconds] STREAMS key... id...",
     .summary = "The entries after given ids in several streams, waiting for some if asked to.", .since = "5.0.0",
     .complexity = "O(log(S)+N) for each stream: S nodes, N entries given back."},
    {.name = "xdel", .run = xdel, .arity = -3, .flags = CMD_WRITE | CMD_FAST, .acl = ACL_STREAM, KEY,
     .key_spec = "RW delete",
     .syntax = "key id...", .summary = "Deletes entries; the stream stays, also when it is empty.", .since = "5.0.0",
     .complexity = "O(1) for each id."},
    {.name = "xsetid", .run = xsetid, .arity = -3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .acl = ACL_STREAM,
     KEY, .key_spec = "RW update", .syntax = "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
     .summary = "Sets the last id of a stream.", .since = "5.0.0", .complexity = "O(1)"},
    {.name = "xinfo", .arity = -2, .flags = 0, .acl = ACL_STREAM | ACL_SLOW, .syntax = "",
     .summary = "Asks about streams.", .since = "5.0.0", .complexity = "Depends on the subcommand.",
     .subs = xinfo_subs, .nsubs = sizeof xinfo_subs / sizeof *xinfo_subs},
};
/* clang-format on */

const struct cmd_family stream_family = CMD_FAMILY("stream", rows);
