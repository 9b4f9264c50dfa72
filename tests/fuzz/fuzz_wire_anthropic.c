/* Arbitrary bytes as a client's body: no crash; an error names what is wrong; what is read makes valid JSON for every
 * provider, the same each time, and says so in UTF-8. */
#include <assert.h>
#include <stdint.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "llm/provider.h"
#include "llm/wire_anthropic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_object(struct slice text)
{
    struct err err;
    cJSON *v = json_parse(text, 64u << 20, "body", &err);
    assert(cJSON_IsObject(v));
    cJSON_Delete(v);
}

/* Every provider's body is JSON, and a second one is the same. */
static void send(const struct llm_request *q, const struct llm_provider *p)
{
    struct model m = {.name = (char *)"m", .id = (char *)"m", .provider = p};
    struct buf a = {0}, b = {0}, notes = {0};
    struct err err = {0};
    int r = p->chat_body(q, &m, &a, &notes, &err), again = p->chat_body(q, &m, &b, &notes, &err);
    assert(r == again && slice_eq(buf_slice(&a), buf_slice(&b)));
    assert(r == 0 || r == ERR_INVALID);
    if (r == 0)
        check_object(buf_slice(&a));
    buf_release(&a);
    buf_release(&b);
    buf_release(&notes);
}

static void emit(void *arg, struct slice type, struct slice json)
{
    check_object(json);
}

/* The bytes as parts of an answer. */
static void answer(struct slice in)
{
    struct wire_head h = {.id = in, .model = in};
    struct llm_reply r = {.text = in, .reasoning = in};
    struct llm_delta d = {.text = in, .tool_id = in, .tool_name = in};
    struct wire_anthropic_stream s;
    struct buf to = {0};
    wire_anthropic_reply(&h, &r, &to);
    check_object(buf_slice(&to));
    buf_release(&to);
    wire_anthropic_stream_init(&s, &h, 0, emit, NULL);
    for (int kind = LLM_DELTA_TEXT; kind <= LLM_DELTA_TOOL; kind++) {
        d.kind = (enum llm_delta_kind)kind;
        wire_anthropic_stream_delta(&s, &d);
    }
    wire_anthropic_stream_end(&s, &r);
    wire_anthropic_stream_release(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct wire_chat w;
    struct err err = {0};
    int r = wire_anthropic_chat(in, &w, &err);
    assert(r == 0 || (r == ERR_INVALID && *err.msg && utf8_valid(slice_str(err.msg))));
    assert(r < 0 || w.q.nmessages > 0);
    for (int i = 0; r == 0 && llm_provider_at(i); i++)
        if (llm_provider_at(i)->chat_body)
            send(&w.q, llm_provider_at(i));
    wire_chat_release(&w);
    answer(in);
    return 0;
}
