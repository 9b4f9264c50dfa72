/* The runner.
 *
 * Invariants:
 *   1. A node goes PENDING → RUNNING (→ RETRYING → RUNNING) → SUCCEEDED | FAILED, or PENDING → SKIPPED; never back.
 *      When the run ends early, whatever has not ended becomes CANCELLED.
 *   2. An edge is decided once, when its source has ended or was skipped.
 *   3. Variables are set once, when their node has succeeded; so parallel branches cannot race.
 *   4. A struct flow_step ends exactly once. A step whose node has moved on (timeout, cancelled run) is `abandoned`: it
 *      still ends, and nothing comes of it.
 *   5. The struct is freed when the registry has dropped it and no step and no post holds it (refs 0).
 *
 * What would surprise: a step may end inside its own run(), so `advance` is written as a loop that is told to go round
 * again, never as a recursion. */
#include "flow/run.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "auth/user.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "flow/flow.h"
#include "flow/kind.h"
#include "flow/stream.h"
#include "flow/template.h"

#define TRACE_SHORT 1024
#define TRACE_LONG  (16 << 10)
#define KEEP_RUNS   1000
#define KEEP_MS     (3600 * 1000)

enum edge_state { EDGE_OPEN, EDGE_TAKEN, EDGE_SKIPPED };

struct node_run {
    struct flow_run *run;
    int index;
    enum node_state state;
    int64_t start_ms, end_ms;
    int attempts;
    char *input, *output, *error;
    struct flow_step *step; /* while RUNNING */
    struct timer *retry;    /* while RETRYING */
    struct buf pieces;      /* what the node has streamed */
};

struct flow_run {
    char id[ID_LEN + 1];
    char *name;
    struct flow *flow;
    struct db *db;
    struct user *user; /* held */
    struct slice session;
    struct slice question;
    enum run_state state;
    struct err err;
    struct node_run *node;
    uint8_t *edge;
    int nnodes;
    cJSON *scope, *outputs;
    struct answer_stream stream;
    struct flow_watch watch;
    struct timer *deadline;
    int64_t started_ms, ended_ms, ended_mono_ms, timeout_ms;
    bool long_trace;
    bool advancing, again;
    int steps, busy; /* attempts begun; nodes RUNNING or RETRYING */
    int refs;
    struct list link;
};

static struct list runs = {&runs, &runs}; /* newest first */
static int ended_runs;

static void advance(struct flow_run *r);
static void begin_step(struct flow_run *r, int i);

/* ---- life ---- */

static void run_unref(struct flow_run *r)
{
    if (--r->refs > 0)
        return;
    for (int i = 0; i < r->nnodes; i++) {
        mem_free(r->node[i].input);
        mem_free(r->node[i].output);
        mem_free(r->node[i].error);
        buf_release(&r->node[i].pieces);
    }
    mem_free(r->node);
    mem_free(r->edge);
    stream_release(&r->stream);
    cJSON_Delete(r->scope);
    cJSON_Delete(r->outputs);
    mem_free((void *)r->session.p);
    mem_free((void *)r->question.p);
    mem_free(r->name);
    flow_unref(r->flow);
    user_unref(r->user);
    mem_free(r);
}

static void forget(struct flow_run *r)
{
    list_del(&r->link);
    ended_runs--;
    run_unref(r);
}

/* Forgets ended runs that are too many or too old. */
static void purge(void)
{
    int64_t now = clock_mono_ms();
    for (struct list *l = runs.prev, *prev = l->prev; l != &runs; l = prev, prev = l->prev) {
        struct flow_run *r = list_entry(l, struct flow_run, link);
        if (r->state == RUN_RUNNING)
            continue;
        if (ended_runs <= KEEP_RUNS && now - r->ended_mono_ms <= KEEP_MS)
            break;
        forget(r);
    }
}

static void tell(struct flow_run *r, int node)
{
    if (r->watch.node && r->state == RUN_RUNNING)
        r->watch.node(r->watch.arg, r, node);
}

static char *cut_json(const cJSON *v, size_t max)
{
    struct buf b = {0};
    json_print(&b, v);
    size_t n = utf8_cut(buf_slice(&b), max);
    if (n < b.len) {
        b.len = n;
        buf_add_str(&b, "…");
    }
    buf_cstr(&b);
    size_t len;
    return buf_take(&b, &len);
}

