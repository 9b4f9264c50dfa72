/* The server's own INFO fields and metrics. Thread: loop. */
#ifndef SERVER_STATS_H
#define SERVER_STATS_H

#include "io/file.h"
#include "io/job.h"
#include "store/db.h"

void stats_boot(struct store *store, struct job_pool *pool, struct file_io *files);
void stats_tick(void); /* samples rates and peaks */
size_t stats_peak(void); /* the most bytes that were in use */

void stats_redis_boot(void); /* when the server is ready, before data is loaded */
void stats_redis_tick(void);

#endif
