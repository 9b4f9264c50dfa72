/* Models: the registry, embeddings, calls under way. LLM.CHAT and LLM.ASK are in cmd_llm_chat.c. */
#include "cmd/cmd_llm.h"

#include "base/log.h"
#include "base/mem.h"
#include "cmd/durable.h"
#include "cmd/effects.h"
#include "cmd/families.h"
#include "cmd/llm_options.h"
#include "cmd/outbound.h"
#include "cmd/secret.h"
#include "llm/llm.h"
#include "llm/tokens.h"

static struct models *models(void)
{
    return llm_models(outbound_llm());
}

/* ---- LLM.MODEL ---- */

/* A change of the registry has no key and no dirty count: its effect is the command itself. */
static void changed(struct call *c, int rc, const struct err *err)
{
    if (rc < 0) {
        call_err(c, err);
        return;
    }
    call_effect(c, c->argc, c->argv);
    reply_ok(c->reply);
}

/* What is kept of LLM.MODEL SET has its keys sealed. Sealed first: a model is not set that could not be kept. */
static void model_set_kept(struct call *c)
{
    struct secret_words kept;
    struct err err;
    if (secret_seal(c->argc, c->argv, &kept, &err) < 0) {
        call_err(c, &err);
        return;
    }
    if (models_set(models(), c->argv + 2, c->argc - 2, &err) < 0) {
        call_err(c, &err);
    } else {
        call_effect(c, kept.n, kept.v);
        reply_ok(c->reply);
    }
    secret_release(&kept);
}

/* A journal may be older than sealing, and hold keys in clear until it is rewritten. */
static void model_replay(struct call *c)
{
    struct secret_words open;
    struct err err;
    secret_open(c->argc, c->argv, &open);
    changed(c, models_set(models(), open.v + 2, open.n - 2, &err), &err);
    secret_release(&open);
}

/* > LLM.MODEL SET mine PROVIDER openai URL http://127.0.0.1:1/v1 ID small KEY env:MY_KEY TIMEOUT 5000
 * < OK
 * > LLM.MODEL LIST
 * < 1) "builtin/extract"
 * < 2) "builtin/hash"
 * < 3) "mine"
 * > LLM.MODEL SET bad PROVIDER nobody
 * < (error) INVALID *
 * > LLM.MODEL DISABLE mine
 * < OK
 * > LLM.ASK "hello" MODEL mine
 * < (error) STATE *
 * > LLM.MODEL DEL mine
 * < OK
 * > LLM.MODEL GET mine
 * < (error) STATE *
 */
static void model_set(struct call *c)
{
    struct err err;
    if (routes_find(llm_routes(outbound_llm()), call_arg(c, 2))) {
        reply_errorf(c->reply, "STATE a route has this name already; routes and models share their names");
        return;
    }
    if (c->flags & CALL_REPLAY)
        model_replay(c);
    else if (secret_is_sealed(c->argc, c->argv))
        reply_errorf(c->reply, "INVALID a KEY that begins with sealed: is from a journal, which alone can bring it "
                               "back; give the key itself");
    else if (!effects_heard())
        changed(c, models_set(models(), c->argv + 2, c->argc - 2, &err), &err);
    else
        model_set_kept(c);
}

static void model_del(struct call *c)
{
    struct err err;
    changed(c, models_del(models(), call_arg(c, 2), &err), &err);
    if (!(c->flags & CALL_REPLAY))
        llm_forget_gone(outbound_llm());
}

static void model_enable(struct call *c)
{
    struct err err;
    bool on = slice_is(call_arg(c, 1), "enable");
    changed(c, models_enable(models(), call_arg(c, 2), on, &err), &err);
}

struct fields {
    struct reply *r;
    size_t n;
};

static void field(void *arg, const char *name, struct slice value)
{
    struct fields *f = arg;
    reply_str(f->r, name);
    reply_bulk(f->r, value);
    f->n++;
}

/* How it does, behind how it is set. */
static void state_fields(void *arg, const struct llm_deployment_info *i)
{
    struct fields *f = arg;
    reply_field_str(f->r, "breaker", i->breaker);
    reply_field_int(f->r, "breaker-open-ms", i->open_ms);
    reply_field_int(f->r, "in-flight", i->in_flight);
    reply_str(f->r, "latency-ms");
    reply_double(f->r, i->latency_ms);
    reply_field_int(f->r, "calls-last-minute", i->minute_calls);
    reply_field_int(f->r, "failures-last-minute", i->minute_failures);
    reply_field_int(f->r, "keys", i->keys);
    reply_field_int(f->r, "keys-resting", i->keys_resting);
    f->n += 8;
}

