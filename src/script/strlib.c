/* string.find, match, gmatch, gsub and rep for the sandbox: Lua's own answers over script/pattern.h, whose work is
 * bounded and stops at the run's deadline. Compiled patterns and results live in Lua userdata, so that an error that
 * jumps out of here leaks nothing and their memory counts. */
#include <string.h>

#include "script/pattern.h"
#include "script/state.h"

struct search {
    struct pattern_match m;
    size_t from;
    struct pattern pattern; /* last: its items are cut where they end */
};

static bool tick(void *arg)
{
    return run_may_go_on(arg);
}

static struct slice check_slice(lua_State *l, int i)
{
    struct slice s;
    s.p = luaL_checklstring(l, i, &s.len);
    return s;
}

/* A compiled pattern, left on the stack; it takes the memory of the items that it has. */
static struct search *push_search(lua_State *l, struct slice pattern)
{
    static _Thread_local struct pattern compiled;
    struct err err;
    if (pattern_compile(&compiled, pattern, &err) < 0)
        luaL_error(l, "%s", err.msg);
    size_t used = offsetof(struct pattern, items) + (size_t)compiled.n * sizeof compiled.items[0];
    struct search *s = lua_newuserdata(l, offsetof(struct search, pattern) + used);
    s->from = 0;
    memcpy(&s->pattern, &compiled, used);
    return s;
}

static bool find_next(lua_State *l, struct search *s, struct slice subject)
{
    int r = pattern_find(&s->pattern, subject, s->from, &(struct pattern_ticker){tick, run_of(l)}, &s->m);
    if (r < 0)
        run_raise_stop(l);
    return r == 1;
}

static void push_capture(lua_State *l, const struct search *s, struct slice subject, int i)
{
    if (s->pattern.captures == 0)
        lua_pushlstring(l, subject.p + s->m.start, s->m.end - s->m.start);
    else if (s->m.cap[i].len == PATTERN_POSITION)
        lua_pushinteger(l, (lua_Integer)s->m.cap[i].at + 1);
    else
        lua_pushlstring(l, subject.p + s->m.cap[i].at, (size_t)s->m.cap[i].len);
}

static int push_captures(lua_State *l, const struct search *s, struct slice subject, bool whole_if_none)
{
    int n = s->pattern.captures ? s->pattern.captures : whole_if_none;
    luaL_checkstack(l, n, "too many captures");
    for (int i = 0; i < n; i++)
        push_capture(l, s, subject, i);
    return n;
}

/* Lua's init argument as an offset; beyond the end stays there. */
static size_t init_offset(lua_State *l, int i, size_t len)
{
    lua_Integer at = luaL_optinteger(l, i, 1);
    if (at < 0)
        at = at + (lua_Integer)len + 1 > 0 ? at + (lua_Integer)len + 1 : 1;
    size_t offset = at > 0 ? (size_t)at - 1 : 0;
    return offset > len ? len : offset;
}

static int find_plain(lua_State *l, struct slice s, struct slice what, size_t from)
{
    const char *hit = what.len ? memmem(s.p + from, s.len - from, what.p, what.len) : s.p + from;
    if (!hit) {
        lua_pushnil(l);
        return 1;
    }
    lua_pushinteger(l, (lua_Integer)(hit - s.p) + 1);
    lua_pushinteger(l, (lua_Integer)(hit - s.p) + (lua_Integer)what.len);
    return 2;
}

static int find_or_match(lua_State *l, bool find)
{
    struct slice s = check_slice(l, 1), pattern = check_slice(l, 2);
    size_t from = init_offset(l, 3, s.len);
    if (find && lua_toboolean(l, 4))
        return find_plain(l, s, pattern, from);
    struct search *x = push_search(l, pattern);
    x->from = from;
    if (!find_next(l, x, s)) {
        lua_pushnil(l);
        return 1;
    }
    if (!find)
        return push_captures(l, x, s, true);
    lua_pushinteger(l, (lua_Integer)x->m.start + 1);
    lua_pushinteger(l, (lua_Integer)x->m.end);
    return 2 + push_captures(l, x, s, false);
}

static int str_find(lua_State *l)
{
    return find_or_match(l, true);
}

static int str_match(lua_State *l)
{
    return find_or_match(l, false);
}

static int gmatch_next(lua_State *l)
{
    struct slice s;
    s.p = lua_tolstring(l, lua_upvalueindex(1), &s.len);
    struct search *x = lua_touserdata(l, lua_upvalueindex(2));
    if (x->from > s.len || !find_next(l, x, s))
        return 0;
    x->from = x->m.end + (x->m.end == x->m.start);
    return push_captures(l, x, s, true);
}

