/* An engine: one Lua state for scripts of Redis's kind (EVAL's, or a library of functions).
 *
 * Scripts see Lua 5.1's base functions, string, table, math, coroutine, bit, struct, cjson, cmsgpack, os.clock and
 * `redis`. All of these are read-only, globals cannot be made, and no compiled code is accepted. A chunk is compiled once
 * and kept by a number; a run gives it keys and arguments and writes what it returns as a reply.
 *
 * The engine knows no commands: it asks its host. While a script runs, host->look is asked every some thousand steps
 * whether it may go on; a script that may not gets an error that it cannot catch.
 *
 * Thread: the one that made it (the loop's, for commands). One run at a time, never from inside another. */
#ifndef SCRIPT_ENGINE_H
#define SCRIPT_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "net/reply.h"

enum script_flags { /* "#!lua flags=..." */
    SCRIPT_NO_WRITES = 1 << 0,
    SCRIPT_ALLOW_OOM = 1 << 1,
    SCRIPT_ALLOW_STALE = 1 << 2,
    SCRIPT_NO_CLUSTER = 1 << 3,
    SCRIPT_CROSS_SLOT = 1 << 4,
    SCRIPT_COMPAT = 1 << 5, /* there is no such line: the rules of old apply */
};
#define SCRIPT_FLAG_NAMES 5
extern const char *const script_flag_names[SCRIPT_FLAG_NAMES]; /* bit i is names[i] */

enum { SCRIPT_REPL_NONE = 0, SCRIPT_REPL_AOF = 1, SCRIPT_REPL_REPLICA = 2, SCRIPT_REPL_ALL = 3 };

struct engine_host {
    /* One command: its reply as RESP of version resp, appended to out. Never anything but one reply. */
    void (*call)(int argc, const struct slice *argv, int resp, struct buf *out);
    void (*set_repl)(int what);                            /* what becomes of the effects of the calls that follow */
    int (*may_run)(int argc, const struct slice *argv);    /* redis.acl_check_cmd: 1 yes, 0 no, -1 no such command */
    bool (*look)(void); /* may the script go on? Called often. */
    const char *version;
    int version_num;
};

struct engine;
struct engine *engine_create(const struct engine_host *host); /* host is kept, not copied */
void engine_destroy(struct engine *e);                        /* NULL allowed */
size_t engine_bytes(const struct engine *e);                  /* of the Lua state */

/* Reads "#!lua flags=a,b" at the head of body. *skip is its length (0: there is none, flags is SCRIPT_COMPAT); the end of
 * its line is left, so that line numbers stay right. */
int script_header(struct slice body, unsigned *flags, size_t *skip, struct err *err);
/* One word of a flags list; 0 when unknown. */
unsigned script_flag(struct slice word);

/* A chunk to be run; *chunk is its number, until engine_drop. ERR_GENERIC with Lua's own sentence. */
int engine_compile(struct engine *e, struct slice code, int *chunk, struct err *err);
void engine_drop(struct engine *e, int chunk);

struct engine_run {
    int chunk;
    const char *name; /* the script's SHA-1, the function's name: for errors */
    const struct slice *keys, *args;
    int nkeys, nargs;
    bool as_globals;   /* KEYS and ARGV; otherwise they are the function's two arguments */
    bool counted;      /* out: the reply is an error which a command inside has reported already */
};
void engine_run(struct engine *e, struct engine_run *r, struct reply *to);
bool engine_running(const struct engine *e);

/* Runs a library's text; what it registers is handed to `add`, one function at a time: chunk is the new owner's. An
 * error that add returns becomes the script's. Limited to limit_ms. */
struct engine_function {
    struct slice name, about; /* about.p NULL: none */
    unsigned flags;
    int chunk;
};
int engine_load(struct engine *e, struct slice code, int64_t limit_ms,
                int (*add)(void *arg, const struct engine_function *f, struct err *err), void *arg, struct err *err);

#endif
