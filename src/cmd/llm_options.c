#include "cmd/llm_options.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "llm/idempotency.h"

/* A JSON object, checked here so that the sentence is ours and not the provider's. */
static bool json_object(struct call *c, struct slice text, const char *what)
{
    struct err err;
    cJSON *v = json_parse(text, 1u << 20, what, &err);
    bool ok = cJSON_IsObject(v);
    if (!v)
        call_err(c, &err);
    else if (!ok)
        reply_errorf(c->reply, "INVALID %s must be a JSON object", what);
    cJSON_Delete(v);
    return ok;
}

static bool number(struct call *c, struct slice v, const char *what, double min, double max, double *to)
{
    if (num_to_double(v, to) && *to >= min && *to <= max)
        return true;
    reply_errorf(c->reply, "INVALID %s must be a number from %g to %g", what, min, max);
    return false;
}

static bool integer(struct call *c, struct slice v, const char *what, int64_t min, int64_t max, int64_t *to)
{
    if (num_to_i64(v, to) && *to >= min && *to <= max)
        return true;
    reply_errorf(c->reply, "INVALID %s must be a whole number from %lld to %lld", what, (long long)min, (long long)max);
    return false;
}

static bool text(struct call *c, struct slice v, const char *what, struct slice *to)
{
    *to = v;
    if (utf8_valid(v))
        return true;
    reply_errorf(c->reply, "INVALID %s is not valid UTF-8", what);
    return false;
}

static bool begins(struct slice s, const char *with)
{
    return s.len >= strlen(with) && memcmp(s.p, with, strlen(with)) == 0;
}

const char *llm_image_type(struct slice b)
{
    if (begins(b, "\x89PNG\r\n"))
        return "image/png";
    if (begins(b, "\xff\xd8\xff"))
        return "image/jpeg";
    if (begins(b, "GIF87a") || begins(b, "GIF89a"))
        return "image/gif";
    return b.len > 12 && begins(b, "RIFF") && memcmp(b.p + 8, "WEBP", 4) == 0 ? "image/webp" : NULL;
}

struct llm_message llm_message_of(const struct session_msg *m)
{
    return (struct llm_message){
        .role = slice_str(session_role_name(m->role)),
        .content = m->content,
        .parts = m->content_parts,
        .name = m->name,
        .tool_calls = m->tool_calls,
        .tool_call_id = m->tool_call_id,
        .reasoning = m->reasoning,
        .thinking = m->thinking,
    };
}

/* ---- options with a value behind them: false, the error is replied ---- */

bool llm_timeout_parse(struct call *c, struct slice v, struct llm_caller *to)
{
    int64_t n = 0;
    bool ok = integer(c, v, "TIMEOUT", 1, 24 * 3600 * 1000, &n);
    to->timeout_ms = (int)n;
    return ok;
}

bool llm_token_parse(struct call *c, struct slice v, struct slice *to)
{
    *to = v;
    if (v.len && v.len <= IDEM_TOKEN_MAX)
        return true;
    reply_errorf(c->reply, "INVALID IDEMPOTENCY takes a token of 1 to %d bytes", IDEM_TOKEN_MAX);
    return false;
}

bool llm_priority_parse(struct call *c, struct slice v, struct llm_caller *to)
{
    int64_t n = LLM_PRIORITY;
    bool ok = integer(c, v, "PRIORITY", 0, LLM_PRIORITY_LAST, &n);
    to->priority = (int)n;
    return ok;
}

static bool timeout(struct call *c, struct slice v, struct llm_options *o)
{
    return llm_timeout_parse(c, v, &o->q.caller);
}

static bool priority(struct call *c, struct slice v, struct llm_options *o)
{
    return llm_priority_parse(c, v, &o->q.caller);
}

static bool token(struct call *c, struct slice v, struct llm_options *o)
{
    return llm_token_parse(c, v, &o->token);
}

static bool model(struct call *c, struct slice v, struct llm_options *o)
{
    return text(c, v, "MODEL", &o->q.model);
}

static bool prompt(struct call *c, struct slice v, struct llm_options *o)
{
    return text(c, v, "SYSTEM", &o->q.system);
}

static bool temperature(struct call *c, struct slice v, struct llm_options *o)
{
    return number(c, v, "TEMPERATURE", 0, 2, &o->q.temperature);
}

