#include "cmd/llm_turn.h"

#include <stdio.h>
#include <string.h>

#include "auth/user.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/llm_said.h"
#include "cmd/outbound.h"
#include "cmd/session_turn.h"
#include "llm/llm.h"
#include "llm/money.h"

/* ---- what is told of a call ---- */

static void field_bool(struct reply *r, const char *name, bool v)
{
    reply_str(r, name);
    reply_bool(r, v);
}

size_t llm_facts_reply(struct reply *r, const struct llm_facts *f)
{
    char cost[MONEY_TEXT];
    reply_field_bulk(r, "model", f->model);
    reply_field_bulk(r, "model-id", f->model_id);
    reply_field_bulk(r, "route", f->route);
    reply_field_int(r, "tokens-in", f->tokens_in);
    reply_field_int(r, "tokens-out", f->tokens_out);
    reply_field_int(r, "tokens-cached", f->tokens_cached);
    reply_field_int(r, "tokens-reasoning", f->tokens_reasoning);
    field_bool(r, "estimated", f->estimated);
    reply_str(r, "cost"); /* nil: the model has no PRICE */
    if (f->cost < 0)
        reply_nil(r);
    else
        reply_bulk(r, slice_of(cost, money_text(cost, f->cost)));
    reply_field_int(r, "ms", f->us_total / 1000);
    reply_field_int(r, "first-ms", f->us_first / 1000);
    reply_field_int(r, "vendor-ms", f->us_vendor / 1000);
    reply_field_int(r, "attempts", f->attempts);
    field_bool(r, "fallback", f->fallback);
    field_bool(r, "replayed", f->replayed);
    reply_field_bulk(r, "request-id", f->request_id);
    reply_field_bulk(r, "notes", f->notes);
    return 17;
}

void llm_caller_fill(const struct call *c, struct llm_caller *to)
{
    if (c->client && c->client->user)
        to->owner = c->client->user->name;
}

/* ---- the session ---- */

struct llm_turn *llm_turn_create(struct call *c, struct slice key, const struct session_msg *said, size_t n)
{
    struct llm_turn *t = mem_zero(sizeof *t);
    t->db = c->db;
    if (!key.p)
        return t;
    t->key = slice_of(mem_dup(key.p, key.len), key.len);
    t->nsaid = n;
    t->said = llm_said_keep(said, n);
    return t;
}

static void turn_free(struct llm_turn *t)
{
    if (t->release)
        t->release(t->own);
    llm_said_free(t->said, t->nsaid);
    mem_free((char *)t->key.p);
    mem_free(t);
}

static const char *why_cut(const struct llm_turn *t, const struct err *failed)
{
    if (t->gone)
        return "client";
    return llm_cut_reason(failed);
}

/* What was said and the answer, or what had come of it: all or nothing. */
static int add_turn(struct llm_turn *t, const struct llm_reply *a, const struct err *failed, struct err *err)
{
    char mark[LLM_SAID_MARK];
    size_t n = t->nsaid + 1;
    struct session_id *ids = mem_alloc(n * sizeof *ids);
    t->said[t->nsaid] = llm_said_answer(a, failed ? why_cut(t, failed) : NULL, mark);
    int rc = t->call ? session_turn_add(t->call, t->key, t->said, n, ids, err)
                     : session_turn_add_alone(t->db, t->key, t->said, n, ids, err);
    if (rc == 0)
        t->message = ids[n - 1];
    mem_free(ids);
    return rc;
}

/* False with *err: there was something to keep, and it could not be added. */
static bool keep_turn(struct llm_turn *t, const struct llm_reply *a, const struct err *failed, struct err *err)
{
    if (!t->key.p || (failed && (!a->text.len || outbound_stopping())))
        return true;
    if (add_turn(t, a, failed, err) == 0)
        return true;
    if (failed) /* the failure is what the client has to hear of */
        log_verbose("what had come of the call %s is not kept: %s", t->id, err->msg);
    return failed != NULL;
}

/* ---- the end ---- */

static void word_pair(struct slice *words, int *n, const char *name, struct slice v)
{
    words[(*n)++] = slice_str(name);
    words[(*n)++] = v;
}

/* The last entry of the call's stream. */
static void note_end(struct llm_turn *t, const struct llm_reply *a, const struct err *failed)
{
    struct slice words[8];
    char id[SESSION_ID_TEXT];
    int n = 0;
    if (failed) {
        word_pair(words, &n, "class", slice_str(llm_class_name(a->facts.failure)));
    } else {
        word_pair(words, &n, "model", a->facts.model);
        word_pair(words, &n, "finish", a->finish);
        if (a->tool_calls.len)
            word_pair(words, &n, "tool-calls", a->tool_calls);
    }
    if (!session_id_none(t->message))
        word_pair(words, &n, "message", slice_of(id, session_id_text(t->message, id)));
    callstream_end(&t->stream, failed, failed ? SLICE("") : a->text, n, words);
}

static void reply_failure(struct llm_turn *t, const struct llm_facts *f, const struct err *failed)
{
    struct err more;
    if (!t->meta || f->failure == LLM_FINE) {
        call_err(t->call, failed);
        return;
    }
    err_set(&more, failed->code, "%s [class %s, attempts %d]", failed->msg, llm_class_name(f->failure), f->attempts);
    call_err(t->call, &more);
}

static void end(struct llm_turn *t, const struct llm_reply *a, const struct err *failed)
{
    static const struct llm_reply nothing;
    a = a ? a : &nothing;
    note_end(t, a, failed);
    if (t->call) {
        if (failed)
            reply_failure(t, &a->facts, failed);
        else
            t->reply(t, a);
        if (t->parked)
            call_resume(t->call);
    }
    turn_free(t);
}

