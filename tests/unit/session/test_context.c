/* What a model is sent: the examples that a person would think of, then the promises of session/context.h for random
 * histories and random budgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "session/context.h"
#include "unit/session/random.h"

#define CALL(id) "{\"id\":\"" id "\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"

static void say(struct session *s, enum session_role role, const char *text)
{
    add(s, (struct session_msg){.role = role, .content = slice_str(text)}, 1);
}

static void call(struct session *s, const char *calls)
{
    add(s, (struct session_msg){.role = SESSION_ASSISTANT, .tool_calls = slice_str(calls)}, 1);
}

static void answer(struct session *s, const char *id, const char *text)
{
    add(s, (struct session_msg){.role = SESSION_TOOL, .content = slice_str(text), .tool_call_id = slice_str(id)}, 1);
}

/* The context as one line: "s:prompt u:hello a t:42". */
static void expect(const struct session *s, enum session_keep keep, uint32_t n, const char *want)
{
    struct session_context c;
    struct buf b = {0};
    session_context_build(&c, s, (struct session_strategy){keep, n});
    for (size_t i = 0; i < c.n; i++) {
        buf_addf(&b, "%s%c", i ? " " : "", session_role_name(c.v[i].role)[0]);
        if (c.v[i].content.len)
            buf_addf(&b, ":%.*s", (int)c.v[i].content.len, c.v[i].content.p);
    }
    assert_string_equal(buf_cstr(&b), want);
    buf_release(&b);
    session_context_release(&c);
}

static void test_last(void **state)
{
    struct session *s = session_create(1);
    expect(s, SESSION_ALL, 0, "");
    session_set(s, SESSION_PROMPT, SLICE("be kind"));
    expect(s, SESSION_LAST, 1, "s:be kind");
    say(s, SESSION_USER, "one");
    say(s, SESSION_ASSISTANT, "two");
    say(s, SESSION_USER, "three");
    expect(s, SESSION_ALL, 0, "s:be kind u:one a:two u:three");
    expect(s, SESSION_LAST, 2, "s:be kind a:two u:three");
    expect(s, SESSION_LAST, 9, "s:be kind u:one a:two u:three");
    session_destroy(s);
}

static void test_a_tool_turn_stays_whole(void **state)
{
    struct session *s = session_create(1);
    say(s, SESSION_USER, "q");
    call(s, "[" CALL("a") "," CALL("b") "]");
    answer(s, "b", "2");
    answer(s, "a", "1");
    say(s, SESSION_ASSISTANT, "so");
    expect(s, SESSION_LAST, 5, "u:q a t:2 t:1 a:so");
    expect(s, SESSION_LAST, 4, "a t:2 t:1 a:so");
    expect(s, SESSION_LAST, 3, "a:so");
    expect(s, SESSION_LAST, 2, "a:so");
    session_destroy(s);
}

static void test_what_no_provider_takes_is_left_out(void **state)
{
    struct session *s = session_create(1);
    answer(s, "gone", "x");
    say(s, SESSION_USER, "q");
    call(s, "[" CALL("a") "," CALL("b") "]");
    answer(s, "a", "1");
    say(s, SESSION_USER, "again");
    expect(s, SESSION_ALL, 0, "u:q u:again");
    call(s, "[" CALL("c") "]");
    expect(s, SESSION_ALL, 0, "u:q u:again");
    answer(s, "z", "stray");
    answer(s, "c", "3");
    answer(s, "c", "twice");
    expect(s, SESSION_ALL, 0, "u:q u:again a t:3");
    say(s, SESSION_ASSISTANT, "done");
    answer(s, "c", "late");
    expect(s, SESSION_ALL, 0, "u:q u:again a t:3 a:done");
    session_destroy(s);
}

static void test_tokens_count_the_prompt(void **state)
{
    struct session *s = session_create(1);
    session_set(s, SESSION_PROMPT, SLICE("prompt"));
    say(s, SESSION_USER, "one");
    say(s, SESSION_ASSISTANT, "two");
    uint32_t one = session_at(s, 0).tokens, two = session_at(s, 1).tokens;
    struct session_msg p = {.role = SESSION_SYSTEM, .content = SLICE("prompt")};
    uint32_t head = session_msg_tokens(&p);
    expect(s, SESSION_TOKENS, head + one + two, "s:prompt u:one a:two");
    expect(s, SESSION_TOKENS, head + one + two - 1, "s:prompt a:two");
    expect(s, SESSION_TOKENS, head + two - 1, "s:prompt");
    expect(s, SESSION_TOKENS, 1, "s:prompt");
    session_destroy(s);
}

static void test_a_summary_stands_behind_the_prompt(void **state)
{
    struct session *s = session_create(1);
    session_set(s, SESSION_PROMPT, SLICE("prompt"));
    say(s, SESSION_USER, "one");
    expect(s, SESSION_SUMMARISED, 1, "s:prompt u:one");
    session_set(s, SESSION_SUMMARY, SLICE("short"));
    say(s, SESSION_USER, "two");
    expect(s, SESSION_SUMMARISED, 1, "s:prompt s:Summary of the conversation so far:\nshort u:two");
    expect(s, SESSION_LAST, 1, "s:prompt u:two");
    session_destroy(s);
}

