/* Anthropic's answers, written: whole, as events, errors. */
#include "base/json.h"
#include "llm/money.h"
#include "llm/wire_anthropic.h"

enum { CLOSED, TEXT, THINKING, TOOL };

#define CALLS_MAX (32u << 20)

static void raw(struct buf *to, struct slice json)
{
    buf_add(to, json.p, json.len);
}

static const char *stop_reason(struct slice finish)
{
    if (slice_eq(finish, SLICE("length")))
        return "max_tokens";
    if (slice_eq(finish, SLICE("tool_calls")))
        return "tool_use";
    return slice_eq(finish, SLICE("content_filter")) ? "refusal" : "end_turn";
}

/* input_tokens leaves out what came from the cache. The cost is ours, exact, when it is known. */
static void write_usage(const struct llm_facts *f, struct buf *to)
{
    int64_t in = f->tokens_in > 0 ? f->tokens_in : 0, cached = f->tokens_cached < in ? f->tokens_cached : in;
    buf_addf(to,
             "{\"input_tokens\":%lld,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":%lld,"
             "\"output_tokens\":%lld",
             (long long)(in - cached), (long long)cached, (long long)(f->tokens_out > 0 ? f->tokens_out : 0));
    if (f->cost >= 0) {
        char text[MONEY_TEXT];
        buf_add_str(to, ",\"cost\":");
        buf_add(to, text, money_text(text, f->cost));
    }
    buf_add_char(to, '}');
}

