/* Compaction: a new base of the keyspace, written by a forked child while the journal goes on in a new increment.
 *
 *     loop      fork at lsn L; bytes from L on are held back            child
 *       │       old increment: written up to L and synced                 │ base as a temporary file, fsync
 *       │  job  create the next increment, name it in the manifest        │
 *       │       the bytes held back go out: some milliseconds late        │
 *       ├◄──────────────────────────────────────────────────────────── ends
 *       │       before_switch: the owner makes durable what it has up to L
 *       │  job  rename the base, replace the manifest (old files as history), remove them, replace the manifest
 *       ▼
 *
 * Killed at any moment, the manifest on disk names files that together are the whole journal: the cut is synced before
 * the next increment is named, the base before it replaces anything, and files go only when no manifest needs them.
 *
 * A journal opened fresh has an increment under a temporary name, which no manifest names: what the folder held stays
 * in force until the first base is there, and the switch then names both. A cut before that only starts the increment
 * anew.
 *
 * What would surprise: a cut that cannot be made (a full disk) is not undone but tried again, as a failed write is. The
 * rewrite itself may have failed meanwhile; the journal then has one increment more and nothing else has happened. */
#include "persist/journal.h"
#include "persist/journal_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "persist/record.h"

#define WRITER_BUF   (256u << 10)
#define REPORT_EVERY (16u << 20)
#define BACKOFF_MS   60000
#define BACKOFF_MAX  (3600 * 1000)

/* --- in the child --- */

struct journal_writer {
    int fd;
    int db;
    struct buf buf;
    uint64_t bytes, reported;
    struct child *child;
    struct err err;
    bool failed;
};

static int flush(struct journal_writer *w)
{
    if (!w->failed && file_write_all(w->fd, w->buf.p, w->buf.len, &w->err) < 0)
        w->failed = true;
    w->bytes += w->buf.len;
    buf_clear(&w->buf);
    if (w->bytes - w->reported >= REPORT_EVERY) {
        w->reported = w->bytes;
        child_report(w->child, w->bytes);
    }
    return w->failed ? ERR_IO : 0;
}

int journal_write(struct journal_writer *w, int db, int argc, const struct slice *argv)
{
    if (db != w->db)
        record_encode_select(&w->buf, db);
    w->db = db;
    record_encode(&w->buf, argc, argv);
    return w->buf.len >= WRITER_BUF ? flush(w) : w->failed ? ERR_IO : 0;
}

static int run_child(void *arg, int fd, struct child *c, struct err *err)
{
    struct journal *j = arg;
    struct journal_writer w = {.fd = fd, .db = -1, .child = c};
    int r = j->rewrite.r.emit(j->rewrite.r.arg, &w, err);
    if (r == 0)
        r = flush(&w);
    if (w.failed)
        return err_set(err, ERR_IO, "%s", w.err.msg);
    if (r == 0 && fsync(fd) < 0)
        r = err_set(err, ERR_IO, "cannot sync the new base: %s", strerror(errno));
    child_report(c, w.bytes);
    return r;
}

/* --- removing a large file off the loop --- */

struct remover {
    struct job job;
    char path[PATH_MAX];
};

static void run_remove(struct job *job)
{
    unlink(((struct remover *)job)->path);
}

static void end_remove(struct job *job)
{
    mem_free(job);
}

static void remove_later(struct journal *j, const char *path)
{
    struct remover *r = mem_zero(sizeof *r);
    r->job.run = run_remove;
    r->job.done = end_remove;
    snprintf(r->path, sizeof r->path, "%s", path);
    job_submit(j->pool, &r->job);
}

/* --- the file system's part, on a worker --- */

