/* A vendor that costs next to nothing: OpenAI's chat completions on 127.0.0.1, one thread, epoll, keep-alive.
 *
 *     mock [PORT]          prints "port N"; ends when its standard input does
 *
 * What it does is told by the path before /v1, so that every client can ask for it by the base address alone, in any
 * order, all optional:
 *
 *     /d20    milliseconds before the answer begins        /p50   pieces of the answer (default 20)
 *     /g2     milliseconds between the pieces of a stream   (default 0: all of them at once)
 *
 * A body with "stream":true is answered by SSE with usage in the last chunk, any other by one JSON object. Every piece
 * is one word with one "~" in it: a client counts these to see that nothing was lost. GET /stats tells requests
 * answered and connections open.
 *
 * Built for some 50,000 requests a second and 10,000 streams at once: answers are made once for each setting, and times
 * that are due lie in one heap. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#define CONNS  65536
#define PIECES 100000

struct conn {
    bool open, busy, blocked; /* busy: with an answer; blocked: waits until it may write */
    unsigned generation;      /* counts the connections that had this number: what is due for a former one is void */
    bool stream;
    int pieces, sent; /* of the answer under way */
    uint64_t delay, gap;
    struct bytes in, out;
};
static struct conn conns[CONNS];
static int poll_fd;
static long answered, open_now;

struct due {
    uint64_t at;
    int fd;
    unsigned generation;
};
static struct due *heap;
static int heap_n, heap_cap;

