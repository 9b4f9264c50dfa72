#include "cmd/vrerank.h"

#include "base/mem.h"
#include "cmd/llm_turn.h"
#include "cmd/outbound.h"
#include "llm/llm.h"
#include "store/vset_text.h"

#define MORE       4 /* candidates for each that is wanted */
#define AT_LEAST   20
#define TEXT_BYTES (32u << 10) /* of one element; models read less */

struct vrerank {
    struct vrerank_ask q;
    vrerank_done *done;
    void *arg;
    struct llm_call *llm;
    uint32_t *hit_of; /* by document */
    uint32_t n;
};

uint32_t vrerank_candidates(int64_t count)
{
    int64_t n = count * MORE < AT_LEAST ? AT_LEAST : count * MORE;
    return n > LLM_RERANK_MAX ? LLM_RERANK_MAX : (uint32_t)n;
}

static void vrerank_free(struct vrerank *v)
{
    mem_free(v->hit_of);
    mem_free(v);
}

/* The ranked ones first, then the others as they were. */
static void reorder(struct vrerank *v, const struct llm_ranks *ranks)
{
    struct vec_result *f = v->q.found;
    struct vec_hit *sorted = mem_zero(((size_t)f->count + 1) * sizeof *sorted);
    bool *taken = mem_zero((size_t)f->count + 1);
    uint32_t n = 0;
    for (int i = 0; i < ranks->n; i++) {
        uint32_t at = v->hit_of[ranks->v[i].doc];
        if (taken[at])
            continue;
        taken[at] = true;
        sorted[n] = f->hits[at];
        sorted[n++].score = ranks->v[i].score;
    }
    for (uint32_t i = 0; i < f->count; i++)
        if (!taken[i]) {
            sorted[n] = f->hits[i];
            sorted[n++].score = 0;
        }
    memcpy(f->hits, sorted, n * sizeof *sorted);
    if (f->count > v->q.count)
        f->count = v->q.count;
    mem_free(taken);
    mem_free(sorted);
}

static void ranked(void *arg, const struct llm_ranks *ranks, const struct err *err)
{
    struct vrerank *v = arg;
    if (!err)
        reorder(v, ranks);
    v->done(v->arg, err);
    vrerank_free(v);
}

struct vrerank *vrerank_start(const struct vrerank_ask *q, const struct call *c, vrerank_done *done, void *arg,
                              struct err *err)
{
    struct vrerank *v = mem_zero(sizeof *v);
    uint32_t most = q->found->count < LLM_RERANK_MAX ? q->found->count : LLM_RERANK_MAX;
    struct slice *docs = mem_alloc(((size_t)most + 1) * sizeof *docs);
    struct buf *texts = mem_zero(((size_t)most + 1) * sizeof *texts);
    *v = (struct vrerank){.q = *q, .done = done, .arg = arg};
    v->hit_of = mem_alloc(((size_t)most + 1) * sizeof *v->hit_of);
    for (uint32_t i = 0; i < most; i++)
        if (vset_text_of(q->found->hits[i].attr, q->attr, TEXT_BYTES, &texts[v->n])) {
            docs[v->n] = buf_slice(&texts[v->n]);
            v->hit_of[v->n++] = i;
        }
    struct llm_rerank_request ask = {
        .model = q->model, .query = q->query, .docs = docs, .ndocs = (int)v->n, .caller = LLM_REQUEST.caller};
    llm_caller_fill(c, &ask.caller);
    if (v->n == 0)
        err_set(err, ERR_INVALID, "none of the elements found has a text in its attribute '%.60s' to rerank by",
                q->attr);
    else
        v->llm = llm_rerank_start(outbound_llm(), &ask, ranked, v, err);
    for (uint32_t i = 0; i < v->n; i++)
        buf_release(&texts[i]);
    mem_free(texts);
    mem_free(docs);
    if (v->llm)
        return v;
    vrerank_free(v);
    return NULL;
}

void vrerank_cancel(struct vrerank *v)
{
    llm_cancel(v->llm);
}
