/* XREAD and XREADGROUP: entries of several streams after given ids, waiting for some if asked to.
 *
 * A group read of new entries (`>`) changes the group: what it gave out and how far it is. Its effects are those facts, one
 * XCLAIM an entry, and the group's position: replaying the read itself could give other entries to other consumers. */
#include "base/mem.h"
#include "cmd/cmd_stream.h"
#include "cmd/families.h"

struct read {
    int64_t count, block_ms; /* count 0: all; block_ms -1: does not wait */
    int first, n;            /* the keys; their ids follow */
    int group;               /* where the group's name stands, the consumer's behind it; 0: XREAD */
    bool no_ack;
};

/* ---- arguments ---- */

static bool is_group_read(const struct call *c)
{
    return c->cmd->arity == -7;
}

static bool parse_block(struct call *c, int i, int64_t *ms)
{
    if (!num_to_i64(call_arg(c, i), ms)) {
        reply_errorf(c->reply, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (*ms < 0)
        reply_errorf(c->reply, "ERR timeout is negative");
    else if (c->flags & CALL_SCRIPT)
        reply_errorf(c->reply, "ERR %.*s command is not allowed with BLOCK option from scripts",
                     (int)c->argv[0].len, c->argv[0].p);
    return *ms >= 0 && !(c->flags & CALL_SCRIPT);
}

static bool parse_streams(struct call *c, int first, struct read *r)
{
    int n = c->argc - first;
    r->first = first;
    r->n = n / 2;
    if (n % 2)
        reply_errorf(c->reply, "ERR Unbalanced '%s' list of streams: for each stream key an ID or '%c' must be specified.",
                     c->cmd->name, is_group_read(c) ? '>' : '$');
    else if (is_group_read(c) && !r->group)
        reply_errorf(c->reply, "ERR Missing GROUP option for XREADGROUP");
    else
        return true;
    return false;
}

/* An option that only XREADGROUP has. */
static bool group_option(struct call *c, const char *name)
{
    if (!is_group_read(c))
        reply_errorf(c->reply, "ERR The %s option is only supported by XREADGROUP. You called XREAD instead.", name);
    return is_group_read(c);
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
            if (!group_option(c, "GROUP"))
                return false;
            r->group = i + 1;
            i += 2;
        } else if (slice_is(call_arg(c, i), "noack")) {
            if (!group_option(c, "NOACK"))
                return false;
            r->no_ack = true;
        } else {
            break;
        }
    }
    call_syntax(c);
    return false;
}

