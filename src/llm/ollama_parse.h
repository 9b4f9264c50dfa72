/* Ollama's replies: whole, as lines of JSON, embeddings, errors. Pure; fuzzed; the bytes may be cut anywhere.
 * Thread: any; a stream belongs to one thread. */
#ifndef LLM_OLLAMA_PARSE_H
#define LLM_OLLAMA_PARSE_H

#include "llm/provider.h"

int ollama_chat_whole(const struct llm_provider *p, struct slice body, struct llm_answer *a, struct err *err);
int ollama_embed_whole(const struct llm_provider *p, struct slice body, int ntexts, struct llm_answer *a,
                       struct err *err);
void ollama_failure(const struct llm_provider *p, int status, struct slice body, struct llm_failure *to);

struct llm_stream *ollama_stream_create(const struct llm_provider *p, struct llm_answer *a, llm_delta_fn *delta,
                                        void *arg);
int ollama_stream_feed(struct llm_stream *s, struct slice bytes, struct err *err);
/* The connection has ended: an error when no line said "done". */
int ollama_stream_end(struct llm_stream *s, struct err *err);
void ollama_stream_destroy(struct llm_stream *s); /* NULL allowed */

#endif
