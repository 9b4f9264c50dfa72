/* Anthropic's requests, read.
 *
 * A message may become several: tool results are messages of the role tool, which stand before what else the user said.
 * Content that is only text becomes content; with images or cache_control it becomes OpenAI's parts. */
#include "llm/wire_anthropic.h"

#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"

#define STOP_MAX  64
#define INT_LIMIT 1e15

static const cJSON *member(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNull(v) ? NULL : v;
}

static bool is_type(const cJSON *block, const char *type)
{
    return strcmp(json_str(block, "type", ""), type) == 0;
}

/* A request being read; one message of it, or the system text (message -1). */
struct reader {
    struct wire_chat *w;
    struct err *err;
    int message, room;
};

static int wrong(struct reader *r, const char *field, const char *what)
{
    char name[WIRE_PARAM_MAX];
    if (r->message < 0)
        return wire_wrong(&r->w->body, r->err, *field ? field : "system", what);
    snprintf(name, sizeof name, "messages[%d]%s", r->message, field);
    return wire_wrong(&r->w->body, r->err, name, what);
}

static struct llm_message *add_message(struct reader *r, const char *role)
{
    struct wire_chat *w = r->w;
    if (w->q.nmessages == r->room) {
        r->room = r->room ? r->room * 2 : 16;
        w->messages = mem_realloc(w->messages, (size_t)r->room * sizeof *w->messages);
    }
    struct llm_message *m = &w->messages[w->q.nmessages++];
    *m = (struct llm_message){.role = slice_str(role)};
    w->q.messages = w->messages;
    return m;
}

/* ---- content ---- */

static void keep_cache_control(cJSON *to, const cJSON *block)
{
    const cJSON *c = member(block, "cache_control");
    if (c)
        cJSON_AddItemToObject(to, "cache_control", cJSON_Duplicate(c, 1));
}

/* source: base64 or url. False when it is neither. */
static bool source_url(const cJSON *source, struct buf *to)
{
    const char *data = json_str(source, "data", NULL), *url = json_str(source, "url", NULL),
               *type = json_str(source, "media_type", NULL);
    if (is_type(source, "url") && url)
        return buf_add_str(to, url);
    return is_type(source, "base64") && data && type && buf_addf(to, "data:%s;base64,", type) && buf_add_str(to, data);
}

static int image_part(struct reader *r, const cJSON *block, cJSON *part)
{
    struct buf url = {0};
    bool image = is_type(block, "image");
    if (!source_url(member(block, "source"), &url)) {
        buf_release(&url);
        return wrong(r, ".content",
                     image ? "has an image whose source is neither base64 nor a url"
                           : "has a document whose source is neither base64 nor a url");
    }
    cJSON_AddStringToObject(part, "type", image ? "image_url" : "file");
    cJSON *inner = cJSON_AddObjectToObject(part, image ? "image_url" : "file");
    cJSON_AddStringToObject(inner, image ? "url" : "file_data", buf_cstr(&url));
    buf_release(&url);
    return 0;
}

/* Adds what a block of text, an image or a document is in OpenAI's form. */
static int add_part(struct reader *r, const cJSON *block, cJSON *parts)
{
    cJSON *part = cJSON_CreateObject();
    int e = 0;
    if (is_type(block, "text") && json_str(block, "text", NULL)) {
        cJSON_AddStringToObject(part, "type", "text");
        cJSON_AddStringToObject(part, "text", json_str(block, "text", ""));
    } else if (is_type(block, "image") || is_type(block, "document")) {
        e = image_part(r, block, part);
    } else {
        e = wrong(r, ".content", "has a block of a type that is not known here, or without its text");
    }
    keep_cache_control(part, block);
    cJSON_AddItemToArray(parts, part);
    return e;
}

/* Texts without cache_control are one text: with more than one block, a line break between them. */
static bool is_plain(const cJSON *parts)
{
    const cJSON *p;
    cJSON_ArrayForEach(p, parts) if (!is_type(p, "text") || member(p, "cache_control")) return false;
    return true;
}