static void heap_push(struct due d)
{
    if (heap_n == heap_cap)
        heap = must(realloc(heap, (size_t)(heap_cap = heap_cap ? heap_cap * 2 : 1024) * sizeof *heap));
    int i = heap_n++;
    for (; i && heap[(i - 1) / 2].at > d.at; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = d;
}

static struct due heap_pop(void)
{
    struct due top = heap[0], last = heap[--heap_n];
    int i = 0;
    for (int child; (child = 2 * i + 1) < heap_n; i = child) {
        if (child + 1 < heap_n && heap[child + 1].at < heap[child].at)
            child++;
        if (heap[child].at >= last.at)
            break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

static void call_me_at(int fd, uint64_t at)
{
    heap_push((struct due){at, fd, conns[fd].generation});
}

static void watch(int fd, unsigned events, int op)
{
    struct epoll_event e = {.events = events, .data.fd = fd};
    if (epoll_ctl(poll_fd, op, fd, &e))
        die("epoll_ctl");
}

static void conn_close(int fd)
{
    struct conn *c = &conns[fd];
    close(fd);
    free(c->in.p);
    free(c->out.p);
    *c = (struct conn){.generation = c->generation + 1};
    open_now--;
}

static void conn_flush(int fd)
{
    struct conn *c = &conns[fd];
    ssize_t n = c->out.len ? write(fd, c->out.p, c->out.len) : 0;
    if (n < 0 && errno != EAGAIN) {
        conn_close(fd);
        return;
    }
    if (n > 0)
        bytes_drop(&c->out, (size_t)n);
    if (c->blocked != (c->out.len > 0)) {
        c->blocked = c->out.len > 0;
        watch(fd, EPOLLIN | (c->blocked ? EPOLLOUT : 0), EPOLL_CTL_MOD);
    }
}

static void chunk(struct bytes *to, const struct bytes *b)
{
    bytes_addf(to, "%zx\r\n", b->len);
    bytes_add(to, b->p, b->len);
    bytes_add(to, "\r\n", 2);
}

#define CHUNK_OPEN                                                                                                     \
    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"                    \
    "\"model\":\"bench-1\",\"choices\":["

static void add_delta(struct bytes *to, const char *delta, const char *finish)
{
    struct bytes b = {0};
    bytes_addf(&b, CHUNK_OPEN "{\"index\":0,\"delta\":%s,\"logprobs\":null,\"finish_reason\":%s}],\"usage\":null}\n\n",
               delta, finish);
    chunk(to, &b);
    free(b.p);
}

static void add_end(struct bytes *to, int pieces)
{
    struct bytes b = {0};
    add_delta(to, "{}", "\"stop\"");
    bytes_addf(&b, CHUNK_OPEN "],\"usage\":{\"prompt_tokens\":120,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n",
               pieces, 120 + pieces);
    chunk(to, &b);
    b.len = 0;
    bytes_addf(&b, "data: [DONE]\n\n");
    chunk(to, &b);
    bytes_addf(to, "0\r\n\r\n");
    free(b.p);
}

static void add_begin(struct bytes *to)
{
    bytes_addf(to, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nx-request-id: req-bench\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n");
    add_delta(to, "{\"role\":\"assistant\",\"content\":\"\"}", "null");
}

#define PIECE "{\"content\":\"mock~ \"}"

static void add_whole(struct bytes *to, int pieces)
{
    struct bytes b = {0};
    bytes_addf(&b,
               "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"bench-1\","
               "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
    for (int i = 0; i < pieces; i++)
        bytes_add(&b, "mock~ ", 6);
    bytes_addf(&b,
               "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
               "\"usage\":{\"prompt_tokens\":120,\"completion_tokens\":%d,\"total_tokens\":%d}}",
               pieces, 120 + pieces);
    bytes_addf(
        to,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req-bench\r\nContent-Length: %zu\r\n\r\n",
        b.len);
    bytes_add(to, b.p, b.len);
    free(b.p);
}

/* The whole answer of a setting, made once: nearly all requests of a run are alike. */
static const struct bytes *ready(bool stream, int pieces)
{
    static struct bytes made[2];
    static int of[2] = {-1, -1};
    struct bytes *b = &made[stream];
    if (of[stream] == pieces)
        return b;
    of[stream] = pieces;
    b->len = 0;
    if (!stream) {
        add_whole(b, pieces);
        return b;
    }
    add_begin(b);
    for (int i = 0; i < pieces; i++)
        add_delta(b, PIECE, "null");
    add_end(b, pieces);
    return b;
}

static void answer_done(struct conn *c)
{
    c->busy = false;
    answered++;
}

/* The next step of an answer: everything, or one piece of a stream that has gaps. */
static void answer_step(int fd)
{
    struct conn *c = &conns[fd];
    if (!c->stream || !c->gap) {
        const struct bytes *b = ready(c->stream, c->pieces);
        bytes_add(&c->out, b->p, b->len);
        answer_done(c);
        return;
    }
    if (!c->sent)
        add_begin(&c->out);
    if (c->sent++ < c->pieces) {
        add_delta(&c->out, PIECE, "null");
        call_me_at(fd, now_ns() + c->gap);
        return;
    }
    add_end(&c->out, c->pieces);
    answer_done(c);
}

static void settings(struct conn *c, const char *path)
{
    c->delay = c->gap = 0;
    c->pieces = 20;
    c->sent = 0;
    for (; *path == '/'; path += 1 + strcspn(path + 1, "/ ?")) {
        long v = strtol(path + (path[1] ? 2 : 1), NULL, 10);
        if (path[1] == 'd' && v > 0)
            c->delay = (uint64_t)v * MS;
        else if (path[1] == 'g' && v > 0)
            c->gap = (uint64_t)v * MS;
        else if (path[1] == 'p' && v > 0)
            c->pieces = v < PIECES ? (int)v : PIECES;
    }
}

static bool asks_for_stream(const char *body, size_t n)
{
    const char *p = memmem(body, n, "\"stream\"", 8);
    size_t left = p ? n - (size_t)(p + 8 - body) : 0;
    return p && memmem(p + 8, left < 8 ? left : 8, "true", 4);
}

static void tell_stats(struct conn *c)
{
    char body[100];
    int n = snprintf(body, sizeof body, "{\"answered\":%ld,\"connections\":%ld}", answered, open_now);
    bytes_addf(&c->out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n, body);
}

/* Takes one whole request from what was read; false: there is none. */
static bool request(int fd)
{
    struct conn *c = &conns[fd];
    size_t head = head_length(c->in.p, c->in.len);
    long body = head ? head_number(c->in.p, head, "content-length:") : 0;
    if (!head || c->in.len < head + (size_t)(body > 0 ? body : 0))
        return false;
    const char *path = memchr(c->in.p, ' ', head);
    if (!strncmp(c->in.p, "GET ", 4)) {
        tell_stats(c);
    } else {
        settings(c, path + 1);
        c->stream = asks_for_stream(c->in.p + head, (size_t)(body > 0 ? body : 0));
        c->busy = true;
        if (c->delay)
            call_me_at(fd, now_ns() + c->delay);
        else
            answer_step(fd);
    }
    bytes_drop(&c->in, head + (size_t)(body > 0 ? body : 0));
    return true;
}

static void conn_turn(int fd)
{
    while (!conns[fd].busy && conns[fd].in.len && request(fd))
        ;
    conn_flush(fd);
}

static void conn_read(int fd)
{
    char piece[65536];
    ssize_t n = read(fd, piece, sizeof piece);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        conn_close(fd);
        return;
    }
    bytes_add(&conns[fd].in, piece, (size_t)n);
    conn_turn(fd);
}

static void accept_all(int listener)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        int on = 1;
        if (fd >= CONNS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        conns[fd].open = true;
        open_now++;
        watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static void run_due(void)
{
    uint64_t now = now_ns();
    while (heap_n && heap[0].at <= now) {
        struct due d = heap_pop();
        if (!conns[d.fd].open || conns[d.fd].generation != d.generation)
            continue;
        answer_step(d.fd);
        conn_turn(d.fd);
    }
}

static int wait_events(struct epoll_event *e, int max)
{
    uint64_t now = now_ns(), left = heap_n && heap[0].at > now ? heap[0].at - now : 0;
    struct timespec t = {(time_t)(left / (1000 * MS)), (long)(left % (1000 * MS))};
    return epoll_pwait2(poll_fd, e, max, heap_n ? &t : NULL, NULL);
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 0;
    struct epoll_event e[512];
    many_files();
    sleep_exactly();
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = tcp_listen(&port);
    watch(listener, EPOLLIN, EPOLL_CTL_ADD);
    watch(STDIN_FILENO, EPOLLIN, EPOLL_CTL_ADD); /* whoever started it is gone */
    printf("port %d\n", port);
    fflush(stdout);
    for (;;) {
        int n = wait_events(e, 512);
        for (int i = 0; i < n; i++) {
            int fd = e[i].data.fd;
            if (fd == STDIN_FILENO)
                return 0;
            if (fd == listener) {
                accept_all(listener);
                continue;
            }
            if (conns[fd].open && e[i].events & EPOLLOUT)
                conn_flush(fd);
            if (conns[fd].open && e[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                conn_read(fd);
        }
        run_due();
    }
}
