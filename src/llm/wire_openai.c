/* OpenAI's requests, read: each field has a row with the function that takes it; what has none goes on as params.
 *
 * A field that is null counts as not given, as OpenAI's own API has it. */
#include "llm/wire_openai.h"

#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"

#define STOP_MAX  16
#define INT_LIMIT 1e15

/* ---- checks ---- */

static int take_text(struct wire_body *b, const char *field, const cJSON *v, struct slice *to, struct err *err)
{
    if (!cJSON_IsString(v))
        return wire_wrong(b, err, field, "must be a string");
    *to = slice_str(v->valuestring);
    return 0;
}

static int take_real(struct wire_body *b, const char *field, const cJSON *v, double least, double most, double *to,
                     struct err *err)
{
    char what[64];
    snprintf(what, sizeof what, "must be a number from %g to %g", least, most);
    if (!cJSON_IsNumber(v) || !(v->valuedouble >= least && v->valuedouble <= most))
        return wire_wrong(b, err, field, what);
    *to = v->valuedouble;
    return 0;
}

static int take_int(struct wire_body *b, const char *field, const cJSON *v, double least, int64_t *to, struct err *err)
{
    bool whole = cJSON_IsNumber(v) && v->valuedouble == floor(v->valuedouble) && fabs(v->valuedouble) < INT_LIMIT;
    if (!whole || v->valuedouble < least)
        return wire_wrong(b, err, field, least >= 1 ? "must be a whole number above 0" : "must be a whole number");
    *to = (int64_t)v->valuedouble;
    return 0;
}

static int take_bool(struct wire_body *b, const char *field, const cJSON *v, bool *to, struct err *err)
{
    if (!cJSON_IsBool(v))
        return wire_wrong(b, err, field, "must be true or false");
    *to = cJSON_IsTrue(v);
    return 0;
}

static const cJSON *member(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNull(v) ? NULL : v;
}

/* ---- messages ---- */

/* The place of something in a message, for an error: "messages[3].content". */
struct place {
    struct wire_body *body;
    int message;
    struct err *err;
};

static int wrong_at(const struct place *p, const char *what_field, const char *what)
{
    char field[WIRE_PARAM_MAX];
    snprintf(field, sizeof field, "messages[%d]%s", p->message, what_field);
    return wire_wrong(p->body, p->err, field, what);
}

static int text_at(const struct place *p, const cJSON *m, const char *name, struct slice *to)
{
    char field[32];
    const cJSON *v = member(m, name);
    if (!v)
        return 0;
    snprintf(field, sizeof field, ".%s", name);
    if (!cJSON_IsString(v))
        return wrong_at(p, field, "must be a string");
    *to = slice_str(v->valuestring);
    return 0;
}

static int check_part(const struct place *p, const cJSON *part, int i)
{
    char field[48];
    const char *type = json_str(part, "type", NULL);
    snprintf(field, sizeof field, ".content[%d]", i);
    if (!type)
        return wrong_at(p, field, "must be an object with a type");
    if (strcmp(type, "text") == 0 && !json_str(part, "text", NULL))
        return wrong_at(p, field, "is of type text and needs a text");
    if (strcmp(type, "image_url") == 0 && !json_str(member(part, "image_url"), "url", NULL))
        return wrong_at(p, field, "is of type image_url and needs image_url.url");
    return 0;
}

/* One part with nothing but text is that text. */
static const char *plain_text(const cJSON *parts)
{
    const cJSON *only = cJSON_GetArraySize(parts) == 1 ? parts->child : NULL;
    bool text = only && cJSON_GetArraySize(only) == 2 && strcmp(json_str(only, "type", ""), "text") == 0;
    return text ? json_str(only, "text", NULL) : NULL;
}

static int take_content(const struct place *p, const cJSON *v, struct llm_message *to)
{
    const cJSON *part;
    int i = 0, r = 0;
    if (cJSON_IsString(v)) {
        to->content = slice_str(v->valuestring);
        return 0;
    }
    if (!cJSON_IsArray(v) || cJSON_GetArraySize(v) == 0)
        return wrong_at(p, ".content", "must be a string or an array of parts");
    cJSON_ArrayForEach(part, v) if ((r = check_part(p, part, i++)) < 0) return r;
    const char *text = plain_text(v);
    if (text)
        to->content = slice_str(text);
    else
        to->parts = wire_print(p->body, v);
    return 0;
}

