/* Active defragmentation: when pages hold much less than they could (values of many sizes came and went), values are
 * moved to fuller pages, a little at a time between commands, until the empty ones can go back to the system.
 *
 * Off unless `activedefrag` says yes, as in Redis, whose settings these are. Own types (vector sets, sessions,
 * knowledge bases) stay where they are. Thread: loop. */
#ifndef STORE_DEFRAG_H
#define STORE_DEFRAG_H

#include <stdbool.h>
#include <stdint.h>

#include "store/db.h"

void defrag_settings(void);

/* Whether there is something to do: a round is under way, or so much is wasted that one begins. `look`: the allocator
 * may be asked, which takes some microseconds: not every few milliseconds, please. */
bool defrag_wanted(struct store *s, bool look);
/* A part of a round, of the share of `period_us` that the settings give; called so often while it is wanted. */
void defrag_step(struct store *s, int64_t period_us);
void defrag_everything(struct store *s); /* DEBUG: moves all that can move, at once */

extern struct defrag_stats {
    uint64_t rounds, key_hits, key_misses; /* keys of which something moved, or nothing */
    int64_t percent;                       /* of time, in the present round; 0: none */
    int64_t total_us, since_us;            /* since_us: when the present round began */
} defrag_stats;

#endif
