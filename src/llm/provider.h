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

/* Models of a provider that stand at another path than its others of their kind. */
struct llm_elsewhere {
    enum model_kind kind;
    const char *id; /* the vendor's name of the model starts so */
    const char *path;
};

struct llm_stream;
typedef void llm_delta_fn(void *arg, const struct llm_delta *d);

/* Functions that read a reply or write headers are given the row they are called through: rows share them and differ
 * in data. */
struct llm_provider {
    const char *name;
    const char *url;    /* base when the model gives none; NULL: the model must give one */
    const char *about;  /* one sentence */
    const void *quirks; /* what the provider's own file knows about this row; nobody else's business */

    /* local: both run on a worker. */
    bool local;
    int (*chat_local)(const struct llm_request *q, const char *model_id, struct llm_answer *a, struct err *err);
    int (*embed_local)(const struct llm_embed_request *q, const char *model_id, struct llm_answer *a, struct job *j,
                       struct err *err);
    bool (*knows)(const char *model_id, enum model_kind kind); /* local: is there such a model? */

    /* remote: pure. NULL: cannot do that. llm_provider_url puts a path behind the base. */
    const char *chat_path, *embed_path, *rerank_path, *speech_path, *transcribe_path;
    const struct llm_elsewhere *elsewhere; /* up to one without a path; NULL: none */
    const char *query;                     /* of the address, unless the model's URL has one; NULL: none */
    const char *probe_path; /* GET: free of charge, to see that speech and transcription are there; NULL: the base */
    int embed_batch;        /* texts in one request; 0: LLM_EMBED_MAX */
    void (*headers)(const struct llm_provider *p, struct buf *lines, struct slice key); /* "Name: value\n" each; key may
                                                                                           be empty */
    int (*chat_body)(const struct llm_request *q, const struct model *m, struct buf *body, struct buf *notes,
                     struct err *err);
    int (*chat_whole)(const struct llm_provider *p, struct slice body, struct llm_answer *a, struct err *err);
    int (*embed_body)(const struct llm_embed_request *q, const struct model *m, struct buf *body, struct buf *notes,
                      struct err *err);
    int (*embed_whole)(const struct llm_provider *p, struct slice body, int ntexts, struct llm_answer *a,
                       struct err *err);
    int (*rerank_body)(const struct llm_rerank_request *q, const struct model *m, struct buf *body, struct buf *notes,
                       struct err *err);
    int (*rerank_whole)(const struct llm_provider *p, struct slice body, int ndocs, struct llm_answer *a,
                        struct err *err);
    /* The reply to speech is the audio itself. */
    int (*speech_body)(const struct llm_speech_request *q, const struct model *m, struct buf *body, struct buf *notes,
                       struct err *err);
    /* A multipart body: content_type gets its media type with the boundary. */
    int (*transcribe_body)(const struct llm_transcribe_request *q, const struct model *m, struct buf *body,
                           struct buf *content_type, struct buf *notes, struct err *err);
    /* a->text gets the words of a JSON reply (or the whole body, of another media type); a->tokens_* its usage. */
    int (*transcribe_whole)(const struct llm_provider *p, struct slice body, struct slice type, struct llm_answer *a,
                            struct err *err);
    void (*failure)(const struct llm_provider *p, int status, struct slice body,
                    struct llm_failure *to); /* of a reply that is not 2xx */

    /* A stream fills `a` and calls delta for every bit; feed and end return 0 or an error. After an error, only destroy
     * may follow. */
    const char *stream_type; /* its media type: text/event-stream or application/x-ndjson */
    struct llm_stream *(*stream_create)(const struct llm_provider *p, struct llm_answer *a, llm_delta_fn *delta,
                                        void *arg);
    int (*stream_feed)(struct llm_stream *s, struct slice bytes, struct err *err);
    int (*stream_end)(struct llm_stream *s, struct err *err);
    void (*stream_destroy)(struct llm_stream *s);
};

const struct llm_provider *llm_provider_find(struct slice name); /* NULL when unknown; thread: any */
void llm_provider_names(struct buf *to);                         /* "builtin, openai" */
/* The rows in the order of the list; NULL after the last. */
const struct llm_provider *llm_provider_at(int i);
/* The path for models of this kind; NULL when the provider has none. Local providers have none at all. */
const char *llm_provider_path(const struct llm_provider *p, enum model_kind kind);
/* The path of this model; NULL as above. */
const char *llm_model_path(const struct model *m);
/* Appends the address of a path for a model: after its base, or, for a path that starts with "@/", after the base's
 * scheme and host. "{id}" in the path is the vendor's name of the model; a query of the base comes last. */
void llm_provider_url(const struct model *m, const char *path, struct buf *to);

#endif
