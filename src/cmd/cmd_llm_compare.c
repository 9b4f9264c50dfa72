/* LLM.COMPARE: the same prompts on several models. Models run side by side, the prompts of one model one after the
 * other, so that its times are not those of a queue that the comparison itself has made. */
#include "cmd/cmd_llm.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "cmd/families.h"
#include "cmd/llm_options.h"
#include "cmd/llm_turn.h"
#include "cmd/outbound.h"
#include "llm/llm.h"
#include "llm/money.h"
#include "llm/wire_openai.h"

#define MODELS_MAX  16
#define PROMPTS_MAX 1000
#define SPEC_MAX    (8u << 20)

struct answer {
    struct buf text, error;
    int64_t tokens_in, tokens_out, cost, us, us_first;
    int score; /* 1: what was expected is in it, 0: it is not, -1: nothing was */
};

struct compare;
struct lane {
    struct compare *all;
    const char *model;
    struct answer *answers; /* by prompt */
    int at;                 /* the prompt that is asked */
    struct llm_call *llm;
};

struct compare {
    struct call *call;
    cJSON *spec, *common; /* common: what every body has */
    const cJSON *prompts;
    struct lane lanes[MODELS_MAX];
    int nlanes, nprompts, running;
    struct llm_caller caller;
    char *owner;
    bool cancelled;
};

static void compare_free(struct compare *x)
{
    for (int i = 0; i < x->nlanes; i++) {
        for (int k = 0; k < x->nprompts; k++) {
            buf_release(&x->lanes[i].answers[k].text);
            buf_release(&x->lanes[i].answers[k].error);
        }
        mem_free(x->lanes[i].answers);
    }
    cJSON_Delete(x->spec);
    cJSON_Delete(x->common);
    mem_free(x->owner);
    mem_free(x);
}

/* ---- the report ---- */

static void member(struct buf *to, const char *name, int64_t v)
{
    buf_addf(to, ",\"%s\":%lld", name, (long long)v);
}

static void member_text(struct buf *to, const char *name, struct slice text)
{
    buf_addf(to, ",\"%s\":", name);
    json_quote(to, text);
}

/* Amounts are strings, because JSON's readers make doubles of numbers. */
static void member_cost(struct buf *to, int64_t cost)
{
    char text[MONEY_TEXT];
    if (cost < 0)
        buf_add_str(to, ",\"cost\":null");
    else
        buf_addf(to, ",\"cost\":\"%.*s\"", (int)money_text(text, cost), text);
}

