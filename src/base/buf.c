#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_release(struct buf *b)
{
    mem_free(b->p);
    buf_init(b, b->max);
}

char *buf_room(struct buf *b, size_t n)
{
    if (n <= b->cap - b->len)
        return b->p + b->len;
    if (b->max && (n > b->max || b->len > b->max - n)) {
        b->full = true;
        return NULL;
    }
    size_t want = b->len + n;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < want)
        cap += cap < (1u << 20) ? cap : cap / 2;
    if (b->max && cap > b->max && want <= b->max)
        cap = b->max;
    b->p = mem_realloc(b->p, cap);
    b->cap = cap;
    return b->p + b->len;
}

bool buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return true;
    char *to = buf_room(b, n);
    if (!to)
        return false;
    memcpy(to, p, n);
    b->len += n;
    return true;
}

bool buf_add_str(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

bool buf_add_char(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

bool buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
    char small[256];
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    bool ok = false;
    if (n >= 0 && (size_t)n < sizeof small) {
        ok = buf_add(b, small, (size_t)n);
    } else if (n >= 0) {
        char *to = buf_room(b, (size_t)n + 1);
        if (to) {
            vsnprintf(to, (size_t)n + 1, fmt, again);
            b->len += (size_t)n;
            ok = true;
        }
    }
    va_end(again);
    return ok;
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    bool ok = buf_vaddf(b, fmt, ap);
    va_end(ap);
    return ok;
}

bool buf_insert(struct buf *b, size_t at, const void *p, size_t n)
{
    if (!buf_room(b, n))
        return false;
    memmove(b->p + at + n, b->p + at, b->len - at);
    memcpy(b->p + at, p, n);
    b->len += n;
    return true;
}

void buf_drop(struct buf *b, size_t n)
{
    if (n >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->p, b->p + n, b->len - n);
    b->len -= n;
}

const char *buf_cstr(struct buf *b)
{
    if (b->len == b->cap) {
        b->cap = b->len + 1; /* the NUL is not content: it may pass max by one */
        b->p = mem_realloc(b->p, b->cap);
    }
    b->p[b->len] = 0;
    return b->p;
}

char *buf_take(struct buf *b, size_t *len)
{
    buf_cstr(b);
    char *p = b->p;
    if (len)
        *len = b->len;
    *b = (struct buf){.max = b->max};
    return p;
}
