/* The times that HTTP and its neighbours write, to milliseconds since 1970. Pure. Thread: any. */
#ifndef NET_HTTP_DATE_H
#define NET_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* The three forms of RFC 9110, 5.6.7, nothing before and behind them:
 *
 *   Sun, 06 Nov 1994 08:49:37 GMT      IMF-fixdate
 *   Sunday, 06-Nov-94 08:49:37 GMT     RFC 850; a year that seems over 50 years ahead of now_ms is of the past
 *   Sun Nov  6 08:49:37 1994           asctime
 *
 * Names are as they are written there; whether the weekday is that of the date is not asked. False: it is none of
 * them. */
bool http_date(struct slice text, int64_t now_ms, int64_t *ms);
/* RFC 3339: 1994-11-06T08:49:37.25Z, or with +01:00. What is finer than milliseconds is cut. */
bool http_date_rfc3339(struct slice text, int64_t *ms);

#endif
