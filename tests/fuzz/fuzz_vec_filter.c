/* Filter expressions and attributes: the input is an expression, a NUL, and a JSON text. */
#include <stddef.h>
#include <stdint.h>

#include "vec/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct buf scratch;
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t n = nul ? (size_t)(nul - data) : size;
    struct err err = {0};
    struct filter *f = filter_create(slice_of((const char *)data, n), &err);
    if (f)
        filter_match(f, nul ? slice_of((const char *)nul + 1, size - n - 1) : SLICE("{\"a\":[1,\"x\"],\"b\":2}"),
                     &scratch);
    else if (!err.code || !err.msg[0])
        __builtin_trap(); /* a refusal says why */
    filter_destroy(f);
    return 0;
}
