/* builtin/extract: answers by quoting the best sentences of the context it is given, with their sources.
 *
 * It understands nothing: it finds the sentences that share the question's telling words. It invents nothing either,
 * and when no sentence fits it says so. The question is the last user message, or what follows "Question:" in it; the
 * context is everything before: passages marked at the start of a line with a label ([1], [gpl.txt], [source: x]), or,
 * where nothing is marked, the system prompt and the messages so far.
 *
 * Pure. Thread: any; meant for workers. About 5 MB of context a second. */
#ifndef LLM_EXTRACT_H
#define LLM_EXTRACT_H

#include "base/buf.h"
#include "base/err.h"
#include "llm/chat.h"

#define EXTRACT_CONTEXT_MAX (8u << 20)

/* Appends the answer to `answer` and "stop" or "length" to `finish`. ERR_INVALID when there is no user message or the
 * context is over EXTRACT_CONTEXT_MAX bytes. */
int extract_answer(const struct llm_request *q, struct buf *answer, struct buf *finish, struct err *err);

#endif
