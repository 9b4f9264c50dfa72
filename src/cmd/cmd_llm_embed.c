/* LLM.EMBED: texts to vectors. */
#include "cmd/cmd_llm.h"

#include "base/mem.h"
#include "cmd/llm_options.h"
#include "cmd/llm_turn.h"
#include "cmd/outbound.h"
#include "llm/llm.h"

struct embed {
    struct call *call;
    struct llm_call *llm;
    bool fp32, meta;
};

static void reply_vectors(const struct embed *e, const struct llm_vectors *v)
{
    struct reply *r = e->call->reply;
    reply_array(r, (size_t)v->count);
    for (int i = 0; i < v->count; i++) {
        const float *x = v->v + (size_t)i * (size_t)v->dim;
        if (e->fp32) {
            reply_bulk(r, slice_of((const char *)x, (size_t)v->dim * sizeof *x));
            continue;
        }
        reply_array(r, (size_t)v->dim);
        for (int k = 0; k < v->dim; k++)
            reply_double(r, (double)x[k]);
    }
}

static void reply_vectors_map(const struct embed *e, const struct llm_vectors *v)
{
    struct reply *r = e->call->reply;
    size_t place = reply_defer(r), n = 2;
    reply_str(r, "vectors");
    reply_vectors(e, v);
    reply_field_int(r, "dim", v->dim);
    n += llm_facts_reply(r, &v->facts);
    reply_defer_map(r, place, n);
}

static void embed_done(void *arg, const struct llm_vectors *v, const struct err *err)
{
    struct embed *e = arg;
    if (err)
        call_err(e->call, err);
    else if (e->meta)
        reply_vectors_map(e, v);
    else
        reply_vectors(e, v);
    call_resume(e->call);
    mem_free(e);
}

static void embed_cancel(struct call *c, void *arg)
{
    llm_cancel(((struct embed *)arg)->llm);
}

/* A vector a text, in the order of the texts.
 *
 * > LLM.EMBED "a text" FORMAT BLOB
 * < (error) INVALID FORMAT takes FP32 or VALUES
 * > LLM.EMBED MODEL nobody "a text"
 * < (error) STATE *
 */
void llm_embed_run(struct call *c)
{
    struct llm_embed_request q = {.caller = LLM_REQUEST.caller};
    struct llm_tail tail = {.takes = LLM_TAIL_META | LLM_TAIL_FORMAT | LLM_TAIL_DIM};
    struct err err;
    int first = 1, last = c->argc;
    if (c->argc > 3 && slice_is(call_arg(c, 1), "model")) {
        q.model = call_arg(c, 2);
        first = 3;
    }
    if (!llm_tail_parse(c, first + 1, &last, &tail, &q.caller))
        return;
    q.texts = c->argv + first;
    q.ntexts = last - first;
    q.dim = tail.dim;
    if (q.ntexts > LLM_EMBED_MAX) {
        reply_errorf(c->reply, "INVALID LLM.EMBED takes 1 to %d texts", LLM_EMBED_MAX);
        return;
    }
    llm_caller_fill(c, &q.caller);
    struct embed *e = mem_zero(sizeof *e);
    e->fp32 = tail.fp32;
    e->meta = tail.meta;
    if (!(e->llm = llm_embed_start(outbound_llm(), &q, embed_done, e, &err))) {
        call_err(c, &err);
        mem_free(e);
        return;
    }
    e->call = call_park(c, embed_cancel, e);
}
