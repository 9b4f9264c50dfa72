/* Sessions as JSON, see json.h. */
#include "session/json.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"

/* ---- export ---- */

static void put_name(struct buf *to, const char *name)
{
    char before = to->len ? to->p[to->len - 1] : 0;
    if (before != '{')
        buf_add_char(to, ',');
    buf_addf(to, "\"%s\":", name);
}

static void put_text(struct buf *to, const char *name, struct slice text)
{
    if (text.len == 0)
        return;
    put_name(to, name);
    json_quote(to, text);
}

static void put_raw(struct buf *to, const char *name, struct slice json)
{
    if (json.len == 0)
        return;
    put_name(to, name);
    buf_add(to, json.p, json.len);
}

static void put_id(struct buf *to, const char *name, struct session_id id)
{
    char text[SESSION_ID_TEXT];
    if (!session_id_none(id))
        put_text(to, name, slice_of(text, session_id_text(id, text)));
}

static bool is_json(int part)
{
    return part != SESSION_PART_NAME && part != SESSION_PART_TOOL_CALL_ID && part != SESSION_PART_REASONING;
}

static void put_message(struct buf *to, const struct session_msg *m)
{
    buf_add_char(to, '{');
    put_id(to, "id", m->id);
    put_text(to, "role", slice_str(session_role_name(m->role)));
    put_name(to, "content");
    if (m->content.len == 0 && m->tool_calls.len)
        buf_add_str(to, "null");
    else
        json_quote(to, m->content);
    for (int i = 0; i < SESSION_PARTS; i++)
        (is_json(i) ? put_raw : put_text)(to, session_part_names[i], session_part_of(m, (enum session_part)i));
    buf_add_char(to, '}');
}

static void put_variables(struct buf *to, const struct session *s)
{
    put_name(to, "variables");
    buf_add_char(to, '{');
    for (uint32_t i = 0; i < session_var_count(s); i++) {
        struct slice name, value;
        session_var_at(s, i, &name, &value);
        if (i)
            buf_add_char(to, ',');
        json_quote(to, name);
        buf_add_char(to, ':');
        json_quote(to, value);
    }
    buf_add_char(to, '}');
}

int session_export(const struct session *s, struct buf *to, struct err *err)
{
    struct buf strategy = {0};
    session_strategy_print(session_strategy(s), &strategy);
    buf_addf(to, "{\"format\":\"skald.session\",\"version\":1,\"created\":%lld,\"updated\":%lld",
             (long long)session_created(s), (long long)session_updated(s));
    put_id(to, "last_id", session_last_id(s));
    for (int f = 0; f < SESSION_FIELDS; f++) {
        struct slice text = session_get(s, (enum session_field)f);
        if (f == SESSION_META)
            put_raw(to, session_field_names[f], text);
        else
            put_text(to, session_field_names[f], text);
    }
    put_id(to, "summary_to", session_summary_to(s));
    put_text(to, "context", buf_slice(&strategy));
    buf_release(&strategy);
    put_variables(to, s);
    put_name(to, "messages");
    buf_add_char(to, '[');
    for (uint32_t i = 0; i < session_count(s) && !to->full; i++) {
        struct session_msg m = session_at(s, i);
        if (i)
            buf_add_char(to, ',');
        put_message(to, &m);
    }
    buf_add_str(to, "]}");
    if (to->full)
        return err_set(err, ERR_STATE, "the session is too large to be exported in one reply of %zu bytes", to->max);
    return 0;
}

/* ---- import ---- */

struct reader {
    struct session *s;
    const struct session_limits *lim;
    int64_t now, updated;
    struct err *err;
};

static int wrong(struct reader *r, const char *path, const char *must)
{
    return err_set(r->err, ERR_INVALID, "%s must be %s", path, must);
}

static int known(struct reader *r, const cJSON *o, const char *path, const char *const names[], size_t n)
{
    for (const cJSON *m = o->child; m; m = m->next) {
        size_t i = 0;
        while (i < n && strcmp(names[i], m->string) != 0)
            i++;
        if (i == n)
            return err_set(r->err, ERR_INVALID, "%s%s%.64s is not a member of a session's JSON", path, *path ? "." : "",
                           m->string);
        for (const cJSON *other = o->child; other != m; other = other->next)
            if (strcmp(other->string, m->string) == 0)
                return err_set(r->err, ERR_INVALID, "%s%s%s is there twice", path, *path ? "." : "", m->string);
    }
    return 0;
}

