/* XCLAIM and XAUTOCLAIM: a consumer takes over what another was given and did not finish.
 *
 * What is claimed but no longer in the stream is pending no more, its effect is an XACK. The effect of a claim is an XCLAIM
 * that states the outcome; the idle times that decided are not looked at again. */
#include "cmd/cmd_stream.h"
#include "cmd/families.h"

struct claim {
    struct slice key;
    struct obj *o;
    struct stream_group *g;
    struct stream_consumer *to; /* NULL: not needed yet */
    struct slice consumer;
    int64_t min_idle, now;
    int64_t given_ms; /* -1: now */
    int64_t times;    /* -1: one more */
    bool force, just_id;
    struct sid last; /* the group is at least here */
    int end;         /* XCLAIM: behind the last id */
    struct stream_given given;
};

static bool exists(const struct obj *o, struct sid id, struct stream_iter *it)
{
    stream_iter_begin(it, o, id, id, false);
    return stream_iter_next(it);
}

/* The entry is gone from the stream: so it is from the group. */
static void forget(struct call *c, struct claim *m, const struct stream_pending *p)
{
    char id[SID_TEXT];
    call_effect(c, 4, (struct slice[]){SLICE("XACK"), m->key, m->g->name, sid_format(p->id, id)});
    stream_pending_drop(m->g, p->id);
    c->db->store->dirty++;
}

static bool idle_enough(const struct claim *m, const struct stream_pending *p)
{
    return !m->min_idle || m->now - p->given_ms >= m->min_idle;
}

/* Gives the entry to the claimer and replies it; `it` stands at it. */
static void take(struct call *c, struct claim *m, struct stream_iter *it)
{
    if (!m->to)
        m->to = stream_consumer_get(c, m->key, m->g, m->consumer);
    bool known = stream_pending_find(m->g, it->id);
    struct stream_pending *p = stream_pending_give(m->g, it->id, m->to);
    if (!known)
        p->times = 1;
    p->given_ms = m->given_ms < 0 ? m->now : m->given_ms;
    if (m->times >= 0)
        p->times = (uint64_t)m->times;
    else if (!m->just_id)
        p->times++;
    m->to->active_ms = m->now;
    stream_given_add(&m->given, p);
    if (m->just_id)
        stream_reply_id(c, it->id);
    else
        stream_reply_entry(c, it);
}

static bool claim_number(struct call *c, int i, const char *what, int64_t *out)
{
    if (num_to_i64(call_arg(c, i), out))
        return true;
    reply_errorf(c->reply, "ERR Invalid %s for %s", what, c->cmd->name[1] == 'a' ? "XAUTOCLAIM" : "XCLAIM");
    return false;
}

static void claim_begin(struct call *c, struct claim *m)
{
    *m = (struct claim){.key = call_arg(c, 1), .consumer = call_arg(c, 3), .given_ms = -1, .times = -1};
    m->now = store_now(c->db->store);
    call_no_effect(c); /* but those that are stated */
}

/* ---- XCLAIM ---- */

static bool parse_option(struct call *c, int *i, struct claim *m)
{
    struct slice opt = call_arg(c, *i);
    bool more = *i + 1 < c->argc;
    if (slice_is(opt, "force"))
        return m->force = true;
    if (slice_is(opt, "justid"))
        return m->just_id = true;
    if (more && slice_is(opt, "idle")) {
        if (!claim_number(c, ++*i, "IDLE option argument", &m->given_ms))
            return false;
        if (__builtin_sub_overflow(m->now, m->given_ms, &m->given_ms) || m->given_ms < 0)
            m->given_ms = m->now;
        return true;
    }
    if (more && slice_is(opt, "time"))
        return claim_number(c, ++*i, "TIME option argument", &m->given_ms);
    if (more && slice_is(opt, "retrycount"))
        return claim_number(c, ++*i, "RETRYCOUNT option argument", &m->times);
    if (more && slice_is(opt, "lastid"))
        return stream_parse_id(c, ++*i, &m->last, NULL);
    reply_errorf(c->reply, "ERR Unrecognized XCLAIM option '%.*s'", (int)opt.len, opt.p);
    return false;
}

static bool parse_claim(struct call *c, struct claim *m)
{
    struct sid id;
    if (!claim_number(c, 4, "min-idle-time argument", &m->min_idle))
        return false;
    int i = 5;
    while (i < c->argc && sid_parse(call_arg(c, i), 0, &id, NULL))
        i++;
    m->end = i;
    for (; i < c->argc; i++)
        if (!parse_option(c, &i, m))
            return false;
    if (m->min_idle < 0)
        m->min_idle = 0;
    if (m->given_ms > m->now && !(c->flags & CALL_REPLAY)) /* a time to come would never be idle */
        m->given_ms = m->now;
    return true;
}

static bool claim_one(struct call *c, struct claim *m, struct sid id)
{
    struct stream_pending *p = stream_pending_find(m->g, id);
    struct stream_iter it;
    if (!exists(m->o, id, &it)) {
        if (p)
            forget(c, m, p);
        return false;
    }
    if (p ? !idle_enough(m, p) : !m->force)
        return false;
    take(c, m, &it);
    return true;
}

/* > XADD s 1 a 1
 * < "1-0"
 * > XGROUP CREATE s workers 0
 * < OK
 * > XREADGROUP GROUP workers anna STREAMS s >
 * < ...
 * > XCLAIM s workers bob 0 1-0 JUSTID
 * < 1) "1-0"
 * > XCLAIM s workers anna 3600000 1-0
 * < (empty array)
 */
