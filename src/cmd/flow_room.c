/* The host of flows. Models are called through llm/; everything in the keyspace through commands. */
#include "cmd/flow_room.h"

#include "base/mem.h"
#include "cmd/call.h"
#include "cmd/durable.h"
#include "cmd/outbound.h"
#include "cmd/inside.h"
#include "flow/flow.h"
#include "flow/registry.h"
#include "flow/run.h"
#include "llm/llm.h"

/* ---- commands ---- */

static void *exec(struct db *db, struct user *user, int argc, const struct slice *argv,
                  void (*done)(void *arg, struct slice reply), void *arg)
{
    return call_inside_async(db, user, argc, argv, 2, done, arg);
}

static void exec_cancel(void *handle)
{
    call_inside_cancel(handle);
}

/* ---- models ---- */

struct chat {
    const struct flow_chat_ops *ops;
    void *arg;
};

static void on_delta(void *arg, const struct llm_delta *d)
{
    struct chat *x = arg;
    if (d->kind == LLM_DELTA_TEXT)
        x->ops->piece(x->arg, d->text);
}

static void on_done(void *arg, const struct llm_reply *reply, const struct err *err)
{
    struct chat *x = arg;
    struct flow_chat_end end = {0};
    char *model = NULL, *finish = NULL;
    if (err) {
        end.err = *err;
    } else {
        end.text = reply->text;
        end.model = model = mem_dup(reply->facts.model.p, reply->facts.model.len);
        end.finish = finish = mem_dup(reply->finish.p, reply->finish.len);
        end.tokens_in = reply->facts.tokens_in;
        end.tokens_out = reply->facts.tokens_out;
    }
    x->ops->end(x->arg, &end);
    mem_free(model);
    mem_free(finish);
    mem_free(x);
}

static void fill_params(struct llm_request *q, const cJSON *params, struct slice *stop)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(params, "stop"), *e;
    q->temperature = json_num(params, "temperature", q->temperature);
    q->top_p = json_num(params, "top_p", q->top_p);
    q->max_tokens = (int64_t)json_num(params, "max_tokens", 0);
    q->has_seed = cJSON_GetObjectItemCaseSensitive(params, "seed") != NULL;
    q->seed = (int64_t)json_num(params, "seed", 0);
    cJSON_ArrayForEach(e, list) stop[q->nstop++] = slice_str(e->valuestring);
    q->stop = stop;
}

static int chat(const struct flow_chat *c, const struct flow_chat_ops *ops, void *arg, void **handle, struct err *err)
{
    static const struct llm_chat_events events = {on_delta, on_done};
    struct llm_request q = LLM_REQUEST;
    const cJSON *m;
    int n = 0, stops = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(c->params, "stop"));
    struct llm_message *messages = mem_zero((size_t)(cJSON_GetArraySize(c->messages) + 1) * sizeof *messages);
    struct slice *stop = mem_zero((size_t)(stops + 1) * sizeof *stop);
    cJSON_ArrayForEach(m, c->messages) messages[n++] = (struct llm_message){
        .role = slice_str(json_str(m, "role", "user")), .content = slice_str(json_str(m, "content", ""))};
    q.model = slice_str(c->model);
    q.messages = messages;
    q.nmessages = n;
    q.stream = true;
    q.caller.tag = SLICE("flow");
    fill_params(&q, c->params, stop);
    struct chat *x = mem_zero(sizeof *x);
    *x = (struct chat){ops, arg};
    *handle = llm_chat_start(outbound_llm(), &q, &events, x, err);
    mem_free(messages);
    mem_free(stop);
    if (*handle)
        return 0;
    mem_free(x);
    return err->code;
}

static void chat_cancel(void *handle)
{
    llm_cancel(handle);
}

/* ---- the room ---- */

struct emitting {
    durable_write *write;
    void *to;
    int rc;
};

static void emit_entry(void *arg, const struct flow_entry *e)
{
    struct emitting *x = arg;
    struct slice argv[] = {SLICE("FLOW.SET"), slice_str(e->name), slice_of(e->text, e->text_len)};
    if (x->rc >= 0)
        x->rc = x->write(x->to, 0, 3, argv);
}

static int emit_flows(durable_write *write, void *to)
{
    struct emitting x = {write, to, 0};
    flow_registry_each(emit_entry, &x);
    return x.rc;
}

void flow_room_settings(void)
{
    flow_boot_settings();
}

void flow_room_open(struct loop *l, struct job_pool *pool)
{
    static struct flow_host host;
    host = (struct flow_host){.loop = l,
                              .jobs = pool,
                              .http = outbound_http(),
                              .exec = exec,
                              .exec_cancel = exec_cancel,
                              .chat = chat,
                              .chat_cancel = chat_cancel};
    flow_boot(&host);
    durable_add_registry(emit_flows);
}

void flow_room_stop(void)
{
    runs_cancel_all();
}

void flow_room_close(void)
{
    flow_shutdown();
}
