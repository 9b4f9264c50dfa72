/* The server's own INFO fields and metrics. Thread: loop. */
#ifndef SERVER_STATS_H
#define SERVER_STATS_H

#include "io/file.h"
#include "io/job.h"
#include "store/db.h"

void stats_boot(struct store *store, struct job_pool *pool, struct file_io *files);
void stats_tick(void); /* samples rates and peaks */

#endif
