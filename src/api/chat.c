/* /v1/chat/completions and /v1/messages: whole answers and streams, with or without a session.
 *
 * A stream's head is sent with its first piece, so that it can say who answers, and what fails before it has the status
 * of its error, and clients may try again. What fails later is an error event. When the first piece takes longer than
 * proxies wait (beat.h), the head goes without it and comments follow. A client that names a session (header
 * x-skald-session, or "session" in the body's metadata) sends only what is new; the rest is here. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "api/answers.h"
#include "api/beat.h"
#include "api/chat_form.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "auth/user.h"
#include "llm/copy.h"
#include "llm/deltas.h"
#include "llm/idempotency.h"

struct chat {
    struct door d;
    const struct chat_form *form;
    struct gateway_turn *turn; /* NULL: no session */
    struct slice model;        /* as it was asked for, or the one that answers; a copy */
    int64_t created;
    char name[CHAT_ID_MAX]; /* what the answer is called */
    int64_t tokens_in;      /* an estimate, for a stream's start */
    bool stream, slow;
    bool opened; /* out is there */
    bool pieces; /* deltas have come: the reply has nothing new */
    struct beat beat;
    bool include_usage;
    struct idem_entry *entry; /* ours to finish: the first of its idempotency key */
    struct idem_join join;    /* or the same is under way, and its pieces come here, too */
    struct idem_entry *joined;
    bool held; /* the vendor is not read until the client has read */
    union chat_out out;
};

static void name_it(struct chat *c)
{
    snprintf(c->name, sizeof c->name, "%s%s", c->form->prefix, c->d.id);
}

static void chat_free(struct chat *c)
{
    beat_stop(&c->beat);
    if (c->opened)
        c->form->release(&c->out);
    door_end(&c->d);
    mem_free((char *)c->model.p);
    mem_free(c);
}

static struct wire_head head_of(const struct chat *c, const struct llm_facts *f)
{
    return (struct wire_head){
        .id = slice_str(c->name), .model = c->model.len || !f ? c->model : f->model, .created = c->created};
}

/* ---- the answer ---- */

static void emit(void *arg, struct slice type, struct slice json)
{
    struct chat *c = arg;
    door_event(&c->d, type, json);
}

static void on_drained(void *arg)
{
    struct chat *c = arg;
    if (c->held && c->d.llm)
        llm_hold(c->d.llm, false);
    c->held = false;
}

/* facts NULL: nothing is known yet. */
static void send_head(struct chat *c, const struct llm_facts *facts)
{
    if (c->d.streams)
        return;
    c->d.streams = true;
    door_headers(&c->d, facts);
    if (c->joined || (facts && facts->replayed))
        httpd_add_header(c->d.r, "x-skald-replayed", "true");
    httpd_add_header(c->d.r, "Cache-Control", "no-cache");
    httpd_add_header(c->d.r, "X-Accel-Buffering", "no");
    answers_add(c->d.metric, 200);
    httpd_stream_on_drained(c->d.r, on_drained, c);
    httpd_stream_begin(c->d.r, 200, "text/event-stream; charset=utf-8");
}

static void begin_stream(struct chat *c, const struct llm_facts *facts)
{
    send_head(c, facts);
    if (c->opened)
        return;
    if (!c->model.len && facts->model.len) {
        mem_free((char *)c->model.p);
        c->model = slice_of(mem_dup(facts->model.p, facts->model.len), facts->model.len);
    }
    struct wire_head head = head_of(c, facts);
    c->opened = true;
    c->form->begin(&c->out, &head, c->include_usage, c->tokens_in, emit, c);
}

/* With the first piece. */
static void begin_now(struct chat *c)
{
    struct llm_facts facts = {.cost = -1};
    const struct llm_call *call = c->joined ? idem_call(c->joined) : c->d.llm;
    if (c->opened)
        return;
    if (call)
        llm_call_facts(call, &facts);
    begin_stream(c, &facts);
}

static void on_quiet(struct beat *b)
{
    struct chat *c = (struct chat *)((char *)b - offsetof(struct chat, beat));
    if (c->d.gone || c->slow)
        return;
    send_head(c, NULL);
    if (httpd_stream_waiting(c->d.r) == 0)
        httpd_stream_add(c->d.r, SLICE(": keep-alive\n\n"));
}

static void expect_pieces(struct chat *c)
{
    if (c->stream)
        beat_start(&c->beat, on_quiet);
}

/* Nobody is left who listens: the call ends, unless others have joined it. */
static void let_go(struct chat *c)
{
    if (c->d.llm && !(c->entry && idem_joined(c->entry)))
        llm_cancel(c->d.llm);
}

