/* URLs that the HTTP client may call. Few are called again and again, and taking one apart costs more than all the rest
 * of starting a call: the last ones are known. Thread: whoever owns the struct. */
#ifndef NET_HTTP_URL_H
#define NET_HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define HTTP_HOST_MAX   128
#define HTTP_KNOWN_URLS 64 /* models have one each */

struct http_urls { /* starts as zeros */
    struct {
        char *url;
        char host[HTTP_HOST_MAX];
    } known[HTTP_KNOWN_URLS]; /* by hash */
};

void http_urls_release(struct http_urls *u);
/* 0 and the host, for sentences, cut to its room; or ERR_INVALID. */
int http_url_check(struct http_urls *u, const char *url, char host[HTTP_HOST_MAX], struct err *err);

/* Neither empty nor longer than max, and without control characters. */
bool http_text_is_clean(const char *s, size_t max);

#endif
