/* Boot order matters and is written down once, here:
 *
 *   settings ─ log ─ data directory ─ loop, workers, files ─ store, types ─ commands ─ connections ─ journal (replay)
 *   ─ listeners ─ HTTP door
 *
 * Before-sleep hooks run in this order each turn: the journal starts its group commit, then replies are written; so a
 * reply that has to wait for the disk is known to wait before it could leave. */
#include "server/server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/api.h"
#include "auth/acl_log.h"
#include "auth/users.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/setting.h"
#include "cmd/client.h"
#include "cmd/cmd_server.h"
#include "cmd/dispatch.h"
#include "cmd/durable.h"
#include "cmd/snapshot.h"
#include "cmd/permission.h"
#include "cmd/script.h"
#include "io/file.h"
#include "io/read_batch.h"
#include "io/job.h"
#include "persist/child.h"
#include "server/config.h"
#include "server/drain.h"
#include "server/listen.h"
#include "server/redis_settings.h"
#include "server/rooms.h"
#include "server/stats.h"
#include "server/version.h"
#include "store/defrag.h"
#include "store/evict.h"
#include "store/lazyfree.h"

static bool activerehashing;
static int64_t expire_effort;
static int64_t databases, workers, loglevel, hz, file_engine;
static char *dir, *logfile, *pidfile;
static bool daemonize;

static struct loop *loop;
static struct job_pool *pool;
static struct file_io *files;
static struct store *store;
static struct conn_host *conns;
static bool stopping;

/* ---- settings ---- */

static int apply_loglevel(struct err *err)
{
    log_set_level((enum log_level)loglevel);
    return 0;
}

static const struct setting_word levels[] = {{"debug", LOG_DEBUG},     {"verbose", LOG_VERBOSE}, {"notice", LOG_NOTICE},
                                             {"warning", LOG_WARNING}, {"nothing", LOG_NOTHING}, {NULL, 0}};
static const struct setting_word engines[] = {
    {"auto", FILE_AUTO}, {"io_uring", FILE_URING}, {"thread", FILE_THREAD}, {NULL, 0}};

static const struct setting rows[] = {
    {.name = "dir",
     .kind = SETTING_STR,
     .at = &dir,
     .dflt = ".",
     .flags = SETTING_FIXED,
     .help = "Where the journal and the vector indexes live."},
    {.name = "logfile",
     .kind = SETTING_STR,
     .at = &logfile,
     .dflt = "",
     .flags = SETTING_FIXED,
     .help = "Log file; empty: standard output. SIGHUP opens it again."},
    {.name = "loglevel",
     .kind = SETTING_ENUM,
     .at = &loglevel,
     .dflt = "notice",
     .words = levels,
     .apply = apply_loglevel,
     .help = "debug, verbose, notice, warning or nothing."},
    {.name = "pidfile",
     .kind = SETTING_STR,
     .at = &pidfile,
     .dflt = "",
     .flags = SETTING_FIXED,
     .help = "File that holds the process id while the server runs; empty: none."},
    {.name = "daemonize",
     .kind = SETTING_BOOL,
     .at = &daemonize,
     .dflt = "no",
     .flags = SETTING_FIXED,
     .help = "Go into the background."},
    {.name = "databases",
     .kind = SETTING_INT,
     .at = &databases,
     .dflt = "16",
     .min = 1,
     .max = 65536,
     .flags = SETTING_FIXED,
     .help = "How many databases SELECT knows."},
    {.name = "worker-threads",
     .kind = SETTING_INT,
     .at = &workers,
     .dflt = "0",
     .max = 256,
     .flags = SETTING_FIXED,
     .help = "Threads for searches and other long work; 0: one per core, at least two."},
    {.name = "hz",
     .kind = SETTING_INT,
     .at = &hz,
     .dflt = "10",
     .min = 1,
     .max = 500,
     .help = "How often a second the periodic work is done."},
    {.name = "active-expire-effort",
     .kind = SETTING_INT,
     .at = &expire_effort,
     .dflt = "1",
     .min = 1,
     .max = 10,
     .help = "How much time goes into deleting what has expired: a fortieth of a core for each."},
    {.name = "activerehashing",
     .kind = SETTING_BOOL,
     .at = &activerehashing,
     .dflt = "yes",
     .help = "Tables that grow are moved on while nothing happens, not only by the commands that use them."},
    {.name = "file-engine",
     .kind = SETTING_ENUM,
     .at = &file_engine,
     .dflt = "auto",
     .words = engines,
     .flags = SETTING_FIXED,
     .help = "How files are written: io_uring, thread, or auto (io_uring where the kernel has it)."},
};

