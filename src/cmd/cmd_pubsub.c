/* Publish and subscribe as commands.
 *
 * SUBSCRIBE and its kin answer once for each channel, with pushes in RESP3 and arrays in RESP2, and with nothing else:
 * the "reply" of a command is then as many messages as it has channels. A message to a subscriber that is itself in the
 * middle of a command waits for that command's end (cmd/push.h). */
#include "base/glob.h"
#include "base/mem.h"
#include "cmd/effects.h"
#include "cmd/cmd.h"
#include "cmd/push.h"

/* ---- delivery ---- */

static void deliver(void *arg, enum pubsub_kind kind, struct slice pattern, struct slice channel, struct slice message)
{
    static const char *const names[] = {"message", "pmessage", "smessage"};
    struct client *c = arg;
    if (!c->conn || conn_closing(c->conn))
        return;
    struct reply r = {.out = push_out(c), .resp = c->reply.resp};
    reply_push(&r, kind == PUBSUB_PATTERN ? 4 : 3);
    reply_str(&r, names[kind]);
    if (kind == PUBSUB_PATTERN)
        reply_bulk(&r, pattern);
    reply_bulk(&r, channel);
    reply_bulk(&r, message);
    push_wrote(c);
}

/* ---- subscribing ---- */

static size_t count_of(const struct client *c, enum pubsub_kind kind)
{
    if (!c->sub)
        return 0;
    if (kind == PUBSUB_SHARD)
        return pubsub_count(c->sub, PUBSUB_SHARD);
    return pubsub_count(c->sub, PUBSUB_CHANNEL) + pubsub_count(c->sub, PUBSUB_PATTERN);
}

static const char *const joins[] = {"subscribe", "psubscribe", "ssubscribe"};
static const char *const leaves[] = {"unsubscribe", "punsubscribe", "sunsubscribe"};

static void reply_change(struct call *c, const char *what, enum pubsub_kind kind, const struct slice *name)
{
    reply_push(c->reply, 3);
    reply_str(c->reply, what);
    if (name)
        reply_bulk(c->reply, *name);
    else
        reply_nil(c->reply);
    reply_int(c->reply, (int64_t)count_of(c->client, kind));
}

static void subscribe_to(struct call *c, enum pubsub_kind kind)
{
    struct client *client = c->client;
    if (!client->conn) {
        reply_errorf(c->reply, "ERR %s needs a connection that messages can be sent to", c->cmd->name);
        return;
    }
    if (!client->sub)
        client->sub = pubsub_sub_create(clients_pubsub(), deliver, client);
    for (int i = 1; i < c->argc; i++) {
        pubsub_join(client->sub, kind, call_arg(c, i));
        reply_change(c, joins[kind], kind, &c->argv[i]);
    }
    conn_set_pubsub(client->conn, true);
}

struct leaving {
    struct call *call;
    enum pubsub_kind kind;
};

static void leave_one(void *arg, struct slice name)
{
    struct leaving *l = arg;
    pubsub_leave(l->call->client->sub, l->kind, name);
    reply_change(l->call, leaves[l->kind], l->kind, &name);
}

static void unsubscribe_from(struct call *c, enum pubsub_kind kind)
{
    struct client *client = c->client;
    struct leaving l = {c, kind};
    for (int i = 1; i < c->argc; i++) {
        if (client->sub)
            pubsub_leave(client->sub, kind, call_arg(c, i));
        reply_change(c, leaves[kind], kind, &c->argv[i]);
    }
    if (c->argc == 1) {
        if (client->sub && pubsub_count(client->sub, kind))
            pubsub_names(client->sub, kind, leave_one, &l);
        else
            reply_change(c, leaves[kind], kind, NULL);
    }
    if (client->conn && client_subscriptions(client) == 0)
        conn_set_pubsub(client->conn, false);
}

/* > SUBSCRIBE news
 * < 1) "subscribe"
 * < 2) "news"
 * < 3) (integer) 1
 */
static void subscribe(struct call *c)
{
    subscribe_to(c, PUBSUB_CHANNEL);
}

/* > PSUBSCRIBE news.*
 * < 1) "psubscribe"
 * < 2) "news.*"
 * < 3) (integer) 1
 */
static void psubscribe(struct call *c)
{
    subscribe_to(c, PUBSUB_PATTERN);
}

/* > SSUBSCRIBE orders
 * < 1) "ssubscribe"
 * < 2) "orders"
 * < 3) (integer) 1
 */
static void ssubscribe(struct call *c)
{
    subscribe_to(c, PUBSUB_SHARD);
}

/* > UNSUBSCRIBE
 * < 1) "unsubscribe"
 * < 2) (nil)
 * < 3) (integer) 0
 */
