/* The request parser. See resp.h for the contract.
 *
 * Built for pipelines of small commands: a million "*3 $3 SET ..." a second on one core, no allocation per command (the
 * arrays of spans and slices are kept), each byte of a header read once. Counts from outside are never believed for
 * memory: the arrays grow with the arguments that really came.
 *
 * Two things would surprise. As in Redis the two bytes after a number are skipped, not checked; clients of twenty years
 * rely on nothing here, and the suite's malformed inputs expect exactly these errors. And a line is too long when its
 * first RESP_MAX_LINE + 1 bytes hold no end, however much has arrived behind them: so the outcome does not depend on
 * how the bytes were cut into reads. */
#include "net/resp.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

#define KEEP_ARGS 1024

void resp_init(struct resp *r)
{
    *r = (struct resp){0};
}

void resp_release(struct resp *r)
{
    mem_free(r->spans);
    mem_free(r->argv);
    buf_release(&r->words);
    *r = (struct resp){0};
}

void resp_trim(struct resp *r)
{
    if (r->open)
        return;
    if (r->cap > KEEP_ARGS) {
        mem_free(r->spans);
        mem_free(r->argv);
        r->spans = NULL;
        r->argv = NULL;
        r->cap = 0;
    }
    buf_release(&r->words);
}

static enum resp_result fail(struct resp *r, const char *what)
{
    snprintf(r->error, sizeof r->error, "Protocol error: %s", what);
    return RESP_ERROR;
}

static void grow(struct resp *r)
{
    r->cap = r->cap ? r->cap * 2 : 16;
    r->spans = mem_realloc(r->spans, r->cap * sizeof *r->spans);
    r->argv = mem_realloc(r->argv, r->cap * sizeof *r->argv);
}

static inline void add_span(struct resp *r, size_t at, size_t len)
{
    if ((size_t)r->argc == r->cap)
        grow(r);
    r->spans[r->argc++] = (struct resp_span){at, len};
}

static enum resp_result complete(struct resp *r, const char *base, size_t used)
{
    for (int i = 0; i < r->argc; i++)
        r->argv[i] = slice_of(base + r->spans[i].at, r->spans[i].len);
    r->used = used;
    r->open = false;
    return RESP_COMMAND;
}

enum line { LINE_MORE, LINE_FOUND, LINE_LONG };

/* Looks for `end` in the line that begins at r->at; *eol is where it is. */
static enum line find_end(struct resp *r, const char *p, size_t len, char end, size_t *eol)
{
    size_t stop = len - r->at > RESP_MAX_LINE ? r->at + RESP_MAX_LINE + 1 : len;
    if (r->looked < r->at)
        r->looked = r->at;
    const char *found = stop > r->looked ? memchr(p + r->looked, end, stop - r->looked) : NULL;
    if (found) {
        *eol = (size_t)(found - p);
        return LINE_FOUND;
    }
    r->looked = stop;
    return stop - r->at > RESP_MAX_LINE ? LINE_LONG : LINE_MORE;
}

/* "12" of "*12" or "$12". One and two digits, nearly every number there is, take the short way. */
static inline bool number(const char *p, size_t n, int64_t *out)
{
    if (n == 1 && p[0] >= '0' && p[0] <= '9')
        return *out = p[0] - '0', true;
    if (n == 2 && p[0] >= '1' && p[0] <= '9' && p[1] >= '0' && p[1] <= '9')
        return *out = (p[0] - '0') * 10 + p[1] - '0', true;
    return num_to_i64(slice_of(p, n), out);
}

static enum resp_result more(struct resp *r, size_t need)
{
    r->need = need;
    return RESP_MORE;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char unescape(char c)
{
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
    }
}

/* The inside of a quoted part that begins at *at; on success *at is behind the closing quote, which must end the word.
 */
static bool quoted(struct buf *to, struct slice line, size_t *at, char quote)
{
    size_t i = *at;
    for (; i < line.len && line.p[i] != quote; i++) {
        char c = line.p[i];
        size_t left = line.len - i;
        if (c != '\\') {
            buf_add_char(to, c);
        } else if (quote == '\'') {
            if (left > 1 && line.p[i + 1] == '\'')
                c = line.p[++i];
            buf_add_char(to, c);
        } else if (left > 3 && line.p[i + 1] == 'x' && hex(line.p[i + 2]) >= 0 && hex(line.p[i + 3]) >= 0) {
            buf_add_char(to, (char)(hex(line.p[i + 2]) * 16 + hex(line.p[i + 3])));
            i += 3;
        } else if (left > 1) {
            buf_add_char(to, unescape(line.p[++i]));
        } else {
            return false;
        }
    }
    if (i == line.len)
        return false;
    *at = ++i;
    return i == line.len || isspace((unsigned char)line.p[i]);
}

/* Splits an inline request into r->words, with spans into it. False: quotes that do not close. */
static bool split_words(struct resp *r, struct slice line)
{
    buf_clear(&r->words);
    for (size_t i = 0;;) {
        while (i < line.len && isspace((unsigned char)line.p[i]))
            i++;
        if (i == line.len)
            return true;
        size_t start = r->words.len;
        while (i < line.len && !isspace((unsigned char)line.p[i])) {
            char c = line.p[i++];
            if (c != '"' && c != '\'')
                buf_add_char(&r->words, c);
            else if (!quoted(&r->words, line, &i, c))
                return false;
        }
        add_span(r, start, r->words.len - start);
    }
}