static struct slice keep_text(struct wire_body *b, struct buf *text)
{
    size_t len;
    b->texts = mem_realloc(b->texts, (size_t)(b->ntexts + 1) * sizeof *b->texts);
    char *p = buf_take(text, &len);
    b->texts[b->ntexts++] = p;
    return slice_of(p, len);
}

static void set_content(struct reader *r, const cJSON *parts, struct llm_message *to)
{
    struct buf text = {0};
    const cJSON *p;
    if (!is_plain(parts)) {
        to->parts = wire_print(&r->w->body, parts);
        return;
    }
    cJSON_ArrayForEach(p, parts)
    {
        if (p->prev && p != parts->child)
            buf_add_char(&text, '\n');
        buf_add_str(&text, json_str(p, "text", ""));
    }
    to->content = keep_text(&r->w->body, &text);
}

/* A string, or blocks of text, images and documents. */
static int simple_content(struct reader *r, const cJSON *v, struct llm_message *to)
{
    const cJSON *block;
    int e = 0;
    if (!v)
        return 0;
    if (cJSON_IsString(v)) {
        to->content = slice_str(v->valuestring);
        return 0;
    }
    if (!cJSON_IsArray(v))
        return wrong(r, r->message < 0 ? "" : ".content", "must be a string or an array of blocks");
    cJSON *parts = cJSON_CreateArray();
    cJSON_ArrayForEach(block, v)
    {
        e = add_part(r, block, parts);
        if (e < 0)
            break;
    }
    if (e == 0)
        set_content(r, parts, to);
    cJSON_Delete(parts);
    return e;
}

/* ---- messages ---- */

static int take_result(struct reader *r, const cJSON *block)
{
    const char *id = json_str(block, "tool_use_id", NULL);
    if (!id)
        return wrong(r, ".content", "has a tool_result without its tool_use_id");
    struct llm_message *m = add_message(r, "tool");
    m->tool_call_id = slice_str(id);
    int e = simple_content(r, member(block, "content"), m);
    if (e == 0 && json_bool(block, "is_error", 0) && m->parts.len == 0) { /* the form has no other place for it */
        struct buf text = {0};
        buf_add_str(&text, "Error: ");
        buf_add(&text, m->content.p, m->content.len);
        m->content = keep_text(&r->w->body, &text);
    }
    return e;
}

static int take_user(struct reader *r, const cJSON *content)
{
    const cJSON *block;
    int e = 0, results = 0;
    cJSON *parts = cJSON_CreateArray();
    cJSON_ArrayForEach(block, content)
    {
        bool result = is_type(block, "tool_result");
        results += result;
        e = result ? take_result(r, block) : add_part(r, block, parts);
        if (e < 0)
            break;
    }
    if (e == 0 && (parts->child || results == 0))
        set_content(r, parts, add_message(r, "user"));
    cJSON_Delete(parts);
    return e;
}

static int add_call(struct reader *r, const cJSON *block, cJSON *calls)
{
    const char *id = json_str(block, "id", NULL), *name = json_str(block, "name", NULL);
    const cJSON *input = member(block, "input");
    if (!id || !name || (input && !cJSON_IsObject(input)))
        return wrong(r, ".content", "has a tool_use that needs an id, a name and an input that is an object");
    struct buf text = {0};
    if (input)
        json_print(&text, input);
    cJSON *call = cJSON_CreateObject();
    cJSON_AddItemToArray(calls, call);
    cJSON_AddStringToObject(call, "id", id);
    cJSON_AddStringToObject(call, "type", "function");
    cJSON *fn = cJSON_AddObjectToObject(call, "function");
    cJSON_AddStringToObject(fn, "name", name);
    cJSON_AddStringToObject(fn, "arguments", text.len ? buf_cstr(&text) : "{}");
    buf_release(&text);
    return 0;
}

/* An assistant's blocks, sorted by what they are. */
struct sorted {
    cJSON *parts, *calls, *thinking;
    struct buf reasoning;
};

