#include "llm/money.h"

#include "base/num.h"

#define AMOUNT_DIGITS 12 /* after the point */
#define PRICE_DIGITS  6
#define PRICE_MAX     (INT64_C(1000000000) * 1000000) /* units a token: 1e9 for a million */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Decimal text to an integer in units of 10^-digits. False: not such text, too fine, or more than an int64 holds. */
static bool parse(struct slice s, int digits, int64_t *out)
{
    size_t i = 0;
    int64_t v = 0;
    int after = -1; /* digits after the point so far; -1: no point yet */
    for (; i < s.len; i++) {
        if (s.p[i] == '.' && after < 0 && i > 0) {
            after = 0;
            continue;
        }
        if (!is_digit(s.p[i]))
            return false;
        if (after == digits) {
            if (s.p[i] != '0')
                return false;
            continue;
        }
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s.p[i] - '0', &v))
            return false;
        after += after >= 0;
    }
    if (s.len == 0 || s.len > 64 || s.p[s.len - 1] == '.')
        return false;
    for (int k = after < 0 ? 0 : after; k < digits; k++)
        if (__builtin_mul_overflow(v, 10, &v))
            return false;
    *out = v;
    return true;
}

/* The other way; zeros at the end are dropped, and the point with them. */
static size_t print(char *to, int64_t v, int digits)
{
    int64_t one = 1;
    for (int i = 0; i < digits; i++)
        one *= 10;
    size_t n = num_from_i64(to, v / one);
    int64_t rest = v % one;
    if (rest == 0)
        return n;
    to[n++] = '.';
    for (one /= 10; rest; one /= 10) {
        to[n++] = (char)('0' + rest / one);
        rest %= one;
    }
    return n;
}

int money_parse(struct slice text, const char *what, int64_t *out, struct err *err)
{
    if (parse(text, AMOUNT_DIGITS, out))
        return 0;
    return err_set(err, ERR_INVALID, "%s must be an amount such as 12.50, at most 9 million", what);
}

size_t money_text(char to[MONEY_TEXT], int64_t amount)
{
    return print(to, amount, AMOUNT_DIGITS);
}

int64_t money_add(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

int64_t money_times(int64_t price, int64_t n)
{
    int64_t product;
    return __builtin_mul_overflow(price, n, &product) ? INT64_MAX : product;
}

int price_parse(struct slice text, const char *what, int64_t *out, struct err *err)
{
    if (parse(text, PRICE_DIGITS, out) && *out < PRICE_MAX)
        return 0;
    return err_set(err, ERR_INVALID,
                   "%s takes prices for a million tokens, such as 0.15, with at most 6 digits after the point", what);
}

size_t price_text(char to[MONEY_TEXT], int64_t units)
{
    return print(to, units, PRICE_DIGITS);
}

int64_t price_cost(const struct price *p, int64_t in, int64_t out, int64_t cached)
{
    if (!p->known)
        return 0;
    if (cached > in)
        cached = in;
    int64_t cost = money_times(p->in, in - cached);
    cost = money_add(cost, money_times(p->cached, cached));
    return money_add(cost, money_times(p->out, out));
}

bool price_free(const struct price *p)
{
    return p->known && !p->in && !p->out && !p->cached;
}
