/* Calls to models, whatever the provider.
 *
 *              ┌────────────── retry timer ◄──────────────┐ may pass, no piece yet, retries left
 *              ▼                                          │
 *   start ─► running ─► (streaming) ─► end of the transfer ─► done ─► gone
 *   start ─► job on a worker (builtin) ───────────────────► done ─► gone
 *
 * Built for some thousand calls at once, mostly streams: a call is one allocation, its HTTP body and what came back.
 * The body is kept until the end because a retry sends it again.
 *
 * What would surprise: a stream may be answered by a whole JSON body (servers do that for errors, and some ignore
 * "stream"), so what to do with the bytes is decided when the reply's head is there. */
#include "llm/llm.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "base/setting.h"
#include "base/utf8.h"
#include "llm/account.h"
#include "llm/idempotency.h"
#include "llm/provider.h"
#include "llm/tokens.h"

#define BODY_MAX     (32u << 20) /* of a request */
#define WHOLE_MAX    (64u << 20) /* of a reply */
#define ERROR_MAX    (256u << 10)
#define PAUSE_MS     500 /* before the first retry; doubles */
#define PAUSE_MAX_MS 8000
#define ASKED_MAX_MS 60000 /* a longer Retry-After is not waited for */
#define CONNECT_MS   10000
#define HEADERS_MAX  8 /* that a provider adds */

static char *default_chat, *default_embed;
static int64_t default_timeout = 60000, max_calls = 10000;

static const struct setting settings[] = {
    {"llm-model", SETTING_STR, &default_chat, "builtin/extract",
     .help = "The model for LLM.CHAT and LLM.ASK without MODEL."},
    {"llm-embed-model", SETTING_STR, &default_embed, "builtin/hash", .help = "The model for LLM.EMBED without MODEL."},
    {"llm-timeout", SETTING_INT, &default_timeout, "60000", 1, 24 * 3600 * 1000,
     .help = "Milliseconds for a model call when neither the call nor its model says."},
    {"llm-max-calls", SETTING_INT, &max_calls, "10000", 1, 1000000,
     .help = "Model calls that may be under way at once."},
};

void llm_boot(void)
{
    SETTING_REGISTER(settings);
    account_boot();
    idem_boot();
}

struct llm {
    struct loop *loop;
    struct http_client *http;
    struct job_pool *jobs;
    struct models models;
    struct accounts *accounts;
    struct idem *idem;
    struct list calls; /* oldest first */
    struct dict by_id;
    struct rng rng; /* jitter of retries */
    bool stopping;
    struct llm_stats stats;
};

struct llm_call {
    struct list link;
    struct llm *llm;
    char id[ID_LEN + 1];
    char *model, *tag;
    const struct llm_provider *provider;
    enum model_kind kind;
    char *model_id; /* local models */

    struct llm_chat_events events;
    llm_embed_done *embedded;
    void *arg;

    int64_t started_ms, started_us, first_us, deadline_ms;
    int64_t pieces;
    int attempts, retries_left, ntexts;
    int timeout_ms;
    bool cancelled, want_stream;
    enum llm_class failure;
    struct err err; /* found before the transfer's end: the end reports it */

    /* remote */
    struct buf url, body, headers, notes;
    struct http_call *http;
    struct timer *retry;
    struct llm_stream *stream;
    bool as_stream;
    int status;
    struct buf whole; /* a reply that turned out to be no stream */
    struct buf request_id;

    /* local */
    struct job job;
    struct llm_request *chat;
    struct llm_embed_request *embed;

    struct llm_answer answer;
};

/* ---- owned copies of requests (for workers) ---- */

/* Two passes over the same code: with at NULL it counts, then it copies into one block. */
struct copier {
    char *at;
    size_t need;
};

static void *take_room(struct copier *c, size_t n)
{
    size_t whole = (n + 15) & ~(size_t)15;
    void *p = c->at;
    c->need += whole;
    if (c->at)
        c->at += whole;
    return p;
}

static struct slice take_slice(struct copier *c, struct slice s)
{
    char *p = take_room(c, s.len);
    if (p && s.len)
        memcpy(p, s.p, s.len);
    return slice_of(p, s.len);
}

