/* The provider `anthropic`: the messages API. Here is the request; anthropic_parse.c has the replies.
 *
 * What is different from OpenAI's form: system messages stand apart; messages alternate between user and assistant, so
 * neighbours of one role become one; a tool's result is a block of a user message, before everything else in it;
 * arguments of a tool call are an object; max_tokens must be there. */
#include <math.h>

#include "base/json.h"
#include "llm/anthropic_parse.h"
#include "llm/body.h"

#define MAX_TOKENS   4096 /* when nobody says */
#define BUDGET_LEAST 1024
#define PARTS_MAX    (64u << 20)

/* A request being written. */
struct request {
    struct body b;
    const struct llm_request *q;
    const struct model *m;
    struct err *err;
    bool thinks; /* with a budget: temperature cannot be set then */
};

static cJSON *member(const cJSON *o, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(o, name);
}

/* ---- blocks ---- */

/* An array of blocks: the bracket comes with the first one. */
struct blocks {
    struct buf *to;
    int n;
};

static void block(struct blocks *bs, const char *type)
{
    buf_addf(bs->to, "%s{\"type\":\"%s\"", bs->n++ ? "," : "[", type);
}

static void block_member(struct blocks *bs, const char *name, struct slice text)
{
    buf_addf(bs->to, ",\"%s\":", name);
    json_quote(bs->to, text);
}

static void block_json(struct blocks *bs, const char *name, const cJSON *v)
{
    buf_addf(bs->to, ",\"%s\":", name);
    json_print(bs->to, v);
}

static void block_end(struct blocks *bs, const cJSON *from)
{
    if (member(from, "cache_control"))
        block_json(bs, "cache_control", member(from, "cache_control"));
    buf_add_char(bs->to, '}');
}

static void text_block(struct blocks *bs, struct slice text, const cJSON *from)
{
    if (text.len == 0)
        return;
    block(bs, "text");
    block_member(bs, "text", text);
    block_end(bs, from);
}

/* "data:TYPE;base64,DATA": false when it is something else. */
static bool split_data_url(const char *url, struct slice *type, struct slice *data)
{
    const char *comma = strchr(url, ','), *mark = strstr(url, ";base64,");
    if (strncmp(url, "data:", 5) != 0 || !mark || comma != mark + 7)
        return false;
    *type = slice_of(url + 5, (size_t)(mark - url) - 5);
    *data = slice_str(comma + 1);
    return true;
}

/* An image or a document, of a URL. */
static int source_block(struct request *r, struct blocks *bs, const char *kind, const char *url, const cJSON *from)
{
    struct slice type, data;
    if (split_data_url(url, &type, &data)) {
        block(bs, kind);
        buf_add_str(bs->to, ",\"source\":{\"type\":\"base64\"");
        block_member(bs, "media_type", type);
        block_member(bs, "data", data);
    } else if (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0) {
        block(bs, kind);
        buf_add_str(bs->to, ",\"source\":{\"type\":\"url\"");
        block_member(bs, "url", slice_str(url));
    } else {
        return err_set(r->err, ERR_INVALID, "an image must be a data: URL with base64, or an http(s) URL");
    }
    buf_add_char(bs->to, '}');
    block_end(bs, from);
    return 0;
}

static int part_block(struct request *r, struct blocks *bs, const cJSON *part)
{
    const char *type = json_str(part, "type", ""), *url = json_str(member(part, "image_url"), "url", NULL),
               *file = json_str(member(part, "file"), "file_data", NULL);
    if (strcmp(type, "text") == 0) {
        text_block(bs, slice_str(json_str(part, "text", "")), part);
        return 0;
    }
    if (strcmp(type, "image_url") == 0 && url)
        return source_block(r, bs, "image", url, part);
    if (strcmp(type, "file") == 0 && file)
        return source_block(r, bs, "document", file, part);
    if (strcmp(type, "image") != 0 && strcmp(type, "document") != 0)
        return err_set(r->err, ERR_INVALID, "parts of the type '%.40s' cannot be sent to an Anthropic model", type);
    buf_add_char(bs->to, bs->n++ ? ',' : '['); /* it is in Anthropic's form already */
    json_print(bs->to, part);
    return 0;
}

