/* /healthz: the loop turns, for a liveness probe. /readyz: the data is there and clients are served, for a load
 * balancer. */
#include "api/families.h"

#include "base/buf.h"
#include "base/json.h"

static void healthz(struct httpd_req *r)
{
    httpd_reply(r, 200, "application/json", SLICE("{\"status\":\"ok\"}\n"));
}

static void readyz(struct httpd_req *r)
{
    const char *why = api_why_not_ready ? api_why_not_ready() : NULL;
    if (!why) {
        httpd_reply(r, 200, "application/json", SLICE("{\"status\":\"ready\"}\n"));
        return;
    }
    struct buf body = {0};
    buf_add_str(&body, "{\"status\":\"not ready\",\"reason\":");
    json_quote(&body, slice_str(why));
    buf_add_str(&body, "}\n");
    httpd_add_header(r, "Retry-After", "1");
    httpd_reply(r, 503, "application/json", buf_slice(&body));
    buf_release(&body);
}

static const struct api_route rows[] = {
    {"GET", "/healthz", healthz},
    {"GET", "/readyz", readyz},
};

const struct api_family api_health = API_FAMILY(rows);