static int sort_block(struct reader *r, const cJSON *block, struct sorted *s)
{
    if (is_type(block, "tool_use"))
        return add_call(r, block, s->calls);
    if (!is_type(block, "thinking") && !is_type(block, "redacted_thinking"))
        return add_part(r, block, s->parts);
    buf_add_str(&s->reasoning, json_str(block, "thinking", ""));
    if (is_type(block, "redacted_thinking") || *json_str(block, "signature", "")) /* others sign nothing */
        cJSON_AddItemToArray(s->thinking, cJSON_Duplicate(block, 1));
    return 0;
}

static int take_assistant(struct reader *r, const cJSON *content)
{
    struct sorted s = {.parts = cJSON_CreateArray(), .calls = cJSON_CreateArray(), .thinking = cJSON_CreateArray()};
    const cJSON *block;
    int e = 0;
    cJSON_ArrayForEach(block, content)
    {
        e = sort_block(r, block, &s);
        if (e < 0)
            break;
    }
    if (e == 0) {
        struct llm_message *m = add_message(r, "assistant");
        set_content(r, s.parts, m);
        m->tool_calls = s.calls->child ? wire_print(&r->w->body, s.calls) : (struct slice){0};
        m->thinking = s.thinking->child ? wire_print(&r->w->body, s.thinking) : (struct slice){0};
        m->reasoning = s.reasoning.len ? keep_text(&r->w->body, &s.reasoning) : (struct slice){0};
    }
    buf_release(&s.reasoning);
    cJSON_Delete(s.parts);
    cJSON_Delete(s.calls);
    cJSON_Delete(s.thinking);
    return e;
}

static int take_message(struct reader *r, const cJSON *m)
{
    const char *role = json_str(m, "role", "");
    const cJSON *content = member(m, "content");
    bool user = strcmp(role, "user") == 0, system = strcmp(role, "system") == 0;
    if (!cJSON_IsObject(m))
        return wrong(r, "", "must be an object");
    if (!user && !system && strcmp(role, "assistant") != 0)
        return wrong(r, ".role", "must be user or assistant");
    if (!cJSON_IsString(content) && !cJSON_IsArray(content))
        return wrong(r, ".content", "must be a string or an array of blocks");
    if (cJSON_IsString(content) || system)
        return simple_content(r, content, add_message(r, system ? "system" : user ? "user" : "assistant"));
    return user ? take_user(r, content) : take_assistant(r, content);
}

static int take_messages(struct reader *r, const cJSON *root)
{
    const cJSON *m, *all = member(root, "messages");
    int e = 0;
    r->message = 0;
    if (!cJSON_IsArray(all) || !all->child || cJSON_GetArraySize(all) > WIRE_MESSAGES_MAX)
        return wire_wrong(&r->w->body, r->err, "messages", "must be an array of at least one message");
    cJSON_ArrayForEach(m, all)
    {
        e = take_message(r, m);
        if (e < 0)
            break;
        r->message++;
    }
    return e;
}

static int take_system(struct reader *r, const cJSON *v)
{
    r->message = -1;
    if (cJSON_IsString(v))
        r->w->q.system = slice_str(v->valuestring);
    return !v || cJSON_IsString(v) ? 0 : simple_content(r, v, add_message(r, "system"));
}

/* ---- tools ---- */

static int add_tool(struct wire_chat *w, const cJSON *tool, int i, cJSON *tools, struct err *err)
{
    char field[32];
    const char *name = json_str(tool, "name", NULL), *about = json_str(tool, "description", NULL);
    const cJSON *schema = member(tool, "input_schema");
    snprintf(field, sizeof field, "tools[%d]", i);
    if (!name)
        return wire_wrong(&w->body, err, field, "needs a name");
    if (!schema && json_str(tool, "type", NULL) && !is_type(tool, "custom")) { /* one of the vendor's own */
        cJSON_AddItemToArray(tools, cJSON_Duplicate(tool, 1));
        return 0;
    }
    if (!cJSON_IsObject(schema))
        return wire_wrong(&w->body, err, field, "needs an input_schema that is an object");
    cJSON *to = cJSON_CreateObject();
    cJSON_AddItemToArray(tools, to);
    cJSON_AddStringToObject(to, "type", "function");
    cJSON *fn = cJSON_AddObjectToObject(to, "function");
    cJSON_AddStringToObject(fn, "name", name);
    if (about)
        cJSON_AddStringToObject(fn, "description", about);
    cJSON_AddItemToObject(fn, "parameters", cJSON_Duplicate(schema, 1));
    if (json_bool(tool, "strict", 0))
        cJSON_AddTrueToObject(fn, "strict");
    keep_cache_control(to, tool);
    return 0;
}

