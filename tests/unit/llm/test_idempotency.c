/* Idempotency: one call for equal requests, its pieces and its end for all; what is kept, how long, and through words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/setting.h"
#include "llm/idempotency.h"

#define HOUR_MS INT64_C(3600000)
#define T0      INT64_C(1700000000000)

static struct idem *t;
static struct err err;
static char told[1024]; /* what joiners heard */

static int begin(void **state)
{
    t = idem_create();
    told[0] = 0;
    return 0;
}

static int finish(void **state)
{
    idem_destroy(t);
    return 0;
}

static int ask_at(const char *owner, const char *token, const char *request, int64_t now, struct idem_entry **e)
{
    struct slice parts[] = {slice_str(request)};
    struct idem_claim c = {slice_str(owner), slice_str(token), parts, 1};
    return idem_begin(t, &c, now, e, &err);
}

static struct llm_reply reply_of(const char *text)
{
    return (struct llm_reply){
        .text = slice_str(text),
        .finish = SLICE("stop"),
        .tool_calls = SLICE("[{\"id\":\"1\"}]"),
        .facts = {.model = SLICE("m"), .tokens_in = 7, .tokens_out = 3, .cost = -1, .attempts = 2, .estimated = true},
    };
}

static void on_delta(void *arg, const struct llm_delta *d)
{
    snprintf(told + strlen(told), sizeof told - strlen(told), "%s%d(%.*s|%.*s)", (const char *)arg, (int)d->kind,
             (int)d->tool_name.len, d->tool_name.p, (int)d->text.len, d->text.p);
}

static void on_done(void *arg, const struct llm_reply *r, const struct err *e)
{
    snprintf(told + strlen(told), sizeof told - strlen(told), "%s.%s%.*s", (const char *)arg,
             e ? err_class(e->code) : "", (int)r->text.len, r->text.p);
}

static const struct llm_chat_events events = {on_delta, on_done};

static void piece(struct idem_entry *e, enum llm_delta_kind kind, const char *name, const char *text)
{
    struct llm_delta d = {.kind = kind, .text = slice_str(text), .tool_name = slice_str(name)};
    idem_delta(e, &d);
}

static void the_answer_is_given_again(void **state)
{
    struct idem_entry *e;
    struct llm_reply r = reply_of("hello"), back;
    assert_int_equal(ask_at("bob", "k", "body", T0, &e), IDEM_FRESH);
    idem_finish(t, e, &r, NULL, T0);
    assert_int_equal(ask_at("bob", "k", "body", T0 + 24 * HOUR_MS - 1, &e), IDEM_REPLAY);
    assert_int_equal(idem_reply(e, &back, &err), 0);
    assert_true(slice_eq(back.text, SLICE("hello")) && slice_eq(back.finish, SLICE("stop")));
    assert_true(slice_eq(back.tool_calls, r.tool_calls) && slice_eq(back.facts.model, SLICE("m")));
    assert_true(back.facts.replayed && back.facts.estimated && back.facts.tokens_in == 7 && back.facts.attempts == 2);
    assert_int_equal(ask_at("bob", "k", "other body", T0, &e), IDEM_CONFLICT);
    assert_int_equal(err.code, ERR_STATE);
    assert_int_equal(ask_at("eve", "k", "other body", T0, &e), IDEM_FRESH); /* hers */
    idem_abandon(t, e, &err);
    assert_int_equal(ask_at("bob", "k", "body", T0 + 24 * HOUR_MS, &e), IDEM_FRESH);
    idem_abandon(t, e, &err);
}

static void parts_do_not_run_together(void **state)
{
    struct slice one[] = {SLICE("ab"), SLICE("c")}, two[] = {SLICE("a"), SLICE("bc")};
    struct idem_claim c = {SLICE(""), SLICE("k"), one, 2};
    struct idem_entry *e, *f;
    assert_int_equal(idem_begin(t, &c, T0, &e, &err), IDEM_FRESH);
    c.request = two;
    assert_int_equal(idem_begin(t, &c, T0, &f, &err), IDEM_CONFLICT);
    idem_abandon(t, e, &err);
    char long_token[IDEM_TOKEN_MAX + 2] = "";
    memset(long_token, 'x', IDEM_TOKEN_MAX + 1);
    assert_int_equal(ask_at("", "", "b", T0, &e), ERR_INVALID);
    assert_int_equal(ask_at("", long_token, "b", T0, &e), ERR_INVALID);
}

