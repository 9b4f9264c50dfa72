/* The messages API: request bodies byte for byte; replies, whole and at every split of a stream's bytes. */
#include "bodies.h"

#include <math.h>

#define HI "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}]"

static const struct llm_message hi[] = {{.role = {"user", 4}, .content = {"hi", 2}}};

static struct llm_request simple(void)
{
    struct llm_request q = LLM_REQUEST;
    q.messages = hi;
    q.nmessages = 1;
    q.max_tokens = 100;
    return q;
}

static void parameters(void **state)
{
    static const struct slice stop[] = {{"X", 1}};
    struct model m = model_of("anthropic", "claude-opus-4-6", NULL);
    struct llm_request q = simple();
    q.system = SLICE("s");
    q.stop = stop;
    q.nstop = 1;
    q.temperature = 1.5;
    q.top_p = 0.5;
    q.end_user = SLICE("u");
    q.stream = true;
    expect_body(&q, &m,
                "{\"model\":\"claude-opus-4-6\",\"max_tokens\":100,\"system\":[{\"type\":\"text\",\"text\":\"s\"}]," HI
                ",\"temperature\":1,\"top_p\":0.5,\"stop_sequences\":[\"X\"],\"metadata\":{\"user_id\":\"u\"},"
                "\"stream\":true}",
                "temperature:mapped");
    q = simple();
    q.max_tokens = 0;
    q.has_seed = true;
    q.frequency_penalty = q.presence_penalty = 1;
    q.params = SLICE("{\"logprobs\":true,\"top_k\":5}");
    expect_body(&q, &m, "{\"model\":\"claude-opus-4-6\",\"max_tokens\":4096," HI ",\"top_k\":5}",
                "max_tokens:mapped frequency_penalty:dropped presence_penalty:dropped seed:dropped logprobs:dropped");
    struct model p = model_of("anthropic", "c", "{\"max_tokens\":7,\"service_tier\":\"auto\"}");
    q = simple();
    q.max_tokens = 0;
    expect_body(&q, &p, "{\"model\":\"c\",\"max_tokens\":7," HI ",\"service_tier\":\"auto\"}", "");
}

static void thinking_and_schema(void **state)
{
    struct model old = model_of("anthropic", "claude-sonnet-4-5", NULL),
                 later = model_of("anthropic", "claude-x", NULL);
    struct llm_request q = simple();
    q.effort = SLICE("low");
    q.temperature = 0.5;
    expect_body(&q, &old,
                "{\"model\":\"claude-sonnet-4-5\",\"max_tokens\":2148,\"thinking\":{\"type\":\"enabled\","
                "\"budget_tokens\":2048}," HI "}",
                "max_tokens:mapped effort:mapped temperature:dropped");
    q.temperature = NAN;
    q.effort = SLICE("xhigh");
    q.schema = SLICE("{\"type\":\"object\"}");
    expect_body(&q, &later,
                "{\"model\":\"claude-x\",\"max_tokens\":100,\"thinking\":{\"type\":\"adaptive\"}," HI
                ",\"output_config\":{\"effort\":\"high\",\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":"
                "\"object\"}}}}",
                "effort:mapped");
    q = simple();
    q.effort = SLICE("none");
    q.json = true;
    expect_body(&q, &later,
                "{\"model\":\"claude-x\",\"max_tokens\":100,\"thinking\":{\"type\":\"disabled\"},\"system\":[{\"type\":"
                "\"text\",\"text\":\"Answer with one JSON object and nothing else.\"}]," HI "}",
                "json:mapped");
}

