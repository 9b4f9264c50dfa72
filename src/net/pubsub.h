/* Publish and subscribe: channels, patterns, and who gets a message. Knows nothing of RESP: delivery is a callback that
 * the connection side gives. Thread: loop. */
#ifndef NET_PUBSUB_H
#define NET_PUBSUB_H

#include "base/dict.h"
#include "base/slice.h"

struct pubsub;
struct pubsub_sub; /* one subscriber with its set of channels and patterns */

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD };

/* pattern is empty for channel and shard deliveries. The slices live for the call only. */
typedef void pubsub_deliver(void *arg, enum pubsub_kind kind, struct slice pattern, struct slice channel,
                            struct slice message);

struct pubsub *pubsub_create(void);
void pubsub_destroy(struct pubsub *p); /* all subscribers must be gone */

struct pubsub_sub *pubsub_sub_create(struct pubsub *p, pubsub_deliver *deliver, void *arg);
void pubsub_sub_destroy(struct pubsub_sub *s);                                     /* leaves everything; NULL allowed */
bool pubsub_join(struct pubsub_sub *s, enum pubsub_kind kind, struct slice name);  /* false: was there already */
bool pubsub_leave(struct pubsub_sub *s, enum pubsub_kind kind, struct slice name); /* false: was not there */
size_t pubsub_count(const struct pubsub_sub *s, enum pubsub_kind kind);
/* Calls fn for each name the subscriber has; fn may leave that name, which stays readable until fn returns. */
void pubsub_names(struct pubsub_sub *s, enum pubsub_kind kind, void (*fn)(void *arg, struct slice name), void *arg);

/* Returns how many got it. A subscriber may leave or be destroyed from inside its own delivery, others may not. */
size_t pubsub_publish(struct pubsub *p, enum pubsub_kind kind, struct slice channel, struct slice message);

/* For PUBSUB CHANNELS, NUMSUB, NUMPAT. kind CHANNEL or SHARD. */
void pubsub_channels(struct pubsub *p, enum pubsub_kind kind, void (*fn)(void *arg, struct slice name, size_t subs),
                     void *arg);
size_t pubsub_numsub(struct pubsub *p, enum pubsub_kind kind, struct slice channel);
size_t pubsub_numnames(const struct pubsub *p, enum pubsub_kind kind); /* how many have subscribers */
size_t pubsub_numpat(const struct pubsub *p);

#endif
