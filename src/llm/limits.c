#include "llm/limits.h"

#include <stddef.h>

#include "base/num.h"
#include "base/utf8.h"
#include "llm/money.h"

static const char *const periods[] = {"TOTAL", "DAY", "MONTH"};

static const struct number {
    const char *word;
    size_t at;
    int64_t max;
} numbers[] = {
    {"RPM", offsetof(struct limits, rpm), LIMITS_RPM_MAX},
    {"TPM", offsetof(struct limits, tpm), LIMITS_TPM_MAX},
    {"CONCURRENCY", offsetof(struct limits, concurrency), LIMITS_CONCURRENCY_MAX},
};
#define NUMBERS (sizeof numbers / sizeof *numbers)

const char *budget_per_name(enum budget_per per)
{
    return periods[per];
}

int budget_per_parse(struct slice word, enum budget_per *out, struct err *err)
{
    for (size_t i = 0; i < sizeof periods / sizeof *periods; i++)
        if (slice_is(word, periods[i])) {
            *out = (enum budget_per)i;
            return 0;
        }
    return err_set(err, ERR_INVALID, "PER must be DAY, MONTH or TOTAL");
}

static int parse_number(struct slice word, struct slice value, struct limits *out, struct err *err)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        if (!slice_is(word, numbers[i].word))
            continue;
        int64_t *to = (int64_t *)((char *)out + numbers[i].at);
        if (num_to_i64(value, to) && *to >= 0 && *to <= numbers[i].max)
            return 0;
        return err_set(err, ERR_INVALID, "%s must be a number from 0 to %lld", numbers[i].word,
                       (long long)numbers[i].max);
    }
    return err_set(err, ERR_INVALID, "unknown limit '%.*s'; there are RPM, TPM, CONCURRENCY, BUDGET and PER",
                   (int)utf8_cut(word, 40), word.p);
}

static int parse_pair(struct slice word, struct slice value, struct limits *out, bool *per, struct err *err)
{
    if (slice_is(word, "budget")) {
        out->has_budget = true;
        return money_parse(value, "BUDGET", &out->budget, err);
    }
    if (!slice_is(word, "per"))
        return parse_number(word, value, out, err);
    *per = true;
    return budget_per_parse(value, &out->per, err);
}

int limits_parse(const struct slice *words, int n, struct limits *out, struct err *err)
{
    bool per = false;
    *out = (struct limits){0};
    if (n % 2)
        return err_set(err, ERR_INVALID, "every limit needs a value");
    for (int i = 0; i < n; i += 2) {
        int rc = parse_pair(words[i], words[i + 1], out, &per, err);
        if (rc < 0)
            return rc;
    }
    if (per && !out->has_budget)
        return err_set(err, ERR_INVALID, "PER needs a BUDGET");
    return 0;
}

void limits_words(const struct limits *l, void (*emit)(void *arg, struct slice word), void *arg)
{
    char text[MONEY_TEXT];
    for (size_t i = 0; i < NUMBERS; i++) {
        int64_t v = *(const int64_t *)((const char *)l + numbers[i].at);
        if (v == 0)
            continue;
        emit(arg, slice_str(numbers[i].word));
        emit(arg, slice_of(text, num_from_i64(text, v)));
    }
    if (!l->has_budget)
        return;
    emit(arg, SLICE("BUDGET"));
    emit(arg, slice_of(text, money_text(text, l->budget)));
    emit(arg, SLICE("PER"));
    emit(arg, slice_str(budget_per_name(l->per)));
}
