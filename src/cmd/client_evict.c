#include "cmd/client_evict.h"

#include "base/info.h"
#include "base/log.h"
#include "base/num.h"
#include "base/setting.h"
#include "cmd/client.h"
#include "store/evict.h"

static int64_t limit_bytes;   /* 0: none */
static int64_t limit_percent; /* of maxmemory; when not 0 it is the limit */
static uint64_t evicted;

static int limit_set(const struct setting *s, struct slice v, struct err *err)
{
    uint64_t bytes;
    int64_t percent;
    if (v.len && v.p[v.len - 1] == '%') {
        if (!num_to_i64(slice_of(v.p, v.len - 1), &percent) || percent < 0)
            return err_set(err, ERR_GENERIC, "%s: argument couldn't be parsed into an integer", s->name);
        if (percent > 100)
            return err_set(err, ERR_GENERIC, "%s: percentage argument must be less or equal to 100", s->name);
        limit_percent = percent;
        limit_bytes = 0;
        return 0;
    }
    if (!num_to_bytes(v, &bytes) || bytes > INT64_MAX)
        return err_set(err, ERR_GENERIC, "%s: argument must be a memory or percent value", s->name);
    limit_bytes = (int64_t)bytes;
    limit_percent = 0;
    return 0;
}

static void limit_get(const struct setting *s, struct buf *to)
{
    if (limit_percent)
        buf_addf(to, "%lld%%", (long long)limit_percent);
    else
        buf_addf(to, "%lld", (long long)limit_bytes);
}

static size_t limit(void)
{
    return (size_t)(limit_percent ? evict_maxmemory / 100 * limit_percent : limit_bytes);
}

static bool may_go(const struct client *c)
{
    return c->conn && !conn_closing(c->conn) && !(c->flags & CLIENT_NO_EVICT) && !client_follows(c);
}

static struct client *largest(size_t *sum)
{
    struct client *worst = NULL;
    size_t most = 0;
    *sum = 0;
    list_each (l, clients_all()) {
        struct client *c = list_entry(l, struct client, link);
        if (!may_go(c))
            continue;
        size_t bytes = client_memory(c);
        *sum += bytes;
        if (!worst || bytes > most) {
            worst = c;
            most = bytes;
        }
    }
    return worst;
}

void client_evict_tick(void)
{
    size_t most = limit(), sum;
    if (most == 0)
        return;
    for (struct client *c; (c = largest(&sum)) && sum > most;) {
        log_notice(
            "client id=%llu is disconnected: it has %zu of the %zu bytes of all clients, maxmemory-clients is %zu",
            (unsigned long long)c->id, client_memory(c), sum, most);
        evicted++;
        conn_close(c->conn);
    }
}

static void evicted_clients(struct buf *to)
{
    buf_addf(to, "%llu", (unsigned long long)evicted);
}

static const struct setting settings[] = {
    {.name = "maxmemory-clients",
     .kind = SETTING_CALL,
     .dflt = "0",
     .set = limit_set,
     .get = limit_get,
     .help = "Bytes that all clients together may take (or 5%: that part of maxmemory); above it the largest are "
             "disconnected. "
             "0: no limit."},
};

static const struct info_row info[] = {
    {"Stats", "evicted_clients", INFO_COUNTER, evicted_clients, "skald_evicted_clients_total",
     "Clients disconnected because of maxmemory-clients"},
};

void client_evict_settings(void)
{
    SETTING_REGISTER(settings);
    INFO_REGISTER(info);
}
