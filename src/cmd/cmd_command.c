/* COMMAND and its subcommands: what the table knows, in the shapes that client libraries and redis-cli read. */
#include <ctype.h>
#include <stdio.h>

#include "base/glob.h"
#include "cmd/acl_cat.h"
#include "cmd/cmd_command.h"
#include "cmd/syntax.h"
#include "cmd/table.h"

static void flags_reply(struct reply *r, const struct cmd *cmd)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } names[] = {
        {CMD_WRITE, "write"},       {CMD_READONLY, "readonly"}, {CMD_DENYOOM, "denyoom"},   {CMD_ADMIN, "admin"},
        {CMD_PUBSUB, "pubsub"},     {CMD_NOSCRIPT, "noscript"}, {CMD_BLOCKING, "blocking"}, {CMD_LOADING, "loading"},
        {CMD_STALE, "stale"},       {CMD_FAST, "fast"},         {CMD_NO_AUTH, "no_auth"},   {CMD_NO_MULTI, "no_multi"},
        {CMD_MOVABLEKEYS, "movablekeys"}, {CMD_SKIP_SLOWLOG, "skip_slowlog"},
        {CMD_ALLOW_BUSY, "allow_busy"},   {CMD_SKIP_MONITOR, "skip_monitor"},
        {CMD_NO_MANDATORY_KEYS, "no_mandatory_keys"},
    };
    size_t place = reply_defer(r), n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (cmd->flags & names[i].flag) {
            reply_status(r, names[i].name);
            n++;
        }
    reply_defer_set(r, place, n);
}

static void categories_reply(struct reply *r, const struct cmd *cmd)
{
    uint32_t acl = acl_categories(cmd);
    char text[40];
    reply_set(r, (size_t)__builtin_popcount(acl));
    for (int i = 0; acl_category(i); i++)
        if (acl & 1u << i) {
            snprintf(text, sizeof text, "@%s", acl_category(i));
            reply_status(r, text);
        }
}

static void info_reply(struct reply *r, struct cmd_entry *e);

static void subs_info(struct reply *r, struct cmd_entry *e)
{
    reply_array(r, (size_t)e->cmd->nsubs);
    for (int i = 0; i < e->cmd->nsubs; i++)
        info_reply(r, table_find_sub(e, slice_str(e->cmd->subs[i].name)));
}

static void info_reply(struct reply *r, struct cmd_entry *e)
{
    const struct cmd *cmd = e->cmd;
    reply_array(r, 10);
    reply_str(r, e->name);
    reply_int(r, cmd->arity);
    flags_reply(r, cmd);
    reply_int(r, cmd->first);
    reply_int(r, cmd->last);
    reply_int(r, cmd->step);
    categories_reply(r, cmd);
    reply_array(r, 0);
    key_specs_reply(r, &e->keys);
    subs_info(r, e);
}

static void docs_reply(struct reply *r, struct cmd_entry *e)
{
    const struct cmd *cmd = e->cmd;
    bool ok;
    struct arg *args = syntax_parse(cmd->syntax ? cmd->syntax : "", &ok);
    const char *instead = cmd->deprecated ? strchr(cmd->deprecated, ' ') : NULL;
    reply_map(r, (size_t)(4 + (instead ? 3 : 0) + (args != NULL) + (cmd->nsubs > 0)));
    reply_field_str(r, "summary", cmd->summary);
    reply_field_str(r, "since", cmd->since);
    reply_field_str(r, "group", e->group);
    reply_field_str(r, "complexity", cmd->complexity);
    if (instead) {
        reply_str(r, "doc_flags");
        reply_set(r, 1);
        reply_status(r, "deprecated");
        reply_field_bulk(r, "deprecated_since", slice_of(cmd->deprecated, (size_t)(instead - cmd->deprecated)));
        reply_field_str(r, "replaced_by", instead + 1);
    }
    if (args) {
        reply_str(r, "arguments");
        syntax_reply(r, args, e->keys.n);
    }
    if (cmd->nsubs) {
        reply_str(r, "subcommands");
        reply_map(r, (size_t)cmd->nsubs);
        for (int i = 0; i < cmd->nsubs; i++) {
            struct cmd_entry *sub = table_find_sub(e, slice_str(cmd->subs[i].name));
            reply_str(r, sub->name);
            docs_reply(r, sub);
        }
    }
}

