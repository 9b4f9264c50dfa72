/* OpenAI's wire form: bodies read, with the name of the field that is wrong; answers written byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/base64.h"
#include "base/json.h"
#include "llm/wire_openai.h"

static struct buf said;

static const char *text(struct slice s)
{
    buf_clear(&said);
    buf_add(&said, s.p, s.len);
    return buf_cstr(&said);
}

static void everything(void **state)
{
    struct wire_chat w;
    struct err err = {0};
    int r = wire_openai_chat(
        SLICE(
            "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":[{"
            "\"type\":\"text\",\"text\":\"only\"}],\"name\":\"n\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\","
            "\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"http://x\"}}]},{\"role\":\"assistant\","
            "\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\","
            "\"arguments\":\"{}\"}}],\"reasoning_content\":\"hm\"},{\"role\":\"tool\",\"tool_call_id\":\"c\","
            "\"content\":"
            "\"42\"}],\"temperature\":0.5,\"top_p\":null,\"max_completion_tokens\":9,\"frequency_penalty\":-2,"
            "\"presence_penalty\":2,\"seed\":-3,\"n\":1,\"stop\":[\"X\",\"Y\"],\"stream\":true,\"stream_options\":{"
            "\"include_usage\":true},\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":"
            "\"required\",\"parallel_tool_calls\":false,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{"
            "\"name\":\"n\",\"strict\":true,\"schema\":{\"type\":\"object\"}}},\"reasoning_effort\":\"low\",\"user\":"
            "\"u\","
            "\"top_k\":4,\"metadata\":{\"a\":\"b\"}}"),
        &w, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(r, 0);
    const struct llm_request *q = &w.q;
    assert_string_equal(text(q->model), "m");
    assert_int_equal(q->nmessages, 5);
    assert_string_equal(text(q->messages[1].content), "only");
    assert_string_equal(text(q->messages[1].name), "n");
    assert_string_equal(text(q->messages[2].parts), "[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\","
                                                    "\"image_url\":{\"url\":\"http://x\"}}]");
    assert_string_equal(text(q->messages[3].tool_calls),
                        "[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                        "\"arguments\":\"{}\"}}]");
    assert_string_equal(text(q->messages[3].reasoning), "hm");
    assert_string_equal(text(q->messages[4].tool_call_id), "c");
    assert_true(q->temperature == 0.5 && isnan(q->top_p) && q->frequency_penalty == -2 && q->presence_penalty == 2);
    assert_int_equal(q->max_tokens, 9);
    assert_true(q->has_seed && q->seed == -3);
    assert_int_equal(q->nstop, 2);
    assert_string_equal(text(q->stop[1]), "Y");
    assert_true(q->stream && w.include_usage && q->json && q->schema_strict);
    assert_string_equal(text(q->schema), "{\"type\":\"object\"}");
    assert_string_equal(text(q->schema_name), "n");
    assert_string_equal(text(q->tools), "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]");
    assert_string_equal(text(q->tool_choice), "\"required\"");
    assert_int_equal(q->parallel_tools, 0);
    assert_string_equal(text(q->effort), "low");
    assert_string_equal(text(q->end_user), "u");
    assert_string_equal(text(q->params), "{\"top_k\":4,\"metadata\":{\"a\":\"b\"}}");
    wire_chat_release(&w);
}

static void what_is_wrong_is_named(void **state)
{
    static const char *const all[][3] = {
        {"{\"messages\":[]}", "messages", "messages must be an array of at least one message"},
        {"{}", "messages", "messages is missing"},
        {"[]", "", "the body must be a JSON object"},
        {"{\"messages\":[{\"role\":\"king\",\"content\":\"x\"}]}", "messages[0].role", "must be system"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"user\"}]}", "messages[1].content",
         "is missing"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":7}]}", "messages[0].content", "must be a string"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}", "messages[0].content[0]",
         "needs a text"},
        {"{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "messages[0].tool_call_id", "is missing"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"x\"}]}]}", "messages[0].tool_calls[0]",
         "function.name"},
        {"{\"messages\":[7]}", "messages[0]", "must be an object"},
        {"{\"temperature\":3}", "temperature", "temperature must be a number from 0 to 2"},
        {"{\"temperature\":\"1\"}", "temperature", "number"},
        {"{\"max_tokens\":0}", "max_tokens", "whole number above 0"},
        {"{\"max_completion_tokens\":1.5}", "max_completion_tokens", "whole number"},
        {"{\"n\":2}", "n", "must be 1"},
        {"{\"stop\":[1]}", "stop", "strings only"},
        {"{\"stream\":1}", "stream", "true or false"},
        {"{\"tools\":[{\"type\":\"function\"}]}", "tools[0]", "needs function.name"},
        {"{\"tool_choice\":\"maybe\"}", "tool_choice", "none, auto, required"},
        {"{\"response_format\":{\"type\":\"xml\"}}", "response_format", "json_schema"},
        {"{\"response_format\":{\"type\":\"json_schema\"}}", "response_format.json_schema", "schema"},
        {"{\"reasoning_effort\":\"huge\"}", "reasoning_effort", "minimal"},
        {"{\"functions\":[]}", "functions", "old form"},
        {"{\"model\":7}", "model", "must be a string"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct wire_chat w;
        struct err err;
        assert_int_equal(wire_openai_chat(slice_str(all[i][0]), &w, &err), ERR_INVALID);
        assert_string_equal(w.body.param, all[i][1]);
        assert_non_null(strstr(err.msg, all[i][2]));
        wire_chat_release(&w);
    }
}

static struct llm_reply reply(void)
{
    return (struct llm_reply){
        .text = SLICE("a\"b"),
        .finish = SLICE("length"),
        .facts = {.tokens_in = 9, .tokens_out = 3, .tokens_cached = 2, .tokens_reasoning = 1, .cost = 1500001}};
}

static const struct wire_head head = {.id = {"chatcmpl-1", 10}, .model = {"m", 1}, .created = 7};

#define USAGE                                                                                                          \
    "{\"prompt_tokens\":9,\"completion_tokens\":3,\"total_tokens\":12,\"prompt_tokens_details\":{\"cached_tokens\":2}" \
    ","                                                                                                                \
    "\"completion_tokens_details\":{\"reasoning_tokens\":1},\"cost\":0.000001500001}"
#define CALLS "[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]"

static void whole_replies(void **state)
{
    struct buf to = {0};
    struct llm_reply r = reply();
    wire_openai_reply(&head, &r, &to);
    assert_string_equal(
        buf_cstr(&to),
        "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"m\",\"choices\":[{"
        "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a\\\"b\",\"refusal\":null},"
        "\"logprobs\":null,\"finish_reason\":\"length\"}],\"usage\":" USAGE "}");
    buf_clear(&to);
    r.text = SLICE("");
    r.reasoning = SLICE("hm");
    r.tool_calls = SLICE(CALLS);
    r.finish = SLICE("");
    wire_openai_reply(&head, &r, &to);
    assert_string_equal(
        buf_cstr(&to),
        "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"m\",\"choices\":[{"
        "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,\"refusal\":null,"
        "\"reasoning_content\":\"hm\",\"tool_calls\":" CALLS
        "},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":" USAGE "}");
    buf_release(&to);
}

static void gather(void *arg, struct slice type, struct slice json)
{
    struct buf *to = arg;
    assert_int_equal(type.len, 0);
    cJSON *v = json_parse(json, 1 << 20, "chunk", NULL);
    assert_true(cJSON_IsObject(v));
    assert_string_equal(json_str(v, "object", ""), "chat.completion.chunk");
    cJSON_Delete(v);
    const char *from = strstr(text(json), "\"choices\"");
    buf_addf(to, "%s\n", from);
}

static void chunks(void **state)
{
    struct wire_openai_stream s;
    struct buf to = {0};
    struct llm_reply r = reply();
    struct llm_delta d = {.kind = LLM_DELTA_TEXT, .text = SLICE("hi")};
    wire_openai_stream_init(&s, &head, true, gather, &to);
    wire_openai_stream_delta(&s, &d);
    d = (struct llm_delta){.kind = LLM_DELTA_TOOL, .tool_id = SLICE("c"), .tool_name = SLICE("f")};
    wire_openai_stream_delta(&s, &d);
    d = (struct llm_delta){.kind = LLM_DELTA_TOOL, .text = SLICE("{}")};
    wire_openai_stream_delta(&s, &d);
    d = (struct llm_delta){.kind = LLM_DELTA_REASONING, .text = SLICE("hm")};
    wire_openai_stream_delta(&s, &d);
    wire_openai_stream_end(&s, &r);
    wire_openai_stream_release(&s);
#define CHUNK(delta, finish)                                                                                           \
    "\"choices\":[{\"index\":0,\"delta\":{" delta "},\"logprobs\":null,\"finish_reason\":" finish "}],\"usage\":null}" \
    "\n"
    assert_string_equal(
        buf_cstr(&to),
        CHUNK("\"role\":\"assistant\",\"content\":\"\"", "null") CHUNK("\"content\":\"hi\"", "null")
            CHUNK("\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                  "\"arguments\":\"\"}}]",
                  "null") CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]", "null")
                CHUNK("\"reasoning_content\":\"hm\"", "null") CHUNK("", "\"length\"") "\"choices\":[],\"usage\":" USAGE
                                                                                      "}\n");
    buf_clear(&to);
    wire_openai_stream_init(&s, &head, false, gather, &to); /* nothing was said, and no usage is wanted */
    wire_openai_stream_end(&s, &r);
    wire_openai_stream_release(&s);
    assert_string_equal(buf_cstr(&to),
                        "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
                        "\"logprobs\":null,\"finish_reason\":null}]}\n\"choices\":[{\"index\":0,\"delta\":"
                        "{},\"logprobs\":null,\"finish_reason\":\"length\"}]}\n");
    buf_release(&to);
}