static int take_tool_calls(const struct place *p, const cJSON *v, struct llm_message *to)
{
    const cJSON *call;
    int i = 0;
    if (!cJSON_IsArray(v))
        return wrong_at(p, ".tool_calls", "must be an array");
    cJSON_ArrayForEach(call, v)
    {
        char field[48];
        const cJSON *fn = member(call, "function");
        bool custom = strcmp(json_str(call, "type", "function"), "function") != 0;
        snprintf(field, sizeof field, ".tool_calls[%d]", i++);
        if (!json_str(call, "id", NULL))
            return wrong_at(p, field, "needs an id");
        if (!custom && (!json_str(fn, "name", NULL) || !json_str(fn, "arguments", NULL)))
            return wrong_at(p, field, "needs function.name and function.arguments, both strings");
    }
    if (i)
        to->tool_calls = wire_print(p->body, v);
    return 0;
}

static bool is_role(const char *role)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant", "tool", "function"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strcmp(role, roles[i]) == 0)
            return true;
    return false;
}

static int take_message(const struct place *p, const cJSON *m, struct llm_message *to)
{
    const char *role = json_str(m, "role", NULL);
    const cJSON *content = member(m, "content"), *calls = member(m, "tool_calls"), *blocks;
    if (!cJSON_IsObject(m))
        return wrong_at(p, "", "must be an object");
    if (!role || !is_role(role))
        return wrong_at(p, ".role", "must be system, developer, user, assistant or tool");
    to->role = slice_str(role);
    int r = content ? take_content(p, content, to) : 0;
    r = r ? r : calls ? take_tool_calls(p, calls, to) : 0;
    r = r ? r : text_at(p, m, "name", &to->name);
    r = r ? r : text_at(p, m, "tool_call_id", &to->tool_call_id);
    r = r ? r : text_at(p, m, "reasoning_content", &to->reasoning);
    if (r == 0 && !content && !to->tool_calls.len)
        r = text_at(p, m, "refusal", &to->content);
    if (r == 0 && cJSON_IsArray(blocks = member(m, "thinking_blocks")))
        to->thinking = wire_print(p->body, blocks);
    if (r < 0)
        return r;
    bool silent = strcmp(role, "assistant") == 0 || strcmp(role, "function") == 0;
    if (!content && !silent)
        return wrong_at(p, ".content", "is missing");
    if (strcmp(role, "tool") == 0 && to->tool_call_id.len == 0)
        return wrong_at(p, ".tool_call_id", "is missing");
    return 0;
}

static int take_messages(struct wire_chat *w, const cJSON *v, struct err *err)
{
    const cJSON *m;
    int n = cJSON_GetArraySize(v), r = 0;
    struct place p = {.body = &w->body, .err = err};
    if (!cJSON_IsArray(v) || n < 1)
        return wire_wrong(&w->body, err, "messages", "must be an array of at least one message");
    if (n > WIRE_MESSAGES_MAX)
        return wire_wrong(&w->body, err, "messages", "has too many messages");
    w->messages = mem_zero((size_t)n * sizeof *w->messages);
    w->q.messages = w->messages;
    cJSON_ArrayForEach(m, v)
    {
        if ((r = take_message(&p, m, &w->messages[p.message])) < 0)
            return r;
        p.message++;
    }
    w->q.nmessages = n;
    return 0;
}

/* ---- the other fields ---- */

static int take_model(struct wire_chat *w, const cJSON *v, struct err *err)
{
    return take_text(&w->body, "model", v, &w->q.model, err);
}

static int take_temperature(struct wire_chat *w, const cJSON *v, struct err *err)
{
    return take_real(&w->body, "temperature", v, 0, 2, &w->q.temperature, err);
}

static int take_top_p(struct wire_chat *w, const cJSON *v, struct err *err)
{
    return take_real(&w->body, "top_p", v, 0, 1, &w->q.top_p, err);
}

static int take_frequency_penalty(struct wire_chat *w, const cJSON *v, struct err *err)
{
    return take_real(&w->body, "frequency_penalty", v, -2, 2, &w->q.frequency_penalty, err);
}

static int take_presence_penalty(struct wire_chat *w, const cJSON *v, struct err *err)
{
    return take_real(&w->body, "presence_penalty", v, -2, 2, &w->q.presence_penalty, err);
}

static int take_max_tokens(struct wire_chat *w, const cJSON *v, struct err *err)
{
    return take_int(&w->body, v->string, v, 1, &w->q.max_tokens, err);
}

