/* CLUSTER and its kin. A server is one node that owns everything, so as in a Redis with cluster-enabled no they answer
 * that there is no cluster: clients ask this to find out, and read the answer's words. The rows are all here, because
 * COMMAND tells clients where the keys are and ACL rules name them. */
#include "cmd/cmd.h"

/* > CLUSTER INFO
 * < (error) ERR This instance has cluster support disabled
 * > READONLY
 * < (error) ERR This instance has cluster support disabled
 */
static void no_cluster(struct call *c)
{
    reply_errorf(c->reply, "ERR This instance has cluster support disabled");
}

#define SUB(word, n, args, text, what, version, cost)                                                                  \
    {                                                                                                                  \
        .name = (word), .run = no_cluster, .arity = (n), .flags = CMD_STALE | (args), .acl = ACL_SLOW,                 \
        .syntax = (text), .summary = (what), .since = (version), .complexity = (cost)                                  \
    }
#define OPEN 0
#define NODES "O(N) where N is the nodes"

/* clang-format off */
static const struct cmd subs[] = {
    SUB("addslots", -3, CMD_ADMIN, "slot...", "Gives slots to this node.", "3.0.0", "O(N) in the slots"),
    SUB("addslotsrange", -4, CMD_ADMIN, "(start-slot end-slot)...", "Gives ranges of slots to this node.", "7.0.0",
        "O(N) in the slots"),
    SUB("bumpepoch", 2, CMD_ADMIN, "", "Goes to a new configuration epoch.", "3.0.0", "O(1)"),
    SUB("count-failure-reports", 3, CMD_ADMIN, "node-id", "How many say that a node has failed.", "3.0.0",
        "O(N) in the reports"),
    SUB("countkeysinslot", 3, OPEN, "slot", "How many keys a slot has.", "3.0.0", "O(1)"),
    SUB("delslots", -3, CMD_ADMIN, "slot...", "Takes slots from this node.", "3.0.0", "O(N) in the slots"),
    SUB("delslotsrange", -4, CMD_ADMIN, "(start-slot end-slot)...", "Takes ranges of slots from this node.", "7.0.0",
        "O(N) in the slots"),
    SUB("failover", -2, CMD_ADMIN, "[FORCE|TAKEOVER]", "Makes a replica the master.", "3.0.0", "O(1)"),
    SUB("flushslots", 2, CMD_ADMIN, "", "Takes all slots from this node.", "3.0.0", "O(1)"),
    SUB("forget", 3, CMD_ADMIN, "node-id", "Removes a node from the table.", "3.0.0", "O(1)"),
    SUB("getkeysinslot", 4, OPEN, "slot count", "Keys of a slot.", "3.0.0", "O(N) in the keys asked for"),
    SUB("help", 2, CMD_LOADING, "", "The subcommands.", "5.0.0", "O(1)"),
    SUB("info", 2, OPEN, "", "The state of the cluster.", "3.0.0", "O(1)"),
    SUB("keyslot", 3, OPEN, "key:str", "The slot of a key.", "3.0.0", "O(N) in the key's length"),
    SUB("links", 2, OPEN, "", "The connections between nodes.", "7.0.0", NODES),
    SUB("meet", -4, CMD_ADMIN, "ip port [cluster-bus-port]", "Joins another node's cluster.", "3.0.0", "O(1)"),
    SUB("myid", 2, OPEN, "", "This node's id.", "3.0.0", "O(1)"),
    SUB("myshardid", 2, OPEN, "", "This node's shard's id.", "7.2.0", "O(1)"),
    SUB("nodes", 2, OPEN, "", "The nodes, a line each.", "3.0.0", NODES),
    SUB("replicas", 3, CMD_ADMIN, "node-id", "The replicas of a node.", "5.0.0", "O(N) in the replicas"),
    SUB("replicate", 3, CMD_ADMIN, "node-id", "Makes this node a replica of another.", "3.0.0", "O(1)"),
    SUB("reset", -2, CMD_ADMIN | CMD_NOSCRIPT, "[HARD|SOFT]", "Leaves the cluster.", "3.0.0", NODES),
    SUB("saveconfig", 2, CMD_ADMIN, "", "Writes the node's state to disk.", "3.0.0", "O(1)"),
    SUB("set-config-epoch", 3, CMD_ADMIN, "config-epoch", "Sets a new node's epoch.", "3.0.0", "O(1)"),
    SUB("setslot", -4, CMD_ADMIN, "slot (IMPORTING node-id|MIGRATING node-id|NODE node-id|STABLE)",
        "Says where a slot is or goes.", "3.0.0", "O(1)"),
    SUB("shards", 2, OPEN, "", "The slots and the nodes that have them.", "7.0.0", NODES),
    SUB("slaves", 3, CMD_ADMIN, "node-id", "The replicas of a node, by the older name.", "3.0.0", "O(N) in the replicas"),
    SUB("slots", 2, OPEN, "", "The slots and the nodes that have them, the older form.", "3.0.0", NODES),
};

static const struct cmd rows[] = {
    {.name = "cluster", .arity = -2, .acl = ACL_SLOW, .syntax = "", .summary = "There is no cluster.", .since = "3.0.0",
     .complexity = "Depends on the subcommand.", .subs = subs, .nsubs = sizeof subs / sizeof *subs},
    {.name = "readonly", .run = no_cluster, .arity = 1, .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
     .acl = ACL_CONNECTION, .syntax = "", .summary = "Lets a replica of a cluster answer reads.", .since = "3.0.0",
     .complexity = "O(1)"},
    {.name = "readwrite", .run = no_cluster, .arity = 1, .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
     .acl = ACL_CONNECTION, .syntax = "", .summary = "Ends READONLY.", .since = "3.0.0", .complexity = "O(1)"},
    {.name = "asking", .run = no_cluster, .arity = 1, .flags = CMD_FAST, .acl = ACL_CONNECTION, .syntax = "",
     .summary = "Follows an -ASK redirection.", .since = "3.0.0", .complexity = "O(1)"},
};
/* clang-format on */

const struct cmd_family cluster_family = CMD_FAMILY("cluster", rows);
