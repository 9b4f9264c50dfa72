/* The session as a type of the keyspace: how it is saved, loaded, copied, measured. Saved as a module value (Redis's
 * own tools skip it), one opaque string:
 *
 *   u8   version, 2; version 1 is read, too: it has no second byte in messages
 *   len  created, updated                       milliseconds since 1970; `len` is RDB's length encoding
 *   id   last id, then where the summary ends   an id is two len: ms, seq; 0 0 is none
 *   u8   what a model is shown (enum session_keep), len its n (0 for all)
 *   u8   which fields are set, bit per enum session_field; then each as a text: len, bytes
 *   len  variables; then each as two texts, name and value, in the order of their names
 *   len  messages; then each:
 *          len  milliseconds since the message before (the first: since 1970)
 *          len  sequence number
 *          u8   role (enum session_role) in bits 0 to 2, bits 4 to 7: the first four of enum session_part are there
 *          u8   only where bit 3 of the byte before is set: bits 0 to 2 are for the other three
 *          text content, then the texts that are there
 *
 * The module's own version in its id stays 1, because Redis's tools and older payloads know the value by that id.
 *
 * The numbers of roles, parts, fields and strategies are part of the format: add at the end only. Token estimates are
 * made anew on load. Loading believes nothing: every text and every order is checked as if a client had sent it. */
#include "session/session.h"

#include "base/setting.h"
#include "store/digest.h"
#include "store/rdb.h"

#define FORMAT      2
#define MODULE      1
#define FIRST_PARTS 4
#define MORE        8u /* bit 3 of a message's head */

_Static_assert(SESSION_ROLES <= 8 && SESSION_FIELDS <= 8 && SESSION_PARTS <= FIRST_PARTS + 8, "the bits of the format");

/* ---- saving ---- */

/* Not rdb_put_str: that packs numbers, and a packed string is borrowed only until the next get. */
static void put_text(struct rdb_out *to, struct slice s)
{
    rdb_put_len(to, s.len);
    if (s.len)
        buf_add(to->to, s.p, s.len);
}

static void put_id(struct rdb_out *to, struct session_id id)
{
    rdb_put_len(to, id.ms);
    rdb_put_len(to, id.seq);
}

static void put_message(struct rdb_out *to, const struct session_msg *m, uint64_t before)
{
    unsigned head = (unsigned)m->role, there = 0;
    for (unsigned i = 0; i < SESSION_PARTS; i++)
        there |= session_part_of(m, (enum session_part)i).len ? 1u << i : 0;
    head |= (there & 15) << 4 | (there >> FIRST_PARTS ? MORE : 0);
    rdb_put_len(to, m->id.ms - before);
    rdb_put_len(to, m->id.seq);
    rdb_put_u8(to, (uint8_t)head);
    if (head & MORE)
        rdb_put_u8(to, (uint8_t)(there >> FIRST_PARTS));
    put_text(to, m->content);
    for (unsigned i = 0; i < SESSION_PARTS; i++)
        if (there & 1u << i)
            put_text(to, session_part_of(m, (enum session_part)i));
}

static void save_fields(const struct session *s, struct rdb_out *to)
{
    unsigned set = 0;
    for (unsigned f = 0; f < SESSION_FIELDS; f++)
        set |= session_get(s, (enum session_field)f).len ? 1u << f : 0;
    rdb_put_u8(to, (uint8_t)set);
    for (unsigned f = 0; f < SESSION_FIELDS; f++)
        if (set & 1u << f)
            put_text(to, session_get(s, (enum session_field)f));
    rdb_put_len(to, session_var_count(s));
    for (uint32_t i = 0; i < session_var_count(s); i++) {
        struct slice name, value;
        session_var_at(s, i, &name, &value);
        put_text(to, name);
        put_text(to, value);
    }
}

static void session_save(const struct obj *o, struct rdb_out *to)
{
    const struct session *s = o->v.ptr;
    struct session_strategy st = session_strategy(s);
    uint64_t before = 0;
    rdb_put_u8(to, FORMAT);
    rdb_put_len(to, (uint64_t)session_created(s));
    rdb_put_len(to, (uint64_t)session_updated(s));
    put_id(to, session_last_id(s));
    put_id(to, session_summary_to(s));
    rdb_put_u8(to, (uint8_t)st.keep);
    rdb_put_len(to, st.n);
    save_fields(s, to);
    rdb_put_len(to, session_count(s));
    for (uint32_t i = 0; i < session_count(s); i++) {
        struct session_msg m = session_at(s, i);
        put_message(to, &m, before);
        before = m.id.ms;
    }
}

