/* A run: one execution of a flow, from its input to its answer.
 *
 * Nodes are asynchronous steps on the loop; all that are ready run at once. A node is ready when none of its incoming
 * edges is undecided and one was taken; when all were skipped the node is skipped, and so on down the graph: a join
 * runs once, after the branches that are alive. Nothing of a run happens inside run_start.
 *
 * Texts of answer nodes go to the watcher as they come to be, in the order of the flow's answer nodes: what an llm node
 * streams is passed on at once when it is the next thing an answer needs, and kept back otherwise.
 *
 * A run stays readable after its end (run_find), some thousand runs or an hour. Thread: loop. */
#ifndef FLOW_RUN_H
#define FLOW_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/list.h"
#include "base/rng.h"
#include "flow/def.h"

struct db;
struct user;
struct flow_run;

enum run_state { RUN_RUNNING, RUN_SUCCEEDED, RUN_FAILED, RUN_CANCELLED, RUN_TIMED_OUT };
enum node_state {
    NODE_PENDING,
    NODE_RUNNING,
    NODE_RETRYING,
    NODE_SUCCEEDED,
    NODE_FAILED,
    NODE_SKIPPED,
    NODE_CANCELLED
};

struct flow_watch {
    void (*node)(void *arg, struct flow_run *r, int node);        /* a node began, ended or was skipped; NULL allowed */
    void (*piece)(void *arg, struct flow_run *r, struct slice s); /* the answer grows; NULL allowed */
    void (*done)(void *arg, struct flow_run *r);                  /* exactly once, the last; may come from run_cancel */
    void *arg;
};

struct run_options {
    struct flow *flow;    /* a reference is taken */
    struct slice name;    /* of the flow */
    cJSON *input;         /* an object, taken over; NULL: {} */
    struct slice session; /* key; empty: none */
    struct db *db;
    struct user *user;  /* whose permissions its commands have; a reference is taken; NULL: all */
    int64_t timeout_ms; /* 0: the setting flow-timeout */
    bool trace;         /* keep longer inputs and outputs */
};

/* The run is the registry's; it can be named until its done() and, by id, for a while after. */
struct flow_run *run_start(const struct run_options *o, const struct flow_watch *watch);
/* Ends the run now; done() comes before this returns. Nothing happens when it has ended. */
void run_cancel(struct flow_run *r);
struct flow_run *run_find(struct slice id); /* NULL: unknown or forgotten */

/* Reading a run. Borrowed slices and JSON live until the run ends or goes on. */
const char *run_id(const struct flow_run *r);
const char *run_flow_name(const struct flow_run *r);
enum run_state run_state(const struct flow_run *r);
const char *run_state_name(enum run_state s);   /* "running", "succeeded", ... */
const char *node_state_name(enum node_state s); /* "pending", "running", ... */
bool run_has_answer(const struct flow_run *r);  /* did an answer node run? */
struct slice run_answer(const struct flow_run *r);
const cJSON *run_outputs(const struct flow_run *r);  /* of the end nodes; NULL: none ran */
const struct err *run_err(const struct flow_run *r); /* code 0: none */
int64_t run_started_ms(const struct flow_run *r);    /* wall */
int64_t run_ended_ms(const struct flow_run *r);      /* 0: not yet */
int run_steps(const struct flow_run *r);
struct slice run_session(const struct flow_run *r);
struct slice run_question(const struct flow_run *r); /* what the user asked: sys.question; empty: nothing */

struct db *run_db(const struct flow_run *r);
struct user *run_user(const struct flow_run *r);
const cJSON *run_scope(const struct flow_run *r); /* every variable that is set; NULL after the end */
enum node_state run_node_state(const struct flow_run *r, int i);
struct slice run_node_pieces(const struct flow_run *r, int i); /* what it has streamed so far */

struct node_trace {
    const char *id, *kind;
    enum node_state state;
    int64_t start_ms, end_ms; /* wall; 0: not yet */
    int attempts;
    const char *input, *output; /* JSON, perhaps cut (then it ends with "…"); NULL: none */
    const char *error;          /* NULL: none */
};
int run_nodes(const struct flow_run *r);
void run_node(const struct flow_run *r, int i, struct node_trace *to);

/* Runs that go on or have ended lately, newest first. */
void run_each(void (*fn)(void *arg, struct flow_run *r), void *arg);
void runs_cancel_all(void);
void runs_shutdown(void); /* cancels and forgets all */

#endif
