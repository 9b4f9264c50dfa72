/* Calls over several models and keys, against the mock provider: fail-over, retries, breakers, the queue, and that
 * every call ends once whatever happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/setting.h"
#include "llm/account.h"
#include "llm/deployment.h"
#include "llm/llm.h"
#include "llm/provider.h"
#include "mock/provider.h"

static struct loop *L;
static struct http_client *H;
static struct job_pool *J;
static struct llm *M;
static struct mock mock;
static int waiting;

struct seen {
    struct buf pieces, text, model, finish;
    struct err err;
    struct llm_facts facts;
    int npieces, ends, cancel_after;
    struct llm_call *call;
};

static void over(struct seen *s, const struct llm_facts *f, const struct err *err)
{
    s->ends++;
    s->facts = *f;
    buf_add(&s->model, f->model.p, f->model.len);
    if (err)
        s->err = *err;
    if (--waiting == 0)
        loop_stop(L);
}

static void on_delta(void *arg, const struct llm_delta *d)
{
    struct seen *s = arg;
    assert_int_equal(s->ends, 0);
    buf_add(&s->pieces, d->text.p, d->text.len);
    if (++s->npieces == s->cancel_after)
        llm_cancel(s->call);
}

static void on_done(void *arg, const struct llm_reply *r, const struct err *err)
{
    struct seen *s = arg;
    buf_add(&s->text, r->text.p, r->text.len);
    buf_add(&s->finish, r->finish.p, r->finish.len);
    over(s, &r->facts, err);
}

static void on_vectors(void *arg, const struct llm_vectors *v, const struct err *err)
{
    struct seen *s = arg;
    for (int i = 0; i < v->count; i++)
        buf_add_char(&s->text, (char)('0' + (int)v->v[i * v->dim + 1])); /* the mock puts each text's length there */
    over(s, &v->facts, err);
}

static const struct llm_chat_events events = {on_delta, on_done};

static void forget(struct seen *s)
{
    buf_release(&s->pieces);
    buf_release(&s->text);
    buf_release(&s->model);
    buf_release(&s->finish);
    *s = (struct seen){0};
}

static int split(const char *line, struct slice *to)
{
    int n = 0;
    for (const char *p = line; *p;) {
        size_t len = strcspn(p, "|");
        to[n++] = slice_of(p, len);
        p += len + (p[len] == '|');
    }
    return n;
}

static void setting(const char *name, const char *value)
{
    assert_int_equal(setting_set(setting_find(slice_str(name)), slice_str(value), true, NULL), 0);
}

/* A new model of the mock: nothing is known of how it does. `more` are further words. */
static void model(const char *name, const char *behaviour, const char *more)
{
    char line[512];
    struct slice w[40];
    struct err err;
    snprintf(line, sizeof line, "%s|PROVIDER|openai|URL|http://127.0.0.1:%d/v1|ID|%s%s%s", name, mock.port, behaviour,
             *more ? "|" : "", more);
    models_del(llm_models(M), slice_str(name), &err);
    int n = split(line, w);
    assert_int_equal(models_set(llm_models(M), w, n, &err), 0);
}

static void route(const char *line)
{
    struct slice w[40];
    const struct route *r;
    struct err err = {0};
    int n = split(line, w);
    routes_set(llm_routes(M), w, n, 1, &r, &err);
    assert_string_equal(err.msg, "");
}

static struct llm_message question = {.role = {"user", 4}, .content = {"hello there", 11}};

static struct llm_request request(const char *name, bool stream)
{
    struct llm_request q = LLM_REQUEST;
    q.model = slice_str(name);
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
    waiting++;
}

static void run(struct seen *s, const char *name, bool stream)
{
    struct llm_request q = request(name, stream);
    start(s, &q);
    loop_run(L);
    assert_int_equal(s->ends, 1);
}

static struct llm_deployment_info info;

static void take_info(void *arg, const struct llm_deployment_info *i)
{
    info = *i;
}

static const struct llm_deployment_info *state(const char *name)
{
    assert_true(llm_deployment(M, slice_str(name), take_info, NULL));
    return &info;
}

static const char *in_state;
static int in_states;

static void count_state(void *arg, const struct llm_call_info *i)
{
    in_states += strcmp(i->state, in_state) == 0;
}

static int calls_in(const char *name)
{
    in_state = name;
    in_states = 0;
    llm_calls(M, count_state, NULL);
    return in_states;
}

/* ---- one call ---- */

