/* Replies: RESP2 and RESP3 out of one set of calls. A reply writes into a buffer that belongs to the client (or to
 * whoever runs a command from inside); what RESP2 lacks is written in the form that Redis gives to RESP2 clients: maps
 * as flat arrays, doubles and big numbers as bulk strings, booleans as 0/1, pushes as arrays.
 *
 * Aggregates announce how many elements follow; when that is not known yet, reply_defer keeps the place and the count
 * is put in afterwards. Thread: loop. */
#ifndef NET_REPLY_H
#define NET_REPLY_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

extern void (*reply_on_error)(struct slice line); /* told of every error, its text without the dash; NULL: nobody is */

struct reply {
    struct buf *out;
    int resp;        /* 2 or 3 */
    unsigned errors; /* how many error replies were written, for statistics and EXEC */
};

void reply_ok(struct reply *r);
void reply_status(struct reply *r, const char *text); /* +text */
void reply_errorf(struct reply *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));              /* "ERR ..." with its class */
void reply_err(struct reply *r, const struct err *err); /* "<class> sentence" */
void reply_int(struct reply *r, int64_t v);
void reply_bulk(struct reply *r, struct slice s);
void reply_str(struct reply *r, const char *s); /* bulk */
void reply_bulkf(struct reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void reply_nil(struct reply *r);       /* $-1 or _ */
void reply_nil_array(struct reply *r); /* *-1 or _ */
void reply_double(struct reply *r, double v);
void reply_bool(struct reply *r, bool v);
void reply_bignum(struct reply *r, struct slice digits);
void reply_verbatim(struct reply *r, const char format[3], struct slice text);
void reply_array(struct reply *r, size_t n);
void reply_map(struct reply *r, size_t pairs);
void reply_set(struct reply *r, size_t n);
void reply_push(struct reply *r, size_t n);
void reply_raw(struct reply *r, struct slice resp); /* bytes that already are RESP of the right version */

/* A member of a map: its name, then its value. */
void reply_field_int(struct reply *r, const char *name, int64_t v);
void reply_field_bulk(struct reply *r, const char *name, struct slice v);
void reply_field_str(struct reply *r, const char *name, const char *v);

size_t reply_defer(struct reply *r); /* a place for a count, to be filled exactly once */
void reply_defer_array(struct reply *r, size_t place, size_t n);
void reply_defer_map(struct reply *r, size_t place, size_t pairs);
void reply_defer_set(struct reply *r, size_t place, size_t n);

#endif
