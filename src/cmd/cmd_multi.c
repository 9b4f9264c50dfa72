/* Transactions as commands. Each runs at once, also between MULTI and EXEC (multi_queues), except UNWATCH, which is
 * queued there and then finds nothing to do. */
#include "cmd/cmd.h"
#include "cmd/dispatch.h"
#include "cmd/effects.h"
#include "cmd/multi.h"
#include "cmd/multi_exec.h"

/* > MULTI
 * < OK
 * > INCR n
 * < QUEUED
 * > MULTI
 * < (error) ERR MULTI calls can not be nested
 * > EXEC
 * < 1) (integer) 1
 */
static void multi(struct call *c)
{
    if (c->client->flags & CLIENT_MULTI) {
        reply_errorf(c->reply, "ERR MULTI calls can not be nested");
        return;
    }
    c->client->flags |= CLIENT_MULTI;
    reply_ok(c->reply);
}

/* > EXEC
 * < (error) ERR EXEC without MULTI
 * > MULTI
 * < OK
 * > SET k v
 * < QUEUED
 * > GET k
 * < QUEUED
 * > EXEC
 * < 1) OK
 * < 2) "v"
 * > MULTI
 * < OK
 * > NOSUCHCOMMAND
 * < (error) ERR unknown command*
 * > EXEC
 * < (error) EXECABORT Transaction discarded because of previous errors.
 */
static void exec(struct call *c)
{
    struct client *client = c->client;
    if (!(client->flags & CLIENT_MULTI)) {
        reply_errorf(c->reply, "ERR EXEC without MULTI");
        return;
    }
    if (multi_expired(client, c->db->store))
        client->flags |= CLIENT_DIRTY_CAS;
    unsigned flags = client->flags;
    struct queue q = multi_take(client);
    multi_unwatch(client);
    if (flags & CLIENT_DIRTY_EXEC) {
        reply_errorf(c->reply, "EXECABORT Transaction discarded because of previous errors.");
    } else if (flags & CLIENT_DIRTY_CAS) {
        reply_nil_array(c->reply);
    } else {
        reply_array(c->reply, (size_t)q.n);
        effects_begin();
        for (int i = 0; i < q.n; i++)
            dispatch_queued(client, q.cmds[i].argc, q.cmds[i].argv);
        effects_end();
    }
    multi_queue_release(&q);
}

/* > MULTI
 * < OK
 * > SET k v
 * < QUEUED
 * > DISCARD
 * < OK
 * > EXISTS k
 * < (integer) 0
 */
static void discard(struct call *c)
{
    if (!(c->client->flags & CLIENT_MULTI)) {
        reply_errorf(c->reply, "ERR DISCARD without MULTI");
        return;
    }
    struct queue q = multi_take(c->client);
    multi_queue_release(&q);
    multi_unwatch(c->client);
    reply_ok(c->reply);
}

/* > WATCH k
 * < OK
 * > SET k changed
 * < OK
 * > MULTI
 * < OK
 * > SET k again
 * < QUEUED
 * > EXEC
 * < (nil)
 */
static void watch(struct call *c)
{
    if (c->client->flags & CLIENT_MULTI) {
        reply_errorf(c->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    reply_ok(c->reply);
    if (c->client->flags & CLIENT_DIRTY_CAS) /* EXEC fails whatever else is watched */
        return;
    for (int i = 1; i < c->argc; i++)
        multi_watch(c->client, call_arg(c, i));
}

/* > WATCH k
 * < OK
 * > SET k changed
 * < OK
 * > UNWATCH
 * < OK
 * > MULTI
 * < OK
 * > PING
 * < QUEUED
 * > EXEC
 * < 1) PONG
 */
static void unwatch(struct call *c)
{
    multi_unwatch(c->client);
    c->client->flags &= ~(unsigned)CLIENT_DIRTY_CAS;
    reply_ok(c->reply);
}

#define COMMON (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY)

/* clang-format off */
static const struct cmd rows[] = {
    {.name = "multi", .run = multi, .arity = 1, .flags = COMMON, .acl = ACL_TRANSACTION, .syntax = "",
     .summary = "Starts a transaction: commands are queued until EXEC.", .since = "1.2.0", .complexity = "O(1)"},
    {.name = "exec", .run = exec, .arity = 1, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SKIP_SLOWLOG,
     .acl = ACL_TRANSACTION,
     .syntax = "", .summary = "Runs the queued commands as one.", .since = "1.2.0",
     .complexity = "That of the queued commands."},
    {.name = "discard", .run = discard, .arity = 1, .flags = COMMON, .acl = ACL_TRANSACTION, .syntax = "",
     .summary = "Drops the queued commands and the watches.", .since = "2.0.0",
     .complexity = "O(N) in the queued commands."},
    {.name = "watch", .run = watch, .arity = -2, .flags = COMMON, .acl = ACL_TRANSACTION, .first = 1, .last = -1,
     .step = 1, .key_spec = "RO",
     .syntax = "key...", .summary = "Makes the next EXEC fail if one of these keys changes before it.",
     .since = "2.2.0", .complexity = "O(1) for each key."},
    {.name = "unwatch", .run = unwatch, .arity = 1, .flags = COMMON, .acl = ACL_TRANSACTION, .syntax = "",
     .summary = "Forgets all watched keys.", .since = "2.2.0", .complexity = "O(N) in the watched keys."},
};
/* clang-format on */

const struct cmd_family transactions_family = CMD_FAMILY("transactions", rows);
