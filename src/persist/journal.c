/* Appending: group commit, failure and its repair.
 *
 * Bytes move through three places, and `sealed`, `written` and `synced` are the borders between them:
 *
 *     gather ── seal, at the turn's end ──► queue ── written ──► kept ── synced ──► freed
 *                                             ▲                    │
 *                                             └── a sync failed ───┘
 *
 * What would surprise:
 *
 * - After a failed fdatasync the kernel marks the pages it could not write as clean and reports success the next time:
 *   asking again proves nothing. So the bytes are kept in memory until a sync has covered them, and after a failure
 * they are written to the file again, which makes the pages dirty again, and then synced.
 * - A write that failed half-way needs no truncation: bytes have fixed places (lsn minus the file's first lsn), so the
 *   retry writes the same bytes over the same place. If the process dies before that, the half record is a torn tail.
 * - Under `no` nothing is kept: there is no sync whose failure could be noticed.
 * - At most one group is under way. The background sync of `everysec` runs beside it; it covers what had been written
 *   when it started.
 *
 * Built for groups of some hundred bytes to some megabytes, up to tens of thousands a second under `everysec`; under
 * `always` the disk's sync sets the pace, and the group grows with the load. */
#include "persist/journal.h"
#include "persist/journal_impl.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "persist/record.h"

#define RETRY_MS  200
#define HAND_OVER (64u << 10) /* a gathered buffer of this size becomes a segment as it is, a smaller one is copied */
#define GROUP_MAX 64          /* segments written by one chain; more than one only after trouble */
#define KEPT_MAX  (64u << 20) /* under everysec: unsynced bytes in memory that make the sync come early */

/* --- appending --- */

uint64_t journal_lsn(const struct journal *j)
{
    return j->sealed + j->gather.len;
}

static void note_multi(struct journal *j, struct slice name)
{
    if (slice_is(name, "multi"))
        j->in_multi = true;
    else if (slice_is(name, "exec"))
        j->in_multi = false;
}

uint64_t journal_append(struct journal *j, int db, int argc, const struct slice *argv)
{
    assert(argc >= 1);
    if (db != j->selected) {
        record_encode_select(&j->gather, db);
        j->selected = db;
    }
    record_encode(&j->gather, argc, argv);
    if (argc == 1)
        note_multi(j, argv[0]);
    return journal_lsn(j);
}

void journal_seal(struct journal *j)
{
    if (j->gather.len == 0)
        return;
    struct segment *s = mem_zero(sizeof *s);
    s->j = j;
    s->lsn = j->sealed;
    s->len = j->gather.len;
    if (s->len >= HAND_OVER) {
        s->bytes = buf_take(&j->gather, NULL);
    } else {
        s->bytes = mem_dup(j->gather.p, s->len);
        buf_clear(&j->gather);
    }
    list_add_tail(&j->queue, &s->link);
    j->sealed += s->len;
    j->backlog += s->len;
}

static void free_segment(struct segment *s)
{
    list_del(&s->link);
    s->j->backlog -= s->len;
    mem_free(s->bytes);
    mem_free(s);
}

/* --- progress --- */

static void drop_synced(struct journal *j)
{
    list_each_safe (n, &j->kept) {
        struct segment *s = list_entry(n, struct segment, link);
        if (s->lsn + s->len > j->synced)
            break;
        free_segment(s);
    }
}

static void tell(struct journal *j)
{
    uint64_t release = j->policy == JOURNAL_ALWAYS ? j->synced : j->written;
    bool moved = j->synced > j->told_synced;
    j->told_synced = j->synced;
    if (release > j->released) {
        j->released = release;
        moved = true;
    }
    if (!moved)
        return;
    list_each_safe (n, &j->hooks) {
        struct journal_hook *h = list_entry(n, struct journal_hook, link);
        h->fn(h->arg);
    }
}

/* --- trouble --- */

void journal_meet_trouble(struct journal *j, enum journal_trouble t, const char *sentence)
{
    bool news = j->trouble == TROUBLE_NONE || strcmp(j->trouble_err.msg, sentence) != 0;
    j->trouble = t;
    err_set(&j->trouble_err, ERR_IO, "%s", sentence);
    if (t == TROUBLE_SYNC)
        j->redo = true;
    if (news)
        log_warning("%s; writes are refused until it works again, %zu bytes wait in memory", j->trouble_err.msg,
                    j->backlog + j->gather.len);
    timer_start(j->retry, RETRY_MS, 0);
}

