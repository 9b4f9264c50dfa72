/* Scripts as commands, see script.h. */
#include "cmd/script.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/setting.h"
#include "cmd/client.h"
#include "cmd/dispatch.h"
#include "cmd/effects.h"
#include "cmd/monitor.h"
#include "cmd/permission.h"

static int64_t threshold_ms; /* busy-reply-threshold */
static struct loop *loop;
static struct client *inside; /* runs the commands that scripts call */
bool script_allow_denied;

/* The script that runs; start NULL: none. */
static struct {
    struct script_start *start;
    struct call *call;
    int64_t since_us;
    bool no_memory;  /* over maxmemory, as it began */
    bool read_only, allow_oom;
    bool wrote;      /* from then on it cannot be stopped half done */
    bool killed;
    bool busy;       /* over the threshold: the log has it */
    bool abandoned;  /* the server stops: it ends half done, and nobody will know */
    int64_t turned_us; /* when others were served last */
} now;

bool script_running(void)
{
    return now.start != NULL;
}

/* ---- commands that a script calls ---- */

/* What the server's state has against writing: a disk that fails, followers that are missing. */
static int write_gates(struct err *err)
{
    int rc = dispatch_gates.disk ? dispatch_gates.disk(err) : 0;
    return rc < 0 || !dispatch_gates.followers ? rc : dispatch_gates.followers(err);
}

/* The permissions of who runs the script are those of its commands. */
static const char *no_permission(const struct cmd_entry *e, int argc, const struct slice *argv, struct err *err)
{
    enum permission p;
    struct client *caller = now.call->client;
    struct buf text = {0};
    if (permission_given(caller, e, argc, argv, ACL_CONTEXT_LUA, &p))
        return NULL;
    permission_text(&text, p, caller->user, e, SLICE(""), false);
    err_set(err, ERR_NOPERM, "-NOPERM ACL failure in script: %.*s", (int)text.len, text.p);
    buf_release(&text);
    return err->msg;
}

/* Why this command may not run, NULL when it may. A leading '-' says that the text has a code of its own. */
static const char *refusal(const struct cmd_entry *e, int argc, const struct slice *argv, struct err *err)
{
    const char *why;
    if (!e)
        return "Unknown Redis command called from script";
    const struct cmd *cmd = e->cmd;
    if (!cmd->run || !cmd_arity_ok(cmd, argc))
        return "Wrong number of args calling Redis command from script";
    if ((cmd->flags & CMD_NOSCRIPT) && !script_allow_denied)
        return "This Redis command is not allowed from script";
    if (cmd->flags & CMD_MODEL) {
        err_set(err, ERR_STATE, "-STATE %s calls a model and cannot run here", e->name);
        return err->msg;
    }
    if ((why = no_permission(e, argc, argv, err)))
        return why;
    bool writes = cmd->flags & (CMD_WRITE | CMD_REGISTRY);
    if (now.read_only && (writes || (cmd->flags & CMD_MAY_REPLICATE)))
        return "Write commands are not allowed from read-only scripts.";
    if (writes && !now.wrote && write_gates(err) < 0) {
        memmove(err->msg + 1, err->msg, sizeof err->msg - 2);
        err->msg[0] = '-';
        err->msg[sizeof err->msg - 1] = 0;
        return err->msg;
    }
    if ((cmd->flags & CMD_DENYOOM) && now.no_memory && !now.allow_oom && !now.wrote)
        return "-OOM command not allowed when used memory > 'maxmemory'.";
    return NULL;
}

static void call_command(int argc, const struct slice *argv, int resp, struct buf *out)
{
    struct err err;
    struct cmd_entry *e = dispatch_find(argc, argv);
    inside->reply = (struct reply){.out = out, .resp = resp};
    const char *why = refusal(e, argc, argv, &err);
    if (why) {
        reply_errorf(&inside->reply, "%s%s", *why == '-' ? "" : "ERR ", why + (*why == '-'));
        inside->reply.errors = 0;
        dispatch_refused(e, &inside->reply);
        return;
    }
    if (e->cmd->flags & (CMD_WRITE | CMD_REGISTRY))
        now.wrote = true;
    dispatch_inside(inside, e, argc, argv);
}

static void set_repl(int what)
{
    effects_skip(!(what & SCRIPT_REPL_AOF));
}

static int may_run(int argc, const struct slice *argv)
{
    struct cmd_entry *e = dispatch_find(argc, argv);
    if (!e || !e->cmd->run || !cmd_arity_ok(e->cmd, argc))
        return -1;
    int at;
    const struct user *u = now.call->client->user;
    return !u || u->unlimited || permission_ask(u, e, argc, argv, &at) == PERMISSION_YES;
}

/* ---- how long ---- */

#define TURN_US 500 /* the least time between two inner turns */

static void serve_others(int64_t at_us)
{
    if (!now.busy)
        log_warning("Slow script detected: still in execution after %lld milliseconds. You can try killing the script "
                    "using the %s KILL command. Script name is: %s.",
                    (long long)((at_us - now.since_us) / 1000), now.start->eval ? "SCRIPT" : "FUNCTION",
                    now.start->run.name);
    now.busy = true;
    now.turned_us = at_us;
    loop_turn_inside(loop);
    if (loop_stopping(loop)) {
        effects_abandon();
        now.abandoned = now.killed = true;
    }
}

/* Only for a connected client's script the loop is turned: others (a flow's) have frames on the stack that nobody has
 * looked at with that in mind. */
