/* Anthropic's replies.
 *
 * A stream is blocks, one after the other: start, deltas, stop. A block's text is handed on as it comes; a thinking
 * block is written down at its stop, when its signature is there; tool calls are gathered and written at the end as
 * OpenAI's array. */
#include "llm/anthropic_parse.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "llm/openai_parse.h"
#include "net/sse.h"

#define EVENT_MAX      (8u << 20)
#define BODY_MAX       (64u << 20)
#define TOOL_CALLS_MAX 128
#define WORD_MAX       200

static cJSON *member(const cJSON *o, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(o, name);
}

static int64_t count_of(const cJSON *o, const char *name, int64_t dflt)
{
    double d = json_num(o, name, -1);
    return d >= 0 && d < 1e15 ? (int64_t)d : dflt;
}

static int garbage(struct err *err, const char *what)
{
    return err_set(err, ERR_UPSTREAM, "the provider's reply is not one of the messages API: %s", what);
}

static int too_long(struct err *err)
{
    return err_set(err, ERR_UPSTREAM, "the provider's answer is over the limit of %u bytes", LLM_TEXT_MAX);
}

/* ---- errors ---- */

static enum llm_class class_of_type(const char *type)
{
    static const struct {
        const char *type;
        enum llm_class class;
    } types[] = {
        {"invalid_request_error", LLM_BAD},  {"authentication_error", LLM_AUTH}, {"billing_error", LLM_CREDIT},
        {"permission_error", LLM_AUTH},      {"not_found_error", LLM_BAD},       {"request_too_large", LLM_BAD},
        {"rate_limit_error", LLM_RATE},      {"api_error", LLM_TRANSIENT},       {"timeout_error", LLM_TRANSIENT},
        {"overloaded_error", LLM_TRANSIENT},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i].type) == 0)
            return types[i].class;
    return LLM_FINE;
}

void anthropic_failure(const struct llm_provider *p, int status, struct slice body, struct llm_failure *to)
{
    cJSON *root = json_parse(body, 1u << 20, "error", NULL);
    const cJSON *e = member(root, "error");
    const char *text = json_str(e, "message", json_str(root, "message", ""));
    buf_add(&to->text, text, utf8_cut(slice_str(text), WORD_MAX));
    enum llm_class said = class_of_type(json_str(e, "type", "")), plain = llm_class_of_status(status);
    to->class = said != LLM_FINE ? said : plain != LLM_FINE ? plain : LLM_TRANSIENT;
    cJSON_Delete(root);
}

static int error_in(const cJSON *root, struct llm_answer *a, struct err *err)
{
    const cJSON *e = member(root, "error");
    enum llm_class said = class_of_type(json_str(e, "type", ""));
    return llm_reported(said != LLM_FINE ? said : LLM_TRANSIENT, slice_str(json_str(e, "message", "")), a, err);
}

/* ---- what whole replies and streams have in common ---- */

static void take_word(struct buf *to, const char *word)
{
    if (!word || !*word)
        return;
    buf_clear(to);
    buf_add(to, word, utf8_cut(slice_str(word), WORD_MAX));
}

static void take_stop(struct llm_answer *a, const char *reason)
{
    static const struct {
        const char *theirs, *ours;
    } reasons[] = {
        {"end_turn", "stop"},       {"stop_sequence", "stop"},
        {"max_tokens", "length"},   {"model_context_window_exceeded", "length"},
        {"tool_use", "tool_calls"}, {"refusal", "content_filter"},
        {"pause_turn", "stop"},
    };
    for (size_t i = 0; reason && i < sizeof reasons / sizeof *reasons; i++)
        if (strcmp(reason, reasons[i].theirs) == 0)
            reason = reasons[i].ours;
    take_word(&a->finish, reason);
}

/* What a usage object counts; a later one of the same stream may leave the input out, or tell it again. */
static void take_usage(struct llm_answer *a, const cJSON *u)
{
    if (!cJSON_IsObject(u))
        return;
    int64_t in = count_of(u, "input_tokens", -1), made = count_of(u, "cache_creation_input_tokens", 0),
            read = count_of(u, "cache_read_input_tokens", 0);
    if (in >= 0) {
        a->tokens_in = in + made + read;
        a->tokens_cached = read;
    }
    a->tokens_out = count_of(u, "output_tokens", a->tokens_out);
}

