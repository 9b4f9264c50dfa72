/* Lazy free: values whose release is a lot of work (a list of a million) are freed by a worker. Thread: loop. */
#ifndef STORE_LAZYFREE_H
#define STORE_LAZYFREE_H

#include "io/job.h"
#include "store/obj.h"

void lazyfree_boot(struct job_pool *pool); /* without a pool everything is freed at once */
void lazyfree_obj(struct obj *o);          /* the shell now, the value now or by a worker */
void lazyfree_value(uint8_t type, uint8_t enc, void *ptr);
extern uint64_t lazyfree_done; /* values that workers have freed; CONFIG RESETSTAT sets it to 0 */
size_t lazyfree_pending(void);

#endif