static int create_incr(struct journal_job *w)
{
    w->fd = open(w->created, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (w->fd < 0)
        return err_set(&w->err, ERR_IO, "cannot create the journal file %s: %s", w->created, strerror(errno));
    return w->manifest.len ? 0 : file_sync_dir(w->created, &w->err);
}

static void remove_history(struct journal_job *w)
{
    for (int i = 0; i < w->old.n; i++) {
        char path[PATH_MAX];
        const struct manifest_file *f = &w->old.files[i];
        if (f->type == 'h' && snprintf(path, sizeof path, "%s/%s", w->j->folder, f->name) < (int)sizeof path)
            unlink(path);
    }
}

static void run_work(struct job *job)
{
    struct journal_job *w = list_entry(job, struct journal_job, job);
    char manifest[PATH_MAX];
    bool visible = false;
    journal_manifest_path(manifest, sizeof manifest, w->j->folder, w->j->filename);
    w->result = *w->created ? create_incr(w) : 0;
    if (w->result == 0 && *w->from && rename(w->from, w->to) < 0)
        w->result = err_set(&w->err, ERR_IO, "cannot rename the new base to %s: %s", w->to, strerror(errno));
    if (w->result == 0 && *w->incr_from && rename(w->incr_from, w->incr_to) < 0)
        w->result = err_set(&w->err, ERR_IO, "cannot rename the journal file to %s: %s", w->incr_to, strerror(errno));
    if (w->result == 0 && w->manifest.len)
        w->result = manifest_store(manifest, buf_slice(&w->manifest), &visible, &w->err);
    if (!*w->to)
        return;
    if (w->result == 0) {
        remove_history(w);
        manifest_store(manifest, buf_slice(&w->clean), &visible, NULL); /* if not now, then at the next start */
    } else if (visible) {
        w->result = 0; /* switched, but not surely for good: the old files stay where they are */
        log_warning("%s; the old journal files are kept", w->err.msg);
    } else {
        unlink(w->to);
        if (*w->incr_from)
            rename(w->incr_to, w->incr_from);
    }
}

static void release_work(struct journal_job *w)
{
    buf_release(&w->manifest);
    buf_release(&w->clean);
    manifest_release(&w->next);
    manifest_release(&w->old);
    *w->created = *w->from = *w->to = *w->incr_from = *w->incr_to = 0;
}

static void start_work(struct journal *j, void (*done)(struct job *job))
{
    j->job_busy = true;
    j->work.j = j;
    j->work.fd = -1;
    j->work.job.run = run_work;
    j->work.job.done = done;
    job_submit(j->pool, &j->work.job);
}

/* --- the cut --- */

static void advance(struct journal *j);

static void end_cut(struct job *job)
{
    struct journal_job *w = list_entry(job, struct journal_job, job);
    struct journal *j = w->j;
    j->job_busy = j->creating = false;
    if (w->result < 0) {
        if (w->fd >= 0)
            close(w->fd);
        release_work(w);
        journal_meet_trouble(j, TROUBLE_CUT, w->err.msg);
        return;
    }
    close(j->fd);
    if (!j->has_base) {
        remove_later(j, j->temp_incr);
        memcpy(j->temp_incr, w->created, sizeof j->temp_incr);
    }
    j->fd = w->fd;
    j->start = j->cut;
    j->cutting = false;
    manifest_release(&j->manifest);
    j->manifest = w->next;
    w->next = (struct manifest){0};
    release_work(w);
    journal_leave_trouble(j);
    advance(j);
    loop_again(j->loop); /* the hook writes what was held back */
}

void journal_cut_start(struct journal *j)
{
    struct journal_job *w = &j->work;
    char name[MANIFEST_NAME_MAX];
    uint64_t seq = manifest_max_seq(&j->manifest, 'i') + 1;
    snprintf(name, sizeof name, "%s.%" PRIu64 ".incr.aof", j->filename, seq);
    snprintf(w->created, sizeof w->created, "%s/%s", j->folder, name);
    if (!j->has_base)
        journal_temp_incr(j, w->created, sizeof w->created, seq);
    manifest_copy(&w->next, &j->manifest);
    manifest_add(&w->next, 'i', name, seq, j->cut);
    if (j->has_base)
        manifest_print(&w->manifest, &w->next);
    j->creating = true;
    start_work(j, end_cut);
}

/* --- the rewrite --- */

static void end_rewrite(struct journal *j, int result, const struct err *err)
{
    struct rewrite *w = &j->rewrite;
    int64_t now = clock_mono_ms();
    w->state = REWRITE_IDLE;
    w->last_ok = result == 0;
    w->last_ms = now - w->started_ms;
    w->failures = result == 0 ? 0 : w->failures + 1;
    if (w->failures > 0) {
        int64_t wait = (int64_t)BACKOFF_MS << (w->failures > 6 ? 6 : w->failures - 1);
        w->not_before_ms = now + (wait < BACKOFF_MAX ? wait : BACKOFF_MAX);
        log_warning("the rewrite of the journal failed, the old files stay: %s", err->msg);
    } else {
        w->count++;
        log_notice("the journal was rewritten: its base has %" PRIu64 " bytes", j->base_size);
    }
    if (w->r.done)
        w->r.done(w->r.arg, result, err);
}

static void give_up(struct journal *j, int code, const char *why)
{
    struct err err;
    if (j->rewrite.fd >= 0)
        close(j->rewrite.fd);
    j->rewrite.fd = -1;
    remove_later(j, j->rewrite.temp);
    err_set(&err, code, "%s", why);
    end_rewrite(j, code, &err);
}

static void end_switch(struct job *job)
{
    struct journal_job *w = list_entry(job, struct journal_job, job);
    struct journal *j = w->j;
    j->job_busy = false;
    if (w->result < 0) {
        struct err err = w->err;
        release_work(w);
        give_up(j, err.code, err.msg);
        return;
    }
    manifest_release(&j->manifest);
    j->manifest = w->next;
    w->next = (struct manifest){0};
    release_work(w);
    j->base_size = j->rewrite.base_size;
    j->has_base = true;
    end_rewrite(j, 0, NULL);
}

static void start_switch(struct journal *j)
{
    struct journal_job *w = &j->work;
    char name[MANIFEST_NAME_MAX];
    uint64_t seq = manifest_max_seq(&j->manifest, 'b') + 1;
    snprintf(name, sizeof name, "%s.%" PRIu64 ".base.aof", j->filename, seq);
    snprintf(w->from, sizeof w->from, "%s", j->rewrite.temp);
    snprintf(w->to, sizeof w->to, "%s/%s", j->folder, name);
    if (!j->has_base) {
        memcpy(w->incr_from, j->temp_incr, sizeof w->incr_from);
        snprintf(w->incr_to, sizeof w->incr_to, "%s/%s", j->folder, manifest_last_incr(&j->manifest)->name);
    }
    manifest_copy(&w->old, &j->manifest);
    manifest_add(&w->next, 'b', name, seq, j->rewrite.lsn);
    for (int i = 0; i < w->old.n; i++) {
        struct manifest_file *f = &w->old.files[i];
        if (f->type == 'i' && f->lsn >= j->rewrite.lsn)
            manifest_add(&w->next, 'i', f->name, f->seq, f->lsn);
        else
            f->type = 'h';
    }
    struct manifest both;
    manifest_copy(&both, &w->next);
    for (int i = 0; i < w->old.n; i++)
        if (w->old.files[i].type == 'h')
            manifest_add(&both, 'h', w->old.files[i].name, w->old.files[i].seq, w->old.files[i].lsn);
    manifest_print(&w->manifest, &both);
    manifest_print(&w->clean, &w->next);
    manifest_release(&both);
    j->rewrite.state = REWRITE_SWITCH;
    start_work(j, end_switch);
}

void journal_rewrite_go_on(struct journal *j, bool ok)
{
    if (j->rewrite.state != REWRITE_HOOK)
        return;
    if (ok)
        start_switch(j);
    else
        give_up(j, ERR_CANCELLED, "what the new base relies on could not be made durable");
}

static void advance(struct journal *j)
{
    struct rewrite *w = &j->rewrite;
    if (w->state != REWRITE_WAIT || j->cutting)
        return;
    w->state = REWRITE_HOOK;
    if (w->r.before_switch)
        w->r.before_switch(w->r.arg, w->lsn);
    else
        journal_rewrite_go_on(j, true);
}

static void child_ended(void *arg, int result, const struct err *err)
{
    struct journal *j = arg;
    struct rewrite *w = &j->rewrite;
    w->base_size = child_bytes(w->child);
    w->child = NULL;
    if (result < 0) {
        give_up(j, result, err->msg);
        return;
    }
    close(w->fd);
    w->fd = -1;
    w->state = REWRITE_WAIT;
    advance(j);
}

static const struct child_ops child_ops = {run_child, child_ended};

static int open_temp(struct journal *j, struct err *err)
{
    struct rewrite *w = &j->rewrite;
    static unsigned number; /* another name each time: the one before may still be being removed */
    snprintf(w->temp, sizeof w->temp, "%s/temp-%s.%d.%u.base.aof", j->folder, j->filename, (int)getpid(), ++number);
    w->fd = open(w->temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return w->fd < 0 ? err_set(err, ERR_IO, "cannot create %s: %s", w->temp, strerror(errno)) : 0;
}

int journal_rewrite_start(struct journal *j, const struct journal_rewrite *r, struct err *err)
{
    struct rewrite *w = &j->rewrite;
    if (w->state != REWRITE_IDLE || j->cutting)
        return err_set(err, ERR_STATE, "a rewrite of the journal is under way already");
    if (j->in_multi)
        return err_set(err, ERR_STATE, "the journal cannot be rewritten inside a transaction");
    w->r = *r;
    if (open_temp(j, err) < 0)
        return ERR_IO;
    journal_seal(j);
    w->lsn = j->sealed;
    if (child_start(&w->child, j->loop, &child_ops, j, w->fd, err) < 0) {
        close(w->fd);
        w->fd = -1;
        unlink(w->temp);
        return ERR_IO;
    }
    w->state = REWRITE_CHILD;
    w->started_ms = clock_mono_ms();
    if (w->lsn > j->start) { /* an empty increment needs no successor */
        j->cutting = true;
        j->cut = w->lsn;
    }
    j->selected = -1;
    loop_again(j->loop);
    log_notice("the journal is being rewritten by process %d", child_pid(w->child));
    return 0;
}

void journal_rewrite_cancel(struct journal *j)
{
    struct rewrite *w = &j->rewrite;
    if (w->state == REWRITE_IDLE || w->state == REWRITE_SWITCH)
        return;
    child_kill(w->child);
    w->child = NULL;
    give_up(j, ERR_CANCELLED, "it was cancelled");
}

void journal_rewrite_stop(struct journal *j)
{
    struct rewrite *w = &j->rewrite;
    w->r.done = NULL;
    if (w->state == REWRITE_IDLE || w->state == REWRITE_SWITCH)
        return;
    child_kill(w->child);
    w->child = NULL;
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    unlink(w->temp);
    w->state = REWRITE_IDLE;
}

bool journal_rewriting(const struct journal *j)
{
    return j->rewrite.state != REWRITE_IDLE;
}

bool journal_wants_rewrite(const struct journal *j)
{
    if (j->rewrite.state != REWRITE_IDLE || j->cutting || clock_mono_ms() < j->rewrite.not_before_ms)
        return false;
    if (!j->has_base)
        return true;
    uint64_t size = journal_files_size(j), base = j->base_size ? j->base_size : 1;
    return j->auto_percent && size > j->auto_min && size > base && (size - base) / base >= j->auto_percent / 100 &&
           (size - base) * 100 / base >= j->auto_percent;
}