static void on_done(void *arg, const struct llm_reply *a, const struct err *failed)
{
    struct llm_turn *t = arg;
    struct err err;
    if (!keep_turn(t, a, failed, &err))
        failed = &err;
    if (t->entry)
        idem_finish(llm_idempotency(outbound_llm()), t->entry, a, failed, clock_wall_ms());
    end(t, a, failed);
}

static void on_joined_done(void *arg, const struct llm_reply *a, const struct err *failed)
{
    end(arg, a, failed);
}

/* ---- pieces ---- */

static void give_tool(struct llm_turn *t, const struct llm_delta *d)
{
    char number[NUM_I64_MAX];
    struct slice index = slice_of(number, num_from_i64(number, d->tool));
    callstream_event(&t->stream, t->call, "tool", 8,
                     (struct slice[]){SLICE("index"), index, SLICE("id"), d->tool_id, SLICE("name"), d->tool_name,
                                      SLICE("arguments"), d->text});
}

static void on_delta(void *arg, const struct llm_delta *d)
{
    struct llm_turn *t = arg;
    if (t->entry)
        idem_delta(t->entry, d);
    if (t->delta)
        t->delta(t, d);
    else if (d->kind == LLM_DELTA_TEXT)
        callstream_piece(&t->stream, t->call, d->text);
    else if (d->kind == LLM_DELTA_REASONING)
        callstream_event(&t->stream, t->call, "reasoning", 2, (struct slice[]){SLICE("text"), d->text});
    else if (d->kind == LLM_DELTA_TOOL)
        give_tool(t, d);
}

/* ---- the beginning ---- */

/* The client goes. Others may wait for the same answer: then the call goes on alone. */
static void on_cancel(struct call *c, void *arg)
{
    struct llm_turn *t = arg;
    struct err err;
    if (t->joined) {
        idem_leave(&t->join);
        err_set(&err, ERR_CANCELLED, "the call was cancelled");
        end(t, NULL, &err);
    } else if (!t->entry || !idem_joined(t->entry)) {
        t->gone = true;
        llm_cancel(t->llm);
    }
}

static void follow(struct llm_turn *t, struct call *c, bool stream, bool async)
{
    callstream_begin(&t->stream, c, t->id, stream, async);
    if (async)
        reply_str(c->reply, t->id);
    else
        t->call = call_park(c, on_cancel, t);
    t->parked = !async;
}

static void refuse(struct llm_turn *t, struct call *c, const struct err *err)
{
    call_err(c, err);
    turn_free(t);
}

static void start_fresh(struct llm_turn *t, struct call *c, const struct llm_request *q, bool stream, bool async)
{
    static const struct llm_chat_events events = {.delta = on_delta, .done = on_done};
    struct err err;
    if (!(t->llm = llm_chat_start(outbound_llm(), q, &events, t, &err))) {
        if (t->entry)
            idem_abandon(llm_idempotency(outbound_llm()), t->entry, &err);
        refuse(t, c, &err);
        return;
    }
    strcpy(t->id, llm_call_id(t->llm));
    follow(t, c, stream, async);
}

static void start_joined(struct llm_turn *t, struct call *c, struct idem_entry *entry, bool stream, bool async)
{
    static const struct llm_chat_events events = {.delta = on_delta, .done = on_joined_done};
    id_make(t->id);
    t->joined = true;
    follow(t, c, stream, async);
    idem_join(entry, &t->join, &events, t);
}

static void replay(struct llm_turn *t, struct call *c, const struct idem_entry *entry, bool stream, bool async)
{
    struct llm_reply a = {0};
    struct err err;
    int rc = idem_reply(entry, &a, &err);
    id_make(t->id);
    callstream_begin(&t->stream, c, t->id, stream, async);
    if (async)
        reply_str(c->reply, t->id);
    else
        t->call = c;
    end(t, &a, rc < 0 ? &err : NULL);
}

/* An enum idem_state, or a negative code. */
static int claim(struct call *c, struct slice owner, struct slice token, struct idem_entry **entry, struct err *err)
{
    char db[NUM_I64_MAX];
    struct slice *request = mem_alloc(((size_t)c->argc + 1) * sizeof *request);
    memcpy(request, c->argv, (size_t)c->argc * sizeof *request);
    request[0] = slice_str(c->cmd->name);
    request[c->argc] = slice_of(db, num_from_i64(db, c->db->id));
    struct idem_claim claim = {owner, token, request, c->argc + 1};
    int state = idem_begin(llm_idempotency(outbound_llm()), &claim, clock_wall_ms(), entry, err);
    mem_free(request);
    return state;
}

void llm_turn_start(struct llm_turn *t, struct call *c, struct llm_request *q, bool stream, bool async,
                    struct slice token)
{
    struct idem_entry *entry = NULL;
    struct err err;
    llm_caller_fill(c, &q->caller);
    q->caller.tag = t->key.p ? t->key : SLICE("");
    if (!q->caller.sticky.len)
        q->caller.sticky = t->key.p ? t->key : q->end_user;
    int state = token.p ? claim(c, q->caller.owner, token, &entry, &err) : IDEM_FRESH;
    if (state < 0 || state == IDEM_CONFLICT) {
        refuse(t, c, &err);
    } else if (state == IDEM_JOINED) {
        start_joined(t, c, entry, stream, async);
    } else if (state == IDEM_REPLAY) {
        replay(t, c, entry, stream, async);
    } else {
        t->entry = entry;
        start_fresh(t, c, q, stream, async);
    }
}
