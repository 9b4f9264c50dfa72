/* Hashes, see t_hash.h.
 *
 * v.ptr is the listpack itself (ENC_LISTPACK) or a struct dict (ENC_HASHTABLE). An entry of the table holds its field
 * and its value side by side, so that a lookup costs the bucket and one more cache line; changing a value to one of the
 * same size class rewrites it in place, otherwise the entry is replaced in its slot. */
#include "store/t_hash.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/setting.h"
#include "store/digest.h"
#include "store/listpack.h"
#include "store/rdb.h"
#include "store/types.h"

static int64_t max_entries, max_value;

static const struct setting settings[] = {
    {"hash-max-listpack-entries", SETTING_INT, &max_entries, "512", .min = 0, .max = INT64_MAX,
     .help = "A hash of at most this many fields is kept as one compact block."},
    {"hash-max-listpack-value", SETTING_INT, &max_value, "64", .min = 0, .max = INT64_MAX,
     .help = "A hash whose fields and values are at most this long is kept as one compact block."},
    {"hash-max-ziplist-entries", SETTING_INT, &max_entries, "512", .min = 0, .max = INT64_MAX, .flags = SETTING_HIDDEN,
     .help = "The old name of hash-max-listpack-entries."},
    {"hash-max-ziplist-value", SETTING_INT, &max_value, "64", .min = 0, .max = INT64_MAX, .flags = SETTING_HIDDEN,
     .help = "The old name of hash-max-listpack-value."},
};

void hash_settings(void)
{
    SETTING_REGISTER(settings);
}

/* --- entries of a table --- */

struct entry {
    uint32_t flen, vlen;
    char bytes[]; /* field, value */
};

static struct slice entry_field(const void *p)
{
    const struct entry *e = p;
    return slice_of(e->bytes, e->flen);
}

static struct slice entry_value(const struct entry *e)
{
    return slice_of(e->bytes + e->flen, e->vlen);
}

static struct entry *entry_make(struct slice field, struct slice value)
{
    assert(field.len <= UINT32_MAX && value.len <= UINT32_MAX); /* the protocol's bulk limit is far below */
    struct entry *e = mem_alloc(sizeof *e + field.len + value.len);
    e->flen = (uint32_t)field.len;
    e->vlen = (uint32_t)value.len;
    if (field.len)
        memcpy(e->bytes, field.p, field.len);
    if (value.len)
        memcpy(e->bytes + field.len, value.p, value.len);
    return e;
}

static const struct dict_type entries_type = {.key = entry_field, .free = mem_free};

static struct dict *table_of(const struct obj *o)
{
    return o->v.ptr;
}

static struct dict *table_make(size_t n)
{
    struct dict *d = mem_alloc(sizeof *d);
    dict_init(d, &entries_type);
    dict_reserve(d, n);
    return d;
}

static void to_table(struct obj *o)
{
    uint8_t *lp = o->v.ptr;
    struct dict *d = table_make(listpack_count(lp) / 2 + 1);
    for (const uint8_t *f = listpack_first(lp), *v; f; f = listpack_next(lp, v)) {
        char ftmp[NUM_I64_MAX], vtmp[NUM_I64_MAX];
        v = listpack_next(lp, f);
        dict_add(d, entry_make(listpack_str(f, ftmp), listpack_str(v, vtmp)));
    }
    mem_free(lp);
    o->v.ptr = d;
    o->enc = ENC_HASHTABLE;
}

/* --- one field --- */

struct value hash_new(void)
{
    return value_container(OBJ_HASH, ENC_LISTPACK, listpack_create(0));
}

size_t hash_len(const struct obj *o)
{
    return o->enc == ENC_LISTPACK ? listpack_count(o->v.ptr) / 2 : dict_count(o->v.ptr);
}

static uint8_t *find_field(const uint8_t *lp, struct slice field)
{
    return listpack_find(lp, listpack_first(lp), field, 1);
}

