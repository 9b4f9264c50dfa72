/* EVAL and its kin, and SCRIPT: the scripts that clients send, kept compiled under the SHA-1 of their text.
 *
 * A script that came by EVAL alone may be forgotten: the CACHE_MAX used last are kept, so that clients which make a new
 * text for each call do not fill the memory. What came by SCRIPT LOAD stays until SCRIPT FLUSH. None of it survives a
 * restart: what scripts did is journaled, not the scripts. */
#include <ctype.h>
#include <stdlib.h>

#include "base/info.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/sha1.h"
#include "cmd/cmd_script.h"
#include "cmd/families.h"
#include "cmd/script.h"

#define CACHE_MAX 500 /* scripts that only EVAL has brought */

struct script {
    char sha[SHA1_HEX + 1];
    unsigned flags;
    int chunk;
    size_t bytes;          /* of its text */
    bool loaded;           /* SCRIPT LOAD: not in `recent` */
    struct list recent;
};

static struct slice script_key(const void *e)
{
    return slice_of(((const struct script *)e)->sha, SHA1_HEX);
}

static const struct dict_type scripts_type = {.key = script_key, .fold_case = true};
static struct dict scripts;
static struct list recent = {&recent, &recent}; /* the one used last at the end */
static size_t nrecent, text_bytes;
static uint64_t evicted;
static struct engine *engine;

static void forget(struct script *s)
{
    dict_remove(&scripts, script_key(s));
    engine_drop(engine, s->chunk);
    text_bytes -= s->bytes;
    if (!s->loaded) {
        list_del(&s->recent);
        nrecent--;
    }
    mem_free(s);
}

/* Compiles and keeps it. NULL: the reply says why not. */
static struct script *learn(struct call *c, struct slice body, const char *sha, bool loaded)
{
    struct err err;
    unsigned flags;
    size_t skip;
    int chunk;
    if (script_header(body, &flags, &skip, &err) < 0) {
        reply_errorf(c->reply, "ERR %s", err.msg);
        return NULL;
    }
    if (engine_compile(engine, slice_of(body.p + skip, body.len - skip), &chunk, &err) < 0) {
        reply_errorf(c->reply, "ERR Error compiling script (new function): %s", err.msg);
        return NULL;
    }
    if (!loaded && nrecent >= CACHE_MAX) {
        forget(list_entry(recent.next, struct script, recent));
        evicted++;
    }
    struct script *s = mem_zero(sizeof *s);
    memcpy(s->sha, sha, sizeof s->sha);
    s->flags = flags;
    s->chunk = chunk;
    s->bytes = body.len;
    s->loaded = loaded;
    list_init(&s->recent);
    if (!loaded) {
        list_add_tail(&recent, &s->recent);
        nrecent++;
    }
    text_bytes += s->bytes;
    dict_add(&scripts, s);
    return s;
}

static void run(struct call *c, struct script *s, bool read_only)
{
    char sha[SHA1_HEX + 1]; /* the script may be forgotten while it runs */
    struct script_start start = {.engine = engine, .flags = s->flags, .read_only = read_only, .eval = true};
    memcpy(sha, s->sha, sizeof sha);
    if (!s->loaded) {
        list_del(&s->recent);
        list_add_tail(&recent, &s->recent);
    }
    start.run = (struct engine_run){.chunk = s->chunk, .name = sha, .as_globals = true};
    if (script_keys(c, &start.run))
        script_execute(c, &start);
}

static void eval_text(struct call *c, bool read_only)
{
    struct engine_run checked;
    char sha[SHA1_HEX + 1];
    if (!script_keys(c, &checked))
        return;
    sha1_hex(call_arg(c, 1).p, call_arg(c, 1).len, sha);
    struct script *s = dict_find(&scripts, slice_of(sha, SHA1_HEX));
    if (!s)
        s = learn(c, call_arg(c, 1), sha, false);
    if (s)
        run(c, s, read_only);
}

static void eval_sha(struct call *c, bool read_only)
{
    struct script *s = call_arg(c, 1).len == SHA1_HEX ? dict_find(&scripts, call_arg(c, 1)) : NULL;
    if (!s)
        reply_errorf(c->reply, "NOSCRIPT No matching script. Please use EVAL.");
    else
        run(c, s, read_only);
}