static struct llm_request *copy_chat_to(struct copier *c, const struct llm_request *q)
{
    struct llm_request *to = take_room(c, sizeof *to), none;
    struct llm_message *ms = take_room(c, (size_t)q->nmessages * sizeof *ms), nomsg;
    struct llm_request *w = to ? to : &none;
    *w = LLM_REQUEST;
    w->max_tokens = q->max_tokens;
    w->json = q->json;
    w->stream = q->stream;
    w->system = take_slice(c, q->system);
    w->schema = take_slice(c, q->schema);
    w->messages = ms;
    w->nmessages = q->nmessages;
    for (int i = 0; i < q->nmessages; i++) {
        struct llm_message *m = ms ? &ms[i] : &nomsg;
        *m = (struct llm_message){.role = take_slice(c, q->messages[i].role),
                                  .content = take_slice(c, q->messages[i].content)};
    }
    return to;
}

static struct llm_embed_request *copy_embed_to(struct copier *c, const struct llm_embed_request *q)
{
    struct llm_embed_request *to = take_room(c, sizeof *to), none;
    struct slice *texts = take_room(c, (size_t)q->ntexts * sizeof *texts), notext;
    *(to ? to : &none) = (struct llm_embed_request){.texts = texts, .ntexts = q->ntexts, .dim = q->dim};
    for (int i = 0; i < q->ntexts; i++)
        *(texts ? &texts[i] : &notext) = take_slice(c, q->texts[i]);
    return to;
}

static struct llm_request *copy_chat(const struct llm_request *q)
{
    struct copier c = {0};
    copy_chat_to(&c, q);
    c.at = mem_alloc(c.need);
    return copy_chat_to(&c, q);
}

static struct llm_embed_request *copy_embed(const struct llm_embed_request *q)
{
    struct copier c = {0};
    copy_embed_to(&c, q);
    c.at = mem_alloc(c.need);
    return copy_embed_to(&c, q);
}

/* ---- making and ending a call ---- */

static struct slice id_of(const void *entry)
{
    return slice_of(((const struct llm_call *)entry)->id, ID_LEN);
}

static const struct dict_type by_id = {.key = id_of};

static struct llm_call *call_create(struct llm *l, const struct model *m, const struct llm_caller *who)
{
    struct slice tag = who->tag;
    int timeout_ms = who->timeout_ms;
    struct llm_call *c = mem_zero(sizeof *c);
    c->llm = l;
    id_make(c->id);
    c->model = mem_strdup(m->name);
    c->model_id = mem_strdup(m->id);
    c->tag = mem_dup(tag.p ? tag.p : "", tag.len);
    c->provider = m->provider;
    c->kind = m->kind;
    c->started_ms = clock_wall_ms();
    c->started_us = clock_mono_us();
    c->first_us = -1;
    int64_t ms = timeout_ms > 0 ? timeout_ms : m->timeout_ms > 0 ? m->timeout_ms : default_timeout;
    c->timeout_ms = (int)ms;
    c->deadline_ms = c->started_us / 1000 + ms;
    c->retries_left = (int)m->retries;
    buf_init(&c->body, BODY_MAX);
    buf_init(&c->whole, WHOLE_MAX);
    buf_init(&c->request_id, 256);
    llm_answer_init(&c->answer);
    list_init(&c->link);
    return c;
}

static void call_free(struct llm_call *c)
{
    if (c->stream)
        c->provider->stream_destroy(c->stream);
    if (c->headers.p) /* they hold the key */
        explicit_bzero(c->headers.p, c->headers.cap);
    timer_close(c->retry);
    buf_release(&c->url);
    buf_release(&c->body);
    buf_release(&c->headers);
    buf_release(&c->notes);
    buf_release(&c->whole);
    buf_release(&c->request_id);
    llm_answer_release(&c->answer);
    mem_free(c->chat);
    mem_free(c->embed);
    mem_free(c->model);
    mem_free(c->model_id);
    mem_free(c->tag);
    mem_free(c);
}

static struct llm_call *enlist(struct llm_call *c)
{
    struct llm *l = c->llm;
    list_add_tail(&l->calls, &c->link);
    dict_add(&l->by_id, c);
    l->stats.calls++;
    l->stats.started++;
    return c;
}

static void count_tokens(struct llm_call *c)
{
    struct llm_answer *a = &c->answer;
    if (a->tokens_in < 0 || (a->tokens_out < 0 && c->kind == MODEL_CHAT))
        a->estimated = true;
    if (a->tokens_in < 0) /* of the JSON: a little more than of the messages, as a chat template is */
        a->tokens_in = tokens_estimate(buf_slice(&c->body));
    if (a->tokens_out < 0)
        a->tokens_out = tokens_estimate(buf_slice(&a->text)) + tokens_estimate(buf_slice(&a->tool_calls));
    c->llm->stats.tokens_in += (uint64_t)a->tokens_in;
    c->llm->stats.tokens_out += (uint64_t)a->tokens_out;
}

