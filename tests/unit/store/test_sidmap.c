#include "store/sidmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"

struct record {
    struct sid id;
    uint64_t value;
};

enum { IDS = 3000 };

static struct sid id_of(uint64_t i)
{
    return (struct sid){i / 7, i % 7};
}

static void check(const struct sidmap *m, const bool *in)
{
    size_t n = 0;
    uint64_t i = 0;
    for (const struct record *r = sidmap_from(m, SID_MIN); r; r = sidmap_after(m, r), n++, i++) {
        while (i < IDS && !in[i])
            i++;
        assert_true(i < IDS && sid_cmp(r->id, id_of(i)) == 0 && r->value == i);
    }
    assert_int_equal(n, m->n);
    const struct record *last = sidmap_last(m);
    assert_true(n == 0 ? last == NULL : last != NULL && sidmap_after(m, last) == NULL);
}

/* Random puts and deletes beside an array of flags. */
static void test_against_a_model(void **state)
{
    static bool in[IDS];
    struct sidmap m;
    struct rng r;
    rng_seed(&r, 1);
    sidmap_init(&m, sizeof(struct record));
    for (int step = 0; step < 60000; step++) {
        uint64_t i = rng_below(&r, IDS);
        bool fresh, grows = step / 6000 % 2 == 0;
        if (rng_below(&r, 10) < (grows ? 8 : 2)) {
            struct record *rec = sidmap_put(&m, id_of(i), &fresh);
            assert_int_equal(fresh, !in[i]);
            assert_true(fresh ? rec->value == 0 : rec->value == i);
            rec->value = i;
            in[i] = true;
        } else {
            assert_int_equal(sidmap_delete(&m, id_of(i)), in[i]);
            in[i] = false;
        }
        uint64_t probe = rng_below(&r, IDS);
        const struct record *found = sidmap_find(&m, id_of(probe)), *from = sidmap_from(&m, id_of(probe));
        assert_int_equal(found != NULL, in[probe]);
        if (found)
            assert_ptr_equal(found, from);
        if (step % 1000 == 0)
            check(&m, in);
    }
    check(&m, in);
    sidmap_release(&m);
    assert_int_equal(m.n, 0);
}

/* What a group does: ids come in order, and go in order. */
static void test_a_queue_of_many(void **state)
{
    struct sidmap m;
    bool fresh;
    enum { N = 200000 };
    sidmap_init(&m, 40);
    for (uint64_t i = 0; i < N; i++)
        sidmap_put(&m, id_of(i), &fresh);
    assert_true(sidmap_bytes(&m) < N * 40 * 1.05);
    for (uint64_t i = 0; i < N; i++)
        assert_true(sidmap_delete(&m, id_of(i)));
    assert_null(sidmap_from(&m, SID_MIN));
    sidmap_release(&m);
}

/* Of a long queue a few stay here and there: their memory is theirs, not that of the blocks they were in. */
static void test_what_is_left_is_small(void **state)
{
    struct sidmap m;
    bool fresh;
    enum { N = 200000, EVERY = 100 };
    sidmap_init(&m, 40);
    for (uint64_t i = 0; i < N; i++)
        sidmap_put(&m, id_of(i), &fresh);
    for (uint64_t i = 0; i < N; i++)
        if (i % EVERY)
            assert_true(sidmap_delete(&m, id_of(i)));
    assert_int_equal(m.n, N / EVERY);
    assert_true(sidmap_bytes(&m) < N / EVERY * 40 * 8);
    uint64_t i = 0;
    for (const struct sid *id = sidmap_from(&m, SID_MIN); id; id = sidmap_after(&m, id), i += EVERY)
        assert_int_equal(sid_cmp(*id, id_of(i)), 0);
    assert_int_equal(i, N);
    sidmap_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_a_queue_of_many),
        cmocka_unit_test(test_what_is_left_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
