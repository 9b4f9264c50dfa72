/* The session value. An array of pointers to message blocks, with room in front where a trim has been; a handful of
 * texts; a sorted array of variables. Most sessions are short and there may be millions: an empty one is 144 bytes, and
 * what it does not use it does not allocate. */
#include "session/session.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

struct text {
    uint32_t len;
    char p[];
};

struct var {
    uint32_t name, value; /* bytes */
    char p[];
};

struct session {
    int64_t created, updated;
    struct session_id last, summary_to;
    struct msg **v; /* v[start] is the oldest */
    uint32_t start, n, cap;
    uint32_t nvars;
    struct var **vars; /* sorted by name */
    uint64_t tokens;   /* of all messages */
    struct text *field[SESSION_FIELDS];
    struct session_strategy strategy;
};

const char *const session_field_names[SESSION_FIELDS] = {
    [SESSION_TITLE] = "title", [SESSION_PROMPT] = "system", [SESSION_MODEL] = "model",
    [SESSION_AGENT] = "agent", [SESSION_META] = "meta",     [SESSION_SUMMARY] = "summary",
};

#define MESSAGES_HARD (1u << 30)

/* ---- strategy ---- */

static const char *const keep_names[SESSION_KEEPS] = {
    [SESSION_ALL] = "ALL",
    [SESSION_LAST] = "LAST",
    [SESSION_TOKENS] = "TOKENS",
    [SESSION_SUMMARISED] = "SUMMARY",
};

int session_strategy_parse(struct slice word, struct slice n, struct session_strategy *out, struct err *err)
{
    for (int k = SESSION_LAST; k < SESSION_KEEPS; k++) {
        int64_t v;
        if (!slice_is(word, keep_names[k]))
            continue;
        if (!num_to_i64(n, &v) || v < 1 || v > UINT32_MAX)
            return err_set(err, ERR_INVALID, "%s takes a number from 1 to %u", keep_names[k], UINT32_MAX);
        *out = (struct session_strategy){(enum session_keep)k, (uint32_t)v};
        return 0;
    }
    return err_set(err, ERR_INVALID, "the context is LAST n, TOKENS n or SUMMARY n");
}

int session_strategy_from(struct slice text, struct session_strategy *out, struct err *err)
{
    if (text.len == 0 || slice_is(text, "ALL")) {
        *out = (struct session_strategy){SESSION_ALL, 0};
        return 0;
    }
    const char *space = memchr(text.p, ' ', text.len);
    size_t head = space ? (size_t)(space - text.p) : text.len;
    struct slice n = space ? slice_of(space + 1, text.len - head - 1) : SLICE("");
    if (session_strategy_parse(slice_of(text.p, head), n, out, NULL) == 0)
        return 0;
    return err_set(err, ERR_INVALID, "the context is ALL, \"LAST n\", \"TOKENS n\" or \"SUMMARY n\" with n at least 1");
}

void session_strategy_print(struct session_strategy st, struct buf *to)
{
    buf_add_str(to, keep_names[st.keep]);
    if (st.keep != SESSION_ALL)
        buf_addf(to, " %u", st.n);
}

struct session_strategy session_strategy(const struct session *s)
{
    return s->strategy;
}

void session_set_strategy(struct session *s, struct session_strategy st)
{
    s->strategy = st;
}

/* ---- life ---- */

struct session *session_create(int64_t now_ms)
{
    struct session *s = mem_zero(sizeof *s);
    s->created = s->updated = now_ms;
    return s;
}

void session_destroy(struct session *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n; i++)
        msg_unref(s->v[s->start + i]);
    for (uint32_t i = 0; i < s->nvars; i++)
        mem_free(s->vars[i]);
    for (int f = 0; f < SESSION_FIELDS; f++)
        mem_free(s->field[f]);
    mem_free(s->v);
    mem_free(s->vars);
    mem_free(s);
}

static struct var *var_make(struct slice name, struct slice value)
{
    struct var *v = mem_alloc(sizeof *v + name.len + value.len);
    v->name = (uint32_t)name.len;
    v->value = (uint32_t)value.len;
    memcpy(v->p, name.p, name.len);
    if (value.len)
        memcpy(v->p + name.len, value.p, value.len);
    return v;
}

static void copy_vars(struct session *to, const struct session *from)
{
    to->vars = from->nvars ? mem_alloc(from->nvars * sizeof *to->vars) : NULL;
    to->nvars = from->nvars;
    for (uint32_t i = 0; i < from->nvars; i++) {
        struct slice name, value;
        session_var_at(from, i, &name, &value);
        to->vars[i] = var_make(name, value);
    }
}

static void share_messages(struct session *to, const struct session *from, uint32_t n)
{
    to->v = n ? mem_alloc(n * sizeof(struct msg *)) : NULL;
    to->n = to->cap = n;
    for (uint32_t i = 0; i < n; i++) {
        to->v[i] = msg_ref(from->v[from->start + i]);
        to->tokens += msg_tokens(to->v[i]);
    }
}

