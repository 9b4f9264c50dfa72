#include "cmd/vector_args.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

int64_t vector_max_count;
const char *const vector_metric_names[3] = {"COSINE", "L2", "IP"};

static bool finite_all(struct call *c, const float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!isfinite(x[i])) {
            reply_errorf(c->reply, "ERR invalid vector specification: component %u is not a finite number", i);
            return false;
        }
    return true;
}

static bool parse_blob(struct call *c, struct slice blob, struct vector_arg *v)
{
    if (blob.len == 0 || blob.len % sizeof(float) || blob.len / sizeof(float) > VEC_MAX_DIM) {
        reply_errorf(
            c->reply,
            "ERR invalid vector specification: FP32 needs 4 bytes a component, 1 to %d components, not %zu bytes",
            VEC_MAX_DIM, blob.len);
        return false;
    }
    v->dim = (uint32_t)(blob.len / sizeof(float));
    v->x = mem_dup(blob.p, blob.len);
    return finite_all(c, v->x, v->dim);
}

static bool parse_values(struct call *c, int *i, struct vector_arg *v)
{
    int64_t n;
    if (!num_to_i64(call_arg(c, *i), &n) || n < 1 || n > VEC_MAX_DIM || n > c->argc - *i - 1) {
        reply_errorf(c->reply,
                     "ERR invalid vector specification: VALUES needs a count from 1 to %d and as many numbers after it",
                     VEC_MAX_DIM);
        return false;
    }
    (*i)++;
    v->dim = (uint32_t)n;
    v->x = mem_alloc((size_t)n * sizeof(float));
    for (int64_t k = 0; k < n; k++, (*i)++) {
        double d;
        if (!num_to_double(call_arg(c, *i), &d) || !isfinite((float)d)) {
            reply_errorf(c->reply, "ERR invalid vector specification: component %lld is not a finite number",
                         (long long)k);
            return false;
        }
        v->x[k] = (float)d;
    }
    return true;
}

bool vector_arg_parse(struct call *c, int *i, struct vector_arg *v)
{
    bool ok = false;
    *v = (struct vector_arg){0};
    if (*i + 1 >= c->argc) {
        reply_errorf(c->reply, "ERR invalid vector specification");
        return false;
    }
    struct slice kind = call_arg(c, (*i)++);
    if (slice_is(kind, "fp32")) {
        ok = parse_blob(c, call_arg(c, (*i)++), v);
    } else if (slice_is(kind, "values")) {
        ok = parse_values(c, i, v);
    } else if (slice_is(kind, "text")) {
        v->text = call_arg(c, (*i)++);
        ok = true;
    } else {
        reply_errorf(c->reply, "ERR invalid vector specification");
    }
    if (!ok) {
        mem_free(v->x);
        v->x = NULL;
    }
    return ok;
}

/* A number behind the option at argv[*i], which moves to it. */
static bool int_option(struct call *c, int *i, const char *what, int64_t min, int64_t max, int64_t *to)
{
    if (num_to_i64(call_arg(c, ++*i), to) && *to >= min && *to <= max)
        return true;
    reply_errorf(c->reply, "ERR invalid %s", what);
    return false;
}

/* VSIM takes any COUNT, as in Redis; there are never more answers than elements. */
static bool count_option(struct call *c, int *i, bool vsearch, int64_t *to)
{
    if (!vsearch) {
        if (!int_option(c, i, "COUNT", 1, INT64_MAX, to))
            return false;
        *to = *to < VEC_MAX_K ? *to : VEC_MAX_K;
        return true;
    }
    if (num_to_i64(call_arg(c, ++*i), to) && *to >= 1 && *to <= vector_max_count)
        return true;
    reply_errorf(c->reply, "INVALID COUNT must be a number from 1 to %lld (vector-max-count)",
                 (long long)vector_max_count);
    return false;
}

static bool filter_option(struct call *c, int *i, struct search_args *a)
{
    struct err err;
    filter_destroy(a->filter);
    a->filter = filter_create(call_arg(c, ++*i), &err);
    if (!a->filter)
        call_err(c, &err);
    return a->filter != NULL;
}

/* EPSILON is a distance below 1 that a cosine score may lack; RADIUS is in the terms of the metric's own score. */
static bool epsilon_option(struct call *c, int *i, enum vec_metric metric, struct search_args *a)
{
    double d;
    if (!num_to_double(call_arg(c, ++*i), &d) || !isfinite(d) || d <= 0) {
        reply_errorf(c->reply, "ERR invalid EPSILON");
        return false;
    }
    a->has_radius = true;
    a->radius = metric == VEC_COSINE ? 1 - d : d;
    return true;
}

static bool radius_option(struct call *c, int *i, enum vec_metric metric, struct search_args *a)
{
    double d;
    if (!num_to_double(call_arg(c, ++*i), &d) || !isfinite(d) || (metric == VEC_L2 && d < 0)) {
        reply_errorf(c->reply, "INVALID RADIUS must be a %snumber", metric == VEC_L2 ? "positive " : "");
        return false;
    }
    a->has_radius = true;
    a->radius = d;
    return true;
}

/* How much of a hybrid score is the vector's. */
static bool weight_option(struct call *c, int *i, struct search_args *a)
{
    if (num_to_double(call_arg(c, ++*i), &a->weight) && a->weight >= 0 && a->weight <= 1)
        return true;
    reply_errorf(c->reply, "INVALID WEIGHT is the vector's part of the score, a number from 0 to 1");
    return false;
}

