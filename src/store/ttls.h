/* When elements of one container expire: by name in a table, by time in a heap (the earliest on top).
 *
 * Only what has an expiry is in here, about 40 bytes and its name each; a container none of whose elements expires has
 * no struct ttls at all. Embedded by value. Thread: the container's owner; ttls_release: any. */
#ifndef STORE_TTLS_H
#define STORE_TTLS_H

#include "base/dict.h"
#include "base/slice.h"

struct ttl {
    int64_t at;         /* milliseconds since 1970 */
    uint32_t place, len; /* place: where in the heap */
    char name[];
};

struct ttls {
    struct dict by_name; /* struct ttl * */
    struct ttl **heap;   /* heap[i] is no later than heap[2i + 1] and heap[2i + 2] */
    size_t cap;
};

void ttls_init(struct ttls *t);
void ttls_release(struct ttls *t);
static inline size_t ttls_count(const struct ttls *t)
{
    return dict_count(&t->by_name);
}
static inline struct slice ttl_name(const struct ttl *e)
{
    return slice_of(e->name, e->len);
}
int64_t ttls_get(struct ttls *t, struct slice name); /* -1: never */
void ttls_set(struct ttls *t, struct slice name, int64_t at);
void ttls_drop(struct ttls *t, struct slice name); /* no such name: nothing happens */
const struct ttl *ttls_first(const struct ttls *t); /* the earliest; NULL when empty */
size_t ttls_due(const struct ttls *t, int64_t now); /* how many are at or before now; looks at those and no others */
uint64_t ttls_relocate(struct ttls *t, uint64_t cursor); /* moves its memory, see dict_relocate */
size_t ttls_bytes(const struct ttls *t);            /* what it has allocated */

#endif
