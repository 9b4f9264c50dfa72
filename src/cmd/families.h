/* The families of commands; table.c lists them. Adding a family is one line here and one there. */
#ifndef CMD_FAMILIES_H
#define CMD_FAMILIES_H

#include "cmd/cmd.h"

extern const struct cmd_family acl_family;
extern const struct cmd_family connection_family;
extern const struct cmd_family server_family;
extern const struct cmd_family cluster_family;
extern const struct cmd_family debug_family;
extern const struct cmd_family script_family;
extern const struct cmd_family function_family;
extern const struct cmd_family generic_family;
extern const struct cmd_family expire_family;
extern const struct cmd_family string_family;
extern const struct cmd_family bitmap_family;
extern const struct cmd_family hyperloglog_family;
extern const struct cmd_family hash_family;
extern const struct cmd_family hash_expire_family;
extern const struct cmd_family memory_family;
extern const struct cmd_family list_family;
extern const struct cmd_family set_family;
extern const struct cmd_family slowlog_family;
extern const struct cmd_family snapshot_family;
extern const struct cmd_family replication_family;
extern const struct cmd_family migrate_family;
extern const struct cmd_family zset_family, zset_range_family, zset_pop_family, zset_ops_family;
extern const struct cmd_family latency_family;
extern const struct cmd_family geo_family, geo_search_family;
extern const struct cmd_family sort_family;
extern const struct cmd_family stream_family;
extern const struct cmd_family stream_read_family, stream_group_family, stream_claim_family, stream_info_family;
extern const struct cmd_family transactions_family;
extern const struct cmd_family monitor_family;
extern const struct cmd_family pubsub_family;
extern const struct cmd_family vector_family, vector_read_family, vector_search_family, vector_bulk_family;
extern const struct cmd_family vector_optimize_family;
extern const struct cmd_family session_family;
extern const struct cmd_family llm_family;
extern const struct cmd_family llm_account_family;
extern const struct cmd_family llm_media_family;
extern const struct cmd_family llm_compare_family;
extern const struct cmd_family flow_family;

#endif
