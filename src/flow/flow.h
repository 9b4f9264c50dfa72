/* What the room of flows needs from the rest of the house, given once at boot. It reaches commands only through here.
 * Thread: loop. */
#ifndef FLOW_FLOW_H
#define FLOW_FLOW_H

#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/slice.h"
#include "io/job.h"
#include "io/loop.h"

struct db;
struct http_client;
struct user;

/* One question to a model, and what came of it. Borrowed for the call. */
struct flow_chat {
    const char *model;     /* "": the default */
    const cJSON *messages; /* [{role, content}, ...] */
    const cJSON *params;   /* the node's: temperature, max_tokens, top_p, seed, stop as far as given */
};

struct flow_chat_end {
    struct err err; /* code 0: text is the whole answer */
    struct slice text;
    const char *model, *finish; /* NULL when unknown */
    int64_t tokens_in, tokens_out;
};

struct flow_chat_ops {
    void (*piece)(void *arg, struct slice text);             /* not called any more after a cancel */
    void (*end)(void *arg, const struct flow_chat_end *end); /* exactly once */
};

struct flow_host {
    struct loop *loop;
    struct job_pool *jobs;
    struct http_client *http; /* NULL: http nodes are refused */
    /* Runs a command on a database, with what `user` may do, and calls done once with its reply as RESP2, perhaps before it returns (NULL then).
     * The handle is for exec_cancel, after which done still comes. */
    void *(*exec)(struct db *db, struct user *user, int argc, const struct slice *argv, void (*done)(void *arg, struct slice reply),
                  void *arg);
    void (*exec_cancel)(void *handle);
    /* 0 and *handle, ops->end() comes later and never from inside; or a negative code and nothing comes. */
    int (*chat)(const struct flow_chat *c, const struct flow_chat_ops *ops, void *arg, void **handle, struct err *err);
    void (*chat_cancel)(void *handle);
};

struct flow_settings {
    int64_t timeout_ms;      /* flow-timeout: of a run that names none */
    int64_t max_steps;       /* flow-max-steps */
    int64_t code_memory;     /* flow-code-memory */
    int64_t code_timeout_ms; /* flow-code-timeout */
    int64_t http_timeout_ms; /* flow-http-timeout */
    char *http_allow;        /* flow-http-allow: host patterns, space-separated */
    bool http_private;       /* flow-http-private */
};
extern struct flow_settings flow_settings;

void flow_boot_settings(void);                /* registers the settings, once */
void flow_boot(const struct flow_host *host); /* kept, not copied */
void flow_shutdown(void); /* cancels what runs, forgets definitions and runs; before the loop ends */
const struct flow_host *flow_host(void);

#endif
