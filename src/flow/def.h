/* A flow's definition: JSON text into a directed graph that is known to be runnable.
 *
 *   {"title": "...", "nodes": [{"id": "find", "kind": "search", "params": {...},
 *                               "timeout": ms, "retries": n, "retry_wait": ms,
 *                               "on_error": "fail" | "default" | "branch", "default": {...}}, ...],
 *    "edges": [{"from": "start", "to": "find", "branch": "yes"}, ...]}
 *
 * flow_parse finds every problem it can in one go (FLOW.CHECK shows them all). A struct flow is read-only and counted:
 * runs hold the definition they began with while FLOW.SET puts another in its place.
 *
 * Thread: loop. */
#ifndef FLOW_DEF_H
#define FLOW_DEF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/slice.h"

#define FLOW_DEF_MAX   (1u << 20) /* bytes of JSON */
#define FLOW_NODES_MAX 500
#define FLOW_EDGES_MAX 4000
#define FLOW_ID_MAX    64
#define FLOW_REFS_MAX  10000 /* places that name a variable */

struct flow_kind;

enum flow_on_error { ON_ERROR_FAIL, ON_ERROR_DEFAULT, ON_ERROR_BRANCH };

struct flow_node {
    const char *id; /* strings and JSON are borrowed from the definition's tree */
    const struct flow_kind *kind;
    const cJSON *params; /* an object, or NULL */
    int index;
    int64_t timeout_ms; /* 0: none but the kind's own */
    int retries;
    int64_t retry_wait_ms;
    enum flow_on_error on_error;
    const cJSON *fallback;    /* outputs under ON_ERROR_DEFAULT */
    int *in, nin, *out, nout; /* indexes of edges */
};

struct flow_edge {
    int from, to;
    const char *branch; /* NULL: a plain edge */
};

struct flow {
    int refs;
    cJSON *json;
    struct flow_node *node;
    int nnodes;
    struct flow_edge *edge;
    int nedges;
    int start;
};

struct flow_problem {
    char node[FLOW_ID_MAX + 1]; /* "" when it belongs to no node */
    char text[256];
};

struct flow_problems {
    struct flow_problem *item;
    int n;
};

/* 0 and *out with one reference, or ERR_INVALID with every problem in `problems` (flow_problems_release it either way).
 */
int flow_parse(struct slice json, struct flow **out, struct flow_problems *problems);
void flow_problems_release(struct flow_problems *p);
/* "node find: unknown kind 'serch' (and 2 more, see FLOW.CHECK)" */
int flow_problems_err(const struct flow_problems *p, struct err *err);

struct flow *flow_ref(struct flow *f);
void flow_unref(struct flow *f);                           /* NULL allowed */
int flow_find_node(const struct flow *f, struct slice id); /* -1 when absent */

#endif
