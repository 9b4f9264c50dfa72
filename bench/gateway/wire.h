/* What the mock vendor and the load generator share: growing bytes, a clock, sockets, the head of an HTTP message. None
 * of Skald's code is used here, so that what measures and what is measured have no fault in common. */
#ifndef BENCH_GATEWAY_WIRE_H
#define BENCH_GATEWAY_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MS UINT64_C(1000000) /* in nanoseconds */

struct bytes {
    char *p;
    size_t len, cap;
};
void bytes_add(struct bytes *b, const void *p, size_t n);
void bytes_addf(struct bytes *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void bytes_drop(struct bytes *b, size_t n); /* from the front */

uint64_t now_ns(void);                                /* monotonic */
void *must(void *p);                                  /* p; the program ends when it is NULL */
void die(const char *what) __attribute__((noreturn)); /* with errno's text */

/* The length of a head with its blank line at the start of p; 0: more is needed. */
size_t head_length(const char *p, size_t n);
/* The value of a header as a number, -1 when absent; `name` with its colon, in any case. */
long head_number(const char *head, size_t n, const char *name);
bool head_has(const char *head, size_t n, const char *name, const char *word);

int tcp_listen(int *port); /* on 127.0.0.1; *port 0: a free one, told there. Not blocking */
int tcp_connect(int port); /* to 127.0.0.1, not blocking: under way when it returns; -1: errno says why */
void many_files(void);     /* as many descriptors as the system gives */
void sleep_exactly(void);  /* this thread's timers are not rounded */

#endif
