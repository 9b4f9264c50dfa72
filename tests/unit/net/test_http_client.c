/* The outbound HTTP client against a mock server in a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "mock/provider.h"
#include "net/http_client.h"

static struct loop *L;
static struct http_client *C;
static struct mock M;

struct seen {
    struct buf body, head;
    struct http_end end;
    int heads, pieces, ends;
    struct http_call *call;
    int cancel_after; /* pieces */
};

static int waiting; /* calls whose end has not come */

static void on_head(void *arg, int status, struct slice head)
{
    struct seen *s = arg;
    s->heads++;
    assert_int_equal(s->pieces + s->ends, 0);
    assert_true(status >= 200);
}

static void on_piece(void *arg, struct slice bytes)
{
    struct seen *s = arg;
    assert_int_equal(s->ends, 0);
    assert_true(bytes.len > 0);
    s->pieces++;
    buf_add(&s->body, bytes.p, bytes.len);
    if (s->cancel_after && s->pieces == s->cancel_after)
        http_cancel(s->call);
    if (s->cancel_after)
        assert_true(s->pieces <= s->cancel_after); /* nothing but the end after a cancel */
}

static void on_end(void *arg, const struct http_end *end)
{
    struct seen *s = arg;
    s->ends++;
    s->end = *end;
    buf_add(&s->body, end->body.p, end->body.len);
    buf_add(&s->head, end->head.p, end->head.len);
    if (--waiting == 0)
        loop_stop(L);
}

static const struct http_ops ops = {on_head, on_piece, on_end};

static char url_room[256];

static const char *url(const char *path)
{
    snprintf(url_room, sizeof url_room, "http://127.0.0.1:%d%s", M.port, path);
    return url_room;
}

static void start(struct seen *s, const struct http_request *q)
{
    struct err err;
    assert_int_equal(http_start(C, q, &ops, s, &s->call, &err), 0);
    waiting++;
}

static void run(struct seen *s, struct http_request q)
{
    *s = (struct seen){0};
    q.allow_private = true;
    start(s, &q);
    loop_run(L);
    assert_int_equal(s->ends, 1);
}

static void forget(struct seen *s)
{
    buf_release(&s->body);
    buf_release(&s->head);
}

static struct http_request chat(const char *model, bool stream)
{
    static char body[512];
    snprintf(body, sizeof body,
             "{\"model\":\"%s\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"hello there\"}]}", model,
             stream ? "true" : "false");
    return (struct http_request){
        .method = "POST", .url = url("/v1/chat/completions"), .body = slice_str(body), .stream = stream};
}

static void a_request_goes_out_as_asked(void **state)
{
    struct seen s;
    run(&s, (struct http_request){.method = "PUT",
                                  .url = url("/some/where?x=1"),
                                  .headers = (const char *const[]){"X-One: 1", "Authorization: Bearer k", NULL},
                                  .body = SLICE("the body")});
    assert_int_equal(s.end.err.code, 0);
    assert_int_equal(s.end.status, 200);
    assert_int_equal(s.heads, 1);
    assert_true(s.end.us_first >= 0 && s.end.us_total >= s.end.us_first);
    struct err err;
    cJSON *v = json_parse(buf_slice(&s.body), 1 << 20, "echo", &err);
    assert_non_null(v);
    assert_string_equal(json_str(v, "method", ""), "PUT");
    assert_string_equal(json_str(v, "path", ""), "/some/where?x=1");
    assert_string_equal(json_str(v, "body", ""), "the body");
    cJSON *h = cJSON_GetObjectItem(v, "headers");
    assert_string_equal(json_str(h, "x-one", ""), "1");
    assert_string_equal(json_str(h, "authorization", ""), "Bearer k");
    assert_null(cJSON_GetObjectItem(h, "expect"));
    cJSON_Delete(v);
    struct slice id = http_header(buf_slice(&s.head), "X-Request-Id");
    assert_true(id.len > 4 && memcmp(id.p, "req-", 4) == 0);
    forget(&s);
}

