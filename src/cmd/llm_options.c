#include "cmd/llm_options.h"

#include <math.h>

#include "base/json.h"
#include "base/utf8.h"

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

/* Options with a value behind them. */
static bool valued(struct call *c, struct slice o, struct slice v, struct llm_options *to, bool *known)
{
    struct llm_request *q = &to->q;
    int64_t n;
    *known = true;
    if (slice_is(o, "model"))
        return text(c, v, "MODEL", &q->model);
    if (slice_is(o, "system"))
        return to->has_system = true, text(c, v, "SYSTEM", &q->system);
    if (slice_is(o, "temperature"))
        return number(c, v, "TEMPERATURE", 0, 2, &q->temperature);
    if (slice_is(o, "top-p"))
        return number(c, v, "TOP-P", 0, 1, &q->top_p);
    if (slice_is(o, "max-tokens"))
        return integer(c, v, "MAX-TOKENS", 1, 1 << 24, &q->max_tokens);
    if (slice_is(o, "seed"))
        return q->has_seed = true, integer(c, v, "SEED", INT64_MIN, INT64_MAX, &q->seed);
    if (slice_is(o, "params"))
        return q->params = v, json_object(c, v, "PARAMS");
    if (slice_is(o, "timeout")) {
        bool ok = integer(c, v, "TIMEOUT", 1, 24 * 3600 * 1000, &n);
        q->caller.timeout_ms = (int)n;
        return ok;
    }
    if (slice_is(o, "stop")) {
        if (q->nstop == LLM_STOPS_MAX) {
            reply_errorf(c->reply, "INVALID at most %d STOP texts", LLM_STOPS_MAX);
            return false;
        }
        q->stop = to->stops;
        return text(c, v, "STOP", &to->stops[q->nstop++]);
    }
    *known = false;
    return false;
}

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

bool llm_options_parse(struct call *c, int first, struct llm_options *o)
{
    *o = (struct llm_options){.q = LLM_REQUEST};
    for (int i = first; i < c->argc; i++) {
        struct slice word = call_arg(c, i);
        bool known = false;
        if (flag(word, o)) {
            if (slice_is(word, "json") && i + 1 < c->argc && call_arg(c, i + 1).len && call_arg(c, i + 1).p[0] == '{') {
                o->q.schema = call_arg(c, ++i);
                if (!json_object(c, o->q.schema, "JSON schema"))
                    return false;
            }
            continue;
        }
        if (i + 1 < c->argc && valued(c, word, call_arg(c, i + 1), o, &known)) {
            i++;
            continue;
        }
        if (!known)
            reply_errorf(c->reply, "INVALID unknown option '%.*s'", (int)(word.len < 64 ? word.len : 64), word.p);
        return false;
    }
    if (o->async && o->stream)
        o->stream = false; /* ASYNC has its pieces in the stream anyway */
    if (o->async)
        o->q.stream = true;
    return true;
}
