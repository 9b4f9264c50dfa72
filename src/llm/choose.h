/* Which of a route's models a call goes to, and which it falls back on: an order. Pure. Thread: any. */
#ifndef LLM_CHOOSE_H
#define LLM_CHOOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/slice.h"

enum strategy {
    ROUTE_PRIORITY,   /* as they stand */
    ROUTE_WEIGHTED,   /* by chance, in proportion to the weights */
    ROUTE_CHEAPEST,   /* lowest price of a token in and a token out; unknown prices last */
    ROUTE_FASTEST,    /* lowest measured latency; those never measured first, so that they are */
    ROUTE_LEAST_BUSY, /* fewest calls under way for its weight */
    ROUTE_BEST,       /* highest quality */
};
#define STRATEGIES 6
#define CHOOSE_MAX 32

enum candidate_state { CANDIDATE_READY, CANDIDATE_BUSY, CANDIDATE_AWAY }; /* BUSY: may be waited for */

struct candidate {
    struct slice name;
    enum candidate_state state;
    int64_t weight; /* 0: only when no other is left */
    double quality;
    bool priced;
    int64_t price; /* of a token in and one out; money.h */
    double latency_ms;
    int in_flight;
};

/* Fills order[n] with indexes, best first: those that are ready before those that are busy before those that are away,
 * each in the strategy's order. With `sticky` text WEIGHTED, FASTEST and LEAST-BUSY send equal texts to the same model,
 * in proportion to the weights (rendezvous hashing: when a model joins or goes, only its share moves). */
void choose_order(enum strategy how, const struct candidate *c, int n, struct slice sticky, struct rng *rng,
                  int *order);

#endif
