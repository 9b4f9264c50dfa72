/* What calls took, for /metrics: histograms of seconds and counters, labelled by model, route, class of failure and the
 * door that they came by. There are at most http-metrics-series label sets; what would be more is counted under model
 * and route "other".
 *
 * Thread: loop. */
#ifndef LLM_TALLY_H
#define LLM_TALLY_H

#include "base/buf.h"
#include "llm/chat.h"

struct tally;

void tally_boot(void); /* registers the setting; once */
struct tally *tally_create(void);
void tally_destroy(struct tally *t); /* NULL allowed */
/* class: "none" when all went well; static. overhead_us: what was not the vendor's time. */
void tally_add(struct tally *t, const struct llm_facts *f, const char *class, enum llm_door door, int64_t overhead_us);
void tally_print(const struct tally *t, struct buf *to); /* Prometheus text 0.0.4 */

#endif
