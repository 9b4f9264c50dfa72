#include "base/hash.h"

#include <pthread.h>
#include <string.h>

#include "base/rng.h"

static uint64_t sip_key[2];
static pthread_once_t key_once = PTHREAD_ONCE_INIT, crc_once = PTHREAD_ONCE_INIT;

static void draw_key(void)
{
    rng_secure(sip_key, sizeof sip_key);
}

static inline uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

#define SIPROUND(v0, v1, v2, v3)                                                                                       \
    do {                                                                                                               \
        v0 += v1, v1 = rotl(v1, 13), v1 ^= v0, v0 = rotl(v0, 32);                                                      \
        v2 += v3, v3 = rotl(v3, 16), v3 ^= v2;                                                                         \
        v0 += v3, v3 = rotl(v3, 21), v3 ^= v0;                                                                         \
        v2 += v1, v1 = rotl(v1, 17), v1 ^= v2, v2 = rotl(v2, 32);                                                      \
    } while (0)

static uint64_t sip13(const uint8_t *p, size_t n, uint64_t k0, uint64_t k1)
{
    uint64_t v0 = 0x736f6d6570736575ULL ^ k0, v1 = 0x646f72616e646f6dULL ^ k1;
    uint64_t v2 = 0x6c7967656e657261ULL ^ k0, v3 = 0x7465646279746573ULL ^ k1;
    size_t left = n;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t m = load64(p);
        v3 ^= m;
        SIPROUND(v0, v1, v2, v3);
        v0 ^= m;
    }
    uint64_t tail = (uint64_t)n << 56;
    for (size_t i = 0; i < left; i++)
        tail |= (uint64_t)p[i] << (8 * i);
    v3 ^= tail;
    SIPROUND(v0, v1, v2, v3);
    v0 ^= tail;
    v2 ^= 0xff;
    SIPROUND(v0, v1, v2, v3);
    SIPROUND(v0, v1, v2, v3);
    SIPROUND(v0, v1, v2, v3);
    return v0 ^ v1 ^ v2 ^ v3;
}

uint64_t hash_bytes(const void *p, size_t n)
{
    pthread_once(&key_once, draw_key);
    return sip13(p, n, sip_key[0], sip_key[1]);
}

uint64_t hash_stable(const void *p, size_t n, uint64_t seed)
{
    return sip13(p, n, seed, 0x534b414c44763031ULL);
}

static uint32_t crc32c_table[8][256]; /* table k: a byte followed by k zero bytes */
static uint64_t crc64_table[256];

static void fill_tables(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint32_t c = i;
        uint64_t d = i;
        for (int k = 0; k < 8; k++) {
            c = c & 1 ? (c >> 1) ^ 0x82f63b78u : c >> 1;
            d = d & 1 ? (d >> 1) ^ 0x95ac9329ac4bc9b5ULL : d >> 1;
        }
        crc32c_table[0][i] = c;
        crc64_table[i] = d;
    }
    for (int k = 1; k < 8; k++)
        for (unsigned i = 0; i < 256; i++)
            crc32c_table[k][i] = crc32c_table[0][crc32c_table[k - 1][i] & 0xff] ^ crc32c_table[k - 1][i] >> 8;
}

/* Eight bytes a turn (slicing-by-8, Kounavis, Berry 2005): checkpoints and the journal sum what they write on the loop.
 */
uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    pthread_once(&crc_once, fill_tables);
    const uint8_t *s = p;
    uint32_t(*t)[256] = crc32c_table;
    crc = ~crc;
    for (; n >= 8; n -= 8, s += 8) {
        uint32_t a = crc ^ ((uint32_t)s[0] | (uint32_t)s[1] << 8 | (uint32_t)s[2] << 16 | (uint32_t)s[3] << 24);
        crc = t[7][a & 0xff] ^ t[6][a >> 8 & 0xff] ^ t[5][a >> 16 & 0xff] ^ t[4][a >> 24] ^ t[3][s[4]] ^ t[2][s[5]] ^
              t[1][s[6]] ^ t[0][s[7]];
    }
    while (n--)
        crc = t[0][(crc ^ *s++) & 0xff] ^ (crc >> 8);
    return ~crc;
}

uint64_t crc64_redis(uint64_t crc, const void *p, size_t n)
{
    pthread_once(&crc_once, fill_tables);
    const uint8_t *s = p;
    while (n--)
        crc = crc64_table[(crc ^ *s++) & 0xff] ^ (crc >> 8);
    return crc;
}
