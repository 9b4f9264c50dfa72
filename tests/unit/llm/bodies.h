/* Helpers of the tests of providers: a model of a provider, and what its body and notes are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "llm/provider.h"

static inline struct model model_of(const char *provider, const char *id, const char *params)
{
    struct model m = {.name = (char *)"m", .id = (char *)id, .params = (char *)params};
    m.provider = llm_provider_find(slice_str(provider));
    assert_non_null(m.provider);
    return m;
}

/* notes: "param:action ..." */
static inline void short_notes(struct buf *notes, struct buf *to)
{
    const cJSON *n;
    cJSON *all = notes->len ? json_parse(buf_slice(notes), 1 << 20, "notes", NULL) : NULL;
    assert_true(all || notes->len == 0);
    cJSON_ArrayForEach(n, all)
    {
        assert_true(*json_str(n, "detail", ""));
        buf_addf(to, "%s%s:%s", to->len ? " " : "", json_str(n, "param", ""), json_str(n, "action", ""));
    }
    cJSON_Delete(all);
}

static inline void expect_body(const struct llm_request *q, const struct model *m, const char *body, const char *notes)
{
    struct buf to = {0}, said = {0}, words = {0};
    struct err err = {0};
    int r = m->provider->chat_body(q, m, &to, &said, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(r, 0);
    cJSON *v = json_parse(buf_slice(&to), 64 << 20, "body", &err);
    assert_string_equal(err.msg, "");
    cJSON_Delete(v);
    short_notes(&said, &words);
    assert_string_equal(buf_cstr(&to), body);
    assert_string_equal(buf_cstr(&words), notes);
    buf_release(&to);
    buf_release(&said);
    buf_release(&words);
}

static inline void expect_refused(const struct llm_request *q, const struct model *m, const char *part)
{
    struct buf to = {0}, said = {0};
    struct err err = {0};
    assert_int_equal(m->provider->chat_body(q, m, &to, &said, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, part));
    buf_release(&to);
    buf_release(&said);
}