static void model_get(struct call *c)
{
    struct model *m = models_find(models(), call_arg(c, 2));
    struct fields f = {.r = c->reply};
    if (!m) {
        reply_errorf(c->reply, "STATE there is no model '%.*s'",
                     (int)(call_arg(c, 2).len < 64 ? call_arg(c, 2).len : 64), call_arg(c, 2).p);
        return;
    }
    size_t place = reply_defer(c->reply);
    model_fields(m, field, &f);
    llm_deployment(outbound_llm(), slice_str(m->name), state_fields, &f);
    reply_defer_map(c->reply, place, f.n);
}

static void list_one(void *arg, struct model *m)
{
    struct fields *f = arg;
    reply_str(f->r, m->name);
    f->n++;
}

static void model_list(struct call *c)
{
    struct fields f = {.r = c->reply};
    size_t place = reply_defer(c->reply);
    models_each(models(), list_one, &f);
    reply_defer_array(c->reply, place, f.n);
}

/* ---- LLM.MODEL CHECK: the smallest call that shows that a model answers ---- */

static void check_done(void *arg, const struct llm_reply *reply, const struct err *err)
{
    struct call *c = arg;
    if (err) {
        call_err(c, err);
    } else {
        reply_map(c->reply, 2);
        reply_field_bulk(c->reply, "model-id", reply->facts.model_id);
        reply_field_int(c->reply, "ms", reply->facts.us_total / 1000);
    }
    call_resume(c);
}

static void check_embedded(void *arg, const struct llm_vectors *v, const struct err *err)
{
    struct call *c = arg;
    if (err) {
        call_err(c, err);
    } else {
        reply_map(c->reply, 2);
        reply_field_int(c->reply, "dim", v->dim);
        reply_field_int(c->reply, "ms", v->facts.us_total / 1000);
    }
    call_resume(c);
}

static void check_ranked(void *arg, const struct llm_ranks *ranks, const struct err *err)
{
    struct call *c = arg;
    if (err) {
        call_err(c, err);
    } else {
        reply_map(c->reply, 2);
        reply_field_int(c->reply, "ranked", ranks->n);
        reply_field_int(c->reply, "ms", ranks->facts.us_total / 1000);
    }
    call_resume(c);
}

/* Its vendor is there: more is not asked of speech and transcription. */
static void check_media(void *arg, const struct llm_media *m, const struct err *err)
{
    struct call *c = arg;
    if (err) {
        call_err(c, err);
    } else {
        reply_map(c->reply, 1);
        reply_field_int(c->reply, "ms", m->facts.us_total / 1000);
    }
    call_resume(c);
}

static void model_check(struct call *c)
{
    static const struct llm_checked done = {{.done = check_done}, check_embedded, check_ranked, check_media};
    struct model *m = models_find(models(), call_arg(c, 2));
    struct err err;
    if (!m) {
        model_get(c); /* for its error */
        return;
    }
    struct call *p = call_park(c, NULL, NULL);
    struct llm_call *call = llm_check_start(outbound_llm(), m, &done, p, &err);
    if (!call) {
        call_err(p, &err);
        call_resume(p);
    }
}

/* ---- calls under way ---- */

static void calls_one(void *arg, const struct llm_call_info *i)
{
    struct fields *f = arg;
    reply_map(f->r, 9);
    reply_field_str(f->r, "id", i->id);
    reply_field_str(f->r, "model", i->model);
    reply_field_str(f->r, "route", i->route);
    reply_field_str(f->r, "kind", model_kind_name(i->kind));
    reply_field_str(f->r, "state", i->state);
    reply_field_int(f->r, "ms", i->age_us / 1000);
    reply_field_int(f->r, "pieces", i->pieces);
    reply_field_int(f->r, "attempts", i->attempts);
    reply_field_bulk(f->r, "session", i->tag);
    f->n++;
}

/* > LLM.CALLS
 * < (empty array)
 * > LLM.CANCEL 0190a000-0000-7000-8000-000000000000
 * < (error) STATE there is no such call under way
 */
