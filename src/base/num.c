#include "base/num.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool num_to_u64(struct slice s, uint64_t *out)
{
    if (s.len == 0 || s.len > 20 || (s.p[0] == '0' && s.len > 1))
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned d = (unsigned char)s.p[i] - '0';
        if (d > 9 || v > (UINT64_MAX - d) / 10)
            return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

bool num_to_i64(struct slice s, int64_t *out)
{
    if (s.len == 0)
        return false;
    bool neg = s.p[0] == '-';
    uint64_t v;
    if (!num_to_u64(slice_of(s.p + neg, s.len - neg), &v))
        return false;
    if (neg) {
        if (v == 0 || v > (uint64_t)INT64_MAX + 1)
            return false;
        *out = (int64_t)(0 - v);
        return true;
    }
    if (v > INT64_MAX)
        return false;
    *out = (int64_t)v;
    return true;
}

bool num_to_u64_lax(struct slice s, uint64_t *out)
{
    char text[64];
    if (s.len == 0 || s.len >= sizeof text)
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = 0;
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno == ERANGE || end == text || *end)
        return false;
    *out = v;
    return true;
}

bool num_to_double(struct slice s, double *out)
{
    char text[512]; /* the largest double has 309 digits before the point */
    int64_t whole;
    if (s.len <= 15 && num_to_i64(s, &whole)) /* below 2^53: exact */
        return *out = (double)whole, true;
    if (s.len == 0 || s.len >= sizeof text || memchr(" \t\n\v\f\r", s.p[0], 6))
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = 0;
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (end != text + s.len || isnan(v))
        return false;
    if (errno == ERANGE && (v == HUGE_VAL || v == -HUGE_VAL || fpclassify(v) == FP_ZERO))
        return false;
    *out = v;
    return true;
}

size_t num_from_u64(char *to, uint64_t v)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
                                "4950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
                                "99";
    char tmp[20], *p = tmp + sizeof tmp;
    while (v >= 100) {
        p -= 2;
        memcpy(p, pairs + v % 100 * 2, 2);
        v /= 100;
    }
    if (v >= 10) {
        p -= 2;
        memcpy(p, pairs + v * 2, 2);
    } else {
        *--p = (char)('0' + v);
    }
    size_t n = (size_t)(tmp + sizeof tmp - p);
    memcpy(to, p, n);
    return n;
}

size_t num_from_i64(char *to, int64_t v)
{
    if (v >= 0)
        return num_from_u64(to, (uint64_t)v);
    to[0] = '-';
    return 1 + num_from_u64(to + 1, 0 - (uint64_t)v);
}

/* The shortest digits that read back as v (finite, not 0), without point or trailing zeros; v is digits * 10^*scale. */
static int shortest_digits(double v, char digits[17], int *scale)
{
    char text[NUM_DOUBLE_MAX];
    int first = v < DBL_MIN ? 0 : 14; /* 15 digits always survive, but for subnormal numbers */
    for (int precision = first; precision <= 16; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, v);
        if (strtod(text, NULL) == v)
            break;
    }
    int n = 0;
    char *p = text;
    for (; *p != 'e'; p++)
        if (*p != '.')
            digits[n++] = *p;
    *scale = atoi(p + 1) - (n - 1);
    while (n > 1 && digits[n - 1] == '0') {
        n--;
        (*scale)++;
    }
    return n;
}

/* Plain notation unless it would be long: the bounds are those of the dtoa that Redis uses, so texts are equal too. */
static size_t lay_out(char *to, const char *digits, int n, int scale)
{
    int exponent = abs(scale + n - 1), point = n + scale; /* where the decimal point goes in the digits */
    char *at = to;
    if (scale >= 0 && exponent < n + 7) {
        memcpy(at, digits, (size_t)n);
        memset(at + n, '0', (size_t)scale);
        return (size_t)point;
    }
    if (scale < 0 && (scale > -7 || exponent < 4)) {
        if (point > 0) {
            memcpy(at, digits, (size_t)point);
            at[point] = '.';
            memcpy(at + point + 1, digits + point, (size_t)(n - point));
            return (size_t)n + 1;
        }
        *at++ = '0';
        *at++ = '.';
        memset(at, '0', (size_t)-point);
        memcpy(at - point, digits, (size_t)n);
        return (size_t)(2 - point + n);
    }
    *at++ = digits[0];
    if (n > 1) {
        *at++ = '.';
        memcpy(at, digits + 1, (size_t)n - 1);
        at += n - 1;
    }
    *at++ = 'e';
    *at++ = scale + n - 1 < 0 ? '-' : '+';
    return (size_t)(at - to) + num_from_u64(at, (uint64_t)exponent);
}

size_t num_from_double(char *to, double v)
{
    if (isnan(v))
        return memcpy(to, "nan", 3), 3;
    if (isinf(v))
        return v > 0 ? (memcpy(to, "inf", 3), 3) : (memcpy(to, "-inf", 4), 4);
    if (v == 0)
        return signbit(v) ? (memcpy(to, "-0", 2), 2) : (memcpy(to, "0", 1), 1);
    if (v == floor(v) && fabs(v) <= 4503599627370496.0) /* 2^52 */
        return num_from_i64(to, (int64_t)v);
    char digits[17];
    int scale, n = shortest_digits(fabs(v), digits, &scale);
    if (v < 0)
        *to++ = '-';
    return (size_t)(v < 0) + lay_out(to, digits, n, scale);
}

bool num_to_long_double(struct slice s, long double *out)
{
    char text[NUM_LONG_MAX];
    if (s.len == 0 || s.len >= sizeof text || memchr(" \t\n\v\f\r", s.p[0], 6))
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = 0;
    char *end;
    errno = 0;
    long double v = strtold(text, &end);
    if (end != text + s.len || isnan(v))
        return false;
    if (errno == ERANGE && (isinf(v) || fpclassify(v) == FP_ZERO))
        return false;
    *out = v;
    return true;
}

size_t num_from_long_double(char to[NUM_LONG_MAX], long double v)
{
    size_t n = (size_t)snprintf(to, NUM_LONG_MAX, "%.17Lf", v);
    while (to[n - 1] == '0')
        n--;
    if (to[n - 1] == '.')
        n--;
    if (n == 2 && to[0] == '-' && to[1] == '0') {
        to[0] = '0';
        n = 1;
    }
    return n;
}

bool num_to_bytes(struct slice s, uint64_t *out)
{
    static const struct {
        const char *unit;
        uint64_t mul;
    } units[] = {{"b", 1},           {"k", 1000},          {"kb", 1024},       {"m", 1000 * 1000},
                 {"mb", 1024 * 1024}, {"g", 1000000000ULL}, {"gb", 1ULL << 30}, {"", 1}};
    size_t digits = 0;
    while (digits < s.len && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    uint64_t v;
    if (!num_to_u64(slice_of(s.p, digits), &v))
        return false;
    struct slice unit = slice_of(s.p + digits, s.len - digits);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (slice_is(unit, units[i].unit)) {
            if (v > UINT64_MAX / units[i].mul)
                return false;
            *out = v * units[i].mul;
            return true;
        }
    return false;
}
