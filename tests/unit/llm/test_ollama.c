/* Ollama's own API: bodies byte for byte; replies, whole and at every split of a stream's bytes. */
#include "bodies.h"

static const struct llm_message hi[] = {{.role = {"user", 4}, .content = {"hi", 2}}};

static struct llm_request simple(void)
{
    struct llm_request q = LLM_REQUEST;
    q.messages = hi;
    q.nmessages = 1;
    return q;
}

#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void parameters(void **state)
{
    static const struct slice stop[] = {{"X", 1}};
    struct model m =
        model_of("ollama", "llama", "{\"num_ctx\":4096,\"keep_alive\":\"5m\",\"options\":{\"min_p\":0.5}}");
    struct llm_request q = simple();
    q.temperature = 0.5;
    q.max_tokens = 9;
    q.has_seed = true;
    q.seed = 7;
    q.stop = stop;
    q.nstop = 1;
    q.end_user = SLICE("u");
    q.stream = true;
    q.json = true;
    q.effort = SLICE("high");
    q.params = SLICE("{\"top_k\":4,\"logit_bias\":{}}");
    expect_body(
        &q, &m,
        "{\"model\":\"llama\"," HI ",\"stream\":true,\"format\":\"json\",\"think\":\"high\",\"options\":{"
        "\"temperature\":0.5,\"num_predict\":9,\"seed\":7,\"stop\":[\"X\"],\"top_k\":4,\"num_ctx\":4096,\"min_p\":0.5"
        "},\"keep_alive\":\"5m\"}",
        "user:dropped logit_bias:dropped");
    struct model plain = model_of("ollama", "l", NULL);
    q = simple();
    q.schema = SLICE("{\"type\":\"object\"}");
    q.effort = SLICE("none");
    expect_body(&q, &plain,
                "{\"model\":\"l\"," HI ",\"stream\":false,\"format\":{\"type\":\"object\"},\"think\":false}", "");
    q = simple();
    q.think_tokens = 5;
    q.tools = SLICE("[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]");
    q.tool_choice = SLICE("\"required\"");
    q.parallel_tools = 1;
    expect_body(&q, &plain,
                "{\"model\":\"l\"," HI
                ",\"stream\":false,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],"
                "\"think\":true}",
                "tool_choice:dropped parallel_tool_calls:dropped think_tokens:mapped");
}

static void a_tool_turn_with_an_image(void **state)
{
    struct llm_message turn[] = {
        {.role = {"user", 4},
         .parts = SLICE("[{\"type\":\"text\",\"text\":\"see\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
                        "\"data:image/png;base64,AAAA\"}},{\"type\":\"text\",\"text\":\"it\"}]")},
        {.role = {"assistant", 9},
         .tool_calls =
             SLICE("[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}"
                   "\"}}]")},
        {.role = {"tool", 4}, .tool_call_id = {"c1", 2}, .content = {"42", 2}},
    };
    struct model m = model_of("ollama", "l", NULL);
    struct llm_request q = LLM_REQUEST;
    q.messages = turn;
    q.nmessages = 3;
    q.system = SLICE("s");
    expect_body(
        &q, &m,
        "{\"model\":\"l\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":"
        "\"see\\nit\",\"images\":[\"AAAA\"]},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{"
        "\"name\":\"f\",\"arguments\":{\"x\":1}}}]},{\"role\":\"tool\",\"content\":\"42\",\"tool_name\":\"f\"}],"
        "\"stream\":false}",
        "");
    turn[0].parts = SLICE("[{\"type\":\"image_url\",\"image_url\":{\"url\":\"http://x\"}}]");
    expect_refused(&q, &m, "data: URLs");
}

static void embeddings(void **state)
{
    struct model m = model_of("ollama", "e", "{\"truncate\":true}");
    struct slice texts[] = {SLICE("a"), SLICE("b")};
    struct llm_embed_request e = {.texts = texts, .ntexts = 2, .dim = 2};
    struct buf to = {0}, notes = {0};
    struct err err;
    assert_int_equal(m.provider->embed_body(&e, &m, &to, &notes, &err), 0);
    assert_string_equal(buf_cstr(&to), "{\"model\":\"e\",\"input\":[\"a\",\"b\"],\"dimensions\":2,\"truncate\":true}");
    struct llm_answer a;
    llm_answer_init(&a);
    assert_int_equal(
        m.provider->embed_whole(
            m.provider, SLICE("{\"model\":\"e\",\"embeddings\":[[1,2],[3,4]],\"prompt_eval_count\":6}"), 2, &a, &err),
        0);
    assert_true(a.count == 2 && a.dim == 2 && a.vectors[3] == 4 && a.tokens_in == 6);
    llm_answer_release(&a);
    llm_answer_init(&a);
    assert_int_equal(m.provider->embed_whole(m.provider, SLICE("{\"embeddings\":[[1,2],[3]]}"), 2, &a, &err),
                     ERR_UPSTREAM);
    llm_answer_release(&a);
    buf_release(&to);
    buf_release(&notes);
}