static bool look(void)
{
    int64_t at_us = clock_mono_us();
    bool own = now.call->client && now.call->client->conn;
    if (!now.killed && own && threshold_ms > 0 && (at_us - now.since_us) / 1000 >= threshold_ms &&
        at_us - now.turned_us >= TURN_US)
        serve_others(at_us);
    return !now.killed;
}

static struct engine_host host = {.call = call_command, .set_repl = set_repl, .may_run = may_run, .look = look};

const struct engine_host *script_host(void)
{
    return &host;
}

const char *script_busy_error(void)
{
    return now.start->eval ? "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
                           : "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";
}

void script_kill(struct call *c, bool eval)
{
    if (!now.start) {
        reply_errorf(c->reply, "NOTBUSY No scripts in execution right now.");
    } else if (now.wrote) {
        reply_errorf(c->reply,
                     "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either "
                     "wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.");
    } else if (eval != now.start->eval) {
        reply_errorf(c->reply, "%s", script_busy_error());
    } else {
        now.killed = true;
        reply_ok(c->reply);
    }
}

bool script_function_stats(const char **name, const struct call **call, int64_t *ms)
{
    if (!now.start || now.start->eval)
        return false;
    *name = now.start->run.name;
    *call = now.call;
    *ms = (clock_mono_us() - now.since_us) / 1000;
    return true;
}

/* ---- the run ---- */

bool script_keys(struct call *c, struct engine_run *run)
{
    int64_t n;
    if (!call_i64(c, 2, &n))
        return false;
    if (n > c->argc - 3) {
        reply_errorf(c->reply, "ERR Number of keys can't be greater than number of args");
        return false;
    }
    if (n < 0) {
        reply_errorf(c->reply, "ERR Number of keys can't be negative");
        return false;
    }
    run->keys = c->argv + 3;
    run->nkeys = (int)n;
    run->args = run->keys + n;
    run->nargs = c->argc - 3 - (int)n;
    return true;
}

int script_key_positions(int argc, const struct slice *argv, int *pos)
{
    int64_t n;
    if (argc < 3 || !num_to_i64(argv[2], &n) || n < 0 || n > argc - 3)
        return -1;
    int count = n < CMD_MAX_KEYS ? (int)n : CMD_MAX_KEYS;
    for (int i = 0; i < count; i++)
        pos[i] = 3 + i;
    return count;
}

/* What a script that says its flags is held to before it runs. */
static bool admit(struct call *c, const struct script_start *s, bool no_memory)
{
    struct err err;
    if (!(s->flags & SCRIPT_NO_WRITES)) {
        if (write_gates(&err) < 0) {
            reply_errorf(c->reply, "%s", err.msg);
            return false;
        }
        if (s->read_only) {
            reply_errorf(c->reply, "ERR Can not execute a script with write flag using *_ro command.");
            return false;
        }
    }
    if (no_memory && !(s->flags & (SCRIPT_ALLOW_OOM | SCRIPT_NO_WRITES))) {
        reply_errorf(c->reply, "OOM allow-oom flag is not set on the script, can not run it when used memory > "
                               "'maxmemory'");
        return false;
    }
    return true;
}

void script_execute(struct call *c, struct script_start *s)
{
    struct err err;
    bool no_memory = dispatch_gates.memory && dispatch_gates.memory(&err) < 0;
    if (now.start) { /* only DEBUG SET-DISABLE-DENY-SCRIPTS leads here */
        reply_errorf(c->reply, "ERR a script cannot run another one");
        return;
    }
    if (!(s->flags & SCRIPT_COMPAT) && !admit(c, s, no_memory))
        return;
    monitor_show(c->client, c->cmd, c->argc, c->argv);
    now.start = s;
    now.call = c;
    now.since_us = clock_mono_us();
    now.no_memory = no_memory;
    now.read_only = s->read_only || (s->flags & SCRIPT_NO_WRITES);
    now.allow_oom = s->flags & (SCRIPT_ALLOW_OOM | SCRIPT_NO_WRITES);
    now.wrote = now.killed = now.busy = now.abandoned = false;
    now.turned_us = 0;
    inside->db = c->db;
    inside->user = c->client->user; /* lent */
    engine_run(s->engine, &s->run, c->reply);
    inside->user = NULL;
    effects_skip(now.abandoned);
    if (s->run.counted)
        c->flags |= CALL_COUNTED;
    now.start = NULL;
}

/* ---- boot ---- */

static const struct setting rows[] = {
    {.name = "busy-reply-threshold", .kind = SETTING_INT, .at = &threshold_ms, .dflt = "5000", .max = INT64_MAX,
     .help = "After so many milliseconds of one script other clients are answered, with BUSY; 0: they wait."},
    {.name = "lua-time-limit", .kind = SETTING_INT, .at = &threshold_ms, .dflt = "5000", .max = INT64_MAX,
     .help = "The old name of busy-reply-threshold."},
};

void script_settings(void)
{
    SETTING_REGISTER(rows);
}

void script_boot(struct loop *l, const char *version)
{
    int major = 0, minor = 0, patch = 0;
    loop = l;
    sscanf(version, "%d.%d.%d", &major, &minor, &patch);
    host.version = version;
    host.version_num = major << 16 | minor << 8 | patch;
    inside = client_create(NULL);
    inside->flags |= CLIENT_SCRIPT;
}