static void it_fails_over_before_the_first_piece_only(void **state_)
{
    static const char *const bad[] = {"status=500", "status=429",    "status=401", "status=402",
                                      "garbage",    "error200",      "cut=0",      "reset=0",
                                      "status=529", "streamerror=0", "status=302"};
    struct seen s = {0};
    model("good", "words=3", "");
    route("r|STRATEGY|PRIORITY|MODELS|bad|good");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (int stream = 0; stream < 2; stream++) {
            model("bad", bad[i], "RETRIES|1");
            run(&s, "r", stream);
            assert_string_equal(s.err.msg, "");
            assert_string_equal(buf_cstr(&s.text),
                                stream || strcmp(bad[i], "streamerror=0") ? "word0 word1 word2" : "echo: hello there");
            assert_true(s.facts.us_vendor > 0 && s.facts.us_vendor <= s.facts.us_total);
            if (stream)
                assert_string_equal(buf_cstr(&s.pieces), "word0 word1 word2");
            forget(&s);
        }
    model("bad", "words=9,cut=4", "RETRIES|3");
    run(&s, "r", true);
    assert_int_equal(s.err.code, ERR_UPSTREAM);
    assert_true(s.npieces > 0 && s.facts.attempts == 1);
    assert_null(strstr(buf_cstr(&s.pieces) + 5, "word0"));
    forget(&s);
    model("bad", "status=400", "");
    run(&s, "r", true);
    assert_true(s.err.code == ERR_INVALID && s.facts.attempts == 1 && s.facts.failure == LLM_BAD);
    forget(&s);
}

static void retries_are_the_models_and_two_unless_given(void **state_)
{
    static const struct {
        const char *more;
        int attempts;
    } cases[] = {{"", 3}, {"RETRIES|0", 1}, {"RETRIES|3", 4}};
    struct seen s = {0};
    for (int i = 0; i < 3; i++) {
        model("m", "status=503", cases[i].more);
        run(&s, "m", false);
        assert_int_equal(s.err.code, ERR_UPSTREAM);
        assert_int_equal(s.facts.attempts, cases[i].attempts);
        assert_int_equal(s.facts.failure, LLM_TRANSIENT);
        forget(&s);
    }
    model("a", "status=500", "RETRIES|1");
    model("b", "status=500", "RETRIES|2");
    route("r|STRATEGY|PRIORITY|MODELS|a|b|FALLBACK|sorry");
    run(&s, "r", true); /* each has its own */
    assert_int_equal(s.facts.attempts, 5);
    assert_true(s.facts.fallback && s.err.code == 0);
    assert_string_equal(buf_cstr(&s.text), "sorry");
    assert_string_equal(buf_cstr(&s.pieces), "sorry");
    assert_string_equal(buf_cstr(&s.finish), "stop");
    forget(&s);
}

static void retry_after_is_waited_for(void **state_)
{
    struct seen s = {0};
    setting("llm-retry-pause", "3600000"); /* without the header it would not be tried again */
    model("m", "failfirst=1,retryafter=0,words=1", "");
    run(&s, "m", false);
    assert_true(s.err.code == 0 && s.facts.attempts == 2);
    forget(&s);
    model("m", "failfirst=1,retryafter=Sun Nov  6 08:49:37 1994,words=2", ""); /* which is over */
    run(&s, "m", false);
    assert_true(s.err.code == 0 && s.facts.attempts == 2);
    forget(&s);
    model("m", "status=429,retryafter=50", "");
    struct llm_request q = request("m", false);
    q.caller.timeout_ms = 1000; /* too short for that */
    start(&s, &q);
    loop_run(L);
    assert_true(s.err.code == ERR_QUOTA && s.facts.attempts == 1 && s.facts.retry_after_ms == 50000);
    forget(&s);
    setting("llm-retry-pause", "1");
    struct err err;
    q.caller.timeout_ms = 500; /* the key rests, and that is told at once */
    assert_null(llm_chat_start(M, &q, &events, &s, &err));
    assert_int_equal(err.code, ERR_QUOTA);
}

static void no_vendor_makes_a_key_rest_for_long(void **state_)
{
    assert_int_equal(deployment_key_rest(LLM_RATE, 86400000), 3600000);
    setting("llm-key-rest-rate-max", "5000");
    assert_int_equal(deployment_key_rest(LLM_RATE, 86400000), 5000);
    assert_int_equal(deployment_key_rest(LLM_RATE, 4000), 4000);
    assert_int_equal(deployment_key_rest(LLM_RATE, -1), 0);
    setting("llm-key-rest-rate-max", "3600000");
}

