/* The HTTP door: a table of routes, a file per family, errors as JSON.
 *
 * A route is a const row beside its handler; api.c lists the families. The handler gets the request and owes it one
 * httpd_reply (net/httpd.h), at once or later. HEAD runs the handler of GET.
 *
 * Thread: loop. */
#ifndef API_API_H
#define API_API_H

#include "base/err.h"
#include "base/slice.h"
#include "io/loop.h"
#include "net/httpd.h"

struct api_route {
    const char *method, *path; /* both exact; a path that ends in a slash and a star is a prefix */
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

/* What the door asks of the commands' floor, which it may not include: cmd/gateway.h has the contracts. */
struct user;
struct llm;
struct llm_request;
struct llm_reply;
struct gateway_turn;
struct durable_wait;
struct api_gateway {
    struct llm *(*llm)(void);
    int (*login)(struct slice token, bool local, struct user **who, struct err *err);
    int (*may)(const struct user *u, const char *command, struct slice key, struct err *err);
    struct gateway_turn *(*turn_begin)(struct slice key, struct llm_request *q, struct err *err);
    void (*turn_started)(struct gateway_turn *t);
    int (*turn_end)(struct gateway_turn *t, const struct llm_reply *reply, const struct err *failed, const char *why,
                    struct err *err);
    /* Answers that wait for the disk: cmd/durable.h, durable_ready, durable_wait, durable_wait_end. */
    int (*ready)(struct err *err);
    struct durable_wait *(*wait)(bool wrote, void (*done)(void *arg, const struct err *failed), void *arg);
    void (*wait_end)(struct durable_wait *w);
};
void api_set_gateway(const struct api_gateway *g); /* kept; at boot, before api_open */

void api_register_settings(void); /* http-*; and the door's INFO rows; once, at boot */
int api_descriptors(void);        /* how many more the door may need, 0 when it stays closed */
/* What /readyz asks: NULL when the server can serve, else why it cannot, in one sentence. NULL: always ready. */
void api_set_ready(const char *(*why_not)(void));

int api_open(struct loop *l, struct err *err); /* listens when http-port says so */
size_t api_unread(void); /* answers that are complete here and not with their clients */
void api_close(void);                          /* allowed when it is not open */
int api_port(void);                            /* the port in use, 0 when the door is closed */

/* Finds the route and runs it; answers 404 and 405 itself. What the HTTP server calls. */
void api_handle(void *arg, struct httpd_req *r);

/* Replies an error as OpenAI writes them: {"error":{"message":...,"type":...,"param":null,"code":...}}; the type is the
 * one that goes with the status. */
void api_error(struct httpd_req *r, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