void server_settings(void)
{
    SETTING_REGISTER(rows);
    users_settings();
    acl_log_settings();
    listen_settings();
    drain_settings();
    durable_settings();
    rooms_settings();
    defrag_settings();
    redis_settings();
    server_config_rewrite = config_rewrite;
}

/* ---- periodic work ---- */

/* Often and little: 25 % of a second at a time would be felt. A forked child shares our pages as long as nobody writes to
 * them, so nothing moves then. */
#define DEFRAG_MS 10
static struct timer *defrag_timer;

static void every_defrag(void *arg)
{
    if (!defrag_wanted(store, false))
        timer_stop(defrag_timer);
    else if (!child_stats.running && !debug_cron_paused)
        defrag_step(store, DEFRAG_MS * 1000);
}

static void every_second(void)
{
    listen_drop_idle();
    if (defrag_wanted(store, true))
        timer_start(defrag_timer, DEFRAG_MS, DEFRAG_MS);
}

static void every_tick(void *arg)
{
    static unsigned tick;
    if (debug_cron_paused)
        return;
    store_expire_cycle(store, expire_effort * 25000 / hz);
    if (activerehashing)
        store_rehash_cycle(store, 1000);
    evict_make_room(store, NULL); /* maxmemory may have been lowered */
    if (++tick % (unsigned)hz == 0)
        every_second();
    durable_tick();
    rooms_tick();
    stats_tick();
    stats_redis_tick();
}

static int make_room(struct err *err)
{
    return evict_make_room(store, err);
}

/* ---- stopping ---- */

static void stop_now(void)
{
    loop_stop(loop);
}

/* Asked again, it does not wait any more; nor where a script is in the middle of it. */
static void stop(void)
{
    bool first = !stopping;
    stopping = true;
    if (!first || script_running() || !drain_begin(loop, stop_now))
        stop_now();
}

static void on_stop_signal(void *arg, int signum)
{
    struct err err;
    log_warning("%s received: stopping", signum == SIGINT ? "SIGINT" : "SIGTERM");
    snapshot_stop();
    if (snapshot_wanted() && !stopping)
        snapshot_save(&err);
    stop();
}

static void on_hangup(void *arg, int signum)
{
    log_reopen();
    log_notice("SIGHUP received: log re-opened");
}

/* ---- starting ---- */

static void raise_descriptors(void)
{
    struct rlimit lim;
    rlim_t want = (rlim_t)listen_maxclients + 128 + 4096; /* clients, files, connections to model providers */
    rlim_t all = want + (rlim_t)api_descriptors();
    if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur >= all)
        return;
    lim.rlim_cur = lim.rlim_max < all ? lim.rlim_max : all;
    setrlimit(RLIMIT_NOFILE, &lim);
    if (lim.rlim_cur >= want && lim.rlim_cur < all)
        log_warning(
            "the limit on open files is %llu: there may be fewer HTTP connections than http-max-connections says",
            (unsigned long long)lim.rlim_cur);
    if (lim.rlim_cur < want) {
        listen_maxclients = (int64_t)lim.rlim_cur - 128;
        log_warning("maxclients is %lld: the limit on open files is %llu", (long long)listen_maxclients,
                    (unsigned long long)lim.rlim_cur);
    }
}

