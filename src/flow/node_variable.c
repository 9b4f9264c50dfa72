/* variable: gives values names.
 *
 *   "params": {"assign": {"name": "{{a.text}}", "n": 5, "all": ["{{a.text}}", "{{b.text}}"]},
 *              "first": {"name": ["yes.text", "no.text"]},     the first of these that has a value
 *              "list":  {"name": ["a.text", "b.text"]}}        all of these that have one
 *
 * `first` is what joins the branches of a condition: only one of them has run. Outputs: the names. */
#include "flow/kind.h"
#include "flow/template.h"

static void check_paths(struct flow_checker *c, const struct flow_node *n, const char *param)
{
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(n->params, param), *list, *path;
    if (o && !cJSON_IsObject(o)) {
        check_problem(c, n, "'%s' must be an object of lists", param);
        return;
    }
    cJSON_ArrayForEach(list, o)
    {
        if (!cJSON_IsArray(list) || !list->child)
            check_problem(c, n, "'%s.%.40s' must be a list of variables as node.field", param, list->string);
        else
            cJSON_ArrayForEach(path, list) check_path(c, n, param, path);
    }
}

static void check(struct flow_checker *c, const struct flow_node *n)
{
    if (!n->params || !n->params->child)
        check_problem(c, n, "a variable node needs 'assign', 'first' or 'list'");
    check_paths(c, n, "first");
    check_paths(c, n, "list");
}

static bool has_output(const struct flow_node *n, const char *name)
{
    static const char *const params[] = {"assign", "first", "list"};
    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        if (cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(n->params, params[i]), name))
            return true;
    return false;
}

static bool has_value(const cJSON *v)
{
    return v && !cJSON_IsNull(v) && !(cJSON_IsString(v) && !v->valuestring[0]);
}

static void add_found(struct flow_step *s, const char *param, cJSON *outputs)
{
    const cJSON *names = step_param(s, param), *list, *path;
    bool all = param[0] == 'l';
    cJSON_ArrayForEach(list, names)
    {
        cJSON *found = all ? cJSON_CreateArray() : NULL;
        cJSON_ArrayForEach(path, list)
        {
            const cJSON *v = template_find(step_scope(s), slice_str(path->valuestring));
            if (has_value(v) && all)
                cJSON_AddItemToArray(found, cJSON_Duplicate(v, 1));
            else if (has_value(v) && !found)
                found = cJSON_Duplicate(v, 1);
        }
        cJSON_AddItemToObject(outputs, list->string, found ? found : cJSON_CreateNull());
    }
}

static void run(struct flow_step *s)
{
    cJSON *outputs;
    if (step_value(s, "assign", &outputs) < 0) {
        step_failed(s);
        return;
    }
    if (!cJSON_IsObject(outputs)) {
        cJSON_Delete(outputs);
        outputs = cJSON_CreateObject();
    }
    add_found(s, "first", outputs);
    add_found(s, "list", outputs);
    step_done(s, outputs, NULL);
}

static const struct flow_param params[] = {
    {"assign", PARAM_OBJECT, false, 0, 0}, {"first", PARAM_RAW, false, 0, 0}, {"list", PARAM_RAW, false, 0, 0}};

const struct flow_kind flow_variable = {.name = "variable",
                                        .summary = "gives values names, joins branches",
                                        .params = params,
                                        .nparams = 3,
                                        .check = check,
                                        .has_output = has_output,
                                        .run = run};
