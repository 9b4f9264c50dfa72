/* Objects in memory, and the registry of types. See obj.h for the layout. */
#include "store/obj.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/setting.h"
#include "store/obj_build.h"

/* ---- layout ---- */

struct slice obj_str(const struct obj *o, char tmp[NUM_I64_MAX])
{
    if (o->enc == ENC_INT)
        return slice_of(tmp, num_from_i64(tmp, o->v.num));
    if (o->enc == ENC_EMBSTR) {
        struct slice key = obj_key(o);
        return slice_of(key.p + key.len, o->v.len);
    }
    const struct rawstr *r = o->v.ptr;
    return slice_of(r->p, r->len);
}

size_t obj_head_bytes(size_t klen, bool expires)
{
    return sizeof(struct obj) + (expires ? sizeof(int64_t) : 0) + (klen < 255 ? 0 : sizeof(uint32_t)) + klen;
}

/* Writes header, expiry and key into fresh memory; the value is the caller's. */
void obj_write_head(struct obj *o, struct slice key, int64_t expire)
{
    char *p = o->tail;
    o->flags = expire >= 0 ? OBJ_EXPIRES : 0;
    if (expire >= 0) {
        memcpy(p, &expire, sizeof expire);
        p += sizeof expire;
    }
    o->klen = key.len < 255 ? (uint8_t)key.len : 255;
    if (key.len >= 255) {
        uint32_t len = (uint32_t)key.len;
        memcpy(p, &len, sizeof len);
        p += sizeof len;
    }
    memcpy(p, key.p, key.len);
}

struct obj *obj_build(struct slice key, struct value v, int64_t expire)
{
    struct rawstr *raw = NULL;
    int64_t num = v.num;
    bool str = v.type == OBJ_STRING && v.enc == ENC_EMBSTR;
    if (str && v.str.len <= 20 && num_to_i64(v.str, &num)) {
        v.enc = ENC_INT;
    } else if (str && v.str.len > OBJ_EMBED_MAX) {
        v.enc = ENC_RAW;
        v.ptr = raw = rawstr_make(v.str, 0);
    }
    size_t embedded = v.type == OBJ_STRING && v.enc == ENC_EMBSTR ? v.str.len : 0;
    size_t head = obj_head_bytes(key.len, expire >= 0);
    struct obj *o = mem_alloc(head + embedded);
    o->type = v.type;
    o->enc = v.enc;
    o->clock = 0;
    obj_write_head(o, key, expire);
    if (v.type == OBJ_STRING && v.enc == ENC_INT) {
        o->v.num = num;
    } else if (v.type == OBJ_STRING && v.enc == ENC_EMBSTR) {
        o->v.len = embedded;
        if (embedded)
            memcpy((char *)o + head, v.str.p, embedded);
    } else {
        o->v.ptr = v.ptr;
    }
    return o;
}

struct value obj_value(const struct obj *o)
{
    struct value v = {.type = o->type, .enc = o->enc};
    if (o->type == OBJ_STRING && o->enc == ENC_INT)
        v.num = o->v.num;
    else if (o->type == OBJ_STRING && o->enc == ENC_EMBSTR)
        v.str = obj_str(o, NULL);
    else
        v.ptr = o->v.ptr;
    return v;
}

bool obj_overwrite(struct obj *o, struct slice s)
{
    int64_t num;
    if (o->type != OBJ_STRING || o->enc != ENC_EMBSTR || s.len > OBJ_EMBED_MAX)
        return false;
    if (s.len <= 20 && num_to_i64(s, &num))
        return false;
    struct slice key = obj_key(o);
    size_t head = (size_t)(key.p + key.len - (char *)o);
    if (s.len != o->v.len) { /* the same length fits: the allocator need not be asked */
        size_t room = mem_size(o);
        if (head + s.len > room || (room > 64 && head + s.len < room / 2))
            return false;
    }
    memmove((char *)o + head, s.p, s.len);
    o->v.len = s.len;
    return true;
}

struct rawstr *rawstr_make(struct slice s, size_t spare)
{
    struct rawstr *r = mem_alloc(sizeof *r + s.len + spare);
    r->len = s.len;
    r->cap = mem_size(r) - sizeof *r;
    if (s.len)
        memcpy(r->p, s.p, s.len);
    return r;
}

struct rawstr *rawstr_grow(struct rawstr *r, size_t cap)
{
    assert(cap >= r->len);
    r = mem_realloc(r, sizeof *r + cap);
    r->cap = mem_size(r) - sizeof *r;
    return r;
}

/* ---- types ---- */

static const struct type_ops *types[OBJ_TYPES];

void type_register(const struct type_ops *ops)
{
    assert(ops->id < OBJ_TYPES && !types[ops->id]);
    types[ops->id] = ops;
}

const struct type_ops *type_of(const struct obj *o)
{
    assert(types[o->type]);
    return types[o->type];
}

const struct type_ops *type_by_id(enum obj_type id)
{
    return id < OBJ_TYPES ? types[id] : NULL;
}

const struct type_ops *type_by_name(struct slice name)
{
    for (int i = 0; i < OBJ_TYPES; i++)
        if (types[i] && slice_is(name, types[i]->name))
            return types[i];
    return NULL;
}

static int64_t names_of_70; /* object-encoding-names */

static const struct setting_word names_words[] = {{"7.2", 0}, {"7.0", 1}, {NULL, 0}};
static const struct setting settings[] = {
    {.name = "object-encoding-names",
     .kind = SETTING_ENUM,
     .at = &names_of_70,
     .dflt = "7.2",
     .words = names_words,
     .help = "Which Redis's names OBJECT ENCODING uses: 7.0 knew no listpack for lists and sets."},
};

void obj_settings(void)
{
    SETTING_REGISTER(settings);
}

const char *obj_encoding(const struct obj *o)
{
    static const char *const names[] = {
        [ENC_INT] = "int",
        [ENC_RAW] = "raw",
        [ENC_LISTPACK] = "listpack",
        [ENC_LISTPACK_EX] = "listpackex",
        [ENC_HASHTABLE] = "hashtable",
        [ENC_HASHTABLE_EX] = "hashtable",
        [ENC_QUICKLIST] = "quicklist",
        [ENC_INTSET] = "intset",
        [ENC_SKIPLIST] = "skiplist",
        [ENC_STREAM] = "stream",
    };
    if (o->enc == ENC_OWN)
        return type_of(o)->name;
    if (o->enc == ENC_EMBSTR) /* clients look at the name; we embed more than Redis */
        return o->v.len <= OBJ_EMBSTR_NAMED ? "embstr" : "raw";
    if (names_of_70 && o->enc == ENC_LISTPACK && (o->type == OBJ_LIST || o->type == OBJ_SET))
        return o->type == OBJ_LIST ? "quicklist" : "hashtable";
    return names[o->enc];
}

size_t obj_size(const struct obj *o, int samples)
{
    size_t n = mem_size(o);
    if (o->type == OBJ_STRING)
        return n + (o->enc == ENC_RAW ? mem_size(o->v.ptr) : 0);
    return n + type_of(o)->size(o, samples);
}

void value_free(uint8_t type, uint8_t enc, void *ptr)
{
    if (type == OBJ_STRING) {
        if (enc == ENC_RAW)
            mem_free(ptr);
    } else {
        types[type]->free(enc, ptr);
    }
}

void value_release(struct value *v)
{
    if (v->type != OBJ_STRING || v->enc == ENC_RAW)
        value_free(v->type, v->enc, v->ptr);
    *v = (struct value){0};
}
