/* See snapshot.h. The file is written under a temporary name, synced, and renamed: there is always a whole one. In the
 * background all of that is the child's work; the loop only hears of the end. */
#include "cmd/snapshot.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/info.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/setting.h"
#include "cmd/dispatch.h"
#include "cmd/durable.h"
#include "cmd/effects.h"
#include "cmd/script.h"
#include "io/file.h"
#include "persist/child.h"
#include "store/access.h"
#include "store/rdb.h"

#define MAX_POINTS  16
#define RETRY_MS    5000
#define TEMP_SIZE   64
#define NAME_MAX_FS 200

struct point {
    int64_t seconds, changes;
};

static char *filename;
static bool compress, checksum, stop_writes;
static int64_t key_delay, load_delay;
static struct point points[MAX_POINTS];
static int npoints;

static struct loop *loop;
static const char *version;
static struct rdb_file_stats *written; /* shared with the child: what it wrote */
static struct child *child;
static char temp[TEMP_SIZE]; /* of the child */
static const struct snapshot_functions *functions;
static bool scheduled, last_ok = true;
static int64_t last_s, last_took_ms = -1, started_ms, tried_ms;
static uint64_t dirty_base, dirty_at_start, saves, loaded_keys, loaded_expired;

void snapshot_set_functions(const struct snapshot_functions *f)
{
    functions = f;
}

void snapshot_options(struct rdb_write *o)
{
    o->version = version;
    o->compress = compress;
    o->plain = !checksum;
    o->key_delay_us = key_delay;
    o->functions = functions ? functions->emit : NULL;
}

/* ---- writing ---- */

struct target {
    int fd;
    struct child *child; /* NULL: no child */
};

static int write_to_fd(void *arg, const void *p, size_t n, struct err *err)
{
    return file_write_all(((struct target *)arg)->fd, p, n, err);
}

static void tell_progress(void *arg, uint64_t bytes)
{
    struct target *t = arg;
    if (t->child)
        child_report(t->child, bytes);
}

static int make_temp(const char *name, struct err *err)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return fd >= 0 ? fd : err_set(err, ERR_IO, "cannot create %s: %s", name, strerror(errno));
}

/* Writes, syncs, renames. In the child, or on the loop for SAVE. */
static int write_file(int fd, const char *name, struct child *c, struct err *err)
{
    struct target t = {fd, c};
    struct rdb_write o = {.sink = write_to_fd, .progress = tell_progress, .arg = &t};
    snapshot_options(&o);
    int rc = rdb_file_write(dispatch_store(), &o, written, err);
    if (rc == 0 && fsync(fd) < 0)
        rc = err_set(err, ERR_IO, "cannot sync %s: %s", name, strerror(errno));
    if (rc == 0 && rename(name, filename) < 0)
        rc = err_set(err, ERR_IO, "cannot rename %s to %s: %s", name, filename, strerror(errno));
    if (rc == 0)
        rc = file_sync_dir(filename, err);
    return rc;
}

static void saved(uint64_t dirty, int64_t began_ms)
{
    log_notice("%llu keys were saved in %s", (unsigned long long)written->keys, filename);
    if (written->left_out)
        log_notice("%llu keys of types that Redis does not have are not in %s; the journal holds them",
                   (unsigned long long)written->left_out, filename);
    dirty_base = dirty;
    last_s = clock_wall_ms() / 1000;
    last_took_ms = clock_mono_ms() - began_ms;
    last_ok = true;
    saves++;
}

int snapshot_save(struct err *err)
{
    char name[TEMP_SIZE];
    int64_t began = clock_mono_ms();
    if (child)
        return err_set(err, ERR_STATE, "Background save already in progress");
    snprintf(name, sizeof name, "temp-%d.rdb", (int)getpid());
    int fd = make_temp(name, err);
    if (fd < 0)
        return fd;
    int rc = write_file(fd, name, NULL, err);
    close(fd);
    if (rc < 0) {
        unlink(name);
        log_warning("the snapshot failed: %s", err->msg);
        return rc;
    }
    saved(dispatch_store()->dirty, began);
    return 0;
}

static int run_child(void *arg, int fd, struct child *c, struct err *err)
{
    return write_file(fd, temp, c, err);
}

static void child_ended(void *arg, int result, const struct err *err)
{
    child = NULL;
    if (result == 0) {
        saved(dirty_at_start, started_ms);
        return;
    }
    last_ok = false;
    last_took_ms = clock_mono_ms() - started_ms;
    unlink(temp);
    log_warning("background saving failed: %s", err->msg);
}

