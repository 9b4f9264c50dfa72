#include "server/stats.h"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/info.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cmd/client.h"
#include "cmd/dispatch.h"
#include "cmd/pause.h"
#include "server/listen.h"
#include "server/version.h"
#include "store/evict.h"
#include "store/lazyfree.h"

static struct store *store;
static struct job_pool *pool;
static struct file_io *files;
static int64_t started_ms;
static char run_id[41];
static uint64_t sample_commands;
static int64_t sample_ms;
static uint64_t ops_per_sec;

size_t stats_peak(void)
{
    return mem_peak();
}

void stats_tick(void)
{
    int64_t now = clock_mono_ms();
    mem_peak();
    if (now - sample_ms >= 1000) {
        ops_per_sec = (dispatch_stats.commands - sample_commands) * 1000 / (uint64_t)(now - sample_ms);
        sample_commands = dispatch_stats.commands;
        sample_ms = now;
    }
}

/* One function a field: the table below is what matters. */
#define TEXT(name, ...)                                                                                                \
    static void name(struct buf *to)                                                                                   \
    {                                                                                                                  \
        buf_addf(to, __VA_ARGS__);                                                                                     \
    }
#define NUM(name, expr)                                                                                                \
    static void name(struct buf *to)                                                                                   \
    {                                                                                                                  \
        buf_addf(to, "%lld", (long long)(expr));                                                                       \
    }

TEXT(redis_version, "%s", REDIS_VERSION)
TEXT(skald_version, "%s", SKALD_VERSION)
TEXT(server_name, "skald")
TEXT(mode, "standalone")
TEXT(arch_bits, "%zu", sizeof(long) * 8)
TEXT(run_id_text, "%s", run_id)
TEXT(engine, "%s", file_io_name(files))
TEXT(allocator, "jemalloc")
TEXT(multiplexing, "epoll")
TEXT(gcc_version, "%s", __VERSION__)
TEXT(role_text, "master")
NUM(pid, getpid())
NUM(tcp_port, listen_port())
NUM(uptime, (clock_wall_ms() - started_ms) / 1000)
NUM(uptime_days, (clock_wall_ms() - started_ms) / 86400000)
NUM(server_time, clock_wall_us())
NUM(zero, 0)
NUM(clients, client_count())
NUM(max_clients, listen_maxclients)
NUM(used, mem_used())
NUM(rss, mem_rss())
NUM(peak_bytes, stats_peak())
NUM(max_memory, evict_maxmemory)
NUM(pending_free, lazyfree_pending())
NUM(lazily_freed, lazyfree_done)
NUM(expire_cycles, store->stats.expire_cycles)
NUM(accepted, listen_stats.accepted)
NUM(turned_away, listen_stats.rejected)
NUM(commands, dispatch_stats.commands)
NUM(ops, ops_per_sec)
NUM(error_replies, dispatch_stats.errors)
NUM(hits, store->stats.hits)
NUM(misses, store->stats.misses)
NUM(expired, store->stats.expired)
NUM(evicted, store->stats.evicted)
NUM(expired_elements, store->stats.expired_elements)
NUM(channels, pubsub_numpat(clients_pubsub()))
NUM(loading, store->loading)

static void os_text(struct buf *to)
{
    struct utsname u;
    uname(&u);
    buf_addf(to, "%s %s %s", u.sysname, u.release, u.machine);
}

static void human(struct buf *to, size_t bytes)
{
    static const char *const units[] = {"B", "K", "M", "G", "T"};
    double v = (double)bytes;
    int u = 0;
    for (; v >= 1024 && u < 4; u++)
        v /= 1024;
    buf_addf(to, u ? "%.2f%s" : "%.0f%s", v, units[u]);
}

static void used_human(struct buf *to)
{
    human(to, mem_used());
}

static void rss_human(struct buf *to)
{
    human(to, mem_rss());
}

static void policy(struct buf *to)
{
    buf_add_str(to, evict_policy_name());
}

static void fragmentation(struct buf *to)
{
    size_t u = mem_used();
    buf_addf(to, "%.2f", u ? (double)mem_rss() / (double)u : 1.0);
}

static void blocked(struct buf *to)
{
    int n = 0;
    list_each (l, clients_all()) {
        n += list_entry(l, struct client, link)->parked != NULL;
    }
    buf_addf(to, "%d", n + (int)pause_waiting());
}

