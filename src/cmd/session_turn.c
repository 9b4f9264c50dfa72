/* Adding messages with their effects, see session_turn.h. */
#include "cmd/session_turn.h"

#include "base/mem.h"
#include "cmd/block.h"
#include "cmd/effects.h"

const struct session_limits *session_limits_of(const struct call *c)
{
    return c->flags & CALL_REPLAY ? NULL : &session_limits;
}

static int wrong_type(struct err *err)
{
    return err_set(err, ERR_WRONGTYPE, "Operation against a key holding the wrong kind of value");
}

int session_read(struct call *c, struct slice key, const struct session **out, struct err *err)
{
    bool wrong;
    struct obj *o = db_read_type(c->db, key, OBJ_SESSION, &wrong);
    *out = o ? o->v.ptr : NULL;
    return wrong ? wrong_type(err) : 0;
}

int session_write(struct call *c, struct slice key, struct session **out, struct err *err)
{
    bool wrong;
    struct obj *o = db_write_type(c->db, key, OBJ_SESSION, &wrong);
    *out = o ? o->v.ptr : NULL;
    return wrong ? wrong_type(err) : 0;
}

static void state_effect(struct call *c, struct slice key, const struct session_msg *m, struct session_id id,
                         int64_t now)
{
    char id_text[SESSION_ID_TEXT], now_text[NUM_I64_MAX];
    struct slice argv[8 + 2 * SESSION_PARTS] = {SLICE("SESSION.ADD"),
                                                key,
                                                slice_str(session_role_name(m->role)),
                                                m->content,
                                                SLICE("ID"),
                                                slice_of(id_text, session_id_text(id, id_text)),
                                                SLICE("TIME"),
                                                slice_of(now_text, num_from_i64(now_text, now))};
    int argc = 8;
    for (int i = 0; i < SESSION_PARTS; i++) {
        struct slice part = session_part_of(m, (enum session_part)i);
        if (part.len) {
            argv[argc++] = slice_str(session_part_words[i]);
            argv[argc++] = part;
        }
    }
    call_effect(c, argc, argv);
}

int session_turn_add_at(struct call *c, struct slice key, const struct session_msg *msgs, size_t n, int64_t now_ms,
                        struct session_id *ids, struct err *err)
{
    struct session *s, *fresh = NULL;
    int rc = session_write(c, key, &s, err);
    if (rc < 0 || n == 0)
        return rc;
    if (!s)
        s = fresh = session_create(now_ms);
    struct session_id *made = mem_alloc(n * sizeof *made);
    rc = session_add(s, msgs, n, now_ms, made, session_limits_of(c), err);
    if (rc < 0) {
        session_destroy(fresh);
    } else {
        if (fresh)
            db_add(c->db, key, value_container(OBJ_SESSION, ENC_OWN, fresh));
        for (size_t i = 0; i < n; i++) {
            state_effect(c, key, &msgs[i], made[i], now_ms);
            if (ids)
                ids[i] = made[i];
        }
        db_changed(c->db, key, NOTIFY_MODULE, "session.add");
    }
    mem_free(made);
    return rc;
}

int session_turn_add(struct call *c, struct slice key, const struct session_msg *msgs, size_t n, struct session_id *ids,
                     struct err *err)
{
    return session_turn_add_at(c, key, msgs, n, store_now(c->db->store), ids, err);
}

int session_turn_add_alone(struct db *db, struct slice key, const struct session_msg *msgs, size_t n,
                           struct session_id *ids, struct err *err)
{
    struct call alone = {.db = db, .flags = CALL_INTERNAL};
    effects_begin();
    int rc = session_turn_add(&alone, key, msgs, n, ids, err);
    effects_end();
    block_serve();
    return rc;
}
