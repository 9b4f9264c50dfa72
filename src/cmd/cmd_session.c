/* The session family: creating, fields, variables, and the rows. Messages are in cmd_session_messages.c, whole sessions
 * in cmd_session_whole.c.
 *
 * SESSION.ADD, SESSION.SET and SESSION.VAR SET make the session when there is none, as XADD and HSET make their keys;
 * reading an absent one gives nothing. A session is never deleted because it became empty. */
#include "cmd/cmd_session.h"

#include "base/mem.h"
#include "cmd/expire.h"

/* ---- shared ---- */

bool session_arg_read(struct call *c, int i, const struct session **s)
{
    struct err err;
    int rc = session_read(c, c->argv[i], s, &err);
    if (rc < 0)
        call_err(c, &err);
    return rc == 0;
}

bool session_arg_write(struct call *c, int i, struct session **s)
{
    struct err err;
    int rc = session_write(c, c->argv[i], s, &err);
    if (rc < 0)
        call_err(c, &err);
    return rc == 0;
}

bool session_option(const struct call *c, int *i, const char *word)
{
    if (*i + 1 >= c->argc || !slice_is(c->argv[*i], word))
        return false;
    ++*i;
    return true;
}

bool session_time_arg(struct call *c, int i, int64_t *ms)
{
    if (num_to_i64(c->argv[i], ms) && *ms >= 0 && *ms < (int64_t)SESSION_ID_MS)
        return true;
    reply_errorf(c->reply, "INVALID TIME takes milliseconds since 1970");
    return false;
}

struct slice session_key_arg(const struct call *c, int i, char id[ID_LEN + 1])
{
    if (!slice_eq(c->argv[i], SLICE("*")))
        return c->argv[i];
    id_make(id);
    return slice_of(id, ID_LEN);
}

void session_changed(struct call *c, struct slice key, struct session *s, int64_t now_ms, const char *event)
{
    session_touch(s, now_ms);
    db_changed(c->db, key, NOTIFY_MODULE, event);
}

void session_effect_timed(struct call *c, int keep, int64_t now_ms)
{
    char tmp[NUM_I64_MAX];
    struct slice *argv = mem_alloc((size_t)(keep + 2) * sizeof *argv);
    memcpy(argv, c->argv, (size_t)keep * sizeof *argv);
    argv[keep] = SLICE("TIME");
    argv[keep + 1] = slice_of(tmp, num_from_i64(tmp, now_ms));
    call_effect(c, keep + 2, argv);
    mem_free(argv);
}

/* The session under key, made when absent. */
static struct session *or_new(struct call *c, struct slice key, struct session *s, int64_t now_ms)
{
    if (s)
        return s;
    s = session_create(now_ms);
    db_add(c->db, key, value_container(OBJ_SESSION, ENC_OWN, s));
    return s;
}

/* ---- CREATE ---- */

struct create {
    struct slice field[SESSION_FIELDS]; /* empty: not given */
    struct session_strategy strategy;
    struct slice strategy_n;
    int64_t now, expire; /* expire -1: none */
    bool nx;
};

static bool create_field(struct call *c, int *i, struct create *a, struct err *err)
{
    for (int f = 0; f < SESSION_FIELDS; f++) {
        if (f == SESSION_SUMMARY || !session_option(c, i, session_field_names[f]))
            continue;
        a->field[f] = c->argv[*i];
        if (session_field_check((enum session_field)f, a->field[f], session_limits_of(c), err) < 0)
            call_err(c, err);
        return true;
    }
    return false;
}

static bool create_args(struct call *c, struct create *a)
{
    struct err err = {0};
    *a = (struct create){.now = store_now(c->db->store), .expire = -1};
    for (int i = 2; i < c->argc; i++) {
        if (create_field(c, &i, a, &err)) {
            if (err.code)
                return false;
        } else if (session_option(c, &i, "TTL")) {
            if (!expire_arg(c, i, EXPIRE_EX, true, &a->expire))
                return false;
        } else if (session_option(c, &i, "TIME")) {
            if (!session_time_arg(c, i, &a->now))
                return false;
        } else if (i + 2 < c->argc && slice_is(c->argv[i], "CONTEXT")) {
            if (session_strategy_parse(c->argv[i + 1], c->argv[i + 2], &a->strategy, &err) < 0) {
                call_err(c, &err);
                return false;
            }
            a->strategy_n = c->argv[i + 2];
            i += 2;
        } else if (slice_is(c->argv[i], "NX")) {
            a->nx = true;
        } else {
            call_syntax(c);
            return false;
        }
    }
    return true;
}

