/* How the routes that call models have answered, for /metrics: a counter by route and status. Both come from us, so
 * there are few. Thread: loop. */
#ifndef API_ANSWERS_H
#define API_ANSWERS_H

#include "base/buf.h"

void answers_add(const char *route, int status); /* route is static */
void answers_print(struct buf *to);              /* Prometheus text 0.0.4 */

#endif