static int str_gmatch(lua_State *l)
{
    check_slice(l, 1);
    struct slice pattern = check_slice(l, 2);
    lua_settop(l, 2);
    lua_pushvalue(l, 1);
    push_search(l, pattern)->pattern.anchored = false;
    lua_pushcclosure(l, gmatch_next, 2);
    return 1;
}

static void add_template(lua_State *l, luaL_Buffer *b, const struct search *x, struct slice subject)
{
    struct slice with;
    with.p = lua_tolstring(l, 3, &with.len);
    for (size_t i = 0; i < with.len; i++) {
        if (with.p[i] != '%' || ++i >= with.len) {
            luaL_addchar(b, with.p[i < with.len ? i : with.len - 1]);
            continue;
        }
        int n = with.p[i] - '1';
        if (with.p[i] == '0') {
            luaL_addlstring(b, subject.p + x->m.start, x->m.end - x->m.start);
        } else if (n >= 0 && n <= 8) {
            if (n >= x->pattern.captures && n > 0)
                luaL_error(l, "invalid capture index");
            push_capture(l, x, subject, n);
            luaL_addvalue(b);
        } else {
            luaL_addchar(b, with.p[i]);
        }
    }
}

/* The replacement of one match, as gsub's third argument says. */
static void add_replacement(lua_State *l, luaL_Buffer *b, const struct search *x, struct slice subject)
{
    int type = lua_type(l, 3);
    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        add_template(l, b, x, subject);
        return;
    }
    if (type == LUA_TFUNCTION) {
        lua_pushvalue(l, 3);
        lua_call(l, push_captures(l, x, subject, true), 1);
    } else {
        push_capture(l, x, subject, 0);
        lua_gettable(l, 3);
    }
    if (!lua_toboolean(l, -1)) {
        lua_pop(l, 1);
        lua_pushlstring(l, subject.p + x->m.start, x->m.end - x->m.start);
    } else if (!lua_isstring(l, -1)) {
        luaL_error(l, "invalid replacement value (a %s)", luaL_typename(l, -1));
    }
    luaL_addvalue(b);
}

static int str_gsub(lua_State *l)
{
    struct slice s = check_slice(l, 1), pattern = check_slice(l, 2);
    int type = lua_type(l, 3);
    luaL_argcheck(l, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
                  "string/function/table expected");
    if (type == LUA_TNUMBER)
        lua_tostring(l, 3);
    lua_Integer most = luaL_optinteger(l, 4, (lua_Integer)s.len + 1), n = 0;
    lua_settop(l, 4);
    struct search *x = push_search(l, pattern);
    struct pattern_ticker t = {tick, run_of(l)};
    luaL_Buffer b;
    luaL_buffinit(l, &b);
    size_t at = 0;
    while (n < most) {
        int r = pattern_match_at(&x->pattern, s, at, &t, &x->m);
        if (r < 0 || !run_may_go_on(run_of(l)))
            run_raise_stop(l);
        if (r) {
            n++;
            add_replacement(l, &b, x, s);
        }
        if (r && x->m.end > at)
            at = x->m.end;
        else if (at < s.len)
            luaL_addchar(&b, s.p[at++]);
        else
            break;
        if (x->pattern.anchored)
            break;
    }
    luaL_addlstring(&b, s.p + at, s.len - at);
    luaL_pushresult(&b);
    lua_pushinteger(l, n);
    return 2;
}

/* Lua's own works for n rounds even on an empty string; this one refuses up front what memory cannot hold. */
static int str_rep(lua_State *l)
{
    struct slice s = check_slice(l, 1);
    lua_Integer n = luaL_checkinteger(l, 2);
    struct run *r = run_of(l);
    if (n <= 0 || s.len == 0) {
        lua_pushliteral(l, "");
        return 1;
    }
    if ((size_t)n > r->limits.memory / s.len)
        return luaL_error(l, "string.rep: the result is larger than the script's memory");
    size_t total = s.len * (size_t)n;
    char *to = lua_newuserdata(l, total);
    for (size_t i = 0; i < (size_t)n; i++)
        memcpy(to + i * s.len, s.p, s.len);
    lua_pushlstring(l, to, total);
    return 1;
}

void strlib_open(lua_State *l)
{
    static const luaL_Reg bounded[] = {{"find", str_find}, {"match", str_match}, {"gmatch", str_gmatch},
                                       {"gsub", str_gsub}, {"rep", str_rep},     {NULL, NULL}};
    luaL_register(l, LUA_STRLIBNAME, bounded);
    lua_pop(l, 1);
}
