/* Consumer groups: making and ending them, acknowledging, what is pending. */
#include "cmd/block.h"
#include "cmd/cmd_stream.h"
#include "cmd/families.h"

/* ---- shared ---- */

static void no_group(struct call *c, struct slice key, struct slice group)
{
    reply_errorf(c->reply, "NOGROUP No such key '%.*s' or consumer group '%.*s'", (int)key.len, key.p, (int)group.len, group.p);
}

struct stream_group *stream_arg_group(struct call *c, int key, int group, struct obj **o)
{
    bool wrong;
    *o = stream_arg_write(c, key, &wrong);
    struct stream_group *g = *o ? stream_group_find(stream_groups_of(*o), call_arg(c, group)) : NULL;
    if (!g && !wrong)
        no_group(c, call_arg(c, key), call_arg(c, group));
    return g;
}

static void effect_consumer(struct call *c, struct slice key, const struct stream_group *g, struct slice name)
{
    call_effect(c, 5, (struct slice[]){SLICE("XGROUP"), SLICE("CREATECONSUMER"), key, g->name, name});
}

struct stream_consumer *stream_consumer_get(struct call *c, struct slice key, struct stream_group *g, struct slice name)
{
    struct stream_consumer *consumer = stream_consumer_find(g, name);
    if (consumer) {
        consumer->seen_ms = store_now(c->db->store);
        return consumer;
    }
    consumer = stream_consumer_add(g, name, store_now(c->db->store));
    db_notify(c->db, NOTIFY_STREAM, "xgroup-createconsumer", key);
    effect_consumer(c, key, g, name);
    c->db->store->dirty++;
    return consumer;
}

void stream_given_begin(struct stream_given *d, struct call *c, struct slice key, const struct stream_group *g)
{
    d->c = c;
    d->key = key;
    d->group = g;
    d->n = 0;
}

void stream_given_end(struct stream_given *d)
{
    char ids[STREAM_GIVEN_MAX][SID_TEXT], last[SID_TEXT], time[NUM_I64_MAX], times[NUM_I64_MAX];
    struct slice argv[5 + STREAM_GIVEN_MAX + 8];
    int n = 0;
    if (d->n == 0)
        return;
    argv[n++] = SLICE("XCLAIM");
    argv[n++] = d->key;
    argv[n++] = d->group->name;
    argv[n++] = d->to->name;
    argv[n++] = SLICE("0");
    for (int i = 0; i < d->n; i++)
        argv[n++] = sid_format(d->ids[i], ids[i]);
    argv[n++] = SLICE("TIME");
    argv[n++] = slice_of(time, num_from_i64(time, d->given_ms));
    argv[n++] = SLICE("RETRYCOUNT");
    argv[n++] = slice_of(times, num_from_u64(times, d->times));
    argv[n++] = SLICE("FORCE");
    argv[n++] = SLICE("JUSTID");
    argv[n++] = SLICE("LASTID");
    argv[n++] = sid_format(d->group->last, last);
    call_effect(d->c, n, argv);
    d->n = 0;
}

void stream_given_add(struct stream_given *d, const struct stream_pending *p)
{
    if (d->n == STREAM_GIVEN_MAX || d->to != p->owner || d->given_ms != p->given_ms || d->times != p->times)
        stream_given_end(d);
    d->to = p->owner;
    d->given_ms = p->given_ms;
    d->times = p->times;
    d->ids[d->n++] = p->id;
    d->c->db->store->dirty++;
}

void stream_effect_position(struct call *c, struct slice key, const struct stream_group *g)
{
    char last[SID_TEXT], read[NUM_I64_MAX];
    call_effect(c, 7,
                (struct slice[]){SLICE("XGROUP"), SLICE("SETID"), key, g->name, sid_format(g->last, last),
                                 SLICE("ENTRIESREAD"), slice_of(read, num_from_i64(read, g->read))});
}

/* ---- XGROUP ---- */

struct group_options {
    bool make_stream;
    int64_t read;
};

