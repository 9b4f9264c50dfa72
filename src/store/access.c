/* Eight bits count to millions because a use counts with a chance of 1 / ((counter - 5) * lfu-log-factor + 1): Morris's
 * counter. New keys begin at 5, so that they are not the first to go before they had a chance; every lfu-decay-time
 * minutes without a look take one off. */
#include "store/access.h"

#include "base/clock.h"
#include "base/setting.h"
#include "store/evict.h"

#define NEW_KEY   5
#define TICK_US   62500
#define MINUTE_US 60000000

static int64_t log_factor, decay_minutes;

static const struct setting settings[] = {
    {.name = "lfu-log-factor", .kind = SETTING_INT, .at = &log_factor, .dflt = "10", .min = 0, .max = INT32_MAX,
     .help = "How slowly the LFU counters grow: at 10 about a million uses fill one."},
    {.name = "lfu-decay-time", .kind = SETTING_INT, .at = &decay_minutes, .dflt = "1", .min = 0, .max = INT32_MAX,
     .help = "Minutes after which an LFU counter loses one; 0: it never does."},
};

void access_settings(void)
{
    SETTING_REGISTER(settings);
}

bool access_is_lfu(void)
{
    return evict_policy & EVICT_LFU;
}

static uint32_t ticks_now(void)
{
    return (uint32_t)(clock_sampled_us() / TICK_US);
}

static uint16_t minute_now(void)
{
    return (uint16_t)(clock_sampled_us() / MINUTE_US);
}

static uint32_t lfu_clock(uint8_t counter)
{
    return (uint32_t)minute_now() << 16 | counter;
}

uint8_t access_freq(const struct obj *o)
{
    uint16_t minutes = (uint16_t)(minute_now() - (o->clock >> 16));
    uint8_t counter = (uint8_t)o->clock;
    int64_t lost = decay_minutes ? minutes / decay_minutes : 0;
    return lost >= counter ? 0 : (uint8_t)(counter - lost);
}

uint8_t access_grown(uint8_t counter, double draw)
{
    double above = counter > NEW_KEY ? counter - NEW_KEY : 0;
    return counter < 255 && draw * (above * (double)log_factor + 1) < 1 ? (uint8_t)(counter + 1) : counter;
}

void access_begin(struct obj *o)
{
    o->clock = access_is_lfu() ? lfu_clock(NEW_KEY) : ticks_now();
}

void access_touch(struct obj *o, struct rng *rng)
{
    if (!access_is_lfu()) {
        o->clock = ticks_now();
        return;
    }
    double draw = (double)(rng_next(rng) >> 11) * 0x1p-53;
    o->clock = lfu_clock(access_grown(access_freq(o), draw));
}

uint32_t access_idle_s(const struct obj *o)
{
    return (ticks_now() - o->clock) / (1000000 / TICK_US);
}

uint32_t access_badness(const struct obj *o)
{
    return access_is_lfu() ? 255u - access_freq(o) : ticks_now() - o->clock;
}

void access_set_idle(struct obj *o, int64_t seconds)
{
    int64_t most = UINT32_MAX / (1000000 / TICK_US);
    if (!access_is_lfu())
        o->clock = ticks_now() - (uint32_t)(seconds < most ? seconds : most) * (1000000 / TICK_US);
}

void access_set_freq(struct obj *o, uint8_t freq)
{
    if (access_is_lfu())
        o->clock = lfu_clock(freq);
}
