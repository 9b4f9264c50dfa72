/* Arbitrary bytes as a listpack: what listpack_valid accepts must be safe to walk both ways and to change. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/listpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!listpack_valid(data, size))
        return 0;
    uint8_t *lp = listpack_dup(data);
    size_t n = 0, back = 0, bytes = LISTPACK_HEAD + 1;
    for (uint8_t *p = listpack_first(lp); p; p = listpack_next(lp, p), n++) {
        char tmp[NUM_I64_MAX];
        assert(listpack_eq(p, listpack_str(p, tmp)));
        bytes += listpack_entry_bytes(p);
    }
    for (uint8_t *p = listpack_last(lp); p; p = listpack_prev(lp, p))
        back++;
    assert(n == back && n == listpack_count(lp) && bytes == size);
    if (n) {
        uint8_t *p = listpack_seek(lp, (long)(n / 2));
        p = listpack_replace(&lp, p, SLICE("something rather longer than what was there"));
        p = listpack_insert_before(&lp, p, SLICE("-77"));
        assert(listpack_valid(lp, listpack_bytes(lp)));
        listpack_delete(&lp, p, n);
    }
    listpack_append(&lp, SLICE("end"));
    assert(listpack_valid(lp, listpack_bytes(lp)));
    mem_free(lp);
    return 0;
}
