/* Replies to Lua values and back, as Redis converts them:
 *
 *   RESP          Lua                                    Lua                              RESP
 *   :1            number                                 number                           integer, cut towards zero
 *   $ bulk        string                                 string                           bulk
 *   +OK           {ok = "OK"}                            {ok = s}, {err = s}              status, error
 *   -ERR x        {err = "ERR x", ignore_... = true}     array up to the first nil        array
 *   * array       table                                  true, false                      1, nil; RESP3: #t, #f
 *   $-1 *-1       false                                  nil                              nil
 *   _             nil                                    {double = n}                     , or a bulk
 *   % map         {map = {k = v}}                        {map = {}}, {set = {}}           % ~, or arrays
 *   ~ set         {set = {e = true}}                     {big_number = s}                 ( or a bulk
 *   ,  #  (  =    {double}, boolean, {big_number},       {verbatim_string = {format, string}}
 *                 {verbatim_string = {format, string}}
 *
 * Bytes go from the reply into Lua's strings directly, without a tree between. The replies are our own; still nothing is
 * read past their end. */
#include <math.h>
#include <stdlib.h>

#include "base/num.h"
#include "script/engine_state.h"

/* ---- RESP to Lua ---- */

struct in {
    const char *p, *end;
};

static struct slice take_line(struct in *in)
{
    const char *eol = in->p < in->end ? memchr(in->p, '\r', (size_t)(in->end - in->p)) : NULL;
    if (!eol || eol + 2 > in->end) {
        in->p = in->end;
        return SLICE("");
    }
    struct slice s = slice_of(in->p, (size_t)(eol - in->p));
    in->p = eol + 2;
    return s;
}

static int64_t take_count(struct in *in)
{
    const char *p = in->p;
    int64_t v = 0;
    bool minus = p < in->end && *p == '-';
    for (p += minus; p < in->end && *p >= '0' && *p <= '9'; p++)
        v = v * 10 + (*p - '0');
    in->p = p + 2 <= in->end ? p + 2 : in->end;
    return minus ? -v : v;
}

static struct slice take_bytes(struct in *in, int64_t n)
{
    if (n < 0 || n + 2 > in->end - in->p) {
        in->p = in->end;
        return SLICE("");
    }
    struct slice s = slice_of(in->p, (size_t)n);
    in->p += n + 2;
    return s;
}

static void push_slice(lua_State *l, struct slice s)
{
    lua_pushlstring(l, s.p, s.len);
}

/* {name = value}, the value on top. */
static void wrap_in(lua_State *l, const char *name)
{
    lua_createtable(l, 0, 1);
    lua_insert(l, -2);
    lua_setfield(l, -2, name);
}

static void push_value(lua_State *l, struct in *in);

static void push_array(lua_State *l, struct in *in)
{
    int64_t n = take_count(in);
    if (n < 0) {
        lua_pushboolean(l, false);
        return;
    }
    lua_createtable(l, (int)(n < in->end - in->p ? n : in->end - in->p), 0);
    for (int64_t i = 1; i <= n && in->p < in->end; i++) {
        push_value(l, in);
        lua_rawseti(l, -2, (int)i);
    }
}

/* Pairs, or single elements that become keys. A nil key (a reply may have one) is left out. */
static void push_table(lua_State *l, struct in *in, bool map)
{
    int64_t n = take_count(in);
    lua_newtable(l);
    for (int64_t i = 0; i < n && in->p < in->end; i++) {
        push_value(l, in);
        if (map)
            push_value(l, in);
        else
            lua_pushboolean(l, true);
        if (lua_isnil(l, -2))
            lua_pop(l, 2);
        else
            lua_rawset(l, -3);
    }
    wrap_in(l, map ? "map" : "set");
}

static void push_verbatim(lua_State *l, struct in *in)
{
    struct slice s = take_bytes(in, take_count(in));
    size_t head = s.len < 4 ? s.len : 4;
    lua_createtable(l, 0, 2);
    push_slice(l, slice_of(s.p + head, s.len - head));
    lua_setfield(l, -2, "string");
    push_slice(l, slice_of(s.p, head ? head - 1 : 0));
    lua_setfield(l, -2, "format");
    wrap_in(l, "verbatim_string");
}