/* A string member; absent and null are the empty text. */
static int get_text(struct reader *r, const cJSON *o, const char *path, const char *name, struct slice *out)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    *out = SLICE("");
    if (!v || cJSON_IsNull(v))
        return 0;
    if (!cJSON_IsString(v))
        return err_set(r->err, ERR_INVALID, "%s%s%s must be a string", path, *path ? "." : "", name);
    *out = slice_str(v->valuestring);
    return 0;
}

static int get_id(struct reader *r, const cJSON *o, const char *path, const char *name, struct session_id *out)
{
    struct slice text;
    int rc = get_text(r, o, path, name, &text);
    *out = (struct session_id){0, 0};
    if (rc == 0 && text.len && (!session_id_parse(text, 0, out) || session_id_none(*out)))
        return err_set(r->err, ERR_INVALID, "%s%s%s must be a message id, <ms>-<seq>", path, *path ? "." : "", name);
    return rc;
}

static int get_time(struct reader *r, const cJSON *o, const char *name, int64_t *out)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    *out = r->now;
    if (!v || cJSON_IsNull(v))
        return 0;
    if (!cJSON_IsNumber(v) || !(v->valuedouble >= 0 && v->valuedouble < (double)SESSION_ID_MS))
        return wrong(r, name, "milliseconds since 1970");
    *out = (int64_t)v->valuedouble;
    return 0;
}

/* A member that is kept as JSON text; absent and null are the empty text. */
static void get_raw(const cJSON *o, const char *name, struct buf *to)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    if (v && !cJSON_IsNull(v))
        json_print(to, v);
}

static int check_format(struct reader *r, const cJSON *o)
{
    struct slice format;
    int rc = get_text(r, o, "", "format", &format);
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(o, "version");
    if (rc == 0 && format.len && !slice_eq(format, SLICE("skald.session")))
        rc = wrong(r, "format", "\"skald.session\"");
    if (rc == 0 && version && !cJSON_IsNull(version) && !(cJSON_IsNumber(version) && version->valuedouble == 1))
        rc = wrong(r, "version", "1, the only one that this server reads");
    return rc;
}

static int read_fields(struct reader *r, const cJSON *o)
{
    struct buf meta = {0};
    get_raw(o, "meta", &meta);
    int rc = 0;
    for (int f = 0; f < SESSION_FIELDS && rc == 0; f++) {
        struct slice text = buf_slice(&meta);
        if (f != SESSION_META)
            rc = get_text(r, o, "", session_field_names[f], &text);
        if (rc == 0)
            rc = session_field_check((enum session_field)f, text, r->lim, r->err);
        if (rc == 0)
            session_set(r->s, (enum session_field)f, text);
    }
    buf_release(&meta);
    return rc;
}

static int read_strategy(struct reader *r, const cJSON *o)
{
    struct slice text;
    struct session_strategy st;
    int rc = get_text(r, o, "", "context", &text);
    if (rc == 0)
        rc = session_strategy_from(text, &st, r->err);
    if (rc == 0)
        session_set_strategy(r->s, st);
    return rc;
}

static int read_variables(struct reader *r, const cJSON *o)
{
    const cJSON *vars = cJSON_GetObjectItemCaseSensitive(o, "variables");
    if (!vars || cJSON_IsNull(vars))
        return 0;
    if (!cJSON_IsObject(vars))
        return wrong(r, "variables", "an object of strings");
    for (const cJSON *v = vars->child; v; v = v->next) {
        if (!cJSON_IsString(v))
            return err_set(r->err, ERR_INVALID, "variables.%.64s must be a string", v->string);
        struct slice other;
        if (session_var_get(r->s, slice_str(v->string), &other))
            return err_set(r->err, ERR_INVALID, "variables.%.64s is there twice", v->string);
        struct err why;
        int rc = session_var_set(r->s, slice_str(v->string), slice_str(v->valuestring), r->lim, &why);
        if (rc < 0)
            return err_set(r->err, rc, "variables.%.64s: %s", v->string, why.msg);
    }
    return 0;
}

/* All but the content. Those that are JSON are printed to json, one after the other. */
static int read_parts(struct reader *r, const cJSON *o, const char *path, struct session_msg *m, struct buf *json)
{
    size_t end[SESSION_PARTS] = {0}, before = 0;
    for (int i = 0; i < SESSION_PARTS; i++) {
        if (is_json(i))
            get_raw(o, session_part_names[i], json);
        else if (get_text(r, o, path, session_part_names[i], session_part(m, (enum session_part)i)) < 0)
            return ERR_INVALID;
        end[i] = json->len;
    }
    for (int i = 0; i < SESSION_PARTS; before = end[i++])
        if (is_json(i) && end[i] > before)
            *session_part(m, (enum session_part)i) = slice_of(json->p + before, end[i] - before);
    return 0;
}