/* > EVAL "return redis.call('SET', KEYS[1], ARGV[1])" 1 k v
 * < OK
 * > EVAL "return {KEYS[1], ARGV[1], 3.99, true, false, {ok = 'fine'}}" 1 key arg
 * < 1) "key"
 * < 2) "arg"
 * < 3) (integer) 3
 * < 4) (integer) 1
 * < 5) (nil)
 * < 6) fine
 * > EVAL "return redis.call('INCR', KEYS[1])" 1 k
 * < (error) ERR value is not an integer or out of range script: *, on @user_script:1.
 */
static void eval(struct call *c)
{
    eval_text(c, false);
}

/* > EVAL_RO "return redis.call('GET', KEYS[1])" 1 k
 * < (nil)
 * > EVAL_RO "return redis.call('SET', KEYS[1], 1)" 1 k
 * < (error) ERR Write commands are not allowed from read-only scripts. script: *
 */
static void eval_ro(struct call *c)
{
    eval_text(c, true);
}

/* > SCRIPT LOAD "return 'loaded'"
 * < "b534286061d4b9e4026607613b95c06c06015ae8"
 * > EVALSHA b534286061d4b9e4026607613b95c06c06015ae8 0
 * < "loaded"
 * > EVALSHA ffffffffffffffffffffffffffffffffffffffff 0
 * < (error) NOSCRIPT No matching script. Please use EVAL.
 */
static void evalsha(struct call *c)
{
    eval_sha(c, false);
}

/* > SCRIPT LOAD "return redis.call('EXISTS', KEYS[1])"
 * < "36470718001cbf79c047c6e440069970b40bb3b4"
 * > EVALSHA_RO 36470718001cbf79c047c6e440069970b40bb3b4 1 k
 * < (integer) 0
 */
static void evalsha_ro(struct call *c)
{
    eval_sha(c, true);
}

/* ---- SCRIPT ---- */

/* > SCRIPT LOAD "return 1"
 * < "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
 * > SCRIPT LOAD "return return"
 * < (error) ERR Error compiling script (new function): user_script:1: unexpected symbol near 'return'
 */
static void script_load(struct call *c)
{
    char sha[SHA1_HEX + 1];
    sha1_hex(call_arg(c, 2).p, call_arg(c, 2).len, sha);
    struct script *s = dict_find(&scripts, slice_of(sha, SHA1_HEX));
    if (s && !s->loaded) {
        s->loaded = true;
        list_del(&s->recent);
        nrecent--;
    }
    if (s || learn(c, call_arg(c, 2), sha, true))
        reply_bulk(c->reply, slice_of(sha, SHA1_HEX));
}

/* > SCRIPT LOAD "return 1"
 * < "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
 * > SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db ffffffffffffffffffffffffffffffffffffffff
 * < 1) (integer) 1
 * < 2) (integer) 0
 */
static void script_exists(struct call *c)
{
    reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++)
        reply_int(c->reply, dict_find(&scripts, call_arg(c, i)) != NULL);
}

static void drop_all(void)
{
    struct dict_iter it;
    struct script *s;
    for (dict_iter_begin(&it, &scripts); (s = dict_iter_next(&it));)
        mem_free(s);
    dict_iter_end(&it);
    dict_release(&scripts);
    dict_init(&scripts, &scripts_type);
    list_init(&recent);
    nrecent = text_bytes = 0;
    engine_destroy(engine);
    engine = engine_create(script_host());
}

/* > SCRIPT FLUSH
 * < OK
 * > SCRIPT FLUSH LATER
 * < (error) ERR SCRIPT FLUSH only support SYNC|ASYNC option
 */
