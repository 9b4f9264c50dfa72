/* The HTTP server: libmicrohttpd without threads of its own, turned by the loop. It knows no routes: every request,
 * once its body is complete, goes to one handler, which answers at once or later.
 *
 * A request belongs to its handler until httpd_reply, which must be called exactly once and ends the handler's right to
 * it. A handler that returns without having replied has put the connection to sleep; httpd_reply wakes it. When the
 * connection is gone before that (the server closes), `gone` is told, and httpd_reply is still owed; it then only
 * frees.
 *
 * Thread: loop. */
#ifndef NET_HTTPD_H
#define NET_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "io/loop.h"

struct httpd;
struct httpd_req;

struct httpd_config {
    const char *addr;     /* numeric address or name; "" is every IPv4 address */
    int port;             /* 0: the kernel picks one, httpd_port tells which */
    size_t body_max;      /* a longer body is answered with 413 */
    unsigned connections; /* at the same time; more wait to be accepted */
    unsigned idle_s;      /* a connection on which nothing moved for so long is closed */
};

struct httpd_stats { /* since the start, all servers of the process */
    uint64_t requests;
    uint64_t errors;      /* answered with 400 and above */
    uint64_t connections; /* open now */
};
extern struct httpd_stats httpd_stats;

int httpd_open(struct httpd **out, struct loop *l, const struct httpd_config *config,
               void (*handler)(void *arg, struct httpd_req *r), void *arg, struct err *err);
int httpd_port(const struct httpd *h);
void httpd_close(struct httpd *h); /* NULL allowed; not from inside a handler */

/* What was asked. Strings live as long as the request. The path is percent-decoded and has no query. */
const char *httpd_method(const struct httpd_req *r);
const char *httpd_path(const struct httpd_req *r);
const char *httpd_query(const struct httpd_req *r, const char *name);  /* NULL: absent; "" when given without a value */
const char *httpd_header(const struct httpd_req *r, const char *name); /* NULL: absent; case of the name is ignored */
struct slice httpd_body(const struct httpd_req *r);

void httpd_on_gone(struct httpd_req *r, void (*gone)(void *arg), void *arg);
void httpd_add_header(struct httpd_req *r, const char *name, const char *value); /* for the answer; both are copied */
void httpd_reply(struct httpd_req *r, int status, const char *type, struct slice body); /* copied */

#endif
