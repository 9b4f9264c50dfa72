/* What SCAN, HSCAN and their like share: the cursor, the options, the shape of the reply.
 *
 *   struct scan s;
 *   if (!scan_begin(&s, c, 2, false)) return;        the error is replied; nothing is to be released
 *   do cursor = one step, scan_seen() per element; while (scan_more(&s, cursor));
 *   scan_end(&s, cursor);                            replies
 *
 * Thread: loop. */
#ifndef CMD_SCAN_H
#define CMD_SCAN_H

#include "cmd/call.h"

struct scan {
    struct call *call;
    int64_t count;
    bool has_type, all; /* all: no pattern, or one that matches everything */
    struct slice pattern, type;
    size_t sampled;  /* elements seen, matching or not: what COUNT bounds */
    int64_t steps;   /* left: many empty buckets must not make one call long */
    size_t replied;  /* elements of the reply's list */
    struct buf body; /* the list, as RESP */
    struct reply to; /* writes into body */
};

bool scan_cursor(struct call *c, int i, uint64_t *cursor); /* false: "invalid cursor" is replied */
/* The options from argv[from] on; TYPE only when `keyspace`. False: the error is replied. */
bool scan_begin(struct scan *s, struct call *c, int from, bool keyspace);
/* Counts an element; true when its name matches and the caller is to scan_emit it (and its value). */
bool scan_seen(struct scan *s, struct slice name);
void scan_emit(struct scan *s, struct slice bytes);
bool scan_more(struct scan *s, uint64_t cursor);
void scan_end(struct scan *s, uint64_t cursor);
void scan_reply_empty(struct call *c);

#endif
