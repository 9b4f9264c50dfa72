/* Replication as commands see it: the glue between clients and the leader's feed (repl/feed.h), and who waits for followers
 * or for the disk (WAIT, WAITAOF). Thread: loop. */
#ifndef CMD_REPLICATION_H
#define CMD_REPLICATION_H

#include "io/file.h"
#include "io/loop.h"

void replication_settings(void);
void replication_boot(struct loop *l, struct file_io *files);
void replication_tick(void);
void replication_stop(void);
void replication_close(void);

struct timer *replication_timer(void (*fn)(void *arg), void *arg); /* on the server's loop */

struct call;
/* Parks the call until enough have its client's last write, or the time is over: WAIT (aof false) and WAITAOF. */
void replication_wait(struct call *c, bool aof, int64_t local, int64_t followers, int64_t timeout_ms);

#endif
