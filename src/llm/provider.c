/* The list of providers: one line each. */
#include "llm/provider.h"

#include <ctype.h>

#include "base/json.h"
#include "base/mem.h"

extern const struct llm_provider provider_builtin, provider_openai, provider_anthropic, provider_ollama, provider_qwen,
    provider_glm, provider_spark, provider_ernie, provider_deepseek, provider_moonshot, provider_doubao,
    provider_minimax, provider_hunyuan, provider_siliconflow, provider_vllm, provider_llamacpp, provider_tei,
    provider_cohere, provider_jina, provider_azure;

/* clang-format off */
static const struct llm_provider *const providers[] = {
    &provider_builtin,
    &provider_openai,
    &provider_azure,
    &provider_anthropic,
    &provider_ollama,
    &provider_qwen,
    &provider_glm,
    &provider_spark,
    &provider_ernie,
    &provider_deepseek,
    &provider_moonshot,
    &provider_doubao,
    &provider_minimax,
    &provider_hunyuan,
    &provider_siliconflow,
    &provider_vllm,
    &provider_llamacpp,
    &provider_tei,
    &provider_cohere,
    &provider_jina,
};
/* clang-format on */
#define COUNT (sizeof providers / sizeof *providers)

const struct llm_provider *llm_provider_find(struct slice name)
{
    for (size_t i = 0; i < COUNT; i++)
        if (slice_is(name, providers[i]->name))
            return providers[i];
    return NULL;
}

void llm_provider_names(struct buf *to)
{
    for (size_t i = 0; i < COUNT; i++)
        buf_addf(to, "%s%s", i ? ", " : "", providers[i]->name);
}

const struct llm_provider *llm_provider_at(int i)
{
    return i >= 0 && (size_t)i < COUNT ? providers[i] : NULL;
}

const char *llm_provider_path(const struct llm_provider *p, enum model_kind kind)
{
    const char *const paths[] = {[MODEL_CHAT] = p->chat_path,
                                 [MODEL_EMBED] = p->embed_path,
                                 [MODEL_RERANK] = p->rerank_path,
                                 [MODEL_SPEECH] = p->speech_path,
                                 [MODEL_TRANSCRIBE] = p->transcribe_path};
    return paths[kind];
}

const char *llm_model_path(const struct model *m)
{
    for (const struct llm_elsewhere *e = m->provider->elsewhere; e && e->path; e++)
        if (e->kind == m->kind && strncmp(m->id, e->id, strlen(e->id)) == 0)
            return e->path;
    return llm_provider_path(m->provider, m->kind);
}

/* A piece of a path: what does not belong into one is written as %XX. */
static void add_segment(struct buf *to, const char *text)
{
    for (; *text; text++) {
        bool plain = isalnum((unsigned char)*text) || strchr("-._~", *text);
        if (plain)
            buf_add_char(to, *text);
        else
            buf_addf(to, "%%%02X", (unsigned char)*text);
    }
}

void llm_provider_url(const struct model *m, const char *path, struct buf *to)
{
    const char *base = m->url ? m->url : m->provider->url;
    const char *query = strchr(base, '?'), *id = strstr(path, "{id}");
    size_t n = query ? (size_t)(query - base) : strlen(base);
    query = query ? query + 1 : m->provider->query;
    while (n && base[n - 1] == '/')
        n--;
    if (*path == '@') {
        const char *host = strstr(base, "://"), *end = host ? strchr(host + 3, '/') : NULL;
        n = end && (size_t)(end - base) < n ? (size_t)(end - base) : n;
        path++;
    }
    buf_add(to, base, n);
    if (id) {
        buf_add(to, path, (size_t)(id - path));
        add_segment(to, m->id);
        path = id + 4;
    }
    buf_add_str(to, path);
    if (query && *query)
        buf_addf(to, "?%s", query);
}

void llm_answer_init(struct llm_answer *a)
{
    *a = (struct llm_answer){.tokens_in = -1, .tokens_out = -1};
    buf_init(&a->text, LLM_TEXT_MAX);
    buf_init(&a->reasoning, LLM_TEXT_MAX);
    buf_init(&a->thinking, LLM_TEXT_MAX);
    buf_init(&a->tool_calls, LLM_TEXT_MAX);
    buf_init(&a->finish, 256);
    buf_init(&a->model_id, 256);
}

void llm_answer_release(struct llm_answer *a)
{
    buf_release(&a->text);
    buf_release(&a->reasoning);
    buf_release(&a->thinking);
    buf_release(&a->tool_calls);
    buf_release(&a->finish);
    buf_release(&a->model_id);
    mem_free(a->vectors);
    mem_free(a->ranks);
    a->vectors = NULL;
    a->ranks = NULL;
}

void llm_note(struct buf *notes, const char *param, const char *action, const char *detail)
{
    const char *const members[] = {"param", param, "action", action, "detail", detail};
    if (notes->len) /* the array is closed after each note */
        notes->len--;
    buf_add_char(notes, notes->len ? ',' : '[');
    for (int i = 0; i < 6; i++) {
        buf_add_char(notes, i == 0 ? '{' : i % 2 ? ':' : ',');
        json_quote(notes, slice_str(members[i]));
    }
    buf_add_str(notes, "}]");
}
