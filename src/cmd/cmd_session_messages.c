/* The messages of a session: adding, reading, trimming, and the context that a model is sent. */
#include "cmd/cmd_session.h"

#include "session/context.h"

/* ---- ADD ---- */

static bool add_id(struct call *c, int i, struct session_id *id)
{
    if (slice_eq(c->argv[i], SLICE("*")))
        return true;
    if (session_id_parse(c->argv[i], 0, id) && !session_id_none(*id))
        return true;
    reply_errorf(c->reply, "INVALID ID takes a message id, <ms>-<seq>, greater than 0-0");
    return false;
}

/* NAME, TOOL-CALLS, ... */
static bool add_part(struct call *c, int *i, struct session_msg *m)
{
    for (int part = 0; part < SESSION_PARTS; part++)
        if (session_option(c, i, session_part_words[part])) {
            *session_part(m, (enum session_part)part) = c->argv[*i];
            return true;
        }
    return false;
}

static bool add_args(struct call *c, struct session_msg *m, int64_t *now)
{
    *m = (struct session_msg){.content = c->argv[3]};
    *now = store_now(c->db->store);
    if (!session_role_parse(c->argv[2], &m->role)) {
        reply_errorf(c->reply, "INVALID the role is one of system, developer, user, assistant, tool");
        return false;
    }
    for (int i = 4; i < c->argc; i++) {
        if (session_option(c, &i, "ID")) {
            if (!add_id(c, i, &m->id))
                return false;
        } else if (session_option(c, &i, "TIME")) {
            if (!session_time_arg(c, i, now))
                return false;
        } else if (!add_part(c, &i, m)) {
            call_syntax(c);
            return false;
        }
    }
    return true;
}

/* Adds a message at the end and answers its id. A session is made when there is none.
 *
 * > SESSION.ADD chat:1 user "Where is Delft?" ID 5-1
 * < "5-1"
 * > SESSION.ADD chat:1 assistant "In the Netherlands."
 * < "*-0"
 * > SESSION.ADD chat:1 king "Bow."
 * < (error) INVALID the role is one of system, developer, user, assistant, tool
 * > SESSION.ADD chat:1 user "Too late" ID 5-1
 * < (error) INVALID the id 5-1 is not greater than the session's last id *
 * > SESSION.ADD chat:1 tool 21C
 * < (error) INVALID a message of the role tool needs the tool_call_id that it answers
 */
void session_add_run(struct call *c)
{
    struct session_msg m;
    struct session_id id;
    struct err err;
    char text[SESSION_ID_TEXT];
    int64_t now;
    if (!add_args(c, &m, &now))
        return;
    if (session_turn_add_at(c, c->argv[1], &m, 1, now, &id, &err) < 0)
        call_err(c, &err);
    else
        reply_bulk(c->reply, slice_of(text, session_id_text(id, text)));
}

/* ---- replies ---- */

static void reply_text_member(struct call *c, const char *name, struct slice text)
{
    if (text.len == 0)
        return;
    reply_str(c->reply, name);
    reply_bulk(c->reply, text);
}

void session_reply_map(struct call *c, const struct session_msg *m, const double *score)
{
    bool id = !session_id_none(m->id);
    char text[SESSION_ID_TEXT];
    size_t more = 0;
    for (int i = 0; i < SESSION_PARTS; i++)
        more += session_part_of(m, (enum session_part)i).len > 0;
    reply_map(c->reply, 3 + more + id + (score != NULL));
    if (id)
        reply_text_member(c, "id", slice_of(text, session_id_text(m->id, text)));
    reply_text_member(c, "role", slice_str(session_role_name(m->role)));
    reply_str(c->reply, "content");
    reply_bulk(c->reply, m->content);
    for (int i = 0; i < SESSION_PARTS; i++)
        reply_text_member(c, session_part_names[i], session_part_of(m, (enum session_part)i));
    reply_str(c->reply, "tokens");
    reply_int(c->reply, m->tokens);
    if (score) {
        reply_str(c->reply, "score");
        reply_double(c->reply, *score);
    }
}