static int take_seed(struct wire_chat *w, const cJSON *v, struct err *err)
{
    w->q.has_seed = true;
    return take_int(&w->body, "seed", v, -INT_LIMIT, &w->q.seed, err);
}

static int take_n(struct wire_chat *w, const cJSON *v, struct err *err)
{
    bool one = cJSON_IsNumber(v) && v->valuedouble == 1;
    return one ? 0 : wire_wrong(&w->body, err, "n", "must be 1: one answer is made at a time");
}

static int take_stop(struct wire_chat *w, const cJSON *v, struct err *err)
{
    const cJSON *s;
    int n = cJSON_IsString(v) ? 1 : cJSON_IsArray(v) ? cJSON_GetArraySize(v) : -1;
    if (n < 0 || n > STOP_MAX)
        return wire_wrong(&w->body, err, "stop", "must be a string or an array of at most 16 strings");
    w->stop = mem_alloc((size_t)(n + 1) * sizeof *w->stop);
    w->q.stop = w->stop;
    if (cJSON_IsString(v)) {
        w->stop[w->q.nstop++] = slice_str(v->valuestring);
        return 0;
    }
    cJSON_ArrayForEach(s, v)
    {
        if (!cJSON_IsString(s))
            return wire_wrong(&w->body, err, "stop", "must hold strings only");
        w->stop[w->q.nstop++] = slice_str(s->valuestring);
    }
    return 0;
}

static int take_stream(struct wire_chat *w, const cJSON *v, struct err *err)
{
    return take_bool(&w->body, "stream", v, &w->q.stream, err);
}

static int take_stream_options(struct wire_chat *w, const cJSON *v, struct err *err)
{
    const cJSON *usage = member(v, "include_usage");
    if (!cJSON_IsObject(v))
        return wire_wrong(&w->body, err, "stream_options", "must be an object");
    return usage ? take_bool(&w->body, "stream_options.include_usage", usage, &w->include_usage, err) : 0;
}

static int take_tools(struct wire_chat *w, const cJSON *v, struct err *err)
{
    const cJSON *tool;
    int i = 0;
    if (!cJSON_IsArray(v))
        return wire_wrong(&w->body, err, "tools", "must be an array");
    cJSON_ArrayForEach(tool, v)
    {
        char field[32];
        const char *type = json_str(tool, "type", NULL);
        snprintf(field, sizeof field, "tools[%d]", i++);
        if (!type)
            return wire_wrong(&w->body, err, field, "must be an object with a type");
        if (strcmp(type, "function") == 0 && !json_str(member(tool, "function"), "name", NULL))
            return wire_wrong(&w->body, err, field, "is a function and needs function.name");
    }
    if (i)
        w->q.tools = wire_print(&w->body, v);
    return 0;
}

static int take_tool_choice(struct wire_chat *w, const cJSON *v, struct err *err)
{
    const char *word = cJSON_IsString(v) ? v->valuestring : "";
    bool known = strcmp(word, "auto") == 0 || strcmp(word, "none") == 0 || strcmp(word, "required") == 0;
    if (!known && !(cJSON_IsObject(v) && json_str(v, "type", NULL)))
        return wire_wrong(&w->body, err, "tool_choice", "must be none, auto, required or an object with a type");
    w->q.tool_choice = wire_print(&w->body, v);
    return 0;
}

static int take_parallel(struct wire_chat *w, const cJSON *v, struct err *err)
{
    bool on = false;
    int r = take_bool(&w->body, "parallel_tool_calls", v, &on, err);
    w->q.parallel_tools = on;
    return r;
}

static int take_schema(struct wire_chat *w, const cJSON *format, struct err *err)
{
    const cJSON *s = member(format, "json_schema"), *schema = member(s, "schema");
    if (!cJSON_IsObject(s) || (schema && !cJSON_IsObject(schema)))
        return wire_wrong(&w->body, err, "response_format.json_schema", "must be an object with a schema");
    w->q.json = true;
    w->q.schema_name = slice_str(json_str(s, "name", ""));
    w->q.schema_strict = json_bool(s, "strict", 0);
    if (schema)
        w->q.schema = wire_print(&w->body, schema);
    return 0;
}

