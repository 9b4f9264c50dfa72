#include "cmd/durable.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/info.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/setting.h"
#include "cmd/dispatch.h"
#include "cmd/durable_wait.h"
#include "cmd/effects.h"
#include "cmd/snapshot.h"
#include "persist/dirlock.h"
#include "persist/journal.h"
#include "repl/feed.h"
#include "store/rdb.h"

#define MAX_REGISTRIES 16

static struct journal *journal;
static int lock = -1;
static struct file_io *files;
static struct job_pool *pool;
static struct loop *loop;
static char *data_dir;
static struct journal_hook on_advance;
static struct list held = {&held, &held}; /* struct client, by hold_link: replies that wait for the disk */
static int (*registries[MAX_REGISTRIES])(durable_write *write, void *to);
static int nregistries;
static void (*prepare_switch)(uint64_t lsn);
static void (*advanced)(void);
static void (*empty_sums)(void);

static bool appendonly, load_truncated, skip_refused, rdb_preamble;
static bool once; /* the journal is open only until its base is written: BGREWRITEAOF while it is off */
static uint64_t skipped; /* effects that the replay passed over */
static int64_t fsync_policy, auto_percent, auto_min;
static char *dirname, *filename;

uint64_t durable_lsn(void)
{
    return journal ? journal_lsn(journal) : 0;
}

uint64_t durable_synced_lsn(void)
{
    return journal ? journal_synced_lsn(journal) : 0;
}

uint64_t durable_released_lsn(void)
{
    return journal ? journal_released_lsn(journal) : UINT64_MAX;
}

bool durable_on(void)
{
    return journal && !once;
}

bool durable_whole(void)
{
    return skipped == 0;
}

bool durable_enabled(void)
{
    return journal || (appendonly && dispatch_store()->loading);
}

void durable_add_registry(int (*emit)(durable_write *write, void *to))
{
    if (nregistries < MAX_REGISTRIES)
        registries[nregistries++] = emit;
}

void durable_before_reload(void (*empty)(void))
{
    empty_sums = empty;
}

void durable_before_switch(void (*prepare)(uint64_t lsn))
{
    prepare_switch = prepare;
}

void durable_switch(bool ok)
{
    if (journal)
        journal_rewrite_go_on(journal, ok);
}

/* ---- replies wait for the disk ---- */

static void release(struct client *c)
{
    list_del(&c->hold_link);
    c->hold_lsn = c->hold_write_lsn = 0;
    conn_hold(c->conn, false);
}

struct durable_wait *durable_wait(bool wrote, durable_done *done, void *arg)
{
    effects_let_go();
    uint64_t lsn = durable_lsn();
    if (!journal || lsn <= journal_released_lsn(journal) || (!wrote && journal_failed(journal, NULL)))
        return NULL;
    return durable_wait_add(lsn, wrote, done, arg);
}

static void fail_waits(const char *why)
{
    struct err err;
    err_set(&err, ERR_IO, "what this has changed is not on disk yet: %s", why);
    durable_waits_end(UINT64_MAX, &err);
}

static void release_held(void *arg)
{
    uint64_t lsn = journal_released_lsn(journal);
    durable_waits_end(lsn, NULL);
    list_each_safe (node, &held) {
        struct client *c = list_entry(node, struct client, hold_link);
        if (c->hold_lsn <= lsn)
            release(c);
    }
    if (advanced)
        advanced();
}

void durable_on_advance(void (*fn)(void))
{
    advanced = fn;
}

/* The disk refuses, perhaps for long: who has only read goes on. */
static void release_reads(void)
{
    uint64_t lsn = journal_released_lsn(journal);
    list_each_safe (node, &held) {
        struct client *c = list_entry(node, struct client, hold_link);
        if (c->hold_write_lsn <= lsn)
            release(c);
    }
}

