/* Lists: short ones as one listpack, longer ones as a quicklist, a chain of listpacks.
 *
 * A list is a single listpack (ENC_LISTPACK) until an addition would take it over list-max-listpack-size, 8 KB unless
 * set; then a chain of nodes (ENC_QUICKLIST), and back again when one node of half that size is left. An element too
 * large for a node is a node of its own, its bytes bare. Both ends are O(1); an index costs the nodes it passes and
 * the elements of one node.
 *
 * `o` is always an object of type OBJ_LIST; it does not move here. The caller deletes the key when the last element is
 * gone: an empty list is no value. Slices given back are borrowed until the list changes, except that integers are
 * written into the caller's tmp. Slices given must not point into the same list.
 *
 * Thread: loop; list_ops' free: any. */
#ifndef STORE_T_LIST_H
#define STORE_T_LIST_H

#include "store/obj.h"

struct value list_new(void); /* empty, to be given to db_add */

size_t list_len(const struct obj *o);
void list_push(struct obj *o, bool head, const struct slice *s, int n); /* one after the other: LPUSH a b is b, a */
struct slice list_end(const struct obj *o, bool head, char tmp[NUM_I64_MAX]);                /* the list is not empty */
bool list_get(const struct obj *o, int64_t index, struct slice *out, char tmp[NUM_I64_MAX]); /* -1 is the last */
bool list_set(struct obj *o, int64_t index, struct slice s);                                 /* false: no such index */
bool list_insert(struct obj *o, struct slice pivot, bool before, struct slice s);            /* false: no pivot */
void list_delete(struct obj *o, size_t start, size_t n);                                     /* start + n <= length */
/* Deletes up to |count| elements equal to s, from the tail when count is negative; 0: all. Returns how many. */
size_t list_remove(struct obj *o, struct slice s, int64_t count);

/* Walks from an index towards one end: for (list_iter_begin(&it, o, 0, false); list_iter_next(&it);) ... it.value ...
 * The list must not change meanwhile. */
struct list_node {
    struct list_node *prev, *next;
    uint8_t *p;     /* a listpack, or the bytes of the one element of a plain node */
    size_t bytes;   /* of p */
    uint32_t count; /* elements */
    bool plain;
};
struct list_iter {
    struct slice value;
    /* private */
    const struct list_node *node;
    const uint8_t *at;
    bool back;
    struct list_node only; /* stands for the node of an ENC_LISTPACK */
    char tmp[NUM_I64_MAX];
};
void list_iter_begin(struct list_iter *it, const struct obj *o, int64_t index, bool back);
bool list_iter_next(struct list_iter *it);

/* Elements of at least this many bytes get a node of their own; 0: as list-max-listpack-size says. For tests. */
void list_set_plain_from(size_t bytes);

#endif