static int content_blocks(struct request *r, struct blocks *bs, const struct llm_message *m)
{
    const cJSON *part;
    if (m->parts.len == 0) {
        text_block(bs, m->content, NULL);
        return 0;
    }
    cJSON *parts = json_parse(m->parts, PARTS_MAX, "the parts of a message", r->err);
    int e = parts ? 0 : ERR_INVALID;
    cJSON_ArrayForEach(part, parts)
    {
        e = part_block(r, bs, part);
        if (e < 0)
            break;
    }
    cJSON_Delete(parts);
    return e;
}

static int result_block(struct request *r, struct blocks *bs, const struct llm_message *m)
{
    block(bs, "tool_result");
    block_member(bs, "tool_use_id", m->tool_call_id);
    buf_add_str(bs->to, ",\"content\":");
    struct blocks inner = {.to = bs->to};
    int e = 0;
    if (m->parts.len == 0)
        json_quote(bs->to, m->content);
    else
        e = content_blocks(r, &inner, m);
    if (m->parts.len)
        buf_add_str(bs->to, inner.n ? "]" : "[]");
    block_end(bs, NULL);
    return e;
}

static int call_block(struct request *r, struct blocks *bs, const cJSON *call)
{
    const cJSON *fn = member(call, "function"), *args = member(fn, "arguments");
    struct slice text = slice_str(cJSON_IsString(args) ? args->valuestring : "");
    cJSON *input = cJSON_IsObject(args) ? cJSON_Duplicate(args, 1)
                   : text.len           ? json_parse(text, PARTS_MAX, "the arguments of a tool call", r->err)
                                        : cJSON_CreateObject();
    int e = 0;
    if (!cJSON_IsObject(input)) {
        e = err_set(r->err, ERR_INVALID, "the arguments of a tool call must be a JSON object");
    } else {
        block(bs, "tool_use");
        block_member(bs, "id", slice_str(json_str(call, "id", "")));
        block_member(bs, "name", slice_str(json_str(fn, "name", "")));
        block_json(bs, "input", input);
        block_end(bs, NULL);
    }
    cJSON_Delete(input);
    return e;
}

/* Signed thinking goes back unchanged, before everything else. */
static void thinking_blocks(struct blocks *bs, struct slice thinking)
{
    struct slice inner = thinking.len > 2 ? slice_of(thinking.p + 1, thinking.len - 2) : (struct slice){0};
    if (inner.len == 0)
        return;
    buf_add_char(bs->to, bs->n++ ? ',' : '[');
    buf_add(bs->to, inner.p, inner.len);
}

static int assistant_blocks(struct request *r, struct blocks *bs, const struct llm_message *m)
{
    const cJSON *call;
    thinking_blocks(bs, m->thinking);
    int e = content_blocks(r, bs, m);
    cJSON *calls = e == 0 && m->tool_calls.len ? json_parse(m->tool_calls, PARTS_MAX, "tool calls", r->err) : NULL;
    if (e == 0 && m->tool_calls.len && !calls)
        return ERR_INVALID;
    cJSON_ArrayForEach(call, calls)
    {
        e = call_block(r, bs, call);
        if (e < 0)
            break;
    }
    cJSON_Delete(calls);
    return e;
}

/* ---- messages ---- */

static bool is_system(const struct llm_message *m)
{
    return slice_eq(m->role, SLICE("system")) || slice_eq(m->role, SLICE("developer"));
}

static bool is_assistant(const struct llm_message *m)
{
    return slice_eq(m->role, SLICE("assistant"));
}

static bool is_result(const struct llm_message *m)
{
    return slice_eq(m->role, SLICE("tool")) || slice_eq(m->role, SLICE("function"));
}

/* The blocks of the messages from..to, which are one turn: those of `results`, or the others. */
static int turn_blocks(struct request *r, struct blocks *bs, int from, int to, bool results)
{
    int e = 0;
    for (int i = from; i < to && e == 0; i++) {
        const struct llm_message *m = &r->q->messages[i];
        if (is_system(m) || is_result(m) != results)
            continue;
        e = results ? result_block(r, bs, m) : is_assistant(m) ? assistant_blocks(r, bs, m) : content_blocks(r, bs, m);
    }
    return e;
}

