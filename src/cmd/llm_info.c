/* INFO's section "models": what calls there were, and a line for every model that says how it does. */
#include <inttypes.h>
#include <string.h>

#include "base/info.h"
#include "cmd/cmd_llm.h"
#include "cmd/outbound.h"
#include "llm/llm.h"

static struct llm_stats stats(void)
{
    struct llm_stats s = {0};
    if (outbound_llm())
        llm_stats(outbound_llm(), &s);
    return s;
}

#define FIGURE(name)                                                                                                   \
    static void name(struct buf *to)                                                                                   \
    {                                                                                                                  \
        buf_addf(to, "%" PRIu64, (uint64_t)stats().name);                                                              \
    }
FIGURE(calls)
FIGURE(queued)
FIGURE(started)
FIGURE(failed)
FIGURE(cancelled)
FIGURE(retries)
FIGURE(failovers)
FIGURE(fallbacks)

static const struct info_row rows[] = {
    {"Models", "llm_calls", INFO_GAUGE, calls, "skald_llm_calls", "Model calls under way"},
    {"Models", "llm_calls_queued", INFO_GAUGE, queued, "skald_llm_calls_queued", "Of those, waiting for a limit"},
    {"Models", "llm_calls_started", INFO_COUNTER, started, "skald_llm_calls_started_total", "Model calls started"},
    {"Models", "llm_calls_failed", INFO_COUNTER, failed, "skald_llm_calls_failed_total", "Model calls that failed"},
    {"Models", "llm_calls_cancelled", INFO_COUNTER, cancelled, "skald_llm_calls_cancelled_total",
     "Model calls given up by whoever asked"},
    {"Models", "llm_retries", INFO_COUNTER, retries, "skald_llm_retries_total", "Same model tried again after a pause"},
    {"Models", "llm_failovers", INFO_COUNTER, failovers, "skald_llm_failovers_total", "Next model of a route tried"},
    {"Models", "llm_fallbacks", INFO_COUNTER, fallbacks, "skald_llm_fallbacks_total",
     "Calls answered by their route's FALLBACK text"},
};

static void model_line(void *arg, const struct llm_deployment_info *i)
{
    struct buf *to = arg;
    buf_add_str(to, "model_");
    for (const char *p = i->model; *p; p++) /* what would cut the line in two */
        buf_add_char(to, strchr(":,= \r\n\t", *p) ? '_' : *p);
    buf_addf(to,
             ":breaker=%s,in_flight=%d,latency_ms=%.1f,calls_last_minute=%lld,failures_last_minute=%lld,keys=%d,"
             "keys_resting=%d,attempts=%llu,failures=%llu\r\n",
             i->breaker, i->in_flight, i->latency_ms, (long long)i->minute_calls, (long long)i->minute_failures,
             i->keys, i->keys_resting, (unsigned long long)i->attempts, (unsigned long long)i->failures);
}

static void lines(struct buf *to)
{
    if (outbound_llm())
        llm_deployments(outbound_llm(), model_line, to);
}

void llm_info_boot(void)
{
    INFO_REGISTER(rows);
    info_register_lines("Models", lines, 0);
}
