/* OpenAI's replies.
 *
 * A stream is server-sent events whose data are JSON chunks. Text is handed on as it comes; tool calls are gathered by
 * their index (or id, or simply the last one, for servers that leave the index out) and written as one JSON array at
 * the end. Usage may come in any chunk, usually in one after the last choice. Only choice 0 is read. */
#include "llm/openai_parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/json_scan.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "llm/openai_chunk.h"
#include "llm/openai_quirks.h"
#include "llm/think_tags.h"
#include "net/sse.h"

#define EVENT_MAX      (8u << 20)
#define BODY_MAX       (64u << 20)
#define TOOL_CALLS_MAX 128

struct tool_call {
    int64_t index; /* -1: the server gave none */
    struct buf id, name, arguments;
};

struct llm_stream {
    struct llm_answer *a;
    llm_delta_fn *delta;
    void *arg;
    struct sse sse;
    const struct llm_provider *p;
    struct think_tags think;
    struct buf piece; /* the text of one chunk, before its reasoning is taken out */
    struct tool_call *calls;
    int ncalls;
    bool done; /* [DONE] */
    struct err *err;
};

static cJSON *member(const cJSON *o, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(o, name);
}

static int64_t count_of(const cJSON *o, const char *name)
{
    double d = json_num(o, name, -1);
    return d >= 0 && d < 1e15 ? (int64_t)d : -1;
}

static int garbage(struct err *err, const char *what)
{
    return err_set(err, ERR_UPSTREAM, "the provider's reply is not one of the OpenAI API: %s", what);
}

static int too_long(struct err *err)
{
    return err_set(err, ERR_UPSTREAM, "the provider's answer is over the limit of %u bytes", LLM_TEXT_MAX);
}

static cJSON *parse(struct slice body, size_t max, struct err *err)
{
    struct err why;
    cJSON *root = json_parse(body, max, "reply", &why);
    if (!root)
        garbage(err, why.msg);
    else if (!cJSON_IsObject(root))
        garbage(err, "it is no JSON object");
    if (cJSON_IsObject(root))
        return root;
    cJSON_Delete(root);
    return NULL;
}

/* ---- what whole replies and chunks have in common ---- */

static bool add_text(struct buf *to, const char *text)
{
    return !text || buf_add_str(to, text);
}

/* content: a string, null, or an array of parts. Appends to `to`. */
static bool add_content(struct buf *to, const cJSON *content)
{
    if (cJSON_IsString(content))
        return add_text(to, content->valuestring);
    const cJSON *part;
    bool ok = true;
    if (cJSON_IsArray(content))
        cJSON_ArrayForEach(part, content) ok = ok && add_text(to, json_str(part, "text", NULL));
    return ok;
}

static bool add_reasoning(struct buf *to, const cJSON *message)
{
    return add_text(to, json_str(message, "reasoning_content", json_str(message, "reasoning", NULL)));
}

static void take_usage(struct llm_answer *a, const cJSON *root)
{
    const cJSON *u = member(root, "usage");
    if (!cJSON_IsObject(u))
        return;
    int64_t in = count_of(u, "prompt_tokens"), out = count_of(u, "completion_tokens");
    a->tokens_in = in >= 0 ? in : a->tokens_in;
    a->tokens_out = out >= 0 ? out : a->tokens_out;
    int64_t cached = count_of(member(u, "prompt_tokens_details"), "cached_tokens"),
            thought = count_of(member(u, "completion_tokens_details"), "reasoning_tokens");
    if (cached < 0) /* DeepSeek's name, then Moonshot's */
        cached = count_of(u, "prompt_cache_hit_tokens");
    if (cached < 0)
        cached = count_of(u, "cached_tokens");
    a->tokens_cached = cached >= 0 ? cached : a->tokens_cached;
    a->tokens_reasoning = thought >= 0 ? thought : a->tokens_reasoning;
}

static void take_word(struct buf *to, const char *word)
{
    if (!word || !*word)
        return;
    buf_clear(to);
    buf_add(to, word, utf8_cut(slice_str(word), 200));
}

