/* The queue behind durable_wait: answers, each with the position of the journal that it waits for. Positions never go
 * back, so the oldest is always the first to leave. For durable.c alone. Thread: loop. */
#ifndef CMD_DURABLE_WAIT_H
#define CMD_DURABLE_WAIT_H

#include "cmd/durable.h"

struct durable_wait *durable_wait_add(uint64_t lsn, bool wrote, durable_done *done, void *arg);
/* Those up to lsn leave. failed: NULL, or why what they have written may be lost; who has only read is told NULL. */
void durable_waits_end(uint64_t lsn, const struct err *failed);

#endif
