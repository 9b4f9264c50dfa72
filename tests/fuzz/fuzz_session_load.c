/* Arbitrary bytes as a saved session: the first byte says whether they are the binary form or JSON. What is accepted
 * must be safe to use, and must save and load to the same again. */
#include <assert.h>

#include "base/json.h"
#include "session/context.h"
#include "session/json.h"
#include "store/rdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct session *s)
{
    for (int keep = 0; keep < SESSION_KEEPS; keep++) {
        struct session_context c;
        session_context_build(&c, s, (struct session_strategy){(enum session_keep)keep, 7});
        session_context_release(&c);
    }
    struct buf json = {0};
    struct err err = {0};
    assert(session_export(s, &json, &err) == 0);
    struct session *again = session_import(buf_slice(&json), SIZE_MAX, 1, NULL, &err);
    assert(again && session_count(again) == session_count(s));
    session_destroy(again);
    buf_release(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool booted;
    if (!booted) {
        json_boot();
        session_boot();
        booted = true;
    }
    if (size == 0)
        return 0;
    struct err err = {0};
    if (data[0] == '{') {
        struct session *s = session_import(slice_of((const char *)data, size), 1 << 20, 1, NULL, &err);
        if (s)
            use(s);
        session_destroy(s);
        return 0;
    }
    const struct type_ops *ops = type_by_id(OBJ_SESSION);
    struct rdb_in in = {.p = data, .end = data + size};
    struct value v;
    if (ops->load(RDB_MODULE_2, &in, &v, &err) == 0) {
        use(v.ptr);
        value_release(&v);
    }
    buf_release(&in.scratch);
    return 0;
}
