/* Consumer groups of a stream: how far each group has read, which entries were given to whom and not acknowledged yet.
 *
 * A pending entry stands twice: in the group by id, with its owner and when it was given, and in its consumer by id alone.
 * Groups and consumers are ordered by name, as XINFO shows them. Times are wall-clock milliseconds.
 *
 * Thread: loop; stream_groups_release: any. */
#ifndef STORE_STREAM_GROUP_H
#define STORE_STREAM_GROUP_H

#include "store/rdb.h"
#include "store/sidmap.h"

struct stream_consumer {
    struct slice name; /* owned */
    int64_t seen_ms;   /* last tried to read or claim */
    int64_t active_ms; /* last got something; -1: never */
    struct sidmap pending; /* struct sid */
};

struct stream_pending { /* in the group, by id */
    struct sid id;
    int64_t given_ms;
    uint64_t times; /* how often it was given */
    struct stream_consumer *owner;
};

#define STREAM_READ_UNKNOWN (-1)
struct stream_group {
    struct slice name; /* owned */
    struct sid last;   /* the last one given as new */
    int64_t read;      /* how many entries of the stream's life that makes, or STREAM_READ_UNKNOWN */
    struct sidmap pending; /* struct stream_pending */
    struct stream_consumer **consumers;
    size_t nconsumers;
};

struct stream_groups {
    struct stream_group **group;
    size_t n;
};

struct stream_group *stream_group_find(const struct stream_groups *gs, struct slice name);
struct stream_group *stream_group_add(struct stream_groups *gs, struct slice name); /* NULL: there is one already */
bool stream_group_drop(struct stream_groups *gs, struct slice name);

struct stream_consumer *stream_consumer_find(const struct stream_group *g, struct slice name);
struct stream_consumer *stream_consumer_add(struct stream_group *g, struct slice name, int64_t now_ms); /* or NULL */
/* With what it had pending; returns how many entries that were, -1 when there is no such consumer. */
int64_t stream_consumer_drop(struct stream_group *g, struct slice name);

struct stream_pending *stream_pending_find(const struct stream_group *g, struct sid id);
/* Gives the entry to the consumer, whoever had it. The rest of the record is the caller's to fill. */
struct stream_pending *stream_pending_give(struct stream_group *g, struct sid id, struct stream_consumer *to);
bool stream_pending_drop(struct stream_group *g, struct sid id);

/* For the stream's own type_ops. */
void stream_groups_release(struct stream_groups *gs);
void stream_groups_copy(const struct stream_groups *gs, struct stream_groups *to);
void stream_groups_relocate(struct stream_groups *gs); /* moves what is pending (mem_relocated) */
size_t stream_groups_bytes(const struct stream_groups *gs);
size_t stream_groups_effort(const struct stream_groups *gs); /* of freeing them: how many allocations, about */
/* In the form of RDB's stream types; `type` says which. Without entries_read (type 15), read is 0. */
uint8_t stream_groups_type(const struct stream_groups *gs); /* the oldest that loses nothing: 19, or 7.2's 21 */
void stream_groups_save(const struct stream_groups *gs, uint8_t type, struct rdb_out *to);
int stream_groups_load(struct stream_groups *gs, uint8_t type, struct rdb_in *from, struct err *err);
void stream_groups_digest(const struct stream_groups *gs, uint8_t sha[20]);

#endif
