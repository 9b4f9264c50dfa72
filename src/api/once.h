/* Idempotency-Key on the routes that answer whole (embeddings, rerank, speech, transcriptions): of a user's equal
 * requests with one key only the first calls a model. Who comes while it runs waits for its answer, who comes later is
 * given it again, with the header x-skald-replayed; another request with the key is refused with 409. What is kept is
 * the body as it went out, so an id in it is the first call's. (A chat's answer has two forms: chat.c does it itself.)
 *
 *   once_begin ─┬► GO: llm_*_start ─► once_started ─► … ─► once_reply or once_fail in the call's done()
 *               ├► TAKEN: it is answered, or will be, from here; the route lets go
 *               └► REFUSED: an error was replied
 *
 * Thread: loop. */
#ifndef API_ONCE_H
#define API_ONCE_H

#include "api/door.h"
#include "llm/idempotency.h"

struct once { /* embedded first in each route's own */
    struct door d;
    void (*release)(void *own); /* frees the route's own, this with it */
    struct idem_entry *entry;   /* ours to finish */
    struct idem_join join;
    bool joined;
};

enum once_state { ONCE_GO, ONCE_TAKEN, ONCE_REFUSED };

/* request: all that makes it what it is, but for the path. Without the header it is always GO, or REFUSED. */
enum once_state once_begin(struct once *o, const struct slice *request, int n);
/* As door_started. */
bool once_started(struct once *o, struct llm_call *call, const struct err *err);
/* The end: one of them, once; both release. */
void once_reply(struct once *o, const struct llm_facts *facts, const char *type, struct buf *body); /* body is taken */
void once_fail(struct once *o, const struct llm_facts *facts, const struct err *err);

#endif
