/* Bits of a string, see bits.h. Everything goes eight bytes at a time where it can; a bitmap of a hundred million bits
 * (12 MB) is counted in about two milliseconds.
 *
 * What would surprise: Redis's SAT sends a SET of numbers near -2^63 to the largest value of the field, because its own
 * arithmetic overflows; here they go to the smallest. */
#include "store/bits.h"

#include <assert.h>
#include <string.h>

static uint64_t word_at(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

/* The bits of sixteen words: each byte's are added up inside the words first (16 x 8 fit in a byte). Without a popcount
 * instruction, which the compiler may not count on, this is the fast way. */
static unsigned count_block(const char *p)
{
    const uint64_t ones = 0x5555555555555555, twos = 0x3333333333333333, fours = 0x0f0f0f0f0f0f0f0f;
    uint64_t sum = 0;
    for (int i = 0; i < 16; i++) {
        uint64_t w = word_at(p + i * 8);
        w -= w >> 1 & ones;
        w = (w & twos) + (w >> 2 & twos);
        sum += (w + (w >> 4)) & fours;
    }
    sum = (sum & 0x00ff00ff00ff00ff) + (sum >> 8 & 0x00ff00ff00ff00ff);
    return (unsigned)(sum * 0x0001000100010001 >> 48);
}

uint64_t bits_count(const char *p, uint64_t from, uint64_t to)
{
    if (from >= to)
        return 0;
    size_t first = from >> 3, last = (to - 1) >> 3, i = first;
    uint64_t n = 0;
    for (; i + 128 <= last + 1; i += 128)
        n += count_block(p + i);
    for (; i + 8 <= last + 1; i += 8)
        n += (unsigned)__builtin_popcountll(word_at(p + i));
    for (; i <= last; i++)
        n += (unsigned)__builtin_popcount((uint8_t)p[i]);
    unsigned before = (uint8_t)p[first] & ~(0xffu >> (from & 7));
    unsigned after = (uint8_t)p[last] & (0xffu >> ((to - 1) & 7) >> 1);
    return n - (unsigned)__builtin_popcount(before) - (unsigned)__builtin_popcount(after);
}

int64_t bits_find(const char *p, uint64_t from, uint64_t to, bool bit)
{
    if (from >= to)
        return -1;
    uint8_t flip = bit ? 0 : 0xff;
    uint64_t nothing = bit ? 0 : UINT64_MAX;
    size_t i = from >> 3, end = (to + 7) >> 3;
    unsigned b = ((uint8_t)p[i] ^ flip) & (0xffu >> (from & 7));
    while (!b) {
        i++;
        while (i + 8 <= end && word_at(p + i) == nothing)
            i += 8;
        if (i >= end)
            return -1;
        b = (uint8_t)p[i] ^ flip;
    }
    uint64_t at = (uint64_t)i * 8 + (unsigned)__builtin_clz(b) - 24;
    return at < to ? (int64_t)at : -1;
}

static uint64_t combine(enum bits_op op, uint64_t a, uint64_t b)
{
    switch (op) {
    case BITS_AND: return a & b;
    case BITS_OR: return a | b;
    case BITS_XOR: return a ^ b;
    case BITS_NOT: break;
    }
    return ~a;
}

void bits_combine(enum bits_op op, char *to, const char *from, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t w = combine(op, word_at(to + i), op == BITS_NOT ? 0 : word_at(from + i));
        memcpy(to + i, &w, sizeof w);
    }
    for (; i < n; i++)
        to[i] = (char)combine(op, (uint8_t)to[i], op == BITS_NOT ? 0 : (uint8_t)from[i]);
}

static uint64_t low_bits(int bits)
{
    return bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

/* A field of 64 bits may touch nine bytes, hence the 128. */
uint64_t bits_field(struct slice s, uint64_t at, int bits)
{
    int bytes = (int)((at & 7) + (unsigned)bits + 7) / 8;
    unsigned __int128 w = 0;
    for (int i = 0; i < bytes; i++) {
        uint64_t byte = (at >> 3) + (unsigned)i;
        w = w << 8 | (byte < s.len ? (uint8_t)s.p[byte] : 0);
    }
    return (uint64_t)(w >> (bytes * 8 - (int)(at & 7) - bits)) & low_bits(bits);
}

void bits_field_put(char *p, uint64_t at, int bits, uint64_t value)
{
    int bytes = (int)((at & 7) + (unsigned)bits + 7) / 8, shift = bytes * 8 - (int)(at & 7) - bits;
    unsigned __int128 w = 0, mask = (unsigned __int128)low_bits(bits) << shift;
    p += at >> 3;
    for (int i = 0; i < bytes; i++)
        w = w << 8 | (uint8_t)p[i];
    w = (w & ~mask) | ((unsigned __int128)value << shift & mask);
    for (int i = bytes; i-- > 0; w >>= 8)
        p[i] = (char)(uint8_t)w;
}

bool bits_sum(bool is_signed, int bits, uint64_t value, int64_t by, enum bits_overflow how, uint64_t *out)
{
    assert(bits >= 1 && bits <= (is_signed ? 64 : 63));
    __int128 min = is_signed ? -((__int128)1 << (bits - 1)) : 0;
    __int128 max = is_signed ? -min - 1 : (__int128)low_bits(bits);
    __int128 sum = (is_signed ? (__int128)(int64_t)value : (__int128)value) + by;
    bool fits = sum >= min && sum <= max;
    if (!fits && how == BITS_FAIL)
        return false;
    if (!fits && how == BITS_SAT)
        sum = sum > max ? max : min;
    *out = (uint64_t)sum & low_bits(bits);
    if (is_signed && *out >> (bits - 1)) /* the sign goes up to bit 63 */
        *out |= ~low_bits(bits);
    return true;
}
