/* COMMAND's handler and subcommands; its row stands among the server commands. Thread: loop. */
#ifndef CMD_CMD_COMMAND_H
#define CMD_CMD_COMMAND_H

#include "cmd/cmd.h"

void command_all(struct call *c);
extern const struct cmd command_subs[];
extern const int command_nsubs;

#endif