static int take_tools(struct wire_chat *w, const cJSON *v, struct err *err)
{
    const cJSON *tool;
    int i = 0, e = 0;
    if (!v)
        return 0;
    if (!cJSON_IsArray(v))
        return wire_wrong(&w->body, err, "tools", "must be an array");
    cJSON *tools = cJSON_CreateArray();
    cJSON_ArrayForEach(tool, v)
    {
        e = add_tool(w, tool, i++, tools, err);
        if (e < 0)
            break;
    }
    if (e == 0 && i)
        w->q.tools = wire_print(&w->body, tools);
    cJSON_Delete(tools);
    return e;
}

static int take_choice(struct wire_chat *w, const cJSON *v, struct err *err)
{
    static const char *const words[][2] = {{"auto", "\"auto\""}, {"any", "\"required\""}, {"none", "\"none\""}};
    if (!v)
        return 0;
    if (json_bool(v, "disable_parallel_tool_use", 0))
        w->q.parallel_tools = 0;
    for (size_t i = 0; i < 3; i++)
        if (is_type(v, words[i][0])) {
            w->q.tool_choice = slice_str(words[i][1]);
            return 0;
        }
    const char *name = json_str(v, "name", NULL);
    if (!is_type(v, "tool") || !name)
        return wire_wrong(&w->body, err, "tool_choice", "must have the type auto, any, none, or tool with a name");
    struct buf text = {0};
    buf_add_str(&text, "{\"type\":\"function\",\"function\":{\"name\":");
    json_quote(&text, slice_str(name));
    buf_add_str(&text, "}}");
    w->q.tool_choice = keep_text(&w->body, &text);
    return 0;
}

/* ---- the other fields ---- */

static int take_real(struct wire_chat *w, const cJSON *root, const char *name, double *to, struct err *err)
{
    const cJSON *v = member(root, name);
    if (!v)
        return 0;
    if (!cJSON_IsNumber(v) || !(v->valuedouble >= 0 && v->valuedouble <= 1))
        return wire_wrong(&w->body, err, name, "must be a number from 0 to 1");
    *to = v->valuedouble;
    return 0;
}

static int take_count(struct wire_body *b, const cJSON *v, const char *name, int64_t *to, struct err *err)
{
    if (!cJSON_IsNumber(v) || v->valuedouble < 1 || v->valuedouble >= INT_LIMIT ||
        v->valuedouble != floor(v->valuedouble))
        return wire_wrong(b, err, name, "must be a whole number above 0");
    *to = (int64_t)v->valuedouble;
    return 0;
}

static int take_stop(struct wire_chat *w, const cJSON *v, struct err *err)
{
    const cJSON *s;
    if (!v)
        return 0;
    if (!cJSON_IsArray(v) || cJSON_GetArraySize(v) > STOP_MAX)
        return wire_wrong(&w->body, err, "stop_sequences", "must be an array of at most 64 strings");
    w->stop = mem_alloc((size_t)(cJSON_GetArraySize(v) + 1) * sizeof *w->stop);
    w->q.stop = w->stop;
    cJSON_ArrayForEach(s, v)
    {
        if (!cJSON_IsString(s))
            return wire_wrong(&w->body, err, "stop_sequences", "must hold strings only");
        w->stop[w->q.nstop++] = slice_str(s->valuestring);
    }
    return 0;
}

