/* Flows as commands: the registry of definitions, and the runs that go on or have ended lately.
 *
 * A definition is journaled as the FLOW.SET that made it, byte for byte. */
#include "cmd/cmd_flow.h"

#include "base/json.h"
#include "flow/def.h"
#include "flow/registry.h"
#include "flow/run.h"

void flow_reply_json(struct reply *r, const cJSON *v)
{
    struct buf b = {0};
    if (!v) {
        reply_nil(r);
        return;
    }
    json_print(&b, v);
    reply_bulk(r, buf_slice(&b));
    buf_release(&b);
}

static bool only_option(struct call *c, int at, const char *word, bool *on)
{
    *on = c->argc == at + 1 && slice_is(c->argv[at], word);
    if (c->argc > at && !*on)
        call_syntax(c);
    return c->argc <= at || *on;
}

/* ---- definitions ---- */

/* clang-format off */
/* Keeps a definition under a name, in the place of what was there; runs that go on keep theirs. The JSON is checked as
 * FLOW.CHECK does.
 *
 * > FLOW.SET greet '{"nodes":[{"id":"s","kind":"start"},{"id":"a","kind":"answer","params":{"text":"Hello {{input.name}}"}}],"edges":[{"from":"s","to":"a"}]}'
 * < OK
 * > FLOW.RUN greet INPUT '{"name":"Ada"}'
 * < "Hello Ada"
 * > FLOW.SET bad '{"nodes":[{"id":"s","kind":"start"}]}'
 * < (error) INVALID there is no answer and no end node
 * > FLOW.DEL greet
 * < (integer) 1
 */
/* clang-format on */
static void flow_set(struct call *c)
{
    struct err err;
    if (flow_registry_set(c->argv[1], c->argv[2], &err) < 0) {
        call_err(c, &err);
        return;
    }
    call_effect(c, c->argc, c->argv);
    reply_ok(c->reply);
}

static void reply_problem(struct call *c, const struct flow_problem *p, bool meta)
{
    if (meta) {
        reply_map(c->reply, 2);
        reply_str(c->reply, "node");
        reply_str(c->reply, p->node);
        reply_str(c->reply, "problem");
        reply_str(c->reply, p->text);
    } else if (p->node[0]) {
        reply_bulkf(c->reply, "node %s: %s", p->node, p->text);
    } else {
        reply_str(c->reply, p->text);
    }
}

/* clang-format off */
/* Lists everything that is wrong with a definition, each with its node; an empty list when FLOW.SET would take it.
 *
 * > FLOW.CHECK '{"nodes":[{"id":"s","kind":"start"},{"id":"x","kind":"serch"}],"edges":[]}'
 * < 1) "node x: unknown kind 'serch'"
 * < 2) "there is no answer and no end node"
 * < 3) "node x: cannot be reached from the start node"
 */
/* clang-format on */
static void flow_check(struct call *c)
{
    struct flow *f;
    struct flow_problems problems;
    bool meta;
    if (!only_option(c, 2, "WITHMETA", &meta))
        return;
    flow_parse(c->argv[1], &f, &problems);
    reply_array(c->reply, (size_t)problems.n);
    for (int i = 0; i < problems.n; i++)
        reply_problem(c, &problems.item[i], meta);
    flow_problems_release(&problems);
    flow_unref(f);
}

static void reply_entry(struct call *c, const struct flow_entry *e, bool text)
{
    reply_map(c->reply, text ? 7 : 6);
    reply_str(c->reply, "name");
    reply_str(c->reply, e->name);
    reply_str(c->reply, "title");
    reply_str(c->reply, json_str(e->flow->json, "title", ""));
    reply_str(c->reply, "version");
    reply_int(c->reply, (int64_t)e->version);
    reply_str(c->reply, "set");
    reply_int(c->reply, e->set_ms);
    reply_str(c->reply, "nodes");
    reply_int(c->reply, e->flow->nnodes);
    reply_str(c->reply, "edges");
    reply_int(c->reply, e->flow->nedges);
    if (text) {
        reply_str(c->reply, "definition");
        reply_bulk(c->reply, slice_of(e->text, e->text_len));
    }
}

/* clang-format off */
/* The definition as it was set.
 *
 * > FLOW.GET nothing
 * < (nil)
 */
/* clang-format on */
static void flow_get(struct call *c)
{
    bool meta;
    if (!only_option(c, 2, "WITHMETA", &meta))
        return;
    const struct flow_entry *e = flow_registry_find(c->argv[1]);
    if (!e)
        reply_nil(c->reply);
    else if (meta)
        reply_entry(c, e, true);
    else
        reply_bulk(c->reply, slice_of(e->text, e->text_len));
}

