/* The Lua state of one run: its allocator, its hook, what is taken out of the libraries.
 *
 * What would surprise: a limit that was hit makes the hook fire at every further instruction, so a script that catches
 * the error with pcall gets it again at once, up to the last frame. The allocator refuses to grow from then on, which
 * ends the few C functions that work long without running instructions. Coroutines are left out because each has its
 * own instruction counter: a chain of short-lived ones would never meet the hook. */
#include "script/sandbox.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "script/state.h"

#define HOOK_EVERY 100        /* instructions between two looks at the clock */
#define ALLOC_LOOK (64 << 10) /* an allocation of this size looks at the clock too */

bool run_may_go_on(struct run *r)
{
    if (r->stop)
        return false;
    if (r->look)
        return r->look(r);
    if (r->limits.cancelled && atomic_load_explicit(r->limits.cancelled, memory_order_relaxed))
        r->stop = RUN_CANCELLED;
    else if (clock_mono_us() >= r->deadline_us)
        r->stop = RUN_TIME;
    return !r->stop;
}

int run_raise_stop(lua_State *l)
{
    if (run_of(l)->stopped)
        run_of(l)->stopped(l);
    return luaL_error(l, "stopped");
}

static void *allocate(void *ud, void *p, size_t osize, size_t nsize)
{
    struct run *r = ud;
    if (nsize == 0) {
        r->used -= p ? osize : 0;
        mem_free(p);
        return NULL;
    }
    size_t old = p ? osize : 0;
    if (nsize > old) {
        if (nsize >= ALLOC_LOOK)
            run_may_go_on(r);
        if (r->stop || nsize - old > r->limits.memory - r->used)
            return NULL;
    }
    void *q = mem_try_realloc(p, nsize);
    if (!q && nsize <= old)
        q = p; /* Lua counts on shrinking to work */
    if (q)
        r->used = r->used - old + nsize;
    return q;
}

static void hook(lua_State *l, lua_Debug *unused)
{
    (void)unused;
    struct run *r = run_of(l);
    r->instructions += HOOK_EVERY;
    if (!r->stop && r->instructions > r->limits.instructions)
        r->stop = RUN_INSTRUCTIONS;
    if (run_may_go_on(r))
        return;
    lua_sethook(l, hook, LUA_MASKCOUNT, 1);
    run_raise_stop(l);
}

/* math.random over the run's own generator: the C library's is shared by all threads. */
static int math_random(lua_State *l)
{
    struct run *r = run_of(l);
    if (lua_gettop(l) == 0) {
        lua_pushnumber(l, rng_double(&r->rng));
        return 1;
    }
    lua_Number low = lua_gettop(l) > 1 ? luaL_checknumber(l, 1) : 1,
               high = luaL_checknumber(l, lua_gettop(l) > 1 ? 2 : 1);
    luaL_argcheck(l, low <= high && high - low<9e15, lua_gettop(l)> 1 ? 2 : 1, "interval is empty or too wide");
    lua_pushnumber(l, low + (lua_Number)rng_below(&r->rng, (uint64_t)(high - low) + 1));
    return 1;
}

static int math_randomseed(lua_State *l)
{
    lua_Number seed = luaL_checknumber(l, 1);
    uint64_t bits;
    memcpy(&bits, &seed, sizeof bits);
    rng_seed(&run_of(l)->rng, bits);
    return 0;
}

static void open_library(lua_State *l, lua_CFunction open, const char *name)
{
    lua_pushcfunction(l, open);
    lua_pushstring(l, name);
    lua_call(l, 1, 0);
}

static void remove_fields(lua_State *l, const char *table, const char *const *names)
{
    if (table)
        lua_getglobal(l, table);
    else
        lua_pushvalue(l, LUA_GLOBALSINDEX);
    for (; *names; names++) {
        lua_pushnil(l);
        lua_setfield(l, -2, *names);
    }
    lua_pop(l, 1);
}

static void open_libraries(lua_State *l)
{
    static const char *const base_gone[] = {"collectgarbage", "coroutine", "dofile",     "gcinfo", "getfenv",
                                            "load",           "loadfile",  "loadstring", "module", "newproxy",
                                            "print",          "require",   "setfenv",    NULL};
    static const char *const string_gone[] = {"dump", "gfind", NULL};
    open_library(l, luaopen_base, "");
    open_library(l, luaopen_table, LUA_TABLIBNAME);
    open_library(l, luaopen_string, LUA_STRLIBNAME);
    open_library(l, luaopen_math, LUA_MATHLIBNAME);
    remove_fields(l, NULL, base_gone);
    remove_fields(l, LUA_STRLIBNAME, string_gone);
    strlib_open(l);
    luajson_open(l);
    static const luaL_Reg math_new[] = {{"random", math_random}, {"randomseed", math_randomseed}, {NULL, NULL}};
    luaL_register(l, LUA_MATHLIBNAME, math_new);
    lua_pop(l, 1);
    lua_settop(l, 0);
}

