/* Model calls from start to end, against builtin models and a mock provider in a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/setting.h"
#include "llm/llm.h"
#include "mock/provider.h"

static struct loop *L;
static struct http_client *H;
static struct job_pool *J;
static struct llm *M;
static struct mock mock;
static int waiting;

struct seen {
    struct buf pieces, text, calls, finish, model_id;
    struct err err;
    int npieces, ends;
    int64_t in, out;
    bool estimated;
    int attempts, count, dim;
    float first[4];
    struct llm_call *call;
    int cancel_after;
};

static void keep(struct buf *to, struct slice s)
{
    buf_clear(to);
    buf_add(to, s.p, s.len);
}

static void over(struct seen *s, const struct err *err)
{
    s->ends++;
    if (err)
        s->err = *err;
    if (--waiting == 0)
        loop_stop(L);
}

static void on_delta(void *arg, const struct llm_delta *d)
{
    struct slice t = d->text;
    struct seen *s = arg;
    assert_int_equal(s->ends, 0);
    assert_true(!s->cancel_after || s->npieces < s->cancel_after);
    buf_add(&s->pieces, t.p, t.len);
    if (++s->npieces == s->cancel_after)
        llm_cancel(s->call);
}

static void on_done(void *arg, const struct llm_reply *r, const struct err *err)
{
    struct seen *s = arg;
    if (!err) {
        keep(&s->text, r->text);
        keep(&s->calls, r->tool_calls);
        keep(&s->finish, r->finish);
        keep(&s->model_id, r->facts.model_id);
        s->in = r->facts.tokens_in;
        s->out = r->facts.tokens_out;
        s->estimated = r->facts.estimated;
        s->attempts = r->facts.attempts;
        assert_true(r->facts.us_first >= 0 && r->facts.us_first <= r->facts.us_total);
    }
    over(s, err);
}

static void on_vectors(void *arg, const struct llm_vectors *v, const struct err *err)
{
    struct seen *s = arg;
    if (!err) {
        s->count = v->count;
        s->dim = v->dim;
        s->in = v->facts.tokens_in;
        s->first[0] = v->v[0];
        s->first[1] = v->count > 1 ? v->v[v->dim] : 0;
    }
    over(s, err);
}

static void forget(struct seen *s)
{
    buf_release(&s->pieces);
    buf_release(&s->text);
    buf_release(&s->calls);
    buf_release(&s->finish);
    buf_release(&s->model_id);
}

static const struct llm_chat_events events = {on_delta, on_done};

/* A model of the mock whose behaviour is its id; more words of LLM.MODEL SET may follow. */
static void model(const char *id, const char *extra, const char *value)
{
    char url[64];
    struct err err;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", mock.port);
    struct slice w[] = {SLICE("m"),
                        SLICE("PROVIDER"),
                        SLICE("openai"),
                        SLICE("URL"),
                        slice_str(url),
                        SLICE("ID"),
                        slice_str(id),
                        SLICE("KEY"),
                        SLICE("sk-test"),
                        slice_str(extra ? extra : ""),
                        slice_str(value ? value : "")};
    assert_int_equal(models_set(llm_models(M), w, extra ? 11 : 9, &err), 0);
}

static struct llm_message question = {.role = {"user", 4}, .content = {"hello there", 11}};

static struct llm_request request(bool stream)
{
    struct llm_request q = LLM_REQUEST;
    q.model = SLICE("m");
    q.messages = &question;
    q.nmessages = 1;
    q.stream = stream;
    return q;
}

static void start(struct seen *s, const struct llm_request *q)
{
    struct err err = {0};
    s->call = llm_chat_start(M, q, &events, s, &err);
    assert_string_equal(err.msg, "");
    assert_non_null(s->call);
    assert_int_equal(s->ends, 0);
    waiting++;
}

static void run(struct seen *s, const char *id, bool stream)
{
    struct err err;
    *s = (struct seen){0};
    models_del(llm_models(M), SLICE("m"), &err); /* and with it what is known of its keys and failures */
    model(id, NULL, NULL);
    struct llm_request q = request(stream);
    start(s, &q);
    loop_run(L);
    assert_int_equal(s->ends, 1);
}

