/* Client-side caching: who has read which keys, and who must be told when they change.
 *
 * A client that tracks is remembered for each key that its commands read (by key, without the database, as in Redis) until
 * the key changes: then it gets one message with that key and is forgotten for it. In broadcast mode nothing is remembered;
 * every change of a key with one of its prefixes is told, the changes of one turn of the loop in one message.
 *
 * Messages are RESP3 pushes, or published to `__redis__:invalidate` of another connection (REDIRECT). A client's own
 * changes reach it after the reply of the command that made them. While nobody tracks, the dispatcher pays one test of
 * tracking_clients.
 *
 * Thread: loop. */
#ifndef CMD_TRACKING_H
#define CMD_TRACKING_H

#include "cmd/client.h"
#include "cmd/table.h"
#include "io/loop.h"

enum tracking_flags {
    TRACKING_BCAST = 1 << 0,
    TRACKING_OPTIN = 1 << 1,   /* keys are remembered for the command after CLIENT CACHING YES only */
    TRACKING_OPTOUT = 1 << 2,  /* ... but for the one after CLIENT CACHING NO */
    TRACKING_NOLOOP = 1 << 3,  /* the client's own changes are not told */
    TRACKING_CACHING = 1 << 4, /* CLIENT CACHING came; ends with the next command */
    TRACKING_BROKEN = 1 << 5,  /* the connection of REDIRECT is gone */
};

struct tracking { /* of one client */
    unsigned flags;
    uint64_t redirect;   /* id of the connection that gets the messages; 0: the client itself */
    struct list prefixes; /* struct tracking_seat, by of_client */
};

struct tracking_prefix;
struct tracking_seat { /* one client in one prefix */
    struct list of_client, of_prefix;
    struct client *client;
    struct tracking_prefix *prefix;
};
struct slice tracking_prefix_text(const struct tracking_prefix *p);

extern size_t tracking_clients; /* how many track; 0: none of the functions below needs to be called */

void tracking_settings(void);
void tracking_boot(struct loop *l);
void tracking_end(void);

/* Turns tracking on or changes how it is done; prefixes are added to those there are. The caller has checked that the
 * options go together. */
void tracking_start(struct client *c, unsigned flags, uint64_t redirect, const struct slice *prefixes, int n);
void tracking_stop(struct client *c); /* also when it was not on */

/* A command was run for c. inside: by a script of c's, whose declared keys are remembered, too, once it has read something. */
void tracking_ran(struct client *c, const struct cmd_entry *e, int argc, const struct slice *argv, bool inside);
void tracking_changed(struct client *by, struct slice key); /* by NULL: the server itself (expiry, eviction) */
void tracking_flushed(void);                                /* many keys went at once */
void tracking_settle(void);                                 /* a whole command is over: says what concerns all */
void tracking_limit(void);                                  /* forgets some keys when there are too many */

#endif
