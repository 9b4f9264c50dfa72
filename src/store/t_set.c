/* Sets, see t_set.h. v.ptr is the intset or the listpack itself, or a struct strset (ENC_HASHTABLE). */
#include "store/t_set.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/setting.h"
#include "store/digest.h"
#include "store/intset.h"
#include "store/listpack.h"
#include "store/rdb.h"
#include "store/types.h"

static int64_t max_intset, max_entries, max_value;

static const struct setting settings[] = {
    {"set-max-intset-entries", SETTING_INT, &max_intset, "512", .min = 0, .max = INT32_MAX,
     .help = "A set of at most this many integers is kept as a sorted array."},
    {"set-max-listpack-entries", SETTING_INT, &max_entries, "128", .min = 0, .max = INT32_MAX,
     .help = "A set of at most this many members is kept as one compact block."},
    {"set-max-listpack-value", SETTING_INT, &max_value, "64", .min = 0, .max = INT32_MAX,
     .help = "A set whose members are at most this long is kept as one compact block."},
};

void set_settings(void)
{
    SETTING_REGISTER(settings);
}

static struct strset *table_make(size_t n)
{
    struct strset *t = mem_zero(sizeof *t);
    strset_reserve(t, n);
    return t;
}

static struct strset *table_from(const struct obj *o)
{
    struct strset *t = table_make(set_len(o) + 1);
    struct set_iter it;
    for (set_iter_begin(&it, o); set_iter_next(&it);)
        strset_add(t, it.member);
    return t;
}

static void to_table(struct obj *o)
{
    struct strset *t = table_from(o);
    mem_free(o->v.ptr);
    o->v.ptr = t;
    o->enc = ENC_HASHTABLE;
}

static void to_listpack(struct obj *o)
{
    uint8_t *lp = listpack_create(set_len(o) * 4);
    for (size_t i = 0; i < intset_count(o->v.ptr); i++)
        listpack_append_int(&lp, intset_get(o->v.ptr, i));
    mem_free(o->v.ptr);
    o->v.ptr = lp;
    o->enc = ENC_LISTPACK;
}

/* --- one member --- */

struct value set_new(void)
{
    return value_container(OBJ_SET, ENC_INTSET, intset_create());
}

size_t set_len(const struct obj *o)
{
    switch (o->enc) {
    case ENC_INTSET: return intset_count(o->v.ptr);
    case ENC_LISTPACK: return listpack_count(o->v.ptr);
    default: return strset_count(o->v.ptr);
    }
}

static bool as_int(struct slice s, int64_t *v)
{
    return s.len < NUM_I64_MAX && num_to_i64(s, v);
}

static uint8_t *find(const struct obj *o, struct slice s)
{
    return listpack_find(o->v.ptr, listpack_first(o->v.ptr), s, 0);
}

bool set_has(const struct obj *o, struct slice s)
{
    int64_t v;
    switch (o->enc) {
    case ENC_INTSET: return as_int(s, &v) && intset_has(o->v.ptr, v);
    case ENC_LISTPACK: return find(o, s) != NULL;
    default: return strset_has(o->v.ptr, s);
    }
}

static bool too_long(size_t len)
{
    return (uint64_t)len > (uint64_t)max_value;
}

/* Whether a listpack may take this member besides the n that there are. */
static bool listpack_may_take(const struct obj *o, struct slice s)
{
    if (set_len(o) >= (uint64_t)max_entries || too_long(s.len))
        return false;
    if (o->enc == ENC_LISTPACK)
        return listpack_fits(o->v.ptr, s.len);
    char tmp[NUM_I64_MAX];
    size_t n = intset_count(o->v.ptr); /* the longest of its integers is at one end */
    return n == 0 || (!too_long(num_from_i64(tmp, intset_get(o->v.ptr, 0))) &&
                      !too_long(num_from_i64(tmp, intset_get(o->v.ptr, n - 1))));
}

static bool add_int(struct obj *o, int64_t v)
{
    uint8_t *is = o->v.ptr;
    bool fresh = intset_add(&is, v);
    o->v.ptr = is;
    if (fresh && intset_count(is) > (uint64_t)max_intset)
        to_table(o);
    return fresh;
}

static bool add_small(struct obj *o, struct slice s)
{
    if (find(o, s))
        return false;
    uint8_t *lp = o->v.ptr;
    listpack_append(&lp, s);
    o->v.ptr = lp;
    return true;
}

