#include "llm/body.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "llm/provider.h"

#define PARAMS_MAX (1u << 20)

const char *const body_openai_only[] = {"n",
                                        "logit_bias",
                                        "logprobs",
                                        "top_logprobs",
                                        "metadata",
                                        "store",
                                        "service_tier",
                                        "modalities",
                                        "audio",
                                        "prediction",
                                        "verbosity",
                                        "web_search_options",
                                        "prompt_cache_key",
                                        "prompt_cache_retention",
                                        "safety_identifier",
                                        NULL};

bool body_has(const struct body *b, const char *name)
{
    for (int i = 0; i < b->n; i++)
        if (strcmp(b->names[i], name) == 0)
            return true;
    return false;
}

void body_field(struct body *b, const char *name)
{
    buf_add_char(b->to, b->n ? ',' : '{');
    json_quote(b->to, slice_str(name));
    buf_add_char(b->to, ':');
    if (b->n < BODY_NAMES_MAX)
        b->names[b->n++] = name;
}

void body_text(struct body *b, const char *name, struct slice v)
{
    body_field(b, name);
    json_quote(b->to, v);
}

void body_int(struct body *b, const char *name, int64_t v)
{
    body_field(b, name);
    buf_addf(b->to, "%lld", (long long)v);
}

void body_real(struct body *b, const char *name, double v)
{
    char text[NUM_DOUBLE_MAX];
    if (isfinite(v)) {
        body_field(b, name);
        buf_add(b->to, text, num_from_double(text, v));
    }
}

void body_raw(struct body *b, const char *name, struct slice json)
{
    body_field(b, name);
    buf_add(b->to, json.p, json.len);
}

void body_texts(struct body *b, const char *name, const struct slice *v, int n)
{
    body_field(b, name);
    buf_add_char(b->to, '[');
    for (int i = 0; i < n; i++) {
        if (i)
            buf_add_char(b->to, ',');
        json_quote(b->to, v[i]);
    }
    buf_add_char(b->to, ']');
}

/* ---- params ---- */

static int parse_params(struct slice text, const char *what, cJSON **out, struct err *err)
{
    *out = NULL;
    if (text.len == 0)
        return 0;
    *out = json_parse(text, PARAMS_MAX, what, err);
    if (!*out)
        return ERR_INVALID;
    return cJSON_IsObject(*out) ? 0 : err_set(err, ERR_INVALID, "%s must be a JSON object", what);
}

int body_params_read(struct body_params *p, struct slice params, const struct model *m, struct err *err)
{
    *p = (struct body_params){0};
    int r = parse_params(params, "PARAMS", &p->mine, err);
    if (r == 0 && m->params)
        r = parse_params(slice_str(m->params), "the model's PARAMS", &p->models, err);
    return r;
}

void body_params_release(struct body_params *p)
{
    cJSON_Delete(p->mine);
    cJSON_Delete(p->models);
}

static bool is_in(const char *const *list, const char *name)
{
    for (; list && *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

void body_members(struct body *b, const cJSON *o, const char *const *skip)
{
    static const char *const ours[] = {"stream", "stream_options", NULL};
    const cJSON *v;
    cJSON_ArrayForEach(v, o)
    {
        if (body_has(b, v->string) || is_in(ours, v->string))
            continue;
        if (is_in(skip, v->string)) {
            llm_note(b->notes, v->string, "dropped", "the vendor does not know it");
            continue;
        }
        if (b->n == BODY_NAMES_MAX) { /* more could come twice */
            llm_note(b->notes, v->string, "dropped", "the body has too many fields");
            continue;
        }
        body_field(b, v->string);
        json_print(b->to, v);
    }
}

int body_end(struct body *b, struct slice params, const struct model *m, const char *const *skip, struct err *err)
{
    struct body_params p;
    int r = body_params_read(&p, params, m, err);
    if (r == 0) {
        body_members(b, p.mine, skip);
        body_members(b, p.models, NULL);
        buf_add_char(b->to, '}');
    }
    body_params_release(&p);
    return r;
}
