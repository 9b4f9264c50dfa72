#include "api/door.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/answers.h"
#include "api/cors.h"
#include "auth/user.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "llm/account.h"
#include "llm/money.h"
#include "llm/wire_anthropic.h"
#include "llm/wire_openai.h"

#define TIMEOUT_MAX_MS 86400000

/* What is left of a door whose answer is there. */
struct held {
    struct door d; /* without its user */
    struct durable_wait *wait;
    int status; /* of the answer; 0: a stream, which has been counted */
};

/* ---- errors ---- */

/* What the SDKs look at before they ask again. */
static void retry_headers(struct door *d, int status, const struct llm_facts *facts)
{
    char text[NUM_I64_MAX + 1];
    bool again = status == 408 || status == 409 || status == 429 || status >= 500;
    if ((facts && facts->failure == LLM_CREDIT) || (status == 409 && !facts))
        again = false; /* no credit; another request's idempotency key */
    if (d->late && !httpd_header(d->r, "idempotency-key"))
        again = false;
    httpd_add_header(d->r, "x-should-retry", again ? "true" : "false");
    if (!again || !facts || facts->retry_after_ms < 0)
        return;
    snprintf(text, sizeof text, "%lld", (long long)facts->retry_after_ms);
    httpd_add_header(d->r, "retry-after-ms", text);
    snprintf(text, sizeof text, "%lld", (long long)((facts->retry_after_ms + 999) / 1000));
    httpd_add_header(d->r, "retry-after", text);
}

int door_error_json(struct door *d, const struct err *err, const struct llm_facts *facts, const char *param,
                    struct buf *to)
{
    if (d->form == DOOR_ANTHROPIC)
        return wire_anthropic_error(err, facts, slice_str(d->id), to);
    return wire_openai_error(err, facts, param, to);
}

static void count_answer(struct door *d, int status)
{
    if (d->held)
        d->held->status = status; /* it may be taken back */
    else
        answers_add(d->metric, status);
}

static void reply_error(struct door *d, int status, const struct llm_facts *facts, struct buf *body)
{
    buf_add_char(body, '\n');
    door_headers(d, facts);
    retry_headers(d, status, facts);
    count_answer(d, status);
    httpd_reply_take(d->r, status, "application/json", body);
    d->r = NULL;
}

void door_fail(struct door *d, const struct err *err, const struct llm_facts *facts, const char *param)
{
    struct buf body = {0};
    int status = door_error_json(d, err, facts, param, &body);
    reply_error(d, status, facts, &body);
}

void door_event(struct door *d, struct slice type, struct slice json)
{
    if (type.len) {
        httpd_stream_add(d->r, SLICE("event: "));
        httpd_stream_add(d->r, type);
        httpd_stream_add(d->r, SLICE("\n"));
    }
    httpd_stream_add(d->r, SLICE("data: "));
    httpd_stream_add(d->r, json);
    httpd_stream_add(d->r, SLICE("\n\n"));
}

void door_error_event(struct door *d, const struct err *err, const struct llm_facts *facts)
{
    struct buf json = {0};
    door_error_json(d, err, facts, NULL, &json);
    door_event(d, d->form == DOOR_ANTHROPIC ? SLICE("error") : SLICE(""), buf_slice(&json));
    buf_release(&json);
}

static const char *anthropic_type(int status)
{
    return status == 401   ? "authentication_error"
           : status == 403 ? "permission_error"
           : status == 404 ? "not_found_error"
           : status == 413 ? "request_too_large"
           : status == 429 ? "rate_limit_error"
           : status == 503 ? "overloaded_error"
           : status >= 500 ? "api_error"
                           : "invalid_request_error";
}