static void hold_replies(struct client *c, const struct cmd *cmd)
{
    static uint64_t seen;
    static uint64_t seen_offset;
    uint64_t lsn = durable_lsn(), before = seen;
    if (lsn != before)
        c->write_lsn = lsn;
    if (feed_offset() != seen_offset)
        c->write_offset = seen_offset = feed_offset();
    seen = lsn;
    if (!journal || !c->conn || lsn <= journal_released_lsn(journal))
        return;
    bool script = cmd->flags & CMD_NO_MANDATORY_KEYS; /* like EXEC, it does what the commands in it do */
    bool writes = cmd->flags & (CMD_WRITE | CMD_REGISTRY | CMD_MODEL) ||
                  (lsn != before && (script || strcmp(cmd->name, "exec") == 0));
    bool reads = (script || (cmd->flags & CMD_READONLY)) && !journal_failed(journal, NULL);
    if (!writes && !reads)
        return;
    if (!c->hold_lsn) {
        list_add_tail(&held, &c->hold_link);
        conn_hold(c->conn, true);
    }
    c->hold_lsn = lsn;
    if (writes)
        c->hold_write_lsn = lsn;
}

int durable_ready(struct err *err)
{
    struct err why;
    if (!journal || !journal_failed(journal, &why))
        return 0;
    return err_set(err, ERR_IO, "nothing can be kept: %s", why.msg);
}

static int disk_gate(struct err *err)
{
    struct err why;
    if (!journal || !journal_failed(journal, &why))
        return snapshot_gate(err);
    return err_set(err, ERR_GENERIC, "MISCONF Errors writing to the AOF file: %s", why.msg);
}

static void journal_sink(void *arg, int db, int argc, const struct slice *argv)
{
    if (journal)
        journal_append(journal, db, argc, argv);
}

/* ---- replay ---- */

static int apply(void *arg, int db, int argc, const struct slice *argv, uint64_t lsn, struct err *err)
{
    struct err why;
    if (dispatch_replay(db, argc, argv, lsn, &why) == 0)
        return 0;
    if (!skip_refused) /* the journal's own sentence names the file, the offset and the command */
        return err_set(err, ERR_IO, "%s; mend that, or start with --journal-skip-refused yes, which loses what it says",
                       why.msg);
    if (skipped++ < 5)
        log_warning("the effect %.*s before position %llu of the journal was passed over: %s",
                    (int)(argv[0].len < 32 ? argv[0].len : 32), argv[0].p, (unsigned long long)lsn, why.msg);
    return 0;
}

static struct journal_options options(void)
{
    return (struct journal_options){
        .dir = data_dir,
        .dirname = dirname,
        .filename = filename,
        .fsync = (enum journal_fsync)fsync_policy,
        .refuse_torn = !load_truncated,
        .auto_percent = (unsigned)auto_percent,
        .auto_min = (uint64_t)auto_min,
    };
}

static int replay(bool *found, struct err *err)
{
    struct journal_options o = options();
    struct journal_stats st;
    struct store *s = dispatch_store();
    int64_t t0 = clock_mono_ms();
    s->loading = true;
    int rc = journal_load(&o, apply, NULL, &st, err);
    s->loading = false;
    if (rc == 0 && st.found)
        log_notice("journal replayed: %llu commands, %llu bytes in %lld ms", (unsigned long long)st.commands,
                   (unsigned long long)st.bytes, (long long)(clock_mono_ms() - t0));
    if (skipped)
        log_warning("%llu effects of the journal were passed over; the first are named above",
                    (unsigned long long)skipped);
    *found = st.found;
    return rc;
}

/* There is no journal, or it is off: what a snapshot holds is the beginning, whoever wrote it. */
static int import(bool *found, struct err *err)
{
    int rc = snapshot_load(0, found, err);
    return *found ? rc : 0;
}

/* ---- opening, closing, rewriting ---- */

static int rewrite(struct err *err);

static int open_journal(bool fresh, struct err *err)
{
    struct journal_options o = options();
    int rc = journal_open(&journal, loop, files, pool, &o, fresh, err);
    effects_mute(journal_sink, journal == NULL);
    if (rc < 0)
        return rc;
    on_advance = (struct journal_hook){.fn = release_held};
    journal_on_advance(journal, &on_advance);
    return 0;
}

