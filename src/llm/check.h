/* Is what was asked well-formed? For every kind of request; 0 or ERR_INVALID with a sentence. Pure. Thread: any. */
#ifndef LLM_CHECK_H
#define LLM_CHECK_H

#include "llm/chat.h"

#define LLM_BODY_MAX (32u << 20) /* bytes of a request to a vendor */

int check_chat(const struct llm_request *q, struct err *err);
int check_embed(const struct llm_embed_request *q, struct err *err);
int check_rerank(const struct llm_rerank_request *q, struct err *err);
int check_speech(const struct llm_speech_request *q, struct err *err);
int check_transcribe(const struct llm_transcribe_request *q, struct err *err);

#endif
