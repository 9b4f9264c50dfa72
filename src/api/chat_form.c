#include "api/chat_form.h"

static void openai_begin(union chat_out *o, const struct wire_head *h, bool include_usage, int64_t tokens_in,
                         wire_emit_fn *emit, void *arg)
{
    wire_openai_stream_init(&o->openai, h, include_usage, emit, arg);
}

static void openai_delta(union chat_out *o, const struct llm_delta *d)
{
    wire_openai_stream_delta(&o->openai, d);
}

static void openai_end(union chat_out *o, const struct llm_reply *r)
{
    wire_openai_stream_end(&o->openai, r);
}

static void openai_release(union chat_out *o)
{
    wire_openai_stream_release(&o->openai);
}

const struct chat_form chat_openai = {
    .path = "/v1/chat/completions",
    .metric = "chat",
    .prefix = "chatcmpl-",
    .errors = DOOR_OPENAI,
    .last = {"data: [DONE]\n\n", 14},
    .parse = wire_openai_chat_tree,
    .reply = wire_openai_reply,
    .begin = openai_begin,
    .delta = openai_delta,
    .end = openai_end,
    .release = openai_release,
};

static void anthropic_begin(union chat_out *o, const struct wire_head *h, bool include_usage, int64_t tokens_in,
                            wire_emit_fn *emit, void *arg)
{
    wire_anthropic_stream_init(&o->anthropic, h, tokens_in, emit, arg);
}

static void anthropic_delta(union chat_out *o, const struct llm_delta *d)
{
    wire_anthropic_stream_delta(&o->anthropic, d);
}

static void anthropic_end(union chat_out *o, const struct llm_reply *r)
{
    wire_anthropic_stream_end(&o->anthropic, r);
}

static void anthropic_release(union chat_out *o)
{
    wire_anthropic_stream_release(&o->anthropic);
}

const struct chat_form chat_anthropic = {
    .path = "/v1/messages",
    .metric = "messages",
    .prefix = "msg_",
    .errors = DOOR_ANTHROPIC,
    .parse = wire_anthropic_chat_tree,
    .reply = wire_anthropic_reply,
    .begin = anthropic_begin,
    .delta = anthropic_delta,
    .end = anthropic_end,
    .release = anthropic_release,
};
