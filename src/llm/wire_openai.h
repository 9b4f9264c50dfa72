/* OpenAI's wire form, for the HTTP door and LLM.RAW: chat completions, embeddings, rerank (as Jina and Cohere have it)
 * and speech; see wire.h for who owns what.
 *
 * Every field that a request has a place for is checked; a field that it has none for goes on to the vendor in params.
 * n other than 1 and inputs made of token numbers are refused. metadata stays in params: a door that takes something
 * out of it detaches it from the tree first. */
#ifndef LLM_WIRE_OPENAI_H
#define LLM_WIRE_OPENAI_H

#include "llm/wire.h"

int wire_openai_chat(struct slice body, struct wire_chat *to, struct err *err);
/* The tree becomes the body's, also on an error. */
int wire_openai_chat_tree(cJSON *root, struct wire_chat *to, struct err *err);
int wire_openai_embed(struct slice body, struct wire_embed *to, struct err *err);
int wire_openai_rerank(struct slice body, struct wire_rerank *to, struct err *err);
int wire_openai_speech(struct slice body, struct wire_speech *to, struct err *err);

/* Whole answers: one JSON object appended to `to`. */
void wire_openai_reply(const struct wire_head *h, const struct llm_reply *r, struct buf *to);
void wire_openai_vectors(const struct wire_head *h, const struct llm_vectors *v, bool base64, struct buf *to);
void wire_openai_ranks(const struct wire_head *h, const struct llm_ranks *r, const struct wire_rerank *asked,
                       struct buf *to); /* asked NULL: without documents */

/* {"error":{...}} appended to `to`; returns the HTTP status. facts: the call's; NULL when no vendor was asked; param:
 * NULL or empty when no field is at fault. The door's README has the table. */
int wire_openai_error(const struct err *err, const struct llm_facts *facts, const char *param, struct buf *to);

/* A streamed answer: deltas in, chunks out by emit (type empty). The role comes first; end() writes the chunk with the
 * finish reason, and the one with the usage when include_usage. "[DONE]" is the door's. head's slices must live. */
struct wire_openai_stream {
    struct wire_head head;
    bool include_usage, started;
    wire_emit_fn *emit;
    void *arg;
    struct buf room, opening; /* opening: how every chunk begins */
};
void wire_openai_stream_init(struct wire_openai_stream *s, const struct wire_head *h, bool include_usage,
                             wire_emit_fn *emit, void *arg);
void wire_openai_stream_delta(struct wire_openai_stream *s, const struct llm_delta *d);
void wire_openai_stream_end(struct wire_openai_stream *s, const struct llm_reply *r);
void wire_openai_stream_release(struct wire_openai_stream *s);

#endif
