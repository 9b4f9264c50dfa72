/* Filter expressions over the attributes of an element: Redis 8's grammar for vector sets, compiled once, run per
 * candidate.
 *
 *   expr  := or ;  or := and { ("or" | "||") and } ;  and := cmp { ("and" | "&&") cmp }
 *   cmp   := sum { (">" | ">=" | "<" | "<=" | "==" | "!=" | "in") sum }
 *   sum   := mul { ("+" | "-") mul } ;  mul := pow { ("*" | "/" | "%") pow } ;  pow := unary { "**" unary }
 *   unary := ("!" | "not") unary | primary
 *   primary := NUMBER | 'text' | "text" | "[" [ NUMBER | text { "," NUMBER | text } [ "," ] ] "]" | .field | null |
 * true | false | "(" expr ")"
 *
 * All operators but ** associate to the left. A field is a first-level member of the attribute object: [A-Za-z0-9_-]+.
 * true and false are 1 and 0, in attributes too. Two texts are compared as texts by == and !=; in every other pair a
 * text counts as the number it spells, or 0, and a list as 0; null equals null only. "in": member of a list, or text
 * within a text. A result is true unless it is 0, "" or null. A field that is missing or holds an object, attributes
 * that are not a JSON object, no attributes: the whole expression is false, never an error. Lists hold numbers and
 * texts.
 *
 * Thread: any. A compiled filter does not change, so many threads may run it. */
#ifndef VEC_FILTER_H
#define VEC_FILTER_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define FILTER_MAX_LEN    65536 /* bytes of an expression */
#define FILTER_MAX_DEPTH  64    /* nested brackets and negations */
#define FILTER_MAX_FIELDS 32    /* different fields */

struct filter;

/* Copies what it needs of expr. NULL with err: ERR_GENERIC, "syntax error in FILTER expression near: ..." */
struct filter *filter_create(struct slice expr, struct err *err);
void filter_destroy(struct filter *f);

/* scratch holds unescaped texts between calls; {0} at first, buf_release it in the end; one per thread. */
bool filter_match(const struct filter *f, struct slice attributes, struct buf *scratch);

#endif