static void push_double(lua_State *l, struct in *in)
{
    double v;
    struct slice s = take_line(in);
    lua_pushnumber(l, num_to_double(s, &v) ? v : NAN);
    wrap_in(l, "double");
}

/* Attributes are skipped: they are not the reply. */
static void skip_attributes(lua_State *l, struct in *in)
{
    for (int64_t n = 2 * take_count(in); n > 0 && in->p < in->end; n--) {
        push_value(l, in);
        lua_pop(l, 1);
    }
}

static void push_value(lua_State *l, struct in *in)
{
    luaL_checkstack(l, 6, "a reply is nested too deep");
    if (in->p == in->end) {
        lua_pushnil(l);
        return;
    }
    switch (*in->p++) {
    case ':': lua_pushnumber(l, (lua_Number)take_count(in)); return;
    case '$': {
        int64_t n = take_count(in);
        if (n < 0)
            lua_pushboolean(l, false);
        else
            push_slice(l, take_bytes(in, n));
        return;
    }
    case '+':
        push_slice(l, take_line(in));
        wrap_in(l, "ok");
        return;
    case '-': {
        const char *minus = in->p - 1;
        engine_push_error(l, slice_of(minus, take_line(in).len + 1));
        lua_pushboolean(l, true);
        lua_setfield(l, -2, "ignore_error_stats_update");
        return;
    }
    case '*':
    case '>': push_array(l, in); return;
    case '%': push_table(l, in, true); return;
    case '~': push_table(l, in, false); return;
    case ',': push_double(l, in); return;
    case '#': lua_pushboolean(l, slice_eq(take_line(in), SLICE("t"))); return;
    case '(':
        push_slice(l, take_line(in));
        wrap_in(l, "big_number");
        return;
    case '=': push_verbatim(l, in); return;
    case '|':
        skip_attributes(l, in);
        push_value(l, in);
        return;
    default:
        take_line(in);
        lua_pushnil(l);
    }
}

void rlua_push(lua_State *l, struct slice resp)
{
    struct in in = {resp.p, resp.p + resp.len};
    push_value(l, &in);
}

/* ---- Lua to RESP ---- */

static struct slice to_slice(lua_State *l, int i)
{
    struct slice s;
    s.p = lua_tolstring(l, i, &s.len);
    return s;
}

/* The field of the table on top, pushed; past metatables. */
static int push_field(lua_State *l, const char *name)
{
    lua_pushstring(l, name);
    lua_rawget(l, -2);
    return lua_type(l, -1);
}

/* Line ends would cut the reply in two: they become spaces. */
static void write_line(struct reply *to, char type, struct slice s)
{
    buf_add_char(to->out, type);
    size_t from = to->out->len;
    buf_add(to->out, s.p, s.len);
    for (size_t i = from; i < to->out->len; i++)
        if (to->out->p[i] == '\r' || to->out->p[i] == '\n')
            to->out->p[i] = ' ';
    buf_add(to->out, "\r\n", 2);
}

static void write_bignum(struct reply *to, struct slice s)
{
    struct buf plain = {0};
    buf_add(&plain, s.p, s.len);
    for (size_t i = 0; i < plain.len; i++)
        if (plain.p[i] == '\r' || plain.p[i] == '\n')
            plain.p[i] = ' ';
    reply_bignum(to, buf_slice(&plain));
    buf_release(&plain);
}

/* {map = t} and {set = t}, t on top; it stays. */
static void write_pairs(lua_State *l, struct reply *to, bool map)
{
    size_t n = 0;
    for (lua_pushnil(l); lua_next(l, -2); lua_pop(l, 1))
        n++;
    if (map)
        reply_map(to, n);
    else
        reply_set(to, n);
    for (lua_pushnil(l); lua_next(l, -2);) {
        lua_pushvalue(l, -2);
        rlua_write(l, to); /* the key */
        if (map)
            rlua_write(l, to);
        else
            lua_pop(l, 1);
    }
}

