/* Texts never move: pages of pointers to single allocations. The hash table is seen by who holds `adding` only. */
#include "vec/texts.h"

#include <stdbool.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

struct text {
    uint32_t len;
    char p[];
};

void texts_init(struct texts *t)
{
    memset(t, 0, sizeof *t);
    atomic_flag_clear(&t->adding);
}

void texts_release(struct texts *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        mem_free(t->page[i / TEXTS_PAGE][i % TEXTS_PAGE]);
    for (uint32_t i = 0; i * TEXTS_PAGE < t->n; i++)
        mem_free(t->page[i]);
    mem_free(t->slot);
}

struct slice texts_get(const struct texts *t, uint32_t number)
{
    const struct text *x = t->page[number / TEXTS_PAGE][number % TEXTS_PAGE];
    return slice_of(x->p, x->len);
}

/* The text's slot, or the free one where it belongs. */
static uint32_t *slot_of(const struct texts *t, struct slice s)
{
    uint32_t at = (uint32_t)hash_bytes(s.p, s.len) & (t->slots - 1);
    while (t->slot[at] && !slice_eq(texts_get(t, t->slot[at] - 1), s))
        at = (at + 1) & (t->slots - 1);
    return &t->slot[at];
}

static void grow(struct texts *t)
{
    mem_free(t->slot);
    t->slots = t->slots ? t->slots * 2 : 64;
    t->slot = mem_zero(t->slots * sizeof *t->slot);
    for (uint32_t i = 0; i < t->n; i++)
        *slot_of(t, texts_get(t, i)) = i + 1;
}

static int64_t append(struct texts *t, struct slice s)
{
    if (t->n == TEXTS_MOST || t->length + s.len > TEXTS_BYTES)
        return TEXTS_FULL;
    struct text ***page = &t->page[t->n / TEXTS_PAGE];
    if (!*page)
        *page = mem_zero(TEXTS_PAGE * sizeof **page);
    struct text *x = mem_alloc(sizeof *x + s.len);
    x->len = (uint32_t)s.len;
    memcpy(x->p, s.p, s.len);
    (*page)[t->n % TEXTS_PAGE] = x;
    t->length += s.len;
    return t->n++;
}

static int64_t find_or_append(struct texts *t, struct slice s)
{
    if (t->n >= t->slots / 2 && t->n < TEXTS_MOST)
        grow(t);
    uint32_t *slot = slot_of(t, s);
    if (*slot)
        return *slot - 1;
    int64_t number = append(t, s);
    if (number >= 0)
        *slot = (uint32_t)number + 1;
    size_t pages = (t->n + TEXTS_PAGE - 1) / TEXTS_PAGE;
    atomic_store_explicit(&t->bytes,
                          t->length + t->n * sizeof(struct text) + t->slots * sizeof *t->slot +
                              pages * TEXTS_PAGE * sizeof(struct text *),
                          memory_order_relaxed);
    return number;
}

int64_t texts_add(struct texts *t, struct slice s)
{
    if (s.len > TEXTS_LONGEST)
        return TEXTS_FULL;
    if (atomic_flag_test_and_set_explicit(&t->adding, memory_order_acquire))
        return TEXTS_BUSY;
    int64_t number = find_or_append(t, s);
    atomic_flag_clear_explicit(&t->adding, memory_order_release);
    return number;
}

int64_t texts_find(struct texts *t, struct slice s, uint32_t *n)
{
    int64_t number = TEXTS_NONE;
    if (atomic_flag_test_and_set_explicit(&t->adding, memory_order_acquire))
        return TEXTS_BUSY;
    if (t->n)
        number = (int64_t)*slot_of(t, s) - 1;
    *n = t->n;
    atomic_flag_clear_explicit(&t->adding, memory_order_release);
    return number < 0 ? TEXTS_NONE : number;
}
