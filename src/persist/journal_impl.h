/* What journal.c (appending), rewrite.c (compaction) and load.c (recovery) share. Private to persist/. */
#ifndef PERSIST_JOURNAL_IMPL_H
#define PERSIST_JOURNAL_IMPL_H

#include <limits.h>

#include "base/buf.h"
#include "persist/child.h"
#include "persist/journal.h"
#include "persist/manifest.h"

enum journal_trouble { TROUBLE_NONE, TROUBLE_WRITE, TROUBLE_SYNC, TROUBLE_CUT };
/* IDLE ── start ──► CHILD ── its file is whole ──► WAIT ── the cut is made ──► HOOK ── go_on ──► SWITCH ──► IDLE
 * Every state but SWITCH may also go straight to IDLE: given up, the old files stay in force. */
enum rewrite_state { REWRITE_IDLE, REWRITE_CHILD, REWRITE_WAIT, REWRITE_HOOK, REWRITE_SWITCH };

/* Some consecutive bytes of the journal, in memory until nobody can need them again. */
struct segment {
    struct list link;
    struct file_op op;
    struct journal *j;
    uint64_t lsn; /* of its first byte */
    size_t len;
    char *bytes;
};

/* The file system's part of a rewrite: done by a worker, because creating, renaming and removing files can take long.
 */
struct journal_job {
    struct job job;
    struct journal *j;
    char created[PATH_MAX];                      /* a new increment to create, or "" */
    char from[PATH_MAX], to[PATH_MAX];           /* a finished base to rename, or "" */
    char incr_from[PATH_MAX], incr_to[PATH_MAX]; /* an increment that was not in force yet, or "" */
    struct buf manifest, clean;                  /* what to store; what to store when the history is gone */
    struct manifest next;                        /* what `clean` says, or `manifest` when there is no history */
    struct manifest old;                         /* whose files of type h are removed in between */
    int fd;                                      /* out: the created increment */
    int result;                                  /* out */
    struct err err;                              /* out */
};

struct rewrite {
    struct journal_rewrite r;
    enum rewrite_state state;
    struct child *child;
    int fd; /* of the temporary base */
    char temp[PATH_MAX];
    uint64_t lsn;       /* that the new base stands for */
    uint64_t base_size; /* out */
    int64_t started_ms, last_ms, not_before_ms;
    int failures;
    uint64_t count;
    bool last_ok;
};

struct journal {
    struct loop *loop;
    struct file_io *files;
    struct job_pool *pool;
    char folder[PATH_MAX - 300]; /* <dir>/<dirname> */
    char filename[128];
    enum journal_fsync policy;
    unsigned auto_percent;
    uint64_t auto_min;

    struct manifest manifest; /* as on disk, once listed */
    bool has_base;            /* the manifest on disk is this journal's: a restart would find this keyspace */
    char temp_incr[PATH_MAX]; /* while has_base is false: the current increment's path, see rewrite.c */
    int fd;                   /* the current increment */
    uint64_t start;           /* its first byte's lsn */
    uint64_t base_size;

    struct buf gather; /* appended, not yet in a segment */
    struct list queue; /* segments to be written, in order */
    struct list kept;  /* written, not known to be synced */
    size_t backlog;    /* bytes in both */
    uint64_t sealed;   /* lsn at the end of the last segment; gather starts here */
    uint64_t written, synced, released, told_synced;
    int selected; /* db of the last command in this increment, -1: none */
    bool in_multi;

    int busy; /* operations of the group under way */
    struct file_op group_sync;
    uint64_t group_sync_to;
    struct file_op back_sync; /* the background one of `everysec` */
    uint64_t back_sync_to;
    bool syncing_back, group_syncs; /* never both */
    enum journal_trouble met;       /* by the group under way */
    enum journal_trouble trouble;
    struct err trouble_err;
    bool paused;
    bool redo; /* a sync failed: what it covered must be written again */

    bool cutting; /* bytes from `cut` on belong to the next increment */
    uint64_t cut;
    bool creating; /* work makes the next increment: nothing is written meanwhile */
    bool job_busy; /* work is with a worker */
    struct journal_job work;

    struct rewrite rewrite;
    struct list hooks;
    struct loop_hook before_sleep;
    struct timer *retry, *second;
    uint64_t groups, syncs;
};

/* journal.c */
void journal_temp_incr(struct journal *j, char *to, size_t size, uint64_t seq);
void journal_seal(struct journal *j); /* what has been gathered becomes a segment */
void journal_pump(struct journal *j, bool retry);
void journal_meet_trouble(struct journal *j, enum journal_trouble t, const char *sentence);
void journal_leave_trouble(struct journal *j);
uint64_t journal_files_size(const struct journal *j);

/* rewrite.c */
void journal_cut_start(struct journal *j);    /* everything before the cut is synced: create the next increment */
void journal_rewrite_stop(struct journal *j); /* for journal_close: kills the child */

/* load.c */
int journal_folder_path(char *to, size_t size, const struct journal_options *o, struct err *err);
int journal_manifest_path(char *to, size_t size, const char *folder, const char *filename);

#endif
