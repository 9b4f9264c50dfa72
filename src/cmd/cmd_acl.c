/* ACL: users and what they may do. Rules, passwords and the log are in auth/; who may run what is decided in
 * permission.c. Nothing here is journaled: users last as long as the process, unless ACL SAVE or CONFIG REWRITE writes
 * them down. */
#include <stdio.h>

#include "auth/acl_log.h"
#include "auth/users.h"
#include "base/clock.h"
#include "base/log.h"
#include "cmd/acl_cat.h"
#include "cmd/client.h"
#include "cmd/families.h"
#include "cmd/permission.h"

static int shown(struct slice s)
{
    return (int)(s.len < 128 ? s.len : 128);
}

static void acl_arity(struct call *c)
{
    reply_errorf(c->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try ACL HELP.",
                 shown(call_arg(c, 1)), call_arg(c, 1).p);
}

/* ---- users ---- */

/* > ACL SETUSER alice on nopass ~books:* +@read
 * < OK
 * > ACL LIST
 * < 1) "user alice on nopass sanitize-payload ~books:* resetchannels -@all +@read"
 * < 2) "user default on nopass sanitize-payload ~* &* +@all"
 * > ACL SETUSER alice +nothing
 * < (error) ERR Error in ACL SETUSER modifier '+nothing': Unknown command or category name in ACL
 * > ACL DELUSER alice
 * < (integer) 1
 */
static void setuser(struct call *c)
{
    struct slice name = call_arg(c, 2), at = SLICE("");
    struct err err;
    if (selector_has_space(name)) {
        reply_errorf(c->reply, "ERR Usernames can't contain spaces or null characters");
        return;
    }
    struct user *known = users_find(name), *u = known ? user_ref(known) : user_create(name);
    int rc = user_rules(u, c->argc - 3, c->argv + 3, &at, &err);
    if (rc == ERR_STATE) /* an open bracket: the sentence is complete */
        reply_errorf(c->reply, "ERR %s", err.msg);
    else if (rc < 0)
        reply_errorf(c->reply, "ERR Error in ACL SETUSER modifier '%.*s': %s", shown(at), at.p, err.msg);
    else
        reply_ok(c->reply);
    if (rc == 0 && !known)
        user_take(users_add(name), u);
    else
        user_unref(u);
    if (rc == 0 && known)
        permission_drop_subscribers(known);
}

/* > ACL SETUSER bob
 * < OK
 * > ACL DELUSER bob nobody
 * < (integer) 1
 * > ACL DELUSER default
 * < (error) ERR The 'default' user cannot be removed
 */
static void deluser(struct call *c)
{
    int64_t n = 0;
    for (int i = 2; i < c->argc; i++)
        if (slice_eq(call_arg(c, i), SLICE("default"))) {
            reply_errorf(c->reply, "ERR The 'default' user cannot be removed");
            return;
        }
    for (int i = 2; i < c->argc; i++) {
        struct user *u = user_ref(users_find(call_arg(c, i)));
        if (u && users_remove(u)) {
            permission_close_clients(u, c->client);
            n++;
        }
        user_unref(u);
    }
    reply_int(c->reply, n);
}

static void add_flag(void *arg, const char *name)
{
    reply_str(arg, name);
}

static void reply_selector(struct reply *r, const struct selector *s)
{
    static const struct {
        const char *name;
        void (*print)(const struct selector *s, struct buf *to);
    } fields[] = {{"commands", selector_commands}, {"keys", selector_keys}, {"channels", selector_channels}};
    for (int i = 0; i < 3; i++) {
        struct buf text = {0};
        fields[i].print(s, &text);
        reply_field_bulk(r, fields[i].name, buf_slice(&text));
        buf_release(&text);
    }
}

static void reply_user(struct reply *r, const struct user *u)
{
    reply_map(r, 6);
    reply_str(r, "flags");
    reply_set(r, u->flags & USER_NOPASS ? 3 : 2);
    user_flag_names(u, add_flag, r);
    reply_str(r, "passwords");
    reply_array(r, (size_t)u->nhashes);
    for (int i = 0; i < u->nhashes; i++)
        reply_str(r, u->hashes[i]);
    reply_selector(r, user_root(u));
    reply_str(r, "selectors");
    size_t place = reply_defer(r), n = 0;
    list_each (l, &u->selectors) {
        if (l == u->selectors.next)
            continue;
        reply_map(r, 3);
        reply_selector(r, list_entry(l, struct selector, link));
        n++;
    }
    reply_defer_array(r, place, n);
}