/* Starts or goes on with a JSON array that is closed after each entry. */
static void array_entry(struct buf *to)
{
    if (to->len)
        to->len--;
    buf_add_char(to, to->len ? ',' : '[');
}

static void add_call(struct buf *to, struct slice id, struct slice name, struct slice arguments)
{
    array_entry(to);
    buf_add_str(to, "{\"id\":");
    json_quote(to, id);
    buf_add_str(to, ",\"type\":\"function\",\"function\":{\"name\":");
    json_quote(to, name);
    buf_add_str(to, ",\"arguments\":");
    json_quote(to, arguments.len ? arguments : SLICE("{}"));
    buf_add_str(to, "}}]");
}

static void add_thinking(struct buf *to, struct slice block)
{
    array_entry(to);
    buf_add(to, block.p, block.len);
    buf_add_char(to, ']');
}

/* ---- whole ---- */

static void read_tool_use(const cJSON *block, struct llm_answer *a)
{
    struct buf input = {0};
    if (cJSON_IsObject(member(block, "input")))
        json_print(&input, member(block, "input"));
    add_call(&a->tool_calls, slice_str(json_str(block, "id", "")), slice_str(json_str(block, "name", "")),
             buf_slice(&input));
    buf_release(&input);
}

static void read_block(const cJSON *block, struct llm_answer *a)
{
    const char *type = json_str(block, "type", "");
    if (strcmp(type, "text") == 0) {
        buf_add_str(&a->text, json_str(block, "text", ""));
    } else if (strcmp(type, "tool_use") == 0) {
        read_tool_use(block, a);
    } else if (strcmp(type, "thinking") == 0 || strcmp(type, "redacted_thinking") == 0) {
        struct buf text = {0};
        json_print(&text, block);
        buf_add_str(&a->reasoning, json_str(block, "thinking", ""));
        add_thinking(&a->thinking, buf_slice(&text));
        buf_release(&text);
    }
}

static bool is_full(const struct llm_answer *a)
{
    return a->text.full || a->reasoning.full || a->thinking.full || a->tool_calls.full;
}

int anthropic_whole(const struct llm_provider *p, struct slice body, struct llm_answer *a, struct err *err)
{
    struct err why;
    cJSON *root = json_parse(body, BODY_MAX, "reply", &why);
    const cJSON *content = member(root, "content"), *block;
    int r = 0;
    if (!root)
        r = garbage(err, why.msg);
    else if (cJSON_IsObject(member(root, "error")))
        r = error_in(root, a, err);
    else if (!cJSON_IsArray(content))
        r = garbage(err, "it has no content");
    if (r == 0)
        cJSON_ArrayForEach(block, content) read_block(block, a);
    if (r == 0 && is_full(a))
        r = too_long(err);
    take_stop(a, json_str(root, "stop_reason", r == 0 ? "end_turn" : NULL));
    take_usage(a, member(root, "usage"));
    take_word(&a->model_id, json_str(root, "model", NULL));
    cJSON_Delete(root);
    return r;
}

/* ---- streams ---- */

enum block_kind { OTHER, TEXT, TOOL, THINKING, REDACTED };

struct llm_stream {
    struct llm_answer *a;
    llm_delta_fn *delta;
    void *arg;
    struct sse sse;
    enum block_kind kind; /* of the block that is open */
    int tool;             /* which call it is */
    struct buf id, name, input, thinking, signature;
    bool done;
    struct err *err;
};

struct llm_stream *anthropic_stream_create(const struct llm_provider *p, struct llm_answer *a, llm_delta_fn *delta,
                                           void *arg)
{
    struct llm_stream *s = mem_zero(sizeof *s);
    s->a = a;
    s->delta = delta;
    s->arg = arg;
    s->tool = -1;
    sse_init(&s->sse, EVENT_MAX);
    buf_init(&s->id, 512);
    buf_init(&s->name, 512);
    buf_init(&s->input, LLM_TEXT_MAX / 16);
    buf_init(&s->thinking, LLM_TEXT_MAX);
    buf_init(&s->signature, LLM_TEXT_MAX / 16);
    return s;
}

