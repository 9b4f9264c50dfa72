/* What would surprise: a stream may be answered by a whole JSON body (servers do that for errors, and some ignore
 * "stream"), so what to do with the bytes is decided when the reply's head is there. */
#include "llm/attempt.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "llm/check.h"
#include "llm/deltas.h"
#include "llm/retry_after.h"

#define WHOLE_MAX   (64u << 20) /* of a reply */
#define CONNECT_MS  10000
#define HEADERS_MAX 8 /* that a provider adds */

void attempt_init(struct attempt *a, llm_delta_fn *delta, void (*end)(void *arg), void *arg)
{
    *a = (struct attempt){.delta = delta, .end = end, .arg = arg, .retry_after_ms = -1};
    buf_init(&a->body, LLM_BODY_MAX);
    buf_init(&a->whole, WHOLE_MAX);
    buf_init(&a->request_id, 256);
    llm_answer_init(&a->answer);
}

static void wipe_headers(struct attempt *a) /* they hold the key */
{
    if (a->headers.p)
        explicit_bzero(a->headers.p, a->headers.cap);
    buf_clear(&a->headers);
}

void attempt_release(struct attempt *a)
{
    attempt_forget(a);
    wipe_headers(a);
    buf_release(&a->url);
    buf_release(&a->body);
    buf_release(&a->content_type);
    buf_release(&a->notes);
    buf_release(&a->headers);
    buf_release(&a->whole);
    buf_release(&a->request_id);
    llm_answer_release(&a->answer);
    mem_free(a->model);
    mem_free(a->model_id);
}

void attempt_forget(struct attempt *a)
{
    if (a->parser)
        a->provider->stream_destroy(a->parser);
    a->parser = NULL;
    a->as_stream = false;
    a->media = a->type = (struct slice){0};
    buf_clear(&a->whole);
    buf_clear(&a->request_id);
    llm_answer_release(&a->answer);
    llm_answer_init(&a->answer);
    a->err.code = 0;
    a->failure = LLM_FINE;
    a->sent = a->timed_out = a->tell_no = a->stale = false;
    a->retry_after_ms = -1;
    a->us = 0;
}

/* ---- what is sent ---- */

/* Speech and transcription have no small call: a page of the vendor that costs nothing stands for them. */
static bool is_probe(const struct llm_asked *q)
{
    return asked_caller(q)->check && (q->kind == MODEL_SPEECH || q->kind == MODEL_TRANSCRIBE);
}

/* Texts or documents. */
static int count_of(const struct llm_asked *q)
{
    return q->kind == MODEL_EMBED ? q->embed->ntexts : q->kind == MODEL_RERANK ? q->rerank->ndocs : 1;
}

static int write_body(struct attempt *a, const struct model *m, struct err *err)
{
    const struct llm_provider *p = m->provider;
    switch (a->asked->kind) {
    case MODEL_CHAT: return p->chat_body(a->asked->chat, m, &a->body, &a->notes, err);
    case MODEL_EMBED: return p->embed_body(a->asked->embed, m, &a->body, &a->notes, err);
    case MODEL_RERANK: return p->rerank_body(a->asked->rerank, m, &a->body, &a->notes, err);
    case MODEL_SPEECH: return p->speech_body(a->asked->speech, m, &a->body, &a->notes, err);
    case MODEL_TRANSCRIBE:
        return p->transcribe_body(a->asked->transcribe, m, &a->body, &a->content_type, &a->notes, err);
    }
    return ERR_GENERIC;
}

