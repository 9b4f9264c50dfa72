/* The table `redis` that scripts see, and the smaller one that a library sees while it is loaded. */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/sha1.h"
#include "script/engine_state.h"
#include "script/protect.h"

void engine_push_error(lua_State *l, struct slice msg)
{
    const char *space = NULL;
    bool coded = msg.len && *msg.p == '-';
    if (coded) {
        msg = slice_of(msg.p + 1, msg.len - 1);
        space = msg.len ? memchr(msg.p, ' ', msg.len) : NULL;
    }
    while (msg.len && (msg.p[msg.len - 1] == '\r' || msg.p[msg.len - 1] == '\n'))
        msg.len--;
    lua_createtable(l, 0, 2);
    if (space) {
        lua_pushlstring(l, msg.p, msg.len);
    } else {
        lua_pushliteral(l, "ERR ");
        lua_pushlstring(l, msg.p, msg.len);
        lua_concat(l, 2);
    }
    lua_setfield(l, -2, "err");
}

int engine_error(lua_State *l, const char *msg)
{
    engine_push_error(l, slice_str(msg));
    return lua_error(l);
}

/* ---- redis.call ---- */

/* Scripts give numbers for arguments all the time: whole ones as integers, others by their shortest digits. */
static struct slice number_text(lua_Number v, char *to)
{
    if (v >= -9007199254740992.0 && v <= 9007199254740992.0 && (lua_Number)(int64_t)v == v)
        return slice_of(to, num_from_i64(to, (int64_t)v));
    return slice_of(to, num_from_double(to, v));
}

static void make_room(struct engine *e, int argc)
{
    if (argc <= e->cap)
        return;
    e->cap = argc < 16 ? 16 : argc * 2;
    e->argv = mem_realloc(e->argv, (size_t)e->cap * sizeof *e->argv);
    e->numbers = mem_realloc(e->numbers, (size_t)e->cap * sizeof *e->numbers);
}

/* The arguments of a C function as a command line; false: an error table is pushed. */
static bool take_argv(struct engine *e, lua_State *l)
{
    int argc = lua_gettop(l);
    if (argc == 0) {
        engine_push_error(l, SLICE("Please specify at least one argument for this redis lib call"));
        return false;
    }
    make_room(e, argc);
    for (int i = 0; i < argc; i++) {
        int type = lua_type(l, i + 1);
        if (type == LUA_TNUMBER) {
            e->argv[i] = number_text(lua_tonumber(l, i + 1), e->numbers[i]);
        } else if (type == LUA_TSTRING) {
            e->argv[i].p = lua_tolstring(l, i + 1, &e->argv[i].len);
        } else {
            engine_push_error(l, SLICE("Lua redis lib command arguments must be strings or integers"));
            return false;
        }
    }
    return true;
}

#define KEEP_REPLY (64 << 10) /* a larger buffer is not kept between calls */

#define LOOK_EVERY_CALL 8 /* a power of two: commands take long, instructions of Lua do not tell how long */

static int call(lua_State *l, bool raise)
{
    struct engine *e = engine_of(l);
    if ((++e->calls & (LOOK_EVERY_CALL - 1)) == 0)
        engine_look(l);
    if (!e->now)
        return engine_error(l, "redis.call/pcall can only be called inside a script invocation");
    if (!take_argv(e, l))
        return raise ? lua_error(l) : 1;
    int argc = lua_gettop(l);
    buf_clear(&e->reply);
    e->host->call(argc, e->argv, e->resp, &e->reply);
    lua_settop(l, 0); /* thousands of arguments leave no room for the reply */
    bool failed = e->reply.len && e->reply.p[0] == '-';
    rlua_push(l, buf_slice(&e->reply));
    if (e->reply.cap > KEEP_REPLY)
        buf_release(&e->reply);
    return raise && failed ? lua_error(l) : 1;
}

static int redis_call(lua_State *l)
{
    return call(l, true);
}

static int redis_pcall(lua_State *l)
{
    return call(l, false);
}

/* ---- the rest ---- */

static int redis_acl_check_cmd(lua_State *l)
{
    struct engine *e = engine_of(l);
    if (!e->now)
        return engine_error(l, "redis.acl_check_cmd can only be called inside a script invocation");
    if (!take_argv(e, l))
        return lua_error(l);
    int may = e->host->may_run(lua_gettop(l), e->argv);
    if (may < 0)
        return engine_error(l, "Invalid command passed to redis.acl_check_cmd()");
    lua_pushboolean(l, may);
    return 1;
}

