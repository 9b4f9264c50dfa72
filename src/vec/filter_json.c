/* A JSON reader that skips what it was not asked for. Depth is bounded by FILTER_MAX_DEPTH brackets. */
#include "vec/filter_json.h"

#include "base/num.h"
#include "base/utf8.h"
#include "vec/filter.h"

struct reader {
    const char *p, *end;
};

static void skip_space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

static bool take(struct reader *r, char c)
{
    skip_space(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

/* The bytes between the quotes as they stand. */
static bool raw_text(struct reader *r, struct slice *out, bool *escaped)
{
    *escaped = false;
    if (!take(r, '"'))
        return false;
    const char *start = r->p;
    for (; r->p < r->end && *r->p != '"'; r->p++) {
        if ((unsigned char)*r->p < 0x20)
            return false;
        if (*r->p == '\\') {
            *escaped = true;
            if (++r->p == r->end)
                return false;
        }
    }
    if (r->p == r->end)
        return false;
    *out = slice_of(start, (size_t)(r->p - start));
    r->p++;
    return true;
}

static bool hex4(const char *p, const char *end, uint32_t *out)
{
    if (end - p < 4)
        return false;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (d < 0)
            return false;
        *out = *out << 4 | (uint32_t)d;
    }
    return true;
}

/* What follows \u, a second half of a surrogate pair included. Half a pair becomes U+FFFD. */
static bool code_point(const char **p, const char *end, uint32_t *out)
{
    uint32_t low;
    if (!hex4(*p, end, out))
        return false;
    *p += 4;
    if (*out >= 0xd800 && *out < 0xdc00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' &&
        hex4(*p + 2, end, &low) && low >= 0xdc00 && low < 0xe000) {
        *out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
        *p += 6;
    }
    if (*out >= 0xd800 && *out < 0xe000)
        *out = 0xfffd;
    return true;
}

/* Never longer than the text as it stands, so scratch has room. */
static bool unescape(struct slice raw, struct slice *out, struct buf *scratch)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t start = scratch->len;
    for (const char *p = raw.p, *end = raw.p + raw.len; p < end;) {
        char c = *p++, utf8[4];
        uint32_t cp;
        if (c != '\\') {
            buf_add_char(scratch, c);
            continue;
        }
        c = *p++; /* raw_text saw to it that there is one */
        const char *known = c ? strchr(from, c) : NULL;
        if (known)
            buf_add_char(scratch, to[known - from]);
        else if (c == 'u' && code_point(&p, end, &cp))
            buf_add(scratch, utf8, utf8_put(utf8, cp));
        else
            return false;
    }
    *out = slice_of(scratch->p + start, scratch->len - start);
    return true;
}

static bool read_text(struct reader *r, struct slice *out, struct buf *scratch)
{
    bool escaped;
    return raw_text(r, out, &escaped) && (!escaped || unescape(*out, out, scratch));
}

static bool word(struct reader *r, const char *w)
{
    size_t n = strlen(w);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, w, n) != 0)
        return false;
    r->p += n;
    return true;
}

static bool read_number(struct reader *r, double *out)
{
    const char *start = r->p;
    while (r->p < r->end && *r->p && strchr("0123456789+-.eE", *r->p))
        r->p++;
    return num_to_double(slice_of(start, (size_t)(r->p - start)), out);
}

/* A number, text, true, false or null. */
static bool read_scalar(struct reader *r, struct fvalue *v, struct buf *scratch)
{
    *v = (struct fvalue){.kind = FV_NUM};
    skip_space(r);
    if (r->p == r->end)
        return false;
    switch (*r->p) {
    case '"': v->kind = FV_TEXT; return read_text(r, &v->text, scratch);
    case 't': v->num = 1; return word(r, "true");
    case 'f': return word(r, "false");
    case 'n': v->kind = FV_NULL; return word(r, "null");
    default: return read_number(r, &v->num);
    }
}

/* Over a value of any kind: brackets are counted, texts are stepped over, the rest is not looked at closely. */
static bool skip_value(struct reader *r, bool *nested)
{
    int depth = 0;
    struct slice s;
    bool escaped;
    *nested = false;
    do {
        skip_space(r);
        if (r->p == r->end)
            return false;
        char c = *r->p;
        if (c == '"') {
            if (!raw_text(r, &s, &escaped))
                return false;
        } else if (c == '{' || c == '[') {
            *nested |= depth > 0 || c == '{';
            if (++depth > FILTER_MAX_DEPTH)
                return false;
            r->p++;
        } else if (c == '}' || c == ']') {
            if (depth-- == 0)
                return false;
            r->p++;
        } else if (depth && (c == ',' || c == ':')) {
            r->p++;
        } else {
            const char *start = r->p;
            while (r->p < r->end && *r->p && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", *r->p))
                r->p++;
            if (r->p == start)
                return false;
        }
    } while (depth);
    return true;
}

/* Every item of a list is a scalar and they are parted by commas. */
static bool list_is_flat(struct slice list, struct buf *scratch)
{
    struct reader r = {list.p, list.p + list.len};
    size_t kept = scratch->len;
    struct fvalue v;
    skip_space(&r);
    if (r.p == r.end)
        return true;
    do {
        bool ok = read_scalar(&r, &v, scratch);
        scratch->len = kept;
        if (!ok)
            return false;
    } while (take(&r, ','));
    skip_space(&r);
    return r.p == r.end;
}

static bool read_field(struct reader *r, struct fvalue *v, struct buf *scratch)
{
    bool nested;
    skip_space(r);
    if (r->p < r->end && *r->p == '[') {
        const char *start = r->p + 1;
        if (!skip_value(r, &nested) || nested)
            return false;
        *v = (struct fvalue){.kind = FV_JSON_LIST, .text = slice_of(start, (size_t)(r->p - 1 - start))};
        return list_is_flat(v->text, scratch);
    }
    return read_scalar(r, v, scratch);
}

bool filter_json_item(struct slice list, size_t *at, struct fvalue *out, struct buf *scratch)
{
    struct reader r = {list.p + *at, list.p + list.len};
    if (*at && !take(&r, ','))
        return false;
    if (!read_scalar(&r, out, scratch))
        return false;
    *at = (size_t)(r.p - list.p);
    return true;
}

static uint32_t wanted(struct slice name, const struct slice *names, uint32_t n, uint64_t found)
{
    for (uint32_t i = 0; i < n; i++)
        if (!(found >> i & 1) && slice_eq(name, names[i]))
            return i;
    return n;
}

bool filter_json_fields(struct slice json, const struct slice *names, uint32_t n, struct fvalue *values,
                        struct buf *scratch)
{
    struct reader r = {json.p, json.p + json.len};
    uint64_t found = 0, all = (UINT64_C(1) << n) - 1;
    if (!take(&r, '{'))
        return false;
    skip_space(&r);
    bool more = r.p < r.end && *r.p != '}', nested;
    while (more && found != all) {
        struct slice name;
        if (!read_text(&r, &name, scratch) || !take(&r, ':'))
            return false;
        uint32_t i = wanted(name, names, n, found);
        if (i == n ? !skip_value(&r, &nested) : !read_field(&r, &values[i], scratch))
            return false;
        if (i < n)
            found |= UINT64_C(1) << i;
        more = take(&r, ',');
        if (!more && (r.p == r.end || *r.p != '}'))
            return false;
    }
    return found == all;
}
