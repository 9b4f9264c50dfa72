/* A hash table of entries that carry their own key: the keyspace, its expiry index, big hashes, registries, channels.
 *
 * Built for tens of millions of entries under one thread. A bucket is one cache line: seven entry pointers, seven one-byte
 * tags of their hashes, a byte of occupancy; a lookup reads that line and, nearly always, the one entry it wants. A full
 * bucket turns its last slot into a link to another bucket. About 10 bytes a key at usual load.
 *
 * Growing and shrinking move one bucket per operation, so that no single command pays for it. dict_scan has SCAN's
 * guarantee: an entry present during the whole of a scan is reported at least once, whatever resizing goes on
 * (the reverse-binary cursor of Redis's dict, by Pieter Noordhuis).
 *
 * Embedded by value. Entries are the owner's; dict_release does not free them unless the type says how.
 * Thread: the owner's (the loop's, for the keyspace). */
#ifndef BASE_DICT_H
#define BASE_DICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/slice.h"

struct dict_type {
    struct slice (*key)(const void *entry); /* borrowed from the entry */
    void (*free)(void *entry);              /* NULL: entries are somebody else's */
    bool fold_case;                         /* keys compare and hash with ASCII case ignored */
};

struct dict_bucket;

struct dict {
    const struct dict_type *type;
    struct dict_bucket *table[2]; /* [1] only while a resize is under way */
    uint8_t bits[2];              /* table i has 1 << bits[i] buckets */
    size_t count[2];
    size_t chained; /* bytes of overflow buckets */
    size_t moved;   /* buckets of table[0] that have moved to table[1] */
    int paused;     /* > 0: no resize step (an iteration is open) */
};

void dict_init(struct dict *d, const struct dict_type *type);
void dict_release(struct dict *d); /* frees entries when the type has free; back to empty */

void *dict_find(struct dict *d, struct slice key); /* NULL when absent */
uint64_t dict_hash(const struct dict *d, struct slice key);
void *dict_find_hashed(struct dict *d, struct slice key, uint64_t hash); /* the same for who knows the key's hash */
void dict_add_hashed(struct dict *d, void *entry, uint64_t hash);
/* Looking several keys up at once: their buckets are asked for first, then what dict_guess finds in them, then the
 * lookups find everything in the cache. dict_guess reads the bucket only: the entry it gives is one of d's and nearly
 * always the one with this hash; NULL when there is none. */
void dict_prefetch(const struct dict *d, uint64_t hash);
void *dict_guess(const struct dict *d, uint64_t hash);
/* Where the pointer to the entry is kept, so that an entry that was re-allocated (same key) can be replaced; valid until
 * the next call on d. NULL when absent. */
void **dict_find_slot(struct dict *d, struct slice key);
void dict_add(struct dict *d, void *entry); /* the key must be absent */
void *dict_remove(struct dict *d, struct slice key); /* the entry, no longer in d; NULL when absent */
static inline size_t dict_count(const struct dict *d)
{
    return d->count[0] + d->count[1];
}
size_t dict_bytes(const struct dict *d); /* the table's own memory, entries not counted */
size_t dict_buckets(const struct dict *d); /* how many buckets, both tables */
void dict_reserve(struct dict *d, size_t n); /* room for n entries without growing on the way */

/* Calls fn for every entry under this cursor; returns the next cursor, 0 when the scan is complete. fn may remove the
 * entry it is given from d, and nothing else. */
uint64_t dict_scan(struct dict *d, uint64_t cursor, void (*fn)(void *arg, void *entry), void *arg);

/* Moves memory (mem_relocated): some buckets from this cursor on; `relocated` gives an entry's new address, its key is the
 * same. No iteration is open. Returns the next cursor, 0: all were visited. A resize in between may hide a few. */
uint64_t dict_relocate(struct dict *d, uint64_t cursor, void *(*relocated)(void *arg, void *entry), void *arg);

/* A fair enough random entry; NULL when empty. */
void *dict_random(struct dict *d, struct rng *r);

/* Iteration over everything: for (dict_iter_begin(&it, d); (e = dict_iter_next(&it));) ...; dict_iter_end(&it).
 * The entry just returned may be removed; adding, or removing others, is not allowed while it is open. */
struct dict_iter {
    struct dict *d;
    int table;
    size_t bucket;
    void **batch; /* entries of the present chain */
    int batch_len, batch_pos, batch_cap;
};
void dict_iter_begin(struct dict_iter *it, struct dict *d);
void *dict_iter_next(struct dict_iter *it);
void dict_iter_end(struct dict_iter *it);

/* Does up to `buckets` steps of a resize that is under way, for idle time; true when more are left. */
bool dict_rehash(struct dict *d, int buckets);

#endif
