/* See replication.h. A call that waits is looked at again when a follower has acknowledged something, when the journal has
 * reached the disk, and when its time is over. */
#include "cmd/replication.h"

#include "base/info.h"
#include "base/mem.h"
#include "base/setting.h"
#include "cmd/client.h"
#include "cmd/dispatch.h"
#include "cmd/durable.h"
#include "cmd/effects.h"
#include "cmd/peer.h"
#include "cmd/snapshot.h"
#include "repl/feed.h"

struct waiting {
    struct list link;
    struct call *call;
    struct timer *timer;
    bool aof;
    int64_t local, followers;
    uint64_t offset, lsn;
};

static struct loop *loop;
static struct list waiters = {&waiters, &waiters};
static int64_t min_followers, max_lag;
static bool serve_stale;
static char *leader_password, *leader_user;

/* ---- WAIT, WAITAOF ---- */

static int local_of(const struct waiting *w)
{
    return durable_on() && durable_synced_lsn() >= w->lsn;
}

static int followers_of(const struct waiting *w)
{
    return w->aof ? feed_fsynced(w->offset) : feed_acked(w->offset);
}

static bool enough(const struct waiting *w)
{
    return followers_of(w) >= w->followers && (!w->aof || local_of(w) >= w->local);
}

static void answer(const struct waiting *w, struct reply *r)
{
    if (w->aof) {
        reply_array(r, 2);
        reply_int(r, local_of(w));
    }
    reply_int(r, followers_of(w));
}

static void end_wait(struct waiting *w)
{
    struct call *call = w->call;
    answer(w, call->reply);
    list_del(&w->link);
    timer_close(w->timer);
    mem_free(w);
    call_resume(call);
}

static void on_time(void *arg)
{
    end_wait(arg);
}

static void on_cancel(struct call *c, void *arg)
{
    end_wait(arg);
}

static void look_again(void)
{
    list_each_safe (n, &waiters) {
        struct waiting *w = list_entry(n, struct waiting, link);
        if (enough(w))
            end_wait(w);
    }
}

void replication_wait(struct call *c, bool aof, int64_t local, int64_t followers, int64_t timeout_ms)
{
    struct waiting now = {.aof = aof,
                          .local = local,
                          .followers = followers,
                          .offset = c->client->write_offset,
                          .lsn = c->client->write_lsn};
    if (enough(&now) || (c->flags & CALL_ATOMIC)) {
        answer(&now, c->reply);
        return;
    }
    struct waiting *w = mem_zero(sizeof *w);
    *w = now;
    list_add_tail(&waiters, &w->link);
    w->timer = timer_create_on(loop, on_time, w);
    if (timeout_ms > 0)
        timer_start(w->timer, (uint64_t)timeout_ms, 0);
    w->call = call_park(c, on_cancel, w);
    feed_ask_acks();
}

struct timer *replication_timer(void (*fn)(void *arg), void *arg)
{
    return timer_create_on(loop, fn, arg);
}

/* ---- the room ---- */

static int enough_followers(struct err *err)
{
    if (min_followers == 0 || max_lag == 0 || feed_good(max_lag) >= min_followers)
        return 0;
    return err_set(err, ERR_GENERIC, "NOREPLICAS Not enough good replicas to write.");
}

static void listen(bool anybody)
{
    effects_mute(feed_effect, !anybody);
}

void replication_boot(struct loop *l, struct file_io *files)
{
    loop = l;
    peers_boot(l);
    feed_boot(&(struct feed_setup){.loop = l,
                                   .files = files,
                                   .store = dispatch_store(),
                                   .options = snapshot_options,
                                   .acknowledged = look_again});
    effects_add_sink(feed_effect, NULL, true);
    effects_mute(feed_effect, true);
    feed_on_listen(listen);
    durable_on_advance(look_again);
    dispatch_gates.followers = enough_followers;
}

void replication_tick(void)
{
    feed_tick();
    peers_tick();
}

void replication_stop(void)
{
    peers_close();
}

void replication_close(void)
{
    list_each_safe (n, &waiters)
        end_wait(list_entry(n, struct waiting, link));
}

/* ---- settings ---- */

static const struct setting rows[] = {
    {.name = "min-replicas-to-write", .kind = SETTING_INT, .at = &min_followers, .dflt = "0", .max = INT32_MAX,
     .help = "Refuse writes while fewer followers than this are connected; 0: never."},
    {.name = "min-replicas-max-lag", .kind = SETTING_INT, .at = &max_lag, .dflt = "10", .max = INT32_MAX,
     .help = "A follower counts when it was heard of within so many seconds; 0 turns min-replicas-to-write off."},
    {.name = "min-slaves-to-write", .kind = SETTING_INT, .at = &min_followers, .dflt = "0", .max = INT32_MAX,
     .flags = SETTING_HIDDEN | SETTING_ALIAS},
    {.name = "min-slaves-max-lag", .kind = SETTING_INT, .at = &max_lag, .dflt = "10", .max = INT32_MAX,
     .flags = SETTING_HIDDEN | SETTING_ALIAS},
    {.name = "masterauth", .kind = SETTING_STR, .at = &leader_password, .dflt = "", .flags = SETTING_SECRET,
     .help = "Accepted because Redis's configurations have it; this server follows nobody."},
    {.name = "masteruser", .kind = SETTING_STR, .at = &leader_user, .dflt = "",
     .help = "Accepted because Redis's configurations have it; this server follows nobody."},
    {.name = "replica-serve-stale-data", .kind = SETTING_BOOL, .at = &serve_stale, .dflt = "yes",
     .help = "Accepted because Redis's configurations have it; this server follows nobody."},
};

static void info_peers(struct buf *to)
{
    buf_addf(to, "%d", peers_count());
}

static const struct info_row info[] = {
    {"Stats", "migrate_cached_sockets", INFO_GAUGE, info_peers, NULL, NULL},
};

void replication_settings(void)
{
    SETTING_REGISTER(rows);
    INFO_REGISTER(info);
    feed_settings();
}
