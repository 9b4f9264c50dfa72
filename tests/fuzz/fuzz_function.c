/* Arbitrary bytes as a library for FUNCTION LOAD and, behind a right footer, as FUNCTION RESTORE reads a payload: an error, or
 * libraries that are found by name and go again. */
#include <assert.h>
#include <stdint.h>

#include "cmd/function_lib.h"
#include "store/rdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void call(int argc, const struct slice *argv, int resp, struct buf *out)
{
    buf_add_str(out, "+OK\r\n");
}

static void set_repl(int what)
{
}

static int may_run(int argc, const struct slice *argv)
{
    return 1;
}

static bool look(void)
{
    return true;
}

static void add(struct engine *e, struct library_set *set, struct slice code)
{
    struct library *l;
    struct err err;
    if (library_make(e, code, 20, &l, &err) < 0)
        return;
    if (library_add(set, l, true, e, &err) < 0)
        library_destroy(l, e);
    else
        assert(dict_find(&set->libraries, l->name) == l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct engine_host host = {call, set_repl, may_run, look, "7.2.4", 0x70204};
    static struct engine *e;
    struct library_set set;
    struct buf payload = {0};
    struct rdb_out out = {.to = &payload};
    struct rdb_in in;
    if (!e)
        e = engine_create(&host);
    library_set_init(&set);
    add(e, &set, slice_of((const char *)data, size));
    buf_add(&payload, data, size);
    rdb_put_footer(&out, 0);
    assert(rdb_open_payload(buf_slice(&payload), &in));
    while (in.p < in.end && !in.bad && rdb_get_u8(&in) == 245)
        add(e, &set, rdb_get_str(&in));
    buf_release(&in.scratch);
    buf_release(&payload);
    library_set_release(&set, e);
    return 0;
}
