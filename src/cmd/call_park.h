/* What call.c and dispatch.c share about a call in progress; nobody else includes this. Thread: loop. */
#ifndef CMD_CALL_PARK_H
#define CMD_CALL_PARK_H

#include "cmd/call.h"
#include "cmd/table.h"

struct frame { /* c->park points here from the start of a call to its end */
    struct cmd_entry *entry;
    struct parked *parked; /* NULL while the handler has not parked */
};

/* The client of a parked call is going away: the call goes on alone. */
void call_orphan(struct call *c);
void call_cancel(struct call *c); /* its owner is told to end it, once; call_resume still follows */

#endif