static void a_tool_turn(void **state)
{
    static const struct llm_message turn[] = {
        {.role = {"system", 6}, .content = {"a", 1}},
        {.role = {"user", 4}, .content = {"one", 3}},
        {.role = {"developer", 9}, .content = {"b", 1}},
        {.role = {"user", 4}, .content = {"two", 3}},
        {.role = {"assistant", 9},
         .content = {"let me", 6},
         .thinking = SLICE("[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s\"}]"),
         .tool_calls =
             SLICE("[{\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":"
                   "1}\"}},{\"id\":\"t2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}"
                   "]")},
        {.role = {"user", 4}, .content = {"and", 3}},
        {.role = {"tool", 4}, .tool_call_id = {"t1", 2}, .content = {"42", 2}},
        {.role = {"tool", 4}, .tool_call_id = {"t2", 2}, .parts = SLICE("[{\"type\":\"text\",\"text\":\"43\"}]")},
    };
    struct model m = model_of("anthropic", "c", NULL);
    struct llm_request q = simple();
    q.messages = turn;
    q.nmessages = 8;
    q.tools =
        SLICE("[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":"
              "\"object\"},\"strict\":true}},{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]");
    q.tool_choice = SLICE("{\"type\":\"function\",\"function\":{\"name\":\"f\"}}");
    q.parallel_tools = 0;
    expect_body(
        &q, &m,
        "{\"model\":\"c\",\"max_tokens\":100,\"system\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\","
        "\"text\":"
        "\"b\"}],\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"one\"},{\"type\":\"text\","
        "\"text\":\"two\"}]},{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\","
        "\"signature\":"
        "\"s\"},{\"type\":\"text\",\"text\":\"let me\"},{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{"
        "\"x\":1}},{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\",\"input\":{}}]},{\"role\":\"user\",\"content\":["
        "{"
        "\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"42\"},{\"type\":\"tool_result\",\"tool_use_id\":"
        "\"t2\",\"content\":[{\"type\":\"text\",\"text\":\"43\"}]},{\"type\":\"text\",\"text\":\"and\"}]}],\"tools\":[{"
        "\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\"},\"strict\":true},{\"name\":\"g\","
        "\"input_schema\":{\"type\":\"object\",\"properties\":{}}}],\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\","
        "\"disable_parallel_tool_use\":true}}",
        "");
}

static void tool_choices(void **state)
{
    static const char *const all[][2] = {{"\"auto\"", "{\"type\":\"auto\"}"},
                                         {"\"required\"", "{\"type\":\"any\"}"},
                                         {"\"none\"", "{\"type\":\"none\"}"}};
    struct model m = model_of("anthropic", "c", NULL);
    for (int i = 0; i < 3; i++) {
        struct llm_request q = simple();
        struct buf want = {0};
        q.tools = SLICE("[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]");
        q.tool_choice = slice_str(all[i][0]);
        buf_addf(&want,
                 "{\"model\":\"c\",\"max_tokens\":100," HI ",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":"
                 "\"web_search\"}],\"tool_choice\":%s}",
                 all[i][1]);
        expect_body(&q, &m, buf_cstr(&want), "");
        buf_release(&want);
    }
}

static void images(void **state)
{
    struct llm_message see[] = {
        {.role = {"user", 4},
         .parts = SLICE("[{\"type\":\"text\",\"text\":\"x\",\"cache_control\":{\"type\":\"ephemeral\"}},"
                        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAAA\"}},"
                        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/i.png\"}},"
                        "{\"type\":\"file\",\"file\":{\"file_data\":\"data:application/pdf;base64,QUFB\"}}]")}};
    struct model m = model_of("anthropic", "c", NULL);
    struct llm_request q = simple();
    q.messages = see;
    expect_body(&q, &m,
                "{\"model\":\"c\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
                "\"text\":\"x\",\"cache_control\":{\"type\":\"ephemeral\"}},{\"type\":\"image\",\"source\":{\"type\":"
                "\"base64\",\"media_type\":\"image/png\",\"data\":\"AAAA\"}},{\"type\":\"image\",\"source\":{\"type\":"
                "\"url\",\"url\":\"https://h/i.png\"}},{\"type\":\"document\",\"source\":{\"type\":\"base64\","
                "\"media_type\":\"application/pdf\",\"data\":\"QUFB\"}}]}]}",
                "");
    see[0].parts = SLICE("[{\"type\":\"image_url\",\"image_url\":{\"url\":\"ftp://x\"}}]");
    expect_refused(&q, &m, "data: URL");
    see[0].parts = SLICE("[{\"type\":\"input_audio\"}]");
    expect_refused(&q, &m, "input_audio");
    see[0] = (struct llm_message){.role = {"assistant", 9},
                                  .tool_calls =
                                      SLICE("[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"[1]\"}}]")};
    expect_refused(&q, &m, "must be a JSON object");
    see[0] = (struct llm_message){.role = {"system", 6}, .content = {"s", 1}};
    expect_refused(&q, &m, "message of the user");
}

static void the_key(void **state)
{
    const struct llm_provider *p = llm_provider_find(SLICE("anthropic"));
    struct buf lines = {0};
    p->headers(p, &lines, SLICE("k"));
    assert_string_equal(buf_cstr(&lines), "anthropic-version: 2023-06-01\nx-api-key: k\n");
    buf_release(&lines);
}

/* ---- replies ---- */

