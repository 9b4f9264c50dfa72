/* Where a call may go: the models of its route in the order of its strategy, or the one model that was named. Made
 * once, at the start: a route that is changed meanwhile concerns the calls after it. */
#include "llm/call.h"

#include "base/mem.h"

static void plan_one(struct llm_call *c, struct slice name)
{
    c->plan = mem_zero(sizeof *c->plan);
    c->plan[0].model = mem_dup(name.p, name.len);
    c->nplan = 1;
}

static enum candidate_state state_of(struct model *m, int64_t now)
{
    enum llm_class why;
    int64_t rests = keyring_wait(&m->state->keyring, decide_slots(m), now, &why);
    if (breaker_wait(&m->state->breaker, now) != 0 || (rests > 0 && why != LLM_RATE))
        return CANDIDATE_AWAY;
    bool full = m->concurrency > 0 && m->state->in_flight >= m->concurrency;
    return rests > 0 || full ? CANDIDATE_BUSY : CANDIDATE_READY;
}

static struct candidate candidate_of(const struct route_member *member, struct model *m, int64_t now)
{
    return (struct candidate){
        .name = slice_str(member->model),
        .state = state_of(m, now),
        .weight = member->weight,
        .quality = member->quality,
        .priced = m->price.known,
        .price = money_add(m->price.in, m->price.out),
        .latency_ms = deployment_latency(m->state, now),
        .in_flight = m->state->in_flight,
    };
}

static struct slice stickiness(const struct llm_call *c, const struct route *r)
{
    struct slice user = c->asked.kind == MODEL_CHAT ? c->asked.chat->end_user : (struct slice){0};
    if (r->sticky == STICKY_USER)
        return user.len ? user : c->who->owner;
    return r->sticky == STICKY_SESSION ? c->who->sticky : (struct slice){0};
}

/* The members that could answer at all, into cs; how many. err says of the last one why it could not. */
static int candidates(struct llm_call *c, const struct route *r, struct candidate *cs, struct err *err)
{
    int n = 0;
    for (int i = 0; i < r->n; i++) {
        struct model *m;
        if (models_pick(&c->llm->models, slice_str(r->members[i].model), c->asked.kind, &m, err) < 0)
            continue;
        bool dear = !m->price.known || money_add(m->price.in, m->price.out) > r->ceiling;
        if (r->has_ceiling && dear)
            err_set(err, ERR_STATE, "no model of route '%.60s' is known to cost less than its CEILING", c->target);
        else
            cs[n++] = candidate_of(&r->members[i], m, decide_now());
    }
    return n;
}

static int plan_route(struct llm_call *c, const struct route *r, struct err *err)
{
    struct candidate cs[ROUTE_MEMBERS_MAX];
    int order[ROUTE_MEMBERS_MAX], n = candidates(c, r, cs, err);
    c->routed = true;
    c->fallback = r->fallback ? mem_strdup(r->fallback) : NULL;
    if (n == 0) {
        plan_one(c, slice_str(r->members[0].model));
        c->plan[0].done = true;
        c->err = *err;
        return c->fallback ? 0 : ERR_STATE;
    }
    choose_order(r->strategy, cs, n, stickiness(c, r), &c->llm->rng, order);
    c->plan = mem_zero((size_t)n * sizeof *c->plan);
    for (c->nplan = 0; c->nplan < n; c->nplan++)
        c->plan[c->nplan].model = mem_dup(cs[order[c->nplan]].name.p, cs[order[c->nplan]].name.len);
    return 0;
}

int decide_plan(struct llm_call *c, struct slice name, struct err *err)
{
    struct model *m;
    struct route_name *r = routes_find(&c->llm->routes, name);
    int rc = r ? plan_route(c, route_now(r), err) : models_pick(&c->llm->models, name, c->asked.kind, &m, err);
    if (rc < 0)
        return rc;
    if (!r)
        plan_one(c, name);
    m = models_find(&c->llm->models, slice_str(c->plan[0].model));
    c->retries_left = m ? model_retries(m) : 0;
    return 0;
}