static void each_info(struct cmd_entry *e, void *arg)
{
    info_reply(arg, e);
}

static void each_docs(struct cmd_entry *e, void *arg)
{
    reply_str(arg, e->name);
    docs_reply(arg, e);
}

void command_all(struct call *c)
{
    reply_array(c->reply, table_count());
    table_each(each_info, c->reply);
}

static void command_count(struct call *c)
{
    reply_int(c->reply, (int64_t)table_count());
}

static void command_info(struct call *c)
{
    if (c->argc == 2) {
        command_all(c);
        return;
    }
    reply_array(c->reply, (size_t)c->argc - 2);
    for (int i = 2; i < c->argc; i++) {
        struct cmd_entry *e = table_find_full(call_arg(c, i));
        if (e)
            info_reply(c->reply, e);
        else
            reply_nil_array(c->reply);
    }
}

static void command_docs(struct call *c)
{
    if (c->argc == 2) {
        reply_map(c->reply, table_count());
        table_each(each_docs, c->reply);
        return;
    }
    size_t place = reply_defer(c->reply), n = 0;
    for (int i = 2; i < c->argc; i++) {
        struct cmd_entry *e = table_find_full(call_arg(c, i));
        if (!e)
            continue;
        each_docs(e, c->reply);
        n++;
    }
    reply_defer_map(c->reply, place, n);
}

/* The command that the arguments from the third on are, when it has keys and could be called so; NULL: replied. */
static struct cmd_entry *command_with_keys(struct call *c)
{
    const struct slice *argv = c->argv + 2;
    int argc = c->argc - 2;
    struct cmd_entry *e = table_find(argv[0]), *sub = NULL;
    if (e && argc > 1 && (sub = table_find_sub(e, argv[1])))
        e = sub;
    if (!e || (e->cmd->nsubs && argc > 1)) /* a container's word that is none of its subcommands */
        reply_errorf(c->reply, "ERR Invalid command specified");
    else if (!key_specs_any(&e->keys))
        reply_errorf(c->reply, "ERR The command has no key arguments");
    else if (!cmd_arity_ok(e->cmd, argc))
        reply_errorf(c->reply, "ERR Invalid number of arguments specified for command");
    else
        return e;
    return NULL;
}

struct key_list {
    struct reply *r;
    const struct slice *argv;
    bool with_use;
};

static bool list_key(void *arg, int at, unsigned use)
{
    struct key_list *l = arg;
    if (l->with_use)
        reply_array(l->r, 2);
    reply_bulk(l->r, l->argv[at]);
    if (l->with_use)
        key_use_reply(l->r, use & ~(unsigned)(KEY_VARIABLE | KEY_INCOMPLETE));
    return true;
}

static void list_keys(struct call *c, bool with_use)
{
    struct cmd_entry *e = command_with_keys(c);
    size_t before = c->reply->out->len;
    if (!e)
        return;
    struct key_list l = {c->reply, c->argv + 2, with_use};
    size_t place = reply_defer(c->reply);
    int n = key_specs_each(&e->keys, c->argc - 2, l.argv, list_key, &l);
    if (n > 0 || (n == 0 && (e->cmd->flags & CMD_NO_MANDATORY_KEYS))) {
        reply_defer_array(c->reply, place, (size_t)n);
        return;
    }
    c->reply->out->len = before;
    reply_errorf(c->reply, "ERR Invalid arguments specified for command");
}

/* > COMMAND GETKEYS MSET a 1 b 2
 * < 1) "a"
 * < 2) "b"
 * > COMMAND GETKEYS PING
 * < (error) ERR The command has no key arguments
 */
static void command_getkeys(struct call *c)
{
    list_keys(c, false);
}

/* > COMMAND GETKEYSANDFLAGS RENAME a b
 * < 1) 1) "a"
 * <    2) 1) RW
 * <       2) access
 * <       3) delete
 * < 2) 1) "b"
 * <    2) 1) OW
 * <       2) update
 */
static void command_getkeysandflags(struct call *c)
{
    list_keys(c, true);
}

struct list_filter {
    struct reply *r;
    size_t n;
    int category;
    struct slice pattern;
};

