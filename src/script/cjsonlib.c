/* The table `cjson`: JSON to Lua and back, with the settings, the answers and the error sentences of lua-cjson 2.1 as Redis
 * builds it. Each table made by cjson.new() has settings of its own, the upvalue of its functions.
 *
 * Encoding writes into the engine's text buffer, decoding pushes strings out of the text directly; only a string with
 * escapes is put together first. Depth is bounded by the settings and by Lua's stack, both ways. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "script/engine_state.h"

enum { OFF, ON, AS_NULL };

struct settings {
    int sparse_convert, sparse_ratio, sparse_safe;
    int encode_depth, decode_depth, precision;
    int encode_invalid, decode_invalid, keep_buffer;
};
static const struct settings defaults = {
    .sparse_ratio = 2,
    .sparse_safe = 10,
    .encode_depth = 1000,
    .decode_depth = 1000,
    .precision = 14,
    .decode_invalid = ON,
    .keep_buffer = ON,
};

static struct settings *settings_of(lua_State *l)
{
    return lua_touserdata(l, lua_upvalueindex(1));
}

/* ---- encoding ---- */

struct out {
    struct buf *b;
    const struct settings *s;
};

/* The value at i cannot be written. */
static void refuse(lua_State *l, int i, const char *why)
{
    luaL_error(l, "Cannot serialise %s: %s", luaL_typename(l, i), why);
}

static void put_string(struct buf *b, lua_State *l, int i)
{
    size_t n;
    const char *p = lua_tolstring(l, i, &n);
    static const char from[] = "\"\\/\b\f\n\r\t", letter[] = "\"\\/bfnrt";
    buf_add_char(b, '"');
    size_t plain = 0; /* where the bytes begin that need nothing */
    for (size_t k = 0; k < n; k++) {
        unsigned char c = (unsigned char)p[k];
        if (c >= ' ' && c != '"' && c != '\\' && c != '/' && c != 127)
            continue;
        buf_add(b, p + plain, k - plain);
        plain = k + 1;
        const char *special = c ? strchr(from, c) : NULL;
        if (special)
            buf_addf(b, "\\%c", letter[special - from]);
        else
            buf_addf(b, "\\u%04x", c);
    }
    buf_add(b, p + plain, n - plain);
    buf_add_char(b, '"');
}

static void put_number(lua_State *l, struct out *o, int i)
{
    lua_Number v = lua_tonumber(l, i);
    char text[64];
    size_t n;
    if (isnan(v) || isinf(v)) {
        if (o->s->encode_invalid == OFF)
            refuse(l, i, "must not be NaN or Inf");
        buf_add_str(o->b, o->s->encode_invalid == AS_NULL ? "null" : isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
        return;
    }
    if (o->s->precision == 14 && fabs(v) < 1e14 && v == floor(v) && !(v == 0 && signbit(v)))
        n = num_from_i64(text, (int64_t)v);
    else
        n = (size_t)snprintf(text, sizeof text, "%.*g", o->s->precision, v);
    buf_add(o->b, text, n);
}

/* The highest index when the table on top is an array, -1 when it is an object. */
static int64_t array_length(lua_State *l, struct out *o)
{
    lua_Number max = 0, items = 0;
    for (lua_pushnil(l); lua_next(l, -2);) {
        lua_pop(l, 1);
        lua_Number k = lua_type(l, -1) == LUA_TNUMBER ? lua_tonumber(l, -1) : 0;
        if (k < 1 || k != floor(k) || k > INT_MAX) {
            lua_pop(l, 1);
            return -1;
        }
        if (k > max)
            max = k;
        items++;
    }
    if (o->s->sparse_ratio > 0 && max > items * o->s->sparse_ratio && max > o->s->sparse_safe) {
        if (!o->s->sparse_convert)
            refuse(l, -1, "excessively sparse array");
        return -1;
    }
    return (int64_t)max;
}

static void put_value(lua_State *l, struct out *o, int depth);

static void put_array(lua_State *l, struct out *o, int64_t n, int depth)
{
    buf_add_char(o->b, '[');
    for (int64_t i = 1; i <= n; i++) {
        if (i > 1)
            buf_add_char(o->b, ',');
        lua_rawgeti(l, -1, (int)i);
        put_value(l, o, depth);
    }
    buf_add_char(o->b, ']');
}

static void put_object(lua_State *l, struct out *o, int depth)
{
    bool first = true;
    buf_add_char(o->b, '{');
    for (lua_pushnil(l); lua_next(l, -2); first = false) {
        if (!first)
            buf_add_char(o->b, ',');
        int type = lua_type(l, -2);
        if (type == LUA_TSTRING) {
            put_string(o->b, l, -2);
        } else if (type == LUA_TNUMBER) {
            buf_add_char(o->b, '"');
            put_number(l, o, -2);
            buf_add_char(o->b, '"');
        } else {
            refuse(l, -2, "table key must be a number or string");
        }
        buf_add_char(o->b, ':');
        put_value(l, o, depth);
    }
    buf_add_char(o->b, '}');
}

/* Writes the value on top and pops it. */
static void put_value(lua_State *l, struct out *o, int depth)
{
    switch (lua_type(l, -1)) {
    case LUA_TSTRING: put_string(o->b, l, -1); break;
    case LUA_TNUMBER: put_number(l, o, -1); break;
    case LUA_TBOOLEAN: buf_add_str(o->b, lua_toboolean(l, -1) ? "true" : "false"); break;
    case LUA_TTABLE: {
        if (++depth > o->s->encode_depth || !lua_checkstack(l, 5))
            luaL_error(l, "Cannot serialise, excessive nesting (%d)", depth);
        int64_t n = array_length(l, o);
        if (n > 0)
            put_array(l, o, n, depth);
        else
            put_object(l, o, depth);
        break;
    }
    case LUA_TNIL: buf_add_str(o->b, "null"); break;
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(l, -1)) {
            buf_add_str(o->b, "null");
            break;
        } /* fallthrough */
    default: refuse(l, -1, "type not supported");
    }
    if (o->b->full)
        luaL_error(l, "Cannot serialise, the text is too long");
    lua_pop(l, 1);
}

