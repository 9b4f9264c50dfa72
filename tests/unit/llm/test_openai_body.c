/* What is sent to the vendors that speak OpenAI's API, byte for byte, and what of a request is mapped, dropped or
 * refused at each of them. */
#include "bodies.h"

#include <math.h>

static const struct llm_message hi[] = {{.role = {"user", 4}, .content = {"hi", 2}}};

static struct llm_request simple(void)
{
    struct llm_request q = LLM_REQUEST;
    q.messages = hi;
    q.nmessages = 1;
    return q;
}

static struct llm_request full(void)
{
    static const struct slice stop[] = {{"X", 1}};
    struct llm_request q = simple();
    q.temperature = 1.5;
    q.top_p = 1;
    q.frequency_penalty = 0.5;
    q.presence_penalty = 0.25;
    q.max_tokens = 9;
    q.has_seed = true;
    q.seed = 7;
    q.stop = stop;
    q.nstop = 1;
    q.end_user = SLICE("u");
    return q;
}

#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void plain_openai(void **state)
{
    struct model m = model_of("openai", "gpt-4o", NULL);
    struct llm_request q = full();
    q.stream = true;
    expect_body(&q, &m,
                "{\"model\":\"gpt-4o\"," HI ",\"temperature\":1.5,\"top_p\":1,\"frequency_penalty\":0.5,"
                "\"presence_penalty\":0.25,\"max_tokens\":9,\"seed\":7,\"stop\":[\"X\"],\"user\":\"u\",\"stream\":true,"
                "\"stream_options\":{\"include_usage\":true}}",
                "");
}

static void reasoning_models(void **state)
{
    struct model m = model_of("openai", "o3-mini", NULL), chat = model_of("openai", "gpt-5-chat-latest", NULL);
    struct llm_request q = simple();
    q.temperature = 0.5;
    q.max_tokens = 9;
    q.effort = SLICE("low");
    expect_body(&q, &m, "{\"model\":\"o3-mini\"," HI ",\"max_completion_tokens\":9,\"reasoning_effort\":\"low\"}",
                "temperature:dropped");
    q.effort = SLICE("");
    expect_body(&q, &chat, "{\"model\":\"gpt-5-chat-latest\"," HI ",\"temperature\":0.5,\"max_tokens\":9}", "");
}

static void params_and_their_order(void **state)
{
    struct model m = model_of("openai", "x", "{\"top_k\":3,\"temperature\":9,\"stream\":true,\"logprobs\":false}");
    struct llm_request q = simple();
    q.temperature = 0.5;
    q.params = SLICE("{\"top_k\":4,\"model\":\"no\"}");
    expect_body(&q, &m, "{\"model\":\"x\"," HI ",\"temperature\":0.5,\"top_k\":4,\"logprobs\":false}", "");
    q.params = SLICE("[1]");
    expect_refused(&q, &m, "PARAMS must be a JSON object");
}

static void glm_has_ranges_and_lacks(void **state)
{
    struct model m = model_of("glm", "glm-5", NULL);
    struct llm_request q = full();
    q.tools = SLICE("[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]");
    q.tool_choice = SLICE("\"required\"");
    q.parallel_tools = 0;
    q.effort = SLICE("high");
    expect_body(&q, &m,
                "{\"model\":\"glm-5\"," HI ",\"temperature\":1,\"top_p\":0.99,\"max_tokens\":9,\"stop\":[\"X\"],"
                "\"user_id\":\"u\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],"
                "\"thinking\":{\"type\":\"enabled\"}}",
                "temperature:mapped top_p:mapped frequency_penalty:dropped presence_penalty:dropped seed:dropped "
                "tool_choice:dropped parallel_tool_calls:dropped effort:mapped");
    q = simple();
    q.temperature = 0;
    q.tools = SLICE("[]");
    q.tool_choice = SLICE("\"none\"");
    expect_body(&q, &m, "{\"model\":\"glm-5\"," HI ",\"temperature\":0.01}", "temperature:mapped tool_choice:mapped");
}