static void what_is_no_request_is_refused(void **state)
{
    const struct {
        struct http_request q;
        const char *part;
    } bad[] = {
        {{.method = "GET", .url = ""}, "the URL is not one"},
        {{.method = "GET", .url = "http://"}, "the URL is not one"},
        {{.method = "GET", .url = "http://a/\r\nX: y"}, "the URL is not one"},
        {{.method = "GET", .url = "file:///etc/passwd"}, "only http and https"},
        {{.method = "GET", .url = "gopher://127.0.0.1:1/x"}, "only http and https"},
        {{.method = "get it", .url = "http://a/"}, "the method"},
        {{.method = "GET", .url = "http://a/", .headers = (const char *const[]){"A: b\r\nC: d", NULL}}, "a header"},
        {{.method = "GET", .url = "http://a/", .headers = (const char *const[]){"nothing", NULL}}, "a header"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err;
        assert_int_equal(http_start(C, &bad[i].q, &ops, NULL, NULL, &err), ERR_INVALID);
        assert_non_null(strstr(err.msg, bad[i].part));
    }
}

static void a_stream_comes_in_pieces(void **state)
{
    struct seen s;
    run(&s, chat("words=60,drip=20", true));
    assert_int_equal(s.end.err.code, 0);
    assert_true(s.pieces >= 3);
    assert_non_null(strstr(buf_cstr(&s.body), "word59"));
    assert_non_null(strstr(buf_cstr(&s.body), "[DONE]"));
    forget(&s);
}

static void a_reply_over_its_limit_is_cut_off(void **state)
{
    struct seen s;
    run(&s, (struct http_request){.url = url("/bytes/100000"), .max_reply = 100000});
    assert_int_equal(s.end.err.code, 0);
    assert_true(s.end.sent);
    assert_int_equal(s.body.len, 100000);
    forget(&s);
    run(&s, (struct http_request){.url = url("/bytes/100001"), .max_reply = 100000});
    assert_int_equal(s.end.err.code, ERR_UPSTREAM);
    assert_string_equal(s.end.err.msg, "the reply of 127.0.0.1 is over the limit of 100000 bytes");
    assert_false(s.end.may_retry);
    forget(&s);
}

static void failures_have_sentences(void **state)
{
    struct seen s;
    struct http_request q = chat("never", false);
    q.timeout_ms = 100;
    run(&s, q);
    assert_int_equal(s.end.err.code, ERR_UPSTREAM);
    assert_string_equal(s.end.err.msg, "127.0.0.1 timed out after 100 ms");
    assert_true(s.end.timed_out && s.end.may_retry);
    forget(&s);

    run(&s, chat("words=50,cut=3", true));
    assert_int_equal(s.end.err.code, ERR_UPSTREAM);
    assert_string_equal(s.end.err.msg, "127.0.0.1 closed the connection in the middle of the reply");
    assert_non_null(strstr(buf_cstr(&s.body), "word1"));
    assert_false(s.end.may_retry);
    forget(&s);

    run(&s, chat("words=50,reset=2,drip=20", true));
    assert_int_equal(s.end.err.code, ERR_UPSTREAM);
    assert_string_equal(s.end.err.msg, "127.0.0.1 closed the connection in the middle of the reply");
    forget(&s);

    run(&s, chat("words=50,cut=1", false));
    assert_string_equal(s.end.err.msg, "127.0.0.1 closed the connection in the middle of the reply");
    forget(&s);

    run(&s, (struct http_request){.url = "http://127.0.0.1:1/"}); /* nobody listens there */
    assert_string_equal(s.end.err.msg, "could not connect to 127.0.0.1: Connection refused");
    assert_true(s.end.may_retry && !s.end.sent);
    forget(&s);

    run(&s, (struct http_request){.url = "http://no-such-name.invalid/", .timeout_ms = 5000});
    assert_int_equal(s.end.err.code, ERR_UPSTREAM);
    forget(&s);

    snprintf(url_room, sizeof url_room, "https://127.0.0.1:%d/", M.port);
    run(&s, (struct http_request){.url = url_room});
    assert_non_null(strstr(s.end.err.msg, "TLS with 127.0.0.1 failed"));
    forget(&s);

    run(&s, (struct http_request){.url = url("/redirect")}); /* reported, not followed */
    assert_int_equal(s.end.err.code, 0);
    assert_int_equal(s.end.status, 302);
    forget(&s);
}

/* How often the mock was asked by that model. */
static int asked_by(const char *model)
{
    struct seen s;
    struct err err;
    int n = 0;
    run(&s, (struct http_request){.url = url("/control/requests")});
    cJSON *all = json_parse(buf_slice(&s.body), 1 << 24, "requests", &err);
    const cJSON *one;
    assert_non_null(all);
    cJSON_ArrayForEach(one, all) n += strstr(json_str(one, "body", ""), model) != NULL;
    cJSON_Delete(all);
    forget(&s);
    return n;
}

/* libcurl would send it again by itself; the vendor would work twice for one call. */
static void a_request_on_a_dead_connection_is_not_sent_again(void **state)
{
    struct seen s;
    run(&s, (struct http_request){.url = url("/kept")}); /* leaves an open connection */
    forget(&s);
    for (int i = 0; i < 2; i++) {
        int before = asked_by("vanish");
        run(&s, chat("vanish", i == 1));
        assert_int_equal(s.end.err.code, ERR_UPSTREAM);
        assert_string_equal(s.end.err.msg, "127.0.0.1 closed the connection before it answered");
        assert_true(s.end.may_retry && s.end.stale);
        assert_int_equal(s.end.status, 0);
        forget(&s);
        assert_int_equal(asked_by("vanish"), before + 1);
    }
    run(&s, chat("words=3", false));
    assert_int_equal(s.end.err.code, 0);
    assert_false(s.end.stale);
    forget(&s);
}

/* A handle that served one kind of request serves another. */
static void kinds_of_requests_in_turn(void **state)
{
    static const char *const methods[] = {"POST", "GET", "POST", "PUT", "DELETE", "POST"};
    struct seen s;
    struct err err;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        run(&s, (struct http_request){.method = methods[i],
                                      .url = url("/echo"),
                                      .headers = i == 0 ? (const char *const[]){"X-One: 1", NULL} : NULL,
                                      .body = i == 0 ? SLICE("first") : SLICE(""),
                                      .stream = i % 2 == 1});
        cJSON *v = json_parse(buf_slice(&s.body), 1 << 20, "echo", &err);
        cJSON *h = cJSON_GetObjectItem(v, "headers");
        assert_string_equal(json_str(v, "method", ""), methods[i]);
        assert_string_equal(json_str(v, "body", ""), i == 0 ? "first" : "");
        assert_string_equal(json_str(h, "x-one", ""), i == 0 ? "1" : "");
        assert_true((i % 2 == 1) == (cJSON_GetObjectItem(h, "accept-encoding") == NULL));
        cJSON_Delete(v);
        forget(&s);
    }
}

