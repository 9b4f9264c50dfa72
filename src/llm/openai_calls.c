/* The tool calls of a whole reply, as OpenAI writes them: servers leave out ids and types, send arguments as the object
 * itself, or one call where a list of them belongs (Spark). What else a call has is kept. */
#include <stdio.h>

#include "base/json.h"
#include "llm/openai_parse.h"

static void set_text(cJSON *o, const char *name, const char *text)
{
    cJSON_DeleteItemFromObjectCaseSensitive(o, name);
    cJSON_AddStringToObject(o, name, text);
}

static void mend_arguments(cJSON *fn)
{
    const cJSON *args = cJSON_GetObjectItemCaseSensitive(fn, "arguments");
    struct buf text = {0};
    if (cJSON_IsString(args) && *args->valuestring)
        return;
    if (cJSON_IsObject(args))
        json_print(&text, args);
    set_text(fn, "arguments", text.len ? buf_cstr(&text) : "{}");
    buf_release(&text);
}

static void mend(cJSON *call, int place)
{
    char id[32];
    cJSON *fn = cJSON_GetObjectItemCaseSensitive(call, "function");
    snprintf(id, sizeof id, "call_%d", place);
    if (!*json_str(call, "id", ""))
        set_text(call, "id", id);
    if (!*json_str(call, "type", ""))
        set_text(call, "type", "function");
    if (cJSON_IsObject(fn))
        mend_arguments(fn);
}

void openai_whole_calls(const cJSON *calls, struct buf *to)
{
    const cJSON *from = cJSON_IsArray(calls) ? calls->child : cJSON_IsObject(calls) ? calls : NULL;
    bool list = cJSON_IsArray(calls);
    int n = 0;
    for (; from; from = list ? from->next : NULL) {
        cJSON *call = cJSON_IsObject(from) ? cJSON_Duplicate(from, 1) : NULL;
        if (!call)
            continue;
        mend(call, n);
        buf_add_char(to, n++ ? ',' : '[');
        json_print(to, call);
        cJSON_Delete(call);
    }
    if (n)
        buf_add_char(to, ']');
}
