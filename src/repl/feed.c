/* See feed.h. One encoding of each effect is appended to every follower that is online, and to what waits behind a
 * snapshot for those that are not yet. */
#include "repl/feed.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/info.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "base/setting.h"
#include "repl/transfer.h"

static struct feed_setup setup;
static struct list followers = {&followers, &followers};
static void (*on_listen)(bool anybody);
static char id[FEED_ID_LEN + 1];
static uint64_t offset, full_syncs;
static int selected = -1; /* the database that the stream is in; -1: the next command selects */
static struct buf encoded;
static int64_t last_ping_ms;

static int64_t ping_period, timeout, diskless_delay, diskless_max, backlog_size, backlog_ttl;
static bool diskless, nodelay_off;

const char *feed_id(void)
{
    return id;
}

uint64_t feed_offset(void)
{
    return offset;
}

struct list *feed_followers(void)
{
    return &followers;
}

void feed_on_listen(void (*fn)(bool anybody))
{
    on_listen = fn;
}

/* ---- the stream ---- */

static void add_command(struct buf *to, int argc, const struct slice *argv)
{
    buf_addf(to, "*%d\r\n", argc);
    for (int i = 0; i < argc; i++) {
        buf_addf(to, "$%zu\r\n", argv[i].len);
        buf_add(to, argv[i].p, argv[i].len);
        buf_add(to, "\r\n", 2);
    }
}

static void close_over_limit(struct follower *f)
{
    int64_t limit = conn_limits.out_hard[CONN_REPLICA];
    if (limit == 0 || (int64_t)f->pending.len <= limit || conn_closing(f->conn))
        return;
    log_warning("a follower is %zu bytes behind while its snapshot is under way: it is closed", f->pending.len);
    conn_stats.out_limit_closed++;
    conn_close(f->conn);
}

static void give(struct follower *f, struct slice bytes)
{
    if (f->rdb_only)
        return;
    if (f->state == FOLLOWER_ONLINE && !f->wait_ack) {
        buf_add(conn_out(f->conn), bytes.p, bytes.len);
        conn_wrote(f->conn);
    } else {
        buf_add(&f->pending, bytes.p, bytes.len);
        close_over_limit(f);
    }
}

static void send_encoded(void)
{
    offset += encoded.len;
    list_each_safe (n, &followers)
        give(list_entry(n, struct follower, link), buf_slice(&encoded));
    buf_clear(&encoded);
    if (encoded.cap > 64 * 1024)
        buf_release(&encoded);
}

static void send_command(int argc, const struct slice *argv)
{
    add_command(&encoded, argc, argv);
    send_encoded();
}

void feed_effect(void *arg, int db, int argc, const struct slice *argv)
{
    char number[NUM_I64_MAX];
    if (list_empty(&followers))
        return;
    if (db != selected) {
        struct slice select[] = {SLICE("SELECT"), slice_of(number, num_from_i64(number, db))};
        add_command(&encoded, 2, select);
        selected = db;
    }
    send_command(argc, argv);
}

void feed_ask_acks(void)
{
    if (!list_empty(&followers))
        send_command(3, (struct slice[]){SLICE("REPLCONF"), SLICE("GETACK"), SLICE("*")});
}

/* ---- followers ---- */

struct follower *follower_create(struct conn *c)
{
    struct follower *f = mem_zero(sizeof *f);
    f->conn = c;
    list_init(&f->link);
    return f;
}

void follower_destroy(struct follower *f)
{
    if (!f)
        return;
    bool was_listed = !list_empty(&f->link);
    transfer_destroy(f->transfer);
    list_del(&f->link);
    buf_release(&f->pending);
    if (was_listed) {
        log_notice("a follower has gone");
        if (list_empty(&followers) && on_listen)
            on_listen(false);
    }
    mem_free(f);
}

int feed_start(struct follower *f, bool resync, struct err *err)
{
    bool first = list_empty(&followers);
    list_add_tail(&followers, &f->link);
    conn_set_class(f->conn, CONN_REPLICA);
    f->state = FOLLOWER_SNAPSHOT;
    f->old = !resync;
    f->wait_ack = false;
    if (first) {
        last_ping_ms = clock_mono_ms();
        if (on_listen)
            on_listen(true);
    }
    selected = -1;
    if (resync) {
        buf_addf(conn_out(f->conn), "+FULLRESYNC %s %llu\r\n", id, (unsigned long long)offset);
        conn_wrote(f->conn);
    }
    bool pipe = diskless && f->can_eof;
    int rc = transfer_start(f, pipe, &setup, offset, err);
    if (rc < 0)
        return rc; /* the caller closes the connection */
    f->wait_ack = pipe && !f->old; /* the mark must be the last thing that it reads */
    f->ack = offset;
    full_syncs++;
    log_notice("a follower asks for a full synchronisation: its snapshot is %s",
               pipe ? "sent as it is written" : "written to a file first");
    return 0;
}

