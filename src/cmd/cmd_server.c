/* Commands about the server: INFO, CONFIG, TIME, SHUTDOWN and the like. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/glob.h"
#include "base/info.h"
#include "base/mem.h"
#include "base/setting.h"
#include "cmd/cmd_command.h"
#include "cmd/cmd_server.h"
#include "cmd/dispatch.h"
#include "cmd/durable.h"
#include "cmd/errorstats.h"
#include "cmd/families.h"
#include "cmd/latency.h"
#include "cmd/script.h"
#include "cmd/snapshot.h"
#include "store/lazyfree.h"

static void info(struct call *c)
{
    struct buf text = {0};
    info_print(&text, c->argv + 1, c->argc - 1);
    reply_verbatim(c->reply, "txt", buf_slice(&text));
    buf_release(&text);
}

/* > TIME
 * < 1) "*"
 * < 2) "*"
 */
static void time_cmd(struct call *c)
{
    int64_t us = clock_wall_us();
    reply_array(c->reply, 2);
    reply_bulkf(c->reply, "%lld", (long long)us / 1000000);
    reply_bulkf(c->reply, "%lld", (long long)us % 1000000);
}

/* ---- CONFIG ---- */

struct config_get {
    struct call *c;
    size_t n;
};

static void config_get_one(const struct setting *s, void *arg)
{
    struct config_get *g = arg;
    bool wanted = false;
    for (int i = 2; i < g->c->argc && !wanted; i++) {
        struct slice pattern = call_arg(g->c, i);
        bool by_name = (s->flags & SETTING_HIDDEN) && !(s->flags & SETTING_ALIAS);
        wanted = by_name ? slice_is(pattern, s->name) : glob_match(pattern, slice_str(s->name), true);
    }
    if (!wanted)
        return;
    struct buf value = {0};
    setting_get(s, &value);
    reply_str(g->c->reply, s->name);
    reply_bulk(g->c->reply, buf_slice(&value));
    buf_release(&value);
    g->n++;
}

/* > CONFIG GET maxclient?
 * < 1) "maxclients"
 * < 2) "10000"
 */
static void config_get(struct call *c)
{
    struct config_get g = {.c = c};
    size_t place = reply_defer(c->reply);
    setting_each(config_get_one, &g);
    reply_defer_map(c->reply, place, g.n);
}

#define CONFIG_MAX 64

static bool config_check(struct call *c, const struct setting **s, int n)
{
    for (int i = 0; i < n; i++) {
        s[i] = setting_find(call_arg(c, 2 + 2 * i));
        if (!s[i]) {
            reply_errorf(c->reply, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                         (int)call_arg(c, 2 + 2 * i).len, call_arg(c, 2 + 2 * i).p);
            return false;
        }
        for (int k = 0; k < i; k++)
            if (s[k] == s[i]) {
                reply_errorf(c->reply,
                             "ERR CONFIG SET failed (possibly related to argument '%s') - duplicate parameter",
                             s[i]->name);
                return false;
            }
    }
    return true;
}

/* All or nothing: what was set before a failing pair is put back.
 *
 * > CONFIG SET timeout 60
 * < OK
 * > CONFIG GET timeout
 * < 1) "timeout"
 * < 2) "60"
 * > CONFIG SET timeout 0
 * < OK
 * > CONFIG SET no-such-setting 1
 * < (error) ERR Unknown option or number of arguments for CONFIG SET - 'no-such-setting'
 */
static void config_set(struct call *c)
{
    const struct setting *s[CONFIG_MAX] = {NULL};
    struct buf old[CONFIG_MAX] = {0};
    int n = (c->argc - 2) / 2, done = 0;
    struct err err = {0};
    if (c->argc % 2 || n > CONFIG_MAX) {
        reply_errorf(c->reply, "ERR wrong number of arguments for 'config|set' command");
        return;
    }
    if (!config_check(c, s, n))
        return;
    for (; done < n; done++) {
        setting_get(s[done], &old[done]);
        if ((s[done]->flags & SETTING_FIXED) && slice_eq(buf_slice(&old[done]), call_arg(c, 3 + 2 * done)))
            continue; /* tools write back whatever they read */
        if (setting_set(s[done], call_arg(c, 3 + 2 * done), false, &err) < 0)
            break;
    }
    if (done == n) {
        reply_ok(c->reply);
    } else {
        const char *why = strchr(err.msg, ':'); /* rows put their own name first */
        reply_errorf(c->reply, "ERR CONFIG SET failed (possibly related to argument '%s') - %s", s[done]->name,
                     why ? why + 2 : err.msg);
        for (int i = done - 1; i >= 0; i--)
            setting_set(s[i], buf_slice(&old[i]), false, NULL);
    }
    for (int i = 0; i <= done && i < n; i++)
        buf_release(&old[i]);
}

