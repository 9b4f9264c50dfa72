#include "base/json_scan.h"

#include <stdint.h>
#include <string.h>

#include "base/swar.h"

#define DEPTH 16

/* ---- bytes ---- */

static bool is_plain(unsigned char c, bool ascii)
{
    return c >= 0x20 && c != '"' && c != '\\' && !(ascii && c >= 0x80);
}

size_t json_plain(const char *p, size_t n, bool ascii)
{
    size_t i = 0;
    for (uint64_t v; n - i >= sizeof v; i += sizeof v) {
        memcpy(&v, p + i, sizeof v);
        uint64_t low = (v - SWAR_EVERY(0x20)) & ~v & SWAR_EVERY(0x80);
        if (low | swar_zeros(v ^ SWAR_EVERY('"')) | swar_zeros(v ^ SWAR_EVERY('\\')) |
            (ascii ? v & SWAR_EVERY(0x80) : 0))
            break;
    }
    while (i < n && is_plain((unsigned char)p[i], ascii))
        i++;
    return i;
}

/* ---- steps ---- */

static void refuse(struct json_scan *s)
{
    s->no = true;
    s->p = s->end;
}

static void skip_space(struct json_scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

static bool take(struct json_scan *s, char c)
{
    skip_space(s);
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

void json_scan_init(struct json_scan *s, struct slice text)
{
    *s = (struct json_scan){text.p, text.p + text.len, false, false};
}

void json_scan_open(struct json_scan *s, char bracket)
{
    if (!take(s, bracket))
        refuse(s);
    s->fresh = true;
}

/* True: a member or an item follows. */
static bool next(struct json_scan *s, char closing)
{
    bool fresh = s->fresh;
    s->fresh = false;
    if (s->no || take(s, closing))
        return false;
    if (!fresh && !take(s, ','))
        refuse(s);
    return !s->no;
}

bool json_scan_item(struct json_scan *s)
{
    return next(s, ']');
}

struct slice json_scan_string(struct json_scan *s)
{
    if (!take(s, '"')) {
        refuse(s);
        return (struct slice){"", 0};
    }
    const char *from = s->p;
    for (;;) {
        s->p += json_plain(s->p, (size_t)(s->end - s->p), false);
        if (s->p == s->end || (unsigned char)*s->p < 0x20)
            break;
        if (*s->p == '"')
            return slice_of(from, (size_t)(s->p++ - from));
        if (s->end - s->p < 2 || !memchr("\"\\/bfnrt", s->p[1], 8)) /* the third is a backslash */
            break;
        s->p += 2;
    }
    refuse(s);
    return (struct slice){"", 0};
}

bool json_scan_member(struct json_scan *s, struct slice *name)
{
    if (!next(s, '}'))
        return false;
    *name = json_scan_string(s);
    if (!take(s, ':') || memchr(name->p, '\\', name->len))
        refuse(s);
    return !s->no;
}

static bool word(struct json_scan *s, struct slice w)
{
    if ((size_t)(s->end - s->p) < w.len || memcmp(s->p, w.p, w.len) != 0)
        return false;
    s->p += w.len;
    return true;
}

bool json_scan_null(struct json_scan *s)
{
    skip_space(s);
    return word(s, SLICE("null"));
}

static bool digits(struct json_scan *s)
{
    const char *from = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > from;
}

static bool one_of(struct json_scan *s, char a, char b)
{
    if (s->p == s->end || (*s->p != a && *s->p != b))
        return false;
    s->p++;
    return true;
}

static void number(struct json_scan *s)
{
    const char *from = s->p;
    one_of(s, '-', '-');
    bool ok = digits(s);
    if (one_of(s, '.', '.'))
        ok = ok && digits(s);
    if (one_of(s, 'e', 'E')) {
        one_of(s, '+', '-');
        ok = ok && digits(s);
    }
    if (!ok || s->p - from > 40) /* longer ones are cut by the parser, and then broken */
        refuse(s);
}

static void skip(struct json_scan *s, int depth)
{
    struct slice name;
    skip_space(s);
    char c = s->p < s->end ? *s->p : 0;
    if (depth > DEPTH) {
        refuse(s);
    } else if (c == '"') {
        json_scan_string(s);
    } else if (c == '{') {
        for (json_scan_open(s, '{'); json_scan_member(s, &name);)
            skip(s, depth + 1);
    } else if (c == '[') {
        for (json_scan_open(s, '['); json_scan_item(s);)
            skip(s, depth + 1);
    } else if (!word(s, SLICE("null")) && !word(s, SLICE("true")) && !word(s, SLICE("false"))) {
        number(s);
    }
}

void json_scan_skip(struct json_scan *s)
{
    skip(s, 0);
}

bool json_scan_end(struct json_scan *s)
{
    skip_space(s);
    return !s->no && s->p == s->end;
}

bool json_unescape(struct buf *to, struct slice raw)
{
    static const char from[] = "bfnrt", means[] = "\b\f\n\r\t";
    for (size_t i = 0; i < raw.len;) {
        const char *back = memchr(raw.p + i, '\\', raw.len - i);
        size_t n = back ? (size_t)(back - raw.p) - i : raw.len - i;
        if (!buf_add(to, raw.p + i, n))
            return false;
        i += n;
        if (!back || i + 1 >= raw.len)
            break;
        const char *known = strchr(from, raw.p[i + 1]);
        if (!buf_add_char(to, known ? means[known - from] : raw.p[i + 1]))
            return false;
        i += 2;
    }
    return true;
}
