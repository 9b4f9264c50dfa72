/* The outbound HTTP client on libcurl's multi interface.
 *
 *     loop                                   worker thread (one multi handle each)
 *     http_start ──► inbox (mutex) ──wakeup──► epoll / socket_action
 *     callbacks ◄── outbox (mutex) ◄─loop_post─┘ head, piece, end messages
 *
 * Built for a thousand model streams at once, each a small piece every few milliseconds, and some ten thousand short
 * calls a second. What one socket brought goes into the outbox together and joins pieces of the call that the loop has
 * not yet fetched; the loop is posted to once a batch, the worker is woken only when it sleeps. Handles of libcurl are
 * kept with their options for the next POST.
 *
 * What would surprise: libcurl sends a request again by itself when a kept connection ended before a byte of the reply
 * came, and a vendor may have acted on the first. on_request refuses that, so that whoever asked hears of it.
 *
 * Who owns a call: one reference is the loop's (dropped after end()), one the worker's (dropped after it queued the end
 * message), one each command in the inbox. `cancelled`, `unread` and `paused` are the only fields both sides touch.
 *
 * Backpressure: a stream stops being read when UNREAD_MAX bytes of it wait for the loop. The worker sets `paused` and
 * then looks at `unread` again; the loop lowers `unread` and then looks at `paused`: one of them sees it. */
#include "net/http_client.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/epoll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/http_url.h"

#define UNREAD_MAX (1u << 20)
#define HEAD_MAX   (64u << 10)
#define CONNECT_MS 10000
#define TIMEOUT_MS 600000
#define IDLE_MAX   2048 /* connections a worker keeps open for later calls: a wave of a thousand finds the last one's */
#define REPLY_MAX  (64u << 20)
#define SPARES     64 /* handles of libcurl that a worker keeps; one has some 6 KB */

enum msg_kind { MSG_HEAD, MSG_PIECE, MSG_END };

struct msg {
    struct list link;
    enum msg_kind kind;
    int status;
    struct http_call *call;
    struct buf bytes; /* MSG_HEAD, MSG_PIECE */
    struct http_end *end;
};

/* Messages for the loop. It lives longer than its client when a post is still on its way. */
struct outbox {
    pthread_mutex_t lock;
    struct list msgs;
    bool posted;  /* a drain is on its way to the loop */
    bool closing; /* the client drains it itself: no more posts */
    bool orphan;  /* the client is gone: the drain on its way frees this */
};

struct worker {
    pthread_t thread;
    CURLM *multi;
    int epoll, wake; /* wake is an eventfd: the inbox has something */
    int64_t due_ms;  /* when libcurl wants its timers looked at, monotonic; -1: never */
    struct http_client *client;
    pthread_mutex_t lock; /* inbox, stop */
    struct list inbox;
    bool stop;
    atomic_bool asleep; /* or about to sleep: set with the inbox locked and empty */
    struct list calls;  /* the rest is the worker's only. In the multi handle */
    struct list msgs;   /* for the outbox */
    CURL *spare[SPARES];
    int nspare;
    char *watched; /* enum watched and the events, by descriptor */
    int watched_n;
    _Atomic uint64_t connections;
};

struct http_client {
    struct loop *loop;
    struct outbox *out;
    struct worker *workers;
    int nworkers, next;
    int calls;
    uint64_t started;
    struct http_urls urls;
};

struct http_call {
    atomic_int refs;
    atomic_bool cancelled;
    atomic_bool paused;
    atomic_size_t unread;
    bool held; /* the loop's */

    struct http_client *client;
    struct worker *worker;
    const struct http_ops *ops;
    void *arg;

    /* the request, written once before the worker sees it */
    char *url, *method;
    char host[HTTP_HOST_MAX];
    struct buf body;
    struct curl_slist *headers;
    int connect_ms, timeout_ms;
    size_t max_reply;
    bool allow_private, stream, post;

