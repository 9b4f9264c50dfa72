/* The bucketed hash table of dict.h.
 *
 * A bucket is 64 bytes: one byte of occupancy bits (its top bit: "the last slot is a link"), seven tags, seven slots.
 * The tag is the hash's top byte, the bucket index its low bits, so the two are independent. A chain of buckets belongs
 * to one index; entries inside a chain have no order, which is why removal may fill the hole with the chain's last
 * entry.
 *
 * Load: the table grows when it holds more than 5.4 entries per bucket (77 % of the slots; then about one bucket in six
 * has a link) and shrinks below 0.9. A resize in progress is finished by one bucket per operation; the next resize
 * cannot be needed before that, because a bucket moved per insertion outruns the growth. */
#include "base/dict.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "base/cursor.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/swar.h"

#define SLOTS    7
#define LINKED   0x80
#define MIN_BITS 0

struct dict_bucket {
    uint8_t used; /* bit i: slot i holds an entry; LINKED: slot 6 is a struct dict_bucket * */
    uint8_t tag[SLOTS];
    void *slot[SLOTS];
};
_Static_assert(sizeof(struct dict_bucket) == 64, "one cache line");

static uint64_t hash_key(const struct dict *d, struct slice key)
{
    if (!d->type->fold_case)
        return hash_bytes(key.p, key.len);
    char lower[64];
    uint64_t h = 0;
    for (size_t at = 0; at < key.len || at == 0; at += sizeof lower) {
        size_t n = key.len - at < sizeof lower ? key.len - at : sizeof lower;
        for (size_t i = 0; i < n; i++)
            lower[i] = (char)tolower((unsigned char)key.p[at + i]);
        h = h * 0x9e3779b97f4a7c15ULL + hash_bytes(lower, n);
    }
    return h;
}

static bool same_key(const struct dict *d, const void *entry, struct slice key)
{
    struct slice k = d->type->key(entry);
    if (k.len != key.len || !d->type->fold_case)
        return slice_eq(k, key);
    return key.len == 0 || strncasecmp(k.p, key.p, key.len) == 0;
}

static inline uint8_t tag_of(uint64_t h)
{
    return (uint8_t)(h >> 56);
}
static inline size_t buckets(const struct dict *d, int t)
{
    return d->table[t] ? (size_t)1 << d->bits[t] : 0;
}
static inline size_t index_of(const struct dict *d, int t, uint64_t h)
{
    return h & (buckets(d, t) - 1);
}
static inline struct dict_bucket *next_of(const struct dict_bucket *b)
{
    return b->used & LINKED ? b->slot[SLOTS - 1] : NULL;
}
/* Bits of the slots that hold entries, the link not among them. */
static inline unsigned entries_of(const struct dict_bucket *b)
{
    return b->used & 0x7f & ~(b->used & LINKED ? 1u << (SLOTS - 1) : 0);
}

static struct dict_bucket *table_make(uint8_t bits)
{
    size_t bytes = sizeof(struct dict_bucket) << bits;
    return mem_zero(bytes);
}

void dict_init(struct dict *d, const struct dict_type *type)
{
    *d = (struct dict){.type = type};
}

static void chain_release(struct dict *d, struct dict_bucket *head)
{
    for (struct dict_bucket *b = head, *next; b; b = next) {
        next = next_of(b);
        if (d->type->free)
            for (unsigned bits = entries_of(b); bits; bits &= bits - 1)
                d->type->free(b->slot[__builtin_ctz(bits)]);
        if (b != head)
            mem_free(b);
    }
}

void dict_release(struct dict *d)
{
    for (int t = 0; t < 2; t++) {
        for (size_t i = 0; i < buckets(d, t); i++)
            chain_release(d, &d->table[t][i]);
        mem_free(d->table[t]);
    }
    dict_init(d, d->type);
}

/* Where a search ended: the bucket and slot of the entry, and the head of its chain. */
struct place {
    struct dict_bucket *head, *b;
    int slot, table;
};

/* Bits of the slots whose tag may be this one: bit 8 * (i + 1) + 7 stands for slot i. The seven tags are compared at
 * once; a slot right above one that agrees may be given though it does not (the borrow), which the caller's own look
 * at the key finds out. */
static inline uint64_t tags_like(const struct dict_bucket *b, uint8_t tag)
{
    uint64_t head;
    memcpy(&head, b, sizeof head);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    head = __builtin_bswap64(head);
#endif
    return swar_zeros(head ^ SWAR_EVERY(tag)) & ~UINT64_C(0xff);
}

