/* A load generator that does not wait for answers (open loop): request i is due at start + i/rate whatever became of
 * the others, and its latency counts from that moment, also when no connection was free to send it on. A slow server
 * thus cannot slow the questions down and look faster than it is.
 *
 *     load port=N path=/v1/chat/completions body=FILE [header=LINE]... [rate=R] [seconds=S] [warmup=S] [conns=N]
 *          [stream=1] [marks=N] [drain=S] [total=N]
 *     load port=N resp=FILE ...          FILE holds one command in RESP; an answer is one RESP value
 *
 * rate=0 is a closed loop: each of `conns` connections asks again as soon as it was answered. total ends a run after so
 * many requests. An answer is right when its status is 200, it has `marks` times "~" in it, and, for a stream, ends
 * with [DONE]. What is not answered `drain` seconds after the last request was due is given up and counted as an error.
 *
 * Prints one JSON object: requests counted (the warm-up is not), right ones, errors, right answers a second, the most
 * requests open at once, and milliseconds to the whole answer (and to its first byte) at 50, 95, 99, 99.9 percent.
 *
 * One thread, epoll, a connection carries one request at a time; idle ones are taken last used first, new ones are
 * opened up to `conns`. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "wire.h"

enum state { IDLE, ASKING, HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, TRAILER, RESP };

struct conn {
    int fd; /* -1: not open */
    enum state state;
    uint64_t due, first; /* of the request under way; first: when its first byte came, 0: not yet */
    size_t written;
    struct bytes in; /* a head or a line that is not whole yet */
    long left;       /* bytes of the body or chunk that are still to come; -1: until the end of the connection */
    int status, marks;
    char tail[16]; /* the last bytes of the body: does it end with [DONE]? */
    bool close;
};

static struct {
    int port, conns, marks;
    bool stream, resp;
    double rate, seconds, warmup, drain;
    long total;
    const char *path;
    struct bytes request, headers;
} set = {.path = "/v1/chat/completions", .conns = 64, .seconds = 5, .drain = 5, .marks = 20};

static struct conn *conns;
static int *idle, nidle, opened, poll_fd;
static uint64_t start, counted_from, last_due;
static long busy, peak, sent, in_time; /* in_time: right answers that came in the time that counts */
static struct {
    uint64_t *v;
    size_t n, cap;
} whole, first;
static long errors, wrong_status, wrong_body, lost;
static int last_status;

/* Requests that were due when all connections were taken. */
static struct {
    uint64_t *v;
    size_t head, n, cap;
} waiting;

static void waiting_push(uint64_t due)
{
    if (waiting.n == waiting.cap) {
        size_t cap = waiting.cap ? waiting.cap * 2 : 1024;
        uint64_t *v = must(malloc(cap * sizeof *v));
        for (size_t i = 0; i < waiting.n; i++)
            v[i] = waiting.v[(waiting.head + i) % waiting.cap];
        free(waiting.v);
        waiting.v = v;
        waiting.cap = cap;
        waiting.head = 0;
    }
    waiting.v[(waiting.head + waiting.n++) % waiting.cap] = due;
}

static uint64_t waiting_pop(void)
{
    uint64_t due = waiting.v[waiting.head];
    waiting.head = (waiting.head + 1) % waiting.cap;
    waiting.n--;
    return due;
}

#define KEEP(list, x)                                                                                                  \
    do {                                                                                                               \
        if ((list).n == (list).cap)                                                                                    \
            (list).v = must(realloc((list).v, ((list).cap = (list).cap ? (list).cap * 2 : 4096) * sizeof *(list).v));  \
        (list).v[(list).n++] = (x);                                                                                    \
    } while (0)

static void conn_watch(struct conn *c, unsigned events, int op)
{
    struct epoll_event e = {.events = events, .data.u32 = (uint32_t)(c - conns)};
    if (epoll_ctl(poll_fd, op, c->fd, &e))
        die("epoll_ctl");
}

static void conn_drop(struct conn *c)
{
    close(c->fd);
    c->fd = -1;
    opened--;
}

