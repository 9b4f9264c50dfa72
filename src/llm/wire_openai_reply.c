/* OpenAI's answers, written: whole, as chunks, embeddings, ranks, errors. */
#include <math.h>

#include "base/base64.h"
#include "base/json.h"
#include "llm/money.h"
#include "llm/wire_openai.h"

static void member_text(struct buf *to, const char *name, struct slice v)
{
    buf_add_char(to, '"');
    buf_add_str(to, name);
    buf_add(to, "\":", 2);
    json_quote(to, v);
}

static void raw(struct buf *to, struct slice json)
{
    buf_add(to, json.p, json.len);
}

static void write_head(const struct wire_head *h, const char *object, struct buf *to)
{
    buf_add_char(to, '{');
    member_text(to, "id", h->id);
    buf_addf(to, ",\"object\":\"%s\",\"created\":%lld,", object, (long long)h->created);
    member_text(to, "model", h->model);
}

/* What it cost, exact, when that is known. */
static void write_cost(const struct llm_facts *f, struct buf *to)
{
    char text[MONEY_TEXT];
    if (f->cost < 0)
        return;
    buf_add_str(to, ",\"cost\":");
    buf_add(to, text, money_text(text, f->cost));
}

static void write_usage(const struct llm_facts *f, struct buf *to)
{
    long long in = f->tokens_in > 0 ? f->tokens_in : 0, out = f->tokens_out > 0 ? f->tokens_out : 0;
    buf_addf(to, "{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld,", in, out, in + out);
    buf_addf(to,
             "\"prompt_tokens_details\":{\"cached_tokens\":%lld},\"completion_tokens_details\":{\"reasoning_tokens\":"
             "%lld}",
             (long long)f->tokens_cached, (long long)f->tokens_reasoning);
    write_cost(f, to);
    buf_add_char(to, '}');
}

static struct slice finish_of(const struct llm_reply *r)
{
    return r->finish.len ? r->finish : SLICE("stop");
}

