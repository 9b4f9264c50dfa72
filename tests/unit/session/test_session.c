/* The session value against a plain array: random adds, trims, forks, seeks; texts, variables, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "unit/session/random.h"

static void test_ids(void **state)
{
    struct session_id id;
    char text[SESSION_ID_TEXT];
    assert_true(session_id_parse(SLICE("17-3"), 0, &id));
    assert_int_equal(id.ms, 17);
    assert_int_equal(id.seq, 3);
    assert_int_equal(session_id_text(id, text), 4);
    assert_memory_equal(text, "17-3", 4);
    assert_true(session_id_parse(SLICE("17"), UINT32_MAX, &id));
    assert_int_equal(id.seq, UINT32_MAX);
    static const char *const bad[] = {"",   "-",   "1-", "-1", "x", "1-x", "1-4294967296", "9007199254740992-0",
                                      "1 ", "01-0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(session_id_parse(slice_str(bad[i]), 0, &id));
}

static void test_next_ids_follow_the_clock_and_never_go_back(void **state)
{
    struct session *s = session_create(5);
    struct session_msg m = {.role = SESSION_USER, .content = SLICE("hi")};
    static const struct {
        int64_t now;
        struct session_id id;
    } steps[] = {{5, {5, 0}}, {5, {5, 1}}, {4, {5, 2}}, {9, {9, 0}}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct session_id id;
        assert_int_equal(session_add(s, &m, 1, steps[i].now, &id, NULL, NULL), 0);
        assert_int_equal(session_id_cmp(id, steps[i].id), 0);
    }
    assert_int_equal(session_updated(s), 9);
    session_drop(s, 4);
    struct err err;
    m.id = (struct session_id){9, 0};
    assert_int_equal(session_add(s, &m, 1, 9, NULL, NULL, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "9-0"));
    m.id = (struct session_id){9, UINT32_MAX};
    assert_int_equal(session_add(s, &m, 1, 9, NULL, NULL, &err), 0);
    m.id = (struct session_id){0, 0};
    assert_int_equal(session_add(s, &m, 1, 9, NULL, NULL, &err), 0);
    assert_int_equal(session_last_id(s).ms, 10);
    session_destroy(s);
}

/* The naive model: ids and contents, in order. */
#define MODEL 4000
struct model {
    struct session_id id[MODEL];
    char text[MODEL][16];
    uint32_t n;
};

static void check(const struct session *s, const struct model *m)
{
    uint64_t tokens = 0;
    assert_int_equal(session_count(s), m->n);
    for (uint32_t i = 0; i < m->n; i++) {
        struct session_msg v = session_at(s, i);
        assert_int_equal(session_id_cmp(v.id, m->id[i]), 0);
        assert_true(slice_eq(v.content, slice_str(m->text[i])));
        assert_int_equal(session_seek(s, v.id), i);
        assert_int_equal(session_seek_after(s, v.id), i + 1);
        tokens += v.tokens;
    }
    assert_int_equal(session_token_sum(s), tokens);
    assert_int_equal(session_seek(s, (struct session_id){SESSION_ID_MS, 0}), m->n);
}

static void drop(struct model *m, uint32_t n)
{
    m->n -= n;
    memmove(m->id, m->id + n, m->n * sizeof *m->id);
    memmove(m->text, m->text + n, m->n * sizeof *m->text);
}

static void test_random_operations(void **state)
{
    struct rng r;
    rng_seed(&r, 7);
    struct model *m = mem_zero(sizeof *m);
    struct session *s = session_create(1), *old = NULL;
    int64_t now = 1;
    for (int step = 0; step < 6000; step++) {
        unsigned what = (unsigned)rng_below(&r, 100);
        if (what < 80 && m->n < MODEL) {
            now += (int64_t)rng_below(&r, 2);
            snprintf(m->text[m->n], sizeof *m->text, "m%d", step);
            struct session_msg v = {.role = SESSION_USER, .content = slice_str(m->text[m->n])};
            assert_int_equal(session_add(s, &v, 1, now, &m->id[m->n++], NULL, NULL), 0);
        } else if (what < 84) {
            uint32_t n = (uint32_t)rng_below(&r, m->n + 1);
            n = rng_below(&r, 8) ? n / 8 : n;
            session_drop(s, n);
            drop(m, n);
        } else if (what < 86 && m->n) {
            uint32_t at = (uint32_t)rng_below(&r, m->n);
            bool all = rng_below(&r, 2);
            struct session *f = session_fork(s, all ? (struct session_id){0, 0} : m->id[at], now);
            session_destroy(old);
            old = s; /* lives on beside its fork */
            s = f;
            if (!all)
                m->n = at + 1;
        } else if (step % 10 == 0) {
            check(s, m);
        }
    }
    check(s, m);
    session_destroy(old);
    check(s, m);
    session_destroy(s);
    mem_free(m);
}