    /* the worker's */
    struct list link; /* worker->calls */
    CURL *easy;
    struct buf head, reply;
    struct msg *open_piece; /* still in the outbox: pieces may be added to it; guarded by the outbox's lock */
    size_t received;
    int status;
    long asked; /* bytes of requests that the handle had sent before this one; -1: not yet asked */
    bool refused, again, head_too_big, reply_too_big, ended; /* again: libcurl wanted to send it a second time */
    char error[CURL_ERROR_SIZE];
};

enum command_kind { CMD_START, CMD_CANCEL, CMD_UNPAUSE };

struct command {
    struct list link;
    enum command_kind kind;
    struct http_call *call;
};

static void call_unref(struct http_call *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    mem_free(c->url);
    mem_free(c->method);
    buf_release(&c->body);
    buf_release(&c->head);
    buf_release(&c->reply);
    curl_slist_free_all(c->headers);
    mem_free(c);
}

/* ---- sockets ---- */

/* What is known of a descriptor. libcurl may take a socket out of its set only after it has closed it, when the number
 * can already be another thread's. So a late word about a socket touches no descriptor: it is not WANTED from then on,
 * and leaves epoll when it is closed or when something happens on it, both of which only a socket of ours can. Of
 * sockets that we open ourselves (OURS) we see the end, too, so that what epoll has of them is known for sure: a kept
 * connection that is wanted again as before costs no system call. */
enum watched { OURS = 1, IN_EPOLL = 2, WANTED = 4, FOR_IN = 8, FOR_OUT = 16 };

static int watched(const struct worker *w, curl_socket_t s)
{
    return s < w->watched_n ? w->watched[s] : 0;
}

static void set_watched(struct worker *w, curl_socket_t s, int how)
{
    if (s >= w->watched_n) {
        int n = s + s / 2 + 64;
        w->watched = mem_realloc(w->watched, (size_t)n * sizeof *w->watched);
        memset(w->watched + w->watched_n, 0, (size_t)(n - w->watched_n) * sizeof *w->watched);
        w->watched_n = n;
    }
    w->watched[s] = (char)how;
}

static void unwatch(struct worker *w, curl_socket_t s)
{
    if (watched(w, s) & IN_EPOLL)
        epoll_ctl(w->epoll, EPOLL_CTL_DEL, s, NULL);
    if (watched(w, s))
        set_watched(w, s, watched(w, s) & OURS);
}

/* curl is about to open a connection: the address is the one that was resolved. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct http_call *c = arg;
    if (!c->allow_private && !http_address_is_public(&a->addr)) {
        c->refused = true;
        return CURL_SOCKET_BAD;
    }
    c->worker->connections++;
    curl_socket_t s = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
    if (s >= 0)
        set_watched(c->worker, s, OURS);
    return s;
}

static int on_close(void *arg, curl_socket_t s)
{
    unwatch(arg, s);
    if (watched(arg, s))
        set_watched(arg, s, 0);
    return close(s);
}

/* libcurl comes here for every request it is about to send. The second one of a call is the first again, on another
 * connection: only when nothing of that one had left may it. */
static bool may_be_sent(struct http_call *c)
{
    long sent = 0;
    curl_easy_getinfo(c->easy, CURLINFO_REQUEST_SIZE, &sent);
    c->again = c->asked >= 0 && sent > c->asked;
    if (c->asked < 0)
        c->asked = sent;
    return !c->again;
}

/* curl is about to send the request, perhaps over a connection that another request was allowed to open. */
static int on_request(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct http_call *c = arg;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (!may_be_sent(c))
        return CURL_PREREQFUNC_ABORT;
    if (c->allow_private)
        return CURL_PREREQFUNC_OK;
    if (inet_pton(AF_INET, remote_ip, &v4.sin_addr) == 1 && http_address_is_public((struct sockaddr *)&v4))
        return CURL_PREREQFUNC_OK;
    if (inet_pton(AF_INET6, remote_ip, &v6.sin6_addr) == 1 && http_address_is_public((struct sockaddr *)&v6))
        return CURL_PREREQFUNC_OK;
    c->refused = true;
    return CURL_PREREQFUNC_ABORT;
}

