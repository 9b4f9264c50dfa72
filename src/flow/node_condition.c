/* condition: picks one branch.
 *
 *   "params": {"cases": [{"branch": "many", "all": [{"value": "{{find.count}}", "op": ">", "to": 3}, ...]},
 *                        {"branch": "none", "any": [{"value": "{{find.text}}", "op": "empty"}]}]}
 *
 * The first case that holds decides; when none does, the branch is "else". `all` and `any` go left to right and stop
 * when they know. Operators: == != > < >= <= contains, not contains, starts with, ends with, in, not in, empty, not
 * empty.
 * == compares numbers when both sides read as one, else texts; < and its like need numbers. A missing variable is null,
 * which is empty. Outputs: branch. */
#include <string.h>

#include "base/num.h"
#include "flow/kind.h"
#include "flow/template.h"

struct op {
    const char *name;
    bool alone; /* no `to` */
    /* 1, 0, or negative with err set. */
    int (*holds)(const cJSON *v, const cJSON *to, struct err *err);
};

static bool number_of(const cJSON *v, double *out)
{
    if (cJSON_IsNumber(v)) {
        *out = v->valuedouble;
        return true;
    }
    return cJSON_IsString(v) && num_to_double(slice_str(v->valuestring), out);
}

/* A value as text; buf is the caller's. */
static struct slice text_of(const cJSON *v, struct buf *b)
{
    if (cJSON_IsString(v))
        return slice_str(v->valuestring);
    if (v && !cJSON_IsNull(v))
        json_print(b, v);
    return slice_str(buf_cstr(b));
}

static bool same(const cJSON *a, const cJSON *b)
{
    double x, y;
    if (number_of(a, &x) && number_of(b, &y))
        return x == y;
    struct buf left = {0}, right = {0};
    bool eq = slice_eq(text_of(a, &left), text_of(b, &right));
    buf_release(&left);
    buf_release(&right);
    return eq;
}

static int op_eq(const cJSON *v, const cJSON *to, struct err *err)
{
    return same(v, to);
}

static int op_ne(const cJSON *v, const cJSON *to, struct err *err)
{
    return !same(v, to);
}

/* -1, 0, 1 in *sign. */
static int order(const cJSON *v, const cJSON *to, int *sign, struct err *err)
{
    double x, y;
    if (!number_of(v, &x) || !number_of(to, &y))
        return err_set(err, ERR_INVALID, "<, >, <= and >= compare numbers, and one side is none");
    *sign = (x > y) - (x < y);
    return 0;
}

static int op_gt(const cJSON *v, const cJSON *to, struct err *err)
{
    int sign, rc = order(v, to, &sign, err);
    return rc < 0 ? rc : sign > 0;
}

static int op_lt(const cJSON *v, const cJSON *to, struct err *err)
{
    int sign, rc = order(v, to, &sign, err);
    return rc < 0 ? rc : sign < 0;
}

static int op_ge(const cJSON *v, const cJSON *to, struct err *err)
{
    int sign, rc = order(v, to, &sign, err);
    return rc < 0 ? rc : sign >= 0;
}

static int op_le(const cJSON *v, const cJSON *to, struct err *err)
{
    int sign, rc = order(v, to, &sign, err);
    return rc < 0 ? rc : sign <= 0;
}

static int op_empty(const cJSON *v, const cJSON *to, struct err *err)
{
    if (cJSON_IsString(v))
        return v->valuestring[0] == 0;
    if (cJSON_IsArray(v) || cJSON_IsObject(v))
        return v->child == NULL;
    return !v || cJSON_IsNull(v);
}

static int op_not_empty(const cJSON *v, const cJSON *to, struct err *err)
{
    return !op_empty(v, to, err);
}

static bool is_member(const cJSON *list, const cJSON *v)
{
    for (const cJSON *e = list->child; e; e = e->next)
        if (same(e, v))
            return true;
    return false;
}

static int op_contains(const cJSON *v, const cJSON *to, struct err *err)
{
    if (cJSON_IsArray(v))
        return is_member(v, to);
    if (cJSON_IsObject(v))
        return cJSON_IsString(to) && cJSON_GetObjectItemCaseSensitive(v, to->valuestring) != NULL;
    struct buf left = {0}, right = {0};
    struct slice a = text_of(v, &left), b = text_of(to, &right);
    bool in = a.len && memmem(a.p, a.len, b.p, b.len) != NULL;
    buf_release(&left);
    buf_release(&right);
    return in;
}

static int op_not_contains(const cJSON *v, const cJSON *to, struct err *err)
{
    return !op_contains(v, to, err);
}

static bool has_end(const cJSON *v, const cJSON *to, bool at_start)
{
    struct buf left = {0}, right = {0};
    struct slice a = text_of(v, &left), b = text_of(to, &right);
    bool has = b.len <= a.len && memcmp(at_start ? a.p : a.p + a.len - b.len, b.p, b.len) == 0;
    buf_release(&left);
    buf_release(&right);
    return has;
}

static int op_starts(const cJSON *v, const cJSON *to, struct err *err)
{
    return has_end(v, to, true);
}

static int op_ends(const cJSON *v, const cJSON *to, struct err *err)
{
    return has_end(v, to, false);
}

