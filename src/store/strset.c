/* The table of strset.h; strset_bucket.h has what a bucket is.
 *
 * A string lives in table[0] until its bucket there has moved, then in table[1]: there is one bucket where it can be.
 * Tables grow above 8 strings a bucket and shrink below 2, by one bit: growing splits a bucket in two, shrinking puts
 * two together. What is left of a resize is done long before the next one is due, for each change moves a bucket.
 *
 * Why not dict.h: a million members of 19 bytes take 49.5 bytes each there (the pointer's share 17, the member 32 by
 * the allocator's classes), half of that here. */
#include "store/strset.h"

#include <assert.h>

#include "base/cursor.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store/strset_bucket.h"

#define MOST  8 /* strings a bucket, on average */
#define LEAST 2

static uint64_t hash_str(struct slice str)
{
    return hash_bytes(str.p, str.len);
}

static inline size_t buckets(const struct strset *s, int t)
{
    return s->table[t] ? (size_t)1 << s->bits[t] : 0;
}

static struct strset_bucket **table_make(uint8_t bits)
{
    return mem_zero(sizeof(struct strset_bucket *) << bits);
}

/* The one bucket where a string of this hash can be. There is a table. */
static inline struct strset_bucket **bucket_of(const struct strset *s, uint64_t hash)
{
    size_t i = hash & (buckets(s, 0) - 1);
    return !s->table[1] || i >= s->moved ? &s->table[0][i] : &s->table[1][hash & (buckets(s, 1) - 1)];
}

static void resize(struct strset *s, uint8_t bits)
{
    s->table[1] = table_make(bits);
    s->bits[1] = bits;
    s->moved = 0;
}

static void maybe_resize(struct strset *s)
{
    size_t n = buckets(s, 0);
    if (s->table[1])
        return;
    if (s->count > n * MOST)
        resize(s, (uint8_t)(s->bits[0] + 1));
    else if (s->bits[0] > 0 && s->count < n * LEAST)
        resize(s, (uint8_t)(s->bits[0] - 1));
}

static void move_bucket(struct strset *s)
{
    size_t i = s->moved++, n = buckets(s, 0);
    struct strset_bucket **from = &s->table[0][i], **to = s->table[1];
    if (*from && s->bits[1] > s->bits[0]) {
        bucket_split(*from, n, &to[i], &to[i + n]);
    } else if (*from) {
        to += i & (buckets(s, 1) - 1);
        *to = bucket_join(*to, *from);
    }
    *from = NULL;
    if (s->moved < n)
        return;
    mem_free(s->table[0]);
    s->table[0] = s->table[1];
    s->bits[0] = s->bits[1];
    s->table[1] = NULL;
    s->moved = 0;
    maybe_resize(s); /* changes during the resize may have made the next one due */
}

/* What the steps after this one will read. */
static void prefetch_steps(const struct strset *s)
{
    enum { SOON = 4, LATER = 12 };
    if (s->moved + LATER >= buckets(s, 0))
        return;
    __builtin_prefetch(&s->table[0][s->moved + LATER]);
    __builtin_prefetch(s->table[0][s->moved + SOON]);
}

/* A step of a resize that is under way; there is a table afterwards. */
static void step(struct strset *s)
{
    if (!s->table[0])
        s->table[0] = table_make(s->bits[0]);
    if (!s->table[1])
        return;
    move_bucket(s);
    prefetch_steps(s);
}

/* --- the set --- */

void strset_release(struct strset *s)
{
    for (int t = 0; t < 2; t++) {
        for (size_t i = 0; i < buckets(s, t); i++)
            bucket_free(s->table[t][i]);
        mem_free(s->table[t]);
    }
    *s = (struct strset){0};
}

void strset_reserve(struct strset *s, size_t n)
{
    assert(s->count == 0 && !s->table[0]);
    while (n > (size_t)MOST << s->bits[0])
        s->bits[0]++;
    step(s);
}

bool strset_has(const struct strset *s, struct slice str)
{
    if (!s->count)
        return false;
    uint64_t hash = hash_str(str);
    struct spot p;
    return bucket_find(*bucket_of(s, hash), hash, str, &p);
}

bool strset_add(struct strset *s, struct slice str)
{
    uint64_t hash = hash_str(str);
    step(s);
    struct strset_bucket **b = bucket_of(s, hash);
    struct spot p;
    if (bucket_find(*b, hash, str, &p))
        return false;
    *b = bucket_append(*b, hash, str);
    s->count++;
    maybe_resize(s);
    return true;
}