static void keys_are_rotated(void **state_)
{
    struct seen s = {0};
    struct err err;
    model("m", "badkey=one,words=1", "KEY|one|KEY|two|KEY|three");
    for (int i = 0; i < 6; i++) {
        run(&s, "m", false);
        assert_int_equal(s.err.code, 0);
        assert_int_equal(s.facts.attempts, i == 0 ? 2 : 1);
        forget(&s);
    }
    assert_int_equal(state("m")->keys_resting, 1);
    assert_int_equal(state("m")->minute_failures, 0); /* a key's fault is not the vendor's */
    model("m", "status=401", "KEY|one|KEY|two");
    run(&s, "m", false);
    assert_true(s.err.code == ERR_UPSTREAM && s.facts.attempts == 2);
    forget(&s);
    struct llm_request q = request("m", false);
    assert_null(llm_chat_start(M, &q, &events, &s, &err));
    assert_non_null(strstr(err.msg, "no key of model 'm' can be used"));
}

/* ---- many calls ---- */

static void one_probe_among_fifty(void **state_)
{
    enum { N = 50 };
    struct seen s[N] = {0};
    setting("llm-breaker-pause", "1");
    model("m", "failfirst=5,delay=50,words=1", "RETRIES|0");
    for (int i = 0; i < 5; i++) {
        run(&s[0], "m", false);
        assert_int_equal(s[0].err.code, ERR_UPSTREAM);
        forget(&s[0]);
    }
    while (strcmp(state("m")->breaker, "half-open") != 0)
        usleep(1000);
    int refused = 0;
    for (int i = 0; i < N; i++) {
        struct llm_request q = request("m", false);
        struct err err;
        if ((s[i].call = llm_chat_start(M, &q, &events, &s[i], &err))) {
            waiting++;
        } else {
            assert_int_equal(err.code, ERR_QUOTA);
            refused++;
        }
    }
    assert_int_equal(refused, N - 1);
    assert_int_equal(state("m")->in_flight, 1);
    loop_run(L);
    assert_string_equal(state("m")->breaker, "closed");
    for (int i = 0; i < N; i++)
        forget(&s[i]);
    setting("llm-breaker-pause", "5000");
}

static void a_route_is_changed_while_calls_run(void **state_)
{
    enum { N = 100 };
    struct seen *s = mem_zero(N * sizeof *s);
    char line[64];
    model("a", "words=5,drip=2", "");
    model("b", "words=5,drip=2", "");
    for (int i = 0; i < N; i++) {
        struct llm_request q = request("r", i % 2);
        snprintf(line, sizeof line, "r|STRATEGY|%s|MODELS|%s", i % 3 ? "FASTEST" : "WEIGHTED", i % 2 ? "a|b" : "b");
        route(line);
        start(&s[i], &q);
        if (i == N / 2) { /* and a model is made anew under its calls */
            model("a", "words=5,drip=1", "");
            model("b", "words=5,drip=1", "");
        }
    }
    struct err err;
    assert_int_equal(routes_del(llm_routes(M), SLICE("r"), &err), 0);
    loop_run(L);
    for (int i = 0; i < N; i++) {
        assert_int_equal(s[i].ends, 1);
        assert_string_equal(s[i].err.code ? s[i].err.msg : "", "");
        assert_string_equal(buf_cstr(&s[i].text), "word0 word1 word2 word3 word4");
        forget(&s[i]);
    }
    mem_free(s);
}

static void calls_wait_for_a_place(void **state_)
{
    enum { N = 20 };
    struct seen s[N] = {0};
    model("m", "words=2,drip=1", "CONCURRENCY|2");
    for (int i = 0; i < N; i++) {
        struct llm_request q = request("m", true);
        q.caller.owner = i % 2 ? SLICE("ann") : SLICE("bob");
        start(&s[i], &q);
        assert_true(state("m")->in_flight <= 2);
    }
    assert_int_equal(calls_in("queued"), N - 2);
    llm_cancel(s[7].call);
    loop_run(L);
    for (int i = 0; i < N; i++) {
        assert_int_equal(s[i].ends, 1);
        assert_int_equal(s[i].err.code, i == 7 ? ERR_CANCELLED : 0);
        forget(&s[i]);
    }
    setting("llm-queue-max", "1");
    struct llm_request q = request("m", false);
    for (int i = 0; i < 3; i++)
        start(&s[i], &q);
    struct err err;
    assert_null(llm_chat_start(M, &q, &events, &s[4], &err));
    assert_int_equal(err.code, ERR_QUOTA);
    loop_run(L);
    for (int i = 0; i < 3; i++)
        forget(&s[i]);
    setting("llm-queue-max", "10000");
}

