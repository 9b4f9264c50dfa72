/* Arbitrary bytes as a HyperLogLog: what hll_is accepts must be safe to count, merge and change, and what counts must
 * hold the same registers whatever its encoding. The first byte says how many elements are added. */
#include <assert.h>
#include <string.h>

#include "base/setting.h"
#include "store/hll.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    hll_settings();
    return 0;
}

static void same_registers(const struct buf *a, const struct buf *b)
{
    uint8_t ra[HLL_REGISTERS] = {0}, rb[HLL_REGISTERS] = {0};
    uint64_t na, nb;
    assert(hll_merge(ra, buf_slice(a)) && hll_merge(rb, buf_slice(b)));
    assert(memcmp(ra, rb, sizeof ra) == 0);
    assert(hll_count(buf_slice(a), &na) && hll_count(buf_slice(b), &nb) && na == nb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t n;
    if (size < 1 || !hll_is(slice_of((const char *)data + 1, size - 1)))
        return 0;
    struct buf hll = {0}, dense = {0}, text = {0};
    buf_add(&hll, data + 1, size - 1);
    buf_add(&dense, data + 1, size - 1);
    hll_decode(buf_slice(&hll), &text);
    hll_cached(buf_slice(&hll), &n);
    bool good = hll_count(buf_slice(&hll), &n);
    assert(good == (hll_to_dense(&dense) != HLL_DAMAGED));
    for (uint8_t i = 0; i < data[0]; i++) {
        struct slice element = slice_of((const char *)&i, 1);
        enum hll_change one = hll_add(&hll, element);
        assert(!good || one != HLL_DAMAGED);
        if (good)
            assert(hll_add(&dense, element) == one);
    }
    if (good)
        same_registers(&hll, &dense);
    else
        assert(!hll_count(buf_slice(&hll), &n));
    buf_release(&hll);
    buf_release(&dense);
    buf_release(&text);
    return 0;
}