bool strset_del(struct strset *s, struct slice str)
{
    if (!s->count)
        return false;
    uint64_t hash = hash_str(str);
    step(s);
    struct strset_bucket **b = bucket_of(s, hash);
    struct spot p;
    if (!bucket_find(*b, hash, str, &p))
        return false;
    *b = bucket_cut(*b, &p);
    s->count--;
    maybe_resize(s);
    return true;
}

size_t strset_buckets(const struct strset *s)
{
    return buckets(s, 0) + buckets(s, 1);
}

size_t strset_bytes(const struct strset *s, int samples)
{
    size_t bytes = 0, seen = 0;
    for (int t = 0; t < 2; t++)
        for (size_t i = t ? 0 : s->moved; i < buckets(s, t) && (samples == 0 || seen < (size_t)samples); i++) {
            bytes += s->table[t][i] ? mem_size(s->table[t][i]) : 0;
            for (each_spot(p, s->table[t][i])) {
                bytes += spot_own_bytes(&p);
                seen++;
            }
        }
    double each = seen ? (double)bytes / (double)seen : 0;
    return strset_buckets(s) * sizeof *s->table[0] + (size_t)(each * (double)s->count);
}

uint64_t strset_relocate(struct strset *s, uint64_t cursor)
{
    enum { AT_ONCE = 64 };
    uint64_t all = strset_buckets(s), end = all - cursor < AT_ONCE || cursor > all ? all : cursor + AT_ONCE;
    for (; cursor < end; cursor++) {
        uint64_t first = buckets(s, 0);
        struct strset_bucket **b = cursor < first ? &s->table[0][cursor] : &s->table[1][cursor - first];
        *b = bucket_relocated(*b);
    }
    return cursor < all ? cursor : 0;
}

uint64_t strset_prefetch(const struct strset *s, struct slice str)
{
    uint64_t hash = hash_str(str);
    if (s->count)
        __builtin_prefetch(bucket_of(s, hash));
    return hash;
}

void strset_prefetch_on(const struct strset *s, uint64_t hash)
{
    const char *b = s->count ? (const char *)*bucket_of(s, hash) : NULL;
    if (!b)
        return;
    __builtin_prefetch(b);
    __builtin_prefetch(b + 64);
    __builtin_prefetch(b + 128);
}

static void emit(const struct strset_bucket *b, void (*fn)(void *arg, struct slice str), void *arg)
{
    for (each_spot(p, b))
        fn(arg, spot_str(&p));
}

uint64_t strset_scan(const struct strset *s, uint64_t v, void (*fn)(void *arg, struct slice str), void *arg)
{
    if (!s->count)
        return 0;
    int small = s->table[1] && s->bits[1] < s->bits[0], large = s->table[1] ? 1 - small : small;
    uint64_t m0 = buckets(s, small) - 1, m1 = buckets(s, large) - 1;
    if (small != large)
        emit(s->table[small][v & m0], fn, arg);
    do { /* every bucket of the larger table that the small one's bucket expands to */
        emit(s->table[large][v & m1], fn, arg);
        v = cursor_next(v, m1);
    } while (v & (m0 ^ m1));
    return v;
}

/* A bucket and one of its places, drawn anew when nothing is there: so that each string is as likely as any other. More
 * strings than PLACES in a bucket are too rare to matter. */
struct slice strset_random(const struct strset *s, struct rng *r)
{
    enum { PLACES = 3 * MOST };
    assert(s->count);
    size_t old = buckets(s, 0), all = old + buckets(s, 1);
    for (;;) {
        size_t i = s->moved + rng_below(r, all - s->moved), place = rng_below(r, PLACES);
        const struct strset_bucket *b = i < old ? s->table[0][i] : s->table[1][i - old];
        if (b && place < b->n) {
            struct spot p = spot_at(b, (unsigned)place);
            return spot_str(&p);
        }
    }
}

bool strset_next(struct strset_iter *it)
{
    const struct strset *s = it->set;
    for (;;) {
        if (it->bucket == buckets(s, it->table)) {
            if (++it->table >= 2)
                return false;
            it->bucket = 0;
            continue;
        }
        struct spot p = {s->table[it->table][it->bucket], it->i, it->at};
        if (p.b && it->i == 0)
            p = spot_at(p.b, 0);
        if (spot_is(&p)) {
            it->str = spot_str(&p);
            spot_next(&p);
            it->i = p.i;
            it->at = p.at;
            return true;
        }
        it->bucket++;
        it->i = 0;
    }
}