static void compile(lua_State *l)
{
    struct run *r = run_of(l);
    char chunk[64];
    if (r->code.len && r->code.p[0] == LUA_SIGNATURE[0])
        luaL_error(l, "compiled Lua is not accepted, send the text");
    snprintf(chunk, sizeof chunk, "=%s", r->name);
    if (luaL_loadbuffer(l, r->code.p, r->code.len, chunk) != 0)
        lua_error(l);
}

static int check_protected(lua_State *l)
{
    compile(l);
    return 0;
}

static int run_protected(lua_State *l)
{
    struct run *r = run_of(l);
    open_libraries(l);
    luajson_push(l, r->input);
    lua_setglobal(l, "input");
    compile(l);
    lua_sethook(l, hook, LUA_MASKCOUNT, HOOK_EVERY);
    lua_call(l, 0, LUA_MULTRET);
    if (lua_gettop(l) == 0) {
        lua_getglobal(l, "main");
        if (lua_isfunction(l, -1)) {
            lua_getglobal(l, "input");
            lua_call(l, 1, 1);
        }
    }
    lua_settop(l, 1);
    luajson_read(l, &r->result);
    return 0;
}

/* "code:3: attempt to ..." becomes "code line 3: attempt to ..." */
static int script_error(const struct run *r, const char *msg, struct err *err)
{
    size_t n = strlen(r->name);
    if (strncmp(msg, r->name, n) == 0 && msg[n] == ':' && isdigit((unsigned char)msg[n + 1])) {
        int line = atoi(msg + n + 1);
        const char *rest = strchr(msg + n + 1, ':');
        return err_set(err, ERR_INVALID, "%s line %d%s", r->name, line, rest ? rest : "");
    }
    return err_set(err, ERR_INVALID, "%s: %s", r->name, msg);
}

static int report(lua_State *l, const struct run *r, int status, struct err *err)
{
    switch (r->stop) {
    case RUN_CANCELLED: return err_set(err, ERR_CANCELLED, "%s: cancelled", r->name);
    case RUN_TIME:
        return err_set(err, ERR_INVALID, "%s: still running after %lld ms, stopped", r->name,
                       (long long)r->limits.timeout_ms);
    case RUN_INSTRUCTIONS:
        return err_set(err, ERR_INVALID, "%s: more than %llu instructions, stopped", r->name,
                       (unsigned long long)r->limits.instructions);
    default: break;
    }
    if (status == LUA_ERRMEM || r->stop == RUN_MEMORY)
        return err_set(err, ERR_INVALID, "%s: needs more than its %zu bytes of memory", r->name, r->limits.memory);
    const char *msg = lua_isstring(l, -1) ? lua_tostring(l, -1) : "failed with an error that is not a string";
    return script_error(r, msg, err);
}

static void run_init(struct run *r, struct slice code, const char *name, const struct sandbox_limits *limits)
{
    *r = (struct run){.code = code, .name = name};
    if (limits)
        r->limits = *limits;
    r->limits.memory = r->limits.memory ? r->limits.memory : 32u << 20;
    r->limits.instructions = r->limits.instructions ? r->limits.instructions : 50000000;
    r->limits.timeout_ms = r->limits.timeout_ms ? r->limits.timeout_ms : 5000;
    r->limits.output = r->limits.output ? r->limits.output : 1u << 20;
    r->deadline_us = clock_mono_us() + r->limits.timeout_ms * 1000;
    rng_seed(&r->rng, 1);
}

static int run_state(struct run *r, lua_CFunction protected_part, struct err *err)
{
    lua_State *l = lua_newstate(allocate, r);
    if (!l)
        return err_set(err, ERR_INVALID, "%s: needs more than its %zu bytes of memory", r->name, r->limits.memory);
    int status = lua_cpcall(l, protected_part, NULL);
    int rc = status ? report(l, r, status, err) : 0;
    lua_close(l);
    cJSON_Delete(r->scratch);
    cJSON_free(r->text);
    return rc;
}

int sandbox_check(struct slice code, const char *name, struct err *err)
{
    struct run r;
    run_init(&r, code, name, NULL);
    return run_state(&r, check_protected, err);
}

int sandbox_run(struct slice code, const char *name, const cJSON *input, const struct sandbox_limits *limits,
                cJSON **out, struct err *err)
{
    struct run r;
    run_init(&r, code, name, limits);
    r.input = input;
    *out = NULL;
    int rc = run_state(&r, run_protected, err);
    if (rc == 0)
        *out = r.result;
    else
        cJSON_Delete(r.result);
    return rc;
}
