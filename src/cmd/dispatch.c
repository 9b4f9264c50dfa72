#include "cmd/dispatch.h"

#include <ctype.h>
#include <stdio.h>

#include "auth/users.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cmd/block.h"
#include "cmd/call_park.h"
#include "cmd/effects.h"
#include "cmd/latency.h"
#include "cmd/monitor.h"
#include "cmd/multi.h"
#include "cmd/notify.h"
#include "cmd/pause.h"
#include "cmd/permission.h"
#include "cmd/push.h"
#include "cmd/script.h"
#include "cmd/slowlog.h"
#include "cmd/tracking.h"
#include "store/evict.h"

struct dispatch_stats dispatch_stats;
struct dispatch_gates dispatch_gates;
static struct store *store;
static struct client *current; /* on whose behalf things happen now; NULL: nobody's, or the server's */
static bool by_itself;         /* the next key that is touched went for its time or for memory */

struct store *dispatch_store(void)
{
    return store;
}

/* ---- what the keyspace reports ---- */

static void on_touched(void *arg, struct db *db, struct slice key)
{
    multi_touched(db, key);
    block_touched(db, key);
    if (tracking_clients)
        tracking_changed(by_itself ? NULL : current, key);
    by_itself = false;
}

static void on_notify(void *arg, enum notify_class cls, const char *event, struct slice key, int db)
{
    notify_event(cls, event, key, db);
}

static void on_expired(void *arg, struct db *db, struct slice key, bool evicted)
{
    effects_add(db->id, 2, (struct slice[]){SLICE("DEL"), key});
    by_itself = true;
}

/* A few hundred names a command: what expires at once may be any number. */
static void on_elements_expired(void *arg, struct db *db, struct slice key, size_t n, const struct slice *names)
{
    enum { AT_ONCE = 256 };
    struct slice argv[2 + AT_ONCE] = {SLICE("HDEL"), key};
    for (size_t i = 0; i < n; i += AT_ONCE) {
        size_t some = n - i < AT_ONCE ? n - i : AT_ONCE;
        memcpy(argv + 2, names + i, some * sizeof *argv);
        effects_add(db->id, (int)some + 2, argv);
    }
}

static void on_flushed(void *arg, struct db *db)
{
    multi_flushed(db);
    block_flushed(db);
    if (tracking_clients)
        tracking_flushed();
}

void dispatch_boot(struct store *s)
{
    store = s;
    s->hooks =
        (struct store_hooks){.touched = on_touched, .notify = on_notify, .expired = on_expired,
                             .elements_expired = on_elements_expired, .flushed = on_flushed};
}

/* ---- checks before a handler runs ---- */

static void refuse(struct client *c, struct cmd_entry *e)
{
    dispatch_stats.rejected++;
    if (e)
        e->rejected++;
    if (c->flags & CLIENT_MULTI)
        c->flags |= CLIENT_DIRTY_EXEC;
}

static void unknown_command(struct client *c, int argc, const struct slice *argv)
{
    struct buf args = {.max = 256};
    for (int i = 1; i < argc && args.len < 128; i++) {
        size_t room = 128 - args.len;
        buf_addf(&args, "'%.*s' ", (int)(argv[i].len < room ? argv[i].len : room), argv[i].p);
    }
    reply_errorf(&c->reply, "ERR unknown command '%.*s', with args beginning with: %.*s",
                 (int)(argv[0].len < 128 ? argv[0].len : 128), argv[0].p, (int)args.len, args.len ? args.p : "");
    buf_release(&args);
}

/* A web page can make a browser POST text to this port; its lines must not run as inline commands. */
static bool web_request(struct client *c, struct slice word)
{
    static int64_t logged_ms;
    if (!slice_is(word, "post") && !slice_is(word, "host:"))
        return false;
    if (logged_ms == 0 || clock_mono_ms() - logged_ms > 60000)
        log_warning("possible attack: a client speaks HTTP to this port (a web page, cross-protocol); it is closed");
    logged_ms = clock_mono_ms();
    c->flags |= CLIENT_CLOSE_SOON;
    return true;
}

/* known: what table_find says of argv[0], when somebody has asked already; else NULL. */
static struct cmd_entry *lookup(struct client *c, int argc, const struct slice *argv, const struct cmd_entry *known)
{
    struct cmd_entry *e = known ? (struct cmd_entry *)known : table_find(argv[0]);
    if (!e) {
        if (!web_request(c, argv[0]))
            unknown_command(c, argc, argv);
        return NULL;
    }
    if (e->cmd->nsubs && argc > 1) {
        struct cmd_entry *sub = table_find_sub(e, argv[1]);
        if (sub) {
            e = sub;
        } else if (!e->cmd->run) {
            char name[32] = "";
            for (size_t i = 0; i < sizeof name - 1 && e->cmd->name[i]; i++)
                name[i] = (char)toupper((unsigned char)e->cmd->name[i]);
            reply_errorf(&c->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.",
                         (int)(argv[1].len < 128 ? argv[1].len : 128), argv[1].p, name);
            return NULL;
        }
    }
    if (!e->cmd->run || !cmd_arity_ok(e->cmd, argc)) {
        reply_errorf(&c->reply, "ERR wrong number of arguments for '%s' command", e->name);
        refuse(c, e);
        return NULL;
    }
    return e;
}