static void create_effect(struct call *c, struct slice key, const struct create *a)
{
    static const char *const keep[] = {
        [SESSION_LAST] = "LAST", [SESSION_TOKENS] = "TOKENS", [SESSION_SUMMARISED] = "SUMMARY"};
    char now[NUM_I64_MAX], at[NUM_I64_MAX];
    struct slice argv[4 + 2 * SESSION_FIELDS + 3] = {SLICE("SESSION.CREATE"), key, SLICE("TIME"),
                                                     slice_of(now, num_from_i64(now, a->now))};
    int n = 4;
    for (int f = 0; f < SESSION_FIELDS; f++) {
        if (a->field[f].len) {
            argv[n++] = slice_str(session_field_names[f]);
            argv[n++] = a->field[f];
        }
    }
    if (a->strategy.keep != SESSION_ALL) {
        argv[n++] = SLICE("CONTEXT");
        argv[n++] = slice_str(keep[a->strategy.keep]);
        argv[n++] = a->strategy_n;
    }
    call_effect(c, n, argv);
    if (a->expire >= 0)
        call_effect(c, 3, (struct slice[]){SLICE("PEXPIREAT"), key, slice_of(at, num_from_i64(at, a->expire))});
}

/* Opens a session and answers its key; * makes one. With NX a session that exists is left as it is and the answer is
 * nil.
 *
 * > SESSION.CREATE chat:1 SYSTEM "You are brief." MODEL small TITLE "First steps" CONTEXT LAST 20
 * < "chat:1"
 * > SESSION.CREATE chat:1
 * < (error) BUSYKEY Target key name already exists.
 * > SESSION.CREATE chat:1 NX
 * < (nil)
 * > SESSION.GET chat:1 title
 * < "First steps"
 * > SESSION.CREATE * TTL 3600
 * < "*-*-7*-*-*"
 * > SESSION.CREATE chat:2 META nonsense
 * < (error) INVALID meta: bad JSON at byte *
 */
static void create(struct call *c)
{
    struct create a;
    struct session *s;
    char id[ID_LEN + 1];
    if (!create_args(c, &a))
        return;
    struct slice key = session_key_arg(c, 1, id);
    if (db_write(c->db, key)) {
        if (a.nx && session_arg_write(c, 1, &s))
            reply_nil(c->reply);
        else if (!a.nx)
            reply_errorf(c->reply, "BUSYKEY Target key name already exists.");
        return;
    }
    s = session_create(a.now);
    for (int f = 0; f < SESSION_FIELDS; f++)
        session_set(s, (enum session_field)f, a.field[f]);
    session_set_strategy(s, a.strategy);
    struct obj *o = db_add(c->db, key, value_container(OBJ_SESSION, ENC_OWN, s));
    if (a.expire >= 0)
        db_set_expire(c->db, o, a.expire);
    session_changed(c, key, s, a.now, "session.create");
    if (a.expire >= 0)
        db_notify(c->db, NOTIFY_GENERIC, "expire", key);
    create_effect(c, key, &a);
    reply_bulk(c->reply, key);
}

/* ---- GET and SET ---- */

static void reply_id(struct call *c, struct session_id id)
{
    char text[SESSION_ID_TEXT];
    if (session_id_none(id))
        reply_nil(c->reply);
    else
        reply_bulk(c->reply, slice_of(text, session_id_text(id, text)));
}

static void get_context(struct call *c, const struct session *s)
{
    struct buf b = {0};
    session_strategy_print(session_strategy(s), &b);
    reply_bulk(c->reply, buf_slice(&b));
    buf_release(&b);
}

static void get_messages(struct call *c, const struct session *s)
{
    reply_int(c->reply, session_count(s));
}

static void get_tokens(struct call *c, const struct session *s)
{
    reply_int(c->reply, (int64_t)session_token_sum(s));
}

