/* What a model would be sent now, see context.h.
 *
 * The history is walked from its newest message back, a piece at a time, until a piece does not fit: the cost is that
 * of what is kept, not of the session's length. Tool calls are parsed only for the turns that are looked at. */
#include "session/context.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"

struct budget {
    uint64_t messages, tokens; /* what is left */
};

static void put(struct session_context *c, struct session_msg m)
{
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 16;
        c->v = mem_realloc(c->v, c->cap * sizeof *c->v);
    }
    c->v[c->n++] = m;
    c->tokens += m.tokens;
}

static void put_text(struct session_context *c, struct slice text)
{
    struct session_msg m = {.role = SESSION_SYSTEM, .content = text};
    m.tokens = session_msg_tokens(&m);
    put(c, m);
}

/* Which of the tool messages [first, end) are kept behind the assistant's message at `call`: those that are the first
 * answer to one of its calls. Fills keep[] and returns how many, or 0 when some call has no answer. */
static size_t answers(const struct session *s, uint32_t call, uint32_t end, uint32_t keep[SESSION_CALLS_MAX])
{
    bool answered[SESSION_CALLS_MAX] = {false};
    size_t n = 0;
    cJSON *calls = json_parse(session_at(s, call).tool_calls, SESSION_TEXT_LIMIT, "tool_calls", NULL);
    size_t wanted = cJSON_IsArray(calls) ? (size_t)cJSON_GetArraySize(calls) : 0;
    if (wanted > SESSION_CALLS_MAX)
        wanted = 0;
    for (uint32_t i = call + 1; i < end && n < wanted; i++) {
        struct slice id = session_at(s, i).tool_call_id;
        size_t k = 0;
        for (const cJSON *v = calls->child; v && k < wanted; v = v->next, k++)
            if (!answered[k] && slice_eq(slice_str(json_str(v, "id", "")), id))
                break;
        if (k < wanted) {
            answered[k] = true;
            keep[n++] = i;
        }
    }
    cJSON_Delete(calls);
    return n == wanted ? n : 0;
}

static bool afford(struct budget *left, uint64_t messages, uint64_t tokens)
{
    if (messages > left->messages || tokens > left->tokens)
        return false;
    left->messages -= messages;
    left->tokens -= tokens;
    return true;
}

/* A turn with tool calls at `call`, its tool messages up to `end`. False when it does not fit, which ends the walk. */
static bool put_turn(struct session_context *c, const struct session *s, uint32_t call, uint32_t end,
                     struct budget *left)
{
    uint32_t keep[SESSION_CALLS_MAX];
    size_t n = answers(s, call, end, keep);
    if (n == 0)
        return true;
    struct session_msg head = session_at(s, call);
    uint64_t tokens = head.tokens;
    for (size_t i = 0; i < n; i++)
        tokens += session_at(s, keep[i]).tokens;
    if (!afford(left, n + 1, tokens))
        return false;
    for (size_t i = n; i-- > 0;)
        put(c, session_at(s, keep[i]));
    put(c, head);
    return true;
}

/* Newest first. */
static void put_history(struct session_context *c, const struct session *s, struct budget left)
{
    uint32_t end = session_count(s);
    while (end > 0 && left.messages > 0) {
        uint32_t i = end;
        while (i > 0 && session_at(s, i - 1).role == SESSION_TOOL)
            i--;
        if (i == 0)
            return; /* tool messages alone: nothing that they answer */
        struct session_msg m = session_at(s, i - 1);
        if (m.tool_calls.len) {
            if (!put_turn(c, s, i - 1, end, &left))
                return;
        } else if (afford(&left, 1, m.tokens)) {
            put(c, m);
        } else {
            return;
        }
        end = i - 1;
    }
}

static void reverse(struct session_msg *v, size_t from, size_t to)
{
    for (; from + 1 < to; from++, to--) {
        struct session_msg tmp = v[from];
        v[from] = v[to - 1];
        v[to - 1] = tmp;
    }
}

void session_context_build(struct session_context *c, const struct session *s, struct session_strategy st)
{
    *c = (struct session_context){0};
    struct slice prompt = session_get(s, SESSION_PROMPT), summary = session_get(s, SESSION_SUMMARY);
    if (prompt.len)
        put_text(c, prompt);
    if (st.keep == SESSION_SUMMARISED && summary.len) {
        buf_add_str(&c->summary, "Summary of the conversation so far:\n");
        buf_add(&c->summary, summary.p, summary.len);
        put_text(c, buf_slice(&c->summary));
    }
    struct budget left = {UINT64_MAX, UINT64_MAX};
    if (st.keep == SESSION_LAST || st.keep == SESSION_SUMMARISED)
        left.messages = st.n;
    if (st.keep == SESSION_TOKENS)
        left.tokens = st.n > c->tokens ? st.n - c->tokens : 0;
    size_t head = c->n;
    put_history(c, s, left);
    reverse(c->v, head, c->n);
    c->left_out = session_count(s) - (c->n - head);
}

void session_context_release(struct session_context *c)
{
    mem_free(c->v);
    buf_release(&c->summary);
    *c = (struct session_context){0};
}

static void member(struct buf *to, const char *name, struct slice text)
{
    if (text.len == 0)
        return;
    buf_addf(to, ",\"%s\":", name);
    json_quote(to, text);
}

void session_msg_json(const struct session_msg *m, struct buf *to)
{
    buf_addf(to, "{\"role\":\"%s\",\"content\":", session_role_name(m->role));
    if (m->content_parts.len)
        buf_add(to, m->content_parts.p, m->content_parts.len);
    else if (m->content.len == 0 && m->tool_calls.len)
        buf_add_str(to, "null");
    else
        json_quote(to, m->content);
    member(to, "name", m->name);
    if (m->tool_calls.len) {
        buf_add_str(to, ",\"tool_calls\":");
        buf_add(to, m->tool_calls.p, m->tool_calls.len);
    }
    member(to, "tool_call_id", m->tool_call_id);
    buf_add_char(to, '}');
}

void session_context_json(const struct session_context *c, struct buf *to)
{
    buf_add_char(to, '[');
    for (size_t i = 0; i < c->n; i++) {
        if (i)
            buf_add_char(to, ',');
        session_msg_json(&c->v[i], to);
    }
    buf_add_char(to, ']');
}
