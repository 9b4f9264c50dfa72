/* How a filtered search goes about it. Three ways, chosen by how many elements match, which a sample tells:
 *
 *   PLAN_WALK   many do: walk the graph as ever and keep those that match
 *   PLAN_HOP    some do: walk through the matching ones, stepping over what lies between (hnsw_filtered.c)
 *   PLAN_SCAN   few do: find all that match in the columns, compare with each
 *
 * Costs are in nanoseconds and rough; they were fitted to SIFT (README.md has the figures). Thread: any, inside
 * epoch_begin/end. */
#ifndef VEC_PLAN_H
#define VEC_PLAN_H

#include "vec/matcher.h"
#include "vec/searcher.h"

enum plan_way { PLAN_WALK, PLAN_HOP, PLAN_SCAN };

struct plan {
    enum plan_way way;
    double share; /* of the elements that match, estimated; 0: none of the sample did */
};

/* ef: how many matches a walk would keep. The same index and filter give the same plan every time. */
struct plan plan_make(const struct matcher *m, uint32_t ef, struct buf *scratch);

#endif