static void get_variables(struct call *c, const struct session *s)
{
    reply_int(c->reply, session_var_count(s));
}

static void get_created(struct call *c, const struct session *s)
{
    reply_int(c->reply, session_created(s));
}

static void get_updated(struct call *c, const struct session *s)
{
    reply_int(c->reply, session_updated(s));
}

static void get_first_id(struct call *c, const struct session *s)
{
    reply_id(c, session_count(s) ? session_at(s, 0).id : (struct session_id){0, 0});
}

static void get_last_id(struct call *c, const struct session *s)
{
    reply_id(c, session_last_id(s));
}

static void get_summary_to(struct call *c, const struct session *s)
{
    reply_id(c, session_summary_to(s));
}

static void get_tier(struct call *c, const struct session *s)
{
    reply_str(c->reply, "hot");
}

/* What SESSION.GET knows beside the texts of enum session_field. */
static const struct {
    const char *name;
    void (*get)(struct call *c, const struct session *s);
} computed[] = {
    {"context", get_context},     {"messages", get_messages}, {"tokens", get_tokens},
    {"variables", get_variables}, {"created", get_created},   {"updated", get_updated},
    {"first-id", get_first_id},   {"last-id", get_last_id},   {"summary-to", get_summary_to},
    {"tier", get_tier},
};
#define COMPUTED (sizeof computed / sizeof *computed)

/* The number of the field: below SESSION_FIELDS a text, from there on an entry of computed[]; -1: none of that name. */
static int field_find(struct slice name)
{
    for (int f = 0; f < SESSION_FIELDS; f++)
        if (slice_is(name, session_field_names[f]))
            return f;
    for (size_t i = 0; i < COMPUTED; i++)
        if (slice_is(name, computed[i].name))
            return SESSION_FIELDS + (int)i;
    return -1;
}

static void reply_field(struct call *c, const struct session *s, int f)
{
    if (f >= SESSION_FIELDS) {
        computed[f - SESSION_FIELDS].get(c, s);
        return;
    }
    struct slice text = session_get(s, (enum session_field)f);
    if (text.len)
        reply_bulk(c->reply, text);
    else
        reply_nil(c->reply);
}

static void unknown_field(struct call *c, struct slice name)
{
    struct buf b = {0};
    for (int f = 0; f < SESSION_FIELDS; f++)
        buf_addf(&b, "%s ", session_field_names[f]);
    for (size_t i = 0; i < COMPUTED; i++)
        buf_addf(&b, "%s%s", i ? " " : "", computed[i].name);
    reply_errorf(c->reply, "INVALID a session has no field '%.*s'; it has %s", (int)(name.len < 64 ? name.len : 64),
                 name.p, buf_cstr(&b));
    buf_release(&b);
}

/* What is known of a session: all fields as a map, one field as its value, several as a list.
 *
 * > SESSION.CREATE chat:1 TITLE Trip MODEL small
 * < "chat:1"
 * > SESSION.ADD chat:1 user "Where to?" ID 5-1
 * < "5-1"
 * > SESSION.GET chat:1 title
 * < "Trip"
 * > SESSION.GET chat:1 model messages last-id agent context
 * < 1) "small"
 * < 2) (integer) 1
 * < 3) "5-1"
 * < 4) (nil)
 * < 5) "ALL"
 * > SESSION.GET chat:1 colour
 * < (error) INVALID a session has no field 'colour'; it has title *
 * > SESSION.GET absent
 * < (nil)
 */
static void get(struct call *c)
{
    const struct session *s;
    for (int i = 2; i < c->argc; i++) {
        if (field_find(c->argv[i]) < 0) {
            unknown_field(c, c->argv[i]);
            return;
        }
    }
    if (!session_arg_read(c, 1, &s))
        return;
    if (!s) {
        reply_nil(c->reply);
        return;
    }
    if (c->argc > 3)
        reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++)
        reply_field(c, s, field_find(c->argv[i]));
    if (c->argc > 2)
        return;
    reply_map(c->reply, SESSION_FIELDS + COMPUTED);
    for (int f = 0; f < SESSION_FIELDS + (int)COMPUTED; f++) {
        reply_str(c->reply, f < SESSION_FIELDS ? session_field_names[f] : computed[f - SESSION_FIELDS].name);
        reply_field(c, s, f);
    }
}

