/* An answer that came whole where a stream was asked for, as the deltas it would have been: reasoning, signed blocks,
 * text, tool calls, one delta each. Thread: any. */
#ifndef LLM_DELTAS_H
#define LLM_DELTAS_H

#include "llm/chat.h"

void llm_deltas_of(const struct llm_reply *r, void (*delta)(void *arg, const struct llm_delta *d), void *arg);

#endif
