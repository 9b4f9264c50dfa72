/* The table `cmsgpack`: Lua values to MessagePack and back, with the choices of Redis's library: whole numbers become
 * integers, other numbers the shorter of float and double that keeps them; a table is an array when its keys are exactly
 * 1..n (the empty table too), else a map; below DEPTH levels there is only nil; what has no form (functions) is nil. No bin
 * and no ext types. */
#include <math.h>

#include "script/engine_state.h"

#define DEPTH 16

/* ---- packing ---- */

static void put(struct buf *b, uint8_t type, uint64_t v, int bytes)
{
    char text[9] = {(char)type};
    for (int i = 0; i < bytes; i++)
        text[bytes - i] = (char)(v >> 8 * i);
    buf_add(b, text, (size_t)bytes + 1);
}

static void put_integer(struct buf *b, int64_t v)
{
    if (v >= -32 && v <= 127)
        buf_add_char(b, (char)v);
    else if (v >= 0)
        v <= UINT8_MAX    ? put(b, 0xcc, (uint64_t)v, 1)
        : v <= UINT16_MAX ? put(b, 0xcd, (uint64_t)v, 2)
        : v <= UINT32_MAX ? put(b, 0xce, (uint64_t)v, 4)
                          : put(b, 0xcf, (uint64_t)v, 8);
    else
        v >= INT8_MIN    ? put(b, 0xd0, (uint64_t)v, 1)
        : v >= INT16_MIN ? put(b, 0xd1, (uint64_t)v, 2)
        : v >= INT32_MIN ? put(b, 0xd2, (uint64_t)v, 4)
                         : put(b, 0xd3, (uint64_t)v, 8);
}

static void put_number(struct buf *b, lua_Number v)
{
    if (v >= -9223372036854775808.0 && v < 9223372036854775808.0 && (lua_Number)(int64_t)v == v) {
        put_integer(b, (int64_t)v);
        return;
    }
    float f = (float)v;
    uint32_t b32;
    uint64_t b64;
    memcpy(&b32, &f, 4);
    memcpy(&b64, &v, 8);
    if ((double)f == v)
        put(b, 0xca, b32, 4);
    else
        put(b, 0xcb, b64, 8);
}

/* A head with a count: `fix` with the count in it when it is below `limit`, else the first of types that is wide enough. */
static void put_count(struct buf *b, uint8_t fix, size_t limit, const uint8_t types[3], size_t n)
{
    if (n < limit)
        buf_add_char(b, (char)(fix | n));
    else if (n <= UINT8_MAX && types[0])
        put(b, types[0], n, 1);
    else if (n <= UINT16_MAX)
        put(b, types[1], n, 2);
    else
        put(b, types[2], n, 4);
}

/* The number of entries, and whether the table on top is an array. */
static size_t count(lua_State *l, bool *array)
{
    size_t n = 0;
    lua_Number max = 0;
    *array = true;
    for (lua_pushnil(l); lua_next(l, -2); n++) {
        lua_pop(l, 1);
        lua_Number k = lua_type(l, -1) == LUA_TNUMBER ? lua_tonumber(l, -1) : 0;
        if (k < 1 || k != floor(k))
            *array = false;
        else if (k > max)
            max = k;
    }
    *array = *array && max == (lua_Number)n;
    return n;
}

static void pack_value(lua_State *l, struct buf *b, int level);

static void pack_table(lua_State *l, struct buf *b, int level)
{
    static const uint8_t arrays[3] = {0, 0xdc, 0xdd}, maps[3] = {0, 0xde, 0xdf};
    bool array;
    size_t n = count(l, &array);
    put_count(b, array ? 0x90 : 0x80, 16, array ? arrays : maps, n);
    if (array) {
        for (size_t i = 1; i <= n; i++) {
            lua_rawgeti(l, -1, (int)i);
            pack_value(l, b, level + 1);
        }
        return;
    }
    for (lua_pushnil(l); lua_next(l, -2);) {
        lua_pushvalue(l, -2);
        pack_value(l, b, level + 1);
        pack_value(l, b, level + 1);
    }
}

/* Packs the value on top and pops it. */
static void pack_value(lua_State *l, struct buf *b, int level)
{
    static const uint8_t strings[3] = {0xd9, 0xda, 0xdb};
    size_t len;
    const char *p;
    luaL_checkstack(l, 5, "in function cmsgpack.pack");
    switch (lua_type(l, -1)) {
    case LUA_TSTRING:
        p = lua_tolstring(l, -1, &len);
        put_count(b, 0xa0, 32, strings, len);
        buf_add(b, p, len);
        break;
    case LUA_TBOOLEAN: buf_add_char(b, lua_toboolean(l, -1) ? (char)0xc3 : (char)0xc2); break;
    case LUA_TNUMBER: put_number(b, lua_tonumber(l, -1)); break;
    case LUA_TTABLE:
        if (level < DEPTH) {
            pack_table(l, b, level);
            break;
        } /* fallthrough */
    default: buf_add_char(b, (char)0xc0);
    }
    if (b->full)
        luaL_error(l, "the result is too long");
    lua_pop(l, 1);
}

static int pack(lua_State *l)
{
    struct buf *b = engine_text(l);
    int argc = lua_gettop(l);
    if (argc == 0)
        return luaL_argerror(l, 0, "MessagePack pack needs input.");
    for (int i = 1; i <= argc; i++) {
        luaL_checkstack(l, 1, "in function cmsgpack.pack");
        lua_pushvalue(l, i);
        pack_value(l, b, 0);
    }
    lua_pushlstring(l, b->p, b->len);
    return 1;
}

/* ---- unpacking ---- */

struct in {
    const uint8_t *p, *end;
};

