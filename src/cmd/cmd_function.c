/* FUNCTION, as far as there is something to say without libraries: none can be loaded, so the list is empty and
 * flushing it leaves it empty. Clients and test suites send these two before they begin. */
#include "cmd/families.h"

/* > FUNCTION LIST
 * < (empty array)
 */
static void function_list(struct call *c)
{
    for (int i = 2; i < c->argc; i++) {
        if (slice_is(call_arg(c, i), "withcode"))
            continue;
        if (slice_is(call_arg(c, i), "libraryname") && i + 1 < c->argc) {
            i++;
            continue;
        }
        reply_errorf(c->reply, "ERR Unknown argument %.*s", (int)call_arg(c, i).len, call_arg(c, i).p);
        return;
    }
    reply_array(c->reply, 0);
}

/* > FUNCTION FLUSH
 * < OK
 * > FUNCTION FLUSH LATER
 * < (error) ERR FUNCTION FLUSH only supports SYNC|ASYNC option
 */
static void function_flush(struct call *c)
{
    if (c->argc == 2 || (c->argc == 3 && (slice_is(call_arg(c, 2), "sync") || slice_is(call_arg(c, 2), "async"))))
        reply_ok(c->reply);
    else
        reply_errorf(c->reply, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
}

/* clang-format off */
static const struct cmd subs[] = {
    {.name = "list", .run = function_list, .arity = -2, .flags = CMD_NOSCRIPT, .acl = ACL_SCRIPTING | ACL_SLOW,
     .syntax = "[LIBRARYNAME library-name-pattern] [WITHCODE]", .summary = "The loaded libraries.", .since = "7.0.0",
     .complexity = "O(N) where N is the number of libraries"},
    {.name = "flush", .run = function_flush, .arity = -2, .flags = CMD_NOSCRIPT, .acl = ACL_SCRIPTING | ACL_SLOW,
     .syntax = "[ASYNC|SYNC]", .summary = "Deletes all libraries.", .since = "7.0.0",
     .complexity = "O(N) where N is the number of libraries"},
};

static const struct cmd rows[] = {
    {.name = "function", .arity = -2, .acl = ACL_SLOW, .syntax = "", .summary = "Libraries of functions.",
     .since = "7.0.0", .complexity = "Depends on the subcommand.", .subs = subs, .nsubs = sizeof subs / sizeof *subs},
};
/* clang-format on */

const struct cmd_family function_family = CMD_FAMILY("scripting", rows);
