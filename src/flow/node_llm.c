/* llm: asks a model; its text streams.
 *
 *   "params": {"model": "default", "system": "...", "prompt": "{{input.question}}", "history": 6,
 *              "temperature": 0.2, "max_tokens": 500, "top_p": 1, "seed": 1, "stop": ["\n\n"]}
 *
 * `history` puts that many of the session's last messages before the prompt (nothing when the run has no session); the
 * session's own system prompt is used when the node has none. Outputs: text, model, finish, usage {prompt, completion}.
 */
#include <stdio.h>

#include "base/mem.h"
#include "flow/flow.h"
#include "flow/kind.h"
#include "flow/run.h"
#include "net/value.h"

struct ask {
    struct flow_step *step;
    cJSON *messages, *prompt; /* prompt: the last message, until the history is there */
    char *model;
    void *exec, *chat;
    bool running; /* exec has not returned yet: its reply is only kept */
    bool ended;
};

static void free_ask(struct ask *x)
{
    cJSON_Delete(x->messages);
    cJSON_Delete(x->prompt);
    mem_free(x->model);
    mem_free(x);
}

static void fail(struct ask *x)
{
    struct flow_step *s = x->step;
    s->op = NULL;
    x->ended = true;
    if (!x->running)
        free_ask(x);
    step_failed(s);
}

static cJSON *message(const char *role, const char *content)
{
    cJSON *m = cJSON_CreateObject();
    cJSON_AddStringToObject(m, "role", role);
    cJSON_AddStringToObject(m, "content", content);
    return m;
}

static void on_piece(void *arg, struct slice text)
{
    struct ask *x = arg;
    step_piece(x->step, text);
}

static cJSON *read_answer(const struct flow_chat_end *end)
{
    cJSON *o = cJSON_CreateObject(), *usage;
    char *text = mem_dup(end->text.p, end->text.len);
    cJSON_AddStringToObject(o, "text", text);
    mem_free(text);
    cJSON_AddStringToObject(o, "model", end->model ? end->model : "");
    cJSON_AddStringToObject(o, "finish", end->finish ? end->finish : "");
    usage = cJSON_AddObjectToObject(o, "usage");
    cJSON_AddNumberToObject(usage, "prompt", (double)end->tokens_in);
    cJSON_AddNumberToObject(usage, "completion", (double)end->tokens_out);
    return o;
}

static void on_end(void *arg, const struct flow_chat_end *end)
{
    struct ask *x = arg;
    struct flow_step *s = x->step;
    s->op = NULL;
    free_ask(x);
    if (end->err.code)
        step_fail(s, &end->err);
    else
        step_done(s, read_answer(end), NULL);
}

static void begin_chat(struct ask *x)
{
    static const struct flow_chat_ops ops = {on_piece, on_end};
    struct flow_step *s = x->step;
    cJSON_AddItemToArray(x->messages, x->prompt);
    x->prompt = NULL;
    cJSON *in = cJSON_CreateObject();
    cJSON_AddStringToObject(in, "model", x->model);
    cJSON_AddItemToObject(in, "messages", cJSON_Duplicate(x->messages, 1));
    step_input(s, in);
    struct flow_chat c = {.model = x->model, .messages = x->messages, .params = s->node->params};
    if (flow_host()->chat(&c, &ops, x, &x->chat, &s->err) < 0)
        fail(x);
}

/* The session's messages, as a list of {role, content}, go before what is there. */
static void add_history(struct ask *x, cJSON *list)
{
    bool own_system = x->messages->child != NULL;
    for (const cJSON *m = list->child; m; m = m->next) {
        const char *role = json_str(m, "role", ""), *content = json_str(m, "content", "");
        bool is_system = strcmp(role, "system") == 0;
        if (content[0] && !(is_system && own_system))
            cJSON_AddItemToArray(x->messages, message(role, content));
    }
}

static int read_history(struct ask *x, struct slice reply)
{
    struct resp_value v = {0};
    struct err *err = &x->step->err;
    int rc = resp_value_parse(reply, &v, err) > 0 ? resp_value_err(&v, err) : err_set(err, ERR_GENERIC, "no history");
    cJSON *list = rc == 0 && v.kind == RV_STRING ? json_parse(v.str, FLOW_TEXT_MAX, "session context", err) : NULL;
    if (list)
        add_history(x, cJSON_IsObject(list) ? cJSON_GetObjectItemCaseSensitive(list, "messages") : list);
    cJSON_Delete(list);
    resp_value_release(&v);
    return rc;
}