static void on_delta(void *arg, const struct llm_delta *d)
{
    struct chat *c = arg;
    if (c->entry)
        idem_delta(c->entry, d);
    if (c->d.gone || c->slow || !c->stream)
        return;
    begin_now(c);
    beat_said(&c->beat);
    c->pieces = true;
    c->form->delta(&c->out, d);
    size_t waiting = httpd_stream_waiting(c->d.r);
    if (waiting > (size_t)api_stream_max / 4 && !c->held && !c->entry && c->d.llm)
        c->held = llm_hold(c->d.llm, true);
    if (c->held || waiting <= (size_t)api_stream_max)
        return;
    log_notice("the call %s is ended: its HTTP client leaves more than http-stream-buffer unread", c->d.id);
    c->slow = true;
    let_go(c);
}

static void give_piece(void *arg, const struct llm_delta *d)
{
    struct chat *c = arg;
    c->form->delta(&c->out, d);
}

static void end_stream(struct chat *c, const struct llm_reply *reply, const struct err *failed)
{
    begin_stream(c, &reply->facts);
    if (c->slow) {
        httpd_stream_cut(c->d.r);
        return;
    }
    if (!failed && !c->pieces)
        llm_deltas_of(reply, give_piece, c);
    door_hold(&c->d, true);
    if (failed) {
        door_error_event(&c->d, failed, &reply->facts);
    } else {
        c->form->end(&c->out, reply);
        httpd_stream_add(c->d.r, c->form->last);
    }
    httpd_stream_end(c->d.r);
}

static void reply_at_once(struct chat *c, const struct llm_reply *reply, const struct err *failed)
{
    struct buf body = {0};
    struct wire_head head = head_of(c, &reply->facts);
    door_hold(&c->d, true);
    if (failed) {
        door_fail(&c->d, failed, &reply->facts, NULL);
        return;
    }
    c->form->reply(&head, reply, &body);
    door_reply(&c->d, &reply->facts, "application/json", &body);
}

/* The last word to the client. */
static void answer(struct chat *c, const struct llm_reply *reply, const struct err *failed)
{
    if (c->d.streams || (c->stream && !failed)) {
        end_stream(c, reply, failed);
        chat_free(c);
        return;
    }
    if (reply->facts.replayed || c->joined)
        httpd_add_header(c->d.r, "x-skald-replayed", "true");
    reply_at_once(c, reply, failed);
    chat_free(c);
}

static void on_done(void *arg, const struct llm_reply *reply, const struct err *failed)
{
    struct chat *c = arg;
    struct err err;
    c->d.llm = NULL;
    const char *why = c->d.gone || c->slow ? "client" : failed ? llm_cut_reason(failed) : "";
    if (c->turn && api_gate->turn_end(c->turn, reply, failed, why, &err) < 0 && !failed)
        failed = &err;
    if (c->entry)
        idem_finish(llm_idempotency(api_gate->llm()), c->entry, reply, failed, clock_wall_ms());
    answer(c, reply, failed);
}

static void on_joined_done(void *arg, const struct llm_reply *reply, const struct err *failed)
{
    answer(arg, reply, failed);
}

static void on_gone(struct door *d)
{
    struct chat *c = (struct chat *)d;
    static const struct llm_reply nothing;
    static const struct err gone = {.code = ERR_CANCELLED, .msg = "the client hung up"};
    if (!c->joined) {
        let_go(c);
        return;
    }
    idem_leave(&c->join);
    answer(c, &nothing, &gone);
}

/* ---- the question ---- */

static const char *take_session(const struct chat *c, cJSON *root, cJSON **owner)
{
    const char *named = httpd_header(c->d.r, "x-skald-session");
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(root, "metadata");
    *owner = cJSON_DetachItemFromObjectCaseSensitive(metadata, "session");
    if (*owner && !metadata->child)
        cJSON_DeleteItemFromObjectCaseSensitive(root, "metadata");
    return named ? named : cJSON_GetStringValue(*owner);
}

static const struct llm_chat_events events = {.delta = on_delta, .done = on_done};
static const struct llm_chat_events joined_events = {.delta = on_delta, .done = on_joined_done};

