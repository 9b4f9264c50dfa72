#include "cmd/llm_said.h"

#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "cmd/llm_options.h"

static bool is_system(const struct llm_message *m)
{
    return slice_eq(m->role, SLICE("system")) || slice_eq(m->role, SLICE("developer"));
}

/* What people read of a message that came in parts: its texts, and a mark where something else stood. */
static void text_of_parts(struct slice parts, struct buf *to)
{
    cJSON *list = json_parse(parts, parts.len, "parts", NULL);
    const cJSON *part;
    cJSON_ArrayForEach(part, list)
    {
        const char *words = json_str(part, "text", NULL);
        if (to->len)
            buf_add_char(to, '\n');
        if (words)
            buf_add_str(to, words);
        else
            buf_addf(to, "[%.40s]", json_str(part, "type", "something"));
    }
    cJSON_Delete(list);
}

static int keep(struct llm_said *s, const struct llm_message *m, const struct session_limits *limits, struct err *err)
{
    struct session_msg *to = &s->v[s->n];
    *to = (struct session_msg){.content = m->content,
                               .name = m->name,
                               .tool_calls = m->tool_calls,
                               .tool_call_id = m->tool_call_id,
                               .content_parts = m->parts,
                               .reasoning = m->reasoning,
                               .thinking = m->thinking};
    if (!session_role_parse(m->role, &to->role))
        return err_set(err, ERR_INVALID, "a message of the role %.*s cannot be kept in a session", (int)m->role.len,
                       m->role.p);
    if (m->parts.len) {
        text_of_parts(m->parts, &s->texts[s->n]);
        to->content = buf_slice(&s->texts[s->n]);
    }
    s->n++;
    return session_msg_check(to, session_text_max(limits), err);
}

static int keep_new(struct llm_said *s, const struct llm_request *q, bool all, const struct session_limits *limits,
                    struct err *err)
{
    int from = all ? 0 : q->nmessages;
    while (!all && from > 0 && !slice_eq(q->messages[from - 1].role, SLICE("assistant")))
        from--;
    s->v = mem_zero(((size_t)q->nmessages + 1) * sizeof *s->v);
    s->texts = mem_zero(((size_t)q->nmessages + 1) * sizeof *s->texts);
    for (int i = from; i < q->nmessages; i++) {
        if (is_system(&q->messages[i]))
            continue;
        int rc = keep(s, &q->messages[i], limits, err);
        if (rc < 0)
            return rc;
    }
    if (s->n && s->v[s->n - 1].role != SESSION_ASSISTANT)
        return 0;
    return err_set(err, ERR_INVALID,
                   "there is no new message for the session: the last of messages must be the user's or a tool's");
}

static bool context_has(const struct llm_said *s, uint32_t i)
{
    struct session_id id = session_at(s->whole, i).id;
    for (size_t k = s->ctx.n; k-- > 0;)
        if (session_id_cmp(s->ctx.v[k].id, id) == 0)
            return true;
    return false;
}

static bool build_whole(struct llm_said *s, struct session_strategy strategy)
{
    uint32_t count = session_count(s->whole);
    session_context_release(&s->ctx);
    session_context_build(&s->ctx, s->whole, strategy);
    return context_has(s, count - (uint32_t)s->n) && context_has(s, count - 1);
}

/* Nothing but the calls and what came behind them. */
static struct session_strategy only_the_turn(const struct session *s)
{
    uint32_t count = session_count(s), n = 1;
    while (n < count && session_at(s, count - n).role != SESSION_ASSISTANT)
        n++;
    return (struct session_strategy){SESSION_LAST, n};
}

/* The session as it will be, for tools' answers: a context holds them only beside their calls. */
static int whole_context(struct llm_said *s, const struct session *was, int64_t now_ms, struct err *err)
{
    s->whole = session_clone(was);
    int rc = session_add(s->whole, s->v, s->n, now_ms, NULL, NULL, err);
    if (rc < 0)
        return rc;
    if (build_whole(s, session_strategy(was)) || build_whole(s, only_the_turn(s->whole)))
        return 0;
    return err_set(err, ERR_INVALID, "the tool messages do not answer the calls of the session's last message");
}

int llm_said_build(struct llm_said *s, const struct session *was, struct llm_request *q,
                   const struct session_limits *limits, int64_t now_ms, struct err *err)
{
    *s = (struct llm_said){0};
    bool fresh = !was || session_count(was) == 0;
    int rc = keep_new(s, q, fresh, limits, err), n = 0;
    bool tools = rc == 0 && !fresh && s->v[0].role == SESSION_TOOL, has_system = q->system.p != NULL;
    if (rc == 0 && tools)
        rc = whole_context(s, was, now_ms, err);
    else if (rc == 0 && was)
        session_context_build(&s->ctx, was, session_strategy(was));
    if (rc < 0)
        return rc;
    s->messages = mem_zero((s->ctx.n + (size_t)q->nmessages) * sizeof *s->messages);
    for (int i = 0; i < q->nmessages; i++)
        if (is_system(&q->messages[i]))
            s->messages[n++] = q->messages[i], has_system = true;
    for (size_t i = 0; i < s->ctx.n; i++) {
        const struct session_msg *m = &s->ctx.v[i];
        if (i > 0 || !has_system || m->role != SESSION_SYSTEM || !session_id_none(m->id))
            s->messages[n++] = llm_message_of(m);
    }
    for (size_t i = 0; i < s->n && !tools; i++)
        s->messages[n++] = llm_message_of(&s->v[i]);
    q->messages = s->messages;
    q->nmessages = n;
    if (was && !q->model.len)
        q->model = session_get(was, SESSION_MODEL);
    return 0;
}

void llm_said_release(struct llm_said *s)
{
    for (size_t i = 0; i < s->n; i++)
        buf_release(&s->texts[i]);
    session_context_release(&s->ctx);
    session_destroy(s->whole);
    mem_free(s->texts);
    mem_free(s->v);
    mem_free(s->messages);
}

/* ---- what is kept ---- */

static struct session_msg copy_of(const struct session_msg *m)
{
    struct session_msg to = *m;
    to.content = slice_of(mem_dup(m->content.len ? m->content.p : "", m->content.len), m->content.len);
    for (int i = 0; i < SESSION_PARTS; i++) {
        struct slice *part = session_part(&to, (enum session_part)i);
        part->p = part->len ? mem_dup(part->p, part->len) : NULL;
    }
    return to;
}

struct session_msg *llm_said_keep(const struct session_msg *v, size_t n)
{
    struct session_msg *to = mem_zero((n + 1) * sizeof *to);
    for (size_t i = 0; i < n; i++)
        to[i] = copy_of(&v[i]);
    return to;
}

void llm_said_free(struct session_msg *v, size_t n)
{
    for (size_t i = 0; v && i < n; i++) {
        mem_free((char *)v[i].content.p);
        for (int part = 0; part < SESSION_PARTS; part++)
            mem_free((char *)session_part_of(&v[i], (enum session_part)part).p);
    }
    mem_free(v);
}

struct session_msg llm_said_answer(const struct llm_reply *a, const char *why, char mark[LLM_SAID_MARK])
{
    struct session_msg m = {.role = SESSION_ASSISTANT, .content = a->text, .reasoning = a->reasoning};
    if (why) {
        int len = snprintf(mark, LLM_SAID_MARK, "{\"partial\":true,\"reason\":\"%s\"}", why);
        m.meta = slice_of(mark, (size_t)len);
    } else {
        m.tool_calls = a->tool_calls;
        m.thinking = a->thinking;
    }
    return m;
}