static int redis_error_reply(lua_State *l)
{
    if (lua_gettop(l) != 1 || lua_type(l, 1) != LUA_TSTRING) {
        engine_push_error(l, SLICE("wrong number or type of arguments"));
        return 1;
    }
    if (*lua_tostring(l, 1) != '-') {
        lua_pushliteral(l, "-");
        lua_insert(l, 1);
        lua_concat(l, 2);
    }
    struct slice s;
    s.p = lua_tolstring(l, 1, &s.len);
    engine_push_error(l, s);
    return 1;
}

static int redis_status_reply(lua_State *l)
{
    if (lua_gettop(l) != 1 || lua_type(l, 1) != LUA_TSTRING) {
        engine_push_error(l, SLICE("wrong number or type of arguments"));
        return 1;
    }
    lua_createtable(l, 0, 1);
    lua_insert(l, 1);
    lua_setfield(l, 1, "ok");
    return 1;
}

static int redis_sha1hex(lua_State *l)
{
    char hex[SHA1_HEX + 1];
    size_t n;
    if (lua_gettop(l) != 1)
        return engine_error(l, "wrong number of arguments");
    const char *p = lua_tolstring(l, 1, &n);
    sha1_hex(p ? p : "", p ? n : 0, hex);
    lua_pushlstring(l, hex, SHA1_HEX);
    return 1;
}

static int redis_log(lua_State *l)
{
    static const enum log_level levels[] = {LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING};
    int argc = lua_gettop(l);
    if (argc < 2)
        return engine_error(l, "redis.log() requires two arguments or more.");
    if (!lua_isnumber(l, 1))
        return engine_error(l, "First argument must be a number (log level).");
    lua_Number level = lua_tonumber(l, 1);
    if (!(level >= 0 && level <= 3))
        return engine_error(l, "Invalid debug level.");
    for (int i = argc - 1; i >= 2; i--) { /* a space between any two */
        lua_pushliteral(l, " ");
        lua_insert(l, i + 1);
    }
    for (int i = 2; i <= lua_gettop(l); i++)
        if (!lua_isstring(l, i)) {
            lua_pushliteral(l, "");
            lua_replace(l, i);
        }
    lua_concat(l, lua_gettop(l) - 1);
    log_at(levels[(int)level], "%s", lua_tostring(l, -1));
    return 0;
}

static int redis_setresp(lua_State *l)
{
    if (lua_gettop(l) != 1)
        return engine_error(l, "redis.setresp() requires one argument.");
    lua_Number v = lua_tonumber(l, 1);
    if (v != 2 && v != 3)
        return engine_error(l, "RESP version must be 2 or 3.");
    engine_of(l)->resp = (int)v;
    return 0;
}

