/* Parsing and checking definitions.
 *
 * The order is: nodes, edges, the graph, then what nodes say. A later stage goes on with what an earlier one could make
 * sense of, so that one look shows all that is wrong; the checks that need a sound graph (which node runs before which)
 * are left out while there is a cycle. */
#include "flow/def.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "flow/kind.h"
#include "flow/template.h"

#define PROBLEMS_MAX 100

struct flow_checker {
    struct flow *f;
    struct flow_problems *problems;
    uint8_t *before;              /* before[a * nnodes + b]: a runs before b; NULL while there is a cycle */
    const struct flow_node *node; /* whose params are being checked */
    const char *param;
    int refs; /* variables named so far */
};

static void add_problem(struct flow_checker *c, const char *node, const char *fmt, va_list ap)
{
    struct flow_problems *p = c->problems;
    if (p->n == PROBLEMS_MAX)
        return;
    p->item = mem_realloc(p->item, (size_t)(p->n + 1) * sizeof *p->item);
    struct flow_problem *x = &p->item[p->n++];
    snprintf(x->node, sizeof x->node, "%s", node);
    vsnprintf(x->text, sizeof x->text, fmt, ap);
}

static void __attribute__((format(printf, 3, 4)))
problem(struct flow_checker *c, const char *node, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add_problem(c, node, fmt, ap);
    va_end(ap);
}

void check_problem(struct flow_checker *c, const struct flow_node *n, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add_problem(c, n->id, fmt, ap);
    va_end(ap);
}

static bool only_keys(struct flow_checker *c, const char *node, const char *what, const cJSON *o,
                      const char *const *keys)
{
    bool fine = true;
    for (const cJSON *e = o->child; e; e = e->next) {
        const char *const *k = keys;
        while (*k && strcmp(*k, e->string) != 0)
            k++;
        if (!*k) {
            problem(c, node, "%s has no member '%.40s'", what, e->string);
            fine = false;
        }
    }
    return fine;
}

/* ---- nodes ---- */

static bool id_valid(const char *id)
{
    size_t n = strlen(id);
    if (n == 0 || n > FLOW_ID_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)id[i]) && id[i] != '_' && id[i] != '-')
            return false;
    return true;
}

static int64_t whole_number(struct flow_checker *c, const char *id, const cJSON *o, const char *name, double max)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    if (!v)
        return 0;
    double d = cJSON_IsNumber(v) ? v->valuedouble : -1;
    if (d >= 0 && d <= max && d == (double)(int64_t)d)
        return (int64_t)d;
    problem(c, id, "'%s' must be a whole number from 0 to %.0f", name, max);
    return 0;
}

static void parse_error_rule(struct flow_checker *c, const cJSON *o, struct flow_node *n)
{
    const char *rule = json_str(o, "on_error", "fail");
    n->fallback = cJSON_GetObjectItemCaseSensitive(o, "default");
    if (strcmp(rule, "default") == 0)
        n->on_error = ON_ERROR_DEFAULT;
    else if (strcmp(rule, "branch") == 0)
        n->on_error = ON_ERROR_BRANCH;
    else if (strcmp(rule, "fail") != 0)
        problem(c, n->id, "'on_error' must be fail, default or branch");
    if (n->on_error == ON_ERROR_DEFAULT && !cJSON_IsObject(n->fallback))
        problem(c, n->id, "'on_error' is default, so 'default' must be an object with the outputs");
    if (n->on_error != ON_ERROR_DEFAULT && n->fallback)
        problem(c, n->id, "'default' is only used with \"on_error\": \"default\"");
}

static void parse_node(struct flow_checker *c, const cJSON *o, struct flow_node *n)
{
    static const char *const keys[] = {"id",       "kind",    "params",     "title",    "description",
                                       "timeout",  "retries", "retry_wait", "on_error", "default",
                                       "position", "meta",    NULL};
    n->id = json_str(o, "id", "");
    if (!cJSON_IsObject(o)) {
        problem(c, "", "node %d is not an object", n->index);
        return;
    }
    if (!id_valid(n->id)) {
        problem(c, "", "node %d needs an 'id' of 1 to %d letters, digits, _ or -", n->index, FLOW_ID_MAX);
        n->id = "";
    } else if (strcmp(n->id, "input") == 0 || strcmp(n->id, "sys") == 0) {
        problem(c, n->id, "the id '%s' is reserved for variables", n->id);
    } else if (flow_find_node(c->f, slice_str(n->id)) != n->index) {
        problem(c, n->id, "there are two nodes with this id");
    }
    only_keys(c, n->id, "a node", o, keys);
    const char *kind = json_str(o, "kind", NULL);
    n->kind = kind ? flow_kind_find(kind) : NULL;
    if (!kind)
        problem(c, n->id, "'kind' is missing");
    else if (!n->kind)
        problem(c, n->id, "unknown kind '%.40s'", kind);
    n->params = cJSON_GetObjectItemCaseSensitive(o, "params");
    if (n->params && !cJSON_IsObject(n->params)) {
        problem(c, n->id, "'params' must be an object");
        n->params = NULL;
    }
    n->timeout_ms = whole_number(c, n->id, o, "timeout", 86400000);
    n->retries = (int)whole_number(c, n->id, o, "retries", 10);
    n->retry_wait_ms = whole_number(c, n->id, o, "retry_wait", 60000);
    parse_error_rule(c, o, n);
}