static void unsubscribe(struct call *c)
{
    unsubscribe_from(c, PUBSUB_CHANNEL);
}

/* > PUNSUBSCRIBE news.*
 * < 1) "punsubscribe"
 * < 2) "news.*"
 * < 3) (integer) 0
 */
static void punsubscribe(struct call *c)
{
    unsubscribe_from(c, PUBSUB_PATTERN);
}

/* > SUNSUBSCRIBE orders
 * < 1) "sunsubscribe"
 * < 2) "orders"
 * < 3) (integer) 0
 */
static void sunsubscribe(struct call *c)
{
    unsubscribe_from(c, PUBSUB_SHARD);
}

/* ---- publishing ---- */

/* > PUBLISH news "nobody listens"
 * < (integer) 0
 */
static void publish(struct call *c)
{
    reply_int(c->reply,
              (int64_t)pubsub_publish(clients_pubsub(), PUBSUB_CHANNEL, call_arg(c, 1), call_arg(c, 2)));
    effects_add_followers(c->db->id, c->argc, c->argv);
}

/* > SPUBLISH orders "nobody listens"
 * < (integer) 0
 */
static void spublish(struct call *c)
{
    reply_int(c->reply, (int64_t)pubsub_publish(clients_pubsub(), PUBSUB_SHARD, call_arg(c, 1), call_arg(c, 2)));
}

/* ---- PUBSUB ---- */

struct listing {
    struct reply *reply;
    struct slice pattern; /* p NULL: all */
    size_t n;
};

static void list_channel(void *arg, struct slice name, size_t subs)
{
    struct listing *l = arg;
    if (l->pattern.p && !glob_match(l->pattern, name, false))
        return;
    reply_bulk(l->reply, name);
    l->n++;
}

static void list_channels(struct call *c, enum pubsub_kind kind)
{
    if (c->argc > 3) {
        reply_errorf(c->reply, "ERR unknown subcommand or wrong number of arguments for '%s'. Try PUBSUB HELP.",
                     c->cmd->name);
        return;
    }
    struct listing l = {.reply = c->reply};
    if (c->argc == 3)
        l.pattern = call_arg(c, 2);
    size_t place = reply_defer(c->reply);
    pubsub_channels(clients_pubsub(), kind, list_channel, &l);
    reply_defer_array(c->reply, place, l.n);
}

static void list_counts(struct call *c, enum pubsub_kind kind)
{
    reply_array(c->reply, 2 * (size_t)(c->argc - 2));
    for (int i = 2; i < c->argc; i++) {
        reply_bulk(c->reply, call_arg(c, i));
        reply_int(c->reply, (int64_t)pubsub_numsub(clients_pubsub(), kind, call_arg(c, i)));
    }
}

/* > PUBSUB CHANNELS
 * < (empty array)
 */
static void channels(struct call *c)
{
    list_channels(c, PUBSUB_CHANNEL);
}

/* > PUBSUB SHARDCHANNELS ord*
 * < (empty array)
 */
static void shardchannels(struct call *c)
{
    list_channels(c, PUBSUB_SHARD);
}

/* > PUBSUB NUMSUB news
 * < 1) "news"
 * < 2) (integer) 0
 */
static void numsub(struct call *c)
{
    list_counts(c, PUBSUB_CHANNEL);
}

/* > PUBSUB SHARDNUMSUB orders
 * < 1) "orders"
 * < 2) (integer) 0
 */
static void shardnumsub(struct call *c)
{
    list_counts(c, PUBSUB_SHARD);
}

/* > PUBSUB NUMPAT
 * < (integer) 0
 */
static void numpat(struct call *c)
{
    reply_int(c->reply, (int64_t)pubsub_numpat(clients_pubsub()));
}

/* > PUBSUB HELP
 * < 1) PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
 * < ...
 */
static void help(struct call *c)
{
    static const char *const lines[] = {
        "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CHANNELS [<pattern>]",
        "    The channels that have subscribers, patterns not counted.",
        "NUMPAT",
        "    How many different patterns are subscribed to.",
        "NUMSUB [<channel> ...]",
        "    How many subscribers each channel has, patterns not counted.",
        "SHARDCHANNELS [<pattern>]",
        "    The shard channels that have subscribers.",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    How many subscribers each shard channel has.",
        "HELP",
        "    Print this help.",
    };
    size_t n = sizeof lines / sizeof *lines;
    reply_array(c->reply, n);
    for (size_t i = 0; i < n; i++)
        reply_status(c->reply, lines[i]);
}

#define ASKS (CMD_PUBSUB | CMD_LOADING | CMD_STALE)

