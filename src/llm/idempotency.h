/* Idempotency: of the requests that carry the same token only the first calls a model.
 *
 *   idem_begin ─► FRESH     the caller's turn: idem_delta as pieces come, then idem_finish (or idem_abandon) once
 *              ├► JOINED    the same is running: idem_join, and its pieces and its end come here, too
 *              ├► REPLAY    it has ended: idem_reply is what it answered
 *              └► CONFLICT  the token was used for another request
 *
 * A token belongs to its owner; two owners may use the same one. Neither tokens nor requests are kept, only their
 * SHA-256. Kept are good answers and the errors that would come again (ERR_INVALID), for llm-idempotency-hours since
 * they ended and within llm-idempotency-max-memory, the oldest go first. After any other failure, or an answer that
 * would take more than a quarter of that memory, the token is free again.
 *
 * now_ms is wall time. Thread: loop. */
#ifndef LLM_IDEMPOTENCY_H
#define LLM_IDEMPOTENCY_H

#include "base/list.h"
#include "llm/chat.h"

struct idem;
struct idem_entry;

void idem_boot(void); /* registers settings; once */
struct idem *idem_create(void);
void idem_destroy(struct idem *t); /* nothing is running any more; NULL allowed */

#define IDEM_TOKEN_MAX 255

struct idem_claim {
    struct slice owner;          /* our user; may be empty */
    struct slice token;          /* 1 to IDEM_TOKEN_MAX bytes */
    const struct slice *request; /* all that makes the request what it is, in order */
    int nrequest;
};

enum idem_state { IDEM_FRESH, IDEM_JOINED, IDEM_REPLAY, IDEM_CONFLICT };

/* An enum idem_state, or ERR_INVALID for a token that is empty or too long. err says it for IDEM_CONFLICT too
 * (ERR_STATE). The entry is there for the first three: FRESH and JOINED, until it was finished or abandoned; REPLAY,
 * until the next call of any function here. */
int idem_begin(struct idem *t, const struct idem_claim *c, int64_t now_ms, struct idem_entry **entry, struct err *err);

/* ---- FRESH ---- */

/* The call that is made for it, until it is finished or abandoned: for those who join and ask about it. */
struct llm_call;
void idem_runs(struct idem_entry *e, struct llm_call *call);
void idem_delta(struct idem_entry *e, const struct llm_delta *d);
/* err NULL: the reply is whole. Everybody who joined gets the same end; the entry is not the caller's any more. */
void idem_finish(struct idem *t, struct idem_entry *e, const struct llm_reply *reply, const struct err *err,
                 int64_t now_ms);
/* The call was never started; who joined gets err. */
void idem_abandon(struct idem *t, struct idem_entry *e, const struct err *err);
/* Does anybody wait for it who has joined? Then a caller whose client has gone lets the call run on. */
bool idem_joined(const struct idem_entry *e);

/* ---- JOINED ---- */

struct idem_join { /* embedded in who joins, zeroed before */
    struct list link;
    const struct llm_chat_events *events;
    void *arg;
};
/* What has come so far is given at once, in its order, pieces of one kind that followed each other joined. Then delta()
 * for what comes, and done() once, never from inside this function. When the first caller does not stream there is no
 * delta: the reply in done() has it all. A delta() may make its own join leave, not others. events is kept, not copied.
 */
void idem_join(struct idem_entry *e, struct idem_join *j, const struct llm_chat_events *events, void *arg);
struct llm_call *idem_call(const struct idem_entry *e); /* NULL: not told */
void idem_leave(struct idem_join *j); /* neither delta nor done from now on; harmless when it has ended */

/* ---- REPLAY ---- */

/* 0 and the reply (facts.replayed set), or the error that was kept. Borrowed as the entry is. */
int idem_reply(const struct idem_entry *e, struct llm_reply *to, struct err *err);

/* ---- for the journal ---- */

/* Told of every end that is kept, before idem_finish tells those who joined. */
void idem_on_kept(struct idem *t, void (*fn)(void *arg, const struct idem_entry *e), void *arg);
/* The words that make an end again, and that. Restoring what is too old does nothing. */
void idem_words(const struct idem_entry *e, void (*emit)(void *arg, struct slice word), void *arg);
int idem_restore(struct idem *t, const struct slice *words, int n, int64_t now_ms, struct err *err);
void idem_each(struct idem *t, void (*fn)(void *arg, const struct idem_entry *e),
               void *arg); /* kept ends, oldest first */
#define IDEM_WORDS_MAX 64

struct idem_stats {
    int64_t kept, running, bytes; /* bytes: of what is kept */
    uint64_t replays, joins, conflicts;
};
void idem_stats(const struct idem *t, struct idem_stats *to);

#endif
