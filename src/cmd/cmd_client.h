/* CLIENT's subcommands that have a file of their own; their rows stand with the others in cmd_connection.c. */
#ifndef CMD_CMD_CLIENT_H
#define CMD_CMD_CLIENT_H

#include "cmd/call.h"

void client_tracking(struct call *c);
void client_caching(struct call *c);
void client_getredir(struct call *c);
void client_trackinginfo(struct call *c);
void client_pause(struct call *c);
void client_unpause(struct call *c);
void client_help(struct call *c);

#endif
