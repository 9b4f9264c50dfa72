/* Comparing with every element, or with every one that matches: exact, and for few elements or matches the fastest.
 *
 * Thread: any, inside epoch_begin/end. */
#ifndef VEC_SCAN_H
#define VEC_SCAN_H

#include "vec/code.h"
#include "vec/matcher.h"
#include "vec/searcher.h"

/* The q->k nearest, nearest first, in s->best. m NULL: everything matches. Ends early when the search is cancelled. */
void scan(const struct vec_index *v, struct searcher *s, const struct vec_query *q, const struct probe *p,
          const struct matcher *m);

static inline bool scan_cancelled(const struct vec_query *q)
{
    return q->cancel && atomic_load_explicit(q->cancel, memory_order_relaxed);
}

#endif
