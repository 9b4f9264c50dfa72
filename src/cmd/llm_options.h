/* The options that LLM.CHAT and LLM.ASK share, parsed into a request. Thread: loop. */
#ifndef CMD_LLM_OPTIONS_H
#define CMD_LLM_OPTIONS_H

#include "cmd/call.h"
#include "llm/chat.h"

#define LLM_STOPS_MAX 16

struct llm_options {
    struct llm_request q; /* model, system, numbers, stop, schema, timeout; slices borrowed from the arguments */
    struct slice stops[LLM_STOPS_MAX];
    bool has_system, stream, async, meta;
};

/* argv from `first` on. False: the error is replied. q.stop points into o, so o must not move afterwards. */
bool llm_options_parse(struct call *c, int first, struct llm_options *o);

#define LLM_OPTIONS_SYNTAX                                                                                             \
    "[MODEL name] [SYSTEM prompt] [TEMPERATURE temperature] [TOP-P float] [MAX-TOKENS count] [STOP text]... [SEED n] " \
    "[JSON [schema]] [PARAMS json] [STREAM] [ASYNC] [TIMEOUT ms] [WITHMETA]"

#endif