static void write_answer(struct buf *to, const char *model, const struct answer *a)
{
    buf_add_str(to, "{\"model\":");
    json_quote(to, slice_str(model));
    if (a->error.len)
        member_text(to, "error", buf_slice(&a->error));
    else
        member_text(to, "text", buf_slice(&a->text));
    member(to, "ms", a->us / 1000);
    member(to, "first_ms", a->us_first / 1000);
    member(to, "tokens_in", a->tokens_in);
    member(to, "tokens_out", a->tokens_out);
    member_cost(to, a->cost);
    if (a->score >= 0)
        member(to, "score", a->score);
    buf_add_char(to, '}');
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Sums over what was answered; a cost is known when every answer's is. */
static void write_model(struct buf *to, const struct lane *l, int n)
{
    int64_t in = 0, out = 0, cost = 0, *us = mem_alloc(((size_t)n + 1) * sizeof *us);
    int ok = 0, scored = 0, right = 0;
    for (int i = 0; i < n; i++) {
        const struct answer *a = &l->answers[i];
        in += a->tokens_in;
        out += a->tokens_out;
        cost = cost < 0 || (a->cost < 0 && !a->error.len) ? -1 : money_add(cost, a->cost > 0 ? a->cost : 0);
        scored += a->score >= 0;
        right += a->score > 0;
        if (!a->error.len)
            us[ok++] = a->us;
    }
    qsort(us, (size_t)ok, sizeof *us, by_time);
    buf_add_str(to, "{\"model\":");
    json_quote(to, slice_str(l->model));
    member(to, "answered", ok);
    member(to, "failed", n - ok);
    member(to, "tokens_in", in);
    member(to, "tokens_out", out);
    member_cost(to, cost);
    if (ok) {
        member(to, "ms_median", us[ok / 2] / 1000);
        member(to, "ms_most", us[ok - 1] / 1000);
    }
    if (scored)
        buf_addf(to, ",\"score\":%.4g", (double)right / scored);
    buf_add_char(to, '}');
    mem_free(us);
}

static void report(const struct compare *x, struct buf *to)
{
    buf_add_str(to, "{\"models\":[");
    for (int i = 0; i < x->nlanes; i++) {
        buf_add_str(to, i ? "," : "");
        write_model(to, &x->lanes[i], x->nprompts);
    }
    buf_add_str(to, "],\"prompts\":[");
    for (int k = 0; k < x->nprompts; k++) {
        buf_add_str(to, k ? ",{\"answers\":[" : "{\"answers\":[");
        for (int i = 0; i < x->nlanes; i++) {
            buf_add_str(to, i ? "," : "");
            write_answer(to, x->lanes[i].model, &x->lanes[i].answers[k]);
        }
        buf_add_str(to, "]}");
    }
    buf_add_str(to, "]}");
}

static void lane_ended(struct compare *x)
{
    struct buf text = {0};
    if (--x->running > 0)
        return;
    if (x->cancelled) {
        reply_errorf(x->call->reply, "STATE the comparison was cancelled");
    } else {
        report(x, &text);
        reply_bulk(x->call->reply, buf_slice(&text));
    }
    call_resume(x->call);
    buf_release(&text);
    compare_free(x);
}

/* ---- the calls ---- */

/* A prompt is a text, or an object with messages and any other field of a body, and what is expected. */
static cJSON *body_of(const struct compare *x, const char *model, const cJSON *prompt)
{
    cJSON *body = cJSON_Duplicate(x->common, true), *message, *said;
    const cJSON *field;
    if (cJSON_IsString(prompt)) {
        said = cJSON_AddArrayToObject(body, "messages");
        cJSON_AddItemToArray(said, message = cJSON_CreateObject());
        cJSON_AddStringToObject(message, "role", "user");
        cJSON_AddStringToObject(message, "content", prompt->valuestring);
    }
    for (field = cJSON_IsObject(prompt) ? prompt->child : NULL; field; field = field->next) {
        cJSON_DeleteItemFromObjectCaseSensitive(body, field->string);
        if (strcmp(field->string, "expect") != 0)
            cJSON_AddItemToObject(body, field->string, cJSON_Duplicate(field, true));
    }
    cJSON_DeleteItemFromObjectCaseSensitive(body, "model");
    cJSON_AddStringToObject(body, "model", model);
    return body;
}

static void fail(struct answer *a, const struct err *err)
{
    buf_addf(&a->error, "%s %s", err_class(err->code), err->msg);
}

static void judge(const struct lane *l)
{
    struct answer *a = &l->answers[l->at];
    const char *expect = json_str(cJSON_GetArrayItem(l->all->prompts, l->at), "expect", NULL);
    if (expect)
        a->score = strcasestr(buf_cstr(&a->text), expect) != NULL;
}

static void next(struct lane *l);

static void on_done(void *arg, const struct llm_reply *r, const struct err *err)
{
    struct lane *l = arg;
    struct answer *a = &l->answers[l->at];
    l->llm = NULL;
    if (err)
        fail(a, err);
    else
        buf_add(&a->text, r->text.p, r->text.len);
    a->tokens_in = r->facts.tokens_in > 0 ? r->facts.tokens_in : 0;
    a->tokens_out = r->facts.tokens_out > 0 ? r->facts.tokens_out : 0;
    a->cost = r->facts.cost;
    a->us = r->facts.us_total;
    a->us_first = r->facts.us_first;
    judge(l);
    l->at++;
    next(l);
}

/* The next prompt that can be asked; what cannot is an answer, too. */
static void next(struct lane *l)
{
    static const struct llm_chat_events events = {.done = on_done};
    struct compare *x = l->all;
    for (; l->at < x->nprompts && !x->cancelled; l->at++) {
        struct wire_chat w;
        struct err err;
        if (wire_openai_chat_tree(body_of(x, l->model, cJSON_GetArrayItem(x->prompts, l->at)), &w, &err) == 0) {
            w.q.stream = false;
            w.q.caller = x->caller;
            l->llm = llm_chat_start(outbound_llm(), &w.q, &events, l, &err);
        }
        wire_chat_release(&w);
        if (l->llm)
            return;
        fail(&l->answers[l->at], &err);
        judge(l);
    }
    lane_ended(x);
}

static void on_cancel(struct call *c, void *arg)
{
    struct compare *x = arg;
    x->cancelled = true;
    for (int i = 0; i < x->nlanes; i++)
        if (x->lanes[i].llm)
            llm_cancel(x->lanes[i].llm);
}

/* ---- what is asked ---- */

static bool texts_ok(const cJSON *list, int most, bool objects)
{
    const cJSON *v;
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (n < 1 || n > most)
        return false;
    cJSON_ArrayForEach(v, list) if (!(cJSON_IsString(v) && *v->valuestring) &&
                                    !(objects && cJSON_IsObject(v))) return false;
    return true;
}

static bool take_spec(struct call *c, struct compare *x)
{
    struct err err;
    if (!(x->spec = json_parse(call_arg(c, 1), SPEC_MAX, "the comparison", &err))) {
        call_err(c, &err);
        return false;
    }
    const cJSON *models = cJSON_GetObjectItemCaseSensitive(x->spec, "models"), *m;
    x->prompts = cJSON_GetObjectItemCaseSensitive(x->spec, "prompts");
    bool ok = texts_ok(models, MODELS_MAX, false);
    if (!ok || !texts_ok(x->prompts, PROMPTS_MAX, true)) {
        reply_errorf(c->reply,
                     ok ? "INVALID prompts must be an array of 1 to %d texts or objects with messages"
                        : "INVALID models must be an array of 1 to %d names",
                     ok ? PROMPTS_MAX : MODELS_MAX);
        return false;
    }
    x->nprompts = cJSON_GetArraySize(x->prompts);
    cJSON_ArrayForEach(m, models)
    {
        struct lane *l = &x->lanes[x->nlanes++];
        *l = (struct lane){.all = x, .model = m->valuestring};
        l->answers = mem_zero((size_t)x->nprompts * sizeof *l->answers);
        for (int i = 0; i < x->nprompts; i++)
            l->answers[i].cost = l->answers[i].score = -1;
    }
    x->common = cJSON_Duplicate(x->spec, true);
    cJSON_DeleteItemFromObjectCaseSensitive(x->common, "models");
    cJSON_DeleteItemFromObjectCaseSensitive(x->common, "prompts");
    return true;
}

/* The JSON has models (names), prompts (texts, or objects with messages and, if wanted, a text to expect), and whatever
 * else a body of OpenAI's chat completions may have, for all of them. The report has for each model how many it
 * answered, tokens, cost, times and the part of its answers that held what was expected, then every answer.
 *
 * > LLM.COMPARE '{"models":["builtin/extract"],"prompts":[{"messages":[{"role":"user","content":"[1] Delft lies in
 * Holland. Question: Where is Delft?"}],"expect":"holland"}]}' <
 * "{\"models\":[{\"model\":\"builtin/extract\",\"answered\":1,\"failed\":0,*\"score\":1}],\"prompts\":*" > LLM.COMPARE
 * '{"models":[],"prompts":["x"]}' < (error) INVALID models must be an array *
 */
static void compare(struct call *c)
{
    struct compare *x = mem_zero(sizeof *x);
    struct llm_tail tail = {0};
    int last = c->argc;
    x->caller = LLM_REQUEST.caller;
    bool ok = llm_tail_parse(c, 2, &last, &tail, &x->caller);
    if (ok && last > 2) {
        call_syntax(c);
        ok = false;
    }
    if (!ok || !take_spec(c, x)) {
        compare_free(x);
        return;
    }
    x->call = call_park(c, on_cancel, x);
    llm_caller_fill(x->call, &x->caller);
    x->owner = mem_dup(x->caller.owner.len ? x->caller.owner.p : "", x->caller.owner.len);
    x->caller.owner = slice_str(x->owner); /* the user may be gone before the last call is begun */
    x->caller.tag = SLICE("LLM.COMPARE");
    x->running = x->nlanes + 1;
    for (int i = 0; i < x->nlanes; i++)
        next(&x->lanes[i]);
    lane_ended(x);
}

static const struct cmd rows[] = {
    {.name = "llm.compare",
     .run = compare,
     .arity = -2,
     .flags = CMD_MODEL | CMD_BLOCKING,
     .acl = ACL_LLM,
     .syntax = "json [PRIORITY n] [TIMEOUT ms]",
     .summary = "The same prompts on several models: a report with cost and times.",
     .since = "1.0.0",
     .complexity = "one call for each model and prompt"},
};

const struct cmd_family llm_compare_family = CMD_FAMILY("llm", rows);
