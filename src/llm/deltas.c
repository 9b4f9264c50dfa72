#include "llm/deltas.h"

#include "base/json.h"

#define ARRAY_MAX (64u << 20)

struct sink {
    void (*delta)(void *arg, const struct llm_delta *d);
    void *arg;
};

static void give_text(const struct sink *s, enum llm_delta_kind kind, struct slice text)
{
    struct llm_delta d = {.kind = kind, .text = text};
    if (text.len)
        s->delta(s->arg, &d);
}

static void give_tool(const struct sink *s, int i, const cJSON *tool)
{
    const cJSON *fn = cJSON_GetObjectItemCaseSensitive(tool, "function");
    struct llm_delta d = {.kind = LLM_DELTA_TOOL,
                          .tool = i,
                          .tool_id = slice_str(json_str(tool, "id", "")),
                          .tool_name = slice_str(json_str(fn, "name", "")),
                          .text = slice_str(json_str(fn, "arguments", ""))};
    s->delta(s->arg, &d);
}

static void give_block(const struct sink *s, const cJSON *block)
{
    struct buf text = {0};
    json_print(&text, block);
    give_text(s, LLM_DELTA_BLOCK, buf_slice(&text));
    buf_release(&text);
}

static void give_items(const struct sink *s, struct slice array, bool tools)
{
    cJSON *all = array.len ? json_parse(array, ARRAY_MAX, "reply", NULL) : NULL;
    const cJSON *item;
    int i = 0;
    cJSON_ArrayForEach(item, all)
    {
        if (tools)
            give_tool(s, i++, item);
        else
            give_block(s, item);
    }
    cJSON_Delete(all);
}

void llm_deltas_of(const struct llm_reply *r, void (*delta)(void *arg, const struct llm_delta *d), void *arg)
{
    struct sink s = {delta, arg};
    give_text(&s, LLM_DELTA_REASONING, r->reasoning);
    give_items(&s, r->thinking, false);
    give_text(&s, LLM_DELTA_TEXT, r->text);
    give_items(&s, r->tool_calls, true);
}
