/* See gateway.h. What would surprise: the door's tokens are checked at each request, not at each connection, since HTTP
 * clients share connections; a password costs one SHA-256. */
#include "cmd/gateway.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "auth/users.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/setting.h"
#include "cmd/dispatch.h"
#include "cmd/outbound.h"
#include "cmd/permission.h"
#include "cmd/session_turn.h"
#include "session/context.h"

/* ---- who ---- */

static bool protected_mode(void)
{
    static const struct setting *s;
    if (!s)
        s = setting_find(SLICE("protected-mode"));
    return s && *(const bool *)s->at;
}

static int log_in(struct slice token, struct user **who, struct err *err)
{
    const char *colon = token.len ? memchr(token.p, ':', token.len) : NULL;
    struct slice name = SLICE("default"), password = token;
    if (colon && users_find(slice_of(token.p, (size_t)(colon - token.p)))) {
        name = slice_of(token.p, (size_t)(colon - token.p));
        password = slice_of(colon + 1, token.len - name.len - 1);
    }
    if (users_login(name, password, who, err) == 0)
        return 0;
    acl_log_add(ACL_REASON_AUTH, ACL_CONTEXT_TOPLEVEL, SLICE("HTTP"), name, SLICE("door=http"));
    return err_set(err, ERR_NOPERM,
                   "the API key is not valid: it is the password of the user default, or another user's name, a colon "
                   "and the password");
}

int gateway_login(struct slice token, bool local, struct user **who, struct err *err)
{
    if (token.p) {
        if (log_in(token, who, err) < 0)
            return ERR_NOPERM;
    } else {
        *who = users_default();
        if (!users_default_open())
            return err_set(err, ERR_NOPERM,
                           "an API key is needed: send the header 'Authorization: Bearer password', or "
                           "user:password for another user than default");
    }
    if (!local && protected_mode() && ((*who)->flags & USER_NOPASS))
        return err_set(err, ERR_NOPERM,
                       "protected mode is on and the user needs no password: ask from this machine, set a password, or "
                       "turn protected-mode off when the network is trusted");
    return 0;
}

int gateway_may(const struct user *u, const char *command, struct slice key, struct err *err)
{
    struct cmd_entry *e = table_find_full(slice_str(command));
    struct slice argv[] = {slice_str(command), key.p ? key : SLICE(""), SLICE("")};
    int argc = key.p ? 3 : 2, at;
    struct buf text = {0};
    if (!e) /* what has no command of its own is allowed with the others that call models */
        e = table_find(SLICE("llm.ask"));
    enum permission p = permission_ask(u, e, argc, argv, &at);
    if (p == PERMISSION_YES)
        return 0;
    acl_log_add(p == PERMISSION_NO_KEY ? ACL_REASON_KEY : ACL_REASON_COMMAND, ACL_CONTEXT_TOPLEVEL,
                p == PERMISSION_NO_KEY ? argv[at] : slice_str(e->name), u->name, SLICE("door=http"));
    permission_text(&text, p, u, e, SLICE(""), false);
    err_set(err, ERR_NOPERM, "%.*s", (int)text.len, text.p);
    buf_release(&text);
    return ERR_NOPERM;
}

/* ---- a turn ---- */

struct gateway_turn {
    struct db *db;
    struct slice key;
    struct session_msg *fresh; /* what is new, its texts owned, and a place for the answer */
    int nfresh;
    struct session_context ctx;
    struct llm_message *messages;
};

static struct slice copy(struct slice s)
{
    return s.len ? slice_of(mem_dup(s.p, s.len), s.len) : SLICE("");
}

/* What a person reads of a message that came in parts. */
static struct slice text_of_parts(struct slice parts)
{
    struct buf text = {0};
    struct err err;
    cJSON *list = json_parse(parts, SIZE_MAX, "parts", &err);
    const cJSON *part;
    cJSON_ArrayForEach(part, list)
    {
        const char *words = json_str(part, "text", NULL);
        if (words && text.len)
            buf_add_char(&text, '\n');
        if (words)
            buf_add_str(&text, words);
    }
    cJSON_Delete(list);
    size_t n = text.len;
    return n ? slice_of(buf_take(&text, &n), n) : SLICE("");
}

static bool is_system(const struct llm_message *m)
{
    return slice_eq(m->role, SLICE("system")) || slice_eq(m->role, SLICE("developer"));
}

static void keep_fresh(struct gateway_turn *t, const struct llm_message *m)
{
    struct session_msg *to = &t->fresh[t->nfresh++];
    *to = (struct session_msg){.role = SESSION_USER};
    session_role_parse(m->role, &to->role);
    to->content = m->parts.len ? text_of_parts(m->parts) : copy(m->content);
    to->content_parts = copy(m->parts);
    to->name = copy(m->name);
    to->tool_call_id = copy(m->tool_call_id);
}

