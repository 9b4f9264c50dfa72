/* What the wire forms of the doors have in common: bodies that clients send become requests, replies and deltas become
 * the JSON that those clients expect. wire_openai.h and wire_anthropic.h have the forms. All of it is pure.
 *
 * A body that was read owns everything its request borrows; release it after llm_*_start, which copies. On an error
 * `param` names the field that is at fault ("messages[2].content"), empty when it is the body as a whole, and release
 * is still due (harmless after it).
 *
 * Thread: any. */
#ifndef LLM_WIRE_H
#define LLM_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "llm/chat.h"

#define WIRE_BODY_MAX     (32u << 20)
#define WIRE_MESSAGES_MAX 100000
#define WIRE_PARAM_MAX    96

struct wire_body {
    cJSON *root;
    char **texts; /* JSON that was written anew for the request */
    int ntexts;
    char param[WIRE_PARAM_MAX];
};

struct wire_chat {
    struct llm_request q;
    struct wire_body body;
    struct llm_message *messages;
    struct slice *stop;
    bool include_usage; /* OpenAI's stream_options.include_usage */
};

struct wire_embed {
    struct llm_embed_request q;
    struct wire_body body;
    struct slice *texts;
    bool base64; /* the vectors are to be written so */
};

struct wire_rerank {
    struct llm_rerank_request q;
    struct wire_body body;
    struct slice *docs;
    bool with_documents; /* return_documents */
};

struct wire_speech {
    struct llm_speech_request q;
    struct wire_body body;
};

void wire_chat_release(struct wire_chat *w);
void wire_embed_release(struct wire_embed *w);
void wire_rerank_release(struct wire_rerank *w);
void wire_speech_release(struct wire_speech *w);

/* What an answer is called outside. Borrowed. */
struct wire_head {
    struct slice id;    /* of the call, as the client sees it */
    struct slice model; /* the name the client asked for, or the model that answers */
    int64_t created;    /* unix seconds */
};

/* One event of a streamed answer: its type (empty: the form has none) and its JSON. Borrowed until it returns. */
typedef void wire_emit_fn(void *arg, struct slice type, struct slice json);

/* ---- for the wire forms themselves ---- */

/* Keeps the name of the field at fault and returns err_set(...) of "<field> <what>". */
int wire_wrong(struct wire_body *b, struct err *err, const char *field, const char *what);
/* Prints v; the text lives as long as the body. */
struct slice wire_print(struct wire_body *b, const cJSON *v);
void wire_body_release(struct wire_body *b);

#endif
