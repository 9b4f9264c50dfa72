#include "cmd/permission.h"

#include "auth/catalog.h"
#include "auth/users.h"
#include "base/info.h"
#include "cmd/acl_cat.h"
#include "cmd/dispatch.h"

/* ---- what auth/ is told of commands ---- */

static int find(struct slice name)
{
    const struct cmd_entry *e = table_find_full(name);
    return e ? e->id : -1;
}

static const char *name(int id)
{
    return table_by_id(id)->name;
}

static int nsubs(int id)
{
    return table_by_id(id)->cmd->nsubs;
}

static bool is_sub(int id)
{
    return table_by_id(id)->parent != NULL;
}

static uint32_t categories(int id)
{
    return acl_categories(table_by_id(id)->cmd);
}

static void denied(struct buf *to, enum acl_reason reason)
{
    buf_addf(to, "%llu", (unsigned long long)acl_log_denied(reason));
}

static void denied_auth(struct buf *to)
{
    denied(to, ACL_REASON_AUTH);
}

static void denied_cmd(struct buf *to)
{
    denied(to, ACL_REASON_COMMAND);
}

static void denied_key(struct buf *to)
{
    denied(to, ACL_REASON_KEY);
}

static void denied_channel(struct buf *to)
{
    denied(to, ACL_REASON_CHANNEL);
}

static const struct info_row info[] = {
    {"Stats", "acl_access_denied_auth", INFO_COUNTER, denied_auth, "skald_acl_denied_auth_total", "Logins refused."},
    {"Stats", "acl_access_denied_cmd", INFO_COUNTER, denied_cmd, "skald_acl_denied_commands_total",
     "Commands refused to users without the permission to run them."},
    {"Stats", "acl_access_denied_key", INFO_COUNTER, denied_key, "skald_acl_denied_keys_total",
     "Commands refused because of a key."},
    {"Stats", "acl_access_denied_channel", INFO_COUNTER, denied_channel, "skald_acl_denied_channels_total",
     "Commands refused because of a channel."},
};

void permission_boot(void)
{
    static struct catalog all;
    all = (struct catalog){.ncommands = table_ids(),
                           .find = find,
                           .name = name,
                           .nsubs = nsubs,
                           .is_sub = is_sub,
                           .categories = categories,
                           .category = acl_category};
    catalog_boot(&all);
    INFO_REGISTER(info);
}

/* ---- asking ---- */

struct asking {
    const struct selector *s;
    const struct slice *argv;
    int refused; /* 0: none */
};

static bool ask_key(void *arg, int at, unsigned use)
{
    struct asking *a = arg;
    unsigned access = (use & KEY_READS ? SELECTOR_READ : 0) | (use & KEY_WRITES ? SELECTOR_WRITE : 0);
    if (selector_may_use(a->s, a->argv[at], access))
        return true;
    a->refused = at;
    return false;
}

/* 0, or the key that is refused. Keys that cannot be made out are refused as well, by the last argument. */
static int ask_keys(const struct selector *s, const struct cmd_entry *e, int argc, const struct slice *argv)
{
    struct asking a = {s, argv, 0};
    if (s->flags & SELECTOR_ALL_KEYS)
        return 0;
    return key_specs_each(&e->keys, argc, argv, ask_key, &a) < 0 ? argc - 1 : a.refused;
}

static int ask_channels(const struct selector *s, const struct cmd_entry *e, int argc, const struct slice *argv)
{
    enum cmd_channels which = e->cmd->channels;
    int end = which == CHANNELS_NONE ? 0 : which == CHANNELS_FIRST ? 2 : argc;
    for (int i = 1; i < end; i++)
        if (which == CHANNELS_PATTERNS ? !selector_may_hear_pattern(s, argv[i]) : !selector_may_hear(s, argv[i]))
            return i;
    return 0;
}

static enum permission ask_selector(const struct selector *s, const struct cmd_entry *e, int argc,
                                    const struct slice *argv, int *at)
{
    *at = 0;
    if (!(e->cmd->flags & CMD_NO_AUTH)) {
        /* +select|0 looks at the first argument, which for a subcommand is the one after its name. */
        int skip = e->parent ? 1 : 0;
        if (!selector_may_run(s, e->id, argc - skip, argv + skip))
            return PERMISSION_NO_COMMAND;
    }
    if ((*at = ask_keys(s, e, argc, argv)))
        return PERMISSION_NO_KEY;
    if ((*at = ask_channels(s, e, argc, argv)))
        return PERMISSION_NO_CHANNEL;
    return PERMISSION_YES;
}

