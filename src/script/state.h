/* What the files of this folder share about one run: its limits and why it stopped. A struct run is the allocator's
 * argument of its Lua state, so any C function of the sandbox finds it by run_of(). Thread: the run's. */
#ifndef SCRIPT_STATE_H
#define SCRIPT_STATE_H

#include <lua5.1/lauxlib.h>
#include <lua5.1/lua.h>
#include <lua5.1/lualib.h>

#include "base/rng.h"
#include "script/sandbox.h"

enum run_stop { RUN_GOES, RUN_CANCELLED, RUN_TIME, RUN_INSTRUCTIONS, RUN_MEMORY };

struct run {
    struct sandbox_limits limits;
    size_t used;
    uint64_t instructions;
    int64_t deadline_us;
    enum run_stop stop;
    struct rng rng;
    bool (*look)(struct run *r);     /* asked in place of the clock, when there is one */
    void (*stopped)(lua_State *l);   /* and raises the error of a run that it has stopped */
    const char *name;
    struct slice code;
    const cJSON *input;
    cJSON *result;  /* the output while it is built, and after */
    cJSON *scratch; /* a tree and a text that C functions make: kept here so that a jump leaks nothing */
    char *text;
};

static inline struct run *run_of(lua_State *l)
{
    void *ud;
    lua_getallocf(l, &ud);
    return ud;
}

/* Looks at the cancel flag and the clock; false (and r->stop set) when the run must end. */
bool run_may_go_on(struct run *r);
/* Raises the error of a run that was stopped. Does not return. */
int run_raise_stop(lua_State *l);

void strlib_open(lua_State *l);  /* string.find, match, gmatch, gsub, rep with bounded work */
void luajson_open(lua_State *l); /* the table `json`: encode, decode, null, array */

/* Pushes v on the stack. Raises Lua errors. */
void luajson_push(lua_State *l, const cJSON *v);
/* Turns the value on top of the stack into *root (which the run owns, so that a jump leaks nothing). Raises. */
void luajson_read(lua_State *l, cJSON **root);

#endif
