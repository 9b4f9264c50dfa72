/* math.random and math.randomseed for engines: the generator is the engine's own and the one that Redis has (drand48's
 * linear congruence), so a script that seeds it gets the numbers that it would get there. */
#include <math.h>
#include <stdlib.h>

#include "script/engine_state.h"

static int math_random(lua_State *l)
{
    long max = INT32_MAX, x = nrand48(engine_of(l)->rand48) % max;
    lua_Number r = (lua_Number)x / (lua_Number)max;
    int argc = lua_gettop(l);
    if (argc == 0) {
        lua_pushnumber(l, r);
        return 1;
    }
    if (argc > 2)
        return luaL_error(l, "wrong number of arguments");
    lua_Integer low = argc == 2 ? luaL_checkint(l, 1) : 1, high = luaL_checkint(l, argc);
    luaL_argcheck(l, low <= high, argc, "interval is empty");
    lua_pushnumber(l, floor(r * (lua_Number)(high - low + 1)) + (lua_Number)low);
    return 1;
}

static int math_randomseed(lua_State *l)
{
    uint32_t seed = (uint32_t)luaL_checkint(l, 1);
    unsigned short *x = engine_of(l)->rand48;
    x[0] = 0x330e;
    x[1] = (unsigned short)seed;
    x[2] = (unsigned short)(seed >> 16);
    return 0;
}

void mathlib_open(lua_State *l)
{
    static const luaL_Reg own[] = {{"random", math_random}, {"randomseed", math_randomseed}, {NULL, NULL}};
    luaL_register(l, LUA_MATHLIBNAME, own);
    lua_pop(l, 1);
}
