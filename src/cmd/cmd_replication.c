/* SYNC, PSYNC, REPLCONF: what a follower says. WAIT, WAITAOF, ROLE, REPLICAOF: what others ask. */
#include <stdio.h>
#include <string.h>

#include "cmd/client.h"
#include "cmd/durable.h"
#include "cmd/families.h"
#include "cmd/replication.h"
#include "repl/feed.h"

static struct follower *follower_of(struct client *c)
{
    if (!c->follower)
        c->follower = follower_create(c->conn);
    return c->follower;
}

/* ---- REPLCONF ---- */

static void acknowledged(struct call *c)
{
    int64_t offset = 0, fsynced = 0;
    for (int i = 1; i + 1 < c->argc; i += 2) {
        struct slice what = call_arg(c, i);
        if (slice_is(what, "ack"))
            num_to_i64(call_arg(c, i + 1), &offset);
        else if (slice_is(what, "fack"))
            num_to_i64(call_arg(c, i + 1), &fsynced);
    }
    if (client_follows(c->client) && offset >= 0 && fsynced >= 0)
        follower_acked(c->client->follower, (uint64_t)offset, (uint64_t)fsynced);
}

static bool set_filter(struct call *c, struct follower *f, struct slice words)
{
    f->functions_only = false;
    while (words.len) {
        const char *space = memchr(words.p, ' ', words.len);
        struct slice word = slice_of(words.p, space ? (size_t)(space - words.p) : words.len);
        if (word.len && !slice_is(word, "functions")) {
            reply_errorf(c->reply, "ERR Unsupported rdb-filter-only option: %.*s", (int)(word.len < 64 ? word.len : 64),
                         word.p);
            return false;
        }
        f->functions_only |= word.len > 0;
        words = slice_of(words.p + word.len + (space != NULL), words.len - word.len - (space != NULL));
    }
    return true;
}

static bool set_one(struct call *c, struct follower *f, struct slice what, struct slice v)
{
    int64_t n;
    if (slice_is(what, "listening-port") && num_to_i64(v, &n) && n >= 0 && n <= 65535) {
        f->port = (int)n;
    } else if (slice_is(what, "listening-port") || (slice_is(what, "rdb-only") && !num_to_i64(v, &n))) {
        reply_errorf(c->reply, "ERR value is not an integer or out of range");
        return false;
    } else if (slice_is(what, "ip-address")) {
        if (v.len >= sizeof f->ip) {
            reply_errorf(c->reply, "ERR REPLCONF ip-address provided by replica instance is too long: %zu bytes", v.len);
            return false;
        }
        snprintf(f->ip, sizeof f->ip, "%.*s", (int)v.len, v.p);
    } else if (slice_is(what, "capa")) {
        f->can_eof |= slice_is(v, "eof"); /* what we do not know is none of our business */
    } else if (slice_is(what, "rdb-only")) {
        f->rdb_only = n == 1;
    } else if (slice_is(what, "rdb-filter-only")) {
        return set_filter(c, f, v);
    } else {
        reply_errorf(c->reply, "ERR Unrecognized REPLCONF option: %.*s", (int)(what.len < 64 ? what.len : 64), what.p);
        return false;
    }
    return true;
}

/* ACK and GETACK, which travel with the stream, are not answered. */
static void replconf(struct call *c)
{
    if (!c->client->conn || c->argc % 2 == 0) {
        call_syntax(c);
        return;
    }
    if (slice_is(call_arg(c, 1), "ack")) {
        acknowledged(c);
        return;
    }
    if (slice_is(call_arg(c, 1), "getack"))
        return;
    for (int i = 1; i < c->argc; i += 2)
        if (!set_one(c, follower_of(c->client), call_arg(c, i), call_arg(c, i + 1)))
            return;
    reply_ok(c->reply);
}

/* ---- SYNC, PSYNC ---- */

static void begin(struct call *c, bool resync)
{
    struct err err;
    if (!c->client->conn) {
        reply_errorf(c->reply, "ERR a follower needs a connection");
        return;
    }
    if (client_follows(c->client))
        return; /* as in Redis: it has what it asks for */
    if (feed_start(follower_of(c->client), resync, &err) < 0) {
        call_err(c, &err);
        c->client->flags |= CLIENT_CLOSE_SOON;
    }
}

static void sync_cmd(struct call *c)
{
    begin(c, false);
}

/* What a follower missed is not kept: it always begins with a snapshot. */
static void psync(struct call *c)
{
    int64_t offset;
    if (call_i64(c, 2, &offset))
        begin(c, true);
}

/* ---- waiting ---- */

