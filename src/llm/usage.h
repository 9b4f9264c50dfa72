/* What was used: a row for each day (UTC), model and user, kept for llm-usage-days, at most llm-usage-rows of them; the
 * oldest days go first. Exact sums; what a provider did not count is marked as estimated.
 *
 * Thread: loop. */
#ifndef LLM_USAGE_H
#define LLM_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct usage_row {
    int64_t day; /* since 1970 */
    struct slice model, user;
    int64_t calls, failed;
    int64_t tokens_in, tokens_out, tokens_cached;
    int64_t cost;      /* money.h */
    int64_t estimated; /* calls whose tokens are an estimate */
    int64_t unpriced;  /* calls whose cost is not known */
};

struct usage;

void usage_boot(void); /* registers settings; once */
struct usage *usage_create(void);
void usage_destroy(struct usage *u);
void usage_add(struct usage *u, const struct usage_row *row); /* onto the row of the same day, model and user */
void usage_clear(struct usage *u);
int64_t usage_kept_from(int64_t today); /* the first day that is kept */
int64_t usage_rows(const struct usage *u);

enum usage_by { USAGE_ALL, USAGE_BY_MODEL, USAGE_BY_USER, USAGE_BY_DAY, USAGE_TOTAL };
/* Sums of the days from..to (both included), one row a group, in the order of their names or days; the fields that it
 * is not grouped by are empty. USAGE_TOTAL: one row, or none. USAGE_ALL: the rows themselves, oldest day first. fn
 * changes nothing. */
void usage_sum(struct usage *u, enum usage_by by, int64_t from, int64_t to,
               void (*fn)(void *arg, const struct usage_row *row), void *arg);

int64_t day_of_ms(int64_t wall_ms);
int64_t month_of_day(int64_t day);         /* year * 12 + month - 1 */
int64_t day_of_month_start(int64_t month); /* its first day */
#define DAY_TEXT 16
void day_text(int64_t day, char to[DAY_TEXT]); /* "2026-11-21", NUL-terminated */
/* "2026-11-21" or seconds since 1970, to a day; false: neither. */
bool day_parse(struct slice text, int64_t *day);

#endif
