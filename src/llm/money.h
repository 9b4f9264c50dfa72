/* Money as integers: an amount is an int64 in units of 1e-12 of whatever currency the prices are in.
 *
 * Prices are given as vendors print them, for a million tokens, so six digits after the point are exact: "0.15" is
 * 150000 units a token. An int64 holds 9.2 million of the currency; what would be more stays there (saturation), so
 * that a sum never turns negative. Nothing here is a double.
 *
 * Thread: any; pure. */
#ifndef LLM_MONEY_H
#define LLM_MONEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

#define MONEY_ONE  INT64_C(1000000000000) /* 1 of the currency */
#define MONEY_TEXT 32                     /* bytes that hold any amount as text */

/* "12", "0.5", "0.000000000001": digits, a point and up to 12 digits; no sign, no exponent. `what` names it in the
 * error (ERR_INVALID). */
int money_parse(struct slice text, const char *what, int64_t *out, struct err *err);
size_t money_text(char to[MONEY_TEXT], int64_t amount); /* "0.000123"; no NUL; returns the length */

int64_t money_add(int64_t a, int64_t b);       /* a, b >= 0 */
int64_t money_times(int64_t price, int64_t n); /* price, n >= 0 */

/* What a model's tokens cost, in units a token. */
struct price {
    bool known; /* false: nobody has said, which is not the same as nothing */
    int64_t in, out, cached;
};

/* A price for a million tokens, to units a token: up to 6 digits after the point, below 1e9. */
int price_parse(struct slice text, const char *what, int64_t *out, struct err *err);
size_t price_text(char to[MONEY_TEXT], int64_t units); /* for a million tokens again: "0.15" */

/* in: all input tokens, `cached` of them read from the vendor's cache. 0 when the price is not known. */
int64_t price_cost(const struct price *p, int64_t in, int64_t out, int64_t cached);
bool price_free(const struct price *p); /* known, and nothing */

#endif