/* > ACL SETUSER carol on nopass +@all -@admin %R~a* (+get ~b)
 * < OK
 * > ACL GETUSER carol
 * <  1) "flags"
 * <  2) 1) "on"
 * <     2) "nopass"
 * <     3) "sanitize-payload"
 * <  3) "passwords"
 * <  4) (empty array)
 * <  5) "commands"
 * <  6) "+@all -@admin"
 * <  7) "keys"
 * <  8) "%R~a*"
 * <  9) "channels"
 * < 10) ""
 * < 11) "selectors"
 * < 12) 1) 1) "commands"
 * <        2) "-@all +get"
 * <        3) "keys"
 * <        4) "~b"
 * <        5) "channels"
 * <        6) ""
 * > ACL DELUSER carol
 * < (integer) 1
 * > ACL GETUSER carol
 * < (nil)
 */
static void getuser(struct call *c)
{
    const struct user *u = users_find(call_arg(c, 2));
    if (u)
        reply_user(c->reply, u);
    else
        reply_nil(c->reply);
}

static void list_users(struct call *c)
{
    reply_array(c->reply, (size_t)users_count());
    for (int i = 0; i < users_count(); i++) {
        struct buf line = {0};
        user_describe(users_at(i), &line);
        reply_bulk(c->reply, buf_slice(&line));
        buf_release(&line);
    }
}

/* > ACL USERS
 * < 1) "default"
 */
static void user_names(struct call *c)
{
    reply_array(c->reply, (size_t)users_count());
    for (int i = 0; i < users_count(); i++)
        reply_bulk(c->reply, users_at(i)->name);
}

/* > ACL WHOAMI
 * < "default"
 */
static void whoami(struct call *c)
{
    if (c->client->user)
        reply_bulk(c->reply, c->client->user->name);
    else
        reply_nil(c->reply);
}

/* ---- commands and categories ---- */

/* > ACL CAT transaction
 * < 1) "multi"
 * < 2) "exec"
 * < 3) "discard"
 * < 4) "watch"
 * < 5) "unwatch"
 * > ACL CAT nothing
 * < (error) ERR Unknown category 'nothing'
 */
static void cat(struct call *c)
{
    struct reply *r = c->reply;
    size_t place, n = 0;
    int wanted = -1;
    if (c->argc > 3) {
        acl_arity(c);
        return;
    }
    for (int bit = 0; c->argc == 3 && acl_category(bit); bit++)
        if (slice_is(call_arg(c, 2), acl_category(bit)))
            wanted = bit;
    if (c->argc == 3 && wanted < 0) {
        reply_errorf(r, "ERR Unknown category '%.*s'", shown(call_arg(c, 2)), call_arg(c, 2).p);
        return;
    }
    place = reply_defer(r);
    for (int bit = 0; c->argc == 2 && acl_category(bit); bit++, n++)
        reply_str(r, acl_category(bit));
    for (int id = 0; c->argc == 3 && id < table_ids(); id++)
        if (acl_categories(table_by_id(id)->cmd) & 1u << wanted) {
            reply_str(r, table_by_id(id)->name);
            n++;
        }
    reply_defer_array(r, place, n);
}

/* > ACL SETUSER dave +get ~a*
 * < OK
 * > ACL DRYRUN dave GET abc
 * < OK
 * > ACL DRYRUN dave GET xyz
 * < "User dave has no permissions to access the 'xyz' key"
 * > ACL DRYRUN dave SET abc 1
 * < "User dave has no permissions to run the 'set' command"
 * > ACL DELUSER dave
 * < (integer) 1
 * > ACL DRYRUN dave GET abc
 * < (error) ERR User 'dave' not found
 */
static void dryrun(struct call *c)
{
    const struct user *u = users_find(call_arg(c, 2));
    const struct slice *argv = c->argv + 3;
    int argc = c->argc - 3, at;
    if (!u) {
        reply_errorf(c->reply, "ERR User '%.*s' not found", shown(call_arg(c, 2)), call_arg(c, 2).p);
        return;
    }
    struct cmd_entry *e = table_find(argv[0]), *sub = e && argc > 1 ? table_find_sub(e, argv[1]) : NULL;
    if (sub)
        e = sub;
    if (!e || (!e->cmd->run && argc > 1)) {
        reply_errorf(c->reply, "ERR Command '%.*s' not found", shown(argv[0]), argv[0].p);
        return;
    }
    if (!cmd_arity_ok(e->cmd, argc)) {
        reply_errorf(c->reply, "ERR wrong number of arguments for '%s' command", e->name);
        return;
    }
    struct buf text = {0};
    enum permission p = permission_ask(u, e, argc, argv, &at);
    if (p != PERMISSION_YES)
        permission_text(&text, p, u, e, argv[at], true);
    if (p == PERMISSION_YES)
        reply_ok(c->reply);
    else
        reply_bulk(c->reply, buf_slice(&text));
    buf_release(&text);
}

