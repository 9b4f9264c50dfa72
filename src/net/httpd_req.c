/* Requests of the HTTP server: from the head to the last byte of the answer. See httpd.h.
 *
 *   head ─► body ─► handler ─┬─► reply ───────────────────────────────► finished
 *                            ├─► asleep ─► (reply or stream_begin wakes)
 *                            └─► stream: on_pull ◄─► asleep while nothing waits ─► end
 *
 * The library pulls a stream's bytes when the socket takes some; when there are none, the connection sleeps, and what
 * comes then is pushed (httpd_push.c) until the socket takes no more. So a stream that says nothing costs no turn of
 * the loop, and one whose reader is slow is simply not pulled.
 *
 * A held answer is there, and the connection sleeps; of a stream, what was added before leaves.
 */
#include "net/httpd_own.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"

#define PULL      (4u << 10) /* room that the library keeps for a stream; chunks it builds in the connection's own */
#define KEEP_ROOM (4u << 10) /* of a stream whose bytes are all taken */

struct httpd_stats httpd_stats;

static struct httpd_req *req_create(struct httpd_peer *p, const char *method, const char *url)
{
    struct httpd_req *r = mem_zero(sizeof *r);
    r->server = p->server;
    r->peer = p;
    r->conn = p->conn;
    r->started_us = clock_mono_us();
    list_init(&r->link);
    list_init(&r->ready);
    r->method = mem_strdup(method);
    r->path = mem_strdup(url);
    buf_init(&r->body, p->server->body_max);
    httpd_stats.requests++;
    p->req = r;
    return r;
}

static void req_destroy(struct httpd_req *r)
{
    if (r->answer)
        MHD_destroy_response(r->answer);
    mem_free(r->method);
    mem_free(r->path);
    buf_release(&r->body);
    buf_release(&r->headers);
    buf_release(&r->out);
    buf_release(&r->rest);
    mem_free(r);
}

/* ---- what was asked ---- */

const char *httpd_method(const struct httpd_req *r)
{
    return r->method;
}

const char *httpd_path(const struct httpd_req *r)
{
    return r->path;
}

const char *httpd_query(const struct httpd_req *r, const char *name)
{
    const char *value = NULL;
    if (!r->conn ||
        MHD_lookup_connection_value_n(r->conn, MHD_GET_ARGUMENT_KIND, name, strlen(name), &value, NULL) != MHD_YES)
        return NULL;
    return value ? value : "";
}

const char *httpd_header(const struct httpd_req *r, const char *name)
{
    return r->conn ? MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name) : NULL;
}

struct slice httpd_body(const struct httpd_req *r)
{
    return buf_slice(&r->body);
}

bool httpd_is_local(const struct httpd_req *r)
{
    return r->peer && r->peer->local;
}

int64_t httpd_started_us(const struct httpd_req *r)
{
    return r->started_us;
}

void httpd_on_gone(struct httpd_req *r, void (*gone)(void *arg), void *arg)
{
    r->gone = gone;
    r->gone_arg = arg;
}

/* ---- sleeping ---- */

static void fall_asleep(struct httpd_req *r)
{
    if (!list_empty(&r->link))
        return;
    httpd_peer_watch(r->peer);
    MHD_suspend_connection(r->conn);
    list_add_tail(&r->server->asleep, &r->link);
}

void httpd_wake(struct httpd_req *r)
{
    if (list_empty(&r->link))
        return;
    list_del(&r->link);
    MHD_resume_connection(r->conn);
    httpd_turn_soon(r->server);
}

/* ---- answers ---- */

void httpd_add_header(struct httpd_req *r, const char *name, const char *value)
{
    buf_add(&r->headers, name, strlen(name) + 1);
    buf_add(&r->headers, value, strlen(value) + 1);
}

static void set_answer(struct httpd_req *r, int status, const char *type, struct MHD_Response *answer)
{
    r->status = (unsigned)status;
    r->answer = answer;
    if (status >= 400)
        httpd_stats.errors++;
    if (!answer)
        return;
    MHD_add_response_header(answer, "Content-Type", type);
    for (size_t at = 0; at < r->headers.len;) {
        const char *name = r->headers.p + at, *value = name + strlen(name) + 1;
        MHD_add_response_header(answer, name, value); /* refuses CR and LF */
        at += strlen(name) + strlen(value) + 2;
    }
}

