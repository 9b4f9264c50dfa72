/* The table `struct`: pack, unpack and size of binary records, in the format language of Roberto Ierusalimschy's library
 * as Redis has it:
 *
 *   > < !n        byte order, alignment (a power of two; without n the machine's)
 *   b B h H l L T iN IN   integers; lower case is signed; N bytes, 4 without N, at most 32
 *   f d           float, double
 *   s             bytes up to a zero byte
 *   cN            N bytes; c0: as many as the number unpacked before says, the whole string when packing
 *   x             one byte of padding
 *
 * Formats and data are hostile: every size is checked before a byte is looked at. */
#include <ctype.h>
#include <limits.h>

#include "script/engine_state.h"

#define INT_BYTES 32
#define NATURAL_ALIGN 8

struct format {
    const char *at;
    bool big;
    size_t align;
    size_t done; /* bytes of the record so far */
};

struct item {
    char kind;   /* the letter; 0: nothing to move (a control) */
    size_t size; /* 0 for s, and for c0 */
    size_t pad;  /* bytes that come before it */
};

static int number(lua_State *l, struct format *f, int otherwise)
{
    if (!isdigit((unsigned char)*f->at))
        return otherwise;
    int64_t v = 0;
    for (; isdigit((unsigned char)*f->at); f->at++) {
        v = v * 10 + (*f->at - '0');
        if (v > INT_MAX)
            luaL_error(l, "integral size overflow");
    }
    return (int)v;
}

static void control(lua_State *l, struct format *f, char c)
{
    switch (c) {
    case ' ': return;
    case '>': f->big = true; return;
    case '<': f->big = false; return;
    case '!': {
        int n = number(l, f, NATURAL_ALIGN);
        if (n <= 0 || (n & (n - 1)))
            luaL_error(l, "alignment %d is not a power of 2", n);
        f->align = (size_t)n;
        return;
    }
    default: luaL_argerror(l, 1, lua_pushfstring(l, "invalid format option '%c'", c));
    }
}

/* The next letter of the format; false at its end. */
static bool next_item(lua_State *l, struct format *f, struct item *it)
{
    if (!*f->at)
        return false;
    *it = (struct item){.kind = *f->at++};
    switch (it->kind) {
    case 'b': case 'B': case 'x': it->size = 1; break;
    case 'h': case 'H': it->size = 2; break;
    case 'f': it->size = 4; break;
    case 'l': case 'L': case 'T': case 'd': it->size = 8; break;
    case 'c': it->size = (size_t)number(l, f, 1); return true; /* never aligned */
    case 's': return true;
    case 'i': case 'I': {
        int n = number(l, f, 4);
        if (n > INT_BYTES)
            luaL_error(l, "integral size %d is larger than limit of %d", n, INT_BYTES);
        it->size = (size_t)n;
        break;
    }
    default:
        control(l, f, it->kind);
        it->kind = 0;
        return true;
    }
    size_t to = it->size < f->align ? it->size : f->align;
    if (to > 0)
        it->pad = (to - (f->done & (to - 1))) & (to - 1);
    return true;
}

static bool is_integer(char kind)
{
    return strchr("bBhHlLTiI", kind) != NULL;
}

static void turn(char *p, size_t n, bool big)
{
    if (big) /* the machine is little-endian */
        for (size_t i = 0; i < n / 2; i++) {
            char c = p[i];
            p[i] = p[n - 1 - i];
            p[n - 1 - i] = c;
        }
}

/* ---- packing ---- */

/* What is out of range has no meaning; it gets one that is the same everywhere. */
static uint64_t to_bits(lua_Number v)
{
    if (!(v >= -9223372036854775808.0 && v < 18446744073709551616.0))
        return 1ull << 63;
    return v < 0 ? (uint64_t)(int64_t)v : (uint64_t)v;
}

static void pack_integer(lua_State *l, luaL_Buffer *b, int arg, const struct format *f, size_t size)
{
    char bytes[INT_BYTES] = {0};
    uint64_t v = to_bits(luaL_checknumber(l, arg));
    for (size_t i = 0; i < size && i < 8; i++)
        bytes[i] = (char)(v >> 8 * i);
    turn(bytes, size, f->big);
    luaL_addlstring(b, bytes, size);
}

static void pack_float(lua_State *l, luaL_Buffer *b, int arg, const struct format *f, size_t size)
{
    char bytes[8];
    double d = luaL_checknumber(l, arg);
    float s = (float)d;
    memcpy(bytes, size == 4 ? (void *)&s : (void *)&d, size);
    turn(bytes, size, f->big);
    luaL_addlstring(b, bytes, size);
}

static size_t pack_bytes(lua_State *l, luaL_Buffer *b, int arg, struct item it)
{
    size_t len;
    const char *p = luaL_checklstring(l, arg, &len);
    size_t n = it.size ? it.size : len;
    luaL_argcheck(l, len >= n, arg + 1, "string too short");
    luaL_addlstring(b, p, n);
    if (it.kind == 's')
        luaL_addchar(b, '\0');
    return n + (it.kind == 's');
}