static void schemas(void **state)
{
    struct model m = model_of("openai", "x", NULL), d = model_of("deepseek", "d", NULL);
    struct llm_request q = simple();
    q.json = true;
    expect_body(&q, &m, "{\"model\":\"x\"," HI ",\"response_format\":{\"type\":\"json_object\"}}", "");
    q.schema = SLICE("{\"type\":\"object\"}");
    q.schema_name = SLICE("n");
    q.schema_strict = true;
    expect_body(&q, &m,
                "{\"model\":\"x\"," HI ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
                "\"schema\":{\"type\":\"object\"},\"strict\":true}}}",
                "");
    q.system = SLICE("s");
    expect_body(
        &q, &d,
        "{\"model\":\"d\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"system\",\"content\":"
        "\"Answer with one JSON object that follows this JSON schema, and nothing else:\\n{\\\"type\\\":"
        "\\\"object\\\"}\"},{\"role\":\"user\",\"content\":\"hi\"}],\"response_format\":{\"type\":"
        "\"json_object\"}}",
        "schema:mapped");
}

static void thinking_switches(void **state)
{
    static const struct {
        const char *provider, *effort;
        int64_t tokens;
        const char *field, *notes;
    } all[] = {
        {"openai", "high", 0, "\"reasoning_effort\":\"high\"", ""},
        {"openai", "", 4000, "\"reasoning_effort\":\"medium\"", "think_tokens:mapped"},
        {"deepseek", "high", 0, "\"reasoning_effort\":\"high\",\"thinking\":{\"type\":\"enabled\"}", ""},
        {"deepseek", "none", 0, "\"thinking\":{\"type\":\"disabled\"}", ""},
        {"moonshot", "none", 0, "\"thinking\":{\"type\":\"disabled\"}", ""},
        {"qwen", "", 500, "\"enable_thinking\":true,\"thinking_budget\":500", ""},
        {"qwen", "low", 0, "\"enable_thinking\":true", "effort:mapped"},
        {"qwen", "none", 0, "\"enable_thinking\":false", ""},
        {"vllm", "none", 0, "\"chat_template_kwargs\":{\"enable_thinking\":false}", ""},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct model m = model_of(all[i].provider, "x", NULL);
        struct llm_request q = simple();
        struct buf want = {0};
        q.effort = slice_str(all[i].effort);
        q.think_tokens = all[i].tokens;
        buf_addf(&want, "{\"model\":\"x\"," HI ",%s}", all[i].field);
        expect_body(&q, &m, buf_cstr(&want), all[i].notes);
        buf_release(&want);
    }
    struct model none = model_of("minimax", "x", NULL);
    struct llm_request q = simple();
    q.effort = SLICE("low");
    expect_body(&q, &none, "{\"model\":\"x\"," HI "}", "effort:dropped");
}

static void reasoning_goes_back_where_it_must(void **state)
{
    static const struct llm_message turn[] = {
        {.role = {"developer", 9}, .content = {"d", 1}},
        {.role = {"assistant", 9}, .tool_calls = {"[{\"id\":\"c\"}]", 12}, .reasoning = {"hm", 2}},
        {.role = {"tool", 4}, .content = {"42", 2}, .tool_call_id = {"c", 1}},
        {.role = {"assistant", 9}, .content = {"a", 1}, .reasoning = {"old", 3}},
    };
    struct llm_request q = LLM_REQUEST;
    q.messages = turn;
    q.nmessages = 4;
    struct model d = model_of("deepseek", "x", NULL), o = model_of("openai", "x", NULL);
    expect_body(&q, &d,
                "{\"model\":\"x\",\"messages\":[{\"role\":\"system\",\"content\":\"d\"},{\"role\":\"assistant\","
                "\"content\":null,\"tool_calls\":[{\"id\":\"c\"}],\"reasoning_content\":\"hm\"},{\"role\":\"tool\","
                "\"content\":\"42\",\"tool_call_id\":\"c\"},{\"role\":\"assistant\",\"content\":\"a\"}]}",
                "");
    expect_body(&q, &o,
                "{\"model\":\"x\",\"messages\":[{\"role\":\"developer\",\"content\":\"d\"},{\"role\":\"assistant\","
                "\"content\":null,\"tool_calls\":[{\"id\":\"c\"}]},{\"role\":\"tool\",\"content\":\"42\","
                "\"tool_call_id\":\"c\"},{\"role\":\"assistant\",\"content\":\"a\"}]}",
                "");
}

