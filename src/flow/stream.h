/* The answer of a run as a stream: which text may leave now.
 *
 * A flow may have several answer nodes, and a template of one may name several llm nodes that run at the same time. One
 * answer is sent at a time, its parts in the order of its template. An answer may begin before its node runs when it is
 * certain to run: a path of edges without conditions leads to it from the llm node that its text is waiting for.
 *
 * Thread: loop. */
#ifndef FLOW_STREAM_H
#define FLOW_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "flow/def.h"

struct flow_run;

struct answer_stream {
    struct buf text; /* all that has left */
    bool any;        /* an answer has begun */
    int active;      /* the answer node being sent; -1: none */
    size_t begun;    /* where its text begins in `text` */
    size_t at;       /* how far in its template */
    size_t within;   /* how many bytes of the variable there have left */
    uint8_t *sent;   /* by node: this answer is complete */
};

void stream_init(struct answer_stream *s, const struct flow *f);
void stream_release(struct answer_stream *s);
/* Moves on as far as it goes; the new text is appended to fresh too. */
void stream_pump(struct answer_stream *s, const struct flow_run *r, const struct flow *f, struct buf *fresh);

#endif
