/* The end of a call: what it took and what came of it, told once. */
#include "llm/call.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "llm/tally.h"

void report_free(struct llm_call *c)
{
    attempt_release(&c->attempt);
    timer_close(c->timer);
    for (int i = 0; i < c->nplan; i++)
        mem_free(c->plan[i].model);
    mem_free(c->plan);
    mem_free(c->asked.any);
    mem_free(c->target);
    mem_free(c->fallback);
    parts_free(c);
    mem_free(c);
}

static struct llm_facts facts_of(const struct llm_call *c, int64_t total)
{
    const struct llm_answer *a = &c->attempt.answer;
    const char *model = c->attempt.model ? c->attempt.model : c->plan[c->at].model;
    return (struct llm_facts){
        .model = slice_str(model),
        .route = c->routed ? slice_str(c->target) : (struct slice){0},
        .model_id = buf_slice(&a->model_id),
        .request_id = buf_slice(&c->attempt.request_id),
        .notes = buf_slice(&c->attempt.notes),
        .tokens_in = c->sums.tokens_in + a->tokens_in,
        .tokens_out = c->sums.tokens_out + a->tokens_out,
        .tokens_cached = c->sums.tokens_cached + a->tokens_cached,
        .tokens_reasoning = c->sums.tokens_reasoning + a->tokens_reasoning,
        .estimated = c->sums.estimated || a->estimated,
        .cost = c->cost,
        .us_total = total,
        .us_first = c->first_us >= 0 ? c->first_us : total,
        .us_vendor = c->vendor_us,
        .attempts = c->attempts,
        .fallback = c->by_fallback,
        .failure = c->failure,
        .timed_out = c->timed_out,
        .retry_after_ms = c->retry_after_ms,
    };
}

void llm_call_facts(const struct llm_call *c, struct llm_facts *to)
{
    int64_t now = clock_mono_us();
    *to = facts_of(c, now - c->started_us);
    if (c->attempt.running)
        to->us_vendor += now - c->attempt.started_us;
    to->tokens_in = to->tokens_out = to->tokens_cached = to->tokens_reasoning = 0;
    to->cost = -1;
}

static void report_chat(struct llm_call *c, const struct llm_facts *facts, const struct err *err)
{
    struct llm_answer *a = &c->attempt.answer;
    struct llm_reply r = {
        .facts = *facts,
        .text = buf_slice(&a->text),
        .reasoning = buf_slice(&a->reasoning),
        .thinking = buf_slice(&a->thinking),
        .tool_calls = buf_slice(&a->tool_calls),
        .finish = buf_slice(&a->finish),
    };
    c->events.done(c->arg, &r, err);
}

static void report_vectors(struct llm_call *c, const struct llm_facts *facts, const struct err *err)
{
    struct llm_answer *a = &c->attempt.answer;
    struct llm_vectors v = {.facts = *facts};
    if (!err && c->parts) {
        parts_vectors(c, &v);
    } else if (!err) {
        v.v = a->vectors;
        v.count = a->count;
        v.dim = a->dim;
    }
    c->embedded(c->arg, &v, err);
}

static void report_ranks(struct llm_call *c, const struct llm_facts *facts, const struct err *err)
{
    struct llm_ranks r = {.facts = *facts};
    int most = c->asked.rerank->count;
    if (!err) {
        r.v = c->attempt.answer.ranks;
        r.n = c->attempt.answer.nranks;
        r.n = most > 0 && most < r.n ? most : r.n;
    }
    c->reranked(c->arg, &r, err);
}

static void report_media(struct llm_call *c, const struct llm_facts *facts, const struct err *err)
{
    struct llm_media m = {.facts = *facts};
    if (!err) {
        m.body = c->attempt.media;
        m.type = c->attempt.type;
        m.text = buf_slice(&c->attempt.answer.text);
    }
    c->heard(c->arg, &m, err);
}