/* > ACL GENPASS 32
 * < "*"
 * > ACL GENPASS 0
 * < (error) ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096
 */
static void genpass(struct call *c)
{
    char hex[4096 / 4 + 1];
    int64_t bits = 256;
    if (c->argc > 3) {
        acl_arity(c);
        return;
    }
    if (c->argc == 3 && !call_i64(c, 2, &bits))
        return;
    if (bits <= 0 || bits > 4096) {
        reply_errorf(c->reply, "ERR ACL GENPASS argument must be the number of bits for the output password, a positive "
                               "number up to 4096");
        return;
    }
    password_random(hex, (int)(bits + 3) / 4);
    reply_str(c->reply, hex);
}

/* ---- the file ---- */

static bool has_file(struct call *c)
{
    if (*users_file())
        return true;
    reply_errorf(c->reply,
                 "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL "
                 "SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in "
                 "order to store users in the Redis configuration.");
    return false;
}

static struct client *loading_for;

static void on_loaded(struct user *was, struct user *now)
{
    if (now)
        permission_drop_subscribers(was);
    else
        permission_close_clients(was, loading_for);
}

static void load(struct call *c)
{
    struct err err;
    if (!has_file(c))
        return;
    loading_for = c->client;
    if (users_load(on_loaded, &err) < 0)
        reply_errorf(c->reply, "ERR %s", err.msg);
    else
        reply_ok(c->reply);
    loading_for = NULL;
}

static void save(struct call *c)
{
    struct err err;
    if (!has_file(c))
        return;
    if (users_save(&err) < 0) {
        log_warning("ACL SAVE: %s", err.msg);
        reply_errorf(c->reply, "ERR There was an error trying to save the ACLs. Please check the server logs for more "
                               "information");
    } else {
        reply_ok(c->reply);
    }
}

/* ---- the log ---- */

static void reply_entry(struct reply *r, const struct acl_entry *e, int64_t now)
{
    reply_map(r, 10);
    reply_field_int(r, "count", (int64_t)e->count);
    reply_field_str(r, "reason", acl_reason_name(e->reason));
    reply_field_str(r, "context", acl_context_name(e->context));
    reply_field_bulk(r, "object", e->object);
    reply_field_bulk(r, "username", e->username);
    reply_str(r, "age-seconds");
    reply_double(r, (double)(now - e->seen_ms) / 1000);
    reply_field_bulk(r, "client-info", e->client);
    reply_field_int(r, "entry-id", (int64_t)e->id);
    reply_field_int(r, "timestamp-created", e->made_ms);
    reply_field_int(r, "timestamp-last-updated", e->seen_ms);
}

/* > ACL LOG RESET
 * < OK
 * > AUTH erin wrong
 * < (error) WRONGPASS *
 * > ACL LOG 1
 * < 1)  1) "count"
 * <     2) (integer) 1
 * <     3) "reason"
 * <     4) "auth"
 * <     5) "context"
 * <     6) "toplevel"
 * <     7) "object"
 * <     8) "AUTH"
 * <     9) "username"
 * <    10) "erin"
 * < ...
 */
static void log_command(struct call *c)
{
    int64_t left = 10, now = clock_wall_ms();
    if (c->argc > 3) {
        acl_arity(c);
        return;
    }
    if (c->argc == 3 && slice_is(call_arg(c, 2), "reset")) {
        acl_log_reset();
        reply_ok(c->reply);
        return;
    }
    if (c->argc == 3 && !call_i64(c, 2, &left))
        return;
    size_t place = reply_defer(c->reply), n = 0;
    list_each (l, acl_log_entries()) {
        if (left-- <= 0)
            break;
        reply_entry(c->reply, list_entry(l, struct acl_entry, link), now);
        n++;
    }
    reply_defer_array(c->reply, place, n);
}

/* > ACL HELP
 * < 1) ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
 * < ...
 */
