/* The provider `openai`: OpenAI's chat completions and embeddings, and everything that speaks them (vLLM, llama.cpp,
 * text-embeddings-inference, LM Studio, DeepSeek, Moonshot, ...). Here is the request; openai_parse.c has the replies.
 *
 * A field of the body is taken from the first that has it: what the request says, the request's params, the model's
 * PARAMS. model, messages and stream cannot be overridden. Usage is always asked for on streams: without it there is
 * nothing to account with. */
#include <math.h>

#include "base/json.h"
#include "base/num.h"
#include "llm/openai_parse.h"
#include "llm/provider.h"

#define NAMES_MAX 64

/* The body being written, and the names that are in it. */
struct body {
    struct buf *to;
    const char *names[NAMES_MAX];
    int n;
};

static bool has(const struct body *b, const char *name)
{
    for (int i = 0; i < b->n; i++)
        if (strcmp(b->names[i], name) == 0)
            return true;
    return false;
}

static void field(struct body *b, const char *name)
{
    buf_add_char(b->to, b->n ? ',' : '{');
    json_quote(b->to, slice_str(name));
    buf_add_char(b->to, ':');
    if (b->n < NAMES_MAX)
        b->names[b->n++] = name;
}

static void text_field(struct body *b, const char *name, struct slice v)
{
    field(b, name);
    json_quote(b->to, v);
}

static void int_field(struct body *b, const char *name, int64_t v)
{
    field(b, name);
    buf_addf(b->to, "%lld", (long long)v);
}

static void real_field(struct body *b, const char *name, double v)
{
    char text[NUM_DOUBLE_MAX];
    if (isfinite(v)) {
        field(b, name);
        buf_add(b->to, text, num_from_double(text, v));
    }
}

static void raw(struct buf *to, struct slice json)
{
    buf_add(to, json.p, json.len);
}

static void write_message(struct buf *to, struct slice role, struct slice content)
{
    buf_add_str(to, "{\"role\":");
    json_quote(to, role);
    buf_add_str(to, ",\"content\":");
    json_quote(to, content);
}

static void write_full_message(struct buf *to, const struct llm_message *m)
{
    buf_add_str(to, "{\"role\":");
    json_quote(to, m->role);
    buf_add_str(to, ",\"content\":");
    if (m->parts.len)
        raw(to, m->parts);
    else if (m->content.len == 0 && m->tool_calls.len)
        buf_add_str(to, "null");
    else
        json_quote(to, m->content);
    if (m->name.len) {
        buf_add_str(to, ",\"name\":");
        json_quote(to, m->name);
    }
    if (m->tool_calls.len) {
        buf_add_str(to, ",\"tool_calls\":");
        raw(to, m->tool_calls);
    }
    if (m->tool_call_id.len) {
        buf_add_str(to, ",\"tool_call_id\":");
        json_quote(to, m->tool_call_id);
    }
    buf_add_char(to, '}');
}

static void write_messages(struct body *b, const struct llm_request *q)
{
    field(b, "messages");
    buf_add_char(b->to, '[');
    if (q->system.len) {
        write_message(b->to, SLICE("system"), q->system);
        buf_add_char(b->to, '}');
    }
    for (int i = 0; i < q->nmessages; i++) {
        if (i || q->system.len)
            buf_add_char(b->to, ',');
        write_full_message(b->to, &q->messages[i]);
    }
    buf_add_char(b->to, ']');
}

static void write_stop(struct body *b, const struct llm_request *q)
{
    field(b, "stop");
    for (int i = 0; i < q->nstop; i++) {
        buf_add_char(b->to, i ? ',' : '[');
        json_quote(b->to, q->stop[i]);
    }
    buf_add_char(b->to, ']');
}

static void write_format(struct body *b, const struct llm_request *q)
{
    field(b, "response_format");
    if (q->schema.len == 0) {
        buf_add_str(b->to, "{\"type\":\"json_object\"}");
        return;
    }
    buf_add_str(b->to, "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"schema\":");
    raw(b->to, q->schema);
    buf_add_str(b->to, "}}");
}

