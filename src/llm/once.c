/* Everybody who waits is a struct llm_once that has joined the entry of its token, the first one too; the call itself
 * belongs to a struct run, which tells the entry and nobody else. So the first may leave and the call goes on. */
#include "llm/once.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"

/* A call under a token. */
struct run {
    struct idem *idem;
    struct idem_entry *entry; /* NULL: everybody has left */
    struct llm_call *call;
};

struct llm_once {
    struct idem_join join;
    struct llm_chat_events events; /* delta NULL: no stream */
    void *arg;
    struct loop *loop;
    char id[ID_LEN + 1];
    struct llm_call *call;    /* without a token */
    struct idem_entry *entry; /* with one: joined, or held for a replay */
    int posts;                /* calls of later() that are on their way */
    bool replay, caught_up, given, cancelled, ended;
};

static void once_end(struct llm_once *o, const struct llm_reply *reply, const struct err *err)
{
    o->events.done(o->arg, reply, err);
    o->ended = true;
    if (o->posts == 0)
        mem_free(o);
}

/* ---- a whole reply as deltas ---- */

static void give(struct llm_once *o, const struct llm_delta *d)
{
    o->given = true;
    if (!o->cancelled)
        o->events.delta(o->arg, d);
}

static void give_text(struct llm_once *o, enum llm_delta_kind kind, struct slice text)
{
    struct llm_delta d = {.kind = kind, .text = text};
    if (text.len)
        give(o, &d);
}

static void give_tool(struct llm_once *o, int i, const cJSON *tool)
{
    const cJSON *fn = cJSON_GetObjectItemCaseSensitive(tool, "function");
    struct llm_delta d = {.kind = LLM_DELTA_TOOL,
                          .tool = i,
                          .tool_id = slice_str(json_str(tool, "id", "")),
                          .tool_name = slice_str(json_str(fn, "name", "")),
                          .text = slice_str(json_str(fn, "arguments", ""))};
    give(o, &d);
}

static void give_block(struct llm_once *o, const cJSON *block)
{
    struct buf text = {0};
    json_print(&text, block);
    give_text(o, LLM_DELTA_BLOCK, buf_slice(&text));
    buf_release(&text);
}

/* What stands in an array of the reply, one delta each. */
static void give_items(struct llm_once *o, struct slice array, bool tools)
{
    struct err err;
    cJSON *all = array.len ? json_parse(array, JSON_MAX_DEFAULT, "reply", &err) : NULL;
    const cJSON *item;
    int i = 0;
    cJSON_ArrayForEach(item, all)
    {
        if (tools)
            give_tool(o, i++, item);
        else
            give_block(o, item);
    }
    cJSON_Delete(all);
}

static void give_whole(struct llm_once *o, const struct llm_reply *r)
{
    give_text(o, LLM_DELTA_REASONING, r->reasoning);
    give_items(o, r->thinking, false);
    give_text(o, LLM_DELTA_TEXT, r->text);
    give_items(o, r->tool_calls, true);
}

/* ---- who waits ---- */

static void on_piece(struct llm_once *o, const struct llm_delta *d)
{
    if (o->events.delta)
        give(o, d);
}

static void catch_up(struct llm_once *o)
{
    o->caught_up = true;
    idem_catch_up(o->entry, &o->join); /* by on_delta */
}

/* The entry has gathered this piece already: who has not caught up gets it with the others. */
static void on_delta(void *arg, const struct llm_delta *d)
{
    struct llm_once *o = arg;
    if (o->caught_up)
        on_piece(o, d);
    else
        catch_up(o);
}

static void on_done(void *arg, const struct llm_reply *reply, const struct err *err)
{
    struct llm_once *o = arg;
    if (o->events.delta && !o->given && !err)
        give_whole(o, reply);
    once_end(o, reply, err);
}

static const struct llm_chat_events waiting = {.delta = on_delta, .done = on_done};

/* ---- later ---- */

static void end_cancelled(struct llm_once *o)
{
    struct llm_reply none = {.facts = {.cost = -1, .retry_after_ms = -1}};
    struct err err;
    err_set(&err, ERR_CANCELLED, "the call was cancelled");
    once_end(o, &none, &err);
}

static void end_replay(struct llm_once *o)
{
    struct idem_entry *e = o->entry;
    struct llm_reply reply;
    struct err err;
    if (o->cancelled)
        end_cancelled(o);
    else if (idem_reply(e, &reply, &err) == 0)
        on_done(o, &reply, NULL);
    else
        on_done(o, &reply, &err);
    idem_let_go(e);
}

