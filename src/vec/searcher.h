/* What one search needs besides the index: visited marks, the two queues of the walk, a place for the normalised query.
 * One per thread, kept for the thread's life, so that a search allocates nothing but its result. */
#ifndef VEC_SEARCHER_H
#define VEC_SEARCHER_H

#include <string.h>

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
void queue_append(struct queue *q, struct cand c); /* a list, no heap */
void queue_sort(struct queue *q);                  /* ends being a heap: a[0..n) nearest first */

/* The list of a walk, nearest first: a distance, a node and whether it has been walked, in one number each that sorts
 * as they do. */
struct pool {
    uint64_t *a;
    uint32_t n, cap;
};
#define POOL_WALKED 1u

static inline uint64_t pool_key(struct cand c)
{
    uint32_t bits;
    memcpy(&bits, &c.d, sizeof bits);
    bits ^= bits >> 31 ? UINT32_MAX : 0x80000000u; /* floats in their order as unsigned numbers */
    return (uint64_t)bits << 32 | (uint64_t)c.node << 1;
}
static inline struct cand pool_cand(uint64_t key)
{
    struct cand c = {.node = (uint32_t)key >> 1};
    uint32_t bits = (uint32_t)(key >> 32);
    bits ^= bits >> 31 ? 0x80000000u : UINT32_MAX;
    memcpy(&c.d, &bits, sizeof bits);
    return c;
}

void pool_clear(struct pool *p, uint32_t most); /* room for `most` */
/* Into a pool of at most `most`; the last goes when it is full (key must then be smaller). Returns where it is now. */
static inline uint32_t pool_add(struct pool *p, uint64_t key, uint32_t most)
{
    const uint64_t *at = p->a;
    for (uint32_t n = p->n; n > 0;) { /* no branch to guess wrong */
        uint32_t half = n / 2;
        at += at[half] < key ? n - half : 0;
        n = half;
    }
    uint32_t i = (uint32_t)(at - p->a);
    p->n += p->n < most;
    memmove(p->a + i + 1, p->a + i, (p->n - 1 - i) * sizeof *p->a);
    p->a[i] = key;
    return i;
}

struct searcher {
    uint64_t *marks; /* a bit per node */
    uint32_t marks_cap;
    uint32_t *touched; /* the words of marks that are not zero */
    uint32_t touched_n;
    struct queue open, best;
    struct pool pool;
    void *query;
    size_t query_cap;
    struct buf text; /* unescaped attribute texts */
    void *rest;      /* copies of AREA_REST */
    size_t rest_cap;
    bool cold;  /* the index was opened a short while ago: pages are asked for before they are touched */
    int failed; /* 0, or why the file could not be read */
    uint64_t distances;
};

/* The calling thread's, ready for nodes below top. any */
struct searcher *searcher_get(uint32_t top);
void *searcher_query(struct searcher *s, size_t bytes); /* room for a probe */
void *searcher_rest(struct searcher *s, size_t bytes);  /* room for copies of AREA_REST */
void searcher_forget(struct searcher *s);               /* clears the marks, at the cost of what was marked */

static inline bool searcher_marked(const struct searcher *s, uint32_t node)
{
    return s->marks[node / 64] >> (node % 64) & 1;
}
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
