/* The heap of names and attributes. Blocks are a head of 16 bytes and the text; a name of 20 bytes takes 48. */
#include "vec/heap.h"

#include "vec/epoch.h"

/* Classes 0..6 are 2..8 units of 16 bytes; then 10, 12, 14, 16, 20, 24, 28, 32, 40 ... */
uint64_t heap_class_units(uint32_t cls)
{
    if (cls <= 6)
        return cls + 2;
    uint32_t t = cls - 7;
    return (uint64_t)(t % 4 + 5) << (t / 4 + 1);
}

static uint32_t class_of(size_t bytes)
{
    uint64_t units = (bytes + sizeof(struct block) + 15) / 16;
    if (units <= 8)
        return units < 2 ? 0 : (uint32_t)units - 2;
    int s = 61 - __builtin_clzll(units - 1);
    uint64_t q = (units + (UINT64_C(1) << s) - 1) >> s;
    return (uint32_t)(7 + (s - 1) * 4 + (int)q - 5);
}

/* Units first..first+n-1 lie in one mapped chunk. */
static bool in_chunk(const struct area *a, uint64_t first, uint64_t n)
{
    if (first >> 40)
        return false;
    int k = space_chunk(a, first);
    return k < SPACE_CHUNKS && atomic_load_explicit(&a->bias[k], memory_order_relaxed) &&
           first + n <= space_first(a, k) + space_units(a, k);
}

static struct block *block_at(const struct vec_index *v, uint64_t ref)
{
    const struct area *a = &v->space.area[AREA_HEAP];
    if (ref && in_chunk(a, ref, 1)) {
        struct block *b = space_at(a, ref);
        if (b->cls < HEAP_CLASSES && in_chunk(a, ref, heap_class_units(b->cls)) &&
            b->len + sizeof *b <= heap_class_units(b->cls) * 16)
            return b;
    }
    vec_set_damaged(v);
    return NULL;
}

bool heap_get(const struct vec_index *v, uint64_t ref, struct slice *out)
{
    *out = slice_of("", 0);
    if (!ref)
        return true;
    struct block *b = block_at(v, ref);
    if (!b)
        return false;
    *out = slice_of((const char *)(b + 1), b->len);
    return true;
}

static uint64_t from_list(struct vec_index *v, uint32_t cls)
{
    uint64_t ref = v->h.heap_free[cls];
    if (!ref)
        return 0;
    struct block *b = block_at(v, ref);
    if (!b || b->cls != cls) {
        vec_set_damaged(v);
        return 0;
    }
    v->h.heap_free[cls] = b->next;
    return ref;
}

static uint64_t from_end(struct vec_index *v, uint32_t cls, struct err *err)
{
    struct area *a = &v->space.area[AREA_HEAP];
    uint64_t n = heap_class_units(cls), at = a->d.used;
    for (int k = space_chunk(a, at); at + n > space_first(a, k) + space_units(a, k); k++)
        at = space_first(a, k + 1); /* too long for what is left of this chunk */
    if (space_reserve(&v->space, AREA_HEAP, at + n - a->d.used, err) < 0)
        return 0;
    a->d.used = at + n;
    return at;
}

uint64_t heap_put(struct vec_index *v, struct slice bytes, struct err *err)
{
    uint32_t cls = class_of(bytes.len);
    uint64_t ref = from_list(v, cls);
    if (!ref && vec_check(v, err) < 0)
        return 0;
    if (!ref && !(ref = from_end(v, cls, err)))
        return 0;
    struct block *b = space_at(&v->space.area[AREA_HEAP], ref);
    space_touch(&v->space, AREA_HEAP, ref, b, sizeof *b + bytes.len);
    *b = (struct block){.len = (uint32_t)bytes.len, .cls = cls};
    if (bytes.len)
        memcpy(b + 1, bytes.p, bytes.len);
    return ref;
}

static void set_next(struct vec_index *v, struct block *b, uint64_t ref, uint64_t next)
{
    space_touch(&v->space, AREA_HEAP, ref, b, sizeof *b);
    b->next = next;
}

void heap_free(struct vec_index *v, uint64_t ref)
{
    struct block *b = ref ? block_at(v, ref) : NULL;
    if (!b)
        return;
    set_next(v, b, ref, v->h.heap_free[b->cls]);
    v->h.heap_free[b->cls] = ref;
}

void heap_retire(struct vec_index *v, uint64_t ref)
{
    struct block *b = ref ? block_at(v, ref) : NULL;
    if (!b)
        return;
    set_next(v, b, ref, 0);
    struct block *tail = v->h.heap_limbo_tail ? block_at(v, v->h.heap_limbo_tail) : NULL;
    if (tail)
        set_next(v, tail, v->h.heap_limbo_tail, ref);
    else
        v->h.heap_limbo_head = ref;
    v->h.heap_limbo_tail = ref;
    v->h.heap_limbo_count++;
    limbo_push(&v->heap_limbo, epoch_retire(), 1);
}

void heap_reclaim(struct vec_index *v, int most)
{
    while (most-- > 0 && v->h.heap_limbo_head && limbo_ready(&v->heap_limbo)) {
        uint64_t ref = v->h.heap_limbo_head;
        struct block *b = block_at(v, ref);
        if (!b)
            return;
        v->h.heap_limbo_head = b->next;
        if (!b->next)
            v->h.heap_limbo_tail = 0;
        v->h.heap_limbo_count--;
        limbo_pop(&v->heap_limbo);
        heap_free(v, ref);
    }
}