static void later(void *arg)
{
    struct llm_once *o = arg;
    o->posts--;
    if (o->ended)
        mem_free(o);
    else if (o->replay)
        end_replay(o);
    else if (o->cancelled)
        end_cancelled(o);
    else if (!o->caught_up)
        catch_up(o);
}

static void post(struct llm_once *o)
{
    o->posts++;
    loop_post_work(o->loop, later, o);
}

/* ---- the call ---- */

static void run_delta(void *arg, const struct llm_delta *d)
{
    struct run *r = arg;
    if (r->entry)
        idem_delta(r->entry, d);
}

static void run_done(void *arg, const struct llm_reply *reply, const struct err *err)
{
    struct run *r = arg;
    if (r->entry)
        idem_finish(r->idem, r->entry, reply, err, clock_wall_ms());
    mem_free(r);
}

static void plain_delta(void *arg, const struct llm_delta *d)
{
    on_piece(arg, d);
}

static void plain_done(void *arg, const struct llm_reply *reply, const struct err *err)
{
    once_end(arg, reply, err);
}

static int start_plain(struct llm_once *o, struct llm *l, const struct llm_request *q, struct err *err)
{
    static const struct llm_chat_events events = {plain_delta, plain_done};
    if (!(o->call = llm_chat_start(l, q, &events, o, err)))
        return err->code;
    strcpy(o->id, llm_call_id(o->call));
    return IDEM_FRESH;
}

static int start_run(struct llm_once *o, struct llm *l, const struct llm_request *q, struct err *err)
{
    static const struct llm_chat_events events = {run_delta, run_done};
    struct run *r = mem_zero(sizeof *r);
    r->idem = llm_idempotency(l);
    r->entry = o->entry;
    if (!(r->call = llm_chat_start(l, q, &events, r, err))) {
        idem_abandon(r->idem, r->entry, err);
        mem_free(r);
        return err->code;
    }
    idem_own(o->entry, r);
    strcpy(o->id, llm_call_id(r->call));
    o->caught_up = true;
    idem_join(o->entry, &o->join, &waiting, o);
    return IDEM_FRESH;
}

static int start_with(struct llm_once *o, struct llm *l, const struct idem_claim *claim, const struct llm_request *q,
                      struct err *err)
{
    int state = idem_begin(llm_idempotency(l), claim, clock_wall_ms(), &o->entry, err);
    switch (state) {
    case IDEM_FRESH: return start_run(o, l, q, err);
    case IDEM_JOINED: idem_join(o->entry, &o->join, &waiting, o); break;
    case IDEM_REPLAY:
        idem_hold(o->entry);
        o->replay = true;
        break;
    default: return state;
    }
    id_make(o->id);
    post(o);
    return state;
}

int llm_once_start(struct llm *l, struct loop *loop, const struct idem_claim *claim, const struct llm_request *q,
                   const struct llm_chat_events *events, void *arg, struct llm_once **out, struct err *err)
{
    struct llm_once *o = mem_zero(sizeof *o);
    o->events = *events;
    o->arg = arg;
    o->loop = loop;
    if (!q->stream)
        o->events.delta = NULL;
    int rc = claim ? start_with(o, l, claim, q, err) : start_plain(o, l, q, err);
    bool started = rc >= 0 && rc != IDEM_CONFLICT;
    if (!started)
        mem_free(o);
    *out = started ? o : NULL;
    return rc;
}

/* The last one ends the call; its token is free at once. */
static void leave(struct llm_once *o)
{
    struct run *r = idem_owner(o->entry);
    struct err err;
    idem_leave(&o->join);
    if (!r || idem_joined(o->entry))
        return;
    err_set(&err, ERR_CANCELLED, "the call was cancelled");
    idem_abandon(r->idem, r->entry, &err);
    r->entry = NULL;
    llm_cancel(r->call);
}

void llm_once_cancel(struct llm_once *o)
{
    if (o->cancelled)
        return;
    o->cancelled = true;
    if (o->call)
        llm_cancel(o->call);
    if (o->call || o->replay)
        return; /* done() is on its way */
    leave(o);
    if (o->posts == 0)
        post(o);
}

const char *llm_once_id(const struct llm_once *o)
{
    return o->id;
}
