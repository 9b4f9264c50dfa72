/* code: Lua on a worker, bounded (see script/sandbox.h).
 *
 *   "params": {"code": "function main(a) return {n = #a.list} end", "input": {"list": "{{find.passages}}"},
 *              "timeout": ms, "memory": bytes}
 *
 * Outputs: the members of the object that the code returns; any other value as `result`. */
#include <string.h>

#include "base/mem.h"
#include "flow/flow.h"
#include "flow/kind.h"
#include "script/sandbox.h"

struct code_job {
    struct job job;
    struct flow_step *step;
    char *code;
    cJSON *input, *result;
    struct sandbox_limits limits;
    int rc;
    struct err err;
};

static struct code_job *of_job(struct job *j)
{
    return (struct code_job *)((char *)j - offsetof(struct code_job, job));
}

static void run_job(struct job *j)
{
    struct code_job *x = of_job(j);
    x->rc = sandbox_run(slice_str(x->code), "code", x->input, &x->limits, &x->result, &x->err);
}

static void job_done(struct job *j)
{
    struct code_job *x = of_job(j);
    struct flow_step *s = x->step;
    if (!x->result && x->rc == 0)
        x->rc = err_set(&x->err, ERR_CANCELLED, "cancelled");
    if (x->rc < 0) {
        step_fail(s, &x->err);
    } else {
        cJSON *outputs = x->result;
        if (!cJSON_IsObject(outputs)) {
            outputs = cJSON_CreateObject();
            cJSON_AddItemToObject(outputs, "result", x->result);
        }
        step_done(s, outputs, NULL);
    }
    cJSON_Delete(x->input);
    mem_free(x->code);
    mem_free(x);
}

static void run(struct flow_step *s)
{
    cJSON *input;
    if (step_value(s, "input", &input) < 0) {
        step_failed(s);
        return;
    }
    struct code_job *x = mem_zero(sizeof *x);
    x->step = s;
    x->code = mem_strdup(json_str(s->node->params, "code", ""));
    x->input = input;
    x->limits.memory = (size_t)json_num(s->node->params, "memory", (double)flow_settings.code_memory);
    if (x->limits.memory > (size_t)flow_settings.code_memory)
        x->limits.memory = (size_t)flow_settings.code_memory;
    x->limits.timeout_ms = (int64_t)json_num(s->node->params, "timeout", (double)flow_settings.code_timeout_ms);
    if (x->limits.timeout_ms > flow_settings.code_timeout_ms)
        x->limits.timeout_ms = flow_settings.code_timeout_ms;
    x->limits.output = FLOW_VALUE_MAX;
    x->limits.cancelled = &x->job.cancelled;
    x->job.run = run_job;
    x->job.done = job_done;
    s->op = x;
    step_input(s, cJSON_Duplicate(input, 1));
    job_submit(flow_host()->jobs, &x->job);
}

static void cancel(struct flow_step *s)
{
    job_cancel(&((struct code_job *)s->op)->job);
}

static void check(struct flow_checker *c, const struct flow_node *n)
{
    struct err err;
    if (sandbox_check(slice_str(json_str(n->params, "code", "")), "code", &err) < 0)
        check_problem(c, n, "%s", err.msg);
}

static const struct flow_param params[] = {{"code", PARAM_TEXT, true, 0, 0},
                                           {"input", PARAM_VALUE, false, 0, 0},
                                           {"timeout", PARAM_INT, false, 1, 600000},
                                           {"memory", PARAM_INT, false, 1 << 20, 4294967296.0}};

const struct flow_kind flow_code = {.name = "code",
                                    .summary = "runs Lua in a sandbox",
                                    .params = params,
                                    .nparams = 4,
                                    .check = check,
                                    .run = run,
                                    .cancel = cancel};
