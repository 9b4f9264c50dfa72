/* OpenAI's replies, whole and streamed, every stream at every split of its bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "llm/openai_parse.h"

struct result {
    struct llm_answer a;
    struct buf pieces;
    struct err err;
    int r;
};

static void on_delta(void *arg, const struct llm_delta *d)
{
    assert_true(d->text.len > 0 || d->kind == LLM_DELTA_TOOL);
    if (d->kind == LLM_DELTA_TEXT)
        buf_add(arg, d->text.p, d->text.len);
}

static void feed(struct slice in, size_t cut, struct result *to)
{
    *to = (struct result){0};
    llm_answer_init(&to->a);
    struct llm_stream *s = openai_stream_create(llm_provider_find(SLICE("openai")), &to->a, on_delta, &to->pieces);
    to->r = openai_stream_feed(s, slice_of(in.p, cut), &to->err);
    if (to->r == 0)
        to->r = openai_stream_feed(s, slice_of(in.p + cut, in.len - cut), &to->err);
    if (to->r == 0)
        to->r = openai_stream_end(s, &to->err);
    openai_stream_destroy(s);
}

static void drop(struct result *r)
{
    llm_answer_release(&r->a);
    buf_release(&r->pieces);
}

static void expect(struct slice in, const char *text, const char *finish, const char *calls, int64_t tin, int64_t tout)
{
    for (size_t cut = 0; cut <= in.len; cut++) {
        struct result r;
        feed(in, cut, &r);
        assert_int_equal(r.r, 0);
        assert_string_equal(buf_cstr(&r.a.text), text);
        assert_string_equal(buf_cstr(&r.pieces), text);
        assert_string_equal(buf_cstr(&r.a.finish), finish);
        assert_string_equal(buf_cstr(&r.a.tool_calls), calls);
        assert_int_equal(r.a.tokens_in, tin);
        assert_int_equal(r.a.tokens_out, tout);
        drop(&r);
    }
}

static void expect_error(struct slice in, int code, const char *part)
{
    for (size_t cut = 0; cut <= in.len; cut++) {
        struct result r;
        feed(in, cut, &r);
        assert_int_equal(r.r, code);
        assert_int_equal(r.err.code, code);
        assert_non_null(strstr(r.err.msg, part));
        drop(&r);
    }
}

static void a_plain_stream(void **state)
{
    expect(
        SLICE(
            "data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],"
            "\"usage\":null}\n\n"
            ": keep-alive\n\n"
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"},\"finish_reason\":null}]}\n\n"
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"l\xc3\xb6 \\u4e2d\"}}]}\n\n"
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n"
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\n"
            "data: [DONE]\n\n"),
        "Hell\xc3\xb6 \xe4\xb8\xad", "length", "", 9, 3);
}

static void loose_servers(void **state)
{
    /* no [DONE], no last blank line, CRLF, no space after the colon, content as parts, other choices ignored */
    expect(SLICE("data:{\"choices\":[{\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}}]}\r\n\r\n"
                 "data:{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"}},{\"index\":0,\"delta\":{\"content\":"
                 "\"b\"},"
                 "\"finish_reason\":\"stop\"}]}"),
           "ab", "stop", "", -1, -1);
    /* [DONE] and no finish_reason; something after [DONE] */
    expect(SLICE("data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\ndata: {broken\n\n"), "x",
           "stop", "", -1, -1);
    /* refusal */
    expect(SLICE("data: {\"choices\":[{\"delta\":{\"refusal\":\"I won't\"},\"finish_reason\":\"stop\"}]}\n\n"),
           "I won't", "stop", "", -1, -1);
}

static void reasoning_is_kept_apart(void **state)
{
    struct result r;
    struct slice in = SLICE("data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
                            "data: {\"choices\":[{\"delta\":{\"reasoning\":\"m\"}}]}\n\n"
                            "data: {\"choices\":[{\"delta\":{\"content\":\"yes\"},\"finish_reason\":\"stop\"}]}\n\n");
    feed(in, in.len, &r);
    assert_int_equal(r.r, 0);
    assert_string_equal(buf_cstr(&r.a.reasoning), "hmm");
    assert_string_equal(buf_cstr(&r.a.text), "yes");
    drop(&r);
}

#define CHUNK(calls) "data: {\"choices\":[{\"delta\":{\"tool_calls\":[" calls "]}}]}\n\n"
#define TOOL_END     "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n"

