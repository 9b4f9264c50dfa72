/* Commands about the connection itself. */
#include <stdio.h>

#include "auth/users.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/block.h"
#include "cmd/cmd_client.h"
#include "cmd/client.h"
#include "cmd/dispatch.h"
#include "cmd/families.h"
#include "cmd/multi.h"
#include "cmd/permission.h"
#include "cmd/tracking.h"

/* > PING
 * < PONG
 * > PING "hello"
 * < "hello"
 */
static void ping(struct call *c)
{
    if (c->argc > 2) {
        reply_errorf(c->reply, "ERR wrong number of arguments for 'ping' command");
        return;
    }
    if (c->client && c->reply->resp == 2 && client_subscriptions(c->client)) {
        reply_array(c->reply, 2);
        reply_field_bulk(c->reply, "pong", c->argc == 2 ? call_arg(c, 1) : SLICE(""));
    } else if (c->argc == 2) {
        reply_bulk(c->reply, call_arg(c, 1));
    } else {
        reply_status(c->reply, "PONG");
    }
}

/* > ECHO "say it again"
 * < "say it again"
 */
static void echo(struct call *c)
{
    reply_bulk(c->reply, call_arg(c, 1));
}

static void quit(struct call *c)
{
    reply_ok(c->reply);
    c->client->flags |= CLIENT_CLOSE_SOON;
}

/* > SELECT 1
 * < OK
 * > SELECT 99999
 * < (error) ERR DB index is out of range
 */
static void select_db(struct call *c)
{
    int64_t n;
    if (!call_range(c, 1, INT32_MIN, INT32_MAX, &n))
        return;
    if (n < 0 || n >= c->db->store->ndbs) {
        reply_errorf(c->reply, "ERR DB index is out of range");
        return;
    }
    c->client->db = &c->db->store->dbs[n];
    reply_ok(c->reply);
}

static bool authenticate(struct call *c, struct slice name, struct slice password)
{
    struct user *who;
    struct err err;
    if (users_login(name, password, &who, &err) < 0) {
        permission_log_login(c->client, call_arg(c, 0), name);
        reply_errorf(c->reply, "%s", err.msg);
        return false;
    }
    client_set_user(c->client, who, true);
    return true;
}

static void auth(struct call *c)
{
    if (c->argc > 3) {
        call_syntax(c);
        return;
    }
    if (c->argc == 2 && (users_default()->flags & USER_NOPASS)) {
        reply_errorf(c->reply, "ERR AUTH <password> called without any password configured for the default user. Are you "
                               "sure your configuration is correct?");
        return;
    }
    if (authenticate(c, c->argc == 3 ? call_arg(c, 1) : SLICE("default"), call_arg(c, c->argc - 1)))
        reply_ok(c->reply);
}

static bool good_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] < '!' || s.p[i] > '~')
            return false;
    return true;
}

static void set_text(char **at, struct slice s)
{
    mem_free(*at);
    *at = s.len ? mem_dup(s.p, s.len) : NULL;
}

static bool set_name(struct call *c, struct slice name)
{
    if (!good_name(name)) {
        reply_errorf(c->reply, "ERR Client names cannot contain spaces, newlines or special characters.");
        return false;
    }
    set_text(&c->client->name, name);
    return true;
}

static void hello_reply(struct call *c)
{
    struct reply *r = c->reply;
    reply_map(r, 7);
    reply_field_str(r, "server", "redis");
    reply_field_str(r, "version", "7.2.4");
    reply_field_int(r, "proto", r->resp);
    reply_field_int(r, "id", (int64_t)c->client->id);
    reply_field_str(r, "mode", "standalone");
    reply_field_str(r, "role", "master");
    reply_str(r, "modules");
    reply_array(r, 0);
}

static void hello(struct call *c)
{
    int64_t version = c->reply->resp;
    int i = 1;
    if (c->argc > 1 && !num_to_i64(call_arg(c, i++), &version)) {
        reply_errorf(c->reply, "ERR Protocol version is not an integer or out of range");
        return;
    }
    if (version < 2 || version > 3) {
        reply_errorf(c->reply, "NOPROTO unsupported protocol version");
        return;
    }
    for (; i < c->argc; i++) {
        int left = c->argc - i - 1;
        if (slice_is(call_arg(c, i), "auth") && left >= 2) {
            if (!authenticate(c, call_arg(c, i + 1), call_arg(c, i + 2)))
                return;
            i += 2;
        } else if (slice_is(call_arg(c, i), "setname") && left >= 1) {
            if (!set_name(c, call_arg(c, i + 1)))
                return;
            i++;
        } else {
            reply_errorf(c->reply, "ERR Syntax error in HELLO option '%.*s'", (int)call_arg(c, i).len, call_arg(c, i).p);
            return;
        }
    }
    if (!c->client->authed && !users_default_open()) {
        reply_errorf(c->reply, "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> "
                               "AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
                               "protocol version at the same time");
        return;
    }
    c->client->reply.resp = (int)version;
    hello_reply(c);
}

