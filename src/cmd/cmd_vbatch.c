/* VSEARCH key BATCH n: many queries in one call, spread over the workers. Built for thousands of queries at once: each
 * worker takes the next query that nobody has taken, so a slow one holds nobody up. */
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/cmd_vsearch.h"
#include "simd/simd.h"

struct batch;

struct batch_job {
    struct job job; /* first */
    struct batch *b;
};

struct batch {
    struct call *call;
    struct vec_index *index; /* a reference */
    struct search_args a;
    struct projection *projection; /* the same; NULL: the set has none */
    uint32_t n, dim;
    float *x; /* n queries of dim components, one behind the other */
    struct vec_result *results;
    _Atomic uint32_t next;
    atomic_bool stop;   /* cancelled, or one has failed */
    atomic_bool failed; /* who sets it first writes err */
    struct err err;
    int jobs, left; /* left: jobs that have not ended */
    struct batch_job *job;
};

static void batch_free(struct batch *b)
{
    for (uint32_t i = 0; b->results && i < b->n; i++)
        vec_result_release(&b->results[i]);
    vec_unref(b->index);
    projection_unref(b->projection);
    search_args_release(&b->a);
    mem_free(b->results);
    mem_free(b->x);
    mem_free(b->job);
    mem_free(b);
}

/* thread: worker, or the loop */
static void search_some(struct batch *b)
{
    uint32_t i, dim = vec_dim(b->index);
    float *room = b->projection ? mem_alloc(dim * sizeof *room) : NULL;
    while (!atomic_load(&b->stop) && (i = atomic_fetch_add(&b->next, 1)) < b->n) {
        const float *x = b->x + (size_t)i * b->dim;
        if (room)
            projection_apply(b->projection, x, room);
        struct vec_query q = search_args_query(&b->a, room ? room : x, dim, &b->stop);
        struct err err;
        if (vec_search(b->index, &q, &b->results[i], &err) < 0) {
            if (!atomic_exchange(&b->failed, true))
                b->err = err;
            atomic_store(&b->stop, true);
        }
    }
    mem_free(room);
}

static void finish(struct batch *b)
{
    struct reply *r = b->call->reply;
    if (atomic_load(&b->stop) && !atomic_exchange(&b->failed, true))
        err_set(&b->err, ERR_CANCELLED, "the search was cancelled");
    if (atomic_load(&b->failed)) {
        call_err(b->call, &b->err);
        return;
    }
    reply_array(r, b->n);
    for (uint32_t i = 0; i < b->n; i++)
        vsearch_reply(r, &b->a, b->index, &b->results[i]);
}

static void job_run(struct job *j)
{
    search_some(((struct batch_job *)j)->b);
}

static void job_done(struct job *j)
{
    struct batch *b = ((struct batch_job *)j)->b;
    if (--b->left > 0)
        return;
    finish(b);
    call_resume(b->call);
    batch_free(b);
}

static void on_cancel(struct call *c, void *arg)
{
    struct batch *b = arg;
    atomic_store(&b->stop, true);
    for (int i = 0; i < b->jobs; i++)
        job_cancel(&b->job[i].job);
}

/* One job a worker; under MULTI and with NOTHREAD everything now. */
static void start(struct batch *b)
{
    int threads = job_pool_threads(vsearch_pool());
    if ((b->call->flags & CALL_ATOMIC) || b->a.no_thread) {
        search_some(b);
        finish(b);
        batch_free(b);
        return;
    }
    b->jobs = b->left = (uint32_t)threads < b->n ? threads : (int)b->n;
    b->job = mem_zero((size_t)b->jobs * sizeof *b->job);
    b->call = call_park(b->call, on_cancel, b);
    for (int i = 0; i < b->jobs; i++) {
        b->job[i] = (struct batch_job){.job = {.run = job_run, .done = job_done}, .b = b};
        job_submit(vsearch_pool(), &b->job[i].job);
    }
}

/* False: replied. */
static bool take_queries(struct batch *b, struct slice blob)
{
    struct reply *r = b->call->reply;
    size_t one = b->dim * sizeof(float);
    if (blob.len != one * b->n) {
        reply_errorf(r, "INVALID BATCH of %u queries with %u components needs %zu bytes, not %zu", b->n, b->dim,
                     one * b->n, blob.len);
        return false;
    }
    b->x = mem_try(blob.len);
    b->results = mem_try((size_t)b->n * sizeof *b->results);
    if (!b->x || !b->results) {
        mem_free(b->results); /* nothing in it yet */
        b->results = NULL;
        reply_errorf(r, "OOM no memory for %u queries", b->n);
        return false;
    }
    memset(b->results, 0, (size_t)b->n * sizeof *b->results);
    memcpy(b->x, blob.p, blob.len);
    if (simd_finite_f32(b->x, (size_t)b->n * b->dim))
        return true;
    reply_errorf(r, "INVALID a query of the BATCH has a component that is not a finite number");
    return false;
}

void vsearch_batch(struct call *c, struct vset *set)
{
    struct batch *b = mem_zero(sizeof *b);
    struct slice blob;
    b->call = c;
    b->dim = vset_input_dim(set);
    if (!search_batch_parse(c, vec_metric(set->index), &b->a, &b->n, &blob)) {
        mem_free(b);
        return;
    }
    b->index = vec_ref(set->index);
    b->projection = projection_ref(set->projection);
    if (take_queries(b, blob))
        start(b);
    else
        batch_free(b);
}
