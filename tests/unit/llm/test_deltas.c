/* A whole answer as deltas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/json.h"
#include "llm/deltas.h"

static void gather(void *arg, const struct llm_delta *d)
{
    buf_addf(arg, "%d/%d[%.*s|%.*s|%.*s]", (int)d->kind, d->tool, (int)d->tool_id.len, d->tool_id.p ? d->tool_id.p : "",
             (int)d->tool_name.len, d->tool_name.p ? d->tool_name.p : "", (int)d->text.len, d->text.p ? d->text.p : "");
}

static void everything_once(void **state)
{
    struct buf to = {0};
    struct llm_reply r = {
        .text = SLICE("t"),
        .reasoning = SLICE("r"),
        .thinking = SLICE("[{\"type\":\"redacted_thinking\"}]"),
        .tool_calls =
            SLICE("[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"id\":\"b\",\"function\":{"
                  "\"name\":\"g\"}}]"),
    };
    llm_deltas_of(&r, gather, &to);
    assert_string_equal(buf_cstr(&to), "1/0[||r]3/0[||{\"type\":\"redacted_thinking\"}]0/0[||t]2/0[a|f|{}]2/1[b|g|]");
    buf_clear(&to);
    r = (struct llm_reply){0};
    llm_deltas_of(&r, gather, &to);
    assert_int_equal(to.len, 0);
    buf_release(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything_once)};
    json_boot();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
