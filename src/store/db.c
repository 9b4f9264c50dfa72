/* Databases. The one file that makes, moves and frees objects: an object that changes its address is replaced in both
 * tables (keys, expires) here and nowhere else.
 *
 * Expiry while loading: the journal carries a DEL for every key that expired, so nothing expires by itself during a
 * replay; otherwise a key could vanish before a later effect on it. */
#include "store/db.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/latency.h"
#include "base/mem.h"
#include "store/access.h"
#include "store/lazyfree.h"
#include "store/obj_build.h"

static struct slice entry_key(const void *e)
{
    return obj_key(e);
}

static const struct dict_type keys_type = {.key = entry_key};

struct store *store_create(int ndbs, const struct store_hooks *hooks)
{
    struct store *s = mem_zero(sizeof *s);
    s->ndbs = ndbs;
    s->known.key.len = SIZE_MAX;
    s->dbs = mem_zero((size_t)ndbs * sizeof *s->dbs);
    if (hooks)
        s->hooks = *hooks;
    rng_init(&s->rng);
    for (int i = 0; i < ndbs; i++) {
        s->dbs[i].id = i;
        s->dbs[i].store = s;
        dict_init(&s->dbs[i].keys, &keys_type);
        dict_init(&s->dbs[i].expires, &keys_type);
        dict_init(&s->dbs[i].timed, &keys_type);
    }
    return s;
}

static void free_all(struct db *db)
{
    struct dict_iter it;
    struct obj *o;
    for (dict_iter_begin(&it, &db->keys); (o = dict_iter_next(&it));) {
        if (o->type != OBJ_STRING && type_of(o)->unlinked)
            type_of(o)->unlinked(o);
        lazyfree_obj(o);
    }
    dict_iter_end(&it);
    dict_release(&db->timed);
    dict_release(&db->expires);
    dict_release(&db->keys);
}

void store_destroy(struct store *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->ndbs; i++) {
        /* at the end of the process a value's files stay: unlinked is for keys that were deleted */
        struct dict_iter it;
        struct obj *o;
        for (dict_iter_begin(&it, &s->dbs[i].keys); (o = dict_iter_next(&it));) {
            value_free(o->type, o->enc, o->v.ptr);
            mem_free(o);
        }
        dict_iter_end(&it);
        dict_release(&s->dbs[i].timed);
        dict_release(&s->dbs[i].expires);
        dict_release(&s->dbs[i].keys);
    }
    mem_free(s->dbs);
    mem_free(s);
}

int64_t store_now(const struct store *s)
{
    return s->command_ms ? s->command_ms : clock_wall_ms();
}

/* ---- looking up ---- */

static void unlink_obj(struct db *db, struct obj *o)
{
    struct slice key = obj_key(o);
    if (o->flags & OBJ_EXPIRES)
        dict_remove(&db->expires, key);
    if (o->flags & OBJ_TIMED)
        dict_remove(&db->timed, key);
    dict_remove(&db->keys, key);
    if (o->type != OBJ_STRING && type_of(o)->unlinked)
        type_of(o)->unlinked(o);
}

static void expire_now(struct db *db, struct obj *o)
{
    struct store *s = db->store;
    unlink_obj(db, o);
    s->stats.expired++;
    struct slice key = obj_key(o);
    if (s->hooks.expired)
        s->hooks.expired(s->hooks.arg, db, key, false);
    if (s->hooks.touched)
        s->hooks.touched(s->hooks.arg, db, key);
    db_notify(db, NOTIFY_EXPIRED, "expired", key);
    lazyfree_obj(o);
}

/* ---- elements that expire ---- */

void db_timed(struct db *db, struct obj *o)
{
    const struct type_ops *ops = o->type == OBJ_STRING ? NULL : type_of(o);
    bool want = ops && ops->next_expiry && ops->next_expiry(o) >= 0, is = o->flags & OBJ_TIMED;
    if (want && !is)
        dict_add(&db->timed, o);
    else if (is && !want)
        dict_remove(&db->timed, obj_key(o));
    o->flags = (uint8_t)(want ? o->flags | OBJ_TIMED : o->flags & ~OBJ_TIMED);
}

struct names {
    struct buf bytes;
    struct slice *at;
    size_t n, cap;
};

static void keep_name(void *arg, struct slice name)
{
    struct names *l = arg;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->at = mem_realloc(l->at, l->cap * sizeof *l->at);
    }
    l->at[l->n++] = slice_of(NULL, name.len);
    buf_add(&l->bytes, name.p, name.len);
}