static bool parse_options(struct call *c, bool create, struct group_options *opt)
{
    *opt = (struct group_options){.read = STREAM_READ_UNKNOWN};
    for (int i = 5; i < c->argc; i++) {
        if (create && slice_is(call_arg(c, i), "mkstream")) {
            opt->make_stream = true;
        } else if (i + 1 < c->argc && slice_is(call_arg(c, i), "entriesread")) {
            if (!call_i64(c, ++i, &opt->read))
                return false;
            if (opt->read < STREAM_READ_UNKNOWN) {
                reply_errorf(c->reply, "ERR value for ENTRIESREAD must be positive or -1");
                return false;
            }
        } else {
            reply_errorf(c->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try XGROUP HELP.",
                         (int)call_arg(c, 1).len, call_arg(c, 1).p);
            return false;
        }
    }
    return true;
}

/* The stream under argv[2]; NULL: the error is replied. */
static struct obj *group_stream(struct call *c)
{
    bool wrong;
    struct obj *o = stream_arg_write(c, 2, &wrong);
    if (!o && !wrong)
        reply_errorf(c->reply, "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use "
                               "the MKSTREAM option to create an empty stream automatically.");
    return o;
}

static struct stream_group *group_named(struct call *c, struct obj *o)
{
    struct stream_group *g = stream_group_find(stream_groups_of(o), call_arg(c, 3));
    if (!g)
        reply_errorf(c->reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'", (int)call_arg(c, 3).len,
                     call_arg(c, 3).p, (int)call_arg(c, 2).len, call_arg(c, 2).p);
    return g;
}

/* argv[4]: an id, or $ for the last one there is; `ends`: or - and +. */
static bool parse_position(struct call *c, const struct obj *o, bool ends, struct sid *id)
{
    if (ends && (slice_is(call_arg(c, 4), "-") || slice_is(call_arg(c, 4), "+"))) {
        *id = call_arg(c, 4).p[0] == '-' ? SID_MIN : SID_MAX;
        return true;
    }
    if (!slice_is(call_arg(c, 4), "$"))
        return stream_parse_id(c, 4, id, NULL);
    *id = o ? stream_info(o).last : SID_MIN;
    return true;
}

/* A group is not what WATCH and caches look at: the stream reads as before. */
static void group_changed(struct call *c, const char *event)
{
    c->db->store->dirty++;
    db_notify(c->db, NOTIFY_STREAM, event, call_arg(c, 2));
}

static void effect_create(struct call *c, const struct stream_group *g)
{
    char last[SID_TEXT], read[NUM_I64_MAX];
    call_effect(c, 8,
                (struct slice[]){SLICE("XGROUP"), SLICE("CREATE"), call_arg(c, 2), g->name, sid_format(g->last, last),
                                 SLICE("MKSTREAM"), SLICE("ENTRIESREAD"), slice_of(read, num_from_i64(read, g->read))});
}

/* > XGROUP CREATE s workers $ MKSTREAM
 * < OK
 * > XGROUP CREATE s workers 0
 * < (error) BUSYGROUP Consumer Group name already exists
 * > XGROUP CREATE absent workers 0
 * < (error) ERR The XGROUP subcommand requires the key to exist.*
 */
static void xgroup_create(struct call *c)
{
    struct group_options opt;
    struct sid id;
    bool wrong;
    if (!parse_options(c, true, &opt))
        return;
    struct obj *o = opt.make_stream ? stream_arg_write(c, 2, &wrong) : group_stream(c);
    if ((!o && !opt.make_stream) || (opt.make_stream && wrong) || !parse_position(c, o, false, &id))
        return;
    bool made = !o;
    if (made)
        o = db_add(c->db, call_arg(c, 2), stream_new());
    struct stream_group *g = stream_group_add(stream_groups_of(o), call_arg(c, 3));
    if (!g) {
        reply_errorf(c->reply, "BUSYGROUP Consumer Group name already exists");
        return;
    }
    g->last = id;
    g->read = opt.read;
    effect_create(c, g);
    if (made)
        db_changed(c->db, call_arg(c, 2), NOTIFY_STREAM, "xgroup-create");
    else
        group_changed(c, "xgroup-create");
    reply_ok(c->reply);
}

