/* The HTTP door: settings, routing, errors. Off unless http-port is set, and then on this machine only unless http-bind
 * says otherwise: health and metrics are for whoever can reach it. */
#include "api/api.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "api/beat.h"
#include "api/cors.h"
#include "api/door.h"
#include "api/families.h"
#include "base/buf.h"
#include "base/info.h"
#include "base/log.h"
#include "base/setting.h"

#define PEM_MAX   (1u << 20)
#define ANTHROPIC "/v1/messages" /* from here on errors have Anthropic's form */

static const struct api_family *const families[] = {&api_chat,  &api_count,  &api_embed,  &api_rerank,
                                                    &api_audio, &api_models, &api_health, &api_metrics};
#define NFAMILIES (sizeof families / sizeof *families)

const char *(*api_why_not_ready)(void);
const struct api_gateway *api_gate;
int64_t api_stream_max;

static int64_t port, connections, idle_s, body_max;
static char *bind_addr, *tls_cert, *tls_key;
static struct httpd *door;

/* --- answers --- */

void api_error(struct httpd_req *r, int status, const char *code, const char *fmt, ...)
{
    struct buf text = {0}, body = {0};
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    struct refusal no = {status, status >= 500 ? "server_error" : "invalid_request_error", code, buf_slice(&text)};
    door_refusal(&body, &no, strncmp(httpd_path(r), ANTHROPIC, strlen(ANTHROPIC)) == 0, NULL);
    buf_add_char(&body, '\n');
    httpd_reply_take(r, status, "application/json", &body);
    buf_release(&text);
}

/* --- routing --- */

static bool method_fits(const struct api_route *route, const char *method)
{
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    return strcmp(route->method, method) == 0;
}

static bool path_fits(const struct api_route *route, const char *path)
{
    size_t n = strlen(route->path);
    if (n > 2 && strcmp(route->path + n - 2, "/*") == 0)
        return strncmp(route->path, path, n - 1) == 0 && path[n - 1];
    return strcmp(route->path, path) == 0;
}

/* The route, or NULL; `allow` gathers the methods that the path knows. */
static const struct api_route *find_route(const char *method, const char *path, struct buf *allow)
{
    for (size_t f = 0; f < NFAMILIES; f++)
        for (int i = 0; i < families[f]->n; i++) {
            const struct api_route *route = &families[f]->rows[i];
            if (!path_fits(route, path))
                continue;
            if (method_fits(route, method))
                return route;
            buf_addf(allow, "%s%s", allow->len ? ", " : "", route->method);
        }
    return NULL;
}

/* A client whose base URL ends too early. */
static bool lacks_v1(const char *path)
{
    struct buf longer = {0}, allow = {0};
    buf_addf(&longer, "/v1%s", path);
    bool known = find_route("GET", buf_cstr(&longer), &allow) || allow.len > 0;
    buf_release(&longer);
    buf_release(&allow);
    return known;
}

void api_handle(void *arg, struct httpd_req *r)
{
    struct buf allow = {0};
    const char *method = httpd_method(r), *path = httpd_path(r);
    const struct api_route *route = find_route(method, path, &allow);
    cors_headers(r);
    if (route) {
        route->run(r);
    } else if (allow.len > 0 && strcmp(method, "OPTIONS") == 0) {
        buf_add_str(&allow, ", OPTIONS");
        cors_preflight(r, buf_cstr(&allow));
    } else if (allow.len > 0) {
        httpd_add_header(r, "Allow", buf_cstr(&allow));
        api_error(r, 405, "method_not_allowed", "%s does not answer to %.20s, but to %s", path, method,
                  buf_cstr(&allow));
    } else {
        api_error(r, 404, "unknown_url", "there is nothing at %.200s%s", path,
                  lacks_v1(path) ? "; try /v1 before it" : "");
    }
    buf_release(&allow);
}

static void too_large(void *arg, struct httpd_req *r, size_t max)
{
    cors_headers(r);
    api_error(r, 413, "request_too_large", "the body is longer than %zu bytes", max);
}

/* --- life --- */

void api_set_ready(const char *(*why_not)(void))
{
    api_why_not_ready = why_not;
}

void api_set_gateway(const struct api_gateway *g)
{
    api_gate = g;
}

int api_descriptors(void)
{
    return port == 0 ? 0 : (int)connections * 2; /* a client's, and the one to its model */
}

static int read_pem(const char *path, struct buf *to, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;
    buf_init(to, PEM_MAX);
    while (n > 0 && buf_room(to, 4096)) {
        n = read(fd, to->p + to->len, 4096);
        buf_grow(to, n > 0 ? (size_t)n : 0);
    }
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (n == 0)
        return 0;
    return err_set(err, ERR_IO, "cannot read %s for HTTPS: %s", path, n < 0 ? strerror(error) : "it is too large");
}

static void wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->cap);
    buf_release(b);
}

static int open_with(struct loop *l, struct httpd_config *config, struct err *err)
{
    struct buf cert = {0}, key = {0};
    int rc = read_pem(tls_cert, &cert, err);
    rc = rc < 0 ? rc : read_pem(*tls_key ? tls_key : tls_cert, &key, err);
    config->tls_cert = buf_cstr(&cert);
    config->tls_key = buf_cstr(&key);
    rc = rc < 0 ? rc : httpd_open(&door, l, config, api_handle, NULL, err);
    wipe(&cert);
    wipe(&key);
    return rc;
}