static struct llm_facts facts_of(const struct llm_call *c, int64_t total)
{
    const struct llm_answer *a = &c->answer;
    return (struct llm_facts){
        .model = slice_str(c->model),
        .model_id = buf_slice(&a->model_id),
        .request_id = buf_slice(&c->request_id),
        .notes = buf_slice(&c->notes),
        .tokens_in = a->tokens_in,
        .tokens_out = a->tokens_out,
        .tokens_cached = a->tokens_cached,
        .tokens_reasoning = a->tokens_reasoning,
        .estimated = a->estimated,
        .cost = -1,
        .us_total = total,
        .us_first = c->first_us >= 0 ? c->first_us : total,
        .attempts = c->attempts,
        .failure = c->failure,
        .retry_after_ms = -1,
    };
}

static void report_chat(struct llm_call *c, int64_t total, const struct err *err)
{
    struct llm_answer *a = &c->answer;
    struct llm_reply r = {
        .facts = facts_of(c, total),
        .text = buf_slice(&a->text),
        .reasoning = buf_slice(&a->reasoning),
        .thinking = buf_slice(&a->thinking),
        .tool_calls = buf_slice(&a->tool_calls),
        .finish = buf_slice(&a->finish),
    };
    c->events.done(c->arg, &r, err);
}

static void report_vectors(struct llm_call *c, int64_t total, const struct err *err)
{
    struct llm_answer *a = &c->answer;
    struct llm_vectors v = {.facts = facts_of(c, total)};
    if (!err) {
        v.v = a->vectors;
        v.count = a->count;
        v.dim = a->dim;
    }
    c->embedded(c->arg, &v, err);
}

/* The one exit: err NULL means that the answer is there. */
static void end_call(struct llm_call *c, const struct err *err)
{
    struct llm *l = c->llm;
    struct err cancelled;
    int64_t total = clock_mono_us() - c->started_us;
    if (c->cancelled) {
        err_set(&cancelled, ERR_CANCELLED, "the call was cancelled");
        err = &cancelled;
    }
    list_del(&c->link);
    dict_remove(&l->by_id, id_of(c));
    l->stats.calls--;
    l->stats.cancelled += err && err->code == ERR_CANCELLED;
    l->stats.failed += err && err->code != ERR_CANCELLED;
    if (!err || c->answer.text.len)
        count_tokens(c);
    if (c->embedded)
        report_vectors(c, total, err);
    else
        report_chat(c, total, err);
    call_free(c);
}

static void give_delta(void *arg, const struct llm_delta *d)
{
    struct llm_call *c = arg;
    if (c->cancelled)
        return;
    if (c->first_us < 0)
        c->first_us = clock_mono_us() - c->started_us;
    c->pieces++;
    if (c->events.delta && c->want_stream)
        c->events.delta(c->arg, d);
}

static void give_text(struct llm_call *c, struct slice text)
{
    struct llm_delta d = {.kind = LLM_DELTA_TEXT, .text = text};
    give_delta(c, &d);
}

/* ---- local models ---- */

static void run_local(struct job *j)
{
    struct llm_call *c = (struct llm_call *)((char *)j - offsetof(struct llm_call, job));
    if (c->chat)
        c->provider->chat_local(c->chat, c->model_id, &c->answer, &c->err);
    else
        c->provider->embed_local(c->embed, c->model_id, &c->answer, j, &c->err);
}

/* A piece ends where a sentence does: after a stop and its space. */
static size_t piece_length(struct slice t)
{
    for (size_t i = 1; i + 1 < t.len; i++) {
        bool latin = t.p[i] == ' ' && strchr(".!?]\"", t.p[i - 1]);
        bool cjk = i >= 3 && memcmp(t.p + i - 3, "\xe3\x80\x82", 3) == 0;
        if (latin || cjk)
            return latin ? i + 1 : i;
    }
    return t.len;
}

