/* Arbitrary bytes as documents and as a query: every term is short and not empty, and a document is found by its own
 * text unless it has no term at all. */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "text/text.h"
#include "text/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(void *arg, struct slice term)
{
    assert(term.len > 0 && term.len <= TOKEN_MAX + 8);
    *(bool *)arg = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct text_index *t;
    static struct tokeniser *tokens;
    if (!t) {
        if (text_create(&t, "english", NULL) < 0 || !(tokens = tokeniser_create("english")))
            return 0;
    }
    if (size < 2)
        return 0;
    struct slice text = slice_of((const char *)data + 1, size - 1);
    char name = (char)('a' + data[0] % 16);
    bool any = false, found = false;
    tokeniser_run(tokens, text, look, &any);
    text_put(t, slice_of(&name, 1), text);
    struct text_result r;
    text_search(t, text, 100, &r);
    for (uint32_t i = 0; i < r.count; i++)
        found |= r.hits[i].name.len == 1 && r.hits[i].name.p[0] == name;
    assert(found == any);
    text_result_release(&r);
    return 0;
}
