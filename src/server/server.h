/* The server: boot order, periodic work, clean stop. Thread: loop. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "base/err.h"

/* Registers settings; call before config_load. */
void server_settings(void);
/* Opens everything and serves until a clean stop. 0, or an error that stopped the start. */
int server_run(struct err *err);

#endif