static void whole(void **state)
{
    const struct llm_provider *p = llm_provider_find(SLICE("anthropic"));
    struct llm_answer a;
    struct err err;
    llm_answer_init(&a);
    assert_int_equal(
        p->chat_whole(
            p,
            SLICE("{\"id\":\"msg\",\"type\":\"message\",\"model\":\"claude\",\"content\":[{\"type\":\"thinking\","
                  "\"thinking\":\"hm\",\"signature\":\"s\"},{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
                  "\"text\",\"text\":\"b\"},{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"x\":1}}"
                  "],\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":5,\"output_tokens\":7,"
                  "\"cache_creation_input_tokens\":10,\"cache_read_input_tokens\":20}}"),
            &a, &err),
        0);
    assert_string_equal(buf_cstr(&a.text), "ab");
    assert_string_equal(buf_cstr(&a.reasoning), "hm");
    assert_string_equal(buf_cstr(&a.thinking), "[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s\"}]");
    assert_string_equal(
        buf_cstr(&a.tool_calls),
        "[{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}]");
    assert_string_equal(buf_cstr(&a.finish), "tool_calls");
    assert_string_equal(buf_cstr(&a.model_id), "claude");
    assert_int_equal(a.tokens_in, 35);
    assert_int_equal(a.tokens_cached, 20);
    assert_int_equal(a.tokens_out, 7);
    llm_answer_release(&a);
    llm_answer_init(&a);
    assert_int_equal(p->chat_whole(p, SLICE("{\"content\":1}"), &a, &err), ERR_UPSTREAM);
    assert_int_equal(
        p->chat_whole(p, SLICE("{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\"}}"), &a, &err), ERR_QUOTA);
    assert_int_equal(a.failure, LLM_RATE);
    llm_answer_release(&a);
}

#define EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define START                                                                                                          \
    EVENT("message_start",                                                                                             \
          ",\"message\":{\"model\":\"claude\",\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":"              \
          "3,\"output_tokens\":1}}")
#define STOP(reason)                                                                                                   \
    EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"" reason "\"},\"usage\":{\"output_tokens\":9}")              \
    EVENT("message_stop", "")

