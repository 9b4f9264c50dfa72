#include "cmd/embed_text.h"

#include <string.h>

#include "base/mem.h"
#include "cmd/outbound.h"
#include "embed/hash.h"
#include "llm/llm.h"

struct embed_call {
    embed_text_done *done;
    void *arg;
    uint32_t dim;
    struct llm_call *llm;
};

bool embed_text_is_local(const char *model)
{
    return !model || strcmp(model, "builtin/hash") == 0;
}

uint32_t embed_text_dim(const char *model)
{
    return embed_text_is_local(model) ? EMBED_HASH_DIM : 0;
}

static void embed_local(struct slice text, uint32_t dim, embed_text_done *done, void *arg)
{
    struct err err;
    float *x = mem_alloc(dim * sizeof *x);
    if (embed_hash(text, x, (int)dim, &err) < 0)
        done(arg, NULL, 0, &err);
    else
        done(arg, x, dim, NULL);
    mem_free(x);
}

static void on_vectors(void *arg, const struct llm_vectors *v, const struct err *failed)
{
    struct embed_call *e = arg;
    struct err err;
    if (!failed && e->dim && (uint32_t)v->dim != e->dim) {
        err_set(&err, ERR_INVALID, "Vector dimension mismatch - the model %.*s makes %d components but the set has %u",
                (int)v->facts.model.len, v->facts.model.p, v->dim, e->dim);
        failed = &err;
    }
    e->done(e->arg, failed ? NULL : v->v, failed ? 0 : (uint32_t)v->dim, failed);
    mem_free(e);
}

struct embed_call *embed_text(const char *model, struct slice text, uint32_t dim, embed_text_done *done, void *arg)
{
    struct err err;
    if (embed_text_is_local(model)) {
        embed_local(text, dim ? dim : EMBED_HASH_DIM, done, arg);
        return NULL;
    }
    struct llm_embed_request q = {.model = slice_str(model), .texts = &text, .ntexts = 1};
    struct embed_call *e = mem_zero(sizeof *e);
    *e = (struct embed_call){.done = done, .arg = arg, .dim = dim};
    if (!(e->llm = llm_embed_start(outbound_llm(), &q, on_vectors, e, &err))) {
        mem_free(e);
        done(arg, NULL, 0, &err);
        return NULL;
    }
    return e;
}

void embed_text_cancel(struct embed_call *e)
{
    if (e)
        llm_cancel(e->llm);
}