static void turn(void *arg)
{
    loop_stop(L);
}

static void a_call_is_cancelled_in_each_state(void **state_)
{
    static const struct {
        const char *behaviour, *state;
    } cases[] = {{"never", "running"}, {"words=900,drip=5", "streaming"}, {"status=500,retryafter=30", "waiting"}};
    struct timer *t = timer_create_on(L, turn, NULL);
    for (int i = 0; i < 3; i++) {
        struct seen s = {0}, queued = {0};
        struct llm_request q = request("m", true);
        model("m", cases[i].behaviour, "CONCURRENCY|1");
        start(&s, &q);
        do {
            timer_start(t, 2, 0);
            loop_run(L);
        } while (calls_in(cases[i].state) == 0);
        if (i < 2) { /* one that pauses holds no place */
            start(&queued, &q);
            assert_int_equal(calls_in("queued"), 1);
            llm_cancel(queued.call);
        }
        llm_cancel(s.call);
        assert_true(s.ends == 0 && queued.ends == 0);
        loop_run(L);
        assert_true(s.ends == 1 && s.err.code == ERR_CANCELLED);
        assert_true(i == 2 || (queued.ends == 1 && queued.err.code == ERR_CANCELLED));
        assert_int_equal(state("m")->in_flight, 0);
        forget(&s);
        forget(&queued);
    }
    timer_close(t);
}

static void a_deadline_covers_the_queue(void **state_)
{
    struct seen s = {0}, late = {0};
    struct llm_request q = request("m", false);
    model("m", "never", "CONCURRENCY|1");
    q.caller.timeout_ms = 400;
    start(&s, &q);
    q.caller.timeout_ms = 30;
    start(&late, &q);
    loop_run(L);
    assert_true(late.ends == 1 && late.err.code == ERR_QUOTA && late.facts.attempts == 0);
    assert_true(s.ends == 1 && s.err.code == ERR_UPSTREAM);
    forget(&s);
    forget(&late);
}

static void embeddings_are_cut_and_put_together(void **state_)
{
    enum { N = 70 };
    struct seen s = {0};
    struct slice texts[N];
    struct err err;
    char expected[N + 1] = {0};
    for (int i = 0; i < N; i++) {
        texts[i] = slice_of("123456789", (size_t)(i % 9) + 1);
        expected[i] = (char)('1' + i % 9);
    }
    model("e", "dims=4", "KIND|EMBED");
    struct model *m = models_find(llm_models(M), SLICE("e"));
    struct llm_provider few = *m->provider;
    few.embed_batch = 32;
    m->provider = &few;
    struct llm_embed_request q = {.model = SLICE("e"), .texts = texts, .ntexts = N};
    assert_non_null(llm_embed_start(M, &q, on_vectors, &s, &err));
    waiting++;
    loop_run(L);
    assert_string_equal(s.err.msg, "");
    assert_string_equal(buf_cstr(&s.text), expected);
    assert_true(s.facts.attempts == 3 && s.facts.tokens_in == 3 * N);
    forget(&s);
    assert_int_equal(models_del(llm_models(M), SLICE("e"), &err), 0);
}

static void idle_models_are_checked(void **state_)
{
    struct timer *t = timer_create_on(L, turn, NULL);
    model("m", "words=1", "");
    model("off", "words=1", "");
    struct err err;
    assert_int_equal(models_enable(llm_models(M), SLICE("off"), false, &err), 0);
    setting("llm-health-interval", "1");
    while (state("m")->attempts == 0) { /* as often as it takes */
        timer_start(t, 20, 0);
        loop_run(L);
    }
    setting("llm-health-interval", "0");
    assert_int_equal(state("off")->attempts, 0);
    in_states = 1;
    while (in_states) {
        timer_start(t, 5, 0);
        loop_run(L);
        calls_in("running");
    }
    assert_true(state("m")->minute_calls >= 1 && state("m")->minute_failures == 0);
    timer_close(t);
}