static int encode(lua_State *l)
{
    luaL_argcheck(l, lua_gettop(l) == 1, 1, "expected 1 argument");
    struct out o = {engine_text(l), settings_of(l)};
    put_value(l, &o, 0);
    lua_pushlstring(l, o.b->p, o.b->len);
    if (!o.s->keep_buffer)
        buf_release(o.b);
    return 1;
}

/* ---- decoding ---- */

enum kind { OBJECT, OBJECT_END, ARRAY, ARRAY_END, STRING, NUMBER, BOOLEAN, NIL, COLON, COMMA, END, ERROR };
static const char *const kind_names[] = {"T_OBJ_BEGIN", "T_OBJ_END", "T_ARR_BEGIN", "T_ARR_END", "T_STRING", "T_NUMBER",
                                         "T_BOOLEAN",   "T_NULL",    "T_COLON",     "T_COMMA",   "T_END",    NULL};

struct in {
    lua_State *l;
    const struct settings *s;
    const char *start, *p, *end; /* a NUL stands at the end */
    int depth;
};

struct token {
    enum kind kind;
    const char *at, *error;
    struct slice text; /* STRING; in the engine's buffer when it had escapes */
    lua_Number number; /* NUMBER, BOOLEAN */
};

static void token_error(struct in *in, struct token *t, const char *why)
{
    t->kind = ERROR;
    t->at = in->p;
    t->error = why;
}

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int c = (unsigned char)p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (d < 0)
            return -1; /* also at the NUL, so nothing is read past it */
        v = v << 4 | d;
    }
    return v;
}

static void put_utf8(struct buf *b, unsigned c)
{
    char t[4];
    int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char head[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = n - 1; i > 0; i--, c >>= 6)
        t[i] = (char)(0x80 | (c & 0x3f));
    t[0] = (char)(head[n] | c);
    buf_add(b, t, (size_t)n);
}

/* "\u1234", or two of them that are one character; in->p stands at the backslash. False: it is none. */
static bool take_unicode(struct in *in, struct buf *b)
{
    int c = hex4(in->p + 2), low, len = 6;
    if (c < 0)
        return false;
    if ((c & 0xf800) == 0xd800) {
        if ((c & 0x400) || in->p[6] != '\\' || in->p[7] != 'u')
            return false;
        low = hex4(in->p + 8);
        if (low < 0 || (low & 0xfc00) != 0xdc00)
            return false;
        c = ((c & 0x3ff) << 10 | (low & 0x3ff)) + 0x10000;
        len = 12;
    }
    put_utf8(b, (unsigned)c);
    in->p += len;
    return true;
}

