/* Engines, see engine.h.
 *
 *   thread's globals   a stand-in that nobody can write (protect.h): what every script has for its globals
 *     reads go to      `globals`: the libraries, KEYS and ARGV; a name that is not there raises
 *     or, in a load,   `library`: the little that FUNCTION LOAD offers
 *
 * What would surprise: a script that is to end gets its error at every further line, so that pcall gets it again at once,
 * up to the last frame. Errors are tables {err, source, line} from where they are raised on; the handler that every run
 * has makes one of a bare string. */
#include "script/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "script/engine_state.h"
#include "script/protect.h"

#define LOOK_EVERY 100000 /* instructions between two questions to the host */

const char *const script_flag_names[SCRIPT_FLAG_NAMES] = {"no-writes", "allow-oom", "allow-stale", "no-cluster",
                                                          "allow-cross-slot-keys"};

unsigned script_flag(struct slice word)
{
    for (int i = 0; i < SCRIPT_FLAG_NAMES; i++)
        if (slice_eq(word, slice_str(script_flag_names[i])))
            return 1u << i;
    return 0;
}

/* ---- the header line ---- */

static bool next_word(struct slice *line, char stop, struct slice *word)
{
    size_t n = 0;
    if (stop == ' ')
        while (line->len && (*line->p == ' ' || *line->p == '\t' || *line->p == '\r'))
            line->p++, line->len--;
    if (!line->len)
        return false;
    while (n < line->len && line->p[n] != stop && line->p[n] != '\r')
        n++;
    *word = slice_of(line->p, n);
    n += n < line->len;
    *line = slice_of(line->p + n, line->len - n);
    return true;
}

static int read_flags(struct slice list, unsigned *flags, struct err *err)
{
    struct slice word;
    while (next_word(&list, ',', &word)) {
        unsigned f = script_flag(word);
        if (!f)
            return err_set(err, ERR_GENERIC, "Unexpected flag in script shebang: %.*s", (int)word.len, word.p);
        *flags |= f;
    }
    return 0;
}

