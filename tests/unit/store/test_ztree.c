/* The counted B+-tree: random operations against a sorted array, the invariants looked at all the time; ends of the order,
 * equal scores, ranges, and how full nodes become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/ztree.h"

struct item {
    double score;
    char name[16];
};

static int by_order(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return slice_cmp(slice_str(x->name), slice_str(y->name));
}

static struct zmember *find(struct ztree *z, const char *name)
{
    return ztree_find(z, slice_str(name));
}

static void same_as(struct ztree *z, const struct item *want, size_t n)
{
    ztree_check(z);
    assert_int_equal(ztree_len(z), n);
    struct zplace p = ztree_at(z, 0), back = ztree_at(z, n - 1);
    for (size_t i = 0; i < n; i++, p = zplace_next(p), back = zplace_prev(back)) {
        const struct zmember *m = zplace_member(p);
        assert_true(slice_eq(zmember_bytes(m), slice_str(want[i].name)));
        assert_true(zmember_score(m) == want[i].score);
        assert_int_equal(ztree_rank(z, m), i);
        assert_ptr_equal(zplace_member(ztree_at(z, i)), m);
        assert_true(slice_eq(zmember_bytes(zplace_member(back)), slice_str(want[n - 1 - i].name)));
    }
    if (n)
        assert_true(!zplace_member(p) && !zplace_member(back));
    assert_null(zplace_member(ztree_at(z, n)));
}

/* Everything moves; what still pointed to where it was is found by the check, or by the address sanitizer. */
static void relocate(struct ztree *z)
{
    uint64_t cursor = 0, moved = mem_relocations.moved;
    mem_relocate_always(true);
    while ((cursor = ztree_relocate(z, cursor)))
        ;
    mem_relocate_always(false);
    assert_true(mem_relocations.moved >= moved + ztree_len(z));
    ztree_check(z);
}

/* Ops on up to `max` members whose scores are one of `scores` numbers: with 1 only the names are in order. */
static void random_ops(unsigned max, unsigned scores, unsigned seed, int ops)
{
    struct item *model = calloc(max, sizeof *model);
    bool *in = calloc(max, sizeof *in);
    struct item *sorted = calloc(max, sizeof *sorted);
    struct ztree *z = ztree_create(0);
    struct rng r;
    size_t n = 0;
    rng_seed(&r, seed);
    for (unsigned i = 0; i < max; i++)
        snprintf(model[i].name, sizeof model[i].name, "m%u", i * 2654435761u);
    for (int op = 0; op < ops; op++) {
        unsigned i = (unsigned)rng_below(&r, max), kind = (unsigned)rng_below(&r, 10);
        bool shrinking = op / (int)(max * 3) % 2;
        double score = (double)rng_below(&r, scores) - scores / 2.0;
        if (!in[i] && kind < (shrinking ? 2 : 8)) {
            ztree_add(z, slice_str(model[i].name), model[i].score = score);
            in[i] = true;
            n++;
        } else if (in[i] && kind < 5) {
            ztree_move(z, find(z, model[i].name), model[i].score = score);
        } else if (in[i] && (shrinking || kind < 7)) {
            ztree_remove(z, find(z, model[i].name));
            in[i] = false;
            n--;
        }
        if (op % 97 == 0)
            ztree_check(z);
        if (op % 2500 == 0)
            relocate(z);
        if (op % 5000 && op != ops - 1)
            continue;
        size_t k = 0;
        for (unsigned m = 0; m < max; m++)
            if (in[m])
                sorted[k++] = model[m];
        qsort(sorted, k, sizeof *sorted, by_order);
        assert_int_equal(k, n);
        if (n)
            same_as(z, sorted, n);
    }
    ztree_destroy(z);
    free(model);
    free(in);
    free(sorted);
}

static void test_random(void **state)
{
    random_ops(50, 1000, 1, 20000);     /* one leaf and a few */
    random_ops(3000, 1000000, 2, 60000);
    random_ops(3000, 20, 3, 60000);     /* many equal scores */
    random_ops(3000, 1, 4, 60000);
    random_ops(20000, 100000, 5, 150000); /* inner nodes over inner nodes */
}

static void test_ends(void **state)
{
    enum { N = 20000 };
    for (int way = -1; way <= 1; way += 2) {
        struct ztree *z = ztree_create(0);
        char name[16];
        size_t before = mem_used();
        for (int i = 0; i < N; i++) {
            snprintf(name, sizeof name, "%06d", i);
            ztree_add(z, slice_str(name), (double)way * i);
        }
        ztree_check(z);
        assert_int_equal(ztree_len(z), N);
        /* Full leaves: 16 bytes a member and little more in the tree, 32 the member, 10 to 19 its share of the table. */
        assert_true(mem_used() - before < N * 75);
        assert_true(ztree_bytes(z, 0) > N * 40 && ztree_bytes(z, 5) < N * 80);
        for (int i = 0; i < N; i++) { /* and away again from the other end */
            snprintf(name, sizeof name, "%06d", i);
            assert_int_equal(ztree_rank(z, find(z, name)), way > 0 ? 0 : N - 1 - i);
            ztree_remove(z, find(z, name));
            if (i % 500 == 0)
                ztree_check(z);
        }
        assert_int_equal(ztree_len(z), 0);
        ztree_check(z);
        ztree_add(z, SLICE("again"), 1);
        ztree_check(z);
        ztree_destroy(z);
    }
}

static bool below(const void *arg, double score, struct slice member)
{
    return score < *(const double *)arg;
}

static void test_ranges(void **state)
{
    enum { N = 5000 };
    struct ztree *z = ztree_create(N);
    char name[16];
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "%d", i);
        ztree_add(z, slice_str(name), i / 4 * 4); /* four of each score */
    }
    for (int edge = -3; edge < N + 5; edge += 7) {
        double d = edge;
        int want = edge <= 0 ? 0 : (edge + 3) / 4 * 4;
        assert_int_equal(ztree_leading(z, below, &d), want < N ? want : N);
    }
    double inf = INFINITY;
    assert_int_equal(ztree_leading(z, below, &inf), N);
    ztree_remove_range(z, 100, 4000);
    ztree_check(z);
    assert_int_equal(ztree_len(z), 1000);
    assert_null(find(z, "100"));
    assert_null(find(z, "4099"));
    assert_int_equal(ztree_rank(z, find(z, "99")), 99);
    assert_int_equal((int)zmember_score(zplace_member(ztree_at(z, 100))), 4100);
    ztree_remove_range(z, 0, 1000);
    assert_int_equal(ztree_len(z), 0);
    ztree_check(z);
    ztree_destroy(z);
    ztree_destroy(NULL);
}

static void test_extreme_scores(void **state)
{
    struct item want[] = {{-INFINITY, "a"}, {-1e308, "b"}, {-5e-324, "c"}, {0.0, "d"}, {-0.0, "e"}, {5e-324, "f"}, {INFINITY, "g"}};
    size_t n = sizeof want / sizeof *want;
    struct ztree *z = ztree_create(0);
    for (size_t i = 0; i < n; i++)
        ztree_add(z, slice_str(want[(i * 5) % n].name), want[(i * 5) % n].score);
    same_as(z, want, n);
    ztree_move(z, find(z, "d"), -0.0);
    ztree_move(z, find(z, "g"), -INFINITY);
    ztree_check(z);
    assert_int_equal(ztree_rank(z, find(z, "g")), 1);
    ztree_destroy(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_extreme_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
