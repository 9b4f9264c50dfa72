/* Arbitrary bytes as a reply: parsing must be safe, and what parsed must parse the same with one byte less missing. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "net/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct resp_value v;
    struct err err;
    int64_t n = resp_value_parse(slice_of((const char *)data, size), &v, &err);
    if (n <= 0) {
        assert(v.n == 0 && !v.item && !v.str.p);
        return 0;
    }
    assert((size_t)n <= size);
    resp_value_err(&v, &err);
    resp_value_num(&v, 0);
    resp_value_get(&v, "key");
    resp_value_release(&v);
    assert(resp_value_parse(slice_of((const char *)data, (size_t)n - 1), &v, &err) == 0);
    return 0;
}
