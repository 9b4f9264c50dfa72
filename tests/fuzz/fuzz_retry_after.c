/* Arbitrary heads of answers: nobody is made to wait longer than the limit, nor for a negative time. */
#include <assert.h>
#include <stdint.h>

#include "llm/retry_after.h"
#include "net/http_date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t nows[] = {0, 784111777000, 1700000000000, 253402300799000};
    struct slice text = slice_of((const char *)data, size);
    for (int i = 0; i < 4; i++)
        for (int limited = 0; limited < 2; limited++) {
            int64_t ms = retry_after(text, limited, nows[i]);
            assert(ms >= -1 && ms <= RETRY_AFTER_MAX_MS);
        }
    int64_t ms;
    if (retry_after_duration(text, &ms))
        assert(ms >= 0 && ms <= RETRY_AFTER_MAX_MS);
    if (http_date(text, nows[2], &ms) || http_date_rfc3339(text, &ms))
        assert(ms > -62135700000000 && ms < 253402400000000);
    return 0;
}