static int struct_pack(lua_State *l)
{
    struct format f = {.at = luaL_checkstring(l, 1), .align = 1};
    struct item it;
    luaL_Buffer b;
    int arg = 2;
    lua_pushnil(l); /* an argument too many is a nil, not a piece of the buffer */
    luaL_buffinit(l, &b);
    while (next_item(l, &f, &it)) {
        for (size_t i = 0; i < it.pad; i++)
            luaL_addchar(&b, '\0');
        f.done += it.pad;
        if (it.kind == 0)
            continue;
        if (is_integer(it.kind))
            pack_integer(l, &b, arg++, &f, it.size);
        else if (it.kind == 'f' || it.kind == 'd')
            pack_float(l, &b, arg++, &f, it.size);
        else if (it.kind == 'x')
            luaL_addchar(&b, '\0');
        else
            it.size = pack_bytes(l, &b, arg++, it);
        f.done += it.size;
    }
    luaL_pushresult(&b);
    return 1;
}

/* ---- unpacking ---- */

static lua_Number read_integer(const char *p, const struct format *f, struct item it)
{
    uint64_t v = 0;
    for (size_t i = 0; i < it.size; i++)
        v = v << 8 | (uint8_t)p[f->big ? i : it.size - 1 - i];
    if (isupper((unsigned char)it.kind))
        return (lua_Number)v;
    if (it.size > 0 && it.size < 8) {
        unsigned unused = 64 - 8 * (unsigned)it.size;
        return (lua_Number)((int64_t)(v << unused) >> unused);
    }
    return (lua_Number)(int64_t)v;
}

static lua_Number read_float(const char *p, const struct format *f, size_t size)
{
    char bytes[8];
    float s;
    double d;
    memcpy(bytes, p, size);
    turn(bytes, size, f->big);
    if (size == 8) {
        memcpy(&d, bytes, 8);
        return d;
    }
    memcpy(&s, bytes, 4);
    return s;
}

static void need(lua_State *l, size_t at, size_t size, size_t len)
{
    luaL_argcheck(l, size <= len && at <= len - size, 2, "data string too short");
}

/* How many bytes c0 takes: the number before it, which it replaces. */
static size_t counted_size(lua_State *l, int results, size_t at, size_t len)
{
    if (results == 0 || !lua_isnumber(l, -1))
        luaL_error(l, "format 'c0' needs a previous size");
    lua_Number v = lua_tonumber(l, -1);
    lua_pop(l, 1);
    luaL_argcheck(l, v >= 0 && v <= (lua_Number)len, 2, "data string too short");
    need(l, at, (size_t)v, len);
    return (size_t)v;
}

static int struct_unpack(lua_State *l)
{
    struct format f = {.at = luaL_checkstring(l, 1), .align = 1};
    struct item it;
    size_t len;
    const char *data = luaL_checklstring(l, 2, &len);
    lua_Integer from = luaL_optinteger(l, 3, 1);
    int results = 0;
    luaL_argcheck(l, from >= 1, 3, "offset must be 1 or greater");
    for (f.done = (size_t)from - 1; next_item(l, &f, &it); f.done += it.size) {
        f.done += it.pad;
        need(l, f.done, it.size, len);
        luaL_checkstack(l, 2, "too many results");
        const char *p = data + f.done;
        if (it.kind == 0 || it.kind == 'x')
            continue;
        if (is_integer(it.kind)) {
            lua_pushnumber(l, read_integer(p, &f, it));
        } else if (it.kind == 'f' || it.kind == 'd') {
            lua_pushnumber(l, read_float(p, &f, it.size));
        } else if (it.kind == 'c') {
            if (it.size == 0) {
                it.size = counted_size(l, results, f.done, len);
                results--;
            }
            lua_pushlstring(l, p, it.size);
        } else {
            const char *zero = memchr(p, 0, len - f.done);
            if (!zero)
                luaL_error(l, "unfinished string in data");
            it.size = (size_t)(zero - p) + 1;
            lua_pushlstring(l, p, it.size - 1);
        }
        results++;
    }
    lua_pushnumber(l, (lua_Number)f.done + 1);
    return results + 1;
}

static int struct_size(lua_State *l)
{
    struct format f = {.at = luaL_checkstring(l, 1), .align = 1};
    struct item it;
    while (next_item(l, &f, &it)) {
        if (it.kind == 's')
            return luaL_argerror(l, 1, "option 's' has no fixed size");
        if (it.kind == 'c' && it.size == 0)
            return luaL_argerror(l, 1, "option 'c0' has no fixed size");
        f.done += it.pad + it.size;
    }
    lua_pushnumber(l, (lua_Number)f.done);
    return 1;
}

int luaopen_structlib(lua_State *l)
{
    static const luaL_Reg functions[] = {
        {"pack", struct_pack}, {"unpack", struct_unpack}, {"size", struct_size}, {NULL, NULL}};
    luaL_register(l, "struct", functions);
    return 1;
}
