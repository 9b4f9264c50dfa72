/* Anthropic's replies: whole messages, event streams, errors. Pure; fuzzed; the bytes may be cut anywhere.
 *
 * Thinking blocks are kept as they came, signature included, in answer.thinking; their words are answer.reasoning too.
 * tokens_in counts what was read from and written to the vendor's cache too.
 *
 * Thread: any; a stream belongs to one thread. */
#ifndef LLM_ANTHROPIC_PARSE_H
#define LLM_ANTHROPIC_PARSE_H

#include "llm/provider.h"

int anthropic_whole(const struct llm_provider *p, struct slice body, struct llm_answer *a, struct err *err);
void anthropic_failure(const struct llm_provider *p, int status, struct slice body, struct llm_failure *to);

struct llm_stream *anthropic_stream_create(const struct llm_provider *p, struct llm_answer *a, llm_delta_fn *delta,
                                           void *arg);
int anthropic_stream_feed(struct llm_stream *s, struct slice bytes, struct err *err);
/* The connection has ended: an error when message_stop (or at least a stop reason) had not come. */
int anthropic_stream_end(struct llm_stream *s, struct err *err);
void anthropic_stream_destroy(struct llm_stream *s); /* NULL allowed */

#endif