static int read_message(struct reader *r, const cJSON *o, int i)
{
    static const char *const names[] = {"id",           "role", "content",       "name",      "tool_calls",
                                        "tool_call_id", "meta", "content_parts", "reasoning", "thinking"};
    char path[32];
    struct session_msg m = {0};
    struct slice role;
    struct err why = {0};
    struct buf json = {0};
    snprintf(path, sizeof path, "messages[%d]", i);
    if (!cJSON_IsObject(o))
        return wrong(r, path, "an object");
    int rc = known(r, o, path, names, sizeof names / sizeof *names);
    if (rc == 0)
        rc = get_id(r, o, path, "id", &m.id);
    if (rc == 0)
        rc = get_text(r, o, path, "role", &role);
    if (rc == 0 && !session_role_parse(role, &m.role))
        rc = err_set(r->err, ERR_INVALID, "%s.role must be system, developer, user, assistant or tool", path);
    if (rc == 0)
        rc = get_text(r, o, path, "content", &m.content);
    if (rc == 0)
        rc = read_parts(r, o, path, &m, &json);
    if (rc == 0 && !m.tool_calls.len && !cJSON_IsString(cJSON_GetObjectItemCaseSensitive(o, "content")))
        rc = err_set(r->err, ERR_INVALID, "%s.content must be a string", path);
    if (rc == 0) {
        rc = session_add(r->s, &m, 1, r->now, NULL, r->lim, &why);
        if (rc < 0)
            err_set(r->err, rc, "%s: %s", path, why.msg);
    }
    buf_release(&json);
    return rc;
}

static int read_messages(struct reader *r, const cJSON *o)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "messages");
    if (!list || cJSON_IsNull(list))
        return 0;
    if (!cJSON_IsArray(list))
        return wrong(r, "messages", "an array");
    int i = 0, rc = 0;
    for (const cJSON *m = list->child; m && rc == 0; m = m->next)
        rc = read_message(r, m, i++);
    return rc;
}

/* After the messages: ids that speak of them. */
static int read_ids(struct reader *r, const cJSON *o)
{
    struct session_id last, to;
    int rc = get_id(r, o, "", "last_id", &last);
    if (rc == 0)
        rc = get_id(r, o, "", "summary_to", &to);
    if (rc == 0 && !session_id_none(last) && session_id_cmp(last, session_last_id(r->s)) < 0)
        rc = wrong(r, "last_id", "at least the id of the newest message");
    if (rc == 0)
        session_set_last_id(r->s, last);
    bool summary = session_get(r->s, SESSION_SUMMARY).len > 0;
    if (rc == 0 && !session_id_none(to) && (!summary || session_id_cmp(to, session_last_id(r->s)) > 0))
        rc = wrong(r, "summary_to", "beside a summary, and at most last_id");
    if (rc == 0 && summary)
        session_set_summary_to(r->s, session_id_none(to) ? session_last_id(r->s) : to);
    return rc;
}

static int read_session(struct reader *r, const cJSON *o)
{
    static const char *const names[] = {"format",  "version", "created",    "updated",   "last_id",
                                        "title",   "system",  "model",      "agent",     "meta",
                                        "context", "summary", "summary_to", "variables", "messages"};
    int64_t created = r->now;
    if (!cJSON_IsObject(o))
        return wrong(r, "a session", "a JSON object");
    int rc = known(r, o, "", names, sizeof names / sizeof *names);
    if (rc == 0)
        rc = check_format(r, o);
    if (rc == 0)
        rc = get_time(r, o, "created", &created);
    if (rc == 0)
        rc = get_time(r, o, "updated", &r->updated);
    if (rc == 0)
        rc = read_fields(r, o);
    if (rc == 0)
        rc = read_strategy(r, o);
    if (rc == 0)
        rc = read_variables(r, o);
    if (rc == 0)
        rc = read_messages(r, o);
    if (rc == 0)
        rc = read_ids(r, o);
    session_set_times(r->s, created, r->updated);
    return rc;
}

struct session *session_import(struct slice json, size_t text_max, int64_t now_ms, const struct session_limits *lim,
                               struct err *err)
{
    if (session_json_has_nul(json)) {
        err_set(err, ERR_INVALID, "the session's JSON holds U+0000, which no text may hold");
        return NULL;
    }
    cJSON *o = json_parse(json, text_max, "the session", err);
    if (!o)
        return NULL;
    struct reader r = {.s = session_create(now_ms), .lim = lim, .now = now_ms, .err = err};
    int rc = read_session(&r, o);
    cJSON_Delete(o);
    if (rc == 0)
        return r.s;
    session_destroy(r.s);
    return NULL;
}
