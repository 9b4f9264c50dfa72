/* A hash table of byte strings, packed: what a large set is made of.
 *
 * A bucket is one allocation that holds all its strings one after another; the table is an array of pointers to
 * buckets. So a string costs its bytes, two bytes beside them and its share of the bucket (about five bytes), where a
 * table of single allocations pays a pointer, an allocation's header and its rounding for each. A lookup is two cache
 * misses, the pointer and the bucket, which is read from its start: eight strings at most on average.
 *
 * Growing and shrinking move one bucket for each change, so that no single command pays for it. strset_scan has SCAN's
 * guarantee: a string present during the whole of a scan is reported at least once, whatever resizing goes on
 * (the reverse-binary cursor of Redis's dict, by Pieter Noordhuis).
 *
 * Embedded by value; all zero is the empty set. Slices given back are borrowed until the set changes; slices given must
 * not point into it. Thread: the owner's; strset_release: any. */
#ifndef STORE_STRSET_H
#define STORE_STRSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/slice.h"

struct strset_bucket;

struct strset {
    struct strset_bucket **table[2]; /* [1] only while a resize is under way; a bucket without strings is NULL */
    uint8_t bits[2];                 /* table i has 1 << bits[i] buckets */
    size_t moved;                    /* buckets of table[0] whose strings are in table[1] now */
    size_t count;
};

void strset_release(struct strset *s);           /* back to empty */
void strset_reserve(struct strset *s, size_t n); /* an empty set: room for n strings without growing on the way */

bool strset_has(const struct strset *s, struct slice str); /* str.len <= UINT32_MAX here and below */
bool strset_add(struct strset *s, struct slice str);       /* false: it was there */
bool strset_del(struct strset *s, struct slice str);       /* false: it was not there */
static inline size_t strset_count(const struct strset *s)
{
    return s->count;
}
size_t strset_buckets(const struct strset *s);            /* of both tables: how much work a release is */
size_t strset_bytes(const struct strset *s, int samples); /* all memory, estimated from so many strings; 0: from all */

/* Moves memory (mem_relocated): some buckets from this cursor on. Returns the next cursor, 0: all were visited. */
uint64_t strset_relocate(struct strset *s, uint64_t cursor);

/* Looking a string up in two steps that each ask the cache for what the next one reads. */
uint64_t strset_prefetch(const struct strset *s, struct slice str); /* its hash */
void strset_prefetch_on(const struct strset *s, uint64_t hash);

/* Calls fn for every string under this cursor; returns the next cursor, 0 when the scan is complete. fn must not change
 * the set. */
uint64_t strset_scan(const struct strset *s, uint64_t cursor, void (*fn)(void *arg, struct slice str), void *arg);

struct slice strset_random(const struct strset *s,
                           struct rng *r); /* each as likely as any other; not of an empty set */

/* Everything: for (struct strset_iter it = {.set = s}; strset_next(&it);) ... it.str ... The set must not change. */
struct strset_iter {
    const struct strset *set;
    struct slice str;
    /* private */
    int table;
    size_t bucket;
    unsigned i;
    const uint8_t *at;
};
bool strset_next(struct strset_iter *it);

#endif
