/* OpenAI's requests, as the row's quirks want them: chat completions and embeddings. Replies are in openai_parse.c.
 *
 * A field of the body is taken from the first that has it: what the request says, the request's params, the model's
 * PARAMS. model, messages and stream cannot be overridden. Usage is always asked for on streams: without it there is
 * nothing to account with. */
#include "llm/openai.h"

#include <math.h>

#include "base/json.h"
#include "llm/body.h"
#include "llm/openai_quirks.h"

/* A chat body being written. */
struct chat {
    struct body b;
    const struct openai_quirks *k;
    const struct llm_request *q;
    bool reasons; /* a reasoning model: its sampling is its own */
};

/* ---- messages ---- */

static void drop_cache_control(cJSON *v)
{
    for (; v; v = v->next) {
        if (cJSON_IsObject(v))
            cJSON_DeleteItemFromObjectCaseSensitive(v, "cache_control");
        drop_cache_control(v->child);
    }
}

/* JSON that may carry Anthropic's cache_control, which others refuse. */
static void write_plain(const struct chat *c, struct slice json)
{
    cJSON *v = NULL;
    if (!c->k->keeps_cache_control && memmem(json.p, json.len, "\"cache_control\"", 15))
        v = json_parse(json, LLM_TEXT_MAX * 4, "parts", NULL);
    if (v) {
        drop_cache_control(v->child);
        json_print(c->b.to, v);
    } else {
        buf_add(c->b.to, json.p, json.len);
    }
    cJSON_Delete(v);
}

static void member(struct buf *to, const char *name, struct slice text)
{
    buf_addf(to, ",\"%s\":", name);
    json_quote(to, text);
}

static bool echoes(const struct chat *c, const struct llm_message *m)
{
    if (c->k->echo == ECHO_ALWAYS)
        return m->reasoning.len > 0;
    return c->k->echo == ECHO_TOOL_TURNS && m->tool_calls.len > 0;
}

static void write_message(const struct chat *c, const struct llm_message *m)
{
    struct buf *to = c->b.to;
    bool developer = !c->k->keeps_developer && slice_eq(m->role, SLICE("developer"));
    buf_add_str(to, "{\"role\":");
    json_quote(to, developer ? SLICE("system") : m->role);
    buf_add_str(to, ",\"content\":");
    if (m->parts.len)
        write_plain(c, m->parts);
    else if (m->content.len == 0 && m->tool_calls.len)
        buf_add_str(to, "null");
    else
        json_quote(to, m->content);
    if (m->name.len)
        member(to, "name", m->name);
    if (m->tool_calls.len) {
        buf_add_str(to, ",\"tool_calls\":");
        buf_add(to, m->tool_calls.p, m->tool_calls.len);
    }
    if (m->tool_call_id.len)
        member(to, "tool_call_id", m->tool_call_id);
    if (echoes(c, m))
        member(to, "reasoning_content", m->reasoning);
    buf_add_char(to, '}');
}

/* What a vendor that does not follow schemas is told in words. */
static bool needs_schema_in_words(const struct chat *c)
{
    return c->k->no_schema && c->q->schema.len;
}

static void write_schema_in_words(const struct chat *c)
{
    struct buf words = {0};
    buf_add_str(&words, "Answer with one JSON object that follows this JSON schema, and nothing else:\n");
    buf_add(&words, c->q->schema.p, c->q->schema.len);
    struct llm_message m = {.role = SLICE("system"), .content = buf_slice(&words)};
    write_message(c, &m);
    buf_release(&words);
}

static int write_messages(struct chat *c, struct err *err)
{
    const struct llm_request *q = c->q;
    struct llm_message system = {.role = SLICE("system"), .content = q->system};
    const char *comma = "";
    body_field(&c->b, "messages");
    buf_add_char(c->b.to, '[');
    if (q->system.len) {
        write_message(c, &system);
        comma = ",";
    }
    if (needs_schema_in_words(c)) {
        buf_add_str(c->b.to, comma);
        write_schema_in_words(c);
        comma = ",";
    }
    for (int i = 0; i < q->nmessages; i++) {
        const struct llm_message *m = &q->messages[i];
        if (c->k->no_images && m->parts.len && memmem(m->parts.p, m->parts.len, "\"image_url\"", 11))
            return err_set(err, ERR_INVALID, "this provider's models cannot see images");
        buf_add_str(c->b.to, comma);
        write_message(c, m);
        comma = ",";
    }
    buf_add_char(c->b.to, ']');
    return 0;
}

/* ---- parameters ---- */