static void reset(struct call *c)
{
    struct client *k = c->client;
    multi_release(k);
    k->flags &= ~(unsigned)(CLIENT_MULTI | CLIENT_DIRTY_CAS | CLIENT_DIRTY_EXEC | CLIENT_REPLY_OFF | CLIENT_NO_EVICT |
                            CLIENT_NO_TOUCH | CLIENT_MONITOR);
    pubsub_sub_destroy(k->sub);
    k->sub = NULL;
    tracking_stop(k);
    if (k->conn)
        conn_set_pubsub(k->conn, false);
    k->db = &c->db->store->dbs[0];
    k->reply.resp = 2;
    client_set_user(k, users_default(), users_default_open());
    set_text(&k->name, SLICE(""));
    reply_status(c->reply, "RESET");
}

/* ---- CLIENT ---- */

static void client_id(struct call *c)
{
    reply_int(c->reply, (int64_t)c->client->id);
}

/* > CLIENT SETNAME worker-1
 * < OK
 * > CLIENT GETNAME
 * < "worker-1"
 */
static void client_setname(struct call *c)
{
    if (set_name(c, call_arg(c, 2)))
        reply_ok(c->reply);
}

static void client_getname(struct call *c)
{
    if (c->client->name)
        reply_str(c->reply, c->client->name);
    else
        reply_nil(c->reply);
}

static void client_setinfo(struct call *c)
{
    struct slice what = call_arg(c, 2), text = call_arg(c, 3);
    bool name = slice_is(what, "lib-name");
    if (!name && !slice_is(what, "lib-ver")) {
        reply_errorf(c->reply, "ERR Unrecognized option '%.*s'", (int)what.len, what.p);
        return;
    }
    if (!good_name(text)) {
        reply_errorf(c->reply, "ERR %.*s cannot contain spaces, newlines or special characters.", (int)what.len, what.p);
        return;
    }
    set_text(name ? &c->client->lib_name : &c->client->lib_ver, text);
    reply_ok(c->reply);
}

/* The command as it came, in RESP. */
static size_t request_bytes(const struct call *c)
{
    char digits[NUM_I64_MAX];
    size_t n = 3 + num_from_i64(digits, c->argc);
    for (int i = 0; i < c->argc; i++)
        n += 5 + num_from_u64(digits, c->argv[i].len) + c->argv[i].len;
    return n;
}

static void client_info(struct call *c)
{
    struct buf line = {0};
    if (c->client->conn)
        client_line(c->client, request_bytes(c), &line);
    buf_add_char(&line, '\n');
    reply_verbatim(c->reply, "txt", buf_slice(&line));
    buf_release(&line);
}

