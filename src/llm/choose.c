#include "llm/choose.h"

#include <assert.h>
#include <math.h>

#include "base/hash.h"

/* Weighted rendezvous hashing: -ln(u) / weight is exponentially distributed with rate weight, so the least of several
 * is i's with probability weight_i / sum. With u by chance the same formula draws without replacement. */
static double lot(double u, int64_t weight)
{
    return weight > 0 ? -log(u) / (double)weight : INFINITY;
}

static double unit(uint64_t h)
{
    return ((double)(h >> 11) + 0.5) / 9007199254740992.0;
}

/* hash_stable of two texts that differ in the end only differs well; the mix is splitmix64's. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static double score(enum strategy how, const struct candidate *c, int place, struct slice sticky, struct rng *rng)
{
    bool sticks = how == ROUTE_WEIGHTED || how == ROUTE_FASTEST || how == ROUTE_LEAST_BUSY;
    if (sticky.len && sticks)
        return lot(unit(mix(hash_stable(sticky.p, sticky.len, hash_stable(c->name.p, c->name.len, 1)))), c->weight);
    switch (how) {
    case ROUTE_PRIORITY: break;
    case ROUTE_WEIGHTED: return lot(unit(rng_next(rng)), c->weight);
    case ROUTE_CHEAPEST: return c->priced ? (double)c->price : INFINITY;
    case ROUTE_FASTEST: return c->latency_ms;
    case ROUTE_LEAST_BUSY: return c->weight > 0 ? (double)c->in_flight / (double)c->weight : INFINITY;
    case ROUTE_BEST: return -c->quality;
    }
    return place;
}

void choose_order(enum strategy how, const struct candidate *c, int n, struct slice sticky, struct rng *rng, int *order)
{
    double scores[CHOOSE_MAX];
    assert(n <= CHOOSE_MAX);
    for (int i = 0; i < n; i++) {
        scores[i] = score(how, &c[i], i, sticky, rng);
        int at = i; /* insertion keeps equals as they stand */
        for (; at > 0; at--) {
            int other = order[at - 1];
            bool before = c[i].state != c[other].state ? c[i].state < c[other].state : scores[i] < scores[other];
            if (!before)
                break;
            order[at] = other;
        }
        order[at] = i;
    }
}
