/* What a call does next: the only place where attempts start, and the one where they end.
 *
 * decide_go walks over the plan and asks of each model whether it can take the call now; the first that can does. Money
 * and limits are reserved right before the transfer and settled in decide_after, once for each attempt, whatever became
 * of it. Nothing here calls back into the one who asked but report_end. */
#include "llm/call.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/setting.h"

#define PROBE_MS 1000 /* what is said of a breaker whose probe is under way */

static int64_t queue_max;

static const struct setting settings[] = {
    {"llm-queue-max", SETTING_INT, &queue_max, "10000", 0, 1000000,
     .help = "Model calls that may wait because of a limit; 0: none waits."},
};

void decide_boot(void)
{
    SETTING_REGISTER(settings);
    deployment_boot();
    after_boot();
    parts_boot();
}

int64_t decide_now(void)
{
    return clock_mono_ms();
}

/* ---- can this model take it, now? ---- */

/* What the models that cannot take the call say, put together. */
struct refusal {
    bool wait;        /* one of them can, when waiting: see wait_ms, which is the shortest */
    bool soon;        /* all that is wrong with one of them will pass by itself */
    int64_t wait_ms;  /* -1: until some call ends */
    int64_t again_ms; /* when the first of them can be asked again; -1: not known */
    struct err err;
};

static void note_again(struct refusal *no, int64_t ms)
{
    if (ms >= 0 && (no->again_ms < 0 || ms < no->again_ms))
        no->again_ms = ms;
}

static void note_wait(struct refusal *no, int64_t ms)
{
    if (!no->wait || (ms >= 0 && (no->wait_ms < 0 || ms < no->wait_ms)))
        no->wait_ms = ms;
    no->wait = no->soon = true;
    note_again(no, ms);
}

/* Is key i to be used? Its text is left in `text`. One that rests is used again when its text is another one. */
static bool take_key(struct llm_call *c, const struct model *m, int i, struct buf *text, struct err *err)
{
    struct keyring *ring = &m->state->keyring;
    if ((c->refused | c->hurried) & (1u << i))
        return false;
    if (text->p)
        explicit_bzero(text->p, text->cap);
    buf_clear(text);
    if (model_key(m, i, text, err) < 0)
        return false;
    bool same = key_print(buf_slice(text)) == ring->keys[i].print;
    return !keyring_rests(ring, i, decide_now()) || !same || c->who->check;
}

int decide_slots(const struct model *m)
{
    return m->nkeys > 0 ? m->nkeys : 1;
}

static void no_key(struct llm_call *c, const struct model *m, struct refusal *no)
{
    enum llm_class why = LLM_FINE;
    int64_t ms = keyring_wait(&m->state->keyring, decide_slots(m), decide_now(), &why);
    if (ms <= 0)
        return; /* what is wrong with the last key is said already */
    if (why == LLM_RATE) {
        err_set(&no->err, ERR_QUOTA, "the provider of model '%.60s' wants no requests for %lld ms", m->name,
                (long long)ms);
        note_wait(no, ms);
        return;
    }
    note_again(no, ms);
    err_set(&no->err, why == LLM_CREDIT ? ERR_QUOTA : ERR_UPSTREAM,
            "no key of model '%.60s' can be used: the provider %s; it is tried again in %lld seconds or when the model "
            "is given another",
            m->name, why == LLM_CREDIT ? "says that there is no credit left" : "refused it",
            (long long)(ms + 999) / 1000);
}

/* 0 with c->key and its text; or -1. */
static int pick_key(struct llm_call *c, const struct model *m, struct buf *text, struct refusal *no)
{
    int order[KEYS_MAX];
    c->key = -1;
    if (m->nkeys == 0 && (c->who->check || !keyring_rests(&m->state->keyring, 0, decide_now())))
        return 0;
    keyring_order(&m->state->keyring, m->nkeys, c->who->sticky, order);
    for (int i = 0; i < m->nkeys; i++)
        if (take_key(c, m, order[i], text, &no->err)) {
            c->key = order[i];
            c->key_print = key_print(buf_slice(text));
            return 0;
        }
    no_key(c, m, no);
    return -1;
}

static int write_it(struct llm_call *c, const struct model *m, int at, struct err *err)
{
    if (c->written_for == at && c->written_as == m->serial)
        return 0;
    int rc = attempt_write(&c->attempt, m, &c->asked, err);
    c->written_for = rc == 0 ? at : -1;
    c->written_as = m->serial;
    return rc;
}

