/* Commands run from inside the server (a flow's node, an answer that is added to a session): as CALL_INTERNAL, by a client
 * without a connection, the reply collected as RESP bytes. What is run for somebody is run with that user's permissions;
 * the server's own bookkeeping, on keys that were checked or that it named itself, has user NULL. Thread: loop. */
#ifndef CMD_INSIDE_H
#define CMD_INSIDE_H

#include "base/buf.h"
#include "base/slice.h"
#include "store/db.h"

/* Synchronous: the command must not park (it is CALL_ATOMIC for the time). */
void call_inside(struct db *db, int argc, const struct slice *argv, struct buf *reply, int resp);

/* The same for commands that may park (VSEARCH, LLM.ASK): done gets the reply on the loop, perhaps before this returns.
 * Returns a handle for call_inside_cancel, or NULL when done was already called. */
struct inside;
struct user;
struct inside *call_inside_async(struct db *db, struct user *user, int argc, const struct slice *argv, int resp,
                                 void (*done)(void *arg, struct slice reply), void *arg);
void call_inside_cancel(struct inside *in); /* done still comes */

/* For call.c: the parked call of an internal client has its reply. */
struct client;
void call_inside_finished(struct client *c);

#endif
