/* LLM.CHAT and LLM.ASK: one question, one answer.
 *
 * The client is parked (or has its id, under ASYNC) while the call is under way. When the answer is there, question and
 * answer are added to the session in one step, so a session never holds half a turn. Of a call that was cut off (its
 * client went away, LLM.CANCEL, the vendor broke off) the text that had come is kept in the same way, marked in the
 * answer's META: {"partial":true,"reason":"client"|"cancel"|"upstream"}. A call of which no text had come adds nothing.
 * Two calls on one session at the same time each see the session as it was when they began, and their turns are added
 * in the order in which they end. */
#include "cmd/cmd_llm.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cmd/callstream.h"
#include "cmd/llm_options.h"
#include "cmd/outbound.h"
#include "cmd/session_turn.h"
#include "llm/llm.h"
#include "session/context.h"

struct turn {
    struct call *call; /* parked; NULL under ASYNC */
    struct db *db;
    struct slice key; /* of the session, a copy; p NULL: LLM.ASK */
    struct slice question;
    bool meta;
    bool gone; /* its client went away */
    char id[ID_LEN + 1];
    struct llm_call *llm;
    struct callstream stream;
};

static void turn_free(struct turn *t)
{
    mem_free((char *)t->key.p);
    mem_free((char *)t->question.p);
    mem_free(t);
}

/* ---- the answer ---- */

static void word_pair(struct slice *words, int *n, const char *name, struct slice v)
{
    words[(*n)++] = slice_str(name);
    words[(*n)++] = v;
}

static void meta_reply(struct reply *r, const struct turn *t, const struct llm_reply *a, const struct session_id *ids)
{
    char id[SESSION_ID_TEXT];
    reply_map(r, t->key.p ? 13 : 12);
    reply_field_bulk(r, "text", a->text);
    reply_field_bulk(r, "finish", a->finish);
    reply_field_bulk(r, "model", a->facts.model);
    reply_field_bulk(r, "model-id", a->facts.model_id);
    reply_field_int(r, "tokens-in", a->facts.tokens_in);
    reply_field_int(r, "tokens-out", a->facts.tokens_out);
    reply_str(r, "estimated");
    reply_bool(r, a->facts.estimated);
    reply_field_int(r, "ms", a->facts.us_total / 1000);
    reply_field_int(r, "first-ms", a->facts.us_first / 1000);
    reply_field_int(r, "attempts", a->facts.attempts);
    reply_field_bulk(r, "tool-calls", a->tool_calls);
    reply_field_str(r, "call", t->id);
    if (t->key.p) {
        reply_field_bulk(r, "message", slice_of(id, session_id_text(ids[1], id)));
    }
}

static const char *why_cut(const struct turn *t, const struct err *failed)
{
    if (t->gone)
        return "client";
    return failed->code == ERR_CANCELLED ? "cancel" : "upstream";
}

/* Question and answer, or what had come of it: both or neither. Tool calls are whole only in a whole answer. */
static int add_turn(struct turn *t, const struct llm_reply *a, const struct err *failed, struct session_id ids[2],
                    struct err *err)
{
    char mark[64];
    struct session_msg turn[] = {
        {.role = SESSION_USER, .content = t->question},
        {.role = SESSION_ASSISTANT,
         .content = a->text,
         .tool_calls = a->tool_calls,
         .reasoning = a->reasoning,
         .thinking = a->thinking},
    };
    if (failed) {
        int n = snprintf(mark, sizeof mark, "{\"partial\":true,\"reason\":\"%s\"}", why_cut(t, failed));
        turn[1].meta = slice_of(mark, (size_t)n);
        turn[1].tool_calls = turn[1].thinking = SLICE("");
    }
    return t->call ? session_turn_add(t->call, t->key, turn, 2, ids, err)
                   : session_turn_add_alone(t->db, t->key, turn, 2, ids, err);
}

/* Brings the turn into the session, when there is one and something to keep. False with *err: there was, and it could
 * not be added. */
static bool keep_turn(struct turn *t, const struct llm_reply *a, const struct err *failed, struct session_id ids[2],
                      struct err *err)
{
    if (!t->key.p || (failed && (!a->text.len || outbound_stopping())))
        return true;
    if (add_turn(t, a, failed, ids, err) == 0)
        return true;
    if (failed) /* the failure is what the client has to hear of */
        log_verbose("what had come of the call %s is not kept: %s", t->id, err->msg);
    return failed != NULL;
}

/* The last entry of the call's stream. */
static void note_end(struct turn *t, const struct llm_reply *a, const struct err *failed, const struct session_id *ids)
{
    struct slice words[6];
    char id[SESSION_ID_TEXT];
    int n = 0;
    if (failed) {
        word_pair(words, &n, "class", slice_str(llm_class_name(a->facts.failure)));
    } else {
        word_pair(words, &n, "model", a->facts.model);
        word_pair(words, &n, "finish", a->finish);
    }
    if (!session_id_none(ids[1]))
        word_pair(words, &n, "message", slice_of(id, session_id_text(ids[1], id)));
    callstream_end(&t->stream, failed, failed ? SLICE("") : a->text, n, words);
}