static struct session *duplicate(const struct session *s, uint32_t n)
{
    struct session *d = session_create(s->created);
    d->updated = s->updated;
    d->last = s->last;
    d->summary_to = s->summary_to;
    d->strategy = s->strategy;
    for (int f = 0; f < SESSION_FIELDS; f++)
        if (s->field[f])
            d->field[f] = mem_dup(s->field[f], sizeof(struct text) + s->field[f]->len);
    copy_vars(d, s);
    share_messages(d, s, n);
    return d;
}

struct session *session_clone(const struct session *s)
{
    return duplicate(s, s->n);
}

struct session *session_fork(const struct session *s, struct session_id upto, int64_t now_ms)
{
    bool all = session_id_none(upto);
    struct session *f = duplicate(s, all ? s->n : session_seek_after(s, upto));
    f->created = f->updated = now_ms;
    if (!all) {
        f->last = upto;
        if (session_id_cmp(f->summary_to, upto) > 0)
            session_set(f, SESSION_SUMMARY, SLICE(""));
    }
    return f;
}

/* ---- fields ---- */

struct slice session_get(const struct session *s, enum session_field f)
{
    const struct text *t = s->field[f];
    return t ? slice_of(t->p, t->len) : SLICE("");
}

int session_field_check(enum session_field f, struct slice text, const struct session_limits *lim, struct err *err)
{
    uint64_t max = f == SESSION_MODEL || f == SESSION_AGENT ? SESSION_NAME_MAX : session_text_max(lim);
    if (f == SESSION_META && text.len)
        return session_object_check(text, "meta", max, err);
    return session_text_check(text, session_field_names[f], max, err);
}

void session_set(struct session *s, enum session_field f, struct slice text)
{
    struct text *t = NULL;
    if (text.len) {
        t = mem_alloc(sizeof *t + text.len);
        t->len = (uint32_t)text.len;
        memcpy(t->p, text.p, text.len);
    }
    mem_free(s->field[f]);
    s->field[f] = t;
    if (f == SESSION_SUMMARY)
        s->summary_to = t ? s->last : (struct session_id){0, 0};
}

struct session_id session_summary_to(const struct session *s)
{
    return s->summary_to;
}

void session_set_summary_to(struct session *s, struct session_id id)
{
    s->summary_to = id;
}

int64_t session_created(const struct session *s)
{
    return s->created;
}

int64_t session_updated(const struct session *s)
{
    return s->updated;
}

void session_set_times(struct session *s, int64_t created_ms, int64_t updated_ms)
{
    s->created = created_ms;
    s->updated = updated_ms;
}

void session_touch(struct session *s, int64_t now_ms)
{
    if (now_ms > s->updated)
        s->updated = now_ms;
}

/* ---- variables ---- */

uint32_t session_var_count(const struct session *s)
{
    return s->nvars;
}

void session_var_at(const struct session *s, uint32_t i, struct slice *name, struct slice *value)
{
    const struct var *v = s->vars[i];
    *name = slice_of(v->p, v->name);
    *value = slice_of(v->p + v->name, v->value);
}

