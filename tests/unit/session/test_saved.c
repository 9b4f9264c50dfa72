/* Sessions as JSON and as payloads: what goes out comes back the same; what is wrong is refused in words; damage never
 * crashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "session/json.h"
#include "store/db.h"
#include "store/rdb.h"
#include "unit/session/random.h"

static struct store *store;

static int setup(void **state)
{
    json_boot();
    session_boot();
    store = store_create(1, NULL);
    return 0;
}

static int teardown(void **state)
{
    store_destroy(store);
    return 0;
}

static struct obj *put(struct session *s)
{
    return db_set(&store->dbs[0], SLICE("s"), value_container(OBJ_SESSION, ENC_OWN, s), false);
}

static void digest(const struct obj *o, uint8_t sha[20])
{
    memset(sha, 0, 20);
    type_of(o)->digest(o, sha);
}

static void test_json_round_trip(void **state)
{
    struct rng r;
    rng_seed(&r, 21);
    for (int round = 0; round < 200; round++) {
        struct session *s = random_session(&r, (unsigned)rng_below(&r, 30));
        struct buf a = {0}, b = {0};
        struct err err = {0};
        assert_int_equal(session_export(s, &a, &err), 0);
        struct session *t = session_import(buf_slice(&a), 1 << 24, 5, NULL, &err);
        if (!t)
            fail_msg("%s\n%s", err.msg, buf_cstr(&a));
        assert_int_equal(session_export(t, &b, &err), 0);
        if (!session_get(s, SESSION_META).len) /* whose spaces an import may change */
            assert_string_equal(buf_cstr(&a), buf_cstr(&b));
        assert_int_equal(session_token_sum(s), session_token_sum(t));
        buf_release(&a);
        buf_release(&b);
        session_destroy(s);
        session_destroy(t);
    }
}

static void test_json_from_elsewhere(void **state)
{
    struct err err = {0};
    struct slice json =
        SLICE("{\"messages\":[{\"role\":\"system\",\"content\":\"x\"},{\"role\":\"user\",\"content\":\"hi\"},"
              "{\"id\":\"70-1\",\"role\":\"assistant\",\"content\":null,\"name\":null,\"tool_calls\":"
              "[{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}]}");
    struct session *s = session_import(json, 1 << 20, 50, NULL, &err);
    assert_non_null(s);
    assert_int_equal(session_count(s), 3);
    assert_int_equal(session_created(s), 50);
    assert_int_equal(session_at(s, 0).id.ms, 50);
    assert_int_equal(session_at(s, 1).id.seq, 1);
    assert_int_equal(session_last_id(s).ms, 70);
    session_destroy(s);
}

