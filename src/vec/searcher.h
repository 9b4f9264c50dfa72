/* What one search needs besides the index: visited marks, the two queues of the walk, a place for the normalised query.
 * One per thread, kept for the thread's life, so that a search allocates nothing but its result. */
#ifndef VEC_SEARCHER_H
#define VEC_SEARCHER_H

#include "base/buf.h"
#include "vec/index.h"

struct cand {
    float d;
    uint32_t node;
};

/* A binary heap. `far_first` ones (results) have the worst on top, the others (to be walked) the nearest. Ties go by
 * node number, so that a search gives the same answer every time. */
struct queue {
    struct cand *a;
    uint32_t n, cap;
    bool far_first;
};

static inline bool cand_before(struct cand x, struct cand y)
{
    return x.d < y.d || (x.d == y.d && x.node < y.node);
}

void queue_push(struct queue *q, struct cand c);
struct cand queue_pop(struct queue *q);
/* Pushes into a far_first queue of at most `most`; when full, c replaces the worst or is dropped. */
void queue_keep(struct queue *q, struct cand c, uint32_t most);
void queue_sort(struct queue *q); /* ends being a heap: a[0..n) nearest first */

struct searcher {
    uint64_t *marks; /* a bit per node */
    uint32_t marks_cap;
    uint32_t *touched; /* the words of marks that are not zero */
    uint32_t touched_n;
    struct queue open, best;
    float *query;
    uint32_t query_cap;
    struct buf text; /* unescaped attribute texts */
    uint64_t distances;
};

/* The calling thread's, ready for nodes below top. any */
struct searcher *searcher_get(uint32_t top);
float *searcher_query(struct searcher *s, uint32_t dim); /* room for dim floats */
void searcher_forget(struct searcher *s);                /* clears the marks, at the cost of what was marked */

/* True the first time. */
static inline bool searcher_mark(struct searcher *s, uint32_t node)
{
    uint64_t *w = &s->marks[node / 64], bit = UINT64_C(1) << (node % 64);
    if (*w & bit)
        return false;
    if (!*w)
        s->touched[s->touched_n++] = node / 64;
    *w |= bit;
    return true;
}

#endif
