/* builtin/extract: the question, the context, the sentences quoted and their sources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "llm/extract.h"

static char answer_text[8192], finish_text[32];

static const char *ask(const struct llm_request *q)
{
    struct buf a = {0}, f = {0};
    struct err err;
    assert_int_equal(extract_answer(q, &a, &f, &err), 0);
    snprintf(answer_text, sizeof answer_text, "%s", buf_cstr(&a));
    snprintf(finish_text, sizeof finish_text, "%s", buf_cstr(&f));
    buf_release(&a);
    buf_release(&f);
    return answer_text;
}

static const char *ask_one(const char *system, const char *user)
{
    struct llm_message m = {.role = SLICE("user"), .content = slice_str(user)};
    struct llm_request q = LLM_REQUEST;
    q.system = slice_str(system);
    q.messages = &m;
    q.nmessages = 1;
    return ask(&q);
}

#define PASSAGES                                                                                                       \
    "Answer from these passages.\n\n[1] The tower is 330 metres tall. It was built in 1889 by the company of an "      \
    "engineer.\n[2] Tickets\ncost 29 euros. Children pay half.\n\n[source: opening.txt] The tower is open from 9 to "  \
    "23 o'clock.\n"

static void the_best_sentence_comes_with_its_source(void **state)
{
    assert_string_equal(ask_one(PASSAGES, "How tall is the tower?"), "The tower is 330 metres tall. [1]");
    assert_string_equal(ask_one(PASSAGES, "What do tickets cost?"), "Tickets cost 29 euros. [2]");
    assert_string_equal(ask_one(PASSAGES, "When does it open?"),
                        "The tower is open from 9 to 23 o'clock. [opening.txt]");
    assert_string_equal(finish_text, "stop");
}

static void a_question_on_two_passages_gets_both(void **state)
{
    const char *a = ask_one(PASSAGES, "When was it built and what do children pay?");
    assert_non_null(strstr(a, "built in 1889"));
    assert_non_null(strstr(a, "Children pay half. [2]"));
}

static void the_context_may_stand_before_the_question(void **state)
{
    assert_string_equal(ask_one("Be brief.", PASSAGES "\nQuestion: What do tickets cost?\nAnswer:"),
                        "Tickets cost 29 euros. [2]");
    assert_string_equal(ask_one("Be brief.", PASSAGES "\n\nWhat do tickets cost?"), "Tickets cost 29 euros. [2]");
}

static void without_labels_the_messages_are_the_context(void **state)
{
    struct llm_message ms[] = {
        {.role = SLICE("user"), .content = SLICE("My dog is called Rex. He is seven years old.")},
        {.role = SLICE("assistant"), .content = SLICE("What a nice name, the dog is called Bello.")},
        {.role = SLICE("user"), .content = SLICE("What is my dog called?")},
    };
    struct llm_request q = LLM_REQUEST;
    q.messages = ms;
    q.nmessages = 3;
    assert_string_equal(ask(&q), "My dog is called Rex.");
}

static void when_nothing_fits_it_says_so(void **state)
{
    assert_non_null(strstr(ask_one(PASSAGES, "Who won the chess tournament?"), "no sentence in the given context"));
    assert_non_null(strstr(ask_one("", "Who won?"), "no text to quote from"));
    assert_non_null(strstr(ask_one("[1] Something else entirely.", "the of and?"), "no sentence in the given context"));
    /* Chinese */
    assert_non_null(strstr(ask_one("[1] Something.", "\xe8\xb0\x81\xe8\xb5\xa2\xe4\xba\x86\xe6\xaf\x94\xe8\xb5\x9b"),
                           "\xe6\xb2\xa1\xe6\x9c\x89"));
}