/* ---- messages to the loop ---- */

static void deliver(struct http_client *client, struct msg *m);

static void drain(struct outbox *o, struct http_client *client)
{
    struct list batch;
    list_init(&batch);
    pthread_mutex_lock(&o->lock);
    o->posted = false;
    if (!list_empty(&o->msgs)) {
        batch = o->msgs;
        batch.next->prev = batch.prev->next = &batch;
        list_init(&o->msgs);
    }
    list_each (n, &batch)
        list_entry(n, struct msg, link)->call->open_piece = NULL;
    pthread_mutex_unlock(&o->lock);
    list_each_safe (n, &batch)
        deliver(client, list_entry(n, struct msg, link));
}

struct drain_post {
    struct outbox *out;
    struct http_client *client;
};

static void outbox_free(struct outbox *o)
{
    pthread_mutex_destroy(&o->lock);
    mem_free(o);
}

static void on_drain(void *arg)
{
    struct drain_post p = *(struct drain_post *)arg;
    mem_free(arg);
    if (p.out->orphan)
        outbox_free(p.out);
    else
        drain(p.out, p.client);
}

static void post_drain(struct http_client *client)
{
    struct drain_post *p = mem_alloc(sizeof *p);
    *p = (struct drain_post){client->out, client};
    loop_post_work(client->loop, on_drain, p);
}

/* With the outbox locked. A piece joins the one before it when the loop has not fetched that yet. */
static void outbox_add(struct outbox *o, struct msg *m)
{
    struct http_call *c = m->call;
    list_del(&m->link);
    if (m->kind == MSG_PIECE && c->open_piece && buf_add(&c->open_piece->bytes, m->bytes.p, m->bytes.len)) {
        buf_release(&m->bytes);
        mem_free(m);
        return;
    }
    c->open_piece = m->kind == MSG_PIECE ? m : NULL;
    list_add_tail(&o->msgs, &m->link);
}

/* Hands what the worker has gathered to the loop. */
static void flush(struct worker *w)
{
    struct outbox *o = w->client->out;
    if (list_empty(&w->msgs))
        return;
    pthread_mutex_lock(&o->lock);
    list_each_safe (n, &w->msgs)
        outbox_add(o, list_entry(n, struct msg, link));
    bool post = !o->posted && !o->closing;
    o->posted |= post;
    pthread_mutex_unlock(&o->lock);
    if (post)
        post_drain(w->client);
}

static struct msg *send_msg(struct http_call *c, enum msg_kind kind)
{
    struct msg *m = mem_zero(sizeof *m);
    m->kind = kind;
    m->call = c;
    m->status = c->status;
    list_add_tail(&c->worker->msgs, &m->link);
    return m;
}

/* Joins the last message when that is a piece of the same call. */
static void send_piece(struct http_call *c, const char *p, size_t n)
{
    struct list *msgs = &c->worker->msgs;
    struct msg *last = list_empty(msgs) ? NULL : list_entry(msgs->prev, struct msg, link);
    atomic_fetch_add(&c->unread, n);
    if (!last || last->call != c || last->kind != MSG_PIECE)
        last = send_msg(c, MSG_PIECE);
    buf_add(&last->bytes, p, n);
}

