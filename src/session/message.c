/* Messages: ids, roles, checks, and the block that keeps one. See message.h for the layout. */
#include "session/message.h"

#include <assert.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "llm/tokens.h"

/* ---- ids and roles ---- */

size_t session_id_text(struct session_id id, char to[SESSION_ID_TEXT])
{
    size_t n = num_from_u64(to, id.ms);
    to[n++] = '-';
    return n + num_from_u64(to + n, id.seq);
}

bool session_id_parse(struct slice s, uint32_t seq, struct session_id *out)
{
    const char *dash = s.len ? memchr(s.p, '-', s.len) : NULL;
    size_t head = dash ? (size_t)(dash - s.p) : s.len;
    uint64_t ms, n = seq;
    if (!num_to_u64(slice_of(s.p, head), &ms) || ms >= SESSION_ID_MS)
        return false;
    if (dash && (!num_to_u64(slice_of(dash + 1, s.len - head - 1), &n) || n > UINT32_MAX))
        return false;
    *out = (struct session_id){ms, (uint32_t)n};
    return true;
}

static const char *const role_names[SESSION_ROLES] = {
    [SESSION_SYSTEM] = "system",       [SESSION_DEVELOPER] = "developer", [SESSION_USER] = "user",
    [SESSION_ASSISTANT] = "assistant", [SESSION_TOOL] = "tool",
};

bool session_role_parse(struct slice s, enum session_role *out)
{
    for (int i = 0; i < SESSION_ROLES; i++) {
        if (slice_is(s, role_names[i])) {
            *out = (enum session_role)i;
            return true;
        }
    }
    return false;
}

const char *session_role_name(enum session_role role)
{
    return role_names[role];
}

/* ---- parts ---- */

static const size_t part_at[SESSION_PARTS] = {
    [SESSION_PART_NAME] = offsetof(struct session_msg, name),
    [SESSION_PART_TOOL_CALLS] = offsetof(struct session_msg, tool_calls),
    [SESSION_PART_TOOL_CALL_ID] = offsetof(struct session_msg, tool_call_id),
    [SESSION_PART_META] = offsetof(struct session_msg, meta),
    [SESSION_PART_CONTENT] = offsetof(struct session_msg, content_parts),
    [SESSION_PART_REASONING] = offsetof(struct session_msg, reasoning),
    [SESSION_PART_THINKING] = offsetof(struct session_msg, thinking),
};

const char *const session_part_names[SESSION_PARTS] = {
    "name", "tool_calls", "tool_call_id", "meta", "content_parts", "reasoning", "thinking",
};

const char *const session_part_words[SESSION_PARTS] = {
    "NAME", "TOOL-CALLS", "TOOL-CALL-ID", "META", "PARTS", "REASONING", "THINKING",
};

struct slice *session_part(struct session_msg *m, enum session_part part)
{
    return (struct slice *)((char *)m + part_at[part]);
}

struct slice session_part_of(const struct session_msg *m, enum session_part part)
{
    return *(const struct slice *)((const char *)m + part_at[part]);
}

/* ---- checks ---- */

static size_t first_bad_byte(struct slice s)
{
    size_t at = 0;
    while (at < s.len) {
        size_t before = at;
        if (utf8_next(s, &at) == 0xfffd && at == before + 1)
            return before;
    }
    return at;
}

int session_text_check(struct slice s, const char *what, uint64_t max, struct err *err)
{
    if (s.len > max)
        return err_set(err, ERR_INVALID, "%s of %zu bytes is over the limit of %llu", what, s.len,
                       (unsigned long long)max);
    if (!utf8_valid(s))
        return err_set(err, ERR_INVALID, "%s is not valid UTF-8 at byte %zu", what, first_bad_byte(s));
    const char *nul = s.len ? memchr(s.p, 0, s.len) : NULL;
    if (nul)
        return err_set(err, ERR_INVALID, "%s has a NUL at byte %zu, which no text may hold", what, (size_t)(nul - s.p));
    return 0;
}

bool session_json_has_nul(struct slice json)
{
    if (json.len && memchr(json.p, 0, json.len))
        return true;
    for (size_t i = 0; i + 1 < json.len; i++) {
        if (json.p[i] != '\\')
            continue;
        if (i + 6 <= json.len && memcmp(json.p + i, "\\u0000", 6) == 0)
            return true;
        i++; /* whatever is escaped, also a backslash */
    }
    return false;
}

static cJSON *parse(struct slice json, const char *what, uint64_t max, struct err *err)
{
    if (session_json_has_nul(json)) {
        err_set(err, ERR_INVALID, "%s holds U+0000, which no text may hold", what);
        return NULL;
    }
    return json_parse(json, max, what, err);
}

