/* How long commands take: a histogram each (LATENCY HISTOGRAM, INFO latencystats), and what held up the loop for longer than
 * latency-monitor-threshold (LATENCY's other subcommands, base/latency.h). Thread: loop. */
#ifndef CMD_LATENCY_H
#define CMD_LATENCY_H

#include "cmd/table.h"

void latency_cmd_settings(void); /* registers latency-tracking, latency-tracking-info-percentiles, and the INFO section */
void latency_command(struct cmd_entry *e, int64_t us); /* after a command that kept the loop for so long */
void latency_forget(struct cmd_entry *e);              /* CONFIG RESETSTAT */

#endif