/* The body's system messages, or the session's own; then the session's messages; then what is new. */
static void gather(struct gateway_turn *t, struct llm_request *q, int first_new)
{
    bool has_system = q->system.len > 0;
    int n = 0;
    for (int i = 0; i < q->nmessages; i++)
        has_system |= is_system(&q->messages[i]);
    t->messages = mem_zero((t->ctx.n + (size_t)q->nmessages) * sizeof *t->messages);
    t->fresh = mem_zero(((size_t)q->nmessages + 1) * sizeof *t->fresh);
    for (int i = 0; i < q->nmessages; i++)
        if (is_system(&q->messages[i]))
            t->messages[n++] = q->messages[i];
    for (size_t i = 0; i < t->ctx.n; i++) {
        const struct session_msg *m = &t->ctx.v[i];
        if (i == 0 && has_system && m->role == SESSION_SYSTEM && session_id_none(m->id))
            continue;
        t->messages[n++] = (struct llm_message){.role = slice_str(session_role_name(m->role)),
                                                .content = m->content,
                                                .parts = m->content_parts,
                                                .name = m->name,
                                                .tool_calls = m->tool_calls,
                                                .tool_call_id = m->tool_call_id,
                                                .reasoning = m->reasoning,
                                                .thinking = m->thinking};
    }
    for (int i = first_new; i < q->nmessages; i++) {
        if (is_system(&q->messages[i]))
            continue;
        t->messages[n++] = q->messages[i];
        keep_fresh(t, &q->messages[i]);
    }
    q->messages = t->messages;
    q->nmessages = n;
}

static int first_new(const struct llm_request *q)
{
    int at = q->nmessages;
    while (at > 0 && !slice_eq(q->messages[at - 1].role, SLICE("assistant")))
        at--;
    return at;
}

static void free_copy(struct slice s)
{
    if (s.len)
        mem_free((char *)s.p);
}

static void turn_free(struct gateway_turn *t)
{
    gateway_turn_started(t);
    for (int i = 0; i < t->nfresh; i++) {
        free_copy(t->fresh[i].content);
        free_copy(t->fresh[i].content_parts);
        free_copy(t->fresh[i].name);
        free_copy(t->fresh[i].tool_call_id);
    }
    mem_free(t->fresh);
    mem_free((char *)t->key.p);
    mem_free(t);
}

static int may_write(struct err *err)
{
    int rc = dispatch_gates.disk ? dispatch_gates.disk(err) : 0;
    return rc == 0 && dispatch_gates.memory ? dispatch_gates.memory(err) : rc;
}

struct gateway_turn *gateway_turn_begin(struct slice key, struct llm_request *q, struct err *err)
{
    const struct session *s;
    struct call alone = {.db = &dispatch_store()->dbs[0], .flags = CALL_INTERNAL};
    if (may_write(err) < 0 || session_read(&alone, key, &s, err) < 0)
        return NULL;
    struct gateway_turn *t = mem_zero(sizeof *t);
    t->db = alone.db;
    t->key = slice_of(mem_dup(key.p, key.len), key.len);
    if (s) {
        session_context_build(&t->ctx, s, session_strategy(s));
        if (!q->model.len)
            q->model = session_get(s, SESSION_MODEL);
    }
    gather(t, q, first_new(q));
    if (t->nfresh > 0)
        return t;
    turn_free(t);
    err_set(err, ERR_INVALID,
            "there is no new message for the session: the last of messages must be the user's or a tool's");
    return NULL;
}

void gateway_turn_started(struct gateway_turn *t)
{
    session_context_release(&t->ctx);
    t->ctx = (struct session_context){0};
    mem_free(t->messages);
    t->messages = NULL;
}

int gateway_turn_end(struct gateway_turn *t, const struct llm_reply *reply, const struct err *failed, const char *why,
                     struct err *err)
{
    char mark[64];
    int rc = 0;
    if (reply && !outbound_stopping() && (!failed || reply->text.len)) {
        struct session_msg *answer = &t->fresh[t->nfresh];
        *answer = (struct session_msg){.role = SESSION_ASSISTANT,
                                       .content = reply->text,
                                       .reasoning = reply->reasoning,
                                       .thinking = reply->thinking};
        if (failed)
            answer->meta =
                slice_of(mark, (size_t)snprintf(mark, sizeof mark, "{\"partial\":true,\"reason\":\"%s\"}", why));
        else
            answer->tool_calls = reply->tool_calls;
        rc = session_turn_add_alone(t->db, t->key, t->fresh, (size_t)t->nfresh + 1, NULL, err);
    }
    turn_free(t);
    return rc;
}
