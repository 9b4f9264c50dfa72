/* What the files of the sorted set family share. Each has its rows: cmd_zset.c (one set: adding, scores, ranks),
 * cmd_zset_range.c (ranges), cmd_zset_pop.c (taking the ends), cmd_zset_ops.c (several sets). Thread: loop. */
#ifndef CMD_CMD_ZSET_H
#define CMD_CMD_ZSET_H

#include "cmd/cmd.h"
#include "store/t_zset.h"

/* The sorted set under argv[i], NULL when absent; false: it is something else, the error is replied. */
bool zset_arg_read(struct call *c, int i, struct obj **o);
bool zset_arg_write(struct call *c, int i, struct obj **o);

/* After members were taken from o: the event, and the key goes with its last member. */
void zset_removed(struct call *c, struct slice key, struct obj *o, const char *event);

/* A list of n members, with their scores when asked for: pairs on RESP3, flat on RESP2. */
void zset_reply_head(struct call *c, size_t n, bool scores);
void zset_reply_member(struct call *c, struct slice member, double score, bool scores);

/* A set that is not under a key yet, and its end: it becomes the value of `key`, which is deleted instead when the set
 * is empty. Replies with the number of members; takes the set over. */
void zset_result(struct obj *o);
void zset_store(struct call *c, struct slice key, struct obj *result, const char *event);

/* Key positions of `numkeys key...`, numkeys being argv[at]; pos has room for so many, more are left out. */
int zset_numkeys_keys(int argc, const struct slice *argv, int at, int *pos, int room);

#define ZSET_KEY  .acl = ACL_SORTEDSET, .first = 1, .last = 1, .step = 1
#define ZSET_GROW (CMD_WRITE | CMD_DENYOOM)
#define ZSET_READ (CMD_READONLY | CMD_FAST)

#endif