/* Where name is, or where it would have to be put. */
static uint32_t var_find(const struct session *s, struct slice name, bool *found)
{
    uint32_t lo = 0, hi = s->nvars;
    *found = false;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = slice_cmp(slice_of(s->vars[mid]->p, s->vars[mid]->name), name);
        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool session_var_get(const struct session *s, struct slice name, struct slice *value)
{
    bool found;
    uint32_t i = var_find(s, name, &found);
    struct slice ignored;
    if (found)
        session_var_at(s, i, &ignored, value);
    return found;
}

int session_var_set(struct session *s, struct slice name, struct slice value, const struct session_limits *lim,
                    struct err *err)
{
    bool found;
    uint32_t i = var_find(s, name, &found);
    if (name.len == 0)
        return err_set(err, ERR_INVALID, "a variable needs a name");
    int rc = session_text_check(name, "the variable's name", SESSION_NAME_MAX, err);
    if (rc == 0)
        rc = session_text_check(value, "the variable's value", session_text_max(lim), err);
    if (rc < 0)
        return rc;
    if (!found && lim && s->nvars >= lim->vars)
        return err_set(err, ERR_STATE, "the session has %u variables, which is the limit (session-max-variables)",
                       s->nvars);
    if (found) {
        mem_free(s->vars[i]);
    } else {
        s->vars = mem_realloc(s->vars, (s->nvars + 1) * sizeof *s->vars);
        memmove(s->vars + i + 1, s->vars + i, (s->nvars - i) * sizeof *s->vars);
        s->nvars++;
    }
    s->vars[i] = var_make(name, value);
    return 0;
}

bool session_var_del(struct session *s, struct slice name)
{
    bool found;
    uint32_t i = var_find(s, name, &found);
    if (!found)
        return false;
    mem_free(s->vars[i]);
    s->nvars--;
    memmove(s->vars + i, s->vars + i + 1, (s->nvars - i) * sizeof *s->vars);
    return true;
}

/* ---- messages ---- */

static struct session_id next_id(struct session_id last, int64_t now_ms)
{
    uint64_t now = now_ms < 0 ? 0 : (uint64_t)now_ms;
    if (now > last.ms)
        return (struct session_id){now, 0};
    if (last.seq == UINT32_MAX)
        return (struct session_id){last.ms + 1, 0};
    return (struct session_id){last.ms, last.seq + 1};
}

static int check_id(struct session_id id, struct session_id last, struct err *err)
{
    if (session_id_cmp(id, last) > 0 && id.ms < SESSION_ID_MS)
        return 0;
    return err_set(err, ERR_INVALID, "the id %llu-%u is not greater than the session's last id %llu-%u",
                   (unsigned long long)id.ms, id.seq, (unsigned long long)last.ms, last.seq);
}

static void make_room(struct session *s)
{
    if (s->start + s->n < s->cap)
        return;
    if (s->start > s->cap / 4) {
        memmove(s->v, s->v + s->start, s->n * sizeof *s->v);
        s->start = 0;
        return;
    }
    s->cap = s->cap < 4 ? 4 : s->cap + s->cap / 2;
    s->v = mem_realloc(s->v, s->cap * sizeof *s->v);
}

static void push(struct session *s, const struct session_msg *m)
{
    make_room(s);
    struct msg *b = msg_make(m);
    s->v[s->start + s->n++] = b;
    s->tokens += msg_tokens(b);
    s->last = m->id;
}

int session_add(struct session *s, const struct session_msg *msgs, size_t n, int64_t now_ms, struct session_id *ids,
                const struct session_limits *lim, struct err *err)
{
    uint64_t most = lim && lim->messages > 0 ? (uint64_t)lim->messages : MESSAGES_HARD;
    struct session_id last = s->last;
    if (n > most || s->n > most - n)
        return err_set(err, ERR_STATE,
                       "the session has %u messages and the limit is %llu (session-max-messages): "
                       "make room with SESSION.TRIM",
                       s->n, (unsigned long long)most);
    for (size_t i = 0; i < n; i++) {
        int rc = session_msg_check(&msgs[i], session_text_max(lim), err);
        struct session_id id = session_id_none(msgs[i].id) ? next_id(last, now_ms) : msgs[i].id;
        if (rc == 0)
            rc = check_id(id, last, err);
        if (rc < 0)
            return rc;
        last = id;
    }
    for (size_t i = 0; i < n; i++) {
        struct session_msg m = msgs[i];
        if (session_id_none(m.id))
            m.id = next_id(s->last, now_ms);
        push(s, &m);
        if (ids)
            ids[i] = m.id;
    }
    session_touch(s, now_ms);
    return 0;
}

uint32_t session_count(const struct session *s)
{
    return s->n;
}

struct session_msg session_at(const struct session *s, uint32_t i)
{
    assert(i < s->n);
    return msg_view(s->v[s->start + i]);
}

struct session_id session_last_id(const struct session *s)
{
    return s->last;
}

void session_set_last_id(struct session *s, struct session_id id)
{
    if (session_id_cmp(id, s->last) > 0)
        s->last = id;
}

uint32_t session_seek(const struct session *s, struct session_id id)
{
    uint32_t lo = 0, hi = s->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (session_id_cmp(msg_id(s->v[s->start + mid]), id) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

uint32_t session_seek_after(const struct session *s, struct session_id id)
{
    uint32_t i = session_seek(s, id);
    return i < s->n && session_id_cmp(msg_id(s->v[s->start + i]), id) == 0 ? i + 1 : i;
}

void session_drop(struct session *s, uint32_t n)
{
    assert(n <= s->n);
    for (uint32_t i = 0; i < n; i++) {
        struct msg *b = s->v[s->start + i];
        s->tokens -= msg_tokens(b);
        msg_unref(b);
    }
    s->start += n;
    s->n -= n;
    if (s->n < s->cap / 4) {
        uint32_t cap = s->n ? s->n : 1;
        struct msg **v = mem_alloc(cap * sizeof *v);
        memcpy(v, s->v + s->start, s->n * sizeof *v);
        mem_free(s->v);
        s->v = v;
        s->cap = cap;
        s->start = 0;
    }
}

uint64_t session_token_sum(const struct session *s)
{
    return s->tokens + session_tokens(session_get(s, SESSION_PROMPT));
}

size_t session_bytes(const struct session *s, int samples)
{
    size_t sum = mem_size(s) + (s->v ? mem_size(s->v) : 0) + (s->vars ? mem_size(s->vars) : 0), part = 0;
    for (uint32_t i = 0; i < s->nvars; i++)
        sum += mem_size(s->vars[i]);
    for (int f = 0; f < SESSION_FIELDS; f++)
        sum += s->field[f] ? mem_size(s->field[f]) : 0;
    uint32_t look = samples > 0 && (uint32_t)samples < s->n ? (uint32_t)samples : s->n;
    for (uint32_t i = 0; i < look; i++)
        part += msg_bytes(s->v[s->start + (uint32_t)((uint64_t)i * s->n / look)]);
    return sum + (look ? part * s->n / look : 0);
}
