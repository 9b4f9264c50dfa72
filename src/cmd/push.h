/* Messages on their way to a client that is in the middle of a command: they wait for the end of its reply, which would
 * otherwise be cut in two by them (a transaction that publishes to its own client's channel). Thread: loop. */
#ifndef CMD_PUSH_H
#define CMD_PUSH_H

#include "cmd/client.h"

/* Around one whole command of c, or around what serves a parked one. push_hold says whether it took effect: an inner pair
 * changes nothing, and only who got true calls push_release. */
bool push_hold(struct client *c);
void push_early(struct client *c); /* what waits goes before the reply, of which nothing is written yet */
void push_release(struct client *c);

/* Where a message to c is written now; push_wrote when it is. */
struct buf *push_out(struct client *c);
void push_wrote(struct client *c);

#endif