static void leave(struct httpd_req *r)
{
    if (!r->conn) {
        req_destroy(r);
        return;
    }
    r->leaving = true;
    r->server->unread++;
    if (r->rest.len == 0 || r->cut) /* else it is woken behind the rest */
        httpd_wake(r);
}

/* The handler has had its last word. Inside the handler, on_complete sends the answer. */
static void finish(struct httpd_req *r)
{
    r->finished = true;
    if (!r->held)
        leave(r);
}

void httpd_reply(struct httpd_req *r, int status, const char *type, struct slice body)
{
    if (r->conn)
        set_answer(r, status, type,
                   MHD_create_response_from_buffer(body.len, (void *)(body.len ? body.p : ""), MHD_RESPMEM_MUST_COPY));
    finish(r);
}

void httpd_reply_take(struct httpd_req *r, int status, const char *type, struct buf *body)
{
    size_t n;
    if (!r->conn || body->len == 0) {
        httpd_reply(r, status, type, buf_slice(body));
        buf_release(body);
        return;
    }
    char *p = buf_take(body, &n);
    set_answer(r, status, type, MHD_create_response_from_buffer_with_free_callback(n, p, mem_free));
    if (!r->answer)
        mem_free(p);
    finish(r);
}

/* ---- held ---- */

void httpd_hold(struct httpd_req *r)
{
    r->held = true;
    r->free = r->out.len - r->taken;
    r->headers_before = r->headers.len;
}

void httpd_take_back(struct httpd_req *r)
{
    bool ended = r->finished;
    r->finished = false;
    if (r->stream) {
        r->out.len = r->taken + r->free;
        httpd_stats.streams += ended;
        return;
    }
    if (r->answer)
        MHD_destroy_response(r->answer);
    r->answer = NULL;
    r->headers.len = r->headers_before;
}

/* More of a stream may leave. */
static void go_on(struct httpd_req *r)
{
    if (httpd_push_may(r))
        httpd_push_soon(r);
    else
        httpd_wake(r);
}

void httpd_let_go(struct httpd_req *r)
{
    r->held = false;
    if (r->finished)
        leave(r);
    else if (r->conn)
        go_on(r);
}

/* ---- streams ---- */

size_t httpd_stream_waiting(const struct httpd_req *r)
{
    return r->out.len - r->taken + r->rest.len;
}

size_t httpd_may_leave(const struct httpd_req *r)
{
    return r->held ? r->free : r->out.len - r->taken;
}

void httpd_took(struct httpd_req *r, size_t n)
{
    r->taken += n;
    r->free -= r->held ? n : 0;
    if (httpd_stream_waiting(r) > 0)
        return;
    r->taken = 0;
    if (r->out.cap > KEEP_ROOM)
        buf_release(&r->out);
    else
        buf_clear(&r->out);
    if (r->drained && !r->finished)
        r->drained(r->drained_arg);
}

static ssize_t on_pull(void *arg, uint64_t pos, char *to, size_t max)
{
    struct httpd_req *r = arg;
    size_t n = httpd_may_leave(r);
    r->pulled = true;
    if (r->cut || r->peer->hung_up || r->rest.len)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n > 0) {
        n = n < max ? n : max;
        memcpy(to, r->out.p + r->taken, n);
        httpd_took(r, n);
        return (ssize_t)n;
    }
    if (r->finished && !r->held)
        return MHD_CONTENT_READER_END_OF_STREAM;
    fall_asleep(r);
    return 0;
}

void httpd_stream_begin(struct httpd_req *r, int status, const char *type)
{
    r->stream = true;
    httpd_stats.streams++;
    if (!r->conn)
        return;
    r->status = (unsigned)status;
    r->stream_type = type;
    httpd_wake(r);
}

/* A stream that has come to its end before a byte of it was sent is an answer like others: one write. */
static void answer_stream(struct httpd_req *r)
{
    size_t n;
    bool whole = r->finished && !r->held && !r->cut && r->out.len > 0;
    if (!whole) {
        set_answer(r, (int)r->status, r->stream_type,
                   MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PULL, on_pull, r, NULL));
        return;
    }
    char *p = buf_take(&r->out, &n);
    set_answer(r, (int)r->status, r->stream_type, MHD_create_response_from_buffer_with_free_callback(n, p, mem_free));
    if (!r->answer)
        mem_free(p);
}

