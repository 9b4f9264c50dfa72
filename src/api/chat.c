/* /v1/chat/completions: whole answers and streams, with or without a session.
 *
 * A stream's head is sent with its first piece, so that what fails before it has the status of its error, and clients
 * may try again. What fails later is an error event. A client that names a session (header x-skald-session, or
 * "session" in the body's metadata) sends only what is new; the rest is here. */
#include <stdio.h>
#include <string.h>

#include "api/door.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "llm/wire_openai.h"

struct chat {
    struct door d;
    struct gateway_turn *turn; /* NULL: no session */
    struct slice model;        /* as it was asked for, a copy */
    int64_t created;
    char name[sizeof "chatcmpl-" + ID_LEN]; /* what the answer is called */
    bool stream, begun, slow;
    bool include_usage;
    struct wire_openai_stream out;
};

static void chat_free(struct chat *c)
{
    if (c->begun)
        wire_openai_stream_release(&c->out);
    door_end(&c->d);
    mem_free((char *)c->model.p);
    mem_free(c);
}

static struct wire_head head_of(const struct chat *c, const struct llm_facts *f)
{
    return (struct wire_head){
        .id = slice_str(c->name), .model = c->model.len || !f ? c->model : f->model, .created = c->created};
}

/* ---- the answer ---- */

static void emit(void *arg, struct slice type, struct slice json)
{
    struct chat *c = arg;
    if (type.len) {
        httpd_stream_add(c->d.r, SLICE("event: "));
        httpd_stream_add(c->d.r, type);
        httpd_stream_add(c->d.r, SLICE("\n"));
    }
    httpd_stream_add(c->d.r, SLICE("data: "));
    httpd_stream_add(c->d.r, json);
    httpd_stream_add(c->d.r, SLICE("\n\n"));
}

static void begin_stream(struct chat *c, const struct llm_facts *facts)
{
    struct wire_head head = head_of(c, facts);
    if (c->begun)
        return;
    c->begun = true;
    door_headers(&c->d, facts);
    httpd_add_header(c->d.r, "Cache-Control", "no-cache");
    httpd_add_header(c->d.r, "X-Accel-Buffering", "no");
    wire_openai_stream_init(&c->out, &head, c->include_usage, emit, c);
    httpd_stream_begin(c->d.r, 200, "text/event-stream; charset=utf-8");
}

static void on_delta(void *arg, const struct llm_delta *d)
{
    struct chat *c = arg;
    if (c->d.gone || c->slow)
        return;
    begin_stream(c, NULL);
    wire_openai_stream_delta(&c->out, d);
    if (httpd_stream_waiting(c->d.r) <= (size_t)api_stream_max)
        return;
    log_notice("the call %s is ended: its HTTP client leaves more than http-stream-buffer unread", c->d.id);
    c->slow = true;
    llm_cancel(c->d.llm);
}

static void end_stream(struct chat *c, const struct llm_reply *reply, const struct err *failed)
{
    begin_stream(c, &reply->facts);
    if (c->slow) {
        httpd_stream_cut(c->d.r);
        return;
    }
    if (failed) {
        struct buf error = {0};
        door_error_json(&c->d, failed, reply->facts.failure, NULL, &error);
        emit(c, SLICE(""), buf_slice(&error));
        buf_release(&error);
    } else {
        wire_openai_stream_end(&c->out, reply);
        httpd_stream_add(c->d.r, SLICE("data: [DONE]\n\n"));
    }
    httpd_stream_end(c->d.r);
}

static void reply_whole(struct chat *c, const struct llm_reply *reply)
{
    struct buf body = {0};
    struct wire_head head = head_of(c, &reply->facts);
    wire_openai_reply(&head, reply, &body);
    door_reply(&c->d, &reply->facts, "application/json", &body);
}

static void on_done(void *arg, const struct llm_reply *reply, const struct err *failed)
{
    struct chat *c = arg;
    struct err err;
    c->d.llm = NULL;
    const char *why = c->d.gone || c->slow ? "client" : failed && failed->code == ERR_CANCELLED ? "cancel" : "upstream";
    if (c->turn && api_gate->turn_end(c->turn, reply, failed, why, &err) < 0 && !failed)
        failed = &err;
    if (c->begun || (c->stream && !failed))
        end_stream(c, reply, failed);
    else if (failed)
        door_fail(&c->d, failed, &reply->facts, NULL);
    else
        reply_whole(c, reply);
    chat_free(c);
}

/* ---- the question ---- */

static const char *take_session(const struct chat *c, cJSON *root, cJSON **owner)
{
    const char *named = httpd_header(c->d.r, "x-skald-session");
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(root, "metadata");
    *owner = cJSON_DetachItemFromObjectCaseSensitive(metadata, "session");
    if (*owner && !metadata->child)
        cJSON_DeleteItemFromObjectCaseSensitive(root, "metadata");
    return named ? named : cJSON_GetStringValue(*owner);
}

static struct llm_call *start(struct chat *c, struct wire_chat *w, struct slice session, struct err *err)
{
    static const struct llm_chat_events events = {.delta = on_delta, .done = on_done};
    if (session.p) {
        c->turn = api_gate->turn_begin(session, &w->q, err);
        if (!c->turn)
            return NULL;
        w->q.caller.tag = w->q.caller.sticky = session;
    } else {
        w->q.caller.sticky = w->q.end_user;
    }
    struct llm_call *call = llm_chat_start(api_gate->llm(), &w->q, &events, c, err);
    if (c->turn && call)
        api_gate->turn_started(c->turn);
    else if (c->turn)
        api_gate->turn_end(c->turn, NULL, err, "", NULL);
    return call;
}

/* False: an error was replied. */
static bool ask(struct chat *c, cJSON *root, struct slice session)
{
    struct wire_chat w = {0};
    struct err err;
    bool ok = false;
    if (wire_openai_chat_tree(root, &w, &err) < 0) {
        door_fail(&c->d, &err, NULL, w.body.param);
    } else if (door_caller(&c->d, &w.q.caller)) {
        c->stream = w.q.stream;
        c->include_usage = w.include_usage;
        c->model = slice_of(mem_dup(w.q.model.p, w.q.model.len), w.q.model.len);
        ok = door_started(&c->d, start(c, &w, session, &err), &err);
    }
    wire_chat_release(&w);
    return ok;
}

static void completions(struct httpd_req *r)
{
    struct chat *c = mem_zero(sizeof *c);
    cJSON *root = NULL, *owner = NULL;
    bool ok = false;
    if (door_begin(&c->d, r, "chat", DOOR_OPENAI) && (root = door_json(&c->d))) {
        const char *name = take_session(c, root, &owner);
        struct slice session = name ? slice_str(name) : (struct slice){0};
        c->created = clock_wall_ms() / 1000;
        if (door_may(&c->d, name ? "llm.chat" : "llm.ask", session))
            ok = ask(c, root, session);
        else
            cJSON_Delete(root);
    }
    cJSON_Delete(owner);
    if (ok)
        snprintf(c->name, sizeof c->name, "chatcmpl-%s", c->d.id);
    else
        chat_free(c);
}

static const struct api_route rows[] = {
    {"POST", "/v1/chat/completions", completions},
};

const struct api_family api_chat = API_FAMILY(rows);
