/* A histogram of durations with two significant digits or better than that, of fixed size: every power of two is cut into
 * 32 equal parts (the idea of G. Tene's HdrHistogram). Adding is a few instructions and allocates nothing.
 * Thread: its owner's. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS    5
#define HISTOGRAM_OCTAVES 37 /* up to 2^42 ns, over an hour; what is longer counts as that */
#define HISTOGRAM_PLACES  (HISTOGRAM_OCTAVES << HISTOGRAM_BITS)

struct histogram {
    uint64_t n;
    uint64_t at[HISTOGRAM_PLACES];
};

void histogram_add(struct histogram *h, uint64_t ns);
/* The value that so many percent of all do not exceed (the upper end of its part); 0 when there are none. */
uint64_t histogram_percentile(const struct histogram *h, double percent);
/* How many are below 2^power ns. */
uint64_t histogram_below(const struct histogram *h, int power);

#endif
