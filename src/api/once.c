#include "api/once.h"

#include <string.h>

#include "auth/user.h"
#include "base/clock.h"
#include "base/mem.h"

#define TYPE_MAX 100

static struct idem *table(void)
{
    return llm_idempotency(api_gate->llm());
}

/* ---- another's answer ---- */

/* An end as it is kept: the body stands in the place of the text, its media type in that of the finish. */
static void give_again(struct once *o, const struct llm_reply *kept, const struct err *failed)
{
    char type[TYPE_MAX];
    struct buf body = {0};
    door_hold(&o->d, true);
    httpd_add_header(o->d.r, "x-skald-replayed", "true");
    if (failed) {
        door_fail(&o->d, failed, &kept->facts, NULL);
    } else {
        size_t n = kept->finish.len < sizeof type ? kept->finish.len : sizeof type - 1;
        memcpy(type, kept->finish.p, n);
        type[n] = 0;
        buf_add(&body, kept->text.p, kept->text.len);
        door_reply(&o->d, &kept->facts, type, &body);
    }
    o->release(o);
}

static void on_joined_done(void *arg, const struct llm_reply *kept, const struct err *failed)
{
    give_again(arg, kept, failed);
}

static const struct llm_chat_events joined_events = {.done = on_joined_done};

static void on_gone(struct door *d)
{
    struct once *o = (struct once *)d;
    static const struct llm_reply nothing;
    static const struct err gone = {.code = ERR_CANCELLED, .msg = "the client hung up"};
    if (o->joined) {
        idem_leave(&o->join);
        give_again(o, &nothing, &gone);
    } else if (d->llm && !(o->entry && idem_joined(o->entry))) {
        llm_cancel(d->llm);
    }
}

/* ---- the beginning ---- */

static void replay(struct once *o, const struct idem_entry *entry)
{
    struct llm_reply kept = {0};
    struct err err;
    int rc = idem_reply(entry, &kept, &err);
    give_again(o, &kept, rc < 0 ? &err : NULL);
}

static enum once_state claim(struct once *o, const char *token, const struct slice *request, int n)
{
    struct idem_entry *entry = NULL;
    struct err err;
    struct idem_claim c = {o->d.user->name, slice_str(token), request, n};
    switch (idem_begin(table(), &c, clock_wall_ms(), &entry, &err)) {
    case IDEM_FRESH: o->entry = entry; return ONCE_GO;
    case IDEM_JOINED:
        o->joined = true;
        door_waits(&o->d);
        idem_join(entry, &o->join, &joined_events, o);
        return ONCE_TAKEN;
    case IDEM_REPLAY: replay(o, entry); return ONCE_TAKEN;
    case IDEM_CONFLICT:
        door_refuse(&o->d, 409, "invalid_request_error", "idempotency_key_conflict", err.msg);
        return ONCE_REFUSED;
    }
    door_fail(&o->d, &err, NULL, "Idempotency-Key");
    return ONCE_REFUSED;
}

enum once_state once_begin(struct once *o, const struct slice *request, int n)
{
    const char *token = httpd_header(o->d.r, "idempotency-key");
    o->d.left = on_gone;
    if (!token)
        return ONCE_GO;
    struct slice *all = mem_alloc(((size_t)n + 1) * sizeof *all);
    all[0] = slice_str(httpd_path(o->d.r));
    memcpy(all + 1, request, (size_t)n * sizeof *all);
    enum once_state state = claim(o, token, all, n + 1);
    mem_free(all);
    return state;
}

bool once_started(struct once *o, struct llm_call *call, const struct err *err)
{
    if (!call && o->entry)
        idem_abandon(table(), o->entry, err);
    return door_started(&o->d, call, err);
}

/* ---- the end ---- */

void once_reply(struct once *o, const struct llm_facts *facts, const char *type, struct buf *body)
{
    struct llm_reply kept = {.facts = *facts, .text = buf_slice(body), .finish = slice_str(type)};
    o->d.llm = NULL;
    if (o->entry)
        idem_finish(table(), o->entry, &kept, NULL, clock_wall_ms());
    door_hold(&o->d, true);
    door_reply(&o->d, facts, type, body);
    o->release(o);
}

void once_fail(struct once *o, const struct llm_facts *facts, const struct err *err)
{
    struct llm_reply nothing = {.facts = *facts};
    o->d.llm = NULL;
    if (o->entry)
        idem_finish(table(), o->entry, &nothing, err, clock_wall_ms());
    door_hold(&o->d, true);
    door_fail(&o->d, err, facts, NULL);
    o->release(o);
}