static void calls(struct call *c)
{
    struct fields f = {.r = c->reply};
    size_t place = reply_defer(c->reply);
    llm_calls(outbound_llm(), calls_one, &f);
    reply_defer_array(c->reply, place, f.n);
}

static void cancel(struct call *c)
{
    struct llm_call *call = llm_call_find(outbound_llm(), call_arg(c, 1));
    if (!call) {
        reply_errorf(c->reply, "STATE there is no such call under way");
        return;
    }
    llm_cancel(call);
    reply_ok(c->reply);
}

/* An estimate, the same that contexts are cut by.
 *
 * > LLM.TOKENS "How many tokens is this?"
 * < (integer) 6
 */
static void tokens(struct call *c)
{
    int at = c->argc == 4 && slice_is(call_arg(c, 1), "model") ? 3 : 1;
    if (at == 1 && c->argc != 2)
        call_syntax(c);
    else
        reply_int(c->reply, tokens_estimate(call_arg(c, at)));
}

/* ---- for the compaction of the journal ---- */

#define EMIT_WORDS_MAX 96 /* a model's, with all its keys */

struct emitting {
    durable_write *write;
    void *to;
    struct slice words[EMIT_WORDS_MAX];
    int n, rc;
};

static void emit_word(void *arg, struct slice word)
{
    struct emitting *e = arg;
    if (e->n < EMIT_WORDS_MAX)
        e->words[e->n++] = slice_of(mem_dup(word.p, word.len), word.len);
}

/* The words were copied: numbers among them live only while they are given. */
static void write_sealed(struct emitting *e)
{
    struct secret_words kept;
    struct err err;
    e->rc = secret_seal(e->n, e->words, &kept, &err);
    if (e->rc < 0) {
        log_warning("the journal cannot be rewritten: %s", err.msg);
    } else {
        e->rc = e->write(e->to, 0, kept.n, kept.v);
        secret_release(&kept);
    }
    for (int i = 2; i < e->n; i++)
        mem_free((char *)e->words[i].p);
}

static void emit_model(void *arg, struct model *m)
{
    struct emitting *e = arg;
    if (m->builtin || e->rc < 0)
        return;
    e->n = 2;
    e->words[0] = SLICE("LLM.MODEL");
    e->words[1] = SLICE("SET");
    model_words(m, emit_word, e);
    write_sealed(e);
    if (!m->enabled && e->rc >= 0)
        e->rc = e->write(e->to, 0, 3, (struct slice[]){SLICE("LLM.MODEL"), SLICE("DISABLE"), slice_str(m->name)});
}

static int emit_models(durable_write *write, void *to)
{
    struct emitting e = {.write = write, .to = to};
    models_each(models(), emit_model, &e);
    return e.rc;
}

void llm_cmd_boot(void)
{
    durable_add_registry(emit_models);
    durable_add_registry(llm_routes_emit);
    llm_info_boot();
}

/* ---- rows ---- */

static const struct cmd model_subs[] = {
    {.name = "set",
     .run = model_set,
     .arity = -5,
     .flags = CMD_REGISTRY | CMD_ADMIN,
     .acl = ACL_LLM,
     .syntax = "name PROVIDER provider [URL base] [ID model-id] [KEY key] [KIND (CHAT|EMBED|RERANK|SPEECH|TRANSCRIBE)] "
               "[PARAMS json] [CONTEXT n] [PRICE in out [CACHED cached]] [RPM n] [TPM n] [CONCURRENCY n] "
               "[BUDGET amount [PER (DAY|MONTH|TOTAL)]] [TIMEOUT ms] [RETRIES n]",
     .summary = "Adds a model or changes one.",
     .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "get",
     .run = model_get,
     .arity = 3,
     .acl = ACL_LLM,
     .syntax = "name",
     .summary = "What is known of a model; a key is never shown.",
     .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "list",
     .run = model_list,
     .arity = 2,
     .acl = ACL_LLM,
     .syntax = "",
     .summary = "The names of all models.",
     .since = "1.0.0",
     .complexity = "O(N log N) where N is the models"},
    {.name = "del",
     .run = model_del,
     .arity = 3,
     .flags = CMD_REGISTRY | CMD_ADMIN,
     .acl = ACL_LLM,
     .syntax = "name",
     .summary = "Removes a model.",
     .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "check",
     .run = model_check,
     .arity = 3,
     .flags = CMD_MODEL | CMD_BLOCKING,
     .acl = ACL_LLM,
     .syntax = "name",
     .summary =
         "Calls a model with a few tokens to see that it answers; for speech and transcription, that its vendor does.",
     .since = "1.0.0",
     .complexity = "one call of the model"},
    {.name = "disable",
     .run = model_enable,
     .arity = 3,
     .flags = CMD_REGISTRY | CMD_ADMIN,
     .acl = ACL_LLM,
     .syntax = "name",
     .summary = "Refuses calls of a model until it is enabled.",
     .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "enable",
     .run = model_enable,
     .arity = 3,
     .flags = CMD_REGISTRY | CMD_ADMIN,
     .acl = ACL_LLM,
     .syntax = "name",
     .summary = "Allows calls of a model again.",
     .since = "1.0.0",
     .complexity = "O(1)"},
};

