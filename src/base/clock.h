/* Time. Monotonic for durations, wall for what people and keys see. Thread: any. */
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

#endif