int snapshot_start(struct err *err)
{
    static const struct child_ops ops = {.run = run_child, .ended = child_ended};
    if (child)
        return err_set(err, ERR_STATE, "Background save already in progress");
    tried_ms = started_ms = clock_mono_ms();
    dirty_at_start = dispatch_store()->dirty;
    scheduled = false;
    snprintf(temp, sizeof temp, "temp-bg-%d.rdb", (int)getpid());
    int fd = make_temp(temp, err);
    int rc = fd < 0 ? fd : child_start(&child, loop, &ops, NULL, fd, err);
    if (fd >= 0)
        close(fd);
    if (rc < 0) {
        last_ok = false;
        unlink(temp);
        log_warning("background saving cannot start: %s", err->msg);
    }
    return rc;
}

void snapshot_schedule(void)
{
    scheduled = true;
}

bool snapshot_running(void)
{
    return child != NULL;
}

bool snapshot_wanted(void)
{
    return npoints > 0 && !script_running(); /* which has done half of what it does */
}

int64_t snapshot_last_s(void)
{
    return last_s;
}

void snapshot_stop(void)
{
    if (!child)
        return;
    child_kill(child);
    child = NULL;
    unlink(temp);
}

void snapshot_flushed(void)
{
    struct err err;
    if (child) {
        snapshot_stop();
        log_notice("background saving was given up: the keyspace was emptied");
    }
    if (npoints)
        snapshot_save(&err);
}

static bool point_reached(void)
{
    uint64_t changes = dispatch_store()->dirty - dirty_base;
    int64_t since = clock_wall_ms() / 1000 - last_s;
    if (!last_ok && clock_mono_ms() - tried_ms < RETRY_MS)
        return false;
    for (int i = 0; i < npoints; i++)
        if (changes >= (uint64_t)points[i].changes && since > points[i].seconds)
            return true;
    return false;
}

void snapshot_tick(void)
{
    struct err err;
    if (!child && !durable_rewriting() && (scheduled || point_reached()))
        snapshot_start(&err);
}

int snapshot_gate(struct err *err)
{
    if (last_ok || !stop_writes || npoints == 0)
        return 0;
    return err_set(err, ERR_GENERIC,
                   "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
                   "Commands that may modify the data set are disabled, because this instance is configured to report "
                   "errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check "
                   "the Redis logs for details about the RDB error.");
}

/* ---- reading ---- */

struct loading {
    struct store *store;
    unsigned flags;
    int64_t now_ms;
    uint64_t keys, expired;
    struct buf payload;
};

/* The loaded key as an effect: a RESTORE, whatever its type. */
static void state_key(struct loading *l, int db, struct obj *o)
{
    char ttl[NUM_I64_MAX];
    int64_t at = obj_expire(o);
    buf_clear(&l->payload);
    rdb_dump(o, &l->payload, false);
    effects_add(db, 6,
                (struct slice[]){SLICE("RESTORE"), obj_key(o), slice_of(ttl, num_from_i64(ttl, at < 0 ? 0 : at)),
                                 buf_slice(&l->payload), SLICE("REPLACE"), SLICE("ABSTTL")});
}

static int load_key(void *arg, const struct rdb_key *k, struct value *v, struct err *err)
{
    struct loading *l = arg;
    struct db *db = k->db < l->store->ndbs ? &l->store->dbs[k->db] : NULL;
    bool gone = k->expire_ms >= 0 && k->expire_ms <= l->now_ms;
    if (load_delay)
        usleep((useconds_t)load_delay);
    if (!db || gone) {
        value_release(v);
        l->expired += gone;
        return db ? 0 : err_set(err, ERR_INVALID, "it has keys in database %d; raise `databases`", k->db);
    }
    if (db_peek(db, k->name)) {
        if (!(l->flags & SNAPSHOT_MERGE)) {
            value_release(v);
            return err_set(err, ERR_BUSYKEY, "the key %.*s is there already",
                           (int)(k->name.len < 64 ? k->name.len : 64), k->name.p);
        }
        db_delete(db, k->name);
    }
    struct obj *o = db_add(db, k->name, *v);
    if (k->expire_ms >= 0)
        o = db_set_expire(db, o, k->expire_ms);
    if (k->idle_s >= 0)
        access_set_idle(o, k->idle_s);
    if (k->lfu >= 0)
        access_set_freq(o, (uint8_t)k->lfu);
    if (l->flags & SNAPSHOT_EFFECTS)
        state_key(l, k->db, o);
    l->keys++;
    return 0;
}

static int load_function(void *arg, struct slice code, struct err *err)
{
    struct loading *l = arg;
    if (!functions)
        return err_set(err, ERR_STATE, "it holds function libraries, which this server does not run");
    return functions->load(code, l->flags & SNAPSHOT_MERGE, err);
}