static void who_comes_later_joins(void **state)
{
    struct idem_entry *e, *f;
    struct idem_join a = {0}, b = {0}, c = {0};
    struct llm_reply r = reply_of("Hi there");
    assert_int_equal(ask_at("", "k", "body", T0, &e), IDEM_FRESH);
    assert_false(idem_joined(e));
    assert_int_equal(ask_at("", "k", "body", T0, &f), IDEM_JOINED);
    assert_ptr_equal(e, f);
    idem_join(f, &a, &events, "a");
    piece(e, LLM_DELTA_REASONING, "", "hm");
    piece(e, LLM_DELTA_TEXT, "", "Hi");
    piece(e, LLM_DELTA_TOOL, "f", "{");
    piece(e, LLM_DELTA_TOOL, "", "}");
    piece(e, LLM_DELTA_TEXT, "", " th");
    idem_join(f, &b, &events, "b");
    idem_join(f, &c, &events, "c");
    idem_leave(&c);
    piece(e, LLM_DELTA_TEXT, "", "ere");
    assert_true(idem_joined(e));
    idem_finish(t, e, &r, NULL, T0);
    assert_string_equal(told, "a1(|hm)a0(|Hi)a2(f|{)a2(|})a0(| th)"
                              "b1(|hm)b0(|Hi)b2(f|{})b0(| th)"
                              "c1(|hm)c0(|Hi)c2(f|{})c0(| th)"
                              "a0(|ere)b0(|ere)a.Hi thereb.Hi there");
    idem_leave(&a); /* harmless now */
}

static struct idem_entry *current;
static struct idem_join leaver;

static void leave_and_end(void *arg, const struct llm_delta *d)
{
    idem_leave(&leaver);
    if (!idem_joined(current)) {
        idem_abandon(t, current, &err);
        current = NULL;
    }
}

static void the_last_may_end_it_from_its_piece(void **state)
{
    static const struct llm_chat_events leaving = {leave_and_end, on_done};
    struct idem_stats s;
    assert_int_equal(ask_at("", "k", "body", T0, &current), IDEM_FRESH);
    leaver = (struct idem_join){0};
    idem_join(current, &leaver, &leaving, "x");
    piece(current, LLM_DELTA_TEXT, "", "a");
    assert_null(current);
    assert_int_equal(ask_at("", "k", "body", T0, &current), IDEM_FRESH);
    piece(current, LLM_DELTA_TEXT, "", "a");
    piece(current, LLM_DELTA_REASONING, "", "b");
    leaver = (struct idem_join){0};
    idem_join(current, &leaver, &leaving, "x"); /* leaves while it catches up */
    assert_null(current);
    idem_stats(t, &s);
    assert_int_equal(s.running, 0);
    assert_string_equal(told, "");
}

static void failures_are_not_kept_but_bad_requests_are(void **state)
{
    struct idem_entry *e;
    struct idem_join a = {0};
    struct llm_reply r = reply_of("half"), back;
    assert_int_equal(ask_at("", "k", "body", T0, &e), IDEM_FRESH);
    idem_join(e, &a, &events, "a");
    err_set(&err, ERR_UPSTREAM, "broken off");
    idem_finish(t, e, &r, &err, T0);
    assert_string_equal(told, "a.UPSTREAMhalf");
    assert_int_equal(ask_at("", "k", "body", T0, &e), IDEM_FRESH); /* again */
    err_set(&err, ERR_INVALID, "no such parameter");
    idem_finish(t, e, &r, &err, T0);
    assert_int_equal(ask_at("", "k", "body", T0, &e), IDEM_REPLAY);
    err.msg[0] = 0;
    assert_int_equal(idem_reply(e, &back, &err), ERR_INVALID);
    assert_string_equal(err.msg, "no such parameter");
    assert_int_equal(back.facts.failure, LLM_BAD);
}