/* clang-format off */
static const struct cmd pubsub_subs[] = {
    {.name = "channels", .run = channels, .arity = -2, .flags = ASKS, .acl = ACL_SLOW, .syntax = "[pattern]",
     .summary = "Channels that have subscribers.", .since = "2.8.0", .complexity = "O(N) in the channels."},
    {.name = "numsub", .run = numsub, .arity = -2, .flags = ASKS, .acl = ACL_SLOW, .syntax = "[channel...]",
     .summary = "How many subscribers channels have.", .since = "2.8.0",
     .complexity = "O(N) in the channels asked for."},
    {.name = "numpat", .run = numpat, .arity = 2, .flags = ASKS, .acl = ACL_SLOW, .syntax = "",
     .summary = "How many different patterns are subscribed to.", .since = "2.8.0", .complexity = "O(1)"},
    {.name = "shardchannels", .run = shardchannels, .arity = -2, .flags = ASKS, .acl = ACL_SLOW,
     .syntax = "[pattern]", .summary = "Shard channels that have subscribers.", .since = "7.0.0",
     .complexity = "O(N) in the shard channels."},
    {.name = "shardnumsub", .run = shardnumsub, .arity = -2, .flags = ASKS, .acl = ACL_SLOW,
     .syntax = "[shardchannel...]", .summary = "How many subscribers shard channels have.", .since = "7.0.0",
     .complexity = "O(N) in the shard channels asked for."},
    {.name = "help", .run = help, .arity = 2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_SLOW, .syntax = "",
     .summary = "The subcommands of PUBSUB.", .since = "6.2.0", .complexity = "O(1)"},
};

#define JOINS (CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SUBSCRIBED)
#define SENDS (CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_MAY_REPLICATE)

static const struct cmd rows[] = {
    {.name = "subscribe", .run = subscribe, .arity = -2, .flags = JOINS, .acl = ACL_SLOW,
     .channels = CHANNELS_ALL, .syntax = "channel...",
     .summary = "Listens to channels.", .since = "2.0.0", .complexity = "O(N) in the channels."},
    {.name = "unsubscribe", .run = unsubscribe, .arity = -1, .flags = JOINS, .acl = ACL_SLOW,
     .syntax = "[channel...]", .summary = "Stops listening to channels, to all when none is named.",
     .since = "2.0.0", .complexity = "O(N) in the channels."},
    {.name = "psubscribe", .run = psubscribe, .arity = -2, .flags = JOINS, .acl = ACL_SLOW,
     .channels = CHANNELS_PATTERNS, .syntax = "pattern...",
     .summary = "Listens to all channels that match patterns.", .since = "2.0.0",
     .complexity = "O(N) in the patterns."},
    {.name = "punsubscribe", .run = punsubscribe, .arity = -1, .flags = JOINS, .acl = ACL_SLOW,
     .syntax = "[pattern...]", .summary = "Stops listening to patterns, to all when none is named.",
     .since = "2.0.0", .complexity = "O(N) in the patterns."},
    {.name = "ssubscribe", .run = ssubscribe, .arity = -2, .flags = JOINS, .acl = ACL_SLOW, .first = 1, .last = -1,
     .channels = CHANNELS_ALL,
     .step = 1, .key_spec = "not_key",
     .syntax = "shardchannel...", .summary = "Listens to shard channels.", .since = "7.0.0",
     .complexity = "O(N) in the channels."},
    {.name = "sunsubscribe", .run = sunsubscribe, .arity = -1, .flags = JOINS, .acl = ACL_SLOW, .first = 1,
     .last = -1, .step = 1, .key_spec = "not_key", .syntax = "[shardchannel...]",
     .summary = "Stops listening to shard channels, to all when none is named.", .since = "7.0.0",
     .complexity = "O(N) in the channels."},
    {.name = "publish", .run = publish, .arity = 3, .flags = SENDS, .acl = 0,
     .channels = CHANNELS_FIRST, .syntax = "channel message",
     .summary = "Sends a message to a channel; the answer is how many got it.", .since = "2.0.0",
     .complexity = "O(N+M): N subscribers of the channel, M patterns of all clients."},
    {.name = "spublish", .run = spublish, .arity = 3, .flags = SENDS, .acl = 0, .first = 1, .last = 1, .step = 1,
     .channels = CHANNELS_FIRST,
     .key_spec = "not_key",
     .syntax = "shardchannel message", .summary = "Sends a message to a shard channel.", .since = "7.0.0",
     .complexity = "O(N) in the subscribers."},
    {.name = "pubsub", .arity = -2, .flags = 0, .acl = ACL_SLOW, .syntax = "",
     .summary = "Asks about channels and subscribers.", .since = "2.8.0", .complexity = "Depends on the subcommand.",
     .subs = pubsub_subs, .nsubs = sizeof pubsub_subs / sizeof *pubsub_subs},
};
/* clang-format on */

const struct cmd_family pubsub_family = CMD_FAMILY("pubsub", rows);
