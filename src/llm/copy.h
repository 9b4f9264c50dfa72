/* An owned copy of any request, in one allocation: a call outlives whoever asked, and a fail-over writes the body again
 * for another vendor. Thread: any; pure. */
#ifndef LLM_COPY_H
#define LLM_COPY_H

#include "llm/chat.h"
#include "llm/model.h"

/* What a call was asked for: an owned copy of the request of its kind. */
struct llm_asked {
    enum model_kind kind;
    union {
        void *any; /* mem_free */
        struct llm_request *chat;
        struct llm_embed_request *embed;
        struct llm_rerank_request *rerank;
        struct llm_speech_request *speech;
        struct llm_transcribe_request *transcribe;
    };
};
const struct llm_caller *asked_caller(const struct llm_asked *a);
/* About how many tokens go in. Pictures inside of the text count as a picture does, not as their base64. */
int64_t asked_tokens(const struct llm_asked *a);

/* NULL when there is no memory for it. mem_free gives the copy back, whole. Slices of the copy point into it. */
struct llm_request *copy_chat(const struct llm_request *q);
struct llm_embed_request *copy_embed(const struct llm_embed_request *q);
struct llm_rerank_request *copy_rerank(const struct llm_rerank_request *q);
struct llm_speech_request *copy_speech(const struct llm_speech_request *q);
struct llm_transcribe_request *copy_transcribe(const struct llm_transcribe_request *q);

#endif
