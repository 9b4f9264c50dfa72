/* The kinds that make a text or a set of values out of variables: template, answer, end.
 *
 *   template  "params": {"text": "..."}             outputs: text
 *   answer    "params": {"text": "..."}             outputs: text; it is also the run's answer, sent as it comes to be
 *   end       "params": {"outputs": {"name": ...}}  outputs: these; together with other end nodes' the run's outputs */
#include "flow/kind.h"

static void run_text(struct flow_step *s)
{
    struct buf b = {0};
    b.max = FLOW_TEXT_MAX;
    if (step_text(s, "text", &b) < 0) {
        buf_release(&b);
        step_failed(s);
        return;
    }
    cJSON *outputs = cJSON_CreateObject();
    cJSON_AddStringToObject(outputs, "text", buf_cstr(&b));
    buf_release(&b);
    step_done(s, outputs, NULL);
}

static void run_end(struct flow_step *s)
{
    cJSON *outputs;
    if (step_value(s, "outputs", &outputs) < 0) {
        step_failed(s);
        return;
    }
    if (!cJSON_IsObject(outputs)) {
        cJSON_Delete(outputs);
        outputs = cJSON_CreateObject();
    }
    step_done(s, outputs, NULL);
}

static bool end_has_output(const struct flow_node *n, const char *name)
{
    const cJSON *outputs = cJSON_GetObjectItemCaseSensitive(n->params, "outputs");
    return cJSON_GetObjectItemCaseSensitive(outputs, name) != NULL;
}

static const char *const text_outputs[] = {"text", NULL};
static const struct flow_param text_params[] = {{"text", PARAM_TEMPLATE, true, 0, 0}};
static const struct flow_param end_params[] = {{"outputs", PARAM_OBJECT, false, 0, 0}};

const struct flow_kind flow_template = {.name = "template",
                                        .summary = "fills variables into a text",
                                        .params = text_params,
                                        .nparams = 1,
                                        .outputs = text_outputs,
                                        .run = run_text};

const struct flow_kind flow_answer = {.name = "answer",
                                      .summary = "sends a text to the caller",
                                      .params = text_params,
                                      .nparams = 1,
                                      .outputs = text_outputs,
                                      .ends = true,
                                      .run = run_text};

const struct flow_kind flow_end = {.name = "end",
                                   .summary = "gives named outputs",
                                   .params = end_params,
                                   .nparams = 1,
                                   .ends = true,
                                   .has_output = end_has_output,
                                   .run = run_end};
