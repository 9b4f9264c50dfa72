/* Connections. See conn.h for the contract and README.md for the picture.
 *
 * Built for ten thousand connections of which a few hundred are busy, pipelines of hundreds of small commands, and the
 * odd argument or reply of hundreds of megabytes. The kernel reads straight into the query buffer and commands are
 * slices of it; replies gather in `out`, and the flush at the end of the turn hands the whole buffer to the socket.
 * What the kernel does not take at once stays in `sending` until it has, while new replies gather in `out`: nothing is
 * copied.
 *
 * What would surprise:
 * - A connection is never freed inside a call from outside. conn_close only closes the socket; closed() and the memory
 * go when the socket's own last callback comes, so a command may close its own connection.
 * - The end of the peer's stream is not the end of the connection: `printf ... | nc` has sent all it has to say and
 * waits for the answers. They are written first, unless a parked call is under way, which nobody may be waiting for.
 * - While a command runs nothing is read from its connection, even if that command turns the loop (a script that has run
 *   for long does): its arguments lie in the query buffer. Nor is anything written, and a close waits until it has ended. */
#include "net/conn.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/resp.h"

#define READ_ROOM (16 * 1024) /* the least that is lent to a read, and the query buffer's first size */
#define KEEP_IN   (64 * 1024) /* a query buffer larger than this is given back at the next tick, if it is empty */
#define KEEP_OUT  (64 * 1024) /* an output buffer larger than this is given back once it is written */
#define TICK_MS   1000
#define IDLE_MS   2000  /* after this the buffers are given back */
#define LEAVE_MS  10000 /* a peer that sent its end has this long to take what is left for it */

#define MB (1024LL * 1024)

struct conn_limits conn_limits = {
    .query_max = 1024 * MB,
    .bulk_max = RESP_MAX_BULK,
    .out_hard = {0, 32 * MB, 256 * MB},
    .out_soft = {0, 8 * MB, 64 * MB},
    .out_soft_seconds = {0, 60, 60},
    .tcp_keepalive = 300,
};
struct conn_stats conn_stats;

#define AHEAD_MAX  32  /* commands of one pipeline that are looked at together: their cache lines must fit the cache */
#define AHEAD_ARGS 512 /* a command with more arguments goes its way alone */

/* The next commands of the connection that is running. They are slices of its query buffer, which does not move while it
 * runs, so there is one set for all connections; a connection that runs inside another one's command (the loop was
 * turned) does without. */
struct ahead {
    struct resp_request requests[AHEAD_MAX];
    struct slice args[AHEAD_ARGS];
    bool busy;
};

struct conn_host {
    struct ahead ahead;
    struct loop *loop;
    struct timer *tick;
    struct list conns;   /* struct conn, by link: all that are not freed */
    struct list pending; /* by pending: something to write, or to close after it */
    struct list ready;   /* by ready: let go, with input that waits to be parsed */
    bool posted;         /* run_ready will come */
    bool wall_seen;      /* in this turn */
    bool dead;
};

struct conn {
    struct list link, pending, ready;
    struct conn_host *host;
    struct sock *sock;
    const struct conn_ops *ops;
    void *arg;

    struct resp resp;
    struct buf in; /* the query buffer; bytes before in_at were consumed */
    size_t in_at;
    struct buf out;     /* replies since the last write */
    struct buf sending; /* the kernel is taking these */

    bool running;    /* in the parse loop: commands of this connection are being called; nothing of it is freed or sent */
    bool stopped;    /* conn_stop */
    bool postponed;  /* conn_postpone: the present command is not consumed */
    bool held;       /* conn_hold */
    bool writing;    /* of sending */
    bool paused;     /* the socket does not read */
    bool close_soon; /* input is thrown away */
    bool leaving;    /* the peer sent its end */
    bool closing;
    bool guest;
    enum conn_class class;

    void (*drained)(void *arg);
    void *drained_arg;