static void local_done(struct job *j)
{
    struct llm_call *c = (struct llm_call *)((char *)j - offsetof(struct llm_call, job));
    if (job_cancelled(j))
        c->cancelled = true;
    struct slice rest = buf_slice(&c->answer.text);
    while (c->err.code == 0 && c->want_stream && rest.len && !c->cancelled) {
        size_t n = piece_length(rest);
        give_text(c, slice_of(rest.p, n));
        rest = slice_of(rest.p + n, rest.len - n);
    }
    end_call(c, c->err.code ? &c->err : NULL);
}

static struct llm_call *start_local(struct llm_call *c)
{
    c->attempts = 1;
    c->job.run = run_local;
    c->job.done = local_done;
    enlist(c);
    job_submit(c->llm->jobs, &c->job);
    return c;
}

/* ---- remote models: errors ---- */

/* What an HTTP status means to whoever asked. *passes: trying again may help. */
static void status_error(struct llm_call *c, int status, struct slice body, struct err *err, bool *passes)
{
    struct llm_failure f;
    llm_failure_init(&f);
    c->provider->failure(c->provider, status, body, &f);
    c->failure = f.class;
    const char *colon = f.text.len ? ": " : "", *text = f.text.len ? buf_cstr(&f.text) : "";
    *passes = f.class == LLM_TRANSIENT || f.class == LLM_RATE;
    if (status < 400)
        err_set(err, ERR_UPSTREAM, "the provider of model '%.60s' answered with status %d; check the model's URL",
                c->model, status);
    else if (f.class == LLM_AUTH)
        err_set(err, ERR_UPSTREAM, "the provider refused the key of model '%.60s' (%d)%s%s", c->model, status, colon,
                text);
    else if (f.class == LLM_CREDIT)
        err_set(err, ERR_QUOTA, "the account behind model '%.60s' has no credit left (%d)%s%s", c->model, status, colon,
                text);
    else if (f.class == LLM_RATE)
        err_set(err, ERR_QUOTA, "the provider of model '%.60s' says that it gets too many requests (%d)%s%s", c->model,
                status, colon, text);
    else if (f.class == LLM_TRANSIENT)
        err_set(err, ERR_UPSTREAM, "the provider of model '%.60s' failed (%d)%s%s", c->model, status, colon, text);
    else
        err_set(err, ERR_INVALID, "the provider of model '%.60s' did not accept the request (%d)%s%s", c->model, status,
                colon, text);
    llm_failure_release(&f);
}

static int64_t pause_before_retry(struct llm_call *c, struct slice head)
{
    int64_t asked = -1;
    if (num_to_i64(http_header(head, "retry-after-ms"), &asked) && asked >= 0 && asked <= ASKED_MAX_MS)
        return asked;
    if (num_to_i64(http_header(head, "retry-after"), &asked) && asked >= 0)
        return asked <= ASKED_MAX_MS / 1000 ? asked * 1000 : -1;
    int shift = c->attempts < 6 ? c->attempts - 1 : 5;
    int64_t ms = (int64_t)PAUSE_MS << shift;
    ms = ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
    return ms - (int64_t)rng_below(&c->llm->rng, (uint64_t)ms / 4 + 1);
}

/* ---- remote models: the transfer ---- */

static void attempt(struct llm_call *c);

static void on_retry(void *arg)
{
    struct llm_call *c = arg;
    if (c->cancelled || c->llm->stopping)
        end_call(c, &c->err);
    else
        attempt(c);
}

/* True when the call will be tried again; c->err keeps why, for the case that it is stopped meanwhile. */
static bool try_again(struct llm_call *c, struct slice head, const struct err *why)
{
    if (c->retries_left <= 0 || c->pieces || c->cancelled || c->llm->stopping)
        return false;
    int64_t pause = pause_before_retry(c, head);
    if (pause < 0 || clock_mono_ms() + pause >= c->deadline_ms)
        return false;
    c->retries_left--;
    c->llm->stats.retries++;
    c->err = *why;
    if (!c->retry)
        c->retry = timer_create_on(c->llm->loop, on_retry, c);
    timer_start(c->retry, (uint64_t)pause, 0);
    return true;
}

static bool is_event_stream(const struct llm_provider *p, struct slice head)
{
    struct slice type = http_header(head, "content-type");
    return memmem(type.p, type.len, p->stream_type, strlen(p->stream_type)) ||
           !(memmem(type.p, type.len, "json", 4) || memmem(type.p, type.len, "html", 4));
}