static void on_history(void *arg, struct slice reply)
{
    struct ask *x = arg;
    x->exec = NULL;
    if (read_history(x, reply) < 0)
        fail(x);
    else if (x->step->cancelled) {
        err_set(&x->step->err, ERR_CANCELLED, "cancelled");
        fail(x);
    } else {
        begin_chat(x);
    }
}

static void fetch_history(struct ask *x, int n)
{
    char count[24];
    snprintf(count, sizeof count, "%d", n);
    struct slice session = run_session(x->step->run);
    struct slice argv[] = {SLICE("SESSION.CONTEXT"), session,         SLICE("LAST"),
                           slice_str(count),         SLICE("FORMAT"), SLICE("JSON")};
    x->running = true;
    void *handle = flow_host()->exec(run_db(x->step->run), run_user(x->step->run), 6, argv, on_history, x);
    x->running = false;
    if (x->ended)
        free_ask(x);
    else if (handle)
        x->exec = handle;
}

static int prepare(struct flow_step *s, struct ask *x)
{
    struct buf system = {0}, prompt = {0}, model = {0};
    int rc = step_text(s, "system", &system);
    rc = rc < 0 ? rc : step_text(s, "prompt", &prompt);
    rc = rc < 0 ? rc : step_text(s, "model", &model);
    if (rc == 0 && prompt.len == 0)
        rc = err_set(&s->err, ERR_INVALID, "the prompt is empty");
    x->messages = cJSON_CreateArray();
    if (system.len)
        cJSON_AddItemToArray(x->messages, message("system", buf_cstr(&system)));
    x->prompt = message("user", buf_cstr(&prompt));
    x->model = mem_strdup(buf_cstr(&model));
    buf_release(&system);
    buf_release(&prompt);
    buf_release(&model);
    return rc;
}

static void run(struct flow_step *s)
{
    struct ask *x = mem_zero(sizeof *x);
    int history = (int)json_num(s->node->params, "history", 0);
    x->step = s;
    s->op = x;
    if (prepare(s, x) < 0)
        fail(x);
    else if (history > 0 && run_session(s->run).len)
        fetch_history(x, history);
    else
        begin_chat(x);
}

static void cancel(struct flow_step *s)
{
    struct ask *x = s->op;
    if (x && x->chat)
        flow_host()->chat_cancel(x->chat);
    else if (x && x->exec)
        flow_host()->exec_cancel(x->exec);
}

static void check(struct flow_checker *c, const struct flow_node *n)
{
    const cJSON *stop = cJSON_GetObjectItemCaseSensitive(n->params, "stop"), *e;
    if (stop && !cJSON_IsArray(stop))
        check_problem(c, n, "'stop' must be a list of texts");
    cJSON_ArrayForEach(e, stop) if (!cJSON_IsString(e)) check_problem(c, n, "'stop' must be a list of texts");
}

static const char *const outputs[] = {"text", "model", "finish", "usage", NULL};
static const struct flow_param params[] = {{"model", PARAM_TEMPLATE, false, 0, 0},
                                           {"system", PARAM_TEMPLATE, false, 0, 0},
                                           {"prompt", PARAM_TEMPLATE, true, 0, 0},
                                           {"history", PARAM_INT, false, 0, 1000},
                                           {"temperature", PARAM_NUMBER, false, 0, 2},
                                           {"top_p", PARAM_NUMBER, false, 0, 1},
                                           {"max_tokens", PARAM_INT, false, 1, 1000000},
                                           {"seed", PARAM_INT, false, 0, 2147483647},
                                           {"stop", PARAM_RAW, false, 0, 0}};

const struct flow_kind flow_llm = {.name = "llm",
                                   .summary = "asks a model",
                                   .params = params,
                                   .nparams = 9,
                                   .outputs = outputs,
                                   .check = check,
                                   .run = run,
                                   .cancel = cancel};
