/* VSIM and VSEARCH. Thread: loop. */
#ifndef CMD_CMD_VSEARCH_H
#define CMD_CMD_VSEARCH_H

#include "cmd/call.h"
#include "cmd/vector_args.h"
#include "io/job.h"

void vsearch_settings(void);
void vsearch_boot(struct job_pool *pool);
struct job_pool *vsearch_pool(void);

/* One query's results as VSIM and VSEARCH answer them. */
void vsearch_reply(struct reply *r, const struct search_args *a, const struct vec_index *index,
                   const struct vec_result *hits);
/* VSEARCH key BATCH ...: replies, now or later. */
void vsearch_batch(struct call *c, struct vset *set);

#endif