/* ---- what curl calls, on the worker ---- */

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct http_call *c = arg;
    n *= size;
    if (n >= 5 && memcmp(p, "HTTP/", 5) == 0) /* a new head: after 100 Continue, or of the only reply */
        buf_clear(&c->head);
    if (!buf_add(&c->head, p, n)) {
        c->head_too_big = true;
        return 0;
    }
    bool last = n <= 2 && (p[0] == '\r' || p[0] == '\n');
    long status = 0;
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    if (last && status >= 200 && c->status == 0) {
        c->status = (int)status;
        if (c->ops->head) {
            struct msg *m = send_msg(c, MSG_HEAD);
            buf_add(&m->bytes, c->head.p, c->head.len);
        }
    }
    return n;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct http_call *c = arg;
    n *= size;
    if (n > c->max_reply - c->received) {
        c->reply_too_big = true;
        return 0;
    }
    if (c->stream && atomic_load(&c->unread) >= UNREAD_MAX) {
        atomic_store(&c->paused, true);
        if (atomic_load(&c->unread) >= UNREAD_MAX || !atomic_exchange(&c->paused, false))
            return CURL_WRITEFUNC_PAUSE; /* curl keeps these bytes and gives them again */
    }
    c->received += n;
    if (c->stream)
        send_piece(c, p, n);
    else
        buf_add(&c->reply, p, n);
    return n;
}

/* ---- the end of a transfer ---- */

static void describe(struct http_call *c, CURLcode r, struct http_end *e)
{
    long os = 0;
    curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &os);
    const char *where = c->status ? "in the middle of the reply" : "before it answered";
    if (c->refused) {
        err_set(&e->err, ERR_INVALID, "the address of %s is not public and this request may only go to public ones",
                c->host);
        return;
    }
    if (c->reply_too_big || c->head_too_big) {
        err_set(&e->err, ERR_UPSTREAM, "the reply of %s is over the limit of %zu bytes", c->host,
                c->head_too_big ? (size_t)HEAD_MAX : c->max_reply);
        return;
    }
    e->may_retry = c->status == 0;
    if (c->again) {
        e->stale = true;
        err_set(&e->err, ERR_UPSTREAM, "%s closed the connection %s", c->host, where);
        return;
    }
    switch (r) {
    case CURLE_OPERATION_TIMEDOUT: {
        double connected = 0;
        curl_easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME, &connected);
        e->timed_out = true;
        if (connected == 0 && c->connect_ms < c->timeout_ms)
            err_set(&e->err, ERR_UPSTREAM, "could not connect to %s: timed out after %d ms", c->host, c->connect_ms);
        else
            err_set(&e->err, ERR_UPSTREAM, "%s timed out after %d ms", c->host, c->timeout_ms);
        return;
    }
    case CURLE_COULDNT_RESOLVE_HOST:
        err_set(&e->err, ERR_UPSTREAM, "the name %s could not be resolved", c->host);
        return;
    case CURLE_COULDNT_CONNECT:
        err_set(&e->err, ERR_UPSTREAM, "could not connect to %s%s%s", c->host, os ? ": " : "",
                os ? strerror((int)os) : "");
        return;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        e->may_retry = false;
        err_set(&e->err, ERR_UPSTREAM, "the TLS certificate of %s was not accepted: %s", c->host, c->error);
        return;
    case CURLE_SSL_CONNECT_ERROR: err_set(&e->err, ERR_UPSTREAM, "TLS with %s failed: %s", c->host, c->error); return;
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: err_set(&e->err, ERR_UPSTREAM, "%s closed the connection %s", c->host, where); return;
    default:
        err_set(&e->err, ERR_UPSTREAM, "%s failed %s: %s", c->host, where,
                c->error[0] ? c->error : curl_easy_strerror(r));
    }
}

static bool was_sent(const struct http_call *c)
{
    curl_off_t body = 0;
    long head = 0;
    curl_easy_getinfo(c->easy, CURLINFO_REQUEST_SIZE, &head);
    curl_easy_getinfo(c->easy, CURLINFO_SIZE_UPLOAD_T, &body);
    return c->status || (c->asked >= 0 && head > c->asked && (size_t)body >= c->body.len);
}

