/* Replies, RESP2 and RESP3. See reply.h.
 *
 * Built for a pipeline of small replies: a header and its bytes are put together in one reserved piece of the buffer,
 * without printf. A buffer with a limit may refuse; the bytes are then missing as a whole, buf->full says so, and
 * whoever owns the buffer closes the connection. */
#include "net/reply.h"

#include <math.h>
#include <string.h>

#include "base/num.h"

#define HEAD_MAX (1 + NUM_I64_MAX + 2) /* "*123\r\n" */

static inline size_t put_number(char *to, int64_t v)
{
    if (v >= 0 && v < 10)
        return to[0] = (char)('0' + v), 1;
    return num_from_i64(to, v);
}

static inline char *put_head(char *to, char type, int64_t v)
{
    *to++ = type;
    to += put_number(to, v);
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

static inline void add_head(struct reply *r, char type, int64_t v)
{
    char *to = buf_room(r->out, HEAD_MAX);
    if (to)
        buf_grow(r->out, (size_t)(put_head(to, type, v) - to));
}

/* type, bytes, CRLF: a simple string, a number as text. */
static void add_line(struct reply *r, char type, const char *p, size_t n)
{
    char *to = buf_room(r->out, n + 3);
    if (!to)
        return;
    to[0] = type;
    memcpy(to + 1, p, n);
    memcpy(to + 1 + n, "\r\n", 2);
    buf_grow(r->out, n + 3);
}

void reply_ok(struct reply *r)
{
    buf_add(r->out, "+OK\r\n", 5);
}

void reply_status(struct reply *r, const char *text)
{
    add_line(r, '+', text, strlen(text));
}

void (*reply_on_error)(struct slice line);

/* What was appended since `from` becomes one line: outside text may be in an error. */
static void end_error(struct reply *r, size_t from)
{
    for (size_t i = from; i < r->out->len; i++)
        if (r->out->p[i] == '\r' || r->out->p[i] == '\n')
            r->out->p[i] = ' ';
    if (reply_on_error && r->out->len > from)
        reply_on_error(slice_of(r->out->p + from + 1, r->out->len - from - 1));
    buf_add(r->out, "\r\n", 2);
    r->errors++;
}

void reply_errorf(struct reply *r, const char *fmt, ...)
{
    size_t from = r->out->len;
    va_list ap;
    va_start(ap, fmt);
    buf_add_char(r->out, '-');
    buf_vaddf(r->out, fmt, ap);
    va_end(ap);
    end_error(r, from);
}

void reply_err(struct reply *r, const struct err *err)
{
    size_t from = r->out->len;
    buf_addf(r->out, "-%s %s", err_class(err->code), err->msg);
    end_error(r, from);
}

void reply_int(struct reply *r, int64_t v)
{
    add_head(r, ':', v);
}

void reply_bulk(struct reply *r, struct slice s)
{
    char *start = buf_room(r->out, HEAD_MAX + s.len + 2);
    if (!start)
        return;
    char *to = put_head(start, '$', (int64_t)s.len);
    if (s.len)
        memcpy(to, s.p, s.len);
    to += s.len;
    *to++ = '\r';
    *to++ = '\n';
    buf_grow(r->out, (size_t)(to - start));
}

void reply_str(struct reply *r, const char *s)
{
    reply_bulk(r, slice_str(s));
}

void reply_bulkf(struct reply *r, const char *fmt, ...)
{
    struct buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    reply_bulk(r, buf_slice(&text));
    buf_release(&text);
}

void reply_nil(struct reply *r)
{
    if (r->resp == 2)
        buf_add(r->out, "$-1\r\n", 5);
    else
        buf_add(r->out, "_\r\n", 3);
}

void reply_nil_array(struct reply *r)
{
    if (r->resp == 2)
        buf_add(r->out, "*-1\r\n", 5);
    else
        buf_add(r->out, "_\r\n", 3);
}

void reply_double(struct reply *r, double v)
{
    char text[NUM_DOUBLE_MAX];
    size_t n = num_from_double(text, v);
    if (r->resp == 2)
        reply_bulk(r, slice_of(text, n));
    else
        add_line(r, ',', text, n);
}

void reply_bool(struct reply *r, bool v)
{
    if (r->resp == 2)
        buf_add(r->out, v ? ":1\r\n" : ":0\r\n", 4);
    else
        buf_add(r->out, v ? "#t\r\n" : "#f\r\n", 4);
}

void reply_bignum(struct reply *r, struct slice digits)
{
    if (r->resp == 2)
        reply_bulk(r, digits);
    else
        add_line(r, '(', digits.p, digits.len);
}

void reply_verbatim(struct reply *r, const char format[3], struct slice text)
{
    if (r->resp == 2) {
        reply_bulk(r, text);
        return;
    }
    char *start = buf_room(r->out, HEAD_MAX + 4 + text.len + 2);
    if (!start)
        return;
    char *to = put_head(start, '=', (int64_t)text.len + 4);
    memcpy(to, format, 3);
    to[3] = ':';
    to += 4;
    if (text.len)
        memcpy(to, text.p, text.len);
    to += text.len;
    memcpy(to, "\r\n", 2);
    buf_grow(r->out, (size_t)(to + 2 - start));
}

void reply_array(struct reply *r, size_t n)
{
    add_head(r, '*', (int64_t)n);
}

void reply_map(struct reply *r, size_t pairs)
{
    if (r->resp == 2)
        add_head(r, '*', (int64_t)pairs * 2);
    else
        add_head(r, '%', (int64_t)pairs);
}

void reply_set(struct reply *r, size_t n)
{
    add_head(r, r->resp == 2 ? '*' : '~', (int64_t)n);
}

void reply_push(struct reply *r, size_t n)
{
    add_head(r, r->resp == 2 ? '*' : '>', (int64_t)n);
}

void reply_raw(struct reply *r, struct slice resp)
{
    buf_add(r->out, resp.p, resp.len);
}

/* A deferred count is inserted where it belongs, which moves what follows once. Aggregates nest: an inner place is
 * filled before an outer one, or the outer one is at a lower offset and does not mind. */
void reply_field_int(struct reply *r, const char *name, int64_t v)
{
    reply_str(r, name);
    reply_int(r, v);
}

void reply_field_bulk(struct reply *r, const char *name, struct slice v)
{
    reply_str(r, name);
    reply_bulk(r, v);
}

void reply_field_str(struct reply *r, const char *name, const char *v)
{
    reply_str(r, name);
    reply_str(r, v);
}

size_t reply_defer(struct reply *r)
{
    return r->out->len;
}

static void fill(struct reply *r, size_t place, char type, size_t n)
{
    char head[HEAD_MAX];
    buf_insert(r->out, place, head, (size_t)(put_head(head, type, (int64_t)n) - head));
}

void reply_defer_array(struct reply *r, size_t place, size_t n)
{
    fill(r, place, '*', n);
}

void reply_defer_map(struct reply *r, size_t place, size_t pairs)
{
    if (r->resp == 2)
        fill(r, place, '*', pairs * 2);
    else
        fill(r, place, '%', pairs);
}

void reply_defer_set(struct reply *r, size_t place, size_t n)
{
    fill(r, place, r->resp == 2 ? '*' : '~', n);
}
