#include "cmd/embed_text.h"

#include <string.h>

#include "base/mem.h"
#include "embed/hash.h"

bool embed_text_is_local(const char *model)
{
    return !model || strcmp(model, "builtin/hash") == 0;
}

uint32_t embed_text_dim(const char *model)
{
    return embed_text_is_local(model) ? EMBED_HASH_DIM : 0;
}

struct embed_call *embed_text(const char *model, struct slice text, uint32_t dim, embed_text_done *done, void *arg)
{
    struct err err;
    if (!embed_text_is_local(model)) {
        err_set(&err, ERR_STATE, "there is no embedding model '%.64s'", model);
        done(arg, NULL, 0, &err);
        return NULL;
    }
    if (dim == 0)
        dim = EMBED_HASH_DIM;
    float *x = mem_alloc(dim * sizeof *x);
    if (embed_hash(text, x, (int)dim, &err) < 0)
        done(arg, NULL, 0, &err);
    else
        done(arg, x, dim, NULL);
    mem_free(x);
    return NULL;
}

void embed_text_cancel(struct embed_call *e)
{
}
