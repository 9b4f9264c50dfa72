/* The flow family: cmd_flow.c has the registry's commands, the runs' and the rows; cmd_flow_run.c has FLOW.RUN. */
#ifndef CMD_CMD_FLOW_H
#define CMD_CMD_FLOW_H

#include "base/json.h"
#include "cmd/cmd.h"

struct flow_run;

void flow_run_command(struct call *c);
/* SESSION's value is a key. */
int flow_run_keys(int argc, const struct slice *argv, int *pos);

/* The nodes of a run, as FLOW.TRACE and WITHMETA show them. */
void flow_reply_trace(struct reply *r, const struct flow_run *run);
void flow_reply_json(struct reply *r, const cJSON *v); /* as a text; NULL: nil */

#endif