static void xclaim(struct call *c)
{
    struct claim m;
    struct sid id;
    size_t n = 0;
    claim_begin(c, &m);
    if (!(m.g = stream_arg_group(c, 1, 2, &m.o)) || !parse_claim(c, &m))
        return;
    bool moved = sid_cmp(m.last, m.g->last) > 0;
    if (moved)
        m.g->last = m.last;
    stream_given_begin(&m.given, c, m.key, m.g);
    size_t place = reply_defer(c->reply);
    for (int i = 5; i < m.end; i++) {
        sid_parse(call_arg(c, i), 0, &id, NULL);
        n += claim_one(c, &m, id);
    }
    reply_defer_array(c->reply, place, n);
    stream_given_end(&m.given);
    if (moved && n == 0) {
        stream_effect_position(c, m.key, m.g);
        c->db->store->dirty++;
    }
}

/* ---- XAUTOCLAIM ---- */

#define DEFAULT_COUNT 100
#define LOOKS         10 /* for one entry to claim, so many are looked at */

static bool parse_autoclaim(struct call *c, struct claim *m, struct sid *from, int64_t *count)
{
    *count = DEFAULT_COUNT;
    if (!claim_number(c, 4, "min-idle-time argument", &m->min_idle) || !stream_parse_bound(c, 5, true, from))
        return false;
    if (m->min_idle < 0)
        m->min_idle = 0;
    for (int i = 6; i < c->argc; i++) {
        if (i + 1 < c->argc && slice_is(call_arg(c, i), "count")) {
            if (!num_to_i64(call_arg(c, ++i), count) || *count < 1 || *count > INT64_MAX / LOOKS / (int64_t)sizeof(struct sid)) {
                reply_errorf(c->reply, "ERR COUNT must be > 0");
                return false;
            }
        } else if (slice_is(call_arg(c, i), "justid")) {
            m->just_id = true;
        } else {
            call_syntax(c);
            return false;
        }
    }
    return true;
}

/* Claims what is idle long enough among all that is pending, from an id on; answers where to go on, what was claimed, and
 * what was pending although it is gone.
 *
 * > XADD s 1 a 1
 * < "1-0"
 * > XGROUP CREATE s workers 0
 * < OK
 * > XREADGROUP GROUP workers anna STREAMS s >
 * < ...
 * > XAUTOCLAIM s workers bob 0 0 JUSTID
 * < 1) "0-0"
 * < 2) 1) "1-0"
 * < 3) (empty array)
 */
static void xautoclaim(struct call *c)
{
    struct claim m;
    struct sid from, end = SID_MIN;
    struct buf gone = {0};
    int64_t count;
    size_t n = 0;
    claim_begin(c, &m);
    if (!parse_autoclaim(c, &m, &from, &count) || !(m.g = stream_arg_group(c, 1, 2, &m.o)))
        return;
    stream_given_begin(&m.given, c, m.key, m.g);
    reply_array(c->reply, 3);
    char text[SID_TEXT];
    struct buf claimed = {0};
    struct buf *out = c->reply->out;
    c->reply->out = &claimed; /* the id to go on with comes first */
    size_t place = reply_defer(c->reply);
    struct stream_pending *p = sidmap_from(&m.g->pending, from);
    for (int64_t looks = count * LOOKS; p && looks > 0 && count > 0; looks--) {
        struct sid id = p->id;
        struct stream_iter it;
        if (!exists(m.o, id, &it)) {
            buf_add(&gone, &id, sizeof id);
            forget(c, &m, p);
            count--;
        } else if (idle_enough(&m, p)) {
            take(c, &m, &it);
            n++;
            count--;
        }
        p = sid_next(&id) ? sidmap_from(&m.g->pending, id) : NULL;
    }
    stream_given_end(&m.given);
    if (p)
        end = p->id;
    reply_defer_array(c->reply, place, n);
    c->reply->out = out;
    reply_bulk(c->reply, sid_format(end, text));
    reply_raw(c->reply, buf_slice(&claimed));
    reply_array(c->reply, gone.len / sizeof(struct sid));
    for (size_t i = 0; i < gone.len; i += sizeof(struct sid)) {
        struct sid id;
        memcpy(&id, gone.p + i, sizeof id);
        stream_reply_id(c, id);
    }
    buf_release(&claimed);
    buf_release(&gone);
}

/* clang-format off */
#define CLAIM .flags = CMD_WRITE | CMD_FAST, .acl = ACL_STREAM, .first = 1, .last = 1, .step = 1, .since
static const struct cmd rows[] = {
    {.name = "xclaim", .run = xclaim, .arity = -6, CLAIM = "5.0.0", .key_spec = "RW update",
     .syntax = "key group consumer min-idle-time id... [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] "
               "[JUSTID] [LASTID lastid]",
     .summary = "Takes over pending entries from other consumers.", .complexity = "O(log N) for each id, N entries pending."},
    {.name = "xautoclaim", .run = xautoclaim, .arity = -6, CLAIM = "6.2.0", .key_spec = "RW delete",
     .syntax = "key group consumer min-idle-time start:str [COUNT count] [JUSTID]",
     .summary = "Takes over entries that have been pending for long, whosever they are.",
     .complexity = "O(1) if COUNT is small."},
};
/* clang-format on */

const struct cmd_family stream_claim_family = CMD_FAMILY("stream", rows);
