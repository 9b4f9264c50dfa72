/* The files of vector sets: made, checkpointed, removed. vset.h has the rules. */
#include "store/vset_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/setting.h"

#define PATH_MAX_BYTES 1024

struct drop { /* a file whose key is gone */
    struct list link;
    char uid[VSET_UID + 1];
    uint64_t lsn; /* remove it when the journal has synced this far; 0: not known before the next tick */
};

static struct vset_files files;
static struct list sets = {&sets, &sets};
static struct list drops = {&drops, &drops};
static bool switching; /* the journal waits for all files to hold switch_lsn, which is 0 for one just switched on */
static uint64_t switch_lsn;
static bool switch_failed;
static int64_t checkpoint_bytes, checkpoint_seconds, reads;

static int apply_reads(struct err *err)
{
    vec_reads((enum vec_reads)reads);
    return 0;
}

static const struct setting_word read_words[] = {
    {"buffered", VEC_READS_BUFFERED}, {"direct", VEC_READS_DIRECT}, {"mapped", VEC_READS_MAPPED}, {NULL, 0}};

static const struct setting rows[] = {
    {.name = "vector-checkpoint-bytes",
     .kind = SETTING_BYTES,
     .at = &checkpoint_bytes,
     .dflt = "64mb",
     .min = 4096,
     .max = INT64_MAX,
     .help = "Checkpoint a vector set on file when so much of it has changed."},
    {.name = "vector-checkpoint-seconds",
     .kind = SETTING_INT,
     .at = &checkpoint_seconds,
     .dflt = "60",
     .min = 1,
     .max = 86400,
     .help = "And at least so often while anything has changed."},
    {.name = "vector-file-reads",
     .kind = SETTING_ENUM,
     .at = &reads,
     .dflt = "buffered",
     .words = read_words,
     .apply = apply_reads,
     .help = "How sets with a BUDGET read vectors: buffered (the page cache helps), direct (past it), mapped (page "
             "faults); of sets opened from then on."},
};

void vset_settings(void)
{
    SETTING_REGISTER(rows);
}

void vset_files_boot(const struct vset_files *f)
{
    files = *f;
    apply_reads(NULL); /* as it was set at the start */
}

static void path_of(const char *uid, char path[PATH_MAX_BYTES])
{
    snprintf(path, PATH_MAX_BYTES, "%s/%s.vec", files.dir, uid);
}

static int need_folder(struct err *err)
{
    if (!files.enabled || !files.enabled())
        return err_set(err, ERR_STATE, "STORAGE FILE needs the journal: start with appendonly yes");
    if (mkdir(files.dir, 0755) < 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "cannot make the folder %s: %s", files.dir, strerror(errno));
    return 0;
}

int vset_file_create(struct vset *s, const struct vec_config *c, struct err *err)
{
    char path[PATH_MAX_BYTES];
    int rc = need_folder(err);
    if (rc < 0)
        return rc;
    path_of(s->uid, path);
    if ((rc = vec_create_file(&s->index, path, c, err)) == 0)
        list_add_tail(&sets, &s->link);
    return rc;
}

int vset_file_open(struct vset *s, const struct vec_config *c, struct err *err)
{
    char path[PATH_MAX_BYTES];
    int rc = need_folder(err);
    if (rc < 0)
        return rc;
    path_of(s->uid, path);
    if (access(path, F_OK) < 0 && errno == ENOENT) {
        s->missing = true;
        rc = vec_create(&s->index, c, err);
    } else if ((rc = vec_open(&s->index, path, err)) == 0) {
        s->file_lsn = vec_lsn(s->index);
    }
    if (rc == 0)
        list_add_tail(&sets, &s->link);
    return rc;
}

/* Lets a checkpoint that waits for the journal go on, whatever the journal has. */
static void hurry(struct vset *s)
{
    vec_checkpoint_gate(s->index, NULL);
    vec_checkpoint_go_on(s->index);
}

void vset_file_drop(struct vset *s)
{
    list_del(&s->link);
    hurry(s); /* else nobody would ask again, and its references would stay */
    if (!*s->uid || s->missing)
        return;
    struct drop *d = mem_zero(sizeof *d);
    memcpy(d->uid, s->uid, sizeof d->uid);
    list_add_tail(&drops, &d->link);
}

/* ---- checkpoints ---- */

static void checkpoint_done(void *arg, int res)
{
    if (res < 0) {
        log_warning(
            "a checkpoint of a vector set failed (%s); the one before it still stands and it will be tried again",
            err_class(res));
        switch_failed = switching;
    }
}

/* A file that held an effect the journal lost would keep half of a transaction. */
static bool journal_holds(uint64_t lsn)
{
    return files.released() >= lsn;
}

