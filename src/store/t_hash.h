/* Hashes: fields with values, small ones as one listpack, larger ones as a table.
 *
 * A hash is a listpack of field, value, field, value... until it has more than hash-max-listpack-entries fields or one
 * field or value is longer than hash-max-listpack-value; then it becomes a table of entries (field and value in one
 * allocation) and never goes back. The caller deletes the key when the last field is gone: an empty hash is no value.
 *
 * `o` is always an object of type OBJ_HASH; it does not move here. Slices given back are borrowed until the hash
 * changes, except that integers of a listpack are written into the caller's tmp. Slices given must not point into the
 * same hash.
 *
 * Thread: loop; hash_ops' free: any. */
#ifndef STORE_T_HASH_H
#define STORE_T_HASH_H

#include "base/rng.h"
#include "store/obj.h"

struct value hash_new(void); /* empty, to be given to db_add */

size_t hash_len(const struct obj *o);
bool hash_get(const struct obj *o, struct slice field, struct slice *value, char tmp[NUM_I64_MAX]);
bool hash_set(struct obj *o, struct slice field, struct slice value); /* true: the field is new; it never expires */
bool hash_update(struct obj *o, struct slice field, struct slice value); /* the same, but a field's expiry stays */
bool hash_del(struct obj *o, struct slice field);                     /* false: there was none */

bool hash_is_table(const struct obj *o);

/* Expiries of fields, milliseconds since 1970; -1: never. The field exists. What is due is not hidden here: the keyspace
 * removes it when the key is looked up, see type_ops.expire. After a change of expiries: db_timed. */
#define HASH_EXPIRY_MAX ((1ULL << 48) - 1) /* Redis's room for one in memory; commands take a fourth of it */
int64_t hash_expiry(const struct obj *o, struct slice field);
void hash_set_expiry(struct obj *o, struct slice field, int64_t at_ms);

/* Everything, in no particular order: for (hash_iter_begin(&it, o); hash_iter_next(&it);) ... it.field, it.value ...;
 * hash_iter_end(&it). The hash must not change meanwhile. */
struct hash_iter {
    struct slice field, value;
    /* private */
    const struct obj *o;
    const uint8_t *at;
    struct dict_iter dict;
    char ftmp[NUM_I64_MAX], vtmp[NUM_I64_MAX];
};
void hash_iter_begin(struct hash_iter *it, const struct obj *o);
bool hash_iter_next(struct hash_iter *it);
void hash_iter_end(struct hash_iter *it);

/* SCAN's step. A small hash comes whole in one step. fn must not change the hash. Returns the next cursor, 0: done. */
uint64_t hash_scan(struct obj *o, uint64_t cursor, void (*fn)(void *arg, struct slice field, struct slice value),
                   void *arg);

/* A random field, each as likely as any other (nearly, in a table). The hash is not empty. */
void hash_random(struct obj *o, struct rng *r, struct slice *field, struct slice *value, char ftmp[NUM_I64_MAX],
                 char vtmp[NUM_I64_MAX]);

#endif