static const char stream[] = START EVENT("ping", "")
    EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}") EVENT(
        "content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"h\xc3\xb6\"}")
        EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"si\"}")
            EVENT("content_block_stop", ",\"index\":0") EVENT(
                "content_block_start",
                ",\"index\":1,\"content_block\":{\"type\":\"redacted_thinking\",\"data\":\"zz\"}")
                EVENT("content_block_stop", ",\"index\":1") EVENT(
                    "content_block_start", ",\"index\":2,\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
                    EVENT("content_block_delta", ",\"index\":2,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hel\"}")
                        EVENT("content_block_delta", ",\"index\":2,\"delta\":{\"type\":\"text_delta\",\"text\":\"lo\"}")
                            EVENT("content_block_stop", ",\"index\":2") EVENT(
                                "content_block_start",
                                ",\"index\":3,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\","
                                "\"input\":{}}") EVENT("content_block_delta",
                                                       ",\"index\":3,\"delta\":{\"type\":\"input_json_delta\","
                                                       "\"partial_json\":\"{\\\"x\\\"\"}")
                                EVENT("content_block_delta",
                                      ",\"index\":3,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\":1}\"}")
                                    EVENT("content_block_stop", ",\"index\":3")
                                        EVENT("content_block_start", ",\"index\":4,\"content_block\":{\"type\":\"tool_"
                                                                     "use\",\"id\":\"t2\",\"name\":\"g\","
                                                                     "\"input\":{}}")
                                            EVENT("content_block_stop", ",\"index\":4") STOP("tool_use");

static void write_delta(void *arg, const struct llm_delta *d)
{
    static const char kinds[] = "trcb";
    struct buf *to = arg;
    buf_addf(to, "%c", kinds[d->kind]);
    if (d->kind == LLM_DELTA_TOOL)
        buf_addf(to, "%d%.*s", d->tool, (int)d->tool_name.len, d->tool_name.p ? d->tool_name.p : "");
    buf_addf(to, "(%.*s)", (int)d->text.len, d->text.p ? d->text.p : "");
}

static int feed(struct slice in, size_t cut, struct llm_answer *a, struct buf *deltas, struct err *err)
{
    const struct llm_provider *p = llm_provider_find(SLICE("anthropic"));
    llm_answer_init(a);
    struct llm_stream *s = p->stream_create(p, a, write_delta, deltas);
    int r = p->stream_feed(s, slice_of(in.p, cut), err);
    r = r ? r : p->stream_feed(s, slice_of(in.p + cut, in.len - cut), err);
    r = r ? r : p->stream_end(s, err);
    p->stream_destroy(s);
    return r;
}

static void streamed(void **state)
{
    struct slice in = SLICE(stream);
    for (size_t cut = 0; cut <= in.len; cut++) {
        struct llm_answer a;
        struct buf deltas = {0};
        struct err err = {0};
        assert_int_equal(feed(in, cut, &a, &deltas, &err), 0);
        assert_string_equal(buf_cstr(&a.text), "Hello");
        assert_string_equal(buf_cstr(&a.reasoning), "h\xc3\xb6");
        assert_string_equal(buf_cstr(&a.thinking),
                            "[{\"type\":\"thinking\",\"thinking\":\"h\xc3\xb6\",\"signature\":\"si\"},"
                            "{\"type\":\"redacted_thinking\",\"data\":\"zz\"}]");
        assert_string_equal(
            buf_cstr(&a.tool_calls),
            "[{\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":"
            "1}\"}},{\"id\":\"t2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]");
        assert_string_equal(buf_cstr(&a.finish), "tool_calls");
        assert_int_equal(a.tokens_in, 8);
        assert_int_equal(a.tokens_cached, 3);
        assert_int_equal(a.tokens_out, 9);
        assert_string_equal(
            buf_cstr(&deltas),
            "r(h\xc3\xb6)b({\"type\":\"thinking\",\"thinking\":\"h\xc3\xb6\",\"signature\":\"si\"})"
            "b({\"type\":\"redacted_thinking\",\"data\":\"zz\"})t(Hel)t(lo)c0f()c0({\"x\")c0(:1})c1g()");
        llm_answer_release(&a);
        buf_release(&deltas);
    }
}

static void streams_that_fail(void **state)
{
    static const struct {
        const char *in;
        int code;
        enum llm_class class;
        const char *part;
    } all[] = {
        {START EVENT("error", ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}"), ERR_UPSTREAM,
         LLM_TRANSIENT, "Overloaded"},
        {START EVENT("error", ",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow\"}"), ERR_QUOTA, LLM_RATE,
         "slow"},
        {START EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"a\"}"),
         ERR_UPSTREAM, LLM_FINE, "in the middle"},
        {"", ERR_UPSTREAM, LLM_FINE, "in the middle"},
        {"data: {broken\n\n", ERR_UPSTREAM, LLM_FINE, "bad JSON"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (size_t cut = 0; cut <= strlen(all[i].in); cut++) {
            struct llm_answer a;
            struct buf deltas = {0};
            struct err err = {0};
            assert_int_equal(feed(slice_str(all[i].in), cut, &a, &deltas, &err), all[i].code);
            assert_non_null(strstr(err.msg, all[i].part));
            assert_int_equal(a.failure, all[i].class);
            llm_answer_release(&a);
            buf_release(&deltas);
        }
}

static void stop_reasons(void **state)
{
    static const char *const all[][2] = {{START STOP("end_turn"), "stop"},
                                         {START STOP("stop_sequence"), "stop"},
                                         {START STOP("max_tokens"), "length"},
                                         {START STOP("refusal"), "content_filter"}};
    for (int i = 0; i < 4; i++) {
        struct llm_answer a;
        struct buf deltas = {0};
        struct err err;
        assert_int_equal(feed(slice_str(all[i][0]), 3, &a, &deltas, &err), 0);
        assert_string_equal(buf_cstr(&a.finish), all[i][1]);
        llm_answer_release(&a);
        buf_release(&deltas);
    }
}

static void failures(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum llm_class class;
    } all[] = {
        {529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}", LLM_TRANSIENT},
        {400, "{\"type\":\"error\",\"error\":{\"type\":\"billing_error\",\"message\":\"m\"}}", LLM_CREDIT},
        {401, "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":\"m\"}}", LLM_AUTH},
        {413, "", LLM_BAD},
        {402, "", LLM_CREDIT},
        {500, "x", LLM_TRANSIENT},
    };
    const struct llm_provider *p = llm_provider_find(SLICE("anthropic"));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct llm_failure f;
        llm_failure_init(&f);
        p->failure(p, all[i].status, slice_str(all[i].body), &f);
        assert_int_equal(f.class, all[i].class);
        llm_failure_release(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters),
        cmocka_unit_test(thinking_and_schema),
        cmocka_unit_test(a_tool_turn),
        cmocka_unit_test(tool_choices),
        cmocka_unit_test(images),
        cmocka_unit_test(the_key),
        cmocka_unit_test(whole),
        cmocka_unit_test(streamed),
        cmocka_unit_test(streams_that_fail),
        cmocka_unit_test(stop_reasons),
        cmocka_unit_test(failures),
    };
    json_boot();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
