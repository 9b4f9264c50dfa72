/* Moving allocations: the bytes stay what they are, what is counted as used too, pages that were nearly empty become
 * free; a table's entries and its chained buckets are all found where they went. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/dict.h"
#include "base/mem.h"

static void bytes_and_count_stay(void **state)
{
    mem_relocate_always(true);
    for (size_t n = 1; n < 100000; n = n * 3 + 1) {
        char *p = mem_alloc(n);
        memset(p, (int)n, n);
        size_t used = mem_used();
        p = mem_relocated(p);
        assert_int_equal(mem_used(), used);
        for (size_t i = 0; i < n; i++)
            assert_int_equal((unsigned char)p[i], n & 255);
        mem_free(p);
    }
    assert_null(mem_relocated(NULL));
    mem_relocate_always(false);
}

static void sparse_pages_become_free(void **state)
{
    enum { N = 200000 };
    static char *all[N];
    if (!mem_can_relocate())
        skip(); /* the allocator of a sanitizer */
    for (int i = 0; i < N; i++)
        memset(all[i] = mem_alloc(80), i, 80);
    for (int i = 0; i < N; i++)
        if (i % 8) {
            mem_free(all[i]);
            all[i] = NULL;
        }
    size_t used = mem_allocator(MEM_ALLOCATED), pages = mem_allocator(MEM_ACTIVE);
    mem_relocate_begin();
    for (int i = 0; i < N; i += 8)
        all[i] = mem_relocated(all[i]);
    mem_relocate_begin();
    assert_true(mem_allocator(MEM_ALLOCATED) < used + (1 << 20));
    assert_true(mem_allocator(MEM_ACTIVE) < pages - (8 << 20)); /* 14 MB were wasted */
    for (int i = 0; i < N; i += 8) {
        assert_int_equal((unsigned char)all[i][79], i & 255);
        mem_free(all[i]);
    }
}

struct entry {
    int len;
    char key[20];
};

static struct slice key_of(const void *e)
{
    return slice_of(((const struct entry *)e)->key, (size_t)((const struct entry *)e)->len);
}

static void *relocated(void *arg, void *entry)
{
    (*(int *)arg)++;
    return mem_relocated(entry);
}

static void a_table_moves(void **state)
{
    const struct dict_type type = {.key = key_of, .free = mem_free};
    mem_relocate_always(true);
    for (int n = 0; n < 3000; n = n * 2 + 1) { /* in the middle of a resize now and then */
        struct dict d;
        int seen = 0;
        uint64_t cursor = 0;
        dict_init(&d, &type);
        for (int i = 0; i < n; i++) {
            struct entry *e = mem_zero(sizeof *e);
            e->len = snprintf(e->key, sizeof e->key, "%d", i);
            dict_add(&d, e);
        }
        while ((cursor = dict_relocate(&d, cursor, relocated, &seen)))
            ;
        assert_int_equal(seen, n);
        for (int i = 0; i < n; i++) {
            char key[20];
            assert_non_null(dict_find(&d, slice_of(key, (size_t)snprintf(key, sizeof key, "%d", i))));
        }
        int more = 0;
        dict_relocate(&d, 1 << 20, relocated, &more); /* a cursor of a larger table */
        assert_int_equal(more, 0);
        dict_release(&d);
    }
    mem_relocate_always(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_and_count_stay),
        cmocka_unit_test(sparse_pages_become_free),
        cmocka_unit_test(a_table_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