static const struct cmd rows[] = {
    {.name = "llm.model",
     .arity = -2,
     .acl = ACL_LLM | ACL_SLOW,
     .syntax = "",
     .summary = "The registry of models.",
     .since = "1.0.0",
     .complexity = "Depends on the subcommand.",
     .subs = model_subs,
     .nsubs = sizeof model_subs / sizeof *model_subs},
    {.name = "llm.route",
     .arity = -2,
     .acl = ACL_LLM | ACL_SLOW,
     .syntax = "",
     .summary = "Names that stand for several models.",
     .since = "1.0.0",
     .complexity = "Depends on the subcommand.",
     .subs = llm_route_subs,
     .nsubs = LLM_ROUTE_NSUBS},
    {.name = "llm.chat",
     .run = llm_chat_run,
     .arity = -3,
     .flags = CMD_MODEL | CMD_BLOCKING | CMD_DENYOOM,
     .acl = ACL_LLM | ACL_SESSION,
     .first = 1,
     .last = 1,
     .step = 1,
     .syntax = "session text " LLM_OPTIONS_SYNTAX,
     .summary = "One turn in a session: the reply is the answer.",
     .since = "1.0.0",
     .complexity = "one call of the model"},
    {.name = "llm.ask",
     .run = llm_ask_run,
     .arity = -2,
     .flags = CMD_MODEL | CMD_BLOCKING,
     .acl = ACL_LLM,
     .syntax = "text " LLM_OPTIONS_SYNTAX,
     .summary = "A question without a session.",
     .since = "1.0.0",
     .complexity = "one call of the model"},
    {.name = "llm.raw",
     .run = llm_raw_run,
     .arity = -2,
     .flags = CMD_MODEL | CMD_BLOCKING | CMD_DENYOOM | CMD_MOVABLEKEYS,
     .acl = ACL_LLM | ACL_SESSION,
     .keys = llm_raw_keys,
     .key_spec = "RW access insert @SESSION:2",
     .syntax = "json [SESSION key] [STREAM] [ASYNC] [IDEMPOTENCY token] [PRIORITY n] [TIMEOUT ms]",
     .summary = "A body of OpenAI's chat completions in, that API's reply out.",
     .since = "1.0.0",
     .complexity = "one call of the model"},
    {.name = "llm.embed",
     .run = llm_embed_run,
     .arity = -2,
     .flags = CMD_MODEL | CMD_BLOCKING,
     .acl = ACL_LLM,
     .syntax = "[MODEL name] text... [FORMAT (FP32|VALUES)] [DIM n] [PRIORITY n] [TIMEOUT ms] [WITHMETA]",
     .summary = "Texts to vectors.",
     .since = "1.0.0",
     .complexity = "one call of the model"},
    {.name = "llm.calls",
     .run = calls,
     .arity = 1,
     .acl = ACL_LLM,
     .syntax = "",
     .summary = "The calls under way.",
     .since = "1.0.0",
     .complexity = "O(N) where N is the calls"},
    {.name = "llm.cancel",
     .run = cancel,
     .arity = 2,
     .acl = ACL_LLM,
     .syntax = "id",
     .summary = "Ends a call; its client gets an error.",
     .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "llm.tokens",
     .run = tokens,
     .arity = -2,
     .flags = CMD_FAST,
     .acl = ACL_LLM,
     .syntax = "[MODEL name] text",
     .summary = "About how many tokens a text is.",
     .since = "1.0.0",
     .complexity = "O(N) where N is the bytes"},
};

const struct cmd_family llm_family = CMD_FAMILY("llm", rows);
