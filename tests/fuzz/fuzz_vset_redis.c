/* Arbitrary bytes as the value of a vector set that a Redis saved: reading it either fails with a sentence or gives a set
 * that is whole, and whose own dump restores to the same. */
#include <assert.h>
#include <string.h>

#include "store/db.h"
#include "store/rdb.h"
#include "store/types.h"
#include "store/vset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_set(struct store *store, struct value v)
{
    struct db *db = &store->dbs[0];
    struct obj *o = db_add(db, SLICE("k"), v);
    uint8_t first[20] = {0}, second[20] = {0};
    struct buf dump = {0};
    assert(vec_verify(vset_of(o)->index, NULL) == 0);
    type_of(o)->digest(o, first);
    rdb_dump(o, &dump, false);
    db_delete(db, SLICE("k"));
    assert(rdb_restore(buf_slice(&dump), &v, false, NULL) == 0);
    o = db_add(db, SLICE("k"), v);
    type_of(o)->digest(o, second);
    assert(memcmp(first, second, sizeof first) == 0);
    buf_release(&dump);
    db_delete(db, SLICE("k"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct store *store;
    if (!store) {
        types_boot();
        vset_boot();
        store = store_create(1, NULL);
    }
    struct buf b = {0};
    struct rdb_out out = {.to = &b};
    struct value v;
    struct err err = {0};
    rdb_put_u8(&out, RDB_MODULE_2);
    rdb_put_len(&out, rdb_module_id("vectorset", 0));
    if (size)
        buf_add(&b, data, size);
    rdb_put_footer(&out, 0);
    if (rdb_restore(buf_slice(&b), &v, false, &err) == 0)
        try_set(store, v);
    else
        assert(err.msg[0]);
    buf_release(&b);
    return 0;
}