static size_t trace_max(const struct flow_run *r)
{
    return r->long_trace ? TRACE_LONG : TRACE_SHORT;
}

static void end_node(struct flow_run *r, int i, enum node_state state)
{
    struct node_run *n = &r->node[i];
    n->state = state;
    n->end_ms = state == NODE_SKIPPED ? 0 : clock_wall_ms();
    tell(r, i);
}

/* ---- the end of a run ---- */

static void abandon(struct flow_step *s)
{
    s->abandoned = true;
    timer_close(s->timer);
    s->timer = NULL;
    if (s->node->kind->cancel && !s->cancelled) {
        s->cancelled = true;
        s->node->kind->cancel(s); /* may end the step */
    }
}

static void stop_nodes(struct flow_run *r)
{
    for (int i = 0; i < r->nnodes; i++) {
        struct node_run *n = &r->node[i];
        struct flow_step *s = n->step;
        if (n->state > NODE_RETRYING)
            continue;
        n->end_ms = n->start_ms ? clock_wall_ms() : 0;
        n->state = NODE_CANCELLED;
        n->step = NULL;
        timer_close(n->retry);
        n->retry = NULL;
        if (s)
            abandon(s);
    }
    r->busy = 0;
}

static void finish(struct flow_run *r, enum run_state state)
{
    if (r->state != RUN_RUNNING)
        return;
    r->refs++;
    r->state = state;
    r->ended_ms = clock_wall_ms();
    r->ended_mono_ms = clock_mono_ms();
    stop_nodes(r);
    timer_close(r->deadline);
    r->deadline = NULL;
    ended_runs++;
    r->watch.done(r->watch.arg, r);
    cJSON_Delete(r->scope); /* the trace is what stays */
    r->scope = NULL;
    for (int i = 0; i < r->nnodes; i++)
        buf_release(&r->node[i].pieces);
    purge();
    run_unref(r);
}

static void fail_run(struct flow_run *r, const char *node, const struct err *e)
{
    int code = e->code == ERR_GENERIC || e->code == ERR_IO ? ERR_UPSTREAM : e->code;
    err_set(&r->err, code, "node %s: %s", node, e->msg);
    finish(r, RUN_FAILED);
}

static void on_deadline(void *arg)
{
    struct flow_run *r = arg;
    err_set(&r->err, ERR_UPSTREAM, "the flow was not done after %lld ms", (long long)r->timeout_ms);
    finish(r, RUN_TIMED_OUT);
}

void run_cancel(struct flow_run *r)
{
    err_set(&r->err, ERR_CANCELLED, "the run was cancelled");
    finish(r, RUN_CANCELLED);
}

/* ---- steps ---- */

const cJSON *step_scope(const struct flow_step *s)
{
    return s->run->scope;
}

const cJSON *step_param(const struct flow_step *s, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(s->node->params, name);
}

int step_text(struct flow_step *s, const char *param, struct buf *out)
{
    const cJSON *v = step_param(s, param);
    if (!out->max)
        out->max = FLOW_TEXT_MAX;
    return cJSON_IsString(v) ? template_expand(slice_str(v->valuestring), s->run->scope, out, &s->err) : 0;
}

int step_value(struct flow_step *s, const char *param, cJSON **out)
{
    const cJSON *v = step_param(s, param);
    *out = NULL;
    if (v)
        return template_expand_json(v, s->run->scope, FLOW_VALUE_MAX, out, &s->err);
    *out = cJSON_CreateNull();
    return 0;
}

void step_input(struct flow_step *s, cJSON *input)
{
    if (!s->abandoned) {
        struct node_run *n = &s->run->node[s->node->index];
        mem_free(n->input);
        n->input = cut_json(input, trace_max(s->run));
    }
    cJSON_Delete(input);
}

static void pump(struct flow_run *r)
{
    struct buf fresh = {0};
    if (r->state != RUN_RUNNING)
        return;
    stream_pump(&r->stream, r, r->flow, &fresh);
    if (fresh.len && r->watch.piece)
        r->watch.piece(r->watch.arg, r, buf_slice(&fresh));
    buf_release(&fresh);
}

void step_piece(struct flow_step *s, struct slice text)
{
    if (s->abandoned)
        return;
    struct buf *b = &s->run->node[s->node->index].pieces;
    b->max = FLOW_VALUE_MAX;
    buf_add(b, text.p, text.len);
    s->run->refs++;
    pump(s->run);
    run_unref(s->run);
}

