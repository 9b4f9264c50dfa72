/* Calls to models: start, follow, cancel. One struct llm a server.
 *
 * A call is started on the loop, works elsewhere (an outbound HTTP transfer, or a worker for builtin models) and comes
 * back on the loop: piece() as text is made, when asked for, and done() exactly once. Neither is called from inside the
 * function that starts, and no piece after llm_cancel. Requests are copied.
 *
 * Errors, by class: INVALID what was asked is wrong (the provider's 400, 404, 413, 422 too), STATE no such model,
 * disabled, of another kind, key not there, cancelled; QUOTA the provider's 429, a limit or budget here, a model that
 * is left alone because it failed too often; UPSTREAM everything that is the provider's fault: 5xx, 401/403, time-outs,
 * unreachable, garbage, a stream that breaks off.
 *
 * A name is a model's or a route's (route.h). A failure that may pass is tried again as often as the model's RETRIES
 * says, then on the route's next model; see after.c. All within the call's one time-out, waiting for limits included,
 * and never after a piece was handed out.
 *
 * Thread: loop, all of it. */
#ifndef LLM_LLM_H
#define LLM_LLM_H

#include "io/job.h"
#include "io/loop.h"
#include "llm/chat.h"
#include "llm/model.h"
#include "llm/route.h"
#include "net/http_client.h"

struct accounts;
struct buf;
struct idem;
struct llm;
struct llm_call; /* valid until its done() returns */

/* Registers the settings llm-model, llm-embed-model, llm-timeout, llm-max-calls; once, at boot. */
void llm_boot(void);

/* The HTTP client and the pool are the caller's and outlive the llm's calls. */
struct llm *llm_create(struct loop *l, struct http_client *http, struct job_pool *jobs);
/* After http_client_destroy and job_pool_destroy, which end the calls that are under way. NULL allowed. */
void llm_destroy(struct llm *m);
/* Before them: all calls end soon, with STATE and the class transient, or have already, and new ones are refused. Again
 * is harmless. */
void llm_stop(struct llm *m);
struct models *llm_models(struct llm *m);
struct routes *llm_routes(struct llm *m);
struct accounts *llm_accounts(struct llm *m);
struct idem *llm_idempotency(struct llm *m);

/* NULL with err filled when the call cannot be started; done() is not called then. */
struct llm_call *llm_chat_start(struct llm *m, const struct llm_request *q, const struct llm_chat_events *events,
                                void *arg, struct err *err);
struct llm_call *llm_embed_start(struct llm *m, const struct llm_embed_request *q, llm_embed_done *done, void *arg,
                                 struct err *err);
struct llm_call *llm_rerank_start(struct llm *m, const struct llm_rerank_request *q, llm_rerank_done *done, void *arg,
                                  struct err *err);
struct llm_call *llm_speech_start(struct llm *m, const struct llm_speech_request *q, llm_media_done *done, void *arg,
                                  struct err *err);
struct llm_call *llm_transcribe_start(struct llm *m, const struct llm_transcribe_request *q, llm_media_done *done,
                                      void *arg, struct err *err);
/* The smallest call that shows that a model answers; it is the probe of an open breaker. One of them ends it, by the
 * model's kind. For speech and transcription it asks nothing of the model: the vendor's list of models is read (the
 * row's probe_path), any answer but a refused key or a failure is a good one, and nothing is booked; media without
 * body. */
struct llm_checked {
    struct llm_chat_events chat;
    llm_embed_done *embed;
    llm_rerank_done *rerank;
    llm_media_done *media;
};
struct llm_call *llm_check_start(struct llm *m, const struct model *model, const struct llm_checked *done, void *arg,
                                 struct err *err);
/* Lets go of what is known of models that are no more, see accounts_forget_gone. Not while a journal is replayed: they are
 * perhaps to come. */
void llm_forget_gone(struct llm *m);
/* done() comes later, with ERR_CANCELLED; again is harmless. */
void llm_cancel(struct llm_call *c);
/* Why a call was cut off, in a word: "cancel", "shutdown" or "upstream". */
const char *llm_cut_reason(const struct err *failed);
/* on: pieces stop coming soon (at most a MiB more), until off: for who passes a stream on to somebody slow. False: this
 * call cannot be held (a builtin model, nothing under way). The time-out runs on. */
bool llm_hold(struct llm_call *c, bool on);

const char *llm_call_id(const struct llm_call *c);              /* a UUIDv7 */
struct llm_call *llm_call_find(struct llm *m, struct slice id); /* NULL when there is none */

/* What is known of a call that goes on, as for a head that leaves with the first piece: who answers, after how many
 * attempts, the times so far. Not yet known: what it costs (-1), its tokens. Borrowed until the call's next callback.
 */
void llm_call_facts(const struct llm_call *c, struct llm_facts *to);

struct llm_call_info {
    const char *id, *model, *route; /* route: "" when none chose the model */
    const char *state;              /* queued (a limit), running, streaming, waiting (for a retry), cancelled */
    enum model_kind kind;
    int64_t started_ms; /* wall clock */
    int64_t age_us;
    int64_t pieces, bytes; /* of text so far */
    int attempts;
    struct slice tag;
};
/* Oldest first. fn may cancel calls, and start none. */
void llm_calls(struct llm *m, void (*fn)(void *arg, const struct llm_call_info *i), void *arg);

struct llm_stats {
    int calls, queued; /* queued: of calls, those that wait for a limit */
    uint64_t started, failed, cancelled, retries, failovers, fallbacks;
    uint64_t tokens_in, tokens_out;
};
void llm_stats(const struct llm *m, struct llm_stats *to);
/* What the calls that ended took, whoever made them (those of health checks are not among them), as Prometheus text. */
void llm_metrics(const struct llm *m, struct buf *to);

/* How a model does: for LLM.MODEL GET, INFO and /metrics. */
struct llm_deployment_info {
    const char *model;
    enum model_kind kind;
    bool enabled;
    const char *breaker; /* closed, open, half-open */
    int64_t open_ms;     /* until it lets a probe through */
    int in_flight;
    double latency_ms; /* to the first piece: moving average, decaying; 0: not measured */
    int64_t minute_calls, minute_failures;
    int keys, keys_resting;
    uint64_t attempts, failures;
};
void llm_deployments(struct llm *m, void (*fn)(void *arg, const struct llm_deployment_info *i),
                     void *arg); /* by name */
/* Of one model; false: there is none of that name. */
bool llm_deployment(struct llm *m, struct slice model, void (*fn)(void *arg, const struct llm_deployment_info *i),
                    void *arg);

#endif
