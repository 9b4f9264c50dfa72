/* What multi.c and cmd_multi.c share; nobody else includes this. Thread: loop. */
#ifndef CMD_MULTI_EXEC_H
#define CMD_MULTI_EXEC_H

#include "cmd/client.h"

struct queued {
    int argc;
    struct slice *argv; /* one allocation with its bytes */
};

struct queue {
    struct queued *cmds;
    int n, cap, skipped; /* skipped: not kept, because EXEC will fail anyway */
    uint32_t flags;
    size_t bytes;
};

struct queue multi_take(struct client *c); /* the queue is the caller's now; the client leaves the MULTI state */
void multi_queue_release(struct queue *q);

void multi_watch(struct client *c, struct slice key); /* in the client's database */
void multi_unwatch(struct client *c);
bool multi_expired(const struct client *c, struct store *s); /* has a watched key's time come? */

#endif
