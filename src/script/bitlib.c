/* The table `bit`: operations on 32 bits, as Lua BitOp has them. Numbers are rounded to the nearest integer and taken
 * modulo 2^32; results are signed. */
#include "script/engine_state.h"

static uint32_t arg(lua_State *l, int i)
{
    /* Adding 1.5 * 2^52 leaves the low bits of the rounded number at the end of the mantissa. */
    double v = luaL_checknumber(l, i) + 6755399441055744.0;
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return (uint32_t)bits;
}

static int push(lua_State *l, uint32_t v)
{
    lua_pushnumber(l, (lua_Number)(int32_t)v);
    return 1;
}

static int bit_tobit(lua_State *l)
{
    return push(l, arg(l, 1));
}

static int bit_bnot(lua_State *l)
{
    return push(l, ~arg(l, 1));
}

static int bit_bswap(lua_State *l)
{
    return push(l, __builtin_bswap32(arg(l, 1)));
}

static int bit_band(lua_State *l)
{
    uint32_t v = arg(l, 1);
    for (int i = lua_gettop(l); i > 1; i--)
        v &= arg(l, i);
    return push(l, v);
}

static int bit_bor(lua_State *l)
{
    uint32_t v = arg(l, 1);
    for (int i = lua_gettop(l); i > 1; i--)
        v |= arg(l, i);
    return push(l, v);
}

static int bit_bxor(lua_State *l)
{
    uint32_t v = arg(l, 1);
    for (int i = lua_gettop(l); i > 1; i--)
        v ^= arg(l, i);
    return push(l, v);
}

static int bit_lshift(lua_State *l)
{
    uint32_t v = arg(l, 1), n = arg(l, 2) & 31;
    return push(l, v << n);
}

static int bit_rshift(lua_State *l)
{
    uint32_t v = arg(l, 1), n = arg(l, 2) & 31;
    return push(l, v >> n);
}

static int bit_arshift(lua_State *l)
{
    uint32_t v = arg(l, 1), n = arg(l, 2) & 31;
    return push(l, (uint32_t)((int32_t)v >> n));
}

static int bit_rol(lua_State *l)
{
    uint32_t v = arg(l, 1), n = arg(l, 2) & 31;
    return push(l, v << n | v >> (-n & 31));
}

static int bit_ror(lua_State *l)
{
    uint32_t v = arg(l, 1), n = arg(l, 2) & 31;
    return push(l, v >> n | v << (-n & 31));
}

static int bit_tohex(lua_State *l)
{
    uint32_t v = arg(l, 1);
    int32_t n = lua_isnone(l, 2) ? 8 : (int32_t)arg(l, 2);
    const char *digits = n < 0 ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[8];
    int len = n > 8 || n < -8 ? 8 : n < 0 ? -n : n;
    for (int i = len; i > 0; v >>= 4)
        text[--i] = digits[v & 15];
    lua_pushlstring(l, text, (size_t)len);
    return 1;
}

int luaopen_bitlib(lua_State *l)
{
    static const luaL_Reg functions[] = {
        {"tobit", bit_tobit},     {"bnot", bit_bnot},     {"bswap", bit_bswap},     {"band", bit_band},
        {"bor", bit_bor},         {"bxor", bit_bxor},     {"lshift", bit_lshift},   {"rshift", bit_rshift},
        {"arshift", bit_arshift}, {"rol", bit_rol},       {"ror", bit_ror},         {"tohex", bit_tohex},
        {NULL, NULL},
    };
    luaL_register(l, "bit", functions);
    return 1;
}
