/* What is known of a model while the server runs: how it does. One a registry entry.
 *
 * The entry and every call that is on its way to it share it: LLM.MODEL SET of the same name and target (provider, URL,
 * ID, keys) keeps it, another target starts with a new one, and calls on their way end on the old.
 *
 * Times are monotonic milliseconds, given by the caller. Thread: loop. */
#ifndef LLM_DEPLOYMENT_H
#define LLM_DEPLOYMENT_H

#include "llm/breaker.h"
#include "llm/keyring.h"

struct deployment {
    int refs;
    int in_flight;
    struct breaker breaker;
    struct keyring keyring;
    double latency_ms;   /* to the first piece, or to the whole; moving average; 0: never measured */
    int64_t measured_ms; /* when it was measured last */
    int64_t used_ms;     /* when an attempt ended last */
    uint64_t attempts, failures;
};

void deployment_boot(void);                 /* registers settings; once */
struct deployment *deployment_create(void); /* with one reference */
struct deployment *deployment_ref(struct deployment *d);
void deployment_unref(struct deployment *d); /* NULL allowed */

bool deployment_enter(struct deployment *d, int64_t now_ms, bool force, struct breaker_pass *pass);
/* Once for each enter. latency_ms < 0: not measured. */
void deployment_leave(struct deployment *d, struct breaker_pass pass, enum breaker_end end, int64_t latency_ms,
                      int64_t now_ms, struct rng *rng);

/* The average as choices see it: it halves every minute without news, so that a slow one is tried again some day. 0:
 * not known. */
double deployment_latency(const struct deployment *d, int64_t now_ms);

/* How long a key rests that was refused for this class; asked_ms: what the vendor says, -1: nothing. */
int64_t deployment_key_rest(enum llm_class why, int64_t asked_ms);

#endif
