/* Arbitrary bytes as a model's stream, whole reply and embeddings: no crash, and the same answer however they are cut.
 */
#include <assert.h>
#include <stdint.h>

#include "base/utf8.h"
#include "llm/openai_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *arg, const struct llm_delta *d)
{
    if (d->kind == LLM_DELTA_TEXT)
        *(size_t *)arg += d->text.len;
}

static int run(struct slice in, size_t step, struct llm_answer *a)
{
    struct err err;
    size_t pieces = 0;
    int r = 0;
    llm_answer_init(a);
    struct llm_stream *s = openai_stream_create(llm_provider_find(SLICE("openai")), a, count, &pieces);
    for (size_t at = 0; at < in.len && r == 0; at += step)
        r = openai_stream_feed(s, slice_of(in.p + at, in.len - at < step ? in.len - at : step), &err);
    if (r == 0)
        r = openai_stream_end(s, &err);
    openai_stream_destroy(s);
    assert(pieces == a->text.len);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct llm_answer a, b;
    struct err err;
    int one = run(in, size ? size : 1, &a), other = run(in, size ? 1 + data[size - 1] % 5 : 1, &b);
    assert(one == other && slice_eq(buf_slice(&a.text), buf_slice(&b.text)));
    assert(one != 0 || slice_eq(buf_slice(&a.tool_calls), buf_slice(&b.tool_calls)));
    llm_answer_release(&a);
    llm_answer_release(&b);
    llm_answer_init(&a);
    openai_chat_whole(llm_provider_find(SLICE("openai")), in, &a, &err);
    llm_answer_release(&a);
    llm_answer_init(&a);
    openai_embed_whole(llm_provider_find(SLICE("openai")), in, 2, &a, &err);
    llm_answer_release(&a);
    struct llm_failure f;
    llm_failure_init(&f);
    openai_failure(llm_provider_find(SLICE("openai")), size ? 400 + data[0] % 200 : 400, in, &f);
    assert(utf8_valid(buf_slice(&f.text)) && f.class != LLM_FINE);
    llm_failure_release(&f);
    return 0;
}
