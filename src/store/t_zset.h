/* Sorted sets: small ones as one listpack (member, score, member, ... in order), larger ones as a tree with a
 * table (store/ztree.h): ENC_LISTPACK and ENC_SKIPLIST, which is the name that clients know for the large kind.
 *
 * A set starts as a listpack and changes to a tree for good with the first member longer than
 * zset-max-listpack-value or the one beyond zset-max-listpack-entries. Order is by score, then by the member's bytes. A
 * score is never NaN.
 *
 * Every kind of range is two numbers here: the rank of its first member and how many there are (zset_find_range); what
 * reads or deletes a range works on those.
 *
 * Slices that come out are borrowed from the set until its next change, or lie in the tmp that the caller gave. Slices
 * that go in must not lie inside the set. An empty set is the caller's to delete.
 *
 * Thread: loop; zset_ops.load and .free: any. */
#ifndef STORE_T_ZSET_H
#define STORE_T_ZSET_H

#include "base/rng.h"
#include "store/obj.h"
#include "store/ztree.h"

struct value zset_new(void); /* empty, to be given to db_add or db_set */

enum zset_condition {
    ZSET_NX = 1 << 0,   /* only add */
    ZSET_XX = 1 << 1,   /* only change */
    ZSET_GT = 1 << 2,   /* change only to a higher score */
    ZSET_LT = 1 << 3,   /* change only to a lower score */
    ZSET_INCR = 1 << 4, /* the score is added to the present one */
};
enum zset_outcome {
    ZSET_NOTHING, /* a condition did not hold */
    ZSET_SAME,    /* it has that score already */
    ZSET_CHANGED,
    ZSET_ADDED,
    ZSET_NAN, /* the sum is not a number; nothing changed */
};
/* *score becomes the member's new score, with ZSET_INCR too; only on ZSET_NOTHING and ZSET_NAN it means nothing. */
enum zset_outcome zset_add(struct obj *o, struct slice member, double *score, unsigned conditions);
void zset_set(struct obj *o, struct slice member, double score); /* without conditions */
bool zset_del(struct obj *o, struct slice member);               /* false when absent */

size_t zset_len(const struct obj *o);
bool zset_score(const struct obj *o, struct slice member, double *score);
/* From 0 at the lowest score, or at the highest when `back`; -1 when absent. */
int64_t zset_rank(const struct obj *o, struct slice member, bool back, double *score);

struct zset_range {
    enum { ZSET_BY_SCORE, ZSET_BY_LEX } by;
    bool min_excluded, max_excluded;
    double min, max;              /* ZSET_BY_SCORE */
    struct slice lmin, lmax;      /* ZSET_BY_LEX, where the edge is a string */
    signed char min_inf, max_inf; /* ZSET_BY_LEX: -1 before, 1 behind all strings, 0: the string */
};
void zset_find_range(const struct obj *o, const struct zset_range *r, size_t *start, size_t *n);
void zset_delete_range(struct obj *o, size_t start, size_t n); /* start + n <= length */

/* Walks from a rank on, upwards or back: for (zset_iter_begin(&it, o, 0, false); zset_iter_next(&it);) ...
 * The set must not change meanwhile. */
struct zset_iter {
    struct slice member;
    double score;
    /* private */
    const struct obj *o;
    struct zplace place;
    const uint8_t *at;
    bool back;
    char tmp[NUM_I64_MAX];
};
void zset_iter_begin(struct zset_iter *it, const struct obj *o, size_t rank, bool back);
bool zset_iter_next(struct zset_iter *it);

/* As dict_scan; a set that is a listpack comes whole at once. */
uint64_t zset_scan(struct obj *o, uint64_t cursor, void (*fn)(void *arg, struct slice member, double score), void *arg);
/* A random member of a set that is not empty. */
void zset_random(struct obj *o, struct rng *r, struct slice *member, double *score, char tmp[NUM_I64_MAX]);

#endif
