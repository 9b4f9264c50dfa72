/* Ollama's replies. A whole reply is one line of a stream, with done:true; so both are read by the same function. Tool
 * calls come whole, with arguments as an object and mostly without an id: they get one. */
#include "llm/ollama_parse.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "llm/openai_parse.h"

#define LINE_MAX_BYTES (8u << 20)
#define BODY_MAX       (64u << 20)
#define TOOL_CALLS_MAX 128
#define WORD_MAX       200

struct llm_stream {
    struct llm_answer *a;
    llm_delta_fn *delta;
    void *arg;
    struct buf line;
    int ncalls;
    bool done;
    struct err *err;
};

static cJSON *member(const cJSON *o, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(o, name);
}

static int garbage(struct err *err, const char *what)
{
    return err_set(err, ERR_UPSTREAM, "the provider's reply is not one of Ollama's API: %s", what);
}

static int too_long(struct err *err)
{
    return err_set(err, ERR_UPSTREAM, "the provider's answer is over the limit of %u bytes", LLM_TEXT_MAX);
}

void ollama_failure(const struct llm_provider *p, int status, struct slice body, struct llm_failure *to)
{
    cJSON *root = json_parse(body, 1u << 20, "error", NULL);
    const char *text = json_str(root, "error", json_str(member(root, "error"), "message", ""));
    buf_add(&to->text, text, utf8_cut(slice_str(text), WORD_MAX));
    enum llm_class c = llm_class_of_status(status);
    to->class = c != LLM_FINE ? c : LLM_TRANSIENT;
    cJSON_Delete(root);
}

static int64_t count_of(const cJSON *o, const char *name, int64_t dflt)
{
    double d = json_num(o, name, -1);
    return d >= 0 && d < 1e15 ? (int64_t)d : dflt;
}

static void take_word(struct buf *to, const char *word)
{
    if (!word || !*word)
        return;
    buf_clear(to);
    buf_add(to, word, utf8_cut(slice_str(word), WORD_MAX));
}

/* ---- one line ---- */

static void tell(struct llm_stream *s, const struct llm_delta *d)
{
    if (s->delta)
        s->delta(s->arg, d);
}

static int give(struct llm_stream *s, enum llm_delta_kind kind, const char *text)
{
    struct llm_delta d = {.kind = kind, .text = slice_str(text)};
    if (!buf_add_str(kind == LLM_DELTA_TEXT ? &s->a->text : &s->a->reasoning, text))
        return too_long(s->err);
    if (d.text.len)
        tell(s, &d);
    return 0;
}

static int give_call(struct llm_stream *s, const cJSON *call)
{
    const cJSON *fn = member(call, "function"), *args = member(fn, "arguments");
    struct buf *to = &s->a->tool_calls, text = {0}, id = {0};
    if (s->ncalls == TOOL_CALLS_MAX)
        return err_set(s->err, ERR_UPSTREAM, "the provider made more than %d tool calls", TOOL_CALLS_MAX);
    if (cJSON_IsObject(args))
        json_print(&text, args);
    else
        buf_add_str(&text, cJSON_IsString(args) && *args->valuestring ? args->valuestring : "{}");
    buf_add_str(&id, json_str(call, "id", ""));
    if (id.len == 0)
        buf_addf(&id, "call_%d", s->ncalls);
    struct llm_delta d = {.kind = LLM_DELTA_TOOL,
                          .tool = s->ncalls++,
                          .tool_id = buf_slice(&id),
                          .tool_name = slice_str(json_str(fn, "name", "")),
                          .text = buf_slice(&text)};
    if (to->len)
        to->len--;
    buf_add_str(to, to->len ? ",{\"id\":" : "[{\"id\":");
    json_quote(to, d.tool_id);
    buf_add_str(to, ",\"type\":\"function\",\"function\":{\"name\":");
    json_quote(to, d.tool_name);
    buf_add_str(to, ",\"arguments\":");
    json_quote(to, d.text);
    buf_add_str(to, "}}]");
    if (!to->full)
        tell(s, &d);
    buf_release(&text);
    buf_release(&id);
    return to->full ? too_long(s->err) : 0;
}

static void take_end(struct llm_stream *s, const cJSON *root)
{
    const char *reason = json_str(root, "done_reason", "stop");
    s->done = true;
    s->a->tokens_in = count_of(root, "prompt_eval_count", s->a->tokens_in);
    s->a->tokens_out = count_of(root, "eval_count", s->a->tokens_out);
    take_word(&s->a->finish, s->ncalls ? "tool_calls" : strcmp(reason, "length") == 0 ? "length" : "stop");
}

