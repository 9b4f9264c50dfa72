/* Fields of Redis's INFO that dashboards and exporters read and that no module of ours has a reason to know: figures of the
 * allocator and the machine, and zeros for what does not exist here (cluster links, threads that read sockets, modules). A
 * field that a module can fill is that module's. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/info.h"
#include "base/mem.h"
#include "base/setting.h"
#include "cmd/block.h"
#include "cmd/client.h"
#include "persist/child.h"
#include "server/config.h"
#include "server/stats.h"
#include "store/defrag.h"
#include "store/evict.h"

static size_t machine;    /* its memory */
static struct sample {    /* of the last second */
    int64_t ms;
    struct conn_stats net;
    double in_kbps, out_kbps;
} sample;

void stats_redis_tick(void)
{
    int64_t now = clock_mono_ms();
    if (now - sample.ms < 1000)
        return;
    double seconds = (double)(now - sample.ms) / 1000;
    sample.in_kbps = (double)(conn_stats.in_bytes - sample.net.in_bytes) / 1024 / seconds;
    sample.out_kbps = (double)(conn_stats.out_bytes - sample.net.out_bytes) / 1024 / seconds;
    sample.net = conn_stats;
    sample.ms = now;
}

#define TEXT(name, ...)                                                                                                \
    static void name(struct buf *to)                                                                                   \
    {                                                                                                                  \
        buf_addf(to, __VA_ARGS__);                                                                                     \
    }
#define NUM(name, expr)   TEXT(name, "%lld", (long long)(expr))
#define RATIO(name, expr) TEXT(name, "%.2f", (double)(expr))

static double over(size_t a, size_t b)
{
    return b ? (double)a / (double)b : 1;
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
#define HUMAN(name, expr)                                                                                              \
    static void name(struct buf *to)                                                                                   \
    {                                                                                                                  \
        human(to, (size_t)(expr));                                                                                     \
    }

static size_t dataset(void)
{
    size_t used = mem_used();
    return used > mem_startup() ? used - mem_startup() : 0;
}

static size_t longest(bool out)
{
    size_t most = 0;
    list_each (l, clients_all()) {
        const struct conn *c = list_entry(l, struct client, link)->conn;
        size_t n = !c ? 0 : out ? conn_out_bytes(c) : conn_query_bytes(c);
        most = n > most ? n : most;
    }
    return most;
}

static int64_t cpu_us(int who, bool sys)
{
    struct rusage u;
    getrusage(who, &u);
    struct timeval t = sys ? u.ru_stime : u.ru_utime;
    return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}
#define CPU(name, who, sys) TEXT(name, "%.6f", (double)cpu_us(who, sys) / 1e6)

static size_t names_of(enum pubsub_kind kind)
{
    return pubsub_numnames(clients_pubsub(), kind);
}

static void executable(struct buf *to)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    if (n > 0)
        buf_add(to, path, (size_t)n);
}

static void hz(struct buf *to)
{
    setting_get(setting_find(SLICE("hz")), to);
}

TEXT(git_sha, "00000000")
TEXT(none, "no")
TEXT(clock_name, "POSIX clock_gettime")
TEXT(atomics, "c11-builtin")
TEXT(config, "%s", config_file())
TEXT(percent_zero, "0.00")
TEXT(minus_one, "-1")
NUM(zero, 0)
NUM(socket_reads, conn_stats.reads)
NUM(socket_writes, conn_stats.writes)
NUM(with_timeout, block_timeouts())
NUM(lru_clock, clock_wall_ms() / 1000 & 0xffffff)
NUM(longest_in, longest(false))
NUM(longest_out, longest(true))
HUMAN(peak_human, stats_peak())
TEXT(peak_percent, "%.2f%%", over(mem_used(), stats_peak()) * 100)
NUM(startup, mem_startup())
NUM(overhead, mem_used() - dataset())
NUM(data, dataset())
TEXT(data_percent, "%.2f%%", mem_used() > mem_startup() ? over(dataset(), mem_used() - mem_startup()) * 100 : 0)
NUM(alloc_allocated, mem_allocator(MEM_ALLOCATED))
NUM(alloc_active, mem_allocator(MEM_ACTIVE))
NUM(alloc_resident, mem_allocator(MEM_RESIDENT))
NUM(machine_memory, machine)
HUMAN(machine_human, machine)
HUMAN(max_human, evict_maxmemory)
RATIO(frag_ratio, over(mem_allocator(MEM_ACTIVE), mem_allocator(MEM_ALLOCATED)))
NUM(frag_bytes, mem_allocator(MEM_ACTIVE) - mem_allocator(MEM_ALLOCATED))
RATIO(resident_ratio, over(mem_allocator(MEM_RESIDENT), mem_allocator(MEM_ACTIVE)))
NUM(resident_bytes, mem_allocator(MEM_RESIDENT) - mem_allocator(MEM_ACTIVE))
RATIO(rss_ratio, over(mem_rss(), mem_allocator(MEM_RESIDENT)))
NUM(rss_bytes, mem_rss() - mem_allocator(MEM_RESIDENT))
NUM(unused_bytes, mem_rss() - mem_used())
NUM(normal_clients, clients_memory())
TEXT(in_kbps, "%.2f", sample.in_kbps)
TEXT(out_kbps, "%.2f", sample.out_kbps)
NUM(defrag_running, defrag_stats.percent)
NUM(defrag_hits, mem_relocations.moved)
NUM(defrag_misses, mem_relocations.kept)
NUM(defrag_key_hits, defrag_stats.key_hits)
NUM(defrag_key_misses, defrag_stats.key_misses)
NUM(defrag_ms, defrag_stats.total_us / 1000)
NUM(defrag_now_ms, defrag_stats.percent ? (clock_mono_us() - defrag_stats.since_us) / 1000 : 0)
NUM(forks, child_stats.forks)
NUM(fork_us, child_stats.last_us)
NUM(channels, names_of(PUBSUB_CHANNEL))
NUM(shards, names_of(PUBSUB_SHARD))
CPU(children_sys, RUSAGE_CHILDREN, true)
CPU(children_user, RUSAGE_CHILDREN, false)
CPU(main_sys, RUSAGE_THREAD, true)
CPU(main_user, RUSAGE_THREAD, false)