static void free_step(struct flow_step *s)
{
    struct flow_run *r = s->run;
    timer_close(s->timer);
    mem_free(s);
    run_unref(r);
}

/* Decides the edges out of a node: those with this label are taken (NULL: the plain ones), the others skipped. */
static void decide_edges(struct flow_run *r, int node, bool taken, const char *label)
{
    const struct flow_node *n = &r->flow->node[node];
    for (int i = 0; i < n->nout; i++) {
        const char *branch = r->flow->edge[n->out[i]].branch;
        bool same = branch && label ? strcmp(branch, label) == 0 : branch == label;
        r->edge[n->out[i]] = taken && same ? EDGE_TAKEN : EDGE_SKIPPED;
    }
}

static void collect_outputs(struct flow_run *r, const cJSON *outputs)
{
    if (!r->outputs)
        r->outputs = cJSON_CreateObject();
    for (const cJSON *e = outputs->child; e; e = e->next) {
        cJSON_DeleteItemFromObjectCaseSensitive(r->outputs, e->string);
        cJSON_AddItemToObject(r->outputs, e->string, cJSON_Duplicate(e, 1));
    }
}

static void set_outputs(struct flow_run *r, int node, cJSON *outputs)
{
    const struct flow_node *n = &r->flow->node[node];
    mem_free(r->node[node].output);
    r->node[node].output = cut_json(outputs, trace_max(r));
    if (n->kind == &flow_end)
        collect_outputs(r, outputs);
    cJSON_AddItemToObject(r->scope, n->id, outputs);
}

static void succeed_node(struct flow_run *r, int node, cJSON *outputs, const char *label)
{
    set_outputs(r, node, outputs);
    decide_edges(r, node, true, label);
    end_node(r, node, NODE_SUCCEEDED);
    r->busy--;
    advance(r);
}

void step_done(struct flow_step *s, cJSON *outputs, const char *branch)
{
    struct flow_run *r = s->run;
    int i = s->node->index;
    if (s->abandoned) {
        cJSON_Delete(outputs);
    } else {
        r->node[i].step = NULL;
        succeed_node(r, i, outputs, branch);
    }
    free_step(s);
}

/* ---- failures ---- */

static void on_retry(void *arg)
{
    struct node_run *n = arg;
    struct flow_run *r = n->run;
    timer_close(n->retry);
    n->retry = NULL;
    r->refs++;
    begin_step(r, n->index);
    advance(r);
    run_unref(r);
}

static bool retry_node(struct flow_run *r, int i, const struct err *e)
{
    const struct flow_node *d = &r->flow->node[i];
    struct node_run *n = &r->node[i];
    bool may_pass = e->code == ERR_UPSTREAM || e->code == ERR_QUOTA || e->code == ERR_GENERIC || e->code == ERR_IO;
    if (n->attempts > d->retries || n->pieces.len || !may_pass)
        return false;
    n->state = NODE_RETRYING;
    tell(r, i);
    n->retry = timer_create_on(flow_host()->loop, on_retry, n);
    timer_start(n->retry, (uint64_t)d->retry_wait_ms, 0);
    return true;
}

static void fail_node(struct flow_run *r, int i, const struct err *e)
{
    const struct flow_node *d = &r->flow->node[i];
    struct node_run *n = &r->node[i];
    mem_free(n->error);
    n->error = mem_strdup(e->msg);
    n->step = NULL;
    if (retry_node(r, i, e))
        return;
    if (d->on_error == ON_ERROR_FAIL) {
        end_node(r, i, NODE_FAILED);
        r->busy--;
        fail_run(r, d->id, e);
        return;
    }
    if (d->on_error == ON_ERROR_DEFAULT) {
        succeed_node(r, i, cJSON_Duplicate(d->fallback, 1), NULL);
        return;
    }
    cJSON *outputs = cJSON_CreateObject();
    cJSON_AddStringToObject(outputs, "error", e->msg);
    succeed_node(r, i, outputs, "error");
}

void step_fail(struct flow_step *s, const struct err *e)
{
    struct err copy = *e;
    if (!s->abandoned)
        fail_node(s->run, s->node->index, &copy);
    free_step(s);
}

static void on_step_timeout(void *arg)
{
    struct flow_step *s = arg;
    struct flow_run *r = s->run;
    const struct flow_node *d = s->node;
    struct err e;
    err_set(&e, ERR_UPSTREAM, "not done after %lld ms", (long long)d->timeout_ms);
    r->refs++;
    abandon(s); /* s may be gone now */
    fail_node(r, d->index, &e);
    run_unref(r);
}