static void list_name(const struct cmd_entry *e, struct list_filter *f)
{
    if (f->category >= 0 && !(acl_categories(e->cmd) & 1u << f->category))
        return;
    if (f->pattern.p && !glob_match(f->pattern, slice_str(e->name), true))
        return;
    reply_str(f->r, e->name);
    f->n++;
}

/* Subcommands as well.
 *
 * > COMMAND LIST FILTERBY PATTERN config|*et
 * < 1) "config|get"
 * < 2) "config|set"
 */
static void command_list(struct call *c)
{
    struct list_filter f = {.r = c->reply, .category = -1};
    if (c->argc != 2) {
        if (c->argc != 5 || !slice_is(call_arg(c, 2), "filterby")) {
            call_syntax(c);
            return;
        }
        if (slice_is(call_arg(c, 3), "pattern")) {
            f.pattern = call_arg(c, 4);
        } else if (slice_is(call_arg(c, 3), "aclcat")) {
            f.category = 31; /* an unknown category lists nothing */
            for (int i = 0; acl_category(i); i++)
                if (slice_is(call_arg(c, 4), acl_category(i)))
                    f.category = i;
        } else if (slice_is(call_arg(c, 3), "module")) {
            f.category = 31;
        } else {
            call_syntax(c);
            return;
        }
    }
    size_t place = reply_defer(c->reply);
    for (int id = 0; id < table_ids(); id++)
        list_name(table_by_id(id), &f);
    reply_defer_array(c->reply, place, f.n);
}

#define FLAGS (CMD_LOADING | CMD_STALE)
static void command_help(struct call *c)
{
    static const char *const lines[] = {
        "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "(no subcommand)",
        "    All commands.",
        "COUNT",
        "    How many commands there are.",
        "DOCS [<command-name> [...]]",
        "    What commands are for, and their arguments.",
        "GETKEYS <full-command>",
        "    The keys of a command line.",
        "GETKEYSANDFLAGS <full-command>",
        "    The keys of a command line, and what is done to them.",
        "INFO [<command-name> [...]]",
        "    Arity, flags and key positions of commands.",
        "LIST [FILTERBY (MODULE <module-name>|ACLCAT <category>|PATTERN <pattern>)]",
        "    Names of commands.",
        "HELP",
        "    Prints this help.",
    };
    call_help(c, lines, sizeof lines / sizeof *lines);
}

const struct cmd command_subs[] = {
    {.name = "count", .run = command_count, .arity = 2, .flags = FLAGS, .acl = ACL_CONNECTION, .syntax = "",
     .summary = "How many commands there are.", .since = "2.8.13", .complexity = "O(1)"},
    {.name = "info", .run = command_info, .arity = -2, .flags = FLAGS, .acl = ACL_CONNECTION,
     .syntax = "[command-name...]", .summary = "Arity, flags and key positions of commands.", .since = "2.8.13",
     .complexity = "O(N) where N is the commands named"},
    {.name = "docs", .run = command_docs, .arity = -2, .flags = FLAGS, .acl = ACL_CONNECTION,
     .syntax = "[command-name...]", .summary = "Summaries and argument trees of commands.", .since = "7.0.0",
     .complexity = "O(N) where N is the commands named"},
    {.name = "getkeys", .run = command_getkeys, .arity = -3, .flags = FLAGS, .acl = ACL_CONNECTION,
     .syntax = "command [arg...]", .summary = "Which arguments of a command line are keys.", .since = "2.8.13",
     .complexity = "O(N) where N is the arguments"},
    {.name = "getkeysandflags", .run = command_getkeysandflags, .arity = -3, .flags = FLAGS, .acl = ACL_CONNECTION,
     .syntax = "command [arg...]", .summary = "Which arguments of a command line are keys, and what is done to them.",
     .since = "7.0.0", .complexity = "O(N) where N is the arguments"},
    {.name = "list", .run = command_list, .arity = -2, .flags = FLAGS, .acl = ACL_CONNECTION,
     .syntax = "[FILTERBY (MODULE module-name|ACLCAT category|PATTERN pattern)]", .summary = "Names of commands.",
     .since = "7.0.0", .complexity = "O(N) where N is all commands"},
    {.name = "help", .run = command_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_CONNECTION,
     .syntax = "", .summary = "The subcommands of COMMAND.", .since = "5.0.0", .complexity = "O(1)"},
};
const int command_nsubs = sizeof command_subs / sizeof *command_subs;