static int redis_set_repl(lua_State *l)
{
    struct engine *e = engine_of(l);
    if (!e->now)
        return engine_error(l, "redis.set_repl can only be called inside a script invocation");
    if (lua_gettop(l) != 1)
        return engine_error(l, "redis.set_repl() requires two arguments.");
    lua_Number v = lua_tonumber(l, 1);
    if (!(v >= SCRIPT_REPL_NONE && v <= SCRIPT_REPL_ALL))
        return engine_error(l, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.");
    e->host->set_repl((int)v);
    return 0;
}

static int redis_replicate_commands(lua_State *l)
{
    lua_pushboolean(l, true);
    return 1;
}

/* There is no debugger: nobody has stopped. */
static int redis_breakpoint(lua_State *l)
{
    lua_pushboolean(l, false);
    return 1;
}

static int redis_debug(lua_State *l)
{
    return 0;
}

/* ---- redis.register_function ---- */

static int bad(lua_State *l, const char *msg)
{
    return engine_error(l, msg);
}

static void take_flags(lua_State *l, int i, unsigned *flags)
{
    if (!lua_istable(l, i))
        bad(l, "flags argument to redis.register_function must be a table representing function flags");
    for (int k = 1;; k++) {
        lua_rawgeti(l, i, k);
        if (lua_isnil(l, -1))
            break;
        struct slice word = {0};
        if (lua_isstring(l, -1))
            word.p = lua_tolstring(l, -1, &word.len);
        unsigned f = script_flag(word);
        if (!f)
            bad(l, "unknown flag given");
        *flags |= f;
        lua_pop(l, 1);
    }
    lua_pop(l, 1);
}

static struct slice take_string(lua_State *l, int i, const char *complaint)
{
    struct slice s;
    if (lua_type(l, i) != LUA_TSTRING)
        bad(l, complaint);
    s.p = lua_tolstring(l, i, &s.len);
    return s;
}

/* A table with function_name, callback, description, flags. Strings stay on the stack until the function is added. */
static int take_named(lua_State *l, struct engine_function *f)
{
    int callback = 0;
    luaL_checkstack(l, 16, "arguments");
    for (lua_pushnil(l); lua_next(l, 1);) {
        int v = lua_gettop(l);
        struct slice key = take_string(l, v - 1, "named argument key given to redis.register_function is not a string");
        if (slice_eq(key, SLICE("function_name"))) {
            f->name = take_string(l, v, "function_name argument given to redis.register_function must be a string");
        } else if (slice_eq(key, SLICE("description"))) {
            f->about = take_string(l, v, "description argument given to redis.register_function must be a string");
        } else if (slice_eq(key, SLICE("callback"))) {
            if (!lua_isfunction(l, v))
                bad(l, "callback argument given to redis.register_function must be a function");
            lua_pushvalue(l, v);
            lua_insert(l, 2); /* below the pair that is being looked at */
            callback = 2;
        } else if (slice_eq(key, SLICE("flags"))) {
            take_flags(l, v, &f->flags);
        } else {
            bad(l, "unknown argument given to redis.register_function");
        }
        lua_pop(l, 1);
    }
    if (!f->name.p)
        bad(l, "redis.register_function must get a function name argument");
    if (!callback)
        bad(l, "redis.register_function must get a callback argument");
    return callback;
}

static int take_plain(lua_State *l, struct engine_function *f)
{
    f->name = take_string(l, 1, "first argument to redis.register_function must be a string");
    if (!lua_isfunction(l, 2))
        bad(l, "second argument to redis.register_function must be a function");
    return 2;
}

static int redis_register_function(lua_State *l)
{
    struct engine *e = engine_of(l);
    struct engine_function f = {0};
    struct err err;
    int argc = lua_gettop(l), callback;
    if (!e->add)
        return bad(l, "redis.register_function can only be called on FUNCTION LOAD command");
    if (argc < 1 || argc > 2)
        return bad(l, "wrong number of arguments to redis.register_function");
    if (argc == 1 && !lua_istable(l, 1))
        return bad(l, "calling redis.register_function with a single argument is only applicable to Lua table "
                      "(representing named arguments).");
    callback = argc == 1 ? take_named(l, &f) : take_plain(l, &f);
    lua_pushvalue(l, callback);
    f.chunk = luaL_ref(l, LUA_REGISTRYINDEX);
    if (e->add(e->add_arg, &f, &err) < 0) {
        luaL_unref(l, LUA_REGISTRYINDEX, f.chunk);
        return bad(l, err.msg);
    }
    e->added++;
    return 0;
}

/* ---- the tables ---- */

static void set_number(lua_State *l, const char *name, int v)
{
    lua_pushinteger(l, v);
    lua_setfield(l, -2, name);
}

static void set_common(struct engine *e)
{
    lua_State *l = e->l;
    lua_pushcfunction(l, redis_log);
    lua_setfield(l, -2, "log");
    set_number(l, "LOG_DEBUG", 0);
    set_number(l, "LOG_VERBOSE", 1);
    set_number(l, "LOG_NOTICE", 2);
    set_number(l, "LOG_WARNING", 3);
    lua_pushstring(l, e->host->version);
    lua_setfield(l, -2, "REDIS_VERSION");
    set_number(l, "REDIS_VERSION_NUM", e->host->version_num);
}

void redislib_open(struct engine *e)
{
    static const luaL_Reg functions[] = {
        {"call", redis_call},
        {"pcall", redis_pcall},
        {"error_reply", redis_error_reply},
        {"status_reply", redis_status_reply},
        {"sha1hex", redis_sha1hex},
        {"setresp", redis_setresp},
        {"set_repl", redis_set_repl},
        {"replicate_commands", redis_replicate_commands},
        {"breakpoint", redis_breakpoint},
        {"debug", redis_debug},
        {"acl_check_cmd", redis_acl_check_cmd},
        {NULL, NULL},
    };
    lua_State *l = e->l;
    lua_newtable(l);
    for (const luaL_Reg *f = functions; f->name; f++) {
        lua_pushcfunction(l, f->func);
        lua_setfield(l, -2, f->name);
    }
    set_common(e);
    set_number(l, "REPL_NONE", SCRIPT_REPL_NONE);
    set_number(l, "REPL_AOF", SCRIPT_REPL_AOF);
    set_number(l, "REPL_SLAVE", SCRIPT_REPL_REPLICA);
    set_number(l, "REPL_REPLICA", SCRIPT_REPL_REPLICA);
    set_number(l, "REPL_ALL", SCRIPT_REPL_ALL);
    lua_setglobal(l, "redis");
}

void redislib_library(struct engine *e)
{
    lua_State *l = e->l;
    lua_newtable(l);
    lua_newtable(l);
    lua_pushcfunction(l, redis_register_function);
    lua_setfield(l, -2, "register_function");
    set_common(e);
    lua_setfield(l, -2, "redis");
}