/* One pair of SESSION.SET: checked when s is NULL, else applied. */
struct set {
    int64_t now;
    bool timed;   /* the pairs say `updated` themselves: a replay */
    bool summary; /* there is one, or will be by now */
    struct session_id last;
};

static int set_pair(struct call *c, struct set *a, struct session *s, struct slice name, struct slice value,
                    struct err *err)
{
    struct session_strategy st;
    struct session_id id;
    int f = field_find(name), rc;
    if (f >= 0 && f < SESSION_FIELDS) {
        if (f == SESSION_SUMMARY)
            a->summary = value.len > 0;
        rc = session_field_check((enum session_field)f, value, session_limits_of(c), err);
        if (rc == 0 && s)
            session_set(s, (enum session_field)f, value);
        return rc;
    }
    if (slice_is(name, "context")) {
        rc = session_strategy_from(value, &st, err);
        if (rc == 0 && s)
            session_set_strategy(s, st);
        return rc;
    }
    if (slice_is(name, "summary-to")) {
        if (!a->summary || !session_id_parse(value, 0, &id) || session_id_cmp(id, a->last) > 0)
            return err_set(err, ERR_INVALID, "summary-to is the id of the last message that the summary covers");
        if (s)
            session_set_summary_to(s, id);
        return 0;
    }
    if (slice_is(name, "updated")) {
        a->timed = true;
        if (!num_to_i64(value, &a->now) || a->now < 0 || a->now >= (int64_t)SESSION_ID_MS)
            return err_set(err, ERR_INVALID, "updated takes milliseconds since 1970");
        return 0;
    }
    return err_set(err, ERR_INVALID,
                   "'%.*s' cannot be set; title, system, model, agent, meta, summary, context, summary-to can",
                   (int)(name.len < 64 ? name.len : 64), name.p);
}

static void set_effect(struct call *c, const struct set *a)
{
    char now[NUM_I64_MAX];
    size_t n = (size_t)c->argc;
    if (a->timed)
        return; /* it says all */
    struct slice *argv = mem_alloc((n + 2) * sizeof *argv);
    memcpy(argv, c->argv, n * sizeof *argv);
    argv[n] = SLICE("updated");
    argv[n + 1] = slice_of(now, num_from_i64(now, a->now));
    call_effect(c, (int)n + 2, argv);
    mem_free(argv);
}

/* Sets fields, all or none; an empty value unsets one. A session is made when there is none.
 *
 * > SESSION.SET chat:1 title Trip context "LAST 20"
 * < OK
 * > SESSION.GET chat:1 title context
 * < 1) "Trip"
 * < 2) "LAST 20"
 * > SESSION.SET chat:1 title "" messages 7
 * < (error) INVALID 'messages' cannot be set; *
 * > SESSION.GET chat:1 title
 * < "Trip"
 */
static void set(struct call *c)
{
    struct session *s;
    struct err err;
    if (c->argc % 2) {
        reply_errorf(c->reply, "ERR wrong number of arguments for '%s' command", c->cmd->name);
        return;
    }
    if (!session_arg_write(c, 1, &s))
        return;
    struct set a = {.now = store_now(c->db->store)};
    a.summary = s && session_get(s, SESSION_SUMMARY).len;
    a.last = s ? session_last_id(s) : (struct session_id){0, 0};
    for (int i = 2; i < c->argc; i += 2) {
        if (set_pair(c, &a, NULL, c->argv[i], c->argv[i + 1], &err) < 0) {
            call_err(c, &err);
            return;
        }
    }
    s = or_new(c, c->argv[1], s, a.now);
    for (int i = 2; i < c->argc; i += 2)
        set_pair(c, &a, s, c->argv[i], c->argv[i + 1], &err);
    session_changed(c, c->argv[1], s, a.now, "session.set");
    set_effect(c, &a);
    reply_ok(c->reply);
}

/* ---- VAR ---- */

/* [TIME ms] from argv[i] on. */
static bool var_time(struct call *c, int i, int64_t *now)
{
    *now = store_now(c->db->store);
    if (i == c->argc)
        return true;
    if (i + 2 == c->argc && session_option(c, &i, "TIME"))
        return session_time_arg(c, i, now);
    call_syntax(c);
    return false;
}