static bool find_in(struct dict *d, int t, uint64_t h, struct slice key, struct place *at)
{
    struct dict_bucket *head = &d->table[t][index_of(d, t, h)];
    uint8_t tag = tag_of(h);
    for (struct dict_bucket *b = head; b; b = next_of(b))
        for (uint64_t like = tags_like(b, tag); like; like &= like - 1) {
            int i = __builtin_ctzll(like) / 8 - 1;
            if ((entries_of(b) >> i & 1) && same_key(d, b->slot[i], key)) {
                *at = (struct place){head, b, i, t};
                return true;
            }
        }
    return false;
}

static bool find(struct dict *d, uint64_t h, struct slice key, struct place *at)
{
    for (int t = 0; t < 2; t++)
        if (d->count[t] && find_in(d, t, h, key, at))
            return true;
    return false;
}

static void place_entry(struct dict *d, int t, uint64_t h, void *entry)
{
    struct dict_bucket *b = &d->table[t][index_of(d, t, h)];
    for (;;) {
        struct dict_bucket *next = next_of(b);
        unsigned empty = ~(unsigned)b->used & 0x7f;
        if (next)
            empty &= ~(1u << (SLOTS - 1));
        if (empty) {
            int i = __builtin_ctz(empty);
            b->slot[i] = entry;
            b->tag[i] = tag_of(h);
            b->used |= (uint8_t)(1u << i);
            break;
        }
        if (!next) { /* full: its last entry moves to a new bucket and the slot becomes the link */
            next = mem_zero(sizeof *next);
            d->chained += sizeof *next;
            next->slot[0] = b->slot[SLOTS - 1];
            next->tag[0] = b->tag[SLOTS - 1];
            next->used = 1;
            b->slot[SLOTS - 1] = next;
            b->used |= LINKED;
        }
        b = next;
    }
    d->count[t]++;
}

static void finish_resize(struct dict *d)
{
    mem_free(d->table[0]);
    d->table[0] = d->table[1];
    d->bits[0] = d->bits[1];
    d->count[0] = d->count[1];
    d->table[1] = NULL;
    d->count[1] = 0;
    d->moved = 0;
}

static void maybe_shrink(struct dict *d);

/* What steps soon will read: the entries of a bucket, whose keys are hashed again, and a bucket farther on. */
#define ENTRIES_AHEAD 4
#define BUCKETS_AHEAD 12
static void prefetch_steps(const struct dict *d)
{
    size_t n = buckets(d, 0);
    if (d->moved + BUCKETS_AHEAD < n)
        __builtin_prefetch(&d->table[0][d->moved + BUCKETS_AHEAD]);
    if (d->moved + ENTRIES_AHEAD >= n)
        return;
    const struct dict_bucket *b = &d->table[0][d->moved + ENTRIES_AHEAD];
    for (unsigned bits = entries_of(b); bits; bits &= bits - 1)
        __builtin_prefetch(b->slot[__builtin_ctz(bits)]);
}

static void move_bucket(struct dict *d)
{
    struct dict_bucket *head = &d->table[0][d->moved];
    for (struct dict_bucket *b = head, *next; b; b = next) {
        next = next_of(b);
        for (unsigned bits = entries_of(b); bits; bits &= bits - 1) {
            void *e = b->slot[__builtin_ctz(bits)];
            d->count[0]--;
            place_entry(d, 1, hash_key(d, d->type->key(e)), e);
        }
        if (b != head) {
            d->chained -= sizeof *b;
            mem_free(b);
        }
    }
    head->used = 0;
    if (++d->moved == buckets(d, 0)) {
        finish_resize(d);
        maybe_shrink(d); /* removals during the resize may have left too large a table */
    } else {
        prefetch_steps(d);
    }
}

bool dict_rehash(struct dict *d, int n)
{
    while (n-- > 0 && d->table[1] && !d->paused)
        move_bucket(d);
    return d->table[1] != NULL;
}

static uint8_t bits_for(size_t n)
{
    uint8_t bits = MIN_BITS;
    while (((size_t)1 << bits) * 5 < n)
        bits++;
    return bits;
}

static void resize(struct dict *d, uint8_t bits)
{
    if (!d->table[0]) {
        d->table[0] = table_make(bits);
        d->bits[0] = bits;
    } else if (!d->table[1] && !d->paused && bits != d->bits[0]) {
        d->table[1] = table_make(bits);
        d->bits[1] = bits;
        d->moved = 0;
        if (d->count[0] == 0)
            finish_resize(d);
    }
}

static void step(struct dict *d)
{
    if (d->table[1] && !d->paused)
        move_bucket(d);
}

static void maybe_grow(struct dict *d)
{
    if (!d->table[0])
        resize(d, MIN_BITS);
    else if (!d->table[1] && d->count[0] * 10 > buckets(d, 0) * 54)
        resize(d, (uint8_t)(d->bits[0] + 1));
}