static void write_head(const struct wire_head *h, struct buf *to)
{
    buf_add_str(to, "{\"id\":");
    json_quote(to, h->id);
    buf_add_str(to, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    json_quote(to, h->model);
}

/* ---- whole ---- */

/* The arguments as an object: what is none is put into one, so that the reply stays what clients can read. */
static void write_input(struct slice text, struct buf *to)
{
    cJSON *v = json_parse(text, CALLS_MAX, "arguments", NULL);
    if (cJSON_IsObject(v)) {
        json_print(to, v);
    } else if (text.len) {
        buf_add_str(to, "{\"arguments\":");
        json_quote(to, text);
        buf_add_char(to, '}');
    } else {
        buf_add_str(to, "{}");
    }
    cJSON_Delete(v);
}

static const char *comma(struct buf *to)
{
    return to->len && to->p[to->len - 1] != '[' ? "," : "";
}

static void write_calls(struct slice calls, struct buf *to)
{
    cJSON *all = calls.len ? json_parse(calls, CALLS_MAX, "tool calls", NULL) : NULL;
    const cJSON *c;
    cJSON_ArrayForEach(c, all)
    {
        const cJSON *fn = cJSON_GetObjectItemCaseSensitive(c, "function");
        buf_addf(to, "%s{\"type\":\"tool_use\",\"id\":", comma(to));
        json_quote(to, slice_str(json_str(c, "id", "")));
        buf_add_str(to, ",\"name\":");
        json_quote(to, slice_str(json_str(fn, "name", "")));
        buf_add_str(to, ",\"input\":");
        write_input(slice_str(json_str(fn, "arguments", "")), to);
        buf_add_char(to, '}');
    }
    cJSON_Delete(all);
}

static void write_thinking(const struct llm_reply *r, struct buf *to)
{
    if (r->thinking.len > 2) {
        raw(to, slice_of(r->thinking.p + 1, r->thinking.len - 2));
    } else if (r->reasoning.len) { /* of a vendor that signs nothing */
        buf_add_str(to, "{\"type\":\"thinking\",\"thinking\":");
        json_quote(to, r->reasoning);
        buf_add_str(to, ",\"signature\":\"\"}");
    }
}

void wire_anthropic_reply(const struct wire_head *h, const struct llm_reply *r, struct buf *to)
{
    write_head(h, to);
    buf_add_str(to, ",\"content\":[");
    write_thinking(r, to);
    if (r->text.len) {
        buf_addf(to, "%s{\"type\":\"text\",\"text\":", comma(to));
        json_quote(to, r->text);
        buf_add_char(to, '}');
    }
    write_calls(r->tool_calls, to);
    buf_addf(to, "],\"stop_reason\":\"%s\",\"stop_sequence\":null,\"usage\":", stop_reason(r->finish));
    write_usage(&r->facts, to);
    buf_add_char(to, '}');
}

/* ---- events ---- */

void wire_anthropic_stream_init(struct wire_anthropic_stream *s, const struct wire_head *h, int64_t tokens_in,
                                wire_emit_fn *emit, void *arg)
{
    *s = (struct wire_anthropic_stream){.head = *h, .tokens_in = tokens_in, .emit = emit, .arg = arg};
}

void wire_anthropic_stream_release(struct wire_anthropic_stream *s)
{
    buf_release(&s->room);
}

static struct buf *event(struct wire_anthropic_stream *s, const char *type)
{
    buf_clear(&s->room);
    buf_addf(&s->room, "{\"type\":\"%s\"", type);
    return &s->room;
}

static void send(struct wire_anthropic_stream *s, const char *type)
{
    buf_add_char(&s->room, '}');
    s->emit(s->arg, slice_str(type), buf_slice(&s->room));
}

static void start(struct wire_anthropic_stream *s)
{
    struct llm_facts f = {.tokens_in = s->tokens_in, .cost = -1};
    if (s->started)
        return;
    s->started = true;
    struct buf *to = event(s, "message_start");
    buf_add_str(to, ",\"message\":");
    write_head(&s->head, to);
    buf_add_str(to, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
    write_usage(&f, to);
    buf_add_char(to, '}');
    send(s, "message_start");
}

static void close_block(struct wire_anthropic_stream *s)
{
    if (s->open == CLOSED)
        return;
    buf_addf(event(s, "content_block_stop"), ",\"index\":%d", s->index++);
    send(s, "content_block_stop");
    s->open = CLOSED;
}

/* The event that opens a block, up to and with the block's type. */
static struct buf *open_block(struct wire_anthropic_stream *s, int kind, const char *type)
{
    start(s);
    close_block(s);
    s->open = kind;
    struct buf *to = event(s, "content_block_start");
    buf_addf(to, ",\"index\":%d,\"content_block\":{\"type\":\"%s\"", s->index, type);
    return to;
}

static void opened(struct wire_anthropic_stream *s)
{
    buf_add_char(&s->room, '}');
    send(s, "content_block_start");
}

static void send_delta(struct wire_anthropic_stream *s, const char *type, const char *name, struct slice text)
{
    struct buf *to = event(s, "content_block_delta");
    buf_addf(to, ",\"index\":%d,\"delta\":{\"type\":\"%s\",\"%s\":", s->index, type, name);
    json_quote(to, text);
    buf_add_char(to, '}');
    send(s, "content_block_delta");
}

static void text_delta(struct wire_anthropic_stream *s, struct slice text)
{
    if (s->open != TEXT) {
        buf_add_str(open_block(s, TEXT, "text"), ",\"text\":\"\"");
        opened(s);
    }
    send_delta(s, "text_delta", "text", text);
}

static void thinking_delta(struct wire_anthropic_stream *s, struct slice text)
{
    if (s->open != THINKING) {
        buf_add_str(open_block(s, THINKING, "thinking"), ",\"thinking\":\"\",\"signature\":\"\"");
        opened(s);
    }
    send_delta(s, "thinking_delta", "thinking", text);
}

static void tool_delta(struct wire_anthropic_stream *s, const struct llm_delta *d)
{
    if (s->open != TOOL || s->tool != d->tool) {
        struct buf *to = open_block(s, TOOL, "tool_use");
        buf_add_str(to, ",\"id\":");
        json_quote(to, d->tool_id);
        buf_add_str(to, ",\"name\":");
        json_quote(to, d->tool_name);
        buf_add_str(to, ",\"input\":{}");
        opened(s);
        s->tool = d->tool;
    }
    if (d->text.len)
        send_delta(s, "input_json_delta", "partial_json", d->text);
}

/* A signed block is whole: what is missing of it is its signature, or all of it when it is redacted. */
static void signed_block(struct wire_anthropic_stream *s, struct slice json)
{
    cJSON *block = json_parse(json, CALLS_MAX, "thinking", NULL);
    const char *data = json_str(block, "data", NULL);
    if (data) {
        struct buf *to = open_block(s, THINKING, "redacted_thinking");
        buf_add_str(to, ",\"data\":");
        json_quote(to, slice_str(data));
        opened(s);
    } else {
        if (s->open != THINKING) {
            buf_add_str(open_block(s, THINKING, "thinking"), ",\"thinking\":\"\",\"signature\":\"\"");
            opened(s);
        }
        send_delta(s, "signature_delta", "signature", slice_str(json_str(block, "signature", "")));
    }
    close_block(s);
    cJSON_Delete(block);
}

void wire_anthropic_stream_delta(struct wire_anthropic_stream *s, const struct llm_delta *d)
{
    start(s);
    switch (d->kind) {
    case LLM_DELTA_TEXT: text_delta(s, d->text); break;
    case LLM_DELTA_REASONING: thinking_delta(s, d->text); break;
    case LLM_DELTA_TOOL: tool_delta(s, d); break;
    case LLM_DELTA_BLOCK: signed_block(s, d->text); break;
    }
}

void wire_anthropic_stream_end(struct wire_anthropic_stream *s, const struct llm_reply *r)
{
    start(s);
    close_block(s);
    struct buf *to = event(s, "message_delta");
    buf_addf(to, ",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null},\"usage\":", stop_reason(r->finish));
    write_usage(&r->facts, to);
    send(s, "message_delta");
    event(s, "message_stop");
    send(s, "message_stop");
}

/* ---- errors ---- */

struct wire_status {
    int status;
    const char *type;
};

static struct wire_status status_of(const struct err *e, enum llm_class c, bool timed_out)
{
    switch (e->code) {
    case ERR_INVALID: return (struct wire_status){400, "invalid_request_error"};
    case ERR_STATE:
        if (c != LLM_FINE) /* there is one, but none that is healthy */
            return (struct wire_status){529, "overloaded_error"};
        return (struct wire_status){404, "not_found_error"};
    case ERR_QUOTA: return (struct wire_status){429, "rate_limit_error"};
    case ERR_NOPERM: return (struct wire_status){403, "permission_error"};
    case ERR_OOM: return (struct wire_status){529, "overloaded_error"};
    case ERR_WRONGTYPE: return (struct wire_status){400, "invalid_request_error"};
    case ERR_CANCELLED: return (struct wire_status){499, "api_error"};
    case ERR_IO: return (struct wire_status){503, "api_error"}; /* our own disk */
    case ERR_UPSTREAM:
        if (timed_out)
            return (struct wire_status){504, "timeout_error"};
        if (c == LLM_BAD || c == LLM_CONTENT)
            return (struct wire_status){400, "invalid_request_error"};
        return (struct wire_status){502, "api_error"};
    }
    return (struct wire_status){500, "api_error"};
}

int wire_anthropic_error(const struct err *err, const struct llm_facts *facts, struct slice request_id, struct buf *to)
{
    struct wire_status s = status_of(err, facts ? facts->failure : LLM_FINE, facts && facts->timed_out);
    buf_addf(to, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", s.type);
    json_quote(to, slice_str(err->msg));
    buf_add_char(to, '}');
    if (request_id.len) {
        buf_add_str(to, ",\"request_id\":");
        json_quote(to, request_id);
    }
    buf_add_char(to, '}');
    return s.status;
}