/* ---- loading ---- */

static struct slice get_text(struct rdb_in *in)
{
    uint64_t len = rdb_get_len(in);
    if (in->bad || len > (uint64_t)(in->end - in->p)) {
        in->bad = true;
        return SLICE("");
    }
    struct slice s = slice_of((const char *)in->p, len);
    in->p += len;
    return s;
}

static struct session_id get_id(struct rdb_in *in)
{
    uint64_t ms = rdb_get_len(in), seq = rdb_get_len(in);
    if (ms >= SESSION_ID_MS || seq > UINT32_MAX)
        in->bad = true;
    return (struct session_id){ms, (uint32_t)seq};
}

static int damaged(struct err *err, const char *what)
{
    return err_set(err, ERR_GENERIC, "a session whose %s are damaged", what);
}

static int load_fields(struct session *s, struct rdb_in *in, struct err *err)
{
    unsigned set = rdb_get_u8(in);
    if (set >> SESSION_FIELDS)
        return damaged(err, "fields");
    for (unsigned f = 0; f < SESSION_FIELDS; f++) {
        struct slice text = set & 1u << f ? get_text(in) : SLICE("");
        if (in->bad || (set & 1u << f && !text.len) || session_field_check((enum session_field)f, text, NULL, err) < 0)
            return damaged(err, "fields");
        session_set(s, (enum session_field)f, text);
    }
    return 0;
}

static int load_vars(struct session *s, struct rdb_in *in, struct err *err)
{
    uint64_t n = rdb_get_len(in);
    struct slice before = SLICE("");
    if (!rdb_fits(in, n, 3))
        return damaged(err, "variables");
    for (uint64_t i = 0; i < n; i++) {
        struct slice name = get_text(in), value = get_text(in);
        if (in->bad || slice_cmp(name, before) <= 0 || session_var_set(s, name, value, NULL, err) < 0)
            return damaged(err, "variables");
        before = name;
    }
    return 0;
}

static bool load_message(struct rdb_in *in, uint8_t version, uint64_t before, struct session_msg *m)
{
    uint64_t step = rdb_get_len(in), seq = rdb_get_len(in);
    unsigned head = rdb_get_u8(in), more = version > 1 && head & MORE ? rdb_get_u8(in) : 0;
    unsigned there = head >> 4 | more << FIRST_PARTS;
    if (in->bad || step >= SESSION_ID_MS || seq > UINT32_MAX || (head & 7) >= SESSION_ROLES || there >> SESSION_PARTS ||
        !(head & MORE) != !more)
        return false;
    *m = (struct session_msg){.id = {before + step, (uint32_t)seq}, .role = (enum session_role)(head & 7)};
    m->content = get_text(in);
    for (unsigned i = 0; i < SESSION_PARTS; i++) {
        struct slice *part = session_part(m, (enum session_part)i);
        if (!(there & 1u << i))
            continue;
        *part = get_text(in);
        if (part->len == 0)
            return false;
    }
    return !in->bad && !session_id_none(m->id);
}

static int load_messages(struct session *s, struct rdb_in *in, uint8_t version, struct err *err)
{
    uint64_t n = rdb_get_len(in), before = 0;
    if (!rdb_fits(in, n, 4))
        return damaged(err, "messages");
    for (uint64_t i = 0; i < n; i++) {
        struct session_msg m;
        if (!load_message(in, version, before, &m) || session_add(s, &m, 1, 0, NULL, NULL, err) < 0)
            return damaged(err, "messages");
        before = m.id.ms;
    }
    return 0;
}