static void maybe_shrink(struct dict *d)
{
    if (!d->table[1] && d->bits[0] > MIN_BITS && d->count[0] * 10 < buckets(d, 0) * 9)
        resize(d, bits_for(d->count[0] + 1));
}

void dict_reserve(struct dict *d, size_t n)
{
    uint8_t bits = bits_for(n);
    if (!d->table[0] || (!d->table[1] && bits > d->bits[0]))
        resize(d, bits);
}

uint64_t dict_hash(const struct dict *d, struct slice key)
{
    return hash_key(d, key);
}

void dict_prefetch(const struct dict *d, uint64_t h)
{
    for (int t = 0; t < 2; t++)
        if (d->count[t])
            __builtin_prefetch(&d->table[t][index_of(d, t, h)]);
}

void *dict_guess(const struct dict *d, uint64_t h)
{
    for (int t = 0; t < 2; t++) {
        if (!d->count[t])
            continue;
        const struct dict_bucket *b = &d->table[t][index_of(d, t, h)];
        for (uint64_t like = tags_like(b, tag_of(h)); like; like &= like - 1) {
            int i = __builtin_ctzll(like) / 8 - 1;
            if (entries_of(b) >> i & 1)
                return b->slot[i];
        }
    }
    return NULL;
}

static void **find_slot(struct dict *d, struct slice key, uint64_t h)
{
    struct place at;
    step(d);
    return find(d, h, key, &at) ? &at.b->slot[at.slot] : NULL;
}

void **dict_find_slot(struct dict *d, struct slice key)
{
    return dict_count(d) ? find_slot(d, key, hash_key(d, key)) : NULL;
}

void *dict_find_hashed(struct dict *d, struct slice key, uint64_t h)
{
    void **slot = dict_count(d) ? find_slot(d, key, h) : NULL;
    return slot ? *slot : NULL;
}

void *dict_find(struct dict *d, struct slice key)
{
    return dict_count(d) ? dict_find_hashed(d, key, hash_key(d, key)) : NULL;
}

void dict_add_hashed(struct dict *d, void *entry, uint64_t h)
{
    step(d);
    maybe_grow(d);
    place_entry(d, d->table[1] ? 1 : 0, h, entry);
}

void dict_add(struct dict *d, void *entry)
{
    dict_add_hashed(d, entry, hash_key(d, d->type->key(entry)));
}

/* Takes the chain's last entry into the hole, and gives the last bucket back when that emptied it. */
static void close_hole(struct dict *d, struct place *at)
{
    struct dict_bucket *before = NULL, *last = at->head;
    while (next_of(last)) {
        before = last;
        last = next_of(last);
    }
    at->b->used &= (uint8_t) ~(1u << at->slot);
    if (!before)
        return;
    if (at->b != last) {
        int from = __builtin_ctz(entries_of(last));
        at->b->slot[at->slot] = last->slot[from];
        at->b->tag[at->slot] = last->tag[from];
        at->b->used |= (uint8_t)(1u << at->slot);
        last->used &= (uint8_t) ~(1u << from);
    }
    if (entries_of(last) == 0) {
        before->used &= (uint8_t) ~(LINKED | 1u << (SLOTS - 1));
        d->chained -= sizeof *last;
        mem_free(last);
    }
}

void *dict_remove(struct dict *d, struct slice key)
{
    struct place at;
    if (dict_count(d) == 0)
        return NULL;
    step(d);
    if (!find(d, hash_key(d, key), key, &at))
        return NULL;
    void *entry = at.b->slot[at.slot];
    close_hole(d, &at);
    d->count[at.table]--;
    if (!d->paused)
        maybe_shrink(d);
    return entry;
}

size_t dict_bytes(const struct dict *d)
{
    return dict_buckets(d) * sizeof(struct dict_bucket) + d->chained;
}

size_t dict_buckets(const struct dict *d)
{
    return buckets(d, 0) + buckets(d, 1);
}

/* ---- scanning and iterating: a chain is copied before its entries are handed out, so that the callback may remove
 * ---- */

static int chain_copy(const struct dict_bucket *head, void ***batch, int *cap)
{
    int n = 0;
    for (const struct dict_bucket *b = head; b; b = next_of(b))
        for (unsigned bits = entries_of(b); bits; bits &= bits - 1) {
            if (n == *cap) {
                *cap = *cap ? *cap * 2 : 16;
                *batch = mem_realloc(*batch, (size_t)*cap * sizeof **batch);
            }
            (*batch)[n++] = b->slot[__builtin_ctz(bits)];
        }
    return n;
}

