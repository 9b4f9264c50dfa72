/* CLIENT PAUSE: for a while the commands of clients wait, all of them or those that may change something. Meanwhile
 * nothing expires and nothing is evicted: a key whose time has come is not seen any more, and is removed afterwards.
 *
 * A command that waits stays in its connection's query buffer and is parsed anew when the pause is over; so it is the
 * connection that waits, in the order of its commands, and it costs nothing. Thread: loop. */
#ifndef CMD_PAUSE_H
#define CMD_PAUSE_H

#include "cmd/client.h"
#include "cmd/cmd.h"
#include "io/loop.h"

enum pause_mode { PAUSE_OFF, PAUSE_WRITE, PAUSE_ALL };
extern enum pause_mode pause_mode;

void pause_boot(struct loop *l);
void pause_end(void);

/* A pause that is under way is only made longer and stricter. */
void pause_clients(enum pause_mode mode, int64_t ms);
void pause_over(void);

/* What a command may do to the keyspace or tell others, for these arguments: its row's flags, without
 * CMD_MAY_REPLICATE for a script that says that it does not write. */
unsigned pause_flags(const struct cmd *cmd, int argc, const struct slice *argv);
/* True: the command must not run now, and its connection waits. flags: of the command, for EXEC of all that is queued. */
bool pause_holds(struct client *c, unsigned flags);

size_t pause_waiting(void); /* how many clients wait */

#endif
