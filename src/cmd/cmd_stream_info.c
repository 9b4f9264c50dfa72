/* XINFO: what there is to know of streams, groups and consumers. */
#include "cmd/cmd_stream.h"
#include "cmd/families.h"

static void info_id(struct call *c, const char *name, struct sid id)
{
    reply_str(c->reply, name);
    stream_reply_id(c, id);
}

static void info_int(struct call *c, const char *name, uint64_t v)
{
    reply_str(c->reply, name);
    reply_int(c->reply, (int64_t)v);
}

/* The stream under argv[2]; NULL: the error is replied. */
static struct obj *info_stream(struct call *c)
{
    bool wrong;
    struct obj *o = stream_arg_read(c, 2, &wrong);
    if (!o && !wrong)
        reply_errorf(c->reply, "ERR no such key");
    return o;
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
        stream_reply_entry(c, &it);
    else
        reply_nil(c->reply);
}

/* ---- groups ---- */

/* How far the group has come, and how many entries are before it, where that can be known. */
static void info_progress(struct call *c, const struct obj *o, const struct stream_group *g)
{
    uint64_t added = stream_info(o).added;
    int64_t read = g->read;
    reply_str(c->reply, "entries-read");
    if (read == STREAM_READ_UNKNOWN)
        reply_nil(c->reply);
    else
        reply_int(c->reply, read);
    if (added == 0)
        read = 0;
    else if (read == STREAM_READ_UNKNOWN || stream_broken_after(o, g->last))
        read = stream_position(o, g->last);
    reply_str(c->reply, "lag");
    if (read == STREAM_READ_UNKNOWN)
        reply_nil(c->reply);
    else
        reply_int(c->reply, (int64_t)added - read);
}

/* > XGROUP CREATE s workers $ MKSTREAM
 * < OK
 * > XINFO GROUPS s
 * < 1)  1) "name"
 * <     2) "workers"
 * < ...
 */
static void xinfo_groups(struct call *c)
{
    struct obj *o = info_stream(c);
    if (!o)
        return;
    const struct stream_groups *gs = stream_groups_of(o);
    reply_array(c->reply, gs->n);
    for (size_t i = 0; i < gs->n; i++) {
        const struct stream_group *g = gs->group[i];
        reply_map(c->reply, 6);
        reply_field_bulk(c->reply, "name", g->name);
        info_int(c, "consumers", g->nconsumers);
        info_int(c, "pending", g->pending.n);
        info_id(c, "last-delivered-id", g->last);
        info_progress(c, o, g);
    }
}

static int64_t since(int64_t now, int64_t then)
{
    return then < 0 ? -1 : now > then ? now - then : 0;
}

/* > XGROUP CREATE s workers $ MKSTREAM
 * < OK
 * > XGROUP CREATECONSUMER s workers anna
 * < (integer) 1
 * > XINFO CONSUMERS s workers
 * < 1) 1) "name"
 * <    2) "anna"
 * <    3) "pending"
 * <    4) (integer) 0
 * < ...
 */
static void xinfo_consumers(struct call *c)
{
    struct obj *o = info_stream(c);
    if (!o)
        return;
    const struct stream_group *g = stream_group_find(stream_groups_of(o), call_arg(c, 3));
    if (!g) {
        reply_errorf(c->reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'", (int)call_arg(c, 3).len,
                     call_arg(c, 3).p, (int)call_arg(c, 2).len, call_arg(c, 2).p);
        return;
    }
    int64_t now = store_now(c->db->store);
    reply_array(c->reply, g->nconsumers);
    for (size_t i = 0; i < g->nconsumers; i++) {
        const struct stream_consumer *consumer = g->consumers[i];
        reply_map(c->reply, 4);
        reply_field_bulk(c->reply, "name", consumer->name);
        info_int(c, "pending", consumer->pending.n);
        reply_field_int(c->reply, "idle", since(now, consumer->seen_ms));
        reply_field_int(c->reply, "inactive", since(now, consumer->active_ms));
    }
}

/* ---- XINFO STREAM FULL ---- */