static void on_head(void *arg, int status, struct slice head)
{
    struct llm_call *c = arg;
    c->status = status;
    c->as_stream = c->want_stream && status >= 200 && status < 300 && is_event_stream(c->provider, head);
    if (c->as_stream)
        c->stream = c->provider->stream_create(c->provider, &c->answer, give_delta, c);
}

static void on_piece(void *arg, struct slice bytes)
{
    struct llm_call *c = arg;
    if (c->cancelled || c->err.code)
        return;
    if (!c->as_stream)
        buf_add(&c->whole, bytes.p, bytes.len);
    else if (c->provider->stream_feed(c->stream, bytes, &c->err) < 0 && c->http)
        http_cancel(c->http); /* what is wrong is in c->err */
}

static int read_reply(struct llm_call *c, struct slice body, struct err *err)
{
    if (c->as_stream)
        return c->provider->stream_end(c->stream, err);
    if (c->embedded)
        return c->provider->embed_whole(c->provider, body, c->ntexts, &c->answer, err);
    int r = c->provider->chat_whole(c->provider, body, &c->answer, err);
    if (r == 0 && c->want_stream && c->answer.text.len) /* it was to be a stream: one piece is one, too */
        give_text(c, buf_slice(&c->answer.text));
    return r;
}

static void name_the_model(struct llm_call *c, struct err *err)
{
    struct err plain = *err;
    err_set(err, plain.code, "model '%.60s': %s", c->model, plain.msg);
}

static void forget_attempt(struct llm_call *c)
{
    if (c->stream)
        c->provider->stream_destroy(c->stream);
    c->stream = NULL;
    c->status = 0;
    c->as_stream = false;
    buf_clear(&c->whole);
    buf_clear(&c->request_id);
    llm_answer_release(&c->answer);
    llm_answer_init(&c->answer);
    c->err.code = 0;
    c->failure = LLM_FINE;
}

static void on_end(void *arg, const struct http_end *e)
{
    struct llm_call *c = arg;
    struct err err = {0};
    bool passes = false;
    struct slice body = c->want_stream ? buf_slice(&c->whole) : e->body;
    struct slice id = http_header(e->head, "x-request-id");
    c->http = NULL;
    buf_clear(&c->request_id);
    buf_add(&c->request_id, id.p, utf8_cut(id, 200));
    if (c->cancelled) {
        end_call(c, NULL);
        return;
    }
    if (c->err.code) {
        err = c->err;
        name_the_model(c, &err);
    } else if (e->timed_out && clock_mono_ms() + 1 >= c->deadline_ms) {
        err_set(&err, ERR_UPSTREAM,
                c->pieces ? "the answer of model '%.60s' was not complete after %d ms"
                          : "model '%.60s' did not answer within %d ms",
                c->model, c->timeout_ms);
    } else if (e->err.code) {
        err = e->err;
        c->failure = LLM_TRANSIENT;
        passes = e->may_retry;
        name_the_model(c, &err);
    } else if (e->status < 200 || e->status >= 300) {
        status_error(c, e->status, body, &err, &passes);
    } else if (read_reply(c, body, &err) < 0) {
        c->failure = c->answer.failure;
        name_the_model(c, &err);
    }
    if (passes && try_again(c, e->head, &err))
        return;
    end_call(c, err.code ? &err : NULL);
}

static const struct http_ops transfer_ops = {on_head, on_piece, on_end};

/* The provider's lines; each ends with a zero since prepare(). */
static void split_headers(const struct llm_call *c, const char **to)
{
    int n = 0;
    for (size_t at = 0; at < c->headers.len && n < HEADERS_MAX; at += strlen(c->headers.p + at) + 1)
        to[n++] = c->headers.p + at;
    to[n] = NULL;
}

static int send_attempt(struct llm_call *c, struct err *err)
{
    int64_t left = c->deadline_ms - clock_mono_ms();
    const char *headers[HEADERS_MAX + 3] = {"Content-Type: application/json",
                                            c->want_stream ? "Accept: text/event-stream" : "Accept: application/json"};
    split_headers(c, headers + 2);
    struct http_request q = {
        .method = "POST",
        .url = buf_cstr(&c->url),
        .headers = headers,
        .body = buf_slice(&c->body),
        .connect_ms = left < CONNECT_MS ? (int)(left > 0 ? left : 1) : CONNECT_MS,
        .timeout_ms = (int)(left > 0 ? left : 1),
        .max_reply = WHOLE_MAX,
        .allow_private = true, /* whoever may set models says where they are */
        .stream = c->want_stream,
    };
    c->attempts++;
    return http_start(c->llm->http, &q, &transfer_ops, c, &c->http, err);
}

