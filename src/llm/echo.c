#include "llm/echo.h"

#include "base/hash.h"

#define HEAD 12 /* bytes of a key that are looked for */

static size_t head_of(size_t len)
{
    return len < HEAD ? len : HEAD;
}

struct echo echo_of(struct slice key)
{
    if (key.len < ECHO_SHORTEST)
        return (struct echo){0};
    return (struct echo){.len = key.len, .head = hash_bytes(key.p, head_of(key.len))};
}

void echo_hide(const struct echo *e, char *text)
{
    size_t n = strlen(text), head = head_of(e->len);
    for (size_t i = 0; e->len && i + head <= n; i++) {
        if (hash_bytes(text + i, head) != e->head)
            continue;
        size_t hide = e->len < n - i ? e->len : n - i;
        memset(text + i, '*', hide);
        i += hide - 1;
    }
}
