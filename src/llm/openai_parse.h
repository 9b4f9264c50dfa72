/* OpenAI's replies: whole bodies, event streams, embeddings, errors. Pure; fuzzed; the bytes may be cut anywhere.
 *
 * Made for what compatible servers really send: content as text or as parts, reasoning under either of its names, tool
 * calls without an index or in one piece, errors with status 200 or in the middle of a stream, comments, no [DONE].
 *
 * Thread: any; a stream belongs to one thread. */
#ifndef LLM_OPENAI_PARSE_H
#define LLM_OPENAI_PARSE_H

#include <cjson/cJSON.h>

#include "llm/provider.h"

int openai_chat_whole(const struct llm_provider *p, struct slice body, struct llm_answer *a, struct err *err);
int openai_embed_whole(const struct llm_provider *p, struct slice body, int ntexts, struct llm_answer *a,
                       struct err *err);
void openai_failure(const struct llm_provider *p, int status, struct slice body, struct llm_failure *to);

/* An error that came with a good status, in a whole reply or a chunk: 0 when there is none, else what llm_reported
 * gives. */
int openai_hidden_error(const struct llm_provider *p, const cJSON *root, struct llm_answer *a, struct err *err);
/* Puts the class into the answer and the vendor's words into err, whose code (returned) is the class's. */
int llm_reported(enum llm_class class, struct slice text, struct llm_answer *a, struct err *err);
/* Appends a whole message's tool calls as a JSON array, each with id, type and arguments as text; nothing when there are
 * none. openai_calls.c */
void openai_whole_calls(const cJSON *calls, struct buf *to);
/* An array of embeddings, each an array of numbers or base64. */
int openai_read_rows(const cJSON *rows, int ntexts, struct llm_answer *a, struct err *err);

struct llm_stream *openai_stream_create(const struct llm_provider *p, struct llm_answer *a, llm_delta_fn *delta,
                                        void *arg);
int openai_stream_feed(struct llm_stream *s, struct slice bytes, struct err *err);
/* The connection has ended: an error when the answer had not (no finish_reason and no [DONE]). */
int openai_stream_end(struct llm_stream *s, struct err *err);
void openai_stream_destroy(struct llm_stream *s); /* NULL allowed */

#endif
