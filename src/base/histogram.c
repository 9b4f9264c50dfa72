#include "base/histogram.h"

/* The first two octaves of places hold 0..63 one by one; octave k > 0 begins at 2^(k + HISTOGRAM_BITS). */
#define PARTS (1u << HISTOGRAM_BITS)

static unsigned place_of(uint64_t v)
{
    if (v < PARTS)
        return (unsigned)v;
    unsigned top = 63 - (unsigned)__builtin_clzll(v), octave = top - HISTOGRAM_BITS + 1;
    unsigned place = (octave << HISTOGRAM_BITS) + (unsigned)(v >> (top - HISTOGRAM_BITS) & (PARTS - 1));
    return place < HISTOGRAM_PLACES ? place : HISTOGRAM_PLACES - 1;
}

static uint64_t highest_of(unsigned place)
{
    unsigned octave = place >> HISTOGRAM_BITS, part = place & (PARTS - 1);
    if (octave == 0)
        return part;
    return ((uint64_t)(PARTS + part + 1) << (octave - 1)) - 1;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    h->n++;
    h->at[place_of(ns)]++;
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
    uint64_t want = (uint64_t)((double)h->n * percent / 100 + 0.5), sum = 0;
    if (h->n == 0)
        return 0;
    if (want == 0)
        want = 1;
    unsigned i = 0;
    for (; i < HISTOGRAM_PLACES - 1; i++) {
        sum += h->at[i];
        if (sum >= want)
            break;
    }
    return highest_of(i);
}

uint64_t histogram_below(const struct histogram *h, int power)
{
    uint64_t sum = 0;
    unsigned end = power >= 63 ? HISTOGRAM_PLACES : place_of(1ULL << power);
    for (unsigned i = 0; i < end; i++)
        sum += h->at[i];
    return sum;
}
