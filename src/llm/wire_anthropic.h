/* Anthropic's wire form (/v1/messages), for the HTTP door; see wire.h for who owns what.
 *
 * Blocks become OpenAI's parts and tool calls, tool results messages of the role tool, thinking blocks stay as they
 * are. cache_control stays on its blocks. A field that a request has no place for (top_k, service_tier) goes on in
 * params. */
#ifndef LLM_WIRE_ANTHROPIC_H
#define LLM_WIRE_ANTHROPIC_H

#include "llm/wire.h"

int wire_anthropic_chat(struct slice body, struct wire_chat *to, struct err *err);
/* The tree becomes the body's, also on an error. */
int wire_anthropic_chat_tree(cJSON *root, struct wire_chat *to, struct err *err);

void wire_anthropic_reply(const struct wire_head *h, const struct llm_reply *r, struct buf *to);
/* {"type":"error",...} appended to `to`; returns the HTTP status. */
int wire_anthropic_error(const struct err *err, const struct llm_facts *facts, struct slice request_id, struct buf *to);

/* A streamed answer: message_start, blocks, message_delta, message_stop. tokens_in is told at the start where it is
 * known then (an estimate) and again, right, at the end. head's slices must live. */
struct wire_anthropic_stream {
    struct wire_head head;
    int64_t tokens_in;
    wire_emit_fn *emit;
    void *arg;
    bool started;
    int index; /* of the block that is open, or comes next */
    int open;  /* which kind of block is open; 0: none */
    int tool;  /* the call whose block is open */
    struct buf room;
};
void wire_anthropic_stream_init(struct wire_anthropic_stream *s, const struct wire_head *h, int64_t tokens_in,
                                wire_emit_fn *emit, void *arg);
void wire_anthropic_stream_delta(struct wire_anthropic_stream *s, const struct llm_delta *d);
void wire_anthropic_stream_end(struct wire_anthropic_stream *s, const struct llm_reply *r);
void wire_anthropic_stream_release(struct wire_anthropic_stream *s);

#endif