static struct llm_call *start(struct chat *c, struct wire_chat *w, struct slice session, struct err *err)
{
    if (session.p) {
        c->turn = api_gate->turn_begin(session, &w->q, err);
        if (!c->turn)
            return NULL;
        w->q.caller.tag = w->q.caller.sticky = session;
    } else {
        w->q.caller.sticky = w->q.end_user;
    }
    struct llm_call *call = llm_chat_start(api_gate->llm(), &w->q, &events, c, err);
    if (c->turn && call)
        api_gate->turn_started(c->turn);
    else if (c->turn)
        api_gate->turn_end(c->turn, NULL, err, "", NULL);
    return call;
}

static bool start_fresh(struct chat *c, struct wire_chat *w, struct slice session)
{
    struct err err;
    struct llm_call *call = start(c, w, session, &err);
    if (!call && c->entry)
        idem_abandon(llm_idempotency(api_gate->llm()), c->entry, &err);
    if (!door_started(&c->d, call, &err))
        return false;
    if (c->entry)
        idem_runs(c->entry, call);
    name_it(c);
    expect_pieces(c);
    return true;
}

static bool replay(struct chat *c, const struct idem_entry *entry)
{
    struct llm_reply reply = {0};
    struct err err;
    int rc = idem_reply(entry, &reply, &err);
    name_it(c);
    answer(c, &reply, rc < 0 ? &err : NULL);
    return true;
}

static bool join(struct chat *c, struct idem_entry *entry)
{
    c->joined = entry;
    name_it(c);
    door_waits(&c->d);
    expect_pieces(c);
    idem_join(entry, &c->join, &joined_events, c);
    return true;
}

/* True: c is on its way, or gone. False: an error was replied. */
static bool start_once(struct chat *c, struct wire_chat *w, struct slice session, const char *token)
{
    struct err err;
    struct idem_entry *entry = NULL;
    struct slice request[] = {slice_str(c->form->path), session.p ? session : SLICE(""), httpd_body(c->d.r)};
    struct idem_claim claim = {c->d.user->name, slice_str(token), request, 3};
    switch (idem_begin(llm_idempotency(api_gate->llm()), &claim, clock_wall_ms(), &entry, &err)) {
    case IDEM_FRESH: c->entry = entry; return start_fresh(c, w, session);
    case IDEM_JOINED: return join(c, entry);
    case IDEM_REPLAY: return replay(c, entry);
    case IDEM_CONFLICT: return door_refuse(&c->d, 409, "invalid_request_error", "idempotency_key_conflict", err.msg);
    }
    door_fail(&c->d, &err, NULL, "Idempotency-Key");
    return false;
}

static bool form_tells_input(const struct chat *c)
{
    return c->form->errors == DOOR_ANTHROPIC;
}

/* The same as start_once. */
static bool ask(struct chat *c, cJSON *root, struct slice session)
{
    struct wire_chat w = {0};
    struct err err;
    bool ok = false;
    const char *token = httpd_header(c->d.r, "idempotency-key");
    if (c->form->parse(root, &w, &err) < 0) {
        door_fail(&c->d, &err, NULL, w.body.param);
    } else if (door_caller(&c->d, &w.q.caller)) {
        c->stream = w.q.stream;
        c->include_usage = w.include_usage;
        if (c->stream && form_tells_input(c))
            c->tokens_in = asked_tokens(&(struct llm_asked){.kind = MODEL_CHAT, .chat = &w.q});
        c->model = slice_of(mem_dup(w.q.model.p, w.q.model.len), w.q.model.len);
        ok = token ? start_once(c, &w, session, token) : start_fresh(c, &w, session);
    }
    wire_chat_release(&w);
    return ok;
}

static void chat(struct httpd_req *r, const struct chat_form *form)
{
    struct chat *c = mem_zero(sizeof *c);
    cJSON *root = NULL, *owner = NULL;
    bool ok = false;
    c->form = form;
    c->d.left = on_gone;
    if (door_begin(&c->d, r, form->metric, form->errors) && (root = door_json(&c->d))) {
        const char *name = take_session(c, root, &owner);
        struct slice session = name ? slice_str(name) : (struct slice){0};
        c->created = clock_wall_ms() / 1000;
        if (door_may(&c->d, name ? "llm.chat" : "llm.ask", session))
            ok = ask(c, root, session);
        else
            cJSON_Delete(root);
    }
    cJSON_Delete(owner);
    if (!ok)
        chat_free(c);
}

static void completions(struct httpd_req *r)
{
    chat(r, &chat_openai);
}

static void messages(struct httpd_req *r)
{
    chat(r, &chat_anthropic);
}

static const struct api_route rows[] = {
    {"POST", "/v1/chat/completions", completions},
    {"POST", "/v1/messages", messages},
};

const struct api_family api_chat = API_FAMILY(rows);