static void tell_names(struct db *db, struct slice key, struct names *l)
{
    struct store *s = db->store;
    const char *p = l->bytes.len ? l->bytes.p : ""; /* a name may be empty */
    for (size_t i = 0; i < l->n; i++) { /* only now the bytes no longer move */
        l->at[i].p = p;
        p += l->at[i].len;
    }
    if (l->n && s->hooks.elements_expired)
        s->hooks.elements_expired(s->hooks.arg, db, key, l->n, l->at);
    buf_release(&l->bytes);
    mem_free(l->at);
}

/* Removes elements of o that are due, at most `most`; o itself when nothing else is in it. NULL: it is gone. */
static struct obj *expire_elements(struct db *db, struct obj *o, size_t most)
{
    struct store *s = db->store;
    const struct type_ops *ops = type_of(o);
    struct names names = {0};
    struct slice key = obj_key(o);
    size_t left, due = ops->expire(o, store_now(s), most, keep_name, &names, &left);
    s->stats.expired_elements += left && due > most ? most : due;
    if (left) {
        tell_names(db, key, &names);
        db_timed(db, o);
    } else {
        unlink_obj(db, o);
        if (s->hooks.expired)
            s->hooks.expired(s->hooks.arg, db, key, false);
    }
    if (s->hooks.touched)
        s->hooks.touched(s->hooks.arg, db, key);
    db_notify(db, NOTIFY_HASH, "hexpired", key);
    if (left)
        return o;
    db_notify(db, NOTIFY_GENERIC, "del", key);
    lazyfree_obj(o);
    return NULL;
}

static bool elements_due(const struct db *db, const struct obj *o, int64_t now)
{
    int64_t at = type_of(o)->next_expiry(o);
    return at >= 0 && at <= now && !db->store->loading;
}

static inline uint64_t hash_of(const struct db *db, struct slice key)
{
    const struct store *s = db->store;
    return s->known.key.p == key.p && s->known.key.len == key.len ? s->known.hash : dict_hash(&db->keys, key);
}

struct obj *db_peek(struct db *db, struct slice key)
{
    struct obj *o = dict_find_hashed(&db->keys, key, hash_of(db, key));
    if (o && (o->flags & OBJ_EXPIRES) && !db->store->loading && obj_expire(o) <= store_now(db->store)) {
        if (!db->store->paused)
            expire_now(db, o);
        return NULL;
    }
    if (o && (o->flags & OBJ_TIMED) && elements_due(db, o, store_now(db->store)))
        return expire_elements(db, o, SIZE_MAX);
    return o;
}

static inline void touch(struct db *db, struct obj *o)
{
    if (!db->store->no_touch)
        access_touch(o, &db->store->rng);
}

struct obj *db_write(struct db *db, struct slice key)
{
    struct obj *o = db_peek(db, key);
    if (o)
        touch(db, o);
    return o;
}

struct obj *db_read(struct db *db, struct slice key)
{
    struct obj *o = db_peek(db, key);
    if (o) {
        db->store->stats.hits++;
        touch(db, o);
    } else {
        db->store->stats.misses++;
        db_notify(db, NOTIFY_KEYMISS, "keymiss", key);
    }
    return o;
}

static struct obj *of_type(struct obj *o, enum obj_type type, bool *wrong)
{
    *wrong = o && o->type != type;
    return *wrong ? NULL : o;
}

struct obj *db_read_type(struct db *db, struct slice key, enum obj_type type, bool *wrong)
{
    return of_type(db_read(db, key), type, wrong);
}

struct obj *db_write_type(struct db *db, struct slice key, enum obj_type type, bool *wrong)
{
    return of_type(db_write(db, key), type, wrong);
}

/* ---- changing ---- */

/* Puts `fresh` where `old` (same key) was, in both tables, and frees old's shell; its value has moved or is freed. */
static void replace(struct db *db, struct obj *old, struct obj *fresh)
{
    struct slice key = obj_key(old);
    fresh->clock = old->clock;
    *dict_find_slot(&db->keys, key) = fresh;
    if (fresh->flags & OBJ_EXPIRES) {
        if (old->flags & OBJ_EXPIRES)
            *dict_find_slot(&db->expires, key) = fresh;
        else
            dict_add(&db->expires, fresh);
    } else if (old->flags & OBJ_EXPIRES) {
        dict_remove(&db->expires, key);
    }
    if (old->flags & OBJ_TIMED)
        dict_remove(&db->timed, key);
    db_timed(db, fresh);
    mem_free(old);
}

/* In a pause a key that cannot be seen any more may still be there. */
static void make_place(struct db *db, struct slice key)
{
    struct obj *o = db->store->paused ? dict_find(&db->keys, key) : NULL;
    if (o)
        expire_now(db, o);
}