void session_reply_message(struct call *c, const struct session_msg *m)
{
    char text[SESSION_ID_TEXT];
    reply_array(c->reply, 3);
    reply_bulk(c->reply, slice_of(text, session_id_text(m->id, text)));
    reply_str(c->reply, session_role_name(m->role));
    reply_bulk(c->reply, m->content);
}

/* ---- MESSAGES ---- */

struct listing {
    struct slice start, end;
    int64_t last, count; /* -1: all */
    bool ranged, rev, with_meta, by_role;
    enum session_role role;
};

static bool is_bound(struct slice s)
{
    return s.len && (strchr("-+(", s.p[0]) || (s.p[0] >= '0' && s.p[0] <= '9'));
}

static bool listing_args(struct call *c, struct listing *l)
{
    int i = 2;
    *l = (struct listing){.last = -1, .count = -1};
    if (c->argc > 3 && is_bound(c->argv[2])) {
        l->ranged = true;
        l->start = c->argv[2];
        l->end = c->argv[3];
        i = 4;
    }
    for (; i < c->argc; i++) {
        if (session_option(c, &i, "LAST")) {
            if (!call_range(c, i, 0, INT64_MAX, &l->last))
                return false;
        } else if (session_option(c, &i, "COUNT")) {
            if (!call_range(c, i, 0, INT64_MAX, &l->count))
                return false;
        } else if (session_option(c, &i, "ROLE")) {
            l->by_role = true;
            if (!session_role_parse(c->argv[i], &l->role)) {
                reply_errorf(c->reply, "INVALID the role is one of system, developer, user, assistant, tool");
                return false;
            }
        } else if (slice_is(c->argv[i], "REV")) {
            l->rev = true;
        } else if (slice_is(c->argv[i], "WITHMETA")) {
            l->with_meta = true;
        } else {
            call_syntax(c);
            return false;
        }
    }
    return true;
}

/* A bound as XRANGE has them: - and +, an id, the milliseconds of one alone, ( before it to exclude it. As a start it
 * gives the first index inside, as an end the first one behind. */
static bool bound(const struct session *s, struct slice text, bool end, uint32_t *at)
{
    struct session_id id;
    bool open = text.len && text.p[0] == '(';
    if (slice_eq(text, SLICE("-")) || slice_eq(text, SLICE("+"))) {
        *at = text.p[0] == '-' ? 0 : session_count(s);
        return true;
    }
    if (!session_id_parse(open ? slice_of(text.p + 1, text.len - 1) : text, end ? UINT32_MAX : 0, &id))
        return false;
    *at = end != open ? session_seek_after(s, id) : session_seek(s, id);
    return true;
}

/* With REV the two bounds may come in either order. */
static bool listing_range(const struct session *s, const struct listing *l, uint32_t *from, uint32_t *to)
{
    *from = 0;
    *to = session_count(s);
    if (!l->ranged)
        return true;
    if (!bound(s, l->start, false, from) || !bound(s, l->end, true, to))
        return false;
    if (l->rev && *from > *to)
        return bound(s, l->end, false, from) && bound(s, l->start, true, to);
    return true;
}

static bool wanted(const struct session *s, const struct listing *l, uint32_t i)
{
    return !l->by_role || session_at(s, i).role == l->role;
}

/* LAST n moves the start up to the n-th wanted message from the end. */
static uint32_t last_from(const struct session *s, const struct listing *l, uint32_t from, uint32_t to)
{
    int64_t left = l->last;
    while (left > 0 && to > from)
        left -= wanted(s, l, --to);
    return to;
}

static void reply_listing(struct call *c, const struct session *s, const struct listing *l, uint32_t from, uint32_t to)
{
    size_t place = reply_defer(c->reply), n = 0;
    if (l->last >= 0)
        from = last_from(s, l, from, to);
    for (uint32_t k = 0, span = to > from ? to - from : 0; k < span; k++) {
        uint32_t i = l->rev ? to - 1 - k : from + k;
        if (l->count >= 0 && n >= (uint64_t)l->count)
            break;
        struct session_msg m = session_at(s, i);
        if (l->by_role && m.role != l->role)
            continue;
        if (l->with_meta)
            session_reply_map(c, &m, NULL);
        else
            session_reply_message(c, &m);
        n++;
    }
    reply_defer_array(c->reply, place, n);
}

