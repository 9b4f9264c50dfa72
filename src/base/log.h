/* The log: one line per event, to a file or standard output, in Redis's format (pid:role date level message).
 * Thread: any; a line is written with one write(2), so lines of several threads do not mix. Secrets never go in. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/err.h"

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING, LOG_NOTHING };

void log_set_level(enum log_level level);
int log_open(const char *path, struct err *err); /* "" is standard output; opens again on log_reopen (SIGHUP) */
void log_reopen(void);
void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_verbose(...) log_at(LOG_VERBOSE, __VA_ARGS__)
#define log_notice(...) log_at(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)

#endif
