#include "server/rooms.h"

#include "api/api.h"
#include "cmd/block.h"
#include "cmd/cmd_server.h"
#include "cmd/cmd_llm.h"
#include "cmd/cmd_script.h"
#include "cmd/cmd_vsearch.h"
#include "cmd/client_evict.h"
#include "cmd/durable.h"
#include "cmd/flow_room.h"
#include "cmd/gateway.h"
#include "cmd/notify.h"
#include "cmd/outbound.h"
#include "cmd/pause.h"
#include "cmd/script.h"
#include "cmd/replication.h"
#include "cmd/session_boot.h"
#include "cmd/errorstats.h"
#include "cmd/latency.h"
#include "cmd/slowlog.h"
#include "cmd/snapshot.h"
#include "cmd/tracking.h"
#include "net/settings.h"
#include "server/version.h"
#include "session/session.h"
#include "store/evict.h"
#include "store/types.h"
#include "store/vset.h"

/* A room's row; every function may be NULL. Opened from the top, closed from the bottom. */
struct room {
    const char *name;
    void (*settings)(void);
    int (*open)(const struct rooms *r, struct err *err);
    int (*loaded)(struct err *err);
    int (*serve)(struct err *err);
    void (*tick)(void);
    void (*drain)(void);
    size_t (*busy)(void);
    size_t (*unread)(void);
    void (*stop)(void);
    void (*close)(void);
};

static void connections_settings(void)
{
    net_register_settings();
    net_register_info();
}

static int blocked_open(const struct rooms *r, struct err *err)
{
    block_boot(r->loop);
    return 0;
}

static int tracking_open(const struct rooms *r, struct err *err)
{
    tracking_boot(r->loop);
    pause_boot(r->loop);
    return 0;
}

static void tracking_close(void)
{
    tracking_end();
    pause_end();
}

static int snapshots_open(const struct rooms *r, struct err *err)
{
    snapshot_boot(r->loop, REDIS_VERSION);
    return 0;
}

static int scripts_open(const struct rooms *r, struct err *err)
{
    script_boot(r->loop, REDIS_VERSION);
    eval_boot();
    function_boot();
    return 0;
}

static int replication_open(const struct rooms *r, struct err *err)
{
    replication_boot(r->loop, r->files);
    return 0;
}

static int sessions_open(const struct rooms *r, struct err *err)
{
    session_cmd_open(r->pool);
    return 0;
}

static struct rooms opened;
static bool draining;

static const char *why_not_ready(void)
{
    if (draining)
        return "the server is shutting down";
    return opened.store->loading ? "the journal is being replayed" : NULL;
}

static int api_serve(struct err *err)
{
    static const struct api_gateway gateway = {
        .llm = outbound_llm,
        .login = gateway_login,
        .may = gateway_may,
        .turn_begin = gateway_turn_begin,
        .turn_started = gateway_turn_started,
        .turn_end = gateway_turn_end,
        .ready = durable_ready,
        .wait = durable_wait,
        .wait_end = durable_wait_end,
    };
    api_set_gateway(&gateway);
    api_set_ready(why_not_ready);
    return api_open(opened.loop, err);
}

static int vectors_open(const struct rooms *r, struct err *err)
{
    vsearch_boot(r->pool);
    vset_files_boot(&(struct vset_files){
        .io = r->files,
        .dir = "vectors",
        .enabled = durable_enabled,
        .whole = durable_whole,
        .appended = durable_lsn,
        .synced = durable_synced_lsn,
        .released = durable_released_lsn,
        .switched = durable_switch,
    });
    durable_before_switch(vset_files_switch);
    return 0;
}

static void models_settings(void)
{
    outbound_settings();
    llm_account_settings();
}

static int outbound_room_open(const struct rooms *r, struct err *err)
{
    llm_cmd_boot();
    int rc = outbound_open(r->loop, r->pool, err);
    if (rc == 0)
        llm_account_open(r->loop);
    return rc;
}