/* ---- going on ---- */

static void begin_step(struct flow_run *r, int i)
{
    struct node_run *n = &r->node[i];
    const struct flow_node *d = &r->flow->node[i];
    if (++r->steps > flow_settings.max_steps) {
        struct err e;
        err_set(&e, ERR_STATE, "the run is over its limit of %lld steps", (long long)flow_settings.max_steps);
        fail_run(r, d->id, &e);
        return;
    }
    struct flow_step *s = mem_zero(sizeof *s);
    s->run = r;
    s->node = d;
    r->refs++;
    n->step = s;
    n->attempts++;
    n->state = NODE_RUNNING;
    n->start_ms = n->start_ms ? n->start_ms : clock_wall_ms();
    tell(r, i);
    if (d->timeout_ms) {
        s->timer = timer_create_on(flow_host()->loop, on_step_timeout, s);
        timer_start(s->timer, (uint64_t)d->timeout_ms, 0);
    }
    d->kind->run(s); /* s may be gone now */
}

/* EDGE_OPEN while undecided, else what the node is to do. */
static enum edge_state readiness(const struct flow_run *r, int i)
{
    const struct flow_node *d = &r->flow->node[i];
    enum edge_state ready = i == r->flow->start ? EDGE_TAKEN : EDGE_SKIPPED;
    for (int k = 0; k < d->nin; k++) {
        if (r->edge[d->in[k]] == EDGE_OPEN)
            return EDGE_OPEN;
        if (r->edge[d->in[k]] == EDGE_TAKEN)
            ready = EDGE_TAKEN;
    }
    return ready;
}

static void start_ready(struct flow_run *r)
{
    for (int i = 0; i < r->nnodes && r->state == RUN_RUNNING; i++) {
        enum edge_state ready = r->node[i].state == NODE_PENDING ? readiness(r, i) : EDGE_OPEN;
        if (ready == EDGE_SKIPPED) {
            decide_edges(r, i, false, NULL);
            end_node(r, i, NODE_SKIPPED);
            r->again = true;
        } else if (ready == EDGE_TAKEN) {
            r->busy++;
            begin_step(r, i);
        }
    }
}

static void advance(struct flow_run *r)
{
    r->again = true;
    if (r->advancing || r->state != RUN_RUNNING)
        return;
    r->refs++;
    r->advancing = true;
    while (r->again && r->state == RUN_RUNNING) {
        r->again = false;
        start_ready(r);
    }
    r->advancing = false;
    pump(r);
    if (r->busy == 0)
        finish(r, RUN_SUCCEEDED);
    run_unref(r);
}

static void kick(void *arg)
{
    struct flow_run *r = arg;
    advance(r);
    run_unref(r);
}

/* ---- starting ---- */

static struct slice copy(struct slice s)
{
    return slice_of(mem_dup(s.p, s.len), s.len);
}

static const char *question_of(const cJSON *input)
{
    static const char *const names[] = {"question", "query", "text"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_str(input, names[i], NULL))
            return json_str(input, names[i], NULL);
    return "";
}

static cJSON *first_scope(const struct flow_run *r, cJSON *input)
{
    cJSON *scope = cJSON_CreateObject(), *sys = cJSON_AddObjectToObject(scope, "sys");
    cJSON_AddStringToObject(sys, "session", r->session.p);
    cJSON_AddStringToObject(sys, "run", r->id);
    cJSON_AddStringToObject(sys, "flow", r->name);
    cJSON_AddNumberToObject(sys, "time", (double)r->started_ms);
    cJSON_AddStringToObject(sys, "question", r->question.p);
    cJSON_AddItemToObject(scope, "input", input);
    return scope;
}

