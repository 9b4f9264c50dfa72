#include "net/http_url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

bool http_text_is_clean(const char *s, size_t max)
{
    size_t n = 0;
    for (; s[n]; n++)
        if (n == max || (unsigned char)s[n] < 0x20 || s[n] == 0x7f)
            return false;
    return n > 0;
}

static int take_apart(const char *url, char host[HTTP_HOST_MAX], struct err *err)
{
    char *scheme = NULL, *name = NULL;
    CURLU *u = curl_url();
    int r = 0;
    bool clean = http_text_is_clean(url, 8000) &&
                 curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
                 curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK;
    if (clean && strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        r = err_set(err, ERR_INVALID, "only http and https URLs can be called, not %.20s", scheme);
    else if (!clean || curl_url_get(u, CURLUPART_HOST, &name, 0) != CURLUE_OK)
        r = err_set(err, ERR_INVALID, "the URL is not one that can be called; it should look like https://host/path");
    else
        snprintf(host, HTTP_HOST_MAX, "%s", name);
    curl_free(scheme);
    curl_free(name);
    curl_url_cleanup(u);
    return r;
}

int http_url_check(struct http_urls *u, const char *url, char host[HTTP_HOST_MAX], struct err *err)
{
    size_t i = hash_bytes(url, strlen(url)) % HTTP_KNOWN_URLS;
    if (u->known[i].url && strcmp(u->known[i].url, url) == 0) {
        memcpy(host, u->known[i].host, HTTP_HOST_MAX);
        return 0;
    }
    int r = take_apart(url, host, err);
    if (r == 0) {
        mem_free(u->known[i].url);
        u->known[i].url = mem_strdup(url);
        memcpy(u->known[i].host, host, HTTP_HOST_MAX);
    }
    return r;
}

void http_urls_release(struct http_urls *u)
{
    for (int i = 0; i < HTTP_KNOWN_URLS; i++)
        mem_free(u->known[i].url);
}
