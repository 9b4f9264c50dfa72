/* Anthropic's wire form: bodies read into requests (seen as the OpenAI body they make), answers written byte for byte.
 */
#include "bodies.h"

#include "llm/wire_anthropic.h"

/* The body, read and sent on to a vendor that speaks OpenAI's API. */
static void expect_openai(struct slice in, const char *body, const char *notes)
{
    struct wire_chat w;
    struct err err = {0};
    struct model m = model_of("openai", "x", NULL);
    int r = wire_anthropic_chat(in, &w, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(r, 0);
    expect_body(&w.q, &m, body, notes);
    wire_chat_release(&w);
}

static void plain(void **state)
{
    expect_openai(
        SLICE("{\"model\":\"c\",\"max_tokens\":5,\"system\":\"s\",\"messages\":[{\"role\":\"user\",\"content\":"
              "\"hi\"}],\"temperature\":0.5,\"top_p\":1,\"top_k\":3,\"stop_sequences\":[\"X\"],\"stream\":true,"
              "\"metadata\":{\"user_id\":\"u\"}}"),
        "{\"model\":\"x\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":"
        "\"hi\"}],\"temperature\":0.5,\"top_p\":1,\"max_tokens\":5,\"stop\":[\"X\"],\"user\":\"u\",\"stream\":"
        "true,\"stream_options\":{\"include_usage\":true},\"top_k\":3}",
        "");
}

static void a_tool_turn(void **state)
{
    expect_openai(
        SLICE(
            "{\"model\":\"c\",\"max_tokens\":5,\"system\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\","
            "\"text\":"
            "\"b\"}],\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"q\"}]},{\"role\":"
            "\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s\"},{\"type\":"
            "\"text\","
            "\"text\":\"let me\"},{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"x\":1}}]},{\"role\":"
            "\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":[{\"type\":\"text\","
            "\"text\":"
            "\"42\"}]},{\"type\":\"tool_result\",\"tool_use_id\":\"u\",\"content\":\"no\",\"is_error\":true},{\"type\":"
            "\"text\",\"text\":\"and?\"}]}],\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{"
            "\"type\":"
            "\"object\"}}],\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true}}"),
        "{\"model\":\"x\",\"messages\":[{\"role\":\"system\",\"content\":\"a\\nb\"},{\"role\":\"user\",\"content\":"
        "\"q\"},{"
        "\"role\":\"assistant\",\"content\":\"let "
        "me\",\"tool_calls\":[{\"id\":\"t\",\"type\":\"function\",\"function\":{"
        "\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}]},{\"role\":\"tool\",\"content\":\"42\",\"tool_call_id\":"
        "\"t\"},{"
        "\"role\":\"tool\",\"content\":\"Error: no\",\"tool_call_id\":\"u\"},{\"role\":\"user\",\"content\":\"and?\"}],"
        "\"max_tokens\":5,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","
        "\"parameters\":{\"type\":\"object\"}}}],\"tool_choice\":\"required\",\"parallel_tool_calls\":false}",
        "");
}

static void images_thinking_schema(void **state)
{
    expect_openai(
        SLICE(
            "{\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":"
            "\"base64\",\"media_type\":\"image/"
            "png\",\"data\":\"AAAA\"}},{\"type\":\"image\",\"source\":{\"type\":\"url\","
            "\"url\":\"http://x\"}}]}],\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"},\"tools\":[{\"name\":\"f\","
            "\"input_schema\":{}}],\"thinking\":{\"type\":\"disabled\"},\"output_config\":{\"format\":{\"type\":"
            "\"json_schema\",\"schema\":{\"a\":1}}}}"),
        "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
        "\"data:image/png;base64,AAAA\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":\"http://"
        "x\"}}]}],\"max_tokens\":5,"
        "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"schema\":{\"a\":1},"
        "\"strict\":"
        "true}},\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}],\"tool_choice\":{"
        "\"type\":\"function\",\"function\":{\"name\":\"f\"}},\"reasoning_effort\":\"none\"}",
        "");
}

/* What comes in Anthropic's form and goes out in it is what it was. */
static void there_and_back(void **state)
{
    struct wire_chat w;
    struct err err;
    struct model m = model_of("anthropic", "c", NULL);
    static const char body[] =
        "{\"model\":\"c\",\"max_tokens\":3000,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000},\"system\":[{"
        "\"type\":\"text\",\"text\":\"a\",\"cache_control\":{\"type\":\"ephemeral\"}}],\"messages\":[{\"role\":"
        "\"user\","
        "\"content\":[{\"type\":\"text\",\"text\":\"q\"}]},{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
        "\"thinking\":\"hm\",\"signature\":\"s\"},{\"type\":\"redacted_thinking\",\"data\":\"z\"},{\"type\":\"tool_"
        "use\","
        "\"id\":\"t\",\"name\":\"f\",\"input\":{\"x\":1}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
        "\"tool_use_id\":\"t\",\"content\":\"42\"}]}],\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}"
        ","
        "\"cache_control\":{\"type\":\"ephemeral\"}}],\"tool_choice\":{\"type\":\"auto\"},\"top_k\":4}";
    assert_int_equal(wire_anthropic_chat(SLICE(body), &w, &err), 0);
    expect_body(&w.q, &m, body, "");
    wire_chat_release(&w);
}

static void what_is_wrong_is_named(void **state)
{
#define M "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]"
    static const char *const all[][3] = {
        {"{" M "}", "max_tokens", "whole number above 0"},
        {"[]", "", "must be a JSON object"},
        {"{\"max_tokens\":1}", "messages", "at least one message"},
        {"{\"max_tokens\":1,\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "messages[0].role",
         "user or assistant"},
        {"{\"max_tokens\":1,\"messages\":[{\"role\":\"user\"}]}", "messages[0].content", "must be a string"},
        {"{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"video\"}]}]}",
         "messages[0].content", "not known"},
        {"{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\"}]}]}",
         "messages[0].content", "tool_use_id"},
        {"{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{}}]}]}",
         "messages[0].content", "neither base64"},
        {"{\"max_tokens\":1,\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\"}]}]}",
         "messages[0].content", "needs an id"},
        {"{\"max_tokens\":1," M ",\"system\":7}", "system", "must be a string"},
        {"{\"max_tokens\":1," M ",\"temperature\":1.5}", "temperature", "0 to 1"},
        {"{\"max_tokens\":1," M ",\"tools\":[{\"name\":\"f\"}]}", "tools[0]", "input_schema"},
        {"{\"max_tokens\":1," M ",\"tool_choice\":{\"type\":\"tool\"}}", "tool_choice", "with a name"},
        {"{\"max_tokens\":1," M ",\"thinking\":{\"type\":\"enabled\"}}", "thinking.budget_tokens", "whole number"},
        {"{\"max_tokens\":1," M ",\"stream\":\"yes\"}", "stream", "true or false"},
        {"{\"max_tokens\":1," M ",\"stop_sequences\":\"x\"}", "stop_sequences", "array"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct wire_chat w;
        struct err err;
        assert_int_equal(wire_anthropic_chat(slice_str(all[i][0]), &w, &err), ERR_INVALID);
        assert_string_equal(w.body.param, all[i][1]);
        assert_non_null(strstr(err.msg, all[i][2]));
        wire_chat_release(&w);
    }
}

/* ---- answers ---- */

static const struct wire_head head = {.id = {"msg_1", 5}, .model = {"m", 1}, .created = 7};

static struct llm_reply reply(void)
{
    return (struct llm_reply){.text = SLICE("a"),
                              .finish = SLICE("tool_calls"),
                              .tool_calls = SLICE("[{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                                                  "\"arguments\":\"{\\\"x\\\":1}\"}}]"),
                              .facts = {.tokens_in = 9, .tokens_out = 3, .tokens_cached = 2, .cost = 250000000000}};
}

#define USAGE                                                                                                          \
    "{\"input_tokens\":7,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":2,\"output_tokens\":3,"         \
    "\"cost\":0.25}"

static void whole_replies(void **state)
{
    struct buf to = {0};
    struct llm_reply r = reply();
    r.thinking = SLICE("[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s\"}]");
    wire_anthropic_reply(&head, &r, &to);
    assert_string_equal(
        buf_cstr(&to),
        "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{\"type\":"
        "\"thinking\",\"thinking\":\"hm\",\"signature\":\"s\"},{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
        "\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"x\":1}}],\"stop_reason\":\"tool_use\","
        "\"stop_sequence\":null,\"usage\":" USAGE "}");
    buf_release(&to);
}

static void gather(void *arg, struct slice type, struct slice json)
{
    struct buf *to = arg;
    cJSON *v = json_parse(json, 1 << 20, "event", NULL);
    assert_true(slice_eq(type, slice_str(json_str(v, "type", ""))));
    cJSON_DeleteItemFromObject(v, "type");
    buf_addf(to, "%.*s ", (int)type.len, type.p);
    json_print(to, v);
    buf_add_char(to, '\n');
    cJSON_Delete(v);
}

static void events(void **state)
{
    static const struct llm_delta all[] = {
        {.kind = LLM_DELTA_REASONING, .text = {"hm", 2}},
        {.kind = LLM_DELTA_BLOCK, .text = SLICE("{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s\"}")},
        {.kind = LLM_DELTA_BLOCK, .text = SLICE("{\"type\":\"redacted_thinking\",\"data\":\"z\"}")},
        {.kind = LLM_DELTA_TEXT, .text = {"a", 1}},
        {.kind = LLM_DELTA_TEXT, .text = {"b", 1}},
        {.kind = LLM_DELTA_TOOL, .tool = 0, .tool_id = {"t", 1}, .tool_name = {"f", 1}},
        {.kind = LLM_DELTA_TOOL, .tool = 0, .text = {"{}", 2}},
        {.kind = LLM_DELTA_TOOL, .tool = 1, .tool_id = {"u", 1}, .tool_name = {"g", 1}, .text = {"{}", 2}},
    };
    struct wire_anthropic_stream s;
    struct buf to = {0};
    struct llm_reply r = reply();
    wire_anthropic_stream_init(&s, &head, 9, gather, &to);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        wire_anthropic_stream_delta(&s, &all[i]);
    wire_anthropic_stream_end(&s, &r);
    wire_anthropic_stream_release(&s);
    assert_string_equal(
        buf_cstr(&to),
        "message_start "
        "{\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":"
        "[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":9,\"cache_creation_input_tokens\":"
        "0,"
        "\"cache_read_input_tokens\":0,\"output_tokens\":0}}}\n"
        "content_block_start "
        "{\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n"
        "content_block_delta {\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n"
        "content_block_delta {\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"s\"}}\n"
        "content_block_stop {\"index\":0}\n"
        "content_block_start {\"index\":1,\"content_block\":{\"type\":\"redacted_thinking\",\"data\":\"z\"}}\n"
        "content_block_stop {\"index\":1}\n"
        "content_block_start {\"index\":2,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n"
        "content_block_delta {\"index\":2,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n"
        "content_block_delta {\"index\":2,\"delta\":{\"type\":\"text_delta\",\"text\":\"b\"}}\n"
        "content_block_stop {\"index\":2}\n"
        "content_block_start "
        "{\"index\":3,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n"
        "content_block_delta {\"index\":3,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n"
        "content_block_stop {\"index\":3}\n"
        "content_block_start "
        "{\"index\":4,\"content_block\":{\"type\":\"tool_use\",\"id\":\"u\",\"name\":\"g\",\"input\":{}}}\n"
        "content_block_delta {\"index\":4,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n"
        "content_block_stop {\"index\":4}\n"
        "message_delta {\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":" USAGE "}\n"
        "message_stop {}\n");
    buf_clear(&to);
    r.finish = SLICE("length");
    wire_anthropic_stream_init(&s, &head, 0, gather, &to); /* nothing was said */
    wire_anthropic_stream_end(&s, &r);
    wire_anthropic_stream_release(&s);
    assert_non_null(strstr(buf_cstr(&to), "\"stop_reason\":\"max_tokens\""));
    assert_null(strstr(buf_cstr(&to), "content_block"));
    buf_release(&to);
}

static void errors(void **state)
{
    static const struct {
        int code;
        enum llm_class class;
        int status;
        const char *type;
    } all[] = {
        {ERR_INVALID, LLM_FINE, 400, "invalid_request_error"}, {ERR_STATE, LLM_FINE, 404, "not_found_error"},
        {ERR_STATE, LLM_RATE, 529, "overloaded_error"},        {ERR_QUOTA, LLM_RATE, 429, "rate_limit_error"},
        {ERR_UPSTREAM, LLM_TRANSIENT, 502, "api_error"},       {ERR_NOPERM, LLM_FINE, 403, "permission_error"},
        {ERR_UPSTREAM, LLM_TRANSIENT, 504, "timeout_error"},   {ERR_CANCELLED, LLM_FINE, 499, "api_error"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct err err = {.code = all[i].code, .msg = "m"};
        struct buf to = {0}, want = {0};
        struct llm_facts facts = {.failure = all[i].class, .timed_out = all[i].status == 504};
        assert_int_equal(wire_anthropic_error(&err, all[i].class ? &facts : NULL, SLICE("r"), &to), all[i].status);
        buf_addf(&want, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"m\"},\"request_id\":\"r\"}",
                 all[i].type);
        assert_string_equal(buf_cstr(&to), buf_cstr(&want));
        buf_release(&to);
        buf_release(&want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(a_tool_turn),
        cmocka_unit_test(images_thinking_schema),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(whole_replies),
        cmocka_unit_test(events),
        cmocka_unit_test(errors),
    };
    json_boot();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
