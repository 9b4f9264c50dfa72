/* The provider `builtin`: models that are part of the server, need no network and no weights, and say what they are. */
#include "base/mem.h"
#include "embed/hash.h"
#include "llm/extract.h"
#include "llm/provider.h"
#include "llm/tokens.h"

static int chat_local(const struct llm_request *q, const char *model_id, struct llm_answer *a, struct err *err)
{
    int r = extract_answer(q, &a->text, &a->finish, err);
    if (r < 0)
        return r;
    a->tokens_in = tokens_estimate(q->system);
    for (int i = 0; i < q->nmessages; i++)
        a->tokens_in += TOKENS_PER_MESSAGE + tokens_estimate(q->messages[i].content);
    a->tokens_out = tokens_estimate(buf_slice(&a->text));
    a->estimated = true;
    buf_add_str(&a->model_id, "builtin/extract");
    return 0;
}

static int embed_local(const struct llm_embed_request *q, const char *model_id, struct llm_answer *a, struct job *j,
                       struct err *err)
{
    a->dim = q->dim ? q->dim : EMBED_HASH_DIM;
    if (a->dim < EMBED_HASH_DIM_MIN || a->dim > EMBED_HASH_DIM_MAX)
        return embed_hash(SLICE("x"), NULL, a->dim, err);
    a->vectors = mem_alloc((size_t)q->ntexts * (size_t)a->dim * sizeof *a->vectors);
    a->tokens_in = 0;
    a->estimated = true;
    for (a->count = 0; a->count < q->ntexts && !job_cancelled(j); a->count++) {
        int r = embed_hash(q->texts[a->count], a->vectors + (size_t)a->count * (size_t)a->dim, a->dim, err);
        if (r < 0)
            return r;
        a->tokens_in += tokens_estimate(q->texts[a->count]);
    }
    buf_add_str(&a->model_id, "builtin/hash");
    return 0;
}

static bool knows(const char *id, enum model_kind kind)
{
    return kind == MODEL_CHAT ? strcmp(id, "extract") == 0 : kind == MODEL_EMBED && strcmp(id, "hash") == 0;
}

extern const struct llm_provider provider_builtin;
const struct llm_provider provider_builtin = {
    .name = "builtin",
    .about =
        "part of the server, without weights: extract quotes sentences of its context, hash embeds by hashed n-grams",
    .local = true,
    .chat_local = chat_local,
    .embed_local = embed_local,
    .knows = knows,
};