void journal_leave_trouble(struct journal *j)
{
    if (j->trouble == TROUBLE_NONE)
        return;
    log_notice("the journal can be written again");
    j->trouble = TROUBLE_NONE;
    timer_stop(j->retry);
}

static void retry(void *arg)
{
    struct journal *j = arg;
    if (j->busy || j->creating || j->syncing_back)
        timer_start(j->retry, RETRY_MS, 0);
    else
        journal_pump(j, true);
}

bool journal_failed(const struct journal *j, struct err *err)
{
    if (j->trouble != TROUBLE_NONE && err)
        *err = j->trouble_err;
    return j->trouble != TROUBLE_NONE;
}

/* --- the group under way --- */

static void end_group(struct journal *j)
{
    j->group_syncs = false;
    if (j->met == TROUBLE_NONE && !j->redo)
        journal_leave_trouble(j);
    tell(j);
    /* the next group starts in the hook, at the end of this turn */
}

static void meet(struct journal *j, enum journal_trouble t, int res)
{
    char sentence[128];
    if (res == -ECANCELED && j->met != TROUBLE_NONE)
        return; /* what follows the failure in the chain */
    j->met = t;
    snprintf(sentence, sizeof sentence, "the journal cannot be %s: %s", t == TROUBLE_SYNC ? "synced" : "written",
             strerror(-res));
    journal_meet_trouble(j, t, sentence);
}

static void on_written(struct file_op *op)
{
    struct segment *s = op->arg;
    struct journal *j = s->j;
    j->busy--;
    if (op->res < 0) {
        meet(j, TROUBLE_WRITE, op->res);
    } else {
        j->written = s->lsn + s->len;
        if (op->kind == FILE_WRITE_SYNC) {
            j->synced = j->written;
            j->syncs++;
        }
        list_del(&s->link);
        list_add_tail(&j->kept, &s->link);
        if (j->policy == JOURNAL_NO || j->written <= j->synced)
            free_segment(s);
    }
    if (j->busy == 0)
        end_group(j);
}

static void on_group_sync(struct file_op *op)
{
    struct journal *j = op->arg;
    j->busy--;
    j->syncs++;
    if (op->res < 0) {
        meet(j, TROUBLE_SYNC, op->res);
    } else {
        if (j->group_sync_to > j->synced && !j->redo)
            j->synced = j->group_sync_to;
        drop_synced(j);
    }
    end_group(j);
}

static void on_back_sync(struct file_op *op)
{
    struct journal *j = op->arg;
    j->syncing_back = false;
    j->syncs++;
    if (op->res < 0) {
        enum journal_trouble met = j->met;
        meet(j, TROUBLE_SYNC, op->res);
        j->met = met; /* that of the group, which may be under way beside us */
        return;
    }
    if (j->back_sync_to > j->synced && !j->redo)
        j->synced = j->back_sync_to;
    drop_synced(j);
    tell(j);
}

static void sync_in_background(struct journal *j)
{
    if (j->syncing_back || j->group_syncs || j->redo || j->written <= j->synced)
        return;
    j->syncing_back = true;
    j->back_sync_to = j->written;
    j->back_sync = (struct file_op){.kind = FILE_DATASYNC, .fd = j->fd, .done = on_back_sync, .arg = j};
    file_submit(j->files, (struct file_op *[]){&j->back_sync}, 1);
}

/* A sync has failed: everything that was kept for this case is to be written again. */
static void take_back(struct journal *j)
{
    while (!list_empty(&j->kept)) {
        struct list *last = j->kept.prev;
        list_del(last);
        list_add_head(&j->queue, last);
    }
    j->written = j->sealed;
    if (!list_empty(&j->queue))
        j->written = list_entry(j->queue.next, struct segment, link)->lsn;
    j->redo = false;
}

/* Fills ops with writes of queued segments that belong to the current file; returns how many, and where they end. */
static int gather_group(struct journal *j, struct file_op **ops, uint64_t *end)
{
    int n = 0;
    *end = j->written;
    list_each (node, &j->queue) {
        struct segment *s = list_entry(node, struct segment, link);
        if (n == GROUP_MAX || (j->cutting && s->lsn >= j->cut))
            break;
        s->op = (struct file_op){.kind = FILE_WRITE,
                                 .fd = j->fd,
                                 .data = s->bytes,
                                 .len = s->len,
                                 .off = s->lsn - j->start,
                                 .done = on_written,
                                 .arg = s};
        ops[n++] = &s->op;
        *end = s->lsn + s->len;
    }
    return n;
}

