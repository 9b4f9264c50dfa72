/* <think>...</think> at the start of an answer, at every split of its bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/json.h"
#include "llm/provider.h"
#include "llm/think_tags.h"

struct halves {
    struct buf reasoning, text;
};

static bool give(void *arg, bool reasoning, struct slice text)
{
    struct halves *h = arg;
    assert_true(text.len > 0);
    return buf_add(reasoning ? &h->reasoning : &h->text, text.p, text.len);
}

static void expect(const char *in, const char *reasoning, const char *text)
{
    size_t n = strlen(in);
    for (size_t a = 0; a <= n; a++)
        for (size_t b = a; b <= n; b++) {
            struct halves h = {0};
            struct think_tags t = {0};
            assert_true(think_tags_feed(&t, slice_of(in, a), give, &h));
            assert_true(think_tags_feed(&t, slice_of(in + a, b - a), give, &h));
            assert_true(think_tags_feed(&t, slice_of(in + b, n - b), give, &h));
            assert_true(think_tags_end(&t, give, &h));
            assert_string_equal(buf_cstr(&h.reasoning), reasoning);
            assert_string_equal(buf_cstr(&h.text), text);
            buf_release(&h.reasoning);
            buf_release(&h.text);
        }
}

static void splits(void **state)
{
    expect("<think>\nhm</think>\n\nyes", "\nhm", "yes");
    expect(" \n<think>a</th</think>b", "a</th", "b");
    expect("<think>never ends</thin", "never ends</thin", "");
    expect("no tag <think>x</think>", "", "no tag <think>x</think>");
    expect("<thinker>", "", "<thinker>");
    expect("<th", "", "<th");
    expect("  ", "", "  ");
    expect("", "", "");
    expect("<think></think>", "", "");
    expect("<think>a<</think>b</think>", "a<", "b</think>");
}

static void only_where_the_row_says_so(void **state)
{
    static const char body[] = "{\"choices\":[{\"message\":{\"content\":\"<think>hm</think>yes\"}}]}";
    static const char *const text[] = {"yes", "<think>hm</think>yes"}, *const names[] = {"vllm", "openai"};
    for (int i = 0; i < 2; i++) {
        const struct llm_provider *p = llm_provider_find(slice_str(names[i]));
        struct llm_answer a;
        struct err err;
        llm_answer_init(&a);
        assert_int_equal(p->chat_whole(p, slice_str(body), &a, &err), 0);
        assert_string_equal(buf_cstr(&a.text), text[i]);
        llm_answer_release(&a);
        llm_answer_init(&a);
        struct llm_stream *s = p->stream_create(p, &a, NULL, NULL);
        struct slice in =
            SLICE("data: {\"choices\":[{\"delta\":{\"content\":\"<thi\"}}]}\n\n"
                  "data: {\"choices\":[{\"delta\":{\"content\":\"nk>hm</think>\"}}]}\n\n"
                  "data: {\"choices\":[{\"delta\":{\"content\":\"yes\"},\"finish_reason\":\"stop\"}]}\n\n");
        assert_int_equal(p->stream_feed(s, in, &err), 0);
        assert_int_equal(p->stream_end(s, &err), 0);
        assert_string_equal(buf_cstr(&a.text), text[i]);
        assert_string_equal(buf_cstr(&a.reasoning), i ? "" : "hm");
        p->stream_destroy(s);
        llm_answer_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits),
        cmocka_unit_test(only_where_the_row_says_so),
    };
    json_boot();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
