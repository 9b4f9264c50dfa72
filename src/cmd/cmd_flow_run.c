/* FLOW.RUN: a run with a client, or a stream, at its end.
 *
 * The call is parked until the run's done(); a client that goes away cancels the run. Under ASYNC nobody is parked: the
 * reply is the run's id, and everything else is in the stream call:<id>. Either way the session gets its two messages
 * only when the run has succeeded. */
#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "cmd/callstream.h"
#include "cmd/cmd_flow.h"
#include "cmd/dispatch.h"
#include "cmd/effects.h"
#include "cmd/session_turn.h"
#include "flow/registry.h"
#include "flow/run.h"

#define INPUT_MAX (4u << 20)

struct options {
    struct slice session;
    cJSON *input;
    bool async, stream, trace, meta;
    int64_t timeout_ms;
};

struct runner {
    struct call *call; /* parked; NULL under ASYNC */
    struct db *db;
    struct flow_run *run;
    struct callstream stream;
    bool trace, meta;
};

int flow_run_keys(int argc, const struct slice *argv, int *pos)
{
    for (int i = 2; i + 1 < argc; i++) {
        if (slice_is(argv[i], "SESSION")) {
            pos[0] = i + 1;
            return 1;
        }
        i += slice_is(argv[i], "INPUT") || slice_is(argv[i], "TIMEOUT");
    }
    return 0;
}

/* ---- options ---- */

static bool take_input(struct call *c, struct slice json, struct options *o)
{
    struct err err;
    cJSON_Delete(o->input);
    o->input = json_parse(json, INPUT_MAX, "INPUT", &err);
    if (o->input && !cJSON_IsObject(o->input))
        err_set(&err, ERR_INVALID, "INPUT must be a JSON object, such as {\"question\": \"...\"}");
    if (cJSON_IsObject(o->input))
        return true;
    call_err(c, &err);
    return false;
}

static bool take_option(struct call *c, int *i, struct options *o)
{
    struct slice word = c->argv[*i];
    bool *flag = slice_is(word, "ASYNC")      ? &o->async
                 : slice_is(word, "STREAM")   ? &o->stream
                 : slice_is(word, "TRACE")    ? &o->trace
                 : slice_is(word, "WITHMETA") ? &o->meta
                                              : NULL;
    if (flag) {
        *flag = true;
        return true;
    }
    if (*i + 1 < c->argc) {
        struct slice value = c->argv[++*i];
        if (slice_is(word, "INPUT"))
            return take_input(c, value, o);
        if (slice_is(word, "TIMEOUT"))
            return call_range(c, *i, 1, 86400000, &o->timeout_ms);
        if (slice_is(word, "SESSION")) {
            o->session = value;
            return true;
        }
    }
    call_syntax(c);
    return false;
}

/* ---- the end of a run ---- */

static struct slice answer_of(const struct flow_run *run, struct buf *scratch)
{
    if (run_has_answer(run))
        return run_answer(run);
    if (run_outputs(run))
        json_print(scratch, run_outputs(run));
    return buf_slice(scratch);
}

static int add_to_session(struct runner *x, struct slice answer, struct err *err)
{
    struct slice question = run_question(x->run), session = run_session(x->run);
    struct session_msg turn[2] = {{.role = SESSION_USER, .content = question},
                                  {.role = SESSION_ASSISTANT, .content = answer}};
    int from = question.len == 0, n = 2 - from - (answer.len == 0);
    /* A call of its own: under ASYNC there is no other, and the effects of both messages leave as one group. */
    struct call c = {.db = x->db};
    if (session.len == 0 || n <= 0)
        return 0;
    effects_begin();
    int rc = session_turn_add(&c, session, turn + from, (size_t)n, NULL, err);
    effects_end();
    return rc;
}

static void reply_meta(struct reply *r, const struct runner *x)
{
    const struct flow_run *run = x->run;
    reply_map(r, x->trace ? 8 : 7);
    reply_str(r, "run");
    reply_str(r, run_id(run));
    reply_str(r, "flow");
    reply_str(r, run_flow_name(run));
    reply_str(r, "state");
    reply_str(r, run_state_name(run_state(run)));
    reply_str(r, "ms");
    reply_int(r, run_ended_ms(run) - run_started_ms(run));
    reply_str(r, "steps");
    reply_int(r, run_steps(run));
    reply_str(r, "answer");
    if (run_has_answer(run))
        reply_bulk(r, run_answer(run));
    else
        reply_nil(r);
    reply_str(r, "outputs");
    flow_reply_json(r, run_outputs(run));
    if (x->trace) {
        reply_str(r, "trace");
        flow_reply_trace(r, run);
    }
}

static void write_reply(struct runner *x, const struct err *err, struct slice answer)
{
    struct reply *r = x->call->reply;
    if (err)
        reply_err(r, err);
    else if (x->meta)
        reply_meta(r, x);
    else if (run_has_answer(x->run) || run_outputs(x->run))
        reply_bulk(r, answer);
    else
        reply_nil(r);
}

