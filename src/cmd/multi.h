/* Transactions: a client's queued commands and watched keys.
 *
 * Between MULTI and EXEC commands are copied and not run; a refused one makes EXEC fail (CLIENT_DIRTY_EXEC, set by the
 * dispatcher). A key watched and changed since makes EXEC answer nil (CLIENT_DIRTY_CAS, set here). EXEC runs the queue
 * through dispatch_queued as one group of effects.
 *
 * Thread: loop. */
#ifndef CMD_MULTI_H
#define CMD_MULTI_H

#include <stdbool.h>

#include "cmd/client.h"
#include "cmd/cmd.h"

bool multi_queues(const struct cmd *cmd); /* false: runs at once even between MULTI and EXEC */
void multi_queue(struct client *c, unsigned flags, int argc, const struct slice *argv);
unsigned multi_flags(const struct client *c); /* the cmd_flags of all queued commands together */
int multi_queued(const struct client *c);     /* how many are queued; -1: not between MULTI and EXEC */
size_t multi_bytes(const struct client *c);   /* of the queued commands */

void multi_release(struct client *c); /* drops queue and watches and leaves the MULTI state: RESET, disconnect */

/* EXEC itself was refused with the error that stands in the client's output from `at` on: the error becomes EXECABORT with
 * that reason, and the transaction, if there is one, is over. */
void multi_abort(struct client *c, size_t at);

/* From the store's hooks. flushed: the keys of db went or are others now (FLUSHDB before they go, SWAPDB after). */
void multi_touched(struct db *db, struct slice key);
void multi_flushed(struct db *db);

#endif