static void on_done(void *arg, const struct llm_reply *answer, const struct err *failed)
{
    struct turn *t = arg;
    struct session_id ids[2] = {{0}};
    struct err err;
    if (!keep_turn(t, answer, failed, ids, &err))
        failed = &err;
    note_end(t, answer, failed, ids);
    if (t->call) {
        if (failed)
            call_err(t->call, failed);
        else if (t->meta)
            meta_reply(t->call->reply, t, answer, ids);
        else
            reply_bulk(t->call->reply, answer->text);
        call_resume(t->call);
    }
    turn_free(t);
}

static void on_delta(void *arg, const struct llm_delta *d)
{
    struct turn *t = arg;
    if (d->kind == LLM_DELTA_TEXT)
        callstream_piece(&t->stream, t->call, d->text);
}

static void on_cancel(struct call *c, void *arg)
{
    struct turn *t = arg;
    t->gone = true;
    llm_cancel(t->llm);
}

/* ---- the question ---- */

static struct llm_message message_of(const struct session_msg *m)
{
    return (struct llm_message){
        .role = slice_str(session_role_name(m->role)),
        .content = m->content,
        .name = m->name,
        .tool_calls = m->tool_calls,
        .tool_call_id = m->tool_call_id,
        .parts = m->content_parts,
        .reasoning = m->reasoning,
        .thinking = m->thinking,
    };
}

/* The session's context, without its own system prompt when the call brings one, then the question. */
static struct llm_message *messages_of(const struct session_context *ctx, bool has_system, struct slice question,
                                       int *n)
{
    struct llm_message *m = mem_alloc((ctx->n + 1) * sizeof *m);
    *n = 0;
    for (size_t i = 0; i < ctx->n; i++) {
        if (i == 0 && has_system && ctx->v[0].role == SESSION_SYSTEM && session_id_none(ctx->v[0].id))
            continue;
        m[(*n)++] = message_of(&ctx->v[i]);
    }
    m[(*n)++] = (struct llm_message){.role = SLICE("user"), .content = question};
    return m;
}

static struct llm_call *start(struct turn *t, struct llm_options *o, const struct session *s, struct err *err)
{
    static const struct llm_chat_events events = {.delta = on_delta, .done = on_done};
    struct session_context ctx = {0};
    if (s) {
        session_context_build(&ctx, s, session_strategy(s));
        if (!o->q.model.len)
            o->q.model = session_get(s, SESSION_MODEL);
    }
    struct llm_message *messages = messages_of(&ctx, o->has_system, t->question, &o->q.nmessages);
    o->q.messages = messages;
    o->q.caller.tag = t->key.p ? t->key : SLICE("");
    struct llm_call *call = llm_chat_start(outbound_llm(), &o->q, &events, t, err);
    mem_free(messages);
    session_context_release(&ctx);
    return call;
}

static void begin(struct call *c, struct slice key, struct slice question, struct llm_options *o,
                  const struct session *s)
{
    struct err err;
    struct turn *t = mem_zero(sizeof *t);
    t->db = c->db;
    t->meta = o->meta;
    t->question = slice_of(mem_dup(question.p, question.len), question.len);
    if (key.p)
        t->key = slice_of(mem_dup(key.p, key.len), key.len);
    if (!(t->llm = start(t, o, s, &err))) {
        call_err(c, &err);
        turn_free(t);
        return;
    }
    strcpy(t->id, llm_call_id(t->llm));
    callstream_begin(&t->stream, c, t->id, o->stream, o->async);
    if (o->async)
        reply_str(c->reply, t->id);
    else
        t->call = call_park(c, on_cancel, t);
}

static bool question_ok(struct call *c, struct slice q)
{
    if (q.len && utf8_valid(q))
        return true;
    reply_errorf(c->reply, q.len ? "INVALID the text is not valid UTF-8" : "INVALID the text is empty");
    return false;
}

void llm_chat_run(struct call *c)
{
    struct llm_options o;
    const struct session *s = NULL;
    struct err err;
    if (!question_ok(c, call_arg(c, 2)) || !llm_options_parse(c, 3, &o))
        return;
    if (session_read(c, call_arg(c, 1), &s, &err) < 0) {
        call_err(c, &err);
        return;
    }
    begin(c, call_arg(c, 1), call_arg(c, 2), &o, s);
}

void llm_ask_run(struct call *c)
{
    struct llm_options o;
    if (question_ok(c, call_arg(c, 1)) && llm_options_parse(c, 2, &o))
        begin(c, (struct slice){0}, call_arg(c, 1), &o, NULL);
}