/* The name that a parameter goes by at this vendor; NULL when it is dropped, which leaves a note. */
static const char *name_of(struct chat *c, const char *name)
{
    for (const struct openai_param *p = c->k->params; p && p->name; p++) {
        if (strcmp(p->name, name) != 0)
            continue;
        if (!p->as)
            llm_note(c->b.notes, name, "dropped", "the vendor does not know it");
        return p->as;
    }
    return name;
}

static bool sampling_is_fixed(struct chat *c, const char *name)
{
    if (c->reasons)
        llm_note(c->b.notes, name, "dropped", "reasoning models choose it themselves");
    return c->reasons;
}

static void write_real(struct chat *c, const char *name, double v, double least, double most)
{
    if (isnan(v) || sampling_is_fixed(c, name))
        return;
    const char *as = name_of(c, name);
    double fit = v < least ? least : most > 0 && v > most ? most : v;
    if (as && fit != v)
        llm_note(c->b.notes, name, "mapped",
                 fit > v ? "raised to the least value that the vendor takes"
                         : "lowered to the greatest value that the vendor takes");
    if (as)
        body_real(&c->b, as, fit);
}

static void write_sampling(struct chat *c)
{
    const struct llm_request *q = c->q;
    write_real(c, "temperature", q->temperature, c->k->temperature_above_0 ? 0.01 : -INFINITY, c->k->temperature_max);
    write_real(c, "top_p", q->top_p, c->k->top_p_open ? 0.01 : -INFINITY, c->k->top_p_open ? 0.99 : 0);
    write_real(c, "frequency_penalty", q->frequency_penalty, -INFINITY, 0);
    write_real(c, "presence_penalty", q->presence_penalty, -INFINITY, 0);
    const char *as;
    if (q->max_tokens > 0)
        body_int(&c->b,
                 c->reasons         ? "max_completion_tokens"
                 : c->k->max_tokens ? c->k->max_tokens
                                    : "max_tokens",
                 q->max_tokens);
    if (q->has_seed && (as = name_of(c, "seed")))
        body_int(&c->b, as, q->seed);
    if (q->nstop && (as = name_of(c, "stop")))
        body_texts(&c->b, as, q->stop, q->nstop);
    if (q->end_user.len && (as = name_of(c, "user")))
        body_text(&c->b, as, q->end_user);
}

static void write_format(struct chat *c)
{
    const struct llm_request *q = c->q;
    struct buf *to = c->b.to;
    if (!(q->json || q->schema.len) || !name_of(c, "response_format"))
        return;
    body_field(&c->b, "response_format");
    if (q->schema.len == 0 || c->k->no_schema) {
        buf_add_str(to, "{\"type\":\"json_object\"}");
        if (q->schema.len)
            llm_note(c->b.notes, "schema", "mapped", "the vendor follows no schemas: the model is told in words");
        return;
    }
    buf_add_str(to, "{\"type\":\"json_schema\",\"json_schema\":{\"name\":");
    json_quote(to, q->schema_name.len ? q->schema_name : SLICE("answer"));
    buf_add_str(to, ",\"schema\":");
    buf_add(to, q->schema.p, q->schema.len);
    buf_add_str(to, q->schema_strict ? ",\"strict\":true}}" : "}}");
}

static void write_tools(struct chat *c)
{
    const struct llm_request *q = c->q;
    if (q->tools.len == 0 || !name_of(c, "tools"))
        return;
    bool plain = q->tool_choice.len == 0 || slice_eq(q->tool_choice, SLICE("\"auto\""));
    if (c->k->choice_auto_only && slice_eq(q->tool_choice, SLICE("\"none\""))) {
        llm_note(c->b.notes, "tool_choice", "mapped", "none: the tools are left out");
        return;
    }
    body_field(&c->b, "tools");
    write_plain(c, q->tools);
    if (c->k->choice_auto_only && !plain)
        llm_note(c->b.notes, "tool_choice", "dropped", "the vendor only knows auto");
    else if (q->tool_choice.len)
        body_raw(&c->b, "tool_choice", q->tool_choice);
    if (q->parallel_tools >= 0 && name_of(c, "parallel_tool_calls"))
        body_raw(&c->b, "parallel_tool_calls", q->parallel_tools ? SLICE("true") : SLICE("false"));
}

/* ---- thinking ---- */

static struct slice effort_of_tokens(int64_t tokens)
{
    return tokens <= 2048 ? SLICE("low") : tokens <= 8192 ? SLICE("medium") : SLICE("high");
}