    int64_t last_in_ms, leaving_ms;
    int64_t soft_since_ms; /* above the soft limit since; 0: below */
    uint64_t in_total, out_total;
};

static void add_pending(struct conn *c)
{
    if (list_empty(&c->pending) && !c->closing)
        list_add_tail(&c->host->pending, &c->pending);
}

/* --- the host --- */

static void free_if_unused(struct conn_host *h)
{
    if (h->dead && !h->posted && list_empty(&h->conns))
        mem_free(h);
}

static void give_back(struct buf *b)
{
    if (b->len == 0 && b->p)
        buf_release(b);
}

static void drop_consumed(struct conn *c)
{
    buf_drop(&c->in, c->in_at);
    c->in_at = 0;
}

static void check_out_limit(struct conn *c, int64_t now_ms);

static void tick_conn(struct conn *c, int64_t now_ms)
{
    check_out_limit(c, now_ms);
    if (c->leaving && now_ms - c->leaving_ms > LEAVE_MS)
        conn_close(c);
    if (c->closing || c->running || (now_ms - c->last_in_ms < IDLE_MS && c->in.cap <= KEEP_IN))
        return;
    drop_consumed(c);
    give_back(&c->in);
    give_back(&c->out);
    if (!c->writing)
        give_back(&c->sending);
    resp_trim(&c->resp);
}

static void on_tick(void *arg)
{
    struct conn_host *h = arg;
    int64_t now_ms = clock_mono_ms();
    list_each_safe (n, &h->conns)
        tick_conn(list_entry(n, struct conn, link), now_ms);
}

struct conn_host *conn_host_create(struct loop *l)
{
    struct conn_host *h = mem_zero(sizeof *h);
    h->loop = l;
    list_init(&h->conns);
    list_init(&h->pending);
    list_init(&h->ready);
    h->tick = timer_create_on(l, on_tick, h);
    timer_start(h->tick, TICK_MS, TICK_MS);
    return h;
}

void conn_host_destroy(struct conn_host *h)
{
    if (!h)
        return;
    timer_close(h->tick);
    list_each_safe (n, &h->conns)
        conn_close(list_entry(n, struct conn, link));
    h->dead = true;
    free_if_unused(h);
}

/* --- commands in --- */

/* The commands that follow begin now. The wall is looked at once a turn. */
static void look_at_clock(struct conn_host *h)
{
    if (h->wall_seen)
        clock_sample();
    else
        clock_sample_wall();
    h->wall_seen = true;
}

/* The last callback of the bad input's connection; what it replies is still written. */
static void refuse(struct conn *c)
{
    c->ops->bad_protocol(c->arg, c->resp.error);
    conn_close_soon(c);
}

static bool may_run(const struct conn *c)
{
    return !c->stopped && !c->closing && !c->close_soon && c->in_at < c->in.len;
}

/* Gives the next command, which ends `used` bytes on, to its handler. */
static void give(struct conn *c, size_t used, const struct resp_request *r)
{
    c->in_at += used;
    c->ops->command(c->arg, r);
    if (c->postponed && c->in.len)
        c->in_at -= used;
    c->postponed = false;
}

/* Runs the whole commands that have come, after a look at all of them. What was parsed and not run, because a command
 * stopped the connection, is parsed again later. False: nothing was run, the next command is not of the plain kind. */
static bool run_whole(struct conn *c)
{
    struct ahead *a = &c->host->ahead;
    if (a->busy || c->guest || resp_is_open(&c->resp))
        return false;
    int n = resp_whole(c->in.p + c->in_at, c->in.len - c->in_at, conn_limits.bulk_max, a->requests, AHEAD_MAX, a->args,
                       AHEAD_ARGS);
    if (n > 1 && c->ops->ahead)
        c->ops->ahead(c->arg, a->requests, n);
    a->busy = true;
    for (int i = 0; i < n && may_run(c); i++)
        give(c, a->requests[i].used, &a->requests[i]);
    a->busy = false;
    return n > 0;
}