static int take_format(struct wire_chat *w, const cJSON *v, struct err *err)
{
    const char *type = json_str(v, "type", "");
    if (strcmp(type, "json_schema") == 0)
        return take_schema(w, v, err);
    w->q.json = strcmp(type, "json_object") == 0;
    if (w->q.json || strcmp(type, "text") == 0)
        return 0;
    return wire_wrong(&w->body, err, "response_format", "must have the type text, json_object or json_schema");
}

static int take_effort(struct wire_chat *w, const cJSON *v, struct err *err)
{
    static const char *const efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};
    for (size_t i = 0; i < sizeof efforts / sizeof *efforts; i++)
        if (cJSON_IsString(v) && strcmp(v->valuestring, efforts[i]) == 0)
            return take_text(&w->body, "reasoning_effort", v, &w->q.effort, err);
    return wire_wrong(&w->body, err, "reasoning_effort", "must be none, minimal, low, medium, high, xhigh or max");
}

static int take_user(struct wire_chat *w, const cJSON *v, struct err *err)
{
    return take_text(&w->body, "user", v, &w->q.end_user, err);
}

static int refuse_functions(struct wire_chat *w, const cJSON *v, struct err *err)
{
    return wire_wrong(&w->body, err, v->string, "is the old form; use tools and tool_choice");
}

static const struct field {
    const char *name;
    int (*take)(struct wire_chat *w, const cJSON *v, struct err *err);
} fields[] = {
    {"model", take_model},
    {"messages", take_messages},
    {"temperature", take_temperature},
    {"top_p", take_top_p},
    {"frequency_penalty", take_frequency_penalty},
    {"presence_penalty", take_presence_penalty},
    {"max_tokens", take_max_tokens},
    {"max_completion_tokens", take_max_tokens},
    {"seed", take_seed},
    {"n", take_n},
    {"stop", take_stop},
    {"stream", take_stream},
    {"stream_options", take_stream_options},
    {"tools", take_tools},
    {"tool_choice", take_tool_choice},
    {"parallel_tool_calls", take_parallel},
    {"response_format", take_format},
    {"reasoning_effort", take_effort},
    {"user", take_user},
    {"functions", refuse_functions},
    {"function_call", refuse_functions},
};

static const struct field *field_of(const char *name)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

