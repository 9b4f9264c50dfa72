/* The door to models: starting, following and cancelling calls of every kind.
 *
 *               decide_go: which model of the plan can take it?
 *   start ──► new ───► running ──► the attempt's end (after.c) ──► done ──► gone
 *              │         ▲ ▲                │
 *              ▼         │ └─── pausing ◄───┘ the same model after a pause, or the next one
 *            queued ─────┘   (timer)
 *            (a limit: until a place is free, or the deadline)
 *
 * Built for some thousand calls at once, mostly streams: a call is its struct, a copy of the request, the HTTP body and
 * what came back. Copy and body are kept until the end because a retry sends the body again and another vendor needs
 * another. */
#include "llm/llm.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/setting.h"
#include "llm/call.h"
#include "llm/check.h"
#include "llm/idempotency.h"
#include "llm/tally.h"

static char *default_chat, *default_embed;
static int64_t default_timeout = 60000, max_calls = 10000;

static const struct setting settings[] = {
    {"llm-model", SETTING_STR, &default_chat, "builtin/extract",
     .help = "The model for LLM.CHAT and LLM.ASK without MODEL."},
    {"llm-embed-model", SETTING_STR, &default_embed, "builtin/hash", .help = "The model for LLM.EMBED without MODEL."},
    {"llm-timeout", SETTING_INT, &default_timeout, "60000", 1, 24 * 3600 * 1000,
     .help = "Milliseconds for a model call when neither the call nor its model says."},
    {"llm-max-calls", SETTING_INT, &max_calls, "10000", 1, 1000000,
     .help = "Model calls that may be under way at once."},
};

void llm_boot(void)
{
    SETTING_REGISTER(settings);
    account_boot();
    idem_boot();
    tally_boot();
    decide_boot();
    health_boot();
}

static struct slice id_of(const void *entry)
{
    return slice_of(((const struct llm_call *)entry)->id, ID_LEN);
}

static const struct dict_type by_id = {.key = id_of};

/* ---- starting ---- */

static int may_start(struct llm *l, struct err *err)
{
    if (l->stopping)
        return err_set(err, ERR_STATE, "the server is shutting down");
    if (l->stats.calls >= max_calls)
        return err_set(err, ERR_QUOTA, "%d model calls are under way, as many as llm-max-calls allows; try again later",
                       l->stats.calls);
    return 0;
}

static struct slice name_or(struct slice name, const char *setting, const char *otherwise)
{
    return name.len ? name : slice_str(setting && *setting ? setting : otherwise);
}

/* Takes the copy. NULL: there was no memory for it. */
static struct llm_call *call_create(struct llm *l, enum model_kind kind, void *copy, void *arg, struct err *err)
{
    if (!copy) {
        err_set(err, ERR_OOM, "there is no memory for a copy of the request");
        return NULL;
    }
    struct llm_call *c = mem_zero(sizeof *c);
    c->llm = l;
    c->arg = arg;
    c->asked = (struct llm_asked){.kind = kind, .any = copy};
    c->who = asked_caller(&c->asked);
    c->started_ms = clock_wall_ms();
    c->started_us = clock_mono_us();
    c->first_us = c->cost = c->retry_after_ms = c->tokens_in = -1;
    c->written_for = -1;
    id_make(c->id);
    list_init(&c->link);
    attempt_init(&c->attempt, report_delta, decide_after, c);
    return c;
}

static void set_deadline(struct llm_call *c)
{
    const struct model *m = c->routed ? NULL : models_find(&c->llm->models, slice_str(c->plan[0].model));
    int64_t own = m && m->timeout_ms > 0 ? m->timeout_ms : default_timeout;
    if (c->whole) {
        c->timeout_ms = c->whole->timeout_ms;
        c->deadline_ms = c->whole->deadline_ms;
        return;
    }
    c->timeout_ms = c->who->timeout_ms > 0 ? c->who->timeout_ms : (int)own;
    c->deadline_ms = c->started_us / 1000 + c->timeout_ms;
}

static struct llm_call *enlist(struct llm_call *c)
{
    struct llm *l = c->llm;
    list_add_tail(&l->calls, &c->link);
    dict_add(&l->by_id, c);
    l->stats.calls += !c->whole;
    l->stats.started += !c->whole;
    return c;
}

/* In the list before its parts: they end before it, while llm_stop walks along it. */
static struct llm_call *set_out_parts(struct llm_call *c, struct err *err)
{
    enlist(c);
    if (parts_start(c, err) == 0)
        return c;
    c->llm->stats.calls--;
    c->llm->stats.started--;
    list_del(&c->link);
    dict_remove(&c->llm->by_id, id_of(c));
    report_free(c);
    return NULL;
}