static void write_effort(struct chat *c)
{
    const struct llm_request *q = c->q;
    if (q->effort.len == 0)
        llm_note(c->b.notes, "think_tokens", "mapped", "the vendor takes an effort, not a number of tokens");
    body_text(&c->b, "reasoning_effort", q->effort.len ? q->effort : effort_of_tokens(q->think_tokens));
}

static void note_lost_level(struct chat *c)
{
    if (c->q->think_tokens > 0)
        llm_note(c->b.notes, "think_tokens", "mapped", "thinking is on; the vendor takes no number of tokens");
    else
        llm_note(c->b.notes, "effort", "mapped", "thinking is on or off; the vendor takes no level");
}

static void write_thinking(struct chat *c)
{
    const struct llm_request *q = c->q;
    bool off = slice_eq(q->effort, SLICE("none"));
    if (q->effort.len == 0 && q->think_tokens == 0)
        return;
    switch (c->k->thinking) {
    case THINK_EFFORT: write_effort(c); break;
    case THINK_BOTH:
        if (!off)
            write_effort(c);
        body_raw(&c->b, "thinking", off ? SLICE("{\"type\":\"disabled\"}") : SLICE("{\"type\":\"enabled\"}"));
        break;
    case THINK_TYPE:
        body_raw(&c->b, "thinking", off ? SLICE("{\"type\":\"disabled\"}") : SLICE("{\"type\":\"enabled\"}"));
        if (!off)
            note_lost_level(c);
        break;
    case THINK_ENABLE:
        body_raw(&c->b, "enable_thinking", off ? SLICE("false") : SLICE("true"));
        if (q->think_tokens > 0 && !off)
            body_int(&c->b, "thinking_budget", q->think_tokens);
        else if (!off)
            note_lost_level(c);
        break;
    case THINK_TEMPLATE:
        body_raw(&c->b, "chat_template_kwargs",
                 off ? SLICE("{\"enable_thinking\":false}") : SLICE("{\"enable_thinking\":true}"));
        if (!off)
            note_lost_level(c);
        break;
    case THINK_NONE: llm_note(c->b.notes, "effort", "dropped", "the vendor has no switch for thinking"); break;
    }
}

/* ---- bodies ---- */

static bool starts_with_one_of(const char *id, const char *const *list)
{
    for (; list && *list; list++)
        if (strncmp(id, *list, strlen(*list)) == 0)
            return true;
    return false;
}

int openai_chat_body(const struct llm_request *q, const struct model *m, struct buf *to, struct buf *notes,
                     struct err *err)
{
    struct chat c = {.b = {.to = to, .notes = notes}, .k = openai_quirks_of(m->provider), .q = q};
    c.reasons = starts_with_one_of(m->id, c.k->reasoning_models) && !strstr(m->id, "-chat");
    body_text(&c.b, "model", slice_str(m->id));
    int r = write_messages(&c, err);
    if (r < 0)
        return r;
    write_sampling(&c);
    write_format(&c);
    write_tools(&c);
    write_thinking(&c);
    if (q->stream) {
        body_raw(&c.b, "stream", SLICE("true"));
        if (!c.k->no_stream_options)
            body_raw(&c.b, "stream_options", SLICE("{\"include_usage\":true}"));
    }
    return body_end(&c.b, q->params, m, NULL, err);
}

int openai_embed_body(const struct llm_embed_request *q, const struct model *m, struct buf *to, struct buf *notes,
                      struct err *err)
{
    struct body b = {.to = to, .notes = notes};
    bool elsewhere = m->url && m->provider->url; /* another server than the vendor's: all of them know float */
    bool base64 = openai_quirks_of(m->provider)->embed_base64 && !elsewhere;
    body_text(&b, "model", slice_str(m->id));
    body_texts(&b, "input", q->texts, q->ntexts);
    body_text(&b, "encoding_format", base64 ? SLICE("base64") : SLICE("float"));
    if (q->dim > 0)
        body_int(&b, "dimensions", q->dim);
    return body_end(&b, (struct slice){0}, m, NULL, err);
}

/* A token of three parts (a JWT) is no key: it is always a bearer's. */
static bool is_token(struct slice key)
{
    return key.len > 40 && memcmp(key.p, "eyJ", 3) == 0;
}

void openai_headers(const struct llm_provider *p, struct buf *lines, struct slice key)
{
    const struct openai_quirks *k = openai_quirks_of(p);
    if (key.len == 0)
        return;
    if (k && k->key_header && !is_token(key))
        buf_addf(lines, "%s: ", k->key_header);
    else
        buf_add_str(lines, "Authorization: Bearer ");
    buf_add(lines, key.p, key.len);
    buf_add_char(lines, '\n');
}