int script_header(struct slice body, unsigned *flags, size_t *skip, struct err *err)
{
    *flags = SCRIPT_COMPAT;
    *skip = 0;
    if (body.len < 2 || body.p[0] != '#' || body.p[1] != '!')
        return 0;
    const char *eol = memchr(body.p, '\n', body.len);
    if (!eol)
        return err_set(err, ERR_GENERIC, "Invalid script shebang");
    struct slice line = slice_of(body.p, (size_t)(eol - body.p)), word = {0};
    *skip = line.len;
    *flags = 0;
    next_word(&line, ' ', &word);
    if (!slice_eq(word, SLICE("#!lua")))
        return err_set(err, ERR_GENERIC, "Unexpected engine in script shebang: %.*s", (int)word.len, word.p);
    while (next_word(&line, ' ', &word)) {
        if (word.len < 6 || memcmp(word.p, "flags=", 6) != 0)
            return err_set(err, ERR_GENERIC, "Unknown lua shebang option: %.*s", (int)word.len, word.p);
        int rc = read_flags(slice_of(word.p + 6, word.len - 6), flags, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- the state ---- */

static void *allocate(void *ud, void *p, size_t osize, size_t nsize)
{
    struct engine *e = ud;
    if (nsize == 0) {
        e->run.used -= p ? osize : 0;
        mem_free(p);
        return NULL;
    }
    void *q = mem_try_realloc(p, nsize);
    if (!q && p && nsize <= osize)
        q = p; /* Lua counts on shrinking to work */
    if (q)
        e->run.used += nsize - (p ? osize : 0);
    return q;
}

static void hook(lua_State *l, lua_Debug *unused)
{
    (void)unused;
    engine_look(l);
}

void engine_look(lua_State *l)
{
    struct engine *e = engine_of(l);
    if (run_may_go_on(&e->run))
        return;
    lua_sethook(l, hook, LUA_MASKLINE, 0);
    engine_error(l, e->add ? "FUNCTION LOAD timeout" : "Script killed by user with SCRIPT KILL.");
}

/* The one place where it is decided that a run ends. In a load, the clock decides. */
static bool look(struct run *r)
{
    struct engine *e = (struct engine *)r;
    if (e->add ? clock_mono_us() >= e->load_until_us : e->now && !e->host->look())
        r->stop = RUN_CANCELLED;
    return !r->stop;
}

static int no_such_global(lua_State *l)
{
    if (!lua_isstring(l, -1))
        return luaL_error(l, "Second argument to luaProtectedTableError must be a string");
    return luaL_error(l, "Script attempted to access nonexistent global variable '%s'", lua_tostring(l, -1));
}

/* Names that are not in the table on top raise. */
static void raise_missing(lua_State *l)
{
    lua_createtable(l, 0, 1);
    lua_pushcfunction(l, no_such_global);
    lua_setfield(l, -2, "__index");
    lua_setmetatable(l, -2);
}

/* Makes an error table of whatever was raised, with where that was. */
static int error_handler(lua_State *l)
{
    lua_Debug ar;
    bool known = lua_getstack(l, 1, &ar) && lua_getinfo(l, "Sl", &ar);
    if (known && strcmp(ar.what, "C") == 0)
        known = lua_getstack(l, 2, &ar) && lua_getinfo(l, "Sl", &ar);
    if (!lua_istable(l, 1)) {
        lua_settop(l, 1);
        lua_pushliteral(l, "ERR ");
        if (lua_isstring(l, 1))
            lua_pushvalue(l, 1);
        else
            lua_pushstring(l, lua_isboolean(l, 1) ? (lua_toboolean(l, 1) ? "true" : "false") : luaL_typename(l, 1));
        lua_concat(l, 2);
        lua_createtable(l, 0, 3);
        lua_insert(l, -2);
        lua_setfield(l, -2, "err");
        lua_replace(l, 1);
    }
    lua_settop(l, 1);
    if (known) {
        lua_pushstring(l, ar.source);
        lua_setfield(l, 1, "source");
        lua_pushinteger(l, ar.currentline);
        lua_setfield(l, 1, "line");
    }
    return 1;
}

/* pcall, but what it says of an error table is the text in it. */
static int base_pcall(lua_State *l)
{
    luaL_checkany(l, 1);
    int status = lua_pcall(l, lua_gettop(l) - 1, LUA_MULTRET, 0);
    if (status && lua_istable(l, -1)) {
        lua_getfield(l, -1, "err");
        if (lua_isstring(l, -1))
            lua_replace(l, -2);
        else
            lua_pop(l, 1);
    }
    lua_pushboolean(l, status == 0);
    lua_insert(l, 1);
    return lua_gettop(l);
}

/* load and loadstring take text only: bytes that claim to be compiled could take the process over. */
static int base_loadstring(lua_State *l)
{
    size_t n;
    const char *p = luaL_checklstring(l, 1, &n), *name = luaL_optstring(l, 2, p);
    bool compiled = n && p[0] == LUA_SIGNATURE[0];
    if (compiled)
        lua_pushliteral(l, "attempt to load chunk with wrong mode");
    if (!compiled && luaL_loadbuffer(l, p, n, name) == 0)
        return 1;
    lua_pushnil(l);
    lua_insert(l, -2);
    return 2;
}

static int base_load(lua_State *l)
{
    luaL_Buffer b;
    luaL_checktype(l, 1, LUA_TFUNCTION);
    lua_settop(l, 2);
    luaL_buffinit(l, &b);
    for (;;) {
        lua_pushvalue(l, 1);
        lua_call(l, 0, 1);
        if (lua_isnil(l, -1) || (lua_isstring(l, -1) && lua_objlen(l, -1) == 0))
            break;
        if (!lua_isstring(l, -1))
            return luaL_error(l, "reader function must return a string");
        luaL_addvalue(&b);
    }
    lua_pop(l, 1);
    luaL_pushresult(&b);
    lua_replace(l, 1);
    if (lua_isnil(l, 2)) {
        lua_pushliteral(l, "=(load)");
        lua_replace(l, 2);
    }
    lua_settop(l, 2);
    return base_loadstring(l);
}

static int os_clock(lua_State *l)
{
    lua_pushnumber(l, (lua_Number)clock() / CLOCKS_PER_SEC);
    return 1;
}

/* ---- putting it together ---- */

static void open_library(lua_State *l, lua_CFunction open, const char *name)
{
    lua_pushcfunction(l, open);
    lua_pushstring(l, name);
    lua_call(l, 1, 0);
}

static void open_libraries(struct engine *e)
{
    static const char *const gone[] = {"dofile", "loadfile",  "print",   "newproxy", "getfenv",
                                       "setfenv", "module", "require", "package"};
    lua_State *l = e->l;
    open_library(l, luaopen_base, "");
    open_library(l, luaopen_table, LUA_TABLIBNAME);
    open_library(l, luaopen_string, LUA_STRLIBNAME);
    open_library(l, luaopen_math, LUA_MATHLIBNAME);
    strlib_open(l);
    mathlib_open(l);
    open_library(l, luaopen_bitlib, "bit");
    open_library(l, luaopen_structlib, "struct");
    open_library(l, luaopen_cjsonlib, "cjson");
    open_library(l, luaopen_cmsgpacklib, "cmsgpack");
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        lua_pushnil(l);
        lua_setglobal(l, gone[i]);
    }
    lua_register(l, "pcall", base_pcall);
    lua_register(l, "loadstring", base_loadstring);
    lua_register(l, "load", base_load);
    lua_newtable(l);
    lua_pushcfunction(l, os_clock);
    lua_setfield(l, -2, "clock");
    lua_setglobal(l, "os");
    redislib_open(e);
}

/* Every table among the globals becomes a stand-in, and so do the globals. */
static void protect_all(struct engine *e)
{
    static const char *const tables[] = {"string", "table",  "math",  "coroutine", "bit",
                                         "struct", "cjson", "cmsgpack", "os",        "redis"};
    lua_State *l = e->l;
    protect_open(l);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        lua_getglobal(l, tables[i]);
        if (lua_istable(l, -1)) {
            protect_table(l);
            lua_setglobal(l, tables[i]);
        } else {
            lua_pop(l, 1);
        }
    }
    lua_pushliteral(l, "");
    lua_getmetatable(l, -1);
    lua_newtable(l);
    lua_getglobal(l, "string");
    lua_setfield(l, -2, "__index");
    protect_table(l);
    lua_setfield(l, -2, "__metatable"); /* what getmetatable("") gives: nothing that can be changed */
    lua_pop(l, 2);
}

/* The globals: pushed is the stand-in that scripts see. */
static void make_globals(struct engine *e)
{
    lua_State *l = e->l;
    lua_pushvalue(l, LUA_GLOBALSINDEX);
    raise_missing(l);
    lua_pushvalue(l, -1);
    e->globals = luaL_ref(l, LUA_REGISTRYINDEX);
    protect_table(l);
    lua_rawgeti(l, LUA_REGISTRYINDEX, e->globals);
    lua_pushvalue(l, -2);
    lua_setfield(l, -2, "_G");
    lua_pop(l, 1);

    lua_newtable(l); /* getmetatable(_G).__index is the stand-in itself: reads as before, no writes */
    lua_pushvalue(l, -2);
    lua_setfield(l, -2, "__index");
    protect_table(l);
    lua_pushvalue(l, -2);
    protect_pretend(l);

    redislib_library(e);
    lua_getfield(l, -1, "redis");
    raise_missing(l);
    protect_table(l);
    lua_setfield(l, -2, "redis");
    raise_missing(l);
    e->library = luaL_ref(l, LUA_REGISTRYINDEX);
    lua_replace(l, LUA_GLOBALSINDEX);
}

static int open_protected(lua_State *l)
{
    struct engine *e = engine_of(l);
    open_libraries(e);
    protect_all(e);
    lua_pushcfunction(l, error_handler);
    e->handler = luaL_ref(l, LUA_REGISTRYINDEX);
    lua_settop(l, 0);
    make_globals(e);
    return 0;
}

struct engine *engine_create(const struct engine_host *host)
{
    struct engine *e = mem_zero(sizeof *e);
    e->host = host;
    e->run.look = look;
    e->run.stopped = engine_look;
    e->run.limits = (struct sandbox_limits){.memory = 512u << 20}; /* of one string.rep */
    uint64_t seed = (uint64_t)clock_wall_us();
    memcpy(e->rand48, &seed, sizeof e->rand48);
    e->l = lua_newstate(allocate, e);
    if (!e->l || lua_cpcall(e->l, open_protected, NULL) != 0) {
        fprintf(stderr, "cannot make a Lua state: %s\n", e->l ? lua_tostring(e->l, -1) : "no memory");
        abort();
    }
    lua_gc(e->l, LUA_GCCOLLECT, 0);
    return e;
}

void engine_destroy(struct engine *e)
{
    if (!e)
        return;
    lua_close(e->l);
    mem_free(e->argv);
    mem_free(e->numbers);
    buf_release(&e->reply);
    buf_release(&e->text);
    mem_free(e);
}

size_t engine_bytes(const struct engine *e)
{
    return e->run.used;
}

#define TEXT_MAX  (512u << 20)
#define TEXT_KEEP (1u << 20) /* a larger buffer is given back when it is asked for again */

struct buf *engine_text(lua_State *l)
{
    struct buf *b = &engine_of(l)->text;
    if (b->cap > TEXT_KEEP)
        buf_release(b);
    buf_clear(b);
    b->max = TEXT_MAX;
    return b;
}

bool engine_running(const struct engine *e)
{
    return e->now != NULL;
}

/* ---- chunks ---- */

static int compile(struct engine *e, struct slice code, const char *name, struct err *err)
{
    if (code.len && code.p[0] == LUA_SIGNATURE[0])
        return err_set(err, ERR_GENERIC, "compiled Lua is not accepted, send the text");
    if (luaL_loadbuffer(e->l, code.p, code.len, name) == 0)
        return 0;
    err_set(err, ERR_GENERIC, "%s", lua_tostring(e->l, -1));
    lua_pop(e->l, 1);
    return ERR_GENERIC;
}

int engine_compile(struct engine *e, struct slice code, int *chunk, struct err *err)
{
    int rc = compile(e, code, "@user_script", err);
    if (rc == 0)
        *chunk = luaL_ref(e->l, LUA_REGISTRYINDEX);
    return rc;
}

void engine_drop(struct engine *e, int chunk)
{
    luaL_unref(e->l, LUA_REGISTRYINDEX, chunk);
}

/* ---- running ---- */

static void push_strings(lua_State *l, const struct slice *s, int n)
{
    lua_createtable(l, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushlstring(l, s[i].p, s[i].len);
        lua_rawseti(l, -2, i + 1);
    }
}

struct problem { /* what an error table says; strings are Lua's */
    const char *msg, *source, *line;
    bool counted;
};

/* The error on top of the stack; its parts stay on the stack. */
static struct problem problem_of(lua_State *l)
{
    struct problem p = {.msg = "ERR unknown error"};
    int at = lua_gettop(l);
    if (!lua_istable(l, at)) {
        if (lua_isstring(l, at))
            p.msg = lua_tostring(l, at);
        return p;
    }
    static const char *const names[] = {"err", "source", "line", "ignore_error_stats_update"};
    for (int i = 0; i < 4; i++) {
        lua_pushstring(l, names[i]);
        lua_rawget(l, at);
    }
    if (lua_isstring(l, at + 1))
        p.msg = lua_tostring(l, at + 1);
    if (lua_isstring(l, at + 2) && lua_isstring(l, at + 3)) {
        p.source = lua_tostring(l, at + 2);
        p.line = lua_tostring(l, at + 3);
    }
    p.counted = lua_toboolean(l, at + 4);
    return p;
}

static void report(struct engine *e, struct reply *to)
{
    struct problem p = problem_of(e->l);
    struct buf *text = engine_text(e->l);
    buf_add_str(text, p.msg);
    if (p.source)
        buf_addf(text, " script: %s, on %s:%s.", e->now->name, p.source, p.line);
    rlua_write_error(e->l, to, buf_slice(text), p.counted);
}

/* Keys, arguments and the function. Where memory may run out, so under lua_cpcall's protection with the run itself. */
static int run_protected(lua_State *l)
{
    struct engine *e = engine_of(l);
    struct engine_run *r = e->now;
    lua_settop(l, 0);
    lua_rawgeti(l, LUA_REGISTRYINDEX, e->handler);
    if (r->as_globals) {
        lua_rawgeti(l, LUA_REGISTRYINDEX, e->globals);
        lua_pushliteral(l, "KEYS");
        push_strings(l, r->keys, r->nkeys);
        lua_rawset(l, -3);
        lua_pushliteral(l, "ARGV");
        push_strings(l, r->args, r->nargs);
        lua_rawset(l, -3);
        lua_settop(l, 1);
    }
    lua_rawgeti(l, LUA_REGISTRYINDEX, r->chunk);
    if (!r->as_globals) {
        push_strings(l, r->keys, r->nkeys);
        push_strings(l, r->args, r->nargs);
    }
    e->ended = lua_pcall(l, r->as_globals ? 0 : 2, 1, 1);
    lua_sethook(l, NULL, 0, 0); /* what follows only reads */
    if (e->ended)
        report(e, e->to);
    else
        rlua_write(l, e->to);
    return 0;
}

static void begin(struct engine *e)
{
    e->run.stop = RUN_GOES;
    lua_sethook(e->l, hook, LUA_MASKCOUNT, LOOK_EVERY);
}

#define COLLECT_EVERY 50 /* runs; as much garbage as then has come goes in steps */

static void end(struct engine *e)
{
    lua_settop(e->l, 0);
    lua_sethook(e->l, NULL, 0, 0);
    if (++e->runs % COLLECT_EVERY == 0)
        lua_gc(e->l, LUA_GCSTEP, 50);
}

void engine_run(struct engine *e, struct engine_run *r, struct reply *to)
{
    size_t from = to->out->len;
    e->now = r;
    e->to = to;
    e->resp = 2;
    begin(e);
    if (lua_cpcall(e->l, run_protected, NULL) != 0) { /* beyond the handler: no memory */
        to->out->len = from;
        reply_errorf(to, "ERR Error running script %s, %s", r->name,
                     lua_isstring(e->l, -1) ? lua_tostring(e->l, -1) : "execution failure");
    }
    e->now = NULL;
    e->to = NULL;
    end(e);
}

/* ---- libraries ---- */

static void set_reads(struct engine *e, int globals)
{
    lua_rawgeti(e->l, LUA_REGISTRYINDEX, globals);
    lua_pushvalue(e->l, LUA_GLOBALSINDEX);
    protect_redirect(e->l);
}

int engine_load(struct engine *e, struct slice code, int64_t limit_ms,
                int (*add)(void *arg, const struct engine_function *f, struct err *err), void *arg, struct err *err)
{
    struct err why;
    lua_State *l = e->l;
    if (compile(e, code, "@user_function", &why) < 0)
        return err_set(err, ERR_GENERIC, "Error compiling function: %s", why.msg);
    lua_rawgeti(l, LUA_REGISTRYINDEX, e->handler);
    lua_insert(l, 1);
    set_reads(e, e->library);
    e->add = add;
    e->add_arg = arg;
    e->added = 0;
    e->load_until_us = clock_mono_us() + limit_ms * 1000;
    begin(e);
    int status = lua_pcall(l, 0, 0, 1), rc = 0;
    if (status) {
        struct problem p = problem_of(l);
        rc = err_set(err, ERR_GENERIC, "Error registering functions: %s", p.msg);
    }
    e->add = NULL;
    lua_sethook(l, NULL, 0, 0);
    set_reads(e, e->globals);
    end(e);
    return rc;
}
