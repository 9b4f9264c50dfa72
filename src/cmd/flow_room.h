/* What the room of flows is given: commands run from inside, models, workers, outbound HTTP; and what the journal must
 * write for it. Thread: loop. */
#ifndef CMD_FLOW_ROOM_H
#define CMD_FLOW_ROOM_H

#include "io/job.h"
#include "io/loop.h"

void flow_room_settings(void);
void flow_room_open(struct loop *l, struct job_pool *pool); /* after outbound_open */
void flow_room_stop(void);                                  /* cancels every run; their clients get their replies */
void flow_room_close(void);

#endif