static void script_flush(struct call *c)
{
    if (c->argc > 3 || (c->argc == 3 && !slice_is(call_arg(c, 2), "sync") && !slice_is(call_arg(c, 2), "async"))) {
        reply_errorf(c->reply, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
        return;
    }
    if (engine_running(engine)) { /* only DEBUG SET-DISABLE-DENY-SCRIPTS leads here */
        reply_errorf(c->reply, "ERR a script cannot flush the scripts");
        return;
    }
    drop_all();
    reply_ok(c->reply);
}

/* > SCRIPT KILL
 * < (error) NOTBUSY No scripts in execution right now.
 */
static void script_kill_command(struct call *c)
{
    script_kill(c, true);
}

/* There is no debugger. Turning it off is what every client may ask for; on is refused with a sentence.
 *
 * > SCRIPT DEBUG NO
 * < OK
 * > SCRIPT DEBUG YES
 * < (error) ERR the Lua debugger is not part of this server
 * > SCRIPT DEBUG MAYBE
 * < (error) ERR Use SCRIPT DEBUG YES/SYNC/NO
 */
static void script_debug(struct call *c)
{
    if (slice_is(call_arg(c, 2), "no"))
        reply_ok(c->reply);
    else if (slice_is(call_arg(c, 2), "yes") || slice_is(call_arg(c, 2), "sync"))
        reply_errorf(c->reply, "ERR the Lua debugger is not part of this server");
    else
        reply_errorf(c->reply, "ERR Use SCRIPT DEBUG YES/SYNC/NO");
}

/* > SCRIPT HELP
 * < 1) SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
 * < ...
 */
static void script_help(struct call *c)
{
    static const char *const lines[] = {
        "SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DEBUG (YES|SYNC|NO)",
        "    The Lua debugger is not part of this server; only NO is taken.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Which of these scripts are kept.",
        "FLUSH [ASYNC|SYNC]",
        "    Forget all scripts.",
        "KILL",
        "    Stop the script that runs, unless it has written.",
        "LOAD <script>",
        "    Keep a script without running it.",
        "HELP",
        "    Print this help.",
    };
    size_t n = sizeof lines / sizeof *lines;
    reply_array(c->reply, n);
    for (size_t i = 0; i < n; i++)
        reply_status(c->reply, lines[i]);
}

/* ---- INFO ---- */

size_t script_cache_bytes(void)
{
    return text_bytes + dict_count(&scripts) * sizeof(struct script) + dict_bytes(&scripts);
}

size_t script_engine_bytes(void)
{
    return engine_bytes(engine);
}

static void cached(struct buf *to)
{
    buf_addf(to, "%zu", dict_count(&scripts));
}

static void vm_eval(struct buf *to)
{
    buf_addf(to, "%zu", engine_bytes(engine));
}

static void scripts_eval(struct buf *to)
{
    buf_addf(to, "%zu", script_cache_bytes());
}

static void evicted_scripts(struct buf *to)
{
    buf_addf(to, "%llu", (unsigned long long)evicted);
}

static const struct info_row info[] = {
    {"Memory", "used_memory_vm_eval", INFO_GAUGE, vm_eval, NULL, NULL},
    {"Memory", "used_memory_lua", INFO_GAUGE, vm_eval, "skald_memory_lua_bytes", "Memory of EVAL's Lua"},
    {"Memory", "used_memory_scripts_eval", INFO_GAUGE, scripts_eval, NULL, NULL},
    {"Memory", "number_of_cached_scripts", INFO_GAUGE, cached, "skald_cached_scripts", "Scripts kept for EVALSHA"},
    {"Stats", "evicted_scripts", INFO_COUNTER, evicted_scripts, NULL, NULL},
};

void eval_boot(void)
{
    dict_init(&scripts, &scripts_type);
    engine = engine_create(script_host());
    INFO_REGISTER(info);
}

/* ---- rows ---- */

static bool eval_harmless(int argc, const struct slice *argv)
{
    unsigned flags;
    size_t skip;
    struct err err;
    return script_header(argv[1], &flags, &skip, &err) == 0 && (flags & SCRIPT_NO_WRITES);
}

static bool evalsha_harmless(int argc, const struct slice *argv)
{
    const struct script *s = argv[1].len == SHA1_HEX ? dict_find(&scripts, argv[1]) : NULL;
    return s && (s->flags & SCRIPT_NO_WRITES);
}

#define EVAL (CMD_NOSCRIPT | CMD_STALE | CMD_SKIP_MONITOR | CMD_NO_MANDATORY_KEYS | CMD_MOVABLEKEYS)
#define COST "Depends on the script."

/* clang-format off */
static const struct cmd subs[] = {
    {.name = "load", .run = script_load, .arity = 3, .flags = CMD_NOSCRIPT | CMD_STALE, .acl = ACL_SCRIPTING,
     .syntax = "script", .summary = "Keeps a script for EVALSHA.", .since = "2.6.0",
     .complexity = "O(N) in the length of the script."},
    {.name = "exists", .run = script_exists, .arity = -3, .flags = CMD_NOSCRIPT, .acl = ACL_SCRIPTING,
     .syntax = "sha1...", .summary = "Which scripts are kept.", .since = "2.6.0", .complexity = "O(N) in the names."},
    {.name = "flush", .run = script_flush, .arity = -2, .flags = CMD_NOSCRIPT, .acl = ACL_SCRIPTING,
     .syntax = "[ASYNC|SYNC]", .summary = "Forgets all scripts.", .since = "2.6.0",
     .complexity = "O(N) in the scripts."},
    {.name = "kill", .run = script_kill_command, .arity = 2, .flags = CMD_NOSCRIPT | CMD_ALLOW_BUSY,
     .acl = ACL_SCRIPTING, .syntax = "", .summary = "Stops the script that runs.", .since = "2.6.0",
     .complexity = "O(1)"},
    {.name = "debug", .run = script_debug, .arity = 3, .flags = CMD_NOSCRIPT, .acl = ACL_SCRIPTING,
     .syntax = "(YES|SYNC|NO)", .summary = "Turns the debugger off; there is none.", .since = "3.2.0",
     .complexity = "O(1)"},
    {.name = "help", .run = script_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_SCRIPTING,
     .syntax = "", .summary = "The subcommands.", .since = "5.0.0", .complexity = "O(1)"},
};

static const struct cmd rows[] = {
    {.name = "eval", .run = eval, .arity = -3, .flags = EVAL | CMD_MAY_REPLICATE, .acl = ACL_SCRIPTING,
     .keys = script_key_positions, .harmless = eval_harmless,
     .key_spec = "RW access update @2 keynum 0 1 1",
     .syntax = "script numkeys [key...] [arg...]", .summary = "Runs a script.", .since = "2.6.0", .complexity = COST},
    {.name = "evalsha", .run = evalsha, .arity = -3, .flags = EVAL | CMD_MAY_REPLICATE, .acl = ACL_SCRIPTING,
     .keys = script_key_positions, .harmless = evalsha_harmless,
     .key_spec = "RW access update @2 keynum 0 1 1",
     .syntax = "sha1 numkeys [key...] [arg...]", .summary = "Runs a script that is kept, by its SHA-1.",
     .since = "2.6.0", .complexity = COST},
    {.name = "eval_ro", .run = eval_ro, .arity = -3, .flags = EVAL | CMD_READONLY, .acl = ACL_SCRIPTING,
     .keys = script_key_positions, .key_spec = "RO access @2 keynum 0 1 1", .syntax = "script numkeys [key...] [arg...]",
     .summary = "Runs a script that must not write.", .since = "7.0.0", .complexity = COST},
    {.name = "evalsha_ro", .run = evalsha_ro, .arity = -3, .flags = EVAL | CMD_READONLY, .acl = ACL_SCRIPTING,
     .keys = script_key_positions, .key_spec = "RO access @2 keynum 0 1 1", .syntax = "sha1 numkeys [key...] [arg...]",
     .summary = "Runs a script that is kept and must not write.", .since = "7.0.0", .complexity = COST},
    {.name = "script", .arity = -2, .acl = ACL_SLOW, .syntax = "", .summary = "The scripts that are kept.",
     .since = "2.6.0", .complexity = "Depends on the subcommand.", .subs = subs, .nsubs = sizeof subs / sizeof *subs},
};
/* clang-format on */

const struct cmd_family script_family = CMD_FAMILY("scripting", rows);
