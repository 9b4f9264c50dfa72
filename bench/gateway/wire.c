/* See wire.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "wire.h"

void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

void *must(void *p)
{
    if (!p)
        die("memory");
    return p;
}

static void bytes_room(struct bytes *b, size_t n)
{
    if (b->len + n <= b->cap)
        return;
    b->cap = (b->len + n) * 2;
    b->p = must(realloc(b->p, b->cap));
}

void bytes_add(struct bytes *b, const void *p, size_t n)
{
    bytes_room(b, n);
    memcpy(b->p + b->len, p, n);
    b->len += n;
}

void bytes_addf(struct bytes *b, const char *fmt, ...)
{
    char line[4096];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    bytes_add(b, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

void bytes_drop(struct bytes *b, size_t n)
{
    b->len -= n;
    if (b->len)
        memmove(b->p, b->p + n, b->len);
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

size_t head_length(const char *p, size_t n)
{
    const char *end = memmem(p, n, "\r\n\r\n", 4);
    return end ? (size_t)(end - p) + 4 : 0;
}

/* Where the value of a header begins; NULL when the head has no such line. */
static const char *head_find(const char *head, size_t n, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = head, *end = head + n; (p = memchr(p, '\n', (size_t)(end - p)));) {
        p++;
        if ((size_t)(end - p) > len && !strncasecmp(p, name, len))
            return p + len;
    }
    return NULL;
}

long head_number(const char *head, size_t n, const char *name)
{
    const char *p = head_find(head, n, name);
    return p ? strtol(p, NULL, 10) : -1; /* a head ends with a blank line, which stops strtol */
}

bool head_has(const char *head, size_t n, const char *name, const char *word)
{
    const char *p = head_find(head, n, name);
    const char *end = p ? memchr(p, '\r', (size_t)(head + n - p)) : NULL;
    size_t len = strlen(word);
    for (; end && p + len <= end; p++) {
        if (!strncasecmp(p, word, len))
            return true;
    }
    return false;
}

int tcp_listen(int *port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) || listen(fd, 16384) ||
        getsockname(fd, (struct sockaddr *)&a, &len))
        die("listen");
    *port = ntohs(a.sin_port);
    return fd;
}

int tcp_connect(int port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) && errno != EINPROGRESS)
        die("connect");
    return fd;
}

void many_files(void)
{
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
}

void sleep_exactly(void)
{
    prctl(PR_SET_TIMERSLACK, 1UL);
}
