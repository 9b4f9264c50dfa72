/* VSIM and VSEARCH: the client is parked, a worker walks the index with a reference to it, the loop replies. The loop's
 * part of a search is parsing and writing the reply, some microseconds, so a hundred searching clients do not delay
 * PING. */
#include "cmd/cmd_vsearch.h"

#include <string.h>

#include "base/mem.h"
#include "base/setting.h"
#include "cmd/embed_text.h"
#include "cmd/families.h"
#include "cmd/vector_args.h"

static struct job_pool *pool;

struct job_pool *vsearch_pool(void)
{
    return pool;
}

static const struct setting settings[] = {
    {.name = "vector-max-count",
     .kind = SETTING_INT,
     .at = &vector_max_count,
     .dflt = "1000",
     .min = 1,
     .max = VEC_MAX_K,
     .help = "The largest COUNT that VSEARCH takes."},
};

void vsearch_settings(void)
{
    SETTING_REGISTER(settings);
}

void vsearch_boot(struct job_pool *p)
{
    pool = p;
}

struct search {
    struct job job;
    struct call *call;
    struct vec_index *index;       /* a reference */
    struct projection *projection; /* the same; NULL: the set has none */
    struct search_args a;
    float *x; /* the query, ours */
    struct vec_query q;
    struct vec_result r;
    struct embed_call *embed;
    bool parked;
    atomic_bool cancel;
    int rc;
    struct err err;
};

static void search_free(struct search *s)
{
    vec_result_release(&s->r);
    vec_unref(s->index);
    projection_unref(s->projection);
    search_args_release(&s->a);
    mem_free(s->x);
    mem_free(s);
}

/* As it was given, and as it is now: the search ran beside writers. Nil when the element has gone meanwhile. */
static void reply_hit_vector(struct reply *r, const struct vec_index *index, struct slice name, float *x)
{
    if (vec_get_vector(index, name, x))
        reply_bulk(r, slice_of((const char *)x, vec_dim(index) * sizeof *x));
    else
        reply_nil(r);
}

/* RESP2: one flat array. RESP3: an array of names, or a map from a name to what was asked for beside it, an array when
 * that is more than one thing. */
void vsearch_reply(struct reply *r, const struct search_args *a, const struct vec_index *index,
                   const struct vec_result *hits)
{
    int extra = a->with_scores + a->with_attribs + a->with_vectors;
    float *x = a->with_vectors ? mem_alloc(vec_dim(index) * sizeof *x) : NULL;
    if (extra && r->resp == 3)
        reply_map(r, hits->count);
    else
        reply_array(r, (size_t)hits->count * (size_t)(1 + extra));
    for (uint32_t i = 0; i < hits->count; i++) {
        const struct vec_hit *h = &hits->hits[i];
        reply_bulk(r, h->name);
        if (extra > 1 && r->resp == 3)
            reply_array(r, (size_t)extra);
        if (a->with_scores)
            reply_double(r, h->score);
        if (a->with_attribs && h->attr.len)
            reply_bulk(r, h->attr);
        else if (a->with_attribs)
            reply_nil(r);
        if (a->with_vectors)
            reply_hit_vector(r, index, h->name, x);
    }
    mem_free(x);
}

static void run_search(struct search *s)
{
    s->rc = vec_search(s->index, &s->q, &s->r, &s->err);
}

static void finish(struct search *s)
{
    if (s->rc < 0)
        call_err(s->call, &s->err);
    else
        vsearch_reply(s->call->reply, &s->a, s->index, &s->r);
}

static void job_run(struct job *j)
{
    run_search((struct search *)j);
}

static void job_done(struct job *j)
{
    struct search *s = (struct search *)j;
    if (job_cancelled(j) && s->rc == 0 && !s->r.hits)
        s->rc = err_set(&s->err, ERR_CANCELLED, "the search was cancelled");
    finish(s);
    call_resume(s->call);
    search_free(s);
}

static void on_cancel(struct call *c, void *arg)
{
    struct search *s = arg;
    atomic_store(&s->cancel, true);
    if (s->embed)
        embed_text_cancel(s->embed);
    else
        job_cancel(&s->job);
}

/* Now, when the caller may not wait; else by a worker. The search is freed in both cases. */
static void start(struct search *s, uint32_t dim)
{
    struct call *c = s->call;
    s->q = search_args_query(&s->a, s->x, dim, &s->cancel);
    if (!s->parked && ((c->flags & CALL_ATOMIC) || s->a.no_thread)) {
        run_search(s);
        finish(s);
        search_free(s);
        return;
    }
    if (!s->parked)
        s->call = call_park(c, on_cancel, s);
    s->job.run = job_run;
    s->job.done = job_done;
    job_submit(pool, &s->job);
}

/* A query goes the way that the set's vectors went. One that has as many components as are kept went it already. */
static void shorten(struct search *s, uint32_t *dim)
{
    if (!s->projection || projection_in(s->projection) != *dim)
        return;
    *dim = projection_out(s->projection);
    float *x = mem_alloc(*dim * sizeof *x);
    projection_apply(s->projection, s->x, x);
    mem_free(s->x);
    s->x = x;
}

static void embedded(void *arg, const float *x, uint32_t dim, const struct err *err)
{
    struct search *s = arg;
    s->embed = NULL;
    if (err) {
        call_err(s->call, err);
        if (s->parked)
            call_resume(s->call);
        search_free(s);
        return;
    }
    s->x = mem_dup(x, dim * sizeof *x);
    shorten(s, &dim);
    start(s, dim);
}