/* The vendors' reasons as OpenAI names them. False: it is the name of a failure. */
static bool take_finish(struct buf *to, const char *word)
{
    static const struct {
        const char *theirs, *ours;
    } words[] = {
        {"sensitive", "content_filter"},
        {"model_context_window_exceeded", "length"},
        {"max_tokens", "length"},
        {"function_call", "tool_calls"},
        {"tool_use", "tool_calls"},
        {"eos", "stop"},
        {"end_turn", "stop"},
        {"stop_sequence", "stop"},
    };
    for (size_t i = 0; word && i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i].theirs) == 0)
            word = words[i].ours;
    take_word(to, word);
    return !word || (strcmp(word, "network_error") != 0 && strcmp(word, "insufficient_system_resource") != 0);
}

static int broken_off(struct llm_answer *a, struct err *err)
{
    a->failure = LLM_TRANSIENT;
    return err_set(err, ERR_UPSTREAM, "the provider broke off the answer: %s", buf_cstr(&a->finish));
}

/* ---- whole ---- */

static bool give_whole(void *arg, bool reasoning, struct slice text)
{
    struct llm_answer *a = arg;
    return buf_add(reasoning ? &a->reasoning : &a->text, text.p, text.len);
}

static bool read_content(const struct llm_provider *p, const cJSON *content, struct llm_answer *a)
{
    struct think_tags t = {0};
    struct buf all = {0};
    if (!openai_quirks_of(p)->think_tags)
        return add_content(&a->text, content);
    bool ok = add_content(&all, content) && think_tags_feed(&t, buf_slice(&all), give_whole, a) &&
              think_tags_end(&t, give_whole, a);
    buf_release(&all);
    return ok;
}

static int read_message(const struct llm_provider *p, const cJSON *choice, struct llm_answer *a, struct err *err)
{
    const cJSON *m = member(choice, "message");
    if (!m && strcmp(json_str(choice, "finish_reason", ""), "content_filter") == 0) { /* all of it was held back */
        take_word(&a->finish, "content_filter");
        return 0;
    }
    if (!cJSON_IsObject(m))
        return garbage(err, "the choice has no message");
    if (!read_content(p, member(m, "content"), a) || !add_reasoning(&a->reasoning, m))
        return too_long(err);
    if (a->text.len == 0 && !add_text(&a->text, json_str(m, "refusal", NULL)))
        return too_long(err);
    openai_whole_calls(member(m, "tool_calls"), &a->tool_calls);
    if (a->tool_calls.full)
        return too_long(err);
    const char *unsaid = a->tool_calls.len ? "tool_calls" : "stop";
    return take_finish(&a->finish, json_str(choice, "finish_reason", unsaid)) ? 0 : broken_off(a, err);
}

int openai_chat_whole(const struct llm_provider *p, struct slice body, struct llm_answer *a, struct err *err)
{
    cJSON *root = parse(body, BODY_MAX, err);
    if (!root)
        return ERR_UPSTREAM;
    const cJSON *choices = member(root, "choices"), *first = cJSON_GetArrayItem(choices, 0);
    int r = openai_hidden_error(p, root, a, err);
    if (r == 0 && (!cJSON_IsArray(choices) || !first))
        r = garbage(err, "it has no choices");
    if (r == 0)
        r = read_message(p, first, a, err);
    take_usage(a, root);
    take_word(&a->model_id, json_str(root, "model", NULL));
    cJSON_Delete(root);
    return r;
}

/* ---- embeddings ---- */

#define DIM_MAX 65536

/* How many numbers an embedding has: an array of them, or base64 of little-endian floats. */
static int dim_of(const cJSON *v)
{
    if (!cJSON_IsString(v))
        return cJSON_IsArray(v) ? cJSON_GetArraySize(v) : 0;
    size_t n = strlen(v->valuestring);
    while (n && v->valuestring[n - 1] == '=')
        n--;
    n = n * 3 / 4;
    return n % sizeof(float) || n / sizeof(float) > DIM_MAX ? 0 : (int)(n / sizeof(float));
}

static int not_a_number(struct err *err)
{
    return garbage(err, "an embedding holds something that is not a number");
}

