/* Latency events: things that kept the loop longer than latency-monitor-threshold, as LATENCY shows them. An event is named
 * when it first happens; of each the last 160 are kept, one a second (the longest). Thread: loop. */
#ifndef BASE_LATENCY_H
#define BASE_LATENCY_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define LATENCY_SAMPLES 160

struct latency_sample {
    int64_t when; /* seconds since 1970; 0: none */
    int64_t ms;
};
struct latency_event {
    const char *name;
    struct latency_sample sample[LATENCY_SAMPLES]; /* a ring; next is the oldest */
    int next;
    int64_t longest; /* of all times since a reset */
};

extern int64_t latency_threshold_ms; /* 0: nothing is kept */

void latency_settings(void);
void latency_record(const char *name, int64_t ms); /* name is kept, not copied */
/* What a moment of the loop has cost; free when nothing is watched or it was short. */
static inline void latency_note(const char *name, int64_t us)
{
    if (__builtin_expect(latency_threshold_ms != 0, 0) && us / 1000 >= latency_threshold_ms)
        latency_record(name, us / 1000);
}

size_t latency_events(const struct latency_event **first); /* an array of so many */
const struct latency_event *latency_find(struct slice name); /* NULL: never happened */
/* Oldest first: for (i = 0; i < LATENCY_SAMPLES; i++) if ((s = latency_sample(e, i))->when) ... */
const struct latency_sample *latency_sample(const struct latency_event *e, int i);
bool latency_reset(struct slice name); /* false: never happened */

#endif