static int flows_open(const struct rooms *r, struct err *err)
{
    flow_room_open(r->loop, r->pool);
    return 0;
}

static const struct room rows[] = {
    {.name = "types", .settings = types_boot},
    {.name = "sessions", .settings = session_boot, .open = sessions_open},
    {.name = "eviction", .settings = evict_settings},
    {.name = "connections", .settings = connections_settings},
    {.name = "server commands", .settings = server_cmd_settings},
    {.name = "snapshots",
     .settings = snapshot_settings,
     .open = snapshots_open,
     .tick = snapshot_tick,
     .stop = snapshot_stop},
    {.name = "replication",
     .settings = replication_settings,
     .open = replication_open,
     .tick = replication_tick,
     .stop = replication_stop,
     .close = replication_close},
    {.name = "slow log", .settings = slowlog_settings},
    {.name = "client eviction", .settings = client_evict_settings, .tick = client_evict_tick},
    {.name = "latency", .settings = latency_cmd_settings},
    {.name = "scripts", .settings = script_settings, .open = scripts_open},
    {.name = "error statistics", .settings = errorstats_boot},
    {.name = "blocked clients", .open = blocked_open, .close = block_end},
    {.name = "clients that cache or wait",
     .settings = tracking_settings,
     .open = tracking_open,
     .tick = tracking_limit,
     .close = tracking_close},
    {.name = "vector sets",
     .settings = vset_boot,
     .open = vectors_open,
     .loaded = vset_files_loaded,
     .tick = vset_files_tick,
     .stop = vset_files_close},
    {.name = "searches", .settings = vsearch_settings},
    {.name = "http", .settings = api_register_settings, .serve = api_serve, .unread = api_unread, .stop = api_close},
    {.name = "notifications", .settings = notify_settings},
    {.name = "models",
     .settings = models_settings,
     .open = outbound_room_open,
     .drain = outbound_drain,
     .busy = outbound_calls,
     .stop = outbound_stop,
     .close = outbound_close},
    {.name = "flows",
     .settings = flow_room_settings,
     .open = flows_open,
     .drain = flow_room_stop,
     .stop = flow_room_stop,
     .close = flow_room_close},
};

#define COUNT ((int)(sizeof rows / sizeof *rows))

void rooms_settings(void)
{
    for (int i = 0; i < COUNT; i++)
        if (rows[i].settings)
            rows[i].settings();
}

int rooms_open(const struct rooms *r, struct err *err)
{
    opened = *r;
    for (int i = 0; i < COUNT; i++) {
        int rc = rows[i].open ? rows[i].open(r, err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

int rooms_serve(struct err *err)
{
    for (int i = 0; i < COUNT; i++) {
        int rc = rows[i].serve ? rows[i].serve(err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

int rooms_loaded(struct err *err)
{
    for (int i = 0; i < COUNT; i++) {
        int rc = rows[i].loaded ? rows[i].loaded(err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

void rooms_tick(void)
{
    for (int i = 0; i < COUNT; i++)
        if (rows[i].tick)
            rows[i].tick();
}

void rooms_drain(void)
{
    draining = true;
    for (int i = COUNT - 1; i >= 0; i--)
        if (rows[i].drain)
            rows[i].drain();
}

size_t rooms_busy(void)
{
    size_t n = 0;
    for (int i = 0; i < COUNT; i++)
        n += rows[i].busy ? rows[i].busy() : 0;
    return n;
}

size_t rooms_unread(void)
{
    size_t n = 0;
    for (int i = 0; i < COUNT; i++)
        n += rows[i].unread ? rows[i].unread() : 0;
    return n;
}

void rooms_stop(void)
{
    for (int i = COUNT - 1; i >= 0; i--)
        if (rows[i].stop)
            rows[i].stop();
}

void rooms_close(void)
{
    for (int i = COUNT - 1; i >= 0; i--)
        if (rows[i].close)
            rows[i].close();
}
