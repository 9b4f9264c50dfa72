/* The parts of a URL that a rule about hosts needs. Parsed by the library that will also make the call, so that both
 * see the same host whatever tricks the text plays. Pure. Thread: any. */
#ifndef NET_URL_H
#define NET_URL_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

struct url {
    char scheme[8]; /* "http" or "https" */
    char host[256]; /* lower case; an IPv6 address in brackets */
    int port;       /* 80 and 443 when the URL names none */
    bool has_user;  /* it carries a user or password */
};

/* http and https only; ERR_INVALID for anything else. */
int url_parse(const char *text, struct url *out, struct err *err);

/* Does a list of patterns, separated by spaces or commas, allow this URL? "example.com" is that host alone,
 * "*.example.com" every host below it, "*" any; ":8080" behind a pattern binds it to that port. */
bool url_allowed(const struct url *u, struct slice patterns);

#endif
