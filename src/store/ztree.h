/* A B+-tree that counts, and a hash table over the same members: what a large sorted set is made of.
 *
 * A member is one allocation: its score and its bytes. The table finds a member; the tree keeps the members by score,
 * those of equal score by their bytes (memcmp), and its counts give ranks. Everything is O(log n) except finding a
 * member, which is one lookup. A 13-byte member takes about 68 bytes, its shares of tree and table included.
 *
 * Ranks count from 0 at the lowest score. Members are borrowed and live until they are removed. A score is never NaN.
 *
 * Thread: the owner's; ztree_destroy: any. */
#ifndef STORE_ZTREE_H
#define STORE_ZTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dict.h"
#include "base/rng.h"
#include "base/slice.h"

struct ztree;
struct zmember;
struct znode;

/* A place in the order. Any change of the tree makes it stale. */
struct zplace {
    const struct znode *leaf; /* NULL: past an end */
    unsigned at;
};

struct ztree *ztree_create(size_t reserve); /* the table has room for so many */
void ztree_destroy(struct ztree *z);

size_t ztree_len(const struct ztree *z);
const struct dict *ztree_table(const struct ztree *z); /* the table of its members */
struct slice zmember_bytes(const struct zmember *m);
double zmember_score(const struct zmember *m);

struct zmember *ztree_find(struct ztree *z, struct slice member);   /* NULL when absent */
void ztree_add(struct ztree *z, struct slice member, double score); /* the member must be absent */
void ztree_move(struct ztree *z, struct zmember *m, double score);  /* another score; m stays where it is */
void ztree_remove(struct ztree *z, struct zmember *m);
void ztree_remove_range(struct ztree *z, size_t start, size_t n); /* by rank; start + n <= length */

size_t ztree_rank(const struct ztree *z, const struct zmember *m);
struct zplace ztree_at(const struct ztree *z, size_t rank);
const struct zmember *zplace_member(struct zplace p); /* NULL past an end */
struct zplace zplace_next(struct zplace p);
struct zplace zplace_prev(struct zplace p);
/* How many members from the start on `holds` is true for; it must not become true again after it was false. */
size_t ztree_leading(const struct ztree *z, bool (*holds)(const void *arg, double score, struct slice member),
                     const void *arg);

uint64_t ztree_scan(struct ztree *z, uint64_t cursor, void (*fn)(void *arg, void *member), void *arg); /* dict_scan */
/* Moves memory (mem_relocated): some members from this cursor on, and the nodes that begin with them. Returns the next
 * cursor, 0: all were visited. */
uint64_t ztree_relocate(struct ztree *z, uint64_t cursor);
struct zmember *ztree_random(struct ztree *z, struct rng *r); /* NULL when empty */
size_t ztree_bytes(const struct ztree *z, int samples);       /* all memory, estimated from so many members; 0: all */
/* For tests: aborts when the tree is not what its file says it is. */
void ztree_check(const struct ztree *z);

#endif
