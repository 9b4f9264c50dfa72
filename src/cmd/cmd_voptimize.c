/* VOPTIMIZE: a vector set's graph built again in the background; store/vset_optimize.h. It is not a write: what the set
 * says stays the same, nothing is journaled, and a replica does it for itself. */
#include "base/num.h"
#include "cmd/cmd_vsearch.h"
#include "cmd/families.h"
#include "cmd/vector_args.h"
#include "store/vset_optimize.h"

/* VINFO's optimizing is 1 until it is over.
 *
 * > VADD points VALUES 2 1 1 a
 * < (integer) 1
 * > VOPTIMIZE points
 * < OK
 * > VOPTIMIZE nothing
 * < (error) ERR key does not exist
 * > VOPTIMIZE points EF 0
 * < (error) INVALID EF must be between 1 and 1000000
 */
static void voptimize(struct call *c)
{
    int64_t ef = 0;
    struct err err;
    if (c->argc != 2 && (c->argc != 4 || !slice_is(call_arg(c, 2), "ef"))) {
        reply_errorf(c->reply, "ERR syntax error");
        return;
    }
    if (c->argc == 4 && (!num_to_i64(call_arg(c, 3), &ef) || ef < 1 || ef > VEC_MAX_EF)) {
        reply_errorf(c->reply, "INVALID EF must be between 1 and %d", VEC_MAX_EF);
        return;
    }
    struct vset *s = vset_read(c, call_arg(c, 1));
    if (!s) {
        if (c->reply->errors == 0)
            reply_errorf(c->reply, "ERR key does not exist");
        return;
    }
    if (vset_optimize_start(s, vsearch_pool(), (uint32_t)ef, &err) < 0)
        call_err(c, &err);
    else
        reply_ok(c->reply);
}

static const struct cmd rows[] = {
    {.name = "voptimize",
     .run = voptimize,
     .arity = -2,
     .flags = CMD_READONLY | CMD_DENYOOM,
     .first = 1,
     .last = 1,
     .step = 1,
     .acl = ACL_VECTOR,
     .key_spec = "RO",
     .syntax = "key [EF build-exploration-factor]",
     .summary = "Builds the graph of a vector set again in the background, for recall and locality.",
     .since = "1.0.0",
     .complexity = "O(1); then O(N*log(N)) on workers, where N is the elements"},
};

const struct cmd_family vector_optimize_family = CMD_FAMILY("vector", rows);