/* A transaction is held to the disk and memory checks of what was queued in it, at EXEC. */
static unsigned flags_to_check(const struct client *c, const struct cmd *cmd)
{
    return (c->flags & CLIENT_MULTI) && slice_is(slice_str(cmd->name), "exec") ? multi_flags(c) : cmd->flags;
}

/* Whether anything at all may stand against this command: a look at a few words in place of the checks one by one. A new
 * check needs its condition here, too. */
static inline bool may_be_refused(const struct client *c, const struct cmd *cmd)
{
    return !c->authed || (c->user && !c->user->unlimited) || (c->flags & CLIENT_MULTI) || c->sub || store->loading ||
           script_running() || (cmd->flags & (CMD_DENYOOM | CMD_WRITE | CMD_REGISTRY | CMD_MODEL));
}

/* True when the command may run; otherwise the reply says why not. */
static bool admit(struct client *c, struct cmd_entry *e, int argc, const struct slice *argv)
{
    const struct cmd *cmd = e->cmd;
    unsigned flags = flags_to_check(c, cmd);
    struct err err;
    if (!c->authed && !(cmd->flags & CMD_NO_AUTH) && !users_default_open()) {
        reply_errorf(&c->reply, "NOAUTH Authentication required.");
        return false;
    }
    if (!permission_or_reply(c, e, argc, argv,
                             c->flags & CLIENT_MULTI ? ACL_CONTEXT_MULTI : ACL_CONTEXT_TOPLEVEL))
        return false;
    if (script_running() && !(cmd->flags & CMD_ALLOW_BUSY)) {
        reply_errorf(&c->reply, "%s", script_busy_error());
        return false;
    }
    if ((flags & CMD_DENYOOM) && dispatch_gates.memory && dispatch_gates.memory(&err) < 0) {
        reply_err(&c->reply, &err);
        return false;
    }
    bool writes =
        flags & (CMD_WRITE | CMD_REGISTRY) || ((flags & CMD_MODEL) && cmd->first); /* LLM.CHAT adds to its key */
    if (writes && dispatch_gates.disk && dispatch_gates.disk(&err) < 0) {
        reply_errorf(&c->reply, "%s", err.msg);
        return false;
    }
    if (writes && dispatch_gates.followers && dispatch_gates.followers(&err) < 0) {
        reply_errorf(&c->reply, "%s", err.msg);
        return false;
    }
    if (store->loading && !(cmd->flags & CMD_LOADING)) {
        reply_errorf(&c->reply, "LOADING Skald is loading the dataset in memory");
        return false;
    }
    if (c->sub && c->reply.resp == 2 && client_subscriptions(c) && !(cmd->flags & CMD_SUBSCRIBED)) {
        reply_errorf(&c->reply,
                     "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed "
                     "in this context",
                     e->name);
        return false;
    }
    if ((c->flags & CLIENT_MULTI) && (cmd->flags & CMD_NO_MULTI)) {
        reply_errorf(&c->reply, "ERR Command not allowed inside a transaction");
        return false;
    }
    if ((c->flags & CLIENT_MULTI) && (cmd->flags & CMD_MODEL)) {
        reply_errorf(&c->reply, "STATE %s calls a model and cannot run inside MULTI; run it outside", e->name);
        return false;
    }
    return true;
}

/* ---- running ---- */

static void run(struct client *c, struct cmd_entry *e, int argc, const struct slice *argv, unsigned flags, uint64_t lsn)
{
    struct frame frame = {.entry = e};
    struct call call = {
        .client = c,
        .cmd = e->cmd,
        .argc = argc,
        .argv = argv,
        .db = c->db,
        .reply = &c->reply,
        .flags = flags,
        .lsn = lsn,
        .start_us = flags & CALL_INTERNAL ? clock_sample() : clock_sampled_us(),
        .park = &frame,
    };
    uint64_t dirty = store->dirty;
    bool top = store->command_ms == 0;
    if (top)
        store->command_ms = clock_sampled_wall_ms();
    if (top && (c->flags & CLIENT_NO_TOUCH))
        store->no_touch = strcmp(e->cmd->name, "touch") != 0;
    effects_begin();
    e->cmd->run(&call);
    if (!(e->cmd->flags & CMD_SKIP_MONITOR))
        monitor_show(c, e->cmd, argc, argv);
    if (tracking_clients && current)
        tracking_ran(current, e, argc, argv, flags & CALL_SCRIPT);
    if (!(call.flags & CALL_PARKED))
        dispatch_after(&call, e, dirty);
    if (e->cmd->flags & CMD_READONLY)
        effects_apart(); /* keys that it found expired */
    effects_end();
    if (top)
        store->command_ms = store->no_touch = 0;
}