static enum resp_result feed_inline(struct resp *r, const char *p, size_t len)
{
    size_t eol;
    switch (find_end(r, p, len, '\n', &eol)) {
    case LINE_MORE: return more(r, len + 1);
    case LINE_LONG: return fail(r, "too big inline request");
    case LINE_FOUND: break;
    }
    size_t n = eol;
    if (n > 0 && p[n - 1] == '\r')
        n--;
    if (!split_words(r, slice_of(p, n)))
        return fail(r, "unbalanced quotes in request");
    return complete(r, r->words.p ? r->words.p : "", eol + 1);
}

/* Reads the number of a "*n" or "$n" line at r->at. RESP_COMMAND stands for "read". */
static enum resp_result header(struct resp *r, const char *p, size_t len, const char *too_long, char sigil,
                               const char *bad, int64_t max, int64_t *n)
{
    size_t eol;
    switch (find_end(r, p, len, '\r', &eol)) {
    case LINE_MORE: return more(r, len + 1);
    case LINE_LONG: return fail(r, too_long);
    case LINE_FOUND: break;
    }
    if (eol + 2 > len) {
        r->looked = eol;
        return more(r, eol + 2);
    }
    if (p[r->at] != sigil) {
        char text[32];
        snprintf(text, sizeof text, "expected '%c', got '%c'", sigil, p[r->at] ? p[r->at] : ' ');
        return fail(r, text);
    }
    if (!number(p + r->at + 1, eol - r->at - 1, n) || *n > max)
        return fail(r, bad);
    r->at = eol + 2;
    return RESP_COMMAND;
}

static enum resp_result feed_bulk(struct resp *r, const char *p, size_t len, const struct resp_limits *limits)
{
    int64_t n;
    if (!r->in_bulk) {
        enum resp_result got =
            header(r, p, len, "too big bulk count string", '$', "invalid bulk length", limits->bulk, &n);
        if (got != RESP_COMMAND)
            return got;
        if (n < 0)
            return fail(r, "invalid bulk length");
        if (limits->guest && n > RESP_GUEST_BULK)
            return fail(r, "unauthenticated bulk length");
        r->bulk_len = (size_t)n;
        r->in_bulk = true;
    }
    if (len - r->at < r->bulk_len + 2)
        return more(r, r->at + r->bulk_len + 2);
    add_span(r, r->at, r->bulk_len);
    r->at += r->bulk_len + 2;
    r->in_bulk = false;
    r->args_left--;
    return RESP_COMMAND;
}

static enum resp_result feed_multibulk(struct resp *r, const char *p, size_t len, const struct resp_limits *limits)
{
    enum resp_result got;
    if (!r->multibulk) {
        got = header(r, p, len, "too big mbulk count string", '*', "invalid multibulk length", limits->args,
                     &r->args_left);
        if (got != RESP_COMMAND)
            return got;
        if (limits->guest && r->args_left > RESP_GUEST_ARGS)
            return fail(r, "unauthenticated multibulk length");
        r->multibulk = true;
    }
    while (r->args_left > 0)
        if ((got = feed_bulk(r, p, len, limits)) != RESP_COMMAND)
            return got;
    return complete(r, p, r->at);
}

enum resp_result resp_feed(struct resp *r, const char *p, size_t len, const struct resp_limits *limits)
{
    if (!r->open) {
        r->argc = 0;
        r->used = r->at = r->looked = 0;
        r->multibulk = r->in_bulk = false;
        r->args_left = 0;
        r->need = 1;
        if (len == 0)
            return RESP_MORE;
        r->open = true;
    }
    if (len < r->need)
        return RESP_MORE;
    return p[0] == '*' ? feed_multibulk(r, p, len, limits) : feed_inline(r, p, len);
}

/* --- whole commands --- */

/* The number of a "*n" or "$n" line, as resp_feed would take it; up to six digits. NULL: not for us. */
static inline const char *small_number(const char *p, const char *end, char sigil, unsigned *n)
{
    if (end - p < 4 || p[0] != sigil)
        return NULL;
    unsigned v = (unsigned char)p[1] - '0';
    if (v > 9)
        return NULL;
    const char *at = p + 2, *stop = end - at > 6 ? p + 7 : end - 1;
    for (unsigned d; at < stop && (d = (unsigned char)*at - '0') <= 9; at++) {
        if (v == 0)
            return NULL; /* a leading zero */
        v = v * 10 + d;
    }
    if (at >= end - 1 || *at != '\r')
        return NULL;
    *n = v;
    return at + 2;
}

/* One command; returns what follows it, NULL when it is not for us. */
static const char *whole(const char *p, const char *end, int64_t bulk, struct resp_request *to, struct slice *args,
                         int nargs)
{
    unsigned argc, n;
    p = small_number(p, end, '*', &argc);
    if (!p || argc == 0 || argc > (unsigned)nargs)
        return NULL;
    for (unsigned i = 0; i < argc; i++) {
        p = small_number(p, end, '$', &n);
        if (!p || n > bulk || (size_t)(end - p) < (size_t)n + 2)
            return NULL;
        args[i] = slice_of(p, n);
        p += n + 2;
    }
    *to = (struct resp_request){.argc = (int)argc, .argv = args};
    return p;
}

int resp_whole(const char *p, size_t len, int64_t bulk, struct resp_request *to, int max, struct slice *args, int nargs)
{
    const char *end = p + len, *next;
    int n = 0;
    for (; n < max && (next = whole(p, end, bulk, &to[n], args, nargs)); p = next) {
        to[n].used = (size_t)(next - p);
        args += to[n].argc;
        nargs -= to[n++].argc;
    }
    return n;
}