static uint64_t take(lua_State *l, struct in *in, size_t bytes)
{
    uint64_t v = 0;
    if ((size_t)(in->end - in->p) < bytes)
        luaL_error(l, "Missing bytes in input.");
    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | *in->p++;
    return v;
}

static void take_string(lua_State *l, struct in *in, uint64_t n)
{
    if ((uint64_t)(in->end - in->p) < n)
        luaL_error(l, "Missing bytes in input.");
    lua_pushlstring(l, (const char *)in->p, n);
    in->p += n;
}

static void unpack_value(lua_State *l, struct in *in);

/* The table grows with what really comes, not with what was announced. */
static void take_array(lua_State *l, struct in *in, uint64_t n)
{
    lua_newtable(l);
    for (uint64_t i = 1; i <= n; i++) {
        unpack_value(l, in);
        lua_rawseti(l, -2, (int)i);
    }
}

static void take_map(lua_State *l, struct in *in, uint64_t n)
{
    lua_newtable(l);
    for (uint64_t i = 0; i < n; i++) {
        unpack_value(l, in);
        unpack_value(l, in);
        lua_rawset(l, -3);
    }
}

static void take_float(lua_State *l, struct in *in, size_t bytes)
{
    uint64_t bits = take(l, in, bytes);
    uint32_t low = (uint32_t)bits;
    float f;
    double d;
    memcpy(&f, &low, 4);
    memcpy(&d, &bits, 8);
    lua_pushnumber(l, bytes == 4 ? (lua_Number)f : d);
}

static void take_signed(lua_State *l, struct in *in, size_t bytes)
{
    int unused = 64 - 8 * (int)bytes;
    lua_pushnumber(l, (lua_Number)((int64_t)(take(l, in, bytes) << unused) >> unused));
}

static void unpack_value(lua_State *l, struct in *in)
{
    luaL_checkstack(l, 4, "in function cmsgpack.unpack");
    uint8_t b = (uint8_t)take(l, in, 1);
    switch (b) {
    case 0xc0: lua_pushnil(l); return;
    case 0xc2: case 0xc3: lua_pushboolean(l, b & 1); return;
    case 0xca: take_float(l, in, 4); return;
    case 0xcb: take_float(l, in, 8); return;
    case 0xcc: case 0xcd: case 0xce: case 0xcf:
        lua_pushnumber(l, (lua_Number)take(l, in, (size_t)1 << (b - 0xcc)));
        return;
    case 0xd0: case 0xd1: case 0xd2: case 0xd3: take_signed(l, in, (size_t)1 << (b - 0xd0)); return;
    case 0xd9: case 0xda: case 0xdb: take_string(l, in, take(l, in, (size_t)1 << (b - 0xd9))); return;
    case 0xdc: case 0xdd: take_array(l, in, take(l, in, b == 0xdc ? 2 : 4)); return;
    case 0xde: case 0xdf: take_map(l, in, take(l, in, b == 0xde ? 2 : 4)); return;
    default: break;
    }
    if (b < 0x80 || b >= 0xe0)
        lua_pushnumber(l, (lua_Number)(int8_t)b);
    else if (b < 0x90)
        take_map(l, in, b & 15);
    else if (b < 0xa0)
        take_array(l, in, b & 15);
    else if (b < 0xc0)
        take_string(l, in, b & 31);
    else
        luaL_error(l, "Bad data format in input.");
}

/* Up to `limit` values from `offset` on; all of them when both are 0, otherwise with the next offset before them. */
static int unpack_some(lua_State *l, lua_Integer limit, lua_Integer offset)
{
    size_t len;
    const char *p = luaL_checklstring(l, 1, &len);
    bool all = limit == 0 && offset == 0;
    if (offset < 0 || limit < 0)
        return luaL_error(l, "Invalid request to unpack with offset of %d and limit of %d.", (int)offset, (int)len);
    if ((size_t)offset > len)
        return luaL_error(l, "Start offset %d greater than input length %d.", (int)offset, (int)len);
    lua_settop(l, 1);
    struct in in = {(const uint8_t *)p + offset, (const uint8_t *)p + len};
    int n = 0;
    for (; in.p < in.end && (all || n < limit); n++)
        unpack_value(l, &in);
    if (all)
        return n;
    luaL_checkstack(l, 1, "in function cmsgpack.unpack");
    lua_pushinteger(l, in.p == in.end ? -1 : (lua_Integer)((const char *)in.p - p));
    lua_insert(l, 2);
    return n + 1;
}

static int unpack(lua_State *l)
{
    return unpack_some(l, 0, 0);
}

static int unpack_one(lua_State *l)
{
    return unpack_some(l, 1, luaL_optinteger(l, 2, 0));
}

static int unpack_limit(lua_State *l)
{
    return unpack_some(l, luaL_checkinteger(l, 2), luaL_optinteger(l, 3, 0));
}

int luaopen_cmsgpacklib(lua_State *l)
{
    static const luaL_Reg functions[] = {{"pack", pack},
                                         {"unpack", unpack},
                                         {"unpack_one", unpack_one},
                                         {"unpack_limit", unpack_limit},
                                         {NULL, NULL}};
    luaL_register(l, "cmsgpack", functions);
    lua_pushliteral(l, "cmsgpack");
    lua_setfield(l, -2, "_NAME");
    lua_pushliteral(l, "lua-cmsgpack 0.4.0");
    lua_setfield(l, -2, "_VERSION");
    lua_pushliteral(l, "Copyright (C) 2012, Salvatore Sanfilippo");
    lua_setfield(l, -2, "_COPYRIGHT");
    lua_pushliteral(l, "MessagePack C implementation for Lua");
    lua_setfield(l, -2, "_DESCRIPTION");
    return 1;
}
