/* The forms that a chat's answer can have, OpenAI's and Anthropic's, as two rows of functions. Thread: loop. */
#ifndef API_CHAT_FORM_H
#define API_CHAT_FORM_H

#include "api/door.h"
#include "llm/wire_anthropic.h"
#include "llm/wire_openai.h"

union chat_out { /* a stream being written */
    struct wire_openai_stream openai;
    struct wire_anthropic_stream anthropic;
};

struct chat_form {
    const char *path, *metric;
    const char *prefix; /* of an answer's id */
    enum door_form errors;
    struct slice last; /* what ends a good stream */
    int (*parse)(cJSON *root, struct wire_chat *to, struct err *err);
    void (*reply)(const struct wire_head *h, const struct llm_reply *r, struct buf *to);
    void (*begin)(union chat_out *o, const struct wire_head *h, bool include_usage, int64_t tokens_in,
                  wire_emit_fn *emit, void *arg);
    void (*delta)(union chat_out *o, const struct llm_delta *d);
    void (*end)(union chat_out *o, const struct llm_reply *r);
    void (*release)(union chat_out *o);
};
extern const struct chat_form chat_openai, chat_anthropic;
#define CHAT_ID_MAX (sizeof "chatcmpl-" + ID_LEN)

#endif