void anthropic_stream_destroy(struct llm_stream *s)
{
    if (!s)
        return;
    buf_release(&s->id);
    buf_release(&s->name);
    buf_release(&s->input);
    buf_release(&s->thinking);
    buf_release(&s->signature);
    sse_release(&s->sse);
    mem_free(s);
}

static void tell(struct llm_stream *s, const struct llm_delta *d)
{
    if (s->delta)
        s->delta(s->arg, d);
}

/* Text of the answer or of its reasoning, kept and told. */
static int give(struct llm_stream *s, enum llm_delta_kind kind, const char *text)
{
    struct llm_delta d = {.kind = kind, .text = slice_str(text)};
    if (!buf_add_str(kind == LLM_DELTA_TEXT ? &s->a->text : &s->a->reasoning, text))
        return too_long(s->err);
    if (d.text.len)
        tell(s, &d);
    return 0;
}

static int begin_tool(struct llm_stream *s, const cJSON *block)
{
    if (++s->tool >= TOOL_CALLS_MAX)
        return err_set(s->err, ERR_UPSTREAM, "the provider made more than %d tool calls", TOOL_CALLS_MAX);
    const cJSON *input = member(block, "input");
    buf_clear(&s->id);
    buf_clear(&s->name);
    buf_clear(&s->input);
    if (!buf_add_str(&s->id, json_str(block, "id", "")) || !buf_add_str(&s->name, json_str(block, "name", "")))
        return too_long(s->err);
    if (s->id.len == 0)
        buf_addf(&s->id, "call_%d", s->tool);
    if (cJSON_IsObject(input) && input->child) /* all of it at once */
        json_print(&s->input, input);
    struct llm_delta d = {.kind = LLM_DELTA_TOOL,
                          .tool = s->tool,
                          .tool_id = buf_slice(&s->id),
                          .tool_name = buf_slice(&s->name),
                          .text = buf_slice(&s->input)};
    tell(s, &d);
    return s->input.full ? too_long(s->err) : 0;
}

static int begin_thinking(struct llm_stream *s, const cJSON *block)
{
    const char *text = json_str(block, "thinking", "");
    buf_clear(&s->thinking);
    buf_clear(&s->signature);
    if (s->kind == REDACTED) {
        json_print(&s->thinking, block);
        return s->thinking.full ? too_long(s->err) : 0;
    }
    bool ok = buf_add_str(&s->thinking, text) && buf_add_str(&s->signature, json_str(block, "signature", ""));
    return ok ? give(s, LLM_DELTA_REASONING, text) : too_long(s->err);
}

static int end_block(struct llm_stream *s);

static int begin_block(struct llm_stream *s, const cJSON *block)
{
    const char *type = json_str(block, "type", "");
    int r = end_block(s); /* one that was never closed */
    s->kind = strcmp(type, "text") == 0                ? TEXT
              : strcmp(type, "tool_use") == 0          ? TOOL
              : strcmp(type, "thinking") == 0          ? THINKING
              : strcmp(type, "redacted_thinking") == 0 ? REDACTED
                                                       : OTHER;
    if (r < 0)
        return r;
    switch (s->kind) {
    case TEXT: return give(s, LLM_DELTA_TEXT, json_str(block, "text", ""));
    case TOOL: return begin_tool(s, block);
    case THINKING:
    case REDACTED: return begin_thinking(s, block);
    case OTHER: break;
    }
    return 0;
}

static int read_input(struct llm_stream *s, const char *piece)
{
    struct llm_delta d = {.kind = LLM_DELTA_TOOL, .tool = s->tool, .text = slice_str(piece)};
    if (!buf_add_str(&s->input, piece))
        return too_long(s->err);
    if (d.text.len)
        tell(s, &d);
    return 0;
}

