/* The HTTP door: settings, routing, errors. Off unless http-port is set, and then on this machine only unless http-bind
 * says otherwise, because what is behind it has no password. */
#include "api/api.h"

#include <stdarg.h>
#include <string.h>

#include "api/families.h"
#include "base/buf.h"
#include "base/info.h"
#include "base/json.h"
#include "base/log.h"
#include "base/setting.h"

#define CONNECTIONS 512
#define IDLE_S      60

static const struct api_family *const families[] = {&api_health, &api_metrics};
#define NFAMILIES (sizeof families / sizeof *families)

const char *(*api_why_not_ready)(void);

static int64_t port;
static char *bind_addr;
static struct httpd *door;

/* --- answers --- */

void api_error(struct httpd_req *r, int status, const char *type, const char *fmt, ...)
{
    struct buf text = {0}, body = {0};
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    buf_add_str(&body, "{\"error\":{\"type\":");
    json_quote(&body, slice_str(type));
    buf_add_str(&body, ",\"message\":");
    json_quote(&body, buf_slice(&text));
    buf_add_str(&body, "}}\n");
    httpd_reply(r, status, "application/json", buf_slice(&body));
    buf_release(&text);
    buf_release(&body);
}

/* --- routing --- */

static bool method_fits(const struct api_route *route, const char *method)
{
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    return strcmp(route->method, method) == 0;
}

/* The route, or NULL; `allow` gathers the methods that the path knows. */
static const struct api_route *find_route(const char *method, const char *path, struct buf *allow)
{
    for (size_t f = 0; f < NFAMILIES; f++)
        for (int i = 0; i < families[f]->n; i++) {
            const struct api_route *route = &families[f]->rows[i];
            if (strcmp(route->path, path) != 0)
                continue;
            if (method_fits(route, method))
                return route;
            buf_addf(allow, "%s%s", allow->len ? ", " : "", route->method);
        }
    return NULL;
}

void api_handle(void *arg, struct httpd_req *r)
{
    struct buf allow = {0};
    const char *method = httpd_method(r), *path = httpd_path(r);
    const struct api_route *route = find_route(method, path, &allow);
    if (route) {
        route->run(r);
    } else if (allow.len > 0) {
        httpd_add_header(r, "Allow", buf_cstr(&allow));
        api_error(r, 405, "method_not_allowed", "%s does not answer to %.20s, but to %s", path, method,
                  buf_cstr(&allow));
    } else {
        api_error(r, 404, "not_found", "there is nothing at %.200s", path);
    }
    buf_release(&allow);
}

/* --- life --- */

void api_set_ready(const char *(*why_not)(void))
{
    api_why_not_ready = why_not;
}

int api_open(struct loop *l, struct err *err)
{
    if (port == 0)
        return 0;
    struct httpd_config config = {.addr = bind_addr,
                                  .port = port < 0 ? 0 : (int)port,
                                  .body_max = JSON_MAX_DEFAULT,
                                  .connections = CONNECTIONS,
                                  .idle_s = IDLE_S};
    int rc = httpd_open(&door, l, &config, api_handle, NULL, err);
    if (rc == 0)
        log_notice("HTTP is served on %s port %d", *bind_addr ? bind_addr : "*", httpd_port(door));
    return rc;
}

void api_close(void)
{
    httpd_close(door);
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
     .help = "Port of the HTTP door (health, metrics); 0 is closed, -1 lets the kernel pick one and the log tell it."},
    {.name = "http-bind",
     .kind = SETTING_STR,
     .at = &bind_addr,
     .dflt = "127.0.0.1",
     .flags = SETTING_FIXED,
     .help = "Address the HTTP door listens on; empty is every IPv4 address."},
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

static const struct info_row figures[] = {
    {"Server", "http_port", INFO_TEXT, put_port, NULL, "Port of the HTTP door; 0 when it is closed"},
    {"Clients", "http_connections", INFO_GAUGE, put_connections, "skald_http_connections", "Open HTTP connections"},
    {"Stats", "http_requests", INFO_COUNTER, put_requests, "skald_http_requests_total", "HTTP requests"},
    {"Stats", "http_errors", INFO_COUNTER, put_errors, "skald_http_errors_total",
     "HTTP requests answered with status 400 or above"},
};

void api_register_settings(void)
{
    SETTING_REGISTER(settings);
    INFO_REGISTER(figures);
}
