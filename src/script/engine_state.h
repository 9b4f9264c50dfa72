/* What the engine's files share: the struct behind the Lua state's allocator. Thread: the state's. */
#ifndef SCRIPT_ENGINE_STATE_H
#define SCRIPT_ENGINE_STATE_H

#include "script/engine.h"
#include "script/state.h"

struct engine {
    struct run run; /* first: run_of() finds it for the string library */
    lua_State *l;
    const struct engine_host *host;
    struct engine_run *now; /* the run under way, and where its reply goes */
    struct reply *to;
    int ended; /* lua_pcall's result */
    unsigned runs, calls;
    int globals, library, handler; /* registry references: the real globals, those of a library's load, the error handler */
    int resp;                      /* of the replies inside, redis.setresp */

    /* FUNCTION LOAD under way */
    int (*add)(void *arg, const struct engine_function *f, struct err *err);
    void *add_arg;
    int64_t load_until_us;
    int added;

    /* redis.call: kept between calls */
    struct slice *argv;
    char (*numbers)[40];
    int cap;
    struct buf reply;
    struct buf text;          /* of the library function that runs, see engine_text */
    unsigned short rand48[3]; /* math.random */
};

static inline struct engine *engine_of(lua_State *l)
{
    return (struct engine *)run_of(l);
}

/* Pushes an error table: {err = msg}, "ERR" before it when it has no code of its own (a leading '-' says that it has). */
void engine_push_error(lua_State *l, struct slice msg);
int engine_error(lua_State *l, const char *msg); /* raises one; does not return */

/* An empty buffer for what a C function puts together. It belongs to the engine, so an error that jumps out leaks nothing;
 * two uses must not overlap. */
struct buf *engine_text(lua_State *l);

void engine_look(lua_State *l); /* asks whether the script may go on, and raises when not */

void redislib_open(struct engine *e); /* the table `redis` among the globals */
void redislib_library(struct engine *e); /* pushes the globals of a library's load, unprotected */

/* RESP to Lua: pushes the one reply that the bytes are. Lua to RESP: writes the value on top of the stack and pops it. */
void rlua_push(lua_State *l, struct slice resp);
void rlua_write(lua_State *l, struct reply *to);
/* An error of the run's reply; counted: a command inside has been blamed for it already. */
void rlua_write_error(lua_State *l, struct reply *to, struct slice text, bool counted);

void mathlib_open(lua_State *l); /* random and randomseed */
int luaopen_bitlib(lua_State *l);
int luaopen_structlib(lua_State *l);
int luaopen_cjsonlib(lua_State *l);
int luaopen_cmsgpacklib(lua_State *l);

#endif