int session_object_check(struct slice json, const char *what, uint64_t max, struct err *err)
{
    cJSON *v = parse(json, what, max, err);
    if (!v)
        return ERR_INVALID;
    int rc = cJSON_IsObject(v) ? 0 : err_set(err, ERR_INVALID, "%s must be a JSON object", what);
    cJSON_Delete(v);
    return rc;
}

/* A list of what OpenAI's API calls tool calls: {"id", "type": "function", "function": {"name", "arguments"}}. */
static int check_call(const cJSON *calls, const cJSON *call, int i, struct err *err)
{
    const char *id = json_str(call, "id", ""), *type = json_str(call, "type", "function");
    const cJSON *fn = cJSON_GetObjectItemCaseSensitive(call, "function");
    if (!cJSON_IsObject(call))
        return err_set(err, ERR_INVALID, "tool_calls[%d] must be an object", i);
    if (!*id || strlen(id) > SESSION_NAME_MAX)
        return err_set(err, ERR_INVALID, "tool_calls[%d].id must be a string of 1 to %d bytes", i, SESSION_NAME_MAX);
    if (strcmp(type, "function") != 0)
        return err_set(err, ERR_INVALID, "tool_calls[%d].type must be \"function\"", i);
    if (!cJSON_IsObject(fn) || !*json_str(fn, "name", ""))
        return err_set(err, ERR_INVALID, "tool_calls[%d].function must be an object with a name", i);
    if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(fn, "arguments")))
        return err_set(err, ERR_INVALID, "tool_calls[%d].function.arguments must be a string of JSON", i);
    for (const cJSON *other = calls->child; other != call; other = other->next)
        if (strcmp(json_str(other, "id", ""), id) == 0)
            return err_set(err, ERR_INVALID, "tool_calls[%d].id is used twice", i);
    return 0;
}

static int check_calls(struct slice json, uint64_t max, struct err *err)
{
    cJSON *v = parse(json, "tool_calls", max, err);
    if (!v)
        return ERR_INVALID;
    int rc = 0, i = 0, n = cJSON_IsArray(v) ? cJSON_GetArraySize(v) : 0;
    if (n < 1 || n > SESSION_CALLS_MAX)
        rc = err_set(err, ERR_INVALID, "tool_calls must be a JSON array of 1 to %d calls", SESSION_CALLS_MAX);
    for (const cJSON *call = v->child; rc == 0 && call; call = call->next)
        rc = check_call(v, call, i++, err);
    cJSON_Delete(v);
    return rc;
}

/* Content parts as OpenAI writes them; thinking blocks as their vendor does. */
static int check_array(struct slice json, const char *what, uint64_t max, struct err *err)
{
    cJSON *v = parse(json, what, max, err);
    if (!v)
        return ERR_INVALID;
    int rc = cJSON_IsArray(v) && v->child ? 0 : err_set(err, ERR_INVALID, "%s must be a JSON array of objects", what);
    for (const cJSON *o = v->child; rc == 0 && o; o = o->next)
        if (!cJSON_IsObject(o) || !*json_str(o, "type", ""))
            rc = err_set(err, ERR_INVALID, "%s must be a JSON array of objects that have a type", what);
    cJSON_Delete(v);
    return rc;
}

static int check_thoughts(const struct session_msg *m, uint64_t max, struct err *err)
{
    if ((m->reasoning.len || m->thinking.len) && m->role != SESSION_ASSISTANT)
        return err_set(err, ERR_INVALID, "reasoning and thinking belong to the role assistant, not to %s",
                       role_names[m->role]);
    int rc = session_text_check(m->reasoning, "reasoning", max, err);
    return rc == 0 && m->thinking.len ? check_array(m->thinking, "thinking", max, err) : rc;
}

int session_msg_check(const struct session_msg *m, uint64_t max, struct err *err)
{
    int rc = session_text_check(m->content, "content", max, err);
    if (rc == 0)
        rc = session_text_check(m->name, "name", SESSION_NAME_MAX, err);
    if (rc == 0)
        rc = session_text_check(m->tool_call_id, "tool_call_id", SESSION_NAME_MAX, err);
    if (rc == 0 && m->tool_calls.len && m->role != SESSION_ASSISTANT)
        rc = err_set(err, ERR_INVALID, "tool_calls belong to the role assistant, not to %s", role_names[m->role]);
    if (rc == 0 && m->tool_call_id.len && m->role != SESSION_TOOL)
        rc = err_set(err, ERR_INVALID, "tool_call_id belongs to the role tool, not to %s", role_names[m->role]);
    if (rc == 0 && !m->tool_call_id.len && m->role == SESSION_TOOL)
        rc = err_set(err, ERR_INVALID, "a message of the role tool needs the tool_call_id that it answers");
    if (rc == 0 && m->tool_calls.len)
        rc = check_calls(m->tool_calls, max, err);
    if (rc == 0 && m->meta.len)
        rc = session_object_check(m->meta, "meta", max, err);
    if (rc == 0 && m->content_parts.len)
        rc = check_array(m->content_parts, "content_parts", max, err);
    return rc == 0 ? check_thoughts(m, max, err) : rc;
}

