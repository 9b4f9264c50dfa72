/* Linear hashing: bucket count B, mask the next power of two minus one; a hash whose low bits name a bucket that does
 * not exist yet belongs to the bucket it will be split from. */
#include "vec/names.h"

#include "base/hash.h"
#include "vec/heap.h"

uint32_t names_hash(const struct vec_index *v, struct slice name)
{
    uint64_t h = hash_stable(name.p, name.len, v->h.uid);
    return (uint32_t)(h ^ h >> 32);
}

static uint64_t bucket_of(uint64_t buckets, uint32_t hash)
{
    uint64_t mask = buckets > 1 ? (UINT64_C(2) << (63 - __builtin_clzll(buckets - 1))) - 1 : 0, b = hash & mask;
    return b < buckets ? b : b & (mask >> 1);
}

static uint32_t *head_of(const struct vec_index *v, uint64_t bucket)
{
    return space_at(&v->space.area[AREA_TABLE], bucket + 1);
}

static bool known(const struct vec_index *v, uint32_t node)
{
    if (node < vec_top(v))
        return true;
    vec_set_damaged(v);
    return false;
}

uint32_t names_find(const struct vec_index *v, struct slice name, uint32_t hash)
{
    if (!v->h.buckets)
        return 0;
    uint32_t n = *head_of(v, bucket_of(v->h.buckets, hash));
    for (uint64_t steps = 0; n && known(v, n); n = vec_meta(v, n)->next) {
        const struct meta *m = vec_meta(v, n);
        struct slice s;
        if (m->hash == hash && heap_get(v, m->name, &s) && slice_eq(s, name))
            return n;
        if (++steps > atomic_load_explicit(&v->count, memory_order_relaxed)) { /* a chain that bites its tail */
            vec_set_damaged(v);
            break;
        }
    }
    return 0;
}

static void set_head(struct vec_index *v, uint64_t bucket, uint32_t node)
{
    uint32_t *p = head_of(v, bucket);
    space_touch(&v->space, AREA_TABLE, bucket + 1, p, sizeof *p);
    *p = node;
}

static void set_next(struct vec_index *v, uint32_t node, uint32_t next)
{
    struct meta *m = vec_meta(v, node);
    space_touch(&v->space, AREA_META, node, &m->next, sizeof m->next);
    m->next = next;
}

int names_reserve(struct vec_index *v, struct err *err)
{
    return space_reserve(&v->space, AREA_TABLE, 1, err);
}

/* Adds one bucket and moves into it what belongs there. */
static void split(struct vec_index *v)
{
    uint64_t fresh = v->h.buckets, from = 0;
    v->space.area[AREA_TABLE].d.used++;
    v->h.buckets++;
    set_head(v, fresh, 0);
    if (!fresh)
        return;
    from = fresh & ~(UINT64_C(1) << (63 - __builtin_clzll(fresh)));
    uint32_t n = *head_of(v, from), stay = 0, go = 0;
    while (n && known(v, n)) {
        uint32_t next = vec_meta(v, n)->next;
        bool goes = bucket_of(v->h.buckets, vec_meta(v, n)->hash) == fresh;
        set_next(v, n, goes ? go : stay);
        *(goes ? &go : &stay) = n;
        n = next;
    }
    set_head(v, from, stay);
    set_head(v, fresh, go);
}

void names_insert(struct vec_index *v, uint32_t node, uint32_t hash)
{
    if (v->h.buckets <= atomic_load_explicit(&v->count, memory_order_relaxed))
        split(v);
    uint64_t b = bucket_of(v->h.buckets, hash);
    set_next(v, node, *head_of(v, b));
    set_head(v, b, node);
}

/* The one before `node` in its chain: 0 when the bucket's head points to it. False: not there (a damaged file). */
static bool find_before(struct vec_index *v, uint32_t node, uint64_t *bucket, uint32_t *before)
{
    *bucket = bucket_of(v->h.buckets, vec_meta(v, node)->hash);
    *before = 0;
    uint64_t steps = 0;
    for (uint32_t n = *head_of(v, *bucket); n && known(v, n); *before = n, n = vec_meta(v, n)->next) {
        if (n == node)
            return true;
        if (++steps > atomic_load_explicit(&v->count, memory_order_relaxed))
            break;
    }
    vec_set_damaged(v);
    return false;
}

static void point_to(struct vec_index *v, uint64_t bucket, uint32_t before, uint32_t node)
{
    if (before)
        set_next(v, before, node);
    else
        set_head(v, bucket, node);
}

void names_replace(struct vec_index *v, uint32_t old, uint32_t node)
{
    uint64_t bucket;
    uint32_t before;
    if (!find_before(v, old, &bucket, &before))
        return;
    set_next(v, node, vec_meta(v, old)->next);
    point_to(v, bucket, before, node);
}

void names_remove(struct vec_index *v, uint32_t node)
{
    uint64_t bucket;
    uint32_t before;
    if (find_before(v, node, &bucket, &before))
        point_to(v, bucket, before, vec_meta(v, node)->next);
}
