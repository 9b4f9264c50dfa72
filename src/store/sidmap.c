#include "store/sidmap.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

#define BLOCK_MAX 127 /* with the head a full block of records of 16 or 40 bytes just fits a size of the allocator */

struct sidblock {
    uint32_t n, cap;
    char records[];
};

static struct sid *id_at(const struct sidmap *m, const struct sidblock *b, uint32_t i)
{
    return (struct sid *)(b->records + (size_t)i * m->size);
}

void sidmap_init(struct sidmap *m, size_t record_size)
{
    assert(record_size >= sizeof(struct sid) && record_size % 8 == 0);
    *m = (struct sidmap){.size = (uint32_t)record_size};
}

void sidmap_release(struct sidmap *m)
{
    for (uint32_t i = 0; i < m->nblocks; i++)
        mem_free(m->blocks[i]);
    mem_free(m->blocks);
    *m = (struct sidmap){.size = m->size};
}

/* The block where the id is, or would go: the last one that begins at or below it; 0 when all begin above. */
static uint32_t block_for(const struct sidmap *m, struct sid id)
{
    uint32_t low = 0, high = m->nblocks;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (sid_cmp(*id_at(m, m->blocks[mid], 0), id) <= 0)
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* The first place in the block whose id is not below; its length when there is none. */
static uint32_t place_in(const struct sidmap *m, const struct sidblock *b, struct sid id)
{
    uint32_t low = 0, high = b->n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (sid_cmp(*id_at(m, b, mid), id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void *sidmap_find(const struct sidmap *m, struct sid id)
{
    if (m->nblocks == 0)
        return NULL;
    const struct sidblock *b = m->blocks[block_for(m, id)];
    uint32_t i = place_in(m, b, id);
    return i < b->n && sid_cmp(*id_at(m, b, i), id) == 0 ? id_at(m, b, i) : NULL;
}

static struct sidblock *block_make(const struct sidmap *m, uint32_t cap)
{
    struct sidblock *b = mem_alloc(sizeof *b + (size_t)cap * m->size);
    b->n = 0;
    b->cap = cap;
    return b;
}

static void blocks_insert(struct sidmap *m, uint32_t at, struct sidblock *b)
{
    if (m->nblocks == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 4;
        m->blocks = mem_realloc(m->blocks, m->cap * sizeof(struct sidblock *));
    }
    memmove(m->blocks + at + 1, m->blocks + at, (m->nblocks - at) * sizeof(struct sidblock *));
    m->blocks[at] = b;
    m->nblocks++;
}

/* Room in block `at` for a record at place i, which may move to the block behind. The first block of a small map grows by
 * doubling; ids that come in order leave full blocks behind. */
static struct sidblock *make_room(struct sidmap *m, uint32_t at, uint32_t *i)
{
    struct sidblock *b = m->blocks[at];
    if (b->n < b->cap)
        return b;
    if (b->cap < BLOCK_MAX) {
        uint32_t cap = b->cap * 2 < BLOCK_MAX ? b->cap * 2 : BLOCK_MAX;
        m->blocks[at] = b = mem_realloc(b, sizeof *b + (size_t)cap * m->size);
        b->cap = cap;
        return b;
    }
    struct sidblock *next = block_make(m, BLOCK_MAX);
    uint32_t keep = *i == b->n ? b->n : b->n / 2;
    next->n = b->n - keep;
    memcpy(next->records, id_at(m, b, keep), (size_t)next->n * m->size);
    b->n = keep;
    blocks_insert(m, at + 1, next);
    if (*i <= keep && keep < BLOCK_MAX)
        return b;
    *i -= keep;
    return next;
}

void *sidmap_put(struct sidmap *m, struct sid id, bool *fresh)
{
    if (m->nblocks == 0)
        blocks_insert(m, 0, block_make(m, 4));
    uint32_t at = block_for(m, id), i = place_in(m, m->blocks[at], id);
    *fresh = i == m->blocks[at]->n || sid_cmp(*id_at(m, m->blocks[at], i), id) != 0;
    if (!*fresh)
        return id_at(m, m->blocks[at], i);
    struct sidblock *b = make_room(m, at, &i);
    memmove(b->records + (size_t)(i + 1) * m->size, b->records + (size_t)i * m->size, (size_t)(b->n - i) * m->size);
    memset(id_at(m, b, i), 0, m->size);
    *id_at(m, b, i) = id;
    b->n++;
    m->n++;
    return id_at(m, b, i);
}

static void blocks_remove(struct sidmap *m, uint32_t at)
{
    mem_free(m->blocks[at]);
    m->nblocks--;
    memmove(m->blocks + at, m->blocks + at + 1, (m->nblocks - at) * sizeof(struct sidblock *));
}

/* Two neighbours of which little is left become one: entries that nobody acknowledges do not hold a block each. */
static void join(struct sidmap *m, uint32_t left)
{
    if (left + 1 >= m->nblocks)
        return;
    struct sidblock *a = m->blocks[left], *b = m->blocks[left + 1];
    uint32_t sum = a->n + b->n;
    if (sum > BLOCK_MAX / 2)
        return;
    if (a->cap < sum) {
        m->blocks[left] = a = mem_realloc(a, sizeof *a + (size_t)sum * m->size);
        a->cap = sum;
    }
    memcpy(id_at(m, a, a->n), b->records, (size_t)b->n * m->size);
    a->n = sum;
    blocks_remove(m, left + 1);
}

bool sidmap_delete(struct sidmap *m, struct sid id)
{
    if (m->nblocks == 0)
        return false;
    uint32_t at = block_for(m, id);
    struct sidblock *b = m->blocks[at];
    uint32_t i = place_in(m, b, id);
    if (i == b->n || sid_cmp(*id_at(m, b, i), id) != 0)
        return false;
    b->n--;
    m->n--;
    memmove(b->records + (size_t)i * m->size, b->records + (size_t)(i + 1) * m->size, (size_t)(b->n - i) * m->size);
    if (b->n == 0) {
        blocks_remove(m, at);
    } else if (b->n < BLOCK_MAX / 4) {
        join(m, at);
        if (at > 0)
            join(m, at - 1);
    }
    return true;
}

void *sidmap_from(const struct sidmap *m, struct sid id)
{
    if (m->nblocks == 0)
        return NULL;
    uint32_t at = block_for(m, id), i = place_in(m, m->blocks[at], id);
    if (i < m->blocks[at]->n)
        return id_at(m, m->blocks[at], i);
    return at + 1 < m->nblocks ? id_at(m, m->blocks[at + 1], 0) : NULL;
}

void *sidmap_after(const struct sidmap *m, const void *record)
{
    struct sid id = *(const struct sid *)record;
    return sid_next(&id) ? sidmap_from(m, id) : NULL;
}

void *sidmap_last(const struct sidmap *m)
{
    if (m->nblocks == 0)
        return NULL;
    const struct sidblock *b = m->blocks[m->nblocks - 1];
    return id_at(m, b, b->n - 1);
}

size_t sidmap_bytes(const struct sidmap *m)
{
    size_t bytes = m->blocks ? mem_size(m->blocks) : 0;
    for (uint32_t i = 0; i < m->nblocks; i++)
        bytes += mem_size(m->blocks[i]);
    return bytes;
}

void sidmap_relocate(struct sidmap *m)
{
    for (uint32_t i = 0; i < m->nblocks; i++)
        m->blocks[i] = mem_relocated(m->blocks[i]);
}
