/* Arbitrary bytes as a stream and as a whole reply: no crash, valid JSON out, the same answer however they are cut. */
#include <assert.h>
#include <stdint.h>

#include "base/json.h"
#include "base/utf8.h"
#include "llm/ollama_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was told by deltas. */
struct told {
    size_t text, reasoning;
    int tools;
};

static void check_array(struct slice text)
{
    struct err err;
    cJSON *v = text.len ? json_parse(text, LLM_TEXT_MAX * 2, "array", &err) : NULL;
    assert(text.len == 0 || cJSON_IsArray(v));
    cJSON_Delete(v);
}

static void count(void *arg, const struct llm_delta *d)
{
    struct told *t = arg;
    t->text += d->kind == LLM_DELTA_TEXT ? d->text.len : 0;
    t->reasoning += d->kind == LLM_DELTA_REASONING ? d->text.len : 0;
    t->tools += d->kind == LLM_DELTA_TOOL;
    assert(utf8_valid(d->text) && utf8_valid(d->tool_name));
}

static int run(struct slice in, size_t step, struct llm_answer *a, struct told *told)
{
    struct err err;
    int r = 0;
    llm_answer_init(a);
    struct llm_stream *s = ollama_stream_create(llm_provider_find(SLICE("ollama")), a, count, told);
    for (size_t at = 0; at < in.len && r == 0; at += step)
        r = ollama_stream_feed(s, slice_of(in.p + at, in.len - at < step ? in.len - at : step), &err);
    if (r == 0)
        r = ollama_stream_end(s, &err);
    ollama_stream_destroy(s);
    assert(told->text == a->text.len && told->reasoning == a->reasoning.len);
    check_array(buf_slice(&a->tool_calls));
    check_array(buf_slice(&a->thinking));
    return r;
}

static bool same(const struct buf *a, const struct buf *b)
{
    return slice_eq(buf_slice(a), buf_slice(b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct llm_provider *p = llm_provider_find(SLICE("ollama"));
    struct slice in = {(const char *)data, size};
    struct llm_answer a, b;
    struct told one = {0}, other = {0};
    struct err err;
    int r = run(in, size ? size : 1, &a, &one), q = run(in, size ? 1 + data[size - 1] % 5 : 1, &b, &other);
    assert(r == q && one.tools == other.tools && same(&a.text, &b.text) && same(&a.reasoning, &b.reasoning));
    assert(same(&a.tool_calls, &b.tool_calls) && same(&a.thinking, &b.thinking) && same(&a.finish, &b.finish));
    llm_answer_release(&a);
    llm_answer_release(&b);
    llm_answer_init(&a);
    p->chat_whole(p, in, &a, &err);
    check_array(buf_slice(&a.tool_calls));
    check_array(buf_slice(&a.thinking));
    llm_answer_release(&a);
    struct llm_failure f;
    llm_failure_init(&f);
    p->failure(p, size ? 300 + data[0] : 400, in, &f);
    assert(utf8_valid(buf_slice(&f.text)) && f.class != LLM_FINE);
    llm_failure_release(&f);
    return 0;
}
