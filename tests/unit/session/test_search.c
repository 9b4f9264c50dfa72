/* Search by words: what is found, in which order, and the same as counting by hand for random sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "session/search.h"
#include "unit/session/random.h"

static struct session *with(const char *const *texts)
{
    struct session *s = session_create(1);
    for (; *texts; texts++)
        add(s, (struct session_msg){.role = SESSION_USER, .content = slice_str(*texts)}, 1);
    return s;
}

static void expect(const struct session *s, const char *query, size_t k, size_t n, const uint32_t *index)
{
    struct session_hit hits[32];
    assert_int_equal(session_search(s, slice_str(query), hits, k, NULL, NULL), n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(hits[i].index, index[i]);
        assert_true(hits[i].score > 0 && (i == 0 || hits[i].score <= hits[i - 1].score));
    }
}

static void test_order(void **state)
{
    struct session *s =
        with((const char *const[]){"The ship sails at noon.", "A ship, a harbour.", "Noon is late.",
                                   "The harbour; the HARBOUR!", "会话存储在内存中", "It is the one.", NULL});
    expect(s, "harbour", 10, 2, (uint32_t[]){3, 1});
    expect(s, "ship noon", 10, 3, (uint32_t[]){0, 2, 1});
    expect(s, "ship noon", 1, 1, (uint32_t[]){0});
    expect(s, "内存", 10, 1, (uint32_t[]){4});
    expect(s, "zeppelin", 10, 0, NULL);
    expect(s, "", 10, 0, NULL);
    expect(s, "?! ...", 10, 0, NULL);
    expect(s, "the harbour", 10, 2, (uint32_t[]){3, 1});
    struct session_hit hits[8];
    assert_true(session_search(s, SLICE("is the"), hits, 8, NULL, NULL) >= 1);
    session_destroy(s);
}

static void test_rare_words_count_more(void **state)
{
    struct session *s =
        with((const char *const[]){"red fish", "red boat", "red house", "red tree", "blue whale", "red car", NULL});
    expect(s, "red whale", 1, 1, (uint32_t[]){4});
    session_destroy(s);
}

static bool at_once(void *arg)
{
    ++*(int *)arg;
    return true;
}

static void test_it_stops_when_told(void **state)
{
    struct session *s = with((const char *const[]){"one", "two", NULL});
    struct session_hit hits[2];
    int asked = 0;
    assert_int_equal(session_search(s, SLICE("one"), hits, 2, at_once, &asked), 0);
    assert_int_equal(asked, 1);
    session_destroy(s);
}

static void test_all_holders_are_found(void **state)
{
    struct rng r;
    rng_seed(&r, 51);
    for (int round = 0; round < 200; round++) {
        struct session *s = random_session(&r, (unsigned)rng_below(&r, 60));
        static struct session_hit hits[1000];
        size_t n = session_search(s, SLICE("nearest"), hits, 1000, NULL, NULL), want = 0;
        for (uint32_t i = 0; i < session_count(s); i++) {
            struct slice t = session_at(s, i).content;
            want += memmem(t.p, t.len, "nearest", 7) != NULL;
        }
        assert_int_equal(n, want);
        for (size_t i = 0; i < n; i++) {
            struct slice t = session_at(s, hits[i].index).content;
            assert_non_null(memmem(t.p, t.len, "nearest", 7));
        }
        session_destroy(s);
    }
}

int main(void)
{
    json_boot();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_rare_words_count_more),
        cmocka_unit_test(test_it_stops_when_told),
        cmocka_unit_test(test_all_holders_are_found),
    };
    return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
