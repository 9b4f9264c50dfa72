#include "cmd/acl_cat.h"

static const char *const names[] = {
    "keyspace", "read",  "write",     "set",        "sortedset",   "list",      "hash",   "string",  "bitmap", "hyperloglog",
    "geo",      "stream", "pubsub",   "admin",      "fast",        "slow",      "blocking", "dangerous", "connection",
    "transaction", "scripting", "vector", "session", "llm",        "kb",        "flow",   "agent",   "tenant",
};

const char *acl_category(int bit)
{
    return bit >= 0 && (size_t)bit < sizeof names / sizeof *names ? names[bit] : NULL;
}

uint32_t acl_categories(const struct cmd *cmd)
{
    uint32_t acl = cmd->acl;
    if (cmd->flags & CMD_WRITE)
        acl |= ACL_WRITE;
    if ((cmd->flags & CMD_READONLY) && !(cmd->acl & ACL_SCRIPTING)) /* what a script does is up to its commands */
        acl |= ACL_READ;
    if (cmd->flags & CMD_ADMIN)
        acl |= ACL_ADMIN | ACL_DANGEROUS;
    if (cmd->flags & CMD_PUBSUB)
        acl |= ACL_PUBSUB;
    if (cmd->flags & CMD_BLOCKING)
        acl |= ACL_BLOCKING;
    return acl | (cmd->flags & CMD_FAST ? ACL_FAST : ACL_SLOW);
}
