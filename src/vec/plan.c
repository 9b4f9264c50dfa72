/* The sample is drawn from node numbers by a fixed sequence, so that a search that is repeated goes the same way. */
#include "vec/plan.h"

#define SAMPLE     256
#define SAMPLE_MAX 400 /* numbers looked at, dead ones included */

/* Nanoseconds, measured on SIFT (128 bytes a code) with everything in memory. */
#define DISTANCE   40.0  /* and 1 for each 8 bytes of the code */
#define ROW        120.0 /* the links of a node that is not in the cache */
#define FRESH_PART 0.45  /* of a node's neighbours, how many nobody has visited */

/* What judging one node costs: somewhere in memory, and in a scan. */
static double test_cost(const struct matcher *m, bool in_order)
{
    if (m->terms.n)
        return in_order ? 1.5 : 25;
    return m->n ? 60 : 250;
}

/* Every number once, in an order that looks like chance (Weyl's sequence). */
static uint32_t pick(uint32_t i, uint32_t top)
{
    uint64_t x = (uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return 1 + (uint32_t)((x >> 32) * (top - 1) >> 32);
}

static double sample(const struct matcher *m, struct buf *scratch)
{
    uint32_t top = vec_top(m->v), alive = 0, match = 0;
    for (uint32_t i = 0; i < SAMPLE_MAX && alive < SAMPLE; i++) {
        uint32_t n = pick(i, top);
        if (!vec_alive(m->v, n))
            continue;
        alive++;
        match += matcher_test(m, n, scratch);
    }
    return alive ? (double)match / alive : 0;
}

struct plan plan_make(const struct matcher *m, uint32_t ef, struct buf *scratch)
{
    const struct vec_index *v = m->v;
    struct plan plan = {.share = sample(m, scratch)};
    double n = (double)atomic_load_explicit(&v->count, memory_order_relaxed);
    double share = plan.share > 0.5 / SAMPLE ? plan.share : 0.5 / SAMPLE;
    double distance = DISTANCE + v->code_bytes / 8.0, fresh = v->m0 * FRESH_PART, test = test_cost(m, false);
    double scan = vec_top(v) * test_cost(m, true) + n * share * distance;
    double walk = ef / share * (ROW + fresh * (distance + test));
    double hop = ef * (ROW + fresh * (ROW + distance + test + v->m0 * test));
    plan.way = scan <= walk && scan <= hop ? PLAN_SCAN : walk <= hop ? PLAN_WALK : PLAN_HOP;
    return plan;
}
