/* Limits of a model or a user, as words and back: [RPM n] [TPM n] [CONCURRENCY n] [BUDGET amount [PER
 * DAY|MONTH|TOTAL]]. Thread: any; pure. */
#ifndef LLM_LIMITS_H
#define LLM_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum budget_per { PER_TOTAL, PER_DAY, PER_MONTH };

struct limits {
    int64_t rpm, tpm, concurrency; /* 0: no limit */
    bool has_budget;
    int64_t budget; /* money.h; 0: nothing may be spent */
    enum budget_per per;
};
#define LIMITS_RPM_MAX         INT64_C(1000000000)
#define LIMITS_TPM_MAX         INT64_C(1000000000000)
#define LIMITS_CONCURRENCY_MAX INT64_C(1000000)

const char *budget_per_name(enum budget_per per); /* "TOTAL" */
int budget_per_parse(struct slice word, enum budget_per *out, struct err *err);

/* Words in pairs; what is not named is not limited. ERR_INVALID. */
int limits_parse(const struct slice *words, int n, struct limits *out, struct err *err);
void limits_words(const struct limits *l, void (*emit)(void *arg, struct slice word), void *arg);

#endif
