/* Server-Sent Events: an incremental parser of the text/event-stream format of the WHATWG HTML standard.
 *
 * Pure: bytes in, events out by callback, no I/O. Bytes may be cut anywhere. Lines end with LF, CR or CRLF; comment
 * lines are skipped; several data lines of one event are joined with LF. One event (and one line) may have at most
 * max_event bytes: more is an error, after which the parser refuses everything.
 *
 * Embedded by value. Thread: any; a parser belongs to one thread. */
#ifndef NET_SSE_H
#define NET_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct sse_event {
    struct slice type; /* empty means "message" */
    struct slice data;
    struct slice id; /* the last id seen so far */
};

struct sse {
    struct buf line, data, type, id;
    int64_t retry_ms; /* the last `retry` field; -1 before one came */
    bool has_data;    /* the event has a data field, which may be empty */
    bool after_cr;    /* a LF that comes first belongs to the CR before it */
    bool past_bom;
    bool failed;
};

void sse_init(struct sse *s, size_t max_event);
void sse_release(struct sse *s);

/* Calls on_event for every event that `bytes` completes; the slices live until it returns. When on_event returns other
 * than 0, parsing stops and that value is returned. Returns 0 or ERR_UPSTREAM with a sentence. */
typedef int sse_event_fn(void *arg, const struct sse_event *e);
int sse_feed(struct sse *s, struct slice bytes, sse_event_fn *on_event, void *arg, struct err *err);

/* The stream has ended. The standard drops an event that no blank line has closed; model providers do send such a last
 * event, so it is delivered here. Whoever wants the standard's behaviour does not call this. */
int sse_finish(struct sse *s, sse_event_fn *on_event, void *arg, struct err *err);

#endif
