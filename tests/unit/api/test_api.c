/* The HTTP door: routes, errors, health and metrics, asked over a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/info.h"
#include "base/log.h"
#include "base/setting.h"

static struct loop *L;
static const char *reason;

static const char *why_not(void)
{
    return reason;
}

static void seven(struct buf *to)
{
    buf_add_str(to, "7");
}

static void half(struct buf *to)
{
    buf_add_str(to, "0.5");
}

static void endless(struct buf *to)
{
    buf_add_str(to, "inf");
}

static void words(struct buf *to)
{
    buf_add_str(to, "not a number");
}

static const struct info_row figures[] = {
    {"Test", "seven", INFO_COUNTER, seven, "test_seven_total", "Counts to seven,\nwith a \\ in it"},
    {"Test", "half", INFO_GAUGE, half, "test_half", "A half"},
    {"Test", "endless", INFO_GAUGE, endless, "test_endless", NULL},
    {"Test", "words", INFO_GAUGE, words, "test_words", "Broken"},
    {"Test", "text", INFO_TEXT, words, "test_text", "Text"},
    {"Test", "hidden", INFO_GAUGE, seven, NULL, "Not a metric"},
};

static int up(void **state)
{
    struct err err;
    log_set_level(LOG_NOTHING);
    if (loop_create(&L, &err) < 0)
        return -1;
    api_register_settings();
    INFO_REGISTER(figures);
    if (api_open(L, &err) < 0 || api_port() != 0) /* off by default */
        return -1;
    if (setting_set(setting_find(SLICE("http-port")), SLICE("-1"), true, &err) < 0)
        return -1;
    return api_open(L, &err);
}

static int down(void **state)
{
    api_close();
    api_close();
    while (loop_turn(L))
        ;
    loop_destroy(L);
    return 0;
}

/* One request on a connection of its own; the whole answer. */
static void ask(struct buf *got, const char *method, const char *path)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)api_port())};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    char text[300];
    int n = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
    assert_int_equal(write(fd, text, (size_t)n), n);
    int64_t deadline = clock_mono_ms() + 30000;
    buf_clear(got);
    for (;;) {
        assert_true(clock_mono_ms() < deadline);
        ssize_t r = recv(fd, buf_room(got, 4096), 4096, MSG_DONTWAIT);
        if (r == 0)
            break;
        if (r > 0)
            buf_grow(got, (size_t)r);
        else
            loop_turn(L);
    }
    buf_cstr(got);
    close(fd);
}

static void expect(const char *method, const char *path, const char *status, const char *part)
{
    struct buf got = {0};
    ask(&got, method, path);
    if (got.len < 12 || strncmp(got.p + 9, status, 3) != 0 || !strstr(got.p, part))
        fail_msg("%s %s: %s", method, path, got.p);
    buf_release(&got);
}

static void test_health(void **state)
{
    expect("GET", "/healthz", "200", "\r\n\r\n{\"status\":\"ok\"}\n");
    expect("GET", "/healthz?full=1", "200", "Content-Type: application/json");
    expect("HEAD", "/healthz", "200", "Content-Length: 16");
    expect("GET", "/readyz", "200", "{\"status\":\"ready\"}");
    api_set_ready(why_not);
    reason = "the journal is being \"read\"";
    expect("GET", "/readyz", "503", "{\"status\":\"not ready\",\"reason\":\"the journal is being \\\"read\\\"\"}");
    expect("GET", "/healthz", "200", "ok");
    reason = NULL;
    expect("GET", "/readyz", "200", "ready");
}

static void test_no_such_thing(void **state)
{
    expect("GET", "/", "404",
           "{\"error\":{\"message\":\"there is nothing at "
           "/\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"unknown_url\"}}");
    expect("GET", "/healthz/", "404", "unknown_url");
    expect("GET", "/%22%0d%0a%ff", "404", "nothing at /\\\"");
    expect("POST", "/v1/chat/completions", "503", "\"code\":\"not_ready\""); /* there is no gateway here */
    expect("POST", "/metrics", "405", "Allow: GET\r\n");
    expect("DELETE", "/healthz", "405", "\"code\":\"method_not_allowed\"");
    expect("OPTIONS", "/healthz", "204", "Allow: GET, OPTIONS\r\n");
    expect("OPTIONS", "/none", "404", "unknown_url");
    expect("GET", "/models", "404", "there is nothing at /models; try /v1 before it");
    expect("GET", "/v1/messages", "405", "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\"");
}

static void test_metrics(void **state)
{
    struct buf got = {0};
    ask(&got, "GET", "/metrics");
    assert_non_null(strstr(got.p, "Content-Type: text/plain; version=0.0.4"));
    assert_non_null(strstr(got.p, "\n# HELP test_seven_total Counts to seven,\\nwith a \\\\ in it\n"
                                  "# TYPE test_seven_total counter\ntest_seven_total 7\n"
                                  "# HELP test_half A half\n# TYPE test_half gauge\ntest_half 0.5\n"
                                  "# HELP test_endless endless\n# TYPE test_endless gauge\ntest_endless +Inf\n"));
    assert_null(strstr(got.p, "test_words"));
    assert_null(strstr(got.p, "test_text"));
    assert_null(strstr(got.p, "hidden"));
    assert_non_null(strstr(got.p, "\nskald_http_connections 1\n"));
    buf_release(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_no_such_thing),
        cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, up, down);
}