static void attempt(struct llm_call *c)
{
    struct err err;
    forget_attempt(c);
    if (send_attempt(c, &err) < 0)
        end_call(c, &err);
}

static int prepare(struct llm_call *c, const struct model *m, const char *path, struct err *err)
{
    struct buf key = {0};
    llm_provider_url(m, path, &c->url);
    int r = model_key(m, &key, err);
    if (r == 0)
        m->provider->headers(m->provider, &c->headers, buf_slice(&key));
    for (size_t i = 0; i < c->headers.len; i++)
        c->headers.p[i] = c->headers.p[i] == '\n' ? 0 : c->headers.p[i];
    if (key.p)
        explicit_bzero(key.p, key.cap);
    buf_release(&key);
    if (r == 0 && c->body.full)
        r = err_set(err, ERR_INVALID, "a request of more than %u MB cannot be sent to a model", BODY_MAX >> 20);
    return r;
}

static struct llm_call *start_remote(struct llm_call *c, struct err *err)
{
    if (send_attempt(c, err) < 0) {
        call_free(c);
        return NULL;
    }
    return enlist(c);
}

/* ---- the door ---- */

static int check_json(struct slice text, const char *what, bool array, struct err *err)
{
    if (text.len == 0)
        return 0;
    cJSON *v = json_parse(text, BODY_MAX, what, err);
    bool right = array ? cJSON_IsArray(v) : cJSON_IsObject(v);
    cJSON_Delete(v);
    if (!v)
        return ERR_INVALID;
    return right ? 0 : err_set(err, ERR_INVALID, "%s must be a JSON %s", what, array ? "array" : "object");
}

static int check_text(struct slice text, const char *what, struct err *err)
{
    return utf8_valid(text) ? 0 : err_set(err, ERR_INVALID, "the %s is not valid UTF-8", what);
}

static bool is_role(struct slice role)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant", "tool", "function"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (slice_eq(role, slice_str(roles[i])))
            return true;
    return false;
}

static int check_message(const struct llm_message *m, struct err *err)
{
    if (!is_role(m->role))
        return err_set(err, ERR_INVALID, "the role of a message must be system, user, assistant or tool");
    int r = check_text(m->content, "content of a message", err);
    r = r ? r : check_text(m->name, "name in a message", err);
    r = r ? r : check_json(m->parts, "the parts of a message", true, err);
    return r ? r : check_json(m->tool_calls, "the tool calls of a message", true, err);
}

static int check_chat(const struct llm_request *q, struct err *err)
{
    int r = check_text(q->system, "system prompt", err);
    for (int i = 0; r == 0 && i < q->nmessages; i++)
        r = check_message(&q->messages[i], err);
    if (r == 0 && q->nmessages == 0)
        r = err_set(err, ERR_INVALID, "there is no message to send to the model");
    r = r ? r : check_json(q->schema, "the schema", false, err);
    r = r ? r : check_json(q->tools, "tools", true, err);
    return r ? r : check_json(q->params, "PARAMS", false, err);
}

static int may_start(struct llm *l, struct err *err)
{
    if (l->stopping)
        return err_set(err, ERR_STATE, "the server is shutting down");
    if (l->stats.calls >= max_calls)
        return err_set(err, ERR_QUOTA, "%d model calls are under way, as many as llm-max-calls allows; try again later",
                       l->stats.calls);
    return 0;
}

static struct slice name_or(struct slice name, const char *setting, const char *otherwise)
{
    return name.len ? name : slice_str(setting && *setting ? setting : otherwise);
}

struct llm_call *llm_chat_start(struct llm *l, const struct llm_request *q, const struct llm_chat_events *events,
                                void *arg, struct err *err)
{
    struct model *m;
    if (may_start(l, err) < 0 || check_chat(q, err) < 0 ||
        models_pick(&l->models, name_or(q->model, default_chat, "builtin/extract"), MODEL_CHAT, &m, err) < 0)
        return NULL;
    struct llm_call *c = call_create(l, m, &q->caller);
    c->events = *events;
    c->arg = arg;
    c->want_stream = q->stream;
    if (m->provider->local) {
        c->chat = copy_chat(q);
        return start_local(c);
    }
    if (m->provider->chat_body(q, m, &c->body, &c->notes, err) == 0 && prepare(c, m, m->provider->chat_path, err) == 0)
        return start_remote(c, err);
    call_free(c);
    return NULL;
}

