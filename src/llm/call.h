/* The inside of a call, shared by llm.c (start, follow, cancel), decide.c (what happens next) and report.c (the end).
 * Nobody else's. Thread: loop. */
#ifndef LLM_CALL_H
#define LLM_CALL_H

#include "base/rng.h"
#include "io/loop.h"
#include "llm/account.h"
#include "llm/attempt.h"
#include "llm/deployment.h"
#include "llm/llm.h"
#include "llm/queue.h"
#include "llm/route.h"

struct llm {
    struct loop *loop;
    struct http_client *http;
    struct job_pool *jobs;
    struct models models;
    struct routes routes;
    struct accounts *accounts;
    struct idem *idem;
    struct tally *tally;
    struct list calls; /* oldest first */
    struct dict by_id;
    struct queue queue;
    struct timer *wake; /* lets the queue try */
    int64_t wake_ms;    /* when it is set for, monotonic; 0: it is not */
    struct timer *health;
    struct rng rng;
    bool stopping;
    struct llm_stats stats;
};

enum call_state {
    CALL_NEW,     /* nothing was started yet */
    CALL_RUNNING, /* an attempt is under way */
    CALL_PAUSING, /* the timer brings the next attempt */
    CALL_QUEUED,  /* the queue brings it, the timer the deadline */
    CALL_ENDING,  /* the timer brings the end */
    CALL_PARTS,   /* its parts are under way */
};

/* One model that a call may go to. */
struct stop {
    char *model;
    bool done; /* has had its attempts */
};

struct llm_call {
    struct list link;
    struct llm *llm;
    char id[ID_LEN + 1];
    struct llm_asked asked;
    const struct llm_caller *who; /* inside of asked */
    char *target;                 /* the model's or route's name, as asked for */
    enum call_state state;
    bool cancelled;

    struct llm_chat_events events; /* the one of its kind */
    llm_embed_done *embedded;
    llm_rerank_done *reranked;
    llm_media_done *heard;
    void *arg;

    /* where it may go: its plan, made at the start */
    bool routed;
    char *fallback; /* NULL: none */
    struct stop *plan;
    int nplan, at;
    int retries_left, retries_done; /* of the present model */
    unsigned refused, hurried;      /* bits of its keys: not to be used again in this call; in this round */

    /* the present attempt, when running */
    struct attempt attempt;
    int written_for;     /* what attempt's body is: place in the plan (-1: nothing) */
    uint64_t written_as; /* and the model's serial number */
    struct deployment *deployment;
    struct breaker_pass pass;
    struct account_hold hold;
    int key; /* -1: none is sent */
    uint64_t key_print;

    /* embeddings in parts (parts.c) */
    struct parts *parts;    /* NULL: it makes its attempts itself */
    struct llm_facts sums;  /* tokens of the parts */
    struct llm_call *whole; /* what it is a part of: it is not listed and not counted; NULL: of nothing */
    bool again;             /* and not the first, so the request was counted before */

    struct queue_seat seat;
    struct timer *timer;
    int64_t started_ms, started_us, first_us, vendor_us, deadline_ms;
    int64_t pieces, cost, retry_after_ms, tokens_in;
    int timeout_ms, attempts;
    bool by_fallback;
    enum llm_class failure;
    bool timed_out; /* the last failure is that the time was over */
    struct err err; /* the last failure */
};

/* ---- plan.c ---- */

/* Makes the plan. ERR_STATE: no such model or route, disabled, another kind. */
int decide_plan(struct llm_call *c, struct slice name, struct err *err);

/* ---- decide.c ---- */

void decide_boot(void);
/* Starts the call's next attempt or puts it into the queue; 0. Or the error that it ends with; nothing was called back.
 */
int decide_go(struct llm_call *c, struct err *err);
void decide_go_or_end(struct llm_call *c); /* the same, and the end when that fails */
void decide_settle(struct llm_call *c, enum account_end end);
void decide_set_timer(struct llm_call *c, int64_t ms);
void decide_timer(void *call);
void decide_stop(struct llm_call *c); /* the server stops: a call that waits ends */
void decide_wake(void *llm);
int64_t decide_now(void);                /* monotonic ms */
int decide_slots(const struct model *m); /* of its keyring: without keys the first stands for it */

/* ---- parts.c ---- */

void parts_boot(void);
bool parts_needed(const struct llm_call *c); /* more texts than a model of its plan takes at once */
/* 0; or the error that the first part could not be started with: nothing is under way. */
int parts_start(struct llm_call *c, struct err *err);
void parts_cancel(struct llm_call *c);
void parts_vectors(const struct llm_call *c, struct llm_vectors *to); /* of a call that ended well */
void parts_free(struct llm_call *c);
/* llm.c. Starts a call for a part of another one: its caller, its deadline. As llm_embed_start. */
struct llm_call *llm_part_start(struct llm_call *whole, const struct llm_embed_request *q, struct slice model,
                                llm_embed_done *done, void *arg, struct err *err);

/* ---- after.c ---- */

void after_boot(void);
void decide_after(void *call); /* the attempt's end */

/* ---- report.c ---- */

/* The one exit: err NULL means that the answer is there. */
void report_end(struct llm_call *c, const struct err *err);
void report_stopping(struct llm_call *c, struct err *err); /* the error of a call that ends with the server */
void report_delta(void *call, const struct llm_delta *d);
void report_free(struct llm_call *c); /* of a call that never started, too */

/* ---- health.c ---- */
void health_boot(void);
void health_start(struct llm *l);
void health_stop(struct llm *l);

#endif