bool hash_get(const struct obj *o, struct slice field, struct slice *value, char tmp[NUM_I64_MAX])
{
    if (o->enc == ENC_HASHTABLE) {
        const struct entry *e = dict_find(table_of(o), field);
        if (e)
            *value = entry_value(e);
        return e != NULL;
    }
    const uint8_t *at = find_field(o->v.ptr, field);
    if (at)
        *value = listpack_str(listpack_next(o->v.ptr, at), tmp);
    return at != NULL;
}

static bool too_long(struct slice s)
{
    return (uint64_t)s.len > (uint64_t)max_value;
}

static bool table_set(struct obj *o, struct slice field, struct slice value)
{
    struct dict *d = table_of(o);
    void **slot = dict_find_slot(d, field);
    if (!slot) {
        dict_add(d, entry_make(field, value));
        return true;
    }
    struct entry *e = *slot;
    size_t need = sizeof *e + field.len + value.len, room = sizeof *e + e->flen + e->vlen;
    if (need > room || need < room / 2) {
        *slot = entry_make(field, value);
        mem_free(e);
        return false;
    }
    e->vlen = (uint32_t)value.len;
    if (value.len)
        memcpy(e->bytes + e->flen, value.p, value.len);
    return false;
}

bool hash_set(struct obj *o, struct slice field, struct slice value)
{
    uint8_t *lp = o->v.ptr;
    if (o->enc == ENC_LISTPACK && (too_long(field) || too_long(value) || !listpack_fits(lp, field.len + value.len)))
        to_table(o);
    if (o->enc == ENC_HASHTABLE)
        return table_set(o, field, value);
    uint8_t *at = find_field(lp, field);
    if (at) {
        listpack_replace(&lp, listpack_next(lp, at), value);
    } else {
        listpack_append(&lp, field);
        listpack_append(&lp, value);
    }
    o->v.ptr = lp;
    if (!at && hash_len(o) > (uint64_t)max_entries)
        to_table(o);
    return !at;
}

bool hash_del(struct obj *o, struct slice field)
{
    if (o->enc == ENC_HASHTABLE) {
        struct entry *e = dict_remove(table_of(o), field);
        mem_free(e);
        return e != NULL;
    }
    uint8_t *lp = o->v.ptr, *at = find_field(lp, field);
    if (at)
        listpack_delete(&lp, at, 2);
    o->v.ptr = lp;
    return at != NULL;
}

/* --- many fields --- */

void hash_iter_begin(struct hash_iter *it, const struct obj *o)
{
    it->o = o;
    it->at = NULL;
    if (o->enc == ENC_HASHTABLE)
        dict_iter_begin(&it->dict, table_of(o));
    else
        it->at = listpack_first(o->v.ptr);
}

bool hash_iter_next(struct hash_iter *it)
{
    if (it->o->enc == ENC_HASHTABLE) {
        const struct entry *e = dict_iter_next(&it->dict);
        if (!e)
            return false;
        it->field = entry_field(e);
        it->value = entry_value(e);
        return true;
    }
    if (!it->at)
        return false;
    it->field = listpack_str(it->at, it->ftmp);
    it->at = listpack_next(it->o->v.ptr, it->at);
    it->value = listpack_str(it->at, it->vtmp);
    it->at = listpack_next(it->o->v.ptr, it->at);
    return true;
}

void hash_iter_end(struct hash_iter *it)
{
    if (it->o->enc == ENC_HASHTABLE)
        dict_iter_end(&it->dict);
}

struct scan {
    void (*fn)(void *arg, struct slice field, struct slice value);
    void *arg;
};

static void scan_entry(void *arg, void *entry)
{
    const struct scan *s = arg;
    s->fn(s->arg, entry_field(entry), entry_value(entry));
}