int durable_open(struct loop *l, struct file_io *f, struct job_pool *p, const char *dir, struct err *err)
{
    int rc;
    bool found, imported = false;
    loop = l;
    files = f;
    pool = p;
    data_dir = mem_strdup(dir);
    dispatch_gates.disk = disk_gate;
    dispatch_gates.after_write = hold_replies;
    effects_add_sink(journal_sink, NULL, false);
    effects_mute(journal_sink, true); /* until there is a journal */
    if (!appendonly)
        return import(&found, err);
    if ((rc = lock = dirlock_take(dir, err)) < 0)
        return rc;
    if ((rc = replay(&found, err)) < 0 || (!found && (rc = import(&imported, err)) < 0))
        return rc;
    if ((rc = open_journal(imported, err)) < 0)
        return rc;
    return imported ? rewrite(err) : 0; /* its base is what was imported */
}

static bool has_files(const struct store *s)
{
    for (int d = 0; d < s->ndbs; d++) {
        struct dict_iter it;
        struct obj *o;
        bool found = false;
        for (dict_iter_begin(&it, &s->dbs[d].keys); !found && (o = dict_iter_next(&it));)
            found = type_of(o)->unlinked != NULL;
        dict_iter_end(&it);
        if (found)
            return true;
    }
    return false;
}

/* Is there one on disk, made by BGREWRITEAOF or while it was on? */
static bool on_disk(void)
{
    struct buf path = {0};
    buf_addf(&path, "%s/%s/%s.manifest", data_dir, dirname, filename);
    bool there = access(buf_cstr(&path), R_OK) == 0;
    buf_release(&path);
    return there;
}

static void close_journal(void)
{
    journal_close(journal);
    journal_unhook(&on_advance);
    journal = NULL;
    effects_mute(journal_sink, true);
}

int durable_reload(struct err *err)
{
    struct store *s = dispatch_store();
    bool found, on = journal != NULL;
    int rc;
    if (!on && !on_disk())
        return err_set(err, ERR_STATE, "there is no journal; make one with BGREWRITEAOF or CONFIG SET appendonly yes");
    if (on && (!journal_has_base(journal) || journal_rewriting(journal)))
        return err_set(err, ERR_STATE, "the journal is being rewritten; wait until that is done");
    if (has_files(s))
        return err_set(err, ERR_STATE, "vector sets have files of their own; restart the server instead");
    if (on)
        close_journal();
    for (int d = 0; d < s->ndbs; d++)
        db_flush(&s->dbs[d]);
    if (empty_sums)
        empty_sums();
    if ((rc = replay(&found, err)) < 0)
        return rc;
    return on ? open_journal(false, err) : 0;
}

void durable_close(void)
{
    if (journal) {
        journal_close(journal);
        journal_unhook(&on_advance);
        fail_waits("the server stops");
        list_each_safe (node, &held) {
            struct client *c = list_entry(node, struct client, hold_link);
            list_del(&c->hold_link);
            conn_close(c->conn); /* what it was told may not be on disk: say nothing */
        }
        journal = NULL;
    }
    dirlock_release(lock);
    lock = -1;
    mem_free(data_dir);
    data_dir = NULL;
}

static int write_effect(void *to, int db, int argc, const struct slice *argv)
{
    return journal_write(to, db, argc, argv);
}

/* One key as a RESTORE command: the payload carries the type, whatever it is. */
static int write_key(struct journal_writer *w, struct db *db, struct obj *o, struct buf *payload)
{
    char ttl[NUM_I64_MAX];
    int64_t at = obj_expire(o);
    buf_clear(payload);
    rdb_dump(o, payload, true);
    struct slice argv[] = {SLICE("RESTORE"), obj_key(o), slice_of(ttl, num_from_i64(ttl, at < 0 ? 0 : at)),
                           buf_slice(payload), SLICE("ABSTTL")};
    return journal_write(w, db->id, 5, argv);
}

/* In the forked child: it has the keyspace as it was at the fork, and nothing else runs. */
static int emit_all(void *arg, struct journal_writer *w, struct err *err)
{
    struct store *s = dispatch_store();
    struct buf payload = {0};
    for (int i = 0; i < nregistries; i++)
        if (registries[i](write_effect, w) < 0)
            return err_set(err, ERR_IO, "cannot write the registries");
    for (int d = 0; d < s->ndbs; d++) {
        struct dict_iter it;
        struct obj *o;
        int rc = 0;
        for (dict_iter_begin(&it, &s->dbs[d].keys); rc == 0 && (o = dict_iter_next(&it));)
            rc = write_key(w, &s->dbs[d], o, &payload);
        dict_iter_end(&it);
        if (rc < 0)
            return err_set(err, ERR_IO, "cannot write the keys of database %d", d);
    }
    buf_release(&payload);
    return 0;
}

