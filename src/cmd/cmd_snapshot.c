/* SAVE, BGSAVE, LASTSAVE: snapshots on demand. */
#include "cmd/durable.h"
#include "cmd/families.h"
#include "cmd/snapshot.h"

/* > SAVE
 * < OK
 */
static void save(struct call *c)
{
    struct err err;
    if (snapshot_running())
        reply_errorf(c->reply, "ERR Background save already in progress");
    else if (snapshot_save(&err) < 0)
        call_err(c, &err);
    else
        reply_ok(c->reply);
}

/* > BGSAVE SCHEDULE
 * < Background saving *
 * > BGSAVE LATER
 * < (error) ERR syntax error
 */
static void bgsave(struct call *c)
{
    bool schedule = c->argc == 2 && slice_is(call_arg(c, 1), "schedule");
    struct err err;
    if (c->argc > 1 && !schedule) {
        call_syntax(c);
    } else if (snapshot_running()) {
        reply_errorf(c->reply, "ERR Background save already in progress");
    } else if (durable_rewriting() && !schedule && !(c->flags & CALL_ATOMIC)) {
        reply_errorf(c->reply, "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE "
                               "in order to schedule a BGSAVE whenever possible.");
    } else if (durable_rewriting() || (c->flags & CALL_ATOMIC)) { /* a transaction is saved whole or not at all */
        snapshot_schedule();
        reply_status(c->reply, "Background saving scheduled");
    } else if (snapshot_start(&err) < 0) {
        call_err(c, &err);
    } else {
        reply_status(c->reply, "Background saving started");
    }
}

/* > LASTSAVE
 * < (integer) *
 */
static void lastsave(struct call *c)
{
    reply_int(c->reply, snapshot_last_s());
}

static const struct cmd rows[] = {
    {.name = "save",
     .run = save,
     .arity = 1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_MULTI,
     .acl = ACL_DANGEROUS,
     .syntax = "",
     .summary = "Writes a snapshot of the keyspace and waits for it.",
     .since = "1.0.0",
     .complexity = "O(N) where N is the total number of keys in all databases"},
    {.name = "bgsave",
     .run = bgsave,
     .arity = -1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT,
     .acl = ACL_DANGEROUS,
     .syntax = "[SCHEDULE]",
     .summary = "Writes a snapshot of the keyspace in the background.",
     .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "lastsave",
     .run = lastsave,
     .arity = 1,
     .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
     .acl = ACL_ADMIN | ACL_DANGEROUS,
     .syntax = "",
     .summary = "When the last snapshot was made, as Unix time.",
     .since = "1.0.0",
     .complexity = "O(1)"},
};

const struct cmd_family snapshot_family = CMD_FAMILY("server", rows);