/* Keeps the handle for another POST when its transfer went well, without what points into the call. */
static void put_away(struct worker *w, struct http_call *c, bool well)
{
    if (!well || !c->post || w->nspare == SPARES) {
        curl_easy_cleanup(c->easy);
        return;
    }
    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, "");
    curl_easy_setopt(c->easy, CURLOPT_PRIVATE, NULL);
    w->spare[w->nspare++] = c->easy;
}

/* Takes the call out of the worker; `cancelled` is for calls that did not end by themselves. */
static void finish(struct http_call *c, CURLcode r, bool cancelled)
{
    struct http_end *e = send_msg(c, MSG_END)->end = mem_zero(sizeof *e);
    curl_off_t first = 0, total = 0;
    curl_easy_getinfo(c->easy, CURLINFO_STARTTRANSFER_TIME_T, &first);
    curl_easy_getinfo(c->easy, CURLINFO_TOTAL_TIME_T, &total);
    e->status = c->status;
    e->sent = was_sent(c);
    e->us_first = c->status ? first : -1;
    e->us_total = total;
    if (cancelled)
        err_set(&e->err, ERR_CANCELLED, "the call to %s was cancelled", c->host);
    else if (r != CURLE_OK)
        describe(c, r, e);
    curl_multi_remove_handle(c->worker->multi, c->easy);
    put_away(c->worker, c, !cancelled && r == CURLE_OK);
    c->easy = NULL;
    c->ended = true;
    list_del(&c->link);
    call_unref(c);
}

/* ---- the worker ---- */

/* What no call changes. */
static CURL *new_handle(struct worker *w)
{
    CURL *e = curl_easy_init();
    assert(e);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "skald");
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, w);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    return e;
}

/* Everything else, whatever a kept handle had of it. */
static void set_options(struct http_call *c)
{
    CURL *e = c->easy;
    bool tls = strncasecmp(c->url, "https:", 6) == 0;
    curl_easy_setopt(e, CURLOPT_URL, c->url);
    curl_easy_setopt(e, CURLOPT_PIPEWAIT, tls ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_ms);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)c->timeout_ms);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->error);
    curl_easy_setopt(e, CURLOPT_PRIVATE, c);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, c);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, c->stream ? NULL : ""); /* a compressed stream would come in lumps */
    if (c->body.len || c->post) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, c->body.len ? c->body.p : "");
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body.len);
    }
    if (strcmp(c->method, "HEAD") == 0)
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    else if (!c->post)
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, c->method);
}

static void begin(struct worker *w, struct http_call *c)
{
    c->easy = c->post && w->nspare ? w->spare[--w->nspare] : new_handle(w);
    c->asked = -1;
    set_options(c);
    list_add_tail(&w->calls, &c->link);
    CURLMcode r = curl_multi_add_handle(w->multi, c->easy);
    assert(r == CURLM_OK);
}

static void obey(struct worker *w, struct command *cmd)
{
    struct http_call *c = cmd->call;
    if (cmd->kind == CMD_START) {
        atomic_fetch_add(&c->refs, 1); /* the worker's own */
        begin(w, c);
    } else if (!c->ended && cmd->kind == CMD_CANCEL) {
        finish(c, CURLE_OK, true);
    } else if (!c->ended) {
        curl_easy_pause(c->easy, CURLPAUSE_CONT);
    }
    call_unref(c);
    mem_free(cmd);
}

/* Takes the inbox; false when the client stops. */
static bool read_inbox(struct worker *w)
{
    struct list batch;
    list_init(&batch);
    pthread_mutex_lock(&w->lock);
    if (!list_empty(&w->inbox)) {
        batch = w->inbox;
        batch.next->prev = batch.prev->next = &batch;
        list_init(&w->inbox);
    }
    bool stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    list_each_safe (n, &batch)
        obey(w, list_entry(n, struct command, link));
    return !stop;
}

static void reap(struct worker *w)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(w->multi, &left))) {
        struct http_call *c = NULL;
        CURLcode r = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
        if (m->msg == CURLMSG_DONE)
            finish(c, r, false);
    }
}