/* RERANK model [BY attribute] [QUERY words] */
static bool rerank_option(struct call *c, int *i, struct search_args *a)
{
    a->rerank_at = ++*i;
    while (*i + 2 < c->argc) {
        int *to = slice_is(call_arg(c, *i + 1), "by")      ? &a->by_at
                  : slice_is(call_arg(c, *i + 1), "query") ? &a->query_at
                                                           : NULL;
        if (!to)
            break;
        *to = *i += 2;
    }
    return true;
}

/* FILTER-EF bounds what a filtered search may cost; 0, as Redis's manual has it, as much as is needed. */
static bool filter_ef_option(struct call *c, int *i, struct search_args *a)
{
    if (!int_option(c, i, "FILTER-EF", 0, INT64_MAX, &a->filter_ef))
        return false;
    a->bounded = a->filter_ef > 0;
    if (a->filter_ef == 0 || a->filter_ef > VEC_MAX_EF)
        a->filter_ef = VEC_MAX_EF;
    return true;
}

/* 1: taken, 0: no such option, -1: replied. */
static int valued_option(struct call *c, int *i, bool vsearch, enum vec_metric metric, struct search_args *a)
{
    struct slice o = call_arg(c, *i);
    bool ok;
    if (*i + 1 >= c->argc)
        return 0;
    if (slice_is(o, "count"))
        ok = count_option(c, i, vsearch, &a->count);
    else if (slice_is(o, "ef"))
        ok = int_option(c, i, "EF", 1, VEC_MAX_EF, &a->ef);
    else if (slice_is(o, "filter-ef"))
        ok = filter_ef_option(c, i, a);
    else if (slice_is(o, "filter"))
        ok = filter_option(c, i, a);
    else if (slice_is(o, "epsilon"))
        ok = epsilon_option(c, i, metric, a);
    else if (vsearch && slice_is(o, "hybrid"))
        ok = (a->words_at = ++*i) > 0;
    else if (vsearch && slice_is(o, "rerank"))
        ok = rerank_option(c, i, a);
    else if (vsearch && slice_is(o, "weight"))
        ok = weight_option(c, i, a);
    else if (vsearch && slice_is(o, "radius"))
        ok = radius_option(c, i, metric, a);
    else
        return 0;
    return ok ? 1 : -1;
}

static bool search_option(struct call *c, int *i, bool vsearch, enum vec_metric metric, struct search_args *a)
{
    struct slice o = call_arg(c, *i);
    if (slice_is(o, "withscores"))
        a->with_scores = true;
    else if (slice_is(o, "withattribs"))
        a->with_attribs = true;
    else if (slice_is(o, "truth"))
        a->exact = true;
    else if (slice_is(o, "nothread"))
        a->no_thread = true;
    else if (vsearch && slice_is(o, "withvectors"))
        a->with_vectors = true;
    else {
        int rc = valued_option(c, i, vsearch, metric, a);
        if (rc == 0)
            reply_errorf(c->reply, "ERR syntax error in %s command", vsearch ? "VSEARCH" : "VSIM");
        return rc > 0;
    }
    return true;
}

bool search_query_parse(struct call *c, int *i, struct search_args *a)
{
    *i = 2;
    *a = (struct search_args){.count = 10, .weight = -1};
    if (!slice_is(call_arg(c, 2), "ele") || c->argc < 4)
        return vector_arg_parse(c, i, &a->v);
    a->element = call_arg(c, 3);
    *i = 4;
    return true;
}

bool search_options_parse(struct call *c, int i, bool vsearch, enum vec_metric metric, struct search_args *a)
{
    for (; i < c->argc; i++)
        if (!search_option(c, &i, vsearch, metric, a))
            return false;
    return true;
}

bool search_batch_parse(struct call *c, enum vec_metric metric, struct search_args *a, uint32_t *n, struct slice *blob)
{
    int64_t queries;
    *a = (struct search_args){.count = 10, .weight = -1};
    if (c->argc < 6 || !slice_is(call_arg(c, 4), "fp32")) {
        reply_errorf(c->reply, "INVALID BATCH is followed by a number of queries, FP32 and one blob of all of them");
        return false;
    }
    if (!num_to_i64(call_arg(c, 3), &queries) || queries < 1 || queries > VECTOR_MAX_BATCH) {
        reply_errorf(c->reply, "INVALID BATCH must be a number from 1 to %d", VECTOR_MAX_BATCH);
        return false;
    }
    *n = (uint32_t)queries;
    *blob = call_arg(c, 5);
    bool ok = search_options_parse(c, 6, true, metric, a);
    if (ok && (a->words_at || a->rerank_at)) {
        reply_errorf(c->reply, "INVALID %s goes with one query, not with BATCH", a->words_at ? "HYBRID" : "RERANK");
        ok = false;
    }
    if (!ok)
        search_args_release(a);
    return ok;
}

struct vec_query search_args_query(const struct search_args *a, const float *x, uint32_t dim, const atomic_bool *cancel)
{
    return (struct vec_query){
        .x = x,
        .dim = dim,
        .k = (uint32_t)a->count,
        .ef = (uint32_t)a->ef,
        .filter = a->filter,
        .filter_ef = (uint32_t)a->filter_ef,
        .walk_only = a->bounded,
        .exact = a->exact,
        .has_radius = a->has_radius,
        .radius = a->radius,
        .with_attr = a->with_attribs,
        .cancel = cancel,
    };
}

void search_args_release(struct search_args *a)
{
    mem_free(a->v.x);
    filter_destroy(a->filter);
    *a = (struct search_args){0};
}