static void an_answer_whole_and_streamed(void **state)
{
    struct seen s;
    run(&s, "mock", false);
    assert_string_equal(buf_cstr(&s.text), "echo: hello there");
    assert_string_equal(buf_cstr(&s.finish), "stop");
    assert_string_equal(buf_cstr(&s.model_id), "mock-model-1");
    assert_int_equal(s.npieces, 0);
    assert_true(s.in == 7 && s.out == 3 && !s.estimated && s.attempts == 1);
    forget(&s);
    run(&s, "words=20,comments", true);
    assert_true(s.npieces >= 20);
    assert_true(slice_eq(buf_slice(&s.pieces), buf_slice(&s.text)));
    assert_true(s.in == 7 && s.out == 20 && !s.estimated);
    forget(&s);
    run(&s, "words=20,shred,nodone,nousage", true);
    assert_int_equal(s.err.code, 0);
    assert_true(slice_eq(buf_slice(&s.pieces), buf_slice(&s.text)));
    assert_true(s.in > 0 && s.out >= 20 && s.estimated);
    forget(&s);
    for (int stream = 0; stream < 2; stream++) {
        run(&s, "tool", stream);
        assert_string_equal(buf_cstr(&s.finish), "tool_calls");
        assert_string_equal(buf_cstr(&s.calls),
                            "[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":"
                            "\"get_weather\",\"arguments\":\"{\\\"city\\\":\\\"K\xc3\xb6ln\\\"}\"}}]");
        forget(&s);
    }
}

static void failures_have_classes_and_sentences(void **state)
{
    static const struct {
        const char *id;
        int stream; /* 2: both ways */
        int code;
        const char *part;
    } cases[] = {
        {"status=401", 2, ERR_UPSTREAM, "the provider refused the key of model 'm' (401): mock error 401"},
        {"status=403", 2, ERR_UPSTREAM, "refused the key of model 'm' (403)"},
        {"status=429", 2, ERR_QUOTA, "too many requests (429): mock error 429"},
        {"status=402", 2, ERR_QUOTA, "no credit left (402)"},
        {"status=500", 2, ERR_UPSTREAM, "the provider of model 'm' failed (500): mock error 500"},
        {"status=503", 2, ERR_UPSTREAM, "failed (503)"},
        {"status=400", 2, ERR_INVALID, "did not accept the request (400): mock error 400"},
        {"status=404", 2, ERR_INVALID, "(404)"},
        {"status=413", 2, ERR_INVALID, "(413)"},
        {"status=422", 2, ERR_INVALID, "(422)"},
        {"status=302", 2, ERR_UPSTREAM, "answered with status 302; check the model's URL"},
        {"garbage", 2, ERR_UPSTREAM, "model 'm': the provider's reply is not one of the OpenAI API"},
        {"error200", 2, ERR_UPSTREAM, "an error that came with status 200"},
        {"words=9,streamerror=4", 1, ERR_UPSTREAM,
         "model 'm': the provider reported an error: the mock fails in the middle"},
        {"words=9,broken=4", 1, ERR_UPSTREAM, "not one of the OpenAI API"},
        {"words=9,cut=4", 2, ERR_UPSTREAM, "closed the connection in the middle of the reply"},
        {"words=9,drip=5,reset=4", 1, ERR_UPSTREAM, "closed the connection in the middle of the reply"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int stream = 0; stream < 2; stream++) {
            struct seen s;
            if (cases[i].stream != 2 && cases[i].stream != stream)
                continue;
            run(&s, cases[i].id, stream);
            assert_int_equal(s.err.code, cases[i].code);
            if (!strstr(s.err.msg, cases[i].part))
                assert_string_equal(s.err.msg, cases[i].part);
            assert_null(strstr(s.err.msg, "sk-test"));
            forget(&s);
        }
    }
}