/* The rest of a string with escapes, put together in the engine's buffer. */
static void take_escaped(struct in *in, struct token *t, const char *start)
{
    static const char letter[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    struct buf *b = engine_text(in->l);
    buf_add(b, start, (size_t)(in->p - start));
    while (*in->p != '"') {
        if (!*in->p) {
            token_error(in, t, "unexpected end of string");
            return;
        }
        if (*in->p != '\\') {
            buf_add_char(b, *in->p++);
            continue;
        }
        char c = in->p[1];
        if (c == 'u') {
            if (take_unicode(in, b))
                continue;
            token_error(in, t, "invalid unicode escape code");
            return;
        }
        const char *known = c ? strchr(letter, c) : NULL;
        if (!known) {
            token_error(in, t, "invalid escape code");
            return;
        }
        buf_add_char(b, to[known - letter]);
        in->p += 2;
    }
    in->p++;
    t->text = buf_slice(b);
}

static void take_string(struct in *in, struct token *t)
{
    const char *start = ++in->p;
    t->kind = STRING;
    while (*in->p && *in->p != '"' && *in->p != '\\')
        in->p++;
    if (*in->p == '"') {
        t->text = slice_of(start, (size_t)(in->p - start));
        in->p++;
    } else {
        take_escaped(in, t, start);
    }
}

/* Forms that strtod takes and JSON has not: +1, 01, 0x1, inf, nan. */
static bool is_invalid_number(const char *p)
{
    if (*p == '+')
        return true;
    p += *p == '-';
    if (*p == '0')
        return (p[1] | 32) == 'x' || (p[1] >= '0' && p[1] <= '9');
    return *p > '9' && (strncasecmp(p, "inf", 3) == 0 || strncasecmp(p, "nan", 3) == 0);
}

static void take_number(struct in *in, struct token *t)
{
    char *end;
    t->kind = NUMBER;
    t->number = strtod(in->p, &end);
    if (end == in->p)
        token_error(in, t, "invalid number");
    else
        in->p = end;
}

static bool take_word(struct in *in, struct token *t, const char *word, enum kind kind, lua_Number v)
{
    if (strncmp(in->p, word, strlen(word)) != 0)
        return false;
    in->p += strlen(word);
    t->kind = kind;
    t->number = v;
    return true;
}

static void next(struct in *in, struct token *t)
{
    static const char marks[] = "{}[]:,";
    static const enum kind kinds[] = {OBJECT, OBJECT_END, ARRAY, ARRAY_END, COLON, COMMA};
    while (*in->p == ' ' || *in->p == '\t' || *in->p == '\n' || *in->p == '\r')
        in->p++;
    *t = (struct token){.at = in->p, .kind = END};
    if (!*in->p)
        return;
    const char *mark = strchr(marks, *in->p);
    if (mark) {
        t->kind = kinds[mark - marks];
        in->p++;
    } else if (*in->p == '"') {
        take_string(in, t);
    } else if (*in->p == '-' || (*in->p >= '0' && *in->p <= '9')) {
        if (!in->s->decode_invalid && is_invalid_number(in->p))
            token_error(in, t, "invalid number");
        else
            take_number(in, t);
    } else if (!take_word(in, t, "true", BOOLEAN, 1) && !take_word(in, t, "false", BOOLEAN, 0) &&
               !take_word(in, t, "null", NIL, 0)) {
        if (in->s->decode_invalid && is_invalid_number(in->p))
            take_number(in, t);
        else
            token_error(in, t, "invalid token");
    }
}

static void unexpected(struct in *in, const struct token *t, const char *wanted)
{
    luaL_error(in->l, "Expected %s but found %s at character %d", wanted,
               t->kind == ERROR ? t->error : kind_names[t->kind], (int)(t->at - in->start) + 1);
}

static void descend(struct in *in)
{
    if (++in->depth > in->s->decode_depth || !lua_checkstack(in->l, 6))
        luaL_error(in->l, "Found too many nested data structures (%d) at character %d", in->depth,
                   (int)(in->p - in->start));
}

static void push_value(struct in *in, struct token *t);

static void push_object(struct in *in, struct token *t)
{
    descend(in);
    lua_newtable(in->l);
    next(in, t);
    while (t->kind != OBJECT_END) {
        if (t->kind != STRING)
            unexpected(in, t, "object key string");
        lua_pushlstring(in->l, t->text.p, t->text.len);
        next(in, t);
        if (t->kind != COLON)
            unexpected(in, t, "colon");
        next(in, t);
        push_value(in, t);
        lua_rawset(in->l, -3);
        next(in, t);
        if (t->kind == OBJECT_END)
            break;
        if (t->kind != COMMA)
            unexpected(in, t, "comma or object end");
        next(in, t);
        if (t->kind == OBJECT_END)
            unexpected(in, t, "object key string");
    }
    in->depth--;
}

static void push_array(struct in *in, struct token *t)
{
    descend(in);
    lua_newtable(in->l);
    next(in, t);
    for (int i = 1; t->kind != ARRAY_END; i++) {
        push_value(in, t);
        lua_rawseti(in->l, -2, i);
        next(in, t);
        if (t->kind == ARRAY_END)
            break;
        if (t->kind != COMMA)
            unexpected(in, t, "comma or array end");
        next(in, t);
        if (t->kind == ARRAY_END)
            unexpected(in, t, "value");
    }
    in->depth--;
}

static void push_value(struct in *in, struct token *t)
{
    switch (t->kind) {
    case STRING: lua_pushlstring(in->l, t->text.p, t->text.len); break;
    case NUMBER: lua_pushnumber(in->l, t->number); break;
    case BOOLEAN: lua_pushboolean(in->l, t->number != 0); break;
    case NIL: lua_pushlightuserdata(in->l, NULL); break;
    case OBJECT: push_object(in, t); break;
    case ARRAY: push_array(in, t); break;
    default: unexpected(in, t, "value");
    }
}

static int decode(lua_State *l)
{
    size_t n;
    struct token t;
    luaL_argcheck(l, lua_gettop(l) == 1, 1, "expected 1 argument");
    const char *p = luaL_checklstring(l, 1, &n);
    struct in in = {.l = l, .s = settings_of(l), .start = p, .p = p, .end = p + n};
    if (n >= 2 && (!p[0] || !p[1]))
        return luaL_error(l, "JSON parser does not support UTF-16 or UTF-32");
    next(&in, &t);
    push_value(&in, &t);
    next(&in, &t);
    if (t.kind != END)
        unexpected(&in, &t, "the end");
    return 1;
}

/* ---- settings ---- */

static void arguments(lua_State *l, int n)
{
    luaL_argcheck(l, lua_gettop(l) <= n, n + 1, "found too many arguments");
    lua_settop(l, n);
}

static void integer(lua_State *l, int i, int *at, int min, int max)
{
    if (!lua_isnil(l, i)) {
        lua_Integer v = luaL_checkinteger(l, i);
        if (v < min || v > max)
            luaL_argerror(l, i, lua_pushfstring(l, "expected integer between %d and %d", min, max));
        *at = (int)v;
    }
    lua_pushinteger(l, *at);
}

static void word(lua_State *l, int i, int *at, const char *const *words)
{
    if (lua_isboolean(l, i))
        *at = lua_toboolean(l, i) ? ON : OFF;
    else if (!lua_isnil(l, i))
        *at = luaL_checkoption(l, i, NULL, words);
    if (*at == AS_NULL)
        lua_pushliteral(l, "null");
    else
        lua_pushboolean(l, *at);
}

static const char *const on_off[] = {"off", "on", NULL}, *const on_off_null[] = {"off", "on", "null", NULL};

static int encode_sparse_array(lua_State *l)
{
    struct settings *s = settings_of(l);
    arguments(l, 3);
    word(l, 1, &s->sparse_convert, on_off);
    integer(l, 2, &s->sparse_ratio, 0, INT_MAX);
    integer(l, 3, &s->sparse_safe, 0, INT_MAX);
    return 3;
}

static int encode_max_depth(lua_State *l)
{
    arguments(l, 1);
    integer(l, 1, &settings_of(l)->encode_depth, 1, INT_MAX);
    return 1;
}

static int decode_max_depth(lua_State *l)
{
    arguments(l, 1);
    integer(l, 1, &settings_of(l)->decode_depth, 1, INT_MAX);
    return 1;
}

static int encode_number_precision(lua_State *l)
{
    arguments(l, 1);
    integer(l, 1, &settings_of(l)->precision, 1, 14);
    return 1;
}

static int encode_keep_buffer(lua_State *l)
{
    arguments(l, 1);
    word(l, 1, &settings_of(l)->keep_buffer, on_off);
    return 1;
}

static int encode_invalid_numbers(lua_State *l)
{
    arguments(l, 1);
    word(l, 1, &settings_of(l)->encode_invalid, on_off_null);
    return 1;
}

static int decode_invalid_numbers(lua_State *l)
{
    arguments(l, 1);
    word(l, 1, &settings_of(l)->decode_invalid, on_off);
    return 1;
}

static int new(lua_State *l)
{
    static const luaL_Reg functions[] = {
        {"encode", encode},
        {"decode", decode},
        {"encode_sparse_array", encode_sparse_array},
        {"encode_max_depth", encode_max_depth},
        {"decode_max_depth", decode_max_depth},
        {"encode_number_precision", encode_number_precision},
        {"encode_keep_buffer", encode_keep_buffer},
        {"encode_invalid_numbers", encode_invalid_numbers},
        {"decode_invalid_numbers", decode_invalid_numbers},
        {"new", new},
        {NULL, NULL},
    };
    lua_newtable(l);
    struct settings *s = lua_newuserdata(l, sizeof *s);
    *s = defaults;
    luaI_openlib(l, NULL, functions, 1);
    lua_pushlightuserdata(l, NULL);
    lua_setfield(l, -2, "null");
    lua_pushliteral(l, "cjson");
    lua_setfield(l, -2, "_NAME");
    lua_pushliteral(l, "2.1.0");
    lua_setfield(l, -2, "_VERSION");
    return 1;
}

int luaopen_cjsonlib(lua_State *l)
{
    new(l);
    lua_pushvalue(l, -1);
    lua_setglobal(l, "cjson");
    return 1;
}