/* Moves a group: the next entry that it gives out is the one after the id.
 *
 * > XGROUP CREATE s workers $ MKSTREAM
 * < OK
 * > XGROUP SETID s workers 0
 * < OK
 */
static void xgroup_setid(struct call *c)
{
    struct group_options opt;
    struct obj *o;
    struct stream_group *g;
    struct sid id;
    if (!parse_options(c, false, &opt) || !(o = group_stream(c)) || !(g = group_named(c, o)) || !parse_position(c, o, true, &id))
        return;
    g->last = id;
    g->read = opt.read;
    stream_effect_position(c, call_arg(c, 2), g);
    group_changed(c, "xgroup-setid");
    reply_ok(c->reply);
}

/* > XGROUP CREATE s workers $ MKSTREAM
 * < OK
 * > XGROUP DESTROY s workers
 * < (integer) 1
 * > XGROUP DESTROY s workers
 * < (integer) 0
 */
static void xgroup_destroy(struct call *c)
{
    struct obj *o = group_stream(c);
    if (!o)
        return;
    bool gone = stream_group_drop(stream_groups_of(o), call_arg(c, 3));
    if (gone) {
        group_changed(c, "xgroup-destroy");
        block_touched(c->db, call_arg(c, 2)); /* who waits with this group is told */
    }
    reply_int(c->reply, gone);
}

/* > XGROUP CREATE s workers $ MKSTREAM
 * < OK
 * > XGROUP CREATECONSUMER s workers anna
 * < (integer) 1
 * > XGROUP CREATECONSUMER s workers anna
 * < (integer) 0
 */
static void xgroup_createconsumer(struct call *c)
{
    struct obj *o = group_stream(c);
    struct stream_group *g = o ? group_named(c, o) : NULL;
    if (!g)
        return;
    bool made = stream_consumer_add(g, call_arg(c, 4), store_now(c->db->store)) != NULL;
    if (made)
        group_changed(c, "xgroup-createconsumer");
    reply_int(c->reply, made);
}

/* Answers how many entries the consumer had not acknowledged: they are pending no more.
 *
 * > XGROUP CREATE s workers $ MKSTREAM
 * < OK
 * > XGROUP DELCONSUMER s workers nobody
 * < (integer) 0
 */
static void xgroup_delconsumer(struct call *c)
{
    struct obj *o = group_stream(c);
    struct stream_group *g = o ? group_named(c, o) : NULL;
    if (!g)
        return;
    int64_t had = stream_consumer_drop(g, call_arg(c, 4));
    if (had >= 0)
        group_changed(c, "xgroup-delconsumer");
    reply_int(c->reply, had > 0 ? had : 0);
}

static void xgroup_help(struct call *c)
{
    static const char *const lines[] = {
        "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CREATE <key> <groupname> <id|$> [MKSTREAM] [ENTRIESREAD entries_read]",
        "    Makes a group that reads on after the id; MKSTREAM makes an absent stream, too.",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Makes a consumer.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Ends a consumer, with what it had pending.",
        "DESTROY <key> <groupname>",
        "    Ends a group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Moves a group to an id.",
        "HELP",
        "    This text.",
    };
    reply_array(c->reply, sizeof lines / sizeof *lines);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        reply_status(c->reply, lines[i]);
}

/* ---- XACK ---- */

/* Entries that are done: they are pending no more.
 *
 * > XACK absent workers 1-0
 * < (integer) 0
 */
static void xack(struct call *c)
{
    bool wrong;
    struct sid id;
    int64_t n = 0;
    struct obj *o = stream_arg_write(c, 1, &wrong);
    struct stream_group *g = o ? stream_group_find(stream_groups_of(o), call_arg(c, 2)) : NULL;
    if (wrong)
        return;
    for (int i = 3; g && i < c->argc; i++)
        if (!stream_parse_id(c, i, &id, NULL))
            return;
    for (int i = 3; g && i < c->argc; i++) {
        sid_parse(call_arg(c, i), 0, &id, NULL);
        n += stream_pending_drop(g, id);
    }
    c->db->store->dirty += (uint64_t)n;
    reply_int(c->reply, n);
}

