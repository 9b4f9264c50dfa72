/* The settings of DEBUG, and what the server hands to CONFIG. Thread: boot. */
#ifndef CMD_CMD_SERVER_H
#define CMD_CMD_SERVER_H

#include <stdbool.h>

#include "base/err.h"

void server_cmd_settings(void);

extern bool debug_cron_paused; /* DEBUG PAUSE-CRON: the periodic work rests */
extern int (*server_config_rewrite)(struct err *err); /* CONFIG REWRITE; set by the server */

#endif
