/* Packed strings, see strset_bucket.h. */
#include "store/strset_bucket.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/swar.h"

#define SHORT 128              /* a longer string has its own allocation */
#define WORD  sizeof(uint64_t) /* so many tags are read at once: no bucket's data are shorter */

struct longer {
    uint32_t len;
    char bytes[];
};

static struct longer *longer_of(const struct spot *p)
{
    struct longer *l = NULL;
    if (bucket_lengths(p->b)[p->i] == BUCKET_LONG)
        memcpy(&l, p->at, sizeof l);
    return l;
}

size_t spot_own_bytes(const struct spot *p)
{
    const struct longer *l = longer_of(p);
    return l ? mem_size(l) : 0;
}

struct slice spot_str(const struct spot *p)
{
    const struct longer *l = longer_of(p);
    return l ? slice_of(l->bytes, l->len) : slice_of((const char *)p->at, bucket_lengths(p->b)[p->i]);
}

static inline uint8_t tag_of(uint64_t hash)
{
    return (uint8_t)(hash >> 56);
}

/* Bits of the bytes of `tags` that may be `tag`, the top bit of each; the byte above one that agrees may be given
 * though it does not (the borrow). */
static inline uint64_t tags_like(uint64_t tags, uint8_t tag)
{
    return swar_zeros(le64toh(tags) ^ SWAR_EVERY(tag));
}

static uint64_t hash_of(const struct spot *p)
{
    struct slice str = spot_str(p);
    return hash_bytes(str.p, str.len);
}

bool bucket_find(const struct strset_bucket *b, uint64_t hash, struct slice str, struct spot *found)
{
    for (unsigned from = 0; b && from < b->n; from += WORD) {
        uint64_t tags;
        memcpy(&tags, b->data + from, sizeof tags);
        for (uint64_t like = tags_like(tags, tag_of(hash)); like; like &= like - 1) {
            unsigned i = from + (unsigned)__builtin_ctzll(like) / 8;
            if (i >= b->n)
                break;
            *found = spot_at(b, i);
            if (slice_eq(spot_str(found), str))
                return true;
        }
    }
    return false;
}

static size_t bytes_of(const struct strset_bucket *b)
{
    return b ? (size_t)(spot_at(b, b->n).at - b->data) - 2 * b->n : 0;
}

/* A bucket's allocation for n strings of so many bytes; n 0: none. */
static struct strset_bucket *resized(struct strset_bucket *b, unsigned n, size_t bytes)
{
    size_t data = 2 * n + bytes;
    if (!n) {
        mem_free(b);
        return NULL;
    }
    assert(n <= UINT16_MAX);
    return mem_realloc(b, sizeof *b + (data < WORD ? WORD : data));
}

static struct longer *longer_make(struct slice str)
{
    assert(str.len <= UINT32_MAX); /* the protocol's bulk limit is far below */
    struct longer *l = mem_alloc(sizeof *l + str.len);
    l->len = (uint32_t)str.len;
    memcpy(l->bytes, str.p, str.len);
    return l;
}

struct strset_bucket *bucket_append(struct strset_bucket *b, uint64_t hash, struct slice str)
{
    struct longer *l = str.len > SHORT ? longer_make(str) : NULL;
    uint8_t length = l ? BUCKET_LONG : (uint8_t)str.len;
    unsigned n = b ? b->n : 0;
    size_t bytes = bytes_of(b);
    b = resized(b, n + 1, bytes + bucket_width(length));
    memmove(b->data + 2 * n + 2, b->data + 2 * n, bytes);
    memmove(b->data + n + 1, b->data + n, n);
    b->data[n] = tag_of(hash);
    b->data[2 * n + 1] = length;
    if (length)
        memcpy(b->data + 2 * n + 2 + bytes, l ? (const void *)&l : str.p, bucket_width(length));
    b->n = (uint16_t)(n + 1);
    return b;
}

struct strset_bucket *bucket_cut(struct strset_bucket *b, const struct spot *p)
{
    unsigned n = b->n, i = p->i;
    size_t bytes = bytes_of(b), w = bucket_width(bucket_lengths(b)[i]), before = (size_t)(p->at - b->data) - 2 * n;
    mem_free(longer_of(p));
    memmove(b->data + i, b->data + i + 1, n - 1); /* the tags behind, the lengths before */
    memmove(b->data + n - 1 + i, b->data + n + i + 1, n - 1 - i + before);
    memmove(b->data + 2 * n - 2 + before, b->data + 2 * n + before + w, bytes - before - w);
    b->n = (uint16_t)(n - 1);
    return resized(b, n - 1, bytes - w);
}

/* A new bucket that strings of others are put into. */
struct filling {
    struct strset_bucket *b;
    unsigned i;
    uint8_t *at;
};

static struct filling fill_new(unsigned n, size_t bytes)
{
    struct filling f = {.b = resized(NULL, n, bytes)};
    if (f.b) {
        f.b->n = (uint16_t)n;
        f.at = f.b->data + 2 * n;
    }
    return f;
}

static void fill(struct filling *f, const struct spot *p)
{
    uint8_t length = bucket_lengths(p->b)[p->i];
    f->b->data[f->i] = p->b->data[p->i];
    f->b->data[f->b->n + f->i++] = length;
    if (length)
        memcpy(f->at, p->at, bucket_width(length));
    f->at += bucket_width(length);
}

void bucket_split(struct strset_bucket *b, uint64_t bit, struct strset_bucket **without, struct strset_bucket **with)
{
    bool *has = mem_alloc(b->n * sizeof *has);
    unsigned n[2] = {0};
    size_t bytes[2] = {0};
    for (each_spot(p, b)) {
        bool h = has[p.i] = (hash_of(&p) & bit) != 0;
        n[h]++;
        bytes[h] += bucket_width(bucket_lengths(b)[p.i]);
    }
    struct filling to[2] = {fill_new(n[0], bytes[0]), fill_new(n[1], bytes[1])};
    for (each_spot(p, b))
        fill(&to[has[p.i]], &p);
    *without = to[0].b;
    *with = to[1].b;
    mem_free(has);
    mem_free(b);
}

struct strset_bucket *bucket_join(struct strset_bucket *a, struct strset_bucket *b)
{
    if (!a || !b)
        return a ? a : b;
    struct filling to = fill_new((unsigned)a->n + b->n, bytes_of(a) + bytes_of(b));
    for (each_spot(p, a))
        fill(&to, &p);
    for (each_spot(p, b))
        fill(&to, &p);
    mem_free(a);
    mem_free(b);
    return to.b;
}

struct strset_bucket *bucket_relocated(struct strset_bucket *b)
{
    b = mem_relocated(b);
    for (each_spot(p, b)) {
        struct longer *l = mem_relocated(longer_of(&p));
        if (l)
            memcpy(b->data + (p.at - b->data), &l, sizeof l);
    }
    return b;
}

void bucket_free(struct strset_bucket *b)
{
    for (each_spot(p, b))
        mem_free(longer_of(&p));
    mem_free(b);
}
