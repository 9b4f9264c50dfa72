/* FUNCTION and FCALL: libraries that the server keeps, and calls of what they registered.
 *
 * Libraries are data: every change of them is journaled as the command that it was, a compacted journal begins with a
 * FUNCTION LOAD for each, snapshots hold them. */
#include <stdlib.h>

#include "base/glob.h"
#include "base/info.h"
#include "base/mem.h"
#include "cmd/cmd_script.h"
#include "cmd/durable.h"
#include "cmd/families.h"
#include "cmd/function_lib.h"
#include "cmd/script.h"
#include "cmd/snapshot.h"
#include "persist/rdb_file.h"
#include "store/rdb.h"

#define LOAD_MS        500   /* how long a client's library may run to register its functions */
#define LOAD_AGAIN_MS  60000 /* and one that was accepted once, at a start */
#define RDB_FUNCTION   245   /* what stands before each library in a payload, as in a snapshot */

static struct engine *engine;
static struct library_set libraries;

static void changed(struct call *c)
{
    c->db->store->dirty++;
}

/* False, with a reply, while a function runs; only DEBUG SET-DISABLE-DENY-SCRIPTS leads there. */
static bool idle(struct call *c)
{
    if (!engine_running(engine))
        return true;
    reply_errorf(c->reply, "ERR a function cannot change the functions");
    return false;
}

static void too_many(struct call *c)
{
    struct slice sub = call_arg(c, 1);
    reply_errorf(c->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try FUNCTION HELP.",
                 (int)(sub.len < 128 ? sub.len : 128), sub.p);
}

/* ---- loading and deleting ---- */

/* > FUNCTION LOAD "#!lua name=mylib\nredis.register_function('add', function(keys, args) return args[1] + args[2] end)"
 * < "mylib"
 * > FCALL add 0 2 3
 * < (integer) 5
 * > FUNCTION LOAD "#!lua name=mylib\nredis.register_function('other', function() return 1 end)"
 * < (error) ERR Library 'mylib' already exists
 * > FUNCTION LOAD REPLACE "#!lua name=mylib\nredis.register_function('other', function() return 1 end)"
 * < "mylib"
 */
static void function_load(struct call *c)
{
    struct err err;
    struct library *l;
    bool replace = false;
    for (int i = 2; i < c->argc - 1; i++) {
        struct slice word = call_arg(c, i);
        if (!slice_is(word, "replace")) {
            reply_errorf(c->reply, "ERR Unknown option given: %.*s", (int)word.len, word.p);
            return;
        }
        replace = true;
    }
    if (!idle(c))
        return;
    int64_t limit = c->flags & CALL_REPLAY ? LOAD_AGAIN_MS : LOAD_MS;
    if (library_make(engine, call_arg(c, c->argc - 1), limit, &l, &err) < 0) {
        reply_errorf(c->reply, "ERR %s", err.msg);
        return;
    }
    if (library_add(&libraries, l, replace, engine, &err) < 0) {
        library_destroy(l, engine);
        reply_errorf(c->reply, "ERR %s", err.msg);
        return;
    }
    changed(c);
    reply_bulk(c->reply, l->name);
}

/* > FUNCTION LOAD "#!lua name=mylib\nredis.register_function('f', function() return 1 end)"
 * < "mylib"
 * > FUNCTION DELETE mylib
 * < OK
 * > FUNCTION DELETE mylib
 * < (error) ERR Library not found
 */
static void function_delete(struct call *c)
{
    if (!idle(c))
        return;
    if (!library_delete(&libraries, call_arg(c, 2), engine)) {
        reply_errorf(c->reply, "ERR Library not found");
        return;
    }
    changed(c);
    reply_ok(c->reply);
}

/* A new engine gives all memory back, whatever the old one's was spent on. */
static void clear(void)
{
    library_set_release(&libraries, engine);
    engine_destroy(engine);
    engine = engine_create(script_host());
}

/* > FUNCTION FLUSH
 * < OK
 * > FUNCTION FLUSH LATER
 * < (error) ERR FUNCTION FLUSH only supports SYNC|ASYNC option
 */
