/* Hashes, see t_hash.h.
 *
 * v.ptr is the listpack itself (ENC_LISTPACK) or a struct dict (ENC_HASHTABLE). An entry of the table holds its field
 * and its value side by side, so that a lookup costs the bucket and one more cache line; changing a value to one of the
 * same size class rewrites it in place, otherwise the entry is replaced in its slot.
 *
 * With the first expiry of a field v.ptr becomes a struct timed, which holds the listpack or the table and the expiries
 * (ENC_LISTPACK_EX, ENC_HASHTABLE_EX); with the last one it goes again. A hash without them pays nothing. */
#include "store/t_hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/setting.h"
#include "store/digest.h"
#include "store/listpack.h"
#include "store/rdb.h"
#include "store/ttls.h"
#include "store/types.h"

static int64_t max_entries, max_value;

static const struct setting settings[] = {
    {"hash-max-listpack-entries", SETTING_INT, &max_entries, "512", .min = 0, .max = INT64_MAX,
     .help = "A hash of at most this many fields is kept as one compact block."},
    {"hash-max-listpack-value", SETTING_INT, &max_value, "64", .min = 0, .max = INT64_MAX,
     .help = "A hash whose fields and values are at most this long is kept as one compact block."},
    {"hash-max-ziplist-entries", SETTING_INT, &max_entries, "512", .min = 0, .max = INT64_MAX, .flags = SETTING_HIDDEN | SETTING_ALIAS,
     .help = "The old name of hash-max-listpack-entries."},
    {"hash-max-ziplist-value", SETTING_INT, &max_value, "64", .min = 0, .max = INT64_MAX, .flags = SETTING_HIDDEN | SETTING_ALIAS,
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

/* --- where the fields are --- */

struct timed {
    void *fields; /* what v.ptr would be without expiries */
    struct ttls ttls;
};

static bool is_timed(const struct obj *o)
{
    return o->enc == ENC_LISTPACK_EX || o->enc == ENC_HASHTABLE_EX;
}

bool hash_is_table(const struct obj *o)
{
    return o->enc == ENC_HASHTABLE || o->enc == ENC_HASHTABLE_EX;
}

static struct timed *timed_of(const struct obj *o)
{
    return is_timed(o) ? o->v.ptr : NULL;
}

static void *fields_of(const struct obj *o)
{
    return is_timed(o) ? timed_of(o)->fields : o->v.ptr;
}

static void set_fields(struct obj *o, void *fields)
{
    if (is_timed(o))
        timed_of(o)->fields = fields;
    else
        o->v.ptr = fields;
}

static struct dict *table_of(const struct obj *o)
{
    return fields_of(o);
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
    uint8_t *lp = fields_of(o);
    struct dict *d = table_make(listpack_count(lp) / 2 + 1);
    for (const uint8_t *f = listpack_first(lp), *v; f; f = listpack_next(lp, v)) {
        char ftmp[NUM_I64_MAX], vtmp[NUM_I64_MAX];
        v = listpack_next(lp, f);
        dict_add(d, entry_make(listpack_str(f, ftmp), listpack_str(v, vtmp)));
    }
    mem_free(lp);
    set_fields(o, d);
    o->enc = is_timed(o) ? ENC_HASHTABLE_EX : ENC_HASHTABLE;
}

/* --- one field --- */

struct value hash_new(void)
{
    return value_container(OBJ_HASH, ENC_LISTPACK, listpack_create(0));
}

size_t hash_len(const struct obj *o)
{
    return hash_is_table(o) ? dict_count(table_of(o)) : listpack_count(fields_of(o)) / 2;
}

static uint8_t *find_field(const uint8_t *lp, struct slice field)
{
    return listpack_find(lp, listpack_first(lp), field, 1);
}

bool hash_get(const struct obj *o, struct slice field, struct slice *value, char tmp[NUM_I64_MAX])
{
    if (hash_is_table(o)) {
        const struct entry *e = dict_find(table_of(o), field);
        if (e)
            *value = entry_value(e);
        return e != NULL;
    }
    const uint8_t *lp = fields_of(o), *at = find_field(lp, field);
    if (at)
        *value = listpack_str(listpack_next(lp, at), tmp);
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

bool hash_update(struct obj *o, struct slice field, struct slice value)
{
    uint8_t *lp = fields_of(o);
    if (!hash_is_table(o) && (too_long(field) || too_long(value) || !listpack_fits(lp, field.len + value.len)))
        to_table(o);
    if (hash_is_table(o))
        return table_set(o, field, value);
    uint8_t *at = find_field(lp, field);
    if (at) {
        listpack_replace(&lp, listpack_next(lp, at), value);
    } else {
        listpack_append(&lp, field);
        listpack_append(&lp, value);
    }
    set_fields(o, lp);
    if (!at && hash_len(o) > (uint64_t)max_entries)
        to_table(o);
    return !at;
}

bool hash_set(struct obj *o, struct slice field, struct slice value)
{
    bool fresh = hash_update(o, field, value);
    if (!fresh && is_timed(o))
        hash_set_expiry(o, field, -1);
    return fresh;
}

static bool del_field(struct obj *o, struct slice field)
{
    if (hash_is_table(o)) {
        struct entry *e = dict_remove(table_of(o), field);
        mem_free(e);
        return e != NULL;
    }
    uint8_t *lp = fields_of(o), *at = find_field(lp, field);
    if (at)
        listpack_delete(&lp, at, 2);
    set_fields(o, lp);
    return at != NULL;
}

bool hash_del(struct obj *o, struct slice field)
{
    if (is_timed(o))
        hash_set_expiry(o, field, -1);
    return del_field(o, field);
}

/* --- expiries --- */

int64_t hash_expiry(const struct obj *o, struct slice field)
{
    return is_timed(o) ? ttls_get(&timed_of(o)->ttls, field) : -1;
}

static void timed_begin(struct obj *o)
{
    struct timed *t = mem_alloc(sizeof *t);
    t->fields = o->v.ptr;
    ttls_init(&t->ttls);
    o->v.ptr = t;
    o->enc = o->enc == ENC_HASHTABLE ? ENC_HASHTABLE_EX : ENC_LISTPACK_EX;
}

static void timed_end(struct obj *o)
{
    struct timed *t = o->v.ptr;
    o->v.ptr = t->fields;
    o->enc = o->enc == ENC_HASHTABLE_EX ? ENC_HASHTABLE : ENC_LISTPACK;
    ttls_release(&t->ttls);
    mem_free(t);
}

void hash_set_expiry(struct obj *o, struct slice field, int64_t at_ms)
{
    if (at_ms < 0) {
        if (!is_timed(o))
            return;
        ttls_drop(&timed_of(o)->ttls, field);
        if (ttls_count(&timed_of(o)->ttls) == 0)
            timed_end(o);
        return;
    }
    if (!is_timed(o))
        timed_begin(o);
    ttls_set(&timed_of(o)->ttls, field, at_ms);
}

static int64_t hash_next_expiry(const struct obj *o)
{
    return is_timed(o) ? ttls_first(&timed_of(o)->ttls)->at : -1;
}

static size_t hash_expire(struct obj *o, int64_t now, size_t most, void (*gone)(void *arg, struct slice name), void *arg,
                          size_t *left)
{
    size_t due = is_timed(o) ? ttls_due(&timed_of(o)->ttls, now) : 0;
    *left = hash_len(o) - due;
    if (*left == 0)
        return due;
    size_t n = due < most ? due : most;
    struct buf name = {0}; /* the entry's own name dies in the middle of the removal */
    for (size_t i = 0; i < n; i++) {
        struct slice first = ttl_name(ttls_first(&timed_of(o)->ttls));
        buf_clear(&name);
        buf_add(&name, first.p, first.len);
        gone(arg, buf_slice(&name));
        hash_del(o, buf_slice(&name));
    }
    buf_release(&name);
    return due;
}

/* --- many fields --- */

void hash_iter_begin(struct hash_iter *it, const struct obj *o)
{
    it->o = o;
    it->at = NULL;
    if (hash_is_table(o))
        dict_iter_begin(&it->dict, table_of(o));
    else
        it->at = listpack_first(fields_of(o));
}

bool hash_iter_next(struct hash_iter *it)
{
    if (hash_is_table(it->o)) {
        const struct entry *e = dict_iter_next(&it->dict);
        if (!e)
            return false;
        it->field = entry_field(e);
        it->value = entry_value(e);
        return true;
    }
    if (!it->at)
        return false;
    const uint8_t *lp = fields_of(it->o);
    it->field = listpack_str(it->at, it->ftmp);
    it->at = listpack_next(lp, it->at);
    it->value = listpack_str(it->at, it->vtmp);
    it->at = listpack_next(lp, it->at);
    return true;
}

void hash_iter_end(struct hash_iter *it)
{
    if (hash_is_table(it->o))
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
    if (hash_is_table(o))
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
    if (hash_is_table(o)) {
        const struct entry *e = dict_random(table_of(o), r);
        *field = entry_field(e);
        *value = entry_value(e);
        return;
    }
    const uint8_t *lp = fields_of(o), *at = listpack_seek(lp, (long)rng_below(r, hash_len(o)) * 2);
    *field = listpack_str(at, ftmp);
    *value = listpack_str(listpack_next(lp, at), vtmp);
}

/* --- what the keyspace and persistence need --- */

static void hash_free(uint8_t enc, void *ptr)
{
    if (enc == ENC_HASHTABLE_EX || enc == ENC_LISTPACK_EX) {
        struct timed *t = ptr;
        hash_free(enc == ENC_HASHTABLE_EX ? ENC_HASHTABLE : ENC_LISTPACK, t->fields);
        ttls_release(&t->ttls);
    } else if (enc == ENC_HASHTABLE) {
        dict_release(ptr);
    }
    mem_free(ptr);
}

static size_t hash_effort(uint8_t enc, const void *ptr)
{
    if (enc == ENC_HASHTABLE_EX)
        ptr = ((const struct timed *)ptr)->fields, enc = ENC_HASHTABLE;
    return enc == ENC_HASHTABLE ? dict_count(ptr) : 1;
}

static size_t hash_size(const struct obj *o, int samples)
{
    size_t extra = is_timed(o) ? mem_size(o->v.ptr) + ttls_bytes(&timed_of(o)->ttls) : 0;
    if (!hash_is_table(o))
        return mem_size(fields_of(o)) + extra;
    struct dict *d = table_of(o);
    struct dict_iter it;
    size_t seen = 0, bytes = 0;
    const struct entry *e;
    for (dict_iter_begin(&it, d); (samples == 0 || seen < (size_t)samples) && (e = dict_iter_next(&it)); seen++)
        bytes += mem_size(e);
    dict_iter_end(&it);
    double each = seen ? (double)bytes / (double)seen : 0;
    return extra + mem_size(d) + dict_bytes(d) + (size_t)(each * (double)dict_count(d));
}

static int hash_copy(const struct obj *o, struct value *out, struct err *err)
{
    struct obj copy = {.type = OBJ_HASH, .enc = ENC_LISTPACK};
    if (hash_is_table(o)) {
        struct dict *d = table_make(hash_len(o));
        struct hash_iter it;
        for (hash_iter_begin(&it, o); hash_iter_next(&it);)
            dict_add(d, entry_make(it.field, it.value));
        hash_iter_end(&it);
        copy.v.ptr = d;
        copy.enc = ENC_HASHTABLE;
    } else {
        copy.v.ptr = listpack_dup(fields_of(o));
    }
    const struct timed *t = timed_of(o);
    for (size_t i = 0; t && i < ttls_count(&t->ttls); i++)
        hash_set_expiry(&copy, ttl_name(t->ttls.heap[i]), t->ttls.heap[i]->at);
    *out = value_container(OBJ_HASH, (enum obj_enc)copy.enc, copy.v.ptr);
    return 0;
}

/* --- payloads; a hash with expiries has forms of its own --- */

static uint8_t hash_rdb_type(const struct obj *o)
{
    if (is_timed(o))
        return hash_is_table(o) ? RDB_HASH_TIMED : RDB_HASH_LISTPACK_TIMED;
    return hash_is_table(o) ? RDB_HASH : RDB_HASH_LISTPACK;
}

static int by_time(const void *a, const void *b)
{
    const struct ttl *x = *(struct ttl *const *)a, *y = *(struct ttl *const *)b;
    return (x->at > y->at) - (x->at < y->at);
}

/* Redis keeps field, value, time in one listpack: what expires first comes first, what never does (time 0) last. */
static void save_timed_listpack(const struct obj *o, struct rdb_out *to)
{
    const struct ttls *t = &timed_of(o)->ttls;
    size_t n = ttls_count(t);
    struct ttl **order = mem_dup(t->heap, n * sizeof *order);
    uint8_t *lp = listpack_create(0);
    struct hash_iter it;
    qsort(order, n, sizeof *order, by_time);
    for (size_t i = 0; i < n; i++) {
        struct slice value = {0};
        char tmp[NUM_I64_MAX];
        hash_get(o, ttl_name(order[i]), &value, tmp);
        listpack_append(&lp, ttl_name(order[i]));
        listpack_append(&lp, value);
        listpack_append_int(&lp, order[i]->at);
    }
    for (hash_iter_begin(&it, o); hash_iter_next(&it);)
        if (hash_expiry(o, it.field) < 0) {
            listpack_append(&lp, it.field);
            listpack_append(&lp, it.value);
            listpack_append_int(&lp, 0);
        }
    hash_iter_end(&it);
    rdb_put_str(to, slice_of((const char *)lp, listpack_bytes(lp)));
    mem_free(lp);
    mem_free(order);
}

static void hash_save(const struct obj *o, struct rdb_out *to)
{
    int64_t first = hash_next_expiry(o);
    if (is_timed(o))
        rdb_put_u64(to, (uint64_t)first);
    if (!hash_is_table(o)) {
        if (is_timed(o))
            save_timed_listpack(o, to);
        else
            rdb_put_str(to, slice_of(o->v.ptr, listpack_bytes(o->v.ptr)));
        return;
    }
    struct hash_iter it;
    rdb_put_len(to, hash_len(o));
    for (hash_iter_begin(&it, o); hash_iter_next(&it);) {
        if (is_timed(o)) { /* counted from the first one, and from 1: 0 is never */
            int64_t at = hash_expiry(o, it.field);
            rdb_put_len(to, at < 0 ? 0 : (uint64_t)(at - first + 1));
        }
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

/* The fields of a hash one by one: `times` the form has an expiry before each, counted from `base`. */
static int load_pairs(struct rdb_in *from, struct obj *tmp, bool times, uint64_t base, struct err *err)
{
    uint64_t n = rdb_get_len(from);
    if (n == 0 || !rdb_fits(from, n, times ? 3 : 2))
        return err_set(err, ERR_GENERIC, "a hash that is empty or claims more fields than there are bytes");
    if (n > (uint64_t)max_entries)
        to_table(tmp);
    struct buf field = {0};
    int rc = 0;
    for (uint64_t i = 0; i < n && rc == 0; i++) {
        uint64_t at = times ? rdb_get_len(from) : 0;
        struct slice f = rdb_get_str(from);
        buf_clear(&field); /* the next get may overwrite where f lies */
        buf_add(&field, f.p, f.len);
        struct slice v = rdb_get_str(from);
        if (from->bad)
            rc = err_set(err, ERR_GENERIC, "a hash that ends too early");
        else if (!hash_set(tmp, slice_of(buf_cstr(&field), field.len), v))
            rc = err_set(err, ERR_GENERIC, "a hash with the same field twice");
        else if (at && (at > HASH_EXPIRY_MAX || (at += base) > HASH_EXPIRY_MAX))
            rc = err_set(err, ERR_GENERIC, "a hash with an expiry that is out of range");
        else if (at)
            hash_set_expiry(tmp, buf_slice(&field), (int64_t)at);
    }
    buf_release(&field);
    return rc;
}

/* Field, value, time; built anew as a hash of ours. */
static int load_timed_listpack(struct rdb_in *from, struct obj *tmp, struct err *err)
{
    struct slice s = rdb_get_str(from);
    if (from->bad || !listpack_valid(s.p, s.len))
        return err_set(err, ERR_GENERIC, "a hash whose listpack is damaged");
    const uint8_t *lp = (const uint8_t *)s.p;
    size_t n = listpack_count(lp);
    if (n == 0 || n % 3)
        return err_set(err, ERR_GENERIC, "a hash that is empty or has a field without value and time");
    if (n / 3 > (uint64_t)max_entries || n / 3 > 512) /* a table finds a field that comes twice in linear time */
        to_table(tmp);
    for (const uint8_t *f = listpack_first(lp), *v, *t; f; f = listpack_next(lp, t)) {
        char ftmp[NUM_I64_MAX], vtmp[NUM_I64_MAX];
        int64_t at;
        v = listpack_next(lp, f);
        t = listpack_next(lp, v);
        if (!hash_set(tmp, listpack_str(f, ftmp), listpack_str(v, vtmp)))
            return err_set(err, ERR_GENERIC, "a hash with the same field twice");
        if (!listpack_int(t, &at) || at < 0 || (uint64_t)at > HASH_EXPIRY_MAX)
            return err_set(err, ERR_GENERIC, "a hash with an expiry that is out of range");
        if (at)
            hash_set_expiry(tmp, listpack_str(f, ftmp), at);
    }
    return 0;
}

static int hash_load(uint8_t rdb_type, struct rdb_in *from, struct value *out, struct err *err)
{
    struct obj tmp = {.type = OBJ_HASH, .enc = rdb_type == RDB_HASH_LISTPACK ? ENC_HASHTABLE : ENC_LISTPACK};
    uint64_t base = 0;
    int rc;
    tmp.v.ptr = rdb_type == RDB_HASH_LISTPACK ? (void *)table_make(0) : listpack_create(0);
    if (rdb_type == RDB_HASH_TIMED || rdb_type == RDB_HASH_LISTPACK_TIMED)
        base = rdb_get_u64(from); /* the earliest expiry, one past the latest possible when there is none */
    if (rdb_type == RDB_HASH_LISTPACK)
        rc = load_listpack(from, &tmp, err);
    else if (rdb_type == RDB_HASH)
        rc = load_pairs(from, &tmp, false, 0, err);
    else if (rdb_type == RDB_HASH_TIMED && base > HASH_EXPIRY_MAX + 1)
        rc = err_set(err, ERR_GENERIC, "a hash with an expiry that is out of range");
    else if (rdb_type == RDB_HASH_TIMED)
        rc = load_pairs(from, &tmp, true, base - 1, err);
    else if (rdb_type == RDB_HASH_TIMED_RC)
        rc = load_pairs(from, &tmp, true, 0, err);
    else if (rdb_type == RDB_HASH_LISTPACK_TIMED || rdb_type == RDB_HASH_LISTPACK_TIMED_RC)
        rc = load_timed_listpack(from, &tmp, err);
    else
        rc = err_set(err, ERR_GENERIC, "a hash in the form %u, which is unknown", rdb_type);
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
        int64_t at = hash_expiry(o, it.field);
        if (at >= 0)
            digest_mix(member, slice_of((const char *)&at, sizeof at));
        digest_xor_member(sha, member);
    }
    hash_iter_end(&it);
}

static void *relocated_entry(void *arg, void *entry)
{
    (void)arg;
    return mem_relocated(entry);
}

/* The fields first, then their expiries. */
static uint64_t hash_relocate(struct obj *o, uint64_t cursor)
{
    const uint64_t expiries = UINT64_C(1) << 63;
    if (is_timed(o))
        o->v.ptr = mem_relocated(o->v.ptr);
    if (!(cursor & expiries)) {
        set_fields(o, mem_relocated(fields_of(o)));
        cursor = hash_is_table(o) ? dict_relocate(table_of(o), cursor, relocated_entry, NULL) : 0;
        return cursor || !is_timed(o) ? cursor : expiries;
    }
    cursor = is_timed(o) ? ttls_relocate(&timed_of(o)->ttls, cursor & ~expiries) : 0;
    return cursor ? cursor | expiries : 0;
}

static uint64_t hash_prefetch(const struct obj *o, struct slice field)
{
    if (!hash_is_table(o))
        return 0;
    uint64_t hash = dict_hash(fields_of(o), field);
    dict_prefetch(fields_of(o), hash);
    return hash;
}

static void hash_prefetch_on(const struct obj *o, uint64_t hash)
{
    __builtin_prefetch(dict_guess(fields_of(o), hash));
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
    .relocate = hash_relocate,
    .prefetch = hash_prefetch,
    .prefetch_on = hash_prefetch_on,
    .next_expiry = hash_next_expiry,
    .expire = hash_expire,
};