static bool parse_nodes(struct flow_checker *c)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(c->f->json, "nodes");
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (n < 1 || n > FLOW_NODES_MAX) {
        problem(c, "", "'nodes' must be a list of 1 to %d nodes", FLOW_NODES_MAX);
        return false;
    }
    c->f->node = mem_zero((size_t)n * sizeof *c->f->node);
    const cJSON *o = list->child;
    for (int i = 0; i < n; i++, o = o->next) {
        c->f->node[i].index = i;
        c->f->nnodes = i + 1;
        parse_node(c, o, &c->f->node[i]);
    }
    return true;
}

/* ---- edges ---- */

static bool branch_known(const struct flow_node *n, const char *label)
{
    if (n->on_error == ON_ERROR_BRANCH && strcmp(label, "error") == 0)
        return true;
    return n->kind->has_branch && n->kind->has_branch(n, label);
}

static void check_branch(struct flow_checker *c, const struct flow_node *n, const char *label)
{
    if (!n->kind)
        return;
    if (!label && n->kind->has_branch)
        problem(c, n->id, "each edge of a %s needs a 'branch'", n->kind->name);
    else if (label && !branch_known(n, label))
        problem(c, n->id, "has no branch '%.40s'", label);
}

static bool same_edge(const struct flow_edge *a, const struct flow_edge *b)
{
    return a->from == b->from && a->to == b->to && strcmp(a->branch ? a->branch : "", b->branch ? b->branch : "") == 0;
}

static int edge_end(struct flow_checker *c, const cJSON *o, int index, const char *which)
{
    const char *id = json_str(o, which, NULL);
    if (!id)
        problem(c, "", "edge %d needs '%s', the id of a node", index, which);
    int n = id ? flow_find_node(c->f, slice_str(id)) : -1;
    if (id && n < 0)
        problem(c, "", "edge %d: there is no node '%.64s'", index, id);
    return n;
}

static void parse_edge(struct flow_checker *c, const cJSON *o, int index)
{
    static const char *const keys[] = {"from", "to", "branch", "id", "meta", NULL};
    struct flow *f = c->f;
    if (!cJSON_IsObject(o)) {
        problem(c, "", "edge %d is not an object", index);
        return;
    }
    only_keys(c, "", "an edge", o, keys);
    struct flow_edge e = {edge_end(c, o, index, "from"), edge_end(c, o, index, "to"), json_str(o, "branch", NULL)};
    if (e.from < 0 || e.to < 0)
        return;
    for (int i = 0; i < f->nedges; i++)
        if (same_edge(&f->edge[i], &e)) {
            problem(c, f->node[e.from].id, "there are two equal edges to '%s'", f->node[e.to].id);
            return;
        }
    check_branch(c, &f->node[e.from], e.branch);
    f->edge[f->nedges++] = e;
}

static void link_edges(struct flow *f)
{
    for (int i = 0; i < f->nedges; i++) {
        f->node[f->edge[i].from].nout++;
        f->node[f->edge[i].to].nin++;
    }
    for (int i = 0; i < f->nnodes; i++) {
        struct flow_node *n = &f->node[i];
        n->in = mem_alloc((size_t)(n->nin + n->nout + 1) * sizeof *n->in);
        n->out = n->in + n->nin;
        n->nin = n->nout = 0;
    }
    for (int i = 0; i < f->nedges; i++) {
        struct flow_node *from = &f->node[f->edge[i].from], *to = &f->node[f->edge[i].to];
        from->out[from->nout++] = i;
        to->in[to->nin++] = i;
    }
}

