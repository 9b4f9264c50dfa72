/* What is asked of a model and what comes back, in one form for all providers.
 *
 * The form is OpenAI's where it has one: parts, tool calls, tools and tool choice are JSON texts as its chat
 * completions API writes them; a provider file maps them to its vendor's and back.
 *
 * Everything in a request is borrowed and copied by llm_*_start; everything in a reply is borrowed until done()
 * returns. Empty slices mean "not given". */
#ifndef LLM_CHAT_H
#define LLM_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "llm/failure.h"

struct llm_message {
    struct slice role; /* system, developer, user, assistant, tool */
    struct slice content;
    struct slice parts; /* JSON array in the place of content: text and images as OpenAI writes them */
    struct slice name;
    struct slice tool_calls;   /* JSON array, on an assistant message */
    struct slice tool_call_id; /* on a tool message */
    struct slice reasoning;    /* what the model thought, on an assistant message; sent back only where a vendor asks */
    struct slice thinking;     /* JSON array of signed thinking blocks, on an assistant message (Anthropic) */
};

/* Where a call comes from, for /metrics. */
enum llm_door { LLM_DOOR_RESP, LLM_DOOR_HTTP };

/* Whose call it is and how it is to be treated, for every kind of call. */
struct llm_caller {
    struct slice owner;  /* our user, whose limits and usage it counts against; empty: nobody's */
    struct slice sticky; /* the session's or end user's name: a sticky route sends equal ones to the same model */
    struct slice tag;    /* for LLM.CALLS: what it belongs to */
    int priority;        /* in the waiting queue: 0 (first) to LLM_PRIORITY_LAST; LLM_PRIORITY when in doubt */
    int timeout_ms;      /* for everything, waiting and retries included; 0: the model's, or the default */
    enum llm_door door;
    int64_t came_us; /* when its request came, monotonic, for /metrics; 0: the call's start */
    bool check;      /* to see whether a model is back: goes through an open breaker and uses keys that rest */
};
#define LLM_PRIORITY      4
#define LLM_PRIORITY_LAST 9

/* Use LLM_REQUEST as the start of every request: it says "not given" for the numbers. */
struct llm_request {
    struct slice model;  /* a model's or a route's name; empty: the default chat model */
    struct slice system; /* goes before the messages */
    const struct llm_message *messages;
    int nmessages;
    double temperature, top_p, frequency_penalty, presence_penalty; /* NaN: not given */
    int64_t max_tokens;                                             /* 0: not given */
    const struct slice *stop;
    int nstop;
    bool has_seed;
    int64_t seed;
    bool json;                /* the answer shall be JSON */
    struct slice schema;      /* and follow this JSON schema */
    struct slice schema_name; /* empty: "answer" */
    bool schema_strict;
    struct slice tools;       /* JSON array of tools, as OpenAI writes them */
    struct slice tool_choice; /* JSON: "auto", "none", "required" (with their quotes) or an object */
    int parallel_tools;       /* -1: not given; 0: one tool call at a time; 1 */
    struct slice effort;      /* none minimal low medium high xhigh max: how long to think */
    int64_t think_tokens;     /* at most so many tokens of thinking; 0: not given */
    struct slice end_user;    /* the vendor's `user` field: for their abuse checks */
    struct slice params;      /* JSON object: further fields of the body, stronger than the model's PARAMS */
    bool stream;              /* text comes by delta() too, as it is made */
    struct llm_caller caller;
};
#define LLM_REQUEST                                                                                                    \
    ((struct llm_request){.temperature = __builtin_nan(""),                                                            \
                          .top_p = __builtin_nan(""),                                                                  \
                          .frequency_penalty = __builtin_nan(""),                                                      \
                          .presence_penalty = __builtin_nan(""),                                                       \
                          .parallel_tools = -1,                                                                        \
                          .caller.priority = LLM_PRIORITY})

