/* What the session commands need of the server. Thread: loop. */
#ifndef CMD_SESSION_BOOT_H
#define CMD_SESSION_BOOT_H

struct job_pool;

void session_cmd_open(struct job_pool *pool); /* where long searches run; without it they run on the loop */

#endif