static void test_a_message_keeps_all_its_parts(void **state)
{
    struct session *s = session_create(1);
    struct slice calls = SLICE("[{\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]");
    add(s, (struct session_msg){.role = SESSION_ASSISTANT, .name = SLICE("bot"), .tool_calls = calls}, 1);
    add(s,
        (struct session_msg){
            .role = SESSION_TOOL, .content = SLICE("42"), .tool_call_id = SLICE("c1"), .meta = SLICE("{\"ms\":3}")},
        1);
    struct session_msg a = session_at(s, 0), b = session_at(s, 1);
    assert_int_equal(a.role, SESSION_ASSISTANT);
    assert_true(slice_eq(a.tool_calls, calls) && slice_eq(a.name, SLICE("bot")));
    assert_true(a.content.len == 0 && a.meta.len == 0 && a.tool_call_id.len == 0);
    assert_true(slice_eq(b.content, SLICE("42")) && slice_eq(b.tool_call_id, SLICE("c1")));
    assert_true(slice_eq(b.meta, SLICE("{\"ms\":3}")) && b.tool_calls.len == 0);
    assert_true(b.tokens > 0);
    session_destroy(s);
}

static void test_bad_messages_are_refused_whole(void **state)
{
    static const struct {
        struct session_msg m;
        const char *says;
    } bad[] = {
        {{.role = SESSION_USER, .content = {"ab\xff", 3}}, "not valid UTF-8 at byte 2"},
        {{.role = SESSION_USER, .content = {"a\0b", 3}}, "NUL at byte 1"},
        {{.role = SESSION_USER, .tool_calls = {"[]", 2}}, "belong to the role assistant"},
        {{.role = SESSION_USER, .tool_call_id = {"x", 1}}, "belongs to the role tool"},
        {{.role = SESSION_TOOL, .content = {"x", 1}}, "needs the tool_call_id"},
        {{.role = SESSION_ASSISTANT, .tool_calls = {"[]", 2}}, "1 to 128 calls"},
        {{.role = SESSION_ASSISTANT, .tool_calls = {"{}", 2}}, "1 to 128 calls"},
        {{.role = SESSION_ASSISTANT, .tool_calls = {"[1]", 3}}, "tool_calls[0] must be an object"},
        {{.role = SESSION_ASSISTANT, .tool_calls = {"[{\"id\":\"\"}]", 11}}, "tool_calls[0].id"},
        {{.role = SESSION_ASSISTANT, .tool_calls = {"[{\"id\":\"a\"}]", 12}}, "tool_calls[0].function"},
        {{.role = SESSION_ASSISTANT, .tool_calls = {"[", 1}}, "bad JSON"},
        {{.role = SESSION_USER, .meta = {"[1]", 3}}, "meta must be a JSON object"},
        {{.role = SESSION_USER, .meta = {"{\"a\":\"\\u0000\"}", 14}}, "U+0000"},
    };
    struct session *s = session_create(1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        struct session_msg two[2] = {{.role = SESSION_USER, .content = SLICE("fine")}, bad[i].m};
        assert_int_equal(session_add(s, two, 2, 1, NULL, NULL, &err), ERR_INVALID);
        if (!strstr(err.msg, bad[i].says))
            fail_msg("'%s' does not say '%s'", err.msg, bad[i].says);
        assert_int_equal(session_count(s), 0);
        assert_true(session_id_none(session_last_id(s)));
    }
    struct session_msg fine = {.role = SESSION_USER, .meta = SLICE("{\"a\":\"\\\\u0000\"}")};
    assert_int_equal(session_add(s, &fine, 1, 1, NULL, NULL, NULL), 0);
    session_destroy(s);
}

static void test_limits_bind_clients_and_not_the_journal(void **state)
{
    static const struct session_limits lim = {.message_bytes = 4, .messages = 2, .vars = 1};
    struct session *s = session_create(1);
    struct session_msg m = {.role = SESSION_USER, .content = SLICE("12345")};
    struct err err;
    assert_int_equal(session_add(s, &m, 1, 1, NULL, &lim, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "over the limit of 4"));
    assert_int_equal(session_add(s, &m, 1, 1, NULL, NULL, &err), 0);
    m.content = SLICE("1234");
    struct session_msg two[2] = {m, m};
    assert_int_equal(session_add(s, two, 2, 1, NULL, &lim, &err), ERR_STATE);
    assert_int_equal(session_add(s, &m, 1, 1, NULL, &lim, &err), 0);
    assert_int_equal(session_add(s, &m, 1, 1, NULL, &lim, &err), ERR_STATE);
    assert_int_equal(session_count(s), 2);
    assert_int_equal(session_var_set(s, SLICE("a"), SLICE("1"), &lim, &err), 0);
    assert_int_equal(session_var_set(s, SLICE("b"), SLICE("1"), &lim, &err), ERR_STATE);
    assert_int_equal(session_var_set(s, SLICE("a"), SLICE("2"), &lim, &err), 0);
    assert_int_equal(session_var_set(s, SLICE(""), SLICE("2"), &lim, &err), ERR_INVALID);
    assert_int_equal(session_field_check(SESSION_PROMPT, SLICE("12345"), &lim, &err), ERR_INVALID);
    session_destroy(s);
}

