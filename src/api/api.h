/* The HTTP door: a table of routes, a file per family, errors as JSON.
 *
 * A route is a const row beside its handler; api.c lists the families. The handler gets the request and owes it one
 * httpd_reply (net/httpd.h), at once or later. HEAD runs the handler of GET.
 *
 * Thread: loop. */
#ifndef API_API_H
#define API_API_H

#include "base/err.h"
#include "io/loop.h"
#include "net/httpd.h"

struct api_route {
    const char *method, *path; /* both exact */
    void (*run)(struct httpd_req *r);
};

struct api_family {
    const struct api_route *rows;
    int n;
};
#define API_FAMILY(table)                                                                                              \
    {                                                                                                                  \
        .rows = (table), .n = (int)(sizeof(table) / sizeof *(table))                                                   \
    }

void api_register_settings(void); /* http-port, http-bind; and the door's INFO rows; once, at boot */
/* What /readyz asks: NULL when the server can serve, else why it cannot, in one sentence. NULL: always ready. */
void api_set_ready(const char *(*why_not)(void));

int api_open(struct loop *l, struct err *err); /* listens when http-port says so */
void api_close(void);                          /* allowed when it is not open */
int api_port(void);                            /* the port in use, 0 when the door is closed */

/* Finds the route and runs it; answers 404 and 405 itself. What the HTTP server calls. */
void api_handle(void *arg, struct httpd_req *r);

/* Replies {"error":{"type":...,"message":...}}. */
void api_error(struct httpd_req *r, int status, const char *type, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