/* Sets a variable of a session, which is made when there is none.
 *
 * > SESSION.VAR SET chat:1 city Delft
 * < OK
 * > SESSION.VAR GET chat:1 city
 * < "Delft"
 */
static void var_set(struct call *c)
{
    struct session *s, *fresh = NULL;
    struct err err;
    int64_t now;
    if (!var_time(c, 5, &now) || !session_arg_write(c, 2, &s))
        return;
    if (!s)
        s = fresh = session_create(now);
    if (session_var_set(s, c->argv[3], c->argv[4], session_limits_of(c), &err) < 0) {
        session_destroy(fresh);
        call_err(c, &err);
        return;
    }
    if (fresh)
        db_add(c->db, c->argv[2], value_container(OBJ_SESSION, ENC_OWN, fresh));
    session_changed(c, c->argv[2], s, now, "session.var");
    session_effect_timed(c, 5, now);
    reply_ok(c->reply);
}

/* The value of a variable.
 *
 * > SESSION.VAR GET chat:1 city
 * < (nil)
 */
static void var_get(struct call *c)
{
    const struct session *s;
    struct slice value;
    if (!session_arg_read(c, 2, &s))
        return;
    if (s && session_var_get(s, c->argv[3], &value))
        reply_bulk(c->reply, value);
    else
        reply_nil(c->reply);
}

/* Deletes a variable.
 *
 * > SESSION.VAR SET chat:1 city Delft
 * < OK
 * > SESSION.VAR DEL chat:1 city
 * < (integer) 1
 * > SESSION.VAR DEL chat:1 city
 * < (integer) 0
 */
static void var_del(struct call *c)
{
    struct session *s;
    int64_t now;
    if (!var_time(c, 4, &now) || !session_arg_write(c, 2, &s))
        return;
    bool had = s && session_var_del(s, c->argv[3]);
    if (had) {
        session_changed(c, c->argv[2], s, now, "session.var");
        session_effect_timed(c, 4, now);
    }
    reply_int(c->reply, had);
}

/* All variables, by name.
 *
 * > SESSION.VAR SET chat:1 city Delft
 * < OK
 * > SESSION.VAR SET chat:1 age 42
 * < OK
 * > SESSION.VAR LIST chat:1
 * < 1) "age"
 * < 2) "42"
 * < 3) "city"
 * < 4) "Delft"
 */
static void var_list(struct call *c)
{
    const struct session *s;
    if (!session_arg_read(c, 2, &s))
        return;
    uint32_t n = s ? session_var_count(s) : 0;
    reply_map(c->reply, n);
    for (uint32_t i = 0; i < n; i++) {
        struct slice name, value;
        session_var_at(s, i, &name, &value);
        reply_bulk(c->reply, name);
        reply_bulk(c->reply, value);
    }
}

/* ---- rows ---- */

#define KEY     .acl = ACL_SESSION, .first = 1, .last = 1, .step = 1, .since = "1.0.0"
#define SUB_KEY .acl = ACL_SESSION, .first = 2, .last = 2, .step = 1, .since = "1.0.0"
#define GROW    (CMD_WRITE | CMD_DENYOOM)

/* clang-format off */
static const struct cmd var_rows[] = {
    {.name = "set", .run = var_set, .arity = -5, .flags = GROW | CMD_FAST, SUB_KEY,
     .key_spec = "RW update", .syntax = "key name value [TIME ms]",
     .summary = "Sets a variable of a session.", .complexity = "O(log N) where N is the number of variables"},
    {.name = "get", .run = var_get, .arity = 4, .flags = CMD_READONLY | CMD_FAST, SUB_KEY, .syntax = "key name",
     .summary = "The value of a variable.", .complexity = "O(log N) where N is the number of variables"},
    {.name = "del", .run = var_del, .arity = -4, .flags = CMD_WRITE | CMD_FAST, SUB_KEY,
     .key_spec = "RW delete", .syntax = "key name [TIME ms]",
     .summary = "Deletes a variable.", .complexity = "O(log N) where N is the number of variables"},
    {.name = "list", .run = var_list, .arity = 3, .flags = CMD_READONLY, SUB_KEY, .syntax = "key",
     .summary = "All variables of a session.", .complexity = "O(N) where N is the number of variables"},
};