static void test_variables_are_a_sorted_map(void **state)
{
    struct session *s = session_create(1);
    struct rng r;
    int value[64];
    memset(value, -1, sizeof value);
    rng_seed(&r, 3);
    for (int step = 0; step < 3000; step++) {
        char name[16], text[16];
        int k = (int)rng_below(&r, 64);
        snprintf(name, sizeof name, "k%d", k);
        if (rng_below(&r, 3)) {
            snprintf(text, sizeof text, "%d", value[k] = step);
            assert_int_equal(session_var_set(s, slice_str(name), slice_str(text), NULL, NULL), 0);
        } else {
            assert_int_equal(session_var_del(s, slice_str(name)), value[k] >= 0);
            value[k] = -1;
        }
    }
    uint32_t n = 0;
    for (int k = 0; k < 64; k++) {
        char name[16], text[16];
        struct slice got;
        snprintf(name, sizeof name, "k%d", k);
        snprintf(text, sizeof text, "%d", value[k]);
        assert_int_equal(session_var_get(s, slice_str(name), &got), value[k] >= 0);
        if (value[k] >= 0) {
            assert_true(slice_eq(got, slice_str(text)));
            n++;
        }
    }
    assert_int_equal(session_var_count(s), n);
    for (uint32_t i = 1; i < n; i++) {
        struct slice a, b, v;
        session_var_at(s, i - 1, &a, &v);
        session_var_at(s, i, &b, &v);
        assert_true(slice_cmp(a, b) < 0);
    }
    session_destroy(s);
}

static void test_a_fork_shares_and_then_goes_its_own_way(void **state)
{
    struct session *s = session_create(1);
    char big[4000];
    memset(big, 'x', sizeof big);
    for (int i = 0; i < 100; i++)
        add(s, (struct session_msg){.role = SESSION_USER, .content = slice_of(big, sizeof big)}, i + 1);
    session_set(s, SESSION_SUMMARY, SLICE("of all"));
    session_var_set(s, SLICE("v"), SLICE("1"), NULL, NULL);
    size_t alone = session_bytes(s, 0);
    struct session *f = session_fork(s, (struct session_id){50, 0}, 777), *all = session_clone(s);
    assert_true(session_bytes(s, 0) < alone);
    assert_int_equal(session_count(f), 50);
    assert_int_equal(session_last_id(f).ms, 50);
    assert_int_equal(session_created(f), 777);
    assert_int_equal(session_get(f, SESSION_SUMMARY).len, 0);
    assert_int_equal(session_get(all, SESSION_SUMMARY).len, 6);
    assert_int_equal(session_summary_to(all).ms, 100);
    session_var_set(f, SLICE("v"), SLICE("2"), NULL, NULL);
    add(f, (struct session_msg){.role = SESSION_USER, .content = SLICE("another way")}, 60);
    session_drop(s, 100);
    session_destroy(s);
    assert_int_equal(session_at(f, 0).content.len, sizeof big);
    assert_true(slice_eq(session_at(f, 50).content, SLICE("another way")));
    struct slice v;
    assert_true(session_var_get(all, SLICE("v"), &v) && slice_eq(v, SLICE("1")));
    session_destroy(all);
    session_destroy(f);
}

static void test_strategies(void **state)
{
    struct session_strategy st;
    struct err err;
    struct buf b = {0};
    assert_int_equal(session_strategy_from(SLICE("last 20"), &st, &err), 0);
    session_strategy_print(st, &b);
    assert_string_equal(buf_cstr(&b), "LAST 20");
    assert_int_equal(session_strategy_from(SLICE(""), &st, &err), 0);
    assert_int_equal(st.keep, SESSION_ALL);
    static const char *const bad[] = {"LAST", "LAST 0", "LAST -1", "LAST 4294967296", "SOME 3", "LAST  3", "ALL 3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(session_strategy_from(slice_str(bad[i]), &st, &err), ERR_INVALID);
    buf_release(&b);
}

static void test_tokens_are_counted_by_script(void **state)
{
    assert_int_equal(session_tokens(SLICE("")), 0);
    assert_in_range(session_tokens(SLICE("The quick brown fox jumps over the lazy dog.")), 8, 14);
    assert_in_range(session_tokens(SLICE("今天天气很好我们去公园")), 7, 14);
}

int main(void)
{
    json_boot();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_next_ids_follow_the_clock_and_never_go_back),
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_a_message_keeps_all_its_parts),
        cmocka_unit_test(test_bad_messages_are_refused_whole),
        cmocka_unit_test(test_limits_bind_clients_and_not_the_journal),
        cmocka_unit_test(test_variables_are_a_sorted_map),
        cmocka_unit_test(test_a_fork_shares_and_then_goes_its_own_way),
        cmocka_unit_test(test_strategies),
        cmocka_unit_test(test_tokens_are_counted_by_script),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
