/* Eight bytes looked at in one word. Thread: any. */
#ifndef BASE_SWAR_H
#define BASE_SWAR_H

#include <stdint.h>

#define SWAR_EVERY(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The high bit of each byte that is zero. Above the lowest such byte there may be false ones (the borrow). */
static inline uint64_t swar_zeros(uint64_t v)
{
    return (v - SWAR_EVERY(1)) & ~v & SWAR_EVERY(0x80);
}

#endif