/* The first message after `from` that is of the other side. */
static int turn_end(const struct llm_request *q, int from)
{
    int i = from;
    while (i < q->nmessages &&
           (is_system(&q->messages[i]) || is_assistant(&q->messages[i]) == is_assistant(&q->messages[from])))
        i++;
    return i;
}

static int write_messages(struct request *r)
{
    const struct llm_request *q = r->q;
    struct buf *to = r->b.to;
    int e = 0, turns = 0;
    body_field(&r->b, "messages");
    buf_add_char(to, '[');
    for (int i = 0; i < q->nmessages && e == 0;) {
        if (is_system(&q->messages[i])) {
            i++;
            continue;
        }
        int end = turn_end(q, i);
        size_t before = to->len;
        struct blocks bs = {.to = to};
        buf_addf(to, "%s{\"role\":\"%s\",\"content\":", turns ? "," : "",
                 is_assistant(&q->messages[i]) ? "assistant" : "user");
        e = turn_blocks(r, &bs, i, end, true);
        e = e ? e : turn_blocks(r, &bs, i, end, false);
        buf_add_str(to, "]}");
        if (bs.n == 0)
            to->len = before; /* nothing was said */
        turns += bs.n > 0;
        i = end;
    }
    buf_add_char(to, ']');
    if (e == 0 && turns == 0)
        e = err_set(r->err, ERR_INVALID, "an Anthropic model needs a message of the user");
    return e;
}

static int write_system(struct request *r)
{
    const struct llm_request *q = r->q;
    struct buf text = {0};
    struct blocks bs = {.to = &text};
    int e = 0;
    text_block(&bs, q->system, NULL);
    for (int i = 0; i < q->nmessages && e == 0; i++)
        if (is_system(&q->messages[i]))
            e = content_blocks(r, &bs, &q->messages[i]);
    if (q->json && q->schema.len == 0) {
        text_block(&bs, SLICE("Answer with one JSON object and nothing else."), NULL);
        llm_note(r->b.notes, "json", "mapped", "the vendor has no such switch: the model is told in words");
    }
    if (bs.n) {
        buf_add_char(&text, ']');
        body_raw(&r->b, "system", buf_slice(&text));
    }
    buf_release(&text);
    return e;
}

/* ---- tools ---- */

static int write_tool(struct request *r, struct blocks *bs, const cJSON *tool)
{
    const cJSON *fn = member(tool, "function"), *schema = member(fn, "parameters");
    const char *type = json_str(tool, "type", "");
    if (strcmp(type, "custom") == 0)
        return err_set(r->err, ERR_INVALID, "tools of the type custom cannot be given to an Anthropic model");
    buf_add_char(bs->to, bs->n++ ? ',' : '[');
    if (strcmp(type, "function") != 0) { /* one of the vendor's own */
        json_print(bs->to, tool);
        return 0;
    }
    buf_add_str(bs->to, "{\"name\":");
    json_quote(bs->to, slice_str(json_str(fn, "name", "")));
    if (json_str(fn, "description", NULL))
        block_member(bs, "description", slice_str(json_str(fn, "description", "")));
    buf_add_str(bs->to, ",\"input_schema\":");
    if (cJSON_IsObject(schema))
        json_print(bs->to, schema);
    else
        buf_add_str(bs->to, "{\"type\":\"object\",\"properties\":{}}");
    if (json_bool(fn, "strict", 0))
        buf_add_str(bs->to, ",\"strict\":true");
    block_end(bs, tool);
    return 0;
}

static void write_choice(struct request *r)
{
    const struct llm_request *q = r->q;
    struct buf *to = r->b.to;
    cJSON *choice = q->tool_choice.len ? json_parse(q->tool_choice, 1u << 16, "tool_choice", NULL) : NULL;
    const char *word = cJSON_IsString(choice) ? choice->valuestring : "auto",
               *name = json_str(member(choice, "function"), "name", NULL);
    if (!choice && q->parallel_tools != 0)
        return;
    body_field(&r->b, "tool_choice");
    if (name) {
        buf_add_str(to, "{\"type\":\"tool\",\"name\":");
        json_quote(to, slice_str(name));
    } else {
        buf_addf(to, "{\"type\":\"%s\"",
                 strcmp(word, "required") == 0 ? "any"
                 : strcmp(word, "none") == 0   ? "none"
                                               : "auto");
    }
    if (q->parallel_tools == 0 && strcmp(word, "none") != 0)
        buf_add_str(to, ",\"disable_parallel_tool_use\":true");
    buf_add_char(to, '}');
    cJSON_Delete(choice);
}

