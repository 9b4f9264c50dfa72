/* Arbitrary bytes as a form: every part lies inside the body, and its name is there. */
#include <assert.h>
#include <stdint.h>

#include "net/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct slice part, struct slice body)
{
    if (part.len)
        assert(part.p >= body.p && part.p + part.len <= body.p + body.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct multipart parts[MULTIPART_PARTS];
    struct slice body = slice_of((const char *)data, size);
    struct err err;
    int n;
    if (multipart_parse("multipart/form-data; boundary=xx", body, parts, &n, &err) < 0)
        return 0;
    assert(n >= 0 && n <= MULTIPART_PARTS);
    for (int i = 0; i < n; i++) {
        assert(parts[i].name.len > 0);
        inside(parts[i].name, body);
        inside(parts[i].filename, body);
        inside(parts[i].type, body);
        inside(parts[i].data, body);
    }
    return 0;
}
