/* The id of a stream's entry: <ms>-<seq>, two 64-bit numbers, ordered by the first and then the second. Thread: any. */
#ifndef STORE_SID_H
#define STORE_SID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct sid {
    uint64_t ms, seq;
};
#define SID_MIN ((struct sid){0, 0})
#define SID_MAX ((struct sid){UINT64_MAX, UINT64_MAX})
#define SID_TEXT 42 /* bytes that hold any id as text */

static inline int sid_cmp(struct sid a, struct sid b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return (a.seq > b.seq) - (a.seq < b.seq);
}
bool sid_next(struct sid *id); /* false, and unchanged: it is the last one */
bool sid_prev(struct sid *id);
/* "ms" or "ms-seq"; the first form gets the sequence given. With `any_seq` not NULL "ms-*" is allowed and sets it. */
bool sid_parse(struct slice s, uint64_t missing_seq, struct sid *id, bool *any_seq);
struct slice sid_format(struct sid id, char to[SID_TEXT]);

#endif
