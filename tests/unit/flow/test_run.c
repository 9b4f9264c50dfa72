/* The runner over a host of the test's own: a "model" and a "search" that end when the test says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "flow/flow.h"
#include "flow/registry.h"
#include "flow/run.h"

/* ---- the host ----
 *
 * A chat's model says how it behaves: echo (answers with its prompt, in pieces of four bytes), pair (as echo, once two
 * of them wait), fail, never (until it is cancelled), hold (as echo, once `release_held` is set). */

struct chat {
    const struct flow_chat_ops *ops;
    void *arg;
    char model[32];
    char *text;
    size_t sent;
    bool cancelled;
};

static struct loop *loop;
static struct job_pool *jobs;
static int chats_waiting, chats_cancelled, chats_begun, execs_cancelled;
static bool release_held;
static struct chat *pair_first;

static void chat_step(void *arg);

static void chat_end(struct chat *c, int code, const char *msg)
{
    struct flow_chat_end end = {
        .text = slice_str(c->text), .model = c->model, .finish = "stop", .tokens_in = 3, .tokens_out = 2};
    if (code)
        err_set(&end.err, code, "%s", msg);
    c->ops->end(c->arg, &end);
    mem_free(c->text);
    mem_free(c);
}

static void chat_step(void *arg)
{
    struct chat *c = arg;
    size_t n = strlen(c->text);
    bool wait = strcmp(c->model, "never") == 0 || (strcmp(c->model, "hold") == 0 && !release_held);
    if (c->cancelled) {
        chats_cancelled++;
        chat_end(c, ERR_CANCELLED, "cancelled");
    } else if (strcmp(c->model, "fail") == 0) {
        chat_end(c, ERR_UPSTREAM, "the model is on fire");
    } else if (wait) {
        loop_post(loop, chat_step, c);
    } else if (c->sent < n) {
        size_t piece = n - c->sent < 4 ? n - c->sent : 4;
        c->sent += piece;
        loop_post(loop, chat_step, c);
        c->ops->piece(c->arg, slice_of(c->text + c->sent - piece, piece));
    } else {
        chat_end(c, 0, NULL);
    }
}

static int host_chat(const struct flow_chat *q, const struct flow_chat_ops *ops, void *arg, void **handle,
                     struct err *err)
{
    if (strcmp(q->model, "none") == 0)
        return err_set(err, ERR_STATE, "there is no model 'none'");
    struct chat *c = mem_zero(sizeof *c);
    const cJSON *last = q->messages->child;
    while (last->next)
        last = last->next;
    chats_begun++;
    c->ops = ops;
    c->arg = arg;
    snprintf(c->model, sizeof c->model, "%s", q->model);
    c->text = mem_strdup(json_str(last, "content", ""));
    *handle = c;
    if (strcmp(c->model, "pair") != 0) {
        loop_post(loop, chat_step, c);
    } else if (++chats_waiting == 1) {
        pair_first = c;
    } else {
        loop_post(loop, chat_step, pair_first);
        loop_post(loop, chat_step, c);
    }
    return 0;
}

static void host_chat_cancel(void *handle)
{
    ((struct chat *)handle)->cancelled = true;
}

static void *host_exec(struct db *db, struct user *user, int argc, const struct slice *argv, void (*done)(void *arg, struct slice reply),
                       void *arg)
{
    if (slice_is(argv[0], "SESSION.CONTEXT"))
        done(arg, SLICE("$75\r\n[{\"role\":\"system\",\"content\":\"be "
                        "brief\"},{\"role\":\"user\",\"content\":\"before\"}]\r\n"));
    else if (slice_is(argv[3], "broken"))
        done(arg, SLICE("-ERR no such vector set\r\n"));
    else
        done(arg,
             SLICE("*6\r\n$2\r\np1\r\n$3\r\n0.9\r\n$16\r\n{\"text\":\"first\"}\r\n$2\r\np2\r\n$3\r\n0.5\r\n$-1\r\n"));
    return NULL;
}

static void host_exec_cancel(void *handle)
{
    execs_cancelled++;
}

/* ---- the watcher ---- */

struct seen {
    bool done;
    struct buf text;
    int pieces, begun;
    int cancel_at; /* cancel inside this piece */
};

static void on_piece(void *arg, struct flow_run *r, struct slice s)
{
    struct seen *x = arg;
    buf_add(&x->text, s.p, s.len);
    if (++x->pieces == x->cancel_at)
        run_cancel(r);
}

