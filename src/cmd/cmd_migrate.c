/* MIGRATE: keys to another server, and away from here once it has them.
 *
 * Redis stands still until that is done; here the loop goes on, and so a key may change while its copy is under way. Such a
 * key stays here, and the reply says so: at the end a key is deleted only if its payload is still what was sent. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/client.h"
#include "cmd/families.h"
#include "cmd/peer.h"
#include "cmd/replication.h"
#include "store/rdb.h"

struct migrated {
    struct slice name; /* in the call's argv */
    struct buf payload;
    bool arrived;
};

struct migrate {
    struct call *call;
    struct peer *peer;
    struct timer *timer;
    struct migrated *keys;
    size_t n, at;     /* at: whose reply comes next */
    int before;       /* replies of AUTH and SELECT that come first */
    bool copy, replace;
    int64_t db;
    char error[256];
};

struct arguments {
    char host[256];
    int64_t port, db, timeout;
    bool copy, replace;
    int auth, auth2; /* where the words stand; 0: not given */
    int first, n;    /* the keys */
};

static bool option(struct call *c, int *i, struct arguments *a)
{
    struct slice word = call_arg(c, *i);
    int left = c->argc - 1 - *i;
    if (slice_is(word, "copy")) {
        a->copy = true;
    } else if (slice_is(word, "replace")) {
        a->replace = true;
    } else if (slice_is(word, "auth") && left >= 1) {
        a->auth = ++*i;
    } else if (slice_is(word, "auth2") && left >= 2) {
        a->auth2 = *i + 1;
        *i += 2;
    } else if (slice_is(word, "keys") && left >= 1) {
        if (call_arg(c, 3).len != 0) {
            reply_errorf(c->reply, "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string");
            return false;
        }
        a->first = *i + 1;
        a->n = left;
        *i = c->argc;
    } else {
        call_syntax(c);
        return false;
    }
    return true;
}

static bool parse(struct call *c, struct arguments *a)
{
    *a = (struct arguments){.first = 3, .n = 1};
    for (int i = 6; i < c->argc; i++)
        if (!option(c, &i, a))
            return false;
    struct slice host = call_arg(c, 1);
    if (!call_i64(c, 5, &a->timeout) || !call_i64(c, 4, &a->db) || !call_range(c, 2, 1, 65535, &a->port))
        return false;
    if (host.len == 0 || host.len >= sizeof a->host || memchr(host.p, 0, host.len)) {
        reply_errorf(c->reply, "ERR the host must be a name or an address of at most %zu bytes", sizeof a->host - 1);
        return false;
    }
    memcpy(a->host, host.p, host.len);
    if (a->timeout <= 0)
        a->timeout = 1000;
    return true;
}

/* ---- the end ---- */

static bool unchanged(const struct migrate *m, const struct migrated *k)
{
    struct buf now = {0};
    struct obj *o = db_peek(m->call->db, k->name);
    if (o)
        rdb_dump(o, &now, false);
    bool same = o && slice_eq(buf_slice(&now), buf_slice(&k->payload));
    buf_release(&now);
    return same;
}

static void delete_key(struct migrate *m, struct migrated *k)
{
    struct call *c = m->call;
    if (!unchanged(m, k)) {
        if (!m->error[0] && db_peek(c->db, k->name))
            snprintf(m->error, sizeof m->error,
                     "ERR a key changed while it was on its way; it stays here, the target has it as it was");
        return;
    }
    db_delete(c->db, k->name);
    db_changed(c->db, k->name, NOTIFY_GENERIC, "del");
    call_effect(c, 2, (struct slice[]){SLICE("DEL"), k->name});
}

static void finish(struct migrate *m)
{
    struct call *c = m->call;
    for (size_t i = 0; i < m->n; i++) {
        if (m->keys[i].arrived && !m->copy)
            delete_key(m, &m->keys[i]);
        buf_release(&m->keys[i].payload);
    }
    if (m->error[0])
        reply_errorf(c->reply, "%s", m->error);
    else
        reply_ok(c->reply);
    timer_close(m->timer);
    mem_free(m->keys);
    mem_free(m);
    call_resume(c);
}

static void on_failed(void *arg, const char *what)
{
    struct migrate *m = arg;
    if (strcmp(what, "connecting") == 0)
        snprintf(m->error, sizeof m->error, "IOERR error or timeout connecting to the client");
    else
        snprintf(m->error, sizeof m->error, "IOERR error or timeout %s to target instance", what);
    finish(m);
}

static void on_time(void *arg)
{
    struct migrate *m = arg;
    peer_drop(m->peer);
    on_failed(m, "reading");
}

static void on_cancel(struct call *c, void *arg)
{
    on_time(arg);
}

static bool on_reply(void *arg, const struct resp_value *v)
{
    struct migrate *m = arg;
    if (v->kind == RV_ERROR && !m->error[0])
        snprintf(m->error, sizeof m->error, "ERR Target instance replied with error: %.*s",
                 (int)(v->str.len < 180 ? v->str.len : 180), v->str.p);
    if (m->before > 0) {
        m->before--;
        if (v->kind != RV_ERROR)
            return true;
        peer_drop(m->peer); /* the database or the user is not what was asked for: nothing may be taken as arrived */
        finish(m);
        return false;
    }
    m->keys[m->at++].arrived = v->kind != RV_ERROR;
    if (m->at < m->n)
        return true;
    finish(m);
    return false;
}