static int check_embed(const struct llm_embed_request *q, struct err *err)
{
    if (q->ntexts < 1 || q->ntexts > LLM_EMBED_MAX)
        return err_set(err, ERR_INVALID, "1 to %d texts can be embedded in one call, not %d", LLM_EMBED_MAX, q->ntexts);
    for (int i = 0; i < q->ntexts; i++) {
        if (q->texts[i].len == 0)
            return err_set(err, ERR_INVALID, "an empty text cannot be embedded");
        if (check_text(q->texts[i], "text to embed", err) < 0)
            return ERR_INVALID;
    }
    return 0;
}

struct llm_call *llm_embed_start(struct llm *l, const struct llm_embed_request *q, llm_embed_done *done, void *arg,
                                 struct err *err)
{
    struct model *m;
    if (may_start(l, err) < 0 || check_embed(q, err) < 0 ||
        models_pick(&l->models, name_or(q->model, default_embed, "builtin/hash"), MODEL_EMBED, &m, err) < 0)
        return NULL;
    struct llm_call *c = call_create(l, m, &q->caller);
    c->embedded = done;
    c->arg = arg;
    c->ntexts = q->ntexts;
    if (m->provider->local) {
        c->embed = copy_embed(q);
        return start_local(c);
    }
    if (m->provider->embed_body(q, m, &c->body, &c->notes, err) == 0 && prepare(c, m, m->provider->embed_path, err) == 0)
        return start_remote(c, err);
    call_free(c);
    return NULL;
}

void llm_cancel(struct llm_call *c)
{
    if (c->cancelled)
        return;
    c->cancelled = true;
    if (c->provider->local)
        job_cancel(&c->job);
    else if (c->http)
        http_cancel(c->http);
    else if (c->retry)
        timer_start(c->retry, 0, 0); /* on_retry ends it */
}

const char *llm_call_id(const struct llm_call *c)
{
    return c->id;
}

struct llm_call *llm_call_find(struct llm *l, struct slice id)
{
    return dict_find(&l->by_id, id);
}

static const char *state_of(const struct llm_call *c)
{
    if (c->cancelled)
        return "cancelled";
    if (!c->provider->local && !c->http)
        return "waiting";
    return c->pieces ? "streaming" : "running";
}

void llm_calls(struct llm *l, void (*fn)(void *arg, const struct llm_call_info *i), void *arg)
{
    list_each_safe (n, &l->calls) {
        struct llm_call *c = list_entry(n, struct llm_call, link);
        struct llm_call_info i = {
            .id = c->id,
            .model = c->model,
            .state = state_of(c),
            .kind = c->kind,
            .started_ms = c->started_ms,
            .age_us = clock_mono_us() - c->started_us,
            .pieces = c->pieces,
            .bytes = c->provider->local ? 0 : (int64_t)c->answer.text.len,
            .attempts = c->attempts,
            .tag = slice_str(c->tag),
        };
        fn(arg, &i);
    }
}

void llm_stats(const struct llm *l, struct llm_stats *to)
{
    *to = l->stats;
}

struct models *llm_models(struct llm *l)
{
    return &l->models;
}

struct accounts *llm_accounts(struct llm *l)
{
    return l->accounts;
}

struct idem *llm_idempotency(struct llm *l)
{
    return l->idem;
}

struct llm *llm_create(struct loop *loop, struct http_client *http, struct job_pool *jobs)
{
    struct llm *l = mem_zero(sizeof *l);
    l->loop = loop;
    l->http = http;
    l->jobs = jobs;
    list_init(&l->calls);
    dict_init(&l->by_id, &by_id);
    rng_init(&l->rng);
    models_init(&l->models);
    l->accounts = accounts_create();
    l->idem = idem_create();
    return l;
}

void llm_stop(struct llm *l)
{
    l->stopping = true;
    list_each_safe (n, &l->calls) {
        struct llm_call *c = list_entry(n, struct llm_call, link);
        if (!c->provider->local && !c->http) /* waits for a retry */
            end_call(c, &c->err);
    }
}

void llm_destroy(struct llm *l)
{
    if (!l)
        return;
    assert(list_empty(&l->calls));
    dict_release(&l->by_id);
    models_release(&l->models);
    accounts_destroy(l->accounts);
    idem_destroy(l->idem);
    mem_free(l);
}
