#include "base/latency.h"

#include <string.h>

#include "base/clock.h"
#include "base/setting.h"

#define EVENTS_MAX 32 /* names are literals in the code: more than are there */

int64_t latency_threshold_ms;
static struct latency_event events[EVENTS_MAX];
static size_t count;

static const struct setting settings[] = {
    {.name = "latency-monitor-threshold",
     .kind = SETTING_INT,
     .at = &latency_threshold_ms,
     .dflt = "0",
     .min = 0,
     .max = INT64_MAX / 1000,
     .help = "Milliseconds from which on what holds up the server is kept for LATENCY; 0 keeps nothing."},
};

void latency_settings(void)
{
    SETTING_REGISTER(settings);
}

static struct latency_event *find(struct slice name)
{
    for (size_t i = 0; i < count; i++)
        if (slice_is(name, events[i].name))
            return &events[i];
    return NULL;
}

void latency_record(const char *name, int64_t ms)
{
    struct latency_event *e = find(slice_str(name));
    int64_t now = clock_wall_ms() / 1000;
    if (!e) {
        if (count == EVENTS_MAX)
            return;
        e = &events[count++];
        *e = (struct latency_event){.name = name};
    }
    if (ms > e->longest)
        e->longest = ms;
    struct latency_sample *last = &e->sample[(e->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];
    if (last->when == now) {
        if (ms > last->ms)
            last->ms = ms;
        return;
    }
    e->sample[e->next] = (struct latency_sample){now, ms};
    e->next = (e->next + 1) % LATENCY_SAMPLES;
}

size_t latency_events(const struct latency_event **first)
{
    *first = events;
    return count;
}

const struct latency_event *latency_find(struct slice name)
{
    return find(name);
}

const struct latency_sample *latency_sample(const struct latency_event *e, int i)
{
    return &e->sample[(e->next + i) % LATENCY_SAMPLES];
}

bool latency_reset(struct slice name)
{
    struct latency_event *e = find(name);
    if (!e)
        return false;
    memmove(e, e + 1, (size_t)(&events[--count] - e) * sizeof *e);
    return true;
}
