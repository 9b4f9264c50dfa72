/* A chat call under an idempotency token: llm_chat_start for those whose clients may ask twice.
 *
 *                           ┌─ FRESH ──► llm_chat_start ─► pieces, end ─► everybody who waits, the first one first
 *   llm_once_start ─ token ─┼─ JOINED ─► waits with the first
 *                           └─ REPLAY ─► the same end again, on a later turn of the loop
 *
 * The contract is llm_chat_start's, whichever it is: delta() for streams, then done() once, neither from inside
 * llm_once_start; the struct is gone when done() returns. Who comes late to a stream gets first what has come so far.
 * facts.replayed tells a REPLAY; who was JOINED gets the facts of the one call.
 *
 * Who cancels leaves; the call itself is cancelled when nobody waits for it any more.
 *
 * Thread: loop. */
#ifndef LLM_ONCE_H
#define LLM_ONCE_H

#include "io/loop.h"
#include "llm/idempotency.h"
#include "llm/llm.h"

struct llm_once;

/* claim NULL: no token, a plain call. Returns an enum idem_state (IDEM_FRESH without a token), or an error. *out is
 * NULL for IDEM_CONFLICT, of which err tells, and for errors; done() does not come then. */
int llm_once_start(struct llm *l, struct loop *loop, const struct idem_claim *claim, const struct llm_request *q,
                   const struct llm_chat_events *events, void *arg, struct llm_once **out, struct err *err);
void llm_once_cancel(struct llm_once *o);          /* done() comes later with ERR_CANCELLED; again is harmless */
const char *llm_once_id(const struct llm_once *o); /* a UUIDv7; the call's, when this started one */

#endif
