/* Arbitrary bytes as an event stream: the events must be the same however the bytes are cut, and within the limit. */
#include <assert.h>
#include <stdint.h>

#include "base/hash.h"
#include "net/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT 256

struct seen {
    uint64_t digest;
    int events;
};

static int note(void *arg, const struct sse_event *e)
{
    struct seen *s = arg;
    assert(e->data.len <= LIMIT && e->type.len <= LIMIT && e->id.len <= LIMIT);
    s->digest = hash_stable(e->data.p, e->data.len, s->digest);
    s->digest = hash_stable(e->type.p, e->type.len, s->digest);
    s->digest = hash_stable(e->id.p, e->id.len, s->digest + 1);
    s->events++;
    return 0;
}

static int run(const uint8_t *data, size_t size, size_t step, struct seen *seen)
{
    struct sse s;
    struct err err;
    int r = 0;
    sse_init(&s, LIMIT);
    for (size_t at = 0; at < size && r == 0; at += step)
        r = sse_feed(&s, slice_of((const char *)data + at, size - at < step ? size - at : step), note, seen, &err);
    if (r == 0)
        r = sse_finish(&s, note, seen, &err);
    sse_release(&s);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole = {0}, cut = {0};
    size_t step = size ? 1 + data[0] % 7 : 1;
    int a = run(data, size, size ? size : 1, &whole), b = run(data, size, step, &cut);
    assert(a == b && whole.events == cut.events && whole.digest == cut.digest);
    return 0;
}