/* The end of a call whose reply is written: its effects, its statistics, and whether the reply must wait for the disk.
 */
void dispatch_after(struct call *c, struct cmd_entry *e, uint64_t dirty_before)
{
    const struct cmd *cmd = e->cmd;
    if ((cmd->flags & CMD_WRITE) && !(c->flags & (CALL_NO_EFFECT | CALL_REPLAY | CALL_PARKED)) &&
        store->dirty != dirty_before)
        effects_add_last(c->db->id, c->argc, c->argv);
    if (c->reply->errors) {
        e->failed++;
        if (!(c->flags & CALL_COUNTED))
            dispatch_stats.errors++;
    }
    e->calls++;
    int64_t us = clock_sample() - c->start_us; /* and the next command of a pipeline begins now */
    e->usec += (uint64_t)us;
    if (!(c->flags & (CALL_INTERNAL | CALL_REPLAY)))
        slowlog_note(c, c->flags & CALL_PARKED ? 0 : us); /* waiting is not slowness */
    if (!(c->flags & (CALL_REPLAY | CALL_PARKED)))
        latency_command(e, us);
    dispatch_stats.commands++;
    if (c->flags & CALL_PARKED) {
        if (c->client && tracking_clients)
            tracking_ran(c->client, e, c->argc, c->argv, false);
        if (c->client && dispatch_gates.after_write)
            dispatch_gates.after_write(c->client, cmd);
        block_serve();
    }
}

/* What SUBSCRIBE and its kin answer are pushes: CLIENT REPLY OFF does not hold them back. */
static bool is_subscription(const struct cmd *cmd)
{
    return (cmd->flags & CMD_PUBSUB) && (cmd->flags & CMD_SUBSCRIBED);
}

/* CLIENT CACHING is for the next command or transaction; other CLIENT commands may come between. */
static void end_caching(struct client *c, const struct cmd_entry *e)
{
    if (!(c->flags & CLIENT_MULTI) && !(e && e->parent && slice_is(slice_str(e->parent->name), "client")))
        c->tracking->flags &= ~(unsigned)TRACKING_CACHING;
}

static unsigned flags_to_pause(const struct client *c, const struct cmd *cmd, int argc, const struct slice *argv)
{
    unsigned own = pause_flags(cmd, argc, argv);
    return own == cmd->flags ? flags_to_check(c, cmd) : own;
}

/* What was pushed to the client before its command runs (keys that were evicted for it) goes before the reply. Returns
 * where that reply begins. */
static size_t early_pushes(struct client *c, size_t before)
{
    if (!c->later.len)
        return before;
    push_early(c);
    return c->reply.out->len;
}

/* Whoever comes first makes the room that others have used; a script is not disturbed. */
static void keep_limits(void)
{
    if (evict_maxmemory && !script_running())
        evict_make_room(store, NULL);
    tracking_limit();
}

struct client *dispatch_current(struct client *c)
{
    struct client *before = current;
    current = c;
    return before;
}

void dispatch_request(struct client *c, const struct resp_request *r)
{
    int argc = r->argc;
    const struct slice *argv = r->argv;
    c->reply.errors = 0;
    c->last_ms = clock_sampled_us() / 1000;
    c->commands++;
    if (c->flags & CLIENT_REPLY_SKIP_NEXT)
        c->flags = (c->flags & ~CLIENT_REPLY_SKIP_NEXT) | CLIENT_REPLY_SKIP;
    bool held = push_hold(c);
    struct client *outer = dispatch_current(c->conn ? c : current);
    size_t before = c->reply.out->len;
    struct cmd_entry *e = lookup(c, argc, argv, r->what);
    if (tracking_clients || evict_maxmemory)
        keep_limits();
    if (!e || (may_be_refused(c, e->cmd) && !admit(c, e, argc, argv))) {
        refuse(c, e);
        if (slice_is(argv[0], "exec"))
            multi_abort(c, before);
    } else if (pause_mode != PAUSE_OFF && pause_holds(c, flags_to_pause(c, e->cmd, argc, argv))) {
        c->commands--;
        if (held)
            push_release(c);
        dispatch_current(outer);
        return;
    } else if ((c->flags & CLIENT_MULTI) && multi_queues(e->cmd)) {
        before = early_pushes(c, before);
        multi_queue(c, pause_flags(e->cmd, argc, argv), argc, argv);
        reply_status(&c->reply, "QUEUED");
    } else {
        before = early_pushes(c, before);
        c->last_cmd = e->name;
        if (r->hashed && e == r->what) {
            store->known.key = argv[e->cmd->first];
            store->known.hash = r->hash;
        }
        run(c, e, argc, argv, c->flags & CLIENT_INTERNAL ? CALL_INTERNAL : 0, 0);
        if (!c->parked && dispatch_gates.after_write)
            dispatch_gates.after_write(c, e->cmd);
        store->known.key.len = SIZE_MAX;
        block_serve();
    }
    if (c->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP)) {
        if (!e || !is_subscription(e->cmd) || c->reply.errors)
            c->reply.out->len = before;
        c->flags &= ~(unsigned)CLIENT_REPLY_SKIP;
    }
    if (tracking_clients) {
        tracking_settle();
        if (c->tracking)
            end_caching(c, e);
    }
    if (held)
        push_release(c);
    dispatch_current(outer);
    if (c->conn) {
        conn_wrote(c->conn);
        if (c->flags & CLIENT_CLOSE_SOON)
            conn_close_soon(c->conn);
    }
}