static void test_json(void **state)
{
    struct session *s = session_create(1);
    struct session_context c;
    struct buf b = {0};
    say(s, SESSION_USER, "a \"b\"\n");
    call(s, "[" CALL("x") "]");
    answer(s, "x", "ok");
    session_context_build(&c, s, session_strategy(s));
    session_context_json(&c, &b);
    assert_string_equal(buf_cstr(&b), "[{\"role\":\"user\",\"content\":\"a \\\"b\\\"\\n\"},"
                                      "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" CALL(
                                          "x") "]},"
                                               "{\"role\":\"tool\",\"content\":\"ok\",\"tool_call_id\":\"x\"}]");
    buf_release(&b);
    session_context_release(&c);
    session_destroy(s);
}

/* ---- promises ---- */

static bool has_call(const struct session_msg *m, struct slice id)
{
    cJSON *v = json_parse(m->tool_calls, 1 << 20, "calls", NULL);
    bool found = false;
    for (const cJSON *i = v ? v->child : NULL; i; i = i->next)
        found = found || slice_eq(slice_str(json_str(i, "id", "")), id);
    cJSON_Delete(v);
    return found;
}

static int calls_of(const struct session_msg *m)
{
    cJSON *v = json_parse(m->tool_calls, 1 << 20, "calls", NULL);
    int n = v ? cJSON_GetArraySize(v) : 0;
    cJSON_Delete(v);
    return n;
}

/* Every call is answered exactly once, right behind it, and every tool message answers one. Returns the body's start.
 */
static size_t check_shape(const struct session_context *c)
{
    size_t head = 0;
    while (head < c->n && session_id_none(c->v[head].id))
        head++;
    for (size_t i = head; i < c->n;) {
        assert_int_not_equal(c->v[i].role, SESSION_TOOL);
        const struct session_msg *turn = &c->v[i];
        size_t n = (size_t)(turn->tool_calls.len ? calls_of(turn) : 0);
        for (size_t k = i + 1; k <= i + n; k++) {
            assert_true(k < c->n && c->v[k].role == SESSION_TOOL && has_call(turn, c->v[k].tool_call_id));
            for (size_t j = i + 1; j < k; j++)
                assert_false(slice_eq(c->v[j].tool_call_id, c->v[k].tool_call_id));
        }
        i += n + 1;
    }
    return head;
}

static void check_budget(const struct session *s, const struct session_context *c, size_t head,
                         struct session_strategy st)
{
    uint64_t tokens = 0, prompt = 0;
    for (size_t i = 0; i < c->n; i++) {
        tokens += c->v[i].tokens;
        prompt += i < head ? c->v[i].tokens : 0;
        if (i > head)
            assert_true(session_id_cmp(c->v[i - 1].id, c->v[i].id) < 0);
    }
    assert_int_equal(c->tokens, tokens);
    assert_int_equal(c->left_out, session_count(s) - (c->n - head));
    if (st.keep == SESSION_LAST || st.keep == SESSION_SUMMARISED)
        assert_true(c->n - head <= st.n);
    if (st.keep == SESSION_TOKENS)
        assert_true(tokens <= st.n || tokens == prompt);
}

/* No gap: the context is the end of the unbounded context, and the next piece before it would not have fitted. */
static void check_end_of(const struct session *s, const struct session_context *c, size_t head,
                         struct session_strategy st)
{
    struct session_context all;
    session_context_build(&all, s, (struct session_strategy){SESSION_ALL, 0});
    size_t all_head = check_shape(&all), n = c->n - head, have = all.n - all_head;
    assert_true(n <= have);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(session_id_cmp(c->v[c->n - 1 - i].id, all.v[all.n - 1 - i].id), 0);
    if (n < have) {
        size_t piece = 1;
        uint64_t tokens = all.v[all.n - n - 1].tokens;
        while (all.v[all.n - n - piece].role == SESSION_TOOL) {
            piece++;
            tokens += all.v[all.n - n - piece].tokens;
        }
        if (st.keep == SESSION_TOKENS)
            assert_true(c->tokens + tokens > st.n);
        else
            assert_true(st.keep != SESSION_ALL && n + piece > st.n);
    }
    session_context_release(&all);
}

static void test_promises_hold_for_random_histories(void **state)
{
    struct rng r;
    rng_seed(&r, 11);
    for (int round = 0; round < 1500; round++) {
        struct session *s = random_session(&r, (unsigned)rng_below(&r, 30));
        for (int k = 0; k < 4; k++) {
            struct session_strategy st = {(enum session_keep)rng_below(&r, SESSION_KEEPS), 0};
            if (st.keep != SESSION_ALL)
                st.n = 1 + (uint32_t)rng_below(&r, st.keep == SESSION_TOKENS ? 1500 : 40);
            struct session_context c;
            session_context_build(&c, s, st);
            size_t head = check_shape(&c);
            check_budget(s, &c, head, st);
            check_end_of(s, &c, head, st);
            session_context_release(&c);
        }
        session_destroy(s);
    }
}

int main(void)
{
    json_boot();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last),
        cmocka_unit_test(test_a_tool_turn_stays_whole),
        cmocka_unit_test(test_what_no_provider_takes_is_left_out),
        cmocka_unit_test(test_tokens_count_the_prompt),
        cmocka_unit_test(test_a_summary_stands_behind_the_prompt),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_promises_hold_for_random_histories),
    };
    return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