/* clang-format off */
#define ROW(section, name, value) {section, name, INFO_TEXT, value, NULL, NULL}
static const struct info_row rows[] = {
    ROW("Server", "redis_git_sha1", git_sha), ROW("Server", "redis_git_dirty", zero), ROW("Server", "redis_build_id", git_sha),
    ROW("Server", "monotonic_clock", clock_name), ROW("Server", "atomicvar_api", atomics),
    ROW("Server", "process_supervised", none), ROW("Server", "hz", hz),
    ROW("Server", "configured_hz", hz), ROW("Server", "lru_clock", lru_clock), ROW("Server", "executable", executable),
    ROW("Server", "config_file", config), ROW("Server", "io_threads_active", zero),
    ROW("Clients", "cluster_connections", zero), ROW("Clients", "client_recent_max_input_buffer", longest_in),
    ROW("Clients", "client_recent_max_output_buffer", longest_out),
    ROW("Memory", "used_memory_peak_human", peak_human), ROW("Memory", "used_memory_peak_perc", peak_percent),
    ROW("Memory", "used_memory_overhead", overhead), ROW("Memory", "used_memory_startup", startup),
    ROW("Memory", "used_memory_dataset", data), ROW("Memory", "used_memory_dataset_perc", data_percent),
    ROW("Memory", "allocator_allocated", alloc_allocated), ROW("Memory", "allocator_active", alloc_active),
    ROW("Memory", "allocator_resident", alloc_resident), ROW("Memory", "total_system_memory", machine_memory),
    ROW("Memory", "total_system_memory_human", machine_human), ROW("Memory", "maxmemory_human", max_human),
    ROW("Memory", "allocator_frag_ratio", frag_ratio), ROW("Memory", "allocator_frag_bytes", frag_bytes),
    ROW("Memory", "allocator_rss_ratio", resident_ratio), ROW("Memory", "allocator_rss_bytes", resident_bytes),
    ROW("Memory", "rss_overhead_ratio", rss_ratio), ROW("Memory", "rss_overhead_bytes", rss_bytes),
    ROW("Memory", "mem_fragmentation_bytes", unused_bytes), ROW("Memory", "mem_clients_normal", normal_clients),
    ROW("Memory", "mem_cluster_links", zero),
    ROW("Persistence", "async_loading", zero), ROW("Persistence", "current_cow_peak", zero),
    ROW("Persistence", "current_cow_size", zero), ROW("Persistence", "current_cow_size_age", zero),
    ROW("Persistence", "current_fork_perc", percent_zero), ROW("Persistence", "current_save_keys_processed", zero),
    ROW("Persistence", "current_save_keys_total", zero), ROW("Persistence", "aof_rewrite_scheduled", zero),
    ROW("Persistence", "aof_current_rewrite_time_sec", minus_one), ROW("Persistence", "aof_last_cow_size", zero),
    ROW("Persistence", "module_fork_in_progress", zero), ROW("Persistence", "module_fork_last_cow_size", zero),
    ROW("Stats", "instantaneous_input_kbps", in_kbps), ROW("Stats", "instantaneous_output_kbps", out_kbps),
    ROW("Stats", "instantaneous_input_repl_kbps", percent_zero), ROW("Stats", "instantaneous_output_repl_kbps", percent_zero),
    ROW("Stats", "total_forks", forks), ROW("Stats", "latest_fork_usec", fork_us),
    ROW("Stats", "pubsub_channels", channels), ROW("Stats", "pubsubshard_channels", shards),
    ROW("Stats", "slave_expires_tracked_keys", zero), ROW("Stats", "unexpected_error_replies", zero),
    ROW("Stats", "dump_payload_sanitizations", zero), ROW("Stats", "io_threaded_reads_processed", zero),
    ROW("Stats", "io_threaded_writes_processed", zero), ROW("Stats", "total_reads_processed", socket_reads),
    ROW("Stats", "total_writes_processed", socket_writes), ROW("Clients", "clients_in_timeout_table", with_timeout),
    ROW("Memory", "active_defrag_running", defrag_running), ROW("Stats", "active_defrag_hits", defrag_hits),
    ROW("Stats", "active_defrag_misses", defrag_misses), ROW("Stats", "active_defrag_key_hits", defrag_key_hits),
    ROW("Stats", "active_defrag_key_misses", defrag_key_misses), ROW("Stats", "total_active_defrag_time", defrag_ms),
    ROW("Stats", "current_active_defrag_time", defrag_now_ms),
    ROW("CPU", "used_cpu_sys_children", children_sys), ROW("CPU", "used_cpu_user_children", children_user),
    ROW("CPU", "used_cpu_sys_main_thread", main_sys), ROW("CPU", "used_cpu_user_main_thread", main_user),
};
/* clang-format on */

void stats_redis_boot(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    machine = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0;
    mem_mark_startup();
    sample.ms = clock_mono_ms();
    INFO_REGISTER(rows);
}
