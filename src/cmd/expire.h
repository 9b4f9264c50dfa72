/* The time arguments of commands that set an expiry: EX seconds, PX milliseconds, EXAT and PXAT a point in time.
 * Thread: loop. */
#ifndef CMD_EXPIRE_H
#define CMD_EXPIRE_H

#include "cmd/call.h"

enum expire_unit { EXPIRE_EX, EXPIRE_PX, EXPIRE_EXAT, EXPIRE_PXAT };

/* Reads argv[i] as milliseconds since 1970; `positive` refuses zero and less. False: the error reply is written. */
bool expire_arg(struct call *c, int i, enum expire_unit unit, bool positive, int64_t *at_ms);

/* Whether a key with this expiry is to be deleted at once instead of being given it. Not while replaying: the journal
 * then says itself what was deleted. */
bool expire_is_past(const struct call *c, int64_t at_ms);

#endif
