/* Whole sessions: forks, and JSON out and in. */
#include "cmd/cmd_session.h"

#include "session/json.h"

/* ---- FORK ---- */

struct fork {
    struct session_id at; /* {0, 0}: all */
    struct slice at_text;
    int64_t now;
};

static bool fork_args(struct call *c, struct fork *a)
{
    *a = (struct fork){.now = store_now(c->db->store)};
    for (int i = 3; i < c->argc; i++) {
        if (session_option(c, &i, "AT")) {
            a->at_text = c->argv[i];
            if (session_id_parse(c->argv[i], 0, &a->at) && !session_id_none(a->at))
                continue;
            reply_errorf(c->reply, "INVALID AT takes a message id, <ms>-<seq>");
            return false;
        } else if (session_option(c, &i, "TIME")) {
            if (!session_time_arg(c, i, &a->now))
                return false;
        } else {
            call_syntax(c);
            return false;
        }
    }
    return true;
}

static bool has_message(const struct session *s, struct session_id id)
{
    uint32_t i = session_seek(s, id);
    return i < session_count(s) && session_id_cmp(session_at(s, i).id, id) == 0;
}

static void fork_effect(struct call *c, struct slice to, const struct fork *a)
{
    char now[NUM_I64_MAX];
    struct slice argv[7] = {
        SLICE("SESSION.FORK"), c->argv[1], to, SLICE("TIME"), slice_of(now, num_from_i64(now, a->now)),
        SLICE("AT"),           a->at_text};
    call_effect(c, a->at_text.p ? 7 : 5, argv);
}

/* A second session with the same fields, variables and messages, up to and including the message AT. The two share what
 * is past and go their own ways from there. Answers the new key; * makes one.
 *
 * > SESSION.ADD chat:1 user "Where is Delft?" ID 5-1
 * < "5-1"
 * > SESSION.ADD chat:1 assistant "In the sea." ID 6-1
 * < "6-1"
 * > SESSION.FORK chat:1 chat:2 AT 5-1
 * < "chat:2"
 * > SESSION.ADD chat:2 assistant "In the Netherlands." ID 6-1
 * < "6-1"
 * > SESSION.GET chat:1 messages
 * < (integer) 2
 * > SESSION.FORK chat:1 chat:2
 * < (error) BUSYKEY Target key name already exists.
 * > SESSION.FORK chat:1 chat:3 AT 7-1
 * < (error) STATE the session has no message with the id 7-1
 */
void session_fork_run(struct call *c)
{
    const struct session *s;
    struct fork a;
    char id[ID_LEN + 1];
    if (!fork_args(c, &a) || !session_arg_read(c, 1, &s))
        return;
    struct slice to = session_key_arg(c, 2, id);
    if (!s) {
        reply_errorf(c->reply, "ERR no such key");
    } else if (db_write(c->db, to)) {
        reply_errorf(c->reply, "BUSYKEY Target key name already exists.");
    } else if (a.at_text.p && !has_message(s, a.at)) {
        reply_errorf(c->reply, "STATE the session has no message with the id %.*s", (int)a.at_text.len, a.at_text.p);
    } else {
        struct session *f = session_fork(s, a.at, a.now);
        db_add(c->db, to, value_container(OBJ_SESSION, ENC_OWN, f));
        session_changed(c, to, f, a.now, "session.fork");
        fork_effect(c, to, &a);
        reply_bulk(c->reply, to);
    }
}

/* ---- EXPORT and IMPORT ---- */

/* A whole session as JSON, which SESSION.IMPORT reads and whose messages are those of OpenAI's chat API.
 *
 * > SESSION.ADD chat:1 user "Hello" ID 5-1 TIME 5
 * < "5-1"
 * > SESSION.EXPORT chat:1
 * < "{\"format\":\"skald.session\",\"version\":1,\"created\":5,\"updated\":5,\"last_id\":\"5-1\",*
 * > SESSION.EXPORT absent
 * < (nil)
 */
void session_export_run(struct call *c)
{
    const struct session *s;
    struct buf json;
    struct err err;
    if (!session_arg_read(c, 1, &s))
        return;
    if (!s) {
        reply_nil(c->reply);
        return;
    }
    buf_init(&json, SESSION_TEXT_LIMIT);
    if (session_export(s, &json, &err) < 0)
        call_err(c, &err);
    else
        reply_bulk(c->reply, buf_slice(&json));
    buf_release(&json);
}

static bool import_args(struct call *c, bool *replace, int64_t *now)
{
    *replace = false;
    *now = store_now(c->db->store);
    for (int i = 3; i < c->argc; i++) {
        if (slice_is(c->argv[i], "REPLACE")) {
            *replace = true;
        } else if (session_option(c, &i, "TIME")) {
            if (!session_time_arg(c, i, now))
                return false;
        } else {
            call_syntax(c);
            return false;
        }
    }
    return true;
}

static void import_effect(struct call *c, struct slice key, int64_t now)
{
    char text[NUM_I64_MAX];
    call_effect(c, 6,
                (struct slice[]){SLICE("SESSION.IMPORT"), key, c->argv[2], SLICE("REPLACE"), SLICE("TIME"),
                                 slice_of(text, num_from_i64(text, now))});
}

/* Makes a session of JSON as SESSION.EXPORT writes it, or of any {"messages": [...]} of OpenAI's chat API, and answers
 * its key; * makes one. Nothing is taken over when something is wrong.
 *
 * > SESSION.IMPORT chat:1 '{"messages":[{"role":"user","content":"Hello"}]}'
 * < "chat:1"
 * > SESSION.GET chat:1 messages
 * < (integer) 1
 * > SESSION.IMPORT chat:1 '{"messages":[]}'
 * < (error) BUSYKEY Target key name already exists.
 * > SESSION.IMPORT chat:1 '{"messages":[{"role":"king","content":"Bow."}]}' REPLACE
 * < (error) INVALID messages[0].role must be system, developer, user, assistant or tool
 */
void session_import_run(struct call *c)
{
    bool replace;
    int64_t now;
    struct err err;
    char id[ID_LEN + 1];
    if (!import_args(c, &replace, &now))
        return;
    struct slice key = session_key_arg(c, 1, id);
    if (!replace && db_write(c->db, key)) {
        reply_errorf(c->reply, "BUSYKEY Target key name already exists.");
        return;
    }
    bool replay = c->flags & CALL_REPLAY;
    struct session *s =
        session_import(c->argv[2], replay ? SIZE_MAX : (size_t)session_import_max, now, session_limits_of(c), &err);
    if (!s) {
        call_err(c, &err);
        return;
    }
    db_set(c->db, key, value_container(OBJ_SESSION, ENC_OWN, s), false);
    db_changed(c->db, key, NOTIFY_MODULE, "session.import");
    import_effect(c, key, now);
    reply_bulk(c->reply, key);
}
