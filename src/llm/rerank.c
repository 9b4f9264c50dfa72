/* Reranking: Cohere's form, which Jina, vLLM, llama.cpp, Qianfan, SiliconFlow and DashScope share, and that of
 * text-embeddings-inference (texts in, a bare array out), and DashScope's own (what is asked stands in `input`). One
 * reader takes all their replies. */
#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "llm/body.h"
#include "llm/openai.h"
#include "llm/openai_parse.h"

#define REPLY_MAX (64u << 20)

int rerank_body(const struct llm_rerank_request *q, const struct model *m, struct buf *to, struct buf *notes,
                struct err *err)
{
    struct body b = {.to = to, .notes = notes};
    body_text(&b, "model", slice_str(m->id));
    body_text(&b, "query", q->query);
    body_texts(&b, "documents", q->docs, q->ndocs);
    if (q->count > 0)
        body_int(&b, "top_n", q->count < q->ndocs ? q->count : q->ndocs);
    return body_end(&b, (struct slice){0}, m, NULL, err);
}

/* It ranks all of the texts; whoever asked takes the first ones. */
int rerank_tei_body(const struct llm_rerank_request *q, const struct model *m, struct buf *to, struct buf *notes,
                    struct err *err)
{
    struct body b = {.to = to, .notes = notes};
    body_text(&b, "query", q->query);
    body_texts(&b, "texts", q->docs, q->ndocs);
    body_raw(&b, "truncate", SLICE("true"));
    return body_end(&b, (struct slice){0}, m, NULL, err);
}

/* {model, input {query, documents}, parameters}: the model's PARAMS are parameters too. */
static int native_qwen(const struct llm_rerank_request *q, const struct model *m, struct buf *to, struct buf *notes,
                       struct err *err)
{
    struct buf input = {0}, parameters = {0};
    struct body b = {.to = to, .notes = notes}, in = {.to = &input, .notes = notes},
                par = {.to = &parameters, .notes = notes};
    body_text(&in, "query", q->query);
    body_texts(&in, "documents", q->docs, q->ndocs);
    buf_add_char(&input, '}');
    body_raw(&par, "return_documents", SLICE("false"));
    if (q->count > 0)
        body_int(&par, "top_n", q->count < q->ndocs ? q->count : q->ndocs);
    int r = body_end(&par, (struct slice){0}, m, NULL, err);
    body_text(&b, "model", slice_str(m->id));
    body_raw(&b, "input", buf_slice(&input));
    body_raw(&b, "parameters", buf_slice(&parameters));
    buf_add_char(to, '}');
    buf_release(&input);
    buf_release(&parameters);
    return r;
}

int rerank_qwen_body(const struct llm_rerank_request *q, const struct model *m, struct buf *to, struct buf *notes,
                     struct err *err)
{
    bool native = llm_model_path(m) != m->provider->rerank_path;
    return native ? native_qwen(q, m, to, notes, err) : rerank_body(q, m, to, notes, err);
}

static int garbage(struct err *err, const char *what)
{
    return err_set(err, ERR_UPSTREAM, "the provider's reply is no ranking: %s", what);
}

static int best_first(const void *a, const void *b)
{
    const struct llm_rank *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->doc > y->doc) - (x->doc < y->doc);
}

static int read_ranks(const cJSON *results, int ndocs, struct llm_answer *a, struct err *err)
{
    const cJSON *row;
    int n = cJSON_GetArraySize(results), r = 0;
    if (!cJSON_IsArray(results) || n > ndocs)
        return garbage(err,
                       cJSON_IsArray(results) ? "it has more results than there were documents" : "it has no results");
    a->ranks = mem_alloc((size_t)(n + 1) * sizeof *a->ranks);
    char *seen = mem_zero((size_t)ndocs);
    cJSON_ArrayForEach(row, results)
    {
        double at = json_num(row, "index", -1), score = json_num(row, "relevance_score", json_num(row, "score", NAN));
        if (!(at >= 0 && at < ndocs) || at != floor(at) || seen[(int)at] || !isfinite(score)) {
            r = garbage(err, "an index or a score in it is wrong");
            break;
        }
        seen[(int)at] = 1;
        a->ranks[a->nranks++] = (struct llm_rank){.doc = (int)at, .score = score};
    }
    mem_free(seen);
    if (r == 0 && a->nranks)
        qsort(a->ranks, (size_t)a->nranks, sizeof *a->ranks, best_first);
    return r;
}

static void read_usage(const cJSON *root, struct llm_answer *a)
{
    const cJSON *u = cJSON_GetObjectItemCaseSensitive(root, "usage"),
                *t = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(root, "meta"), "tokens");
    double n = json_num(u, "total_tokens", json_num(u, "prompt_tokens", json_num(t, "input_tokens", -1)));
    if (n >= 0 && n < 1e15)
        a->tokens_in = (int64_t)n;
}

int rerank_whole(const struct llm_provider *p, struct slice body, int ndocs, struct llm_answer *a, struct err *err)
{
    struct err why;
    cJSON *root = json_parse(body, REPLY_MAX, "reply", &why);
    if (!root)
        return garbage(err, why.msg);
    const cJSON *results = root, *output = cJSON_GetObjectItemCaseSensitive(root, "output");
    if (cJSON_IsObject(root))
        results = cJSON_GetObjectItemCaseSensitive(output ? output : root, "results");
    int r = openai_hidden_error(p, root, a, err);
    if (r == 0)
        r = read_ranks(results, ndocs, a, err);
    read_usage(root, a);
    buf_add_str(&a->model_id, json_str(root, "model", ""));
    cJSON_Delete(root);
    return r;
}
