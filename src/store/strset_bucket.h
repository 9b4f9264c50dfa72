/* The buckets of strset.h: strings of one place of the table, in one allocation. NULL is the bucket without strings.
 *
 * A bucket of n strings, which stand in no order:
 *
 *     n | n tags, the top bytes of their hashes | n lengths | the bytes of all, one string after another
 *
 * so that a search compares eight tags at once, and only where one agrees adds up the lengths before it and looks at
 * the string. A long string has an allocation of its own, with LONG for its length and the pointer for its bytes: a
 * bucket is copied when it changes, and the string would be copied with it. Thread: the set's. */
#ifndef STORE_STRSET_BUCKET_H
#define STORE_STRSET_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define BUCKET_LONG 255

struct strset_bucket {
    uint16_t n;
    uint8_t data[];
};

/* String i of a bucket, whose bytes (or pointer) are at `at`. */
struct spot {
    const struct strset_bucket *b;
    unsigned i;
    const uint8_t *at;
};

static inline const uint8_t *bucket_lengths(const struct strset_bucket *b)
{
    return b->data + b->n;
}
static inline size_t bucket_width(uint8_t length)
{
    return length == BUCKET_LONG ? sizeof(void *) : length;
}

static inline struct spot spot_at(const struct strset_bucket *b, unsigned i)
{
    if (!b)
        return (struct spot){0};
    struct spot p = {b, i, b->data + 2 * b->n};
    for (unsigned k = 0; k < i; k++)
        p.at += bucket_width(bucket_lengths(b)[k]);
    return p;
}
static inline bool spot_is(const struct spot *p)
{
    return p->b && p->i < p->b->n;
}
static inline void spot_next(struct spot *p)
{
    p->at += bucket_width(bucket_lengths(p->b)[p->i++]);
}
#define each_spot(p, b)                                                                                                \
    struct spot p = spot_at(b, 0);                                                                                     \
    spot_is(&p);                                                                                                       \
    spot_next(&p)

struct slice spot_str(const struct spot *p);
size_t spot_own_bytes(const struct spot *p); /* of a long string's own allocation; 0: it has none */

bool bucket_find(const struct strset_bucket *b, uint64_t hash, struct slice str, struct spot *found);
/* These five give the bucket that there is now; what was given is gone. */
struct strset_bucket *bucket_append(struct strset_bucket *b, uint64_t hash, struct slice str);
struct strset_bucket *bucket_cut(struct strset_bucket *b, const struct spot *p);
struct strset_bucket *bucket_join(struct strset_bucket *a, struct strset_bucket *b);
struct strset_bucket *bucket_relocated(struct strset_bucket *b); /* mem_relocated, its long strings, too */
/* The strings with this bit of their hash go to a bucket of their own. */
void bucket_split(struct strset_bucket *b, uint64_t bit, struct strset_bucket **without, struct strset_bucket **with);
void bucket_free(struct strset_bucket *b);

#endif