static void a_provider_that_never_answers(void **state)
{
    struct seen s = {0};
    model("never", "RETRIES", "3"); /* no time is left for them */
    struct llm_request q = request(true);
    q.caller.timeout_ms = 150;
    start(&s, &q);
    loop_run(L);
    assert_int_equal(s.err.code, ERR_UPSTREAM);
    assert_string_equal(s.err.msg, "model 'm' did not answer within 150 ms");
    forget(&s);

    q = request(true);
    for (int ms = 300; s.npieces == 0; ms *= 4) { /* a slow machine needs more time until the first piece */
        char timeout[16], said[80];
        snprintf(timeout, sizeof timeout, "%d", ms);
        snprintf(said, sizeof said, "the answer of model 'm' was not complete after %d ms", ms);
        s = (struct seen){0};
        model("words=5000,drip=20", "TIMEOUT", timeout);
        start(&s, &q);
        loop_run(L);
        assert_int_equal(s.err.code, ERR_UPSTREAM);
        if (s.npieces > 0)
            assert_string_equal(s.err.msg, said);
        forget(&s);
    }
}

static void what_may_pass_is_tried_again(void **state)
{
    struct seen s = {0};
    struct llm_request q = request(true);
    model("failfirst=1,words=3", "RETRIES", "2");
    start(&s, &q);
    loop_run(L);
    assert_int_equal(s.err.code, 0);
    assert_int_equal(s.attempts, 2);
    assert_string_equal(buf_cstr(&s.text), "word0 word1 word2");
    forget(&s);

    s = (struct seen){0};
    model("status=400", "RETRIES", "2"); /* will not pass */
    start(&s, &q);
    loop_run(L);
    assert_int_equal(s.err.code, ERR_INVALID);
    forget(&s);

    s = (struct seen){0};
    model("words=9,cut=4", "RETRIES", "2"); /* a piece was handed out */
    start(&s, &q);
    loop_run(L);
    assert_int_equal(s.err.code, ERR_UPSTREAM);
    assert_non_null(strstr(buf_cstr(&s.pieces), "word1"));
    assert_null(strstr(buf_cstr(&s.pieces) + 10, "word0"));
    forget(&s);
}

static const char *state_seen;
static int calls_seen;

static void on_info(void *arg, const struct llm_call_info *i)
{
    state_seen = i->state;
    calls_seen++;
    assert_string_equal(i->model, "m");
    assert_true(slice_eq(i->tag, SLICE("session:7")));
    assert_int_equal(strlen(i->id), 36);
    assert_true(i->age_us >= 0 && i->started_ms > 0);
}

static void turn_a_while(void *arg)
{
    loop_stop(L);
}

static void a_call_is_listed_and_cancelled_while_it_waits(void **state)
{
    struct seen s = {0};
    struct llm_request q = request(false);
    q.caller.tag = SLICE("session:7");
    model("status=500,retryafter=30", "RETRIES", "2");
    start(&s, &q);
    struct timer *t = timer_create_on(L, turn_a_while, NULL);
    do { /* until it waits for its retry */
        calls_seen = 0;
        llm_calls(M, on_info, NULL);
        assert_int_equal(calls_seen, 1);
        timer_start(t, 5, 0);
        loop_run(L);
    } while (strcmp(state_seen, "waiting") != 0);
    assert_ptr_equal(llm_call_find(M, slice_str(llm_call_id(s.call))), s.call);
    assert_null(llm_call_find(M, SLICE("nobody")));
    llm_cancel(s.call);
    llm_cancel(s.call);
    assert_int_equal(s.ends, 0);
    loop_run(L);
    timer_close(t);
    assert_int_equal(s.err.code, ERR_CANCELLED);
    calls_seen = 0;
    llm_calls(M, on_info, NULL);
    assert_int_equal(calls_seen, 0);
    forget(&s);
}

static void cancelled_calls_end_once(void **state)
{
    struct seen s = {0};
    struct llm_request q = request(true);
    model("never", NULL, NULL);
    start(&s, &q);
    llm_cancel(s.call);
    assert_int_equal(s.ends, 0);
    loop_run(L);
    assert_true(s.ends == 1 && s.err.code == ERR_CANCELLED);
    forget(&s);

    s = (struct seen){.cancel_after = 3};
    model("words=500,drip=3", NULL, NULL);
    start(&s, &q);
    loop_run(L);
    assert_true(s.ends == 1 && s.err.code == ERR_CANCELLED && s.npieces == 3);
    forget(&s);

    s = (struct seen){.cancel_after = 1};
    q.model = SLICE("builtin/extract");
    q.system = SLICE("Say hello there. Hello there, friend. There is hello.");
    start(&s, &q);
    loop_run(L);
    assert_true(s.ends == 1 && s.err.code == ERR_CANCELLED && s.npieces == 1);
    forget(&s);

    s = (struct seen){0};
    start(&s, &q);
    llm_cancel(s.call); /* perhaps before a worker took it */
    loop_run(L);
    assert_true(s.ends == 1 && s.err.code == ERR_CANCELLED && s.npieces == 0);
    forget(&s);
}

