/* What surprises: the llm is not destroyed at the end. Calls to builtin models end with the pool of workers, after
 * every room was closed, and the llm must be there to hear of it. */
#include "cmd/outbound.h"

#include "auth/seal.h"
#include "base/setting.h"
#include "llm/llm.h"
#include "net/http_client.h"

static struct http_client *http;
static struct llm *llm;
static int64_t threads;
static bool stopping;

static const struct setting rows[] = {
    {.name = "outbound-threads",
     .kind = SETTING_INT,
     .at = &threads,
     .dflt = "2",
     .min = 1,
     .max = 64,
     .flags = SETTING_FIXED,
     .help = "Threads for outbound HTTP calls; each carries thousands at once."},
};

void outbound_settings(void)
{
    SETTING_REGISTER(rows);
    llm_boot();
    seal_settings();
}

int outbound_open(struct loop *l, struct job_pool *pool, struct err *err)
{
    int rc = http_client_create(&http, l, (int)threads, err);
    if (rc == 0)
        llm = llm_create(l, http, pool);
    return rc;
}

void outbound_drain(void)
{
    llm_stop(llm);
}

size_t outbound_calls(void)
{
    struct llm_stats s;
    llm_stats(llm, &s);
    return (size_t)s.calls;
}

void outbound_stop(void)
{
    stopping = true;
    llm_stop(llm);
}

bool outbound_stopping(void)
{
    return stopping;
}

void outbound_close(void)
{
    http_client_destroy(http);
    http = NULL;
}

struct http_client *outbound_http(void)
{
    return http;
}

struct llm *outbound_llm(void)
{
    return llm;
}
