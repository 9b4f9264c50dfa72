/* A filter laid over one index: does this node match? Answers as filter_match does on the node's attributes, through
 * columns where they can say it.
 *
 * Thread: any, between epoch_begin and epoch_end. */
#ifndef VEC_MATCHER_H
#define VEC_MATCHER_H

#include "vec/columns.h"
#include "vec/filter.h"
#include "vec/index.h"
#include "vec/terms.h"

struct matcher {
    const struct vec_index *v;
    const struct filter *filter;
    uint32_t n; /* fields that the filter names; 0: ask the text always */
    bool numeric;
    struct terms terms;
    struct column *col[FILTER_MAX_FIELDS];
};

/* Finds or makes the columns, unless the index is so small that the texts are read as fast. */
void matcher_init(struct matcher *m, const struct vec_index *v, const struct filter *f);
/* Of 64 nodes from a multiple of 64 on, a bit for each that the words there are do not rule out. Any numbers, given out
 * or not, alive or not; fills nothing. */
static inline uint64_t matcher_block(const struct matcher *m, uint32_t first)
{
    return m->terms.n ? terms_block(&m->terms, first) : UINT64_MAX;
}
/* The node was seen alive, or linked to, since epoch_begin. False also for damaged attributes. */
bool matcher_test(const struct matcher *m, uint32_t node, struct buf *scratch);

#endif
