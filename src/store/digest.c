/* Digests of values: three seeded 64-bit hashes, cut to the twenty bytes that DEBUG DIGEST prints. */
#include "store/digest.h"

#include "base/hash.h"

static void digest_of(uint8_t out[24], struct slice s, uint64_t seed)
{
    for (int i = 0; i < 3; i++) {
        uint64_t h = hash_stable(s.p, s.len, seed + (uint64_t)i * 0x9e3779b97f4a7c15ULL);
        for (int b = 0; b < 8; b++)
            out[8 * i + b] = (uint8_t)(h >> 8 * b);
    }
}

void digest_xor(uint8_t sha[20], struct slice s)
{
    uint8_t h[24];
    digest_of(h, s, 1);
    for (int i = 0; i < 20; i++)
        sha[i] ^= h[i];
}

void digest_mix(uint8_t sha[20], struct slice s)
{
    uint8_t before[24], h[24];
    digest_of(before, slice_of((const char *)sha, 20), 2);
    uint64_t seed = 0;
    for (int b = 0; b < 8; b++)
        seed |= (uint64_t)before[b] << 8 * b;
    digest_of(h, s, seed);
    for (int i = 0; i < 20; i++)
        sha[i] = (uint8_t)(before[i] ^ h[i]);
}