static void search_text(struct search *s, const struct vset *set)
{
    const char *model = set->model;
    uint32_t dim = vset_input_dim(set);
    if (embed_text_is_local(model)) {
        embed_text(model, s->a.v.text, dim, embedded, s);
        return;
    }
    if (s->call->flags & CALL_ATOMIC) {
        reply_errorf(s->call->reply,
                     "STATE a search by TEXT calls the model %s and cannot run inside MULTI or a script", model);
        search_free(s);
        return;
    }
    s->call = call_park(s->call, on_cancel, s);
    s->parked = true;
    struct embed_call *e = embed_text(model, call_arg(s->call, 3), dim, embedded, s);
    if (e) /* else it is over, and s is freed or runs */
        s->embed = e;
}

static bool query_of_element(struct call *c, struct search *s)
{
    if (!vec_contains(s->index, s->a.element)) {
        reply_errorf(c->reply, "ERR element not found in set");
        return false;
    }
    s->x = mem_alloc(vec_dim(s->index) * sizeof(float));
    vec_get_vector(s->index, s->a.element, s->x);
    return true;
}

/* Where to search from, but for TEXT. Replies and returns false when there is no such point in the set. */
static bool take_query(struct call *c, struct search *s, const struct vset *set, uint32_t *dim)
{
    struct err err;
    *dim = vec_dim(s->index);
    if (s->a.element.p)
        return query_of_element(c, s);
    s->x = s->a.v.x;
    s->a.v.x = NULL;
    *dim = s->a.v.dim;
    shorten(s, dim);
    if (*dim == vec_dim(s->index) || vset_check_dim(set, *dim, &err) == 0)
        return true;
    call_err(c, &err);
    return false;
}

/* The order in which mistakes are told is Redis's: the key, the vector, the options. */
static void search(struct call *c, bool ours)
{
    struct vset *set = vset_read(c, call_arg(c, 1));
    struct search_args a;
    int options;
    uint32_t dim;
    if (!set) {
        if (c->reply->errors == 0)
            reply_array(c->reply, 0); /* as Redis: a missing key is an empty set, before the arguments are looked at */
        return;
    }
    if (ours && slice_is(call_arg(c, 2), "batch")) {
        vsearch_batch(c, set);
        return;
    }
    if (!search_query_parse(c, &options, &a))
        return;
    struct search *s = mem_zero(sizeof *s);
    s->call = c;
    s->a = a;
    s->index = vec_ref(set->index);
    s->projection = projection_ref(set->projection);
    if ((!a.v.text.p && !take_query(c, s, set, &dim)) ||
        !search_options_parse(c, options, ours, vec_metric(s->index), &s->a))
        search_free(s);
    else if (a.v.text.p)
        search_text(s, set);
    else
        start(s, dim);
}

/* > VADD points VALUES 2 1 0 east
 * < (integer) 1
 * > VADD points VALUES 2 0 1 north SETATTR '{"cold":1}'
 * < (integer) 1
 * > VSIM points VALUES 2 2 0 COUNT 1 WITHSCORES
 * < 1) "east"
 * < 2) "1"
 * > VSIM points ELE north FILTER ".cold == 1"
 * < 1) "north"
 * > VSIM missing ELE north
 * < (empty array)
 */
static void vsim(struct call *c)
{
    search(c, false);
}

/* > VCREATE plane DIM 2 METRIC L2
 * < OK
 * > VADD plane VALUES 2 0 0 origin
 * < (integer) 1
 * > VADD plane VALUES 2 3 4 far
 * < (integer) 1
 * > VSEARCH plane VALUES 2 0 0 WITHSCORES
 * < 1) "origin"
 * < 2) "0"
 * < 3) "far"
 * < 4) "5"
 * > VSEARCH plane VALUES 2 0 0 RADIUS 1
 * < 1) "origin"
 * > VSEARCH plane VALUES 2 0 0 COUNT 1 WITHSCORES WITHVECTORS
 * < 1) "origin"
 * < 2) "0"
 * < 3) "\x00\x00\x00\x00\x00\x00\x00\x00"
 * > VSEARCH plane BATCH 2 FP32 "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x40\x00\x00\x80\x40" COUNT 1
 * < 1) 1) "origin"
 * < 2) 1) "far"
 */
static void vsearch(struct call *c)
{
    search(c, true);
}
#define SYNTAX_SEARCH                                                                                                  \
    " [WITHSCORES] [WITHATTRIBS] [COUNT count] [EPSILON delta] [EF search-exploration-factor] [FILTER expression] "    \
    "[FILTER-EF max-filtering-effort] [TRUTH] [NOTHREAD]"
#define KEY1 .first = 1, .last = 1, .step = 1, .acl = ACL_VECTOR

static const struct cmd rows[] = {
    {.name = "vsim",
     .run = vsim,
     .arity = -4,
     .flags = CMD_READONLY | CMD_BLOCKING,
     KEY1,
     .syntax = "key (ELE element|FP32 vector|VALUES num vector...|TEXT text)" SYNTAX_SEARCH,
     .summary = "The elements most similar to a vector.",
     .since = "8.0.0",
     .complexity = "O(log N) where N is the elements"},
    {.name = "vsearch",
     .run = vsearch,
     .arity = -4,
     .flags = CMD_READONLY | CMD_BLOCKING,
     KEY1,
     .syntax = "key (ELE element|FP32 vector|VALUES num vector...|TEXT text|(BATCH queries:int FP32 vectors))" SYNTAX_SEARCH
               " [RADIUS radius] [WITHVECTORS]",
     .summary = "VSIM with more ways to ask.",
     .since = "1.0.0",
     .complexity = "O(log N) where N is the elements"},
};

const struct cmd_family vector_search_family = CMD_FAMILY("vector", rows);