static void images_and_cache_control(void **state)
{
    static const struct llm_message see[] = {
        {.role = {"user", 4},
         .parts =
             SLICE("[{\"type\":\"image_url\",\"image_url\":{\"url\":\"http://x/y.png\"},\"cache_control\":{\"type\":"
                   "\"ephemeral\"}}]")}};
    struct llm_request q = LLM_REQUEST;
    q.messages = see;
    q.nmessages = 1;
    struct model o = model_of("openai", "x", NULL), s = model_of("spark", "x", NULL);
    expect_body(&q, &o,
                "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{"
                "\"url\":\"http://x/y.png\"}}]}]}",
                "");
    expect_refused(&q, &s, "cannot see images");
}

static void embeddings_and_ranks(void **state)
{
    struct slice texts[] = {SLICE("a"), SLICE("b")};
    struct llm_embed_request e = {.texts = texts, .ntexts = 2, .dim = 8};
    struct llm_rerank_request k = {.query = SLICE("q"), .docs = texts, .ndocs = 2, .count = 5};
    static const struct {
        const char *provider, *embed, *rerank;
    } all[] = {
        {"openai", "{\"model\":\"x\",\"input\":[\"a\",\"b\"],\"encoding_format\":\"base64\",\"dimensions\":8}",
         "{\"model\":\"x\",\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_n\":2}"},
        {"tei", "{\"model\":\"x\",\"input\":[\"a\",\"b\"],\"encoding_format\":\"float\",\"dimensions\":8}",
         "{\"query\":\"q\",\"texts\":[\"a\",\"b\"],\"truncate\":true}"},
        {"cohere",
         "{\"model\":\"x\",\"texts\":[\"a\",\"b\"],\"embedding_types\":[\"float\"],\"output_dimension\":8,"
         "\"input_type\":\"search_document\"}",
         "{\"model\":\"x\",\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_n\":2}"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct model m = model_of(all[i].provider, "x", NULL);
        struct buf to = {0}, notes = {0};
        struct err err;
        assert_int_equal(m.provider->embed_body(&e, &m, &to, &notes, &err), 0);
        assert_string_equal(buf_cstr(&to), all[i].embed);
        buf_clear(&to);
        assert_int_equal(m.provider->rerank_body(&k, &m, &to, &notes, &err), 0);
        assert_string_equal(buf_cstr(&to), all[i].rerank);
        buf_release(&to);
        buf_release(&notes);
    }
}

static void base64_is_for_those_who_know_it(void **state)
{
    struct slice texts[] = {SLICE("a")};
    struct llm_embed_request e = {.texts = texts, .ntexts = 1};
    static const struct {
        const char *provider, *url, *format;
    } all[] = {
        {"openai", NULL, "base64"},
        {"openai", "http://127.0.0.1:1/v1", "float"},
        {"vllm", "http://127.0.0.1:1/v1", "base64"},
        {"jina", NULL, "float"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct model m = model_of(all[i].provider, "x", NULL);
        struct buf to = {0}, notes = {0}, want = {0};
        struct err err;
        m.url = (char *)all[i].url;
        assert_int_equal(m.provider->embed_body(&e, &m, &to, &notes, &err), 0);
        buf_addf(&want, "{\"model\":\"x\",\"input\":[\"a\"],\"encoding_format\":\"%s\"}", all[i].format);
        assert_string_equal(buf_cstr(&to), buf_cstr(&want));
        buf_release(&to);
        buf_release(&want);
    }
    const struct llm_provider *p = llm_provider_find(SLICE("openai"));
    static const char *const bad[] = {"AACAPw=", "AACAP", "AACAfw==", "AAA=", ""};
    struct llm_answer a;
    struct err err;
    llm_answer_init(&a);
    assert_int_equal(p->embed_whole(p,
                                    SLICE("{\"data\":[{\"index\":1,\"embedding\":\"AACAPw==\"},{\"index\":0,"
                                          "\"embedding\":[2]}]}"),
                                    2, &a, &err),
                     0);
    assert_true(a.dim == 1 && a.vectors[0] == 2 && a.vectors[1] == 1);
    llm_answer_release(&a);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf body = {0};
        buf_addf(&body, "{\"data\":[{\"embedding\":\"%s\"}]}", bad[i]);
        llm_answer_init(&a);
        assert_int_equal(p->embed_whole(p, buf_slice(&body), 1, &a, &err), ERR_UPSTREAM);
        llm_answer_release(&a);
        buf_release(&body);
    }
}

static void rank_replies(void **state)
{
    static const struct {
        const char *body;
        int r, n;
        int64_t tokens;
    } all[] = {
        {"{\"results\":[{\"index\":0,\"relevance_score\":0.1},{\"index\":1,\"relevance_score\":0.9}],\"usage\":{"
         "\"total_tokens\":5}}",
         0, 2, 5},
        {"[{\"index\":1,\"score\":3.5,\"text\":\"b\"},{\"index\":0,\"score\":-1}]", 0, 2, -1},
        {"{\"output\":{\"results\":[{\"index\":1,\"relevance_score\":0.5}]}}", 0, 1, -1},
        {"{\"results\":[]}", 0, 0, -1},
        {"{\"results\":[{\"index\":2,\"relevance_score\":0.1}]}", ERR_UPSTREAM, 0, -1},
        {"{\"results\":[{\"index\":1,\"relevance_score\":1},{\"index\":1,\"relevance_score\":1}]}", ERR_UPSTREAM, 1,
         -1},
        {"{\"results\":[{\"index\":1}]}", ERR_UPSTREAM, 0, -1},
        {"{\"error\":{\"message\":\"slow\",\"type\":\"rate_limit_error\"}}", ERR_QUOTA, 0, -1},
        {"{}", ERR_UPSTREAM, 0, -1},
        {"nothing", ERR_UPSTREAM, 0, -1},
    };
    const struct llm_provider *p = llm_provider_find(SLICE("cohere"));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct llm_answer a;
        struct err err;
        llm_answer_init(&a);
        assert_int_equal(p->rerank_whole(p, slice_str(all[i].body), 2, &a, &err), all[i].r);
        assert_int_equal(a.nranks, all[i].n);
        assert_int_equal(a.tokens_in, all[i].tokens);
        if (all[i].r == 0 && all[i].n)
            assert_int_equal(a.ranks[0].doc, 1);
        llm_answer_release(&a);
    }
}