int attempt_write(struct attempt *a, const struct model *m, const struct llm_asked *asked, struct err *err)
{
    attempt_forget(a); /* by the old provider */
    mem_free(a->model);
    mem_free(a->model_id);
    a->model = mem_strdup(m->name);
    a->model_id = mem_strdup(m->id);
    a->provider = m->provider;
    a->asked = asked;
    a->count = count_of(asked);
    a->stream = asked->kind == MODEL_CHAT && asked->chat->stream;
    if (m->provider->local)
        return 0;
    buf_clear(&a->url);
    buf_clear(&a->body);
    buf_clear(&a->notes);
    buf_clear(&a->content_type);
    const char *path = llm_model_path(m);
    if (!path)
        return err_set(err, ERR_STATE, "provider %s has no models of this kind", m->provider->name);
    a->probe = is_probe(asked);
    if (a->probe) {
        llm_provider_url(m, m->provider->probe_path ? m->provider->probe_path : "", &a->url);
        return 0;
    }
    llm_provider_url(m, path, &a->url);
    int r = write_body(a, m, err);
    if (r == 0 && a->body.full)
        r = err_set(err, ERR_INVALID, "a request of more than %u MB cannot be sent to a model", LLM_BODY_MAX >> 20);
    return r;
}

/* ---- the end ---- */

static void finish(struct attempt *a)
{
    a->running = false;
    a->http = NULL;
    a->us = clock_mono_us() - a->started_us;
    wipe_headers(a);
    a->end(a->arg);
}

static void give_text(struct attempt *a, struct slice text)
{
    struct llm_delta d = {.kind = LLM_DELTA_TEXT, .text = text};
    a->delta(a->arg, &d);
}

/* ---- local models ---- */

static struct attempt *of_job(struct job *j)
{
    return (struct attempt *)((char *)j - offsetof(struct attempt, job));
}

static void run_local(struct job *j)
{
    struct attempt *a = of_job(j);
    if (a->asked->kind == MODEL_CHAT)
        a->provider->chat_local(a->asked->chat, a->model_id, &a->answer, &a->err);
    else
        a->provider->embed_local(a->asked->embed, a->model_id, &a->answer, j, &a->err);
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
    struct attempt *a = of_job(j);
    if (job_cancelled(j))
        err_set(&a->err, ERR_CANCELLED, "the call was cancelled");
    struct slice rest = buf_slice(&a->answer.text);
    while (a->err.code == 0 && a->stream && rest.len && !job_cancelled(j)) {
        size_t n = piece_length(rest);
        give_text(a, slice_of(rest.p, n));
        rest = slice_of(rest.p + n, rest.len - n);
    }
    finish(a);
}

/* ---- remote models: errors ---- */

/* What an HTTP status means to whoever asked. */
static void status_error(struct attempt *a, int status, struct slice body)
{
    struct llm_failure f;
    llm_failure_init(&f);
    a->provider->failure(a->provider, status, body, &f);
    a->failure = f.class;
    const char *colon = f.text.len ? ": " : "", *text = f.text.len ? buf_cstr(&f.text) : "";
    if (status < 400)
        err_set(&a->err, ERR_UPSTREAM, "the provider of model '%.60s' answered with status %d; check the model's URL",
                a->model, status);
    else if (f.class == LLM_AUTH)
        err_set(&a->err, ERR_UPSTREAM, "the provider refused the key of model '%.60s' (%d)%s%s", a->model, status,
                colon, text);
    else if (f.class == LLM_CREDIT)
        err_set(&a->err, ERR_QUOTA, "the account behind model '%.60s' has no credit left (%d)%s%s", a->model, status,
                colon, text);
    else if (f.class == LLM_RATE)
        err_set(&a->err, ERR_QUOTA, "the provider of model '%.60s' says that it gets too many requests (%d)%s%s",
                a->model, status, colon, text);
    else if (f.class == LLM_TRANSIENT)
        err_set(&a->err, ERR_UPSTREAM, "the provider of model '%.60s' failed (%d)%s%s", a->model, status, colon, text);
    else
        err_set(&a->err, ERR_INVALID, "the provider of model '%.60s' did not accept the request (%d)%s%s", a->model,
                status, colon, text);
    llm_failure_release(&f);
}

static void name_the_model(struct attempt *a)
{
    struct err plain = a->err;
    err_set(&a->err, plain.code, "model '%.60s': %s", a->model, plain.msg);
}

/* A reply that is none, or an error in a good one: the vendor's fault unless it said another class. */
static void bad_reply(struct attempt *a)
{
    a->failure = a->answer.failure != LLM_FINE ? a->answer.failure : LLM_TRANSIENT;
    name_the_model(a);
}

