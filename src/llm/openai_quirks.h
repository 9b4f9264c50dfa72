/* How the vendors that speak OpenAI's API differ from it, as data: one const struct a row of providers, filled in
 * openai_rows.c and read by openai.c (requests) and openai_parse.c (replies). All zero is OpenAI's API as it is written
 * down. */
#ifndef LLM_OPENAI_QUIRKS_H
#define LLM_OPENAI_QUIRKS_H

#include <stdbool.h>

#include "llm/provider.h"

/* A parameter that the vendor calls by another name, or does not know. */
struct openai_param {
    const char *name;
    const char *as; /* NULL: dropped, with a note */
};

/* A vendor's error code, as text; one that ends with * stands for all that start so. */
struct openai_code {
    const char *code;
    enum llm_class class;
};

/* How long to think is said with */
enum openai_thinking {
    THINK_EFFORT,   /* reasoning_effort */
    THINK_TYPE,     /* thinking {type} */
    THINK_BOTH,     /* thinking {type} and reasoning_effort */
    THINK_ENABLE,   /* enable_thinking, thinking_budget */
    THINK_TEMPLATE, /* chat_template_kwargs {enable_thinking} */
    THINK_NONE,     /* not at all */
};

/* Does an assistant's reasoning go back to the vendor? */
enum openai_echo {
    ECHO_NEVER,
    ECHO_TOOL_TURNS, /* with messages that have tool calls, there even when it is empty */
    ECHO_ALWAYS,
};

/* Where a good status hides an error. */
enum openai_hidden {
    HIDDEN_NONE,
    HIDDEN_CODE,       /* a `code` other than 0 beside `message` (Spark) */
    HIDDEN_BASE_RESP,  /* base_resp {status_code, status_msg} (MiniMax) */
    HIDDEN_ERROR_CODE, /* error_code, error_msg (Qianfan) */
};

struct openai_quirks {
    const char *key_header;              /* NULL: Authorization: Bearer */
    const char *max_tokens;              /* NULL: max_tokens */
    const char *const *reasoning_models; /* id prefixes: max_completion_tokens, and sampling cannot be set */
    const struct openai_param *params;
    double temperature_max; /* 0: as it comes */
    bool temperature_above_0, top_p_open;
    bool choice_auto_only;
    bool no_schema, no_images;
    bool keeps_developer;     /* knows the role developer; else it becomes system */
    bool keeps_cache_control; /* knows cache_control on parts */
    bool no_stream_options;   /* sends usage unasked, and refuses to be asked */
    bool think_tags;          /* an answer may start with <think>...</think> */
    bool embed_base64;
    enum openai_thinking thinking;
    enum openai_echo echo;
    enum openai_hidden hidden;
    const struct openai_code *codes;
};

static inline const struct openai_quirks *openai_quirks_of(const struct llm_provider *p)
{
    return p->quirks;
}

/* LLM_FINE when the row does not know the code. */
enum llm_class openai_class_of_code(const struct openai_quirks *q, const char *code);

#endif