static int load(struct slice bytes, const char *path, unsigned flags, bool *found, struct err *err)
{
    struct loading l = {.store = dispatch_store(), .flags = flags, .now_ms = clock_wall_ms()};
    struct rdb_read o = {.key = load_key, .function = load_function, .arg = &l};
    int64_t began = clock_mono_ms();
    bool before = l.store->loading;
    l.store->loading = true;
    int rc = path ? rdb_file_read(path, &o, found, err) : rdb_file_parse(bytes, &o, NULL, err);
    l.store->loading = before;
    buf_release(&l.payload);
    loaded_keys = l.keys;
    loaded_expired = l.expired;
    if (rc == 0)
        log_notice("%s: %llu keys loaded, %llu had expired, in %lld ms", path ? path : "snapshot",
                   (unsigned long long)l.keys, (unsigned long long)l.expired, (long long)(clock_mono_ms() - began));
    return rc;
}

int snapshot_load(unsigned flags, bool *found, struct err *err)
{
    int rc = load(SLICE(""), filename, flags, found, err);
    if (rc == 0)
        dirty_base = dispatch_store()->dirty;
    return rc;
}

int snapshot_load_bytes(struct slice bytes, unsigned flags, struct err *err)
{
    return load(bytes, NULL, flags, NULL, err);
}

/* ---- emptying ---- */

static bool only_redis(struct db *db)
{
    struct dict_iter it;
    struct obj *o;
    bool only = true;
    for (dict_iter_begin(&it, &db->keys); only && (o = dict_iter_next(&it));)
        only = type_of(o)->rdb_module == 0;
    dict_iter_end(&it);
    return only;
}

static void clear_some(struct db *db, bool effects)
{
    struct dict_iter it;
    struct obj *o;
    struct buf names = {0};
    size_t n = 0;
    for (dict_iter_begin(&it, &db->keys); (o = dict_iter_next(&it));) {
        struct slice key = obj_key(o);
        if (type_of(o)->rdb_module)
            continue;
        buf_add(&names, &key.len, sizeof key.len);
        buf_add(&names, key.p, key.len);
        n++;
    }
    dict_iter_end(&it);
    for (const char *p = names.p; n > 0; n--) {
        size_t len;
        memcpy(&len, p, sizeof len);
        struct slice key = slice_of(p + sizeof len, len);
        db_delete(db, key);
        if (effects)
            effects_add(db->id, 2, (struct slice[]){SLICE("DEL"), key});
        p += sizeof len + len;
    }
    buf_release(&names);
}

void snapshot_clear(bool effects)
{
    struct store *s = dispatch_store();
    for (int d = 0; d < s->ndbs; d++) {
        struct db *db = &s->dbs[d];
        if (dict_count(&db->keys) == 0)
            continue;
        bool all = only_redis(db);
        if (all && effects)
            effects_add(d, 1, (struct slice[]){SLICE("FLUSHDB")});
        if (all)
            db_flush(db);
        else
            clear_some(db, effects);
    }
    if (functions)
        functions->clear();
}

/* ---- settings ---- */

static struct slice next_word(struct slice *text)
{
    size_t i = 0;
    while (i < text->len && (text->p[i] == ' ' || text->p[i] == '\t'))
        i++;
    size_t start = i;
    while (i < text->len && text->p[i] != ' ' && text->p[i] != '\t')
        i++;
    struct slice word = slice_of(text->p + start, i - start);
    *text = slice_of(text->p + i, text->len - i);
    return word;
}

/* Pairs of seconds and changes. Lines of a configuration file add up, as in Redis; CONFIG SET replaces. */
static int set_save(const struct setting *s, struct slice value, struct err *err)
{
    struct point fresh[MAX_POINTS];
    int n = 0;
    bool empty = true;
    for (struct slice first; (first = next_word(&value)).len;) {
        struct slice second = next_word(&value);
        empty = false;
        if (n == MAX_POINTS)
            return err_set(err, ERR_INVALID, "save: at most %d points", MAX_POINTS);
        if (!num_to_i64(first, &fresh[n].seconds) || !num_to_i64(second, &fresh[n].changes) || fresh[n].seconds < 1 ||
            fresh[n].changes < 0)
            return err_set(err, ERR_INVALID, "save: Invalid save parameters");
        n++;
    }
    bool add = !loop && !empty;
    if (add && npoints + n > MAX_POINTS)
        return err_set(err, ERR_INVALID, "save: at most %d points", MAX_POINTS);
    npoints = add ? npoints : 0;
    memcpy(points + npoints, fresh, (size_t)n * sizeof *fresh);
    npoints += n;
    return 0;
}

static void print_save(const struct setting *s, struct buf *to)
{
    for (int i = 0; i < npoints; i++)
        buf_addf(to, "%s%lld %lld", i ? " " : "", (long long)points[i].seconds, (long long)points[i].changes);
}

