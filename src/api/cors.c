#include "api/cors.h"

#include <string.h>

#include "base/setting.h"

static char *allowed;

static const struct setting settings[] = {
    {.name = "http-allow-origin",
     .kind = SETTING_STR,
     .at = &allowed,
     .dflt = "",
     .help =
         "Origins (https://example.org) of web pages that may ask the HTTP door from a browser, with spaces between "
         "them; * is every origin, which still needs a password. Empty: none."},
};

void cors_settings(void)
{
    SETTING_REGISTER(settings);
}

static bool listed(const char *origin)
{
    size_t n = strlen(origin);
    for (const char *p = allowed; p && *p;) {
        size_t len = strcspn(p, " ");
        if (len == n && memcmp(p, origin, n) == 0)
            return true;
        p += len;
        p += strspn(p, " ");
    }
    return false;
}

bool cors_named(const struct httpd_req *r)
{
    const char *origin = httpd_header(r, "origin");
    return origin && strcmp(origin, "*") != 0 && listed(origin);
}

static bool may_read(const struct httpd_req *r)
{
    return httpd_header(r, "origin") && (cors_named(r) || listed("*"));
}

void cors_headers(struct httpd_req *r)
{
    if (allowed && *allowed)
        httpd_add_header(r, "Vary", "Origin");
    if (!may_read(r))
        return;
    httpd_add_header(r, "Access-Control-Allow-Origin", httpd_header(r, "origin"));
    httpd_add_header(r, "Access-Control-Expose-Headers", "*");
}

void cors_preflight(struct httpd_req *r, const char *methods)
{
    const char *wanted = httpd_header(r, "access-control-request-headers");
    httpd_add_header(r, "Allow", methods);
    if (may_read(r)) {
        httpd_add_header(r, "Access-Control-Allow-Methods", methods);
        if (wanted)
            httpd_add_header(r, "Access-Control-Allow-Headers", wanted);
        httpd_add_header(r, "Access-Control-Max-Age", "3600");
    }
    httpd_reply(r, 204, "text/plain", SLICE(""));
}