/* Messages, oldest first: id, role, content. start and end are as in XRANGE; LAST n keeps the newest n of what is asked
 * for, REV turns the order, COUNT stops after so many. WITHMETA gives each message as a map with all it has.
 *
 * > SESSION.ADD chat:1 user "Where is Delft?" ID 5-1
 * < "5-1"
 * > SESSION.ADD chat:1 assistant "In the Netherlands." ID 6-1
 * < "6-1"
 * > SESSION.MESSAGES chat:1
 * < 1) 1) "5-1"
 * <    2) "user"
 * <    3) "Where is Delft?"
 * < 2) 1) "6-1"
 * <    2) "assistant"
 * <    3) "In the Netherlands."
 * > SESSION.MESSAGES chat:1 (5-1 + REV COUNT 1
 * < 1) 1) "6-1"
 * <    2) "assistant"
 * <    3) "In the Netherlands."
 * > SESSION.MESSAGES absent
 * < (empty array)
 */
void session_messages_run(struct call *c)
{
    const struct session *s;
    struct listing l;
    uint32_t from, to;
    if (!listing_args(c, &l) || !session_arg_read(c, 1, &s))
        return;
    struct session *none = s ? NULL : session_create(0);
    if (!listing_range(s ? s : none, &l, &from, &to))
        reply_errorf(c->reply, "INVALID start and end are message ids, <ms>-<seq>, or - and +");
    else
        reply_listing(c, s ? s : none, &l, from, to);
    session_destroy(none);
}

/* ---- CONTEXT ---- */

struct asked {
    struct session_strategy st;
    bool own, json, with_meta; /* own: a strategy was given here */
};

static bool context_args(struct call *c, struct asked *a)
{
    struct err err;
    *a = (struct asked){0};
    for (int i = 2; i < c->argc; i++) {
        if (session_option(c, &i, "FORMAT")) {
            a->json = slice_is(c->argv[i], "JSON");
            if (a->json || slice_is(c->argv[i], "RESP"))
                continue;
            reply_errorf(c->reply, "INVALID FORMAT takes RESP or JSON");
            return false;
        }
        if (slice_is(c->argv[i], "WITHMETA")) {
            a->with_meta = true;
            continue;
        }
        if (a->own || i + 1 >= c->argc) {
            call_syntax(c);
            return false;
        }
        a->own = true;
        if (session_strategy_parse(c->argv[i], c->argv[i + 1], &a->st, &err) < 0) {
            call_err(c, &err);
            return false;
        }
        i++;
    }
    return true;
}

static void reply_context(struct call *c, const struct session_context *x, const struct asked *a)
{
    if (a->json) {
        struct buf json = {0};
        session_context_json(x, &json);
        reply_bulk(c->reply, buf_slice(&json));
        buf_release(&json);
        return;
    }
    reply_array(c->reply, x->n);
    for (size_t i = 0; i < x->n; i++) {
        if (a->with_meta) {
            session_reply_map(c, &x->v[i], NULL);
        } else {
            reply_array(c->reply, 2);
            reply_str(c->reply, session_role_name(x->v[i].role));
            reply_bulk(c->reply, x->v[i].content);
        }
    }
}

static void reply_context_map(struct call *c, const struct session_context *x, const struct asked *a)
{
    struct buf strategy = {0};
    session_strategy_print(a->st, &strategy);
    reply_map(c->reply, 4);
    reply_str(c->reply, "context");
    reply_bulk(c->reply, buf_slice(&strategy));
    reply_str(c->reply, "tokens");
    reply_int(c->reply, (int64_t)x->tokens);
    reply_str(c->reply, "left-out");
    reply_int(c->reply, (int64_t)x->left_out);
    reply_str(c->reply, "messages");
    reply_context(c, x, a);
    buf_release(&strategy);
}