static bool top_p(struct call *c, struct slice v, struct llm_options *o)
{
    return number(c, v, "TOP-P", 0, 1, &o->q.top_p);
}

static bool max_tokens(struct call *c, struct slice v, struct llm_options *o)
{
    return integer(c, v, "MAX-TOKENS", 1, 1 << 24, &o->q.max_tokens);
}

static bool seed(struct call *c, struct slice v, struct llm_options *o)
{
    o->q.has_seed = true;
    return integer(c, v, "SEED", INT64_MIN, INT64_MAX, &o->q.seed);
}

static bool params(struct call *c, struct slice v, struct llm_options *o)
{
    o->q.params = v;
    return json_object(c, v, "PARAMS");
}

static bool end_user(struct call *c, struct slice v, struct llm_options *o)
{
    return text(c, v, "USER", &o->q.end_user);
}

static bool stop(struct call *c, struct slice v, struct llm_options *o)
{
    struct llm_request *q = &o->q;
    if (q->nstop == LLM_STOPS_MAX) {
        reply_errorf(c->reply, "INVALID at most %d STOP texts", LLM_STOPS_MAX);
        return false;
    }
    q->stop = o->stops;
    return text(c, v, "STOP", &o->stops[q->nstop++]);
}

static bool image(struct call *c, struct slice v, struct llm_options *o)
{
    bool url = begins(v, "http://") || begins(v, "https://") || begins(v, "data:image/");
    if (o->nimages == LLM_IMAGES_MAX) {
        reply_errorf(c->reply, "INVALID at most %d images", LLM_IMAGES_MAX);
        return false;
    }
    if (!llm_image_type(v) && !(url && utf8_valid(v))) {
        reply_errorf(c->reply, "INVALID IMAGE takes an http, https or data:image URL, or the bytes of a PNG, JPEG, GIF "
                               "or WebP image");
        return false;
    }
    o->images[o->nimages++] = v;
    return true;
}

static bool tools(struct call *c, struct slice v, struct llm_options *o)
{
    struct err err;
    cJSON *list = json_parse(v, 4u << 20, "TOOLS", &err);
    bool ok = cJSON_IsArray(list) && list->child;
    for (const cJSON *tool = ok ? list->child : NULL; tool && ok; tool = tool->next)
        ok = cJSON_IsObject(tool);
    if (!list)
        call_err(c, &err);
    else if (!ok)
        reply_errorf(c->reply, "INVALID TOOLS must be a JSON array of tools as OpenAI's API takes them");
    cJSON_Delete(list);
    o->q.tools = v;
    return ok;
}

/* auto, none, required, an object as OpenAI's API takes it, or the name of the one tool. */
static bool tool_choice(struct call *c, struct slice v, struct llm_options *o)
{
    struct slice name;
    bool word = slice_is(v, "auto") || slice_is(v, "none") || slice_is(v, "required");
    buf_clear(&o->choice);
    if (v.len && v.p[0] == '{') {
        if (!json_object(c, v, "TOOL-CHOICE"))
            return false;
        buf_add(&o->choice, v.p, v.len);
    } else if (!v.len || !text(c, v, "TOOL-CHOICE", &name)) {
        if (!v.len)
            reply_errorf(c->reply, "INVALID TOOL-CHOICE takes auto, none, required, a tool's name or a JSON object");
        return false;
    } else if (word) {
        buf_addf(&o->choice, "\"%s\"", slice_is(v, "auto") ? "auto" : slice_is(v, "none") ? "none" : "required");
    } else {
        buf_add_str(&o->choice, "{\"type\":\"function\",\"function\":{\"name\":");
        json_quote(&o->choice, v);
        buf_add_str(&o->choice, "}}");
    }
    return true;
}

