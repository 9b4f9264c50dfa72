/* Embeddings of more texts than a vendor takes at once: a call that makes no attempt of its own but calls for the
 * parts, some at a time, and puts the vectors together in the order of the texts.
 *
 *   whole ──► parts 0..n, llm-embed-parallel of them at once ──► all are there: one answer
 *                │ one fails for good (its own retries are over)
 *                └──► the others are cancelled; when the last has ended: its error
 *
 * A part is a call like any other: it waits for the model's limits in the queue, is retried and booked by itself. The
 * whole ends after its last part, so what it tells is the exact sum. On a route the first part goes alone: it finds the
 * model that all the others are then sent to, because vectors of two models do not mix. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/setting.h"
#include "llm/call.h"

static int64_t parallel;

static const struct setting settings[] = {
    {"llm-embed-parallel", SETTING_INT, &parallel, "8", 1, 1000,
     .help = "Parts of one embedding call that are under way at once, when it has more texts than the vendor takes."},
};

struct part {
    struct list link;
    struct llm_call *whole, *call;
    int from, count;
};

struct parts {
    struct list running;
    int next; /* the first text that is in no part yet */
    int dim;
    bool found; /* the model is: known from the start, or by the first part */
    float *vectors;
    int64_t started_us;
};

void parts_boot(void)
{
    SETTING_REGISTER(settings);
}

static int limit_of(const struct llm_call *c, const char *name)
{
    const struct model *m = models_find(&c->llm->models, slice_str(name));
    return !m || m->provider->local || m->provider->embed_batch <= 0 ? LLM_EMBED_MAX : m->provider->embed_batch;
}

/* What every model of the plan takes. */
static int least_limit(const struct llm_call *c)
{
    int least = LLM_EMBED_MAX;
    for (int i = 0; i < c->nplan; i++) {
        int n = limit_of(c, c->plan[i].model);
        least = n < least ? n : least;
    }
    return least;
}

bool parts_needed(const struct llm_call *c)
{
    return c->asked.kind == MODEL_EMBED && c->asked.embed->ntexts > least_limit(c);
}

void parts_free(struct llm_call *c)
{
    if (c->parts)
        mem_free(c->parts->vectors);
    mem_free(c->parts);
}

void parts_vectors(const struct llm_call *c, struct llm_vectors *to)
{
    to->v = c->parts->vectors;
    to->count = c->asked.embed->ntexts;
    to->dim = c->parts->dim;
}

void parts_cancel(struct llm_call *c)
{
    list_each_safe (n, &c->parts->running)
        llm_cancel(list_entry(n, struct part, link)->call);
}

/* ---- what comes of a part ---- */

static void add_facts(struct llm_call *c, const struct llm_facts *f)
{
    struct attempt *a = &c->attempt;
    if (c->first_us < 0)
        c->first_us = clock_mono_us() - c->started_us;
    c->sums.tokens_in += f->tokens_in;
    c->sums.tokens_out += f->tokens_out;
    c->sums.tokens_cached += f->tokens_cached;
    c->sums.estimated |= f->estimated;
    c->attempts += f->attempts;
    if (f->cost >= 0)
        c->cost = money_add(c->cost > 0 ? c->cost : 0, f->cost);
    if (a->request_id.len == 0)
        buf_add(&a->request_id, f->request_id.p, f->request_id.len);
    if (a->notes.len == 0)
        buf_add(&a->notes, f->notes.p, f->notes.len);
    if (a->answer.model_id.len == 0)
        buf_add(&a->answer.model_id, f->model_id.p, f->model_id.len);
    mem_free(a->model);
    a->model = mem_dup(f->model.p, f->model.len);
    int64_t most = clock_mono_us() - c->parts->started_us; /* parts run beside each other */
    c->vendor_us = c->vendor_us + f->us_vendor < most ? c->vendor_us + f->us_vendor : most;
}