static void test_bad_json_is_refused_with_its_path(void **state)
{
    static const struct {
        const char *json, *says;
    } bad[] = {
        {"[]", "must be a JSON object"},
        {"{", "bad JSON"},
        {"{\"format\":\"other\"}", "format must be"},
        {"{\"version\":2}", "version must be 1"},
        {"{\"colour\":1}", "colour is not a member"},
        {"{\"title\":\"a\",\"title\":\"b\"}", "title is there twice"},
        {"{\"title\":7}", "title must be a string"},
        {"{\"created\":-1}", "created must be milliseconds"},
        {"{\"created\":1e300}", "created must be milliseconds"},
        {"{\"meta\":[]}", "meta must be a JSON object"},
        {"{\"context\":\"LAST\"}", "\"LAST n\""},
        {"{\"variables\":[]}", "variables must be an object"},
        {"{\"variables\":{\"a\":1}}", "variables.a must be a string"},
        {"{\"variables\":{\"a\":\"1\",\"a\":\"2\"}}", "variables.a is there twice"},
        {"{\"variables\":{\"\":\"1\"}}", "needs a name"},
        {"{\"messages\":{}}", "messages must be an array"},
        {"{\"messages\":[1]}", "messages[0] must be an object"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"\"},{\"role\":\"king\"}]}", "messages[1].role must be"},
        {"{\"messages\":[{\"content\":\"\"}]}", "messages[0].role must be"},
        {"{\"messages\":[{\"role\":\"user\"}]}", "messages[0].content must be a string"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[]}]}", "messages[0].content must be a string"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"\",\"id\":\"x\"}]}", "messages[0].id must be a message id"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"\",\"colour\":1}]}", "messages[0].colour is not a member"},
        {"{\"messages\":[{\"role\":\"tool\",\"content\":\"\"}]}", "messages[0]: a message of the role tool needs"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]}", "messages[0]: tool_calls[0].id"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"\",\"reasoning\":\"x\"}]}", "belong to the role assistant"},
        {"{\"messages\":[{\"role\":\"assistant\",\"content\":\"\",\"thinking\":{}}]}", "thinking must be a JSON array"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"\",\"content_parts\":[{}]}]}", "that have a type"},
        {"{\"messages\":[{\"id\":\"5-0\",\"role\":\"user\",\"content\":\"\"},{\"id\":\"5-0\",\"role\":\"user\","
         "\"content\":\"\"}]}",
         "messages[1]: the id 5-0 is not greater"},
        {"{\"messages\":[{\"id\":\"5-0\",\"role\":\"user\",\"content\":\"\"}],\"last_id\":\"4-0\"}",
         "last_id must be at least"},
        {"{\"summary_to\":\"4-0\"}", "summary_to must be"},
        {"{\"title\":\"a\\u0000b\"}", "U+0000"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        assert_null(session_import(slice_str(bad[i].json), 1 << 20, 5, NULL, &err));
        assert_int_equal(err.code, ERR_INVALID);
        if (!strstr(err.msg, bad[i].says))
            fail_msg("%s: '%s' does not say '%s'", bad[i].json, err.msg, bad[i].says);
    }
}

static void test_export_has_a_limit(void **state)
{
    struct session *s = session_create(1);
    struct buf b;
    struct err err = {0};
    buf_init(&b, 300);
    for (int i = 0; i < 10; i++)
        add(s, (struct session_msg){.role = SESSION_USER, .content = SLICE("some words that take room")}, 1);
    assert_int_equal(session_export(s, &b, &err), ERR_STATE);
    buf_release(&b);
    session_destroy(s);
}

static void test_payload_round_trip(void **state)
{
    struct rng r;
    rng_seed(&r, 31);
    for (int round = 0; round < 300; round++) {
        struct obj *o = put(random_session(&r, (unsigned)rng_below(&r, 40)));
        struct buf a = {0}, b = {0};
        struct value v, copy;
        struct err err = {0};
        uint8_t before[20], after[20], copied[20];
        digest(o, before);
        rdb_dump(o, &a, false);
        assert_int_equal(type_of(o)->copy(o, &copy, &err), 0);
        if (rdb_restore(buf_slice(&a), &v, false, &err) < 0)
            fail_msg("%s", err.msg);
        uint64_t tokens = session_token_sum(o->v.ptr);
        assert_int_equal(tokens, session_token_sum(v.ptr));
        o = db_set(&store->dbs[0], SLICE("s"), v, false);
        digest(o, after);
        rdb_dump(o, &b, false);
        assert_true(slice_eq(buf_slice(&a), buf_slice(&b)));
        o = db_set(&store->dbs[0], SLICE("s"), copy, false);
        digest(o, copied);
        assert_memory_equal(before, after, 20);
        assert_memory_equal(before, copied, 20);
        buf_release(&a);
        buf_release(&b);
    }
}

static void save(struct obj *o, struct buf *to)
{
    struct rdb_out out = {.to = to};
    type_of(o)->save(o, &out);
}

