/* A turn with a model on behalf of a client: LLM.CHAT, LLM.ASK and LLM.RAW begin one each.
 *
 *   create ─► start ─┬► the call is made ─► delta()… ─► what is kept goes into the session ─► reply()
 *                    ├► another one with the same token runs: its pieces, its end
 *                    └► such a one has ended: its answer at once
 *
 * The client is parked (or has its id, under ASYNC) while the call is under way. When the answer is there, what was
 * said and the answer are added to the session in one step, so a session never holds half a turn. Of a call that was
 * cut off (its client went away, LLM.CANCEL, the vendor broke off, the server stops) the text that had come is kept in
 * the same way, marked in the answer's META: {"partial":true,"reason":"client"|"cancel"|"upstream"|"shutdown"}. A call
 * of which no text had come adds nothing. Who only joined a call, or was given its answer again, adds nothing either:
 * the first one did.
 *
 * Two calls on one session at the same time each see the session as it was when they began, and their turns are added
 * in the order in which they end. Thread: loop. */
#ifndef CMD_LLM_TURN_H
#define CMD_LLM_TURN_H

#include "cmd/callstream.h"
#include "llm/idempotency.h"
#include "session/session.h"

struct llm_turn {
    /* By who begins it, between create and start. reply writes the answer of a call that ended well; delta NULL: pieces
     * go to the stream as they are; release NULL: there is nothing to release in `own`. */
    void (*reply)(struct llm_turn *t, const struct llm_reply *a);
    void (*delta)(struct llm_turn *t, const struct llm_delta *d);
    void (*release)(void *own);
    void *own;
    bool meta; /* errors say the vendor's class and how often it was tried */

    /* To be read from the callbacks. */
    struct call *call;   /* NULL under ASYNC, where reply() is not called */
    char id[ID_LEN + 1]; /* of the call */
    struct callstream stream;
    struct session_id message; /* of the answer, once it is in the session */
    struct slice key;          /* of the session; p NULL: none */

    /* Its own. */
    struct db *db;
    struct session_msg *said;
    size_t nsaid;
    bool parked, gone; /* gone: its client went away */
    struct llm_call *llm;
    struct idem_entry *entry; /* FRESH: its calls are told to those who join */
    struct idem_join join;
    bool joined;
};

/* said: the messages that go into the session before the answer; copied. key.p NULL: no session, nothing is kept. */
struct llm_turn *llm_turn_create(struct call *c, struct slice key, const struct session_msg *said, size_t n);
/* Starts the call and parks the client, or replies; t is gone afterwards or when it has ended. q is copied; its owner,
 * tag and (where it is empty) sticky are filled in here. token: of IDEMPOTENCY; p NULL: none. What makes one request
 * the same as another is the whole command, and the database. */
void llm_turn_start(struct llm_turn *t, struct call *c, struct llm_request *q, bool stream, bool async,
                    struct slice token);

/* The facts of a call as members of a map; returns how many. */
size_t llm_facts_reply(struct reply *r, const struct llm_facts *f);
/* Who calls: the connection's user. */
void llm_caller_fill(const struct call *c, struct llm_caller *to);

#endif
