#include "net/http_date.h"

#include <string.h>
#include <time.h>

struct date {
    int year, month, day, hour, minute, second; /* month: 1 to 12 */
};

/* What is left to be read. */
struct scan {
    const char *p, *end;
};

static bool literal(struct scan *s, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, text, n) != 0)
        return false;
    s->p += n;
    return true;
}

/* Exactly n digits. */
static bool digits(struct scan *s, int n, int *to)
{
    int v = 0;
    if (s->end - s->p < n)
        return false;
    for (int i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        v = v * 10 + (s->p[i] - '0');
    }
    s->p += n;
    *to = v;
    return true;
}

/* One of n names; its index, or -1. */
static int one_of(struct scan *s, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (literal(s, names[i]))
            return i;
    return -1;
}

static bool short_day(struct scan *s)
{
    static const char *const names[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    return one_of(s, names, 7) >= 0;
}

static bool long_day(struct scan *s)
{
    static const char *const names[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
    return one_of(s, names, 7) >= 0;
}

static bool month(struct scan *s, int *to)
{
    static const char *const names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    *to = one_of(s, names, 12) + 1;
    return *to > 0;
}

static bool time_of_day(struct scan *s, struct date *d)
{
    return digits(s, 2, &d->hour) && literal(s, ":") && digits(s, 2, &d->minute) && literal(s, ":") &&
           digits(s, 2, &d->second);
}

static bool imf_fixdate(struct scan s, struct date *d)
{
    return short_day(&s) && literal(&s, ", ") && digits(&s, 2, &d->day) && literal(&s, " ") && month(&s, &d->month) &&
           literal(&s, " ") && digits(&s, 4, &d->year) && literal(&s, " ") && time_of_day(&s, d) &&
           literal(&s, " GMT") && s.p == s.end;
}

/* d->year: two digits. */
static bool rfc850(struct scan s, struct date *d)
{
    return long_day(&s) && literal(&s, ", ") && digits(&s, 2, &d->day) && literal(&s, "-") && month(&s, &d->month) &&
           literal(&s, "-") && digits(&s, 2, &d->year) && literal(&s, " ") && time_of_day(&s, d) &&
           literal(&s, " GMT") && s.p == s.end;
}

static bool asctime_day(struct scan *s, int *to)
{
    return literal(s, " ") ? digits(s, 1, to) : digits(s, 2, to);
}

static bool asctime_date(struct scan s, struct date *d)
{
    return short_day(&s) && literal(&s, " ") && month(&s, &d->month) && literal(&s, " ") && asctime_day(&s, &d->day) &&
           literal(&s, " ") && time_of_day(&s, d) && literal(&s, " ") && digits(&s, 4, &d->year) && s.p == s.end;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* A second 60 is a leap second: it is the next minute's first. */
static bool to_ms(const struct date *d, int64_t *ms)
{
    if (d->year < 1 || d->month < 1 || d->month > 12 || d->day < 1 || d->day > days_of_month(d->year, d->month) ||
        d->hour > 23 || d->minute > 59 || d->second > 60)
        return false;
    struct tm t = {.tm_year = d->year - 1900,
                   .tm_mon = d->month - 1,
                   .tm_mday = d->day,
                   .tm_hour = d->hour,
                   .tm_min = d->minute,
                   .tm_sec = d->second};
    *ms = (int64_t)timegm(&t) * 1000;
    return true;
}

static int year_of(int64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm t;
    return gmtime_r(&s, &t)->tm_year + 1900;
}

static int century(int two_digits, int64_t now_ms)
{
    int now = year_of(now_ms), year = now - now % 100 + two_digits;
    if (year > now + 50)
        return year - 100;
    return year <= now - 50 ? year + 100 : year;
}

bool http_date(struct slice text, int64_t now_ms, int64_t *ms)
{
    struct scan s = {text.p, text.p + text.len};
    struct date d;
    if (imf_fixdate(s, &d) || asctime_date(s, &d))
        return to_ms(&d, ms);
    if (!rfc850(s, &d))
        return false;
    d.year = century(d.year, now_ms);
    return to_ms(&d, ms);
}

/* ".25" as 250; nothing as 0. */
static bool fraction(struct scan *s, int *ms)
{
    int unit = 100;
    *ms = 0;
    if (!literal(s, "."))
        return true;
    const char *first = s->p;
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++, unit /= 10)
        *ms += (*s->p - '0') * unit;
    return s->p > first;
}

static bool zone(struct scan *s, int *minutes)
{
    int sign = literal(s, "+") ? 1 : literal(s, "-") ? -1 : 0, h, m;
    *minutes = 0;
    if (!sign)
        return literal(s, "Z") || literal(s, "z");
    if (!digits(s, 2, &h) || !literal(s, ":") || !digits(s, 2, &m) || h > 23 || m > 59)
        return false;
    *minutes = sign * (h * 60 + m);
    return true;
}

bool http_date_rfc3339(struct slice text, int64_t *ms)
{
    struct scan s = {text.p, text.p + text.len};
    struct date d;
    int part, minutes;
    bool ok = digits(&s, 4, &d.year) && literal(&s, "-") && digits(&s, 2, &d.month) && literal(&s, "-") &&
              digits(&s, 2, &d.day) && (literal(&s, "T") || literal(&s, "t") || literal(&s, " ")) &&
              time_of_day(&s, &d) && fraction(&s, &part) && zone(&s, &minutes) && s.p == s.end;
    if (!ok || !to_ms(&d, ms))
        return false;
    *ms += part - minutes * 60000LL;
    return true;
}