static bool known_type(struct call *c, struct slice v)
{
    static const char *const types[] = {"normal", "master", "replica", "slave", "pubsub"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (slice_is(v, types[i]))
            return true;
    reply_errorf(c->reply, "ERR Unknown client type '%.*s'", (int)(v.len < 128 ? v.len : 128), v.p);
    return false;
}

/* > CLIENT LIST TYPE master
 * < ""
 * > CLIENT LIST TYPE person
 * < (error) ERR Unknown client type 'person'
 */
static void client_list(struct call *c)
{
    struct buf text = {0};
    bool by_id = c->argc > 3 && slice_is(call_arg(c, 2), "id");
    bool by_type = c->argc == 4 && slice_is(call_arg(c, 2), "type");
    if (c->argc > 2 && !by_id && !by_type) {
        call_syntax(c);
        return;
    }
    if (by_type && !known_type(c, call_arg(c, 3)))
        return;
    list_each(l, clients_all()) {
        struct client *k = list_entry(l, struct client, link);
        bool wanted = !by_id;
        if (by_type)
            wanted = client_is_type(k, call_arg(c, 3));
        for (int i = 3; by_id && i < c->argc; i++) {
            int64_t id;
            if (!num_to_i64(call_arg(c, i), &id) || id <= 0) {
                reply_errorf(c->reply, "ERR Invalid client ID");
                buf_release(&text);
                return;
            }
            wanted |= (uint64_t)id == k->id;
        }
        if (wanted && k->conn && !conn_closing(k->conn)) {
            client_line(k, k == c->client ? request_bytes(c) : 0, &text);
            buf_add_char(&text, '\n');
        }
    }
    reply_verbatim(c->reply, "txt", buf_slice(&text));
    buf_release(&text);
}

static void kill_client(struct client *k, struct client *self)
{
    if (k == self)
        k->flags |= CLIENT_CLOSE_SOON;
    else
        conn_close(k->conn);
}

struct kill_filter {
    int64_t id, max_age;
    struct slice addr, laddr, type;
    const struct user *user;
    bool skip_me;
};

static bool kill_matches(const struct kill_filter *f, struct client *k, struct client *self)
{
    char name[128];
    if (f->skip_me && k == self)
        return false;
    if (f->user && f->user != k->user)
        return false;
    if (f->id && (uint64_t)f->id != k->id)
        return false;
    if (f->max_age && (clock_wall_ms() - k->created_ms) / 1000 < f->max_age)
        return false;
    sock_name(conn_sock(k->conn), 0, name, sizeof name);
    if (f->addr.p && !slice_eq(f->addr, slice_str(name)))
        return false;
    sock_name(conn_sock(k->conn), 1, name, sizeof name);
    if (f->laddr.p && !slice_eq(f->laddr, slice_str(name)))
        return false;
    return !f->type.p || client_is_type(k, f->type);
}

static bool kill_parse(struct call *c, struct kill_filter *f)
{
    for (int i = 2; i + 1 < c->argc; i += 2) {
        struct slice what = call_arg(c, i), v = call_arg(c, i + 1);
        if (slice_is(what, "id")) {
            if (!num_to_i64(v, &f->id) || f->id <= 0) {
                reply_errorf(c->reply, "ERR client-id should be greater than 0");
                return false;
            }
        } else if (slice_is(what, "addr")) {
            f->addr = v;
        } else if (slice_is(what, "laddr")) {
            f->laddr = v;
        } else if (slice_is(what, "type")) {
            f->type = v;
            if (!known_type(c, v))
                return false;
        } else if (slice_is(what, "maxage")) {
            if (!num_to_i64(v, &f->max_age)) {
                reply_errorf(c->reply, "ERR maxage is not an integer or out of range");
                return false;
            }
            if (f->max_age <= 0) {
                reply_errorf(c->reply, "ERR maxage should be greater than 0");
                return false;
            }
        } else if (slice_is(what, "user")) {
            if (!(f->user = users_find(v))) {
                reply_errorf(c->reply, "ERR No such user '%.*s'", (int)(v.len < 128 ? v.len : 128), v.p);
                return false;
            }
        } else if (slice_is(what, "skipme") && (slice_is(v, "yes") || slice_is(v, "no"))) {
            f->skip_me = slice_is(v, "yes");
        } else {
            call_syntax(c);
            return false;
        }
    }
    return true;
}

static void client_kill(struct call *c)
{
    struct kill_filter f = {.skip_me = true};
    bool old_style = c->argc == 3;
    if (old_style) {
        f.addr = call_arg(c, 2);
        f.skip_me = false;
    } else if (c->argc % 2) {
        call_syntax(c);
        return;
    } else if (!kill_parse(c, &f)) {
        return;
    }
    int64_t killed = 0;
    list_each_safe(l, clients_all()) {
        struct client *k = list_entry(l, struct client, link);
        if (conn_closing(k->conn) || !kill_matches(&f, k, c->client))
            continue;
        kill_client(k, c->client);
        killed++;
    }
    if (!old_style)
        reply_int(c->reply, killed);
    else if (killed)
        reply_ok(c->reply);
    else
        reply_errorf(c->reply, "ERR No such client");
}

static void client_reply(struct call *c)
{
    struct client *k = c->client;
    struct slice how = call_arg(c, 2);
    if (slice_is(how, "on")) {
        k->flags &= ~(unsigned)(CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP);
        reply_ok(c->reply);
    } else if (slice_is(how, "off")) {
        k->flags |= CLIENT_REPLY_OFF;
    } else if (slice_is(how, "skip")) {
        k->flags |= CLIENT_REPLY_SKIP_NEXT;
    } else {
        call_syntax(c);
    }
}

static void client_unblock(struct call *c)
{
    int64_t id;
    bool error = c->argc == 4 && slice_is(call_arg(c, 3), "error");
    if (c->argc == 4 && !error && !slice_is(call_arg(c, 3), "timeout")) {
        reply_errorf(c->reply, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return;
    }
    if (!call_i64(c, 2, &id))
        return;
    struct client *k = client_by_id((uint64_t)id);
    reply_int(c->reply, k && k->parked && block_unblock(k->parked, error));
}

static void set_flag(struct call *c, unsigned flag)
{
    struct slice v = call_arg(c, 2);
    if (slice_is(v, "on")) {
        c->client->flags |= flag;
    } else if (slice_is(v, "off")) {
        c->client->flags &= ~flag;
    } else {
        call_syntax(c);
        return;
    }
    reply_ok(c->reply);
}

static void client_no_evict(struct call *c)
{
    set_flag(c, CLIENT_NO_EVICT);
}

static void client_no_touch(struct call *c)
{
    set_flag(c, CLIENT_NO_TOUCH);
}

#define CONN_FLAGS (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)

static const struct cmd client_subs[] = {
    {.name = "id", .run = client_id, .arity = 2, .flags = CONN_FLAGS, .acl = ACL_CONNECTION, .syntax = "",
     .summary = "The id of this connection.", .since = "5.0.0", .complexity = "O(1)"},
    {.name = "setname", .run = client_setname, .arity = 3, .flags = CONN_FLAGS, .acl = ACL_CONNECTION,
     .syntax = "connection-name", .summary = "Names this connection.", .since = "2.6.9", .complexity = "O(1)"},
    {.name = "getname", .run = client_getname, .arity = 2, .flags = CONN_FLAGS, .acl = ACL_CONNECTION, .syntax = "",
     .summary = "The name of this connection.", .since = "2.6.9", .complexity = "O(1)"},
    {.name = "setinfo", .run = client_setinfo, .arity = 4, .flags = CONN_FLAGS, .acl = ACL_CONNECTION,
     .syntax = "(LIB-NAME libname|LIB-VER libver)", .summary = "Tells which client library is talking.",
     .since = "7.2.0", .complexity = "O(1)"},
    {.name = "info", .run = client_info, .arity = 2, .flags = CONN_FLAGS, .acl = ACL_CONNECTION, .syntax = "",
     .summary = "The line of CLIENT LIST about this connection.", .since = "6.2.0", .complexity = "O(1)"},
    {.name = "list", .run = client_list, .arity = -2, .flags = CONN_FLAGS | CMD_ADMIN,
     .acl = ACL_CONNECTION | ACL_DANGEROUS, .syntax = "[TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID client-id...]",
     .summary = "All connections, a line each.", .since = "2.4.0", .complexity = "O(N) where N is the connections"},
    {.name = "kill", .run = client_kill, .arity = -3, .flags = CONN_FLAGS | CMD_ADMIN,
     .acl = ACL_CONNECTION | ACL_DANGEROUS,
     .syntax = "(ip:port|([ID client-id]|[TYPE (NORMAL|MASTER|SLAVE|REPLICA|PUBSUB)]|[USER username]|[ADDR ip:port]|"
               "[LADDR ip:port]|[SKIPME (YES|NO)]|[MAXAGE maxage:int])...)",
     .summary = "Closes connections.", .since = "2.4.0", .complexity = "O(N) where N is the connections"},
    {.name = "reply", .run = client_reply, .arity = 3, .flags = CONN_FLAGS, .acl = ACL_CONNECTION,
     .syntax = "(ON|OFF|SKIP)", .summary = "Whether this connection wants replies.", .since = "3.2.0",
     .complexity = "O(1)"},
    {.name = "unblock", .run = client_unblock, .arity = -3, .flags = CONN_FLAGS | CMD_ADMIN,
     .acl = ACL_CONNECTION | ACL_DANGEROUS, .syntax = "client-id [TIMEOUT|ERROR]",
     .summary = "Ends another connection's blocking command.", .since = "5.0.0", .complexity = "O(1)"},
    {.name = "no-evict", .run = client_no_evict, .arity = 3, .flags = CONN_FLAGS | CMD_ADMIN,
     .acl = ACL_CONNECTION | ACL_DANGEROUS, .syntax = "(ON|OFF)",
     .summary = "Keeps this connection when memory for clients runs short.", .since = "7.0.0", .complexity = "O(1)"},
    {.name = "no-touch", .run = client_no_touch, .arity = 3, .flags = CONN_FLAGS, .acl = ACL_CONNECTION,
     .syntax = "(ON|OFF)", .summary = "Whether this connection's reads count as uses of keys.", .since = "7.2.0",
     .complexity = "O(1)"},
    {.name = "tracking", .run = client_tracking, .arity = -3, .flags = CONN_FLAGS, .acl = ACL_CONNECTION,
     .syntax = "(ON|OFF) [REDIRECT client-id] [PREFIX prefix]... [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
     .summary = "Says when keys change that this connection has read.", .since = "6.0.0",
     .complexity = "O(1). Some options may introduce additional complexity."},
    {.name = "caching", .run = client_caching, .arity = 3, .flags = CONN_FLAGS, .acl = ACL_CONNECTION,
     .syntax = "(YES|NO)", .summary = "Whether the keys that the next command reads are cached by the client.",
     .since = "6.0.0", .complexity = "O(1)"},
    {.name = "getredir", .run = client_getredir, .arity = 2, .flags = CONN_FLAGS, .acl = ACL_CONNECTION, .syntax = "",
     .summary = "The connection that gets the invalidations of this one.", .since = "6.0.0", .complexity = "O(1)"},
    {.name = "trackinginfo", .run = client_trackinginfo, .arity = 2, .flags = CONN_FLAGS, .acl = ACL_CONNECTION,
     .syntax = "", .summary = "How this connection tracks.", .since = "6.2.0", .complexity = "O(1)"},
    {.name = "pause", .run = client_pause, .arity = -3, .flags = CONN_FLAGS | CMD_ADMIN,
     .acl = ACL_CONNECTION | ACL_DANGEROUS, .syntax = "timeout:int [WRITE|ALL]",
     .summary = "Lets the commands of all clients wait for a while.", .since = "3.0.0", .complexity = "O(1)"},
    {.name = "unpause", .run = client_unpause, .arity = 2, .flags = CONN_FLAGS | CMD_ADMIN,
     .acl = ACL_CONNECTION | ACL_DANGEROUS, .syntax = "", .summary = "Ends a pause.", .since = "6.2.0",
     .complexity = "O(N) where N is the clients that wait"},
    {.name = "help", .run = client_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_CONNECTION,
     .syntax = "", .summary = "The subcommands of CLIENT.", .since = "5.0.0", .complexity = "O(1)"},
};

static const struct cmd rows[] = {
    {.name = "ping", .run = ping, .arity = -1, .flags = CMD_FAST | CMD_SUBSCRIBED,
     .acl = ACL_CONNECTION, .syntax = "[message]", .summary = "Answers PONG, or the message.", .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "echo", .run = echo, .arity = 2, .flags = CMD_FAST | CMD_LOADING | CMD_STALE, .acl = ACL_CONNECTION,
     .syntax = "message", .summary = "Answers the message.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "quit", .run = quit, .arity = -1,
     .flags = CMD_FAST | CMD_LOADING | CMD_STALE | CMD_ALLOW_BUSY | CMD_NO_AUTH | CMD_NOSCRIPT | CMD_SUBSCRIBED,
     .acl = ACL_CONNECTION,
     .syntax = "", .summary = "Closes the connection.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "select", .run = select_db, .arity = 2, .flags = CMD_FAST | CMD_LOADING | CMD_STALE, .acl = ACL_CONNECTION,
     .syntax = "index", .summary = "Changes to another database.", .since = "1.0.0", .complexity = "O(1)"},
    {.name = "auth", .run = auth, .arity = -2,
     .flags = CMD_FAST | CMD_LOADING | CMD_STALE | CMD_NO_AUTH | CMD_NOSCRIPT | CMD_ALLOW_BUSY,
     .acl = ACL_CONNECTION, .syntax = "[username] password", .summary = "Says who the client is.", .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "hello", .run = hello, .arity = -1,
     .flags = CMD_FAST | CMD_LOADING | CMD_STALE | CMD_NO_AUTH | CMD_NOSCRIPT | CMD_ALLOW_BUSY,
     .acl = ACL_CONNECTION, .syntax = "[protover [AUTH username password] [SETNAME clientname]]",
     .summary = "Agrees on the protocol version and says what the server is.", .since = "6.0.0", .complexity = "O(1)"},
    {.name = "reset", .run = reset, .arity = 1,
     .flags = CMD_FAST | CMD_LOADING | CMD_STALE | CMD_ALLOW_BUSY | CMD_NO_AUTH | CMD_NOSCRIPT | CMD_SUBSCRIBED,
     .acl = ACL_CONNECTION,
     .syntax = "", .summary = "Puts the connection back to how it began.", .since = "6.2.0", .complexity = "O(1)"},
    {.name = "client", .arity = -2, .acl = ACL_SLOW, .syntax = "",
     .summary = "Commands about connections.", .since = "2.4.0", .complexity = "Depends on the subcommand.",
     .subs = client_subs, .nsubs = sizeof client_subs / sizeof *client_subs},
};

const struct cmd_family connection_family = CMD_FAMILY("connection", rows);