uint64_t hash_scan(struct obj *o, uint64_t cursor, void (*fn)(void *arg, struct slice field, struct slice value),
                   void *arg)
{
    struct scan s = {fn, arg};
    if (o->enc == ENC_HASHTABLE)
        return dict_scan(table_of(o), cursor, scan_entry, &s);
    struct hash_iter it;
    for (hash_iter_begin(&it, o); hash_iter_next(&it);)
        fn(arg, it.field, it.value);
    hash_iter_end(&it);
    return 0;
}

void hash_random(struct obj *o, struct rng *r, struct slice *field, struct slice *value, char ftmp[NUM_I64_MAX],
                 char vtmp[NUM_I64_MAX])
{
    if (o->enc == ENC_HASHTABLE) {
        const struct entry *e = dict_random(table_of(o), r);
        *field = entry_field(e);
        *value = entry_value(e);
        return;
    }
    const uint8_t *at = listpack_seek(o->v.ptr, (long)rng_below(r, hash_len(o)) * 2);
    *field = listpack_str(at, ftmp);
    *value = listpack_str(listpack_next(o->v.ptr, at), vtmp);
}

/* --- what the keyspace and persistence need --- */

static void hash_free(uint8_t enc, void *ptr)
{
    if (enc == ENC_HASHTABLE)
        dict_release(ptr);
    mem_free(ptr);
}

static size_t hash_effort(uint8_t enc, const void *ptr)
{
    return enc == ENC_HASHTABLE ? dict_count(ptr) : 1;
}

static size_t hash_size(const struct obj *o, int samples)
{
    if (o->enc == ENC_LISTPACK)
        return mem_size(o->v.ptr);
    struct dict *d = table_of(o);
    struct dict_iter it;
    size_t seen = 0, bytes = 0;
    const struct entry *e;
    for (dict_iter_begin(&it, d); (samples == 0 || seen < (size_t)samples) && (e = dict_iter_next(&it)); seen++)
        bytes += mem_size(e);
    dict_iter_end(&it);
    double each = seen ? (double)bytes / (double)seen : 0;
    return mem_size(d) + dict_bytes(d) + (size_t)(each * (double)dict_count(d));
}

static int hash_copy(const struct obj *o, struct value *out, struct err *err)
{
    if (o->enc == ENC_LISTPACK) {
        *out = value_container(OBJ_HASH, ENC_LISTPACK, listpack_dup(o->v.ptr));
        return 0;
    }
    struct dict *d = table_make(hash_len(o));
    struct hash_iter it;
    for (hash_iter_begin(&it, o); hash_iter_next(&it);)
        dict_add(d, entry_make(it.field, it.value));
    hash_iter_end(&it);
    *out = value_container(OBJ_HASH, ENC_HASHTABLE, d);
    return 0;
}

static uint8_t hash_rdb_type(const struct obj *o)
{
    return o->enc == ENC_LISTPACK ? RDB_HASH_LISTPACK : RDB_HASH;
}

static void hash_save(const struct obj *o, struct rdb_out *to)
{
    if (o->enc == ENC_LISTPACK) {
        rdb_put_str(to, slice_of(o->v.ptr, listpack_bytes(o->v.ptr)));
        return;
    }
    struct hash_iter it;
    rdb_put_len(to, hash_len(o));
    for (hash_iter_begin(&it, o); hash_iter_next(&it);) {
        rdb_put_str(to, it.field);
        rdb_put_str(to, it.value);
    }
    hash_iter_end(&it);
}

/* Whether the value of a listpack from outside may stay one, by our settings. */
static bool within_limits(const uint8_t *lp)
{
    if (listpack_count(lp) / 2 > (uint64_t)max_entries)
        return false;
    for (const uint8_t *p = listpack_first(lp); p; p = listpack_next(lp, p)) {
        char tmp[NUM_I64_MAX];
        if (too_long(listpack_str(p, tmp)))
            return false;
    }
    return true;
}