static void on_before_switch(void *arg, uint64_t lsn)
{
    if (prepare_switch)
        prepare_switch(lsn);
    else
        durable_switch(true);
}

static void on_rewritten(void *arg, int result, const struct err *err)
{
    if (result < 0)
        log_warning("journal compaction gave up: %s", err->msg);
    else
        log_notice("journal compaction is done");
}

static int rewrite(struct err *err)
{
    struct journal_rewrite r = {.emit = emit_all, .before_switch = on_before_switch, .done = on_rewritten};
    return journal_rewrite_start(journal, &r, err);
}

/* Takes the folder and starts a journal whose base is the keyspace of now; until that is written it does not count. */
static int begin_journal(struct err *err)
{
    int rc;
    if ((rc = lock = dirlock_take(data_dir, err)) < 0 || (rc = open_journal(true, err)) < 0)
        return rc;
    return rewrite(err);
}

static void end_journal(void)
{
    close_journal();
    dirlock_release(lock);
    lock = -1;
    durable_waits_end(UINT64_MAX, NULL);
    list_each_safe (node, &held) {
        release(list_entry(node, struct client, hold_link));
    }
}

int durable_rewrite(struct err *err)
{
    if (journal)
        return rewrite(err);
    int rc = begin_journal(err);
    once = rc == 0; /* as in Redis: files of the keyspace as it is, which nothing is appended to once they are written */
    return rc;
}

bool durable_rewriting(void)
{
    return journal && journal_rewriting(journal);
}

void durable_pause(bool on)
{
    if (journal)
        journal_pause(journal, on);
}

void durable_tick(void)
{
    struct err why;
    if (journal && journal_failed(journal, &why)) {
        release_reads();
        fail_waits(why.msg);
    }
    if (journal && once && !journal_rewriting(journal)) {
        once = false;
        end_journal();
    }
    if (journal && !journal_rewriting(journal) && (journal_wants_rewrite(journal) || !journal_has_base(journal)))
        rewrite(NULL);
}

/* ---- settings ---- */

static int apply_appendonly(struct err *err)
{
    once = false;
    if (appendonly && !journal)
        return begin_journal(err);
    if (!appendonly && journal)
        end_journal();
    return 0;
}

static int apply_policy(struct err *err)
{
    if (journal) {
        journal_set_fsync(journal, (enum journal_fsync)fsync_policy);
        journal_set_auto_rewrite(journal, (unsigned)auto_percent, (uint64_t)auto_min);
    }
    return 0;
}

static const struct setting_word fsync_words[] = {
    {"always", JOURNAL_ALWAYS}, {"everysec", JOURNAL_EVERYSEC}, {"no", JOURNAL_NO}, {NULL, 0}};

static const struct setting rows[] = {
    {.name = "appendonly",
     .kind = SETTING_BOOL,
     .at = &appendonly,
     .dflt = "no",
     .apply = apply_appendonly,
     .help = "Keep a journal of every change; without it nothing survives a restart."},
    {.name = "appendfsync",
     .kind = SETTING_ENUM,
     .at = &fsync_policy,
     .dflt = "everysec",
     .words = fsync_words,
     .apply = apply_policy,
     .help = "always: a reply leaves when its change is on disk; everysec: at most a second may be lost; no: the "
             "kernel decides."},
    {.name = "appenddirname",
     .kind = SETTING_STR,
     .at = &dirname,
     .dflt = "appendonlydir",
     .flags = SETTING_FIXED,
     .help = "Folder of the journal, inside dir."},
    {.name = "appendfilename",
     .kind = SETTING_STR,
     .at = &filename,
     .dflt = "appendonly.aof",
     .flags = SETTING_FIXED,
     .help = "First part of the names of the journal's files."},
    {.name = "auto-aof-rewrite-percentage",
     .kind = SETTING_INT,
     .at = &auto_percent,
     .dflt = "100",
     .max = 1000000,
     .apply = apply_policy,
     .help = "Compact the journal when it has grown by so many percent; 0: never by itself."},
    {.name = "auto-aof-rewrite-min-size",
     .kind = SETTING_BYTES,
     .at = &auto_min,
     .dflt = "67108864",
     .max = INT64_MAX,
     .apply = apply_policy,
     .help = "And only when it is at least so large."},
    {.name = "journal-skip-refused",
     .kind = SETTING_BOOL,
     .at = &skip_refused,
     .dflt = "no",
     .help = "Start although effects of the journal cannot be applied, without what they say. For rescue only."},
    {.name = "aof-use-rdb-preamble", .kind = SETTING_BOOL, .at = &rdb_preamble, .dflt = "no",
     .help = "Accepted because Redis's configurations have it; a compacted journal is written as commands either way."},
    {.name = "aof-load-truncated",
     .kind = SETTING_BOOL,
     .at = &load_truncated,
     .dflt = "yes",
     .help = "Cut a torn end of the journal with a warning; no: refuse to start."},
};