static int read_fields(struct wire_chat *w, const cJSON *root, cJSON *others, struct err *err)
{
    const cJSON *v;
    cJSON_ArrayForEach(v, root)
    {
        const struct field *f = field_of(v->string);
        if (cJSON_IsNull(v))
            continue;
        if (!f)
            cJSON_AddItemReferenceToObject(others, v->string, (cJSON *)v);
        int r = f && cJSON_GetObjectItemCaseSensitive(root, v->string) == v ? f->take(w, v, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

int wire_openai_chat_tree(cJSON *root, struct wire_chat *w, struct err *err)
{
    *w = (struct wire_chat){.q = LLM_REQUEST, .body.root = root};
    if (!cJSON_IsObject(root))
        return err_set(err, ERR_INVALID, "the body must be a JSON object");
    cJSON *others = cJSON_CreateObject();
    int r = read_fields(w, root, others, err);
    if (r == 0 && !w->q.nmessages)
        r = wire_wrong(&w->body, err, "messages", "is missing");
    if (r == 0 && others->child)
        w->q.params = wire_print(&w->body, others);
    cJSON_Delete(others);
    return r;
}

int wire_openai_chat(struct slice body, struct wire_chat *w, struct err *err)
{
    *w = (struct wire_chat){.q = LLM_REQUEST};
    cJSON *root = json_parse(body, WIRE_BODY_MAX, "body", err);
    return root ? wire_openai_chat_tree(root, w, err) : ERR_INVALID;
}

/* ---- embeddings, rerank, speech ---- */

static int parse_object(struct slice text, struct wire_body *b, struct err *err)
{
    b->root = json_parse(text, WIRE_BODY_MAX, "body", err);
    if (!b->root)
        return ERR_INVALID;
    return cJSON_IsObject(b->root) ? 0 : err_set(err, ERR_INVALID, "the body must be a JSON object");
}

static int optional_text(struct wire_body *b, const char *name, struct slice *to, struct err *err)
{
    const cJSON *v = member(b->root, name);
    return v ? take_text(b, name, v, to, err) : 0;
}

static int optional_int(struct wire_body *b, const char *name, int most, int *to, struct err *err)
{
    int64_t n = 0;
    const cJSON *v = member(b->root, name);
    int r = v ? take_int(b, name, v, 1, &n, err) : 0;
    *to = n < most ? (int)n : most;
    return r;
}

/* Strings, or objects with a text. */
static int take_texts(struct wire_body *b, const char *field, const cJSON *v, int most, struct slice **to, int *n,
                      struct err *err)
{
    const cJSON *x;
    int count = cJSON_IsString(v) ? 1 : cJSON_GetArraySize(v);
    char what[96];
    snprintf(what, sizeof what, "must be 1 to %d texts", most);
    if ((!cJSON_IsString(v) && !cJSON_IsArray(v)) || count < 1 || count > most)
        return wire_wrong(b, err, field, what);
    *to = mem_alloc((size_t)count * sizeof **to);
    if (cJSON_IsString(v)) {
        (*to)[(*n)++] = slice_str(v->valuestring);
        return 0;
    }
    cJSON_ArrayForEach(x, v)
    {
        const char *text = cJSON_IsString(x) ? x->valuestring : json_str(x, "text", NULL);
        if (!text)
            return wire_wrong(b, err, field, "must hold texts only (token numbers are not taken)");
        (*to)[(*n)++] = slice_str(text);
    }
    return 0;
}

int wire_openai_embed(struct slice body, struct wire_embed *w, struct err *err)
{
    struct slice format = {0};
    *w = (struct wire_embed){.q.caller.priority = LLM_PRIORITY};
    int r = parse_object(body, &w->body, err);
    r = r ? r : optional_text(&w->body, "model", &w->q.model, err);
    r = r ? r : optional_text(&w->body, "encoding_format", &format, err);
    r = r ? r : optional_int(&w->body, "dimensions", 1 << 20, &w->q.dim, err);
    r = r ? r
          : take_texts(&w->body, "input", member(w->body.root, "input"), LLM_EMBED_MAX, &w->texts, &w->q.ntexts, err);
    w->q.texts = w->texts;
    w->base64 = slice_eq(format, SLICE("base64"));
    if (r == 0 && format.len && !w->base64 && !slice_eq(format, SLICE("float")))
        r = wire_wrong(&w->body, err, "encoding_format", "must be float or base64");
    return r;
}

int wire_openai_rerank(struct slice body, struct wire_rerank *w, struct err *err)
{
    *w = (struct wire_rerank){.q.caller.priority = LLM_PRIORITY};
    int r = parse_object(body, &w->body, err);
    const cJSON *root = w->body.root, *with = member(root, "return_documents");
    r = r ? r : optional_text(&w->body, "model", &w->q.model, err);
    r = r ? r : optional_text(&w->body, "query", &w->q.query, err);
    r = r ? r : optional_int(&w->body, "top_n", LLM_RERANK_MAX, &w->q.count, err);
    r = r ? r
          : take_texts(&w->body, "documents", member(root, "documents"), LLM_RERANK_MAX, &w->docs, &w->q.ndocs, err);
    r = r || !with ? r : take_bool(&w->body, "return_documents", with, &w->with_documents, err);
    w->q.docs = w->docs;
    return r == 0 && w->q.query.len == 0 ? wire_wrong(&w->body, err, "query", "is missing") : r;
}

/* A voice is a name or an object with an id. */
static int take_voice(struct wire_speech *w, struct err *err)
{
    const cJSON *v = member(w->body.root, "voice"), *id = cJSON_IsObject(v) ? member(v, "id") : v;
    return v ? take_text(&w->body, "voice", id, &w->q.voice, err) : 0;
}

int wire_openai_speech(struct slice body, struct wire_speech *w, struct err *err)
{
    *w = (struct wire_speech){.q = {.speed = NAN, .caller.priority = LLM_PRIORITY}};
    int r = parse_object(body, &w->body, err);
    const cJSON *speed = member(w->body.root, "speed");
    r = r ? r : optional_text(&w->body, "model", &w->q.model, err);
    r = r ? r : optional_text(&w->body, "input", &w->q.text, err);
    r = r ? r : optional_text(&w->body, "instructions", &w->q.instructions, err);
    r = r ? r : optional_text(&w->body, "response_format", &w->q.format, err);
    r = r ? r : take_voice(w, err);
    r = r || !speed ? r : take_real(&w->body, "speed", speed, 0.25, 4, &w->q.speed, err);
    return r == 0 && w->q.text.len == 0 ? wire_wrong(&w->body, err, "input", "is missing") : r;
}