/* Loads into a table first: its lookup is how a field that comes twice is found, in linear time. */
static int load_listpack(struct rdb_in *from, struct obj *tmp, struct err *err)
{
    struct slice s = rdb_get_str(from);
    if (from->bad || !listpack_valid(s.p, s.len))
        return err_set(err, ERR_GENERIC, "a hash whose listpack is damaged");
    const uint8_t *lp = (const uint8_t *)s.p;
    size_t n = listpack_count(lp);
    if (n == 0 || n % 2)
        return err_set(err, ERR_GENERIC, "a hash that is empty or has a field without a value");
    for (const uint8_t *f = listpack_first(lp), *v; f; f = listpack_next(lp, v)) {
        char ftmp[NUM_I64_MAX], vtmp[NUM_I64_MAX];
        v = listpack_next(lp, f);
        if (!table_set(tmp, listpack_str(f, ftmp), listpack_str(v, vtmp)))
            return err_set(err, ERR_GENERIC, "a hash with the same field twice");
    }
    if (within_limits(lp)) {
        uint8_t *copy = listpack_dup(lp);
        hash_free(ENC_HASHTABLE, tmp->v.ptr);
        tmp->v.ptr = copy;
        tmp->enc = ENC_LISTPACK;
    }
    return 0;
}

static int load_pairs(struct rdb_in *from, struct obj *tmp, struct err *err)
{
    uint64_t n = rdb_get_len(from);
    if (n == 0 || !rdb_fits(from, n, 2))
        return err_set(err, ERR_GENERIC, "a hash that is empty or claims more fields than there are bytes");
    if (n > (uint64_t)max_entries)
        to_table(tmp);
    struct buf field = {0};
    int rc = 0;
    for (uint64_t i = 0; i < n && rc == 0; i++) {
        struct slice f = rdb_get_str(from);
        buf_clear(&field); /* the next get may overwrite where f lies */
        buf_add(&field, f.p, f.len);
        struct slice v = rdb_get_str(from);
        if (from->bad)
            rc = err_set(err, ERR_GENERIC, "a hash that ends too early");
        else if (!hash_set(tmp, buf_slice(&field), v))
            rc = err_set(err, ERR_GENERIC, "a hash with the same field twice");
    }
    buf_release(&field);
    return rc;
}

static int hash_load(uint8_t rdb_type, struct rdb_in *from, struct value *out, struct err *err)
{
    struct obj tmp = {.type = OBJ_HASH, .enc = ENC_HASHTABLE};
    int rc;
    if (rdb_type == RDB_HASH_LISTPACK) {
        tmp.v.ptr = table_make(0);
        rc = load_listpack(from, &tmp, err);
    } else if (rdb_type == RDB_HASH) {
        tmp.enc = ENC_LISTPACK;
        tmp.v.ptr = listpack_create(0);
        rc = load_pairs(from, &tmp, err);
    } else {
        return err_set(err, ERR_GENERIC, "a hash in the form %u, which is of a Redis before 7.0", rdb_type);
    }
    if (rc < 0)
        hash_free(tmp.enc, tmp.v.ptr);
    else
        *out = value_container(OBJ_HASH, (enum obj_enc)tmp.enc, tmp.v.ptr);
    return rc;
}

static void hash_digest(const struct obj *o, uint8_t sha[20])
{
    struct hash_iter it;
    for (hash_iter_begin(&it, o); hash_iter_next(&it);) {
        uint8_t member[20] = {0};
        digest_mix(member, it.field);
        digest_mix(member, it.value);
        digest_xor_member(sha, member);
    }
    hash_iter_end(&it);
}

static const struct dict *hash_table(const struct obj *o)
{
    return o->enc == ENC_HASHTABLE ? o->v.ptr : NULL;
}

const struct type_ops hash_ops = {
    .name = "hash",
    .id = OBJ_HASH,
    .free = hash_free,
    .size = hash_size,
    .copy = hash_copy,
    .rdb_type = hash_rdb_type,
    .save = hash_save,
    .load = hash_load,
    .digest = hash_digest,
    .effort = hash_effort,
    .members = hash_table,
};