static void parse_edges(struct flow_checker *c)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(c->f->json, "edges");
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0, i = 0;
    if ((list && !cJSON_IsArray(list)) || n > FLOW_EDGES_MAX) {
        problem(c, "", "'edges' must be a list of at most %d edges", FLOW_EDGES_MAX);
        n = 0;
    }
    c->f->edge = mem_zero((size_t)(n + 1) * sizeof *c->f->edge);
    for (const cJSON *o = n ? list->child : NULL; o; o = o->next)
        parse_edge(c, o, i++);
    link_edges(c->f);
}

/* ---- the graph ---- */

static void find_start(struct flow_checker *c)
{
    struct flow *f = c->f;
    bool has_end = false;
    f->start = -1;
    for (int i = 0; i < f->nnodes; i++) {
        const struct flow_node *n = &f->node[i];
        has_end |= n->kind && n->kind->ends;
        if (n->kind != &flow_start)
            continue;
        if (f->start >= 0)
            problem(c, n->id, "there is a start node already, '%s'", f->node[f->start].id);
        else
            f->start = i;
        if (n->nin)
            problem(c, n->id, "a start node has no incoming edges");
    }
    if (f->start < 0)
        problem(c, "", "there is no start node");
    if (!has_end)
        problem(c, "", "there is no answer and no end node");
}

static void check_reach(struct flow_checker *c)
{
    struct flow *f = c->f;
    if (f->start < 0)
        return;
    int *queue = mem_alloc((size_t)f->nnodes * sizeof *queue), head = 0, tail = 0;
    uint8_t *seen = mem_zero((size_t)f->nnodes);
    seen[f->start] = 1;
    for (queue[tail++] = f->start; head < tail; head++) {
        const struct flow_node *n = &f->node[queue[head]];
        for (int i = 0; i < n->nout; i++) {
            int to = f->edge[n->out[i]].to;
            if (!seen[to])
                queue[tail++] = to;
            seen[to] = 1;
        }
    }
    for (int i = 0; i < f->nnodes; i++)
        if (!seen[i] && f->node[i].kind != &flow_start)
            problem(c, f->node[i].id, "cannot be reached from the start node");
    mem_free(queue);
    mem_free(seen);
}

/* Takes away nodes with nothing before them, in order; what is left holds a cycle. Returns how many were taken; order
 * gets them. */
static int sort_nodes(const struct flow *f, int *order)
{
    int *waits = mem_alloc((size_t)f->nnodes * sizeof *waits), done = 0;
    for (int i = 0; i < f->nnodes; i++) {
        waits[i] = f->node[i].nin;
        if (waits[i] == 0)
            order[done++] = i;
    }
    for (int at = 0; at < done; at++) {
        const struct flow_node *n = &f->node[order[at]];
        for (int i = 0; i < n->nout; i++)
            if (--waits[f->edge[n->out[i]].to] == 0)
                order[done++] = f->edge[n->out[i]].to;
    }
    mem_free(waits);
    return done;
}

static void check_cycle(struct flow_checker *c, const int *order, int sorted)
{
    struct flow *f = c->f;
    uint8_t *out = mem_zero((size_t)f->nnodes); /* taken away: before the cycle, then behind it */
    for (int i = 0; i < sorted; i++)
        out[order[i]] = 1;
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < f->nnodes; i++) {
            bool leads_on = false;
            for (int j = 0; j < f->node[i].nout; j++)
                leads_on |= !out[f->edge[f->node[i].out[j]].to];
            if (!out[i] && !leads_on) {
                out[i] = 1;
                changed = true;
            }
        }
    }
    for (int i = 0; i < f->nnodes; i++)
        if (!out[i])
            problem(c, f->node[i].id, "is part of a cycle of edges");
    mem_free(out);
}

static void order_nodes(struct flow_checker *c)
{
    struct flow *f = c->f;
    size_t n = (size_t)f->nnodes;
    int *order = mem_alloc(n * sizeof *order), sorted = sort_nodes(f, order);
    if (sorted < f->nnodes) {
        check_cycle(c, order, sorted);
    } else {
        c->before = mem_zero(n * n);
        for (int at = 0; at < sorted; at++) {
            const struct flow_node *to = &f->node[order[at]];
            for (int i = 0; i < to->nin; i++) {
                size_t from = (size_t)f->edge[to->in[i]].from;
                c->before[from * n + (size_t)to->index] = 1;
                for (size_t a = 0; a < n; a++)
                    c->before[a * n + (size_t)to->index] |= c->before[a * n + from];
            }
        }
    }
    mem_free(order);
}

/* ---- what nodes say ---- */

