/* A circuit breaker: keeps calls away from a vendor that fails, and finds out with single calls whether it is back.
 *
 *              over half of the last minute's calls failed (at least `least` of them),
 *              or `in_row` failed one after the other
 *     CLOSED ────────────────────────────────────────────────► OPEN ──── pause is over ───► HALF-OPEN
 *       ▲                                                        ▲                              │ one call: the probe
 *       └──────────── the probe was answered ────────────────────┼──────────────────────────────┤
 *                                                                └── it failed: twice the pause ─┘
 *
 * Pure: the time is given (milliseconds, monotonic), chance comes from the caller's rng. Calls that began before the
 * breaker opened change nothing when they end afterwards. Thread: the owner's. */
#ifndef LLM_BREAKER_H
#define LLM_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

#define BREAKER_CELLS   12
#define BREAKER_CELL_MS 5000

struct breaker_rules {
    int64_t least, in_row;
    int64_t pause_ms, pause_max_ms; /* of the first opening, of the longest; each is jittered by 20 % */
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker { /* zeroes are a closed one */
    bool open;
    bool probing;     /* the probe is under way */
    unsigned epoch;   /* how often it opened or closed */
    int64_t until_ms; /* while open: no call before */
    int64_t pause_ms; /* of the present opening, before jitter */
    int64_t row;      /* failures one after the other */
    struct breaker_cell {
        int64_t slot; /* which five seconds: time / BREAKER_CELL_MS */
        int64_t calls, failures;
    } cells[BREAKER_CELLS];
};

/* What a call that was let in remembers of it. */
struct breaker_pass {
    unsigned epoch;
    bool probe;
};

enum breaker_end {
    BREAKER_ANSWERED, /* the vendor works, whatever it said */
    BREAKER_FAILED,
    BREAKER_NOTHING, /* the call says nothing about the vendor: cancelled, never sent, a key refused, too many requests
                      */
};

enum breaker_state breaker_state(const struct breaker *b, int64_t now_ms);
/* Milliseconds until a call may be let in; 0: now; -1: when the probe that is under way has ended. */
int64_t breaker_wait(const struct breaker *b, int64_t now_ms);
/* False: not now. `force` lets a call in as a probe before its time, but never two. */
bool breaker_enter(struct breaker *b, int64_t now_ms, bool force, struct breaker_pass *pass);
/* Exactly once for each that was let in. */
void breaker_leave(struct breaker *b, const struct breaker_rules *rules, struct breaker_pass pass, enum breaker_end end,
                   int64_t now_ms, struct rng *rng);
void breaker_minute(const struct breaker *b, int64_t now_ms, int64_t *calls, int64_t *failures);

#endif
