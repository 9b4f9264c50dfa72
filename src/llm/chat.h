/* What is asked of a model and what comes back, in one form for all providers.
 *
 * Everything in a request is borrowed and copied by llm_chat_start / llm_embed_start; everything in a reply is borrowed
 * until done() returns. Empty slices mean "not given". */
#ifndef LLM_CHAT_H
#define LLM_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct llm_message {
    struct slice role; /* system, developer, user, assistant, tool */
    struct slice content;
    struct slice parts; /* JSON array in the place of content: text and images as OpenAI writes them */
    struct slice name;
    struct slice tool_calls;   /* JSON array, on an assistant message */
    struct slice tool_call_id; /* on a tool message */
};

/* Use LLM_REQUEST as the start of every request: it says "not given" for the numbers. */
struct llm_request {
    struct slice model;  /* a name from the registry; empty: the default chat model */
    struct slice system; /* goes before the messages */
    const struct llm_message *messages;
    int nmessages;
    double temperature, top_p; /* NaN: not given */
    int64_t max_tokens;        /* 0: not given */
    const struct slice *stop;
    int nstop;
    bool has_seed;
    int64_t seed;
    bool json;           /* the answer shall be JSON */
    struct slice schema; /* and follow this JSON schema */
    struct slice tools;  /* JSON array of tools, as OpenAI writes them */
    struct slice params; /* JSON object: further fields of the body, stronger than the model's PARAMS */
    bool stream;         /* text comes by piece() too, as it is made */
    int timeout_ms;      /* for everything, retries included; 0: the model's, or the default */
    struct slice tag;    /* for LLM.CALLS: whose call it is */
};
#define LLM_REQUEST ((struct llm_request){.temperature = __builtin_nan(""), .top_p = __builtin_nan("")})

struct llm_reply {
    struct slice text;
    struct slice reasoning;  /* what a thinking model said to itself; not part of the text */
    struct slice tool_calls; /* JSON array as OpenAI writes it; empty when none */
    struct slice finish;     /* stop, length, tool_calls, content_filter */
    struct slice model;      /* name in the registry */
    struct slice model_id;   /* what the provider says it was */
    struct slice request_id; /* the provider's, for asking them about it */
    int64_t tokens_in, tokens_out;
    bool estimated; /* the provider did not count: tokens are our estimate */
    int64_t us_total;
    int64_t us_first; /* to the first piece (or the whole, when not streamed) */
    int attempts;
};

struct llm_chat_events {
    void (*piece)(void *arg, struct slice text); /* only for streams; NULL allowed */
    /* Exactly one of reply and err is not NULL. The last word: the call is gone when it returns. */
    void (*done)(void *arg, const struct llm_reply *reply, const struct err *err);
};

struct llm_embed_request {
    struct slice model; /* empty: the default embedding model */
    const struct slice *texts;
    int ntexts; /* 1 to LLM_EMBED_MAX */
    int dim;    /* 0: the model's own */
    int timeout_ms;
    struct slice tag;
};
#define LLM_EMBED_MAX 2048

struct llm_vectors {
    const float *v; /* count rows of dim */
    int count, dim;
    struct slice model, model_id, request_id;
    int64_t tokens_in;
    bool estimated;
    int64_t us_total;
    int attempts;
};

typedef void llm_embed_done(void *arg, const struct llm_vectors *v, const struct err *err);

#endif
