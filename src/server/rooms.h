/* The rooms that have something to open and close, in order. Adding one that needs the loop, workers or files is a row in
 * rooms.c. Thread: loop. */
#ifndef SERVER_ROOMS_H
#define SERVER_ROOMS_H

#include "io/file.h"
#include "io/job.h"
#include "store/db.h"

struct rooms {
    struct loop *loop;
    struct job_pool *pool;
    struct file_io *files;
    struct store *store;
};

void rooms_settings(void);
int rooms_open(const struct rooms *r, struct err *err); /* before the journal is replayed */
int rooms_loaded(struct err *err);                      /* after the replay, before anybody is served */
int rooms_serve(struct err *err);                       /* outward doors */
void rooms_tick(void);                                  /* periodic work, hz times a second */
void rooms_drain(void);  /* the order to stop has come, the loop still turns: what is under way ends */
size_t rooms_busy(void); /* calls that are under way */
size_t rooms_unread(void); /* answers that are on their way to their clients */
void rooms_stop(void);  /* no new work from outside; what waits is cancelled */
void rooms_close(void); /* after the last client went */

#endif