/* Every call but those that only look whether a model is back. */
static void observe(const struct llm_call *c, const struct llm_facts *facts, const struct err *err, int64_t now_us)
{
    const char *class = llm_class_name(facts->failure);
    int64_t came_us = c->who->came_us > 0 ? c->who->came_us : c->started_us;
    if (err && facts->failure == LLM_FINE)
        class = err->code == ERR_CANCELLED ? "cancelled" : "refused";
    if (!c->who->check)
        tally_add(c->llm->tally, facts, class, c->who->door, now_us - came_us - facts->us_vendor);
}

static void report(struct llm_call *c, const struct err *err)
{
    int64_t now = clock_mono_us();
    struct llm_facts facts = facts_of(c, now - c->started_us);
    if (!c->whole)
        observe(c, &facts, err, now);
    switch (c->asked.kind) {
    case MODEL_CHAT: report_chat(c, &facts, err); break;
    case MODEL_EMBED: report_vectors(c, &facts, err); break;
    case MODEL_RERANK: report_ranks(c, &facts, err); break;
    case MODEL_SPEECH:
    case MODEL_TRANSCRIBE: report_media(c, &facts, err); break;
    }
}

/* The route's last word, as if a model had said it. */
static void answer_by_fallback(struct llm_call *c)
{
    struct slice text = slice_str(c->fallback);
    struct llm_answer *a = &c->attempt.answer;
    attempt_forget(&c->attempt);
    a->tokens_in = a->tokens_out = 0;
    buf_add(&a->text, text.p, text.len);
    buf_add_str(&a->finish, "stop");
    c->by_fallback = true;
    if (c->asked.chat->stream) {
        struct llm_delta d = {.kind = LLM_DELTA_TEXT, .text = text};
        report_delta(c, &d);
    }
}

static bool may_fall_back(const struct llm_call *c, const struct err *err)
{
    bool wrong = err && err->code == ERR_INVALID && c->failure != LLM_CONTENT; /* the request is */
    return err && c->fallback && c->asked.kind == MODEL_CHAT && !c->pieces && !c->cancelled && !wrong &&
           err->code != ERR_CANCELLED && !c->llm->stopping;
}

static void count(struct llm_call *c, const struct err *err)
{
    struct llm_stats *s = &c->llm->stats;
    struct llm_answer *a = &c->attempt.answer;
    a->tokens_in = a->tokens_in > 0 ? a->tokens_in : 0;
    a->tokens_out = a->tokens_out > 0 ? a->tokens_out : 0;
    if (c->whole) /* which is counted */
        return;
    s->calls--;
    s->cancelled += err && err->code == ERR_CANCELLED;
    s->failed += err && err->code != ERR_CANCELLED;
    s->fallbacks += c->by_fallback;
    s->tokens_in += (uint64_t)(a->tokens_in + c->sums.tokens_in);
    s->tokens_out += (uint64_t)(a->tokens_out + c->sums.tokens_out);
}

void report_stopping(struct llm_call *c, struct err *err)
{
    c->failure = LLM_TRANSIENT; /* another server, or this one in a while, may do it */
    err_set(err, ERR_STATE, "the server is shutting down");
}

void report_end(struct llm_call *c, const struct err *err)
{
    struct llm *l = c->llm;
    struct err cancelled; /* or stopped */
    queue_leave(&l->queue, &c->seat);
    if (may_fall_back(c, err)) {
        answer_by_fallback(c);
        err = NULL;
    }
    if (c->cancelled) {
        err_set(&cancelled, ERR_CANCELLED, "the call was cancelled");
        err = &cancelled;
    } else if (err && err->code == ERR_CANCELLED && l->stopping) {
        report_stopping(c, &cancelled);
        err = &cancelled;
    }
    list_del(&c->link);
    dict_remove(&l->by_id, slice_of(c->id, ID_LEN));
    count(c, err);
    report(c, err);
    report_free(c);
}

void report_delta(void *call, const struct llm_delta *d)
{
    struct llm_call *c = call;
    if (c->cancelled)
        return;
    if (c->first_us < 0)
        c->first_us = clock_mono_us() - c->started_us;
    c->pieces++;
    if (c->events.delta && c->asked.chat->stream)
        c->events.delta(c->arg, d);
}
