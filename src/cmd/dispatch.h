/* The dispatcher: from a parsed command line to its handler, and what must be checked before and done after.
 *
 *   lookup ─ arity ─ authentication ─ permissions ─ memory ─ disk ─ loading ─ subscribed ─ MULTI queue ─ handler
 *                                                          effects ─ watchers, waiters ─ hold for the disk ─ next command
 *
 * Thread: loop. */
#ifndef CMD_DISPATCH_H
#define CMD_DISPATCH_H

#include "base/err.h"
#include "cmd/client.h"
#include "cmd/table.h"

struct dispatch_stats {
    uint64_t commands, errors, rejected;
};
extern struct dispatch_stats dispatch_stats;

/* What the server answers before it runs a command that writes; set by durable.c and the eviction. Each returns 0 or an
 * error whose sentence is the reply (code ERR_GENERIC: the sentence carries its own class, such as MISCONF). */
struct dispatch_gates {
    int (*disk)(struct err *err);
    int (*memory)(struct err *err);
    int (*followers)(struct err *err); /* are there enough of them for a write? */
    void (*after_write)(struct client *c, const struct cmd *cmd); /* may hold the client's replies */
    void (*shutdown)(void);                                       /* a clean stop, soon */
};
extern struct dispatch_gates dispatch_gates;

void dispatch_boot(struct store *store);
struct store *dispatch_store(void);

/* One command line from a connection (or from an internal client). */
void dispatch_command(struct client *c, int argc, struct slice *argv);
void dispatch_request(struct client *c, const struct resp_request *r); /* the same, with what was found out ahead */
/* Whose doing the changes of keys are from now on, for who must not be told of its own; returns who it was. */
struct client *dispatch_current(struct client *c);
/* One command of a transaction, at EXEC: runs with CALL_ATOMIC. */
void dispatch_queued(struct client *c, int argc, const struct slice *argv);
/* For scripts. The command that argv calls, subcommands resolved, its arity not looked at; NULL: there is none. */
struct cmd_entry *dispatch_find(int argc, const struct slice *argv);
void dispatch_refused(struct cmd_entry *e, struct reply *r); /* counts the error that has been written for it */
void dispatch_inside(struct client *c, struct cmd_entry *e, int argc, const struct slice *argv); /* no checks */
/* One effect of the journal. MULTI and EXEC are resolved by the caller. A reply that is an error is err. */
int dispatch_replay(int db, int argc, const struct slice *argv, uint64_t lsn, struct err *err);

/* For call.c: ends a call whose handler has returned or that was resumed. */
void dispatch_after(struct call *c, struct cmd_entry *e, uint64_t dirty_before);

#endif