static void jobs_waiting(struct buf *to)
{
    int waiting, running;
    job_pool_load(pool, &waiting, &running);
    buf_addf(to, "%d", waiting);
}

static void jobs_running(struct buf *to)
{
    int waiting, running;
    job_pool_load(pool, &waiting, &running);
    buf_addf(to, "%d", running);
}

static void cpu(struct buf *to, int who, int sys)
{
    struct rusage u;
    getrusage(who, &u);
    struct timeval t = sys ? u.ru_stime : u.ru_utime;
    buf_addf(to, "%lld.%06lld", (long long)t.tv_sec, (long long)t.tv_usec);
}

static void cpu_sys(struct buf *to)
{
    cpu(to, RUSAGE_SELF, 1);
}

static void cpu_user(struct buf *to)
{
    cpu(to, RUSAGE_SELF, 0);
}

static const struct info_row rows[] = {
    {"Server", "redis_version", INFO_TEXT, redis_version, NULL, NULL},
    {"Server", "server_name", INFO_TEXT, server_name, NULL, NULL},
    {"Server", "skald_version", INFO_TEXT, skald_version, NULL, NULL},
    {"Server", "redis_mode", INFO_TEXT, mode, NULL, NULL},
    {"Server", "os", INFO_TEXT, os_text, NULL, NULL},
    {"Server", "arch_bits", INFO_TEXT, arch_bits, NULL, NULL},
    {"Server", "multiplexing_api", INFO_TEXT, multiplexing, NULL, NULL},
    {"Server", "gcc_version", INFO_TEXT, gcc_version, NULL, NULL},
    {"Server", "process_id", INFO_TEXT, pid, NULL, NULL},
    {"Server", "run_id", INFO_TEXT, run_id_text, NULL, NULL},
    {"Server", "tcp_port", INFO_TEXT, tcp_port, NULL, NULL},
    {"Server", "server_time_usec", INFO_TEXT, server_time, NULL, NULL},
    {"Server", "uptime_in_seconds", INFO_GAUGE, uptime, "skald_uptime_seconds", "Seconds since the start"},
    {"Server", "uptime_in_days", INFO_TEXT, uptime_days, NULL, NULL},
    {"Server", "file_engine", INFO_TEXT, engine, NULL, NULL},
    {"Clients", "connected_clients", INFO_GAUGE, clients, "skald_connected_clients", "Open client connections"},
    {"Clients", "maxclients", INFO_GAUGE, max_clients, "skald_max_clients", "The setting maxclients"},
    {"Clients", "blocked_clients", INFO_GAUGE, blocked, "skald_blocked_clients", "Clients whose command waits"},
    {"Memory", "used_memory", INFO_GAUGE, used, "skald_memory_used_bytes", "Bytes allocated"},
    {"Memory", "used_memory_human", INFO_TEXT, used_human, NULL, NULL},
    {"Memory", "used_memory_rss", INFO_GAUGE, rss, "skald_memory_rss_bytes", "Resident bytes"},
    {"Memory", "used_memory_rss_human", INFO_TEXT, rss_human, NULL, NULL},
    {"Memory", "used_memory_peak", INFO_GAUGE, peak_bytes, "skald_memory_peak_bytes", "Highest allocation seen"},
    {"Memory", "maxmemory", INFO_GAUGE, max_memory, "skald_memory_max_bytes", "The setting maxmemory"},
    {"Memory", "maxmemory_policy", INFO_TEXT, policy, NULL, NULL},
    {"Memory", "mem_not_counted_for_evict", INFO_TEXT, zero, NULL, NULL}, /* maxmemory is about all of it */
    {"Memory", "mem_fragmentation_ratio", INFO_TEXT, fragmentation, NULL, NULL},
    {"Memory", "mem_allocator", INFO_TEXT, allocator, NULL, NULL},
    {"Memory", "lazyfree_pending_objects", INFO_GAUGE, pending_free, NULL, NULL},
    {"Memory", "lazyfreed_objects", INFO_COUNTER, lazily_freed, NULL, NULL},
    {"Persistence", "loading", INFO_GAUGE, loading, "skald_loading", "1 while the journal is replayed"},
    {"Stats", "total_connections_received", INFO_COUNTER, accepted, "skald_connections_total", "Accepted connections"},
    {"Stats", "total_commands_processed", INFO_COUNTER, commands, "skald_commands_total", "Commands run"},
    {"Stats", "instantaneous_ops_per_sec", INFO_GAUGE, ops, NULL, NULL},
    {"Stats", "rejected_connections", INFO_COUNTER, turned_away, "skald_rejected_connections_total",
     "Connections turned away"},
    {"Stats", "expired_keys", INFO_COUNTER, expired, "skald_expired_keys_total", "Keys that expired"},
    {"Stats", "expired_subkeys", INFO_COUNTER, expired_elements, "skald_expired_fields_total",
     "Fields of hashes that expired"},
    {"Stats", "expire_cycles", INFO_COUNTER, expire_cycles, "skald_expire_cycles_total",
     "Slices of work for keys and fields whose time has come"},
    {"Stats", "evicted_keys", INFO_COUNTER, evicted, "skald_evicted_keys_total", "Keys that were evicted"},
    {"Stats", "keyspace_hits", INFO_COUNTER, hits, "skald_keyspace_hits_total", "Reads that found their key"},
    {"Stats", "keyspace_misses", INFO_COUNTER, misses, "skald_keyspace_misses_total", "Reads that did not"},
    {"Stats", "pubsub_patterns", INFO_GAUGE, channels, NULL, NULL},
    {"Stats", "total_error_replies", INFO_COUNTER, error_replies, "skald_errors_total", "Error replies"},
    {"Stats", "jobs_waiting", INFO_GAUGE, jobs_waiting, "skald_jobs_waiting", "Jobs that wait for a worker"},
    {"Stats", "jobs_running", INFO_GAUGE, jobs_running, "skald_jobs_running", "Jobs that run"},
    {"Replication", "role", INFO_TEXT, role_text, NULL, NULL},
    {"CPU", "used_cpu_sys", INFO_COUNTER, cpu_sys, "skald_cpu_system_seconds_total", "System CPU time"},
    {"CPU", "used_cpu_user", INFO_COUNTER, cpu_user, "skald_cpu_user_seconds_total", "User CPU time"},
    {"Cluster", "cluster_enabled", INFO_TEXT, zero, NULL, NULL},
};