int api_open(struct loop *l, struct err *err)
{
    if (port == 0)
        return 0;
    struct httpd_config config = {.addr = bind_addr,
                                  .port = port < 0 ? 0 : (int)port,
                                  .body_max = (size_t)body_max,
                                  .too_large = too_large,
                                  .connections = (unsigned)connections,
                                  .idle_s = (unsigned)idle_s};
    int rc = *tls_cert ? open_with(l, &config, err) : httpd_open(&door, l, &config, api_handle, NULL, err);
    if (rc < 0)
        return rc;
    beat_open(l);
    log_notice("HTTP%s is served on %s port %d", *tls_cert ? "S" : "", *bind_addr ? bind_addr : "*", httpd_port(door));
    return 0;
}

size_t api_unread(void)
{
    return door ? httpd_unread(door) : 0;
}

void api_close(void)
{
    httpd_close(door);
    beat_close();
    door = NULL;
}

int api_port(void)
{
    return door ? httpd_port(door) : 0;
}

/* --- settings and figures --- */

static const struct setting settings[] = {
    {.name = "http-port",
     .kind = SETTING_INT,
     .at = &port,
     .dflt = "0",
     .min = -1,
     .max = 65535,
     .flags = SETTING_FIXED,
     .help = "Port of the HTTP door (models, health, metrics); 0 is closed, -1 lets the kernel pick one and the log "
             "tell it."},
    {.name = "http-bind",
     .kind = SETTING_STR,
     .at = &bind_addr,
     .dflt = "127.0.0.1",
     .flags = SETTING_FIXED,
     .help = "Address the HTTP door listens on; empty is every IPv4 address."},
    {.name = "http-max-connections",
     .kind = SETTING_INT,
     .at = &connections,
     .dflt = "12000",
     .min = 1,
     .max = 1000000,
     .flags = SETTING_FIXED,
     .help = "HTTP connections at the same time; more wait to be accepted."},
    {.name = "http-idle-timeout",
     .kind = SETTING_INT,
     .at = &idle_s,
     .dflt = "60",
     .min = 1,
     .max = 86400,
     .flags = SETTING_FIXED,
     .help = "Seconds after which an HTTP connection is closed that sends no complete request, or takes nothing of its "
             "answer."},
    {.name = "http-max-body",
     .kind = SETTING_BYTES,
     .at = &body_max,
     .dflt = "32mb",
     .min = 1024,
     .max = 1 << 30,
     .flags = SETTING_FIXED,
     .help = "The longest body of an HTTP request; a longer one is answered with 413."},
    {.name = "http-stream-buffer",
     .kind = SETTING_BYTES,
     .at = &api_stream_max,
     .dflt = "1mb",
     .min = 1024,
     .max = 1 << 30,
     .help = "How much of a streamed answer is kept for a client that does not read it, before its call is ended."},
    {.name = "http-tls-cert",
     .kind = SETTING_STR,
     .at = &tls_cert,
     .dflt = "",
     .flags = SETTING_FIXED,
     .help = "PEM file with the certificate (and its chain) of the HTTP door, which then speaks TLS 1.2 and up only."},
    {.name = "http-tls-key",
     .kind = SETTING_STR,
     .at = &tls_key,
     .dflt = "",
     .flags = SETTING_FIXED,
     .help = "PEM file with the certificate's private key; empty: it is in http-tls-cert, too."},
};

static void put_port(struct buf *to)
{
    buf_addf(to, "%d", api_port());
}

static void put_requests(struct buf *to)
{
    buf_addf(to, "%llu", (unsigned long long)httpd_stats.requests);
}

static void put_errors(struct buf *to)
{
    buf_addf(to, "%llu", (unsigned long long)httpd_stats.errors);
}

static void put_connections(struct buf *to)
{
    buf_addf(to, "%llu", (unsigned long long)httpd_stats.connections);
}

static void put_streams(struct buf *to)
{
    buf_addf(to, "%llu", (unsigned long long)httpd_stats.streams);
}

static void put_vanished(struct buf *to)
{
    buf_addf(to, "%llu", (unsigned long long)httpd_stats.vanished);
}

static const struct info_row figures[] = {
    {"Clients", "http_streams", INFO_GAUGE, put_streams, "skald_http_streams", "Open streamed answers"},
    {"Stats", "http_vanished", INFO_COUNTER, put_vanished, "skald_http_vanished_total",
     "HTTP clients that hung up before their answer was complete"},
    {"Server", "http_port", INFO_TEXT, put_port, NULL, "Port of the HTTP door; 0 when it is closed"},
    {"Clients", "http_connections", INFO_GAUGE, put_connections, "skald_http_connections", "Open HTTP connections"},
    {"Stats", "http_requests", INFO_COUNTER, put_requests, "skald_http_requests_total", "HTTP requests"},
    {"Stats", "http_errors", INFO_COUNTER, put_errors, "skald_http_errors_total",
     "HTTP requests answered with status 400 or above"},
};

void api_register_settings(void)
{
    SETTING_REGISTER(settings);
    beat_settings();
    cors_settings();
    INFO_REGISTER(figures);
}