/* ---- XPENDING ---- */

static void pending_summary(struct call *c, const struct stream_group *g)
{
    const struct stream_pending *first = sidmap_from(&g->pending, SID_MIN), *last = sidmap_last(&g->pending);
    size_t n = 0;
    reply_array(c->reply, 4);
    reply_int(c->reply, (int64_t)g->pending.n);
    if (!first) {
        reply_nil(c->reply);
        reply_nil(c->reply);
        reply_nil_array(c->reply);
        return;
    }
    stream_reply_id(c, first->id);
    stream_reply_id(c, last->id);
    size_t place = reply_defer(c->reply);
    for (size_t i = 0; i < g->nconsumers; i++) {
        const struct stream_consumer *consumer = g->consumers[i];
        if (consumer->pending.n == 0)
            continue;
        reply_array(c->reply, 2);
        reply_bulk(c->reply, consumer->name);
        reply_bulkf(c->reply, "%zu", consumer->pending.n);
        n++;
    }
    reply_defer_array(c->reply, place, n);
}

struct pending_range {
    int64_t idle, count;
    struct sid from, to;
    int consumer; /* where its name stands; 0: all */
};

static bool parse_pending(struct call *c, struct pending_range *r)
{
    int i = 3;
    *r = (struct pending_range){0};
    if (c->argc < 6 || c->argc > 9) {
        call_syntax(c);
        return false;
    }
    if (slice_is(call_arg(c, 3), "idle")) {
        if (!call_i64(c, 4, &r->idle))
            return false;
        i = 5;
    }
    if (c->argc < i + 3) { /* more than the consumer is not looked at, as in Redis */
        call_syntax(c);
        return false;
    }
    if (!call_i64(c, i + 2, &r->count) || !stream_parse_bound(c, i, true, &r->from) ||
        !stream_parse_bound(c, i + 1, false, &r->to))
        return false;
    r->consumer = c->argc > i + 3 ? i + 3 : 0;
    return true;
}

static void reply_pending(struct call *c, const struct stream_pending *p, int64_t idle)
{
    reply_array(c->reply, 4);
    stream_reply_id(c, p->id);
    reply_bulk(c->reply, p->owner->name);
    reply_int(c->reply, idle);
    reply_int(c->reply, (int64_t)p->times);
}

static void pending_list(struct call *c, const struct stream_group *g, const struct pending_range *r)
{
    const struct sidmap *ids = &g->pending;
    size_t n = 0, place = reply_defer(c->reply);
    int64_t now = store_now(c->db->store);
    if (r->consumer) {
        const struct stream_consumer *consumer = stream_consumer_find(g, call_arg(c, r->consumer));
        ids = consumer ? &consumer->pending : NULL;
    }
    const struct sid *id = ids && r->count > 0 ? sidmap_from(ids, r->from) : NULL;
    for (; id && sid_cmp(*id, r->to) <= 0 && (int64_t)n < r->count; id = sidmap_after(ids, id)) {
        const struct stream_pending *p = stream_pending_find(g, *id);
        int64_t idle = now > p->given_ms ? now - p->given_ms : 0;
        if (idle < r->idle)
            continue;
        reply_pending(c, p, idle);
        n++;
    }
    reply_defer_array(c->reply, place, n);
}

/* What was given out and not acknowledged: in short, or one by one.
 *
 * > XADD s 1 a 1
 * < "1-0"
 * > XGROUP CREATE s workers 0
 * < OK
 * > XREADGROUP GROUP workers anna STREAMS s >
 * < ...
 * > XPENDING s workers
 * < 1) (integer) 1
 * < 2) "1-0"
 * < 3) "1-0"
 * < 4) 1) 1) "anna"
 * <       2) "1"
 * > XPENDING s workers - + 10 bob
 * < (empty array)
 */