static int write_pidfile(struct err *err)
{
    if (!*pidfile)
        return 0;
    FILE *f = fopen(pidfile, "w");
    if (!f)
        return err_set(err, ERR_IO, "cannot write pidfile %s: %s", pidfile, strerror(errno));
    fprintf(f, "%d\n", (int)getpid());
    fclose(f);
    return 0;
}

static int open_process(struct err *err)
{
    int rc;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file over the limit is a failed write, not a death */
    if ((rc = log_open(logfile, err)) < 0)
        return rc;
    log_set_level((enum log_level)loglevel);
    if (daemonize && daemon(1, 0) < 0)
        return err_set(err, ERR_IO, "cannot go into the background: %s", strerror(errno));
    if (chdir(dir) < 0)
        return err_set(err, ERR_IO, "cannot use data directory %s: %s", dir, strerror(errno));
    raise_descriptors();
    return write_pidfile(err);
}

static int open_io(struct err *err)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int rc = loop_create(&loop, err);
    if (rc < 0)
        return rc;
    pool = job_pool_create(loop, workers ? (int)workers : cores < 2 ? 2 : (int)cores);
    read_batch_allow_uring(file_engine != FILE_THREAD);
    if ((rc = file_io_create(&files, loop, (enum file_engine)file_engine, err)) < 0)
        return rc;
    conns = conn_host_create(loop);
    return 0;
}

static void flush_conns(void *arg)
{
    conn_host_flush(conns);
}

static int open_all(struct err *err)
{
    static struct loop_hook flush = {.fn = flush_conns};
    int rc = open_process(err);
    if (rc == 0)
        rc = open_io(err);
    if (rc < 0)
        return rc;
    store = store_create((int)databases, NULL);
    lazyfree_boot(pool);
    dispatch_boot(store);
    clients_boot(store);
    table_boot();
    permission_boot();
    if ((rc = users_open(err)) < 0)
        return rc;
    dispatch_gates.shutdown = stop;
    dispatch_gates.memory = make_room;
    stats_boot(store, pool, files);
    stats_redis_boot();
    if ((rc = rooms_open(&(struct rooms){loop, pool, files, store}, err)) < 0)
        return rc;
    if ((rc = durable_open(loop, files, pool, ".", err)) < 0)
        return rc;
    if ((rc = rooms_loaded(err)) < 0)
        return rc;
    loop_before_sleep(loop, &flush); /* after the journal's hook */
    if ((rc = listen_open(loop, conns, err)) < 0)
        return rc;
    return rooms_serve(err);
}

static void close_all(void)
{
    drain_end();
    listen_close();
    rooms_stop();
    conn_host_flush(conns);
    durable_close();
    conn_host_destroy(conns);
    rooms_close();
    job_pool_destroy(pool);
    lazyfree_boot(NULL);
    file_io_destroy(files);
    if (*pidfile)
        unlink(pidfile);
}

int server_run(struct err *err)
{
    int rc = open_all(err);
    if (rc < 0)
        return rc;
    struct sigwatch *signals[] = {
        sigwatch_create(loop, SIGTERM, on_stop_signal, NULL),
        sigwatch_create(loop, SIGINT, on_stop_signal, NULL),
        sigwatch_create(loop, SIGHUP, on_hangup, NULL),
    };
    defrag_timer = timer_create_on(loop, every_defrag, NULL);
    struct timer *tick = timer_create_on(loop, every_tick, NULL);
    timer_start(tick, 1000 / (uint64_t)hz, 1000 / (uint64_t)hz);
    log_notice("Skald %s is ready to accept connections on port %d (pid %d, %d workers, files by %s)", SKALD_VERSION,
               listen_port(), (int)getpid(), job_pool_threads(pool), file_io_name(files));
    loop_run(loop);
    timer_close(tick);
    timer_close(defrag_timer);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigwatch_close(signals[i]);
    close_all();
    log_notice("Skald is stopped");
    return 0;
}