void dispatch_command(struct client *c, int argc, struct slice *argv)
{
    dispatch_request(c, &(struct resp_request){.argc = argc, .argv = argv});
}

/* What was allowed when it was queued may not be any more at EXEC. */
static bool still_permitted(struct client *c, const struct cmd_entry *e, int argc, const struct slice *argv)
{
    static const char *const reasons[] = {
        [PERMISSION_NO_COMMAND] = "no permission to execute the command or subcommand",
        [PERMISSION_NO_KEY] = "no permission to touch the specified keys",
        [PERMISSION_NO_CHANNEL] = "no permission to access one of the channels used as arguments to the command",
    };
    enum permission why;
    if (c->flags & CLIENT_INTERNAL)
        return permission_or_reply(c, e, argc, argv, ACL_CONTEXT_TOPLEVEL);
    if (permission_given(c, e, argc, argv, ACL_CONTEXT_MULTI, &why))
        return true;
    reply_errorf(&c->reply,
                 "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This "
                 "command is no longer allowed for the following reason: %s",
                 reasons[why]);
    return false;
}

void dispatch_queued(struct client *c, int argc, const struct slice *argv)
{
    unsigned errors = c->reply.errors;
    c->reply.errors = 0;
    struct cmd_entry *e = lookup(c, argc, argv, NULL);
    if (e && (e->cmd->flags & CMD_MODEL))
        reply_errorf(&c->reply, "STATE %s calls a model and cannot run here", e->name);
    else if (e && still_permitted(c, e, argc, argv))
        run(c, e, argc, argv, CALL_ATOMIC | (c->flags & CLIENT_INTERNAL ? CALL_INTERNAL : 0), 0);
    c->reply.errors += errors;
}

struct cmd_entry *dispatch_find(int argc, const struct slice *argv)
{
    struct cmd_entry *e = table_find(argv[0]), *sub = NULL;
    if (e && e->cmd->nsubs && argc > 1) {
        sub = table_find_sub(e, argv[1]);
        return sub ? sub : e->cmd->run ? e : NULL;
    }
    return e;
}

void dispatch_refused(struct cmd_entry *e, struct reply *r)
{
    r->errors++;
    dispatch_stats.rejected++;
    dispatch_stats.errors++;
    if (e)
        e->rejected++;
}

void dispatch_inside(struct client *c, struct cmd_entry *e, int argc, const struct slice *argv)
{
    c->reply.errors = 0;
    run(c, e, argc, argv, CALL_ATOMIC | CALL_INTERNAL | CALL_SCRIPT, 0);
}

/* ---- replay ---- */

int dispatch_replay(int db, int argc, const struct slice *argv, uint64_t lsn, struct err *err)
{
    static struct client *self;
    static struct buf out;
    if (!self)
        self = client_create(NULL);
    if (db < 0 || db >= store->ndbs)
        return err_set(err, ERR_INVALID, "database %d does not exist; raise `databases`", db);
    buf_clear(&out);
    self->db = &store->dbs[db];
    self->reply = (struct reply){.out = &out, .resp = 2};
    struct cmd_entry *e = lookup(self, argc, argv, NULL);
    if (e)
        run(self, e, argc, argv, CALL_ATOMIC | CALL_INTERNAL | CALL_REPLAY, lsn);
    if (out.len && out.p[0] == '-') {
        const char *eol = memchr(out.p, '\r', out.len);
        return err_set(err, ERR_GENERIC, "%.*s", eol ? (int)(eol - out.p - 1) : (int)out.len - 1, out.p + 1);
    }
    return 0;
}
