/* A binary heap whose entries know their place, so that one found by its name can be moved or taken out in O(log n). */
#include "store/ttls.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

static struct slice entry_name(const void *e)
{
    return ttl_name(e);
}

static const struct dict_type by_name_type = {.key = entry_name, .free = mem_free};

void ttls_init(struct ttls *t)
{
    *t = (struct ttls){0};
    dict_init(&t->by_name, &by_name_type);
}

void ttls_release(struct ttls *t)
{
    dict_release(&t->by_name);
    mem_free(t->heap);
    t->heap = NULL;
    t->cap = 0;
}

static void put(struct ttls *t, size_t i, struct ttl *e)
{
    t->heap[i] = e;
    e->place = (uint32_t)i;
}

/* Moves e, whose place is free, from i to where it belongs among n entries. */
static void settle(struct ttls *t, size_t i, struct ttl *e, size_t n)
{
    for (; i > 0 && t->heap[(i - 1) / 2]->at > e->at; i = (i - 1) / 2)
        put(t, i, t->heap[(i - 1) / 2]);
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && t->heap[child + 1]->at < t->heap[child]->at)
            child++;
        if (t->heap[child]->at >= e->at)
            break;
        put(t, i, t->heap[child]);
    }
    put(t, i, e);
}

int64_t ttls_get(struct ttls *t, struct slice name)
{
    const struct ttl *e = dict_find(&t->by_name, name);
    return e ? e->at : -1;
}

void ttls_set(struct ttls *t, struct slice name, int64_t at)
{
    struct ttl *e = dict_find(&t->by_name, name);
    size_t n = ttls_count(t);
    if (e) {
        e->at = at;
        settle(t, e->place, e, n);
        return;
    }
    assert(name.len <= UINT32_MAX && n < UINT32_MAX);
    if (n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 4;
        t->heap = mem_realloc(t->heap, t->cap * sizeof(struct ttl *));
    }
    e = mem_alloc(sizeof *e + name.len);
    e->at = at;
    e->len = (uint32_t)name.len;
    if (name.len)
        memcpy(e->name, name.p, name.len);
    dict_add(&t->by_name, e);
    settle(t, n, e, n + 1);
}

void ttls_drop(struct ttls *t, struct slice name)
{
    struct ttl *e = dict_remove(&t->by_name, name);
    if (!e)
        return;
    size_t n = ttls_count(t), hole = e->place;
    mem_free(e);
    if (hole < n)
        settle(t, hole, t->heap[n], n);
    if (t->cap > 8 && n < t->cap / 4) {
        t->cap /= 2;
        t->heap = mem_realloc(t->heap, t->cap * sizeof(struct ttl *));
    }
}

const struct ttl *ttls_first(const struct ttls *t)
{
    return ttls_count(t) ? t->heap[0] : NULL;
}

/* Below an entry that is not due none is: the walk goes down from those that are. */
static size_t due_below(const struct ttls *t, size_t i, int64_t now)
{
    if (i >= ttls_count(t) || t->heap[i]->at > now)
        return 0;
    return 1 + due_below(t, 2 * i + 1, now) + due_below(t, 2 * i + 2, now);
}

size_t ttls_due(const struct ttls *t, int64_t now)
{
    return due_below(t, 0, now);
}

size_t ttls_bytes(const struct ttls *t)
{
    size_t bytes = dict_bytes(&t->by_name) + mem_size(t->heap);
    for (size_t i = 0; i < ttls_count(t); i++)
        bytes += mem_size(t->heap[i]);
    return bytes;
}

static void *relocated(void *arg, void *entry)
{
    struct ttls *t = arg;
    struct ttl *e = mem_relocated(entry);
    t->heap[e->place] = e;
    return e;
}

uint64_t ttls_relocate(struct ttls *t, uint64_t cursor)
{
    return dict_relocate(&t->by_name, cursor, relocated, t);
}
