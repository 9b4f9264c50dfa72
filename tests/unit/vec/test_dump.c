/* An index as bytes and back: equality, other places, and bytes that are not one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/hash.h"
#include "naive.h"

static struct vec_index *filled(struct vec_config c, uint32_t slots, int ops)
{
    struct vec_index *v = NULL;
    struct rng r;
    char t[16], attr[32];
    float x[16];
    rng_seed(&r, 3);
    c.seed = 4;
    c.quant = naive_quant;
    assert_int_equal(vec_create(&v, &c, NULL), 0);
    for (int i = 0; i < ops; i++) {
        uint32_t e = (uint32_t)rng_below(&r, slots);
        if (rng_below(&r, 4) == 0) {
            vec_remove(v, naive_name(e, t));
            continue;
        }
        random_vector(&r, x, c.dim);
        snprintf(attr, sizeof attr, "{\"n\":%u}", e);
        assert_true(vec_add(v, naive_name(e, t), x, c.dim, e % 3 ? slice_str(attr) : (struct slice){0}, NULL) >= 0);
    }
    return v;
}

static void same_answers(const struct vec_index *a, const struct vec_index *b)
{
    struct rng r;
    float x[16];
    rng_seed(&r, 9);
    for (int i = 0; i < 50; i++) {
        random_vector(&r, x, vec_dim(a));
        struct vec_query q = {.x = x, .dim = vec_dim(a), .k = 10, .with_attr = true};
        struct vec_result ra, rb;
        assert_int_equal(vec_search(a, &q, &ra, NULL), 0);
        assert_int_equal(vec_search(b, &q, &rb, NULL), 0);
        assert_int_equal(ra.count, rb.count);
        for (uint32_t k = 0; k < ra.count; k++) {
            assert_true(slice_eq(ra.hits[k].name, rb.hits[k].name) && slice_eq(ra.hits[k].attr, rb.hits[k].attr));
            assert_true(ra.hits[k].score == rb.hits[k].score);
        }
        vec_result_release(&ra);
        vec_result_release(&rb);
    }
}

static void there_and_back(void **state)
{
    static const struct vec_config shapes[] = {
        {.dim = 16, .m = 8}, {.dim = 4, .metric = VEC_L2, .m = 4}, {.dim = 7, .metric = VEC_IP, .kind = VEC_FLAT}};
    for (size_t i = 0; i < 3; i++)
        for (int ops = 0; ops < 4000; ops = ops * 50 + 1) {
            struct vec_index *a = filled(shapes[i], 1700, ops), *b = NULL;
            struct buf x = {0}, y = {0};
            struct err err = {0};
            assert_true(vec_save(a, &x));
            if (vec_load(&b, buf_slice(&x), NULL, &err) != 0)
                fail_msg("%s", err.msg);
            assert_int_equal(vec_count(a), vec_count(b));
            assert_true(vec_save(b, &y));
            assert_true(slice_eq(buf_slice(&x), buf_slice(&y)));
            same_answers(a, b);
            /* the level generator goes on where it was: the same adds give the same graph */
            float z[16] = {1, 2, 3};
            for (int k = 0; k < 30; k++) {
                char t[16];
                z[0] = (float)k;
                vec_add(a, naive_name(5000 + (uint32_t)k, t), z, vec_dim(a), (struct slice){0}, NULL);
                vec_add(b, naive_name(5000 + (uint32_t)k, t), z, vec_dim(b), (struct slice){0}, NULL);
            }
            same_answers(a, b);
            assert_int_equal(vec_verify(b, &err), 0);
            buf_release(&x);
            buf_release(&y);
            vec_unref(a);
            vec_unref(b);
        }
}

static void onto_a_file(void **state)
{
    char dir[] = "/tmp/skald-dump-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/v", dir);
    struct vec_index *a = filled((struct vec_config){.dim = 5}, 500, 600), *b = NULL;
    struct buf x = {0};
    struct err err = {0};
    vec_save(a, &x);
    assert_int_equal(vec_load(&b, buf_slice(&x), path, &err), 0);
    same_answers(a, b);
    vec_unref(b);
    assert_int_equal(vec_load(&b, buf_slice(&x), path, &err), ERR_BUSYKEY); /* the file is there */
    assert_int_equal(vec_drop_file(path, &err), 0);
    x.p[x.len - 1] ^= 1;
    assert_int_equal(vec_load(&b, buf_slice(&x), path, &err), ERR_INVALID);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rmdir(dir), 0);
    buf_release(&x);
    vec_unref(a);
}

static void a_full_buffer(void **state)
{
    struct vec_index *a = filled((struct vec_config){.dim = 5}, 100, 100);
    struct buf x;
    buf_init(&x, 1000);
    buf_add_str(&x, "before");
    assert_false(vec_save(a, &x));
    assert_true(slice_eq(buf_slice(&x), SLICE("before")));
    buf_release(&x);
    vec_unref(a);
}

static void bytes_that_are_none(void **state)
{
    struct vec_index *a = filled((struct vec_config){.dim = 3, .m = 4, .metric = VEC_L2}, 60, 100), *b = NULL;
    struct buf x = {0}, y = {0};
    struct err err = {0};
    struct rng r;
    rng_seed(&r, 8);
    vec_save(a, &x);
    for (size_t n = 0; n < x.len; n++)
        assert_int_equal(vec_load(&b, slice_of(x.p, n), NULL, &err), ERR_INVALID);
    int loaded = 0;
    for (int i = 0; i < 20000; i++) { /* with a checksum that vouches for the damage */
        buf_clear(&y);
        buf_add(&y, x.p, x.len);
        size_t at = rng_below(&r, 8) == 0 ? rng_below(&r, 80) : rng_below(&r, y.len - 8);
        uint32_t bad = rng_below(&r, 2) ? (uint32_t)rng_next(&r) : (uint32_t)rng_below(&r, 80);
        memcpy(y.p + at, &bad, 1 + rng_below(&r, 4));
        uint32_t crc = crc32c(0, y.p, y.len - 4);
        memcpy(y.p + y.len - 4, &crc, 4);
        int rc = vec_load(&b, buf_slice(&y), NULL, &err);
        if (rc == 0) {
            loaded++;
            assert_int_equal(vec_verify(b, &err), 0);
            float q[VEC_MAX_DIM > 3 ? 3 : 1] = {1, 1, 1};
            struct vec_query query = {.x = q, .dim = 3, .k = 5};
            struct vec_result res;
            vec_search(b, &query, &res, &err);
            vec_result_release(&res);
            vec_unref(b);
        } else {
            assert_true(rc == ERR_INVALID || rc == ERR_OOM);
            assert_true(strlen(err.msg) > 10);
        }
    }
    printf("%d of 20000 damaged dumps were indexes all the same\n", loaded);
    buf_release(&x);
    buf_release(&y);
    vec_unref(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(onto_a_file),
        cmocka_unit_test(a_full_buffer),
        cmocka_unit_test(bytes_that_are_none),
    };
    return naive_each_quant(tests, sizeof tests / sizeof *tests);
}