static int take_thinking(struct wire_chat *w, const cJSON *v, struct err *err)
{
    if (!v)
        return 0;
    if (is_type(v, "disabled"))
        w->q.effort = SLICE("none");
    else if (is_type(v, "adaptive"))
        w->q.effort = w->q.effort.len ? w->q.effort : SLICE("medium");
    else if (is_type(v, "enabled"))
        return take_count(&w->body, member(v, "budget_tokens"), "thinking.budget_tokens", &w->q.think_tokens, err);
    else
        return wire_wrong(&w->body, err, "thinking", "must have the type enabled, disabled or adaptive");
    return 0;
}

static int take_output(struct wire_chat *w, const cJSON *v, struct err *err)
{
    const cJSON *format = member(v, "format"), *schema = member(format, "schema");
    w->q.effort = slice_str(json_str(v, "effort", ""));
    if (!format)
        return 0;
    if (!is_type(format, "json_schema") || !cJSON_IsObject(schema))
        return wire_wrong(&w->body, err, "output_config.format", "must have the type json_schema and a schema");
    w->q.json = w->q.schema_strict = true;
    w->q.schema = wire_print(&w->body, schema);
    return 0;
}

static void take_others(struct wire_chat *w, const cJSON *root)
{
    static const char *const known[] = {"model",         "messages",       "system",   "max_tokens", "temperature",
                                        "top_p",         "stop_sequences", "stream",   "tools",      "tool_choice",
                                        "output_config", "thinking",       "metadata", NULL};
    cJSON *others = cJSON_CreateObject();
    const cJSON *v;
    cJSON_ArrayForEach(v, root)
    {
        const char *const *k = known;
        while (*k && strcmp(*k, v->string) != 0)
            k++;
        if (!*k && !cJSON_IsNull(v))
            cJSON_AddItemReferenceToObject(others, v->string, (cJSON *)v);
    }
    if (others->child)
        w->q.params = wire_print(&w->body, others);
    cJSON_Delete(others);
}

static int take_fields(struct wire_chat *w, const cJSON *root, struct err *err)
{
    const cJSON *model = member(root, "model"), *most = member(root, "max_tokens"), *stream = member(root, "stream");
    if (model && !cJSON_IsString(model))
        return wire_wrong(&w->body, err, "model", "must be a string");
    if (stream && !cJSON_IsBool(stream))
        return wire_wrong(&w->body, err, "stream", "must be true or false");
    w->q.model = slice_str(json_str(root, "model", ""));
    w->q.stream = cJSON_IsTrue(stream);
    w->q.end_user = slice_str(json_str(member(root, "metadata"), "user_id", ""));
    int e = take_count(&w->body, most, "max_tokens", &w->q.max_tokens, err);
    e = e ? e : take_real(w, root, "temperature", &w->q.temperature, err);
    e = e ? e : take_real(w, root, "top_p", &w->q.top_p, err);
    e = e ? e : take_stop(w, member(root, "stop_sequences"), err);
    e = e ? e : take_tools(w, member(root, "tools"), err);
    e = e ? e : take_choice(w, member(root, "tool_choice"), err);
    e = e ? e : take_output(w, member(root, "output_config"), err);
    return e ? e : take_thinking(w, member(root, "thinking"), err);
}

int wire_anthropic_chat_tree(cJSON *root, struct wire_chat *w, struct err *err)
{
    *w = (struct wire_chat){.q = LLM_REQUEST, .body.root = root};
    struct reader r = {.w = w, .err = err};
    if (!cJSON_IsObject(root))
        return err_set(err, ERR_INVALID, "the body must be a JSON object");
    int e = take_fields(w, root, err);
    e = e ? e : take_system(&r, member(root, "system"));
    e = e ? e : take_messages(&r, root);
    if (e == 0)
        take_others(w, root);
    return e;
}

int wire_anthropic_chat(struct slice body, struct wire_chat *w, struct err *err)
{
    *w = (struct wire_chat){.q = LLM_REQUEST};
    cJSON *root = json_parse(body, WIRE_BODY_MAX, "body", err);
    return root ? wire_anthropic_chat_tree(root, w, err) : ERR_INVALID;
}