/* The request is over, one way or the other; the connection is free for the next. */
static void conn_free(struct conn *c)
{
    c->state = IDLE;
    c->in.len = 0;
    if (c->close && c->fd >= 0)
        conn_drop(c);
    idle[nidle++] = (int)(c - conns);
    busy--;
}

static void conn_failed(struct conn *c)
{
    if (c->due >= counted_from) {
        errors++;
        lost++;
    }
    c->close = true;
    conn_free(c);
}

static void conn_answered(struct conn *c)
{
    uint64_t now = now_ns();
    bool ended = !set.stream || set.resp || memmem(c->tail, sizeof c->tail, "[DONE]", 6);
    bool right = c->status == 200 && c->marks == set.marks && ended;
    in_time += right && now >= counted_from && (!set.rate || now <= last_due);
    if (c->due >= counted_from) {
        errors += !right;
        wrong_status += c->status != 200;
        wrong_body += c->status == 200 && !right;
        if (c->status != 200)
            last_status = c->status;
        if (right) {
            KEEP(whole, now - c->due);
            KEEP(first, c->first - c->due);
        }
    }
    conn_free(c);
}

static void body_bytes(struct conn *c, const char *p, size_t n)
{
    for (const char *q = p; (q = memchr(q, '~', (size_t)(p + n - q))); q++)
        c->marks++;
    size_t room = sizeof c->tail;
    if (n >= room) {
        memcpy(c->tail, p + n - room, room);
        return;
    }
    memmove(c->tail, c->tail + n, room - n);
    memcpy(c->tail + room - n, p, n);
}

/* Each takes what it can from p and says how much; 0: the line or head is not whole. */
static size_t take_head(struct conn *c, const char *p, size_t n)
{
    size_t len = head_length(p, n);
    if (!len)
        return 0;
    c->status = n > 12 ? atoi(p + 9) : 0;
    c->left = head_number(p, len, "content-length:");
    c->close = head_has(p, len, "connection:", "close");
    c->state = head_has(p, len, "transfer-encoding:", "chunked") ? CHUNK_SIZE : BODY;
    if (c->state == BODY && c->left < 0)
        c->close = true;
    return len;
}

static size_t take_line(struct conn *c, const char *p, size_t n)
{
    const char *end = memchr(p, '\n', n);
    if (!end)
        return 0;
    if (c->state == TRAILER && end - p <= 1)
        c->left = 0, c->state = BODY;
    else if (c->state == CHUNK_SIZE && end - p > 1) { /* the line end after a chunk's data is an empty line here */
        c->left = strtol(p, NULL, 16);
        c->state = c->left ? CHUNK_DATA : TRAILER;
    }
    return (size_t)(end - p) + 1;
}

static size_t take_resp(struct conn *c, const char *p, size_t n)
{
    const char *end = memchr(p, '\n', n);
    if (!end)
        return 0;
    size_t line = (size_t)(end - p) + 1;
    c->status = *p == '-' ? 500 : 200;
    c->left = *p == '$' ? strtol(p + 1, NULL, 10) + 2 : 0;
    c->state = BODY;
    return line;
}

static size_t take_data(struct conn *c, const char *p, size_t n)
{
    if (c->left >= 0 && n > (size_t)c->left)
        n = (size_t)c->left;
    body_bytes(c, p, n);
    c->left -= c->left >= 0 ? (long)n : 0;
    if (!c->left && c->state == CHUNK_DATA)
        c->state = CHUNK_SIZE;
    return n;
}

static void conn_bytes(struct conn *c)
{
    size_t at = 0;
    while (c->state >= HEAD && (at < c->in.len || (c->state == BODY && !c->left))) {
        const char *p = c->in.p + at;
        size_t n = c->in.len - at, took;
        if (c->state == BODY && !c->left) {
            conn_answered(c);
            return;
        }
        if (c->state == HEAD)
            took = take_head(c, p, n);
        else if (c->state == RESP)
            took = take_resp(c, p, n);
        else if (c->state == BODY || c->state == CHUNK_DATA)
            took = take_data(c, p, n);
        else
            took = take_line(c, p, n);
        if (!took)
            break;
        at += took;
    }
    bytes_drop(&c->in, at);
}

