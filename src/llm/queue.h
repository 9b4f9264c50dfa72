/* The waiting queue: calls that could start but for a limit (concurrency, requests or tokens per minute, a key that the
 * vendor wants to rest).
 *
 * Lower priority numbers go first. Within a priority the lanes take turns, a lane being one owner's calls for one model
 * or route, so that nobody's thousand calls make somebody else's one wait behind them. Within a lane the oldest goes
 * first, and none overtakes it. Knows nothing of calls but their seats. Thread: loop. */
#ifndef LLM_QUEUE_H
#define LLM_QUEUE_H

#include "base/dict.h"
#include "base/list.h"
#include "llm/chat.h"

struct queue_lane;

struct queue_seat { /* embedded in the call; zeroes: not in the queue */
    struct list link;
    struct queue_lane *lane;
};

struct queue {
    struct list lanes[LLM_PRIORITY_LAST + 1];
    struct dict by_key;
    int count;
    unsigned pump;
};

void queue_init(struct queue *q);
void queue_release(struct queue *q); /* must be empty */
void queue_join(struct queue *q, struct queue_seat *s, int priority, struct slice owner, struct slice target);
void queue_leave(struct queue *q, struct queue_seat *s);                        /* harmless when not in it */
bool queue_waits_for(const struct queue *q, struct slice target, int priority); /* is anybody, of at least this rank? */

/* Asks the first of each lane, in order, whether it can start: true means that it has left the queue (and the lane's
 * next is asked in its turn), false that it stays. `ask` may do anything to the queue but leave with another's seat. */
void queue_pump(struct queue *q, bool (*ask)(void *arg, struct queue_seat *s), void *arg);

#endif
