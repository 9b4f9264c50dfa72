/* See peer.h. A peer that answers too much, or that ends, is closed; who waits for it is told. */
#include "cmd/peer.h"

#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "io/sock.h"

#define IDLE_MS  10000
#define READ     4096
#define MAX_IN   (1u << 20)

struct peer {
    struct list link;
    char *host;
    int port, db;
    struct sock *sock;
    bool connected, sending, closing;
    const struct peer_ops *ops; /* NULL: free */
    void *arg;
    struct buf out, in;
    int64_t used_ms;
};

static struct loop *loop;
static struct list peers = {&peers, &peers};

void peers_boot(struct loop *l)
{
    loop = l;
}

int peers_count(void)
{
    int n = 0;
    list_each (l, &peers)
        n++;
    return n;
}

static void close_peer(struct peer *p)
{
    p->ops = NULL;
    p->closing = true;
    list_del(&p->link); /* nobody takes it any more; closed() frees it */
    sock_close(p->sock);
}

void peer_drop(struct peer *p)
{
    close_peer(p);
}

static void fail(struct peer *p, const char *what)
{
    const struct peer_ops *ops = p->ops;
    void *arg = p->arg;
    close_peer(p);
    if (ops)
        ops->failed(arg, what);
}

static size_t on_want(void *arg, char **room)
{
    struct peer *p = arg;
    *room = buf_room(&p->in, READ);
    return *room ? READ : 0;
}

static void take_replies(struct peer *p)
{
    while (p->ops && p->in.len) {
        struct resp_value v;
        int64_t used = resp_value_parse(buf_slice(&p->in), &v, NULL);
        if (used == 0)
            break;
        if (used < 0) {
            fail(p, "reading");
            return;
        }
        bool more = p->ops->reply(p->arg, &v);
        resp_value_release(&v);
        if (p->closing)
            return;
        buf_drop(&p->in, (size_t)used);
        if (!more) {
            p->ops = NULL;
            p->used_ms = clock_mono_ms();
        }
    }
}

static void on_got(void *arg, size_t n)
{
    struct peer *p = arg;
    if (p->closing)
        return;
    buf_grow(&p->in, n);
    if (!p->ops || p->in.len > MAX_IN) { /* nobody has asked for this */
        fail(p, "reading");
        return;
    }
    take_replies(p);
}

static void on_end(void *arg, int error)
{
    fail(arg, "reading");
}

static void on_written(void *arg, int error)
{
    struct peer *p = arg;
    p->sending = false;
    if (error < 0)
        fail(p, "writing");
    else
        buf_clear(&p->out);
}

static void on_closed(void *arg)
{
    struct peer *p = arg;
    buf_release(&p->out);
    buf_release(&p->in);
    mem_free(p->host);
    mem_free(p);
}

static void write_out(struct peer *p)
{
    int r = sock_write(p->sock, p->out.p, p->out.len);
    p->sending = r == 0;
    if (r > 0)
        buf_clear(&p->out);
    /* what failed at once is told by the read that follows: nothing is called from inside peer_send */
}

static void on_connected(void *arg, int error)
{
    struct peer *p = arg;
    if (error < 0) {
        fail(p, "connecting");
        return;
    }
    p->connected = true;
    sock_read(p->sock);
    if (p->out.len)
        write_out(p);
}

struct peer *peer_take(const char *host, int port, const struct peer_ops *ops, void *arg)
{
    static const struct sock_ops sock_ops = {
        .want = on_want, .got = on_got, .end = on_end, .written = on_written, .closed = on_closed};
    struct peer *p = NULL;
    list_each (l, &peers) {
        struct peer *k = list_entry(l, struct peer, link);
        if (!k->ops && !k->sending && k->port == port && strcmp(k->host, host) == 0)
            p = k;
    }
    if (!p) {
        p = mem_zero(sizeof *p);
        p->host = mem_strdup(host);
        p->port = port;
        p->db = -1;
        buf_init(&p->in, MAX_IN + READ);
        list_add_tail(&peers, &p->link);
        p->sock = sock_connect(loop, host, port, &sock_ops, p, on_connected);
    }
    p->ops = ops;
    p->arg = arg;
    return p;
}

int peer_db(const struct peer *p)
{
    return p->db;
}

void peer_set_db(struct peer *p, int db)
{
    p->db = db;
}

struct buf *peer_out(struct peer *p)
{
    return &p->out;
}

void peer_send(struct peer *p)
{
    if (p->connected)
        write_out(p);
}

void peers_tick(void)
{
    list_each_safe (n, &peers) {
        struct peer *p = list_entry(n, struct peer, link);
        if (!p->ops && clock_mono_ms() - p->used_ms > IDLE_MS)
            close_peer(p);
    }
}

void peers_close(void)
{
    list_each_safe (n, &peers)
        fail(list_entry(n, struct peer, link), "reading");
}
