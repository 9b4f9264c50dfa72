#include "auth/catalog.h"

#include <assert.h>

static const struct catalog *the;

void catalog_boot(const struct catalog *c)
{
    the = c;
}

const struct catalog *catalog(void)
{
    assert(the);
    return the;
}

int catalog_category(struct slice name)
{
    const char *known;
    for (int bit = 0; (known = catalog()->category(bit)); bit++)
        if (slice_is(name, known))
            return bit;
    return -1;
}
