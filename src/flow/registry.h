/* The named flows: what FLOW.SET put there. Definitions are kept as the text that came, so that GET, the journal and a
 * replica see the same bytes. Thread: loop. */
#ifndef FLOW_REGISTRY_H
#define FLOW_REGISTRY_H

#include <stdint.h>

#include "base/slice.h"
#include "flow/def.h"

struct flow_entry {
    char *name;
    char *text;
    size_t text_len;
    struct flow *flow;
    int64_t set_ms;   /* wall */
    uint64_t version; /* 1, 2, ... of this name in this process's memory */
};

/* 0, or ERR_INVALID (bad name, or the definition's first problem). */
int flow_registry_set(struct slice name, struct slice json, struct err *err);
const struct flow_entry *flow_registry_find(struct slice name); /* NULL when absent; until the next change */
bool flow_registry_delete(struct slice name);
int flow_registry_count(void);
/* In order of their names: also how a compaction of the journal emits them. fn must not change the registry. */
void flow_registry_each(void (*fn)(void *arg, const struct flow_entry *e), void *arg);
void flow_registry_clear(void); /* FLUSHALL keeps flows; this is for the end and for a full resynchronisation */

#endif
