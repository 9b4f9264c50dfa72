/* MONITOR: clients that are shown every command that runs. Thread: loop. */
#ifndef CMD_MONITOR_H
#define CMD_MONITOR_H

#include "cmd/client.h"
#include "cmd/cmd.h"

/* After cmd has run for c. Costs one comparison while nobody looks. */
void monitor_show(const struct client *c, const struct cmd *cmd, int argc, const struct slice *argv);

#endif