static void on_node(void *arg, struct flow_run *r, int node)
{
    struct seen *x = arg;
    x->begun += run_node_state(r, node) == NODE_RUNNING;
}

static void on_done(void *arg, struct flow_run *r)
{
    struct seen *x = arg;
    assert_false(x->done);
    x->done = true;
}

static struct seen seen;

static char *quoted(const char *text)
{
    char *s = mem_strdup(text);
    for (char *p = s; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    return s;
}

static struct flow_run *begin(const char *def, const char *input, int64_t timeout)
{
    struct err err;
    char *json = quoted(def), *in = quoted(input);
    static const char name[] = "test";
    if (flow_registry_set(SLICE("test"), slice_str(json), &err) < 0)
        fail_msg("%s", err.msg);
    int cancel_at = seen.cancel_at;
    buf_release(&seen.text);
    seen = (struct seen){.cancel_at = cancel_at};
    chats_waiting = chats_cancelled = chats_begun = 0;
    release_held = false;
    struct run_options o = {.flow = flow_registry_find(SLICE("test"))->flow,
                            .name = slice_str(name),
                            .input = cJSON_Parse(in),
                            .session = SLICE("s1"),
                            .timeout_ms = timeout};
    struct flow_run *r = run_start(&o, &(struct flow_watch){on_node, on_piece, on_done, &seen});
    mem_free(json);
    mem_free(in);
    return r;
}

static struct flow_run *run_to_end(const char *def, const char *input)
{
    struct flow_run *r = begin(def, input, 0);
    while (!seen.done)
        loop_turn_wait(loop);
    return r;
}

static void turns(int n)
{
    for (int i = 0; i < n; i++)
        loop_turn(loop);
}

static void expect_answer(struct flow_run *r, const char *want)
{
    if (run_state(r) != RUN_SUCCEEDED)
        fail_msg("the run is %s: %s", run_state_name(run_state(r)), run_err(r)->msg);
    struct slice a = run_answer(r);
    char *got = mem_dup(a.p, a.len);
    assert_string_equal(got, want);
    assert_string_equal(buf_cstr(&seen.text), want);
    mem_free(got);
}

static struct node_trace node(struct flow_run *r, const char *id)
{
    struct node_trace t;
    for (int i = 0; i < run_nodes(r); i++) {
        run_node(r, i, &t);
        if (strcmp(t.id, id) == 0)
            return t;
    }
    fail_msg("no node %s", id);
    return t;
}

#define START                  "{'id':'s','kind':'start'}"
#define LLM(id, model, prompt) "{'id':'" id "','kind':'llm','params':{'model':'" model "','prompt':'" prompt "'}}"
#define ANSWER(id, text)       "{'id':'" id "','kind':'answer','params':{'text':'" text "'}}"
#define EDGE(a, b)             "{'from':'" a "','to':'" b "'}"
#define BRANCH(a, b, label)    "{'from':'" a "','to':'" b "','branch':'" label "'}"
#define FLOW(nodes, edges)     "{'nodes':[" nodes "],'edges':[" edges "]}"

/* ---- the tests ---- */

static void a_chain_answers(void **state)
{
    struct flow_run *r =
        run_to_end(FLOW(START ",{'id':'f','kind':'search','params':{'key':'docs','query':'{{input.question}}'}}," LLM(
                            "m", "echo", "Q {{sys.question}} C {{f.text}}") "," ANSWER("a", "<{{m.text}}>"),
                        EDGE("s", "f") "," EDGE("f", "m") "," EDGE("m", "a")),
                   "{'question':'why'}");
    expect_answer(r, "<Q why C [1] first\n\n[2] p2>");
    assert_true(seen.pieces > 4);
    assert_int_equal(run_steps(r), 4);
    assert_non_null(strstr(node(r, "f").output, "\"score\":0.9"));
    assert_non_null(strstr(node(r, "m").output, "\"prompt\":3"));
    assert_ptr_equal(run_find(slice_str(run_id(r))), r);
}

static void branches_run_together_and_join_once(void **state)
{
    /* Each of the two models answers only when both were asked. */
    struct flow_run *r = run_to_end(
        FLOW(START "," LLM("x", "pair", "left") "," LLM(
                 "y", "pair", "right") ","
                                       "{'id':'j','kind':'template','params':{'text':'{{x.text}}+{{y.text}}'}}," ANSWER(
                                           "a", "{{j.text}}"),
             EDGE("s", "x") "," EDGE("s", "y") "," EDGE("x", "j") "," EDGE("y", "j") "," EDGE("j", "a")),
        "{}");
    expect_answer(r, "left+right");
    assert_int_equal(seen.begun, 5);
    assert_int_equal(node(r, "j").attempts, 1);
}

#define CASES                                                                                                          \
    "{'id':'c','kind':'condition','params':{'cases':[{'branch':'yes','all':[{'value':'{{input.n}}','op':'>=','to':10}" \
    "]}]}}"
#define FORKED                                                                                                         \
    FLOW(START "," CASES "," LLM("x", "echo", "big") "," LLM("x2", "echo", "{{x.text}}!") "," LLM(                     \
             "y", "echo",                                                                                              \
             "small") ","                                                                                              \
                      "{'id':'v','kind':'variable','params':{'first':{'t':['x2.text','y.text']}}}," ANSWER("a",        \
                                                                                                           "{{v.t}}"), \
         EDGE("s", "c") "," BRANCH("c", "x", "yes") "," BRANCH("c", "y", "else") "," EDGE("x", "x2") "," EDGE(         \
             "x2", "v") "," EDGE("y", "v") "," EDGE("v", "a"))

static void a_condition_skips_the_other_branch(void **state)
{
    struct flow_run *r = run_to_end(FORKED, "{'n':12}");
    expect_answer(r, "big!");
    assert_int_equal(node(r, "y").state, NODE_SKIPPED);
    r = run_to_end(FORKED, "{'n':'3'}");
    expect_answer(r, "small");
    assert_int_equal(node(r, "x").state, NODE_SKIPPED);
    assert_int_equal(node(r, "x2").state, NODE_SKIPPED);
    assert_int_equal(node(r, "v").attempts, 1);
    r = run_to_end(FORKED, "{'n':'many'}");
    assert_int_equal(run_state(r), RUN_FAILED);
    assert_non_null(strstr(run_err(r)->msg, "node c: <, >"));
}

static void answers_stream_in_their_order(void **state)
{
    struct flow_run *r = begin(FLOW(START "," LLM("x", "hold", "the first text") "," LLM(
                                        "y", "echo", "the second") "," ANSWER("a", "A {{x.text}} B {{y.text}} C"),
                                    EDGE("s", "x") "," EDGE("s", "y") "," EDGE("x", "a") "," EDGE("y", "a")),
                               "{}", 0);
    turns(50);
    assert_string_equal(buf_cstr(&seen.text), "A "); /* y is done and waits for its turn */
    assert_int_equal(node(r, "y").state, NODE_SUCCEEDED);
    release_held = true;
    while (!strstr(buf_cstr(&seen.text), "first"))
        turns(1);
    assert_int_equal(node(r, "x").state, NODE_RUNNING); /* it left while the model was still at it */
    while (!seen.done)
        loop_turn_wait(loop);
    expect_answer(r, "A the first text B the second C");
}

static void a_failure_names_its_node_and_stops_the_rest(void **state)
{
    struct flow_run *r = run_to_end(
        FLOW(START "," LLM("x", "fail", "q") "," LLM("y", "never", "q") "," ANSWER("a", "{{x.text}}{{y.text}}"),
             EDGE("s", "x") "," EDGE("s", "y") "," EDGE("x", "a") "," EDGE("y", "a")),
        "{}");
    assert_int_equal(run_state(r), RUN_FAILED);
    assert_int_equal(run_err(r)->code, ERR_UPSTREAM);
    assert_string_equal(run_err(r)->msg, "node x: the model is on fire");
    assert_int_equal(node(r, "y").state, NODE_CANCELLED);
    turns(3);
    assert_int_equal(chats_cancelled, 1);
    r = run_to_end(FLOW(START "," LLM("x", "none", "q") "," ANSWER("a", "x"), EDGE("s", "x") "," EDGE("x", "a")), "{}");
    assert_int_equal(run_err(r)->code, ERR_STATE);
    r = run_to_end(FLOW(START ",{'id':'f','kind':'search','params':{'key':'k','query':'broken'}}," ANSWER("a", "x"),
                        EDGE("s", "f") "," EDGE("f", "a")),
                   "{}");
    assert_string_equal(run_err(r)->msg, "node f: no such vector set");
    assert_int_equal(run_err(r)->code, ERR_UPSTREAM);
}

static void errors_can_be_handled(void **state)
{
    struct flow_run *r =
        run_to_end(FLOW(START ",{'id':'x','kind':'llm','params':{'model':'fail','prompt':'q'},'on_error':'default',"
                              "'default':{'text':'sorry'},'retries':2}," ANSWER("a", "{{x.text}}"),
                        EDGE("s", "x") "," EDGE("x", "a")),
                   "{}");
    expect_answer(r, "sorry");
    assert_int_equal(node(r, "x").attempts, 3);
    assert_int_equal(chats_begun, 3);
    r = run_to_end(FLOW(START
                        ",{'id':'x','kind':'llm','params':{'model':'fail','prompt':'q'},'on_error':'branch'}," ANSWER(
                            "a", "{{x.text}}") "," ANSWER("b", "failed: {{x.error}}"),
                        EDGE("s", "x") "," EDGE("x", "a") "," BRANCH("x", "b", "error")),
                   "{}");
    expect_answer(r, "failed: the model is on fire");
    assert_int_equal(node(r, "a").state, NODE_SKIPPED);
}

#define SLOW FLOW(START "," LLM("x", "never", "q") "," ANSWER("a", "{{x.text}}"), EDGE("s", "x") "," EDGE("x", "a"))

static void times_run_out(void **state)
{
    struct flow_run *r = begin(SLOW, "{}", 20);
    while (!seen.done)
        loop_turn_wait(loop);
    assert_int_equal(run_state(r), RUN_TIMED_OUT);
    assert_int_equal(run_err(r)->code, ERR_UPSTREAM);
    turns(3);
    assert_int_equal(chats_cancelled, 1);
    r = run_to_end(
        FLOW(START ",{'id':'x','kind':'llm','params':{'model':'never','prompt':'q'},'timeout':20,'retries':1}," ANSWER(
                 "a", "x"),
             EDGE("s", "x") "," EDGE("x", "a")),
        "{}");
    assert_string_equal(run_err(r)->msg, "node x: not done after 20 ms");
    assert_int_equal(node(r, "x").attempts, 2);
    turns(3);
    assert_int_equal(chats_cancelled, 2);
}

static void a_run_can_be_cancelled(void **state)
{
    struct flow_run *r = begin(SLOW, "{}", 0);
    run_cancel(r); /* before anything happened */
    assert_true(seen.done);
    turns(3);
    assert_int_equal(chats_begun, 0);
    r = begin(SLOW, "{}", 0);
    turns(3);
    assert_int_equal(chats_begun, 1);
    run_cancel(r);
    assert_int_equal(run_state(r), RUN_CANCELLED);
    run_cancel(r);
    turns(3);
    assert_int_equal(chats_cancelled, 1);
    seen.cancel_at = 2; /* from inside a piece */
    r = run_to_end(FLOW(START "," LLM("x", "echo", "a longer text") "," ANSWER("a", "{{x.text}}"),
                        EDGE("s", "x") "," EDGE("x", "a")),
                   "{}");
    seen.cancel_at = 0;
    assert_int_equal(run_state(r), RUN_CANCELLED);
    assert_string_equal(buf_cstr(&seen.text), "a longer");
    turns(3);
    assert_int_equal(chats_cancelled, 1);
}

#define CODE(code)                                                                                                     \
    FLOW(START ",{'id':'c','kind':'code','params':{'input':{'n':'{{input.n}}'},'code':'" code "'}},"                   \
               "{'id':'e','kind':'end','params':{'outputs':{'r':'{{c.r}}','all':'{{c}}'}}}",                           \
         EDGE("s", "c") "," EDGE("c", "e"))

static void code_runs_on_a_worker(void **state)
{
    struct flow_run *r = run_to_end(CODE("return {r = input.n * 2}"), "{'n':21}");
    assert_int_equal(run_state(r), RUN_SUCCEEDED);
    assert_false(run_has_answer(r));
    struct buf b = {0};
    json_print(&b, run_outputs(r));
    assert_string_equal(buf_cstr(&b), "{\"r\":42,\"all\":{\"r\":42}}");
    buf_release(&b);
    r = run_to_end(CODE("local t = nil return t.x"), "{}");
    assert_int_equal(run_err(r)->code, ERR_INVALID);
    assert_non_null(strstr(run_err(r)->msg, "node c: code line 1: attempt to index"));
    r = begin(CODE("while true do end"), "{}", 0);
    turns(5);
    run_cancel(r);
    assert_true(seen.done);
}

static void the_start_node_checks_the_input(void **state)
{
    static const char def[] =
        FLOW("{'id':'s','kind':'start','params':{'inputs':[{'name':'q','type':'string','required':true,'max_length':3},"
             "{'name':'n','type':'number','default':7}]}}," ANSWER("a", "{{input.q}} {{s.n}}"),
             EDGE("s", "a"));
    expect_answer(run_to_end(def, "{'q':'abc'}"), "abc 7");
    assert_string_equal(run_err(run_to_end(def, "{}"))->msg, "node s: the input 'q' is missing");
    assert_string_equal(run_err(run_to_end(def, "{'q':5}"))->msg, "node s: the input 'q' must be a string");
    assert_string_equal(run_err(run_to_end(def, "{'q':'abcd'}"))->msg,
                        "node s: the input 'q' is longer than 3 characters");
}

static void history_comes_from_the_session(void **state)
{
    struct flow_run *r = run_to_end(
        FLOW(START
             ",{'id':'m','kind':'llm','params':{'model':'echo','prompt':'now','history':4}}," ANSWER("a", "{{m.text}}"),
             EDGE("s", "m") "," EDGE("m", "a")),
        "{}");
    expect_answer(r, "now");
    assert_non_null(strstr(node(r, "m").input, "\"content\":\"before\""));
    assert_non_null(strstr(node(r, "m").input, "be brief"));
}

static void steps_and_hosts_are_limited(void **state)
{
    flow_settings.max_steps = 2;
    struct flow_run *r = run_to_end(FORKED, "{'n':1}");
    flow_settings.max_steps = 1000;
    assert_int_equal(run_err(r)->code, ERR_STATE);
    assert_non_null(strstr(run_err(r)->msg, "limit of 2 steps"));
    r = run_to_end(
        FLOW(START ",{'id':'h','kind':'http','params':{'url':'http://169.254.169.254/{{input.x}}'}}," ANSWER("a", "x"),
             EDGE("s", "h") "," EDGE("h", "a")),
        "{}");
    assert_int_equal(run_err(r)->code, ERR_NOPERM);
    assert_non_null(strstr(run_err(r)->msg, "is not in flow-http-allow"));
}

static void many_runs_at_once(void **state)
{
    struct err err;
    char *json = quoted(FORKED);
    assert_int_equal(flow_registry_set(SLICE("test"), slice_str(json), &err), 0);
    mem_free(json);
    static struct seen all[1500];
    for (int i = 0; i < 1500; i++) {
        cJSON *input = cJSON_CreateObject();
        cJSON_AddNumberToObject(input, "n", i);
        run_start(&(struct run_options){.flow = flow_registry_find(SLICE("test"))->flow,
                                        .name = SLICE("test"),
                                        .input = input},
                  &(struct flow_watch){NULL, on_piece, on_done, &all[i]});
    }
    flow_registry_delete(SLICE("test")); /* the runs hold the definition */
    for (int i = 0; i < 1500; i++) {
        while (!all[i].done)
            loop_turn_wait(loop);
        assert_string_equal(buf_cstr(&all[i].text), i >= 10 ? "big!" : "small");
        buf_release(&all[i].text);
    }
}

static void count_run(void *arg, struct flow_run *r)
{
    ++*(int *)arg;
}

static void ended_runs_are_bounded(void **state)
{
    int n = 0;
    run_each(count_run, &n);
    assert_int_equal(n, 1000);
}

static int setup(void **state)
{
    static struct flow_host host;
    struct err err;
    json_boot();
    assert_int_equal(loop_create(&loop, &err), 0);
    jobs = job_pool_create(loop, 2);
    host = (struct flow_host){.loop = loop,
                              .jobs = jobs,
                              .exec = host_exec,
                              .exec_cancel = host_exec_cancel,
                              .chat = host_chat,
                              .chat_cancel = host_chat_cancel};
    flow_boot_settings();
    flow_boot(&host);
    return 0;
}

static int teardown(void **state)
{
    flow_shutdown();
    turns(10);
    job_pool_destroy(jobs);
    turns(10);
    loop_destroy(loop);
    buf_release(&seen.text);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_answers),
        cmocka_unit_test(branches_run_together_and_join_once),
        cmocka_unit_test(a_condition_skips_the_other_branch),
        cmocka_unit_test(answers_stream_in_their_order),
        cmocka_unit_test(a_failure_names_its_node_and_stops_the_rest),
        cmocka_unit_test(errors_can_be_handled),
        cmocka_unit_test(times_run_out),
        cmocka_unit_test(a_run_can_be_cancelled),
        cmocka_unit_test(code_runs_on_a_worker),
        cmocka_unit_test(the_start_node_checks_the_input),
        cmocka_unit_test(history_comes_from_the_session),
        cmocka_unit_test(steps_and_hosts_are_limited),
        cmocka_unit_test(many_runs_at_once),
        cmocka_unit_test(ended_runs_are_bounded),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
