/* What a door beside the Redis protocol (api/, by way of server/) asks of the commands' floor: who somebody is, what
 * they may, and a turn in a session. Thread: loop. */
#ifndef CMD_GATEWAY_H
#define CMD_GATEWAY_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"
#include "llm/chat.h"

struct user;

/* token: "user:password", or the password of `default`; p NULL: none was given, which makes `default` when no password
 * is asked of it. local: from this machine, which protected mode lets through. 0 and *who, borrowed; or ERR_NOPERM. */
int gateway_login(struct slice token, bool local, struct user **who, struct err *err);
/* May u run this command (LLM.ASK where there is none of that name), on this session when key.p is not NULL? 0, or
 * ERR_NOPERM and an entry in ACL LOG. */
int gateway_may(const struct user *u, const char *command, struct slice key, struct err *err);

/* A turn in a session of database 0. begin reads the session: q's messages become its context and then what is new in
 * the body's messages (llm_said.h), and q's model is the session's when it names none. The caller starts the call, says gateway_turn_started,
 * and owes one gateway_turn_end, which adds what was new and the answer, with their effects. */
struct gateway_turn;
struct gateway_turn *gateway_turn_begin(struct slice key, struct llm_request *q,
                                        struct err *err); /* NULL: err says why */
void gateway_turn_started(struct gateway_turn *t);        /* q was copied: the session may change now */
/* failed: NULL, or why the answer is not whole: what had come of it is kept, marked, with why ("client" or
 * llm_cut_reason). reply NULL: the call was not started, nothing is added. Frees t. An error when it could not be added. */
int gateway_turn_end(struct gateway_turn *t, const struct llm_reply *reply, const struct err *failed, const char *why,
                     struct err *err);

#endif
