/* A provider: one way of talking to models, as a const row beside its code.
 *
 * Remote providers turn a request into an HTTP body and bytes into an answer; they are pure and know no sockets, loops
 * or retries (llm.c does those). Local ones make the answer themselves on a worker. */
#ifndef LLM_PROVIDER_H
#define LLM_PROVIDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/job.h"
#include "llm/chat.h"
#include "llm/model.h"

#define LLM_TEXT_MAX (16u << 20) /* bytes of one answer */

/* What a provider has understood of an answer so far. */
struct llm_answer {
    struct buf text, reasoning, tool_calls, finish, model_id;
    int64_t tokens_in, tokens_out; /* -1: not said */
    bool estimated;
    float *vectors; /* embeddings: count rows of dim; mem_free */
    int count, dim;
};
void llm_answer_init(struct llm_answer *a);
void llm_answer_release(struct llm_answer *a);

struct llm_stream;

struct llm_provider {
    const char *name;
    const char *url;   /* base when the model gives none; NULL: the model must give one */
    const char *about; /* one sentence */

    /* local: both run on a worker. */
    bool local;
    int (*chat_local)(const struct llm_request *q, const char *model_id, struct llm_answer *a, struct err *err);
    int (*embed_local)(const struct llm_embed_request *q, const char *model_id, struct llm_answer *a, struct job *j,
                       struct err *err);
    bool (*knows)(const char *model_id, enum model_kind kind); /* local: is there such a model? */

    /* remote: pure */
    const char *chat_path, *embed_path;                 /* after the base; NULL: cannot do that */
    void (*auth)(struct buf *header, struct slice key); /* "Authorization: Bearer ..." */
    int (*chat_body)(const struct llm_request *q, const struct model *m, struct buf *body, struct err *err);
    int (*chat_whole)(struct slice body, struct llm_answer *a, struct err *err);
    int (*embed_body)(const struct llm_embed_request *q, const struct model *m, struct buf *body, struct err *err);
    int (*embed_whole)(struct slice body, int ntexts, struct llm_answer *a, struct err *err);
    /* The vendor's own words from an error body, "" when there are none. *no_credit: paying, not waiting, would help.
     */
    void (*error_text)(struct slice body, struct buf *to, bool *no_credit);

    /* A stream fills `a` and calls piece for every bit of text; feed and end return 0 or an error. After an error, only
     * destroy may follow. */
    struct llm_stream *(*stream_create)(struct llm_answer *a, void (*piece)(void *arg, struct slice text), void *arg);
    int (*stream_feed)(struct llm_stream *s, struct slice bytes, struct err *err);
    int (*stream_end)(struct llm_stream *s, struct err *err);
    void (*stream_destroy)(struct llm_stream *s);
};

const struct llm_provider *llm_provider_find(struct slice name); /* NULL when unknown; thread: any */
void llm_provider_names(struct buf *to);                         /* "builtin, openai" */

#endif