static int read_line(struct llm_stream *s, const cJSON *root)
{
    const cJSON *m = member(root, "message"), *call;
    if (!cJSON_IsObject(root))
        return garbage(s->err, "it is no JSON object");
    if (member(root, "error")) {
        struct slice text = slice_str(json_str(root, "error", ""));
        return llm_reported(LLM_TRANSIENT, text, s->a, s->err);
    }
    take_word(&s->a->model_id, json_str(root, "model", NULL));
    int r = give(s, LLM_DELTA_REASONING, json_str(m, "thinking", ""));
    r = r ? r : give(s, LLM_DELTA_TEXT, json_str(m, "content", ""));
    if (r == 0)
        cJSON_ArrayForEach(call, member(m, "tool_calls"))
        {
            r = give_call(s, call);
            if (r < 0)
                break;
        }
    if (r == 0 && cJSON_IsTrue(member(root, "done")))
        take_end(s, root);
    return r;
}

static int take_line(struct llm_stream *s, struct slice line, size_t max)
{
    struct err why;
    while (line.len && strchr(" \t\r\n", line.p[line.len - 1]))
        line.len--;
    if (line.len == 0 || s->done)
        return 0;
    cJSON *root = json_parse(line, max, "line", &why);
    int r = root ? read_line(s, root) : garbage(s->err, why.msg);
    cJSON_Delete(root);
    return r;
}

/* ---- whole ---- */

int ollama_chat_whole(const struct llm_provider *p, struct slice body, struct llm_answer *a, struct err *err)
{
    struct llm_stream s = {.a = a, .err = err};
    int r = take_line(&s, body, BODY_MAX);
    return r == 0 && !s.done ? garbage(err, "it is not done") : r;
}

int ollama_embed_whole(const struct llm_provider *p, struct slice body, int ntexts, struct llm_answer *a,
                       struct err *err)
{
    struct err why;
    cJSON *root = json_parse(body, BODY_MAX, "reply", &why);
    const cJSON *rows = member(root, "embeddings");
    int r;
    if (!root)
        r = garbage(err, why.msg);
    else if (json_str(root, "error", NULL))
        r = llm_reported(LLM_TRANSIENT, slice_str(json_str(root, "error", "")), a, err);
    else
        r = cJSON_IsArray(rows) ? openai_read_rows(rows, ntexts, a, err) : garbage(err, "it has no embeddings");
    a->tokens_in = count_of(root, "prompt_eval_count", a->tokens_in);
    take_word(&a->model_id, json_str(root, "model", NULL));
    cJSON_Delete(root);
    return r;
}

/* ---- streams ---- */

struct llm_stream *ollama_stream_create(const struct llm_provider *p, struct llm_answer *a, llm_delta_fn *delta,
                                        void *arg)
{
    struct llm_stream *s = mem_zero(sizeof *s);
    s->a = a;
    s->delta = delta;
    s->arg = arg;
    buf_init(&s->line, LINE_MAX_BYTES);
    return s;
}

void ollama_stream_destroy(struct llm_stream *s)
{
    if (!s)
        return;
    buf_release(&s->line);
    mem_free(s);
}

static int line_too_long(struct llm_stream *s)
{
    return err_set(s->err, ERR_UPSTREAM, "a line of the stream is over the limit of %u bytes", LINE_MAX_BYTES);
}

int ollama_stream_feed(struct llm_stream *s, struct slice b, struct err *err)
{
    s->err = err;
    while (b.len) {
        const char *end = memchr(b.p, '\n', b.len);
        size_t n = end ? (size_t)(end - b.p) : b.len;
        if (!buf_add(&s->line, b.p, n))
            return line_too_long(s);
        if (!end)
            return 0;
        int r = take_line(s, buf_slice(&s->line), LINE_MAX_BYTES);
        buf_clear(&s->line);
        if (r < 0)
            return r;
        b = slice_of(b.p + n + 1, b.len - n - 1);
    }
    return 0;
}

int ollama_stream_end(struct llm_stream *s, struct err *err)
{
    s->err = err;
    int r = take_line(s, buf_slice(&s->line), LINE_MAX_BYTES);
    if (r == 0 && !s->done)
        r = err_set(err, ERR_UPSTREAM, "the provider's stream ended in the middle of the answer");
    return r;
}
