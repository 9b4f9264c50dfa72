/* The first line as a Lua pattern, the rest as its subject: compiling and matching must be safe and end. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "script/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool tick(void *arg)
{
    return --*(int *)arg > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *end = size ? memchr(text, '\n', size) : NULL;
    static struct pattern p;
    struct pattern_match m;
    struct err err;
    if (!end || pattern_compile(&p, slice_of(text, (size_t)(end - text)), &err) < 0)
        return 0;
    struct slice subject = slice_of(end + 1, size - (size_t)(end - text) - 1);
    int ticks = 50;
    if (pattern_find(&p, subject, 0, &(struct pattern_ticker){tick, &ticks}, &m) != 1)
        return 0;
    assert(m.start <= m.end && m.end <= subject.len);
    for (int i = 0; i < p.captures; i++)
        assert(m.cap[i].len == PATTERN_POSITION || m.cap[i].at + (size_t)m.cap[i].len <= subject.len);
    return 0;
}