static void embeddings(void **state)
{
    struct wire_embed w;
    struct err err;
    assert_int_equal(wire_openai_embed(SLICE("{\"model\":\"e\",\"input\":[\"a\",\"b\"],\"encoding_format\":\"base64\","
                                             "\"dimensions\":2}"),
                                       &w, &err),
                     0);
    assert_true(w.base64 && w.q.ntexts == 2 && w.q.dim == 2);
    assert_string_equal(text(w.q.texts[1]), "b");
    wire_embed_release(&w);
    assert_int_equal(wire_openai_embed(SLICE("{\"input\":\"a\"}"), &w, &err), 0);
    assert_true(!w.base64 && w.q.ntexts == 1);
    wire_embed_release(&w);
    assert_int_equal(wire_openai_embed(SLICE("{\"input\":[1,2]}"), &w, &err), ERR_INVALID);
    assert_string_equal(w.body.param, "input");
    wire_embed_release(&w);
    assert_int_equal(wire_openai_embed(SLICE("{\"input\":\"a\",\"encoding_format\":\"x\"}"), &w, &err), ERR_INVALID);
    wire_embed_release(&w);
    struct buf to = {0};
    struct llm_vectors v = {.v = (const float[]){1, -0.5f}, .count = 2, .dim = 1, .facts.tokens_in = 3};
    wire_openai_vectors(&head, &v, false, &to);
    assert_string_equal(buf_cstr(&to),
                        "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":"
                        "[1]},{\"object\":\"embedding\",\"index\":1,\"embedding\":[-0.5]}],\"model\":\"m\","
                        "\"usage\":{\"prompt_tokens\":3,\"total_tokens\":3}}");
    buf_clear(&to);
    v.count = 1;
    wire_openai_vectors(&head, &v, true, &to);
    assert_non_null(strstr(buf_cstr(&to), "\"embedding\":\"AACAPw==\"}]"));
    buf_release(&to);
}