static void tool_calls_are_put_together(void **state)
{
    const char *one =
        "[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]";
    const char *two =
        "[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
        "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"b\\\":2}\"}}]";
    expect(SLICE(CHUNK(
               "{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}")
                     CHUNK("{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\"\"}}")
                         CHUNK("{\"index\":0,\"function\":{\"arguments\":\":1}\"}}") TOOL_END),
           "", "tool_calls", one, -1, -1);
    /* two calls, interleaved */
    expect(SLICE(CHUNK("{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\"}},{\"index\":1,\"id\":\"c2\","
                       "\"function\":{\"name\":\"g\"}}")
                     CHUNK("{\"index\":1,\"function\":{\"arguments\":\"{\\\"b\\\":2}\"}}") TOOL_END),
           "", "tool_calls", two, -1, -1);
    /* no index: by id, then the last one; the id repeated; arguments as an object */
    expect(SLICE(CHUNK("{\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\"\"}}")
                     CHUNK("{\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\":\"}}")
                         CHUNK("{\"function\":{\"arguments\":\"1}\"}}") TOOL_END),
           "", "tool_calls", one, -1, -1);
    expect(SLICE(CHUNK("{\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}") TOOL_END), "",
           "tool_calls", one, -1, -1);
}

static void streams_that_fail(void **state)
{
    expect_error(SLICE("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"), ERR_UPSTREAM,
                 "ended in the middle");
    expect_error(SLICE(""), ERR_UPSTREAM, "ended in the middle");
    expect_error(SLICE("data: {\"error\":{\"message\":\"overloaded\"}}\n\n"), ERR_UPSTREAM, "overloaded");
    expect_error(SLICE("data: {\"error\":\"plain\"}\n\n"), ERR_UPSTREAM, "plain");
    expect_error(SLICE("data: {\"error\":{\"message\":\"slow\",\"code\":429}}\n\n"), ERR_QUOTA, "slow");
    expect_error(SLICE("data: {\"choices\n\n"), ERR_UPSTREAM, "not one of the OpenAI API");
    expect_error(SLICE("data: 7\n\n"), ERR_UPSTREAM, "no JSON object");
    expect_error(SLICE("data: {\"a\":\"\xff\"}\n\n"), ERR_UPSTREAM, "UTF-8");
}

static const char *calls_of(const char *calls, struct buf *to)
{
    cJSON *v = cJSON_Parse(calls);
    buf_clear(to);
    openai_whole_calls(v, to);
    cJSON_Delete(v);
    return buf_cstr(to);
}

static void what_servers_leave_out_of_tool_calls(void **state)
{
    static const char one[] =
        "[{\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"},\"id\":\"call_0\",\"type\":\"function\"}]";
    struct buf to = {0};
    assert_string_equal(calls_of("{\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}", &to), one);
    assert_string_equal(calls_of("[7,{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}},\"id\":\"\"}]", &to), one);
    assert_string_equal(
        calls_of("[{\"id\":\"i\",\"type\":\"function\",\"extra\":{},\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]",
                 &to),
        "[{\"id\":\"i\",\"type\":\"function\",\"extra\":{},\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]");
    assert_string_equal(calls_of("[]", &to), "");
    assert_string_equal(calls_of("null", &to), "");
    assert_string_equal(calls_of("\"no\"", &to), "");
    buf_release(&to);
}

static int whole(const char *body, struct llm_answer *a, struct err *err)
{
    llm_answer_init(a);
    return openai_chat_whole(llm_provider_find(SLICE("openai")), slice_str(body), a, err);
}

