#include "llm/retry_after.h"

#include <math.h>
#include <string.h>

#include "net/http_client.h"
#include "net/http_date.h"

#define SECONDS_SINCE_1970 1e9  /* from here on a number is a date, not a time to wait */
#define MS_SINCE_1970      1e12 /* and from here on one in milliseconds */
#define DIGITS_MAX         20

static int64_t within(double ms)
{
    return ms <= 0 ? 0 : ms >= RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : (int64_t)ceil(ms);
}

/* Digits with at most one point between them; moves *p behind it. */
static bool decimal(const char **p, const char *end, double *to)
{
    const char *at = *p;
    double v = 0, unit = 1;
    bool point = false;
    for (; at < end && at - *p < DIGITS_MAX; at++) {
        if (*at == '.' && !point && at > *p && at + 1 < end && at[1] >= '0' && at[1] <= '9') {
            point = true;
            continue;
        }
        if (*at < '0' || *at > '9')
            break;
        unit /= point ? 10 : 1;
        v = point ? v + (*at - '0') * unit : v * 10 + (*at - '0');
    }
    if (at == *p || (at < end && *at >= '0' && *at <= '9'))
        return false;
    *p = at;
    *to = v;
    return true;
}

static bool number(struct slice text, double *to)
{
    const char *p = text.p, *end = text.p + text.len;
    return decimal(&p, end, to) && p == end;
}

static double unit_of(const char **p, const char *end)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ms", 1}, {"us", 1e-3}, {"\xc2\xb5s", 1e-3}, {"ns", 1e-6}, {"h", 3600e3}, {"m", 60e3}, {"s", 1e3}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t n = strlen(units[i].name);
        if ((size_t)(end - *p) >= n && memcmp(*p, units[i].name, n) == 0) {
            *p += n;
            return units[i].ms;
        }
    }
    return 0;
}

bool retry_after_duration(struct slice text, int64_t *ms)
{
    const char *p = text.p, *end = text.p + text.len;
    double sum = 0, v, unit;
    if (p == end)
        return false;
    while (p < end) {
        if (!decimal(&p, end, &v) || (unit = unit_of(&p, end)) == 0)
            return false;
        sum += v * unit;
    }
    *ms = within(sum);
    return true;
}

/* ---- what the headers hold ---- */

static int64_t until(int64_t then_ms, int64_t now_ms)
{
    return within((double)then_ms - (double)now_ms);
}

static int64_t date_of_answer(struct slice head, int64_t now_ms)
{
    int64_t said;
    return http_date(http_header(head, "date"), now_ms, &said) ? said : now_ms;
}

static int64_t plain(struct slice head, int64_t now_ms)
{
    struct slice text = http_header(head, "retry-after");
    int64_t then;
    double s;
    if (number(text, &s))
        return within(s * 1000);
    return http_date(text, now_ms, &then) ? until(then, date_of_answer(head, now_ms)) : -1;
}

static int64_t reset_number(double v, int64_t now_ms)
{
    if (v >= MS_SINCE_1970)
        return within(v - (double)now_ms);
    return within((v >= SECONDS_SINCE_1970 ? v * 1000 - (double)now_ms : v * 1000));
}

static int64_t reset_of(struct slice text, struct slice head, int64_t now_ms)
{
    int64_t ms;
    double v;
    if (number(text, &v))
        return reset_number(v, now_ms);
    if (retry_after_duration(text, &ms))
        return ms;
    return http_date_rfc3339(text, &ms) ? until(ms, date_of_answer(head, now_ms)) : -1;
}

/* Is there something left of the limit? Not when it does not say. */
static bool remains(struct slice head, const char *name)
{
    double v;
    return number(http_header(head, name), &v) && v > 0;
}

static int64_t resets(struct slice head, int64_t now_ms)
{
    static const char *const names[][2] = {
        {"x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"},
        {"x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"},
        {"anthropic-ratelimit-requests-reset", "anthropic-ratelimit-requests-remaining"},
        {"anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining"},
        {"anthropic-ratelimit-input-tokens-reset", "anthropic-ratelimit-input-tokens-remaining"},
        {"anthropic-ratelimit-output-tokens-reset", "anthropic-ratelimit-output-tokens-remaining"},
        {"x-ratelimit-reset", "x-ratelimit-remaining"},
        {"ratelimit-reset", "ratelimit-remaining"},
    };
    int64_t longest = -1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct slice text = http_header(head, names[i][0]);
        int64_t ms = text.len && !remains(head, names[i][1]) ? reset_of(text, head, now_ms) : -1;
        longest = ms > longest ? ms : longest;
    }
    return longest;
}

int64_t retry_after(struct slice head, bool limited, int64_t now_ms)
{
    double ms;
    if (number(http_header(head, "retry-after-ms"), &ms))
        return within(ms);
    int64_t asked = plain(head, now_ms);
    return asked >= 0 || !limited ? asked : resets(head, now_ms);
}
