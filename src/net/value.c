/* Parsing replies. What would surprise: an aggregate's length is checked against the bytes that are there before memory
 * is taken (each element needs at least three), so "*1000000000" costs nothing; and a reply that is cut anywhere is
 * parsed from its start again, which is fine for replies that come whole, as ours do. */
#include "net/value.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

#define ELEMENT_MIN 3 /* "_\r\n" */

struct parser {
    struct slice in;
    size_t at;
    struct err *err;
};

static int bad(struct parser *p, const char *what)
{
    return err_set(p->err, ERR_INVALID, "reply at byte %zu: %s", p->at, what);
}

/* A line up to CRLF, `at` behind it. 1, or 0 when it is not complete. */
static int take_line(struct parser *p, struct slice *line)
{
    const char *from = p->in.p + p->at;
    const char *end = memmem(from, p->in.len - p->at, "\r\n", 2);
    if (!end)
        return 0;
    *line = slice_of(from, (size_t)(end - from));
    p->at += line->len + 2;
    return 1;
}

static void set_string(struct resp_value *v, enum resp_kind kind, struct slice s)
{
    v->kind = kind;
    v->str = slice_of(mem_dup(s.p, s.len), s.len);
}

static int parse_bulk(struct parser *p, char type, int64_t len, struct resp_value *v)
{
    if (len < 0)
        return len == -1 && type == '$' ? 1 : bad(p, "bad length of a string");
    if ((uint64_t)len + 2 > p->in.len - p->at)
        return 0;
    struct slice s = slice_of(p->in.p + p->at, (size_t)len);
    if (memcmp(s.p + s.len, "\r\n", 2) != 0)
        return bad(p, "a string is longer than it says");
    p->at += s.len + 2;
    if (type == '=') {
        if (s.len < 4 || s.p[3] != ':')
            return bad(p, "bad verbatim string");
        s = slice_of(s.p + 4, s.len - 4);
    }
    set_string(v, type == '!' ? RV_ERROR : RV_STRING, s);
    return 1;
}

static int parse_value(struct parser *p, struct resp_value *v, int depth);

static int parse_items(struct parser *p, char type, int64_t len, struct resp_value *v, int depth)
{
    if (len == -1 && type == '*')
        return 1;
    uint64_t left = p->in.len - p->at, n = (uint64_t)len * (type == '%' || type == '|' ? 2 : 1);
    if (len < 0 || len > INT32_MAX)
        return bad(p, "bad number of elements");
    if (n > left / ELEMENT_MIN)
        return 0; /* cannot be complete */
    v->kind = type == '%' ? RV_MAP : type == '~' ? RV_SET : type == '>' ? RV_PUSH : RV_ARRAY;
    v->item = n ? mem_zero(n * sizeof *v->item) : NULL;
    while (v->n < n) {
        int r = parse_value(p, &v->item[v->n++], depth + 1);
        if (r <= 0)
            return r;
    }
    return 1;
}

static int parse_double(struct parser *p, struct slice text, struct resp_value *v)
{
    v->kind = RV_DOUBLE;
    if (slice_is(text, "nan") || slice_is(text, "-nan"))
        v->real = NAN;
    else if (!num_to_double(text, &v->real))
        return bad(p, "bad double");
    return 1;
}

/* An attribute ('|') says something about the value behind it, which is the one we want. */
static int parse_attribute(struct parser *p, int64_t len, struct resp_value *v, int depth)
{
    struct resp_value about = {0};
    int r = parse_items(p, '|', len, &about, depth);
    resp_value_release(&about);
    return r == 1 ? parse_value(p, v, depth + 1) : r;
}

static int parse_sized(struct parser *p, char type, struct slice line, struct resp_value *v, int depth)
{
    int64_t len;
    if (!num_to_i64(line, &len))
        return bad(p, "bad length");
    if (strchr("$=!", type))
        return parse_bulk(p, type, len, v);
    return type == '|' ? parse_attribute(p, len, v, depth) : parse_items(p, type, len, v, depth);
}

static int parse_value(struct parser *p, struct resp_value *v, int depth)
{
    struct slice line;
    if (depth > RV_DEPTH)
        return bad(p, "nested too deep");
    if (p->at >= p->in.len)
        return 0;
    char type = p->in.p[p->at];
    if (!type || !strchr("+-:_#,($=!*%~>|", type))
        return bad(p, "no such type");
    p->at++;
    if (take_line(p, &line) == 0)
        return 0;
    switch (type) {
    case '+': set_string(v, RV_STATUS, line); return 1;
    case '-': set_string(v, RV_ERROR, line); return 1;
    case '(': set_string(v, RV_STRING, line); return 1;
    case '_': return line.len ? bad(p, "bad nil") : 1;
    case ',': return parse_double(p, line, v);
    case ':':
        v->kind = RV_INT;
        if (!num_to_i64(line, &v->num))
            return bad(p, "bad integer");
        v->real = (double)v->num;
        return 1;
    case '#':
        v->kind = RV_BOOL;
        v->num = slice_is(line, "t");
        return v->num || slice_is(line, "f") ? 1 : bad(p, "bad boolean");
    default: return parse_sized(p, type, line, v, depth);
    }
}

int64_t resp_value_parse(struct slice in, struct resp_value *out, struct err *err)
{
    struct parser p = {.in = in, .err = err};
    *out = (struct resp_value){0};
    int r = parse_value(&p, out, 0);
    if (r == 1)
        return (int64_t)p.at;
    resp_value_release(out);
    return r;
}

void resp_value_release(struct resp_value *v)
{
    for (size_t i = 0; i < v->n; i++)
        resp_value_release(&v->item[i]);
    mem_free(v->item);
    mem_free((void *)v->str.p);
    *v = (struct resp_value){0};
}

const struct resp_value *resp_value_get(const struct resp_value *map, const char *key)
{
    if (!map || (map->kind != RV_MAP && map->kind != RV_ARRAY))
        return NULL;
    for (size_t i = 0; i + 1 < map->n; i += 2)
        if (slice_eq(map->item[i].str, slice_str(key)))
            return &map->item[i + 1];
    return NULL;
}

double resp_value_num(const struct resp_value *v, double dflt)
{
    double d;
    if (!v)
        return dflt;
    if (v->kind == RV_INT || v->kind == RV_DOUBLE)
        return v->real;
    return v->kind == RV_STRING && num_to_double(v->str, &d) ? d : dflt;
}

int resp_value_err(const struct resp_value *v, struct err *err)
{
    static const int codes[] = {ERR_INVALID, ERR_STATE, ERR_UPSTREAM,  ERR_QUOTA,
                                ERR_NOPERM,  ERR_OOM,   ERR_WRONGTYPE, ERR_BUSYKEY};
    if (v->kind != RV_ERROR)
        return 0;
    const char *space = strchr(v->str.p, ' ');
    size_t word = space ? (size_t)(space - v->str.p) : 0;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (word && slice_is(slice_of(v->str.p, word), err_class(codes[i])))
            return err_set(err, codes[i], "%s", space + 1);
    bool plain = word && slice_is(slice_of(v->str.p, word), "ERR");
    return err_set(err, ERR_GENERIC, "%s", plain ? space + 1 : v->str.p);
}
