/* http: one request to a host that the setting flow-http-allow names.
 *
 *   "params": {"method": "POST", "url": "https://api.example.com/v1/x?q={{input.q | url}}",
 *              "headers": {"Authorization": "Bearer {{input.token}}"}, "body": {"q": "{{input.q}}"},
 *              "timeout": ms, "max_bytes": n, "any_status": false}
 *
 * `body` that is a text goes as it is; any other JSON goes as JSON with that content type. The host is checked after
 * the variables are filled in; private addresses are refused by the client at the address it really connects to.
 * Redirects are not followed. A status outside 200 to 299 fails the node unless `any_status` is true. Outputs: status,
 * body (text), json (the body parsed, null when it is none), headers (content-type, location, retry-after as they
 * came). */
#include "base/mem.h"
#include "base/utf8.h"
#include "flow/flow.h"
#include "flow/kind.h"
#include "net/http_client.h"
#include "net/url.h"

#define HEADERS_MAX 64
#define REPLY_MAX   (1u << 20)

struct fetch {
    struct flow_step *step;
    struct http_call *call;
};

struct request {
    struct buf url, body;
    cJSON *headers;              /* expanded */
    char *line[HEADERS_MAX + 2]; /* "Name: value", and NULL */
    int nlines;
};

static void release(struct request *q)
{
    for (int i = 0; i < q->nlines; i++)
        mem_free(q->line[i]);
    cJSON_Delete(q->headers);
    buf_release(&q->url);
    buf_release(&q->body);
}

static bool has_header(const struct request *q, const char *name)
{
    for (const cJSON *e = q->headers->child; e; e = e->next)
        if (strcasecmp(e->string, name) == 0)
            return true;
    return false;
}

static void add_line(struct request *q, const char *name, const char *value)
{
    struct buf b = {0};
    size_t len;
    buf_addf(&b, "%s: %s", name, value);
    buf_cstr(&b);
    q->line[q->nlines++] = buf_take(&b, &len);
}

static int expand_headers(struct flow_step *s, struct request *q)
{
    if (step_value(s, "headers", &q->headers) < 0)
        return -1;
    if (cJSON_GetArraySize(q->headers) > HEADERS_MAX)
        return err_set(&s->err, ERR_INVALID, "more than %d headers", HEADERS_MAX);
    for (const cJSON *e = q->headers->child; e; e = e->next) {
        if (!cJSON_IsString(e) || strpbrk(e->valuestring, "\r\n"))
            return err_set(&s->err, ERR_INVALID, "the header '%.40s' is not one line of text", e->string);
        add_line(q, e->string, e->valuestring);
    }
    return 0;
}

static int expand_body(struct flow_step *s, struct request *q)
{
    const cJSON *body = step_param(s, "body");
    cJSON *value;
    if (!body)
        return 0;
    if (cJSON_IsString(body))
        return step_text(s, "body", &q->body);
    if (step_value(s, "body", &value) < 0)
        return -1;
    json_print(&q->body, value);
    cJSON_Delete(value);
    if (!has_header(q, "content-type"))
        add_line(q, "Content-Type", "application/json");
    return 0;
}

static int check_url(struct flow_step *s, struct request *q)
{
    struct url u;
    if (memchr(q->url.p ? q->url.p : "", 0, q->url.len) || url_parse(buf_cstr(&q->url), &u, &s->err) < 0)
        return ERR_INVALID;
    if (u.has_user)
        return err_set(&s->err, ERR_INVALID, "the URL carries a password; use an Authorization header");
    if (!url_allowed(&u, slice_str(flow_settings.http_allow)))
        return err_set(&s->err, ERR_NOPERM, "the host %.100s is not in flow-http-allow", u.host);
    return 0;
}

static int expand(struct flow_step *s, struct request *q)
{
    if (step_text(s, "url", &q->url) < 0 || check_url(s, q) < 0 || expand_headers(s, q) < 0)
        return -1;
    return expand_body(s, q);
}

static void add_text(cJSON *o, const char *name, struct slice s)
{
    struct buf b = {0};
    buf_add(&b, s.p, s.len);
    cJSON_AddStringToObject(o, name, buf_cstr(&b));
    buf_release(&b);
}

