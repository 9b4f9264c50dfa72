/* Adding messages to a session from inside a command, with all that belongs to it: LLM.CHAT's turn, an agent's steps.
 *
 *   struct session_msg turn[] = {{.role = SESSION_USER, .content = question}, {.role = SESSION_ASSISTANT, .content =
 * answer}}; if (session_turn_add(c, key, turn, 2, NULL, &err) < 0) call_err(c, &err); else reply_bulk(c->reply,
 * answer);
 *
 * The messages are checked, get ids and are added all or none; a session is made when the key is free; each message is
 * stated as one SESSION.ADD effect with its id and time (so the calling command itself is not journaled); watchers and
 * notifications are served once. In a parked call this belongs right before call_resume.
 *
 * What is read before a model is asked: session_read here, then session/context.h. Thread: loop. */
#ifndef CMD_SESSION_TURN_H
#define CMD_SESSION_TURN_H

#include "cmd/call.h"
#include "session/session.h"

/* 0 or a code with err set: ERR_WRONGTYPE, ERR_INVALID, ERR_STATE (session-max-messages). ids: NULL or room for n. */
int session_turn_add(struct call *c, struct slice key, const struct session_msg *msgs, size_t n, struct session_id *ids,
                     struct err *err);
/* The same at a stated time, which is what a replayed SESSION.ADD does. */
int session_turn_add_at(struct call *c, struct slice key, const struct session_msg *msgs, size_t n, int64_t now_ms,
                        struct session_id *ids, struct err *err);

/* The same where no call is left to add with (ASYNC): the effects leave at once, as one group. */
int session_turn_add_alone(struct db *db, struct slice key, const struct session_msg *msgs, size_t n,
                           struct session_id *ids, struct err *err);

/* The session under key, to be looked at; NULL when absent. ERR_WRONGTYPE when it is something else. */
int session_read(struct call *c, struct slice key, const struct session **out, struct err *err);
/* The same, to be changed. */
int session_write(struct call *c, struct slice key, struct session **out, struct err *err);

/* What binds this call: the settings, or nothing when the journal is replayed. */
const struct session_limits *session_limits_of(const struct call *c);

#endif