static int load(struct session **out, struct rdb_in *in, struct err *err)
{
    uint8_t version = rdb_get_u8(in);
    if (version < 1 || version > FORMAT)
        return err_set(err, ERR_GENERIC, "a session in the format %u, which this version does not read", version);
    uint64_t created = rdb_get_len(in), updated = rdb_get_len(in);
    struct session_id last = get_id(in), summary_to = get_id(in);
    struct session_strategy st = {(enum session_keep)rdb_get_u8(in), 0};
    uint64_t n = rdb_get_len(in);
    if (in->bad || created >= SESSION_ID_MS || updated >= SESSION_ID_MS || (unsigned)st.keep >= SESSION_KEEPS ||
        n > UINT32_MAX || (st.keep == SESSION_ALL) != (n == 0) || session_id_cmp(summary_to, last) > 0)
        return damaged(err, "first bytes");
    struct session *s = *out = session_create(0);
    st.n = (uint32_t)n;
    session_set_strategy(s, st);
    int rc = load_fields(s, in, err);
    if (rc == 0)
        rc = load_vars(s, in, err);
    if (rc == 0)
        rc = load_messages(s, in, version, err);
    bool summary = session_get(s, SESSION_SUMMARY).len > 0;
    if (rc == 0 && (session_id_cmp(session_last_id(s), last) > 0 || (!summary && !session_id_none(summary_to))))
        rc = damaged(err, "ids");
    session_set_last_id(s, last);
    session_set_summary_to(s, summary_to);
    session_set_times(s, (int64_t)created, (int64_t)updated);
    return rc;
}

static int session_load(uint8_t rdb_type, struct rdb_in *from, struct value *out, struct err *err)
{
    struct session *s = NULL;
    int rc = load(&s, from, err);
    if (rc < 0)
        session_destroy(s);
    else
        *out = value_container(OBJ_SESSION, ENC_OWN, s);
    return rc;
}

/* ---- the rest ---- */

static void session_free(uint8_t enc, void *ptr)
{
    session_destroy(ptr);
}

static size_t session_size(const struct obj *o, int samples)
{
    return session_bytes(o->v.ptr, samples);
}

static int session_copy(const struct obj *o, struct value *out, struct err *err)
{
    *out = value_container(OBJ_SESSION, ENC_OWN, session_clone(o->v.ptr));
    return 0;
}

static uint8_t session_rdb_type(const struct obj *o)
{
    return RDB_MODULE_2;
}

/* Everything has its place in a session, so the saved form is as good a thing to hash as any. */
static void session_digest(const struct obj *o, uint8_t sha[20])
{
    struct buf b = {0};
    struct rdb_out to = {.to = &b};
    session_save(o, &to);
    digest_xor(sha, buf_slice(&b));
    buf_release(&b);
}

static size_t session_effort(uint8_t enc, const void *ptr)
{
    return (size_t)session_count(ptr) + session_var_count(ptr);
}

static struct type_ops session_ops = {
    .name = "session",
    .id = OBJ_SESSION,
    .free = session_free,
    .size = session_size,
    .copy = session_copy,
    .rdb_type = session_rdb_type,
    .save = session_save,
    .load = session_load,
    .digest = session_digest,
    .effort = session_effort,
};

struct session_limits session_limits;
int64_t session_import_max;

static const struct setting settings[] = {
    {.name = "session-max-message-bytes",
     .kind = SETTING_BYTES,
     .at = &session_limits.message_bytes,
     .dflt = "1mb",
     .min = 1024,
     .max = SESSION_TEXT_LIMIT,
     .help = "The longest text a session takes: a message's content, a system prompt, a variable."},
    {.name = "session-max-messages",
     .kind = SETTING_INT,
     .at = &session_limits.messages,
     .dflt = "100000",
     .min = 1,
     .max = 1 << 30,
     .help = "How many messages one session may hold before SESSION.TRIM has to make room."},
    {.name = "session-max-variables",
     .kind = SETTING_INT,
     .at = &session_limits.vars,
     .dflt = "1000",
     .min = 0,
     .max = 1 << 20,
     .help = "How many variables one session may hold."},
    {.name = "session-max-import-bytes",
     .kind = SETTING_BYTES,
     .at = &session_import_max,
     .dflt = "64mb",
     .min = 1024,
     .max = SESSION_TEXT_LIMIT,
     .help = "The longest JSON that SESSION.IMPORT takes."},
};

void session_boot(void)
{
    session_ops.rdb_module = rdb_module_id("SkaldSess", MODULE);
    type_register(&session_ops);
    SETTING_REGISTER(settings);
}