static cJSON *read_reply(const struct http_end *end)
{
    static const char *const kept[] = {"content-type", "location", "retry-after"};
    cJSON *o = cJSON_CreateObject(), *headers = NULL, *json = NULL;
    bool text = utf8_valid(end->body) && !memchr(end->body.p ? end->body.p : "", 0, end->body.len);
    cJSON_AddNumberToObject(o, "status", end->status);
    add_text(o, "body", text ? end->body : SLICE(""));
    if (text && end->body.len)
        json = json_parse(end->body, REPLY_MAX, "reply", NULL);
    cJSON_AddItemToObject(o, "json", json ? json : cJSON_CreateNull());
    headers = cJSON_AddObjectToObject(o, "headers");
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        struct slice v = http_header(end->head, kept[i]);
        if (v.len && utf8_valid(v))
            add_text(headers, kept[i], v);
    }
    return o;
}

static void on_end(void *arg, const struct http_end *end)
{
    struct fetch *x = arg;
    struct flow_step *s = x->step;
    struct err e = end->err;
    mem_free(x);
    s->op = NULL;
    if (!e.code && (end->status < 200 || end->status > 299) && !json_bool(s->node->params, "any_status", 0))
        err_set(&e, ERR_UPSTREAM, "the host answered with status %d", end->status);
    if (e.code)
        step_fail(s, &e);
    else
        step_done(s, read_reply(end), NULL);
}

static int start(struct flow_step *s, struct request *q)
{
    static const struct http_ops ops = {.end = on_end};
    const cJSON *params = s->node->params;
    struct http_request r = {.method = json_str(params, "method", step_param(s, "body") ? "POST" : "GET"),
                             .url = buf_cstr(&q->url),
                             .headers = (const char *const *)q->line,
                             .body = buf_slice(&q->body),
                             .timeout_ms = (int)json_num(params, "timeout", (double)flow_settings.http_timeout_ms),
                             .max_reply = (size_t)json_num(params, "max_bytes", REPLY_MAX),
                             .allow_private = flow_settings.http_private};
    if (!flow_host()->http)
        return err_set(&s->err, ERR_STATE, "this server makes no outbound calls");
    struct fetch *x = mem_zero(sizeof *x);
    x->step = s;
    s->op = x;
    int rc = http_start(flow_host()->http, &r, &ops, x, &x->call, &s->err);
    if (rc < 0)
        mem_free(x);
    return rc;
}

static void run(struct flow_step *s)
{
    struct request q = {.body.max = FLOW_TEXT_MAX};
    int rc = expand(s, &q);
    if (rc == 0) {
        cJSON *in = cJSON_CreateObject();
        cJSON_AddStringToObject(in, "url", buf_cstr(&q.url));
        step_input(s, in); /* headers and body may hold secrets: not traced */
        rc = start(s, &q);
    }
    release(&q);
    if (rc < 0)
        step_failed(s);
}

static void cancel(struct flow_step *s)
{
    struct fetch *x = s->op;
    if (x)
        http_cancel(x->call);
}

static void check(struct flow_checker *c, const struct flow_node *n)
{
    const char *method = json_str(n->params, "method", "GET");
    static const char *const known[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], method) == 0)
            return;
    check_problem(c, n, "unknown method '%.20s', use GET, POST, PUT, PATCH, DELETE or HEAD", method);
}

static const char *const outputs[] = {"status", "body", "json", "headers", NULL};
static const struct flow_param params[] = {
    {"method", PARAM_TEXT, false, 0, 0},       {"url", PARAM_TEMPLATE, true, 0, 0},
    {"headers", PARAM_OBJECT, false, 0, 0},    {"body", PARAM_VALUE, false, 0, 0},
    {"timeout", PARAM_INT, false, 1, 3600000}, {"max_bytes", PARAM_INT, false, 1, REPLY_MAX},
    {"any_status", PARAM_BOOL, false, 0, 0}};

const struct flow_kind flow_http = {.name = "http",
                                    .summary = "calls a host over HTTP",
                                    .params = params,
                                    .nparams = 7,
                                    .outputs = outputs,
                                    .check = check,
                                    .run = run,
                                    .cancel = cancel};