static int reserve(struct llm_call *c, const struct model *m, struct refusal *no)
{
    if (c->attempt.probe)
        return 0;
    if (c->tokens_in < 0)
        c->tokens_in = asked_tokens(&c->asked);
    struct account_claim claim = {
        .model = m,
        .owner = c->who->owner,
        .tokens_in = c->tokens_in,
        .tokens_out = c->asked.kind == MODEL_CHAT ? c->asked.chat->max_tokens : 1,
        .again = c->attempts > 0 || c->again,
    };
    int64_t ms = -1;
    int rc = account_reserve(c->llm->accounts, &claim, clock_wall_ms(), &c->hold, &ms, &no->err);
    if (rc == ACCOUNT_WAIT)
        note_wait(no, ms);
    else if (rc < 0)
        note_again(no, ms);
    return rc;
}

static void wake_in(struct llm *l, int64_t ms)
{
    int64_t at = decide_now() + ms;
    if (l->wake_ms && l->wake_ms <= at)
        return;
    l->wake_ms = at;
    timer_start(l->wake, (uint64_t)ms, 0);
}

void decide_settle(struct llm_call *c, enum account_end end)
{
    struct llm_answer *a = &c->attempt.answer;
    if (c->attempt.probe) /* it took nothing */
        return;
    struct account_spent spent = {
        .end = end,
        .tokens_in = a->tokens_in,
        .tokens_out = a->tokens_out,
        .tokens_cached = a->tokens_cached,
        .estimated = a->estimated,
    };
    int64_t cost = account_settle(c->llm->accounts, &c->hold, &spent, clock_wall_ms());
    if (cost >= 0)
        c->cost = money_add(c->cost > 0 ? c->cost : 0, cost);
    if (c->llm->queue.count && !c->llm->stopping)
        wake_in(c->llm, 0);
}

static void cooling(const struct model *m, struct refusal *no)
{
    int64_t ms = breaker_wait(&m->state->breaker, decide_now());
    ms = ms < 0 ? PROBE_MS : ms;
    no->soon = true;
    note_again(no, ms);
    err_set(&no->err, ERR_QUOTA, "model '%.60s' has failed too often; it is asked again in %lld ms", m->name,
            (long long)ms);
}

static int64_t limit_of(const struct llm_call *c, const struct model *m)
{
    int64_t own = decide_now() + m->timeout_ms;
    return c->routed && m->timeout_ms > 0 && own < c->deadline_ms ? own : c->deadline_ms;
}

static int send_it(struct llm_call *c, const struct model *m, struct slice key, struct refusal *no)
{
    struct llm *l = c->llm;
    int64_t until = limit_of(c, m);
    int said = until < c->deadline_ms ? (int)m->timeout_ms : c->timeout_ms;
    if (!deployment_enter(m->state, decide_now(), c->who->check, &c->pass)) {
        cooling(m, no);
        decide_settle(c, ACCOUNT_UNSENT);
        return -1;
    }
    c->deployment = deployment_ref(m->state);
    if (attempt_start(&c->attempt, l->http, l->jobs, key, until, said, &no->err) == 0) {
        c->attempts++;
        c->failure = LLM_FINE;
        c->timed_out = false;
        c->state = CALL_RUNNING;
        return 0;
    }
    deployment_leave(c->deployment, c->pass, BREAKER_NOTHING, -1, decide_now(), &l->rng);
    deployment_unref(c->deployment);
    c->deployment = NULL;
    decide_settle(c, ACCOUNT_UNSENT);
    return -1;
}

/* 0: the attempt is under way. */
static int try_model(struct llm_call *c, int at, struct refusal *no)
{
    struct model *m;
    struct buf key = {0};
    if (models_pick(&c->llm->models, slice_str(c->plan[at].model), c->asked.kind, &m, &no->err) < 0)
        return -1;
    if (breaker_wait(&m->state->breaker, decide_now()) != 0 && !c->who->check) {
        cooling(m, no);
        return -1;
    }
    if (at != c->at) { /* a new model has its keys and retries before it */
        c->refused = c->hurried = 0;
        c->retries_left = model_retries(m);
        c->retries_done = 0;
        c->at = at;
    }
    int rc = pick_key(c, m, &key, no);
    if (rc == 0)
        rc = write_it(c, m, at, &no->err);
    if (rc == 0)
        rc = reserve(c, m, no);
    if (rc == 0)
        rc = send_it(c, m, buf_slice(&key), no);
    if (key.p)
        explicit_bzero(key.p, key.cap);
    buf_release(&key);
    return rc == 0 ? 0 : -1;
}

