/* LLM.CHAT and LLM.ASK: one question, one answer.
 *
 * The client is parked (or has its id, under ASYNC) while the call is under way. When the answer is there, question and
 * answer are added to the session in one step, so a session never holds half a turn; a call that fails adds nothing.
 * Two calls on one session at the same time each see the session as it was when they began, and their turns are added
 * in the order in which they end. */
#include "cmd/cmd_llm.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "cmd/callstream.h"
#include "cmd/effects.h"
#include "cmd/llm_options.h"
#include "cmd/outbound.h"
#include "cmd/session_turn.h"
#include "cmd/inside.h"
#include "llm/llm.h"
#include "session/context.h"

struct turn {
    struct call *call; /* parked; NULL under ASYNC */
    struct db *db;
    struct slice key; /* of the session, a copy; p NULL: LLM.ASK */
    struct slice question;
    bool meta;
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

/* Under ASYNC there is no call to add the turn with: the two messages are commands of one group. */
static int add_inside(struct turn *t, const struct llm_reply *a, struct err *err)
{
    struct buf out = {0};
    struct slice user[] = {SLICE("SESSION.ADD"), t->key, SLICE("user"), t->question};
    struct slice model[] = {SLICE("SESSION.ADD"), t->key,       SLICE("assistant"), a->text,
                            SLICE("TOOL-CALLS"),  a->tool_calls};
    effects_begin();
    call_inside(t->db, 4, user, &out, 2);
    if (out.len && out.p[0] != '-') {
        buf_clear(&out);
        call_inside(t->db, a->tool_calls.len ? 6 : 4, model, &out, 2);
    }
    effects_end();
    bool failed = !out.len || out.p[0] == '-';
    if (failed)
        err_set(err, ERR_STATE, "the answer could not be added to the session: %.*s", (int)out.len, out.p);
    buf_release(&out);
    return failed ? ERR_STATE : 0;
}

static int add_turn(struct turn *t, const struct llm_reply *a, struct session_id ids[2], struct err *err)
{
    struct session_msg turn[] = {
        {.role = SESSION_USER, .content = t->question},
        {.role = SESSION_ASSISTANT, .content = a->text, .tool_calls = a->tool_calls},
    };
    if (!t->key.p)
        return 0;
    return t->call ? session_turn_add(t->call, t->key, turn, 2, ids, err) : add_inside(t, a, err);
}

static void on_done(void *arg, const struct llm_reply *answer, const struct err *failed)
{
    struct turn *t = arg;
    struct session_id ids[2] = {{0}};
    struct err err;
    if (!failed && add_turn(t, answer, ids, &err) < 0)
        failed = &err;
    struct slice words[4];
    int n = 0;
    if (!failed) {
        word_pair(words, &n, "model", answer->facts.model);
        word_pair(words, &n, "finish", answer->finish);
    }
    callstream_end(&t->stream, failed, failed ? SLICE("") : answer->text, n, words);
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
    llm_cancel(((struct turn *)arg)->llm);
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
