/* Snapshots: RDB files of the keyspace, made on demand (SAVE, BGSAVE), by the points of the setting `save`, or for a
 * reload, and read again.
 *
 * What Skald starts from is its journal. An RDB file is an export that every Redis tool reads, and an import: it is read
 * at the start when the journal is off, or when it is on and there is none yet. Keys of types that Redis does not have stay
 * out of it (persist/rdb_file.h); the log says how many.
 *
 * Thread: loop. */
#ifndef CMD_SNAPSHOT_H
#define CMD_SNAPSHOT_H

#include "base/err.h"
#include "io/loop.h"
#include "persist/rdb_file.h"

void snapshot_settings(void);
void snapshot_boot(struct loop *l, const char *redis_version); /* the version stands in the files */
void snapshot_tick(void); /* starts what was scheduled or what a save point asks for */
void snapshot_stop(void); /* ends a child */

int snapshot_save(struct err *err); /* blocks until the file is there */
/* Forks a child that writes the file. ERR_STATE while one does. */
int snapshot_start(struct err *err);
void snapshot_schedule(void); /* as soon as no child is in the way */
bool snapshot_running(void);
bool snapshot_wanted(void); /* are there save points: then a clean stop saves, too */
int64_t snapshot_last_s(void); /* wall seconds of the last success, or of the start */
void snapshot_flushed(void); /* FLUSHALL: what a child writes is stale; with save points an empty file is written */

/* The options that every writer of RDB data takes from the settings; sink and arg are the caller's. */
void snapshot_options(struct rdb_write *o);

enum snapshot_load {
    SNAPSHOT_MERGE = 1,   /* a key that is there is replaced; otherwise it is an error */
    SNAPSHOT_EFFECTS = 2, /* what is loaded is stated as effects: journal and followers do not have it */
};
/* The file, if there is one: *found. Blocks. */
int snapshot_load(unsigned flags, bool *found, struct err *err);
/* The same for RDB data in memory (a leader's). */
int snapshot_load_bytes(struct slice bytes, unsigned flags, struct err *err);
/* Takes all keys away that a snapshot would hold; keys of Skald's own types stay. */
void snapshot_clear(bool effects);

/* Function libraries: kept elsewhere, part of every snapshot. */
struct snapshot_functions {
    void (*emit)(struct rdb_writer *w);                    /* each through rdb_write_function; in the child */
    int (*load)(struct slice code, bool replace, struct err *err);
    void (*clear)(void);
};
void snapshot_set_functions(const struct snapshot_functions *f); /* kept, not copied */

/* 0, or the MISCONF sentence while snapshots fail and stop-writes-on-bgsave-error holds. */
int snapshot_gate(struct err *err);

#endif