/* Runs the next command, of whatever kind, once it is whole. False: it is not, or it is none. */
static bool run_next(struct conn *c)
{
    struct resp_limits limits = {.args = RESP_MAX_ARGS, .bulk = conn_limits.bulk_max, .guest = c->guest};
    enum resp_result got = resp_feed(&c->resp, c->in.p + c->in_at, c->in.len - c->in_at, &limits);
    if (got == RESP_ERROR)
        refuse(c);
    if (got != RESP_COMMAND)
        return false;
    struct resp_request r = {.argc = c->resp.argc, .argv = c->resp.argv};
    if (r.argc > 0)
        give(c, c->resp.used, &r);
    else
        c->in_at += c->resp.used;
    return true;
}

static void run_commands(struct conn *c)
{
    c->running = true;
    while (may_run(c))
        if (!run_whole(c) && !run_next(c))
            break;
    c->running = false;
    if (c->in_at == c->in.len)
        c->in_at = c->in.len = 0;
    if (c->closing)
        sock_close(c->sock);
    else if (c->out.len > 0 || c->close_soon)
        add_pending(c);
}

static size_t room_for_next_read(const struct conn *c);

static void read_again(struct conn *c)
{
    if (c->paused && !c->closing && room_for_next_read(c) > 0) {
        c->paused = false;
        sock_read(c->sock);
    }
}

static void run_ready(void *arg)
{
    struct conn_host *h = arg;
    struct list todo;
    list_init(&todo);
    while (!list_empty(&h->ready)) {
        struct list *n = h->ready.next;
        list_del(n);
        list_add_tail(&todo, n);
    }
    h->posted = false;
    look_at_clock(h);
    while (!list_empty(&todo)) {
        struct conn *c = list_entry(todo.next, struct conn, ready);
        list_del(&c->ready);
        if (!c->running)
            run_commands(c);
        read_again(c);
    }
    free_if_unused(h);
}

void conn_stop(struct conn *c)
{
    c->stopped = true;
}

void conn_postpone(struct conn *c)
{
    c->stopped = c->postponed = true;
}

void conn_go(struct conn *c)
{
    c->stopped = false;
    if (c->closing || c->running) /* the parse loop that is under way goes on by itself */
        return;
    if (!may_run(c)) {
        read_again(c);
        return;
    }
    if (list_empty(&c->ready))
        list_add_tail(&c->host->ready, &c->ready);
    if (!c->host->posted) {
        c->host->posted = true;
        loop_post(c->host->loop, run_ready, c->host);
    }
}

/* --- the socket's callbacks --- */

/* How much the next read should have room for. It grows with what has come, not with what was announced, and ends where
 * a large argument does. 0 when nothing may be read now. */
static size_t room_for_next_read(const struct conn *c)
{
    size_t have = c->in.len - c->in_at;
    if (c->running || c->closing || c->leaving || (c->stopped && have >= READ_ROOM))
        return 0;
    if (!resp_is_open(&c->resp) || c->resp.need <= have + READ_ROOM)
        return READ_ROOM;
    size_t missing = c->resp.need - have;
    return missing < have ? missing : have > READ_ROOM ? have : READ_ROOM;
}

/* What is left of the buffer is enough when the present command may end in it. */
static bool enough_room(const struct conn *c)
{
    size_t have = c->in.len - c->in_at, left = c->in.cap - c->in.len;
    size_t missing = resp_is_open(&c->resp) && c->resp.need > have ? c->resp.need - have : 1;
    return left >= (missing < READ_ROOM ? missing : READ_ROOM);
}

static size_t on_want(void *arg, char **room)
{
    struct conn *c = arg;
    size_t n = room_for_next_read(c);
    if (n == 0) {
        c->paused = true;
        return 0;
    }
    if (c->in_at > 0)
        drop_consumed(c);
    if (!enough_room(c)) {
        char *p = mem_try_realloc(c->in.p, c->in.len + n);
        if (!p) {
            log_warning("a client's request of %zu bytes finds no memory: its connection is closed", c->in.len + n);
            conn_close(c);
            return 0;
        }
        c->in.p = p;
        c->in.cap = c->in.len + n;
    }
    *room = c->in.p + c->in.len;
    return c->in.cap - c->in.len;
}