static int op_in(const cJSON *v, const cJSON *to, struct err *err)
{
    return cJSON_IsArray(to) ? is_member(to, v) : op_contains(to, v, err);
}

static int op_not_in(const cJSON *v, const cJSON *to, struct err *err)
{
    return !op_in(v, to, err);
}

static const struct op ops[] = {{"==", false, op_eq},
                                {"!=", false, op_ne},
                                {">", false, op_gt},
                                {"<", false, op_lt},
                                {">=", false, op_ge},
                                {"<=", false, op_le},
                                {"contains", false, op_contains},
                                {"not contains", false, op_not_contains},
                                {"starts with", false, op_starts},
                                {"ends with", false, op_ends},
                                {"in", false, op_in},
                                {"not in", false, op_not_in},
                                {"empty", true, op_empty},
                                {"not empty", true, op_not_empty}};

static const struct op *find_op(const char *name)
{
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strcmp(ops[i].name, name) == 0)
            return &ops[i];
    return NULL;
}

static const cJSON *cases_of(const struct flow_node *n)
{
    return cJSON_GetObjectItemCaseSensitive(n->params, "cases");
}

/* The tests of a case; *any says how they are joined. NULL when it has none, or both kinds. */
static const cJSON *tests_of(const cJSON *one, bool *any)
{
    const cJSON *all_of = cJSON_GetObjectItemCaseSensitive(one, "all");
    const cJSON *any_of = cJSON_GetObjectItemCaseSensitive(one, "any");
    *any = any_of != NULL;
    return all_of && any_of ? NULL : all_of ? all_of : any_of;
}

static void check_test(struct flow_checker *c, const struct flow_node *n, const cJSON *test)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(test, "value"),
                *to = cJSON_GetObjectItemCaseSensitive(test, "to");
    const char *name = json_str(test, "op", "");
    const struct op *op = find_op(name);
    if (!v)
        check_problem(c, n, "a test in 'cases' needs a 'value'");
    if (!op)
        check_problem(c, n, "unknown operator '%.20s' in 'cases'", name);
    else if (op->alone == (to != NULL))
        check_problem(c, n, "the operator '%s' %s", name, op->alone ? "takes no 'to'" : "needs a 'to'");
    check_template(c, n, "cases", v);
    check_template(c, n, "cases", to);
}

static void check(struct flow_checker *c, const struct flow_node *n)
{
    const cJSON *cases = cases_of(n), *one, *test;
    if (!cJSON_IsArray(cases) || !cases->child) {
        check_problem(c, n, "'cases' must be a list of {branch, all|any: [{value, op, to}]}");
        return;
    }
    cJSON_ArrayForEach(one, cases)
    {
        bool any;
        const cJSON *tests = tests_of(one, &any);
        const char *branch = json_str(one, "branch", "");
        if (!branch[0] || strcmp(branch, "else") == 0)
            check_problem(c, n, "each case needs a 'branch', and 'else' is taken");
        if (!cJSON_IsArray(tests) || !tests->child)
            check_problem(c, n, "case '%.40s' needs either 'all' or 'any', a list of tests", branch);
        else
            cJSON_ArrayForEach(test, tests) check_test(c, n, test);
    }
}

static bool has_branch(const struct flow_node *n, const char *label)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, cases_of(n)) if (strcmp(json_str(one, "branch", ""), label) == 0) return true;
    return strcmp(label, "else") == 0;
}

static int test_holds(struct flow_step *s, const cJSON *test)
{
    const struct op *op = find_op(json_str(test, "op", ""));
    const cJSON *to = cJSON_GetObjectItemCaseSensitive(test, "to");
    cJSON *left = NULL, *right = NULL;
    int rc = template_expand_json(cJSON_GetObjectItemCaseSensitive(test, "value"), step_scope(s), FLOW_VALUE_MAX, &left,
                                  &s->err);
    if (rc == 0 && to)
        rc = template_expand_json(to, step_scope(s), FLOW_VALUE_MAX, &right, &s->err);
    if (rc == 0)
        rc = op->holds(left, right, &s->err);
    cJSON_Delete(left);
    cJSON_Delete(right);
    return rc;
}

static int case_holds(struct flow_step *s, const cJSON *one)
{
    bool any;
    const cJSON *tests = tests_of(one, &any), *test;
    cJSON_ArrayForEach(test, tests)
    {
        int rc = test_holds(s, test);
        if (rc < 0 || rc == any)
            return rc;
    }
    return !any;
}

static void run(struct flow_step *s)
{
    const cJSON *one;
    const char *branch = "else";
    cJSON_ArrayForEach(one, cases_of(s->node))
    {
        int rc = case_holds(s, one);
        if (rc < 0) {
            step_failed(s);
            return;
        }
        if (rc) {
            branch = json_str(one, "branch", "else");
            break;
        }
    }
    cJSON *outputs = cJSON_CreateObject();
    cJSON_AddStringToObject(outputs, "branch", branch);
    step_done(s, outputs, branch);
}

static const char *const outputs[] = {"branch", NULL};
static const struct flow_param params[] = {{"cases", PARAM_RAW, true, 0, 0}};

const struct flow_kind flow_condition = {.name = "condition",
                                         .summary = "picks one branch",
                                         .params = params,
                                         .nparams = 1,
                                         .outputs = outputs,
                                         .check = check,
                                         .has_branch = has_branch,
                                         .run = run};
