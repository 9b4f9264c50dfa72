/* Intsets, see intset.h. A lookup is a binary search; adding and deleting move what follows, which for the few hundred
 * integers that a set keeps this way is one short memmove. */
#include "store/intset.h"

#include <string.h>

#include "base/mem.h"

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t width_of(const uint8_t *is)
{
    return get_u32(is);
}

static uint32_t width_for(int64_t v)
{
    return v == (int16_t)v ? 2 : v == (int32_t)v ? 4 : 8;
}

static int64_t get_at(const uint8_t *data, uint32_t width, size_t i)
{
    uint64_t v = 0;
    for (uint32_t b = 0; b < width; b++)
        v |= (uint64_t)data[i * width + b] << 8 * b;
    return width == 2 ? (int16_t)v : width == 4 ? (int32_t)v : (int64_t)v;
}

static void put_at(uint8_t *data, uint32_t width, size_t i, int64_t v)
{
    for (uint32_t b = 0; b < width; b++)
        data[i * width + b] = (uint8_t)((uint64_t)v >> 8 * b);
}

uint8_t *intset_create(void)
{
    uint8_t *is = mem_alloc(INTSET_HEAD);
    put_u32(is, 2);
    put_u32(is + 4, 0);
    return is;
}

uint8_t *intset_dup(const uint8_t *is)
{
    size_t n = intset_bytes(is);
    return memcpy(mem_alloc(n), is, n);
}

size_t intset_count(const uint8_t *is)
{
    return get_u32(is + 4);
}

size_t intset_bytes(const uint8_t *is)
{
    return INTSET_HEAD + intset_count(is) * width_of(is);
}

int64_t intset_get(const uint8_t *is, size_t i)
{
    return get_at(is + INTSET_HEAD, width_of(is), i);
}

/* The index of the first integer that is not below v. */
static size_t lower_bound(const uint8_t *is, int64_t v)
{
    size_t low = 0, high = intset_count(is);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (intset_get(is, mid) < v)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool intset_has(const uint8_t *is, int64_t v)
{
    size_t at = lower_bound(is, v);
    return at < intset_count(is) && intset_get(is, at) == v;
}

/* Wider than all before it, v is below or above all of them. From the end, so that nothing is overwritten unread. */
static void add_wider(uint8_t **is, int64_t v, uint32_t width)
{
    size_t n = intset_count(*is);
    uint32_t old = width_of(*is);
    uint8_t *p = mem_realloc(*is, INTSET_HEAD + (n + 1) * width), *data = p + INTSET_HEAD;
    for (size_t i = n; i-- > 0;)
        put_at(data, width, i + (v < 0), get_at(data, old, i));
    put_at(data, width, v < 0 ? 0 : n, v);
    put_u32(p, width);
    put_u32(p + 4, (uint32_t)n + 1);
    *is = p;
}

bool intset_add(uint8_t **is, int64_t v)
{
    uint32_t width = width_of(*is);
    if (width_for(v) > width) {
        add_wider(is, v, width_for(v));
        return true;
    }
    size_t n = intset_count(*is), at = lower_bound(*is, v);
    if (at < n && intset_get(*is, at) == v)
        return false;
    uint8_t *p = mem_realloc(*is, INTSET_HEAD + (n + 1) * width), *data = p + INTSET_HEAD;
    memmove(data + (at + 1) * width, data + at * width, (n - at) * width);
    put_at(data, width, at, v);
    put_u32(p + 4, (uint32_t)n + 1);
    *is = p;
    return true;
}

bool intset_del(uint8_t **is, int64_t v)
{
    size_t n = intset_count(*is), at = lower_bound(*is, v);
    uint32_t width = width_of(*is);
    if (at == n || intset_get(*is, at) != v)
        return false;
    uint8_t *data = *is + INTSET_HEAD;
    memmove(data + at * width, data + (at + 1) * width, (n - at - 1) * width);
    put_u32(*is + 4, (uint32_t)n - 1);
    *is = mem_realloc(*is, INTSET_HEAD + (n - 1) * width);
    return true;
}

bool intset_valid(const void *p, size_t n)
{
    const uint8_t *is = p;
    if (n < INTSET_HEAD)
        return false;
    uint32_t width = width_of(is);
    if ((width != 2 && width != 4 && width != 8) || (n - INTSET_HEAD) % width ||
        (n - INTSET_HEAD) / width != intset_count(is))
        return false;
    for (size_t i = 1; i < intset_count(is); i++)
        if (intset_get(is, i - 1) >= intset_get(is, i))
            return false;
    return true;
}