struct flow_run *run_start(const struct run_options *o, const struct flow_watch *watch)
{
    struct flow_run *r = mem_zero(sizeof *r);
    cJSON *input = o->input ? o->input : cJSON_CreateObject();
    id_make(r->id);
    r->refs = 2; /* the registry's, and kick's */
    r->flow = flow_ref(o->flow);
    r->nnodes = o->flow->nnodes;
    r->node = mem_zero((size_t)r->nnodes * sizeof *r->node);
    for (int i = 0; i < r->nnodes; i++)
        r->node[i] = (struct node_run){.run = r, .index = i};
    r->edge = mem_zero((size_t)r->flow->nedges + 1);
    r->name = mem_dup(o->name.p, o->name.len);
    r->session = copy(o->session);
    r->question = copy(slice_str(question_of(input)));
    r->db = o->db;
    r->user = user_ref(o->user);
    r->watch = *watch;
    r->long_trace = o->trace;
    r->started_ms = clock_wall_ms();
    r->scope = first_scope(r, input);
    stream_init(&r->stream, r->flow);
    r->timeout_ms = o->timeout_ms ? o->timeout_ms : flow_settings.timeout_ms;
    r->deadline = timer_create_on(flow_host()->loop, on_deadline, r);
    timer_start(r->deadline, (uint64_t)r->timeout_ms, 0);
    list_add_head(&runs, &r->link);
    loop_post_work(flow_host()->loop, kick, r);
    return r;
}

/* ---- reading ---- */

struct flow_run *run_find(struct slice id)
{
    purge();
    list_each (l, &runs) {
        struct flow_run *r = list_entry(l, struct flow_run, link);
        if (slice_eq(slice_str(r->id), id))
            return r;
    }
    return NULL;
}

void run_each(void (*fn)(void *arg, struct flow_run *r), void *arg)
{
    purge();
    list_each (l, &runs)
        fn(arg, list_entry(l, struct flow_run, link));
}

static struct flow_run *any_running(void)
{
    list_each (l, &runs) {
        struct flow_run *r = list_entry(l, struct flow_run, link);
        if (r->state == RUN_RUNNING)
            return r;
    }
    return NULL;
}

void runs_cancel_all(void)
{
    for (struct flow_run *r; (r = any_running());)
        run_cancel(r);
}

void runs_shutdown(void)
{
    while (!list_empty(&runs)) {
        struct flow_run *r = list_entry(runs.next, struct flow_run, link);
        r->refs++;
        run_cancel(r);
        if (!list_empty(&r->link)) /* ending one may already have forgotten it */
            forget(r);
        run_unref(r);
    }
}

const char *run_id(const struct flow_run *r)
{
    return r->id;
}

const char *run_flow_name(const struct flow_run *r)
{
    return r->name;
}

enum run_state run_state(const struct flow_run *r)
{
    return r->state;
}

const char *run_state_name(enum run_state s)
{
    static const char *const names[] = {"running", "succeeded", "failed", "cancelled", "timed-out"};
    return names[s];
}

const char *node_state_name(enum node_state s)
{
    static const char *const names[] = {"pending", "running", "retrying", "succeeded",
                                        "failed",  "skipped", "cancelled"};
    return names[s];
}

bool run_has_answer(const struct flow_run *r)
{
    return r->stream.any;
}

struct slice run_answer(const struct flow_run *r)
{
    return buf_slice(&r->stream.text);
}

const cJSON *run_outputs(const struct flow_run *r)
{
    return r->outputs;
}

const struct err *run_err(const struct flow_run *r)
{
    return &r->err;
}

int64_t run_started_ms(const struct flow_run *r)
{
    return r->started_ms;
}

int64_t run_ended_ms(const struct flow_run *r)
{
    return r->ended_ms;
}

int run_steps(const struct flow_run *r)
{
    return r->steps;
}

struct slice run_session(const struct flow_run *r)
{
    return r->session;
}

struct slice run_question(const struct flow_run *r)
{
    return r->question;
}

struct db *run_db(const struct flow_run *r)
{
    return r->db;
}

struct user *run_user(const struct flow_run *r)
{
    return r->user;
}

const cJSON *run_scope(const struct flow_run *r)
{
    return r->scope;
}

enum node_state run_node_state(const struct flow_run *r, int i)
{
    return r->node[i].state;
}

struct slice run_node_pieces(const struct flow_run *r, int i)
{
    return buf_slice(&r->node[i].pieces);
}

int run_nodes(const struct flow_run *r)
{
    return r->nnodes;
}

void run_node(const struct flow_run *r, int i, struct node_trace *to)
{
    const struct node_run *n = &r->node[i];
    *to = (struct node_trace){.id = r->flow->node[i].id,
                              .kind = r->flow->node[i].kind->name,
                              .state = n->state,
                              .start_ms = n->start_ms,
                              .end_ms = n->end_ms,
                              .attempts = n->attempts,
                              .input = n->input,
                              .output = n->output,
                              .error = n->error};
}
