#include "net/url.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

static bool get_part(CURLU *u, CURLUPart part, unsigned flags, char *to, size_t size)
{
    char *text = NULL;
    bool ok = curl_url_get(u, part, &text, flags) == CURLUE_OK && strlen(text) < size;
    if (ok)
        snprintf(to, size, "%s", text);
    curl_free(text);
    return ok;
}

int url_parse(const char *text, struct url *out, struct err *err)
{
    CURLU *u = curl_url();
    char port[8], user[1024];
    *out = (struct url){0};
    bool ok = u && curl_url_set(u, CURLUPART_URL, text, 0) == CURLUE_OK &&
              get_part(u, CURLUPART_SCHEME, 0, out->scheme, sizeof out->scheme) &&
              get_part(u, CURLUPART_HOST, 0, out->host, sizeof out->host) &&
              get_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT, port, sizeof port);
    out->has_user = ok && (get_part(u, CURLUPART_USER, 0, user, sizeof user) ||
                           get_part(u, CURLUPART_PASSWORD, 0, user, sizeof user));
    curl_url_cleanup(u);
    if (!ok || (strcmp(out->scheme, "http") != 0 && strcmp(out->scheme, "https") != 0))
        return err_set(err, ERR_INVALID, "the URL must look like https://host/path, http or https");
    for (char *p = out->host; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    size_t n = strlen(out->host);
    if (n && out->host[n - 1] == '.') /* "example.com." is the same host */
        out->host[n - 1] = 0;
    out->port = atoi(port);
    return 0;
}

static bool matches(const struct url *u, struct slice pattern)
{
    const char *colon = NULL;
    for (size_t i = pattern.len; i > 0 && pattern.p[i - 1] != ']'; i--)
        if (pattern.p[i - 1] == ':') {
            colon = pattern.p + i - 1;
            break;
        }
    if (colon) {
        char port[8];
        snprintf(port, sizeof port, "%d", u->port);
        if (!slice_eq(slice_of(colon + 1, (size_t)(pattern.p + pattern.len - colon - 1)), slice_str(port)))
            return false;
        pattern.len = (size_t)(colon - pattern.p);
    }
    struct slice host = slice_str(u->host);
    if (slice_eq(pattern, SLICE("*")))
        return true;
    if (pattern.len > 2 && pattern.p[0] == '*' && pattern.p[1] == '.') {
        size_t tail = pattern.len - 1;
        return host.len > tail && strncasecmp(host.p + host.len - tail, pattern.p + 1, tail) == 0;
    }
    return pattern.len == host.len && pattern.len && strncasecmp(pattern.p, host.p, host.len) == 0;
}

bool url_allowed(const struct url *u, struct slice patterns)
{
    for (size_t at = 0; at < patterns.len;) {
        size_t from = at;
        while (at < patterns.len && !strchr(" ,\t", patterns.p[at]))
            at++;
        if (at > from && matches(u, slice_of(patterns.p + from, at - from)))
            return true;
        at++;
    }
    return false;
}
