/* VSIM and VSEARCH: the client is parked, a worker walks the index with a reference to it, the loop replies. The loop's
 * part of a search is parsing and writing the reply, some microseconds, so a hundred searching clients do not delay
 * PING. */
#include "cmd/cmd_vsearch.h"

#include <string.h>

#include "base/mem.h"
#include "base/setting.h"
#include "cmd/embed_text.h"
#include "cmd/families.h"
#include "cmd/hybrid.h"
#include "cmd/vector_args.h"
#include "cmd/vrerank.h"
#include "base/clock.h"
#include "store/vset_text.h"

#define SLICE_US 2000 /* what a search takes of the loop's time at once */

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
    struct text_index *text; /* HYBRID: a reference */
    struct text_result words;
    struct slice query;   /* HYBRID's words, ours */
    uint32_t tried, kept; /* HYBRID with a FILTER: of what words found */
    struct embed_call *embed;
    struct vec_result fused; /* HYBRID: both lists, names and attributes borrowed */
    struct vrerank *rerank;  /* the model orders them */
    char *text_attr;         /* RERANK: where the texts are */
    bool parked;
    atomic_bool cancel;
    int rc;
    struct err err;
};

static void search_free(struct search *s)
{
    vec_result_release(&s->r);
    text_result_release(&s->words);
    mem_free(s->fused.hits);
    mem_free(s->text_attr);
    text_unref(s->text);
    mem_free((char *)s->query.p);
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
    if (s->rc == 0 && s->text)
        text_search(s->text, s->query, s->a.filter ? UINT32_MAX : s->q.k, &s->words);
}

/* Who was found by words has not been asked yet whether it matches. The first of them that do stay, as many as the
 * other list may have. Attributes are the loop's to read, so this goes on until the monotonic time until_us (0: to the
 * end); false: call again. */
static bool keep_matching(struct search *s, int64_t until_us)
{
    struct buf scratch = {0};
    struct slice attr;
    while (s->a.filter && s->tried < s->words.count && s->kept < s->q.k) {
        struct text_hit *h = &s->words.hits[s->tried++];
        if (vec_get_attr(s->index, h->name, &attr) && attr.len && filter_match(s->a.filter, attr, &scratch))
            s->words.hits[s->kept++] = *h;
        if (until_us && s->tried % 32 == 0 && clock_mono_us() >= until_us)
            break;
    }
    buf_release(&scratch);
    if (s->a.filter && s->tried < s->words.count && s->kept < s->q.k)
        return false;
    s->words.count = s->a.filter ? s->kept : s->words.count;
    return true;
}

/* How many are to be found: as many as are asked for, and more where a model chooses among them. */
static uint32_t wanted(const struct search *s)
{
    return s->a.rerank_at ? vrerank_candidates(s->a.count) : (uint32_t)s->a.count;
}

/* The best of both lists, as a list of its own whose names and attributes are borrowed. */
static void fuse(struct search *s)
{
    uint32_t most = s->r.count + s->words.count, n = 0;
    struct hybrid_hit *both = mem_alloc((most + 1) * sizeof *both);
    s->fused.hits = mem_zero((most + 1) * sizeof *s->fused.hits);
    most = hybrid_fuse(&s->r, &s->words, s->a.weight, both);
    for (uint32_t i = 0; i < most && n < wanted(s); i++) {
        struct vec_hit *h = &s->fused.hits[n];
        *h = (struct vec_hit){.name = both[i].name, .score = both[i].score};
        if (vec_contains(s->index, h->name)) /* it may have gone meanwhile */
            vec_get_attr(s->index, h->name, &h->attr), n++;
    }
    s->fused.count = n;
    mem_free(both);
}

static struct vec_result *found(struct search *s)
{
    return s->a.words_at ? &s->fused : &s->r;
}

/* Attributes may be others by now, and elements may have gone. */
static void look_again(struct search *s)
{
    struct vec_result *f = found(s);
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        if (!vec_contains(s->index, f->hits[i].name))
            continue;
        f->hits[n] = f->hits[i];
        vec_get_attr(s->index, f->hits[n].name, &f->hits[n].attr);
        n++;
    }
    f->count = n;
}

static void reranked(void *arg, const struct err *err)
{
    struct search *s = arg;
    if (err) {
        call_err(s->call, err);
    } else {
        look_again(s);
        vsearch_reply(s->call->reply, &s->a, s->index, found(s));
    }
    call_resume(s->call);
    search_free(s);
}

/* The words that the model compares the texts with. p NULL: there are none. */
static struct slice rerank_query(const struct search *s)
{
    int at = s->a.query_at ? s->a.query_at : s->a.words_at ? s->a.words_at : s->a.v.text.p ? 3 : 0;
    return at ? call_arg(s->call, at) : (struct slice){0};
}

/* True: reranked() comes. */
static bool rerank(struct search *s)
{
    struct vrerank_ask q = {
        .model = call_arg(s->call, s->a.rerank_at),
        .query = rerank_query(s),
        .attr = s->text_attr,
        .found = found(s),
        .count = (uint32_t)s->a.count,
    };
    s->rerank = vrerank_start(&q, s->call, reranked, s, &s->err);
    s->rc = s->rerank ? 0 : s->err.code;
    return s->rerank != NULL;
}

/* False: the reply is still to come. */
static bool finish(struct search *s)
{
    if (s->rc == 0 && s->a.words_at)
        fuse(s);
    if (s->rc == 0 && s->a.rerank_at && atomic_load(&s->cancel))
        s->rc = err_set(&s->err, ERR_CANCELLED, "the search was cancelled");
    if (s->rc == 0 && s->a.rerank_at && found(s)->count && rerank(s))
        return false;
    if (s->rc < 0)
        call_err(s->call, &s->err);
    else
        vsearch_reply(s->call->reply, &s->a, s->index, found(s));
    return true;
}