void door_refusal(struct buf *to, const struct refusal *no, bool anthropic, const char *id)
{
    if (anthropic)
        buf_addf(to, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", anthropic_type(no->status));
    else
        buf_add_str(to, "{\"error\":{\"message\":");
    json_quote(to, no->message);
    if (!anthropic)
        buf_addf(to, ",\"type\":\"%s\",\"param\":null,\"code\":\"%s\"}}", no->type, no->code);
    else if (id)
        buf_addf(to, "},\"request_id\":\"%s\"}", id);
    else
        buf_add_str(to, "}}");
}

bool door_refuse(struct door *d, int status, const char *type, const char *code, const char *message)
{
    struct buf body = {0};
    struct refusal no = {status, type, code, slice_str(message)};
    door_refusal(&body, &no, d->form == DOOR_ANTHROPIC, d->id);
    reply_error(d, status, NULL, &body);
    return false;
}

/* ---- who asks ---- */

/* The bytes behind "Bearer "; p NULL: there is no key. */
static struct slice token_of(const struct httpd_req *r)
{
    const char *auth = httpd_header(r, "authorization"), *key = httpd_header(r, "x-api-key");
    if (auth && strncasecmp(auth, "bearer ", 7) == 0) {
        for (auth += 7; *auth == ' ';)
            auth++;
        return slice_str(auth);
    }
    return key ? slice_str(key) : (struct slice){0};
}

/* A web page of another site makes its reader's browser ask: nobody without a password wants that, unless it is named
 * in http-allow-origin. */
static bool foreign_page(const struct httpd_req *r)
{
    const char *site = httpd_header(r, "sec-fetch-site");
    return site && strcmp(site, "cross-site") == 0 && !cors_named(r);
}

bool door_begin(struct door *d, struct httpd_req *r, const char *metric, enum door_form form)
{
    struct user *u;
    struct err err;
    d->r = r;
    d->form = form;
    d->metric = metric;
    id_make(d->id);
    const char *why = api_why_not_ready ? api_why_not_ready() : NULL;
    if (!api_gate || why) {
        httpd_add_header(r, "retry-after", "1");
        return door_refuse(d, 503, "server_error", "not_ready", why ? why : "models are not served here");
    }
    if (api_gate->login(token_of(r), httpd_is_local(r), &u, &err) < 0) {
        httpd_add_header(r, "WWW-Authenticate", "Bearer");
        return door_refuse(d, 401, "invalid_request_error", "invalid_api_key", err.msg);
    }
    if ((u->flags & USER_NOPASS) && foreign_page(r))
        return door_refuse(d, 403, "permission_error", "no_permission",
                           "pages of other sites may ask only where a password is needed");
    d->user = user_ref(u);
    return true;
}

bool door_may(struct door *d, const char *command, struct slice key)
{
    struct err err;
    if (api_gate->may(d->user, command, key, &err) == 0)
        return true;
    door_fail(d, &err, NULL, NULL);
    return false;
}

static bool number_header(struct door *d, const char *name, int64_t min, int64_t max, int *to)
{
    const char *text = httpd_header(d->r, name);
    int64_t v;
    struct err err;
    if (!text)
        return true;
    if (num_to_i64(slice_str(text), &v) && v >= min && v <= max) {
        *to = (int)v;
        return true;
    }
    err_set(&err, ERR_INVALID, "the header %s must be a number from %lld to %lld", name, (long long)min,
            (long long)max);
    door_fail(d, &err, NULL, name);
    return false;
}

bool door_caller(struct door *d, struct llm_caller *to)
{
    struct err err;
    if (api_gate->ready(&err) < 0) { /* what it takes could not be kept */
        door_fail(d, &err, NULL, NULL);
        return false;
    }
    to->owner = d->user->name;
    to->door = LLM_DOOR_HTTP;
    to->came_us = httpd_started_us(d->r);
    return number_header(d, "x-skald-priority", 0, LLM_PRIORITY_LAST, &to->priority) &&
           number_header(d, "x-skald-timeout-ms", 1, TIMEOUT_MAX_MS, &to->timeout_ms);
}

/* ---- an answer that waits for the disk ---- */

static void take_back(struct held *h, const struct err *failed)
{
    httpd_take_back(h->d.r);
    h->d.late = true;
    if (h->d.streams) {
        door_error_event(&h->d, failed, NULL);
        httpd_stream_end(h->d.r);
    } else {
        door_fail(&h->d, failed, NULL, NULL);
    }
}

static void on_safe(void *arg, const struct err *failed)
{
    struct held *h = arg;
    struct httpd_req *r = h->d.r;
    if (failed)
        take_back(h, failed);
    else if (h->status)
        answers_add(h->d.metric, h->status);
    httpd_let_go(r);
    mem_free(h);
}

static void on_held_gone(void *arg)
{
    struct held *h = arg;
    api_gate->wait_end(h->wait);
    httpd_let_go(h->d.r);
    mem_free(h);
}

void door_hold(struct door *d, bool wrote)
{
    if (d->gone)
        return;
    struct held *h = mem_zero(sizeof *h);
    h->wait = api_gate->wait(wrote, on_safe, h);
    if (!h->wait) {
        mem_free(h);
        return;
    }
    h->d = *d;
    h->d.user = NULL;
    d->held = h;
    httpd_hold(d->r);
    httpd_on_gone(d->r, on_held_gone, h);
}

/* ---- a call ---- */

static void on_gone(void *arg)
{
    struct door *d = arg;
    d->gone = true;
    if (d->left)
        d->left(d);
    else if (d->llm)
        llm_cancel(d->llm);
}

bool door_started(struct door *d, struct llm_call *call, const struct err *err)
{
    if (!call) {
        door_fail(d, err, NULL, NULL);
        return false;
    }
    d->llm = call;
    memcpy(d->id, llm_call_id(call), ID_LEN);
    httpd_on_gone(d->r, on_gone, d);
    return true;
}

void door_waits(struct door *d)
{
    httpd_on_gone(d->r, on_gone, d);
}

static void add_slice(struct door *d, const char *name, struct slice v)
{
    char text[256];
    if (v.len == 0 || v.len >= sizeof text)
        return;
    memcpy(text, v.p, v.len);
    text[v.len] = 0;
    httpd_add_header(d->r, name, text);
}

static void add_facts(struct door *d, const struct llm_facts *f)
{
    char text[MONEY_TEXT + 32];
    int64_t overhead = clock_mono_us() - httpd_started_us(d->r) - f->us_vendor;
    add_slice(d, "x-skald-model", f->model);
    add_slice(d, "x-skald-route", f->route);
    snprintf(text, sizeof text, "%d", f->attempts);
    httpd_add_header(d->r, "x-skald-attempts", text);
    if (f->cost >= 0)
        add_slice(d, "x-skald-cost", slice_of(text, money_text(text, f->cost)));
    overhead = overhead > 0 ? overhead : 0;
    snprintf(text, sizeof text, "%lld.%03lld", (long long)(overhead / 1000), (long long)(overhead % 1000));
    httpd_add_header(d->r, "x-skald-overhead-ms", text);
    if (f->fallback)
        httpd_add_header(d->r, "x-skald-fallback", "true");
}

/* Go's way of writing durations, which OpenAI's headers have: "17ms", "1s", "6m0s". */
static void put_duration(char *to, size_t size, int64_t ms)
{
    long long s = (ms + 999) / 1000;
    if (ms < 1000)
        snprintf(to, size, "%lldms", (long long)(ms > 0 ? ms : 0));
    else if (s < 60)
        snprintf(to, size, "%llds", s);
    else
        snprintf(to, size, "%lldm%llds", s / 60, s % 60);
}

static void add_rate(struct door *d, const char *what, const struct account_rate *r)
{
    char name[48], text[32];
    const int64_t numbers[] = {r->limit, r->left > 0 ? r->left : 0};
    static const char *const kinds[] = {"limit", "remaining"};
    if (r->limit <= 0)
        return;
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "x-ratelimit-%s-%s", kinds[i], what);
        snprintf(text, sizeof text, "%lld", (long long)numbers[i]);
        httpd_add_header(d->r, name, text);
    }
    snprintf(name, sizeof name, "x-ratelimit-reset-%s", what);
    put_duration(text, sizeof text, r->reset_ms);
    httpd_add_header(d->r, name, text);
}

