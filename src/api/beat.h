/* Comments on streams that say nothing: proxies and clients cut a connection on which nothing has moved for long, and a
 * model may think for longer. One list and one timer for all streams, so that a piece costs a look at the clock and
 * moves a link. Thread: loop. */
#ifndef API_BEAT_H
#define API_BEAT_H

#include <stdint.h>

#include "base/list.h"
#include "io/loop.h"

struct beat { /* embedded, zeroed before */
    struct list link;
    int64_t since_ms;              /* when something was said last */
    void (*quiet)(struct beat *b); /* nothing was for http-stream-keepalive-ms; it may stop no other beat */
};

void beat_settings(void);
void beat_open(struct loop *l);
void beat_close(void); /* beats that go on are never told again; stopping them stays allowed */

void beat_start(struct beat *b, void (*quiet)(struct beat *b));
void beat_said(struct beat *b); /* harmless when it has not started */
void beat_stop(struct beat *b); /* the same */

#endif