static int read_base64(const char *text, float *to, int dim, struct err *err)
{
    struct buf bytes = {0};
    bool ok = base64_decode(&bytes, slice_str(text)) && bytes.len == (size_t)dim * sizeof *to;
    if (ok)
        memcpy(to, bytes.p, bytes.len);
    buf_release(&bytes);
    for (int i = 0; ok && i < dim; i++)
        ok = isfinite(to[i]);
    return ok ? 0 : not_a_number(err);
}

static int read_vector(const cJSON *v, float *to, int dim, struct err *err)
{
    const cJSON *x;
    int n = 0;
    if (dim_of(v) != dim)
        return garbage(err, "its embeddings differ in length");
    if (cJSON_IsString(v))
        return read_base64(v->valuestring, to, dim, err);
    cJSON_ArrayForEach(x, v)
    {
        if (!cJSON_IsNumber(x) || !isfinite((float)x->valuedouble))
            return not_a_number(err);
        to[n++] = (float)x->valuedouble;
    }
    return 0;
}

static int vectors_begin(const cJSON *first, int rows, int ntexts, struct llm_answer *a, struct err *err)
{
    if (rows != ntexts)
        return err_set(err, ERR_UPSTREAM, "the provider sent %d embeddings for %d texts", rows, ntexts);
    a->dim = dim_of(first);
    if (a->dim < 1 || a->dim > DIM_MAX)
        return garbage(err, "an embedding has no numbers");
    a->count = ntexts;
    a->vectors = mem_alloc((size_t)ntexts * (size_t)a->dim * sizeof *a->vectors);
    return 0;
}

int openai_read_rows(const cJSON *rows, int ntexts, struct llm_answer *a, struct err *err)
{
    const cJSON *row;
    int place = 0, r = vectors_begin(cJSON_GetArrayItem(rows, 0), cJSON_GetArraySize(rows), ntexts, a, err);
    if (r == 0)
        cJSON_ArrayForEach(row, rows)
        {
            r = read_vector(row, a->vectors + (size_t)place++ * (size_t)a->dim, a->dim, err);
            if (r < 0)
                break;
        }
    return r;
}

static int read_vectors(const cJSON *data, int ntexts, struct llm_answer *a, struct err *err)
{
    const cJSON *row;
    int place = 0,
        r = vectors_begin(member(cJSON_GetArrayItem(data, 0), "embedding"), cJSON_GetArraySize(data), ntexts, a, err);
    if (r < 0)
        return r;
    char *seen = mem_zero((size_t)ntexts);
    cJSON_ArrayForEach(row, data)
    {
        int64_t at = member(row, "index") ? count_of(row, "index") : place;
        place++;
        if (at < 0 || at >= ntexts || seen[at] || !member(row, "embedding")) {
            r = garbage(err, "the places of its embeddings are wrong");
            break;
        }
        seen[at] = 1;
        r = read_vector(member(row, "embedding"), a->vectors + (size_t)at * (size_t)a->dim, a->dim, err);
        if (r < 0)
            break;
    }
    mem_free(seen);
    return r;
}

int openai_embed_whole(const struct llm_provider *p, struct slice body, int ntexts, struct llm_answer *a,
                       struct err *err)
{
    cJSON *root = parse(body, BODY_MAX, err);
    if (!root)
        return ERR_UPSTREAM;
    const cJSON *data = member(root, "data");
    int r = openai_hidden_error(p, root, a, err);
    if (r == 0)
        r = cJSON_IsArray(data) ? read_vectors(data, ntexts, a, err) : garbage(err, "it has no data");
    take_usage(a, root);
    take_word(&a->model_id, json_str(root, "model", NULL));
    cJSON_Delete(root);
    return r;
}

/* ---- streams ---- */

struct llm_stream *openai_stream_create(const struct llm_provider *p, struct llm_answer *a, llm_delta_fn *delta,
                                        void *arg)
{
    struct llm_stream *s = mem_zero(sizeof *s);
    s->p = p;
    s->a = a;
    s->delta = delta;
    s->arg = arg;
    sse_init(&s->sse, EVENT_MAX);
    return s;
}

void openai_stream_destroy(struct llm_stream *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->ncalls; i++) {
        buf_release(&s->calls[i].id);
        buf_release(&s->calls[i].name);
        buf_release(&s->calls[i].arguments);
    }
    mem_free(s->calls);
    buf_release(&s->piece);
    sse_release(&s->sse);
    mem_free(s);
}

