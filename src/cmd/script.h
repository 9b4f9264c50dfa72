/* A script as a command: what must be checked before it runs, the commands that it calls, how long it may hold everybody
 * up.
 *
 * One script runs at a time, inside the call that asked for it (EVAL, FCALL, or one of them inside EXEC). Its commands run
 * by a client without a connection, atomically: nothing waits, nobody is served between them, time stands still, and
 * their effects leave as one group with those of the call. Once it has run for busy-reply-threshold, the loop is turned
 * from inside it, so that other clients are told BUSY and may kill it; see loop_turn_inside for what happens then and
 * what does not.
 *
 * Thread: loop. */
#ifndef CMD_SCRIPT_H
#define CMD_SCRIPT_H

#include "cmd/call.h"
#include "io/loop.h"
#include "script/engine.h"

void script_settings(void);
void script_boot(struct loop *l, const char *version); /* version: "7.2.4", for redis.REDIS_VERSION */
const struct engine_host *script_host(void);

struct script_start {
    struct engine *engine;
    struct engine_run run; /* keys and arguments as script_keys leaves them */
    unsigned flags;        /* enum script_flags */
    bool read_only;        /* the _RO form of the command */
    bool eval;             /* killed by SCRIPT KILL; otherwise by FUNCTION KILL */
};
/* argv[2] is a count of keys, then come keys and arguments. False: the reply says what is wrong. */
bool script_keys(struct call *c, struct engine_run *run);
int script_key_positions(int argc, const struct slice *argv, int *pos); /* for the rows of such commands */
/* Runs it and writes the reply, the one of a refusal too. */
void script_execute(struct call *c, struct script_start *s);

bool script_running(void);
/* What a client is told while a script runs; only who is served by loop_turn_inside gets to ask. */
const char *script_busy_error(void);
void script_kill(struct call *c, bool eval); /* SCRIPT KILL, FUNCTION KILL: writes the reply */
/* The one that runs, for FUNCTION STATS: its name, the command, for how long. False: none, or it is EVAL's. */
bool script_function_stats(const char **name, const struct call **call, int64_t *ms);

extern bool script_allow_denied; /* DEBUG SET-DISABLE-DENY-SCRIPTS: commands that scripts may not call are let through */

#endif