/* When all selectors refuse, the one that came furthest says why. */
enum permission permission_ask(const struct user *u, const struct cmd_entry *e, int argc, const struct slice *argv,
                               int *at)
{
    enum permission worst = PERMISSION_NO_COMMAND;
    int here;
    *at = 0;
    if (u->unlimited)
        return PERMISSION_YES;
    list_each (l, &u->selectors) {
        enum permission p = ask_selector(list_entry(l, struct selector, link), e, argc, argv, &here);
        if (p == PERMISSION_YES)
            return p;
        if (p > worst || (p == worst && here > *at)) {
            worst = p;
            *at = here;
        }
    }
    return worst;
}

void permission_text(struct buf *to, enum permission p, const struct user *u, const struct cmd_entry *e,
                     struct slice object, bool verbose)
{
    const char *kind = p == PERMISSION_NO_KEY ? "key" : "channel";
    if (p == PERMISSION_NO_COMMAND)
        buf_addf(to, "User %s has no permissions to run the '%s' command", u->name.p, e->name);
    else if (verbose)
        buf_addf(to, "User %s has no permissions to access the '%.*s' %s", u->name.p, (int)object.len, object.p, kind);
    else
        buf_addf(to, "No permissions to access a %s", kind);
}

/* ---- refusing ---- */

static void log_refusal(struct client *c, enum acl_reason reason, enum acl_context context, struct slice object,
                        struct slice username)
{
    struct buf line = {0};
    if (c->conn)
        client_line(c, 0, &line);
    acl_log_add(reason, context, object, username, buf_slice(&line));
    buf_release(&line);
}

bool permission_slow(struct client *c, const struct cmd_entry *e, int argc, const struct slice *argv,
                     enum acl_context context, enum permission *why)
{
    static const enum acl_reason reasons[] = {[PERMISSION_NO_COMMAND] = ACL_REASON_COMMAND,
                                              [PERMISSION_NO_KEY] = ACL_REASON_KEY,
                                              [PERMISSION_NO_CHANNEL] = ACL_REASON_CHANNEL};
    int at;
    *why = permission_ask(c->user, e, argc, argv, &at);
    if (*why == PERMISSION_YES)
        return true;
    struct slice object = *why == PERMISSION_NO_COMMAND ? slice_str(e->name) : argv[at];
    log_refusal(c, reasons[*why], context, object, c->user->name);
    return false;
}

bool permission_or_reply(struct client *c, const struct cmd_entry *e, int argc, const struct slice *argv,
                         enum acl_context context)
{
    enum permission why;
    struct buf text = {0};
    if (permission_given(c, e, argc, argv, context, &why))
        return true;
    permission_text(&text, why, c->user, e, SLICE(""), false);
    reply_errorf(&c->reply, "NOPERM %.*s", (int)text.len, text.p);
    buf_release(&text);
    return false;
}

void permission_log_login(struct client *c, struct slice command, struct slice username)
{
    log_refusal(c, ACL_REASON_AUTH, c->flags & CLIENT_MULTI ? ACL_CONTEXT_MULTI : ACL_CONTEXT_TOPLEVEL, command,
                username);
}

bool permission_all_keys(const struct client *c, const struct cmd *cmd, int argc, const struct slice *argv,
                         unsigned access)
{
    if (!c || !c->user || c->user->unlimited)
        return true;
    const struct cmd_entry *e = table_find(slice_str(cmd->name));
    list_each (l, &c->user->selectors) {
        const struct selector *s = list_entry(l, struct selector, link);
        if (selector_may_run(s, e->id, argc, argv) && selector_may_use_all(s, access))
            return true;
    }
    return false;
}

/* ---- those who are connected already ---- */

struct hearing {
    const struct user *u;
    bool pattern, refused;
};

static void hear(void *arg, struct slice channel)
{
    struct hearing *h = arg;
    h->refused |= !user_may_hear(h->u, channel, h->pattern);
}

static bool hears_too_much(struct client *c)
{
    static const enum pubsub_kind kinds[] = {PUBSUB_CHANNEL, PUBSUB_SHARD, PUBSUB_PATTERN};
    struct hearing h = {.u = c->user};
    for (size_t i = 0; c->sub && i < sizeof kinds / sizeof *kinds; i++) {
        h.pattern = kinds[i] == PUBSUB_PATTERN;
        pubsub_names(c->sub, kinds[i], hear, &h);
    }
    return h.refused;
}

void permission_drop_subscribers(const struct user *u)
{
    list_each_safe (l, clients_all()) {
        struct client *c = list_entry(l, struct client, link);
        if (c->user == u && !conn_closing(c->conn) && hears_too_much(c))
            conn_close(c->conn);
    }
}

void permission_close_clients(const struct user *u, struct client *self)
{
    list_each_safe (l, clients_all()) {
        struct client *c = list_entry(l, struct client, link);
        if (c->user != u || conn_closing(c->conn))
            continue;
        if (c == self)
            c->flags |= CLIENT_CLOSE_SOON; /* after its reply */
        else
            conn_close(c->conn);
    }
}