/* The call, started, or NULL and the error; the call is gone then. */
static struct llm_call *set_out(struct llm_call *c, struct slice name, struct err *err)
{
    c->target = mem_dup(name.p, name.len);
    int rc = decide_plan(c, name, err);
    if (rc == 0) {
        set_deadline(c);
        if (!c->whole && parts_needed(c))
            return set_out_parts(c, err);
        rc = decide_go(c, err);
    }
    if (rc == 0)
        return enlist(c);
    if (c->fallback && c->asked.kind == MODEL_CHAT && err->code != ERR_INVALID) {
        c->err = *err; /* done() never comes from in here */
        c->state = CALL_ENDING;
        decide_set_timer(c, 0);
        return enlist(c);
    }
    report_free(c);
    return NULL;
}

struct llm_call *llm_chat_start(struct llm *l, const struct llm_request *q, const struct llm_chat_events *events,
                                void *arg, struct err *err)
{
    if (may_start(l, err) < 0 || check_chat(q, err) < 0)
        return NULL;
    struct llm_call *c = call_create(l, MODEL_CHAT, copy_chat(q), arg, err);
    if (!c)
        return NULL;
    c->events = *events;
    return set_out(c, name_or(q->model, default_chat, "builtin/extract"), err);
}

struct llm_call *llm_embed_start(struct llm *l, const struct llm_embed_request *q, llm_embed_done *done, void *arg,
                                 struct err *err)
{
    if (may_start(l, err) < 0 || check_embed(q, err) < 0)
        return NULL;
    struct llm_call *c = call_create(l, MODEL_EMBED, copy_embed(q), arg, err);
    if (!c)
        return NULL;
    c->embedded = done;
    return set_out(c, name_or(q->model, default_embed, "builtin/hash"), err);
}

struct llm_call *llm_part_start(struct llm_call *whole, const struct llm_embed_request *q, struct slice model,
                                llm_embed_done *done, void *arg, struct err *err)
{
    struct llm_call *c = call_create(whole->llm, MODEL_EMBED, copy_embed(q), arg, err);
    if (!c)
        return NULL;
    c->embedded = done;
    c->whole = whole;
    c->again = q->texts != whole->asked.embed->texts;
    return set_out(c, model, err);
}

static int needs_model(struct slice name, const char *kind, struct err *err)
{
    return name.len ? 0 : err_set(err, ERR_INVALID, "there is no default model of kind %s; name one", kind);
}

struct llm_call *llm_rerank_start(struct llm *l, const struct llm_rerank_request *q, llm_rerank_done *done, void *arg,
                                  struct err *err)
{
    if (may_start(l, err) < 0 || needs_model(q->model, "RERANK", err) < 0 || check_rerank(q, err) < 0)
        return NULL;
    struct llm_call *c = call_create(l, MODEL_RERANK, copy_rerank(q), arg, err);
    if (!c)
        return NULL;
    c->reranked = done;
    return set_out(c, q->model, err);
}

struct llm_call *llm_speech_start(struct llm *l, const struct llm_speech_request *q, llm_media_done *done, void *arg,
                                  struct err *err)
{
    if (may_start(l, err) < 0 || needs_model(q->model, "SPEECH", err) < 0 || check_speech(q, err) < 0)
        return NULL;
    struct llm_call *c = call_create(l, MODEL_SPEECH, copy_speech(q), arg, err);
    if (!c)
        return NULL;
    c->heard = done;
    return set_out(c, q->model, err);
}

struct llm_call *llm_transcribe_start(struct llm *l, const struct llm_transcribe_request *q, llm_media_done *done,
                                      void *arg, struct err *err)
{
    if (may_start(l, err) < 0 || needs_model(q->model, "TRANSCRIBE", err) < 0 || check_transcribe(q, err) < 0)
        return NULL;
    struct llm_call *c = call_create(l, MODEL_TRANSCRIBE, copy_transcribe(q), arg, err);
    if (!c)
        return NULL;
    c->heard = done;
    return set_out(c, q->model, err);
}

/* ---- following ---- */

void llm_cancel(struct llm_call *c)
{
    if (c->cancelled)
        return;
    c->cancelled = true;
    if (c->state == CALL_RUNNING)
        attempt_cancel(&c->attempt);
    else if (c->state == CALL_PARTS)
        parts_cancel(c);
    else if (c->timer)
        timer_start(c->timer, 0, 0); /* decide_timer ends it */
}

const char *llm_cut_reason(const struct err *failed)
{
    return failed->code == ERR_CANCELLED ? "cancel" : failed->code == ERR_STATE ? "shutdown" : "upstream";
}

bool llm_hold(struct llm_call *c, bool on)
{
    return attempt_hold(&c->attempt, on);
}

const char *llm_call_id(const struct llm_call *c)
{
    return c->id;
}

struct llm_call *llm_call_find(struct llm *l, struct slice id)
{
    return dict_find(&l->by_id, id);
}

static const char *state_name(const struct llm_call *c)
{
    if (c->cancelled)
        return "cancelled";
    switch (c->state) {
    case CALL_RUNNING: return c->pieces ? "streaming" : "running";
    case CALL_PARTS: return "running";
    case CALL_QUEUED: return "queued";
    default: return "waiting";
    }
}

