/* A sliding minute: how much was taken in the last 60 seconds, in buckets of a second.
 *
 * What is taken at some second counts until that second is 60 seconds ago. What was taken as an estimate can be put
 * right later, at the second at which it was taken.
 *
 * `now_s` is the wall clock's. A clock that is set back by less than a minute stands still for the window; set back
 * further, the window begins anew. Embedded by value; {0} is an empty one. Thread: the owner's. */
#ifndef LLM_WINDOW_H
#define LLM_WINDOW_H

#include <stdint.h>

#define WINDOW_S 60

struct window {
    int64_t last_s; /* the latest second in it */
    int64_t sum;
    int64_t bucket[WINDOW_S]; /* by second modulo WINDOW_S */
};

int64_t window_sum(struct window *w, int64_t now_s);
/* Returns the second under which it was booked, for window_correct. */
int64_t window_take(struct window *w, int64_t now_s, int64_t n);
/* delta may be negative. Nothing happens when that second is no longer in the window, and no second goes below 0 (its
 * bookings may be gone because the clock was set). */
void window_correct(struct window *w, int64_t now_s, int64_t taken_s, int64_t delta);
/* Seconds until the sum is at most `most`: 0 when it is now. */
int64_t window_wait_s(struct window *w, int64_t now_s, int64_t most);

#endif
