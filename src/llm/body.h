/* A request's JSON body while it is written: an object whose members remember that they are there, so that what the
 * request says wins over its params, and those over the model's PARAMS.
 *
 * Embedded by value; {.to = ..., .notes = ...} starts it. Thread: any. */
#ifndef LLM_BODY_H
#define LLM_BODY_H

#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/buf.h"
#include "base/err.h"
#include "llm/model.h"

#define BODY_NAMES_MAX 64

struct body {
    struct buf *to, *notes;
    const char *names[BODY_NAMES_MAX];
    int n;
};

bool body_has(const struct body *b, const char *name);
void body_field(struct body *b, const char *name); /* the value is to be written next; the name is borrowed */
void body_text(struct body *b, const char *name, struct slice v);
void body_int(struct body *b, const char *name, int64_t v);
void body_real(struct body *b, const char *name, double v); /* NaN: nothing is written */
void body_raw(struct body *b, const char *name, struct slice json);
void body_texts(struct body *b, const char *name, const struct slice *v, int n); /* an array of strings */

/* The request's params and the model's, as objects or NULL. */
struct body_params {
    cJSON *mine, *models;
};
int body_params_read(struct body_params *p, struct slice params, const struct model *m, struct err *err);
void body_params_release(struct body_params *p);
/* Adds the members of o that are not there and that `skip` (NULL: none) does not name; a skipped one leaves a note.
 * stream and stream_options cannot be set this way. o must live as long as b. */
void body_members(struct body *b, const cJSON *o, const char *const *skip);
/* Both params, then the closing brace. skip is for the request's only: whoever set up a model knows its vendor. */
int body_end(struct body *b, struct slice params, const struct model *m, const char *const *skip, struct err *err);

/* Fields of OpenAI's API that no other vendor knows: they come with the bodies of its clients. */
extern const char *const body_openai_only[];

#endif
