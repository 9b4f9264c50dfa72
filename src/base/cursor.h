/* The cursor of a scan over the buckets of a hash table that may be resized between two steps: the bits of the bucket's
 * index count up from the highest to the lowest, so that what a bucket splits into, or was merged from, is visited
 * together (the reverse-binary cursor of Redis's dict, by Pieter Noordhuis). Thread: any. */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdint.h>

static inline uint64_t cursor_reversed(uint64_t v)
{
    v = __builtin_bswap64(v);
    v = (v >> 4 & 0x0f0f0f0f0f0f0f0fULL) | (v & 0x0f0f0f0f0f0f0f0fULL) << 4;
    v = (v >> 2 & 0x3333333333333333ULL) | (v & 0x3333333333333333ULL) << 2;
    return (v >> 1 & 0x5555555555555555ULL) | (v & 0x5555555555555555ULL) << 1;
}

/* mask: the number of buckets, a power of two, less one. 0: all of them have been visited. */
static inline uint64_t cursor_next(uint64_t v, uint64_t mask)
{
    return cursor_reversed(cursor_reversed(v | ~mask) + 1);
}

#endif