static void transfer_error(struct attempt *a, const struct http_end *e)
{
    a->failure = LLM_TRANSIENT;
    a->timed_out = e->timed_out;
    a->stale = e->stale;
    if (e->timed_out && clock_mono_ms() + 1 >= a->until_ms) {
        err_set(&a->err, ERR_UPSTREAM,
                a->answer.text.len ? "the answer of model '%.60s' was not complete after %d ms"
                                   : "model '%.60s' did not answer within %d ms",
                a->model, a->said_ms);
        return;
    }
    /* Before a reply began the client knows what may pass; a reply that broke off may be whole the next time. */
    a->tell_no = e->status == 0 && !e->may_retry;
    a->err = e->err;
    name_the_model(a);
}

/* ---- remote models: the transfer ---- */

static bool is_event_stream(const struct llm_provider *p, struct slice head)
{
    struct slice type = http_header(head, "content-type");
    return type.len == 0 || memmem(type.p, type.len, p->stream_type, strlen(p->stream_type)) ||
           !(memmem(type.p, type.len, "json", 4) || memmem(type.p, type.len, "html", 4));
}

static void on_head(void *arg, int status, struct slice head)
{
    struct attempt *a = arg;
    a->as_stream = a->stream && status >= 200 && status < 300 && is_event_stream(a->provider, head);
    if (a->as_stream)
        a->parser = a->provider->stream_create(a->provider, &a->answer, a->delta, a->arg);
}

static void on_piece(void *arg, struct slice bytes)
{
    struct attempt *a = arg;
    if (a->err.code)
        return;
    if (!a->as_stream)
        buf_add(&a->whole, bytes.p, bytes.len);
    else if (a->provider->stream_feed(a->parser, bytes, &a->err) < 0 && a->http)
        http_cancel(a->http); /* what is wrong is in a->err */
}

static int read_media(struct attempt *a, struct slice body, struct slice head, struct err *err)
{
    a->media = body;
    a->type = http_header(head, "content-type");
    if (a->asked->kind == MODEL_SPEECH)
        return body.len ? 0 : err_set(err, ERR_UPSTREAM, "the provider sent no audio");
    return a->provider->transcribe_whole(a->provider, body, a->type, &a->answer, err);
}

static void give_answer(struct attempt *a)
{
    struct llm_reply whole = {.text = buf_slice(&a->answer.text),
                              .reasoning = buf_slice(&a->answer.reasoning),
                              .thinking = buf_slice(&a->answer.thinking),
                              .tool_calls = buf_slice(&a->answer.tool_calls)};
    llm_deltas_of(&whole, a->delta, a->arg);
}

static int read_reply(struct attempt *a, struct slice body, struct slice head, struct err *err)
{
    const struct llm_provider *p = a->provider;
    if (a->as_stream)
        return p->stream_end(a->parser, err);
    switch (a->asked->kind) {
    case MODEL_CHAT: break;
    case MODEL_EMBED: return p->embed_whole(p, body, a->count, &a->answer, err);
    case MODEL_RERANK: return p->rerank_whole(p, body, a->count, &a->answer, err);
    case MODEL_SPEECH:
    case MODEL_TRANSCRIBE: return read_media(a, body, head, err);
    }
    int r = p->chat_whole(p, body, &a->answer, err);
    if (r == 0 && a->stream) /* it was to be a stream */
        give_answer(a);
    return r;
}

static void read_head(struct attempt *a, const struct http_end *e)
{
    struct slice id = http_header(e->head, "x-request-id");
    if (id.len == 0)
        id = http_header(e->head, "request-id");
    buf_clear(&a->request_id);
    buf_add(&a->request_id, id.p, utf8_cut(id, 200));
    a->tell_no = slice_is(http_header(e->head, "x-should-retry"), "false");
}

/* A vendor that answers is there, though perhaps it has no such page; but not one that refuses the key, or fails. */
static bool is_there(const struct attempt *a, int status)
{
    bool no_page = status >= 400 && llm_class_of_status(status) == LLM_BAD;
    return a->probe && ((status >= 200 && status < 300) || no_page);
}

