#include "base/clock.h"

#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

struct clock_sampled clock_sampled;

void clock_sample_wall(void)
{
    clock_sampled.mono_us = clock_mono_us();
    clock_sampled.wall_less_us = clock_wall_us() - clock_sampled.mono_us;
}

int64_t clock_sample(void)
{
    if (!clock_sampled.mono_us)
        clock_sample_wall();
    else
        clock_sampled.mono_us = clock_mono_us();
    return clock_sampled.mono_us;
}