static int read_delta(struct llm_stream *s, const cJSON *d)
{
    const char *type = json_str(d, "type", "");
    if (strcmp(type, "text_delta") == 0 && s->kind == TEXT)
        return give(s, LLM_DELTA_TEXT, json_str(d, "text", ""));
    if (strcmp(type, "input_json_delta") == 0 && s->kind == TOOL)
        return read_input(s, json_str(d, "partial_json", ""));
    if (s->kind != THINKING)
        return 0;
    if (strcmp(type, "signature_delta") == 0)
        return buf_add_str(&s->signature, json_str(d, "signature", "")) ? 0 : too_long(s->err);
    if (strcmp(type, "thinking_delta") != 0)
        return 0;
    const char *text = json_str(d, "thinking", "");
    return buf_add_str(&s->thinking, text) ? give(s, LLM_DELTA_REASONING, text) : too_long(s->err);
}

static int end_thinking(struct llm_stream *s)
{
    struct buf block = {0};
    if (s->kind == THINKING) {
        buf_add_str(&block, "{\"type\":\"thinking\",\"thinking\":");
        json_quote(&block, buf_slice(&s->thinking));
        buf_add_str(&block, ",\"signature\":");
        json_quote(&block, buf_slice(&s->signature));
        buf_add_char(&block, '}');
    } else {
        buf_add(&block, s->thinking.p, s->thinking.len);
    }
    struct llm_delta d = {.kind = LLM_DELTA_BLOCK, .text = buf_slice(&block)};
    add_thinking(&s->a->thinking, d.text);
    if (!s->a->thinking.full)
        tell(s, &d);
    buf_release(&block);
    return s->a->thinking.full ? too_long(s->err) : 0;
}

static int end_block(struct llm_stream *s)
{
    enum block_kind kind = s->kind;
    int r = 0;
    if (kind == THINKING || kind == REDACTED)
        r = end_thinking(s);
    if (kind == TOOL)
        add_call(&s->a->tool_calls, buf_slice(&s->id), buf_slice(&s->name), buf_slice(&s->input));
    s->kind = OTHER;
    return r < 0 ? r : s->a->tool_calls.full ? too_long(s->err) : 0;
}

static int read_event(struct llm_stream *s, const cJSON *root)
{
    const char *type = json_str(root, "type", "");
    if (strcmp(type, "content_block_delta") == 0)
        return read_delta(s, member(root, "delta"));
    if (strcmp(type, "content_block_start") == 0)
        return begin_block(s, member(root, "content_block"));
    if (strcmp(type, "content_block_stop") == 0)
        return end_block(s);
    if (strcmp(type, "error") == 0)
        return error_in(root, s->a, s->err);
    if (strcmp(type, "message_start") == 0) {
        take_word(&s->a->model_id, json_str(member(root, "message"), "model", NULL));
        take_usage(s->a, member(member(root, "message"), "usage"));
    } else if (strcmp(type, "message_delta") == 0) {
        take_stop(s->a, json_str(member(root, "delta"), "stop_reason", NULL));
        take_usage(s->a, member(root, "usage"));
    } else if (strcmp(type, "message_stop") == 0) {
        s->done = true;
    }
    return 0;
}

static int on_event(void *arg, const struct sse_event *e)
{
    struct llm_stream *s = arg;
    struct err why;
    if (s->done || e->data.len == 0)
        return 0;
    cJSON *root = json_parse(e->data, EVENT_MAX, "event", &why);
    int r = cJSON_IsObject(root) ? read_event(s, root) : garbage(s->err, root ? "an event is no object" : why.msg);
    cJSON_Delete(root);
    return r;
}

int anthropic_stream_feed(struct llm_stream *s, struct slice bytes, struct err *err)
{
    s->err = err;
    return sse_feed(&s->sse, bytes, on_event, s, err);
}

int anthropic_stream_end(struct llm_stream *s, struct err *err)
{
    s->err = err;
    int r = sse_finish(&s->sse, on_event, s, err);
    if (r == 0 && !s->done && s->a->finish.len == 0)
        r = err_set(err, ERR_UPSTREAM, "the provider's stream ended in the middle of the answer");
    if (r == 0)
        r = end_block(s);
    if (r == 0 && s->a->finish.len == 0)
        buf_add_str(&s->a->finish, "stop");
    return r;
}
