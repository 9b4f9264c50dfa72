#include "llm/deployment.h"

#include <assert.h>
#include <math.h>

#include "base/mem.h"
#include "base/setting.h"

#define HALF_LIFE_MS 60000.0
#define NEWS_SHARE   0.2 /* of a new measurement in the average */

static struct breaker_rules rules;
static int64_t rest_auth, rest_quota, rest_rate;

static const struct setting settings[] = {
    {"llm-breaker-calls", SETTING_INT, &rules.least, "10", 1, 1000000,
     .help =
         "A model's breaker opens when over half of the last minute's calls failed and there were at least so many."},
    {"llm-breaker-failures", SETTING_INT, &rules.in_row, "5", 1, 1000000,
     .help = "A model's breaker opens after so many failures one after the other."},
    {"llm-breaker-pause", SETTING_INT, &rules.pause_ms, "5000", 1, 24 * 3600 * 1000,
     .help = "Milliseconds until an open breaker lets a probe through; doubles with each probe that fails."},
    {"llm-breaker-pause-max", SETTING_INT, &rules.pause_max_ms, "300000", 1, 24 * 3600 * 1000,
     .help = "The longest such pause, in milliseconds."},
    {"llm-key-rest-auth", SETTING_INT, &rest_auth, "600000", 0, 24 * 3600 * 1000,
     .help = "Milliseconds for which a key that a provider refused is not used."},
    {"llm-key-rest-quota", SETTING_INT, &rest_quota, "600000", 0, 24 * 3600 * 1000,
     .help = "Milliseconds for which a key without credit is not used."},
    {"llm-key-rest-rate-max", SETTING_INT, &rest_rate, "3600000", 0, 24 * 3600 * 1000,
     .help = "The longest, in milliseconds, that a key is not used because its provider asks for a pause."},
};

void deployment_boot(void)
{
    SETTING_REGISTER(settings);
}

struct deployment *deployment_create(void)
{
    struct deployment *d = mem_zero(sizeof *d);
    d->refs = 1;
    return d;
}

struct deployment *deployment_ref(struct deployment *d)
{
    d->refs++;
    return d;
}

void deployment_unref(struct deployment *d)
{
    if (d && --d->refs == 0)
        mem_free(d);
}

bool deployment_enter(struct deployment *d, int64_t now_ms, bool force, struct breaker_pass *pass)
{
    if (!breaker_enter(&d->breaker, now_ms, force, pass))
        return false;
    d->in_flight++;
    return true;
}

double deployment_latency(const struct deployment *d, int64_t now_ms)
{
    return d->latency_ms > 0 ? d->latency_ms * exp2(-(double)(now_ms - d->measured_ms) / HALF_LIFE_MS) : 0;
}

static void measure(struct deployment *d, double ms, int64_t now_ms)
{
    ms = ms > 0.001 ? ms : 0.001; /* zero means never */
    d->latency_ms = d->latency_ms > 0 ? d->latency_ms + (ms - d->latency_ms) * NEWS_SHARE : ms;
    d->measured_ms = now_ms;
}

void deployment_leave(struct deployment *d, struct breaker_pass pass, enum breaker_end end, int64_t latency_ms,
                      int64_t now_ms, struct rng *rng)
{
    assert(d->in_flight > 0);
    d->in_flight--;
    d->used_ms = now_ms;
    d->attempts++;
    d->failures += end == BREAKER_FAILED;
    if (end == BREAKER_ANSWERED && latency_ms >= 0)
        measure(d, (double)latency_ms, now_ms);
    breaker_leave(&d->breaker, &rules, pass, end, now_ms, rng);
}

int64_t deployment_key_rest(enum llm_class why, int64_t asked_ms)
{
    switch (why) {
    case LLM_AUTH: return rest_auth;
    case LLM_CREDIT: return rest_quota;
    default: return asked_ms < 0 ? 0 : asked_ms < rest_rate ? asked_ms : rest_rate;
    }
}