bool set_add(struct obj *o, struct slice s)
{
    int64_t v;
    if (o->enc == ENC_INTSET && as_int(s, &v))
        return add_int(o, v);
    if (o->enc == ENC_LISTPACK && find(o, s))
        return false;
    if (o->enc != ENC_HASHTABLE && !listpack_may_take(o, s))
        to_table(o);
    else if (o->enc == ENC_INTSET)
        to_listpack(o);
    return o->enc == ENC_LISTPACK ? add_small(o, s) : strset_add(o->v.ptr, s);
}

bool set_del(struct obj *o, struct slice s)
{
    int64_t v;
    uint8_t *p = o->v.ptr, *at;
    bool gone = false;
    if (o->enc == ENC_HASHTABLE)
        return strset_del(o->v.ptr, s);
    if (o->enc == ENC_INTSET) {
        gone = as_int(s, &v) && intset_del(&p, v);
    } else if ((at = find(o, s))) {
        listpack_delete(&p, at, 1);
        gone = true;
    }
    o->v.ptr = p;
    return gone;
}

/* --- many members --- */

void set_iter_begin(struct set_iter *it, const struct obj *o)
{
    it->o = o;
    it->i = 0;
    it->at = o->enc == ENC_LISTPACK ? listpack_first(o->v.ptr) : NULL;
    if (o->enc == ENC_HASHTABLE)
        it->table = (struct strset_iter){.set = o->v.ptr};
}

bool set_iter_next(struct set_iter *it)
{
    const struct obj *o = it->o;
    if (o->enc == ENC_INTSET) {
        if (it->i == intset_count(o->v.ptr))
            return false;
        it->member = slice_of(it->tmp, num_from_i64(it->tmp, intset_get(o->v.ptr, it->i++)));
        return true;
    }
    if (o->enc == ENC_LISTPACK) {
        if (!it->at)
            return false;
        it->member = listpack_str(it->at, it->tmp);
        it->at = listpack_next(o->v.ptr, it->at);
        return true;
    }
    if (!strset_next(&it->table))
        return false;
    it->member = it->table.str;
    return true;
}

uint64_t set_scan(struct obj *o, uint64_t cursor, void (*fn)(void *arg, struct slice member), void *arg)
{
    if (o->enc == ENC_HASHTABLE)
        return strset_scan(o->v.ptr, cursor, fn, arg);
    struct set_iter it;
    for (set_iter_begin(&it, o); set_iter_next(&it);)
        fn(arg, it.member);
    return 0;
}

struct slice set_random(const struct obj *o, struct rng *r, char tmp[NUM_I64_MAX])
{
    if (o->enc == ENC_HASHTABLE)
        return strset_random(o->v.ptr, r);
    size_t i = rng_below(r, set_len(o));
    if (o->enc == ENC_INTSET)
        return slice_of(tmp, num_from_i64(tmp, intset_get(o->v.ptr, i)));
    return listpack_str(listpack_seek(o->v.ptr, (long)i), tmp);
}

/* --- what the keyspace and persistence need --- */

static void set_free(uint8_t enc, void *ptr)
{
    if (enc == ENC_HASHTABLE)
        strset_release(ptr);
    mem_free(ptr);
}

static size_t set_effort(uint8_t enc, const void *ptr)
{
    return enc == ENC_HASHTABLE ? strset_buckets(ptr) : 1;
}

static size_t set_size(const struct obj *o, int samples)
{
    if (o->enc != ENC_HASHTABLE)
        return mem_size(o->v.ptr);
    return mem_size(o->v.ptr) + strset_bytes(o->v.ptr, samples);
}

static int set_copy(const struct obj *o, struct value *out, struct err *err)
{
    if (o->enc == ENC_INTSET) {
        *out = value_container(OBJ_SET, ENC_INTSET, intset_dup(o->v.ptr));
    } else if (o->enc == ENC_LISTPACK) {
        *out = value_container(OBJ_SET, ENC_LISTPACK, listpack_dup(o->v.ptr));
    } else {
        *out = value_container(OBJ_SET, ENC_HASHTABLE, table_from(o));
    }
    return 0;
}

/* A listpack is written member by member: the form that Redis 7.0 reads, which has no listpack for sets. */
static uint8_t set_rdb_type(const struct obj *o)
{
    return o->enc == ENC_INTSET ? RDB_SET_INTSET : RDB_SET;
}