static void private_addresses_are_refused(void **state)
{
    static const char *const hosts[] = {"127.0.0.1",       "localhost", "[::1]",      "[::ffff:127.0.0.1]",
                                        "169.254.169.254", "10.0.0.1",  "0.0.0.0",    "2130706433", /* 127.0.0.1 */
                                        "[fe80::1]",       "[fd00::1]", "192.168.1.1"};
    struct seen s;
    run(&s, (struct http_request){.url = url("/first")}); /* leaves an open connection to the mock behind */
    assert_int_equal(s.end.err.code, 0);
    forget(&s);
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        snprintf(url_room, sizeof url_room, "http://%s:%d/", hosts[i], M.port);
        s = (struct seen){0};
        start(&s, &(struct http_request){.url = url_room, .timeout_ms = 5000});
        loop_run(L);
        assert_int_equal(s.end.err.code, ERR_INVALID);
        assert_non_null(strstr(s.end.err.msg, "is not public"));
        assert_int_equal(s.end.status, 0);
        forget(&s);
    }
}

static void an_open_connection_is_no_way_around_the_policy(void **state)
{
    struct http_client_load before, after;
    struct seen s;
    run(&s, (struct http_request){.url = url("/one")});
    forget(&s);
    http_client_load(C, &before);
    run(&s, (struct http_request){.url = url("/two")});
    forget(&s);
    http_client_load(C, &after);
    assert_int_equal(before.connections, after.connections); /* used again */
    s = (struct seen){0};
    start(&s, &(struct http_request){.url = url("/three")});
    loop_run(L);
    assert_int_equal(s.end.err.code, ERR_INVALID);
    forget(&s);
}

