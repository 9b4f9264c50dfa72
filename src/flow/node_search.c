/* search: the passages of a vector set that are nearest to a question.
 *
 *   "params": {"key": "docs", "query": "{{input.question}}", "count": 5, "filter": ".year > 2000",
 *              "hybrid": "{{input.question}}", "min_score": 0.2, "text": "text"}
 *
 * Runs VSEARCH key TEXT query COUNT n [FILTER f] [HYBRID words] WITHSCORES WITHATTRIBS. The text of a passage is the
 * attribute that `text` names (the element's own name when it has no such attribute). Outputs: passages, a list of
 * {n, id, score, text, attributes}; text, all of them with their [n] in front; count. */
#include <stdio.h>

#include "base/mem.h"
#include "flow/flow.h"
#include "flow/kind.h"
#include "flow/run.h"
#include "net/value.h"

#define ARGS_MAX 16

struct search {
    struct flow_step *step;
    void *handle;
    bool done;     /* the reply came before exec returned: run() frees the record */
    bool returned; /* exec has returned: the reply frees it */
    double min_score;
};

static cJSON *passage(const struct resp_value *row, int n, const char *text_name)
{
    cJSON *p = cJSON_CreateObject(), *attributes = NULL;
    if (row[2].kind == RV_STRING && row[2].str.len)
        attributes = json_parse(row[2].str, FLOW_VALUE_MAX, "attributes", NULL);
    cJSON_AddNumberToObject(p, "n", n);
    cJSON_AddStringToObject(p, "id", row[0].str.p ? row[0].str.p : "");
    cJSON_AddNumberToObject(p, "score", resp_value_num(&row[1], 0));
    cJSON_AddStringToObject(p, "text", json_str(attributes, text_name, row[0].str.p ? row[0].str.p : ""));
    cJSON_AddItemToObject(p, "attributes", attributes ? attributes : cJSON_CreateObject());
    return p;
}

/* The reply is element, score, attributes, element, ... */
static cJSON *read_passages(const struct search *x, const struct resp_value *v)
{
    const char *text_name = json_str(x->step->node->params, "text", "text");
    cJSON *outputs = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(outputs, "passages");
    struct buf text = {.max = FLOW_TEXT_MAX};
    int n = 0;
    for (size_t i = 0; i + 2 < v->n; i += 3) {
        if (resp_value_num(&v->item[i + 1], 0) < x->min_score)
            continue;
        cJSON *p = passage(&v->item[i], ++n, text_name);
        cJSON_AddItemToArray(list, p);
        buf_addf(&text, "%s[%d] %s", n > 1 ? "\n\n" : "", n, json_str(p, "text", ""));
    }
    cJSON_AddStringToObject(outputs, "text", buf_cstr(&text));
    cJSON_AddNumberToObject(outputs, "count", n);
    buf_release(&text);
    return outputs;
}

static void on_reply(void *arg, struct slice reply)
{
    struct search *x = arg;
    struct flow_step *s = x->step;
    struct resp_value v = {0};
    int64_t used = resp_value_parse(reply, &v, &s->err);
    int rc = used > 0 ? resp_value_err(&v, &s->err) : ERR_GENERIC;
    if (used == 0)
        err_set(&s->err, ERR_GENERIC, "the search gave a reply that is cut");
    x->done = true;
    s->op = NULL;
    if (rc < 0)
        step_failed(s);
    else
        step_done(s, read_passages(x, &v), NULL);
    resp_value_release(&v);
    if (x->returned)
        mem_free(x);
}

struct query {
    struct buf key, text, filter, hybrid;
    char count[32];
};

static int expand(struct flow_step *s, struct query *q)
{
    if (step_text(s, "key", &q->key) < 0 || step_text(s, "query", &q->text) < 0 ||
        step_text(s, "filter", &q->filter) < 0 || step_text(s, "hybrid", &q->hybrid) < 0)
        return -1;
    if (!q->key.len || !q->text.len)
        return err_set(&s->err, ERR_INVALID, "the %s is empty", q->key.len ? "query" : "key");
    snprintf(q->count, sizeof q->count, "%.0f", json_num(s->node->params, "count", 5));
    return 0;
}

static int make_command(const struct query *q, struct slice *argv)
{
    int n = 0;
    argv[n++] = SLICE("VSEARCH");
    argv[n++] = buf_slice(&q->key);
    argv[n++] = SLICE("TEXT");
    argv[n++] = buf_slice(&q->text);
    argv[n++] = SLICE("COUNT");
    argv[n++] = slice_str(q->count);
    if (q->filter.len) {
        argv[n++] = SLICE("FILTER");
        argv[n++] = buf_slice(&q->filter);
    }
    if (q->hybrid.len) {
        argv[n++] = SLICE("HYBRID");
        argv[n++] = buf_slice(&q->hybrid);
    }
    argv[n++] = SLICE("WITHSCORES");
    argv[n++] = SLICE("WITHATTRIBS");
    return n;
}

static void trace_input(struct flow_step *s, struct query *q)
{
    cJSON *in = cJSON_CreateObject();
    cJSON_AddStringToObject(in, "key", buf_cstr(&q->key));
    cJSON_AddStringToObject(in, "query", buf_cstr(&q->text));
    if (q->filter.len)
        cJSON_AddStringToObject(in, "filter", buf_cstr(&q->filter));
    step_input(s, in);
}

static void run(struct flow_step *s)
{
    struct query q = {0};
    struct slice argv[ARGS_MAX];
    if (expand(s, &q) < 0) {
        step_failed(s);
    } else {
        struct search *x = mem_zero(sizeof *x);
        x->step = s;
        x->min_score = json_num(s->node->params, "min_score", -1e9);
        s->op = x;
        trace_input(s, &q);
        void *handle = flow_host()->exec(run_db(s->run), run_user(s->run), make_command(&q, argv), argv, on_reply, x);
        x->handle = handle;
        x->returned = true;
        if (x->done)
            mem_free(x);
    }
    buf_release(&q.key);
    buf_release(&q.text);
    buf_release(&q.filter);
    buf_release(&q.hybrid);
}

static void cancel(struct flow_step *s)
{
    struct search *x = s->op;
    if (x && x->handle)
        flow_host()->exec_cancel(x->handle);
}

static const char *const outputs[] = {"passages", "text", "count", NULL};
static const struct flow_param params[] = {
    {"key", PARAM_TEMPLATE, true, 0, 0},     {"query", PARAM_TEMPLATE, true, 0, 0},
    {"count", PARAM_INT, false, 1, 1000},    {"filter", PARAM_TEMPLATE, false, 0, 0},
    {"hybrid", PARAM_TEMPLATE, false, 0, 0}, {"min_score", PARAM_NUMBER, false, -1e9, 1e9},
    {"text", PARAM_TEXT, false, 0, 0}};

const struct flow_kind flow_search = {.name = "search",
                                      .summary = "finds passages in a vector set",
                                      .params = params,
                                      .nparams = 7,
                                      .outputs = outputs,
                                      .run = run,
                                      .cancel = cancel};