/* The call that a delta belongs to; NULL when there are too many. */
static struct tool_call *call_for(struct llm_stream *s, const cJSON *delta)
{
    int64_t index = count_of(delta, "index");
    const char *id = json_str(delta, "id", "");
    for (int i = 0; i < s->ncalls; i++)
        if (index >= 0 ? s->calls[i].index == index : (*id && slice_eq(buf_slice(&s->calls[i].id), slice_str(id))))
            return &s->calls[i];
    if (index < 0 && !*id && s->ncalls)
        return &s->calls[s->ncalls - 1];
    if (s->ncalls == TOOL_CALLS_MAX)
        return NULL;
    s->calls = mem_realloc(s->calls, (size_t)(s->ncalls + 1) * sizeof *s->calls);
    struct tool_call *c = &s->calls[s->ncalls++];
    *c = (struct tool_call){.index = index};
    buf_init(&c->id, 512);
    buf_init(&c->name, 512);
    buf_init(&c->arguments, LLM_TEXT_MAX / 16);
    return c;
}

/* Text of the answer or of its reasoning, kept and told. */
static bool give(void *arg, bool reasoning, struct slice text)
{
    struct llm_stream *s = arg;
    struct llm_delta d = {.kind = reasoning ? LLM_DELTA_REASONING : LLM_DELTA_TEXT, .text = text};
    if (!buf_add(reasoning ? &s->a->reasoning : &s->a->text, text.p, text.len))
        return false;
    if (text.len && s->delta)
        s->delta(s->arg, &d);
    return true;
}

static bool give_content(struct llm_stream *s)
{
    struct slice text = buf_slice(&s->piece);
    return openai_quirks_of(s->p)->think_tags ? think_tags_feed(&s->think, text, give, s) : give(s, false, text);
}

static void tell_tool(struct llm_stream *s, const struct tool_call *c, bool first, size_t before)
{
    struct llm_delta d = {.kind = LLM_DELTA_TOOL,
                          .text = slice_of(c->arguments.p + before, c->arguments.len - before),
                          .tool = (int)(c - s->calls)};
    if (first) {
        d.tool_id = buf_slice(&c->id);
        d.tool_name = buf_slice(&c->name);
    }
    if ((first || d.text.len) && s->delta)
        s->delta(s->arg, &d);
}

static int read_tool_delta(struct llm_stream *s, const cJSON *delta)
{
    struct tool_call *c = call_for(s, delta);
    if (!c)
        return err_set(s->err, ERR_UPSTREAM, "the provider made more than %d tool calls", TOOL_CALLS_MAX);
    const cJSON *fn = member(delta, "function"), *args = member(fn, "arguments");
    bool ok = true, first = c->name.len == 0;
    size_t before = c->arguments.len;
    if (c->id.len == 0)
        ok = add_text(&c->id, json_str(delta, "id", NULL));
    if (c->name.len == 0)
        ok = ok && add_text(&c->name, json_str(fn, "name", NULL));
    if (c->name.len && c->id.len == 0)
        buf_addf(&c->id, "call_%d", (int)(c - s->calls));
    if (cJSON_IsString(args))
        ok = ok && buf_add_str(&c->arguments, args->valuestring);
    else if (cJSON_IsObject(args)) /* some servers send the object itself */
        json_print(&c->arguments, args);
    if (!ok || c->arguments.full)
        return too_long(s->err);
    tell_tool(s, c, first && c->name.len, before);
    return 0;
}

static bool read_texts(struct llm_stream *s, const cJSON *d)
{
    buf_clear(&s->piece);
    if (!add_reasoning(&s->piece, d) || !give(s, true, buf_slice(&s->piece)))
        return false;
    buf_clear(&s->piece);
    return add_content(&s->piece, member(d, "content")) && add_text(&s->piece, json_str(d, "refusal", NULL)) &&
           give_content(s);
}

/* A list of deltas, or one alone (Spark). */
static int read_tool_deltas(struct llm_stream *s, const cJSON *calls)
{
    const cJSON *call;
    int r = cJSON_IsObject(calls) ? read_tool_delta(s, calls) : 0;
    if (cJSON_IsArray(calls))
        cJSON_ArrayForEach(call, calls)
        {
            r = read_tool_delta(s, call);
            if (r < 0)
                break;
        }
    return r;
}