static void help(struct call *c)
{
    static const char *const lines[] = {
        "ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CAT [<category>]",
        "    The categories, or the commands of one.",
        "DELUSER <username> [<username> ...]",
        "    Removes users and closes their connections.",
        "DRYRUN <username> <command> [<arg> ...]",
        "    Tells whether the user might run the command, without running it.",
        "GENPASS [<bits>]",
        "    A random password, of 256 bits unless told.",
        "GETUSER <username>",
        "    What a user may do.",
        "LIST",
        "    All users, each as a line of the configuration file.",
        "LOAD",
        "    Reads the users from the ACL file.",
        "LOG [<count> | RESET]",
        "    What was refused lately, and failed logins.",
        "SAVE",
        "    Writes the users to the ACL file.",
        "SETUSER <username> [<rule> ...]",
        "    Makes or changes a user.",
        "USERS",
        "    The names of all users.",
        "WHOAMI",
        "    The user of this connection.",
        "HELP",
        "    Print this help.",
    };
    size_t n = sizeof lines / sizeof *lines;
    reply_array(c->reply, n);
    for (size_t i = 0; i < n; i++)
        reply_status(c->reply, lines[i]);
}

#define ASKS    (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)
#define CHANGES (ASKS | CMD_ADMIN)

/* clang-format off */
static const struct cmd subs[] = {
    {.name = "cat", .run = cat, .arity = -2, .flags = ASKS, .syntax = "[category]",
     .summary = "The categories of commands, or the commands of one.", .since = "6.0.0",
     .complexity = "O(1) since the categories and commands are a fixed set."},
    {.name = "deluser", .run = deluser, .arity = -3, .flags = CHANGES, .syntax = "username...",
     .summary = "Removes users and closes their connections.", .since = "6.0.0",
     .complexity = "O(1) amortized time considering the typical user."},
    {.name = "dryrun", .run = dryrun, .arity = -4, .flags = CHANGES, .syntax = "username command [arg...]",
     .summary = "Tells whether a user might run a command, without running it.", .since = "7.0.0", .complexity = "O(1)."},
    {.name = "genpass", .run = genpass, .arity = -2, .flags = ASKS, .syntax = "[bits]",
     .summary = "A random password.", .since = "6.0.0", .complexity = "O(1)"},
    {.name = "getuser", .run = getuser, .arity = 3, .flags = CHANGES, .syntax = "username",
     .summary = "What a user may do.", .since = "6.0.0",
     .complexity = "O(N). Where N is the number of password, command and pattern rules that the user has."},
    {.name = "list", .run = list_users, .arity = 2, .flags = CHANGES, .syntax = "",
     .summary = "All users, each as a line of the configuration file.", .since = "6.0.0",
     .complexity = "O(N). Where N is the number of configured users."},
    {.name = "load", .run = load, .arity = 2, .flags = CHANGES, .syntax = "",
     .summary = "Reads the users from the ACL file.", .since = "6.0.0",
     .complexity = "O(N). Where N is the number of configured users."},
    {.name = "log", .run = log_command, .arity = -2, .flags = CHANGES, .syntax = "[count|RESET]",
     .summary = "What was refused lately, and failed logins.", .since = "6.0.0",
     .complexity = "O(N) with N being the number of entries shown."},
    {.name = "save", .run = save, .arity = 2, .flags = CHANGES, .syntax = "",
     .summary = "Writes the users to the ACL file.", .since = "6.0.0",
     .complexity = "O(N). Where N is the number of configured users."},
    {.name = "setuser", .run = setuser, .arity = -3, .flags = CHANGES, .syntax = "username [rule...]",
     .summary = "Makes or changes a user.", .since = "6.0.0",
     .complexity = "O(N). Where N is the number of rules provided."},
    {.name = "users", .run = user_names, .arity = 2, .flags = CHANGES, .syntax = "",
     .summary = "The names of all users.", .since = "6.0.0",
     .complexity = "O(N). Where N is the number of configured users."},
    {.name = "whoami", .run = whoami, .arity = 2, .flags = ASKS, .syntax = "",
     .summary = "The user of this connection.", .since = "6.0.0", .complexity = "O(1)"},
    {.name = "help", .run = help, .arity = 2, .flags = CMD_LOADING | CMD_STALE, .syntax = "",
     .summary = "The subcommands of ACL.", .since = "6.0.0", .complexity = "O(1)"},
};

static const struct cmd rows[] = {
    {.name = "acl", .arity = -2, .acl = ACL_SLOW, .syntax = "", .summary = "Users and what they may do.",
     .since = "6.0.0", .complexity = "Depends on the subcommand.", .subs = subs, .nsubs = sizeof subs / sizeof *subs},
};
/* clang-format on */

const struct cmd_family acl_family = CMD_FAMILY("server", rows);