static void add_rates(struct door *d, struct slice model)
{
    struct account_rates rates = {0};
    accounts_rates(llm_accounts(api_gate->llm()), model, d->user->name, clock_wall_ms(), &rates);
    add_rate(d, "requests", &rates.requests);
    add_rate(d, "tokens", &rates.tokens);
}

void door_headers(struct door *d, const struct llm_facts *facts)
{
    httpd_add_header(d->r, "x-request-id", d->id);
    if (d->form == DOOR_ANTHROPIC)
        httpd_add_header(d->r, "request-id", d->id);
    httpd_add_header(d->r, "x-skald-call-id", d->id);
    if (d->user)
        add_rates(d, facts ? facts->model : SLICE(""));
    if (facts)
        add_facts(d, facts);
}

void door_reply(struct door *d, const struct llm_facts *facts, const char *type, struct buf *body)
{
    door_headers(d, facts);
    count_answer(d, 200);
    httpd_reply_take(d->r, 200, type, body);
    d->r = NULL;
}

void door_end(struct door *d)
{
    user_unref(d->user);
}

cJSON *door_json(struct door *d)
{
    struct err err;
    cJSON *v = json_parse(httpd_body(d->r), SIZE_MAX, "the body", &err);
    if (v && cJSON_IsObject(v))
        return v;
    if (v)
        err_set(&err, ERR_INVALID, "the body must be a JSON object");
    cJSON_Delete(v);
    door_fail(d, &err, NULL, NULL);
    return NULL;
}
