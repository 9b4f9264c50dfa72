/* Looking ahead in a pipeline: what its next commands will read is fetched into the cache before the first of them runs,
 * so that the misses of many commands overlap instead of following each other. Nothing that a client could see depends
 * on it. Thread: loop. */
#ifndef CMD_AHEAD_H
#define CMD_AHEAD_H

#include "cmd/client.h"

void ahead(struct client *c, struct resp_request *r, int n);

#endif
