/* Cohere's own embeddings (v2). Texts are taken for documents unless the model's PARAMS say {"input_type":
 * "search_query"}: a model that embeds questions is a second entry. */
#include "base/json.h"
#include "llm/body.h"
#include "llm/openai.h"
#include "llm/openai_parse.h"

#define REPLY_MAX (64u << 20)

int cohere_embed_body(const struct llm_embed_request *q, const struct model *m, struct buf *to, struct buf *notes,
                      struct err *err)
{
    struct body b = {.to = to, .notes = notes};
    body_text(&b, "model", slice_str(m->id));
    body_texts(&b, "texts", q->texts, q->ntexts);
    body_raw(&b, "embedding_types", SLICE("[\"float\"]"));
    if (q->dim > 0)
        body_int(&b, "output_dimension", q->dim);
    struct body_params p;
    int r = body_params_read(&p, (struct slice){0}, m, err);
    if (r == 0) {
        body_members(&b, p.models, NULL);
        if (!body_has(&b, "input_type"))
            body_text(&b, "input_type", SLICE("search_document"));
        buf_add_char(to, '}');
    }
    body_params_release(&p);
    return r;
}

int cohere_embed_whole(const struct llm_provider *p, struct slice body, int ntexts, struct llm_answer *a,
                       struct err *err)
{
    struct err why;
    cJSON *root = json_parse(body, REPLY_MAX, "reply", &why);
    if (!root)
        return err_set(err, ERR_UPSTREAM, "the provider's reply is no JSON: %.200s", why.msg);
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(root, "meta"),
                *units = cJSON_GetObjectItemCaseSensitive(meta, "billed_units"),
                *all = cJSON_GetObjectItemCaseSensitive(root, "embeddings"),
                *rows = cJSON_GetObjectItemCaseSensitive(all, "float");
    double tokens = json_num(units, "input_tokens", -1);
    int r = openai_hidden_error(p, root, a, err);
    if (r == 0)
        r = cJSON_IsArray(rows) ? openai_read_rows(rows, ntexts, a, err)
                                : err_set(err, ERR_UPSTREAM, "the provider's reply has no embeddings");
    if (tokens >= 0 && tokens < 1e15)
        a->tokens_in = (int64_t)tokens;
    cJSON_Delete(root);
    return r;
}