/* ---- the request ---- */

static void add(struct buf *to, int argc, const struct slice *argv)
{
    buf_addf(to, "*%d\r\n", argc);
    for (int i = 0; i < argc; i++) {
        buf_addf(to, "$%zu\r\n", argv[i].len);
        buf_add(to, argv[i].p, argv[i].len);
        buf_add(to, "\r\n", 2);
    }
}

static void add_key(struct migrate *m, const struct migrated *k, struct buf *to)
{
    char ttl[NUM_I64_MAX];
    struct db *db = m->call->db;
    int64_t at = obj_expire(db_peek(db, k->name)), left = at < 0 ? 0 : at - store_now(db->store);
    if (at >= 0 && left < 1)
        left = 1;
    struct slice argv[] = {SLICE("RESTORE"), k->name, slice_of(ttl, num_from_i64(ttl, left)), buf_slice(&k->payload),
                           SLICE("REPLACE")};
    add(to, m->replace ? 5 : 4, argv);
}

static void request(struct migrate *m, const struct arguments *a)
{
    const struct slice *argv = m->call->argv;
    struct buf *to = peer_out(m->peer);
    char db[NUM_I64_MAX];
    if (a->auth2)
        add(to, 3, (struct slice[]){SLICE("AUTH"), argv[a->auth2], argv[a->auth2 + 1]});
    else if (a->auth)
        add(to, 2, (struct slice[]){SLICE("AUTH"), argv[a->auth]});
    m->before = a->auth || a->auth2;
    if (peer_db(m->peer) != (int)m->db) {
        add(to, 2, (struct slice[]){SLICE("SELECT"), slice_of(db, num_from_i64(db, m->db))});
        m->before++;
        peer_set_db(m->peer, (int)m->db);
    }
    for (size_t i = 0; i < m->n; i++)
        add_key(m, &m->keys[i], to);
    peer_send(m->peer);
}

/* The keys that are there, with their payloads. */
static size_t collect(struct call *c, const struct arguments *a, struct migrated *keys)
{
    size_t n = 0;
    for (int i = 0; i < a->n; i++) {
        struct obj *o = db_write(c->db, call_arg(c, a->first + i));
        if (!o)
            continue;
        keys[n] = (struct migrated){.name = call_arg(c, a->first + i)};
        rdb_dump(o, &keys[n++].payload, false);
    }
    return n;
}

/* > MIGRATE 127.0.0.1 6379 nothing 0 1000
 * < NOKEY
 * > MIGRATE 127.0.0.1 6379 a 0 1000 KEYS b
 * < (error) ERR When using MIGRATE KEYS option, the key argument must be set to the empty string
 */
static void migrate(struct call *c)
{
    static const struct peer_ops ops = {.reply = on_reply, .failed = on_failed};
    struct arguments a;
    if (!parse(c, &a))
        return;
    if (c->flags & CALL_ATOMIC) {
        reply_errorf(c->reply, "ERR MIGRATE waits for another server and cannot run inside MULTI or a script");
        return;
    }
    struct migrated *keys = mem_zero((size_t)a.n * sizeof *keys);
    size_t n = collect(c, &a, keys);
    if (n == 0) {
        mem_free(keys);
        reply_status(c->reply, "NOKEY");
        return;
    }
    struct migrate *m = mem_zero(sizeof *m);
    *m = (struct migrate){.keys = keys, .n = n, .copy = a.copy, .replace = a.replace, .db = a.db};
    m->call = call_park(c, on_cancel, m);
    for (size_t i = 0, k = 0; i < (size_t)a.n && k < n; i++) /* the names are the parked call's now */
        if (slice_eq(keys[k].name, m->call->argv[a.first + (int)i]))
            keys[k++].name = m->call->argv[a.first + (int)i];
    m->timer = replication_timer(on_time, m);
    timer_start(m->timer, (uint64_t)a.timeout, 0);
    m->peer = peer_take(a.host, (int)a.port, &ops, m);
    request(m, &a);
}

static int migrate_keys(int argc, const struct slice *argv, int *pos)
{
    int n = 0;
    for (int i = 6; i < argc; i++) {
        if (slice_is(argv[i], "auth"))
            i++;
        else if (slice_is(argv[i], "auth2"))
            i += 2;
        else if (slice_is(argv[i], "keys") && argc > 3 && argv[3].len == 0)
            while (++i < argc && n < CMD_MAX_KEYS)
                pos[n++] = i;
    }
    if (n == 0)
        pos[n++] = 3;
    return n;
}

static const struct cmd rows[] = {
    {.name = "migrate",
     .run = migrate,
     .arity = -6,
     .flags = CMD_WRITE | CMD_MOVABLEKEYS,
     .acl = ACL_KEYSPACE | ACL_DANGEROUS,
     .first = 3,
     .last = 3,
     .step = 1,
     .keys = migrate_keys,
     .key_spec = "RW access delete @3; RW access delete incomplete @KEYS:-2 range -1 1 0",
     .syntax = "host port key destination-db timeout:int [COPY] [REPLACE] [AUTH password|AUTH2 username password] [KEYS key...]",
     .summary = "Moves keys to another server.",
     .since = "2.6.0",
     .complexity = "O(N) where N is the bytes of the values"},
};

const struct cmd_family migrate_family = CMD_FAMILY("generic", rows);
