/* Templates: text with places that variables fill, and JSON whose strings are such texts.
 *
 *   {{node.field}}  {{input.question}}  {{find.passages.0.text}}  {{input.name | json}}  {{a.b | default: nobody}}
 *
 * A path is up to 10 words of letters, digits, _ and - joined by dots; a word of digits indexes a list. A missing value
 * is empty. Strings go in as they are, everything else as JSON. Filters: json (quoted for a JSON text), url
 * (percent-encoded), trim, upper, lower (ASCII), length, default: text. `\{{` is a plain `{{`. Nothing that a value
 * holds is looked at again, so text from outside cannot name variables.
 *
 * All pure. Thread: any. */
#ifndef FLOW_TEMPLATE_H
#define FLOW_TEMPLATE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

#define TEMPLATE_WORDS     10
#define TEMPLATE_INDEX_MAX 10000 /* a list is walked: an index beyond is missing */

enum template_filter {
    FILTER_NONE,
    FILTER_JSON,
    FILTER_URL,
    FILTER_TRIM,
    FILTER_UPPER,
    FILTER_LOWER,
    FILTER_LENGTH,
    FILTER_DEFAULT,
};

struct template_part {
    bool is_ref;
    struct slice text; /* literal text, or the path */
    enum template_filter filter;
    struct slice filter_arg;
};

/* The part at *at, which moves behind it: 1, 0 at the end, ERR_INVALID for a place that is none. Slices point into
 * text. */
int template_next(struct slice text, size_t *at, struct template_part *part, struct err *err);

/* Calls ref (NULL allowed) for each path in the text; ERR_INVALID when it does not parse. */
int template_refs(struct slice text, void (*ref)(void *arg, struct slice path), void *arg, struct err *err);
int template_refs_json(const cJSON *v, void (*ref)(void *arg, struct slice path), void *arg, struct err *err);
bool template_path_valid(struct slice path);

/* The value at a path below scope; NULL when there is none. Borrowed. */
const cJSON *template_find(const cJSON *scope, struct slice path);

/* Appends one part's text. */
void template_put(const struct template_part *part, const cJSON *scope, struct buf *out);
/* Appends the expanded text; out->max bounds it (ERR_INVALID when it is over). */
int template_expand(struct slice text, const cJSON *scope, struct buf *out, struct err *err);

/* A copy of v with its strings expanded; a string that is one place and nothing else becomes the value itself, with its
 * type (null when missing). max bounds the bytes of all. *out is the caller's. */
int template_expand_json(const cJSON *v, const cJSON *scope, size_t max, cJSON **out, struct err *err);

#endif