/* Adds the members of a JSON object that are not there yet. The tree must live until the body is written: names are
 * borrowed from it. */
static void write_params(struct body *b, const cJSON *o)
{
    const cJSON *v;
    cJSON_ArrayForEach(v, o)
    {
        if (has(b, v->string) || strcmp(v->string, "stream") == 0 || strcmp(v->string, "stream_options") == 0)
            continue;
        field(b, v->string);
        json_print(b->to, v);
    }
}

static int parse_params(struct slice text, const char *what, cJSON **out, struct err *err)
{
    *out = NULL;
    if (text.len == 0)
        return 0;
    *out = json_parse(text, 1u << 20, what, err);
    if (!*out)
        return ERR_INVALID;
    return cJSON_IsObject(*out) ? 0 : err_set(err, ERR_INVALID, "%s must be a JSON object", what);
}

/* Closes the body with what the request's and the model's params add. */
static int finish_body(struct body *b, struct slice params, const struct model *m, struct err *err)
{
    cJSON *mine = NULL, *models = NULL;
    int r = parse_params(params, "PARAMS", &mine, err);
    if (r == 0)
        r = parse_params(m->params ? slice_str(m->params) : (struct slice){0}, "the model's PARAMS", &models, err);
    if (r == 0) {
        write_params(b, mine);
        write_params(b, models);
        buf_add_char(b->to, '}');
    }
    cJSON_Delete(mine);
    cJSON_Delete(models);
    return r;
}

static int chat_body(const struct llm_request *q, const struct model *m, struct buf *to, struct buf *notes,
                     struct err *err)
{
    struct body b = {.to = to};
    text_field(&b, "model", slice_str(m->id));
    write_messages(&b, q);
    real_field(&b, "temperature", q->temperature);
    real_field(&b, "top_p", q->top_p);
    if (q->max_tokens > 0)
        int_field(&b, "max_tokens", q->max_tokens);
    if (q->has_seed)
        int_field(&b, "seed", q->seed);
    if (q->nstop)
        write_stop(&b, q);
    if (q->json || q->schema.len)
        write_format(&b, q);
    if (q->tools.len) {
        field(&b, "tools");
        raw(to, q->tools);
    }
    if (q->stream) {
        field(&b, "stream");
        buf_add_str(to, "true");
        field(&b, "stream_options");
        buf_add_str(to, "{\"include_usage\":true}");
    }
    return finish_body(&b, q->params, m, err);
}

static int embed_body(const struct llm_embed_request *q, const struct model *m, struct buf *to, struct buf *notes,
                      struct err *err)
{
    struct body b = {.to = to};
    text_field(&b, "model", slice_str(m->id));
    field(&b, "input");
    for (int i = 0; i < q->ntexts; i++) {
        buf_add_char(to, i ? ',' : '[');
        json_quote(to, q->texts[i]);
    }
    buf_add_char(to, ']');
    text_field(&b, "encoding_format", SLICE("float"));
    if (q->dim > 0)
        int_field(&b, "dimensions", q->dim);
    return finish_body(&b, (struct slice){0}, m, err);
}

static void headers(const struct llm_provider *p, struct buf *lines, struct slice key)
{
    if (key.len == 0)
        return;
    buf_add_str(lines, "Authorization: Bearer ");
    buf_add(lines, key.p, key.len);
    buf_add_char(lines, '\n');
}

extern const struct llm_provider provider_openai;
const struct llm_provider provider_openai = {
    .name = "openai",
    .url = "https://api.openai.com/v1",
    .about = "OpenAI's chat completions and embeddings, and every server that speaks them",
    .chat_path = "/chat/completions",
    .embed_path = "/embeddings",
    .headers = headers,
    .chat_body = chat_body,
    .chat_whole = openai_chat_whole,
    .embed_body = embed_body,
    .embed_whole = openai_embed_whole,
    .failure = openai_failure,
    .stream_type = "text/event-stream",
    .stream_create = openai_stream_create,
    .stream_feed = openai_stream_feed,
    .stream_end = openai_stream_end,
    .stream_destroy = openai_stream_destroy,
};