static bool effort(struct call *c, struct slice v, struct llm_options *o)
{
    static const char *const words[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (slice_is(v, words[i])) {
            o->q.effort = slice_str(words[i]);
            return true;
        }
    reply_errorf(c->reply, "INVALID EFFORT takes none, minimal, low, medium, high, xhigh or max");
    return false;
}

static const struct {
    const char *word;
    bool (*take)(struct call *c, struct slice v, struct llm_options *o);
} valued[] = {
    {"model", model},
    {"system", prompt},
    {"temperature", temperature},
    {"top-p", top_p},
    {"max-tokens", max_tokens},
    {"stop", stop},
    {"seed", seed},
    {"image", image},
    {"tools", tools},
    {"tool-choice", tool_choice},
    {"effort", effort},
    {"user", end_user},
    {"params", params},
    {"timeout", timeout},
    {"priority", priority},
    {"idempotency", token},
};

/* ---- all of them ---- */

static bool flag(struct slice o, struct llm_options *to)
{
    if (slice_is(o, "stream"))
        return to->stream = to->q.stream = true;
    if (slice_is(o, "async"))
        return to->async = true;
    if (slice_is(o, "withmeta"))
        return to->meta = true;
    if (slice_is(o, "json"))
        return to->q.json = true;
    return false;
}

/* JSON may have a schema behind it. */
static bool schema(struct call *c, int *i, struct llm_options *o)
{
    if (!slice_is(call_arg(c, *i), "json") || *i + 1 == c->argc || !begins(call_arg(c, *i + 1), "{"))
        return true;
    o->q.schema = call_arg(c, ++*i);
    return json_object(c, o->q.schema, "JSON schema");
}

static bool take(struct call *c, int *i, struct llm_options *o)
{
    struct slice word = call_arg(c, *i);
    if (flag(word, o))
        return schema(c, i, o);
    for (size_t k = 0; k < sizeof valued / sizeof *valued; k++)
        if (*i + 1 < c->argc && slice_is(word, valued[k].word))
            return valued[k].take(c, call_arg(c, ++*i), o);
    reply_errorf(c->reply, "INVALID unknown option '%.*s'", (int)utf8_cut(word, 64), word.p);
    return false;
}

bool llm_options_parse(struct call *c, int first, struct llm_options *o)
{
    *o = (struct llm_options){.q = LLM_REQUEST};
    for (int i = first; i < c->argc; i++)
        if (!take(c, &i, o))
            return false;
    o->q.tool_choice = buf_slice(&o->choice);
    if (o->async && o->stream)
        o->stream = false; /* ASYNC has its pieces in the stream anyway */
    if (o->async)
        o->q.stream = true;
    return true;
}

void llm_options_release(struct llm_options *o)
{
    buf_release(&o->choice);
}

/* ---- the tail of a list of texts ---- */

static bool tail_flag(struct slice o, struct llm_tail *t)
{
    if ((t->takes & LLM_TAIL_SCORES) && slice_is(o, "withscores"))
        return t->scores = true;
    if ((t->takes & LLM_TAIL_META) && slice_is(o, "withmeta"))
        return t->meta = true;
    return false;
}

/* 1: taken, 0: these two are no option, -1: replied. */
static int tail_pair(struct call *c, struct slice o, struct slice v, struct llm_tail *t, struct llm_caller *caller)
{
    int64_t n = 0;
    bool ok;
    if (slice_is(o, "timeout")) {
        ok = llm_timeout_parse(c, v, caller);
    } else if (slice_is(o, "priority")) {
        ok = llm_priority_parse(c, v, caller);
    } else if ((t->takes & LLM_TAIL_DIM) && slice_is(o, "dim")) {
        ok = integer(c, v, "DIM", 1, 1 << 16, &n);
        t->dim = (int)n;
    } else if ((t->takes & LLM_TAIL_FORMAT) && slice_is(o, "format")) {
        t->fp32 = slice_is(v, "fp32");
        ok = t->fp32 || slice_is(v, "values");
        if (!ok)
            reply_errorf(c->reply, "INVALID FORMAT takes FP32 or VALUES");
    } else {
        return 0;
    }
    return ok ? 1 : -1;
}

bool llm_tail_parse(struct call *c, int first, int *last, struct llm_tail *t, struct llm_caller *caller)
{
    for (;;) {
        int rc;
        if (*last > first && tail_flag(call_arg(c, *last - 1), t)) {
            --*last;
            continue;
        }
        if (*last - first < 2)
            return true;
        if ((rc = tail_pair(c, call_arg(c, *last - 2), call_arg(c, *last - 1), t, caller)) <= 0)
            return rc == 0;
        *last -= 2;
    }
}

bool llm_count_parse(struct call *c, struct slice v, int max, int *to)
{
    int64_t n = 0;
    bool ok = integer(c, v, "COUNT", 1, max, &n);
    *to = (int)n;
    return ok;
}

bool llm_number_parse(struct call *c, struct slice v, const char *what, double min, double max, double *to)
{
    return number(c, v, what, min, max, to);
}
