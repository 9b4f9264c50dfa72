/* Blocked clients: calls that wait for keys (call_block in cmd/call.h), with Redis's fairness.
 *
 *   touched     a key changed: if somebody waits for it, it becomes ready. Called from the store's hook, also inside
 *               transactions and scripts; does nothing else.
 *   serve       the calls that wait for ready keys are tried again, oldest first, until no key is ready. Called by the
 *               dispatcher after each whole command, and once per turn of the loop for what the server itself changed.
 *
 * A call that waits for several keys stands in the queue of each. It leaves by being served, by its time, by CLIENT
 * UNBLOCK, or with its client; it is resumed exactly once.
 *
 * Thread: loop. */
#ifndef CMD_BLOCK_H
#define CMD_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "io/loop.h"
#include "store/db.h"

struct call;

void block_boot(struct loop *l); /* before the hook that writes replies is added to the loop */
void block_end(void);            /* at shutdown, when all clients are gone */

void block_touched(struct db *db, struct slice key);
void block_flushed(struct db *db); /* the keys of db are others now (SWAPDB): every key waited for becomes ready */
void block_serve(void);

size_t block_timeouts(void); /* how many wait with a deadline */

/* CLIENT UNBLOCK: ends the wait as its timeout would, or with an error. False when the call waits for no key. */
bool block_unblock(struct call *c, bool error);

#endif