static int keep_vectors(struct llm_call *c, const struct part *p, const struct llm_vectors *v, struct err *err)
{
    struct parts *s = c->parts;
    size_t row = (size_t)v->dim * sizeof *v->v;
    if (s->vectors && s->dim != v->dim)
        return err_set(err, ERR_UPSTREAM, "model '%.60s': the provider changed the length of its vectors",
                       c->attempt.model);
    if (!s->vectors)
        s->vectors = mem_try((size_t)c->asked.embed->ntexts * row);
    if (!s->vectors)
        return err_set(err, ERR_OOM, "there is no memory for so many vectors");
    s->dim = v->dim;
    memcpy(s->vectors + (size_t)p->from * (size_t)v->dim, v->v, (size_t)v->count * row);
    return 0;
}

/* facts NULL: the part was not even started. */
static void fail(struct llm_call *c, const struct err *err, const struct llm_facts *facts)
{
    if (c->err.code)
        return; /* the others fail because they were cancelled */
    c->err = *err;
    if (facts) {
        c->failure = facts->failure;
        c->timed_out = facts->timed_out;
        c->retry_after_ms = facts->retry_after_ms;
    }
    parts_cancel(c);
}

static int go_on(struct llm_call *c);

static void part_done(void *arg, const struct llm_vectors *v, const struct err *err)
{
    struct part *p = arg;
    struct llm_call *c = p->whole;
    struct err why;
    list_del(&p->link);
    add_facts(c, &v->facts);
    if (!err && !c->err.code && keep_vectors(c, p, v, &why) < 0)
        err = &why;
    mem_free(p);
    if (err)
        fail(c, err, &v->facts);
    c->parts->found = true;
    if (go_on(c) < 0)
        report_end(c, &c->err);
}

/* ---- the next parts ---- */

static int start_part(struct llm_call *c, struct err *err)
{
    struct parts *s = c->parts;
    const char *model = s->found && c->attempt.model ? c->attempt.model : c->target;
    int left = c->asked.embed->ntexts - s->next, most = s->found ? limit_of(c, model) : least_limit(c);
    struct llm_embed_request q = *c->asked.embed;
    struct part *p = mem_zero(sizeof *p);
    q.texts += s->next;
    q.ntexts = left < most ? left : most;
    p->whole = c;
    p->from = s->next;
    p->count = q.ntexts;
    p->call = llm_part_start(c, &q, slice_str(model), part_done, p, err);
    if (!p->call) {
        mem_free(p);
        return err->code;
    }
    list_add_tail(&s->running, &p->link);
    s->next += p->count;
    return 0;
}

static int count_running(const struct parts *s)
{
    int n = 0;
    list_each (node, &s->running)
        n++;
    return n;
}

static bool may_start(const struct llm_call *c)
{
    const struct parts *s = c->parts;
    return !c->cancelled && !c->err.code && !c->llm->stopping && s->next < c->asked.embed->ntexts &&
           count_running(s) < (s->found ? parallel : 1);
}

/* 0: parts are under way, or the call has ended well. An error: c->err says it, and nothing is under way. */
static int go_on(struct llm_call *c)
{
    struct parts *s = c->parts;
    struct err err = {0};
    while (may_start(c)) {
        if (start_part(c, &err) == 0)
            continue;
        if (err.code == ERR_QUOTA && !list_empty(&s->running))
            break; /* a limit, and no place to wait: when another part has ended */
        fail(c, &err, NULL);
    }
    if (!list_empty(&s->running))
        return 0;
    if (!c->err.code && s->next < c->asked.embed->ntexts)
        report_stopping(c, &c->err);
    if (c->err.code)
        return c->err.code;
    report_end(c, NULL);
    return 0;
}

int parts_start(struct llm_call *c, struct err *err)
{
    struct parts *s = c->parts = mem_zero(sizeof *s);
    list_init(&s->running);
    s->found = !c->routed;
    s->started_us = clock_mono_us();
    c->state = CALL_PARTS;
    int rc = go_on(c); /* parts do not end from inside their start: it is not over when one is under way */
    if (rc < 0)
        *err = c->err;
    return rc;
}
