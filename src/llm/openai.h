/* OpenAI's requests as functions of provider rows; which vendor it is comes from the model's provider. Contracts as in
 * provider.h. Thread: any. */
#ifndef LLM_OPENAI_H
#define LLM_OPENAI_H

#include "llm/provider.h"

int openai_chat_body(const struct llm_request *q, const struct model *m, struct buf *to, struct buf *notes,
                     struct err *err);
int openai_embed_body(const struct llm_embed_request *q, const struct model *m, struct buf *to, struct buf *notes,
                      struct err *err);
void openai_headers(const struct llm_provider *p, struct buf *lines, struct slice key);

/* openai_audio.c */
int openai_speech_body(const struct llm_speech_request *q, const struct model *m, struct buf *to, struct buf *notes,
                       struct err *err);
int openai_transcribe_body(const struct llm_transcribe_request *q, const struct model *m, struct buf *to,
                           struct buf *content_type, struct buf *notes, struct err *err);
int openai_transcribe_whole(const struct llm_provider *p, struct slice body, struct slice type, struct llm_answer *a,
                            struct err *err);

/* rerank.c */
int rerank_body(const struct llm_rerank_request *q, const struct model *m, struct buf *to, struct buf *notes,
                struct err *err); /* Cohere, Jina and most others */
int rerank_tei_body(const struct llm_rerank_request *q, const struct model *m, struct buf *to, struct buf *notes,
                    struct err *err);
int rerank_qwen_body(const struct llm_rerank_request *q, const struct model *m, struct buf *to, struct buf *notes,
                     struct err *err); /* DashScope's own for models that stand elsewhere, else the usual one */
int rerank_whole(const struct llm_provider *p, struct slice body, int ndocs, struct llm_answer *a, struct err *err);

/* cohere.c */
int cohere_embed_body(const struct llm_embed_request *q, const struct model *m, struct buf *to, struct buf *notes,
                      struct err *err);
int cohere_embed_whole(const struct llm_provider *p, struct slice body, int ntexts, struct llm_answer *a,
                       struct err *err);

#endif
