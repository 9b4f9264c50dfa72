/* A provider: one way of talking to models, as a const row beside its code.
 *
 * Remote providers turn a request into an HTTP body and bytes into an answer; they are pure and know no sockets, loops
 * or retries (those are the call's). Local ones make the answer themselves on a worker.
 *
 * What a vendor lacks is mapped, dropped with a note, or refused with ERR_INVALID, never silently changed. */
#ifndef LLM_PROVIDER_H
#define LLM_PROVIDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/job.h"
#include "llm/chat.h"
#include "llm/failure.h"
#include "llm/model.h"

#define LLM_TEXT_MAX (16u << 20) /* bytes of one answer */

/* What a provider has understood of an answer so far. */
struct llm_answer {
    struct buf text, reasoning, thinking, tool_calls, finish, model_id;
    int64_t tokens_in, tokens_out; /* -1: not said */
    int64_t tokens_cached, tokens_reasoning;
    bool estimated;
    float *vectors; /* embeddings: count rows of dim; mem_free */
    int count, dim;
    struct llm_rank *ranks; /* rerank: best first; mem_free */
    int nranks;
    enum llm_class failure; /* of an error that the vendor wrapped in a good reply; LLM_FINE: none */
};
void llm_answer_init(struct llm_answer *a);
void llm_answer_release(struct llm_answer *a);

/* What of a request did not reach the vendor as it was: a JSON array of {"param","action","detail"}. action is "mapped"
 * or "dropped". */
void llm_note(struct buf *notes, const char *param, const char *action, const char *detail);

struct llm_stream;
typedef void llm_delta_fn(void *arg, const struct llm_delta *d);

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

    /* remote: pure. Paths go after the base; NULL: cannot do that. */
    const char *chat_path, *embed_path;
    void (*headers)(struct buf *lines, struct slice key); /* "Name: value\n" each; key may be empty */
    int (*chat_body)(const struct llm_request *q, const struct model *m, struct buf *body, struct buf *notes,
                     struct err *err);
    int (*chat_whole)(struct slice body, struct llm_answer *a, struct err *err);
    int (*embed_body)(const struct llm_embed_request *q, const struct model *m, struct buf *body, struct err *err);
    int (*embed_whole)(struct slice body, int ntexts, struct llm_answer *a, struct err *err);
    void (*failure)(int status, struct slice body, struct llm_failure *to); /* of a reply that is not 2xx */

    /* A stream fills `a` and calls delta for every bit; feed and end return 0 or an error. After an error, only destroy
     * may follow. */
    struct llm_stream *(*stream_create)(struct llm_answer *a, llm_delta_fn *delta, void *arg);
    int (*stream_feed)(struct llm_stream *s, struct slice bytes, struct err *err);
    int (*stream_end)(struct llm_stream *s, struct err *err);
    void (*stream_destroy)(struct llm_stream *s);
};

const struct llm_provider *llm_provider_find(struct slice name); /* NULL when unknown; thread: any */
void llm_provider_names(struct buf *to);                         /* "builtin, openai" */

#endif