static void on_done(void *arg, struct flow_run *run)
{
    struct runner *x = arg;
    struct buf scratch = {0};
    struct err err = *run_err(run);
    struct slice answer = answer_of(run, &scratch);
    x->run = run;
    if (!err.code)
        add_to_session(x, answer, &err);
    const struct err *failed = err.code ? &err : NULL;
    callstream_end(&x->stream, failed, answer, failed ? 0 : 2,
                   (struct slice[]){SLICE("state"), slice_str(run_state_name(run_state(run)))});
    struct call *call = x->call;
    if (call)
        write_reply(x, failed, answer);
    buf_release(&scratch);
    mem_free(x);
    if (call)
        call_resume(call);
}

/* ---- on the way ---- */

static void on_piece(void *arg, struct flow_run *run, struct slice text)
{
    struct runner *x = arg;
    callstream_piece(&x->stream, x->call, text);
}

static void on_node(void *arg, struct flow_run *run, int node)
{
    struct runner *x = arg;
    struct node_trace t;
    run_node(run, node, &t);
    callstream_note(&x->stream, "node", 6,
                    (struct slice[]){SLICE("node"), slice_str(t.id), SLICE("kind"), slice_str(t.kind), SLICE("state"),
                                     slice_str(node_state_name(t.state))});
}

static void on_gone(struct call *c, void *arg)
{
    struct runner *x = arg;
    run_cancel(x->run);
}

static void start(struct call *c, const struct flow_entry *e, const struct options *o)
{
    struct runner *x = mem_zero(sizeof *x);
    x->db = c->db;
    x->trace = o->trace;
    x->meta = o->meta;
    struct run_options ro = {.flow = e->flow,
                             .name = c->argv[1],
                             .input = o->input,
                             .session = o->session,
                             .db = c->db,
                             .user = c->client->user,
                             .timeout_ms = o->timeout_ms,
                             .trace = o->trace};
    x->run = run_start(&ro, &(struct flow_watch){on_node, on_piece, on_done, x});
    callstream_begin(&x->stream, c, run_id(x->run), o->stream, o->async);
    if (o->async)
        reply_str(c->reply, run_id(x->run));
    else
        x->call = call_park(c, on_gone, x);
}

/* A session that is something else, and a disk that takes no writes, are found out before any work is done. */
static bool may_write(struct call *c, const struct options *o)
{
    const struct session *s;
    struct err err;
    if (o->session.len && session_read(c, o->session, &s, &err) < 0) {
        call_err(c, &err);
        return false;
    }
    if ((o->session.len || o->async) && dispatch_gates.disk && dispatch_gates.disk(&err) < 0) {
        reply_errorf(c->reply, "%s", err.msg); /* the sentence carries its own code */
        return false;
    }
    return true;
}

/* clang-format off */
/* Runs a flow. The reply is what its answer nodes say, or, when it has none, its outputs as JSON. INPUT is an object;
 * with SESSION, the question (input.question, input.query or input.text) and the answer are added to the session when the
 * run succeeds. ASYNC replies the run's id at once, and the stream call:<id> tells the rest. STREAM sends the answer as it
 * comes to be. A node's failure ends the run with the class of what failed, UPSTREAM in doubt, and the node's id.
 *
 * > FLOW.RUN nothing
 * < (error) STATE there is no flow 'nothing'; FLOW.SET makes one
 * > FLOW.SET sum '{"nodes":[{"id":"s","kind":"start"},{"id":"c","kind":"code","params":{"input":{"a":"{{input.a}}","b":"{{input.b}}"},"code":"return {sum = input.a + input.b}"}},{"id":"e","kind":"end","params":{"outputs":{"sum":"{{c.sum}}"}}}],"edges":[{"from":"s","to":"c"},{"from":"c","to":"e"}]}'
 * < OK
 * > FLOW.RUN sum INPUT '{"a":2,"b":3}'
 * < "{\"sum\":5}"
 * > FLOW.RUN sum INPUT '{"a":2}'
 * < (error) INVALID node c: code line 1: *
 * > FLOW.DEL sum
 * < (integer) 1
 */
/* clang-format on */
void flow_run_command(struct call *c)
{
    struct options o = {0};
    bool fine = true;
    for (int i = 2; i < c->argc && fine; i++)
        fine = take_option(c, &i, &o);
    const struct flow_entry *e = flow_registry_find(c->argv[1]);
    if (fine && !e) {
        struct err err;
        err_set(&err, ERR_STATE, "there is no flow '%.*s'; FLOW.SET makes one",
                c->argv[1].len < 100 ? (int)c->argv[1].len : 100, c->argv[1].p);
        call_err(c, &err);
    } else if (fine && may_write(c, &o)) {
        start(c, e, &o);
        return;
    }
    cJSON_Delete(o.input);
}
