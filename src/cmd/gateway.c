/* See gateway.h. What would surprise: the door's tokens are checked at each request, not at each connection, since HTTP
 * clients share connections; a password costs one SHA-256. */
#include "cmd/gateway.h"

#include <stdint.h>
#include <string.h>

#include "auth/users.h"
#include "base/mem.h"
#include "base/setting.h"
#include "cmd/dispatch.h"
#include "cmd/durable.h"
#include "cmd/llm_said.h"
#include "cmd/outbound.h"
#include "cmd/permission.h"
#include "cmd/session_turn.h"

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
    struct llm_said from; /* until the call has started */
    struct session_msg *said;
    size_t nsaid;
};

static void turn_free(struct gateway_turn *t)
{
    gateway_turn_started(t);
    llm_said_free(t->said, t->nsaid);
    mem_free((char *)t->key.p);
    mem_free(t);
}

static int may_write(struct err *err)
{
    int rc = durable_ready(err);
    if (rc == 0 && dispatch_gates.disk)
        rc = dispatch_gates.disk(err);
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
    if (llm_said_build(&t->from, s, q, session_limits_of(&alone), store_now(t->db->store), err) < 0) {
        turn_free(t);
        return NULL;
    }
    t->said = llm_said_keep(t->from.v, t->from.n);
    t->nsaid = t->from.n;
    return t;
}

void gateway_turn_started(struct gateway_turn *t)
{
    llm_said_release(&t->from);
    t->from = (struct llm_said){0};
}

int gateway_turn_end(struct gateway_turn *t, const struct llm_reply *reply, const struct err *failed, const char *why,
                     struct err *err)
{
    char mark[LLM_SAID_MARK];
    int rc = 0;
    if (reply && !outbound_stopping() && (!failed || reply->text.len)) {
        t->said[t->nsaid] = llm_said_answer(reply, failed ? why : NULL, mark);
        rc = session_turn_add_alone(t->db, t->key, t->said, t->nsaid + 1, NULL, err);
    }
    turn_free(t);
    return rc;
}
