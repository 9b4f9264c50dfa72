#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

/* The length without a character at the end that was cut in its middle. */
static size_t whole_chars(const char *s, size_t n)
{
    size_t i = n;
    while (i > 0 && n - i < 4 && ((unsigned char)s[i - 1] & 0xc0) == 0x80)
        i--;
    if (i == 0 || (unsigned char)s[i - 1] < 0xc0)
        return n;
    unsigned char lead = (unsigned char)s[i - 1];
    size_t needs = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    return n - (i - 1) < needs ? i - 1 : n;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    if (!e)
        return code;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    if (n >= (int)sizeof e->msg)
        e->msg[whole_chars(e->msg, sizeof e->msg - 1)] = 0;
    for (char *p = e->msg; *p; p++)
        if (*p == '\r' || *p == '\n')
            *p = ' ';
    e->code = code;
    return code;
}

const char *err_class(int code)
{
    switch (code) {
    case ERR_INVALID: return "INVALID";
    case ERR_STATE:
    case ERR_CANCELLED: return "STATE";
    case ERR_UPSTREAM: return "UPSTREAM";
    case ERR_QUOTA: return "QUOTA";
    case ERR_NOPERM: return "NOPERM";
    case ERR_OOM: return "OOM";
    case ERR_WRONGTYPE: return "WRONGTYPE";
    case ERR_BUSYKEY: return "BUSYKEY";
    default: return "ERR";
    }
}