static void audio(void **state)
{
    struct model m = model_of("openai", "whisper-1", "{\"chunking_strategy\":\"auto\"}");
    struct llm_transcribe_request t = {.audio = SLICE("\0RIFF skald-part-0005ca1d"),
                                       .filename = SLICE("a\"b.mp3"),
                                       .language = SLICE("de"),
                                       .temperature = NAN};
    struct buf to = {0}, type = {0}, notes = {0};
    struct err err;
    assert_int_equal(m.provider->transcribe_body(&t, &m, &to, &type, &notes, &err), 0);
    assert_string_equal(buf_cstr(&type), "multipart/form-data; boundary=skald-part-9e3d43ce");
    static const char want[] =
        "--skald-part-9e3d43ce\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n"
        "--skald-part-9e3d43ce\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\nde\r\n"
        "--skald-part-9e3d43ce\r\nContent-Disposition: form-data; name=\"chunking_strategy\"\r\n\r\nauto\r\n"
        "--skald-part-9e3d43ce\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a_b.mp3\"\r\n"
        "Content-Type: application/octet-stream\r\n\r\n\0RIFF skald-part-0005ca1d\r\n--skald-part-9e3d43ce--\r\n";
    assert_int_equal(to.len, sizeof want - 1);
    assert_memory_equal(to.p, want, to.len);
    struct llm_answer a;
    llm_answer_init(&a);
    assert_int_equal(m.provider->transcribe_whole(m.provider,
                                                  SLICE("{\"text\":\"hallo\",\"usage\":{\"input_tokens\":3}}"),
                                                  SLICE("application/json"), &a, &err),
                     0);
    assert_string_equal(buf_cstr(&a.text), "hallo");
    assert_int_equal(a.tokens_in, 3);
    llm_answer_release(&a);
    struct llm_speech_request s = {.text = SLICE("say"), .voice = SLICE("v"), .format = SLICE("opus"), .speed = 1.5};
    buf_clear(&to);
    assert_int_equal(m.provider->speech_body(&s, &m, &to, &notes, &err), 0);
    assert_string_equal(buf_cstr(&to), "{\"model\":\"whisper-1\",\"input\":\"say\",\"voice\":\"v\",\"response_format\":"
                                       "\"opus\",\"speed\":1.5,\"chunking_strategy\":\"auto\"}");
    s.voice = SLICE("");
    assert_int_equal(m.provider->speech_body(&s, &m, &to, &notes, &err), ERR_INVALID);
    buf_release(&to);
    buf_release(&type);
    buf_release(&notes);
}