/* What has come, and what has ended. */
static void hand_over(struct worker *w)
{
    reap(w);
    flush(w);
}

/* libcurl says which sockets it waits for and until when; only those that are ready are looked at, so a thousand calls
 * cost no more a step than ten (curl_multi_poll and _perform would walk all of them each time). */
static int on_socket(CURL *easy, curl_socket_t s, int what, void *arg, void *of_socket)
{
    struct worker *w = arg;
    int before = watched(w, s), now = (before & OURS) | IN_EPOLL | WANTED;
    struct epoll_event ev = {.data.fd = s};
    if (what == CURL_POLL_REMOVE) {
        if (before & WANTED)
            set_watched(w, s, before & ~WANTED);
        return 0;
    }
    if (what & CURL_POLL_IN) {
        ev.events |= EPOLLIN;
        now |= FOR_IN;
    }
    if (what & CURL_POLL_OUT) {
        ev.events |= EPOLLOUT;
        now |= FOR_OUT;
    }
    set_watched(w, s, now);
    if ((before & OURS) && (before | WANTED) == now)
        return 0;
    bool known = before & IN_EPOLL;
    if (epoll_ctl(w->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s, &ev) < 0 && errno == (known ? ENOENT : EEXIST))
        epoll_ctl(w->epoll, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, s, &ev);
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    struct worker *w = arg;
    w->due_ms = ms < 0 ? -1 : clock_mono_ms() + ms;
    return 0;
}