static void builtin_extract_answers(void **state)
{
    struct seen s = {0};
    struct llm_message m = {.role = SLICE("user"), .content = SLICE("How tall is the tower and when was it built?")};
    struct llm_request q = LLM_REQUEST; /* the default model */
    q.system = SLICE("[1] The tower is 330 metres tall. [a] x\n[2] It was built in 1889. Other things.");
    q.messages = &m;
    q.nmessages = 1;
    q.stream = true;
    start(&s, &q);
    loop_run(L);
    assert_string_equal(buf_cstr(&s.text), "The tower is 330 metres tall. [1] It was built in 1889. [2]");
    assert_string_equal(buf_cstr(&s.pieces), buf_cstr(&s.text));
    assert_true(s.npieces >= 2);
    assert_string_equal(buf_cstr(&s.model_id), "builtin/extract");
    assert_true(s.estimated && s.in > 20 && s.out > 10);
    forget(&s);
}

static struct llm_call *embed(struct seen *s, const char *name, int n, const struct slice *texts, int dim,
                              struct err *err)
{
    struct llm_embed_request q = {.model = slice_str(name), .texts = texts, .ntexts = n, .dim = dim};
    *s = (struct seen){0};
    struct llm_call *c = llm_embed_start(M, &q, on_vectors, s, err);
    if (c) {
        waiting++;
        loop_run(L);
    }
    return c;
}

static void embeddings(void **state)
{
    char url[64];
    struct err err;
    struct seen s;
    struct slice texts[] = {SLICE("one"), SLICE("three"), SLICE("")};
    assert_non_null(embed(&s, "", 2, texts, 0, &err));
    assert_true(s.err.code == 0 && s.count == 2 && s.dim == 384 && s.in == 2);
    assert_non_null(embed(&s, "builtin/hash", 1, texts, 64, &err));
    assert_int_equal(s.dim, 64);
    assert_non_null(embed(&s, "builtin/hash", 1, texts, 7, &err));
    assert_int_equal(s.err.code, ERR_INVALID);
    assert_null(embed(&s, "", 3, texts, 0, &err)); /* an empty text */
    assert_int_equal(err.code, ERR_INVALID);
    assert_null(embed(&s, "", 0, texts, 0, &err));
    assert_null(embed(&s, "builtin/extract", 1, texts, 0, &err));
    assert_int_equal(err.code, ERR_STATE);

    static const struct {
        const char *id;
        int code;
    } cases[] = {{"dims=8", 0}, {"short", ERR_UPSTREAM}, {"status=429", ERR_QUOTA}, {"garbage", ERR_UPSTREAM}};
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", mock.port);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slice w[] = {SLICE("e"),  SLICE("PROVIDER"),      SLICE("openai"), SLICE("URL"),  slice_str(url),
                            SLICE("ID"), slice_str(cases[i].id), SLICE("KIND"),   SLICE("EMBED")};
        assert_int_equal(models_set(llm_models(M), w, 9, &err), 0);
        assert_non_null(embed(&s, "e", 2, texts, 0, &err));
        assert_int_equal(s.err.code, cases[i].code);
        if (cases[i].code == 0)
            assert_true(s.count == 2 && s.dim == 8 && s.first[0] == 0.5f && s.first[1] == 1.5f && s.in == 6);
    }
}