static void write_array(lua_State *l, struct reply *to)
{
    int n = 0;
    for (;; n++) {
        lua_rawgeti(l, -1, n + 1);
        bool end = lua_isnil(l, -1);
        lua_pop(l, 1);
        if (end)
            break;
    }
    reply_array(to, (size_t)n);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(l, -1, i);
        rlua_write(l, to);
    }
}

void rlua_write_error(lua_State *l, struct reply *to, struct slice text, bool counted)
{
    if (counted) {
        write_line(to, '-', text);
        to->errors++;
        engine_of(l)->now->counted = true;
    } else {
        reply_errorf(to, "%.*s", (int)text.len, text.p);
    }
}

static void write_error(lua_State *l, struct reply *to)
{
    lua_pushliteral(l, "ignore_error_stats_update");
    lua_rawget(l, -3);
    rlua_write_error(l, to, to_slice(l, -2), lua_toboolean(l, -1));
}

static bool write_verbatim(lua_State *l, struct reply *to)
{
    bool is = false;
    if (push_field(l, "verbatim_string") == LUA_TTABLE) {
        if (push_field(l, "format") == LUA_TSTRING) {
            lua_insert(l, -2);
            struct slice format = to_slice(l, -2);
            if (push_field(l, "string") == LUA_TSTRING) {
                char three[4] = "   ";
                memcpy(three, format.p, format.len < 3 ? format.len : 3);
                reply_verbatim(to, three, to_slice(l, -1));
                is = true;
            }
        }
    }
    return is;
}

/* The table on top; it stays, with rubbish above it. */
static void write_table(lua_State *l, struct reply *to)
{
    int at = lua_gettop(l);
    if (push_field(l, "err") == LUA_TSTRING) {
        write_error(l, to);
        return;
    }
    lua_settop(l, at);
    if (push_field(l, "ok") == LUA_TSTRING) {
        write_line(to, '+', to_slice(l, -1));
        return;
    }
    lua_settop(l, at);
    if (push_field(l, "double") == LUA_TNUMBER) {
        reply_double(to, lua_tonumber(l, -1));
        return;
    }
    lua_settop(l, at);
    if (push_field(l, "map") == LUA_TTABLE) {
        write_pairs(l, to, true);
        return;
    }
    lua_settop(l, at);
    if (push_field(l, "set") == LUA_TTABLE) {
        write_pairs(l, to, false);
        return;
    }
    lua_settop(l, at);
    if (push_field(l, "big_number") == LUA_TSTRING) {
        write_bignum(to, to_slice(l, -1));
        return;
    }
    lua_settop(l, at);
    if (write_verbatim(l, to))
        return;
    lua_settop(l, at);
    write_array(l, to);
}

/* As a C cast would, without what is undefined there. */
static int64_t cut(lua_Number v)
{
    if (isnan(v) || v >= 9223372036854775808.0 || v < -9223372036854775808.0)
        return INT64_MIN;
    return (int64_t)v;
}

void rlua_write(lua_State *l, struct reply *to)
{
    if (!lua_checkstack(l, 6)) {
        reply_errorf(to, "ERR reached lua stack limit");
        lua_pop(l, 1);
        return;
    }
    int at = lua_gettop(l);
    switch (lua_type(l, -1)) {
    case LUA_TSTRING: reply_bulk(to, to_slice(l, -1)); break;
    case LUA_TNUMBER: reply_int(to, cut(lua_tonumber(l, -1))); break;
    case LUA_TBOOLEAN:
        if (engine_of(l)->resp == 3)
            reply_bool(to, lua_toboolean(l, -1));
        else if (lua_toboolean(l, -1))
            reply_int(to, 1);
        else
            reply_nil(to);
        break;
    case LUA_TTABLE: write_table(l, to); break;
    default: reply_nil(to);
    }
    lua_settop(l, at - 1);
}