static void wake(struct worker *w)
{
    uint64_t one = 1;
    while (write(w->wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void act(struct worker *w, const struct epoll_event *ev)
{
    int running, flags = 0;
    uint64_t count;
    if (ev->data.fd == w->wake) {
        if (read(w->wake, &count, sizeof count) < 0) {
            /* nothing to read: somebody was faster, and the inbox is looked at anyway */
        }
        return;
    }
    if (!(watched(w, ev->data.fd) & WANTED)) {
        unwatch(w, ev->data.fd);
        return;
    }
    if (ev->events & EPOLLIN)
        flags |= CURL_CSELECT_IN;
    if (ev->events & EPOLLOUT)
        flags |= CURL_CSELECT_OUT;
    if (ev->events & (EPOLLERR | EPOLLHUP))
        flags |= CURL_CSELECT_ERR;
    curl_multi_socket_action(w->multi, ev->data.fd, flags, &running);
    hand_over(w);
}

static void run_timers(struct worker *w)
{
    int running;
    if (w->due_ms >= 0 && clock_mono_ms() >= w->due_ms) {
        w->due_ms = -1;
        curl_multi_socket_action(w->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    hand_over(w);
}

#define EVENTS      256
#define LONGEST_NAP 60000

/* How long the worker may sleep. Not at all when there are commands; else the next one wakes it. */
static int nap(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    bool rest = list_empty(&w->inbox) && !w->stop;
    atomic_store(&w->asleep, rest);
    pthread_mutex_unlock(&w->lock);
    if (!rest)
        return 0;
    int64_t ms = w->due_ms < 0 ? LONGEST_NAP : w->due_ms - clock_mono_ms();
    return (int)(ms < 0 ? 0 : ms < LONGEST_NAP ? ms : LONGEST_NAP);
}

static void end_all(struct worker *w)
{
    list_each_safe (n, &w->calls)
        finish(list_entry(n, struct http_call, link), CURLE_OK, true);
    flush(w);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct epoll_event ready[EVENTS];
    pthread_setname_np(pthread_self(), "skald-http");
    while (read_inbox(w)) {
        run_timers(w); /* a call that has just come is begun by one */
        int n = epoll_wait(w->epoll, ready, EVENTS, nap(w));
        atomic_store(&w->asleep, false);
        for (int i = 0; i < n; i++)
            act(w, &ready[i]);
    }
    end_all(w);
    return NULL;
}

/* ---- the loop's side ---- */

static void command(struct http_call *c, enum command_kind kind)
{
    struct worker *w = c->worker;
    struct command *cmd = mem_alloc(sizeof *cmd);
    cmd->kind = kind;
    cmd->call = c;
    atomic_fetch_add(&c->refs, 1);
    pthread_mutex_lock(&w->lock);
    list_add_tail(&w->inbox, &cmd->link);
    bool asleep = atomic_exchange(&w->asleep, false);
    pthread_mutex_unlock(&w->lock);
    if (asleep)
        wake(w);
}

static void have_read(struct http_call *c, size_t n)
{
    size_t left = atomic_fetch_sub(&c->unread, n) - n;
    if (left < UNREAD_MAX / 2 && atomic_exchange(&c->paused, false))
        command(c, CMD_UNPAUSE);
}

/* A call that is held has that much more unread, which stops its worker as a slow loop would. */
void http_hold(struct http_call *c, bool on)
{
    if (c->held == on)
        return;
    c->held = on;
    if (on)
        atomic_fetch_add(&c->unread, UNREAD_MAX);
    else
        have_read(c, UNREAD_MAX);
}

static void deliver_piece(struct http_call *c, struct slice bytes)
{
    if (!atomic_load(&c->cancelled))
        c->ops->piece(c->arg, bytes);
    have_read(c, bytes.len);
}

static void deliver_end(struct http_client *client, struct http_call *c, struct http_end *e)
{
    e->head = buf_slice(&c->head);
    e->body = buf_slice(&c->reply);
    if (atomic_load(&c->cancelled) && e->err.code != ERR_CANCELLED)
        err_set(&e->err, ERR_CANCELLED, "the call to %s was cancelled", c->host);
    client->calls--;
    c->ops->end(c->arg, e);
    call_unref(c);
}

static void deliver(struct http_client *client, struct msg *m)
{
    struct http_call *c = m->call;
    if (m->kind == MSG_END)
        deliver_end(client, c, m->end);
    else if (m->kind == MSG_PIECE)
        deliver_piece(c, buf_slice(&m->bytes));
    else if (!atomic_load(&c->cancelled))
        c->ops->head(c->arg, m->status, buf_slice(&m->bytes));
    buf_release(&m->bytes);
    mem_free(m->end);
    mem_free(m);
}

static int take_headers(struct http_call *c, const char *const *headers, struct err *err)
{
    for (; headers && *headers; headers++) {
        const char *colon = strchr(*headers, ':');
        if (!http_text_is_clean(*headers, 16000) || !colon || colon == *headers)
            return err_set(err, ERR_INVALID, "a header of the request is not of the form Name: value, or is too long");
        c->headers = curl_slist_append(c->headers, *headers);
    }
    c->headers = curl_slist_append(c->headers, "Expect:"); /* do not wait for 100 Continue */
    return 0;
}

static int take_request(struct http_call *c, const struct http_request *q, struct err *err)
{
    c->method = mem_strdup(q->method ? q->method : "GET");
    for (const char *p = c->method; *p; p++)
        if (*p < 'A' || *p > 'Z' || p - c->method > 20)
            return err_set(err, ERR_INVALID,
                           "the method of an HTTP request is a word in capitals, such as GET or POST");
    c->post = strcmp(c->method, "POST") == 0;
    c->connect_ms = q->connect_ms > 0 ? q->connect_ms : CONNECT_MS;
    c->timeout_ms = q->timeout_ms > 0 ? q->timeout_ms : TIMEOUT_MS;
    c->max_reply = q->max_reply ? q->max_reply : REPLY_MAX;
    c->allow_private = q->allow_private;
    c->stream = q->stream;
    buf_add(&c->body, q->body.p, q->body.len);
    buf_init(&c->head, HEAD_MAX);
    c->url = mem_strdup(q->url ? q->url : "");
    int r = http_url_check(&c->client->urls, c->url, c->host, err);
    return r ? r : take_headers(c, q->headers, err);
}

int http_start(struct http_client *client, const struct http_request *req, const struct http_ops *ops, void *arg,
               struct http_call **out, struct err *err)
{
    struct http_call *c = mem_zero(sizeof *c);
    atomic_init(&c->refs, 1);
    list_init(&c->link);
    c->client = client;
    c->ops = ops;
    c->arg = arg;
    int r = take_request(c, req, err);
    if (r < 0) {
        call_unref(c);
        return r;
    }
    c->worker = &client->workers[client->next];
    client->next = (client->next + 1) % client->nworkers;
    client->calls++;
    client->started++;
    if (out)
        *out = c;
    command(c, CMD_START);
    return 0;
}

void http_cancel(struct http_call *c)
{
    if (!atomic_exchange(&c->cancelled, true))
        command(c, CMD_CANCEL);
}

void http_client_load(const struct http_client *c, struct http_client_load *to)
{
    *to = (struct http_client_load){c->calls, c->started, 0};
    for (int i = 0; i < c->nworkers; i++)
        to->connections += atomic_load(&c->workers[i].connections);
}

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool open_worker(struct worker *w)
{
    w->due_ms = -1;
    w->multi = curl_multi_init();
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = w->wake};
    if (!w->multi || w->epoll < 0 || w->wake < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &ev) < 0)
        return false;
    curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_MAX);
    curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
    curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
    return true;
}

/* libcurl closes its connections first, and speaks to epoll while it does. */
static void close_worker(struct worker *w)
{
    while (w->nspare)
        curl_easy_cleanup(w->spare[--w->nspare]);
    curl_multi_cleanup(w->multi);
    if (w->epoll >= 0)
        close(w->epoll);
    if (w->wake >= 0)
        close(w->wake);
    mem_free(w->watched);
    pthread_mutex_destroy(&w->lock);
}

int http_client_create(struct http_client **out, struct loop *l, int threads, struct err *err)
{
    assert(threads >= 1);
    pthread_once(&curl_once, start_curl);
    struct http_client *c = mem_zero(sizeof *c);
    c->loop = l;
    c->out = mem_zero(sizeof *c->out);
    pthread_mutex_init(&c->out->lock, NULL);
    list_init(&c->out->msgs);
    c->workers = mem_zero((size_t)threads * sizeof *c->workers);
    for (; c->nworkers < threads; c->nworkers++) {
        struct worker *w = &c->workers[c->nworkers];
        w->client = c;
        pthread_mutex_init(&w->lock, NULL);
        list_init(&w->inbox);
        list_init(&w->calls);
        list_init(&w->msgs);
        int r = open_worker(w) ? pthread_create(&w->thread, NULL, work, w) : ENOMEM;
        if (r != 0) {
            close_worker(w);
            http_client_destroy(c);
            return err_set(err, ERR_GENERIC, "cannot start a thread for outbound calls: %s", strerror(r));
        }
    }
    *out = c;
    return 0;
}

static void stop_worker(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_mutex_unlock(&w->lock);
    wake(w);
    pthread_join(w->thread, NULL);
}

void http_client_destroy(struct http_client *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->nworkers; i++)
        stop_worker(&c->workers[i]);
    bool posted = c->out->posted;
    c->out->closing = true;
    while (!list_empty(&c->out->msgs)) { /* an end() may start a call: it is answered in the same way */
        drain(c->out, c);
        for (int i = 0; i < c->nworkers; i++) {
            struct worker *w = &c->workers[i];
            read_inbox(w);
            end_all(w);
        }
    }
    for (int i = 0; i < c->nworkers; i++) {
        close_worker(&c->workers[i]);
    }
    if (posted)
        c->out->orphan = true; /* the drain on its way frees it */
    else
        outbox_free(c->out);
    http_urls_release(&c->urls);
    mem_free(c->workers);
    mem_free(c);
}
