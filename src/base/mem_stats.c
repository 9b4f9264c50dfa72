/* What the allocator underneath says of itself, and the high-water mark. */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "base/jemalloc.h"

#define ALL_ARENAS 4096 /* MALLCTL_ARENAS_ALL */

static atomic_size_t peak, startup;

size_t mem_peak(void)
{
    size_t used = mem_used(), most = atomic_load_explicit(&peak, memory_order_relaxed);
    while (used > most && !atomic_compare_exchange_weak(&peak, &most, used))
        ;
    return used > most ? used : most;
}

void mem_mark_startup(void)
{
    startup = mem_used();
}

size_t mem_startup(void)
{
    return startup;
}

size_t mem_allocator(enum mem_figure which)
{
    static const char *const names[] = {
        [MEM_ALLOCATED] = "stats.allocated", [MEM_ACTIVE] = "stats.active", [MEM_RESIDENT] = "stats.resident"};
    size_t v = 0, size = sizeof v;
    uint64_t epoch = 1;
    size_t epoch_size = sizeof epoch;
    if (!mallctl || (which == MEM_ALLOCATED && mallctl("epoch", &epoch, &epoch_size, &epoch, epoch_size) != 0))
        return 0;
    return mallctl(names[which], &v, &size, NULL, 0) == 0 ? v : 0;
}

bool mem_purge(void)
{
    char name[40];
    snprintf(name, sizeof name, "arena.%d.purge", ALL_ARENAS);
    return !mallctl ||
           mallctl(name, NULL, NULL, NULL, 0) == 0; /* another allocator keeps nothing for us to give back */
}

bool mem_report(void (*line)(void *arg, const char *text), void *arg)
{
    if (!malloc_stats_print)
        return false;
    malloc_stats_print(line, arg, NULL);
    return true;
}