static void function_flush(struct call *c)
{
    if (c->argc > 3) {
        too_many(c);
        return;
    }
    if (c->argc == 3 && (!slice_is(call_arg(c, 2), "sync") && !slice_is(call_arg(c, 2), "async"))) {
        reply_errorf(c->reply, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
        return;
    }
    if (!idle(c))
        return;
    clear();
    changed(c);
    reply_ok(c->reply);
}

/* ---- telling ---- */

static void reply_flags(struct reply *r, unsigned flags)
{
    reply_set(r, (size_t)__builtin_popcount(flags));
    for (int i = 0; i < SCRIPT_FLAG_NAMES; i++)
        if (flags & 1u << i)
            reply_status(r, script_flag_names[i]);
}

static void reply_library(struct reply *r, const struct library *l, bool with_code)
{
    reply_map(r, with_code ? 4 : 3);
    reply_field_bulk(r, "library_name", l->name);
    reply_field_str(r, "engine", "LUA");
    reply_str(r, "functions");
    reply_array(r, (size_t)l->n);
    list_each (at, &l->functions) {
        const struct function *f = list_entry(at, struct function, link);
        reply_map(r, 3);
        reply_field_bulk(r, "name", f->name);
        reply_str(r, "description");
        if (f->about.p)
            reply_bulk(r, f->about);
        else
            reply_nil(r);
        reply_str(r, "flags");
        reply_flags(r, f->flags);
    }
    if (with_code)
        reply_field_bulk(r, "library_code", l->code);
}

/* > FUNCTION LIST
 * < (empty array)
 * > FUNCTION LOAD "#!lua name=mylib\nredis.register_function{function_name='f', callback=function() return 1 end, flags={'no-writes'}}"
 * < "mylib"
 * > FUNCTION LIST LIBRARYNAME my*
 * < 1) 1) "library_name"
 * <    2) "mylib"
 * <    3) "engine"
 * <    4) "LUA"
 * <    5) "functions"
 * <    6) 1) 1) "name"
 * <          2) "f"
 * <          3) "description"
 * <          4) (nil)
 * <          5) "flags"
 * <          6) 1) no-writes
 */
static void function_list(struct call *c)
{
    struct slice pattern = {0};
    bool with_code = false;
    for (int i = 2; i < c->argc; i++) {
        struct slice word = call_arg(c, i);
        if (!with_code && slice_is(word, "withcode")) {
            with_code = true;
        } else if (!pattern.p && slice_is(word, "libraryname")) {
            if (++i == c->argc) {
                reply_errorf(c->reply, "ERR library name argument was not given");
                return;
            }
            pattern = call_arg(c, i);
        } else {
            reply_errorf(c->reply, "ERR Unknown argument %.*s", (int)word.len, word.p);
            return;
        }
    }
    size_t place = reply_defer(c->reply), n = 0;
    struct dict_iter it;
    struct library *l;
    for (dict_iter_begin(&it, &libraries.libraries); (l = dict_iter_next(&it));)
        if (!pattern.p || glob_match(pattern, l->name, true)) {
            reply_library(c->reply, l, with_code);
            n++;
        }
    dict_iter_end(&it);
    reply_defer_array(c->reply, place, n);
}

/* > FUNCTION STATS
 * < 1) "running_script"
 * < 2) (nil)
 * < 3) "engines"
 * < 4) 1) "LUA"
 * <    2) 1) "libraries_count"
 * <       2) (integer) 0
 * <       3) "functions_count"
 * <       4) (integer) 0
 */
static void function_stats(struct call *c)
{
    const char *name;
    const struct call *running;
    int64_t ms;
    struct reply *r = c->reply;
    bool function = script_function_stats(&name, &running, &ms);
    if (script_running() && !function) {
        reply_errorf(r, "%s", script_busy_error());
        return;
    }
    reply_map(r, 2);
    reply_str(r, "running_script");
    if (function) {
        reply_map(r, 3);
        reply_field_str(r, "name", name);
        reply_str(r, "command");
        reply_array(r, (size_t)running->argc);
        for (int i = 0; i < running->argc; i++)
            reply_bulk(r, running->argv[i]);
        reply_field_int(r, "duration_ms", ms);
    } else {
        reply_nil(r);
    }
    reply_str(r, "engines");
    reply_map(r, 1);
    reply_str(r, "LUA");
    reply_map(r, 2);
    reply_field_int(r, "libraries_count", (int64_t)dict_count(&libraries.libraries));
    reply_field_int(r, "functions_count", (int64_t)dict_count(&libraries.functions));
}

/* > FUNCTION KILL
 * < (error) NOTBUSY No scripts in execution right now.
 */
static void function_kill(struct call *c)
{
    script_kill(c, false);
}

/* > FUNCTION HELP
 * < 1) FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
 * < ...
 */
static void function_help(struct call *c)
{
    static const char *const lines[] = {
        "FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "LOAD [REPLACE] <FUNCTION CODE>",
        "    Run a library, which registers its functions.",
        "DELETE <LIBRARY NAME>",
        "    Delete a library.",
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    The libraries and their functions.",
        "STATS",
        "    The function that runs, and how much is loaded.",
        "KILL",
        "    Stop the function that runs, unless it has written.",
        "FLUSH [ASYNC|SYNC]",
        "    Delete all libraries.",
        "DUMP",
        "    All libraries as bytes for RESTORE.",
        "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
        "    Load libraries from such bytes. FLUSH deletes all others first, APPEND (the default) refuses names that are",
        "    there, REPLACE replaces them.",
        "HELP",
        "    Print this help.",
    };
    size_t n = sizeof lines / sizeof *lines;
    reply_array(c->reply, n);
    for (size_t i = 0; i < n; i++)
        reply_status(c->reply, lines[i]);
}

/* ---- payloads ---- */

/* > FUNCTION DUMP
 * < "\n\x00]\x9b\\@\x0f\x7f\xa2\xda"
 */
static void function_dump(struct call *c)
{
    struct buf payload = {0};
    struct rdb_out out = {.to = &payload};
    struct dict_iter it;
    struct library *l;
    for (dict_iter_begin(&it, &libraries.libraries); (l = dict_iter_next(&it));) {
        rdb_put_u8(&out, RDB_FUNCTION);
        rdb_put_str(&out, l->code);
    }
    dict_iter_end(&it);
    rdb_put_footer(&out, 0);
    reply_bulk(c->reply, buf_slice(&payload));
    buf_release(&payload);
}

/* Every library of the payload into a set of their own. */
static int read_payload(struct slice payload, int64_t limit, struct library_set *to, struct err *err)
{
    struct rdb_in in;
    int rc = 0;
    if (!rdb_open_payload(payload, &in))
        return err_set(err, ERR_GENERIC, "DUMP payload version or checksum are wrong");
    while (rc == 0 && in.p < in.end) {
        struct library *l;
        if (rdb_get_u8(&in) != RDB_FUNCTION) {
            rc = err_set(err, ERR_GENERIC, "given type is not a function");
            break;
        }
        struct slice code = rdb_get_str(&in);
        if (in.bad)
            rc = err_set(err, ERR_GENERIC, "Failed loading library code");
        else if ((rc = library_make(engine, code, limit, &l, err)) == 0 &&
                 (rc = library_add(to, l, false, engine, err)) < 0)
            library_destroy(l, engine);
    }
    buf_release(&in.scratch);
    return rc;
}

/* > FUNCTION RESTORE x
 * < (error) ERR DUMP payload version or checksum are wrong
 * > FUNCTION RESTORE x SOMEHOW
 * < (error) ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.
 */
static void function_restore(struct call *c)
{
    struct err err;
    struct library_set set;
    bool flush = c->argc == 4 && slice_is(call_arg(c, 3), "flush");
    bool replace = c->argc == 4 && slice_is(call_arg(c, 3), "replace");
    if (c->argc > 4) {
        too_many(c);
        return;
    }
    if (c->argc == 4 && !flush && !replace && !slice_is(call_arg(c, 3), "append")) {
        reply_errorf(c->reply, "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.");
        return;
    }
    if (!idle(c))
        return;
    library_set_init(&set);
    int rc = read_payload(call_arg(c, 2), c->flags & CALL_REPLAY ? LOAD_AGAIN_MS : LOAD_MS, &set, &err);
    if (rc == 0 && flush)
        library_set_release(&libraries, engine);
    if (rc == 0)
        rc = library_join(&libraries, &set, replace, engine, &err);
    library_set_release(&set, engine);
    if (rc < 0) {
        reply_errorf(c->reply, "ERR %s", err.msg);
        return;
    }
    changed(c);
    reply_ok(c->reply);
}

/* ---- calling ---- */

static void call_function(struct call *c, bool read_only)
{
    struct function *f = function_find(&libraries, call_arg(c, 1));
    if (!f) {
        reply_errorf(c->reply, "ERR Function not found");
        return;
    }
    struct script_start start = {.engine = engine, .flags = f->flags, .read_only = read_only};
    start.run = (struct engine_run){.chunk = f->chunk, .name = f->name.p};
    int64_t n;
    if (!num_to_i64(call_arg(c, 2), &n))
        reply_errorf(c->reply, "ERR Bad number of keys provided");
    else if (script_keys(c, &start.run))
        script_execute(c, &start);
}

/* > FUNCTION LOAD "#!lua name=l\nredis.register_function('put', function(keys, args) return redis.call('SET', keys[1], args[1]) end)"
 * < "l"
 * > FCALL put 1 k v
 * < OK
 * > FCALL nosuch 0
 * < (error) ERR Function not found
 */
static void fcall(struct call *c)
{
    call_function(c, false);
}

/* > FUNCTION LOAD "#!lua name=l\nredis.register_function('f', function() return 1 end)"
 * < "l"
 * > FCALL_RO f 0
 * < (error) ERR Can not execute a script with write flag using *_ro command.
 */
static void fcall_ro(struct call *c)
{
    call_function(c, true);
}

/* ---- what survives ---- */

static int emit_libraries(durable_write *write, void *to)
{
    struct dict_iter it;
    struct library *l;
    int rc = 0;
    for (dict_iter_begin(&it, &libraries.libraries); rc >= 0 && (l = dict_iter_next(&it));)
        rc = write(to, 0, 3, (struct slice[]){SLICE("FUNCTION"), SLICE("LOAD"), l->code});
    dict_iter_end(&it);
    return rc;
}

static void emit_to_snapshot(struct rdb_writer *w)
{
    struct dict_iter it;
    struct library *l;
    for (dict_iter_begin(&it, &libraries.libraries); (l = dict_iter_next(&it));)
        rdb_write_function(w, l->code);
    dict_iter_end(&it);
}

static int load_from_snapshot(struct slice code, bool replace, struct err *err)
{
    struct library *l;
    int rc = library_make(engine, code, LOAD_AGAIN_MS, &l, err);
    if (rc == 0 && (rc = library_add(&libraries, l, replace, engine, err)) < 0)
        library_destroy(l, engine);
    return rc;
}

static void number_of_functions(struct buf *to)
{
    buf_addf(to, "%zu", dict_count(&libraries.functions));
}

static void number_of_libraries(struct buf *to)
{
    buf_addf(to, "%zu", dict_count(&libraries.libraries));
}

static void vm_functions(struct buf *to)
{
    buf_addf(to, "%zu", engine_bytes(engine));
}

static void vm_total(struct buf *to)
{
    buf_addf(to, "%zu", engine_bytes(engine) + script_engine_bytes());
}

static size_t library_bytes(void)
{
    return libraries.bytes + dict_bytes(&libraries.libraries) + dict_bytes(&libraries.functions);
}

static void functions_bytes(struct buf *to)
{
    buf_addf(to, "%zu", library_bytes());
}

static void scripts_bytes(struct buf *to)
{
    buf_addf(to, "%zu", library_bytes() + script_cache_bytes());
}

static const struct info_row info[] = {
    {"Memory", "number_of_functions", INFO_GAUGE, number_of_functions, "skald_functions", "Functions that are loaded"},
    {"Memory", "number_of_libraries", INFO_GAUGE, number_of_libraries, NULL, NULL},
    {"Memory", "used_memory_vm_functions", INFO_GAUGE, vm_functions, NULL, NULL},
    {"Memory", "used_memory_vm_total", INFO_GAUGE, vm_total, NULL, NULL},
    {"Memory", "used_memory_functions", INFO_GAUGE, functions_bytes, NULL, NULL},
    {"Memory", "used_memory_scripts", INFO_GAUGE, scripts_bytes, NULL, NULL},
};

void function_boot(void)
{
    static const struct snapshot_functions hooks = {.emit = emit_to_snapshot, .load = load_from_snapshot, .clear = clear};
    library_set_init(&libraries);
    engine = engine_create(script_host());
    durable_add_registry(emit_libraries);
    snapshot_set_functions(&hooks);
    INFO_REGISTER(info);
}

/* ---- rows ---- */

static bool fcall_harmless(int argc, const struct slice *argv)
{
    const struct function *f = function_find(&libraries, argv[1]);
    return f && (f->flags & SCRIPT_NO_WRITES);
}

#define FCALL (CMD_NOSCRIPT | CMD_STALE | CMD_SKIP_MONITOR | CMD_NO_MANDATORY_KEYS | CMD_MOVABLEKEYS)
#define CHANGES (CMD_WRITE | CMD_NOSCRIPT)

/* clang-format off */
static const struct cmd subs[] = {
    {.name = "load", .run = function_load, .arity = -3, .flags = CHANGES | CMD_DENYOOM, .acl = ACL_SCRIPTING,
     .syntax = "[REPLACE] function-code", .summary = "Loads a library.", .since = "7.0.0",
     .complexity = "O(1) (considering compilation time is redundant)"},
    {.name = "delete", .run = function_delete, .arity = 3, .flags = CHANGES, .acl = ACL_SCRIPTING,
     .syntax = "library-name", .summary = "Deletes a library.", .since = "7.0.0", .complexity = "O(1)"},
    {.name = "flush", .run = function_flush, .arity = -2, .flags = CHANGES, .acl = ACL_SCRIPTING,
     .syntax = "[ASYNC|SYNC]", .summary = "Deletes all libraries.", .since = "7.0.0",
     .complexity = "O(N) where N is the number of functions deleted"},
    {.name = "list", .run = function_list, .arity = -2, .flags = CMD_NOSCRIPT, .acl = ACL_SCRIPTING,
     .syntax = "[LIBRARYNAME library-name-pattern] [WITHCODE]", .summary = "The loaded libraries.", .since = "7.0.0",
     .complexity = "O(N) where N is the number of functions"},
    {.name = "stats", .run = function_stats, .arity = 2, .flags = CMD_NOSCRIPT | CMD_ALLOW_BUSY,
     .acl = ACL_SCRIPTING, .syntax = "", .summary = "The function that runs, and how much is loaded.",
     .since = "7.0.0", .complexity = "O(1)"},
    {.name = "kill", .run = function_kill, .arity = 2, .flags = CMD_NOSCRIPT | CMD_ALLOW_BUSY, .acl = ACL_SCRIPTING,
     .syntax = "", .summary = "Stops the function that runs.", .since = "7.0.0", .complexity = "O(1)"},
    {.name = "dump", .run = function_dump, .arity = 2, .flags = CMD_NOSCRIPT, .acl = ACL_SCRIPTING, .syntax = "",
     .summary = "All libraries as bytes.", .since = "7.0.0", .complexity = "O(N) where N is the number of functions"},
    {.name = "restore", .run = function_restore, .arity = -3, .flags = CHANGES | CMD_DENYOOM, .acl = ACL_SCRIPTING,
     .syntax = "serialized-value [FLUSH|APPEND|REPLACE]", .summary = "Loads libraries from bytes of FUNCTION DUMP.",
     .since = "7.0.0", .complexity = "O(N) where N is the number of functions on the payload"},
    {.name = "help", .run = function_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_SCRIPTING,
     .syntax = "", .summary = "The subcommands.", .since = "7.0.0", .complexity = "O(1)"},
};

static const struct cmd rows[] = {
    {.name = "fcall", .run = fcall, .arity = -3, .flags = FCALL | CMD_MAY_REPLICATE, .acl = ACL_SCRIPTING,
     .keys = script_key_positions, .harmless = fcall_harmless,
     .key_spec = "RW access update @2 keynum 0 1 1", .syntax = "function numkeys [key...] [arg...]",
     .summary = "Calls a function.", .since = "7.0.0", .complexity = "Depends on the function."},
    {.name = "fcall_ro", .run = fcall_ro, .arity = -3, .flags = FCALL | CMD_READONLY, .acl = ACL_SCRIPTING,
     .keys = script_key_positions, .key_spec = "RO access @2 keynum 0 1 1",
     .syntax = "function numkeys [key...] [arg...]", .summary = "Calls a function that must not write.",
     .since = "7.0.0", .complexity = "Depends on the function."},
    {.name = "function", .arity = -2, .acl = ACL_SLOW, .syntax = "", .summary = "Libraries of functions.",
     .since = "7.0.0", .complexity = "Depends on the subcommand.", .subs = subs, .nsubs = sizeof subs / sizeof *subs},
};
/* clang-format on */

const struct cmd_family function_family = CMD_FAMILY("scripting", rows);