static void memory_is_bounded(void **state)
{
    struct idem_entry *e;
    char token[16], text[1000] = "";
    memset(text, 'x', sizeof text - 1);
    struct llm_reply r = reply_of(text);
    struct idem_stats s;
    assert_int_equal(setting_set(setting_find(SLICE("llm-idempotency-max-memory")), SLICE("20kb"), true, &err), 0);
    for (int i = 0; i < 100; i++) {
        snprintf(token, sizeof token, "t%d", i);
        assert_int_equal(ask_at("", token, "body", T0 + i, &e), IDEM_FRESH);
        idem_finish(t, e, &r, NULL, T0 + i);
        idem_stats(t, &s);
        assert_true(s.bytes <= 20480 && s.running == 0);
    }
    assert_true(s.kept > 5 && s.kept < 20);
    assert_int_equal(ask_at("", "t99", "body", T0 + 100, &e), IDEM_REPLAY);
    char large[6000]; /* more than a quarter: the others stay */
    int64_t kept = s.kept;
    memset(large, 'x', sizeof large);
    struct llm_reply much = reply_of("");
    much.text = slice_of(large, sizeof large);
    assert_int_equal(ask_at("", "large", "body", T0 + 100, &e), IDEM_FRESH);
    idem_finish(t, e, &much, NULL, T0 + 100);
    idem_stats(t, &s);
    assert_int_equal(s.kept, kept);
    assert_int_equal(ask_at("", "t0", "body", T0 + 100, &e), IDEM_FRESH);
    assert_int_equal(setting_set(setting_find(SLICE("llm-idempotency-max-memory")), SLICE("0"), true, &err), 0);
    idem_finish(t, e, &r, NULL, T0 + 100);
    idem_stats(t, &s);
    assert_true(s.kept == 0 && s.bytes == 0);
    assert_int_equal(setting_set(setting_find(SLICE("llm-idempotency-max-memory")), SLICE("64mb"), true, &err), 0);
}

/* ---- words ---- */

static struct slice words[IDEM_WORDS_MAX];
static int nwords;

static void on_word(void *arg, struct slice w)
{
    words[nwords++] = slice_of(mem_dup(w.p ? w.p : "", w.len), w.len);
}

static void on_kept(void *arg, const struct idem_entry *e)
{
    nwords = 0;
    idem_words(e, on_word, NULL);
}

static void free_words(void)
{
    while (nwords)
        mem_free((void *)words[--nwords].p);
}

static void ends_come_back_from_words(void **state)
{
    struct idem_entry *e;
    struct llm_reply r = reply_of("hello\r\nyou"), back;
    idem_on_kept(t, on_kept, NULL);
    assert_int_equal(ask_at("bob", "secret token", "body", T0, &e), IDEM_FRESH);
    idem_finish(t, e, &r, NULL, T0);
    assert_true(nwords > 10);
    for (int i = 0; i < nwords; i++)
        assert_false(slice_eq(words[i], SLICE("secret token")) || slice_eq(words[i], SLICE("body")));
    idem_destroy(t);
    t = idem_create();
    assert_int_equal(idem_restore(t, words, nwords, T0 + 1, &err), 0);
    assert_int_equal(idem_restore(t, words, nwords, T0 + 1, &err), 0); /* twice is once */
    assert_int_equal(ask_at("bob", "secret token", "body", T0 + 1, &e), IDEM_REPLAY);
    assert_int_equal(idem_reply(e, &back, &err), 0);
    assert_true(slice_eq(back.text, r.text) && slice_eq(back.tool_calls, r.tool_calls));
    assert_true(back.facts.cost == -1 && back.facts.tokens_out == 3 && back.facts.estimated &&
                back.facts.attempts == 2);
    struct idem_stats s;
    idem_stats(t, &s);
    assert_int_equal(s.kept, 1);
    assert_int_equal(idem_restore(t, words, nwords, T0 + 25 * HOUR_MS, &err), 0); /* too old */
    idem_stats(t, &s);
    assert_int_equal(s.kept, 0);
    assert_int_equal(s.bytes, 0);
    assert_int_equal(idem_restore(t, words, nwords - 1, T0, &err), ERR_INVALID);
    assert_int_equal(idem_restore(t, words + 1, nwords - 1, T0, &err), ERR_INVALID);
    struct slice last = words[nwords - 2];
    words[nwords - 2] = SLICE("NOSUCH");
    assert_int_equal(idem_restore(t, words, nwords, T0, &err), ERR_INVALID);
    words[nwords - 2] = last;
    free_words();
}

int main(void)
{
    json_boot();
    idem_boot();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_answer_is_given_again, begin, finish),
        cmocka_unit_test_setup_teardown(parts_do_not_run_together, begin, finish),
        cmocka_unit_test_setup_teardown(who_comes_later_joins, begin, finish),
        cmocka_unit_test_setup_teardown(the_last_may_end_it_from_its_piece, begin, finish),
        cmocka_unit_test_setup_teardown(failures_are_not_kept_but_bad_requests_are, begin, finish),
        cmocka_unit_test_setup_teardown(memory_is_bounded, begin, finish),
        cmocka_unit_test_setup_teardown(ends_come_back_from_words, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
