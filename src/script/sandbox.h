/* Runs a piece of Lua 5.1 that somebody else wrote, and lives to tell.
 *
 * The text is a chunk. `input` is a global (the JSON value handed in as tables, strings, numbers); the result is what
 * the chunk returns, or, when it returns nothing and has defined a global function `main`, what main(input) returns.
 * Each run has a Lua state of its own that is thrown away, so nothing leaks from one run into the next.
 *
 * Bounded: memory (every byte of the state), instructions, wall time, size of the result, and a cancel flag. A bound
 * that was hit cannot be caught by pcall. See README.md for what is in the state and what is not.
 *
 * Thread: any (meant for a worker); no keyspace access. */
#ifndef SCRIPT_SANDBOX_H
#define SCRIPT_SANDBOX_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/slice.h"

struct sandbox_limits {
    size_t memory;                /* bytes; 0: 32 MB */
    uint64_t instructions;        /* 0: 50 million */
    int64_t timeout_ms;           /* wall time from the start of the run; 0: 5000 */
    size_t output;                /* bytes of the result, counted as JSON text would be; 0: 1 MB */
    const atomic_bool *cancelled; /* NULL: nobody cancels */
};

/* Does it compile? name appears in errors: "code line 3: ...". */
int sandbox_check(struct slice code, const char *name, struct err *err);

/* *out is the caller's (cJSON_Delete); a chunk that returns nothing gives JSON null. Errors: ERR_INVALID for mistakes
 * in the script and for limits, ERR_CANCELLED when the flag was raised; *out is NULL then. */
int sandbox_run(struct slice code, const char *name, const cJSON *input, const struct sandbox_limits *limits,
                cJSON **out, struct err *err);

#endif