/* ---- next ---- */

void decide_set_timer(struct llm_call *c, int64_t ms)
{
    if (!c->timer)
        c->timer = timer_create_on(c->llm->loop, decide_timer, c);
    timer_start(c->timer, ms > 0 ? (uint64_t)ms : 0, 0);
}

/* Into the queue, when waiting may help before the deadline. */
static bool may_wait(struct llm_call *c, const struct refusal *no)
{
    int64_t left = c->deadline_ms - decide_now();
    if (!no->wait || left <= 0 || no->wait_ms >= left || c->llm->stopping)
        return false;
    return c->state == CALL_QUEUED || c->llm->queue.count < queue_max;
}

static void wait_in_queue(struct llm_call *c, const struct refusal *no)
{
    if (no->wait_ms >= 0)
        wake_in(c->llm, no->wait_ms);
    if (c->err.code == 0 || c->attempts == 0)
        c->err = no->err;
    c->retry_after_ms = no->again_ms;
    if (c->state == CALL_QUEUED)
        return;
    c->state = CALL_QUEUED;
    queue_join(&c->llm->queue, &c->seat, c->who->priority, c->who->owner, slice_str(c->target));
    decide_set_timer(c, c->deadline_ms - decide_now());
}

/* Which error a call ends with that no model can take: what a vendor said last; else what keeps it away. */
static int refuse(struct llm_call *c, const struct refusal *no, struct err *err)
{
    if (c->attempts > 0 && c->err.code) {
        *err = c->err;
        return err->code;
    }
    *err = no->err.code ? no->err : c->err;
    c->retry_after_ms = no->again_ms;
    if (no->soon && err->code != ERR_QUOTA)
        err_set(err, ERR_QUOTA, "no model of route '%.60s' can be asked now; try again in %lld ms", c->target,
                (long long)(no->again_ms > 0 ? no->again_ms : 1));
    return err->code;
}

int decide_go(struct llm_call *c, struct err *err)
{
    struct refusal no = {.wait_ms = -1, .again_ms = -1};
    int first = c->at;
    bool fresh = c->state == CALL_NEW;
    if (fresh && queue_waits_for(&c->llm->queue, slice_str(c->target), c->who->priority)) {
        err_set(&no.err, ERR_QUOTA, "too many calls for '%.60s' wait", c->target);
        note_wait(&no, 0);
        if (may_wait(c, &no)) {
            wait_in_queue(c, &no);
            return 0;
        }
        return refuse(c, &no, err);
    }
    for (int i = 0; i < c->nplan; i++) {
        int at = (first + i) % c->nplan;
        if (!c->plan[at].done && try_model(c, at, &no) == 0) {
            if (c->timer)
                timer_stop(c->timer);
            return 0;
        }
    }
    if (may_wait(c, &no)) {
        wait_in_queue(c, &no);
        return 0;
    }
    return refuse(c, &no, err);
}

void decide_go_or_end(struct llm_call *c)
{
    struct err err = {0};
    if (c->err.code && (c->cancelled || c->llm->stopping))
        err = c->err;
    else if (c->cancelled || c->llm->stopping)
        report_stopping(c, &err);
    else if (decide_go(c, &err) == 0)
        return;
    report_end(c, &err);
}

void decide_timer(void *call)
{
    struct llm_call *c = call;
    if (c->state == CALL_ENDING || c->state == CALL_QUEUED || c->cancelled)
        report_end(c, &c->err); /* its time in the queue is over */
    else
        decide_go_or_end(c);
}

static bool ask_seat(void *arg, struct queue_seat *s)
{
    struct llm_call *c = list_entry(s, struct llm_call, seat);
    struct err err = {0};
    if (c->cancelled)
        return false;
    int rc = decide_go(c, &err);
    if (rc == 0 && c->state == CALL_QUEUED)
        return false;
    queue_leave(&c->llm->queue, &c->seat);
    if (rc < 0)
        report_end(c, &err);
    return true;
}

void decide_wake(void *llm)
{
    struct llm *l = llm;
    l->wake_ms = 0;
    if (!l->stopping)
        queue_pump(&l->queue, ask_seat, l);
}

void decide_stop(struct llm_call *c)
{
    if (c->state == CALL_PARTS) /* ends with them */
        return;
    if (c->state == CALL_RUNNING) {
        attempt_cancel(&c->attempt);
        return;
    }
    if (c->state != CALL_ENDING)
        report_stopping(c, &c->err);
    report_end(c, &c->err);
}