static bool listed(const char *const *words, const char *word)
{
    for (; *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

static void join_words(const char *const *words, char *to, size_t size)
{
    size_t n = 0;
    to[0] = 0;
    for (; *words && n < size; words++)
        n += (size_t)snprintf(to + n, size - n, "%s%s", n ? ", " : "", *words);
}

static bool has_output(const struct flow_node *n, const char *name)
{
    if (n->on_error == ON_ERROR_BRANCH && strcmp(name, "error") == 0)
        return true;
    if (n->on_error == ON_ERROR_DEFAULT && cJSON_GetObjectItemCaseSensitive(n->fallback, name))
        return true;
    if (n->kind->has_output)
        return n->kind->has_output(n, name);
    return !n->kind->outputs || listed(n->kind->outputs, name);
}

/* node.field: does the node exist, run before, and give such a field? */
static void check_node_ref(struct flow_checker *c, const char *id, const char *field)
{
    struct flow *f = c->f;
    int from = flow_find_node(f, slice_str(id));
    if (from < 0) {
        check_problem(c, c->node, "'%s' names the variable {{%s.%s}}, but there is no node '%s'", c->param, id, field,
                      id);
        return;
    }
    const struct flow_node *n = &f->node[from];
    if (c->before && !c->before[from * f->nnodes + c->node->index])
        check_problem(c, c->node, "'%s' names {{%s.%s}}, but node '%s' does not run before this one", c->param, id,
                      field, id);
    else if (n->kind && field[0] && !has_output(n, field)) {
        char names[120] = "none";
        if (n->kind->outputs)
            join_words(n->kind->outputs, names, sizeof names);
        check_problem(c, c->node, "'%s' names {{%s.%s}}, but a %s node has no such output (it has: %s)", c->param, id,
                      field, n->kind->name, n->kind->outputs ? names : "those that it declares");
    }
}

static void check_ref(void *arg, struct slice path)
{
    static const char *const sys[] = {"session", "run", "flow", "time", "question", NULL};
    struct flow_checker *c = arg;
    char word[2][65] = {"", ""};
    if (++c->refs > FLOW_REFS_MAX) { /* each is looked for among all nodes, here and in every run */
        if (c->refs == FLOW_REFS_MAX + 1)
            problem(c, "", "the flow names variables at more than %d places", FLOW_REFS_MAX);
        return;
    }
    for (int i = 0; i < 2 && path.len; i++) {
        const char *dot = memchr(path.p, '.', path.len);
        size_t len = dot ? (size_t)(dot - path.p) : path.len;
        memcpy(word[i], path.p, len); /* words of a valid path are at most 64 bytes */
        path = dot ? slice_of(dot + 1, path.len - len - 1) : slice_of(path.p, 0);
    }
    struct flow *f = c->f;
    if (strcmp(word[0], "sys") == 0) {
        if (word[1][0] && !listed(sys, word[1]))
            check_problem(c, c->node, "'%s' names {{sys.%s}}; sys has session, run, flow, time and question", c->param,
                          word[1]);
    } else if (strcmp(word[0], "input") == 0) {
        if (f->start >= 0 && word[1][0] && !has_output(&f->node[f->start], word[1]))
            check_problem(c, c->node, "'%s' names {{input.%s}}, which the start node does not declare", c->param,
                          word[1]);
    } else {
        check_node_ref(c, word[0], word[1]);
    }
}

void check_template(struct flow_checker *c, const struct flow_node *n, const char *param, const cJSON *v)
{
    struct err err;
    c->node = n;
    c->param = param;
    if (template_refs_json(v, check_ref, c, &err) < 0)
        check_problem(c, n, "'%s': %s", param, err.msg);
}

void check_path(struct flow_checker *c, const struct flow_node *n, const char *param, const cJSON *path)
{
    c->node = n;
    c->param = param;
    if (!cJSON_IsString(path) || !template_path_valid(slice_str(path->valuestring)))
        check_problem(c, n, "'%s' must name variables as node.field", param);
    else
        check_ref(c, slice_str(path->valuestring));
}

static void check_number(struct flow_checker *c, const struct flow_node *n, const struct flow_param *p, const cJSON *v)
{
    double d = cJSON_IsNumber(v) ? v->valuedouble : 0;
    bool whole = p->type != PARAM_INT || d == (double)(int64_t)d;
    if (!cJSON_IsNumber(v) || !whole || d < p->min || d > p->max)
        check_problem(c, n, "'%s' must be a %s from %g to %g", p->name,
                      p->type == PARAM_INT ? "whole number" : "number", p->min, p->max);
}

static void check_param(struct flow_checker *c, const struct flow_node *n, const struct flow_param *p, const cJSON *v)
{
    bool text = p->type == PARAM_TEMPLATE || p->type == PARAM_TEXT;
    if (!v && p->required)
        check_problem(c, n, "a %s node needs '%s'", n->kind->name, p->name);
    if (!v || p->type == PARAM_RAW)
        return;
    if (text && !cJSON_IsString(v))
        check_problem(c, n, "'%s' must be a text", p->name);
    else if (text && p->required && !v->valuestring[0])
        check_problem(c, n, "'%s' is empty", p->name);
    else if (p->type == PARAM_BOOL && !cJSON_IsBool(v))
        check_problem(c, n, "'%s' must be true or false", p->name);
    else if (p->type == PARAM_OBJECT && !cJSON_IsObject(v))
        check_problem(c, n, "'%s' must be an object", p->name);
    else if (p->type == PARAM_NUMBER || p->type == PARAM_INT)
        check_number(c, n, p, v);
    else if (p->type == PARAM_TEMPLATE || p->type == PARAM_VALUE || p->type == PARAM_OBJECT)
        check_template(c, n, p->name, v);
}

static void check_params(struct flow_checker *c, const struct flow_node *n)
{
    int before = c->problems->n;
    for (int i = 0; i < n->kind->nparams; i++) {
        const struct flow_param *p = &n->kind->params[i];
        check_param(c, n, p, cJSON_GetObjectItemCaseSensitive(n->params, p->name));
    }
    for (const cJSON *e = n->params ? n->params->child : NULL; e; e = e->next) {
        bool known = false;
        for (int i = 0; i < n->kind->nparams; i++)
            known |= strcmp(n->kind->params[i].name, e->string) == 0;
        if (!known)
            check_problem(c, n, "a %s node has no parameter '%.40s'", n->kind->name, e->string);
    }
    if (n->kind->check && c->problems->n == before)
        n->kind->check(c, n);
}

static void check_flow(struct flow_checker *c)
{
    static const char *const keys[] = {"title", "description", "nodes", "edges", "meta", "version", NULL};
    only_keys(c, "", "a flow", c->f->json, keys);
    if (!parse_nodes(c))
        return;
    parse_edges(c);
    find_start(c);
    order_nodes(c);
    check_reach(c);
    for (int i = 0; i < c->f->nnodes; i++)
        if (c->f->node[i].kind)
            check_params(c, &c->f->node[i]);
}

int flow_parse(struct slice json, struct flow **out, struct flow_problems *problems)
{
    struct flow_checker c = {.f = mem_zero(sizeof(struct flow)), .problems = problems};
    struct err err;
    *problems = (struct flow_problems){0};
    *out = NULL;
    c.f->refs = 1;
    c.f->json = json_parse(json, FLOW_DEF_MAX, "flow", &err);
    if (!c.f->json)
        problem(&c, "", "%s", err.msg);
    else if (!cJSON_IsObject(c.f->json))
        problem(&c, "", "a flow is a JSON object with 'nodes' and 'edges'");
    else
        check_flow(&c);
    mem_free(c.before);
    if (problems->n) {
        flow_unref(c.f);
        return ERR_INVALID;
    }
    *out = c.f;
    return 0;
}

void flow_problems_release(struct flow_problems *p)
{
    mem_free(p->item);
    *p = (struct flow_problems){0};
}

int flow_problems_err(const struct flow_problems *p, struct err *err)
{
    const struct flow_problem *first = &p->item[0];
    char more[64] = "";
    if (p->n > 1)
        snprintf(more, sizeof more, " (and %d more, FLOW.CHECK lists them)", p->n - 1);
    if (first->node[0])
        return err_set(err, ERR_INVALID, "node %s: %.150s%s", first->node, first->text, more);
    return err_set(err, ERR_INVALID, "%.200s%s", first->text, more);
}

struct flow *flow_ref(struct flow *f)
{
    f->refs++;
    return f;
}

void flow_unref(struct flow *f)
{
    if (!f || --f->refs > 0)
        return;
    for (int i = 0; i < f->nnodes; i++)
        mem_free(f->node[i].in);
    mem_free(f->node);
    mem_free(f->edge);
    cJSON_Delete(f->json);
    mem_free(f);
}

int flow_find_node(const struct flow *f, struct slice id)
{
    for (int i = 0; i < f->nnodes; i++)
        if (slice_eq(slice_str(f->node[i].id), id))
            return i;
    return -1;
}
