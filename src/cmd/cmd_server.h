/* The settings of DEBUG. Thread: boot. */
#ifndef CMD_CMD_SERVER_H
#define CMD_CMD_SERVER_H

void server_cmd_settings(void);

#endif
