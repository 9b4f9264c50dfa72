/* One snapshot on its way to one follower: written by a forked child, to a file without a name that is then sent
 * ("$length"), or through a pipe that is sent as it comes ("$EOF:mark", the mark again at its end). Nothing blocks the loop;
 * at most a megabyte of it is in memory. Thread: loop. */
#ifndef REPL_TRANSFER_H
#define REPL_TRANSFER_H

#include "repl/feed.h"

/* The child is forked now: the snapshot is of this moment. Ends in feed_online, or closes the follower's connection. */
int transfer_start(struct follower *f, bool through_pipe, const struct feed_setup *s, uint64_t offset, struct err *err);
void transfer_destroy(struct transfer *t); /* NULL allowed; the follower is going */

#endif