static bool timeout_ms(struct call *c, int i, int64_t *ms)
{
    if (!num_to_i64(call_arg(c, i), ms)) {
        reply_errorf(c->reply, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (*ms < 0) {
        reply_errorf(c->reply, "ERR timeout is negative");
        return false;
    }
    return true;
}

/* > WAIT 0 0
 * < (integer) 0
 * > WAIT 1 10
 * < (integer) 0
 * > WAIT 1 -1
 * < (error) ERR timeout is negative
 */
static void wait_cmd(struct call *c)
{
    int64_t followers, ms;
    if (call_i64(c, 1, &followers) && timeout_ms(c, 2, &ms))
        replication_wait(c, false, 0, followers, ms);
}

/* > WAITAOF 0 1 10
 * < 1) (integer) *
 * < 2) (integer) 0
 * > WAITAOF 2 0 0
 * < (error) ERR value is out of range, value must between 0 and 1
 */
static void waitaof(struct call *c)
{
    int64_t local, followers, ms;
    if (!call_range(c, 1, 0, 1, &local) || !call_range(c, 2, 0, INT32_MAX, &followers) || !timeout_ms(c, 3, &ms))
        return;
    if (local && !durable_on())
        reply_errorf(c->reply, "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
    else
        replication_wait(c, true, local, followers, ms);
}

/* ---- roles ---- */

/* > ROLE
 * < 1) "master"
 * < 2) (integer) *
 * < 3) (empty array)
 */
static void role(struct call *c)
{
    reply_array(c->reply, 3);
    reply_str(c->reply, "master");
    reply_int(c->reply, (int64_t)feed_offset());
    size_t place = reply_defer(c->reply), n = 0;
    list_each (l, feed_followers()) {
        struct follower *f = list_entry(l, struct follower, link);
        char addr[128];
        if (f->state != FOLLOWER_ONLINE)
            continue;
        sock_name(conn_sock(f->conn), 0, addr, sizeof addr);
        char *colon = strrchr(addr, ':');
        if (colon)
            *colon = 0;
        reply_array(c->reply, 3);
        reply_str(c->reply, f->ip[0] ? f->ip : addr);
        reply_bulkf(c->reply, "%d", f->port);
        reply_bulkf(c->reply, "%llu", (unsigned long long)f->ack);
        n++;
    }
    reply_defer_array(c->reply, place, n);
}

/* > REPLICAOF NO ONE
 * < OK
 */
static void replicaof(struct call *c)
{
    if (slice_is(call_arg(c, 1), "no") && slice_is(call_arg(c, 2), "one"))
        reply_ok(c->reply);
    else
        reply_errorf(c->reply, "ERR this server leads and cannot follow another one; load its snapshot instead (put its "
                               "dump.rdb into dir and start without a journal)");
}

/* clang-format off */
#define LINK_FLAGS (CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_MULTI)
static const struct cmd rows[] = {
    {.name = "sync", .run = sync_cmd, .arity = 1, .flags = LINK_FLAGS, .acl = ACL_DANGEROUS, .syntax = "",
     .summary = "A snapshot, then every change: for followers of older Redis.", .since = "1.0.0", .complexity = "O(N)"},
    {.name = "psync", .run = psync, .arity = -3, .flags = LINK_FLAGS, .acl = ACL_DANGEROUS,
     .syntax = "replicationid offset", .summary = "A snapshot, then every change.", .since = "2.8.0",
     .complexity = "O(N)"},
    {.name = "replconf", .run = replconf, .arity = -1, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .acl = ACL_DANGEROUS, .syntax = "", .summary = "What a follower says of itself.", .since = "3.0.0",
     .complexity = "O(1)"},
    {.name = "wait", .run = wait_cmd, .arity = 3, .flags = CMD_BLOCKING, .acl = ACL_CONNECTION,
     .syntax = "numreplicas timeout:int", .group = "generic",
     .summary = "Waits until so many followers have the client's last write.",
     .since = "3.0.0", .complexity = "O(1)"},
    {.name = "waitaof", .run = waitaof, .arity = 4, .flags = CMD_BLOCKING, .acl = ACL_CONNECTION,
     .syntax = "numlocal:int numreplicas timeout:int",
     .summary = "Waits until the client's last write is on the disk here and on so many followers.", .since = "7.2.0",
     .complexity = "O(1)"},
    {.name = "role", .run = role, .arity = 1, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST,
     .acl = ACL_ADMIN | ACL_DANGEROUS, .syntax = "", .summary = "The server's role in replication.", .since = "2.8.12",
     .complexity = "O(1)"},
    {.name = "replicaof", .run = replicaof, .arity = 3, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE,
     .acl = ACL_DANGEROUS, .syntax = "(host port|NO ONE)", .summary = "Whom this server follows.", .since = "5.0.0",
     .complexity = "O(1)"},
    {.name = "slaveof", .run = replicaof, .arity = 3, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE,
     .acl = ACL_DANGEROUS, .syntax = "(host port|NO ONE)", .deprecated = "5.0.0 `REPLICAOF`",
     .summary = "The older name of REPLICAOF.",
     .since = "1.0.0", .complexity = "O(1)"},
};
/* clang-format on */

const struct cmd_family replication_family = CMD_FAMILY("server", rows);