static void start_stream(struct follower *f)
{
    if (f->pending.len) {
        buf_add(conn_out(f->conn), f->pending.p, f->pending.len);
        buf_release(&f->pending);
    }
    conn_wrote(f->conn);
}

void feed_online(struct follower *f)
{
    f->state = FOLLOWER_ONLINE;
    f->ack_ms = clock_mono_ms();
    if (!f->wait_ack)
        start_stream(f);
}

void follower_acked(struct follower *f, uint64_t at, uint64_t fsynced)
{
    if (f->state != FOLLOWER_ONLINE)
        return;
    f->ack_ms = clock_mono_ms();
    if (at > f->ack)
        f->ack = at;
    if (fsynced > f->fsync_ack)
        f->fsync_ack = fsynced;
    if (f->wait_ack) {
        f->wait_ack = false;
        start_stream(f);
    }
    if (setup.acknowledged)
        setup.acknowledged();
}

/* ---- counting ---- */

int feed_acked(uint64_t at)
{
    int n = 0;
    list_each (l, &followers) {
        struct follower *f = list_entry(l, struct follower, link);
        n += f->state == FOLLOWER_ONLINE && f->ack >= at;
    }
    return n;
}

int feed_fsynced(uint64_t at)
{
    int n = 0;
    list_each (l, &followers) {
        struct follower *f = list_entry(l, struct follower, link);
        n += f->state == FOLLOWER_ONLINE && f->fsync_ack >= at;
    }
    return n;
}

static int64_t lag_s(const struct follower *f)
{
    return (clock_mono_ms() - f->ack_ms) / 1000;
}

int feed_good(int64_t max_lag_s)
{
    int n = 0;
    list_each (l, &followers) {
        struct follower *f = list_entry(l, struct follower, link);
        n += f->state == FOLLOWER_ONLINE && (max_lag_s == 0 || lag_s(f) <= max_lag_s);
    }
    return n;
}

/* ---- time ---- */

static void drop_silent(struct follower *f)
{
    if (f->state != FOLLOWER_ONLINE || f->old || conn_closing(f->conn) || lag_s(f) <= timeout)
        return;
    log_warning("a follower has said nothing for %lld seconds: it is closed", (long long)timeout);
    conn_close(f->conn);
}

void feed_tick(void)
{
    static int64_t last_ms;
    int64_t now = clock_mono_ms();
    if (list_empty(&followers) || now - last_ms < 1000)
        return;
    last_ms = now;
    if (now - last_ping_ms >= ping_period * 1000) {
        last_ping_ms = now;
        send_command(1, (struct slice[]){SLICE("PING")});
    }
    list_each_safe (n, &followers) {
        struct follower *f = list_entry(n, struct follower, link);
        if (f->state == FOLLOWER_SNAPSHOT) { /* before the snapshot's head a newline says that we are alive */
            buf_add_char(conn_out(f->conn), '\n');
            conn_wrote(f->conn);
        }
        drop_silent(f);
    }
}

/* ---- settings, INFO ---- */

static const struct setting rows[] = {
    {.name = "repl-ping-replica-period", .kind = SETTING_INT, .at = &ping_period, .dflt = "10", .min = 1,
     .max = INT32_MAX, .help = "Seconds between the PINGs that followers get."},
    {.name = "repl-timeout", .kind = SETTING_INT, .at = &timeout, .dflt = "60", .min = 1, .max = INT32_MAX,
     .help = "A follower that has said nothing for so many seconds is disconnected."},
    {.name = "repl-diskless-sync", .kind = SETTING_BOOL, .at = &diskless, .dflt = "yes",
     .help = "Send a snapshot as it is written to followers that can read that; no: write it to a file first."},
    {.name = "repl-diskless-sync-delay", .kind = SETTING_INT, .at = &diskless_delay, .dflt = "5", .max = INT32_MAX,
     .help = "Accepted because Redis's configurations have it; every follower gets a snapshot of its own, at once."},
    {.name = "repl-diskless-sync-max-replicas", .kind = SETTING_INT, .at = &diskless_max, .dflt = "0",
     .max = INT32_MAX, .help = "Accepted because Redis's configurations have it; see repl-diskless-sync-delay."},
    {.name = "repl-backlog-size", .kind = SETTING_BYTES, .at = &backlog_size, .dflt = "1mb", .min = 1,
     .max = INT64_MAX, .help = "Accepted because Redis's configurations have it; a follower that comes back starts anew."},
    {.name = "repl-backlog-ttl", .kind = SETTING_INT, .at = &backlog_ttl, .dflt = "3600", .max = INT32_MAX,
     .help = "Accepted because Redis's configurations have it; see repl-backlog-size."},
    {.name = "repl-disable-tcp-nodelay", .kind = SETTING_BOOL, .at = &nodelay_off, .dflt = "no",
     .help = "Accepted because Redis's configurations have it; what a turn of the loop gathers is sent at once."},
};

