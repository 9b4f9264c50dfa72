/* A client: the state of one connection between commands (or of the server's own hand, when conn is NULL).
 * Thread: loop. */
#ifndef CMD_CLIENT_H
#define CMD_CLIENT_H

#include "base/buf.h"
#include "base/dict.h"
#include "base/list.h"
#include "net/conn.h"
#include "net/pubsub.h"
#include "net/reply.h"
#include "store/db.h"

struct call;
struct user;

enum client_flags {
    CLIENT_MULTI = 1 << 0,       /* between MULTI and EXEC */
    CLIENT_DIRTY_EXEC = 1 << 1,  /* a queued command was refused: EXECABORT */
    CLIENT_DIRTY_CAS = 1 << 2,   /* a watched key changed: EXEC is nil */
    CLIENT_CLOSE_SOON = 1 << 3,  /* close once the replies are out */
    CLIENT_REPLY_OFF = 1 << 4,
    CLIENT_REPLY_SKIP = 1 << 5,  /* this command's reply is dropped */
    CLIENT_REPLY_SKIP_NEXT = 1 << 6,
    CLIENT_NO_EVICT = 1 << 7,
    CLIENT_NO_TOUCH = 1 << 8,
    CLIENT_MONITOR = 1 << 9,
    CLIENT_INTERNAL = 1 << 10,
    CLIENT_REPLYING = 1 << 11,   /* in the middle of a command: pushes to it wait in `later` (cmd/push.h) */
    CLIENT_PAUSED = 1 << 12,     /* its next command waits for the end of CLIENT PAUSE */
    CLIENT_SCRIPT = 1 << 24,     /* the one that runs what scripts call */
};

struct client {
    uint64_t id;
    struct conn *conn; /* NULL: internal */
    struct db *db;
    struct reply reply;
    unsigned flags;
    struct user *user; /* held; NULL: the server's own hand, which may do everything */
    bool authed;
    char *name, *lib_name, *lib_ver; /* NULL: unset */
    int64_t created_ms;              /* wall */
    int64_t last_ms;                 /* monotonic, last command */
    uint64_t commands;
    const char *last_cmd;
    struct list link;                /* in the list of all clients, oldest first */
    struct call *parked;             /* the call that waits, NULL: none */
    struct multi *multi;             /* queued commands and watched keys; NULL: none ever */
    struct pubsub_sub *sub;          /* subscriptions; NULL: none */
    struct tracking *tracking;       /* client-side caching; NULL: off */
    struct buf later;                /* pushes that wait for the end of a reply */
    struct list pause_link;          /* among those that wait for the end of CLIENT PAUSE */
    uint64_t hold_lsn;               /* replies leave when the journal has synced this far; 0: nothing is held */
    uint64_t hold_write_lsn;         /* of that, what its own writes need */
    struct list hold_link;
    uint64_t write_lsn, write_offset; /* journal and stream behind its last write: what WAITAOF and WAIT wait for */
    struct follower *follower;        /* it says REPLCONF or has asked for the stream; NULL: an ordinary client */
};

void clients_boot(struct store *store);
struct client *client_create(struct conn *conn);
void client_destroy(struct client *c);
/* Who it is from now on. Until it is authenticated, its connection takes small requests only. */
void client_set_user(struct client *c, struct user *user, bool authed);
struct client *client_by_id(uint64_t id); /* NULL when unknown */
size_t client_count(void);                /* connected ones */
struct list *clients_all(void);           /* struct client, by link */
bool client_follows(const struct client *c); /* gets the stream of effects, or will */
const char *client_type(const struct client *c); /* "normal", "pubsub" or "replica" */
bool client_is_type(const struct client *c, struct slice type); /* also by Redis's older name */
size_t client_subscriptions(const struct client *c);
struct pubsub *clients_pubsub(void); /* the server's one */
size_t client_memory(const struct client *c); /* its buffers, its queued commands and itself */
size_t clients_memory(void);                  /* of all clients together */
/* One line of CLIENT LIST, no newline. running: bytes of the command that this client is running, which Redis counts among
 * those of its query buffer. */
void client_line(const struct client *c, size_t running, struct buf *to);

#endif
