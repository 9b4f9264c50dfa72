/* A kind of node is a const row: its parameters, its outputs, how its own rules are checked, how it runs. kinds.c lists
 * the rows; adding a kind is its file and one line there.
 *
 * A node that runs is a struct flow_step. run() begins the work and returns; the work ends in exactly one of step_done
 * and step_fail, at once or later on the loop. cancel() is called at most once and only between the two; the step must
 * still end (its result is ignored then). A kind without cancel() ends inside run() or soon after.
 *
 * Thread: loop. */
#ifndef FLOW_KIND_H
#define FLOW_KIND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "flow/def.h"

#define FLOW_TEXT_MAX  (4u << 20) /* bytes of one expanded text */
#define FLOW_VALUE_MAX (1u << 20) /* bytes of what one node may give, as JSON */

enum flow_param_type {
    PARAM_TEMPLATE, /* text with variables */
    PARAM_TEXT,     /* text taken as it is */
    PARAM_VALUE,    /* any JSON; strings in it are templates */
    PARAM_OBJECT,   /* an object; strings in it are templates */
    PARAM_RAW,      /* any JSON; only the kind's own check looks at it */
    PARAM_NUMBER,
    PARAM_INT,
    PARAM_BOOL,
};

struct flow_param {
    const char *name;
    enum flow_param_type type;
    bool required;
    double min, max; /* NUMBER and INT */
};

struct flow_checker;
struct flow_step;

struct flow_kind {
    const char *name;
    const char *summary;
    const struct flow_param *params;
    int nparams;
    const char *const *outputs; /* ends with NULL; NULL: not known before it ran */
    bool ends;                  /* answer, end: where a flow may finish */
    void (*check)(struct flow_checker *c, const struct flow_node *n); /* NULL: params say it all */
    bool (*has_branch)(const struct flow_node *n, const char *label); /* NULL: edges carry no label */
    bool (*has_output)(const struct flow_node *n, const char *name);  /* refines outputs; NULL: outputs decides */
    void (*run)(struct flow_step *s);
    void (*cancel)(struct flow_step *s);
};

extern const struct flow_kind flow_answer, flow_code, flow_condition, flow_end, flow_http, flow_llm, flow_search,
    flow_start, flow_template, flow_variable;
extern const struct flow_kind *const flow_kinds[];        /* ends with NULL */
const struct flow_kind *flow_kind_find(const char *name); /* NULL when unknown */

/* For check(): notes a problem of a node, one sentence without the node's id. */
void check_problem(struct flow_checker *c, const struct flow_node *n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Checks the variables named in a text, in the strings of a value, or by a path. */
void check_template(struct flow_checker *c, const struct flow_node *n, const char *param, const cJSON *v);
void check_path(struct flow_checker *c, const struct flow_node *n, const char *param, const cJSON *path);

struct flow_run;

struct flow_step {
    struct flow_run *run;
    const struct flow_node *node;
    void *op;       /* the kind's own */
    struct err err; /* room for the kind's error */
    bool cancelled; /* private to run.c, with what follows */
    bool abandoned;
    struct timer *timer;
};

const cJSON *step_scope(const struct flow_step *s);                   /* all variables that are set now */
const cJSON *step_param(const struct flow_step *s, const char *name); /* NULL when absent */
/* Expands a PARAM_TEMPLATE onto out; absent: nothing is added. Negative with s->err set. */
int step_text(struct flow_step *s, const char *param, struct buf *out);
int step_value(struct flow_step *s, const char *param, cJSON **out); /* PARAM_VALUE; absent: null */
void step_input(struct flow_step *s, cJSON *input);                  /* what the trace shows; taken over */
void step_piece(struct flow_step *s, struct slice text);             /* output "text" grows by this */
/* The end: s is gone afterwards. outputs is an object, taken over. branch: which label's edges are taken. */
void step_done(struct flow_step *s, cJSON *outputs, const char *branch);
void step_fail(struct flow_step *s, const struct err *e);
static inline void step_failed(struct flow_step *s) /* with s->err */
{
    struct err e = s->err;
    step_fail(s, &e);
}

#endif
