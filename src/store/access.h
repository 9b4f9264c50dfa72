/* What an object's clock says of its use: when it was last (LRU), or how often lately (LFU), as maxmemory-policy asks.
 *
 *   LRU   the moment of the last use, in sixteenths of a second; wraps after eight years
 *   LFU   bits 0..7   how often: a counter that grows by chance, the larger it is the rarer, and that time takes down
 *         bits 16..31 the minute in which time last took something, wraps after 45 days
 *
 * The four bytes are the object's; nothing more is kept. When the policy changes between the two, clocks of the other
 * kind are misread until their keys are used. Thread: loop. */
#ifndef STORE_ACCESS_H
#define STORE_ACCESS_H

#include <stdbool.h>

#include "base/rng.h"
#include "store/obj.h"

void access_settings(void); /* registers lfu-log-factor and lfu-decay-time */
bool access_is_lfu(void);

void access_begin(struct obj *o);                  /* a key that is new */
void access_touch(struct obj *o, struct rng *rng); /* a key that was used */
uint32_t access_idle_s(const struct obj *o);       /* LRU */
uint8_t access_freq(const struct obj *o);          /* LFU: the counter as it stands now */
/* Larger is worse, under either: the key to be evicted. */
uint32_t access_badness(const struct obj *o);
/* From RESTORE and files: taken when the policy keeps that kind of thing. */
void access_set_idle(struct obj *o, int64_t seconds);
void access_set_freq(struct obj *o, uint8_t freq);

/* One use of a counter by the number drawn, 0 <= draw < 1; for the tests. */
uint8_t access_grown(uint8_t counter, double draw);

#endif