static void keyspace_lines(struct buf *to)
{
    for (int i = 0; i < store->ndbs; i++) {
        struct db *db = &store->dbs[i];
        if (dict_count(&db->keys))
            buf_addf(to, "db%d:keys=%zu,expires=%zu,avg_ttl=%lld,subexpiry=%zu\r\n", i, dict_count(&db->keys),
                     dict_count(&db->expires), (long long)db->avg_ttl, dict_count(&db->timed));
    }
}

static void command_line(struct cmd_entry *e, void *arg)
{
    if (e->calls || e->rejected || e->failed)
        buf_addf(arg, "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu\r\n",
                 e->name, (unsigned long long)e->calls, (unsigned long long)e->usec,
                 e->calls ? (double)e->usec / (double)e->calls : 0.0, (unsigned long long)e->rejected,
                 (unsigned long long)e->failed);
    for (int i = 0; i < e->cmd->nsubs; i++)
        command_line(table_find_sub(e, slice_str(e->cmd->subs[i].name)), arg);
}

static void no_modules(struct buf *to)
{
}

static void command_lines(struct buf *to)
{
    table_each(command_line, to);
}

void stats_boot(struct store *s, struct job_pool *p, struct file_io *f)
{
    unsigned char raw[20];
    store = s;
    pool = p;
    files = f;
    started_ms = clock_wall_ms();
    sample_ms = clock_mono_ms();
    rng_secure(raw, sizeof raw);
    for (int i = 0; i < 20; i++) {
        run_id[2 * i] = "0123456789abcdef"[raw[i] >> 4];
        run_id[2 * i + 1] = "0123456789abcdef"[raw[i] & 15];
    }
    INFO_REGISTER(rows);
    info_register_lines("Commandstats", command_lines, 0);
    info_register_lines("Modules", no_modules, 1); /* its heading alone, as in Redis */
    info_register_lines("Keyspace", keyspace_lines, 1);
}