static void log_closed(const struct conn *c, const char *why)
{
    char peer[128];
    sock_name(c->sock, 0, peer, sizeof peer);
    log_warning("Client addr=%s qbuf=%zu omem=%zu closed: %s", peer, conn_query_bytes(c), conn_out_bytes(c), why);
}

static void on_got(void *arg, size_t n)
{
    struct conn *c = arg;
    c->in_total += n;
    conn_stats.in_bytes += n;
    conn_stats.reads++;
    look_at_clock(c->host);
    c->last_in_ms = clock_sampled_us() / 1000;
    if (c->closing || c->close_soon)
        return; /* not added to the buffer: thrown away */
    buf_grow(&c->in, n);
    if ((int64_t)conn_query_bytes(c) > conn_limits.query_max) {
        conn_stats.query_limit_closed++;
        log_closed(c, "query buffer limit");
        conn_close(c);
        return;
    }
    if (list_empty(&c->ready))
        run_commands(c);
    read_again(c); /* a command that turned the loop has paused it */
}

static void on_end(void *arg, int error)
{
    struct conn *c = arg;
    c->paused = true;
    look_at_clock(c->host);
    if (error == 0 && !c->running)
        run_commands(c); /* what conn_go left for a later turn */
    if (error < 0 || c->stopped) {
        conn_close(c);
        return;
    }
    c->leaving = true;
    c->leaving_ms = clock_mono_ms();
    conn_close_soon(c);
}

static void free_conn(struct conn *c)
{
    list_del(&c->link);
    list_del(&c->pending);
    list_del(&c->ready);
    resp_release(&c->resp);
    buf_release(&c->in);
    buf_release(&c->out);
    buf_release(&c->sending);
    mem_free(c);
}

static void on_closed(void *arg)
{
    struct conn *c = arg;
    struct conn_host *h = c->host;
    c->ops->closed(c->arg);
    free_conn(c);
    free_if_unused(h);
}

/* --- replies out --- */

static void sent(struct conn *c)
{
    c->out_total += c->sending.len;
    conn_stats.out_bytes += c->sending.len;
    conn_stats.writes++;
    buf_clear(&c->sending);
    if (c->sending.cap > KEEP_OUT)
        buf_release(&c->sending);
}

static void flush(struct conn *c)
{
    if (c->running) /* an inner turn: who replies has noted how much stood there before */
        return;
    while (c->out.len > 0 && !c->held && !c->writing && !c->closing) {
        struct buf empty = c->sending;
        c->sending = c->out;
        c->out = empty;
        int r = sock_write(c->sock, c->sending.p, c->sending.len);
        if (r > 0)
            sent(c);
        else if (r == 0)
            c->writing = true;
        else
            conn_close(c);
    }
    bool out = c->out.len == 0 && !c->writing && !c->closing;
    if (c->close_soon && out)
        conn_close(c);
    else if (out && c->drained)
        c->drained(c->drained_arg);
}

static void on_written(void *arg, int error)
{
    struct conn *c = arg;
    c->writing = false;
    if (error < 0) {
        conn_close(c);
        return;
    }
    sent(c);
    add_pending(c);
}

void conn_host_flush(struct conn_host *h)
{
    h->wall_seen = false;
    while (!list_empty(&h->pending)) {
        struct conn *c = list_entry(h->pending.next, struct conn, pending);
        list_del(&c->pending);
        flush(c);
    }
}