struct obj *db_add(struct db *db, struct slice key, struct value v)
{
    make_place(db, key);
    struct obj *o = obj_build(key, v, -1);
    access_begin(o);
    dict_add_hashed(&db->keys, o, hash_of(db, key));
    db_timed(db, o);
    db_notify(db, NOTIFY_NEW, "new", key);
    return o;
}

struct obj *db_set(struct db *db, struct slice key, struct value v, bool keep_ttl)
{
    struct obj *old = db_write(db, key);
    if (!old)
        return db_add(db, key, v);
    int64_t expire = keep_ttl ? obj_expire(old) : -1;
    if (v.type == OBJ_STRING && v.enc == ENC_EMBSTR && expire == obj_expire(old) && obj_overwrite(old, v.str))
        return old;
    if (old->type != OBJ_STRING && type_of(old)->unlinked)
        type_of(old)->unlinked(old);
    struct obj *o = obj_build(key, v, expire);
    lazyfree_value(old->type, old->enc, old->v.ptr);
    replace(db, old, o);
    return o;
}

struct obj *db_set_str(struct db *db, struct obj *o, struct slice s)
{
    assert(o->type == OBJ_STRING);
    if (obj_overwrite(o, s))
        return o;
    struct obj *fresh = obj_build(obj_key(o), value_string(s), obj_expire(o));
    value_free(o->type, o->enc, o->v.ptr);
    replace(db, o, fresh);
    return fresh;
}

struct obj *db_str_open(struct db *db, struct obj *o, size_t at, size_t n, char **p)
{
    assert(o->type == OBJ_STRING);
    if (o->enc != ENC_RAW) {
        char tmp[NUM_I64_MAX];
        struct rawstr *r = rawstr_make(obj_str(o, tmp), at + n);
        struct value v = {.type = OBJ_STRING, .enc = ENC_RAW, .ptr = r};
        struct obj *fresh = obj_build(obj_key(o), v, obj_expire(o));
        replace(db, o, fresh);
        o = fresh;
    }
    struct rawstr *r = o->v.ptr;
    size_t want = at + n;
    if (want > r->len) {
        if (want > r->cap) {
            size_t spare = want < (1u << 20) ? want : 1u << 20; /* doubling, then a megabyte ahead, as Redis */
            o->v.ptr = r = rawstr_grow(r, want + spare);
        }
        memset(r->p + r->len, 0, want - r->len);
        r->len = want;
    }
    *p = r->p;
    return o;
}

bool db_delete(struct db *db, struct slice key)
{
    struct obj *o = db_peek(db, key);
    if (!o)
        return false;
    unlink_obj(db, o);
    lazyfree_obj(o);
    return true;
}

struct obj *db_set_expire(struct db *db, struct obj *o, int64_t at_ms)
{
    bool had = o->flags & OBJ_EXPIRES;
    if (had && at_ms >= 0) {
        memcpy(o->tail, &at_ms, sizeof at_ms);
        return o;
    }
    if (!had && at_ms < 0)
        return o;
    struct obj *fresh = obj_build(obj_key(o), obj_value(o), at_ms);
    replace(db, o, fresh);
    return fresh;
}

struct obj *db_move(struct db *from, struct obj *o, struct db *to, struct slice key)
{
    make_place(to, key);
    struct obj *fresh = obj_build(key, obj_value(o), obj_expire(o));
    fresh->clock = o->clock;
    struct slice old = obj_key(o);
    if (o->flags & OBJ_EXPIRES)
        dict_remove(&from->expires, old);
    if (o->flags & OBJ_TIMED)
        dict_remove(&from->timed, old);
    dict_remove(&from->keys, old);
    dict_add(&to->keys, fresh);
    db_timed(to, fresh);
    if (fresh->flags & OBJ_EXPIRES)
        dict_add(&to->expires, fresh);
    mem_free(o);
    return fresh;
}

void db_flush(struct db *db)
{
    struct store *s = db->store;
    s->dirty += dict_count(&db->keys);
    if (s->hooks.flushed)
        s->hooks.flushed(s->hooks.arg, db);
    free_all(db);
    db->expire_cursor = db->timed_cursor = 0;
    db->avg_ttl = 0;
}

void store_swap(struct store *s, int a, int b)
{
    struct db *x = &s->dbs[a], *y = &s->dbs[b], tmp = *x;
    *x = *y, *y = tmp;
    y->id = x->id, x->id = tmp.id; /* all but the number */
    if (s->hooks.flushed) { /* a watched or waited-for key may now hold anything */
        s->hooks.flushed(s->hooks.arg, x);
        s->hooks.flushed(s->hooks.arg, y);
    }
    s->dirty++;
}

