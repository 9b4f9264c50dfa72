/* Lines of an ACL file: reading must be safe, and what was accepted must read again from its own description to the same
 * description. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/acl_file.h"
#include "base/log.h"
#include "unit/auth/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void describe(const struct user_set *s, struct buf *to)
{
    for (int i = 0; i < s->n; i++) {
        user_describe(s->list[i], to);
        buf_add_char(to, '\n');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool booted;
    struct user_set users, again;
    struct buf first = {0}, second = {0};
    struct err err;
    if (!booted) {
        log_set_level(LOG_NOTHING);
        catalog_boot(&test_catalog);
        user_settings();
        booted = true;
    }
    user_set_init(&users);
    user_set_init(&again);
    if (acl_text_read(&users, slice_of((const char *)data, size), "input", &err) == 0) {
        describe(&users, &first);
        assert(acl_text_read(&again, buf_slice(&first), "again", &err) == 0);
        describe(&again, &second);
        assert(slice_eq(buf_slice(&first), buf_slice(&second)));
    }
    buf_release(&first);
    buf_release(&second);
    user_set_release(&users);
    user_set_release(&again);
    return 0;
}
