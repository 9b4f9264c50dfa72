/* The journal: every effect on the keyspace as a RESP command, appended to files that Redis's tools can read.
 *
 *     <dir>/<dirname>/<filename>.manifest          which files there are, in which order (manifest.h)
 *                     <filename>.<n>.base.aof      the keyspace as it was at some lsn
 *                     <filename>.<n>.incr.aof      what was appended since, one or more of them
 *
 * An lsn is a position in the endless stream of all bytes ever appended; it never goes back while the server runs, and
 * goes on from the files' end after a restart. What a command appended is in the file when the lsn after it is
 * released.
 *
 * journal_append only encodes into memory. Just before the loop sleeps, everything gathered goes out as one write
 * (group commit), followed under `always` by one fdatasync; what is appended meanwhile is the next group. The loop
 * never waits.
 *
 * When the disk refuses, the journal is in the failed state: nothing is lost (the bytes stay in memory), the same bytes
 * are tried again every 200 ms, and the owner refuses new writes as long as journal_failed says so.
 *
 * Boot: dirlock_take, journal_load, journal_open. Thread: loop, except what `emit` does in its child. */
#ifndef PERSIST_JOURNAL_H
#define PERSIST_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"
#include "io/file.h"
#include "io/job.h"
#include "io/loop.h"

struct journal;

enum journal_fsync { JOURNAL_ALWAYS, JOURNAL_EVERYSEC, JOURNAL_NO };

struct journal_options {
    const char *dir;      /* the server's data folder */
    const char *dirname;  /* appenddirname: a plain name, made when missing */
    const char *filename; /* appendfilename: a plain name without blanks */
    enum journal_fsync fsync;
    bool refuse_torn;      /* aof-load-truncated no: a torn tail stops the start instead of being cut */
    unsigned auto_percent; /* auto-aof-rewrite-percentage; 0: never */
    uint64_t auto_min;     /* auto-aof-rewrite-min-size */
};

/* --- reading it at boot --- */

/* One command. lsn is the position after it; for the base file's commands it is the base's lsn. The slices are valid
 * during the call. A negative return (with err) stops the load. */
typedef int (*journal_apply_fn)(void *arg, int db, int argc, const struct slice *argv, uint64_t lsn, struct err *err);

struct journal_stats {
    bool found;         /* false: there is no journal, which is no error */
    uint64_t commands;  /* applied; SELECT, MULTI and EXEC are not counted */
    uint64_t bytes;     /* read */
    uint64_t cut_bytes; /* of a torn tail that was cut off */
    uint64_t lsn;       /* where the journal ends */
    int files;
};

/* Feeds the whole journal to apply; a MULTI ... EXEC group all or not at all. A record or group that the end of the
 * last file cuts short was never acknowledged under `always`: it is cut off with a warning. Any other damage is refused
 * with a sentence that names file and offset; apply has then seen what came before. Blocks. */
int journal_load(const struct journal_options *o, journal_apply_fn apply, void *arg, struct journal_stats *st,
                 struct err *err);

/* --- appending --- */

/* Opens the journal for appending, after journal_load, and starts one when there is none.
 *
 * fresh: the keyspace did not come from this journal (it was loaded from a snapshot, or appendonly was switched on
 * while running). Whatever the folder holds stays in force until the first rewrite has made a base of the keyspace,
 * which the owner starts at once (and again when it failed): until journal_has_base the journal does not survive a
 * restart.
 *
 * `files` and `pool` outlive the journal. Blocks for some file system calls. */
int journal_open(struct journal **out, struct loop *l, struct file_io *files, struct job_pool *pool,
                 const struct journal_options *o, bool fresh, struct err *err);
/* Stops a rewrite, writes and syncs what is left (blocking, last on_advance calls included) and closes. What a failing
 * disk does not take is lost, which is logged. Not from inside a callback of the loop. NULL allowed. */
void journal_close(struct journal *j);

/* argc >= 1. A SELECT goes before it when db is not the one of the command before. A transaction is appended as MULTI,
 * its effects, EXEC, all in one turn of the loop. Returns the lsn after it: a reply that promises the write waits until
 * that is released. */
uint64_t journal_append(struct journal *j, int db, int argc, const struct slice *argv);

uint64_t journal_lsn(const struct journal *j);         /* appended */
uint64_t journal_written_lsn(const struct journal *j); /* in the file: survives the death of the process */
uint64_t journal_synced_lsn(const struct journal *j);  /* on the disk: survives the death of the machine */
/* What replies may promise: synced under `always`, written under the other policies. Never goes back. */
uint64_t journal_released_lsn(const struct journal *j);

/* Called on the loop whenever the released or the synced lsn has moved on. The hook is embedded in its owner, and may
 * take itself off. */
struct journal_hook {
    struct list link;
    void (*fn)(void *arg);
    void *arg;
};
void journal_on_advance(struct journal *j, struct journal_hook *h);
void journal_unhook(struct journal_hook *h); /* a zeroed hook is allowed */

/* Is the disk refusing? err (may be NULL) then says why. */
bool journal_failed(const struct journal *j, struct err *err);
size_t journal_backlog(const struct journal *j); /* bytes in memory: not yet written, or written and not yet synced */

/* on: no group is started until off, as if the disk were slow; for tests. */
void journal_pause(struct journal *j, bool on);
void journal_set_fsync(struct journal *j, enum journal_fsync policy);
void journal_set_auto_rewrite(struct journal *j, unsigned percent, uint64_t min_size);

/* --- rewriting it smaller --- */

struct journal_writer;

struct journal_rewrite {
    /* In a forked child: writes the keyspace as commands. Only journal_write, reading and allocating memory. */
    int (*emit)(void *arg, struct journal_writer *w, struct err *err);
    /* Optional. The new base is ready and stands for `lsn`; what must be durable up to there before the old files go is
     * made so now, then journal_rewrite_go_on is called (from inside this function or later). */
    void (*before_switch)(void *arg, uint64_t lsn);
    /* The rewrite is over: 0, or why the old files stay in force. Not called by journal_close. */
    void (*done)(void *arg, int result, const struct err *err);
    void *arg;
};

/* `r` is copied. ERR_STATE when one is under way or a transaction is being appended. */
int journal_rewrite_start(struct journal *j, const struct journal_rewrite *r, struct err *err);
void journal_rewrite_go_on(struct journal *j, bool ok); /* answers before_switch; !ok gives the rewrite up */
void journal_rewrite_cancel(struct journal *j); /* done() comes with ERR_CANCELLED, unless it is past the child */
bool journal_rewriting(const struct journal *j);
bool journal_wants_rewrite(
    const struct journal *j); /* grown by auto_percent since the base; false after failures for a while */
bool journal_has_base(const struct journal *j); /* false: opened fresh, and no rewrite has succeeded since */

/* In the child. A SELECT goes first when db changes. Negative when the file cannot be written: give up then. */
int journal_write(struct journal_writer *w, int db, int argc, const struct slice *argv);

/* --- for INFO --- */

struct journal_info {
    uint64_t lsn, written, synced, released;
    uint64_t size, base_size; /* of all files in force; of the base when it was made */
    size_t backlog;
    bool failed, rewriting, last_rewrite_ok;
    uint64_t rewrite_bytes;  /* written by the child so far */
    int64_t rewrite_ms;      /* for how long it has been under way, 0 when it is not */
    int64_t last_rewrite_ms; /* how long the last one took, -1 when there was none */
    uint64_t rewrites, groups, syncs;
    enum journal_fsync fsync;
    const char *engine;
};
void journal_get_info(const struct journal *j, struct journal_info *to);

#endif