static void ranks_and_speech(void **state)
{
    struct wire_rerank w;
    struct err err;
    assert_int_equal(wire_openai_rerank(SLICE("{\"model\":\"r\",\"query\":\"q\",\"documents\":[\"a\",{\"text\":\"b\"}],"
                                              "\"top_n\":1,\"return_documents\":true}"),
                                        &w, &err),
                     0);
    assert_true(w.q.ndocs == 2 && w.q.count == 1);
    struct llm_ranks r = {.v = (const struct llm_rank[]){{.doc = 1, .score = 0.5}}, .n = 1, .facts.tokens_in = 4};
    struct buf to = {0};
    wire_openai_ranks(&head, &r, &w, &to);
    assert_string_equal(buf_cstr(&to), "{\"id\":\"chatcmpl-1\",\"model\":\"m\",\"results\":[{\"index\":1,"
                                       "\"relevance_score\":0.5,\"document\":{\"text\":\"b\"}}],\"usage\":{"
                                       "\"total_tokens\":4}}");
    buf_release(&to);
    wire_rerank_release(&w);
    assert_int_equal(wire_openai_rerank(SLICE("{\"documents\":[\"a\"]}"), &w, &err), ERR_INVALID);
    assert_string_equal(w.body.param, "query");
    wire_rerank_release(&w);
    struct wire_speech s;
    assert_int_equal(
        wire_openai_speech(SLICE("{\"input\":\"x\",\"voice\":{\"id\":\"v\"},\"response_format\":\"wav\"}"), &s, &err),
        0);
    assert_string_equal(text(s.q.voice), "v");
    assert_true(isnan(s.q.speed));
    wire_speech_release(&s);
    assert_int_equal(wire_openai_speech(SLICE("{\"input\":\"x\",\"speed\":9}"), &s, &err), ERR_INVALID);
    assert_string_equal(s.body.param, "speed");
    wire_speech_release(&s);
}

