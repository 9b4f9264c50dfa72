/* Time. Monotonic for durations, wall for what people and keys see. Thread: any, but for the sampled clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_mono_us(void);
int64_t clock_wall_us(void); /* microseconds since 1970 */
static inline int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}
static inline int64_t clock_wall_ms(void)
{
    return clock_wall_us() / 1000;
}

/* The sampled clock: the time when the loop last looked. A command reads the clock once, when it ends, and that is when
 * the next one of its pipeline begins; whatever else wants to know the time on the way (an access clock, an expiry, when a
 * client was last heard of) takes the sample. The wall is the sample plus a difference that is taken afresh when a turn's
 * work begins, so a clock that is set is noticed then. Thread: loop. */
extern struct clock_sampled {
    int64_t mono_us;      /* 0: never looked */
    int64_t wall_less_us; /* wall minus monotonic */
} clock_sampled;

int64_t clock_sample(void);    /* looks; monotonic microseconds */
void clock_sample_wall(void);  /* looks at both clocks: when bytes have come, when a timer has fired */
static inline int64_t clock_sampled_us(void)
{
    return clock_sampled.mono_us ? clock_sampled.mono_us : clock_sample();
}
static inline int64_t clock_sampled_wall_ms(void)
{
    int64_t us = clock_sampled_us();
    return (us + clock_sampled.wall_less_us) / 1000;
}

#endif
