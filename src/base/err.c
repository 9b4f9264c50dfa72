#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
    if (!e)
        return code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
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
