/* A skip list with spans and a hash table over the same nodes: what a large sorted set is made of.
 *
 * A node is one allocation: score, links and the member's bytes. The table finds a member's node; the list keeps the
 * nodes by score, members of equal score by their bytes (memcmp); the spans of its upper levels give ranks. Everything
 * is O(log n) except finding a member, which is one lookup. A 13-byte member takes about 64 bytes, its share of the
 * table included.
 *
 * Ranks count from 0 at the lowest score. Members are borrowed from their node and live until it is removed. A score is
 * never NaN.
 *
 * Thread: the owner's; zskip_destroy: any. */
#ifndef STORE_ZSKIP_H
#define STORE_ZSKIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dict.h"
#include "base/rng.h"
#include "base/slice.h"

struct zskip;
struct znode;

struct zskip *zskip_create(size_t reserve); /* the table has room for so many */
void zskip_destroy(struct zskip *z);

size_t zskip_len(const struct zskip *z);
const struct dict *zskip_table(const struct zskip *z); /* the table of its members */
struct slice znode_member(const struct znode *n);
double znode_score(const struct znode *n);

struct znode *zskip_find(struct zskip *z, struct slice member);     /* NULL when absent */
void zskip_add(struct zskip *z, struct slice member, double score); /* the member must be absent */
void zskip_move(struct zskip *z, struct znode *n, double score); /* gives a node another score; it stays where it is */
void zskip_remove(struct zskip *z, struct znode *n);
void zskip_remove_range(struct zskip *z, size_t start, size_t n); /* by rank; start + n <= length */

size_t zskip_rank(const struct zskip *z, const struct znode *n);
struct znode *zskip_at(const struct zskip *z, size_t rank); /* NULL past the end */
struct znode *znode_next(const struct znode *n);            /* NULL after the last */
struct znode *znode_prev(const struct znode *n);            /* NULL before the first */
/* How many nodes from the start on `holds` is true for; it must not become true again after it was false. */
size_t zskip_leading(const struct zskip *z, bool (*holds)(const void *arg, double score, struct slice member),
                     const void *arg);

uint64_t zskip_scan(struct zskip *z, uint64_t cursor, void (*fn)(void *arg, void *node), void *arg); /* as dict_scan */
struct znode *zskip_random(struct zskip *z, struct rng *r); /* NULL when empty */
size_t zskip_bytes(const struct zskip *z, int samples);     /* all memory, estimated from so many nodes; 0: from all */

#endif
