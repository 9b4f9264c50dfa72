#include "cmd/client.h"

#include <stdio.h>

#include "auth/users.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/call_park.h"
#include "cmd/durable.h"
#include "cmd/multi.h"
#include "cmd/tracking.h"
#include "repl/feed.h"

static struct list clients = {&clients, &clients};
static size_t connected;
static uint64_t next_id = 1;
static struct dict by_id;
static struct store *store;
static struct pubsub *pubsub;

static struct slice id_key(const void *e)
{
    const struct client *c = e;
    return slice_of((const char *)&c->id, sizeof c->id);
}

static const struct dict_type by_id_type = {.key = id_key};

void clients_boot(struct store *s)
{
    store = s;
    dict_init(&by_id, &by_id_type);
    pubsub = pubsub_create();
}

struct pubsub *clients_pubsub(void)
{
    return pubsub;
}

struct client *client_create(struct conn *conn)
{
    struct client *c = mem_zero(sizeof *c);
    c->conn = conn;
    c->db = &store->dbs[0];
    c->reply.resp = 2;
    c->created_ms = clock_wall_ms();
    c->last_ms = clock_mono_ms();
    list_init(&c->link);
    list_init(&c->hold_link);
    list_init(&c->pause_link);
    if (conn) {
        c->id = next_id++;
        c->reply.out = conn_out(conn);
        client_set_user(c, users_default(), users_default_open());
        list_add_tail(&clients, &c->link);
        dict_add(&by_id, c);
        connected++;
    } else {
        c->flags = CLIENT_INTERNAL;
        c->authed = true;
    }
    return c;
}

void client_set_user(struct client *c, struct user *user, bool authed)
{
    struct user *before = c->user;
    c->user = user_ref(user);
    user_unref(before);
    c->authed = authed;
    if (c->conn)
        conn_set_guest(c->conn, !authed);
}

void client_destroy(struct client *c)
{
    if (!c)
        return;
    if (c->conn) {
        connected--;
        dict_remove(&by_id, id_key(c));
    }
    follower_destroy(c->follower);
    c->conn = NULL;
    if (c->parked)
        call_orphan(c->parked);
    multi_release(c);
    pubsub_sub_destroy(c->sub);
    tracking_stop(c);
    list_del(&c->pause_link);
    buf_release(&c->later);
    list_del(&c->link);
    list_del(&c->hold_link);
    user_unref(c->user);
    mem_free(c->name);
    mem_free(c->lib_name);
    mem_free(c->lib_ver);
    mem_free(c);
}

struct client *client_by_id(uint64_t id)
{
    return dict_find(&by_id, slice_of((const char *)&id, sizeof id));
}

size_t client_count(void)
{
    return connected;
}

struct list *clients_all(void)
{
    return &clients;
}

size_t client_subscriptions(const struct client *c)
{
    if (!c->sub)
        return 0;
    return pubsub_count(c->sub, PUBSUB_CHANNEL) + pubsub_count(c->sub, PUBSUB_PATTERN) +
           pubsub_count(c->sub, PUBSUB_SHARD);
}

bool client_follows(const struct client *c)
{
    return c->follower && c->follower->state != FOLLOWER_NEW;
}

const char *client_type(const struct client *c)
{
    return client_follows(c) ? "replica" : client_subscriptions(c) ? "pubsub" : "normal";
}

bool client_is_type(const struct client *c, struct slice type)
{
    return slice_is(type, client_type(c)) || (client_follows(c) && slice_is(type, "slave"));
}

static void flags_text(const struct client *c, char *to)
{
    size_t n = 0;
    if (client_follows(c))
        to[n++] = 'S';
    if (client_subscriptions(c))
        to[n++] = 'P';
    if (c->flags & CLIENT_MONITOR)
        to[n++] = 'O';
    if (c->flags & CLIENT_MULTI)
        to[n++] = 'x';
    if (c->parked || (c->flags & CLIENT_PAUSED))
        to[n++] = 'b';
    if (c->tracking) {
        to[n++] = 't';
        if (c->tracking->flags & TRACKING_BROKEN)
            to[n++] = 'R';
        if (c->tracking->flags & TRACKING_BCAST)
            to[n++] = 'B';
    }
    if (c->flags & CLIENT_DIRTY_CAS)
        to[n++] = 'd';
    if (c->flags & CLIENT_CLOSE_SOON)
        to[n++] = 'c';
    if (sock_is_unix(conn_sock(c->conn)))
        to[n++] = 'U';
    if (c->flags & CLIENT_NO_EVICT)
        to[n++] = 'e';
    if (c->flags & CLIENT_NO_TOUCH)
        to[n++] = 'T';
    if (n == 0)
        to[n++] = 'N';
    to[n] = 0;
}

static size_t topics(const struct client *c, enum pubsub_kind kind)
{
    return c->sub ? pubsub_count(c->sub, kind) : 0;
}

size_t client_memory(const struct client *c)
{
    return mem_size(c) + (c->conn ? conn_memory(c->conn) : 0) + multi_bytes(c);
}

size_t clients_memory(void)
{
    size_t sum = 0;
    list_each (l, clients_all())
        sum += client_memory(list_entry(l, struct client, link));
    return sum;
}

/* Redis 7.2's fields in Redis's order: tools parse this. Arguments are slices of the query buffer and replies one buffer,
 * so argv-mem and oll are zero. */
void client_line(const struct client *c, size_t running, struct buf *to)
{
    char addr[128], laddr[128], flags[24];
    struct sock *s = conn_sock(c->conn);
    sock_name(s, 0, addr, sizeof addr);
    sock_name(s, 1, laddr, sizeof laddr);
    flags_text(c, flags);
    size_t out = conn_out_bytes(c->conn);
    buf_addf(to, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld idle=%lld flags=%s db=%d", (unsigned long long)c->id,
             addr, laddr, sock_fd(s), c->name ? c->name : "", (long long)(clock_wall_ms() - c->created_ms) / 1000,
             (long long)(clock_mono_ms() - c->last_ms) / 1000, flags, c->db->id);
    buf_addf(to, " sub=%zu psub=%zu ssub=%zu multi=%d", topics(c, PUBSUB_CHANNEL), topics(c, PUBSUB_PATTERN),
             topics(c, PUBSUB_SHARD), multi_queued(c));
    buf_addf(to, " qbuf=%zu qbuf-free=%zu argv-mem=0 multi-mem=%zu", conn_query_bytes(c->conn) + running, conn_query_free(c->conn),
             multi_bytes(c));
    buf_addf(to, " rbs=%zu rbp=%zu obl=%zu oll=0 omem=%zu tot-mem=%zu", conn_reply_room(c->conn), out, out, out,
             client_memory(c));
    buf_addf(to, " events=%s cmd=%s user=%s redir=%lld resp=%d lib-name=%s lib-ver=%s", out ? "rw" : "r",
             c->last_cmd ? c->last_cmd : "NULL", c->user ? c->user->name.p : "(superuser)",
             c->tracking ? (long long)c->tracking->redirect : -1LL, c->reply.resp, c->lib_name ? c->lib_name : "",
             c->lib_ver ? c->lib_ver : "");
}
