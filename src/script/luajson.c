/* JSON and Lua values, both ways, and the table `json` that scripts get.
 *
 * null is json.null (a light userdata), so that a key with null is not lost; an array remembers that it is one by its
 * metatable, so that [] does not come back as {}. A table without that mark is an array when its keys are exactly 1..n,
 * n > 0. What would surprise: reading counts nodes and bytes, because thirty tables that each hold the next one twice
 * are a billion values when written out. */
#include <math.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "script/state.h"

#define ARRAY_MARK "json.array"
#define MAX_DEPTH  64
#define DECODE_MAX (1u << 20)

void luajson_push(lua_State *l, const cJSON *v)
{
    luaL_checkstack(l, 4, "JSON is nested too deep");
    if (cJSON_IsString(v)) {
        lua_pushstring(l, v->valuestring);
    } else if (cJSON_IsNumber(v)) {
        lua_pushnumber(l, v->valuedouble);
    } else if (cJSON_IsBool(v)) {
        lua_pushboolean(l, cJSON_IsTrue(v));
    } else if (cJSON_IsArray(v)) {
        lua_newtable(l);
        int i = 0;
        for (const cJSON *e = v->child; e; e = e->next) {
            luajson_push(l, e);
            lua_rawseti(l, -2, ++i);
        }
        luaL_getmetatable(l, ARRAY_MARK);
        lua_setmetatable(l, -2);
    } else if (cJSON_IsObject(v)) {
        lua_newtable(l);
        for (const cJSON *e = v->child; e; e = e->next) {
            lua_pushstring(l, e->string);
            luajson_push(l, e);
            lua_rawset(l, -3);
        }
    } else {
        lua_pushlightuserdata(l, NULL);
    }
}

struct reading {
    struct run *run;
    cJSON **root;
    size_t bytes;
};

static void count(lua_State *l, struct reading *x, size_t bytes)
{
    x->bytes += bytes;
    if (x->bytes > x->run->limits.output)
        luaL_error(l, "the result is larger than %d bytes of JSON", (int)x->run->limits.output);
    if (!run_may_go_on(x->run))
        run_raise_stop(l);
}

/* Hangs v where it belongs at once: from then on the root frees it. key NULL: an array's element, or the root. */
static void hang(struct reading *x, cJSON *parent, const char *key, cJSON *v)
{
    if (!parent)
        *x->root = v;
    else if (key)
        cJSON_AddItemToObject(parent, key, v);
    else
        cJSON_AddItemToArray(parent, v);
}

static struct slice read_text(lua_State *l, int i, const char *what)
{
    struct slice s;
    s.p = lua_tolstring(l, i, &s.len);
    if (!utf8_valid(s) || memchr(s.p, 0, s.len))
        luaL_error(l, "the result holds a %s that is not UTF-8 text", what);
    return s;
}

static bool has_mark(lua_State *l)
{
    if (!lua_getmetatable(l, -1))
        return false;
    luaL_getmetatable(l, ARRAY_MARK);
    bool same = lua_rawequal(l, -1, -2);
    lua_pop(l, 2);
    return same;
}

/* Are the keys of the table on top exactly 1..n? */
static bool is_sequence(lua_State *l, size_t *n)
{
    size_t keys = 0;
    *n = lua_objlen(l, -1);
    for (lua_pushnil(l); lua_next(l, -2); lua_pop(l, 1)) {
        lua_Number k = lua_type(l, -2) == LUA_TNUMBER ? lua_tonumber(l, -2) : 0;
        if (k < 1 || k != floor(k) || k > (lua_Number)*n) {
            lua_pop(l, 2);
            return false;
        }
        keys++;
    }
    return keys == *n;
}

static void read_value(lua_State *l, struct reading *x, cJSON *parent, const char *key, int depth);

