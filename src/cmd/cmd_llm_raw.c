/* LLM.RAW: a body of OpenAI's chat completions in, that API's reply out. */
#include "cmd/cmd_llm.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cmd/llm_options.h"
#include "cmd/llm_said.h"
#include "cmd/llm_turn.h"
#include "cmd/session_turn.h"
#include "llm/wire_openai.h"

struct raw_options {
    struct slice key, token;
    struct llm_caller caller;
    bool stream, async;
};

/* What is written back; a turn's own. */
struct raw {
    char *model; /* as it was asked for; empty: by none */
    struct llm_turn *turn;
    struct wire_openai_stream chunks;
};

static void raw_free(void *own)
{
    struct raw *w = own;
    wire_openai_stream_release(&w->chunks);
    mem_free(w->model);
    mem_free(w);
}

static struct wire_head head_of(const struct raw *w)
{
    return (struct wire_head){
        .id = slice_of(w->turn->id, ID_LEN), .model = slice_str(w->model), .created = clock_wall_ms() / 1000};
}

static void on_chunk(void *arg, struct slice type, struct slice json)
{
    struct llm_turn *t = arg;
    callstream_event(&t->stream, t->call, "chunk", 2, (struct slice[]){SLICE("json"), json});
}

static void raw_delta(struct llm_turn *t, const struct llm_delta *d)
{
    struct raw *w = t->own;
    if (t->stream.mode != CALLSTREAM_OFF)
        wire_openai_stream_delta(&w->chunks, d);
}

static void raw_reply(struct llm_turn *t, const struct llm_reply *a)
{
    struct raw *w = t->own;
    struct buf json = {0};
    struct wire_head head = head_of(w);
    if (t->stream.mode == CALLSTREAM_PUSH)
        wire_openai_stream_end(&w->chunks, a);
    if (!*w->model)
        head.model = a->facts.model;
    wire_openai_reply(&head, a, &json);
    reply_bulk(t->call->reply, buf_slice(&json));
    buf_release(&json);
}

static void raw_begin(struct call *c, struct wire_chat *w, const struct llm_said *said, const struct raw_options *o)
{
    struct llm_turn *t = llm_turn_create(c, o->key, said ? said->v : NULL, said ? said->n : 0);
    struct raw *own = t->own = mem_zero(sizeof *own);
    own->turn = t;
    own->model = mem_dup(w->q.model.len ? w->q.model.p : "", w->q.model.len);
    struct wire_head head = head_of(own);
    wire_openai_stream_init(&own->chunks, &head, w->include_usage, on_chunk, t);
    t->reply = raw_reply;
    t->delta = raw_delta;
    t->release = raw_free;
    w->q.stream = o->stream || o->async;
    w->q.caller = o->caller;
    llm_turn_start(t, c, &w->q, o->stream, o->async, o->token);
}

static void raw_in_session(struct call *c, struct wire_chat *w, const struct raw_options *o)
{
    const struct session *s;
    struct llm_said said = {0};
    struct err err;
    if (session_read(c, o->key, &s, &err) < 0 ||
        llm_said_build(&said, s, &w->q, session_limits_of(c), store_now(c->db->store), &err) < 0)
        call_err(c, &err);
    else
        raw_begin(c, w, &said, o);
    llm_said_release(&said);
}

static bool raw_options(struct call *c, struct raw_options *o)
{
    *o = (struct raw_options){.caller = LLM_REQUEST.caller};
    for (int i = 2; i < c->argc; i++) {
        struct slice word = call_arg(c, i);
        bool more = i + 1 < c->argc, ok = true;
        if (slice_is(word, "stream"))
            o->stream = true;
        else if (slice_is(word, "async"))
            o->async = true;
        else if (more && slice_is(word, "session"))
            o->key = call_arg(c, ++i);
        else if (more && slice_is(word, "timeout"))
            ok = llm_timeout_parse(c, call_arg(c, ++i), &o->caller);
        else if (more && slice_is(word, "priority"))
            ok = llm_priority_parse(c, call_arg(c, ++i), &o->caller);
        else if (more && slice_is(word, "idempotency"))
            ok = llm_token_parse(c, call_arg(c, ++i), &o->token);
        else
            ok = (reply_errorf(c->reply, "INVALID unknown option '%.*s'", (int)utf8_cut(word, 64), word.p), false);
        if (!ok)
            return false;
    }
    o->stream &= !o->async; /* ASYNC has its pieces in the stream anyway */
    return true;
}

int llm_raw_keys(int argc, const struct slice *argv, int *pos)
{
    for (int i = 2; i + 1 < argc; i++)
        if (slice_is(argv[i], "session")) {
            pos[0] = i + 1;
            return 1;
        }
    return 0;
}

/* The last assistant message of the reply has the model's text, its calls of tools, and usage, as OpenAI's API writes
 * them. With STREAM the pieces come before as that API's chunks, each a push ["llm.chunk", call id, json]. SESSION puts
 * the session's past before what is new in the body, and keeps what is new and the answer.
 *
 * > LLM.RAW '{"model":"builtin/extract","messages":[{"role":"user","content":"[1] Delft lies in Holland. Question:
 * Where is Delft?"}]}' < "{\"id\":*\"content\":\"Delft lies in Holland.*" > LLM.RAW '{"messages":7}' < (error) INVALID
 * messages must be an array *
 */
void llm_raw_run(struct call *c)
{
    struct raw_options o;
    struct wire_chat w;
    struct err err;
    if (!raw_options(c, &o))
        return;
    if (wire_openai_chat(call_arg(c, 1), &w, &err) < 0)
        call_err(c, &err);
    else if (o.key.p)
        raw_in_session(c, &w, &o);
    else
        raw_begin(c, &w, NULL, &o);
    wire_chat_release(&w);
}