static void what_cannot_start_does_not(void **state)
{
    struct err err;
    struct llm_message bad[] = {
        {.role = SLICE("wizard"), .content = SLICE("x")},
        {.role = SLICE("user"), .content = SLICE("\xff")},
        {.role = SLICE("assistant"), .tool_calls = SLICE("{}")},
        {.role = SLICE("user"), .parts = SLICE("[")},
    };
    struct llm_request q = request(false);
    model("mock", NULL, NULL);
    for (int i = 0; i < 4; i++) {
        q.messages = &bad[i];
        assert_null(llm_chat_start(M, &q, &events, NULL, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
    q = request(false);
    q.nmessages = 0;
    assert_null(llm_chat_start(M, &q, &events, NULL, &err));
    q = request(false);
    q.params = SLICE("[]");
    assert_null(llm_chat_start(M, &q, &events, NULL, &err));
    q = request(false);
    q.model = SLICE("nobody");
    assert_null(llm_chat_start(M, &q, &events, NULL, &err));
    assert_int_equal(err.code, ERR_STATE);
    model("mock", "PARAMS", "{}");
    assert_int_equal(models_enable(llm_models(M), SLICE("m"), false, &err), 0);
    q = request(false);
    assert_null(llm_chat_start(M, &q, &events, NULL, &err));
    assert_int_equal(err.code, ERR_STATE);
    struct slice w[] = {SLICE("k"), SLICE("PROVIDER"), SLICE("openai"), SLICE("KEY"), SLICE("env:SKALD_NO_SUCH_KEY")};
    assert_int_equal(models_set(llm_models(M), w, 5, &err), 0);
    q.model = SLICE("k");
    assert_null(llm_chat_start(M, &q, &events, NULL, &err));
    assert_int_equal(err.code, ERR_STATE);
}

static void on_record(void *arg, const struct http_end *e)
{
    buf_add(arg, e->body.p, e->body.len);
    loop_stop(L);
}

/* The body of the last request the mock got. */
static cJSON *last_body(void)
{
    static const struct http_ops ops = {NULL, NULL, on_record};
    char url[64];
    struct buf all = {0};
    struct err err;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/control/requests", mock.port);
    assert_int_equal(http_start(H, &(struct http_request){.url = url, .allow_private = true}, &ops, &all, NULL, &err),
                     0);
    loop_run(L);
    cJSON *v = json_parse(buf_slice(&all), 64 << 20, "requests", &err);
    assert_non_null(v);
    cJSON *last = cJSON_GetArrayItem(v, cJSON_GetArraySize(v) - 1);
    assert_string_equal(json_str(cJSON_GetObjectItem(last, "headers"), "authorization", ""), "Bearer sk-test");
    cJSON *body = json_parse(slice_str(json_str(last, "body", "")), 1 << 20, "body", &err);
    assert_non_null(body);
    cJSON_Delete(v);
    buf_release(&all);
    return body;
}

static void a_request_has_all_its_fields(void **state)
{
    struct seen s = {0};
    struct llm_message ms[] = {
        {.role = SLICE("user"), .parts = SLICE("[{\"type\":\"text\",\"text\":\"hi\"}]"), .name = SLICE("bob")},
        {.role = SLICE("assistant"), .tool_calls = SLICE("[{\"id\":\"c\"}]")},
        {.role = SLICE("tool"), .content = SLICE("r\"es\n"), .tool_call_id = SLICE("c")},
    };
    struct slice stop[] = {SLICE("END"), SLICE("\n\n")};
    struct llm_request q = request(true);
    q.system = SLICE("be good");
    q.messages = ms;
    q.nmessages = 3;
    q.temperature = 0.7;
    q.max_tokens = 99;
    q.stop = stop;
    q.nstop = 2;
    q.has_seed = true;
    q.seed = -5;
    q.schema = SLICE("{\"type\":\"object\"}");
    q.tools = SLICE("[{\"type\":\"function\"}]");
    q.params = SLICE("{\"top_k\":1,\"temperature\":2,\"stream\":false,\"messages\":[]}");
    model("words=2", "PARAMS", "{\"top_k\":9,\"min_p\":0.5,\"model\":\"other\"}");
    start(&s, &q);
    loop_run(L);
    assert_int_equal(s.err.code, 0);
    forget(&s);
    cJSON *b = last_body();
    char *text = cJSON_PrintUnformatted(b);
    assert_string_equal(
        text,
        "{\"model\":\"words=2\",\"messages\":[{\"role\":\"system\",\"content\":\"be good\"},{\"role\":\"user\","
        "\"content\":[{\"type\":\"text\",\"text\":\"hi\"}],\"name\":\"bob\"},{\"role\":\"assistant\",\"content\":null,"
        "\"tool_calls\":[{\"id\":\"c\"}]},{\"role\":\"tool\",\"content\":\"r\\\"es\\n\",\"tool_call_id\":\"c\"}],"
        "\"temperature\":0.7,\"max_tokens\":99,\"seed\":-5,\"stop\":[\"END\",\"\\n\\n\"],\"response_format\":{\"type\":"
        "\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"schema\":{\"type\":\"object\"}}},\"tools\":[{\"type\":"
        "\"function\"}],\"stream\":true,\"stream_options\":{\"include_usage\":true},\"top_k\":1,\"min_p\":0.5}");
    cJSON_free(text);
    cJSON_Delete(b);
}

static int threads_now(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void a_thousand_calls_cost_no_thread(void **state)
{
    enum { N = 1000 };
    struct seen *all = mem_zero(N * sizeof *all);
    struct llm_request q = request(true);
    struct http_client_load load;
    int before = threads_now();
    model("words=5,delay=1500,drip=10", NULL, NULL);
    for (int i = 0; i < N; i++)
        start(&all[i], &q);
    do {
        usleep(20000);
        loop_turn(L);
        http_client_load(H, &load);
    } while (load.connections < N && load.calls == N);
    assert_int_equal(threads_now(), before);
    loop_run(L);
    for (int i = 0; i < N; i++) {
        assert_int_equal(all[i].ends, 1);
        assert_string_equal(all[i].err.code ? all[i].err.msg : "", "");
        assert_string_equal(buf_cstr(&all[i].text), "word0 word1 word2 word3 word4");
        forget(&all[i]);
    }
    mem_free(all);
}

static int waiting_seen;

static void count_waiting(void *arg, const struct llm_call_info *i)
{
    waiting_seen += strcmp(i->state, "waiting") == 0;
}

static void stopping_ends_every_call(void **state)
{
    struct seen s[4] = {0};
    struct err err;
    struct llm_request q = request(true);
    waiting = 1000; /* nobody stops the loop */
    model("never", NULL, NULL);
    start(&s[0], &q);
    start(&s[1], &q);
    model("status=500,retryafter=30", "RETRIES", "5");
    start(&s[2], &q);
    q.model = SLICE("builtin/extract");
    start(&s[3], &q);
    struct timer *t = timer_create_on(L, turn_a_while, NULL);
    do { /* until one waits for its retry and one has ended */
        waiting_seen = 0;
        llm_calls(M, count_waiting, NULL);
        timer_start(t, 5, 0);
        loop_run(L);
    } while (waiting_seen == 0 || s[3].ends == 0);
    timer_close(t);
    llm_stop(M);
    assert_null(llm_chat_start(M, &q, &events, NULL, &err));
    http_client_destroy(H);
    job_pool_destroy(J);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(s[i].ends, 1);
        assert_int_equal(s[i].err.code, i < 3 ? ERR_STATE : 0);
        forget(&s[i]);
    }
    llm_destroy(M);
}

static int up(void **state)
{
    struct err err;
    json_boot();
    llm_boot();
    setting_set(setting_find(SLICE("llm-retry-pause")), SLICE("1"), true, &err);
    alarm(300);
    if (mock_start(&mock) || loop_create(&L, &err) || http_client_create(&H, L, 1, &err))
        return -1;
    J = job_pool_create(L, 2);
    M = llm_create(L, H, J);
    return 0;
}

static int down(void **state)
{
    loop_destroy(L);
    mock_stop(&mock);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_whole_and_streamed),
        cmocka_unit_test(failures_have_classes_and_sentences),
        cmocka_unit_test(a_provider_that_never_answers),
        cmocka_unit_test(what_may_pass_is_tried_again),
        cmocka_unit_test(a_call_is_listed_and_cancelled_while_it_waits),
        cmocka_unit_test(cancelled_calls_end_once),
        cmocka_unit_test(builtin_extract_answers),
        cmocka_unit_test(embeddings),
        cmocka_unit_test(what_cannot_start_does_not),
        cmocka_unit_test(a_request_has_all_its_fields),
        cmocka_unit_test(a_thousand_calls_cost_no_thread),
        cmocka_unit_test(stopping_ends_every_call), /* the last one: it takes everything down */
    };
    return cmocka_run_group_tests(tests, up, down);
}
