/* Tables that scripts may read and not change.
 *
 * Plain Lua 5.1 has none. A read-only table is a stand-in: an empty table whose metatable sends reads to the real one and
 * refuses writes; the functions that go past metatables (rawset, rawget, next, pairs, setmetatable, getmetatable, table.*)
 * are replaced by ones that know stand-ins. A script never gets hold of the real table. Thread: the state's. */
#ifndef SCRIPT_PROTECT_H
#define SCRIPT_PROTECT_H

#include <lua5.1/lua.h>

/* The table on top of the stack is replaced by its stand-in; fields that are tables must be stand-ins already. */
void protect_table(lua_State *l);
/* In place of Lua's own, in the base and table libraries of the present globals. Before the tables are protected. */
void protect_open(lua_State *l);
/* Gives the stand-in on top what reads of it see from now on, the table below it, which is popped with it. */
void protect_redirect(lua_State *l);
/* What getmetatable says of the stand-in on top: the table below; both popped. */
void protect_pretend(lua_State *l);

#endif
