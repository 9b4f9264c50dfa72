/* Arbitrary bytes as a value under a right version and checksum: restoring either fails with a sentence or gives a
 * value that can be added, copied, digested and dumped, and whose dump restores to the same. */
#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "store/db.h"
#include "store/rdb.h"
#include "store/types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_value(struct store *store, struct value v)
{
    struct db *db = &store->dbs[0];
    struct obj *o = db_add(db, SLICE("k"), v);
    struct value copy;
    uint8_t first[20] = {0}, second[20] = {0};
    struct buf dump = {0};
    type_of(o)->digest(o, first);
    assert(obj_size(o, 0) > 0);
    if (type_of(o)->copy(o, &copy, NULL) == 0)
        db_add(db, SLICE("copy"), copy);
    rdb_dump(o, &dump, false);
    db_delete(db, SLICE("k"));
    assert(rdb_restore(buf_slice(&dump), &v, false, NULL) == 0);
    o = db_add(db, SLICE("k"), v);
    type_of(o)->digest(o, second);
    assert(memcmp(first, second, sizeof first) == 0);
    buf_release(&dump);
    db_delete(db, SLICE("k"));
    db_delete(db, SLICE("copy"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct store *store;
    if (!store) {
        types_boot();
        store = store_create(1, NULL);
    }
    struct buf b = {0};
    struct rdb_out out = {.to = &b};
    struct value v;
    struct err err;
    if (size)
        buf_add(&b, data, size);
    rdb_put_u8(&out, RDB_VERSION);
    rdb_put_u8(&out, 0);
    rdb_put_u64(&out, crc64_redis(0, b.p, b.len));
    if (rdb_restore(buf_slice(&b), &v, false, &err) == 0)
        try_value(store, v);
    else
        assert(err.msg[0]);
    buf_release(&b);
    return 0;
}