/* What a model would be sent now: the system prompt and the newest messages, by the session's own rule or by the one
 * that is given. A turn with tool calls is sent whole or not at all. FORMAT JSON is the list as OpenAI's chat API takes
 * it.
 *
 * > SESSION.CREATE chat:1 SYSTEM "You are brief." CONTEXT LAST 2
 * < "chat:1"
 * > SESSION.ADD chat:1 user "Hello" ID 5-1
 * < "5-1"
 * > SESSION.ADD chat:1 assistant "Hi." ID 5-2
 * < "5-2"
 * > SESSION.ADD chat:1 user "Where is Delft?" ID 5-3
 * < "5-3"
 * > SESSION.CONTEXT chat:1
 * < 1) 1) "system"
 * <    2) "You are brief."
 * < 2) 1) "assistant"
 * <    2) "Hi."
 * < 3) 1) "user"
 * <    2) "Where is Delft?"
 * > SESSION.CONTEXT chat:1 LAST 1 FORMAT JSON
 * < "[{\"role\":\"system\",\"content\":\"You are brief.\"},{\"role\":\"user\",\"content\":\"Where is Delft?\"}]"
 * > SESSION.CONTEXT chat:1 LAST none
 * < (error) INVALID LAST takes a number from 1 to 4294967295
 */
void session_context_run(struct call *c)
{
    const struct session *s;
    struct session_context x = {0};
    struct asked a;
    if (!context_args(c, &a) || !session_arg_read(c, 1, &s))
        return;
    if (s) {
        if (!a.own)
            a.st = session_strategy(s);
        session_context_build(&x, s, a.st);
    }
    if (a.with_meta)
        reply_context_map(c, &x, &a);
    else
        reply_context(c, &x, &a);
    session_context_release(&x);
}

/* ---- TRIM ---- */

/* How many of the oldest messages are to go; false: the error is replied. */
static bool trim_args(struct call *c, const struct session *s, uint32_t *drop)
{
    struct session_id id;
    int64_t n;
    uint32_t have = s ? session_count(s) : 0;
    if (slice_is(c->argv[2], "LAST")) {
        if (!call_range(c, 3, 0, INT64_MAX, &n))
            return false;
        *drop = n < have ? have - (uint32_t)n : 0;
        return true;
    }
    if (!slice_is(c->argv[2], "BEFORE")) {
        call_syntax(c);
        return false;
    }
    if (!session_id_parse(c->argv[3], 0, &id)) {
        reply_errorf(c->reply, "INVALID BEFORE takes a message id, <ms>-<seq>");
        return false;
    }
    *drop = s ? session_seek(s, id) : 0;
    return true;
}

/* Drops the oldest messages: all but the last n, or all before an id. Answers how many went. Ids go on as before.
 *
 * > SESSION.ADD chat:1 user one ID 1-1
 * < "1-1"
 * > SESSION.ADD chat:1 user two ID 2-1
 * < "2-1"
 * > SESSION.ADD chat:1 user three ID 3-1
 * < "3-1"
 * > SESSION.TRIM chat:1 BEFORE 2-1
 * < (integer) 1
 * > SESSION.TRIM chat:1 LAST 0
 * < (integer) 2
 * > SESSION.GET chat:1 messages last-id
 * < 1) (integer) 0
 * < 2) "3-1"
 */
void session_trim_run(struct call *c)
{
    struct session *s;
    uint32_t drop;
    int64_t now = store_now(c->db->store);
    int i = 4;
    if (c->argc > 4) {
        if (!session_option(c, &i, "TIME") || i + 1 != c->argc) {
            call_syntax(c);
            return;
        }
        if (!session_time_arg(c, i, &now))
            return;
    }
    if (!session_arg_write(c, 1, &s) || !trim_args(c, s, &drop))
        return;
    if (drop) {
        session_drop(s, drop);
        session_changed(c, c->argv[1], s, now, "session.trim");
        session_effect_timed(c, 4, now);
    }
    reply_int(c->reply, drop);
}