static void list_name(void *arg, const struct flow_entry *e)
{
    struct call *c = arg;
    reply_str(c->reply, e->name);
}

static void list_entry_map(void *arg, const struct flow_entry *e)
{
    reply_entry(arg, e, false);
}

/* clang-format off */
/* The names of all flows, in order.
 *
 * > FLOW.SET b '{"nodes":[{"id":"s","kind":"start"},{"id":"e","kind":"end"}],"edges":[{"from":"s","to":"e"}]}'
 * < OK
 * > FLOW.LIST
 * < 1) "b"
 * > FLOW.DEL b
 * < (integer) 1
 */
/* clang-format on */
static void flow_list(struct call *c)
{
    bool meta;
    if (!only_option(c, 1, "WITHMETA", &meta))
        return;
    reply_array(c->reply, (size_t)flow_registry_count());
    flow_registry_each(meta ? list_entry_map : list_name, c);
}

/* clang-format off */
/* Removes definitions; how many there were. Runs that go on are not disturbed.
 *
 * > FLOW.DEL nothing
 * < (integer) 0
 */
/* clang-format on */
static void flow_del(struct call *c)
{
    int64_t n = 0;
    for (int i = 1; i < c->argc; i++)
        n += flow_registry_delete(c->argv[i]);
    if (n)
        call_effect(c, c->argc, c->argv);
    reply_int(c->reply, n);
}

/* ---- runs ---- */

static struct flow_run *find_run(struct call *c)
{
    struct flow_run *r = run_find(c->argv[1]);
    if (!r)
        reply_errorf(c->reply, "STATE there is no run with this id (runs are kept for an hour after their end)");
    return r;
}

static int64_t duration(int64_t from, int64_t to)
{
    return from && to > from ? to - from : 0;
}

static void reply_status_map(struct reply *r, const struct flow_run *run)
{
    const struct err *err = run_err(run);
    int running = 0;
    struct node_trace t;
    for (int i = 0; i < run_nodes(run); i++) {
        run_node(run, i, &t);
        running += t.state == NODE_RUNNING || t.state == NODE_RETRYING;
    }
    reply_map(r, 10);
    reply_str(r, "run");
    reply_str(r, run_id(run));
    reply_str(r, "flow");
    reply_str(r, run_flow_name(run));
    reply_str(r, "state");
    reply_str(r, run_state_name(run_state(run)));
    reply_str(r, "started");
    reply_int(r, run_started_ms(run));
    reply_str(r, "ms");
    reply_int(r, duration(run_started_ms(run), run_ended_ms(run)));
    reply_str(r, "steps");
    reply_int(r, run_steps(run));
    reply_str(r, "running-nodes");
    reply_int(r, running);
    reply_str(r, "answer");
    if (run_has_answer(run))
        reply_bulk(r, run_answer(run));
    else
        reply_nil(r);
    reply_str(r, "outputs");
    flow_reply_json(r, run_outputs(run));
    reply_str(r, "error");
    if (err->code)
        reply_bulkf(r, "%s %s", err_class(err->code), err->msg);
    else
        reply_nil(r);
}

struct listing {
    struct reply *r;
    size_t n;
};

static void list_run(void *arg, struct flow_run *run)
{
    struct listing *l = arg;
    reply_status_map(l->r, run);
    l->n++;
}

/* clang-format off */
/* How a run stands; without an id, all that go on or have ended lately, newest first.
 *
 * > FLOW.STATUS 0198c0de-0000-7000-8000-000000000000
 * < (error) STATE there is no run with this id (runs are kept for an hour after their end)
 */
/* clang-format on */
static void flow_status(struct call *c)
{
    if (c->argc > 1) {
        struct flow_run *run = find_run(c);
        if (run)
            reply_status_map(c->reply, run);
        return;
    }
    struct listing l = {.r = c->reply};
    size_t place = reply_defer(c->reply);
    run_each(list_run, &l);
    reply_defer_array(c->reply, place, l.n);
}

static void reply_opt(struct reply *r, const char *name, const char *text)
{
    reply_str(r, name);
    if (text)
        reply_str(r, text);
    else
        reply_nil(r);
}