static void job_run(struct job *j)
{
    run_search((struct search *)j);
}

static void nothing(struct job *j)
{
}

static void job_done(struct job *j)
{
    struct search *s = (struct search *)j;
    if (job_cancelled(j) && s->rc == 0 && (!s->r.hits || s->tried))
        s->rc = err_set(&s->err, ERR_CANCELLED, "the search was cancelled");
    if (s->rc == 0 && !keep_matching(s, clock_mono_us() + SLICE_US)) {
        s->job.run = nothing; /* done comes again, when others have had their turn */
        job_submit(pool, &s->job);
        return;
    }
    if (!finish(s))
        return;
    call_resume(s->call);
    search_free(s);
}

static void on_cancel(struct call *c, void *arg)
{
    struct search *s = arg;
    atomic_store(&s->cancel, true);
    if (s->embed)
        embed_text_cancel(s->embed);
    else if (s->rerank)
        vrerank_cancel(s->rerank);
    else
        job_cancel(&s->job);
}

static bool may_wait(const struct search *s)
{
    return !(s->call->flags & CALL_ATOMIC) && (!s->a.no_thread || s->a.rerank_at);
}

static void park(struct search *s)
{
    if (!s->parked)
        s->call = call_park(s->call, on_cancel, s);
    s->parked = true;
}

/* Now, when the caller may not wait; else by a worker. The search is freed in both cases. */
static void launch(struct search *s)
{
    if (!s->parked && !may_wait(s)) {
        run_search(s);
        keep_matching(s, 0);
        finish(s);
        search_free(s);
        return;
    }
    park(s);
    s->job.run = job_run;
    s->job.done = job_done;
    job_submit(pool, &s->job);
}

/* ---- HYBRID: the set's text index is there first, made in slices of the loop's time if need be ---- */

#define CANDIDATES 100 /* of each list, at least */

static void fail(struct search *s, const struct err *err)
{
    call_err(s->call, err);
    if (s->parked)
        call_resume(s->call);
    search_free(s);
}

static void with_text(struct search *s);

static void next_slice(struct job *j)
{
    struct search *s = (struct search *)j;
    struct err err;
    if (job_cancelled(j)) {
        err_set(&err, ERR_CANCELLED, "the search was cancelled");
        fail(s, &err);
        return;
    }
    with_text(s);
}

/* The set may have gone or be another one since the last slice. */
static void with_text(struct search *s)
{
    bool wrong;
    struct err err;
    struct obj *o = db_read_type(s->call->db, call_arg(s->call, 1), OBJ_VECTOR, &wrong);
    struct vset *set = o ? vset_of(o) : NULL;
    int rc = 1;
    if (set && set->index == s->index)
        rc = vset_text_make(set, s->parked || may_wait(s) ? clock_mono_us() + SLICE_US : 0, &err);
    if (rc < 0) {
        fail(s, &err);
    } else if (rc == 0) {
        park(s);
        s->job.run = nothing;
        s->job.done = next_slice;
        job_submit(pool, &s->job);
    } else {
        if (set && set->index == s->index)
            s->text = text_ref(set->text);
        launch(s);
    }
}

static void start(struct search *s, uint32_t dim)
{
    s->q = search_args_query(&s->a, s->x, dim, &s->cancel);
    s->q.k = wanted(s);
    s->q.with_attr |= s->a.rerank_at > 0;
    if (!s->a.words_at) {
        launch(s);
        return;
    }
    struct slice words = call_arg(s->call, s->a.words_at);
    uint64_t k = (uint64_t)wanted(s) * 4;
    s->query = slice_of(mem_dup(words.p, words.len), words.len);
    s->q.k = k < CANDIDATES ? CANDIDATES : k < VEC_MAX_K ? (uint32_t)k : VEC_MAX_K;
    s->q.with_attr = false;
    with_text(s);
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
    park(s);
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

/* False: replied. */
static bool may_rerank(struct call *c, struct search *s, const struct vset *set)
{
    if (!s->a.rerank_at)
        return true;
    struct slice by = s->a.by_at ? call_arg(c, s->a.by_at) : slice_str(vset_text_attr(set));
    s->text_attr = mem_dup(by.p, by.len);
    if (c->flags & CALL_ATOMIC)
        reply_errorf(c->reply, "STATE RERANK calls a model and cannot run inside MULTI or a script");
    else if (!rerank_query(s).p)
        reply_errorf(c->reply, "INVALID RERANK compares texts with words: search by TEXT or with HYBRID, or add QUERY "
                               "words behind the model");
    else
        return true;
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
        !search_options_parse(c, options, ours, vec_metric(s->index), &s->a) || !may_rerank(c, s, set))
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
 * > VSETATTR plane far '{"text":"green fields"}'
 * < (integer) 1
 * > VSEARCH plane VALUES 2 0 0 HYBRID "a green field" WEIGHT 0 COUNT 1
 * < 1) "far"
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
     .syntax =
         "key (ELE element|FP32 vector|VALUES num vector...|TEXT text|(BATCH queries:int FP32 vectors))" SYNTAX_SEARCH
         " [RADIUS radius] [WITHVECTORS] [HYBRID words [WEIGHT weight]] [RERANK model [BY attribute] [QUERY words]]",
     .summary = "VSIM with more ways to ask.",
     .since = "1.0.0",
     .complexity = "O(log N) where N is the elements"},
};

const struct cmd_family vector_search_family = CMD_FAMILY("vector", rows);
