/* Sets: integers as a sorted array, small ones as one listpack, larger ones as a table.
 *
 * A set of integers is an intset, in Redis's byte format, up to set-max-intset-entries; with the first member that is no
 * integer it becomes a listpack, and past set-max-listpack-entries or with a member longer than set-max-listpack-value a
 * table of members. It never goes back. The caller deletes the key when the last member is gone: an empty set is no value.
 *
 * `o` is always an object of type OBJ_SET; it does not move here. Slices given back are borrowed until the set changes,
 * except that integers are written into the caller's tmp. Slices given must not point into the same set.
 *
 * Thread: loop; set_ops' free: any. */
#ifndef STORE_T_SET_H
#define STORE_T_SET_H

#include "base/rng.h"
#include "store/obj.h"
#include "store/strset.h"

struct value set_new(void); /* empty, to be given to db_add */

size_t set_len(const struct obj *o);
bool set_has(const struct obj *o, struct slice member);
bool set_add(struct obj *o, struct slice member); /* false: it was there */
bool set_del(struct obj *o, struct slice member); /* false: there was none */

/* Everything, integers in order, else in no particular one: for (set_iter_begin(&it, o); set_iter_next(&it);) ...
 * it.member ... The set must not change meanwhile. */
struct set_iter {
    struct slice member;
    /* private */
    const struct obj *o;
    const uint8_t *at;
    size_t i;
    struct strset_iter table;
    char tmp[NUM_I64_MAX];
};
void set_iter_begin(struct set_iter *it, const struct obj *o);
bool set_iter_next(struct set_iter *it);

/* SCAN's step. A small set comes whole in one step. fn must not change the set. Returns the next cursor, 0: done. */
uint64_t set_scan(struct obj *o, uint64_t cursor, void (*fn)(void *arg, struct slice member), void *arg);

/* A random member, each as likely as any other. The set is not empty. */
struct slice set_random(const struct obj *o, struct rng *r, char tmp[NUM_I64_MAX]);

#endif
