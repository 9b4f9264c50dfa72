/* The slow log: the last commands that took long. Thread: loop. */
#ifndef CMD_SLOWLOG_H
#define CMD_SLOWLOG_H

#include "cmd/call.h"

void slowlog_settings(void); /* registers slowlog-log-slower-than, slowlog-max-len */
/* After a call that took so many microseconds of the loop's time (what it waited for does not count). */
void slowlog_note(const struct call *c, int64_t us);

#endif
