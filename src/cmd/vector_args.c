#include "cmd/vector_args.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

int64_t vector_max_count;

static bool finite_all(struct call *c, const float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!isfinite(x[i])) {
            reply_errorf(c->reply, "INVALID component %u of the vector is not a finite number", i);
            return false;
        }
    return true;
}

static bool parse_blob(struct call *c, struct slice blob, struct vector_arg *v)
{
    if (blob.len == 0 || blob.len % sizeof(float) || blob.len / sizeof(float) > VEC_MAX_DIM) {
        reply_errorf(c->reply, "INVALID FP32 vector of %zu bytes: it must be 4 bytes a component, 1 to %d components",
                     blob.len, VEC_MAX_DIM);
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
        reply_errorf(c->reply, "INVALID VALUES needs a count from 1 to %d and as many numbers after it", VEC_MAX_DIM);
        return false;
    }
    (*i)++;
    v->dim = (uint32_t)n;
    v->x = mem_alloc((size_t)n * sizeof(float));
    for (int64_t k = 0; k < n; k++, (*i)++) {
        double d;
        if (!num_to_double(call_arg(c, *i), &d) || !isfinite((float)d)) {
            reply_errorf(c->reply, "INVALID component %lld of the vector is not a finite number", (long long)k);
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
        call_syntax(c);
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
        call_syntax(c);
    }
    if (!ok) {
        mem_free(v->x);
        v->x = NULL;
    }
    return ok;
}

static bool int_option(struct call *c, int *i, const char *what, int64_t min, int64_t max, int64_t *to)
{
    if (*i + 1 < c->argc && num_to_i64(call_arg(c, *i + 1), to) && *to >= min && *to <= max) {
        (*i)++;
        return true;
    }
    reply_errorf(c->reply, "INVALID %s must be a number from %lld to %lld", what, (long long)min, (long long)max);
    return false;
}

static bool filter_option(struct call *c, int *i, struct search_args *a)
{
    struct err err;
    if (++*i >= c->argc) {
        call_syntax(c);
        return false;
    }
    filter_destroy(a->filter);
    a->filter = filter_create(call_arg(c, *i), &err);
    if (!a->filter)
        call_err(c, &err);
    return a->filter != NULL;
}

/* EPSILON is a distance below 1 that a cosine score may lack; RADIUS is in the terms of the metric's own score. */
static bool radius_option(struct call *c, int *i, bool epsilon, enum vec_metric metric, struct search_args *a)
{
    double d;
    if (++*i >= c->argc || !num_to_double(call_arg(c, *i), &d) || !isfinite(d) || (epsilon && d <= 0) ||
        (metric == VEC_L2 && d < 0)) {
        reply_errorf(c->reply, "INVALID %s must be a %snumber", epsilon ? "EPSILON" : "RADIUS",
                     epsilon || metric == VEC_L2 ? "positive " : "");
        return false;
    }
    a->has_radius = true;
    a->radius = epsilon && metric == VEC_COSINE ? 1 - d : d;
    return true;
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
    else if (slice_is(o, "count"))
        return int_option(c, i, "COUNT", 1, vector_max_count, &a->count);
    else if (slice_is(o, "ef"))
        return int_option(c, i, "EF", 1, VEC_MAX_EF, &a->ef);
    else if (slice_is(o, "filter-ef"))
        return int_option(c, i, "FILTER-EF", 1, VEC_MAX_EF, &a->filter_ef);
    else if (slice_is(o, "filter"))
        return filter_option(c, i, a);
    else if (slice_is(o, "epsilon"))
        return radius_option(c, i, true, metric, a);
    else if (vsearch && slice_is(o, "radius"))
        return radius_option(c, i, false, metric, a);
    else {
        call_syntax(c);
        return false;
    }
    return true;
}

bool search_args_parse(struct call *c, bool vsearch, enum vec_metric metric, struct search_args *a)
{
    int i = 2;
    *a = (struct search_args){.count = 10};
    if (slice_is(call_arg(c, 2), "ele") && c->argc > 3) {
        a->element = call_arg(c, 3);
        i = 4;
    } else if (!vector_arg_parse(c, &i, &a->v)) {
        return false;
    }
    for (; i < c->argc; i++)
        if (!search_option(c, &i, vsearch, metric, a)) {
            search_args_release(a);
            return false;
        }
    return true;
}

void search_args_release(struct search_args *a)
{
    mem_free(a->v.x);
    filter_destroy(a->filter);
    *a = (struct search_args){0};
}