/* Under `always` the usual group is one segment behind bytes that are all synced: then the write itself may sync. It fails
 * as a write: its bytes stay in the queue and are written again, in any case. */
static bool write_syncs(const struct journal *j, int n)
{
    return n == 1 && j->policy == JOURNAL_ALWAYS && j->trouble == TROUBLE_NONE && j->written == j->synced;
}

/* Starts whatever is to be done next and can be. */
void journal_pump(struct journal *j, bool again)
{
    if (j->paused || j->busy || j->creating || (j->trouble != TROUBLE_NONE && !again))
        return;
    bool must_sync = j->trouble == TROUBLE_SYNC || j->redo;
    if (j->syncing_back && (must_sync || j->cutting || j->policy == JOURNAL_ALWAYS))
        return; /* two syncs at once would share out one error between them */
    if (j->redo)
        take_back(j);
    journal_seal(j);
    struct file_op *ops[GROUP_MAX + 1];
    uint64_t end;
    int n = gather_group(j, ops, &end);
    bool at_cut = j->cutting && end == j->cut;
    if (write_syncs(j, n) && !must_sync && !at_cut) {
        ops[0]->kind = FILE_WRITE_SYNC;
        j->group_syncs = true;
    } else if (end > j->synced && (must_sync || at_cut || j->policy == JOURNAL_ALWAYS)) {
        j->group_sync = (struct file_op){.kind = FILE_DATASYNC, .fd = j->fd, .done = on_group_sync, .arg = j};
        j->group_sync_to = end;
        ops[n++] = &j->group_sync;
        j->group_syncs = true;
    }
    if (n > 0) {
        j->met = TROUBLE_NONE;
        j->busy = n;
        j->groups++;
        file_submit(j->files, ops, n);
    } else if (at_cut) {
        journal_cut_start(j);
    } else {
        journal_leave_trouble(j);
    }
}

void journal_pause(struct journal *j, bool on)
{
    j->paused = on;
}

static void before_sleep(void *arg)
{
    struct journal *j = arg;
    journal_pump(j, false);
    if (j->policy == JOURNAL_EVERYSEC && j->backlog > KEPT_MAX)
        sync_in_background(j);
}

static void every_second(void *arg)
{
    struct journal *j = arg;
    if (j->policy == JOURNAL_EVERYSEC && j->trouble == TROUBLE_NONE)
        sync_in_background(j);
}

/* --- opening --- */

/* An increment that no manifest names yet, and that a restart must not take for one that lost its manifest. */
void journal_temp_incr(struct journal *j, char *to, size_t size, uint64_t seq)
{
    snprintf(to, size, "%s/temp-%s.%d.%" PRIu64 ".incr.aof", j->folder, j->filename, (int)getpid(), seq);
}

static int open_incr(struct journal *j, const char *path, bool create, struct err *err)
{
    j->fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0), 0644);
    return j->fd < 0 ? err_set(err, ERR_IO, "cannot open the journal file %s: %s", path, strerror(errno)) : 0;
}

