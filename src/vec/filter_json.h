/* Reading a few first-level fields out of a JSON object without building a tree: one pass over the text, values found
 * are slices of it. Inside of filter.c; a header of its own because it is fuzzed and tested through filter_match only.
 * any */
#ifndef VEC_FILTER_JSON_H
#define VEC_FILTER_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

enum fvalue_kind { FV_NUM, FV_TEXT, FV_NULL, FV_LIST, FV_JSON_LIST };

struct fvalue {
    enum fvalue_kind kind;
    double num;
    struct slice text; /* TEXT: unescaped; JSON_LIST: the text between the brackets */
    const struct fvalue *list;
    uint32_t list_n;
};

/* All n fields into values. False: one is missing or is an object or a list with something nested, or the text is not a
 * JSON object up to the last field needed. Unescaped texts go to scratch, which has room for the whole text already. */
bool filter_json_fields(struct slice json, const struct slice *names, uint32_t n, struct fvalue *values,
                        struct buf *scratch);
/* The next item of a JSON_LIST; *at starts at 0. */
bool filter_json_item(struct slice list, size_t *at, struct fvalue *out, struct buf *scratch);

#endif
