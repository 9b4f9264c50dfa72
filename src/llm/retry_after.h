/* When a vendor wants to be asked again, from the head of its answer. Vendors say it in many ways; the first of these
 * that is there and can be read counts:
 *
 *   retry-after-ms: 1500             milliseconds, a fraction is allowed
 *   retry-after: 2 or 1.5 or a date  seconds, or one of HTTP's three forms of dates
 *
 * and where the vendor says that it gets too many requests, the reset of the limit of which nothing remains, the
 * longest of them:
 *
 *   x-ratelimit-reset-requests, -tokens    6m0s, 17ms, 1.5s (OpenAI); a bare number is seconds
 *   anthropic-ratelimit-*-reset            2024-01-01T00:00:00Z
 *   x-ratelimit-reset, ratelimit-reset     30 (seconds), 1700000000 (since 1970), 1700000000000 (the same in ms)
 *
 * A date is measured from the answer's own Date where it has one, so that clocks need not agree. Pure. Thread: any. */
#ifndef LLM_RETRY_AFTER_H
#define LLM_RETRY_AFTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define RETRY_AFTER_MAX_MS 86400000 /* what is longer is cut to this */

/* Milliseconds from 0 to RETRY_AFTER_MAX_MS, or -1: it does not say, or not so that it can be understood. limited: it
 * gets too many requests. */
int64_t retry_after(struct slice head, bool limited, int64_t now_ms);
/* "1h2m3.5s", "17ms", "250us": Go's durations, none of them negative. False: it is none. At most RETRY_AFTER_MAX_MS. */
bool retry_after_duration(struct slice text, int64_t *ms);

#endif