static int load_saved(struct buf *b, struct value *v)
{
    struct err err;
    struct rdb_in in = {.p = (const uint8_t *)b->p, .end = (const uint8_t *)b->p + b->len};
    return type_of(db_read(&store->dbs[0], SLICE("s")))->load(RDB_MODULE_2, &in, v, &err);
}

/* A message without parts that came later is the same in both versions. */
static void test_the_first_version_loads(void **state)
{
    struct session *s = session_create(5);
    struct buf a = {0}, b = {0};
    struct value v;
    add(s, (struct session_msg){.role = SESSION_USER, .content = SLICE("Hm?"), .name = SLICE("ann")}, 6);
    add(s, (struct session_msg){.role = SESSION_ASSISTANT, .content = SLICE("Yes."), .meta = SLICE("{}")}, 7);
    struct obj *o = put(s);
    save(o, &a);
    assert_int_equal(a.p[0], 2);
    a.p[0] = 1;
    assert_int_equal(load_saved(&a, &v), 0);
    save(db_set(&store->dbs[0], SLICE("s"), v, false), &b);
    a.p[0] = 2;
    assert_true(slice_eq(buf_slice(&a), buf_slice(&b)));
    add(v.ptr, (struct session_msg){.role = SESSION_ASSISTANT, .content = SLICE("x"), .reasoning = SLICE("y")}, 8);
    buf_clear(&b);
    save(db_read(&store->dbs[0], SLICE("s")), &b);
    b.p[0] = 1; /* which knows no such part */
    assert_true(load_saved(&b, &v) < 0);
    b.p[0] = 3;
    assert_true(load_saved(&b, &v) < 0);
    buf_release(&a);
    buf_release(&b);
}

static void fix_checksum(struct buf *b)
{
    uint64_t crc = crc64_redis(0, b->p, b->len - 8);
    for (int i = 0; i < 8; i++)
        b->p[b->len - 8 + (size_t)i] = (char)(crc >> 8 * i);
}

/* Changed bytes behind a right checksum: refused, or a session that can be used. */
static void test_damaged_payloads(void **state)
{
    struct rng r;
    int taken = 0, refused = 0;
    rng_seed(&r, 41);
    for (int round = 0; round < 20000; round++) {
        static struct buf good;
        if (round % 100 == 0) {
            buf_clear(&good);
            rdb_dump(put(random_session(&r, (unsigned)rng_below(&r, 8))), &good, false);
        }
        struct buf b = {0};
        buf_add(&b, good.p, good.len);
        for (unsigned k = 0, n = 1 + (unsigned)rng_below(&r, 3); k < n; k++)
            b.p[11 + rng_below(&r, b.len - 21)] = (char)rng_next(&r);
        if (rng_below(&r, 10) == 0)
            b.len -= rng_below(&r, b.len / 2);
        fix_checksum(&b);
        struct value v;
        struct err err = {0};
        if (rdb_restore(buf_slice(&b), &v, false, &err) < 0) {
            assert_true(err.msg[0]);
            refused++;
        } else {
            struct buf json = {0}, again = {0};
            assert_int_equal(session_export(v.ptr, &json, &err), 0);
            struct session *s = session_import(buf_slice(&json), 1 << 24, 1, NULL, &err);
            if (!s)
                fail_msg("%s in %s", err.msg, buf_cstr(&json));
            session_destroy(s);
            buf_release(&json);
            buf_release(&again);
            value_release(&v);
            taken++;
        }
        buf_release(&b);
        if (round == 19999)
            buf_release(&good);
    }
    assert_true(taken > 100 && refused > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_round_trip),
        cmocka_unit_test(test_json_from_elsewhere),
        cmocka_unit_test(test_bad_json_is_refused_with_its_path),
        cmocka_unit_test(test_export_has_a_limit),
        cmocka_unit_test(test_payload_round_trip),
        cmocka_unit_test(test_the_first_version_loads),
        cmocka_unit_test(test_damaged_payloads),
    };
    return cmocka_run_group_tests_name("saved", tests, setup, teardown);
}
