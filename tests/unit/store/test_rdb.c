/* RDB encoding: payloads that redis-server 7.0 made, our own round trips, and damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "store/db.h"
#include "store/rdb.h"
#include "store/t_hash.h"
#include "store/types.h"

static struct store *store;

static int setup(void **state)
{
    types_boot();
    store = store_create(1, NULL);
    return 0;
}

static int teardown(void **state)
{
    store_destroy(store);
    return 0;
}

static struct obj *restore(struct slice payload)
{
    struct value v;
    struct err err;
    db_delete(&store->dbs[0], SLICE("k"));
    assert_int_equal(rdb_restore(payload, &v, false, &err), 0);
    return db_add(&store->dbs[0], SLICE("k"), v);
}

static void assert_refused(struct slice payload, const char *msg)
{
    struct value v;
    struct err err;
    assert_true(rdb_restore(payload, &v, false, &err) < 0);
    assert_non_null(strstr(err.msg, msg));
}

/* DUMP of redis-server 7.0.15. */
#define DUMP_B     "\x00\x01\x62\x0a\x00\x16\x24\xb8\x91\xa6\xe3\x12\x83"
#define DUMP_M129  "\x00\xc1\x7f\xff\x0a\x00\x17\x60\x82\x28\x54\x80\x84\x80"
#define DUMP_70000 "\x00\xc2\x70\x11\x01\x00\x0a\x00\x01\xa4\x08\xfe\x95\x30\x95\xa5"
#define DUMP_BIG   "\x00\x0a\x39\x39\x39\x39\x39\x39\x39\x39\x39\x39\x0a\x00\xd2\x6a\xc2\x99\xdf\x53\xef\xd2"
#define DUMP_LZF                                                                                                       \
    "\x00\xc3\x0e\x40\xc8\x01\x78\x78\xe0\x59\x00\x00\x79\xe0\x58\x00\x01\x79\x79\x0a\x00\x20\xcd\x1f\x47\x4f\xc8\x40" \
    "\x69"
#define DUMP_HASH                                                                                                      \
    "\x10\x12\x12\x00\x00\x00\x04\x00\x81\x66\x02\x81\x76\x02\x81\x6e\x02\x01\x01\xff\x0a\x00\xfc\xe4\x08\xf1\x79\x22" \
    "\xe0\x16"
#define DUMP_TABLE                                                                                                     \
    "\x04\x01\x01\x61\xc3\x09\x40\x41\x01\x7a\x7a\xe0\x34\x00\x01\x7a\x7a\x0a\x00\x28\x09\x44\xe3\x8a\xa4\xb6\xf8"

static void check_string(struct slice payload, struct slice want, bool same_dump)
{
    struct obj *o = restore(payload);
    char tmp[NUM_I64_MAX];
    assert_int_equal(o->type, OBJ_STRING);
    assert_true(slice_eq(obj_str(o, tmp), want));
    struct buf b = {0};
    rdb_dump(o, &b, false);
    if (same_dump) {
        assert_int_equal(b.len, payload.len);
        assert_memory_equal(b.p, payload.p, b.len);
    }
    o = restore(buf_slice(&b));
    assert_true(slice_eq(obj_str(o, tmp), want));
    buf_release(&b);
}

static void test_strings_of_redis(void **state)
{
    char lzf[200];
    memset(lzf, 'x', 100);
    memset(lzf + 100, 'y', 100);
    check_string(SLICE(DUMP_B), SLICE("b"), true);
    check_string(SLICE(DUMP_M129), SLICE("-129"), true);
    check_string(SLICE(DUMP_70000), SLICE("70000"), true);
    check_string(SLICE(DUMP_BIG), SLICE("9999999999"), true);
    check_string(SLICE(DUMP_LZF), slice_of(lzf, 200), false);
    assert_int_equal(restore(SLICE(DUMP_M129))->enc, ENC_INT);
}

