#include "cmd/drawn.h"

#include <stdint.h>

#include "base/mem.h"

void drawn_init(struct drawn *d, size_t sample)
{
    d->slots = 16;
    while (d->slots < sample * 2)
        d->slots *= 2;
    d->at = mem_zero(d->slots * sizeof *d->at);
}

void drawn_release(struct drawn *d)
{
    mem_free(d->at);
}

bool drawn_add(struct drawn *d, const void *p)
{
    size_t i = ((uintptr_t)p >> 4) * 0x9e3779b97f4a7c15ULL >> 20 & (d->slots - 1);
    while (d->at[i] && d->at[i] != p)
        i = (i + 1) & (d->slots - 1);
    if (d->at[i])
        return false;
    d->at[i] = p;
    return true;
}