static void xpending(struct call *c)
{
    struct pending_range r;
    bool wrong, summary = c->argc == 3;
    if (!summary && !parse_pending(c, &r))
        return;
    struct obj *o = stream_arg_read(c, 1, &wrong);
    struct stream_group *g = o ? stream_group_find(stream_groups_of(o), call_arg(c, 2)) : NULL;
    if (wrong)
        return;
    if (!g)
        no_group(c, call_arg(c, 1), call_arg(c, 2));
    else if (summary)
        pending_summary(c, g);
    else
        pending_list(c, g, &r);
}

/* clang-format off */
#define SUB .acl = ACL_STREAM, .first = 2, .last = 2, .step = 1
static const struct cmd xgroup_subs[] = {
    {.name = "create", .run = xgroup_create, .arity = -5, .flags = CMD_WRITE | CMD_DENYOOM, SUB, .key_spec = "RW insert",
     .syntax = "key group (id|$) [MKSTREAM] [ENTRIESREAD entries-read]", .summary = "Makes a consumer group.",
     .since = "5.0.0", .complexity = "O(1)"},
    {.name = "setid", .run = xgroup_setid, .arity = -5, .flags = CMD_WRITE, SUB, .key_spec = "RW update",
     .syntax = "key group (id|$) [ENTRIESREAD entries-read]", .summary = "Moves a consumer group to an id.",
     .since = "5.0.0", .complexity = "O(1)"},
    {.name = "destroy", .run = xgroup_destroy, .arity = 4, .flags = CMD_WRITE, SUB, .key_spec = "RW delete",
     .syntax = "key group", .summary = "Ends a consumer group.", .since = "5.0.0",
     .complexity = "O(N) where N is the number of its pending entries"},
    {.name = "createconsumer", .run = xgroup_createconsumer, .arity = 5, .flags = CMD_WRITE | CMD_DENYOOM, SUB,
     .key_spec = "RW insert", .syntax = "key group consumer", .summary = "Makes a consumer of a group.", .since = "6.2.0",
     .complexity = "O(1)"},
    {.name = "delconsumer", .run = xgroup_delconsumer, .arity = 5, .flags = CMD_WRITE, SUB, .key_spec = "RW delete",
     .syntax = "key group consumer", .summary = "Ends a consumer, with what it had pending.", .since = "5.0.0",
     .complexity = "O(N) where N is the number of its pending entries"},
    {.name = "help", .run = xgroup_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_STREAM | ACL_SLOW,
     .syntax = "", .summary = "The subcommands of XGROUP.", .since = "5.0.0", .complexity = "O(1)"},
};

static const struct cmd rows[] = {
    {.name = "xgroup", .arity = -2, .flags = 0, .acl = ACL_SLOW, .syntax = "",
     .summary = "Makes, moves and ends consumer groups.", .since = "5.0.0", .complexity = "Depends on the subcommand.",
     .subs = xgroup_subs, .nsubs = sizeof xgroup_subs / sizeof *xgroup_subs},
    {.name = "xack", .run = xack, .arity = -4, .flags = CMD_WRITE | CMD_FAST, .acl = ACL_STREAM, .first = 1, .last = 1,
     .step = 1, .key_spec = "RW update", .syntax = "key group id...", .summary = "Acknowledges entries: they are done.",
     .since = "5.0.0", .complexity = "O(1) for each id."},
    {.name = "xpending", .run = xpending, .arity = -3, .flags = CMD_READONLY, .acl = ACL_STREAM, .first = 1, .last = 1,
     .step = 1, .syntax = "key group [[IDLE min-idle-time:int] start:str end count [consumer]]",
     .summary = "What consumers of a group were given and have not acknowledged.", .since = "5.0.0",
     .complexity = "O(N) where N is the number of entries given back; the summary O(C) in consumers."},
};
/* clang-format on */

const struct cmd_family stream_group_family = CMD_FAMILY("stream", rows);