static void every_call_ends_once(void **state_)
{
    static const char *const faults[] = {
        "words=2",       "status=500", "status=429,retryafter=0", "garbage",
        "words=9,cut=3", "reset=0",    "failfirst=40,words=1",    "words=5,streamerror=2",
        "status=401",    "error200",   "words=3,shred",           "status=400"};
    enum { N = 3000, MODELS = sizeof faults / sizeof *faults };
    struct seen *s = mem_zero(N * sizeof *s);
    struct rng rng;
    char name[16];
    rng_seed(&rng, 7);
    setting("llm-breaker-pause", "1");
    setting("llm-breaker-pause-max", "5");
    for (int i = 0; i < MODELS; i++) {
        snprintf(name, sizeof name, "f%d", i);
        model(name, faults[i], i % 2 ? "CONCURRENCY|3" : "KEY|a|KEY|b|RPM|100000");
    }
    route("w|STRATEGY|WEIGHTED|MODELS|f1|f2|f3|f5|f7|f8|FALLBACK|sorry");
    route("b|STRATEGY|LEAST-BUSY|MODELS|f0|f4|f6|f9|f10|STICKY|SESSION");
    int running = 0, started = 0;
    for (int i = 0; i < N; i++) {
        struct err err;
        int to = (int)rng_below(&rng, MODELS + 6);
        snprintf(name, sizeof name, "f%d", to);
        struct llm_request q = request(to < MODELS ? name : to % 2 ? "w" : "b", rng_below(&rng, 2));
        q.caller.owner = to % 3 ? SLICE("ann") : SLICE("bob");
        q.caller.sticky = slice_str(name);
        q.caller.priority = (int)rng_below(&rng, 10);
        q.caller.timeout_ms = 20 + (int)rng_below(&rng, 3000);
        s[i].cancel_after = rng_below(&rng, 10) == 0 ? 1 + (int)rng_below(&rng, 3) : 0;
        if ((s[i].call = llm_chat_start(M, &q, &events, &s[i], &err))) {
            started++;
            running = ++waiting;
            if (rng_below(&rng, 20) == 0)
                llm_cancel(s[i].call);
        } else {
            assert_true(err.code == ERR_QUOTA || err.code == ERR_UPSTREAM);
        }
        if (running % 64 == 0)
            loop_turn(L);
    }
    if (waiting)
        loop_run(L);
    int ended = 0;
    for (int i = 0; i < N; i++) {
        assert_int_equal(s[i].ends, s[i].call != NULL);
        ended += s[i].ends;
        forget(&s[i]);
    }
    assert_int_equal(ended, started);
    struct llm_stats stats;
    llm_stats(M, &stats);
    assert_true(stats.calls == 0 && stats.queued == 0);
    for (int i = 0; i < MODELS; i++) {
        struct account_state as;
        snprintf(name, sizeof name, "f%d", i);
        assert_int_equal(state(name)->in_flight, 0);
        if (accounts_state(llm_accounts(M), ACCOUNT_MODEL, slice_str(name), 0, &as))
            assert_true(as.running == 0 && as.reserved == 0);
    }
    mem_free(s);
}

static int up(void **state_)
{
    struct err err;
    json_boot();
    llm_boot();
    setting("llm-retry-pause", "1");
    alarm(300);
    if (mock_start(&mock) || loop_create(&L, &err) || http_client_create(&H, L, 1, &err))
        return -1;
    J = job_pool_create(L, 2);
    M = llm_create(L, H, J);
    return 0;
}

static int down(void **state_)
{
    llm_stop(M);
    http_client_destroy(H);
    job_pool_destroy(J);
    llm_destroy(M);
    loop_destroy(L);
    mock_stop(&mock);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_fails_over_before_the_first_piece_only),
        cmocka_unit_test(retries_are_the_models_and_two_unless_given),
        cmocka_unit_test(retry_after_is_waited_for),
        cmocka_unit_test(no_vendor_makes_a_key_rest_for_long),
        cmocka_unit_test(keys_are_rotated),
        cmocka_unit_test(one_probe_among_fifty),
        cmocka_unit_test(a_route_is_changed_while_calls_run),
        cmocka_unit_test(calls_wait_for_a_place),
        cmocka_unit_test(a_call_is_cancelled_in_each_state),
        cmocka_unit_test(a_deadline_covers_the_queue),
        cmocka_unit_test(embeddings_are_cut_and_put_together),
        cmocka_unit_test(idle_models_are_checked),
        cmocka_unit_test(every_call_ends_once),
    };
    return cmocka_run_group_tests(tests, up, down);
}
