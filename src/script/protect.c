/* Stand-ins, see protect.h. The metatable of a stand-in:
 *
 *   __index      the real table
 *   __newindex   the refusal
 *   [MARK]       true: this is how a stand-in is known
 *   [PRETEND]    what getmetatable answers; nothing: nil
 *
 * The metatable itself is never handed to a script. */
#include "script/protect.h"

#include <lua5.1/lauxlib.h>
#include <lua5.1/lualib.h>
#include <stdbool.h>

static const char MARK, PRETEND;

static int refuse(lua_State *l)
{
    return luaL_error(l, "Attempt to modify a readonly table");
}

/* True, with the metatable pushed, when the value at i is a stand-in. */
static bool push_if_stand_in(lua_State *l, int i)
{
    if (lua_type(l, i) != LUA_TTABLE || !lua_getmetatable(l, i))
        return false;
    lua_pushlightuserdata(l, (void *)&MARK);
    lua_rawget(l, -2);
    bool is = lua_toboolean(l, -1);
    lua_pop(l, is ? 1 : 2);
    return is;
}

/* A stand-in at i is exchanged for the table it stands for. For functions that only read. */
static void see_through(lua_State *l, int i)
{
    if (push_if_stand_in(l, i)) {
        lua_pushliteral(l, "__index");
        lua_rawget(l, -2);
        lua_replace(l, i);
        lua_pop(l, 1);
    }
}

static void refuse_stand_in(lua_State *l, int i)
{
    if (push_if_stand_in(l, i))
        refuse(l);
}

void protect_table(lua_State *l)
{
    lua_newtable(l);
    lua_createtable(l, 0, 3);
    lua_pushvalue(l, -3);
    lua_setfield(l, -2, "__index");
    lua_pushcfunction(l, refuse);
    lua_setfield(l, -2, "__newindex");
    lua_pushlightuserdata(l, (void *)&MARK);
    lua_pushboolean(l, true);
    lua_rawset(l, -3);
    lua_setmetatable(l, -2);
    lua_remove(l, -2);
}

void protect_redirect(lua_State *l)
{
    lua_getmetatable(l, -1);
    lua_pushvalue(l, -3);
    lua_setfield(l, -2, "__index");
    lua_pop(l, 3);
}

void protect_pretend(lua_State *l)
{
    lua_getmetatable(l, -1);
    lua_pushlightuserdata(l, (void *)&PRETEND);
    lua_pushvalue(l, -4);
    lua_rawset(l, -3);
    lua_pop(l, 3);
}

/* ---- base functions ---- */

static int base_getmetatable(lua_State *l)
{
    luaL_checkany(l, 1);
    if (push_if_stand_in(l, 1)) {
        lua_pushlightuserdata(l, (void *)&PRETEND);
        lua_rawget(l, -2);
        return 1;
    }
    if (!lua_getmetatable(l, 1)) {
        lua_pushnil(l);
        return 1;
    }
    luaL_getmetafield(l, 1, "__metatable");
    return 1; /* the field, or the metatable below it */
}

static int base_setmetatable(lua_State *l)
{
    int t = lua_type(l, 2);
    luaL_checktype(l, 1, LUA_TTABLE);
    luaL_argcheck(l, t == LUA_TNIL || t == LUA_TTABLE, 2, "nil or table expected");
    refuse_stand_in(l, 1);
    if (luaL_getmetafield(l, 1, "__metatable"))
        luaL_error(l, "cannot change a protected metatable");
    see_through(l, 2); /* a stand-in would be a metatable without fields */
    lua_settop(l, 2);
    lua_setmetatable(l, 1);
    return 1;
}

static int base_rawget(lua_State *l)
{
    luaL_checktype(l, 1, LUA_TTABLE);
    luaL_checkany(l, 2);
    lua_settop(l, 2);
    see_through(l, 1);
    lua_rawget(l, 1);
    return 1;
}

static int base_rawset(lua_State *l)
{
    luaL_checktype(l, 1, LUA_TTABLE);
    luaL_checkany(l, 2);
    luaL_checkany(l, 3);
    lua_settop(l, 3);
    refuse_stand_in(l, 1);
    lua_rawset(l, 1);
    return 1;
}

static int base_next(lua_State *l)
{
    luaL_checktype(l, 1, LUA_TTABLE);
    lua_settop(l, 2);
    see_through(l, 1);
    if (lua_next(l, 1))
        return 2;
    lua_pushnil(l);
    return 1;
}

static int base_pairs(lua_State *l)
{
    luaL_checktype(l, 1, LUA_TTABLE);
    bool stand_in = push_if_stand_in(l, 1);
    lua_pushvalue(l, lua_upvalueindex(stand_in ? 1 : 2)); /* Lua's own next is the faster one */
    lua_pushvalue(l, 1);
    lua_pushnil(l);
    return 3;
}

/* ---- the table library: Lua's own functions, not for stand-ins ---- */

#define WRITERS 4
static const char *const writers[WRITERS] = {"insert", "remove", "sort", "setn"};

/* Lua's own function is the first upvalue; it has none of its own and takes the same arguments. */
static int table_write(lua_State *l)
{
    refuse_stand_in(l, 1);
    lua_CFunction plain = lua_tocfunction(l, lua_upvalueindex(1));
    return plain(l);
}

static int table_foreach(lua_State *l)
{
    luaL_checktype(l, 1, LUA_TTABLE);
    see_through(l, 1);
    lua_CFunction plain = lua_tocfunction(l, lua_upvalueindex(1));
    return plain(l);
}

static void wrap(lua_State *l, int table, const char *name, lua_CFunction with)
{
    lua_getfield(l, table, name);
    if (lua_iscfunction(l, -1)) {
        lua_pushcclosure(l, with, 1);
        lua_setfield(l, table, name);
    } else {
        lua_pop(l, 1);
    }
}

void protect_open(lua_State *l)
{
    static const luaL_Reg base[] = {{"getmetatable", base_getmetatable}, {"setmetatable", base_setmetatable},
                                    {"rawget", base_rawget},             {"rawset", base_rawset},
                                    {NULL, NULL}};
    for (const luaL_Reg *f = base; f->name; f++)
        lua_register(l, f->name, f->func);
    lua_pushcfunction(l, base_next);
    lua_getglobal(l, "next");
    lua_pushcclosure(l, base_pairs, 2);
    lua_setglobal(l, "pairs");
    lua_register(l, "next", base_next);
    lua_getglobal(l, LUA_TABLIBNAME);
    int table = lua_gettop(l);
    for (int i = 0; i < WRITERS; i++)
        wrap(l, table, writers[i], table_write);
    wrap(l, table, "foreach", table_foreach);
    lua_pop(l, 1);
}