static void conn_read(struct conn *c)
{
    char piece[65536];
    ssize_t n = read(c->fd, piece, sizeof piece);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0 && c->state >= HEAD) {
        if (!c->first)
            c->first = now_ns();
        bytes_add(&c->in, piece, (size_t)n);
        conn_bytes(c);
        return;
    }
    c->close = true;
    if (c->state == IDLE) /* the server closed a connection that rested */
        conn_drop(c);
    else if (!n && c->state == BODY && c->left < 0)
        conn_answered(c);
    else
        conn_failed(c);
}

static void conn_write(struct conn *c)
{
    size_t left = set.request.len - c->written;
    ssize_t n = write(c->fd, set.request.p + c->written, left);
    if (n < 0 && errno != EAGAIN && errno != ENOTCONN) {
        conn_failed(c);
        return;
    }
    c->written += n > 0 ? (size_t)n : 0;
    if (c->written < set.request.len) {
        conn_watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
        return;
    }
    if (c->state == ASKING)
        c->state = set.resp ? RESP : HEAD;
    conn_watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

static void ask(uint64_t due)
{
    struct conn *c = &conns[idle[--nidle]];
    c->state = ASKING;
    c->due = due;
    c->first = 0;
    c->written = 0;
    c->marks = c->status = 0;
    c->close = false;
    memset(c->tail, 0, sizeof c->tail);
    busy++;
    sent++;
    if (busy > peak)
        peak = busy;
    if (c->fd >= 0) {
        conn_write(c);
        return;
    }
    c->fd = tcp_connect(set.port);
    opened++;
    conn_watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

/* Asks what is due by now; returns when the next is, 0: none will be. */
static uint64_t ask_due(void)
{
    static long made;
    uint64_t now = now_ns();
    if (!set.rate) {
        bool over = now >= last_due || (set.total && sent >= set.total);
        for (int n = nidle; n && !over && nidle; n--)
            ask(now_ns());
        return over ? 0 : last_due;
    }
    for (;;) {
        uint64_t due = start + (uint64_t)((double)made * 1e9 / set.rate);
        bool over = due >= last_due || (set.total && made >= set.total);
        if (!over && due <= now) {
            waiting_push(due);
            made++;
            continue;
        }
        while (waiting.n && nidle)
            ask(waiting_pop());
        return over ? 0 : due;
    }
}

static void run(void)
{
    struct epoll_event e[512];
    for (;;) {
        uint64_t next = ask_due(), now = now_ns(), give_up = last_due + (uint64_t)(set.drain * 1e9);
        if (!next && ((!busy && !waiting.n) || now >= give_up))
            return;
        uint64_t until = next ? next : give_up, left = until > now ? until - now : 0;
        struct timespec t = {(time_t)(left / (1000 * MS)), (long)(left % (1000 * MS))};
        int n = epoll_pwait2(poll_fd, e, 512, &t, NULL);
        for (int i = 0; i < n; i++) {
            struct conn *c = &conns[e[i].data.u32];
            if (c->fd >= 0 && e[i].events & EPOLLOUT && c->state == ASKING)
                conn_write(c);
            if (c->fd >= 0 && e[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                conn_read(c);
        }
    }
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void print_times(const char *name, uint64_t *v, size_t n)
{
    static const double at[] = {0.5, 0.95, 0.99, 0.999};
    static const char *const label[] = {"p50", "p95", "p99", "p999"};
    qsort(v, n, sizeof *v, by_size);
    printf(",\"%s\":{", name);
    for (size_t i = 0; i < 4; i++)
        printf("\"%s\":%.4f,", label[i], n ? (double)v[(size_t)((double)(n - 1) * at[i] + 0.5)] / 1e6 : 0.0);
    printf("\"max\":%.4f}", n ? (double)v[n - 1] / 1e6 : 0.0);
}

static void report(uint64_t ended)
{
    long unanswered = busy + (long)waiting.n;
    double seconds = (double)((set.rate ? last_due : ended) - counted_from) / 1e9;
    errors += unanswered;
    printf("{\"all\":%ld,\"counted\":%zu,\"right\":%zu,\"errors\":%ld,\"wrong_status\":%ld,\"last_status\":%d,\"wrong_"
           "body\":%ld,"
           "\"lost\":%ld,\"unanswered\":%ld,\"per_second\":%.1f,\"peak\":%ld",
           sent, whole.n + (size_t)errors, whole.n, errors, wrong_status, last_status, wrong_body, lost, unanswered,
           seconds > 0 ? (double)in_time / seconds : 0.0, peak);
    print_times("ms", whole.v, whole.n);
    print_times("first_ms", first.v, first.n);
    printf("}\n");
}

static struct bytes file(const char *name)
{
    struct bytes b = {0};
    char piece[65536];
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die(name);
    for (ssize_t n; (n = read(fd, piece, sizeof piece)) > 0;)
        bytes_add(&b, piece, (size_t)n);
    close(fd);
    return b;
}

static struct bytes http_request(const struct bytes *body)
{
    struct bytes b = {0};
    bytes_addf(&b,
               "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
               set.path, set.port, body->len);
    if (set.headers.len)
        bytes_add(&b, set.headers.p, set.headers.len);
    bytes_add(&b, "\r\n", 2);
    bytes_add(&b, body->p, body->len);
    return b;
}

static bool number_option(const char *word, const char *value)
{
    const struct {
        const char *name;
        int *i;
        double *d;
    } options[] = {{"port=", &set.port, NULL},  {"conns=", &set.conns, NULL},     {"marks=", &set.marks, NULL},
                   {"rate=", NULL, &set.rate},  {"seconds=", NULL, &set.seconds}, {"warmup=", NULL, &set.warmup},
                   {"drain=", NULL, &set.drain}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strncmp(word, options[i].name, strlen(options[i].name)))
            continue;
        if (options[i].i)
            *options[i].i = atoi(value);
        else
            *options[i].d = atof(value);
        return true;
    }
    return false;
}

static void options(int argc, char **argv)
{
    struct bytes body = {0};
    for (int i = 1; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        value = value ? value + 1 : "";
        if (number_option(argv[i], value))
            continue;
        if (!strncmp(argv[i], "total=", 6))
            set.total = atol(value);
        else if (!strncmp(argv[i], "stream=", 7))
            set.stream = atoi(value);
        else if (!strncmp(argv[i], "path=", 5))
            set.path = value;
        else if (!strncmp(argv[i], "header=", 7))
            bytes_addf(&set.headers, "%s\r\n", value);
        else if (!strncmp(argv[i], "body=", 5))
            body = file(value);
        else if (!strncmp(argv[i], "resp=", 5)) {
            set.resp = true;
            set.request = file(value);
        } else {
            fprintf(stderr, "unknown option: %s\n", argv[i]);
            exit(2);
        }
    }
    if (!set.resp)
        set.request = http_request(&body);
    free(body.p);
}

int main(int argc, char **argv)
{
    options(argc, argv);
    many_files();
    sleep_exactly();
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    conns = must(calloc((size_t)set.conns, sizeof *conns));
    idle = must(calloc((size_t)set.conns, sizeof *idle));
    for (int i = set.conns - 1; i >= 0; i--) {
        conns[i].fd = -1;
        idle[nidle++] = i;
    }
    start = now_ns();
    counted_from = start + (uint64_t)(set.warmup * 1e9);
    last_due = counted_from + (uint64_t)(set.seconds * 1e9);
    if (set.rate && set.total && (uint64_t)((double)set.total * 1e9 / set.rate) < last_due - start)
        last_due = start + (uint64_t)((double)set.total * 1e9 / set.rate);
    run();
    uint64_t ended = now_ns();
    report(ended);
    return 0;
}
