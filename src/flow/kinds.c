/* The list of node kinds. */
#include <string.h>

#include "flow/kind.h"

const struct flow_kind *const flow_kinds[] = {&flow_start,    &flow_search, &flow_llm,  &flow_condition,
                                              &flow_template, &flow_code,   &flow_http, &flow_variable,
                                              &flow_answer,   &flow_end,    NULL};

const struct flow_kind *flow_kind_find(const char *name)
{
    for (const struct flow_kind *const *k = flow_kinds; *k; k++)
        if (strcmp((*k)->name, name) == 0)
            return *k;
    return NULL;
}