static void emit_chain(const struct dict_bucket *head, void (*fn)(void *, void *), void *arg)
{
    void *one[SLOTS];
    if (!next_of(head)) { /* the usual case needs no allocation */
        int n = 0;
        for (unsigned bits = entries_of(head); bits; bits &= bits - 1)
            one[n++] = head->slot[__builtin_ctz(bits)];
        for (int i = 0; i < n; i++)
            fn(arg, one[i]);
        return;
    }
    void **batch = NULL;
    int cap = 0, n = chain_copy(head, &batch, &cap);
    for (int i = 0; i < n; i++)
        fn(arg, batch[i]);
    mem_free(batch);
}

uint64_t dict_scan(struct dict *d, uint64_t v, void (*fn)(void *arg, void *entry), void *arg)
{
    if (dict_count(d) == 0)
        return 0;
    d->paused++;
    if (!d->table[1]) {
        uint64_t mask = buckets(d, 0) - 1;
        emit_chain(&d->table[0][v & mask], fn, arg);
        v = cursor_next(v, mask);
    } else {
        int small = d->bits[0] <= d->bits[1] ? 0 : 1, large = 1 - small;
        uint64_t m0 = buckets(d, small) - 1, m1 = buckets(d, large) - 1;
        emit_chain(&d->table[small][v & m0], fn, arg);
        do { /* every bucket of the larger table that the small one's bucket expands to */
            emit_chain(&d->table[large][v & m1], fn, arg);
            v = cursor_next(v, m1);
        } while (v & (m0 ^ m1));
    }
    if (--d->paused == 0)
        maybe_shrink(d);
    return v;
}

static void relocate_chain(struct dict_bucket *b, void *(*relocated)(void *arg, void *entry), void *arg)
{
    for (; b; b = next_of(b)) {
        for (unsigned bits = entries_of(b); bits; bits &= bits - 1) {
            void **slot = &b->slot[__builtin_ctz(bits)];
            *slot = relocated(arg, *slot);
        }
        if (b->used & LINKED)
            b->slot[SLOTS - 1] = mem_relocated(b->slot[SLOTS - 1]);
    }
}

uint64_t dict_relocate(struct dict *d, uint64_t cursor, void *(*relocated)(void *arg, void *entry), void *arg)
{
    enum { AT_ONCE = 16 };
    assert(!d->paused);
    d->paused++;
    uint64_t all = dict_buckets(d), end = all - cursor < AT_ONCE || cursor > all ? all : cursor + AT_ONCE;
    for (; cursor < end; cursor++) {
        uint64_t first = buckets(d, 0);
        relocate_chain(cursor < first ? &d->table[0][cursor] : &d->table[1][cursor - first], relocated, arg);
    }
    d->paused--;
    return cursor < all ? cursor : 0;
}

void *dict_random(struct dict *d, struct rng *r)
{
    if (dict_count(d) == 0)
        return NULL;
    step(d);
    size_t b0 = buckets(d, 0), all = b0 + buckets(d, 1);
    for (;;) { /* a random occupied chain, then one of its entries */
        size_t i = d->moved + rng_below(r, all - d->moved);
        struct dict_bucket *head = i < b0 ? &d->table[0][i] : &d->table[1][i - b0];
        unsigned n = 0;
        for (struct dict_bucket *b = head; b; b = next_of(b))
            n += (unsigned)__builtin_popcount(entries_of(b));
        if (!n || rng_below(r, SLOTS) >= (n < SLOTS ? n : SLOTS))
            continue; /* fuller chains are taken more often, in proportion */
        unsigned pick = (unsigned)rng_below(r, n);
        for (struct dict_bucket *b = head; b; b = next_of(b))
            for (unsigned bits = entries_of(b); bits; bits &= bits - 1)
                if (pick-- == 0)
                    return b->slot[__builtin_ctz(bits)];
    }
}

void dict_iter_begin(struct dict_iter *it, struct dict *d)
{
    *it = (struct dict_iter){.d = d};
    d->paused++;
}

void *dict_iter_next(struct dict_iter *it)
{
    while (it->batch_pos == it->batch_len) {
        while (it->table < 2 && it->bucket == buckets(it->d, it->table)) {
            it->table++;
            it->bucket = 0;
        }
        if (it->table >= 2)
            return NULL;
        it->batch_len = chain_copy(&it->d->table[it->table][it->bucket++], &it->batch, &it->batch_cap);
        it->batch_pos = 0;
    }
    return it->batch[it->batch_pos++];
}

void dict_iter_end(struct dict_iter *it)
{
    mem_free(it->batch);
    it->batch = NULL;
    assert(it->d->paused > 0);
    it->d->paused--;
}
