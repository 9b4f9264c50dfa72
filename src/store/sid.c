#include "store/sid.h"

#include <string.h>

#include "base/num.h"

bool sid_next(struct sid *id)
{
    if (id->seq != UINT64_MAX) {
        id->seq++;
        return true;
    }
    if (id->ms == UINT64_MAX)
        return false;
    *id = (struct sid){id->ms + 1, 0};
    return true;
}

bool sid_prev(struct sid *id)
{
    if (id->seq != 0) {
        id->seq--;
        return true;
    }
    if (id->ms == 0)
        return false;
    *id = (struct sid){id->ms - 1, UINT64_MAX};
    return true;
}

/* Redis takes "01" and even " +1" for 1, but no negative number. */
static bool half(struct slice s, uint64_t *out)
{
    int64_t v;
    return num_to_i64(s, &v) && v < 0 ? false : num_to_u64_lax(s, out);
}

bool sid_parse(struct slice s, uint64_t missing_seq, struct sid *id, bool *any_seq)
{
    const char *dash = s.len ? memchr(s.p, '-', s.len) : NULL;
    if (any_seq)
        *any_seq = false;
    id->seq = missing_seq;
    if (!dash)
        return half(s, &id->ms);
    struct slice ms = slice_of(s.p, (size_t)(dash - s.p)), seq = slice_of(dash + 1, s.len - ms.len - 1);
    if (!half(ms, &id->ms))
        return false;
    if (any_seq && slice_is(seq, "*")) {
        *any_seq = true;
        id->seq = 0;
        return true;
    }
    return half(seq, &id->seq);
}

struct slice sid_format(struct sid id, char to[SID_TEXT])
{
    size_t n = num_from_u64(to, id.ms);
    to[n++] = '-';
    n += num_from_u64(to + n, id.seq);
    return slice_of(to, n);
}