static int read_delta(struct llm_stream *s, const cJSON *choice)
{
    const cJSON *d = member(choice, "delta");
    if (!read_texts(s, d))
        return too_long(s->err);
    int r = read_tool_deltas(s, member(d, "tool_calls"));
    if (r < 0)
        return r;
    return take_finish(&s->a->finish, json_str(choice, "finish_reason", NULL)) ? 0 : broken_off(s->a, s->err);
}

static int read_chunk(struct llm_stream *s, const cJSON *root)
{
    const cJSON *choice;
    int bad = openai_hidden_error(s->p, root, s->a, s->err);
    if (bad < 0)
        return bad;
    take_usage(s->a, root);
    take_word(&s->a->model_id, json_str(root, "model", NULL));
    cJSON_ArrayForEach(choice, member(root, "choices"))
    {
        take_usage(s->a, choice); /* Moonshot's place for it */
        int r = json_num(choice, "index", 0) == 0 ? read_delta(s, choice) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* What read_chunk does, for chunks that need no tree; 1: this is none of them. */
static int read_quick(struct llm_stream *s, struct slice json)
{
    struct openai_chunk c;
    if (!openai_chunk_read(json, &c))
        return 1;
    if (c.model.len && !slice_eq(c.model, buf_slice(&s->a->model_id))) {
        buf_clear(&s->a->model_id);
        buf_add(&s->a->model_id, c.model.p, c.model.len);
    }
    buf_clear(&s->piece);
    if (!json_unescape(&s->piece, c.reasoning) || !give(s, true, buf_slice(&s->piece)))
        return too_long(s->err);
    buf_clear(&s->piece);
    return json_unescape(&s->piece, c.content) && give_content(s) ? 0 : too_long(s->err);
}

static int on_event(void *arg, const struct sse_event *e)
{
    struct llm_stream *s = arg;
    struct slice d = e->data;
    while (d.len && (d.p[d.len - 1] == ' ' || d.p[d.len - 1] == '\n'))
        d.len--;
    if (s->done || d.len == 0)
        return 0;
    if (slice_eq(d, SLICE("[DONE]"))) {
        s->done = true;
        return 0;
    }
    int quick = read_quick(s, d);
    if (quick <= 0)
        return quick;
    cJSON *root = parse(d, EVENT_MAX, s->err);
    int r = root ? read_chunk(s, root) : ERR_UPSTREAM;
    cJSON_Delete(root);
    return r;
}

int openai_stream_feed(struct llm_stream *s, struct slice bytes, struct err *err)
{
    s->err = err;
    return sse_feed(&s->sse, bytes, on_event, s, err);
}

static void write_tool_calls(struct llm_stream *s)
{
    struct buf *to = &s->a->tool_calls;
    for (int i = 0; i < s->ncalls; i++) {
        struct tool_call *c = &s->calls[i];
        if (c->id.len == 0)
            buf_addf(&c->id, "call_%d", i);
        buf_add_str(to, i ? ",{\"id\":" : "[{\"id\":");
        json_quote(to, buf_slice(&c->id));
        buf_add_str(to, ",\"type\":\"function\",\"function\":{\"name\":");
        json_quote(to, buf_slice(&c->name));
        buf_add_str(to, ",\"arguments\":");
        json_quote(to, c->arguments.len ? buf_slice(&c->arguments) : SLICE("{}"));
        buf_add_str(to, "}}");
    }
    if (s->ncalls)
        buf_add_char(to, ']');
}

int openai_stream_end(struct llm_stream *s, struct err *err)
{
    s->err = err;
    int r = sse_finish(&s->sse, on_event, s, err);
    if (r < 0)
        return r;
    if (!think_tags_end(&s->think, give, s))
        return too_long(err);
    if (!s->done && s->a->finish.len == 0)
        return err_set(err, ERR_UPSTREAM, "the provider's stream ended in the middle of the answer");
    if (s->a->finish.len == 0)
        buf_add_str(&s->a->finish, s->ncalls ? "tool_calls" : "stop");
    write_tool_calls(s);
    return s->a->tool_calls.full ? too_long(err) : 0;
}