static void info_followers(struct buf *to)
{
    size_t n = 0;
    list_each (l, &followers)
        n++;
    buf_addf(to, "%zu", n);
}

static void info_id(struct buf *to)
{
    buf_add_str(to, id);
}

static void info_no_id(struct buf *to)
{
    buf_addf(to, "%0*d", FEED_ID_LEN, 0);
}

static void info_offset(struct buf *to)
{
    buf_addf(to, "%llu", (unsigned long long)offset);
}

static void info_failover(struct buf *to)
{
    buf_add_str(to, "no-failover");
}

static void info_zero(struct buf *to)
{
    buf_add_char(to, '0');
}

static void info_minus_one(struct buf *to)
{
    buf_add_str(to, "-1");
}

static void info_full(struct buf *to)
{
    buf_addf(to, "%llu", (unsigned long long)full_syncs);
}

static void info_backlog_size(struct buf *to)
{
    buf_addf(to, "%lld", (long long)backlog_size);
}

static void info_lines(struct buf *to)
{
    static const char *const states[] = {"wait_bgsave", "wait_bgsave", "send_bulk", "online"};
    int i = 0;
    list_each (l, &followers) {
        struct follower *f = list_entry(l, struct follower, link);
        char addr[128];
        sock_name(conn_sock(f->conn), 0, addr, sizeof addr);
        char *colon = strrchr(addr, ':');
        if (colon)
            *colon = 0;
        buf_addf(to, "slave%d:ip=%s,port=%d,state=%s,offset=%llu,lag=%lld\r\n", i++, f->ip[0] ? f->ip : addr, f->port,
                 states[f->state], (unsigned long long)f->ack,
                 (long long)(f->state == FOLLOWER_ONLINE ? lag_s(f) : 0));
    }
}

static const struct info_row info[] = {
    {"Replication", "connected_slaves", INFO_GAUGE, info_followers, "skald_followers", "Followers"},
    {"Replication", "master_failover_state", INFO_TEXT, info_failover, NULL, NULL},
    {"Replication", "master_replid", INFO_TEXT, info_id, NULL, NULL},
    {"Replication", "master_replid2", INFO_TEXT, info_no_id, NULL, NULL},
    {"Replication", "master_repl_offset", INFO_COUNTER, info_offset, "skald_stream_offset", "Bytes of the stream"},
    {"Replication", "second_repl_offset", INFO_TEXT, info_minus_one, NULL, NULL},
    {"Replication", "repl_backlog_active", INFO_TEXT, info_zero, NULL, NULL},
    {"Replication", "repl_backlog_size", INFO_TEXT, info_backlog_size, NULL, NULL},
    {"Replication", "repl_backlog_first_byte_offset", INFO_TEXT, info_zero, NULL, NULL},
    {"Replication", "repl_backlog_histlen", INFO_TEXT, info_zero, NULL, NULL},
    {"Stats", "sync_full", INFO_COUNTER, info_full, "skald_full_syncs_total", "Snapshots sent to followers"},
    {"Stats", "sync_partial_ok", INFO_TEXT, info_zero, NULL, NULL},
    {"Stats", "sync_partial_err", INFO_TEXT, info_zero, NULL, NULL},
};

void feed_settings(void)
{
    SETTING_REGISTER(rows);
    INFO_REGISTER(info);
    info_register_lines("Replication", info_lines, 1);
}

void feed_boot(const struct feed_setup *s)
{
    uint8_t raw[FEED_ID_LEN / 2];
    setup = *s;
    rng_secure(raw, sizeof raw);
    for (size_t i = 0; i < sizeof raw; i++)
        snprintf(id + 2 * i, 3, "%02x", raw[i]);
}