static void reset_entry(struct cmd_entry *e, void *arg)
{
    e->calls = e->usec = e->rejected = e->failed = 0;
    latency_forget(e);
    for (int i = 0; i < e->cmd->nsubs; i++)
        reset_entry(table_find_sub(e, slice_str(e->cmd->subs[i].name)), arg);
}

static void config_resetstat(struct call *c)
{
    struct store *s = c->db->store;
    s->stats.hits = s->stats.misses = s->stats.expired = s->stats.expired_elements = s->stats.evicted = 0;
    dispatch_stats = (struct dispatch_stats){0};
    lazyfree_done = 0;
    errorstats_reset();
    table_each(reset_entry, NULL);
    reply_ok(c->reply);
}

int (*server_config_rewrite)(struct err *err);

static void config_rewrite(struct call *c)
{
    struct err err;
    if (server_config_rewrite(&err) < 0)
        reply_errorf(c->reply, "ERR %s", err.msg);
    else
        reply_ok(c->reply);
}

static void config_help(struct call *c)
{
    static const char *const lines[] = {
        "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET <pattern> [<pattern> ...]",
        "    The settings whose names match, with their values.",
        "SET <name> <value> [<name> <value> ...]",
        "    Changes settings: all of them, or none.",
        "RESETSTAT",
        "    Sets the counters of INFO to zero.",
        "REWRITE",
        "    Writes the settings as they are into the configuration file.",
        "HELP",
        "    This text.",
    };
    reply_array(c->reply, sizeof lines / sizeof *lines);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        reply_status(c->reply, lines[i]);
}

/* ---- the rest ---- */

/* > SHUTDOWN ABORT
 * < (error) ERR No shutdown in progress.
 */
static void shutdown_cmd(struct call *c)
{
    if (c->argc == 2 && slice_is(call_arg(c, 1), "abort")) { /* a stop waits for nobody: it cannot be called off */
        reply_errorf(c->reply, "ERR No shutdown in progress.");
        return;
    }
    bool save = snapshot_wanted(), said = false, force = false;
    struct err err;
    for (int i = 1; i < c->argc; i++) {
        struct slice a = call_arg(c, i);
        if (slice_is(a, "nosave") || slice_is(a, "save")) {
            if (said)
                return call_syntax(c);
            said = true;
            save = slice_is(a, "save");
        } else if (slice_is(a, "force")) {
            force = true;
        } else if (!slice_is(a, "now")) {
            call_syntax(c);
            return;
        }
    }
    snapshot_stop();                  /* what it writes would be older than what is saved now */
    save = save && !script_running(); /* it has done half of what it does */
    if (save && snapshot_save(&err) < 0 && !force) {
        reply_errorf(c->reply, "ERR Errors trying to SHUTDOWN. Check logs.");
        return;
    }
    if (dispatch_gates.shutdown)
        dispatch_gates.shutdown();
}

static void bgrewriteaof(struct call *c)
{
    struct err err;
    if (durable_rewrite(&err) < 0)
        reply_errorf(c->reply, "ERR %s", err.msg);
    else
        reply_status(c->reply, "Background append only file rewriting started");
}

static void module_list(struct call *c)
{
    reply_array(c->reply, 0);
}

/* > MODULE HELP
 * < 1) MODULE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
 * < ...
 */
static void module_help(struct call *c)
{
    static const char *const lines[] = {
        "MODULE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "LIST",
        "    The loaded modules. There are none: modules cannot be loaded.",
        "HELP",
        "    Prints this help.",
    };
    call_help(c, lines, sizeof lines / sizeof *lines);
}

/* > LOLWUT
 * < "Skald speaks Redis ver. 7.2.4\n"
 */
static void lolwut(struct call *c)
{
    reply_verbatim(c->reply, "txt", SLICE("Skald speaks Redis ver. 7.2.4\n"));
}

/* Nobody follows this server in a way that it could hand its work over.
 *
 * > FAILOVER
 * < (error) ERR FAILOVER requires connected replicas.
 * > FAILOVER ABORT
 * < (error) ERR No failover in progress.
 * > FAILOVER TO
 * < (error) ERR syntax error
 */
static void failover(struct call *c)
{
    bool to = false, abort = false, force = false, timeout = false;
    for (int i = 1; i < c->argc; i++) {
        int64_t n;
        if (slice_is(call_arg(c, i), "to") && i + 2 < c->argc && !to) {
            if (!call_i64(c, i + 2, &n))
                return;
            to = true;
            i += 2;
        } else if (slice_is(call_arg(c, i), "timeout") && i + 1 < c->argc && !timeout) {
            if (!call_i64(c, ++i, &n))
                return;
            if (n <= 0) {
                reply_errorf(c->reply, "ERR FAILOVER timeout must be greater than 0");
                return;
            }
            timeout = true;
        } else if (slice_is(call_arg(c, i), "abort") && c->argc == 2) {
            abort = true;
        } else if (slice_is(call_arg(c, i), "force") && !force) {
            force = true;
        } else {
            call_syntax(c);
            return;
        }
    }
    if (abort)
        reply_errorf(c->reply, "ERR No failover in progress.");
    else if (force && (!to || !timeout))
        reply_errorf(c->reply, "ERR FAILOVER with force option requires both a timeout and target HOST and IP.");
    else
        reply_errorf(c->reply, "ERR FAILOVER requires connected replicas.");
}