static void set_save(const struct obj *o, struct rdb_out *to)
{
    if (o->enc == ENC_INTSET) {
        rdb_put_str(to, slice_of(o->v.ptr, intset_bytes(o->v.ptr)));
        return;
    }
    struct set_iter it;
    rdb_put_len(to, set_len(o));
    for (set_iter_begin(&it, o); set_iter_next(&it);)
        rdb_put_str(to, it.member);
}

static int load_intset(struct rdb_in *from, struct obj *o, struct err *err)
{
    struct slice s = rdb_get_str(from);
    if (from->bad || !intset_valid(s.p, s.len) || intset_count((const uint8_t *)s.p) == 0)
        return err_set(err, ERR_GENERIC, "a set whose integers are damaged or none");
    mem_free(o->v.ptr);
    o->v.ptr = intset_dup((const uint8_t *)s.p);
    if (set_len(o) > (uint64_t)max_intset)
        to_table(o);
    return 0;
}

static int load_listpack(struct rdb_in *from, struct obj *o, struct err *err)
{
    struct slice s = rdb_get_str(from);
    char tmp[NUM_I64_MAX];
    if (from->bad || !listpack_valid(s.p, s.len))
        return err_set(err, ERR_GENERIC, "a set whose listpack is damaged");
    const uint8_t *lp = (const uint8_t *)s.p;
    if (listpack_count(lp) == 0)
        return err_set(err, ERR_GENERIC, "a set that is empty");
    if (listpack_count(lp) > (uint64_t)max_entries)
        to_table(o); /* at once: looking for doubles in a long listpack takes quadratic time */
    for (const uint8_t *p = listpack_first(lp); p; p = listpack_next(lp, p))
        if (!set_add(o, listpack_str(p, tmp)))
            return err_set(err, ERR_GENERIC, "a set with the same member twice");
    return 0;
}

static int load_members(struct rdb_in *from, struct obj *o, struct err *err)
{
    uint64_t n = rdb_get_len(from);
    if (n == 0 || !rdb_fits(from, n, 1))
        return err_set(err, ERR_GENERIC, "a set that is empty or claims more members than there are bytes");
    if (n > (uint64_t)(max_entries > max_intset ? max_entries : max_intset))
        to_table(o);
    for (uint64_t i = 0; i < n; i++) {
        struct slice s = rdb_get_str(from);
        if (from->bad)
            return err_set(err, ERR_GENERIC, "a set that ends too early");
        if (!set_add(o, s))
            return err_set(err, ERR_GENERIC, "a set with the same member twice");
    }
    return 0;
}

static int set_load(uint8_t rdb_type, struct rdb_in *from, struct value *out, struct err *err)
{
    struct obj tmp = {.type = OBJ_SET, .enc = ENC_INTSET, .v.ptr = intset_create()};
    int rc;
    if (rdb_type == RDB_SET_INTSET)
        rc = load_intset(from, &tmp, err);
    else if (rdb_type == RDB_SET_LISTPACK)
        rc = load_listpack(from, &tmp, err);
    else
        rc = load_members(from, &tmp, err);
    if (rc < 0)
        set_free(tmp.enc, tmp.v.ptr);
    else
        *out = value_container(OBJ_SET, (enum obj_enc)tmp.enc, tmp.v.ptr);
    return rc;
}

static void set_digest(const struct obj *o, uint8_t sha[20])
{
    struct set_iter it;
    for (set_iter_begin(&it, o); set_iter_next(&it);)
        digest_xor(sha, it.member);
}

static uint64_t set_relocate(struct obj *o, uint64_t cursor)
{
    o->v.ptr = mem_relocated(o->v.ptr);
    return o->enc == ENC_HASHTABLE ? strset_relocate(o->v.ptr, cursor) : 0;
}

static uint64_t set_prefetch(const struct obj *o, struct slice member)
{
    return o->enc == ENC_HASHTABLE ? strset_prefetch(o->v.ptr, member) : 0;
}

static void set_prefetch_on(const struct obj *o, uint64_t hash)
{
    strset_prefetch_on(o->v.ptr, hash);
}

const struct type_ops set_ops = {
    .name = "set",
    .id = OBJ_SET,
    .free = set_free,
    .size = set_size,
    .copy = set_copy,
    .rdb_type = set_rdb_type,
    .save = set_save,
    .load = set_load,
    .digest = set_digest,
    .effort = set_effort,
    .relocate = set_relocate,
    .prefetch = set_prefetch,
    .prefetch_on = set_prefetch_on,
};
