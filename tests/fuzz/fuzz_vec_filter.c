/* Filter expressions and attributes: the input is an expression, a NUL, and a JSON text. What columns rest on is
 * checked too: fields read one at a time are the fields read together, and numbers alone give the answer of the whole
 * machine. */
#include <stddef.h>
#include <stdint.h>

#include "vec/filter_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void field_by_field(const struct filter *f, struct slice json, bool match)
{
    static struct buf scratch[FILTER_MAX_FIELDS], items;
    struct fvalue fields[FILTER_MAX_FIELDS];
    double numbers[FILTER_MAX_FIELDS];
    bool all = true, numeric = f->numeric;
    for (uint32_t i = 0; all && i < f->field_n; i++) {
        buf_clear(&scratch[i]);
        buf_room(&scratch[i], 2 * json.len + 1);
        all = filter_json_fields(json, &f->fields[i], 1, &fields[i], &scratch[i]);
        numeric &= all && fields[i].kind == FV_NUM;
        numbers[i] = numeric ? fields[i].num : 0;
    }
    buf_clear(&items);
    if (f->field_n && (all && filter_run(f, fields, &items)) != match)
        __builtin_trap();
    if (f->field_n && all && numeric && filter_run_numbers(f, numbers) != match)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct buf scratch;
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t n = nul ? (size_t)(nul - data) : size;
    struct err err = {0};
    struct filter *f = filter_create(slice_of((const char *)data, n), &err);
    struct slice json = nul ? slice_of((const char *)nul + 1, size - n - 1) : SLICE("{\"a\":[1,\"x\"],\"b\":2}");
    if (f)
        field_by_field(f, json, filter_match(f, json, &scratch));
    else if (!err.code || !err.msg[0])
        __builtin_trap(); /* a refusal says why */
    filter_destroy(f);
    return 0;
}