/* ---- INFO ---- */

static struct journal_info figures(void)
{
    struct journal_info i = {.last_rewrite_ok = true, .last_rewrite_ms = -1};
    if (journal)
        journal_get_info(journal, &i);
    return i;
}

#define NUM(name, expr)                                                                                                \
    static void name(struct buf *to)                                                                                   \
    {                                                                                                                  \
        struct journal_info i = figures();                                                                             \
        buf_addf(to, "%lld", (long long)(expr));                                                                       \
    }
NUM(enabled, ((void)i, journal != NULL))
NUM(rewriting, i.rewriting)
NUM(last_rewrite_sec, i.last_rewrite_ms < 0 ? -1 : i.last_rewrite_ms / 1000)
NUM(size, i.size)
NUM(base_size, i.base_size)
NUM(backlog, i.backlog)
NUM(syncs, i.syncs)
NUM(groups, i.groups)
NUM(lsn, i.lsn)
NUM(synced, i.synced)

static void replies_held(struct buf *to)
{
    size_t n = 0;
    list_each (node, &held)
        n++;
    buf_addf(to, "%zu", n);
}

static void answers_held(struct buf *to)
{
    buf_addf(to, "%zu", durable_waits());
}

static void rewrite_status(struct buf *to)
{
    buf_add_str(to, figures().last_rewrite_ok ? "ok" : "err");
}

static void write_status(struct buf *to)
{
    buf_add_str(to, figures().failed ? "err" : "ok");
}

static const struct info_row info[] = {
    {"Persistence", "aof_enabled", INFO_GAUGE, enabled, NULL, NULL},
    {"Persistence", "aof_rewrite_in_progress", INFO_GAUGE, rewriting, NULL, NULL},
    {"Persistence", "aof_last_rewrite_time_sec", INFO_TEXT, last_rewrite_sec, NULL, NULL},
    {"Persistence", "aof_last_bgrewrite_status", INFO_TEXT, rewrite_status, NULL, NULL},
    {"Persistence", "aof_last_write_status", INFO_TEXT, write_status, NULL, NULL},
    {"Persistence", "aof_current_size", INFO_GAUGE, size, "skald_journal_bytes", "Size of the journal's files"},
    {"Persistence", "aof_base_size", INFO_GAUGE, base_size, NULL, NULL},
    {"Persistence", "aof_buffer_length", INFO_GAUGE, backlog, "skald_journal_backlog_bytes",
     "Journal bytes in memory, not on disk yet"},
    {"Persistence", "journal_lsn", INFO_COUNTER, lsn, "skald_journal_lsn", "Bytes ever appended to the journal"},
    {"Persistence", "journal_synced_lsn", INFO_COUNTER, synced, NULL, NULL},
    {"Persistence", "journal_replies_held", INFO_GAUGE, replies_held, "skald_journal_replies_held",
     "Clients whose replies wait for the disk"},
    {"Persistence", "journal_answers_held", INFO_GAUGE, answers_held, "skald_journal_answers_held",
     "HTTP answers that wait for the disk"},
    {"Persistence", "journal_groups", INFO_COUNTER, groups, "skald_journal_groups_total", "Group commits"},
    {"Persistence", "journal_syncs", INFO_COUNTER, syncs, "skald_journal_syncs_total", "Journal syncs"},
};

void durable_settings(void)
{
    SETTING_REGISTER(rows);
    INFO_REGISTER(info);
}