void wire_openai_reply(const struct wire_head *h, const struct llm_reply *r, struct buf *to)
{
    write_head(h, "chat.completion", to);
    buf_add_str(to, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    if (r->text.len == 0 && r->tool_calls.len)
        buf_add_str(to, "null");
    else
        json_quote(to, r->text);
    buf_add_str(to, ",\"refusal\":null");
    if (r->reasoning.len) {
        buf_add_char(to, ',');
        member_text(to, "reasoning_content", r->reasoning);
    }
    if (r->thinking.len) {
        buf_add_str(to, ",\"thinking_blocks\":");
        raw(to, r->thinking);
    }
    if (r->tool_calls.len) {
        buf_add_str(to, ",\"tool_calls\":");
        raw(to, r->tool_calls);
    }
    buf_add_str(to, "},\"logprobs\":null,");
    member_text(to, "finish_reason", finish_of(r));
    buf_add_str(to, "}],\"usage\":");
    write_usage(&r->facts, to);
    buf_add_char(to, '}');
}

/* ---- chunks ---- */

void wire_openai_stream_init(struct wire_openai_stream *s, const struct wire_head *h, bool include_usage,
                             wire_emit_fn *emit, void *arg)
{
    *s = (struct wire_openai_stream){.head = *h, .include_usage = include_usage, .emit = emit, .arg = arg};
}

void wire_openai_stream_release(struct wire_openai_stream *s)
{
    buf_release(&s->room);
    buf_release(&s->opening);
}

static struct buf *chunk_begin(struct wire_openai_stream *s)
{
    if (s->opening.len == 0) {
        write_head(&s->head, "chat.completion.chunk", &s->opening);
        buf_add_str(&s->opening, ",\"choices\":[{\"index\":0,\"delta\":{");
    }
    buf_clear(&s->room);
    buf_add(&s->room, s->opening.p, s->opening.len);
    return &s->room;
}

static void chunk_end(struct wire_openai_stream *s, struct slice finish)
{
    buf_add_str(&s->room, "},\"logprobs\":null,\"finish_reason\":");
    if (finish.len)
        json_quote(&s->room, finish);
    else
        buf_add_str(&s->room, "null");
    buf_add_str(&s->room, s->include_usage ? "}],\"usage\":null}" : "}]}");
    s->emit(s->arg, (struct slice){0}, buf_slice(&s->room));
}

static void start(struct wire_openai_stream *s)
{
    if (s->started)
        return;
    s->started = true;
    buf_add_str(chunk_begin(s), "\"role\":\"assistant\",\"content\":\"\"");
    chunk_end(s, (struct slice){0});
}

static void write_tool_delta(const struct llm_delta *d, struct buf *to)
{
    buf_addf(to, "\"tool_calls\":[{\"index\":%d,", d->tool);
    if (d->tool_name.len) {
        member_text(to, "id", d->tool_id);
        buf_add_str(to, ",\"type\":\"function\",\"function\":{");
        member_text(to, "name", d->tool_name);
        buf_add_char(to, ',');
    } else {
        buf_add_str(to, "\"function\":{");
    }
    member_text(to, "arguments", d->text);
    buf_add_str(to, "}}]");
}

void wire_openai_stream_delta(struct wire_openai_stream *s, const struct llm_delta *d)
{
    start(s);
    struct buf *to = chunk_begin(s);
    switch (d->kind) {
    case LLM_DELTA_TEXT: member_text(to, "content", d->text); break;
    case LLM_DELTA_REASONING: member_text(to, "reasoning_content", d->text); break;
    case LLM_DELTA_TOOL: write_tool_delta(d, to); break;
    case LLM_DELTA_BLOCK:
        buf_add_str(to, "\"thinking_blocks\":[");
        raw(to, d->text);
        buf_add_char(to, ']');
        break;
    }
    chunk_end(s, (struct slice){0});
}

void wire_openai_stream_end(struct wire_openai_stream *s, const struct llm_reply *r)
{
    start(s);
    chunk_begin(s);
    chunk_end(s, finish_of(r));
    if (!s->include_usage)
        return;
    buf_clear(&s->room);
    write_head(&s->head, "chat.completion.chunk", &s->room);
    buf_add_str(&s->room, ",\"choices\":[],\"usage\":");
    write_usage(&r->facts, &s->room);
    buf_add_char(&s->room, '}');
    s->emit(s->arg, (struct slice){0}, buf_slice(&s->room));
}

/* ---- embeddings and ranks ---- */

static void write_vector(const float *v, int dim, bool base64, struct buf *to)
{
    if (base64) { /* little-endian floats, as this machine has them */
        buf_add_char(to, '"');
        base64_encode(to, slice_of((const char *)v, (size_t)dim * sizeof *v));
        buf_add_char(to, '"');
        return;
    }
    for (int i = 0; i < dim; i++)
        buf_addf(to, "%c%.9g", i ? ',' : '[', isfinite(v[i]) ? (double)v[i] : 0.0);
    buf_add_char(to, ']');
}

void wire_openai_vectors(const struct wire_head *h, const struct llm_vectors *v, bool base64, struct buf *to)
{
    long long tokens = v->facts.tokens_in > 0 ? v->facts.tokens_in : 0;
    buf_add_str(to, "{\"object\":\"list\",\"data\":[");
    for (int i = 0; i < v->count; i++) {
        buf_addf(to, "%s{\"object\":\"embedding\",\"index\":%d,\"embedding\":", i ? "," : "", i);
        write_vector(v->v + (size_t)i * (size_t)v->dim, v->dim, base64, to);
        buf_add_char(to, '}');
    }
    buf_add_str(to, "],");
    member_text(to, "model", h->model);
    buf_addf(to, ",\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld}}", tokens, tokens);
}

void wire_openai_ranks(const struct wire_head *h, const struct llm_ranks *r, const struct wire_rerank *asked,
                       struct buf *to)
{
    long long tokens = r->facts.tokens_in > 0 ? r->facts.tokens_in : 0;
    buf_add_char(to, '{');
    member_text(to, "id", h->id);
    buf_add_char(to, ',');
    member_text(to, "model", h->model);
    buf_add_str(to, ",\"results\":[");
    for (int i = 0; i < r->n; i++) {
        const struct llm_rank *x = &r->v[i];
        buf_addf(to, "%s{\"index\":%d,\"relevance_score\":%.9g", i ? "," : "", x->doc,
                 isfinite(x->score) ? x->score : 0.0);
        if (asked && asked->with_documents && x->doc < asked->q.ndocs) {
            buf_add_str(to, ",\"document\":{");
            member_text(to, "text", asked->docs[x->doc]);
            buf_add_char(to, '}');
        }
        buf_add_char(to, '}');
    }
    buf_addf(to, "],\"usage\":{\"total_tokens\":%lld}}", tokens);
}

/* ---- errors ---- */

struct wire_status {
    int status;
    const char *type, *code;
};

static struct wire_status upstream_status(enum llm_class c, bool timed_out)
{
    if (timed_out)
        return (struct wire_status){504, "server_error", "timeout"};
    if (c == LLM_CONTENT)
        return (struct wire_status){400, "invalid_request_error", "content_filter"};
    if (c == LLM_BAD)
        return (struct wire_status){400, "invalid_request_error", "invalid_value"};
    return (struct wire_status){502, "server_error", c == LLM_AUTH ? "upstream_key" : "upstream_error"};
}

static struct wire_status status_of(const struct err *e, enum llm_class c, bool timed_out)
{
    switch (e->code) {
    case ERR_INVALID:
        return (struct wire_status){400, "invalid_request_error",
                                    c == LLM_CONTENT ? "content_filter" : "invalid_value"};
    case ERR_STATE: /* no such model; or none that is healthy */
        if (c != LLM_FINE)
            return (struct wire_status){503, "server_error", "unavailable"};
        return (struct wire_status){404, "invalid_request_error", "model_not_found"};
    case ERR_QUOTA:
        if (c == LLM_CREDIT)
            return (struct wire_status){429, "insufficient_quota", "insufficient_quota"};
        return (struct wire_status){429, "rate_limit_error", "rate_limit_exceeded"};
    case ERR_NOPERM: return (struct wire_status){403, "permission_error", "no_permission"};
    case ERR_OOM: return (struct wire_status){503, "server_error", "out_of_memory"};
    case ERR_IO: return (struct wire_status){503, "server_error", "storage_error"}; /* our own disk */
    case ERR_CANCELLED: return (struct wire_status){499, "server_error", "cancelled"};
    case ERR_WRONGTYPE: return (struct wire_status){400, "invalid_request_error", "wrong_type"};
    case ERR_UPSTREAM: return upstream_status(c, timed_out);
    }
    return (struct wire_status){500, "server_error", "internal_error"};
}

int wire_openai_error(const struct err *err, const struct llm_facts *facts, const char *param, struct buf *to)
{
    struct wire_status s = status_of(err, facts ? facts->failure : LLM_FINE, facts && facts->timed_out);
    buf_add_str(to, "{\"error\":{");
    member_text(to, "message", slice_str(err->msg));
    buf_addf(to, ",\"type\":\"%s\",\"param\":", s.type);
    if (param && *param)
        json_quote(to, slice_str(param));
    else
        buf_add_str(to, "null");
    buf_addf(to, ",\"code\":\"%s\"}}", s.code);
    return s.status;
}