void httpd_stream_add(struct httpd_req *r, struct slice bytes)
{
    if (!r->conn || bytes.len == 0)
        return;
    if (r->taken > r->out.len / 2) { /* the rest moves at most as often as it grows */
        buf_drop(&r->out, r->taken);
        r->taken = 0;
    }
    buf_add(&r->out, bytes.p, bytes.len);
    go_on(r);
}

void httpd_stream_on_drained(struct httpd_req *r, void (*drained)(void *arg), void *arg)
{
    r->drained = drained;
    r->drained_arg = arg;
}

void httpd_stream_end(struct httpd_req *r)
{
    httpd_stats.streams--;
    finish(r);
}

void httpd_stream_cut(struct httpd_req *r)
{
    r->cut = true;
    httpd_stream_end(r);
}

/* ---- the library's callbacks ---- */

static enum MHD_Result send_answer(struct httpd_req *r)
{
    if (r->stream && !r->answer)
        answer_stream(r);
    return r->answer ? MHD_queue_response(r->conn, r->status, r->answer) : MHD_NO; /* MHD_NO closes the connection */
}

static enum MHD_Result refuse_body(struct httpd_req *r)
{
    r->handled = true;
    httpd_add_header(r, "Connection", "close");
    if (r->server->too_large) {
        r->server->too_large(r->server->arg, r, r->server->body_max);
    } else {
        struct buf text = {0};
        buf_addf(&text, "the body is longer than %zu bytes\n", r->server->body_max);
        httpd_reply_take(r, 413, "text/plain", &text);
    }
    return send_answer(r);
}

/* The head of the request: a body that says it is too long is refused before it comes. */
static enum MHD_Result on_head(struct httpd_req *r)
{
    const char *length = httpd_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t n;
    if (length && num_to_u64(slice_str(length), &n)) {
        if (n > r->server->body_max)
            return refuse_body(r);
        if (n > 0 && n <= KEEP_ROOM) /* so much is believed; the rest is made room for as it comes */
            buf_room(&r->body, n);
    }
    return MHD_YES;
}

/* A body without a length may turn out too long: it is read to its end and dropped, but not for ever. */
static enum MHD_Result on_piece(struct httpd_req *r, const char *data, size_t *n)
{
    size_t len = *n;
    *n = 0;
    httpd_peer_heard(r->peer, len);
    if (r->dropped == 0 && buf_add(&r->body, data, len))
        return MHD_YES;
    r->dropped += len;
    buf_release(&r->body);
    return r->dropped <= r->server->body_max + (1u << 20) ? MHD_YES : MHD_NO;
}

static enum MHD_Result on_complete(struct httpd_req *r)
{
    if (r->dropped > 0 && !r->handled)
        return refuse_body(r);
    if (!r->handled) {
        r->handled = true;
        httpd_peer_complete(r->peer);
        r->server->handler(r->server->arg, r);
    }
    if (r->stream || ((r->answer || r->finished) && !r->held))
        return send_answer(r);
    if (r->peer->hung_up)
        return MHD_NO;
    fall_asleep(r);
    return MHD_YES;
}

enum MHD_Result httpd_on_request(void *arg, struct MHD_Connection *conn, const char *url, const char *method,
                                 const char *version, const char *data, size_t *n, void **state)
{
    struct httpd_req *r = *state;
    if (!r) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        if (!info || !info->socket_context)
            return MHD_NO;
        *state = r = req_create(info->socket_context, method, url);
        r->chunked = !r->server->tls && strcmp(version, MHD_HTTP_VERSION_1_1) == 0;
        return on_head(r);
    }
    return *n > 0 ? on_piece(r, data, n) : on_complete(r);
}

void httpd_on_finished(void *arg, struct MHD_Connection *conn, void **state, enum MHD_RequestTerminationCode code)
{
    struct httpd_req *r = *state;
    if (!r)
        return;
    *state = NULL;
    r->peer->req = NULL;
    httpd_peer_owes(r->peer);
    r->conn = NULL;
    r->peer = NULL;
    list_del(&r->link);
    r->server->unread -= r->leaving;
    list_del(&r->ready);
    if (r->handled && code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
        httpd_stats.vanished++;
    if (!r->handled || (r->finished && !r->held)) {
        req_destroy(r);
        return;
    }
    buf_release(&r->out);
    buf_release(&r->rest);
    r->taken = r->free = 0;
    void (*gone)(void *) = r->gone;
    r->gone = NULL;
    if (gone)
        gone(r->gone_arg); /* may end it, and so free it */
}