void llm_calls(struct llm *l, void (*fn)(void *arg, const struct llm_call_info *i), void *arg)
{
    list_each_safe (n, &l->calls) {
        struct llm_call *c = list_entry(n, struct llm_call, link);
        const struct attempt *a = &c->attempt;
        if (c->whole)
            continue;
        bool local = a->provider && a->provider->local;
        struct llm_call_info i = {
            .id = c->id,
            .model = a->model ? a->model : c->plan[c->at].model,
            .route = c->routed ? c->target : "",
            .state = state_name(c),
            .kind = c->asked.kind,
            .started_ms = c->started_ms,
            .age_us = clock_mono_us() - c->started_us,
            .pieces = c->pieces,
            .bytes = local ? 0 : (int64_t)a->answer.text.len, /* a worker may be writing it */
            .attempts = c->attempts,
            .tag = c->who->tag,
        };
        fn(arg, &i);
    }
}

void llm_stats(const struct llm *l, struct llm_stats *to)
{
    *to = l->stats;
    to->queued = l->queue.count;
}

void llm_metrics(const struct llm *l, struct buf *to)
{
    tally_print(l->tally, to);
}

struct models *llm_models(struct llm *l)
{
    return &l->models;
}

struct routes *llm_routes(struct llm *l)
{
    return &l->routes;
}

struct accounts *llm_accounts(struct llm *l)
{
    return l->accounts;
}

struct idem *llm_idempotency(struct llm *l)
{
    return l->idem;
}

static bool is_model(void *arg, struct slice name)
{
    struct llm *l = arg;
    return models_find(&l->models, name);
}

void llm_forget_gone(struct llm *l)
{
    accounts_forget_gone(l->accounts, is_model, l, clock_wall_ms());
}

/* ---- the deployments ---- */

struct each_deployment {
    void (*fn)(void *arg, const struct llm_deployment_info *i);
    void *arg;
};

static void one_deployment(void *arg, struct model *m)
{
    static const char *const states[] = {"closed", "open", "half-open"};
    struct each_deployment *e = arg;
    const struct deployment *d = m->state;
    int64_t now = decide_now();
    struct llm_deployment_info i = {
        .model = m->name,
        .kind = m->kind,
        .enabled = m->enabled,
        .breaker = states[breaker_state(&d->breaker, now)],
        .open_ms = d->breaker.open && d->breaker.until_ms > now ? d->breaker.until_ms - now : 0,
        .in_flight = d->in_flight,
        .latency_ms = deployment_latency(d, now),
        .keys = m->nkeys,
        .keys_resting = keyring_resting(&m->state->keyring, m->nkeys, now),
        .attempts = d->attempts,
        .failures = d->failures,
    };
    breaker_minute(&d->breaker, now, &i.minute_calls, &i.minute_failures);
    e->fn(e->arg, &i);
}

void llm_deployments(struct llm *l, void (*fn)(void *arg, const struct llm_deployment_info *i), void *arg)
{
    struct each_deployment e = {fn, arg};
    models_each(&l->models, one_deployment, &e);
}

bool llm_deployment(struct llm *l, struct slice model, void (*fn)(void *arg, const struct llm_deployment_info *i),
                    void *arg)
{
    struct each_deployment e = {fn, arg};
    struct model *m = models_find(&l->models, model);
    if (m)
        one_deployment(&e, m);
    return m;
}

/* ---- life ---- */

struct llm *llm_create(struct loop *loop, struct http_client *http, struct job_pool *jobs)
{
    struct llm *l = mem_zero(sizeof *l);
    l->loop = loop;
    l->http = http;
    l->jobs = jobs;
    list_init(&l->calls);
    dict_init(&l->by_id, &by_id);
    rng_init(&l->rng);
    queue_init(&l->queue);
    models_init(&l->models);
    routes_init(&l->routes);
    l->accounts = accounts_create();
    l->idem = idem_create();
    l->tally = tally_create();
    l->wake = timer_create_on(loop, decide_wake, l);
    health_start(l);
    return l;
}

void llm_stop(struct llm *l)
{
    if (l->stopping)
        return;
    l->stopping = true;
    timer_close(l->wake);
    l->wake = NULL;
    health_stop(l);
    list_each_safe (n, &l->calls)
        decide_stop(list_entry(n, struct llm_call, link));
}

void llm_destroy(struct llm *l)
{
    if (!l)
        return;
    assert(list_empty(&l->calls));
    if (!l->stopping)
        llm_stop(l);
    dict_release(&l->by_id);
    queue_release(&l->queue);
    routes_release(&l->routes);
    models_release(&l->models);
    accounts_destroy(l->accounts);
    idem_destroy(l->idem);
    tally_destroy(l->tally);
    mem_free(l);
}