static const struct cmd config_subs[] = {
    {.name = "get",
     .run = config_get,
     .arity = -3,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .syntax = "parameter...",
     .summary = "The values of settings that match patterns.",
     .since = "2.0.0",
     .complexity = "O(N) where N is all settings"},
    {.name = "set",
     .run = config_set,
     .arity = -4,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .syntax = "(parameter value)...",
     .summary = "Changes settings while the server runs.",
     .since = "2.0.0",
     .complexity = "O(N) where N is the settings given"},
    {.name = "resetstat",
     .run = config_resetstat,
     .arity = 2,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .syntax = "",
     .summary = "Sets the statistics of INFO back to zero.",
     .since = "2.0.0",
     .complexity = "O(1)"},
    {.name = "rewrite",
     .run = config_rewrite,
     .arity = 2,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .syntax = "",
     .summary = "Writes the settings as they are into the configuration file.",
     .since = "2.8.0",
     .complexity = "O(1)"},
    {.name = "help",
     .run = config_help,
     .arity = 2,
     .flags = CMD_LOADING | CMD_STALE,
     .syntax = "",
     .summary = "The subcommands of CONFIG.",
     .since = "5.0.0",
     .complexity = "O(1)"},
};

static const struct cmd module_subs[] = {
    {.name = "list",
     .run = module_list,
     .arity = 2,
     .flags = CMD_ADMIN | CMD_NOSCRIPT,
     .syntax = "",
     .summary = "Loaded modules; there are none.",
     .since = "4.0.0",
     .complexity = "O(1)"},
    {.name = "help",
     .run = module_help,
     .arity = 2,
     .flags = CMD_LOADING | CMD_STALE,
     .syntax = "",
     .summary = "The subcommands of MODULE.",
     .since = "5.0.0",
     .complexity = "O(1)"},
};

#define SUBS(table) .subs = (table), .nsubs = sizeof(table) / sizeof *(table)

static const struct cmd rows[] = {
    {.name = "info",
     .run = info,
     .arity = -1,
     .flags = CMD_LOADING | CMD_STALE,
     .acl = ACL_DANGEROUS,
     .syntax = "[section...]",
     .summary = "Figures about the server.",
     .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "time",
     .run = time_cmd,
     .arity = 1,
     .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
     .syntax = "",
     .summary = "The server's clock: seconds and microseconds.",
     .since = "2.6.0",
     .complexity = "O(1)"},
    {.name = "config",
     .arity = -2,
     .acl = ACL_SLOW,
     .syntax = "",
     .summary = "Settings.",
     .since = "2.0.0",
     .complexity = "Depends on the subcommand.",
     SUBS(config_subs)},
    {.name = "command",
     .run = command_all,
     .arity = -1,
     .flags = CMD_LOADING | CMD_STALE,
     .acl = ACL_CONNECTION,
     .syntax = "",
     .summary = "What commands there are.",
     .since = "2.8.13",
     .complexity = "O(N) where N is all commands",
     .subs = command_subs,
     .nsubs = 7},
    {.name = "module",
     .arity = -2,
     .acl = ACL_SLOW,
     .syntax = "",
     .summary = "Modules.",
     .since = "4.0.0",
     .complexity = "Depends on the subcommand.",
     SUBS(module_subs)},
    {.name = "lolwut",
     .run = lolwut,
     .arity = -1,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_READ,
     .syntax = "[VERSION version]",
     .summary = "Says what this is.",
     .since = "5.0.0",
     .complexity = "O(1)"},
    {.name = "failover",
     .run = failover,
     .arity = -1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE,
     .syntax = "[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]",
     .summary = "Hands the work over to a replica; there is none that could take it.",
     .since = "6.2.0",
     .complexity = "O(1)"},
    {.name = "shutdown",
     .run = shutdown_cmd,
     .arity = -1,
     .flags = CMD_ADMIN | CMD_ALLOW_BUSY | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_NO_MULTI,
     .syntax = "[NOSAVE|SAVE] [NOW] [FORCE] [ABORT]",
     .summary = "Stops the server cleanly.",
     .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "bgrewriteaof",
     .run = bgrewriteaof,
     .arity = 1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT,
     .syntax = "",
     .summary = "Compacts the journal in the background.",
     .since = "1.0.0",
     .complexity = "O(1)"},
};

const struct cmd_family server_family = CMD_FAMILY("server", rows);
