#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A thread adds to its own cell, so that the hot path has neither a shared cache line nor a locked instruction. The last
 * cell is for all threads that found no cell of their own. Cells are never freed: a thread that ends leaves its balance
 * behind (which may be negative when its memory was freed elsewhere). */
#define MEM_CELLS 64

struct cell {
    _Alignas(64) atomic_long bytes;
};
static struct cell cells[MEM_CELLS];
static atomic_uint next_cell;
static _Thread_local struct cell *my_cell;

static struct cell *take_cell(void)
{
    unsigned n = atomic_fetch_add_explicit(&next_cell, 1, memory_order_relaxed);
    return my_cell = &cells[n < MEM_CELLS - 1 ? n : MEM_CELLS - 1];
}

static inline void count(long delta)
{
    struct cell *c = my_cell ? my_cell : take_cell();
    if (c == &cells[MEM_CELLS - 1]) {
        atomic_fetch_add_explicit(&c->bytes, delta, memory_order_relaxed);
    } else {
        long now = atomic_load_explicit(&c->bytes, memory_order_relaxed);
        atomic_store_explicit(&c->bytes, now + delta, memory_order_relaxed);
    }
}

static void die(size_t n)
{
    fprintf(stderr, "skald: out of memory allocating %zu bytes\n", n);
    abort();
}

size_t mem_size(const void *p)
{
    return p ? malloc_usable_size((void *)p) : 0;
}

void *mem_try(size_t n)
{
    if (n > PTRDIFF_MAX)
        return NULL;
    void *p = malloc(n ? n : 1);
    if (p)
        count((long)malloc_usable_size(p));
    return p;
}

void *mem_alloc(size_t n)
{
    void *p = mem_try(n);
    if (!p)
        die(n);
    return p;
}

void *mem_zero(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p)
        die(n);
    count((long)mem_size(p));
    return p;
}

void *mem_try_realloc(void *p, size_t n)
{
    if (n > PTRDIFF_MAX)
        return NULL;
    long before = (long)mem_size(p);
    if (n <= (size_t)before && n > (size_t)before / 4 * 3) /* the same size for any allocator: a listpack that grew */
        return p;
    void *q = realloc(p, n ? n : 1);
    if (q)
        count((long)mem_size(q) - before);
    return q;
}

void *mem_realloc(void *p, size_t n)
{
    void *q = mem_try_realloc(p, n);
    if (!q)
        die(n);
    return q;
}

void mem_free(void *p)
{
    if (!p)
        return;
    count(-(long)mem_size(p));
    free(p);
}

void *mem_dup(const void *p, size_t n)
{
    char *q = mem_alloc(n + 1);
    if (n)
        memcpy(q, p, n);
    q[n] = 0;
    return q;
}

char *mem_strdup(const char *s)
{
    return mem_dup(s, strlen(s));
}

void mem_note(ptrdiff_t bytes)
{
    count((long)bytes);
}

size_t mem_used(void)
{
    long sum = 0;
    for (int i = 0; i < MEM_CELLS; i++)
        sum += atomic_load_explicit(&cells[i].bytes, memory_order_relaxed);
    return sum > 0 ? (size_t)sum : 0;
}

size_t mem_rss(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f)
        return 0;
    if (fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}
