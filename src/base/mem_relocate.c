/* Moving allocations out of pages that are nearly empty. jemalloc keeps small allocations of one size in slabs; a slab
 * goes back to the system only when it is empty. What it says of a slab and of all slabs of that size ("utilization",
 * jemalloc 5.3) is enough to tell which allocations are worth a move: those in slabs less full than the average. */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/jemalloc.h"

#define TCACHE_NONE 0x100 /* MALLOCX_TCACHE_NONE: not what was freed last, which would be the place just left */

struct mem_relocations mem_relocations;
static bool always;

void mem_relocate_always(bool on)
{
    always = on;
}

/* What "experimental.utilization.query" answers. */
struct utilization {
    void *current;                /* the slab that allocations of this size come from now */
    size_t free, regions, bytes;  /* of the slab of the allocation asked about */
    size_t all_free, all_regions; /* of all slabs of its size */
};

static bool utilization_of(void *p, struct utilization *u)
{
    static size_t mib[3], len;
    size_t size = sizeof *u;
    if (!mallctlnametomib || !mallctlbymib || !mallocx || !dallocx)
        return false;
    if (!len) {
        len = 3;
        if (mallctlnametomib("experimental.utilization.query", mib, &len) != 0)
            len = 0;
    }
    return len && mallctlbymib(mib, len, u, &size, &p, sizeof p) == 0 && size == sizeof *u;
}

bool mem_can_relocate(void)
{
    struct utilization u;
    void *p = mem_alloc(40);
    bool can = utilization_of(p, &u) && u.regions > 1 && u.all_regions >= u.regions;
    mem_free(p);
    return can;
}

/* In a slab that is not full, less full than nine eighths of the average, and not the one that is being filled. */
static bool worth_it(void *p)
{
    struct utilization u;
    if (!utilization_of(p, &u) || u.regions <= 1 || u.free == 0)
        return false;
    if ((uintptr_t)p >= (uintptr_t)u.current && (uintptr_t)p < (uintptr_t)u.current + u.bytes)
        return false;
    size_t here = (u.regions - u.free) * u.all_regions, average = (u.all_regions - u.all_free) * u.regions;
    return here <= average + average / 8;
}

void mem_relocate_begin(void)
{
    if (mallctl)
        mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
}

void *mem_relocated(void *p)
{
    if (!p)
        return NULL;
    if (!always && !worth_it(p)) {
        mem_relocations.kept++;
        return p;
    }
    size_t n = mem_size(p);
    void *q = mallocx && !always ? mallocx(n, TCACHE_NONE) : malloc(n);
    if (!q)
        return p; /* not now, then */
    memcpy(q, p, n);
    mem_note((ptrdiff_t)mem_size(q) - (ptrdiff_t)n);
    if (dallocx && !always)
        dallocx(p, TCACHE_NONE);
    else
        free(p);
    mem_relocations.moved++;
    return q;
}
