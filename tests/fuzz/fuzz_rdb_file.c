/* Arbitrary bytes as an RDB file: they are refused with a sentence, or every key that they give can be added to a keyspace
 * that then writes a file which is read again with as many keys. */
#include <assert.h>

#include "persist/rdb_file.h"
#include "store/types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct store *store;

static int add_key(void *arg, const struct rdb_key *k, struct value *v, struct err *err)
{
    if (k->db >= store->ndbs || db_peek(&store->dbs[k->db], k->name)) {
        value_release(v);
        return err_set(err, ERR_GENERIC, "no room for it");
    }
    db_add(&store->dbs[k->db], k->name, *v);
    return 0;
}

static int count_key(void *arg, const struct rdb_key *k, struct value *v, struct err *err)
{
    value_release(v);
    ++*(uint64_t *)arg;
    return 0;
}

static int to_buf(void *arg, const void *p, size_t n, struct err *err)
{
    buf_add(arg, p, n);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    if (!store) {
        types_boot();
        store = store_create(4, NULL);
        store->loading = true; /* nothing expires by itself */
    }
    if (rdb_file_parse(slice_of((const char *)data, size), &(struct rdb_read){.key = add_key}, NULL, &err) < 0)
        assert(err.msg[0]);
    struct buf file = {0};
    struct rdb_file_stats st;
    uint64_t n = 0;
    struct rdb_write w = {.version = "7.2.4", .compress = true, .sink = to_buf, .arg = &file};
    assert(rdb_file_write(store, &w, &st, &err) == 0 && st.bytes == file.len);
    assert(rdb_file_parse(buf_slice(&file), &(struct rdb_read){.key = count_key, .arg = &n}, NULL, &err) == 0);
    assert(n == st.keys);
    buf_release(&file);
    for (int d = 0; d < store->ndbs; d++)
        db_flush(&store->dbs[d]);
    return 0;
}
