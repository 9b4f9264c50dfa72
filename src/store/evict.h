/* Eviction: keys that go when memory is over maxmemory, by the policy that Redis names. Victims are the worst of a sample
 * (maxmemory-samples), as in Redis: approximated LRU needs no list through all keys. Thread: loop. */
#ifndef STORE_EVICT_H
#define STORE_EVICT_H

#include "base/err.h"
#include "store/db.h"

extern int64_t evict_maxmemory; /* bytes; 0: no limit */
extern int64_t evict_policy;
#define EVICT_LFU 32 /* of evict_policy: keys are kept by how often they are used */

void evict_settings(void);
const char *evict_policy_name(void);
/* Makes room when there is too little. ERR_OOM with Redis's sentence when that cannot be had. */
int evict_make_room(struct store *s, struct err *err);

#endif
