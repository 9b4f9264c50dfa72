/* CRC32C: the published check value, and every length and split against one bit at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"

static uint32_t bit_by_bit(const uint8_t *p, size_t n)
{
    uint32_t crc = ~0u;
    while (n--) {
        crc ^= *p++;
        for (int k = 0; k < 8; k++)
            crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
    }
    return ~crc;
}

static void all_lengths(void **state)
{
    uint8_t bytes[200];
    struct rng r;
    rng_seed(&r, 1);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)rng_next(&r);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(crc32c(0, "", 0), 0);
    for (size_t at = 0; at < 8; at++)
        for (size_t n = 0; n + at <= sizeof bytes; n++) {
            uint32_t want = bit_by_bit(bytes + at, n);
            size_t cut = n ? rng_below(&r, n + 1) : 0;
            assert_int_equal(crc32c(0, bytes + at, n), want);
            assert_int_equal(crc32c(crc32c(0, bytes + at, cut), bytes + at + cut, n - cut), want);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_lengths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
