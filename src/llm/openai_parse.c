/* OpenAI's replies.
 *
 * A stream is server-sent events whose data are JSON chunks. Text is handed on as it comes; tool calls are gathered by
 * their index (or id, or simply the last one, for servers that leave the index out) and written as one JSON array at
 * the end. Usage may come in any chunk, usually in one after the last choice. Only choice 0 is read. */
#include "llm/openai_parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "net/sse.h"

#define EVENT_MAX       (8u << 20)
#define BODY_MAX        (64u << 20)
#define TOOL_CALLS_MAX  128
#define VENDOR_TEXT_MAX 200 /* bytes */

struct tool_call {
    int64_t index; /* -1: the server gave none */
    struct buf id, name, arguments;
};

struct llm_stream {
    struct llm_answer *a;
    llm_delta_fn *delta;
    void *arg;
    struct sse sse;
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

/* ---- errors ---- */

static bool is_one_of(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}

/* What the code or type of an error says, LLM_FINE when it is not one of those that mean more than the status. */
static enum llm_class class_of_words(const char *code, const char *type)
{
    static const char *const credit[] = {"insufficient_quota", "billing_error", NULL},
                             *const rate[] = {"rate_limit_exceeded", "rate_limit_error", NULL},
                             *const content[] = {"content_filter", "content_policy_violation", NULL};
    if (is_one_of(code, credit) || is_one_of(type, credit))
        return LLM_CREDIT;
    if (is_one_of(code, content) || is_one_of(type, content))
        return LLM_CONTENT;
    return is_one_of(code, rate) || is_one_of(type, rate) ? LLM_RATE : LLM_FINE;
}

static enum llm_class vendor_text(const cJSON *root, struct buf *to)
{
    const cJSON *e = member(root, "error");
    const char *text = cJSON_IsString(e) ? e->valuestring : json_str(e, "message", NULL);
    if (!text)
        text = json_str(root, "message", json_str(root, "detail", ""));
    struct slice s = slice_str(text);
    buf_add(to, s.p, utf8_cut(s, VENDOR_TEXT_MAX));
    return class_of_words(json_str(e, "code", ""), json_str(e, "type", ""));
}

void openai_failure(const struct llm_provider *p, int status, struct slice body, struct llm_failure *to)
{
    cJSON *root = json_parse(body, 1u << 20, "error", NULL);
    enum llm_class said = cJSON_IsObject(root) ? vendor_text(root, &to->text) : LLM_FINE;
    to->class = said != LLM_FINE ? said : llm_class_of_status(status);
    cJSON_Delete(root);
}

static bool is_error(const cJSON *root)
{
    const cJSON *e = member(root, "error");
    return e && !cJSON_IsNull(e) && !cJSON_IsFalse(e);
}

/* An error object that came with status 200. */
static int error_in(const cJSON *root, struct llm_answer *a, struct err *err)
{
    struct buf text = {0};
    const cJSON *code = member(member(root, "error"), "code");
    enum llm_class said = vendor_text(root, &text);
    if (said == LLM_FINE && cJSON_IsNumber(code) && code->valuedouble >= 400 && code->valuedouble < 600)
        said = llm_class_of_status((int)code->valuedouble);
    a->failure = said == LLM_FINE ? LLM_TRANSIENT : said;
    bool busy = a->failure == LLM_RATE || a->failure == LLM_CREDIT;
    err_set(err, busy ? ERR_QUOTA : ERR_UPSTREAM, "the provider reported an error: %s",
            text.len ? buf_cstr(&text) : "no message");
    buf_release(&text);
    return busy ? ERR_QUOTA : ERR_UPSTREAM;
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

/* ---- whole ---- */

static int read_message(const cJSON *choice, struct llm_answer *a, struct err *err)
{
    const cJSON *m = member(choice, "message"), *calls = member(m, "tool_calls");
    if (!cJSON_IsObject(m))
        return garbage(err, "the choice has no message");
    if (!add_content(&a->text, member(m, "content")) || !add_reasoning(&a->reasoning, m))
        return too_long(err);
    if (a->text.len == 0 && !add_text(&a->text, json_str(m, "refusal", NULL)))
        return too_long(err);
    if (cJSON_IsArray(calls) && cJSON_GetArraySize(calls) > 0)
        json_print(&a->tool_calls, calls);
    if (a->tool_calls.full)
        return too_long(err);
    take_word(&a->finish, json_str(choice, "finish_reason", "stop"));
    return 0;
}

int openai_chat_whole(const struct llm_provider *p, struct slice body, struct llm_answer *a, struct err *err)
{
    cJSON *root = parse(body, BODY_MAX, err);
    if (!root)
        return ERR_UPSTREAM;
    const cJSON *choices = member(root, "choices"), *first = cJSON_GetArrayItem(choices, 0);
    int r;
    if (is_error(root))
        r = error_in(root, a, err);
    else if (!cJSON_IsArray(choices) || !first)
        r = garbage(err, "it has no choices");
    else
        r = read_message(first, a, err);
    take_usage(a, root);
    take_word(&a->model_id, json_str(root, "model", NULL));
    cJSON_Delete(root);
    return r;
}

/* ---- embeddings ---- */

static int read_vector(const cJSON *v, float *to, int dim, struct err *err)
{
    const cJSON *x;
    int n = 0;
    if (cJSON_GetArraySize(v) != dim)
        return garbage(err, "its embeddings differ in length");
    cJSON_ArrayForEach(x, v)
    {
        if (!cJSON_IsNumber(x) || !isfinite((float)x->valuedouble))
            return garbage(err, "an embedding holds something that is not a number");
        to[n++] = (float)x->valuedouble;
    }
    return 0;
}

static int read_vectors(const cJSON *data, int ntexts, struct llm_answer *a, struct err *err)
{
    const cJSON *row, *first = member(cJSON_GetArrayItem(data, 0), "embedding");
    if (cJSON_GetArraySize(data) != ntexts)
        return err_set(err, ERR_UPSTREAM, "the provider sent %d embeddings for %d texts", cJSON_GetArraySize(data),
                       ntexts);
    a->dim = cJSON_IsArray(first) ? cJSON_GetArraySize(first) : 0;
    if (a->dim < 1 || a->dim > 65536)
        return garbage(err, "an embedding has no numbers");
    a->count = ntexts;
    a->vectors = mem_alloc((size_t)ntexts * (size_t)a->dim * sizeof *a->vectors);
    char *seen = mem_zero((size_t)ntexts);
    int place = 0, r = 0;
    cJSON_ArrayForEach(row, data)
    {
        int64_t at = member(row, "index") ? count_of(row, "index") : place;
        place++;
        if (at < 0 || at >= ntexts || seen[at] || !cJSON_IsArray(member(row, "embedding"))) {
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
    int r;
    if (is_error(root))
        r = error_in(root, a, err);
    else if (!cJSON_IsArray(data))
        r = garbage(err, "it has no data");
    else
        r = read_vectors(data, ntexts, a, err);
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

static void tell(struct llm_stream *s, enum llm_delta_kind kind, const struct buf *from, size_t before)
{
    struct llm_delta d = {.kind = kind, .text = slice_of(from->p + before, from->len - before)};
    if (from->len > before && s->delta)
        s->delta(s->arg, &d);
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

static int read_delta(struct llm_stream *s, const cJSON *choice)
{
    const cJSON *d = member(choice, "delta"), *call;
    size_t before = s->a->text.len, thought = s->a->reasoning.len;
    if (!add_content(&s->a->text, member(d, "content")) || !add_reasoning(&s->a->reasoning, d) ||
        !add_text(&s->a->text, json_str(d, "refusal", NULL)))
        return too_long(s->err);
    tell(s, LLM_DELTA_REASONING, &s->a->reasoning, thought);
    tell(s, LLM_DELTA_TEXT, &s->a->text, before);
    cJSON_ArrayForEach(call, member(d, "tool_calls"))
    {
        int r = read_tool_delta(s, call);
        if (r < 0)
            return r;
    }
    take_word(&s->a->finish, json_str(choice, "finish_reason", NULL));
    return 0;
}

static int read_chunk(struct llm_stream *s, const cJSON *root)
{
    const cJSON *choice;
    if (is_error(root))
        return error_in(root, s->a, s->err);
    take_usage(s->a, root);
    take_word(&s->a->model_id, json_str(root, "model", NULL));
    cJSON_ArrayForEach(choice, member(root, "choices"))
    {
        int r = json_num(choice, "index", 0) == 0 ? read_delta(s, choice) : 0;
        if (r < 0)
            return r;
    }
    return 0;
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
    if (!s->done && s->a->finish.len == 0)
        return err_set(err, ERR_UPSTREAM, "the provider's stream ended in the middle of the answer");
    if (s->a->finish.len == 0)
        buf_add_str(&s->a->finish, "stop");
    write_tool_calls(s);
    return s->a->tool_calls.full ? too_long(err) : 0;
}