static const char stream[] =
    "{\"model\":\"l\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"h\xc3\xb6\"},\"done\":false}"
    "\n"
    "{\"model\":\"l\",\"message\":{\"content\":\"Hel\"},\"done\":false}\r\n\n"
    "{\"model\":\"l\",\"message\":{\"content\":\"lo\"},\"done\":false}\n"
    "{\"model\":\"l\",\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":"
    "1}}},{"
    "\"id\":\"z\",\"function\":{\"name\":\"g\"}}]},\"done\":false}\n"
    "{\"model\":\"l\",\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":5,"
    "\"eval_count\":9}\n";
#define CALLS                                                                                                          \
    "[{\"id\":\"call_0\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}},{"       \
    "\"id\":\"z\","                                                                                                    \
    "\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]"

static void gather(void *arg, const struct llm_delta *d)
{
    if (d->kind == LLM_DELTA_TEXT)
        buf_add(arg, d->text.p, d->text.len);
}

static int feed(struct slice in, size_t cut, struct llm_answer *a, struct buf *text, struct err *err)
{
    const struct llm_provider *p = llm_provider_find(SLICE("ollama"));
    llm_answer_init(a);
    struct llm_stream *s = p->stream_create(p, a, gather, text);
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
        struct buf text = {0};
        struct err err = {0};
        assert_int_equal(feed(in, cut, &a, &text, &err), 0);
        assert_string_equal(buf_cstr(&a.text), "Hello");
        assert_string_equal(buf_cstr(&text), "Hello");
        assert_string_equal(buf_cstr(&a.reasoning), "h\xc3\xb6");
        assert_string_equal(buf_cstr(&a.tool_calls), CALLS);
        assert_string_equal(buf_cstr(&a.finish), "tool_calls");
        assert_true(a.tokens_in == 5 && a.tokens_out == 9);
        llm_answer_release(&a);
        buf_release(&text);
    }
}

static void what_fails(void **state)
{
    static const char *const all[][2] = {
        {"{\"message\":{\"content\":\"a\"},\"done\":false}\n", "in the middle"},
        {"{\"error\":\"model not loaded\"}\n", "model not loaded"},
        {"{broken\n", "bad JSON"},
        {"[1]\n", "no JSON object"},
        {"", "in the middle"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (size_t cut = 0; cut <= strlen(all[i][0]); cut++) {
            struct llm_answer a;
            struct buf text = {0};
            struct err err = {0};
            assert_int_equal(feed(slice_str(all[i][0]), cut, &a, &text, &err), ERR_UPSTREAM);
            assert_non_null(strstr(err.msg, all[i][1]));
            llm_answer_release(&a);
            buf_release(&text);
        }
}

static void whole(void **state)
{
    const struct llm_provider *p = llm_provider_find(SLICE("ollama"));
    struct llm_answer a;
    struct err err;
    struct llm_failure f;
    llm_answer_init(&a);
    assert_int_equal(
        p->chat_whole(p,
                      SLICE("{\"model\":\"l\",\"message\":{\"content\":\"hi\"},\"done\":true,\"done_reason\":"
                            "\"length\"}"),
                      &a, &err),
        0);
    assert_string_equal(buf_cstr(&a.text), "hi");
    assert_string_equal(buf_cstr(&a.finish), "length");
    assert_int_equal(a.tokens_in, -1);
    llm_answer_release(&a);
    llm_answer_init(&a);
    assert_int_equal(p->chat_whole(p, SLICE("{}"), &a, &err), ERR_UPSTREAM);
    llm_answer_release(&a);
    llm_failure_init(&f);
    p->failure(p, 404, SLICE("{\"error\":\"no such model\"}"), &f);
    assert_int_equal(f.class, LLM_BAD);
    assert_string_equal(buf_cstr(&f.text), "no such model");
    llm_failure_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters), cmocka_unit_test(a_tool_turn_with_an_image),
        cmocka_unit_test(embeddings), cmocka_unit_test(streamed),
        cmocka_unit_test(what_fails), cmocka_unit_test(whole),
    };
    json_boot();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