/* ---- errors ---- */

static void classes(void **state)
{
    static const struct {
        const char *provider;
        int status;
        const char *body;
        enum llm_class class;
    } all[] = {
        {"openai", 429, "{\"error\":{\"message\":\"m\",\"code\":\"insufficient_quota\"}}", LLM_CREDIT},
        {"openai", 429, "{\"error\":{\"message\":\"m\",\"type\":\"x\",\"code\":null}}", LLM_RATE},
        {"openai", 401, "", LLM_AUTH},
        {"openai", 503, "<html>", LLM_TRANSIENT},
        {"qwen", 400, "{\"code\":\"DataInspectionFailed\",\"message\":\"m\"}", LLM_CONTENT},
        {"qwen", 400, "{\"error\":{\"code\":\"Arrearage\",\"message\":\"m\"}}", LLM_CREDIT},
        {"qwen", 429, "{\"code\":\"Throttling.AllocationQuota\",\"message\":\"m\"}", LLM_RATE},
        {"glm", 429, "{\"error\":{\"code\":\"1113\",\"message\":\"m\"}}", LLM_CREDIT},
        {"glm", 429, "{\"error\":{\"code\":\"1302\",\"message\":\"m\"}}", LLM_RATE},
        {"glm", 400, "{\"error\":{\"code\":\"1301\",\"message\":\"m\"}}", LLM_CONTENT},
        {"glm", 429, "{\"error\":{\"code\":\"1312\",\"message\":\"m\"}}", LLM_TRANSIENT},
        {"ernie", 429, "{\"error\":{\"code\":\"rpm_rate_limit_exceeded\",\"message\":\"m\"}}", LLM_RATE},
        {"moonshot", 429, "{\"error\":{\"type\":\"exceeded_current_quota_error\",\"message\":\"m\"}}", LLM_CREDIT},
        {"deepseek", 402, "{\"error\":{\"message\":\"m\"}}", LLM_CREDIT},
        {"tei", 429, "{\"error\":\"m\",\"error_type\":\"overloaded\"}", LLM_RATE},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const struct llm_provider *p = llm_provider_find(slice_str(all[i].provider));
        struct llm_failure f;
        llm_failure_init(&f);
        p->failure(p, all[i].status, slice_str(all[i].body), &f);
        assert_int_equal(f.class, all[i].class);
        assert_string_equal(buf_cstr(&f.text), all[i].body[0] == '{' ? "m" : "");
        llm_failure_release(&f);
    }
}

