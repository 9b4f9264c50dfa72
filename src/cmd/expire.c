/* Expiry arguments: the arithmetic overflows at the same places as Redis's, and says so in the same words. */
#include "cmd/expire.h"

#include "cmd/cmd.h"

static bool bad_time(struct call *c)
{
    reply_errorf(c->reply, "ERR invalid expire time in '%s' command", c->cmd->name);
    return false;
}

bool expire_arg(struct call *c, int i, enum expire_unit unit, bool positive, int64_t *at_ms)
{
    int64_t t;
    if (!call_i64(c, i, &t))
        return false;
    if (positive && t <= 0)
        return bad_time(c);
    if ((unit == EXPIRE_EX || unit == EXPIRE_EXAT) && __builtin_mul_overflow(t, 1000, &t))
        return bad_time(c);
    if ((unit == EXPIRE_EX || unit == EXPIRE_PX) && __builtin_add_overflow(t, store_now(c->db->store), &t))
        return bad_time(c);
    *at_ms = t;
    return true;
}

bool expire_is_past(const struct call *c, int64_t at_ms)
{
    return !c->db->store->loading && at_ms <= store_now(c->db->store);
}
