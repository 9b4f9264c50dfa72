/* Durability as commands see it: effects go to the journal, and a client's replies stay in its buffer until the journal
 * has released what they speak of: synced under `appendfsync always`, written to the file otherwise. Reads wait for the
 * same point, so that nobody is told of a change that a crash could take back (of the machine under `always`, of the
 * process otherwise); while the disk fails, reads go on and writes are refused (MISCONF).
 *
 * Also the compaction of the journal: what must be written so that reading it gives the present state.
 * Thread: loop. */
#ifndef CMD_DURABLE_H
#define CMD_DURABLE_H

#include <stddef.h>

#include "base/err.h"
#include "cmd/client.h"
#include "io/file.h"
#include "io/job.h"
#include "io/file.h"

void durable_settings(void); /* registers the rows: appendonly, appendfsync, ... */
/* Opens the journal under the data directory, replays it, and starts appending, when `appendonly` is on. */
int durable_open(struct loop *l, struct file_io *files, struct job_pool *pool, const char *dir, struct err *err);
void durable_close(void); /* a clean stop: what was appended is on disk afterwards */
int durable_rewrite(struct err *err); /* also while the journal is off: its files are made and left alone then */
bool durable_rewriting(void);
/* Empties the keyspace and replays the journal, for tests (DEBUG LOADAOF). ERR_STATE when it is off, when it has no base
 * yet, or when a key has files of its own, which only a start finds again. Blocks. */
int durable_reload(struct err *err);
void durable_tick(void); /* periodic: starts a compaction when the journal has grown enough */

/* Registries (models, flows) are not keys: each gives a function that emits the commands which make it again. Called in
 * the forked child of a compaction: it only reads. */
typedef int durable_write(void *to, int db, int argc, const struct slice *argv); /* negative: give up */
void durable_add_registry(int (*emit)(durable_write *write, void *to));
/* Sums that the replay adds to must be empty when it begins. */
void durable_before_reload(void (*empty)(void));
/* Runs before a compacted journal replaces the old one: what values keep in files of their own must be durable up to lsn
 * first; then it calls durable_switch(true), or durable_switch(false) to keep the old journal. */
void durable_before_switch(void (*prepare)(uint64_t lsn));
void durable_switch(bool ok);

/* An answer of another door than the Redis protocol's, which waits like a reply does. NULL: all that has been appended is
 * released, nothing waits. Otherwise done comes once, never from inside this function, unless durable_wait_end was
 * first. failed: the disk refuses, and what was changed (wrote) may be lost; or the journal is closed. Who has only read
 * is not held while the disk refuses. */
struct durable_wait;
typedef void durable_done(void *arg, const struct err *failed);
struct durable_wait *durable_wait(bool wrote, durable_done *done, void *arg);
void durable_wait_end(struct durable_wait *w);
size_t durable_waits(void); /* how many wait */
/* 0, or ERR_IO: the disk refuses, and what cannot be kept should not be begun. */
int durable_ready(struct err *err);
void durable_pause(bool on); /* for tests: the disk is slow */

bool durable_whole(void);          /* did the replay apply everything? */
bool durable_enabled(void);     /* is there a journal, or will there be one after the replay? */
bool durable_on(void);             /* is a journal kept (not only made, as BGREWRITEAOF does while it is off)? */
uint64_t durable_lsn(void);        /* journal position after the last effect; 0 without a journal */
uint64_t durable_synced_lsn(void); /* what is on disk */
void durable_on_advance(void (*fn)(void)); /* called when the synced or the released position has moved */
uint64_t durable_released_lsn(void); /* what a crash of the process cannot lose; without a journal, everything */

#endif