/* What every call tells at its end, whether it succeeded or not. */
struct llm_facts {
    struct slice model;       /* name in the registry of the model that answered, or that was tried last */
    struct slice route;       /* the route that chose it; empty: none */
    struct slice model_id;    /* what the provider says it was */
    struct slice request_id;  /* the provider's, for asking them about it */
    struct slice notes;       /* JSON array: what of the request was mapped or dropped; empty: nothing was */
    int64_t tokens_in;        /* all of the input, cached tokens among them */
    int64_t tokens_out;       /* all of the output, reasoning among it */
    int64_t tokens_cached;    /* of tokens_in: read from the vendor's cache */
    int64_t tokens_reasoning; /* of tokens_out */
    bool estimated;           /* the provider did not count: tokens are our estimate */
    int64_t cost;             /* 1e-12 of the price's currency; -1: the model has no PRICE */
    int64_t us_total;
    int64_t us_first;  /* to the first piece (or the whole, when not streamed) */
    int64_t us_vendor; /* of us_total: with a vendor, from each attempt's start to its end */
    int attempts;
    bool fallback;          /* the route's FALLBACK text, no model's answer */
    bool replayed;          /* given again for an idempotency token: nothing was called */
    enum llm_class failure; /* LLM_FINE unless the call failed at a vendor */
    bool timed_out;         /* of such a failure: its time was over */
    int64_t retry_after_ms; /* on a failure: when to ask again; -1: not known */
};

struct llm_reply {
    struct llm_facts facts;
    struct slice text;       /* of a failed call: what had come of it */
    struct slice reasoning;  /* what a thinking model said to itself; not part of the text */
    struct slice thinking;   /* JSON array of signed blocks, to be sent back in tool turns (Anthropic) */
    struct slice tool_calls; /* JSON array as OpenAI writes it; empty when none */
    struct slice finish;     /* stop, length, tool_calls, content_filter */
};

enum llm_delta_kind {
    LLM_DELTA_TEXT,
    LLM_DELTA_REASONING,
    LLM_DELTA_TOOL,
    LLM_DELTA_BLOCK, /* text: a signed thinking block as JSON, whole, after the reasoning that is in it (Anthropic) */
};

/* A piece of an answer as it is made. */
struct llm_delta {
    enum llm_delta_kind kind;
    struct slice text;               /* of the answer, the reasoning, or a tool call's arguments */
    int tool;                        /* which call, from 0 */
    struct slice tool_id, tool_name; /* in the first delta of a tool call; empty in the others */
};

struct llm_chat_events {
    void (*delta)(void *arg, const struct llm_delta *d); /* only for streams; NULL allowed */
    /* The last word: the call is gone when it returns. err NULL: the reply is whole. Else reply holds what had come. */
    void (*done)(void *arg, const struct llm_reply *reply, const struct err *err);
};

struct llm_embed_request {
    struct slice model; /* empty: the default embedding model */
    const struct slice *texts;
    int ntexts; /* 1 to LLM_EMBED_MAX */
    int dim;    /* 0: the model's own */
    struct llm_caller caller;
};
#define LLM_EMBED_MAX 2048

struct llm_vectors {
    struct llm_facts facts;
    const float *v; /* count rows of dim; NULL on an error */
    int count, dim;
};
typedef void llm_embed_done(void *arg, const struct llm_vectors *v, const struct err *err);

struct llm_rerank_request {
    struct slice model; /* no default: empty is an error */
    struct slice query;
    const struct slice *docs;
    int ndocs; /* 1 to LLM_RERANK_MAX */
    int count; /* best so many; 0: all */
    struct llm_caller caller;
};
#define LLM_RERANK_MAX 4096

struct llm_rank {
    int doc;      /* index into docs */
    double score; /* the vendor's, usually 0 to 1 */
};

struct llm_ranks {
    struct llm_facts facts;
    const struct llm_rank *v; /* best first */
    int n;
};
typedef void llm_rerank_done(void *arg, const struct llm_ranks *ranks, const struct err *err);

struct llm_speech_request {
    struct slice model, text;
    struct slice voice, format; /* mp3 opus aac flac wav pcm */
    struct slice instructions;
    double speed; /* NaN: not given */
    struct llm_caller caller;
};

struct llm_transcribe_request {
    struct slice model;
    struct slice audio;    /* the file's bytes */
    struct slice filename; /* tells the vendor the format; empty: audio.wav */
    struct slice language, prompt;
    struct slice format; /* json text srt verbose_json vtt */
    double temperature;  /* NaN: not given */
    struct llm_caller caller;
};

/* Speech: the audio. Transcription: the vendor's body in the format that was asked for, and text when that is JSON. */
struct llm_media {
    struct llm_facts facts;
    struct slice body, type; /* type: its media type */
    struct slice text;
};
typedef void llm_media_done(void *arg, const struct llm_media *m, const struct err *err);

#endif
