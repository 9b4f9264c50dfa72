/* The options that LLM.CHAT and LLM.ASK share, parsed into a request. Thread: loop. */
#ifndef CMD_LLM_OPTIONS_H
#define CMD_LLM_OPTIONS_H

#include "cmd/call.h"
#include "llm/chat.h"
#include "session/message.h"

#define LLM_STOPS_MAX  16
#define LLM_IMAGES_MAX 16

struct llm_options {
    struct llm_request q; /* all but the messages; slices borrowed from the arguments */
    struct slice stops[LLM_STOPS_MAX];
    struct slice images[LLM_IMAGES_MAX]; /* each a URL (http, https, data) or an image's bytes */
    int nimages;
    struct slice token; /* IDEMPOTENCY; p NULL: not given */
    struct buf choice;  /* TOOL-CHOICE as JSON */
    bool stream, async, meta;
};

/* argv from `first` on. False: the error is replied. q.stop points into o, so o must not move afterwards. release is
 * due in both cases. */
bool llm_options_parse(struct call *c, int first, struct llm_options *o);
void llm_options_release(struct llm_options *o);

/* The media type of an image's bytes ("image/png"); NULL when they are none that models look at. */
const char *llm_image_type(struct slice bytes);
/* A message of a session as a model is sent it; borrowed. */
struct llm_message llm_message_of(const struct session_msg *m);
/* A number of milliseconds from 1 to a day. False: the error is replied. */
bool llm_timeout_parse(struct call *c, struct slice v, struct llm_caller *to);
bool llm_token_parse(struct call *c, struct slice v, struct slice *to);
bool llm_priority_parse(struct call *c, struct slice v, struct llm_caller *to);

bool llm_count_parse(struct call *c, struct slice v, int max, int *to);
bool llm_number_parse(struct call *c, struct slice v, const char *what, double min, double max, double *to);

/* Options behind a list of texts, read from its end backwards: TIMEOUT and PRIORITY always, the others where `takes`
 * says so. A list whose last text looks like an option has to be given with an option behind it. */
enum llm_tail_takes { LLM_TAIL_META = 1, LLM_TAIL_SCORES = 2, LLM_TAIL_FORMAT = 4, LLM_TAIL_DIM = 8 };
struct llm_tail {
    unsigned takes;
    bool meta, scores;
    bool fp32; /* FORMAT */
    int dim;
};
/* argv[first..*last): *last moves to where the options begin. False: the error is replied. */
bool llm_tail_parse(struct call *c, int first, int *last, struct llm_tail *t, struct llm_caller *caller);

#define LLM_OPTIONS_SYNTAX                                                                                             \
    "[MODEL name] [SYSTEM prompt] [TEMPERATURE temperature] [TOP-P float] [MAX-TOKENS count] [STOP text]... [SEED n] " \
    "[JSON [schema]] [IMAGE image]... [TOOLS json] [TOOL-CHOICE choice] [EFFORT effort] [USER end-user] "              \
    "[PARAMS json] [STREAM] [ASYNC] [IDEMPOTENCY token] [PRIORITY n] [TIMEOUT ms] [WITHMETA]"

#endif
