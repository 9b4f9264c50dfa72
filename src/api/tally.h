/* What calls through the door took, for /metrics: histograms of seconds and counters, labelled by model, route and
 * class of failure. There are at most http-metrics-series label sets; what would be more is counted under model and
 * route "other".
 *
 * Thread: loop. */
#ifndef API_TALLY_H
#define API_TALLY_H

#include "base/buf.h"
#include "llm/chat.h"

void tally_settings(void);
/* class: "none" when all went well; static. overhead_us: what was not the vendor's time. */
void tally_add(const struct llm_facts *f, const char *class, int64_t overhead_us);
void tally_answer(const char *route, int status); /* an answer with this status; route is static */
void tally_print(struct buf *to);                 /* Prometheus text 0.0.4 */
void tally_end(void);

/* A label's value in quotes, escaped. */
void tally_quote(struct buf *to, struct slice value);

#endif