static void read_table(lua_State *l, struct reading *x, cJSON *parent, const char *key, int depth)
{
    size_t n;
    bool marked = has_mark(l), sequence = is_sequence(l, &n);
    if (marked && !sequence)
        luaL_error(l, "the result holds a JSON array with other keys than 1 to its length");
    bool array = sequence && (n > 0 || marked);
    cJSON *v = array ? cJSON_CreateArray() : cJSON_CreateObject();
    hang(x, parent, key, v);
    if (array) {
        for (size_t i = 1; i <= n; i++) {
            lua_rawgeti(l, -1, (int)i);
            read_value(l, x, v, NULL, depth + 1);
            lua_pop(l, 1);
        }
        return;
    }
    for (lua_pushnil(l); lua_next(l, -2); lua_pop(l, 1)) {
        int type = lua_type(l, -2);
        if (type != LUA_TSTRING && type != LUA_TNUMBER)
            luaL_error(l, "the result holds a table with a %s as key", lua_typename(l, type));
        lua_pushvalue(l, -2); /* a copy: lua_tolstring would change the key under lua_next */
        struct slice name = read_text(l, -1, "key");
        count(l, x, name.len + 4);
        lua_insert(l, -2);
        read_value(l, x, v, name.p, depth + 1);
        lua_remove(l, -2);
    }
}

static void read_value(lua_State *l, struct reading *x, cJSON *parent, const char *key, int depth)
{
    if (depth > MAX_DEPTH)
        luaL_error(l, "the result is nested deeper than %d tables", MAX_DEPTH);
    luaL_checkstack(l, 8, "the result is nested too deep");
    count(l, x, 4);
    int type = lua_type(l, -1);
    if (type == LUA_TNIL || (type == LUA_TLIGHTUSERDATA && !lua_touserdata(l, -1))) {
        hang(x, parent, key, cJSON_CreateNull());
    } else if (type == LUA_TBOOLEAN) {
        hang(x, parent, key, cJSON_CreateBool(lua_toboolean(l, -1)));
    } else if (type == LUA_TNUMBER) {
        if (!isfinite(lua_tonumber(l, -1)))
            luaL_error(l, "the result holds a number that JSON cannot (infinity or not a number)");
        hang(x, parent, key, cJSON_CreateNumber(lua_tonumber(l, -1)));
    } else if (type == LUA_TSTRING) {
        struct slice s = read_text(l, -1, "string");
        count(l, x, s.len);
        hang(x, parent, key, cJSON_CreateString(s.p));
    } else if (type == LUA_TTABLE) {
        read_table(l, x, parent, key, depth);
    } else {
        luaL_error(l, "the result holds a %s", lua_typename(l, type));
    }
}

void luajson_read(lua_State *l, cJSON **root)
{
    struct reading x = {.run = run_of(l), .root = root};
    cJSON_Delete(*root);
    *root = NULL;
    read_value(l, &x, NULL, NULL, 0);
}

static int json_encode(lua_State *l)
{
    struct run *r = run_of(l);
    lua_settop(l, 1);
    luajson_read(l, &r->scratch);
    /* The run holds the text: Lua may jump out of here when it has no memory left for a copy. */
    cJSON_free(r->text);
    r->text = cJSON_PrintUnformatted(r->scratch);
    lua_pushstring(l, r->text ? r->text : "");
    return 1;
}

static int json_decode(lua_State *l)
{
    struct run *r = run_of(l);
    struct slice text;
    struct err err;
    text.p = luaL_checklstring(l, 1, &text.len);
    cJSON_Delete(r->scratch);
    r->scratch = json_parse(text, DECODE_MAX, "json.decode", &err);
    if (!r->scratch)
        return luaL_error(l, "%s", err.msg);
    luajson_push(l, r->scratch);
    return 1;
}

static int json_array(lua_State *l)
{
    lua_settop(l, 1);
    if (lua_isnoneornil(l, 1)) {
        lua_settop(l, 0);
        lua_newtable(l);
    }
    luaL_checktype(l, 1, LUA_TTABLE);
    luaL_getmetatable(l, ARRAY_MARK);
    lua_setmetatable(l, 1);
    return 1;
}

void luajson_open(lua_State *l)
{
    static const luaL_Reg functions[] = {
        {"encode", json_encode}, {"decode", json_decode}, {"array", json_array}, {NULL, NULL}};
    luaL_newmetatable(l, ARRAY_MARK);
    luaL_register(l, "json", functions);
    lua_pushlightuserdata(l, NULL);
    lua_setfield(l, -2, "null");
    lua_pop(l, 2);
}