static int write_tools(struct request *r)
{
    struct blocks bs = {.to = r->b.to};
    const cJSON *tool;
    int e = 0;
    if (r->q->tools.len == 0)
        return 0;
    cJSON *tools = json_parse(r->q->tools, PARTS_MAX, "tools", r->err);
    if (!tools)
        return ERR_INVALID;
    if (tools->child)
        body_field(&r->b, "tools");
    cJSON_ArrayForEach(tool, tools)
    {
        e = write_tool(r, &bs, tool);
        if (e < 0)
            break;
    }
    if (bs.n) {
        buf_add_char(r->b.to, ']');
        write_choice(r);
    }
    cJSON_Delete(tools);
    return e;
}

/* ---- thinking and the answer's form ---- */

/* Models that think by a budget of tokens; later ones are told an effort. */
static bool takes_budget(const char *id)
{
    static const char *const old[] = {"claude-3",        "claude-sonnet-4", "claude-opus-4-0",
                                      "claude-opus-4-1", "claude-opus-4-2", "claude-haiku-4"};
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (strncmp(id, old[i], strlen(old[i])) == 0)
            return true;
    return false;
}

static int64_t budget_of(const struct request *r)
{
    const struct llm_request *q = r->q;
    if (q->think_tokens > 0)
        return q->think_tokens > BUDGET_LEAST ? q->think_tokens : BUDGET_LEAST;
    if (q->effort.len == 0 || slice_eq(q->effort, SLICE("none")) || !takes_budget(r->m->id))
        return 0;
    return slice_eq(q->effort, SLICE("minimal"))  ? 1024
           : slice_eq(q->effort, SLICE("low"))    ? 2048
           : slice_eq(q->effort, SLICE("medium")) ? 8192
                                                  : 16384;
}

/* max_tokens of the params, where the request says none; 0 when they say none either. */
static int64_t max_tokens_of(const struct body_params *p)
{
    double n = json_num(p->mine, "max_tokens", json_num(p->models, "max_tokens", 0));
    return n >= 1 && n < 1e12 ? (int64_t)n : 0;
}

static void write_limits(struct request *r, const struct body_params *p)
{
    int64_t budget = budget_of(r), most = r->q->max_tokens > 0 ? r->q->max_tokens : max_tokens_of(p);
    if (most == 0) {
        most = MAX_TOKENS + budget;
        llm_note(r->b.notes, "max_tokens", "mapped",
                 "the vendor needs it: 4096 was supplied, and what thinking may take");
    } else if (budget >= most) {
        most += budget;
        llm_note(r->b.notes, "max_tokens", "mapped", "raised by what thinking may take: the vendor counts both");
    }
    body_int(&r->b, "max_tokens", most);
    r->thinks = budget > 0;
    if (slice_eq(r->q->effort, SLICE("none"))) {
        body_raw(&r->b, "thinking", SLICE("{\"type\":\"disabled\"}"));
    } else if (budget > 0) {
        body_field(&r->b, "thinking");
        buf_addf(r->b.to, "{\"type\":\"enabled\",\"budget_tokens\":%lld}", (long long)budget);
        if (r->q->think_tokens == 0)
            llm_note(r->b.notes, "effort", "mapped", "to a budget of tokens");
    } else if (r->q->effort.len) {
        body_raw(&r->b, "thinking", SLICE("{\"type\":\"adaptive\"}"));
    }
}

/* low, medium, high, max */
static struct slice effort_of(struct request *r)
{
    struct slice e = r->q->effort;
    bool minimal = slice_eq(e, SLICE("minimal")), xhigh = slice_eq(e, SLICE("xhigh"));
    if (minimal || xhigh)
        llm_note(r->b.notes, "effort", "mapped", minimal ? "minimal: to low" : "xhigh: to high");
    return minimal ? SLICE("low") : xhigh ? SLICE("high") : e;
}