static void whole_replies(void **state)
{
    struct llm_answer a;
    struct err err;
    assert_int_equal(
        whole("{\"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"hi\",\"reasoning_content\":\"r\"},"
              "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}",
              &a, &err),
        0);
    assert_string_equal(buf_cstr(&a.text), "hi");
    assert_string_equal(buf_cstr(&a.reasoning), "r");
    assert_string_equal(buf_cstr(&a.model_id), "m");
    assert_int_equal(a.tokens_in, 5);
    llm_answer_release(&a);
    assert_int_equal(whole("{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{\"id\":\"x\"}]},"
                           "\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":-5}}",
                           &a, &err),
                     0);
    assert_string_equal(buf_cstr(&a.tool_calls), "[{\"id\":\"x\",\"type\":\"function\"}]");
    assert_int_equal(a.tokens_in, -1);
    llm_answer_release(&a);
    static const char *const bad[] = {"",
                                      "<html>",
                                      "[]",
                                      "{}",
                                      "{\"choices\":[]}",
                                      "{\"choices\":[{}]}",
                                      "{\"choices\":{}}",
                                      "{\"error\":{\"message\":\"no\"}}",
                                      "null",
                                      "{\"choices\":[{\"message\":{}}]} x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(whole(bad[i], &a, &err), ERR_UPSTREAM);
        assert_true(strlen(err.msg) > 10);
        llm_answer_release(&a);
    }
}

static int embed(const char *body, int n, struct llm_answer *a, struct err *err)
{
    llm_answer_init(a);
    return openai_embed_whole(llm_provider_find(SLICE("openai")), slice_str(body), n, a, err);
}

static void embeddings(void **state)
{
    struct llm_answer a;
    struct err err;
    assert_int_equal(embed("{\"data\":[{\"index\":1,\"embedding\":[3,4]},{\"index\":0,\"embedding\":[1,2.5]}],"
                           "\"usage\":{\"prompt_tokens\":6}}",
                           2, &a, &err),
                     0);
    assert_int_equal(a.dim, 2);
    assert_true(a.vectors[0] == 1 && a.vectors[1] == 2.5f && a.vectors[2] == 3 && a.vectors[3] == 4);
    assert_int_equal(a.tokens_in, 6);
    llm_answer_release(&a);
    static const char *const bad[] = {
        "{}",
        "{\"data\":[]}",
        "{\"data\":[{\"index\":0,\"embedding\":[1]}]}", /* one of two */
        "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":0,\"embedding\":[1]}]}",
        "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":2,\"embedding\":[1]}]}",
        "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":-1,\"embedding\":[1]}]}",
        "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":1,\"embedding\":[1,2]}]}",
        "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":1,\"embedding\":[\"x\"]}]}",
        "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":1,\"embedding\":[1e300]}]}",
        "{\"data\":[{\"index\":0,\"embedding\":[]},{\"index\":1,\"embedding\":[]}]}",
        "{\"data\":[{\"index\":0,\"embedding\":\"AAAA\"},{\"index\":1,\"embedding\":\"AAAA\"}]}",
        "{\"data\":[{\"index\":0,\"embedding\":[1]},7]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(embed(bad[i], 2, &a, &err), ERR_UPSTREAM);
        llm_answer_release(&a);
    }
}

static void error_bodies(void **state)
{
    static const struct {
        const char *body, *text;
        int status;
        enum llm_class class;
    } cases[] = {
        {"{\"error\":{\"message\":\"bad key\",\"code\":\"invalid_api_key\"}}", "bad key", 401, LLM_AUTH},
        {"{\"error\":{\"message\":\"pay\",\"type\":\"insufficient_quota\"}}", "pay", 429, LLM_CREDIT},
        {"{\"error\":\"text\"}", "text", 429, LLM_RATE},
        {"{\"message\":\"m\"}", "m", 404, LLM_BAD},
        {"{\"detail\":\"d\"}", "d", 503, LLM_TRANSIENT},
        {"not json", "", 408, LLM_TRANSIENT},
        {"{\"error\":{\"code\":\"content_filter\"}}", "", 400, LLM_CONTENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct llm_failure f;
        llm_failure_init(&f);
        openai_failure(llm_provider_find(SLICE("openai")), cases[i].status, slice_str(cases[i].body), &f);
        assert_string_equal(buf_cstr(&f.text), cases[i].text);
        assert_int_equal(f.class, cases[i].class);
        llm_failure_release(&f);
    }
}

static int up(void **state)
{
    json_boot();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_stream),
        cmocka_unit_test(loose_servers),
        cmocka_unit_test(reasoning_is_kept_apart),
        cmocka_unit_test(tool_calls_are_put_together),
        cmocka_unit_test(streams_that_fail),
        cmocka_unit_test(whole_replies),
        cmocka_unit_test(what_servers_leave_out_of_tool_calls),
        cmocka_unit_test(embeddings),
        cmocka_unit_test(error_bodies),
    };
    return cmocka_run_group_tests(tests, up, NULL);
}
