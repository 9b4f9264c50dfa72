/* VSIM and VSEARCH; their rows stand among the vector commands. Thread: loop. */
#ifndef CMD_CMD_VSEARCH_H
#define CMD_CMD_VSEARCH_H

#include "cmd/call.h"
#include "io/job.h"

void vsearch_settings(void);
void vsearch_boot(struct job_pool *pool);
void vsim(struct call *c);
void vsearch(struct call *c);

struct vset;
struct vset *vset_read(struct call *c, struct slice key); /* NULL: absent, or of another type (replied) */

#endif