static void reply_node(struct reply *r, const struct node_trace *t)
{
    reply_map(r, 9);
    reply_opt(r, "node", t->id);
    reply_opt(r, "kind", t->kind);
    reply_opt(r, "state", node_state_name(t->state));
    reply_str(r, "started");
    reply_int(r, t->start_ms);
    reply_str(r, "ms");
    reply_int(r, duration(t->start_ms, t->end_ms));
    reply_str(r, "attempts");
    reply_int(r, t->attempts);
    reply_opt(r, "input", t->input);
    reply_opt(r, "output", t->output);
    reply_opt(r, "error", t->error);
}

void flow_reply_trace(struct reply *r, const struct flow_run *run)
{
    reply_array(r, (size_t)run_nodes(run));
    for (int i = 0; i < run_nodes(run); i++) {
        struct node_trace t;
        run_node(run, i, &t);
        reply_node(r, &t);
    }
}

/* What each node of a run did: state, times, attempts, input and output (cut; longer when the run was started with
 * TRACE), error. */
static void flow_trace(struct call *c)
{
    struct flow_run *run = find_run(c);
    if (run)
        flow_reply_trace(c->reply, run);
}

/* Ends a run now: 1, or 0 when it had ended. Its caller gets a STATE error. */
static void flow_cancel(struct call *c)
{
    struct flow_run *run = find_run(c);
    if (!run)
        return;
    bool goes_on = run_state(run) == RUN_RUNNING;
    reply_int(c->reply, goes_on);
    run_cancel(run);
}

static const struct cmd rows[] = {
    {.name = "flow.set",
     .run = flow_set,
     .arity = 3,
     .flags = CMD_REGISTRY | CMD_DENYOOM,
     .acl = ACL_FLOW,
     .syntax = "name json",
     .summary = "Keeps a flow's definition under a name.",
     .since = "1.0.0",
     .complexity = "O(N*(N+E)) for N nodes and E edges"},
    {.name = "flow.check",
     .run = flow_check,
     .arity = -2,
     .acl = ACL_FLOW,
     .syntax = "json [WITHMETA]",
     .summary = "Lists all that is wrong with a flow's definition.",
     .since = "1.0.0",
     .complexity = "O(N*(N+E)) for N nodes and E edges"},
    {.name = "flow.get",
     .run = flow_get,
     .arity = -2,
     .flags = CMD_FAST,
     .acl = ACL_FLOW,
     .syntax = "name [WITHMETA]",
     .summary = "Returns a flow's definition.",
     .since = "1.0.0",
     .complexity = "O(log N)"},
    {.name = "flow.list",
     .run = flow_list,
     .arity = -1,
     .acl = ACL_FLOW,
     .syntax = "[WITHMETA]",
     .summary = "Lists all flows.",
     .since = "1.0.0",
     .complexity = "O(N)"},
    {.name = "flow.del",
     .run = flow_del,
     .arity = -2,
     .flags = CMD_REGISTRY,
     .acl = ACL_FLOW,
     .syntax = "name [name ...]",
     .summary = "Removes flows.",
     .since = "1.0.0",
     .complexity = "O(N)"},
    {.name = "flow.run",
     .run = flow_run_command,
     .arity = -2,
     .flags = CMD_MODEL | CMD_BLOCKING | CMD_DENYOOM | CMD_MOVABLEKEYS | CMD_NOSCRIPT,
     .acl = ACL_FLOW,
     .keys = flow_run_keys,
     .syntax = "name [INPUT json] [SESSION key] [ASYNC] [STREAM] [TIMEOUT milliseconds] [TRACE] [WITHMETA]",
     .summary = "Runs a flow and returns its answer.",
     .since = "1.0.0",
     .complexity = "Depends on the flow."},
    {.name = "flow.status",
     .run = flow_status,
     .arity = -1,
     .acl = ACL_FLOW,
     .syntax = "[run]",
     .summary = "Tells how a run of a flow stands.",
     .since = "1.0.0",
     .complexity = "O(N)"},
    {.name = "flow.trace",
     .run = flow_trace,
     .arity = 2,
     .acl = ACL_FLOW,
     .syntax = "run",
     .summary = "Tells what each node of a run did.",
     .since = "1.0.0",
     .complexity = "O(N)"},
    {.name = "flow.cancel",
     .run = flow_cancel,
     .arity = 2,
     .flags = CMD_FAST,
     .acl = ACL_FLOW,
     .syntax = "run",
     .summary = "Ends a run of a flow.",
     .since = "1.0.0",
     .complexity = "O(N)"},
};

const struct cmd_family flow_family = CMD_FAMILY("flow", rows);
