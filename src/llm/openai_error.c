/* What vendors say when they fail, read into a class and their words: error objects of several shapes, the row's own
 * codes, and errors that come with status 200. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/utf8.h"
#include "llm/openai_parse.h"
#include "llm/openai_quirks.h"

#define VENDOR_TEXT_MAX 200 /* bytes */
#define CODE_MAX        64

static cJSON *member(const cJSON *o, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(o, name);
}

static bool is_one_of(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}

/* The words that mean more than the status; LLM_FINE for all others. */
static enum llm_class class_of_word(const char *word)
{
    static const char *const credit[] = {"insufficient_quota", "billing_error", NULL},
                             *const rate[] = {"rate_limit_exceeded", "rate_limit_error", NULL},
                             *const content[] = {"content_filter", "content_policy_violation", NULL};
    if (is_one_of(word, credit))
        return LLM_CREDIT;
    if (is_one_of(word, content))
        return LLM_CONTENT;
    return is_one_of(word, rate) ? LLM_RATE : LLM_FINE;
}

/* The words that say what a status would have said, for errors that come without one. */
static enum llm_class class_without_status(const char *word)
{
    static const char *const auth[] = {"invalid_api_key", "authentication_error", "permission_error", NULL},
                             *const bad[] = {"invalid_request_error", "context_length_exceeded", "not_found_error",
                                             "model_not_found",       "BadRequestError",         NULL};
    char *end;
    long status = strtol(word, &end, 10);
    if (*word && *end == 0 && status >= 400 && status < 600)
        return llm_class_of_status((int)status);
    return is_one_of(word, auth) ? LLM_AUTH : is_one_of(word, bad) ? LLM_BAD : LLM_FINE;
}

enum llm_class openai_class_of_code(const struct openai_quirks *q, const char *code)
{
    for (const struct openai_code *c = q ? q->codes : NULL; c && c->code; c++) {
        size_t n = strlen(c->code);
        bool prefix = c->code[n - 1] == '*';
        if (prefix ? strncmp(code, c->code, n - 1) == 0 : strcmp(code, c->code) == 0)
            return c->class;
    }
    return LLM_FINE;
}

/* A code is a word or a number. */
static void read_code(const cJSON *v, char to[CODE_MAX])
{
    *to = 0;
    if (cJSON_IsString(v))
        snprintf(to, CODE_MAX, "%s", v->valuestring);
    else if (cJSON_IsNumber(v) && fabs(v->valuedouble) < 1e9)
        snprintf(to, CODE_MAX, "%d", (int)v->valuedouble);
}

/* What an error reply says. */
struct said {
    char code[CODE_MAX];
    const char *type, *text;
};

static struct said read_error(const cJSON *root)
{
    const cJSON *e = member(root, "error"), *code = member(e, "code"), *base = member(root, "base_resp");
    struct said s = {.type = json_str(e, "type", json_str(root, "error_type", "")),
                     .text = json_str(e, "message", NULL)};
    if (cJSON_IsString(e))
        s.text = e->valuestring;
    if (!code || cJSON_IsNull(code))
        code = member(root, "code") ? member(root, "code") : member(root, "error_code");
    if (base && !code)
        code = member(base, "status_code");
    if (!s.text)
        s.text = json_str(base, "status_msg", json_str(root, "message", json_str(root, "error_msg", NULL)));
    if (!s.text)
        s.text = json_str(root, "detail", "");
    read_code(code, s.code);
    return s;
}

static enum llm_class class_of(const struct openai_quirks *q, const struct said *s)
{
    enum llm_class c = openai_class_of_code(q, s->code);
    c = c != LLM_FINE ? c : openai_class_of_code(q, s->type);
    c = c != LLM_FINE ? c : class_of_word(s->code);
    return c != LLM_FINE ? c : class_of_word(s->type);
}

void openai_failure(const struct llm_provider *p, int status, struct slice body, struct llm_failure *to)
{
    enum llm_class c = LLM_FINE;
    cJSON *root = json_parse(body, 1u << 20, "error", NULL);
    if (cJSON_IsObject(root)) {
        struct said s = read_error(root);
        buf_add(&to->text, s.text, utf8_cut(slice_str(s.text), VENDOR_TEXT_MAX));
        c = class_of(openai_quirks_of(p), &s);
    }
    to->class = c != LLM_FINE ? c : llm_class_of_status(status);
    cJSON_Delete(root);
}

/* Is there an error in a body that came with a good status? */
static bool has_error(const struct openai_quirks *q, const cJSON *root)
{
    const cJSON *e = member(root, "error");
    if (e && !cJSON_IsNull(e) && !cJSON_IsFalse(e))
        return true;
    switch (q ? q->hidden : HIDDEN_NONE) {
    case HIDDEN_CODE: return json_num(root, "code", 0) != 0;
    case HIDDEN_BASE_RESP: return json_num(member(root, "base_resp"), "status_code", 0) != 0;
    case HIDDEN_ERROR_CODE: return json_num(root, "error_code", 0) != 0;
    case HIDDEN_NONE: break;
    }
    return false;
}

int llm_reported(enum llm_class class, struct slice text, struct llm_answer *a, struct err *err)
{
    bool busy = class == LLM_RATE || class == LLM_CREDIT, wrong = class == LLM_BAD || class == LLM_CONTENT;
    int n = (int)utf8_cut(text, VENDOR_TEXT_MAX);
    a->failure = class;
    return err_set(err,
                   busy    ? ERR_QUOTA
                   : wrong ? ERR_INVALID
                           : ERR_UPSTREAM,
                   "the provider reported an error: %.*s", n ? n : 10, n ? text.p : "no message");
}

int openai_hidden_error(const struct llm_provider *p, const cJSON *root, struct llm_answer *a, struct err *err)
{
    const struct openai_quirks *q = openai_quirks_of(p);
    if (!has_error(q, root))
        return 0;
    struct said s = read_error(root);
    enum llm_class c = class_of(q, &s);
    c = c != LLM_FINE ? c : class_without_status(s.code);
    c = c != LLM_FINE ? c : class_without_status(s.type);
    return llm_reported(c != LLM_FINE ? c : LLM_TRANSIENT, slice_str(s.text), a, err);
}