static void on_end(void *arg, const struct http_end *e)
{
    struct attempt *a = arg;
    struct slice body = a->stream ? buf_slice(&a->whole) : e->body;
    a->sent = e->sent;
    read_head(a, e);
    if (a->err.code)
        bad_reply(a);
    else if (e->err.code == ERR_CANCELLED)
        a->err = e->err;
    else if (e->err.code)
        transfer_error(a, e);
    else if (is_there(a, e->status))
        a->failure = LLM_FINE;
    else if (e->status < 200 || e->status >= 300)
        status_error(a, e->status, body);
    else if (read_reply(a, body, e->head, &a->err) < 0)
        bad_reply(a);
    a->retry_after_ms = retry_after(e->head, a->failure == LLM_RATE, clock_wall_ms());
    if (a->err.code)
        echo_hide(&a->echo, a->err.msg);
    finish(a);
}

static const struct http_ops transfer_ops = {on_head, on_piece, on_end};

/* The provider's lines, cut apart by zeros. */
static void split_headers(struct attempt *a, const char **to)
{
    int n = 0;
    for (size_t i = 0; i < a->headers.len; i++)
        a->headers.p[i] = a->headers.p[i] == '\n' ? 0 : a->headers.p[i];
    for (size_t at = 0; at < a->headers.len && n < HEADERS_MAX; at += strlen(a->headers.p + at) + 1)
        to[n++] = a->headers.p + at;
    to[n] = NULL;
}

static int start_remote(struct attempt *a, struct http_client *http, struct slice key, struct err *err)
{
    int64_t left = a->until_ms - clock_mono_ms();
    struct buf type = {0};
    buf_addf(&type, "Content-Type: %s", a->content_type.len ? buf_cstr(&a->content_type) : "application/json");
    const char *accept = a->stream                        ? "Accept: text/event-stream"
                         : a->asked->kind == MODEL_SPEECH ? "Accept: */*"
                                                          : "Accept: application/json";
    const char *headers[HEADERS_MAX + 3] = {a->probe ? "Accept: */*" : buf_cstr(&type), accept};
    wipe_headers(a);
    a->provider->headers(a->provider, &a->headers, key);
    a->echo = echo_of(key);
    split_headers(a, headers + 2);
    struct http_request q = {
        .method = a->probe ? "GET" : "POST",
        .url = buf_cstr(&a->url),
        .headers = headers,
        .body = buf_slice(&a->body),
        .connect_ms = left < CONNECT_MS ? (int)(left > 0 ? left : 1) : CONNECT_MS,
        .timeout_ms = (int)(left > 0 ? left : 1),
        .max_reply = WHOLE_MAX,
        .allow_private = true, /* whoever may set models says where they are */
        .stream = a->stream,
    };
    int r = http_start(http, &q, &transfer_ops, a, &a->http, err);
    wipe_headers(a);
    buf_release(&type);
    return r;
}

int attempt_start(struct attempt *a, struct http_client *http, struct job_pool *jobs, struct slice key,
                  int64_t until_ms, int said_ms, struct err *err)
{
    attempt_forget(a);
    a->until_ms = until_ms;
    a->said_ms = said_ms;
    a->started_us = clock_mono_us();
    if (!a->provider->local) {
        int r = start_remote(a, http, key, err);
        a->running = r == 0;
        return r;
    }
    a->running = true;
    memset(&a->job, 0, sizeof a->job);
    a->job.run = run_local;
    a->job.done = local_done;
    job_submit(jobs, &a->job);
    return 0;
}

bool attempt_hold(struct attempt *a, bool on)
{
    if (!a->running || a->provider->local || !a->http)
        return false;
    http_hold(a->http, on);
    return true;
}

void attempt_cancel(struct attempt *a)
{
    if (!a->running)
        return;
    if (a->provider->local)
        job_cancel(&a->job);
    else if (a->http)
        http_cancel(a->http);
}