static void errors_with_status_200(void **state)
{
    static const struct {
        const char *provider, *body;
        enum llm_class class;
        int code;
    } all[] = {
        {"spark", "{\"code\":11202,\"message\":\"licc failed\",\"sid\":\"s\"}", LLM_RATE, ERR_QUOTA},
        {"spark", "{\"code\":10013,\"message\":\"no\"}", LLM_CONTENT, ERR_INVALID},
        {"spark", "{\"code\":99999,\"message\":\"?\"}", LLM_TRANSIENT, ERR_UPSTREAM},
        {"minimax", "{\"choices\":null,\"base_resp\":{\"status_code\":1008,\"status_msg\":\"pay\"}}", LLM_CREDIT,
         ERR_QUOTA},
        {"minimax", "{\"base_resp\":{\"status_code\":2049,\"status_msg\":\"key\"}}", LLM_AUTH, ERR_UPSTREAM},
        {"ernie", "{\"error_code\":336501,\"error_msg\":\"slow down\"}", LLM_RATE, ERR_QUOTA},
        {"openai", "{\"error\":{\"message\":\"x\",\"code\":\"context_length_exceeded\"}}", LLM_BAD, ERR_INVALID},
        {"openai", "{\"error\":{\"message\":\"x\",\"code\":503}}", LLM_TRANSIENT, ERR_UPSTREAM},
        {"glm", "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"network_error\"}]}", LLM_TRANSIENT,
         ERR_UPSTREAM},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const struct llm_provider *p = llm_provider_find(slice_str(all[i].provider));
        struct llm_answer a;
        struct err err;
        llm_answer_init(&a);
        assert_int_equal(p->chat_whole(p, slice_str(all[i].body), &a, &err), all[i].code);
        assert_int_equal(a.failure, all[i].class);
        llm_answer_release(&a);
    }
    const struct llm_provider *spark = llm_provider_find(SLICE("spark"));
    struct llm_answer a;
    struct err err;
    llm_answer_init(&a);
    assert_int_equal(spark->chat_whole(spark,
                                       SLICE("{\"code\":0,\"message\":\"Success\",\"choices\":[{\"message\":{"
                                             "\"content\":\"ok\"}}]}"),
                                       &a, &err),
                     0);
    assert_string_equal(buf_cstr(&a.text), "ok");
    llm_answer_release(&a);
}

static void vendor_usage_and_reasons(void **state)
{
    const struct llm_provider *p = llm_provider_find(SLICE("deepseek"));
    struct llm_answer a;
    struct err err;
    llm_answer_init(&a);
    assert_int_equal(
        p->chat_whole(p,
                      SLICE("{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"sensitive\"}],"
                            "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1,"
                            "\"prompt_cache_hit_tokens\":8}}"),
                      &a, &err),
        0);
    assert_int_equal(a.tokens_cached, 8);
    assert_string_equal(buf_cstr(&a.finish), "content_filter");
    llm_answer_release(&a);
}

static void addresses(void **state)
{
    struct model m = model_of("qwen", "x", NULL);
    struct buf to = {0};
    llm_provider_url(&m, m.provider->chat_path, &to);
    buf_add_char(&to, ' ');
    llm_provider_url(&m, m.provider->rerank_path, &to);
    m.url = (char *)"http://127.0.0.1:1";
    buf_add_char(&to, ' ');
    llm_provider_url(&m, m.provider->rerank_path, &to);
    assert_string_equal(buf_cstr(&to), "https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions "
                                       "https://dashscope.aliyuncs.com/compatible-api/v1/reranks "
                                       "http://127.0.0.1:1/compatible-api/v1/reranks");
    buf_clear(&to);
    m = model_of("azure", "my model/1", NULL);
    m.url = (char *)"https://x.openai.azure.com";
    llm_provider_url(&m, llm_model_path(&m), &to);
    m.url = (char *)"https://x.openai.azure.com/?api-version=v";
    m.kind = MODEL_EMBED;
    buf_add_char(&to, ' ');
    llm_provider_url(&m, llm_model_path(&m), &to);
    assert_string_equal(
        buf_cstr(&to),
        "https://x.openai.azure.com/openai/deployments/my%20model%2F1/chat/completions?api-version=2024-10-21 "
        "https://x.openai.azure.com/openai/deployments/my%20model%2F1/embeddings?api-version=v");
    buf_release(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_openai),
        cmocka_unit_test(reasoning_models),
        cmocka_unit_test(params_and_their_order),
        cmocka_unit_test(glm_has_ranges_and_lacks),
        cmocka_unit_test(schemas),
        cmocka_unit_test(thinking_switches),
        cmocka_unit_test(reasoning_goes_back_where_it_must),
        cmocka_unit_test(images_and_cache_control),
        cmocka_unit_test(embeddings_and_ranks),
        cmocka_unit_test(base64_is_for_those_who_know_it),
        cmocka_unit_test(rank_replies),
        cmocka_unit_test(audio),
        cmocka_unit_test(classes),
        cmocka_unit_test(errors_with_status_200),
        cmocka_unit_test(vendor_usage_and_reasons),
        cmocka_unit_test(addresses),
    };
    json_boot();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