static void test_hashes_of_redis(void **state)
{
    struct obj *o = restore(SLICE(DUMP_HASH));
    struct slice v;
    char tmp[NUM_I64_MAX];
    assert_int_equal(o->enc, ENC_LISTPACK);
    assert_int_equal(hash_len(o), 2);
    assert_true(hash_get(o, SLICE("n"), &v, tmp) && slice_eq(v, SLICE("1")));
    struct buf b = {0};
    rdb_dump(o, &b, false);
    assert_true(slice_eq(buf_slice(&b), SLICE(DUMP_HASH)));
    buf_release(&b);

    o = restore(SLICE(DUMP_TABLE));
    assert_int_equal(o->enc, ENC_HASHTABLE);
    assert_true(hash_get(o, SLICE("a"), &v, tmp));
    assert_int_equal(v.len, 65);
}

static void test_lengths(void **state)
{
    static const uint64_t lens[] = {0, 63, 64, 16383, 16384, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX};
    static const size_t bytes[] = {1, 1, 2, 2, 5, 5, 9, 9};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct buf b = {0};
        struct rdb_out out = {.to = &b};
        rdb_put_len(&out, lens[i]);
        rdb_put_double(&out, -1.5);
        assert_int_equal(b.len, bytes[i] + 8);
        struct rdb_in in = {.p = (uint8_t *)b.p, .end = (uint8_t *)b.p + b.len};
        assert_true(rdb_get_len(&in) == lens[i]);
        assert_true(rdb_get_double(&in) == -1.5);
        assert_false(in.bad);
        assert_int_equal(rdb_get_u8(&in), 0); /* nothing is left: zero, and bad from now on */
        assert_true(in.bad);
        assert_int_equal(rdb_get_str(&in).len, 0);
        buf_release(&b);
    }
}

/* Puts a right footer under bytes that are wrong, so that the value's own checks are what refuses them. */
static struct buf with_footer(struct slice body)
{
    struct buf b = {0};
    struct rdb_out out = {.to = &b};
    buf_add(&b, body.p, body.len);
    rdb_put_u8(&out, RDB_VERSION);
    rdb_put_u8(&out, 0);
    rdb_put_u64(&out, crc64_redis(0, b.p, b.len));
    return b;
}

static void check_bad_body(struct slice body)
{
    struct buf b = with_footer(body);
    assert_refused(buf_slice(&b), "Bad data format");
    buf_release(&b);
}

static void test_damage_is_refused(void **state)
{
    const char good[] = DUMP_HASH;
    for (size_t i = 0; i < sizeof good - 1; i++) {
        char bad[sizeof good];
        memcpy(bad, good, sizeof good);
        bad[i] ^= 0x10;
        assert_refused(slice_of(bad, sizeof good - 1), "DUMP payload version or checksum are wrong");
        assert_refused(slice_of(good, i), "DUMP payload version or checksum are wrong");
    }
    check_bad_body(SLICE("\x00\x05"
                         "abc")); /* string longer than the rest */
    check_bad_body(SLICE("\x00\x01"
                         "ab")); /* bytes left over */
    check_bad_body(SLICE("\x00\xc3\x01\x80\x7f\xff\xff\xff"
                         "a")); /* one byte that claims to unpack to two gigabytes */
    check_bad_body(SLICE("\x00\xc3\x02\x05"
                         "\xff\xff")); /* LZF that is none */
    check_bad_body(SLICE("\x00\xc5")); /* no such packing */
    check_bad_body(SLICE("\x00\x82"
                         "aaaa")); /* no such length */
    check_bad_body(SLICE("\xc8\x01"
                         "a"));        /* no such type */
    check_bad_body(SLICE("\x04\x00")); /* a hash without fields */
    check_bad_body(SLICE("\x04\x80\x7f\xff\xff\xff\x01"
                         "a\x01"
                         "b")); /* two billion fields */
    check_bad_body(SLICE("\x04\x02\x01"
                         "a\x01"
                         "b\x01"
                         "a\x01"
                         "c"));                                                    /* a field twice */
    check_bad_body(SLICE("\x10\x07\x07\x00\x00\x00\x00\x00\xff"));                 /* an empty listpack */
    check_bad_body(SLICE("\x10\x09\x09\x00\x00\x00\x01\x00\x01\x01\xff"));         /* a field without a value */
    check_bad_body(SLICE("\x10\x0b\x0b\x00\x00\x00\x02\x00\x01\x01\x02\x03\xff")); /* a broken back length */
    check_bad_body(SLICE("\x07\x01\x05\x01"
                         "a\x00")); /* an unknown module */
}

