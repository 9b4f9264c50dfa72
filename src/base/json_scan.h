/* Reading JSON without making a tree: for texts that come thousands of times a second and of which two members matter.
 *
 * A scan walks over its text once, strictly. Whatever it does not take sets `no`, and from then on nothing is read:
 * what is broken, nested deeper than 16, has \u in a string or a backslash in a name, or is not what was asked for. The
 * reader then parses the text with json_parse, which knows it all and has the error; so what a scan accepts, json_parse
 * accepts too, and means the same by it. The text must be valid UTF-8, which is not looked at.
 *
 *     json_scan_init(&s, text);
 *     json_scan_open(&s, '{');
 *     while (json_scan_member(&s, &name))
 *         if (slice_eq(name, SLICE("text"))) text = json_scan_string(&s); else json_scan_skip(&s);
 *     if (json_scan_end(&s)) ... it is all there
 *
 * Thread: any. */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

struct json_scan {
    const char *p, *end;
    bool fresh; /* right behind a bracket that opened */
    bool no;
};

void json_scan_init(struct json_scan *s, struct slice text);
void json_scan_open(struct json_scan *s, char bracket); /* '{' or '[' comes now */
/* The next member; every value must be read or skipped. False at the end of the object, which is read over, and on no.
 */
bool json_scan_member(struct json_scan *s, struct slice *name);
bool json_scan_item(struct json_scan *s);           /* the same for arrays */
struct slice json_scan_string(struct json_scan *s); /* between its quotes, as it is written: see json_unescape */
bool json_scan_null(struct json_scan *s);           /* reads over a null, when one comes now */
void json_scan_skip(struct json_scan *s);           /* any value */
bool json_scan_end(struct json_scan *s);            /* nothing follows, and nothing was refused */

bool json_unescape(struct buf *to, struct slice raw); /* of json_scan_string; false: to is full */

/* Bytes from p on, of n, that stand for themselves in a string: no control characters, quotes and backslashes. ascii:
 * none above 0x7f either. */
size_t json_plain(const char *p, size_t n, bool ascii);

#endif