static uint64_t size_of(const struct journal *j, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", j->folder, name);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* A manifest that Redis wrote has no positions: they follow from the sizes, with the base at 0. */
static void number_files(struct journal *j)
{
    uint64_t lsn = 0;
    for (int i = 0; i < j->manifest.n; i++) {
        struct manifest_file *f = &j->manifest.files[i];
        if (!f->has_lsn) {
            f->lsn = lsn;
            f->has_lsn = true;
        }
        if (f->type == 'i')
            lsn = f->lsn + size_of(j, f->name);
        else if (f->type == 'b')
            lsn = f->lsn;
    }
}

static int store_manifest(struct journal *j, struct err *err)
{
    char path[PATH_MAX];
    struct buf text = {0};
    bool visible;
    journal_manifest_path(path, sizeof path, j->folder, j->filename);
    manifest_print(&text, &j->manifest);
    int r = manifest_store(path, buf_slice(&text), &visible, err);
    buf_release(&text);
    return r;
}

/* Files that a switch has made history and a crash has kept from being removed. */
static bool remove_history(struct journal *j)
{
    int keep = 0;
    bool any = false;
    for (int i = 0; i < j->manifest.n; i++) {
        struct manifest_file *f = &j->manifest.files[i];
        if (f->type == 'h') {
            char path[PATH_MAX];
            snprintf(path, sizeof path, "%s/%s", j->folder, f->name);
            unlink(path);
            any = true;
        } else {
            j->manifest.files[keep++] = *f;
        }
    }
    j->manifest.n = keep;
    return any;
}

/* What a rewrite was writing when the server was killed. */
static void remove_temps(struct journal *j)
{
    char prefix[160], path[PATH_MAX];
    DIR *d = opendir(j->folder);
    int n = snprintf(prefix, sizeof prefix, "temp-%s.", j->filename);
    for (struct dirent *e; d && (e = readdir(d));)
        if (strncmp(e->d_name, prefix, (size_t)n) == 0) {
            snprintf(path, sizeof path, "%s/%s", j->folder, e->d_name);
            unlink(path);
        }
    if (d)
        closedir(d);
}

static int open_current(struct journal *j, bool fresh, struct err *err)
{
    remove_temps(j);
    bool dirty = remove_history(j);
    number_files(j);
    const struct manifest_file *base = manifest_base(&j->manifest), *last = manifest_last_incr(&j->manifest);
    uint64_t end = base ? base->lsn : 0;
    j->base_size = base ? size_of(j, base->name) : 0;
    if (last)
        end = last->lsn + size_of(j, last->name);
    char path[PATH_MAX], name[MANIFEST_NAME_MAX];
    bool go_on = last && !fresh;
    uint64_t seq = manifest_max_seq(&j->manifest, 'i') + 1;
    snprintf(name, sizeof name, "%s.%" PRIu64 ".incr.aof", j->filename, seq);
    snprintf(path, sizeof path, "%s/%s", j->folder, go_on ? last->name : name);
    if (fresh) {
        journal_temp_incr(j, path, sizeof path, seq);
        memcpy(j->temp_incr, path, sizeof path);
    }
    if (open_incr(j, path, !go_on, err) < 0)
        return ERR_IO;
    j->sealed = end;
    j->start = go_on ? last->lsn : end;
    if (!go_on) {
        manifest_add(&j->manifest, 'i', name, seq, end);
        dirty = true;
    }
    j->has_base = !fresh;
    return dirty && !fresh ? store_manifest(j, err) : 0;
}

static void init(struct journal *j, struct loop *l, struct file_io *files, struct job_pool *pool,
                 const struct journal_options *o)
{
    j->loop = l;
    j->files = files;
    j->pool = pool;
    j->policy = o->fsync;
    j->auto_percent = o->auto_percent;
    j->auto_min = o->auto_min;
    j->fd = -1;
    j->selected = -1;
    j->rewrite.fd = -1;
    j->rewrite.last_ms = -1;
    j->rewrite.last_ok = true;
    snprintf(j->filename, sizeof j->filename, "%s", o->filename);
    list_init(&j->queue);
    list_init(&j->kept);
    list_init(&j->hooks);
}

int journal_open(struct journal **out, struct loop *l, struct file_io *files, struct job_pool *pool,
                 const struct journal_options *o, bool fresh, struct err *err)
{
    char path[PATH_MAX];
    bool found;
    struct journal *j = mem_zero(sizeof *j);
    init(j, l, files, pool, o);
    int r = journal_folder_path(j->folder, sizeof j->folder, o, err);
    if (r == 0 && mkdir(j->folder, 0755) < 0 && errno != EEXIST)
        r = err_set(err, ERR_IO, "cannot make the folder %s: %s", j->folder, strerror(errno));
    if (r == 0) {
        journal_manifest_path(path, sizeof path, j->folder, j->filename);
        r = manifest_read(&j->manifest, path, &found, err);
    }
    if (r == 0)
        r = open_current(j, fresh, err);
    if (r == 0)
        r = file_sync_dir(j->folder, err);
    if (r < 0) {
        if (j->fd >= 0)
            close(j->fd);
        manifest_release(&j->manifest);
        mem_free(j);
        return r;
    }
    j->written = j->synced = j->released = j->told_synced = j->sealed;
    j->before_sleep = (struct loop_hook){.fn = before_sleep, .arg = j};
    loop_before_sleep(l, &j->before_sleep);
    j->retry = timer_create_on(l, retry, j);
    j->second = timer_create_on(l, every_second, j);
    timer_start(j->second, 1000, 1000);
    *out = j;
    return 0;
}

/* --- closing --- */

/* Nothing runs beside us any more: plain calls. A cut that did not come about is given up: its bytes go on in the
 * present file, and the manifest must not say otherwise. */
static int write_rest(struct journal *j, struct err *err)
{
    if (j->cutting && j->trouble == TROUBLE_CUT && j->has_base && store_manifest(j, err) < 0)
        return ERR_IO;
    if (j->redo)
        take_back(j);
    journal_seal(j);
    bool wrote = !list_empty(&j->queue);
    while (!list_empty(&j->queue)) {
        struct segment *s = list_entry(j->queue.next, struct segment, link);
        if (lseek(j->fd, (off_t)(s->lsn - j->start), SEEK_SET) < 0)
            return err_set(err, ERR_IO, "lseek: %s", strerror(errno));
        int r = file_write_all(j->fd, s->bytes, s->len, err);
        if (r < 0)
            return r;
        j->written = s->lsn + s->len;
        free_segment(s);
    }
    if ((wrote || j->written > j->synced) && fdatasync(j->fd) < 0)
        return err_set(err, ERR_IO, "fdatasync: %s", strerror(errno));
    j->synced = j->written;
    drop_synced(j);
    return 0;
}

void journal_close(struct journal *j)
{
    struct err err;
    if (!j)
        return;
    j->paused = false;
    journal_rewrite_stop(j);
    while (j->busy || j->syncing_back || j->job_busy)
        loop_turn_wait(j->loop);
    loop_unhook(&j->before_sleep);
    if (write_rest(j, &err) < 0)
        log_warning("the last %" PRIu64 " bytes of the journal are lost: %s", journal_lsn(j) - j->synced, err.msg);
    tell(j);
    while (!list_empty(&j->hooks)) /* a hook that outlives the journal may still be unhooked */
        list_del(j->hooks.next);
    while (!list_empty(&j->queue))
        free_segment(list_entry(j->queue.next, struct segment, link));
    while (!list_empty(&j->kept))
        free_segment(list_entry(j->kept.next, struct segment, link));
    timer_close(j->retry);
    timer_close(j->second);
    buf_release(&j->gather);
    close(j->fd);
    manifest_release(&j->manifest);
    mem_free(j);
}

/* --- what others ask --- */

uint64_t journal_written_lsn(const struct journal *j)
{
    return j->written;
}

uint64_t journal_synced_lsn(const struct journal *j)
{
    return j->synced;
}

uint64_t journal_released_lsn(const struct journal *j)
{
    return j->released;
}

size_t journal_backlog(const struct journal *j)
{
    return j->backlog + j->gather.len;
}

void journal_on_advance(struct journal *j, struct journal_hook *h)
{
    list_add_tail(&j->hooks, &h->link);
}

void journal_unhook(struct journal_hook *h)
{
    if (h->link.next)
        list_del(&h->link);
}

void journal_set_fsync(struct journal *j, enum journal_fsync policy)
{
    j->policy = policy;
    loop_again(j->loop); /* the hook starts the sync that the new policy may want */
    tell(j);
}

void journal_set_auto_rewrite(struct journal *j, unsigned percent, uint64_t min_size)
{
    j->auto_percent = percent;
    j->auto_min = min_size;
}

bool journal_has_base(const struct journal *j)
{
    return j->has_base;
}

uint64_t journal_files_size(const struct journal *j)
{
    const struct manifest_file *base = manifest_base(&j->manifest);
    uint64_t first = j->start;
    for (int i = 0; i < j->manifest.n; i++)
        if (j->manifest.files[i].type == 'i' && (!base || j->manifest.files[i].lsn >= base->lsn)) {
            first = j->manifest.files[i].lsn;
            break;
        }
    return j->base_size + (journal_lsn(j) - first);
}

void journal_get_info(const struct journal *j, struct journal_info *to)
{
    const struct rewrite *w = &j->rewrite;
    *to = (struct journal_info){
        .lsn = journal_lsn(j),
        .written = j->written,
        .synced = j->synced,
        .released = j->released,
        .size = journal_files_size(j),
        .base_size = j->base_size,
        .backlog = journal_backlog(j),
        .failed = j->trouble != TROUBLE_NONE,
        .rewriting = journal_rewriting(j),
        .last_rewrite_ok = w->last_ok,
        .rewrite_bytes = w->child ? child_bytes(w->child) : 0,
        .rewrite_ms = w->state != REWRITE_IDLE ? clock_mono_ms() - w->started_ms : 0,
        .last_rewrite_ms = w->last_ms,
        .rewrites = w->count,
        .groups = j->groups,
        .syncs = j->syncs,
        .fsync = j->policy,
        .engine = file_io_name(j->files),
    };
}