static void errors(void **state)
{
    static const struct {
        int code;
        enum llm_class class;
        int status;
        const char *type, *word;
    } all[] = {
        {ERR_INVALID, LLM_FINE, 400, "invalid_request_error", "invalid_value"},
        {ERR_INVALID, LLM_CONTENT, 400, "invalid_request_error", "content_filter"},
        {ERR_STATE, LLM_FINE, 404, "invalid_request_error", "model_not_found"},
        {ERR_STATE, LLM_TRANSIENT, 503, "server_error", "unavailable"},
        {ERR_QUOTA, LLM_RATE, 429, "rate_limit_error", "rate_limit_exceeded"},
        {ERR_QUOTA, LLM_CREDIT, 429, "insufficient_quota", "insufficient_quota"},
        {ERR_UPSTREAM, LLM_TRANSIENT, 502, "server_error", "upstream_error"},
        {ERR_UPSTREAM, LLM_TRANSIENT, 504, "server_error", "timeout"},
        {ERR_CANCELLED, LLM_FINE, 499, "server_error", "cancelled"},
        {ERR_WRONGTYPE, LLM_FINE, 400, "invalid_request_error", "wrong_type"},
        {ERR_NOPERM, LLM_FINE, 403, "permission_error", "no_permission"},
        {ERR_GENERIC, LLM_FINE, 500, "server_error", "internal_error"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct err err = {.code = all[i].code, .msg = "m"};
        struct buf to = {0}, want = {0};
        struct llm_facts facts = {.failure = all[i].class, .timed_out = all[i].status == 504};
        assert_int_equal(wire_openai_error(&err, all[i].class ? &facts : NULL, i ? NULL : "p", &to), all[i].status);
        buf_addf(&want, "{\"error\":{\"message\":\"m\",\"type\":\"%s\",\"param\":%s,\"code\":\"%s\"}}", all[i].type,
                 i ? "null" : "\"p\"", all[i].word);
        assert_string_equal(buf_cstr(&to), buf_cstr(&want));
        buf_release(&to);
        buf_release(&want);
    }
}

static void base64(void **state)
{
    static const char *const all[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
    static const char *const bad[] = {"Zg=", "Z===", "====", "Zg==Zg==", "Zm9\n", "Zm9v!", "Z"};
    struct buf to = {0};
    for (size_t i = 0; i < 5; i++) {
        buf_clear(&to);
        base64_encode(&to, slice_str(all[i][0]));
        assert_string_equal(buf_cstr(&to), all[i][1]);
        buf_clear(&to);
        assert_true(base64_decode(&to, slice_str(all[i][1])));
        assert_string_equal(buf_cstr(&to), all[i][0]);
    }
    buf_clear(&to);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(base64_decode(&to, slice_str(bad[i])));
    assert_int_equal(to.len, 0);
    buf_release(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything),    cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(whole_replies), cmocka_unit_test(chunks),
        cmocka_unit_test(embeddings),    cmocka_unit_test(ranks_and_speech),
        cmocka_unit_test(errors),        cmocka_unit_test(base64),
    };
    json_boot();
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    buf_release(&said);
    return r;
}