static void test_hash_in_both_forms(void **state)
{
    struct db *db = &store->dbs[0];
    for (int n = 1; n <= 2000; n = n * 3 + 1) {
        struct obj *o = db_set(db, SLICE("h"), hash_new(), false);
        for (int i = 0; i < n; i++) {
            char f[32], v[32];
            snprintf(f, sizeof f, "field %d", i);
            snprintf(v, sizeof v, "%d", i * 3);
            assert_true(hash_set(o, slice_str(f), slice_str(v)));
        }
        struct buf b = {0};
        uint8_t before[20] = {0}, after[20] = {0};
        rdb_dump(o, &b, false);
        type_of(o)->digest(o, before);
        struct obj *back = restore(buf_slice(&b));
        assert_int_equal(back->enc, o->enc);
        assert_int_equal(hash_len(back), n);
        type_of(back)->digest(back, after);
        assert_memory_equal(before, after, 20);
        buf_release(&b);
    }
}

/* A type of our own: its payload is a module value whose bytes Redis's tools can step over. */
static int own_load(uint8_t rdb_type, struct rdb_in *from, struct value *out, struct err *err)
{
    assert_int_equal(rdb_type, RDB_MODULE_2);
    uint64_t n = rdb_get_len(from);
    struct slice s = rdb_get_str(from);
    if (from->bad)
        return err_set(err, ERR_GENERIC, "a test value that ends too early");
    *out = value_container(OBJ_KB, ENC_OWN, mem_dup(s.p, s.len));
    assert_int_equal(n, s.len);
    return 0;
}

static void own_save(const struct obj *o, struct rdb_out *to)
{
    rdb_put_len(to, strlen(o->v.ptr));
    rdb_put_str(to, slice_str(o->v.ptr));
}

static void own_free(uint8_t enc, void *ptr)
{
    mem_free(ptr);
}

static void test_own_type(void **state)
{
    static struct type_ops own = {.name = "own", .id = OBJ_KB, .save = own_save, .load = own_load, .free = own_free};
    own.rdb_module = rdb_module_id("skaldtest", 1);
    assert_true(own.rdb_module != 0);
    assert_true(rdb_module_id("skald tes", 1) == 0);
    type_register(&own);
    char *text = mem_zero(70001);
    memset(text, 'q', 70000);
    struct obj *o = db_add(&store->dbs[0], SLICE("own"), value_container(OBJ_KB, ENC_OWN, text));
    struct buf b = {0};
    rdb_dump(o, &b, false);
    assert_int_equal(b.p[0], RDB_MODULE_2);
    struct obj *back = restore(buf_slice(&b));
    assert_string_equal((char *)back->v.ptr, text);
    buf_release(&b);
}

static void test_random_bytes_fail_cleanly(void **state)
{
    struct rng r;
    rng_seed(&r, 7);
    static const uint8_t types[] = {0, 4, 7, 16};
    for (int i = 0; i < 20000; i++) {
        char body[64];
        size_t n = 1 + rng_below(&r, sizeof body);
        for (size_t k = 0; k < n; k++)
            body[k] = (char)(rng_below(&r, 3) ? rng_below(&r, 8) : rng_next(&r));
        body[0] = (char)types[rng_below(&r, sizeof types)];
        struct buf b = with_footer(slice_of(body, n));
        struct value v;
        struct err err;
        if (rdb_restore(buf_slice(&b), &v, false, &err) == 0)
            value_release(&v);
        else
            assert_true(err.msg[0] != 0);
        buf_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings_of_redis),
        cmocka_unit_test(test_hashes_of_redis),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_damage_is_refused),
        cmocka_unit_test(test_hash_in_both_forms),
        cmocka_unit_test(test_own_type),
        cmocka_unit_test(test_random_bytes_fail_cleanly),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