static int set_filename(const struct setting *s, struct slice value, struct err *err)
{
    if (value.len == 0 || value.len > NAME_MAX_FS || memchr(value.p, '/', value.len) || memchr(value.p, 0, value.len))
        return err_set(err, ERR_INVALID, "dbfilename: dbfilename can't be a path, just a filename");
    char *fresh = mem_alloc(value.len + 1);
    memcpy(fresh, value.p, value.len);
    fresh[value.len] = 0;
    mem_free(filename);
    filename = fresh;
    return 0;
}

static void print_filename(const struct setting *s, struct buf *to)
{
    buf_add_str(to, filename);
}

static const struct setting rows[] = {
    {.name = "save",
     .kind = SETTING_CALL,
     .dflt = "",
     .set = set_save,
     .get = print_save,
     .help = "When to save a snapshot: pairs of seconds and changes, \"3600 1 300 100\"; empty: only when asked. With the "
             "journal on it is an export, without it what a restart finds."},
    {.name = "dbfilename",
     .kind = SETTING_CALL,
     .dflt = "dump.rdb",
     .set = set_filename,
     .get = print_filename,
     .help = "Name of the snapshot's file in dir."},
    {.name = "rdbcompression", .kind = SETTING_BOOL, .at = &compress, .dflt = "yes",
     .help = "Pack longer strings of a snapshot."},
    {.name = "rdbchecksum", .kind = SETTING_BOOL, .at = &checksum, .dflt = "yes", .flags = SETTING_FIXED,
     .help = "End a snapshot with a checksum."},
    {.name = "stop-writes-on-bgsave-error", .kind = SETTING_BOOL, .at = &stop_writes, .dflt = "yes",
     .help = "Refuse writes while there are save points and the last snapshot failed."},
    {.name = "rdb-key-save-delay", .kind = SETTING_INT, .at = &key_delay, .dflt = "0", .max = INT32_MAX,
     .help = "Microseconds to sleep after each key of a snapshot; for tests."},
    {.name = "key-load-delay", .kind = SETTING_INT, .at = &load_delay, .dflt = "0", .max = 999999,
     .flags = SETTING_HIDDEN, .help = "Microseconds to sleep before each key that is loaded; for tests."},
};

/* ---- INFO ---- */

#define NUM(name, expr)                                                                                                \
    static void name(struct buf *to)                                                                                   \
    {                                                                                                                  \
        buf_addf(to, "%lld", (long long)(expr));                                                                       \
    }
NUM(info_changes, dispatch_store()->dirty - dirty_base)
NUM(info_all_changes, dispatch_store()->dirty)
NUM(info_running, child != NULL)
NUM(info_last, last_s)
NUM(info_last_sec, last_took_ms < 0 ? -1 : last_took_ms / 1000)
NUM(info_current_sec, child ? (clock_mono_ms() - started_ms) / 1000 : -1)
NUM(info_saves, saves)
NUM(info_zero, 0)
NUM(info_loaded, loaded_keys)
NUM(info_expired, loaded_expired)

static void info_status(struct buf *to)
{
    buf_add_str(to, last_ok ? "ok" : "err");
}

static const struct info_row info[] = {
    {"Persistence", "rdb_changes_since_last_save", INFO_TEXT, info_changes, NULL, NULL},
    {"Persistence", "keyspace_changes", INFO_COUNTER, info_all_changes, "skald_changes_total", "Changes of keys"},
    {"Persistence", "rdb_bgsave_in_progress", INFO_GAUGE, info_running, "skald_snapshot_running",
     "1 while a snapshot is written"},
    {"Persistence", "rdb_last_save_time", INFO_GAUGE, info_last, "skald_snapshot_last_seconds",
     "When the last snapshot was made, Unix time"},
    {"Persistence", "rdb_last_bgsave_status", INFO_TEXT, info_status, NULL, NULL},
    {"Persistence", "rdb_last_bgsave_time_sec", INFO_TEXT, info_last_sec, NULL, NULL},
    {"Persistence", "rdb_current_bgsave_time_sec", INFO_TEXT, info_current_sec, NULL, NULL},
    {"Persistence", "rdb_saves", INFO_COUNTER, info_saves, "skald_snapshots_total", "Snapshots made"},
    {"Persistence", "rdb_last_cow_size", INFO_TEXT, info_zero, NULL, NULL},
    {"Persistence", "rdb_last_load_keys_expired", INFO_TEXT, info_expired, NULL, NULL},
    {"Persistence", "rdb_last_load_keys_loaded", INFO_TEXT, info_loaded, NULL, NULL},
};

void snapshot_settings(void)
{
    SETTING_REGISTER(rows);
    INFO_REGISTER(info);
}

void snapshot_boot(struct loop *l, const char *redis_version)
{
    loop = l;
    version = redis_version;
    written = mmap(NULL, sizeof *written, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(written != MAP_FAILED);
    last_s = clock_wall_ms() / 1000;
}
