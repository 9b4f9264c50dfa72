/* The leader's feed: every effect, in order, to each follower.
 *
 *   follower_create ── feed_start ──► snapshot at offset N ──► the stream from N on
 *
 * The stream is what the journal gets too, encoded as RESP commands: SELECT where the database changes, MULTI and EXEC
 * around what belongs together, PING when it has been still for a while. Its bytes are counted: an offset is a position in
 * the stream since the server started, under the stream's id. It grows only while somebody listens.
 *
 * What a follower gets may be ahead of what this server's disk has; WAITAOF is for those who care.
 *
 * Thread: loop. */
#ifndef REPL_FEED_H
#define REPL_FEED_H

#include "base/list.h"
#include "io/file.h"
#include "net/conn.h"
#include "persist/rdb_file.h"

#define FEED_ID_LEN 40

struct transfer;

enum follower_state {
    FOLLOWER_NEW,      /* says who it is (REPLCONF) */
    FOLLOWER_SNAPSHOT, /* the snapshot is written */
    FOLLOWER_SENDING,  /* and sent */
    FOLLOWER_ONLINE,
};

struct follower {
    struct list link; /* in the feed's list from feed_start on */
    struct conn *conn;
    enum follower_state state;
    int port;         /* where it listens, as it says; 0: it did not */
    char ip[64];      /* as it says; "": where it comes from */
    bool can_eof;     /* reads a snapshot that ends with a mark */
    bool old;         /* asked with SYNC: it sends no ACKs */
    bool rdb_only;    /* wants a snapshot and no stream */
    bool functions_only;
    bool wait_ack;    /* the stream begins when it has said that the snapshot is in */
    uint64_t ack, fsync_ack; /* what it said it has: in memory, on its disk */
    int64_t ack_ms;          /* when, monotonic; 0: never */
    struct transfer *transfer;
    struct buf pending; /* the stream behind the snapshot while that is under way */
};

struct feed_setup {
    struct loop *loop;
    struct file_io *files;
    const struct store *store;
    void (*options)(struct rdb_write *o);                 /* what the settings say of snapshots */
    void (*acknowledged)(void);                           /* some follower has moved on */
};
void feed_boot(const struct feed_setup *s);
void feed_settings(void);
void feed_tick(void);

struct follower *follower_create(struct conn *c);
void follower_destroy(struct follower *f); /* its connection is going; NULL allowed */

/* Begins with a snapshot. `resync` asks for the head that PSYNC's answer has. Not between the effects of a group. */
int feed_start(struct follower *f, bool resync, struct err *err);
void follower_acked(struct follower *f, uint64_t offset, uint64_t fsynced);

void feed_effect(void *arg, int db, int argc, const struct slice *argv); /* a sink of effects */
void feed_on_listen(void (*fn)(bool anybody)); /* told when the first follower comes and the last goes */

const char *feed_id(void);
uint64_t feed_offset(void);
void feed_ask_acks(void); /* REPLCONF GETACK to everybody */
int feed_acked(uint64_t offset);   /* how many have it in memory */
int feed_fsynced(uint64_t offset); /* and on their disk */
int feed_good(int64_t max_lag_s);  /* online, and heard of within so many seconds (0: at any time) */
struct list *feed_followers(void); /* struct follower, by link */

/* For transfer.c: the snapshot is out, the follower takes the stream from now on. */
void feed_online(struct follower *f);

#endif