static void check_out_limit(struct conn *c, int64_t now_ms)
{
    int64_t size = (int64_t)conn_out_bytes(c);
    int64_t hard = conn_limits.out_hard[c->class], soft = conn_limits.out_soft[c->class];
    bool over = hard > 0 && size > hard;
    if (soft == 0 || size <= soft)
        c->soft_since_ms = 0;
    else if (c->soft_since_ms == 0)
        c->soft_since_ms = now_ms;
    else if (now_ms - c->soft_since_ms > conn_limits.out_soft_seconds[c->class] * 1000)
        over = true;
    if (!over || c->closing)
        return;
    conn_stats.out_limit_closed++;
    log_closed(c, "output buffer limit");
    conn_close(c);
}

void conn_wrote(struct conn *c)
{
    if (c->closing) {
        buf_clear(&c->out);
        return;
    }
    add_pending(c);
    int64_t least = conn_limits.out_soft[c->class] ? conn_limits.out_soft[c->class] : conn_limits.out_hard[c->class];
    if (least > 0 && (int64_t)conn_out_bytes(c) > least / 2)
        check_out_limit(c, clock_mono_ms());
}

void conn_hold(struct conn *c, bool on)
{
    c->held = on;
    if (!on && (c->out.len > 0 || c->close_soon))
        add_pending(c);
}

/* --- life --- */

static const struct sock_ops sock_ops = {
    .want = on_want, .got = on_got, .end = on_end, .written = on_written, .closed = on_closed};

struct conn *conn_create(struct conn_host *h, struct sock *s, const struct conn_ops *ops, void *arg)
{
    struct conn *c = mem_zero(sizeof *c);
    c->host = h;
    c->sock = s;
    c->ops = ops;
    c->arg = arg;
    resp_init(&c->resp);
    list_init(&c->pending);
    list_init(&c->ready);
    list_add_tail(&h->conns, &c->link);
    c->last_in_ms = clock_mono_ms();
    sock_attach(s, &sock_ops, c);
    if (conn_limits.tcp_keepalive > 0)
        sock_keepalive(s, (int)conn_limits.tcp_keepalive);
    sock_read(s);
    return c;
}

void conn_set_arg(struct conn *c, void *arg)
{
    c->arg = arg;
}

void conn_set_guest(struct conn *c, bool on)
{
    c->guest = on;
}

struct buf *conn_out(struct conn *c)
{
    return &c->out;
}

void conn_close_soon(struct conn *c)
{
    c->close_soon = true;
    if (!c->running)
        c->in.len = c->in_at = 0;
    add_pending(c);
}

void conn_close(struct conn *c)
{
    if (c->closing)
        return;
    c->closing = true;
    list_del(&c->pending);
    list_del(&c->ready);
    if (!c->running) /* else at its end: an inner turn would free what the callers are working on */
        sock_close(c->sock);
}

bool conn_closing(const struct conn *c)
{
    return c->closing || c->close_soon;
}

void conn_set_pubsub(struct conn *c, bool on)
{
    c->class = on ? CONN_PUBSUB : CONN_NORMAL;
}

void conn_set_class(struct conn *c, enum conn_class k)
{
    c->class = k;
}

void conn_on_drained(struct conn *c, void (*fn)(void *arg), void *arg)
{
    c->drained = fn;
    c->drained_arg = arg;
}

struct sock *conn_sock(struct conn *c)
{
    return c->sock;
}

size_t conn_query_bytes(const struct conn *c)
{
    return c->in.len - c->in_at;
}

size_t conn_query_free(const struct conn *c)
{
    return c->in.cap - conn_query_bytes(c);
}

size_t conn_reply_room(const struct conn *c)
{
    return c->out.cap + c->sending.cap;
}

size_t conn_out_bytes(const struct conn *c)
{
    return c->out.len + c->sending.len;
}

size_t conn_memory(const struct conn *c)
{
    return mem_size(c) + mem_size(c->in.p) + mem_size(c->out.p) + mem_size(c->sending.p) +
           c->resp.cap * (sizeof *c->resp.argv + sizeof *c->resp.spans) + c->resp.words.cap;
}

uint64_t conn_in_total(const struct conn *c)
{
    return c->in_total;
}

uint64_t conn_out_total(const struct conn *c)
{
    return c->out_total;
}

