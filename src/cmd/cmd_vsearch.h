/* VSIM and VSEARCH. Thread: loop. */
#ifndef CMD_CMD_VSEARCH_H
#define CMD_CMD_VSEARCH_H

#include "cmd/call.h"
#include "io/job.h"

void vsearch_settings(void);
void vsearch_boot(struct job_pool *pool);

#endif
