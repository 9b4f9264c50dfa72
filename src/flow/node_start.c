/* start: checks the run's input against what the flow declares and fills in defaults.
 *
 *   "params": {"inputs": [{"name": "question", "type": "string", "required": true, "max_length": 2000}, ...]}
 *
 * Without `inputs` any object is taken. Outputs: the inputs, also as {{input.name}}. */
#include <string.h>

#include "base/utf8.h"
#include "flow/kind.h"

static const char *const types[] = {"string", "number", "boolean", "object", "list", "any"};

static const cJSON *declared(const struct flow_node *n)
{
    return cJSON_GetObjectItemCaseSensitive(n->params, "inputs");
}

static bool type_known(const char *type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i], type) == 0)
            return true;
    return false;
}

static bool has_type(const cJSON *v, const char *type)
{
    switch (type[0]) {
    case 's': return cJSON_IsString(v);
    case 'n': return cJSON_IsNumber(v);
    case 'b': return cJSON_IsBool(v);
    case 'o': return cJSON_IsObject(v);
    case 'l': return cJSON_IsArray(v);
    default: return true;
    }
}

static void check(struct flow_checker *c, const struct flow_node *n)
{
    const cJSON *list = declared(n), *in;
    if (list && !cJSON_IsArray(list)) {
        check_problem(c, n, "'inputs' must be a list of {name, type, required, default, max_length}");
        return;
    }
    cJSON_ArrayForEach(in, list)
    {
        const char *name = json_str(in, "name", ""), *type = json_str(in, "type", "any");
        const cJSON *dflt = cJSON_GetObjectItemCaseSensitive(in, "default");
        if (!name[0])
            check_problem(c, n, "each of 'inputs' needs a 'name'");
        else if (!type_known(type))
            check_problem(
                c, n, "input '%.40s' has the unknown type '%.20s', use string, number, boolean, object, list or any",
                name, type);
        else if (dflt && !has_type(dflt, type))
            check_problem(c, n, "the default of input '%.40s' is no %s", name, type);
    }
}

static bool has_output(const struct flow_node *n, const char *name)
{
    const cJSON *list = declared(n), *in;
    if (!list)
        return true;
    cJSON_ArrayForEach(in, list) if (strcmp(json_str(in, "name", ""), name) == 0) return true;
    return false;
}

static int take_input(struct flow_step *s, const cJSON *in, cJSON *values)
{
    const char *name = json_str(in, "name", ""), *type = json_str(in, "type", "any");
    const cJSON *dflt = cJSON_GetObjectItemCaseSensitive(in, "default");
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(values, name);
    double max = json_num(in, "max_length", 0);
    if (!v && dflt) {
        cJSON_AddItemToObject(values, name, cJSON_Duplicate(dflt, 1));
        return 0;
    }
    if (!v && json_bool(in, "required", 0))
        return err_set(&s->err, ERR_INVALID, "the input '%s' is missing", name);
    if (v && !has_type(v, type))
        return err_set(&s->err, ERR_INVALID, "the input '%s' must be a %s", name, type);
    if (max <= 0 || !cJSON_IsString(v))
        return 0;
    size_t n = 0;
    for (size_t at = 0; at < strlen(v->valuestring); n++)
        utf8_next(slice_str(v->valuestring), &at);
    return (double)n <= max ? 0
                            : err_set(&s->err, ERR_INVALID, "the input '%s' is longer than %.0f characters", name, max);
}

static void run(struct flow_step *s)
{
    cJSON *values = cJSON_GetObjectItemCaseSensitive(step_scope(s), "input");
    const cJSON *in;
    cJSON_ArrayForEach(in, declared(s->node)) if (take_input(s, in, values) < 0)
    {
        step_failed(s);
        return;
    }
    step_done(s, cJSON_Duplicate(values, 1), NULL);
}

static const struct flow_param params[] = {{"inputs", PARAM_RAW, false, 0, 0}};

const struct flow_kind flow_start = {.name = "start",
                                     .summary = "checks the run's input",
                                     .params = params,
                                     .nparams = 1,
                                     .check = check,
                                     .has_output = has_output,
                                     .run = run};