void db_notify(struct db *db, enum notify_class cls, const char *event, struct slice key)
{
    struct store *s = db->store;
    if (s->hooks.notify && !s->loading)
        s->hooks.notify(s->hooks.arg, cls, event, key, db->id);
}

void db_changed(struct db *db, struct slice key, enum notify_class cls, const char *event)
{
    struct store *s = db->store;
    s->dirty++;
    if (s->hooks.touched)
        s->hooks.touched(s->hooks.arg, db, key);
    db_notify(db, cls, event, key);
}

struct obj *db_random(struct db *db)
{
    for (int tries = 0; tries < 100; tries++) {
        struct obj *o = dict_random(&db->keys, &db->store->rng);
        if (!o || (o = db_peek(db, obj_key(o))))
            return o;
    }
    return NULL;
}

/* ---- periodic work ---- */

struct expire_slice {
    struct db *db;
    int64_t now;
    int looked, gone;
    struct obj *due[64];
    int ndue;
};

static void collect_due(void *arg, void *entry)
{
    struct expire_slice *e = arg;
    e->looked++;
    if (obj_expire(entry) <= e->now && e->ndue < 64)
        e->due[e->ndue++] = entry;
}

/* The same for elements: a visit removes some, so that one large hash cannot take the slice for itself. */
#define ELEMENTS_A_VISIT 256

static void collect_timed(void *arg, void *entry)
{
    struct expire_slice *e = arg;
    e->looked++;
    if (elements_due(e->db, entry, e->now) && e->ndue < 64)
        e->due[e->ndue++] = entry;
}

static void elements_cycle(struct store *s, int64_t end)
{
    for (int i = 0; i < s->ndbs; i++, s->timed_db++) {
        struct db *db = &s->dbs[s->timed_db % (unsigned)s->ndbs];
        struct expire_slice e = {.db = db};
        if (dict_count(&db->timed) == 0)
            continue;
        do {
            e = (struct expire_slice){.db = db, .now = store_now(s)};
            for (int b = 0; b < 20 && e.ndue < 32 && dict_count(&db->timed); b++) {
                db->timed_cursor = (int64_t)dict_scan(&db->timed, (uint64_t)db->timed_cursor, collect_timed, &e);
                if (db->timed_cursor == 0)
                    break;
            }
            for (int k = 0; k < e.ndue; k++) {
                expire_elements(db, e.due[k], ELEMENTS_A_VISIT);
                if (clock_mono_us() > end)
                    return;
            }
        } while (e.ndue * 10 > e.looked);
    }
}

/* Walks the expiry index bucket by bucket; goes on in the same database while more than a tenth of what it sees is due,
 * which bounds both the effort when nothing expires and the memory that dead keys hold. */
static void expire_cycle(struct store *s, int64_t end)
{
    for (int i = 0; i < s->ndbs; i++, s->expire_db++) {
        struct db *db = &s->dbs[s->expire_db % (unsigned)s->ndbs];
        struct expire_slice e;
        if (dict_count(&db->expires) == 0)
            continue;
        do {
            e = (struct expire_slice){.db = db, .now = store_now(s)};
            for (int b = 0; b < 20 && e.ndue < 32 && dict_count(&db->expires); b++) {
                db->expire_cursor = (int64_t)dict_scan(&db->expires, (uint64_t)db->expire_cursor, collect_due, &e);
                if (db->expire_cursor == 0)
                    break;
            }
            for (int k = 0; k < e.ndue; k++) {
                expire_now(db, e.due[k]);
                e.gone++;
            }
            if (clock_mono_us() > end)
                return;
        } while (e.gone * 10 > e.looked);
    }
}

void store_expire_cycle(struct store *s, int64_t budget_us)
{
    int64_t start = clock_mono_us();
    if (s->loading || s->paused || s->no_active_expire)
        return;
    s->stats.expire_cycles++;
    expire_cycle(s, start + budget_us);
    elements_cycle(s, start + budget_us + budget_us / 4); /* its own share, when keys took all of theirs */
    latency_note("expire-cycle", clock_mono_us() - start);
}

void store_rehash_cycle(struct store *s, int64_t budget_us)
{
    int64_t end = clock_mono_us() + budget_us;
    for (int i = 0; i < s->ndbs; i++)
        for (bool keys = true, expires = true; keys || expires;) {
            keys = dict_rehash(&s->dbs[i].keys, 100);
            expires = dict_rehash(&s->dbs[i].expires, 100);
            if ((keys || expires) && clock_mono_us() > end)
                return;
        }
}