static int read_keys(int argc, const struct slice *argv, int *pos)
{
    for (int i = 1; i < argc; i++) {
        if (slice_is(argv[i], "block") || slice_is(argv[i], "count")) {
            i++;
            continue;
        }
        if (slice_is(argv[i], "group")) {
            i += 2;
            continue;
        }
        if (slice_is(argv[i], "noack"))
            continue;
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

/* ---- after which ids ---- */

/* The id of a new entry for a group: `>`. No entry has it. */
#define NEW SID_MAX

static bool parse_after_one(struct call *c, const struct read *r, int i, struct sid *after)
{
    bool wrong;
    int key = r->first + i, at = r->first + r->n + i;
    struct slice id = call_arg(c, at);
    if (slice_is(id, "$")) {
        if (r->group) {
            reply_errorf(c->reply, "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of "
                                   "this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would "
                                   "just return an empty result set.");
            return false;
        }
        struct obj *o = stream_arg_read(c, key, &wrong);
        *after = o ? stream_info(o).last : SID_MIN;
        return !wrong;
    }
    if (!slice_is(id, ">"))
        return stream_parse_id(c, at, after, NULL);
    *after = NEW;
    if (!r->group)
        reply_errorf(c->reply, "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
                               "<consumer> option.");
    return r->group != 0;
}

/* Whether the i-th key is a stream or absent; a group read needs the stream and the group. `waited`: the call was blocked,
 * and what is missing now was there. False: the error is replied. */
static bool source_fits(struct call *c, const struct read *r, int i, bool waited)
{
    bool wrong;
    struct slice key = call_arg(c, r->first + i);
    struct obj *o = db_read_type(c->db, key, OBJ_STREAM, &wrong);
    if (r->group && waited && (wrong || !o))
        reply_errorf(c->reply, "UNBLOCKED the stream key no longer exists");
    else if (wrong)
        call_wrong_type(c);
    else if (r->group && (!o || !stream_group_find(stream_groups_of(o), call_arg(c, r->group))))
        reply_errorf(c->reply, "NOGROUP No such key '%.*s' or consumer group '%.*s' in XREADGROUP with GROUP option",
                     (int)key.len, key.p, (int)call_arg(c, r->group).len, call_arg(c, r->group).p);
    else
        return true;
    return false;
}

/* Before anything is read: the streams, and the ids after which they are read. False: the error is replied. */
static bool parse_after(struct call *c, const struct read *r, bool waited, struct sid *after)
{
    for (int i = 0; i < r->n; i++) {
        bool check = r->group || !waited; /* XREAD goes on waiting when a key is another type now */
        if ((check && !source_fits(c, r, i, waited)) || !parse_after_one(c, r, i, &after[i]))
            return false;
    }
    return true;
}

/* ---- one stream ---- */

/* Whether the stream has an entry after the id; deleted ones do not count. */
static bool has_after(const struct obj *o, struct sid after, struct stream_range *r)
{
    struct stream_iter it;
    if (sid_cmp(stream_info(o).last, after) <= 0 || !sid_next(&after))
        return false;
    r->from = after;
    r->to = SID_MAX;
    stream_iter_begin(&it, o, r->from, r->to, false);
    return stream_iter_next(&it);
}

/* The group has come to this entry. Whether a count is known depends on what was deleted further on. */
static void advance(const struct obj *o, struct stream_group *g, struct sid id)
{
    if (sid_cmp(id, g->last) <= 0)
        return;
    if (g->read != STREAM_READ_UNKNOWN && !stream_broken_after(o, id))
        g->read++;
    else if (stream_info(o).added)
        g->read = stream_position(o, id);
    g->last = id;
}

static void reply_new(struct call *c, const struct read *r, struct slice key, struct obj *o, struct stream_group *g,
                      struct stream_consumer *to, const struct stream_range *range)
{
    struct stream_iter it;
    size_t n = 0, place = reply_defer(c->reply);
    struct stream_given given;
    int64_t now = store_now(c->db->store);
    stream_given_begin(&given, c, key, g);
    for (stream_iter_begin(&it, o, range->from, range->to, false); stream_iter_next(&it);) {
        struct sid id = it.id;
        stream_reply_entry(c, &it);
        advance(o, g, id);
        if (!r->no_ack) {
            struct stream_pending *p = stream_pending_give(g, id, to);
            p->given_ms = now;
            p->times = 1;
            to->active_ms = now;
            stream_given_add(&given, p);
        }
        if ((int64_t)++n == range->count)
            break;
    }
    reply_defer_array(c->reply, place, n);
    stream_given_end(&given);
    stream_effect_position(c, key, g);
    c->db->store->dirty++;
}

/* What the consumer was given before and has not acknowledged; an entry that is gone since has no fields. */
static void reply_history(struct call *c, struct slice key, struct obj *o, struct stream_group *g, struct stream_consumer *of,
                          struct sid after, int64_t count)
{
    struct stream_given given;
    int64_t now = store_now(c->db->store);
    size_t n = 0, place = reply_defer(c->reply);
    const struct sid *id = sid_next(&after) ? sidmap_from(&of->pending, after) : NULL;
    stream_given_begin(&given, c, key, g);
    for (; id; id = sidmap_after(&of->pending, id)) {
        struct stream_iter it;
        stream_iter_begin(&it, o, *id, *id, false);
        if (stream_iter_next(&it)) {
            struct stream_pending *p = stream_pending_find(g, *id);
            stream_reply_entry(c, &it);
            p->given_ms = now;
            p->times++;
            stream_given_add(&given, p);
        } else {
            reply_array(c->reply, 2);
            stream_reply_id(c, *id);
            reply_nil_array(c->reply);
        }
        if ((int64_t)++n == count)
            break;
    }
    reply_defer_array(c->reply, place, n);
    stream_given_end(&given);
}

/* One stream's part of the answer, when it has one. */
static bool serve_one(struct call *c, const struct read *r, int i, struct sid after, size_t *served, size_t *place)
{
    bool wrong;
    struct slice key = call_arg(c, r->first + i);
    struct stream_range range = {.count = r->count};
    struct obj *o = db_read_type(c->db, key, OBJ_STREAM, &wrong);
    struct stream_group *g = o && r->group ? stream_group_find(stream_groups_of(o), call_arg(c, r->group)) : NULL;
    bool history = g && sid_cmp(after, NEW) != 0;
    struct stream_consumer *asks = g ? stream_consumer_find(g, call_arg(c, r->group + 1)) : NULL;
    if (asks) /* also when there is nothing for it */
        asks->seen_ms = store_now(c->db->store);
    if (!o || (!history && !has_after(o, g ? g->last : after, &range)))
        return false;
    if ((*served)++ == 0)
        *place = reply_defer(c->reply);
    if (c->reply->resp == 2)
        reply_array(c->reply, 2);
    reply_bulk(c->reply, key);
    if (!g) {
        stream_reply_range(c, o, &range);
        return true;
    }
    struct stream_consumer *consumer = stream_consumer_get(c, key, g, call_arg(c, r->group + 1));
    if (history)
        reply_history(c, key, o, g, consumer, after, r->count);
    else
        reply_new(c, r, key, o, g, consumer, &range);
    return true;
}

/* True when the call was answered. */
static bool serve(struct call *c, const struct read *r, const struct sid *after)
{
    size_t served = 0, place = 0;
    for (int i = 0; i < r->n; i++)
        serve_one(c, r, i, after[i], &served, &place);
    if (served && c->reply->resp == 2)
        reply_defer_array(c->reply, place, served);
    else if (served)
        reply_defer_map(c->reply, place, served);
    return served > 0;
}

/* ---- waiting ---- */

static bool retry(struct call *c)
{
    struct read r;
    if (!parse_read(c, &r))
        return true;
    struct sid *after = mem_alloc((size_t)r.n * sizeof *after);
    bool done = !parse_after(c, &r, true, after) || serve(c, &r, after);
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
    for (int i = 0; i < r->n && !r->group; i++)
        argv[r->first + r->n + i] = sid_format(after[i], ids[i]);
    c->argv = argv;
    if (r->group)
        c->flags |= CALL_TOLD_GONE;
    call_block(c, argv + r->first, r->n, r->block_ms, retry, no_entries);
    c->argv = given;
    mem_free(ids);
    mem_free(argv);
}

static void read_streams(struct call *c)
{
    struct read r;
    if (!parse_read(c, &r))
        return;
    struct sid *after = mem_alloc((size_t)r.n * sizeof *after);
    if (r.group)
        call_no_effect(c); /* but those that are stated */
    if (parse_after(c, &r, false, after) && !serve(c, &r, after)) {
        if (r.block_ms >= 0)
            wait_for_entries(c, &r, after);
        else
            no_entries(c);
    }
    mem_free(after);
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
    read_streams(c);
}

/* New entries for one consumer of a group (`>`), or again what it was given and has not acknowledged (an id).
 *
 * > XADD s 1 a 1
 * < "1-0"
 * > XGROUP CREATE s workers 0
 * < OK
 * > XREADGROUP GROUP workers anna COUNT 1 STREAMS s >
 * < 1) 1) "s"
 * <    2) 1) 1) "1-0"
 * <          2) 1) "a"
 * <             2) "1"
 * > XREADGROUP GROUP workers bob STREAMS s >
 * < (nil)
 * > XACK s workers 1-0
 * < (integer) 1
 */
static void xreadgroup(struct call *c)
{
    read_streams(c);
}

/* clang-format off */
static const struct cmd rows[] = {
    {.name = "xread", .run = xread, .arity = -4, .flags = CMD_READONLY | CMD_BLOCKING | CMD_MOVABLEKEYS,
     .acl = ACL_STREAM, .keys = read_keys, .key_spec = "RO access @STREAMS:1 range -1 1 2",
     .syntax = "[COUNT count] [BLOCK milliseconds] STREAMS key... id...",
     .summary = "The entries after given ids in several streams, waiting for some if asked to.", .since = "5.0.0",
     .complexity = "O(log(S)+N) for each stream: S nodes, N entries given back."},
    {.name = "xreadgroup", .run = xreadgroup, .arity = -7, .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLEKEYS,
     .acl = ACL_STREAM, .keys = read_keys, .key_spec = "RO access @STREAMS:4 range -1 1 2",
     .syntax = "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key... id...",
     .summary = "New entries of several streams for a consumer of a group, or those it has not acknowledged.",
     .since = "5.0.0", .complexity = "O(log(S)+N) for each stream: S nodes, N entries given back."},
};
/* clang-format on */

const struct cmd_family stream_read_family = CMD_FAMILY("stream", rows);
