/* LLM.CHAT and LLM.ASK: one question, one answer. See llm_turn.h for what becomes of it. */
#include "cmd/cmd_llm.h"

#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cmd/llm_options.h"
#include "cmd/llm_said.h"
#include "cmd/llm_turn.h"
#include "cmd/session_turn.h"

/* ---- the answer ---- */

static void reply_text(struct llm_turn *t, const struct llm_reply *a)
{
    reply_bulk(t->call->reply, a->text);
}

static void reply_all(struct llm_turn *t, const struct llm_reply *a)
{
    struct reply *r = t->call->reply;
    char id[SESSION_ID_TEXT];
    size_t place = reply_defer(r), n = 5;
    reply_field_bulk(r, "text", a->text);
    reply_field_bulk(r, "finish", a->finish);
    reply_field_bulk(r, "tool-calls", a->tool_calls);
    reply_field_bulk(r, "reasoning", a->reasoning);
    reply_field_str(r, "call", t->id);
    n += llm_facts_reply(r, &a->facts);
    if (!session_id_none(t->message)) {
        reply_field_bulk(r, "message", slice_of(id, session_id_text(t->message, id)));
        n++;
    }
    reply_defer_map(r, place, n);
}

/* ---- the question ---- */

/* key.p NULL: no session. */
static void begin(struct call *c, struct slice key, const struct session_msg *question, struct llm_options *o,
                  const struct session *s)
{
    struct llm_message alone = llm_message_of(question);
    struct llm_said said = {0};
    struct err err;
    o->q.messages = &alone;
    o->q.nmessages = 1;
    if (key.p && llm_said_build(&said, s, &o->q, session_limits_of(c), store_now(c->db->store), &err) < 0) {
        call_err(c, &err);
    } else {
        struct llm_turn *t = llm_turn_create(c, key, question, 1);
        t->meta = o->meta;
        t->reply = o->meta ? reply_all : reply_text;
        llm_turn_start(t, c, &o->q, o->stream, o->async, o->token);
    }
    llm_said_release(&said);
}

/* The text, then the images, as OpenAI writes them. */
static void write_parts(struct buf *to, struct slice text, const struct llm_options *o)
{
    buf_add_str(to, "[{\"type\":\"text\",\"text\":");
    json_quote(to, text);
    buf_add_char(to, '}');
    for (int i = 0; i < o->nimages; i++) {
        const char *type = llm_image_type(o->images[i]);
        buf_add_str(to, ",{\"type\":\"image_url\",\"image_url\":{\"url\":");
        if (type) {
            buf_addf(to, "\"data:%s;base64,", type);
            base64_encode(to, o->images[i]);
            buf_add_char(to, '"');
        } else {
            json_quote(to, o->images[i]);
        }
        buf_add_str(to, "}}");
    }
    buf_add_char(to, ']');
}

static bool question_ok(struct call *c, const struct session_msg *q, bool kept)
{
    struct err err;
    if (!q->content.len || !utf8_valid(q->content)) {
        reply_errorf(c->reply, q->content.len ? "INVALID the text is not valid UTF-8" : "INVALID the text is empty");
        return false;
    }
    if (!kept || session_msg_check(q, session_text_max(session_limits_of(c)), &err) == 0)
        return true;
    call_err(c, &err); /* before the model is paid for an answer that could not be kept */
    return false;
}

static void ask(struct call *c, int at, struct slice key)
{
    struct llm_options o;
    struct buf parts = {0};
    struct err err;
    const struct session *s = NULL;
    struct session_msg q = {.role = SESSION_USER, .content = call_arg(c, at)};
    if (llm_options_parse(c, at + 1, &o)) {
        if (o.nimages)
            write_parts(&parts, q.content, &o);
        q.content_parts = buf_slice(&parts);
        if (key.p && session_read(c, key, &s, &err) < 0)
            call_err(c, &err);
        else if (question_ok(c, &q, key.p != NULL))
            begin(c, key, &q, &o, s);
    }
    buf_release(&parts);
    llm_options_release(&o);
}

void llm_chat_run(struct call *c)
{
    ask(c, 2, call_arg(c, 1));
}

void llm_ask_run(struct call *c)
{
    ask(c, 1, (struct slice){0});
}