static void write_output_config(struct request *r)
{
    const struct llm_request *q = r->q;
    struct buf *to = r->b.to;
    bool effort = q->effort.len && !slice_eq(q->effort, SLICE("none")) && !takes_budget(r->m->id);
    if (!effort && q->schema.len == 0)
        return;
    body_field(&r->b, "output_config");
    buf_add_char(to, '{');
    if (effort) {
        buf_add_str(to, "\"effort\":");
        json_quote(to, effort_of(r));
    }
    if (q->schema.len) {
        buf_add_str(to, effort ? ",\"format\":{\"type\":\"json_schema\",\"schema\":"
                               : "\"format\":{\"type\":\"json_schema\",\"schema\":");
        buf_add(to, q->schema.p, q->schema.len);
        buf_add_char(to, '}');
    }
    buf_add_char(to, '}');
}

static void write_sampling(struct request *r)
{
    const struct llm_request *q = r->q;
    struct buf *notes = r->b.notes;
    double t = q->temperature;
    if (r->thinks && !isnan(t)) {
        llm_note(notes, "temperature", "dropped", "it cannot be set while the model thinks");
        t = NAN;
    }
    if (t > 1)
        llm_note(notes, "temperature", "mapped", "lowered to the greatest value that the vendor takes");
    body_real(&r->b, "temperature", t > 1 ? 1 : t);
    body_real(&r->b, "top_p", q->top_p);
    if (!isnan(q->frequency_penalty))
        llm_note(notes, "frequency_penalty", "dropped", "the vendor does not know it");
    if (!isnan(q->presence_penalty))
        llm_note(notes, "presence_penalty", "dropped", "the vendor does not know it");
    if (q->has_seed)
        llm_note(notes, "seed", "dropped", "the vendor does not know it");
    if (q->nstop)
        body_texts(&r->b, "stop_sequences", q->stop, q->nstop);
    if (q->end_user.len) {
        body_field(&r->b, "metadata");
        buf_add_str(r->b.to, "{\"user_id\":");
        json_quote(r->b.to, q->end_user);
        buf_add_char(r->b.to, '}');
    }
}

static int write_all(struct request *r, const struct body_params *p)
{
    body_text(&r->b, "model", slice_str(r->m->id));
    write_limits(r, p);
    int e = write_system(r);
    e = e ? e : write_messages(r);
    e = e ? e : write_tools(r);
    if (e < 0)
        return e;
    write_sampling(r);
    write_output_config(r);
    if (r->q->stream)
        body_raw(&r->b, "stream", SLICE("true"));
    body_members(&r->b, p->mine, body_openai_only);
    body_members(&r->b, p->models, NULL);
    buf_add_char(r->b.to, '}');
    return 0;
}

static int chat_body(const struct llm_request *q, const struct model *m, struct buf *to, struct buf *notes,
                     struct err *err)
{
    struct request r = {.b = {.to = to, .notes = notes}, .q = q, .m = m, .err = err};
    struct body_params p;
    int e = body_params_read(&p, q->params, m, err);
    if (e == 0)
        e = write_all(&r, &p);
    body_params_release(&p);
    return e;
}

static void headers(const struct llm_provider *p, struct buf *lines, struct slice key)
{
    buf_add_str(lines, "anthropic-version: 2023-06-01\n");
    if (key.len == 0)
        return;
    buf_add_str(lines, "x-api-key: ");
    buf_add(lines, key.p, key.len);
    buf_add_char(lines, '\n');
}

extern const struct llm_provider provider_anthropic;
const struct llm_provider provider_anthropic = {
    .name = "anthropic",
    .url = "https://api.anthropic.com",
    .about = "Claude, and every server that speaks Anthropic's messages API",
    .chat_path = "/v1/messages",
    .headers = headers,
    .chat_body = chat_body,
    .chat_whole = anthropic_whole,
    .failure = anthropic_failure,
    .stream_type = "text/event-stream",
    .stream_create = anthropic_stream_create,
    .stream_feed = anthropic_stream_feed,
    .stream_end = anthropic_stream_end,
    .stream_destroy = anthropic_stream_destroy,
};
