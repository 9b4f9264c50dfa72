/* Values of Redis before 7.0: read in full, and refused with a sentence however they are cut or bent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "store/digest.h"
#include "store/rdb.h"
#include "store/t_hash.h"
#include "store/t_list.h"
#include "store/types.h"

#define BYTES(s) slice_of((s), sizeof(s) - 1)

/* a ziplist of "a", 5, -7, 300, 2^40, and one string of 70 bytes */
static const char elements[] = "\x6a\x00\x00\x00\x20\x00\x00\x00\x06\x00"
                               "\x00\x01"
                               "a"
                               "\x03\xf6"
                               "\x02\xfe\xf9"
                               "\x03\xc0\x2c\x01"
                               "\x04\xe0\x00\x00\x00\x00\x00\x01\x00\x00"
                               "\x0a\x40\x46"
                               "0123456789012345678901234567890123456789012345678901234567890123456789"
                               "\xff";
static const char pairs[] = "\x11\x00\x00\x00\x0d\x00\x00\x00\x02\x00"
                            "\x00\x01"
                            "f"
                            "\x03\x01"
                            "v"
                            "\xff";
static const char zipmap[] = "\x02\x01"
                             "a\x01\x00"
                             "1\x02"
                             "bb\x03\x01twoX\xff";

static int get(uint8_t type, struct slice body, bool prefix, struct obj *o, struct err *err)
{
    struct buf b = {0};
    struct rdb_out out = {.to = &b};
    struct value v;
    if (prefix)
        rdb_put_len(&out, 1);
    rdb_put_str(&out, body);
    struct rdb_in in = {.p = (const uint8_t *)b.p, .end = (const uint8_t *)b.p + b.len};
    int rc = rdb_get_value(type, &in, &v, err);
    if (rc == 0) {
        assert_ptr_equal(in.p, in.end);
        *o = (struct obj){.type = v.type, .enc = v.enc, .v.ptr = v.ptr};
    }
    buf_release(&in.scratch);
    buf_release(&b);
    return rc;
}

static void drop(struct obj *o)
{
    type_of(o)->free(o->enc, o->v.ptr);
}

static void test_lists(void **state)
{
    struct obj o;
    struct err err;
    static const char *const want[] = {"a", "5", "-7", "300", "1099511627776"};
    for (int chained = 0; chained < 2; chained++) {
        struct list_iter it;
        assert_int_equal(get(chained ? RDB_LIST_QUICKLIST : RDB_LIST_ZIPLIST, BYTES(elements), chained, &o, &err), 0);
        assert_int_equal(list_len(&o), 6);
        list_iter_begin(&it, &o, 0, false);
        for (int i = 0; i < 5; i++) {
            assert_true(list_iter_next(&it));
            assert_true(slice_is(it.value, want[i]));
        }
        assert_true(list_iter_next(&it));
        assert_int_equal(it.value.len, 70);
        drop(&o);
    }
}

static void test_hashes(void **state)
{
    struct obj o;
    struct err err;
    assert_int_equal(get(RDB_HASH_ZIPLIST, BYTES(pairs), false, &o, &err), 0);
    assert_int_equal(hash_len(&o), 1);
    drop(&o);
    assert_int_equal(get(RDB_HASH_ZIPMAP, BYTES(zipmap), false, &o, &err), 0);
    assert_int_equal(hash_len(&o), 2);
    drop(&o);
}

/* Every cut, and every byte bent in turn: a value or a sentence, never a read past the end (the sanitizers look). */
static void bend(uint8_t type, struct slice body, bool prefix)
{
    struct obj o;
    char copy[256];
    assert_true(body.len < sizeof copy);
    for (size_t n = 0; n < body.len; n++) {
        struct err err = {0};
        assert_true(get(type, slice_of(body.p, n), prefix, &o, &err) < 0);
        assert_true(err.msg[0]);
    }
    for (size_t i = 0; i < body.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            struct err err = {0};
            memcpy(copy, body.p, body.len);
            copy[i] = (char)(copy[i] ^ 1 << bit);
            if (get(type, slice_of(copy, body.len), prefix, &o, &err) == 0)
                drop(&o);
            else
                assert_true(err.msg[0]);
        }
}

static void test_damage(void **state)
{
    bend(RDB_LIST_ZIPLIST, BYTES(elements), false);
    bend(RDB_LIST_QUICKLIST, BYTES(elements), true);
    bend(RDB_HASH_ZIPLIST, BYTES(pairs), false);
    bend(RDB_ZSET_ZIPLIST, BYTES(pairs), false);
    bend(RDB_HASH_ZIPMAP, BYTES(zipmap), false);
}

static int boot(void **state)
{
    types_boot();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, boot, NULL);
}
