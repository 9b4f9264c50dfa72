/* Arbitrary bytes as a template, and as a flow's definition: parsing and checking must be safe and end. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/def.h"
#include "flow/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_template(struct slice text)
{
    static cJSON *scope;
    struct err err;
    if (!scope)
        scope = cJSON_Parse("{\"a\":{\"b\":\"x {{a.b}}\",\"c\":[1,{\"d\":null}]},\"input\":{\"q\":\"\\u00e9\\\"\"}}");
    struct buf out = {.max = 4096};
    int rc = template_expand(text, scope, &out, &err);
    assert(rc == 0 || err.msg[0]);
    assert(out.len <= 4096);
    buf_release(&out);
}

static void as_definition(struct slice text)
{
    struct flow *f;
    struct flow_problems problems;
    struct err err;
    int rc = flow_parse(text, &f, &problems);
    assert((rc == 0) == (f != NULL) && (rc == 0) == (problems.n == 0));
    if (rc < 0)
        flow_problems_err(&problems, &err);
    flow_problems_release(&problems);
    flow_unref(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    as_template(text);
    as_definition(text);
    return 0;
}