static int checkpoint(struct vset *s, uint64_t lsn, struct err *err)
{
    s->checkpoint_ms = clock_mono_ms();
    vec_checkpoint_gate(s->index, journal_holds);
    return vec_checkpoint(s->index, files.io, lsn, checkpoint_done, NULL, err);
}

static bool wants_checkpoint(struct vset *s)
{
    struct vec_stats st;
    if (vec_checkpointing(s->index))
        return false;
    if (switching && vec_lsn(s->index) < switch_lsn)
        return true;
    vec_stats(s->index, &st);
    if (st.dirty == 0)
        return false;
    uint64_t most = (uint64_t)checkpoint_bytes, share = st.config.budget / 8;
    if (share && share < most)
        most = share;
    return st.dirty >= most || clock_mono_ms() - s->checkpoint_ms > checkpoint_seconds * 1000;
}

static void answer_switch(void)
{
    bool ok = !switch_failed;
    if (!switching)
        return;
    list_each (l, &sets) {
        if (ok && vec_lsn(list_entry(l, struct vset, link)->index) < switch_lsn)
            return;
    }
    switching = switch_failed = false;
    files.switched(ok);
}

static void remove_dropped(void)
{
    char path[PATH_MAX_BYTES];
    struct err err;
    list_each_safe (l, &drops) {
        struct drop *d = list_entry(l, struct drop, link);
        if (!d->lsn)
            d->lsn = files.appended() + 1; /* the deletion was appended before this turn */
        if (files.synced() + 1 < d->lsn)
            continue;
        path_of(d->uid, path);
        if (vec_drop_file(path, &err) < 0)
            log_warning("%s", err.msg);
        list_del(&d->link);
        mem_free(d);
    }
}

void vset_files_tick(void)
{
    struct err err;
    list_each (l, &sets) {
        struct vset *s = list_entry(l, struct vset, link);
        vec_checkpoint_go_on(s->index);
        vec_trim(s->index);
        if (wants_checkpoint(s) && checkpoint(s, files.appended(), &err) < 0)
            log_warning("a checkpoint of a vector set could not start: %s", err.msg);
    }
    answer_switch();
    remove_dropped();
}

void vset_files_switch(uint64_t lsn)
{
    switching = true;
    switch_lsn = lsn;
    switch_failed = false;
    vset_files_tick();
}

/* ---- start and stop ---- */

static bool names_a_set(const char *uid)
{
    list_each (l, &sets) {
        if (memcmp(list_entry(l, struct vset, link)->uid, uid, VSET_UID) == 0)
            return true;
    }
    return false;
}

static void remove_orphans(void)
{
    char path[PATH_MAX_BYTES];
    DIR *d = files.enabled() ? opendir(files.dir) : NULL;
    struct dirent *e;
    while (d && (e = readdir(d))) {
        if (strlen(e->d_name) < VSET_UID + 4 || strncmp(e->d_name + VSET_UID, ".vec", 4) != 0 || names_a_set(e->d_name))
            continue;
        snprintf(path, sizeof path, "%s/%s", files.dir, e->d_name);
        log_notice("removing %s: no key has it any more", path);
        unlink(path);
    }
    if (d)
        closedir(d);
    list_each_safe (l, &drops) { /* deleted during the replay: removed above */
        list_del(l);
        mem_free(list_entry(l, struct drop, link));
    }
}

int vset_files_loaded(struct err *err)
{
    uint64_t end = files.appended();
    int rc = 0;
    list_each (l, &sets) {
        struct vset *s = list_entry(l, struct vset, link);
        if (s->missing)
            return err_set(
                err, ERR_IO,
                "the file %s/%s.vec of a vector set is missing: put it back, or delete its key from the journal",
                files.dir, s->uid);
        s->checkpoint_ms = clock_mono_ms();
        if (s->file_lsn > end && rc == 0) {
            log_warning("the vector file %s.vec is ahead of the journal, which lost its end; it keeps what it has",
                        s->uid);
            rc = checkpoint(s, end, err);
        }
        s->file_lsn = 0;
    }
    file_io_drain(files.io);
    if (rc == 0 && files.whole())
        remove_orphans();
    return rc;
}

void vset_files_close(void)
{
    struct vec_stats st;
    struct err err;
    list_each (l, &sets)
        hurry(list_entry(l, struct vset, link));
    file_io_drain(files.io);
    list_each (l, &sets) {
        struct vset *s = list_entry(l, struct vset, link);
        vec_stats(s->index, &st);
        if (st.dirty && checkpoint(s, files.appended(), &err) < 0)
            log_warning("a vector set was not checkpointed at the stop: %s", err.msg);
        hurry(s); /* the journal is written and closed after this */
    }
    file_io_drain(files.io);
    if (files.synced() >= files.appended())
        remove_dropped();
}