static bool public(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return http_address_is_public((struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return http_address_is_public((struct sockaddr *)&v6);
}

static void the_address_policy(void **state)
{
    static const char *const yes[] = {"8.8.8.8",          "1.1.1.1",        "172.15.0.1",      "172.32.0.1",
                                      "100.63.255.255",   "100.128.0.0",    "11.0.0.1",        "223.255.255.255",
                                      "2606:4700::1",     "2a00:1450::5",   "2001:4860::8888", "::ffff:8.8.8.8",
                                      "64:ff9b::808:808", "2002:808:808::1"};
    static const char *const no[] = {"0.0.0.0",
                                     "10.1.2.3",
                                     "100.64.0.1",
                                     "100.100.100.200",
                                     "127.0.0.1",
                                     "127.9.9.9",
                                     "169.254.169.254",
                                     "172.16.0.1",
                                     "172.31.255.255",
                                     "192.168.0.1",
                                     "192.0.2.1",
                                     "198.18.0.1",
                                     "224.0.0.1",
                                     "240.0.0.1",
                                     "255.255.255.255",
                                     "::",
                                     "::1",
                                     "::ffff:10.0.0.1",
                                     "::ffff:169.254.169.254",
                                     "fe80::1",
                                     "fc00::1",
                                     "fd00:ec2::254",
                                     "ff02::1",
                                     "64:ff9b::7f00:1",
                                     "2002:a00:1::1",
                                     "2001::1",
                                     "2001:db8::1",
                                     "::127.0.0.1",
                                     "3fff::1"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(public(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(public(no[i]));
    struct sockaddr other = {.sa_family = AF_UNIX};
    assert_false(http_address_is_public(&other));
}

static void cancel_ends_a_call_once(void **state)
{
    struct seen s = {0};
    struct http_request q = chat("never", true);
    q.allow_private = true;
    start(&s, &q);
    http_cancel(s.call); /* before the worker has seen it */
    http_cancel(s.call);
    assert_int_equal(s.ends, 0);
    loop_run(L);
    assert_int_equal(s.ends, 1);
    assert_int_equal(s.end.err.code, ERR_CANCELLED);
    assert_string_equal(err_class(s.end.err.code), "STATE");
    assert_int_equal(s.heads + s.pieces, 0);
    forget(&s);

    s = (struct seen){.cancel_after = 2};
    q = chat("words=1000,drip=5", true);
    q.allow_private = true;
    start(&s, &q);
    loop_run(L);
    assert_int_equal(s.ends, 1);
    assert_int_equal(s.end.err.code, ERR_CANCELLED);
    assert_int_equal(s.pieces, 2);
    forget(&s);
}

/* A loop that does not turn: the worker must stop reading the stream, and go on when the loop is back. */
static void a_stream_waits_for_a_slow_loop(void **state)
{
    struct seen s = {0};
    start(&s, &(struct http_request){.url = url("/bytes/33554432"), .allow_private = true, .stream = true});
    size_t before = mem_used();
    usleep(400000);
    assert_true(mem_used() < before + (4u << 20));
    loop_run(L);
    assert_int_equal(s.end.err.code, 0);
    assert_int_equal(s.body.len, 33554432);
    forget(&s);
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
    int before = threads_now();
    struct http_request q = chat("words=5,delay=1500,drip=10", true);
    q.allow_private = true;
    for (int i = 0; i < N; i++)
        start(&all[i], &q);
    struct http_client_load load;
    http_client_load(C, &load);
    assert_int_equal(load.calls, N);
    do {
        usleep(20000);
        loop_turn(L);
        http_client_load(C, &load);
    } while (load.connections < N && load.calls == N);
    assert_int_equal(threads_now(), before);
    loop_run(L);
    for (int i = 0; i < N; i++) {
        assert_int_equal(all[i].ends, 1);
        assert_string_equal(all[i].end.err.code ? all[i].end.err.msg : "", "");
        assert_non_null(strstr(buf_cstr(&all[i].body), "word4"));
        forget(&all[i]);
    }
    mem_free(all);
}

static void no_stop(void *arg, const struct http_end *end)
{
    struct seen *s = arg;
    s->ends++;
    s->end.err.code = end->err.code;
    if (s->cancel_after) { /* one more, while the client is being destroyed */
        s->cancel_after = 0;
        static const struct http_ops again = {NULL, NULL, no_stop};
        struct err err;
        assert_int_equal(http_start(C, &(struct http_request){.url = url("/late")}, &again, s, NULL, &err), 0);
    }
}

static void destroy_ends_what_is_left(void **state)
{
    static const struct http_ops quiet = {NULL, NULL, no_stop};
    struct http_client *first = C;
    struct err err;
    assert_int_equal(http_client_create(&C, L, 3, &err), 0);
    struct seen s[8] = {0};
    s[0].cancel_after = 1;
    for (int i = 0; i < 8; i++) {
        struct http_request q = chat("never", false);
        q.allow_private = true;
        assert_int_equal(http_start(C, &q, &quiet, &s[i], &s[i].call, &err), 0);
    }
    http_cancel(s[3].call);
    http_client_destroy(C);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(s[i].ends, i == 0 ? 2 : 1);
        assert_int_equal(s[i].end.err.code, ERR_CANCELLED);
    }
    C = first;
    while (loop_turn(L))
        ;
}

static void header_values(void **state)
{
    struct slice h = SLICE("HTTP/1.1 200 OK\r\nA: 1\r\nretry-after:  7 \r\nAB: 2\r\nEmpty:\r\na: 3\r\n\r\n");
    assert_true(slice_eq(http_header(h, "Retry-After"), SLICE("7")));
    assert_true(slice_eq(http_header(h, "A"), SLICE("3")));
    assert_int_equal(http_header(h, "empty").len, 0);
    assert_int_equal(http_header(h, "HTTP/1.1 200 OK").len, 0);
    assert_int_equal(http_header(SLICE(""), "A").len, 0);
}

static int up(void **state)
{
    struct err err;
    json_boot();
    alarm(300);
    return mock_start(&M) || loop_create(&L, &err) || http_client_create(&C, L, 1, &err);
}

static int down(void **state)
{
    http_client_destroy(C);
    loop_destroy(L);
    mock_stop(&M);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_goes_out_as_asked),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(a_stream_comes_in_pieces),
        cmocka_unit_test(a_reply_over_its_limit_is_cut_off),
        cmocka_unit_test(failures_have_sentences),
        cmocka_unit_test(a_request_on_a_dead_connection_is_not_sent_again),
        cmocka_unit_test(kinds_of_requests_in_turn),
        cmocka_unit_test(private_addresses_are_refused),
        cmocka_unit_test(an_open_connection_is_no_way_around_the_policy),
        cmocka_unit_test(the_address_policy),
        cmocka_unit_test(cancel_ends_a_call_once),
        cmocka_unit_test(a_stream_waits_for_a_slow_loop),
        cmocka_unit_test(a_thousand_calls_cost_no_thread),
        cmocka_unit_test(destroy_ends_what_is_left),
        cmocka_unit_test(header_values),
    };
    return cmocka_run_group_tests(tests, up, down);
}