static void full_consumer(struct call *c, const struct stream_group *g, const struct stream_consumer *consumer, int64_t count)
{
    size_t n = 0;
    reply_map(c->reply, 5);
    reply_field_bulk(c->reply, "name", consumer->name);
    reply_field_int(c->reply, "seen-time", consumer->seen_ms);
    reply_field_int(c->reply, "active-time", consumer->active_ms);
    info_int(c, "pel-count", consumer->pending.n);
    reply_str(c->reply, "pending");
    size_t place = reply_defer(c->reply);
    const struct sid *id = sidmap_from(&consumer->pending, SID_MIN);
    for (; id && (!count || (int64_t)n < count); id = sidmap_after(&consumer->pending, id), n++) {
        const struct stream_pending *p = stream_pending_find(g, *id);
        reply_array(c->reply, 3);
        stream_reply_id(c, p->id);
        reply_int(c->reply, p->given_ms);
        reply_int(c->reply, (int64_t)p->times);
    }
    reply_defer_array(c->reply, place, n);
}

static void full_group(struct call *c, const struct obj *o, const struct stream_group *g, int64_t count)
{
    size_t n = 0;
    reply_map(c->reply, 7);
    reply_field_bulk(c->reply, "name", g->name);
    info_id(c, "last-delivered-id", g->last);
    info_progress(c, o, g);
    info_int(c, "pel-count", g->pending.n);
    reply_str(c->reply, "pending");
    size_t place = reply_defer(c->reply);
    const struct stream_pending *p = sidmap_from(&g->pending, SID_MIN);
    for (; p && (!count || (int64_t)n < count); p = sidmap_after(&g->pending, p), n++) {
        reply_array(c->reply, 4);
        stream_reply_id(c, p->id);
        reply_bulk(c->reply, p->owner->name);
        reply_int(c->reply, p->given_ms);
        reply_int(c->reply, (int64_t)p->times);
    }
    reply_defer_array(c->reply, place, n);
    reply_str(c->reply, "consumers");
    reply_array(c->reply, g->nconsumers);
    for (size_t i = 0; i < g->nconsumers; i++)
        full_consumer(c, g, g->consumers[i], count);
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
    bool full;
    int64_t count;
    struct obj *o = info_stream(c);
    if (!o || !parse_full(c, &full, &count))
        return;
    struct stream_info i = stream_info(o);
    const struct stream_groups *gs = stream_groups_of(o);
    reply_map(c->reply, full ? 9 : 10);
    info_common(c, &i);
    if (full) {
        struct stream_range all = {.to = SID_MAX, .count = count};
        reply_str(c->reply, "entries");
        stream_reply_range(c, o, &all);
        reply_str(c->reply, "groups");
        reply_array(c->reply, gs->n);
        for (size_t k = 0; k < gs->n; k++)
            full_group(c, o, gs->group[k], count);
    } else {
        info_int(c, "groups", gs->n);
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
        "CONSUMERS <key> <groupname>",
        "    The consumers of a group.",
        "GROUPS <key>",
        "    The groups of a stream.",
        "STREAM <key> [FULL [COUNT <count>]]",
        "    What there is to know of a stream; FULL shows its entries and groups.",
        "HELP",
        "    Print this help.",
    };
    size_t n = sizeof lines / sizeof *lines;
    reply_array(c->reply, n);
    for (size_t i = 0; i < n; i++)
        reply_status(c->reply, lines[i]);
}

/* clang-format off */
#define SUB .flags = CMD_READONLY, .acl = ACL_STREAM | ACL_SLOW, .first = 2, .last = 2, .step = 1
static const struct cmd subs[] = {
    {.name = "stream", .run = xinfo_stream, .arity = -3, SUB, .syntax = "key [FULL [COUNT count]]",
     .summary = "What there is to know of a stream.", .since = "5.0.0",
     .complexity = "O(1), with FULL O(N) in the entries shown."},
    {.name = "groups", .run = xinfo_groups, .arity = 3, SUB, .syntax = "key", .summary = "The groups of a stream.",
     .since = "5.0.0", .complexity = "O(1)"},
    {.name = "consumers", .run = xinfo_consumers, .arity = 4, SUB, .syntax = "key group",
     .summary = "The consumers of a group.", .since = "5.0.0", .complexity = "O(1)"},
    {.name = "help", .run = xinfo_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_STREAM | ACL_SLOW,
     .syntax = "", .summary = "The subcommands of XINFO.", .since = "5.0.0", .complexity = "O(1)"},
};

static const struct cmd rows[] = {
    {.name = "xinfo", .arity = -2, .flags = 0, .acl = ACL_SLOW, .syntax = "",
     .summary = "Asks about streams.", .since = "5.0.0", .complexity = "Depends on the subcommand.", .subs = subs,
     .nsubs = sizeof subs / sizeof *subs},
};
/* clang-format on */

const struct cmd_family stream_info_family = CMD_FAMILY("stream", rows);
