/* The provider `ollama`: Ollama's own API (/api/chat, /api/embed). Here is the request; ollama_parse.c has the replies.
 *
 * What is different from OpenAI's form: sampling stands in `options`; images are base64 beside the text, never a URL;
 * arguments of tool calls are objects; a tool's result names the tool and not the call. */
#include "llm/ollama_parse.h"

#include <math.h>

#include "base/json.h"
#include "base/num.h"
#include "llm/body.h"
#include "llm/openai.h"

#define PARTS_MAX (64u << 20)

/* Of the params: these stand beside the messages, everything else is an option. */
static const char *const top_level[] = {"keep_alive", "think", "format", "options", "template", "truncate", NULL};

struct request {
    struct body b;
    const struct llm_request *q;
    struct err *err;
};

static cJSON *member(const cJSON *o, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(o, name);
}

static bool is_in(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

/* ---- messages ---- */

/* The texts of the parts to `text`, the images' base64 to `images` as a JSON array without its brackets. */
static int read_parts(struct request *r, const struct llm_message *m, struct buf *text, struct buf *images)
{
    const cJSON *part;
    cJSON *parts = json_parse(m->parts, PARTS_MAX, "the parts of a message", r->err);
    int e = parts ? 0 : ERR_INVALID;
    cJSON_ArrayForEach(part, parts)
    {
        const char *said = json_str(part, "text", NULL), *url = json_str(member(part, "image_url"), "url", NULL),
                   *data = url && strncmp(url, "data:", 5) == 0 ? strstr(url, ";base64,") : NULL;
        if (said) {
            buf_add_str(text, text->len ? "\n" : "");
            buf_add_str(text, said);
        } else if (data) {
            buf_add_str(images, images->len ? "," : "");
            json_quote(images, slice_str(data + 8));
        } else {
            e = url ? err_set(r->err, ERR_INVALID, "Ollama takes images as data: URLs with base64 only")
                    : err_set(r->err, ERR_INVALID, "parts of the type '%.40s' cannot be sent to an Ollama model",
                              json_str(part, "type", ""));
            break;
        }
    }
    cJSON_Delete(parts);
    return e;
}

static int write_calls(struct request *r, struct slice text)
{
    const cJSON *call;
    cJSON *calls = json_parse(text, PARTS_MAX, "tool calls", r->err);
    struct buf *to = r->b.to;
    int n = 0, e = calls ? 0 : ERR_INVALID;
    buf_add_str(to, ",\"tool_calls\":[");
    cJSON_ArrayForEach(call, calls)
    {
        const cJSON *fn = member(call, "function");
        struct slice args = slice_str(json_str(fn, "arguments", ""));
        cJSON *o =
            args.len ? json_parse(args, PARTS_MAX, "the arguments of a tool call", r->err) : cJSON_CreateObject();
        if (!cJSON_IsObject(o))
            e = err_set(r->err, ERR_INVALID, "the arguments of a tool call must be a JSON object");
        buf_add_str(to, n++ ? ",{\"function\":{\"name\":" : "{\"function\":{\"name\":");
        json_quote(to, slice_str(json_str(fn, "name", "")));
        buf_add_str(to, ",\"arguments\":");
        json_print(to, o);
        buf_add_str(to, "}}");
        cJSON_Delete(o);
        if (e < 0)
            break;
    }
    buf_add_char(to, ']');
    cJSON_Delete(calls);
    return e;
}

/* The name of the tool that a call id belongs to, appended. */
static void add_tool_name(const struct request *r, struct slice id, struct buf *to)
{
    for (int i = 0; i < r->q->nmessages; i++) {
        const cJSON *call;
        struct slice calls = r->q->messages[i].tool_calls;
        cJSON *all = calls.len ? json_parse(calls, PARTS_MAX, "tool calls", NULL) : NULL;
        cJSON_ArrayForEach(call, all) if (slice_eq(id, slice_str(json_str(call, "id", ""))))
        {
            buf_clear(to);
            buf_add_str(to, json_str(member(call, "function"), "name", ""));
        }
        cJSON_Delete(all);
    }
}

static int write_message(struct request *r, const struct llm_message *m)
{
    struct buf text = {0}, images = {0}, *to = r->b.to;
    bool developer = slice_eq(m->role, SLICE("developer"));
    int e = m->parts.len ? read_parts(r, m, &text, &images) : 0;
    buf_add_str(to, "{\"role\":");
    json_quote(to, developer ? SLICE("system") : m->role);
    buf_add_str(to, ",\"content\":");
    json_quote(to, m->parts.len ? buf_slice(&text) : m->content);
    if (images.len) {
        buf_add_str(to, ",\"images\":[");
        buf_add(to, images.p, images.len);
        buf_add_char(to, ']');
    }
    if (e == 0 && m->tool_calls.len)
        e = write_calls(r, m->tool_calls);
    buf_clear(&text);
    if (m->tool_call_id.len)
        add_tool_name(r, m->tool_call_id, &text);
    if (text.len) {
        buf_add_str(to, ",\"tool_name\":");
        json_quote(to, buf_slice(&text));
    }
    buf_add_char(to, '}');
    buf_release(&text);
    buf_release(&images);
    return e;
}

static int write_messages(struct request *r)
{
    const struct llm_request *q = r->q;
    struct llm_message system = {.role = SLICE("system"), .content = q->system};
    int e = 0;
    body_field(&r->b, "messages");
    buf_add_char(r->b.to, '[');
    if (q->system.len)
        e = write_message(r, &system);
    for (int i = 0; i < q->nmessages && e == 0; i++) {
        if (i || q->system.len)
            buf_add_char(r->b.to, ',');
        e = write_message(r, &q->messages[i]);
    }
    buf_add_char(r->b.to, ']');
    return e;
}

/* ---- options ---- */

/* Those params that are options; a skipped one leaves a note. */
static void option_params(struct body *o, const cJSON *params, const char *const *skip)
{
    const cJSON *v;
    cJSON_ArrayForEach(v, params)
    {
        if (is_in(top_level, v->string) || strcmp(v->string, "stream") == 0 || body_has(o, v->string))
            continue;
        if (skip && is_in(skip, v->string)) {
            llm_note(o->notes, v->string, "dropped", "the vendor does not know it");
        } else if (o->n < BODY_NAMES_MAX) {
            body_field(o, v->string);
            json_print(o->to, v);
        }
    }
}

static void write_options(struct request *r, const struct body_params *p)
{
    const struct llm_request *q = r->q;
    struct buf text = {0};
    struct body o = {.to = &text, .notes = r->b.notes};
    body_real(&o, "temperature", q->temperature);
    body_real(&o, "top_p", q->top_p);
    body_real(&o, "frequency_penalty", q->frequency_penalty);
    body_real(&o, "presence_penalty", q->presence_penalty);
    if (q->max_tokens > 0)
        body_int(&o, "num_predict", q->max_tokens);
    if (q->has_seed)
        body_int(&o, "seed", q->seed);
    if (q->nstop)
        body_texts(&o, "stop", q->stop, q->nstop);
    option_params(&o, p->mine, body_openai_only);
    option_params(&o, p->models, NULL);
    body_members(&o, member(p->mine, "options"), NULL);
    body_members(&o, member(p->models, "options"), NULL);
    if (o.n) {
        buf_add_char(&text, '}');
        body_raw(&r->b, "options", buf_slice(&text));
    }
    buf_release(&text);
}

static void write_top_level(struct request *r, const cJSON *params)
{
    const cJSON *v;
    cJSON_ArrayForEach(v, params)
    {
        if (!is_in(top_level, v->string) || strcmp(v->string, "options") == 0 || body_has(&r->b, v->string))
            continue;
        body_field(&r->b, v->string);
        json_print(r->b.to, v);
    }
}

static void write_tools(struct request *r)
{
    const struct llm_request *q = r->q;
    bool none = slice_eq(q->tool_choice, SLICE("\"none\"")),
         plain = q->tool_choice.len == 0 || slice_eq(q->tool_choice, SLICE("\"auto\""));
    if (q->tools.len == 0)
        return;
    if (none)
        llm_note(r->b.notes, "tool_choice", "mapped", "none: the tools are left out");
    else
        body_raw(&r->b, "tools", q->tools);
    if (!none && !plain)
        llm_note(r->b.notes, "tool_choice", "dropped", "the vendor only knows auto");
    if (q->parallel_tools >= 0)
        llm_note(r->b.notes, "parallel_tool_calls", "dropped", "the vendor does not know it");
}

static void write_think(struct request *r)
{
    struct slice e = r->q->effort;
    if (e.len == 0 && r->q->think_tokens == 0)
        return;
    if (slice_eq(e, SLICE("none"))) {
        body_raw(&r->b, "think", SLICE("false"));
    } else if (slice_eq(e, SLICE("low")) || slice_eq(e, SLICE("medium")) || slice_eq(e, SLICE("high"))) {
        body_text(&r->b, "think", e);
    } else {
        body_raw(&r->b, "think", SLICE("true"));
        llm_note(r->b.notes, e.len ? "effort" : "think_tokens", "mapped",
                 "thinking is on; the vendor knows low, medium "
                 "and high");
    }
}

static int chat_body(const struct llm_request *q, const struct model *m, struct buf *to, struct buf *notes,
                     struct err *err)
{
    struct request r = {.b = {.to = to, .notes = notes}, .q = q, .err = err};
    struct body_params p;
    int e = body_params_read(&p, q->params, m, err);
    body_text(&r.b, "model", slice_str(m->id));
    if (e == 0)
        e = write_messages(&r);
    if (e == 0) {
        body_raw(&r.b, "stream", q->stream ? SLICE("true") : SLICE("false"));
        if (q->schema.len)
            body_raw(&r.b, "format", q->schema);
        else if (q->json)
            body_raw(&r.b, "format", SLICE("\"json\""));
        write_tools(&r);
        write_think(&r);
        if (q->end_user.len)
            llm_note(notes, "user", "dropped", "the vendor does not know it");
        write_options(&r, &p);
        write_top_level(&r, p.mine);
        write_top_level(&r, p.models);
        buf_add_char(to, '}');
    }
    body_params_release(&p);
    return e;
}

static int embed_body(const struct llm_embed_request *q, const struct model *m, struct buf *to, struct buf *notes,
                      struct err *err)
{
    struct body b = {.to = to, .notes = notes};
    body_text(&b, "model", slice_str(m->id));
    body_texts(&b, "input", q->texts, q->ntexts);
    if (q->dim > 0)
        body_int(&b, "dimensions", q->dim);
    return body_end(&b, (struct slice){0}, m, NULL, err);
}

extern const struct llm_provider provider_ollama;
const struct llm_provider provider_ollama = {
    .name = "ollama",
    .url = "http://127.0.0.1:11434",
    .about = "Ollama by its own API",
    .chat_path = "/api/chat",
    .embed_path = "/api/embed",
    .headers = openai_headers,
    .chat_body = chat_body,
    .chat_whole = ollama_chat_whole,
    .embed_body = embed_body,
    .embed_whole = ollama_embed_whole,
    .failure = ollama_failure,
    .stream_type = "application/x-ndjson",
    .stream_create = ollama_stream_create,
    .stream_feed = ollama_stream_feed,
    .stream_end = ollama_stream_end,
    .stream_destroy = ollama_stream_destroy,
};
