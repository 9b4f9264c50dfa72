/* The list of providers: one line each. */
#include "llm/provider.h"

#include "base/mem.h"

extern const struct llm_provider provider_builtin, provider_openai;

static const struct llm_provider *const providers[] = {
    &provider_builtin,
    &provider_openai,
};
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

void llm_answer_init(struct llm_answer *a)
{
    *a = (struct llm_answer){.tokens_in = -1, .tokens_out = -1};
    buf_init(&a->text, LLM_TEXT_MAX);
    buf_init(&a->reasoning, LLM_TEXT_MAX);
    buf_init(&a->tool_calls, LLM_TEXT_MAX);
    buf_init(&a->finish, 256);
    buf_init(&a->model_id, 256);
}

void llm_answer_release(struct llm_answer *a)
{
    buf_release(&a->text);
    buf_release(&a->reasoning);
    buf_release(&a->tool_calls);
    buf_release(&a->finish);
    buf_release(&a->model_id);
    mem_free(a->vectors);
    a->vectors = NULL;
}