/* ---- tokens ---- */

uint32_t session_tokens(struct slice text)
{
    int64_t n = tokens_estimate(text);
    return n > UINT32_MAX / 8 ? UINT32_MAX / 8 : (uint32_t)n;
}

/* Text counts as text, whatever else there is (an image, a file) as an image. */
static uint32_t parts_tokens(struct slice json)
{
    uint32_t sum = 0;
    cJSON *v = json_parse(json, SESSION_TEXT_LIMIT, "content_parts", NULL);
    for (const cJSON *o = v ? v->child : NULL; o; o = o->next) {
        bool text = strcmp(json_str(o, "type", ""), "text") == 0;
        sum += text ? session_tokens(slice_str(json_str(o, "text", ""))) : SESSION_IMAGE_TOKENS;
    }
    cJSON_Delete(v);
    return sum;
}

/* Thoughts do not count: few vendors want them back, and those read them from their own cache. */
uint32_t session_msg_tokens(const struct session_msg *m)
{
    uint32_t content = m->content_parts.len ? parts_tokens(m->content_parts) : session_tokens(m->content);
    return TOKENS_PER_MESSAGE + content + session_tokens(m->name) + session_tokens(m->tool_calls) +
           session_tokens(m->tool_call_id);
}

/* ---- blocks ---- */

struct msg {
    uint32_t refs, tokens;
    uint64_t ms;
    uint32_t seq, content;
    uint8_t role, parts;
    char tail[];
};
_Static_assert(offsetof(struct msg, role) == 24 && offsetof(struct msg, tail) == 26, "the offset table in message.h");

struct msg *msg_make(const struct session_msg *m)
{
    struct slice part[SESSION_PARTS];
    size_t n = offsetof(struct msg, tail) + m->content.len;
    for (int i = 0; i < SESSION_PARTS; i++) {
        part[i] = session_part_of(m, (enum session_part)i);
        n += part[i].len ? sizeof(uint32_t) + part[i].len : 0;
    }
    struct msg *b = mem_alloc(n);
    b->refs = 1;
    b->tokens = session_msg_tokens(m);
    b->ms = m->id.ms;
    b->seq = m->id.seq;
    assert(m->content.len <= SESSION_TEXT_LIMIT);
    b->content = (uint32_t)m->content.len;
    b->role = (uint8_t)m->role;
    b->parts = 0;
    char *p = b->tail;
    for (int i = 0; i < SESSION_PARTS; i++) {
        uint32_t len = (uint32_t)part[i].len;
        if (len == 0)
            continue;
        b->parts |= (uint8_t)(1u << i);
        memcpy(p, &len, sizeof len);
        p += sizeof len;
    }
    if (m->content.len)
        memcpy(p, m->content.p, m->content.len);
    p += m->content.len;
    for (int i = 0; i < SESSION_PARTS; i++) {
        if (part[i].len)
            memcpy(p, part[i].p, part[i].len);
        p += part[i].len;
    }
    return b;
}

struct session_msg msg_view(const struct msg *b)
{
    struct session_msg m = {.id = {b->ms, b->seq}, .role = (enum session_role)b->role, .tokens = b->tokens};
    const char *lens = b->tail, *p = b->tail + sizeof(uint32_t) * (size_t)__builtin_popcount(b->parts);
    m.content = slice_of(p, b->content);
    p += b->content;
    for (int i = 0; i < SESSION_PARTS; i++) {
        uint32_t len;
        if (!(b->parts & 1u << i))
            continue;
        memcpy(&len, lens, sizeof len);
        lens += sizeof len;
        *session_part(&m, (enum session_part)i) = slice_of(p, len);
        p += len;
    }
    return m;
}

struct msg *msg_ref(struct msg *b)
{
    __atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
    return b;
}

void msg_unref(struct msg *b)
{
    if (b && __atomic_fetch_sub(&b->refs, 1, __ATOMIC_ACQ_REL) == 1)
        mem_free(b);
}

struct session_id msg_id(const struct msg *b)
{
    return (struct session_id){b->ms, b->seq};
}

uint32_t msg_tokens(const struct msg *b)
{
    return b->tokens;
}

size_t msg_bytes(const struct msg *b)
{
    return mem_size(b) / __atomic_load_n(&b->refs, __ATOMIC_RELAXED);
}
