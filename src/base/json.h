/* JSON: cJSON with our limits and our errors. Use cJSON's own accessors on the result; these functions are the door.
 *
 * Text is refused when it is longer than max, nested deeper than 128, not valid UTF-8, or followed by anything but white
 * space. Thread: any; a tree belongs to whoever made it (cJSON_Delete). */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <cjson/cJSON.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define JSON_MAX_DEFAULT (16u << 20)

void json_boot(void); /* once, before any thread: makes cJSON allocate through base/mem */

/* `what` names the thing in the error: "flow definition: bad JSON near ...". Returns NULL with err set (ERR_INVALID). */
cJSON *json_parse(struct slice text, size_t max, const char *what, struct err *err);

/* Borrowed members with defaults; a member of another type counts as missing. */
const char *json_str(const cJSON *o, const char *name, const char *dflt);
double json_num(const cJSON *o, const char *name, double dflt);
int json_bool(const cJSON *o, const char *name, int dflt);

void json_print(struct buf *to, const cJSON *v);            /* compact text */
void json_quote(struct buf *to, struct slice text);         /* text as a JSON string; broken UTF-8 becomes U+FFFD */

#endif