static void chinese(void **state)
{
    const char *context =
        "[1] "
        "\xe9\x95\xbf\xe5\x9f\x8e\xe5\x85\xa8\xe9\x95\xbf\xe4\xb8\xa4\xe4\xb8\x87\xe5\x85\xac\xe9\x87\x8c\xe3\x80\x82"
        "\xe5\xae\x83\xe4\xbd\x8d\xe4\xba\x8e\xe5\x8c\x97\xe6\x96\xb9\xe3\x80\x82\n"
        "[2] "
        "\xe6\x95\x85\xe5\xae\xab\xe7\x9a\x84\xe9\x97\xa8\xe7\xa5\xa8\xe6\x98\xaf\xe5\x85\xad\xe5\x8d\x81\xe5\x85\x83"
        "\xe3\x80\x82";
    /* How much is the ticket of the palace? */
    assert_string_equal(
        ask_one(context,
                "\xe6\x95\x85\xe5\xae\xab\xe9\x97\xa8\xe7\xa5\xa8\xe5\xa4\x9a\xe5\xb0\x91\xe9\x92\xb1\xef\xbc\x9f"),
        "\xe6\x95\x85\xe5\xae\xab\xe7\x9a\x84\xe9\x97\xa8\xe7\xa5\xa8\xe6\x98\xaf\xe5\x85\xad\xe5\x8d\x81\xe5\x85\x83"
        "\xe3\x80\x82 [2]");
    /* How long is the Great Wall? with a marker */
    assert_string_equal(
        ask_one("", "[1] "
                    "\xe9\x95\xbf\xe5\x9f\x8e\xe5\x85\xa8\xe9\x95\xbf\xe4\xb8\xa4\xe4\xb8\x87\xe5\x85\xac\xe9\x87\x8c"
                    "\xe3\x80\x82\n"
                    "\xe9\x97\xae\xe9\xa2\x98\xef\xbc\x9a\xe9\x95\xbf\xe5\x9f\x8e\xe6\x9c\x89\xe5\xa4\x9a\xe9\x95\xbf"),
        "\xe9\x95\xbf\xe5\x9f\x8e\xe5\x85\xa8\xe9\x95\xbf\xe4\xb8\xa4\xe4\xb8\x87\xe5\x85\xac\xe9\x87\x8c\xe3\x80\x82 "
        "[1]");
}

static void json_and_length(void **state)
{
    struct llm_message m = {.role = SLICE("user"), .content = SLICE("What do tickets cost?")};
    struct llm_request q = LLM_REQUEST;
    q.system = slice_str(PASSAGES);
    q.messages = &m;
    q.nmessages = 1;
    q.json = true;
    assert_string_equal(ask(&q), "{\"answer\":\"Tickets cost 29 euros. [2]\",\"sources\":[\"2\"]}");
    q.json = false;
    q.max_tokens = 3;
    assert_string_equal(ask(&q), "Tickets c");
    assert_string_equal(finish_text, "length");
}

static void what_cannot_be_answered_is_refused(void **state)
{
    struct llm_message m = {.role = SLICE("system"), .content = SLICE("x")};
    struct llm_request q = LLM_REQUEST;
    struct buf a = {0}, f = {0};
    struct err err;
    assert_int_equal(extract_answer(&q, &a, &f, &err), ERR_INVALID);
    q.messages = &m;
    q.nmessages = 1;
    assert_int_equal(extract_answer(&q, &a, &f, &err), ERR_INVALID);
    char *big = mem_zero(EXTRACT_CONTEXT_MAX + 1);
    memset(big, 'x', EXTRACT_CONTEXT_MAX + 1);
    m = (struct llm_message){.role = SLICE("user"), .content = slice_of(big, EXTRACT_CONTEXT_MAX + 1)};
    assert_int_equal(extract_answer(&q, &a, &f, &err), ERR_INVALID);
    mem_free(big);
    assert_int_equal(a.len, 0);
}

static void strange_texts_do_no_harm(void **state)
{
    static const char *const texts[] = {
        "[",      "[]",       "[1]",   "[1]\n[2]\n",    "Question:",      "[x",
        "\n\n\n", "Q: [1] a", "? ? ?", "\xff\xfe[1] a", "[1] a\n\n[2] b", "question: \n\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            assert_true(strlen(ask_one(texts[i], texts[k])) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_sentence_comes_with_its_source),
        cmocka_unit_test(a_question_on_two_passages_gets_both),
        cmocka_unit_test(the_context_may_stand_before_the_question),
        cmocka_unit_test(without_labels_the_messages_are_the_context),
        cmocka_unit_test(when_nothing_fits_it_says_so),
        cmocka_unit_test(chinese),
        cmocka_unit_test(json_and_length),
        cmocka_unit_test(what_cannot_be_answered_is_refused),
        cmocka_unit_test(strange_texts_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