static const struct cmd rows[] = {
    {.name = "session.create", .run = create, .arity = -2, .flags = GROW | CMD_FAST, KEY,
     .key_spec = "OW insert",
     .syntax = "key [SYSTEM text] [MODEL name] [AGENT name] [TITLE text] [META json] [TTL seconds] "
               "[CONTEXT (LAST n|TOKENS n|SUMMARY n)] [NX] [TIME ms]",
     .summary = "Opens a session; * as the key makes an id.", .complexity = "O(1)"},
    {.name = "session.add", .run = session_add_run, .arity = -4, .flags = GROW | CMD_FAST, KEY,
     .key_spec = "RW insert",
     .syntax = "key role content [ID id] [NAME name] [TOOL-CALLS json] [TOOL-CALL-ID id] [META json] "
               "[PARTS json] [REASONING text] [THINKING json] [TIME ms]",
     .summary = "Adds a message and answers its id.", .complexity = "O(1)"},
    {.name = "session.messages", .run = session_messages_run, .arity = -2, .flags = CMD_READONLY, KEY,
     .syntax = "key [start end] [LAST n] [REV] [COUNT n] [ROLE role] [WITHMETA]",
     .summary = "The messages of a session, or some of them.",
     .complexity = "O(log N + M) where N is the number of messages and M that of those looked at"},
    {.name = "session.context", .run = session_context_run, .arity = -2, .flags = CMD_READONLY, KEY,
     .syntax = "key [LAST n|TOKENS n|SUMMARY n] [FORMAT (RESP|JSON)] [WITHMETA]",
     .summary = "What a model would be sent now.", .complexity = "O(N) where N is the number of messages sent"},
    {.name = "session.get", .run = get, .arity = -2, .flags = CMD_READONLY | CMD_FAST, KEY, .syntax = "key [field...]",
     .summary = "What is known of a session.", .complexity = "O(N) where N is the number of fields"},
    {.name = "session.set", .run = set, .arity = -4, .flags = GROW | CMD_FAST, KEY,
     .key_spec = "RW update", .syntax = "key (field value)...",
     .summary = "Sets fields of a session.", .complexity = "O(N) where N is the number of fields"},
    {.name = "session.var", .arity = -3, .acl = ACL_SESSION, .syntax = "", .since = "1.0.0",
     .summary = "Variables of a session.", .complexity = "Depends on subcommand.", .subs = var_rows,
     .nsubs = (int)(sizeof var_rows / sizeof *var_rows)},
    {.name = "session.trim", .run = session_trim_run, .arity = -4, .flags = CMD_WRITE, KEY,
     .key_spec = "RW delete",
     .syntax = "key (LAST n|BEFORE id) [TIME ms]", .summary = "Drops the oldest messages.",
     .complexity = "O(M) where M is the number of messages dropped"},
    {.name = "session.fork", .run = session_fork_run, .arity = -3, .flags = GROW, .acl = ACL_SESSION, .first = 1,
     .last = 2, .step = 1,
     .key_spec = "RO access @1; OW insert @2", .syntax = "key newkey [AT id] [TIME ms]", .since = "1.0.0",
     .summary = "A second session with the same past; its messages are shared, not copied.",
     .complexity = "O(N) where N is the number of messages"},
    {.name = "session.search", .run = session_search_run, .arity = -3, .flags = CMD_READONLY | CMD_BLOCKING, KEY,
     .syntax = "key text [COUNT k] [WITHMETA]", .summary = "The messages that hold words of a text, best first.",
     .complexity = "O(N) where N is the size, on a worker when it is large"},
    {.name = "session.export", .run = session_export_run, .arity = 2, .flags = CMD_READONLY, KEY, .syntax = "key",
     .summary = "A whole session as JSON.", .complexity = "O(N) where N is the size"},
    {.name = "session.import", .run = session_import_run, .arity = -3, .flags = GROW, KEY,
     .key_spec = "OW insert",
     .syntax = "key json [REPLACE] [TIME ms]", .summary = "Makes a session of JSON.",
     .complexity = "O(N) where N is the size"},
};
/* clang-format on */

const struct cmd_family session_family = CMD_FAMILY("session", rows);
