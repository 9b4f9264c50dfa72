/* Accounts against a model of them that keeps every booking in a list: reserve and settle in random order, with a clock
 * that is stepped; budgets across days and months; what is refused and what waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/rng.h"
#include "base/setting.h"
#include "llm/account.h"
#include "llm/window.h"

#define DAY_MS INT64_C(86400000)
#define T0     (INT64_C(20000) * DAY_MS) /* 2024-10-04 */

static struct accounts *as;
static struct err err;
static int64_t wait_ms;

static void make(struct model *m, const char *name, int64_t in, int64_t out)
{
    *m = (struct model){.name = (char *)name, .price = {.known = in >= 0, .in = in, .out = out, .cached = in}};
}

static int ask(const struct model *m, const char *user, int64_t in, int64_t out, int64_t now, struct account_hold *h)
{
    struct account_claim c = {.model = m, .owner = slice_str(user), .tokens_in = in, .tokens_out = out};
    return account_reserve(as, &c, now, h, &wait_ms, &err);
}

static int64_t end(struct account_hold *h, int64_t in, int64_t out, int64_t now)
{
    struct account_spent s = {.tokens_in = in, .tokens_out = out};
    return account_settle(as, h, &s, now);
}

static void limit(const char *user, struct limits l)
{
    assert_int_equal(accounts_limit(as, ACCOUNT_USER, slice_str(user), &l, &err), 0);
}

static struct account_state look(enum account_kind kind, const char *name, int64_t now)
{
    struct account_state s;
    assert_true(accounts_state(as, kind, slice_str(name), now, &s));
    return s;
}

static int begin(void **state)
{
    as = accounts_create();
    return 0;
}

static int finish(void **state)
{
    accounts_destroy(as);
    return 0;
}

/* ---- the window ---- */

static void a_second_counts_for_a_minute(void **state)
{
    struct window w = {0};
    assert_int_equal(window_take(&w, 1000, 3), 1000);
    window_take(&w, 1030, 4);
    assert_int_equal(window_sum(&w, 1059), 7);
    assert_int_equal(window_wait_s(&w, 1059, 7), 0);
    assert_int_equal(window_wait_s(&w, 1059, 6), 1);
    assert_int_equal(window_wait_s(&w, 1059, 3), 31);
    assert_int_equal(window_sum(&w, 1060), 4);
    assert_int_equal(window_sum(&w, 1090), 0);
    window_take(&w, 1100, 5);
    window_correct(&w, 1101, 1100, -2);
    assert_int_equal(window_sum(&w, 1102), 3);
    window_correct(&w, 1161, 1100, 9); /* too late */
    assert_int_equal(window_sum(&w, 1161), 0);
}

static void a_clock_may_be_set(void **state)
{
    struct window w = {0};
    window_take(&w, 5000, 2);
    assert_int_equal(window_sum(&w, 4990), 2);
    assert_int_equal(window_take(&w, 4990, 1), 5000);
    assert_int_equal(window_sum(&w, 100), 0);
    window_correct(&w, 5001, 5000, -2); /* gone meanwhile */
    assert_int_equal(window_sum(&w, 5001), 0);
}

/* ---- limits ---- */

static void requests_of_a_minute(void **state)
{
    struct model m;
    struct account_hold h[3] = {0};
    make(&m, "m", 0, 0);
    m.rpm = 2;
    assert_int_equal(ask(&m, "", 1, 1, T0, &h[0]), ACCOUNT_TAKEN);
    assert_int_equal(ask(&m, "", 1, 1, T0 + 5500, &h[1]), ACCOUNT_TAKEN);
    assert_int_equal(ask(&m, "", 1, 1, T0 + 6500, &h[2]), ACCOUNT_WAIT);
    assert_int_equal(wait_ms, 53500);
    assert_int_equal(err.code, ERR_QUOTA);
    end(&h[0], 1, 1, T0 + 7000); /* a request stays one */
    assert_int_equal(ask(&m, "", 1, 1, T0 + 59999, &h[2]), ACCOUNT_WAIT);
    assert_int_equal(wait_ms, 1);
    assert_int_equal(ask(&m, "", 1, 1, T0 + 60000, &h[2]), ACCOUNT_TAKEN);
    struct account_spent unsent = {.end = ACCOUNT_UNSENT};
    account_settle(as, &h[2], &unsent, T0 + 60001); /* as if it had never been */
    assert_int_equal(ask(&m, "", 1, 1, T0 + 60002, &h[2]), ACCOUNT_TAKEN);
    struct account_rates r;
    accounts_rates(as, SLICE("m"), SLICE(""), T0 + 60500, &r);
    assert_int_equal(r.requests.limit, 2);
    assert_int_equal(r.requests.left, 0);
    assert_int_equal(r.requests.reset_ms, 59500);
    assert_int_equal(r.tokens.limit, 0);
}

static void tokens_of_a_minute(void **state)
{
    struct model m;
    struct account_hold a = {0}, b = {0};
    make(&m, "m", 0, 0);
    m.tpm = 100;
    assert_int_equal(ask(&m, "", 30, 50, T0, &a), ACCOUNT_TAKEN);
    assert_int_equal(ask(&m, "", 10, 11, T0 + 1000, &b), ACCOUNT_WAIT);
    assert_int_equal(wait_ms, 59000);
    end(&a, 28, 2, T0 + 2000);
    assert_int_equal(look(ACCOUNT_MODEL, "m", T0 + 2000).tokens, 30);
    assert_int_equal(ask(&m, "", 1000, 1000, T0 + 3000, &b), ACCOUNT_WAIT); /* for an empty minute */
    assert_int_equal(wait_ms, 57000);
    assert_int_equal(ask(&m, "", 1000, 1000, T0 + 60000, &b), ACCOUNT_TAKEN);
    end(&b, 900, 800, T0 + 61000);
    assert_int_equal(look(ACCOUNT_MODEL, "m", T0 + 61000).tokens, 1700);
    assert_int_equal(look(ACCOUNT_MODEL, "m", T0 + 120000).tokens, 0);
}

static void all_or_none(void **state)
{
    struct model m;
    struct account_hold a = {0}, b = {0};
    make(&m, "m", 0, 0);
    m.rpm = 10;
    m.tpm = 1000;
    limit("bob", (struct limits){.concurrency = 1});
    assert_int_equal(ask(&m, "bob", 1, 1, T0, &a), ACCOUNT_TAKEN);
    assert_int_equal(ask(&m, "bob", 1, 1, T0, &b), ACCOUNT_WAIT);
    assert_int_equal(wait_ms, -1);
    assert_int_equal(look(ACCOUNT_MODEL, "m", T0).requests, 1);
    assert_int_equal(look(ACCOUNT_MODEL, "m", T0).tokens, 2);
    assert_int_equal(look(ACCOUNT_MODEL, "m", T0).running, 1);
    assert_int_equal(ask(&m, "eve", 1, 1, T0, &b), ACCOUNT_TAKEN);
    end(&a, 1, 1, T0);
    assert_int_equal(ask(&m, "bob", 1, 1, T0, &a), ACCOUNT_TAKEN);
}

static void another_attempt_is_no_request_of_its_owner(void **state)
{
    struct model m;
    struct account_hold h = {0};
    make(&m, "m", 0, 0);
    m.rpm = 2;
    limit("bob", (struct limits){.rpm = 1});
    assert_int_equal(ask(&m, "bob", 1, 1, T0, &h), ACCOUNT_TAKEN);
    end(&h, 0, 0, T0);
    struct account_claim again = {.model = &m, .owner = SLICE("bob"), .again = true};
    assert_int_equal(account_reserve(as, &again, T0, &h, &wait_ms, &err), ACCOUNT_TAKEN);
    end(&h, 0, 0, T0);
    assert_int_equal(account_reserve(as, &again, T0, &h, &wait_ms, &err), ACCOUNT_WAIT); /* the model's */
    assert_int_equal(look(ACCOUNT_USER, "bob", T0).requests, 1);
}

/* ---- money ---- */

static void a_budget_is_held_before_and_exact_after(void **state)
{
    struct model m;
    struct account_hold a = {0}, b = {0};
    make(&m, "m", 3, 15);
    limit("bob", (struct limits){.has_budget = true, .budget = 1000});
    assert_int_equal(ask(&m, "bob", 100, 20, T0, &a), ACCOUNT_TAKEN); /* 600 */
    assert_int_equal(ask(&m, "bob", 100, 20, T0, &b), ACCOUNT_WAIT);
    assert_int_equal(wait_ms, -1);
    assert_int_equal(ask(&m, "bob", 100, 47, T0, &b), ERR_QUOTA); /* 1005: never */
    assert_int_equal(end(&a, 90, 10, T0), 420);
    assert_int_equal(ask(&m, "bob", 180, 3, T0, &b), ERR_QUOTA); /* 585 of 580 */
    assert_int_equal(wait_ms, -1);
    assert_int_equal(ask(&m, "bob", 175, 3, T0, &b), ACCOUNT_TAKEN); /* 570 */
    assert_int_equal(end(&b, 180, 4, T0), 600);                      /* more than was said: booked all the same */
    struct account_state s = look(ACCOUNT_USER, "bob", T0);
    assert_int_equal(s.sums.total_cost, 1020);
    assert_int_equal(s.reserved, 0);
    assert_int_equal(ask(&m, "bob", 1, 0, T0, &a), ERR_QUOTA);
    make(&m, "free", 0, 0);
    assert_int_equal(ask(&m, "bob", 100000, 0, T0, &a), ACCOUNT_TAKEN);
}

static void no_price_is_not_free(void **state)
{
    struct model m;
    struct account_hold h = {0};
    make(&m, "m", -1, -1);
    limit("bob", (struct limits){.has_budget = true, .budget = MONEY_ONE});
    assert_int_equal(ask(&m, "bob", 1, 1, T0, &h), ERR_STATE);
    assert_int_equal(ask(&m, "eve", 1, 1, T0, &h), ACCOUNT_TAKEN);
    assert_int_equal(end(&h, 5, 5, T0), -1);
    m.has_budget = true;
    m.budget = MONEY_ONE;
    assert_int_equal(ask(&m, "eve", 1, 1, T0, &h), ERR_STATE);
    assert_int_equal(setting_set(setting_find(SLICE("llm-budget-unpriced")), SLICE("yes"), true, &err), 0);
    assert_int_equal(ask(&m, "bob", 1, 1, T0, &h), ACCOUNT_TAKEN);
    assert_int_equal(setting_set(setting_find(SLICE("llm-budget-unpriced")), SLICE("no"), true, &err), 0);
    assert_int_equal(accounts_stats(as)->refused_unpriced, 2);
    assert_int_equal(accounts_stats(as)->unpriced, 1);
}

static void budgets_begin_anew(void **state)
{
    struct model m;
    struct account_hold h = {0}, over = {0};
    int64_t last; /* the last second of October */
    assert_true(day_parse(SLICE("2024-11-01"), &last));
    last = last * DAY_MS - 1000;
    make(&m, "m", 1, 1);
    m.has_budget = true;
    m.budget = 100;
    m.per = PER_DAY;
    limit("bob", (struct limits){.has_budget = true, .budget = 150, .per = PER_MONTH});
    assert_int_equal(ask(&m, "bob", 90, 5, last - DAY_MS, &h), ACCOUNT_TAKEN);
    assert_int_equal(end(&h, 90, 5, last - DAY_MS), 95);
    assert_int_equal(ask(&m, "bob", 5, 1, last - DAY_MS, &h), ERR_QUOTA); /* of the day */
    assert_int_equal(wait_ms, 1000);
    assert_int_equal(ask(&m, "bob", 50, 1, last, &h), ACCOUNT_TAKEN);
    assert_int_equal(end(&h, 50, 1, last), 51);
    assert_int_equal(ask(&m, "bob", 40, 1, last, &h), ERR_QUOTA); /* of the month: 4 are left */
    assert_int_equal(wait_ms, 1000);
    assert_int_equal(ask(&m, "bob", 3, 1, last, &over), ACCOUNT_TAKEN);
    assert_int_equal(ask(&m, "bob", 96, 1, last + 1000, &h), ACCOUNT_WAIT); /* a new month; the 4 of before are held */
    assert_int_equal(end(&over, 3, 1, last + 1000), 4);                     /* booked where it ended */
    struct account_state s = look(ACCOUNT_USER, "bob", last + 1000);
    assert_int_equal(s.sums.month_cost, 4);
    assert_int_equal(s.sums.day_cost, 4);
    assert_int_equal(s.sums.total_cost, 150);
    assert_int_equal(look(ACCOUNT_USER, "bob", last).sums.month_cost, 4); /* a clock set back counts on */
    assert_true(accounts_reset(as, ACCOUNT_USER, SLICE("bob")));
    assert_int_equal(look(ACCOUNT_USER, "bob", last + 1000).sums.total_cost, 0);
}

/* ---- against the naive model ---- */

#define MODELS 3
#define USERS  4
#define CALLS  40

struct booking {
    int kind, who;
    int64_t second, requests, tokens;
};

static struct naive {
    struct booking list[4096];
    int n;
    int64_t held[2][8], running[2][8], day_cost[2][8], month_cost[2][8], total[2][8];
    int64_t day, month;
} naive;

static void drop_old(int64_t now_s)
{
    int n = 0;
    for (int i = 0; i < naive.n; i++)
        if (naive.list[i].second > now_s - 60)
            naive.list[n++] = naive.list[i];
    naive.n = n;
}

static void sums_of(int kind, int who, int64_t now_s, int64_t *requests, int64_t *tokens)
{
    *requests = *tokens = 0;
    drop_old(now_s);
    for (int i = 0; i < naive.n; i++)
        if (naive.list[i].kind == kind && naive.list[i].who == who) {
            *requests += naive.list[i].requests;
            *tokens += naive.list[i].tokens;
        }
}

static int64_t of_period(int kind, int who, const struct limits *l)
{
    return l->per == PER_DAY     ? naive.day_cost[kind][who]
           : l->per == PER_MONTH ? naive.month_cost[kind][who]
                                 : naive.total[kind][who];
}

/* What account_reserve must answer: 0, 1 or a refusal. */
static int expected(int kind, int who, const struct limits *l, int64_t tokens, int64_t cost, int64_t now_s)
{
    int64_t requests, taken;
    sums_of(kind, who, now_s, &requests, &taken);
    if (l->has_budget && cost > l->budget - of_period(kind, who, l))
        return ERR_QUOTA;
    bool wait = l->has_budget && cost > l->budget - of_period(kind, who, l) - naive.held[kind][who];
    wait |= l->rpm && requests + 1 > l->rpm;
    wait |= l->tpm && taken + (tokens < l->tpm ? tokens : l->tpm) > l->tpm;
    wait |= l->concurrency && naive.running[kind][who] >= l->concurrency;
    return wait;
}

struct running {
    struct account_hold h;
    int m, u;
    int64_t in, out, cost, second;
    bool on;
};

static const char *const model_names[MODELS] = {"a", "b", "c"}, *const user_names[USERS] = {"u", "v", "w", "x"};
static struct model models[MODELS];
static struct limits limits[2][8];
static struct running calls[CALLS];
static struct rng rng;

static void new_period(int64_t now)
{
    int64_t day = day_of_ms(now), month = month_of_day(day);
    if (day > naive.day)
        memset(naive.day_cost, 0, sizeof naive.day_cost);
    if (month > naive.month)
        memset(naive.month_cost, 0, sizeof naive.month_cost);
    naive.day = day;
    naive.month = month;
}

static void book(int kind, int who, int64_t second, int64_t tokens)
{
    const struct limits *l = &limits[kind][who];
    assert_true(naive.n < 4096);
    naive.list[naive.n++] = (struct booking){kind, who, second, l->rpm != 0, l->tpm ? tokens : 0};
}

static void try_reserve(struct running *c, int64_t now)
{
    c->m = (int)rng_below(&rng, MODELS);
    c->u = (int)rng_below(&rng, USERS);
    c->in = (int64_t)rng_below(&rng, 300);
    c->out = 1 + (int64_t)rng_below(&rng, 200);
    c->cost = price_cost(&models[c->m].price, c->in, c->out, 0);
    c->second = now / 1000;
    int64_t tokens = c->in + c->out;
    const struct limits *ml = &limits[0][c->m], *ul = &limits[1][c->u];
    int em = expected(0, c->m, ml, tokens, c->cost, now / 1000),
        eu = expected(1, c->u, ul, tokens, c->cost, now / 1000),
        want = em < 0   ? em
               : eu < 0 ? eu
                        : em | eu;
    assert_int_equal(ask(&models[c->m], user_names[c->u], c->in, c->out, now, &c->h), want);
    if (want == ACCOUNT_WAIT)
        assert_true(wait_ms == -1 || (wait_ms > 0 && wait_ms <= 60000));
    if (want != ACCOUNT_TAKEN)
        return;
    c->on = true;
    int who[2] = {c->m, c->u};
    for (int k = 0; k < 2; k++) {
        const struct limits *l = &limits[k][who[k]];
        book(k, who[k], now / 1000, tokens < l->tpm ? tokens : l->tpm);
        naive.held[k][who[k]] += l->has_budget ? c->cost : 0;
        naive.running[k][who[k]]++;
    }
}

static void correct(struct running *c, int kind, int who, int64_t delta)
{
    if (!limits[kind][who].tpm)
        return;
    for (int i = 0; i < naive.n; i++)
        if (naive.list[i].kind == kind && naive.list[i].who == who && naive.list[i].second == c->second) {
            naive.list[i].tokens += delta;
            return;
        }
}

static void settle_one(struct running *c, int64_t now)
{
    int64_t in = c->in, out = (int64_t)rng_below(&rng, (uint64_t)c->out + 1);
    if (rng_below(&rng, 10) == 0)
        out += 500; /* a vendor that answers more than it was asked for */
    int64_t cost = price_cost(&models[c->m].price, in, out, 0), tokens = c->in + c->out;
    drop_old(now / 1000);
    assert_int_equal(end(&c->h, in, out, now), cost);
    int who[2] = {c->m, c->u};
    for (int k = 0; k < 2; k++) {
        const struct limits *l = &limits[k][who[k]];
        correct(c, k, who[k], in + out - (tokens < l->tpm ? tokens : l->tpm));
        naive.held[k][who[k]] -= l->has_budget ? c->cost : 0;
        naive.running[k][who[k]]--;
        naive.day_cost[k][who[k]] += cost;
        naive.month_cost[k][who[k]] += cost;
        naive.total[k][who[k]] += cost;
    }
    c->on = false;
}

static void compare_all(int64_t now)
{
    static const int counts[2] = {MODELS, USERS};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < counts[k]; i++) {
            struct account_state s;
            int64_t requests, tokens;
            if (!accounts_state(as, (enum account_kind)k, slice_str(k ? user_names[i] : model_names[i]), now, &s))
                continue;
            sums_of(k, i, now / 1000, &requests, &tokens);
            assert_int_equal(s.requests, requests);
            assert_int_equal(s.tokens, tokens);
            assert_int_equal(s.running, naive.running[k][i]);
            assert_int_equal(s.reserved, naive.held[k][i]);
            assert_int_equal(s.sums.day_cost, naive.day_cost[k][i]);
            assert_int_equal(s.sums.month_cost, naive.month_cost[k][i]);
            assert_int_equal(s.sums.total_cost, naive.total[k][i]);
        }
}

static void random_limits(uint64_t seed)
{
    rng_seed(&rng, seed);
    memset(&naive, 0, sizeof naive);
    memset(calls, 0, sizeof calls);
    memset(limits, 0, sizeof limits);
    for (int i = 0; i < MODELS; i++) {
        make(&models[i], model_names[i], (int64_t)rng_below(&rng, 5), 1 + (int64_t)rng_below(&rng, 20));
        limits[0][i] = (struct limits){.rpm = rng_below(&rng, 2) ? 50 : 0, .tpm = rng_below(&rng, 2) ? 9000 : 0};
        models[i].rpm = limits[0][i].rpm;
        models[i].tpm = limits[0][i].tpm;
    }
    for (int i = 0; i < USERS; i++) {
        limits[1][i] = (struct limits){.rpm = rng_below(&rng, 2) ? 20 : 0,
                                       .tpm = rng_below(&rng, 2) ? 3000 : 0,
                                       .concurrency = rng_below(&rng, 2) ? 6 : 0,
                                       .has_budget = rng_below(&rng, 3) != 0,
                                       .budget = 60000,
                                       .per = (enum budget_per)rng_below(&rng, 3)};
        limit(user_names[i], limits[1][i]);
    }
}

static void as_the_naive_model_does(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        as = accounts_create();
        random_limits(seed);
        int64_t now = T0;
        for (int step = 0; step < 3000; step++) {
            struct running *c = &calls[rng_below(&rng, CALLS)];
            now += (int64_t)rng_below(&rng, 2000);
            if (rng_below(&rng, 300) == 0)
                now += (int64_t)rng_below(&rng, 3) * DAY_MS;
            new_period(now);
            if (c->on)
                settle_one(c, now);
            else
                try_reserve(c, now);
            if (step % 16 == 0)
                compare_all(now);
        }
        accounts_destroy(as);
    }
}

/* ---- usage ---- */

static char lines[2048];

static void add_line(void *arg, const struct usage_row *r)
{
    char *at = lines + strlen(lines);
    snprintf(at, sizeof lines - strlen(lines), "%lld %.*s %.*s %lld/%lld %lld %lld %lld\n", (long long)r->day,
             (int)r->model.len, r->model.p, (int)r->user.len, r->user.p, (long long)r->calls, (long long)r->failed,
             (long long)r->tokens_in, (long long)r->tokens_out, (long long)r->cost);
}

static const char *table(enum usage_by by, int64_t from, int64_t to)
{
    lines[0] = 0;
    usage_sum(accounts_usage(as), by, from, to, add_line, NULL);
    return lines;
}

static void usage_is_summed(void **state)
{
    struct model m, n;
    struct account_hold h = {0};
    struct account_spent failed = {.end = ACCOUNT_FAILED, .tokens_in = 7};
    make(&m, "m", 1, 2);
    make(&n, "n", 10, 20);
    ask(&m, "bob", 1, 1, T0, &h);
    end(&h, 10, 5, T0);
    ask(&m, "bob", 1, 1, T0, &h);
    account_settle(as, &h, &failed, T0);
    ask(&n, "bob", 1, 1, T0, &h);
    end(&h, 1, 1, T0);
    ask(&n, "", 1, 1, T0 + DAY_MS, &h);
    end(&h, 2, 2, T0 + DAY_MS);
    assert_string_equal(table(USAGE_BY_MODEL, 0, 30000), "0 m  2/1 17 5 27\n0 n  2/0 3 3 90\n");
    assert_string_equal(table(USAGE_BY_USER, 0, 30000), "0   1/0 2 2 60\n0  bob 3/1 18 6 57\n");
    assert_string_equal(table(USAGE_BY_DAY, 0, 30000), "20000   3/1 18 6 57\n20001   1/0 2 2 60\n");
    assert_string_equal(table(USAGE_TOTAL, 0, 30000), "0   4/1 20 8 117\n");
    assert_string_equal(table(USAGE_TOTAL, 1, 2), "");
    assert_string_equal(table(USAGE_BY_MODEL, 20001, 20001), "0 n  1/0 2 2 60\n");
    assert_string_equal(table(USAGE_ALL, 0, 30000),
                        "20000 m bob 2/1 17 5 27\n20000 n bob 1/0 1 1 30\n20001 n  1/0 2 2 60\n");
}

static void old_days_go(void **state)
{
    struct usage_row r = {.model = SLICE("m"), .user = SLICE("u"), .calls = 1};
    struct usage *u = accounts_usage(as);
    for (r.day = 1000; r.day < 1500; r.day++)
        usage_add(u, &r);
    assert_int_equal(usage_rows(u), 400);
    r.day = 1099; /* too old already */
    usage_add(u, &r);
    assert_int_equal(usage_rows(u), 400);
    assert_int_equal(setting_set(setting_find(SLICE("llm-usage-rows")), SLICE("300"), true, &err), 0);
    r.day = 1500;
    usage_add(u, &r);
    assert_int_equal(usage_rows(u), 300);
    assert_int_equal(setting_set(setting_find(SLICE("llm-usage-rows")), SLICE("100000"), true, &err), 0);
}

static bool is_left(void *arg, struct slice name)
{
    return slice_is(name, arg);
}

static bool known(const char *model, int64_t now)
{
    struct account_state s;
    return accounts_state(as, ACCOUNT_MODEL, slice_str(model), now, &s);
}

static void models_that_are_no_more(void **state)
{
    struct account_hold h[4] = {0};
    struct model m[4];
    static const char *const names[] = {"left", "used", "unused", "running"};
    for (int i = 0; i < 4; i++) {
        make(&m[i], names[i], 1, 1);
        assert_int_equal(ask(&m[i], "ann", 5, 5, T0, &h[i]), ACCOUNT_TAKEN);
    }
    end(&h[0], 5, 5, T0);
    end(&h[1], 5, 5, T0);
    struct account_spent unsent = {.end = ACCOUNT_UNSENT};
    account_settle(as, &h[2], &unsent, T0);
    accounts_forget_gone(as, is_left, (void *)"left", T0);
    assert_true(known("left", T0) && known("used", T0) && known("running", T0) && !known("unused", T0));
    end(&h[3], 5, 5, T0);
    int64_t last = T0 + 399 * DAY_MS, after = T0 + 400 * DAY_MS; /* llm-usage-days */
    accounts_forget_gone(as, is_left, (void *)"left", last);
    assert_true(known("used", last) && known("running", last));
    accounts_forget_gone(as, is_left, (void *)"left", after);
    assert_true(known("left", after) && !known("used", after) && !known("running", after));
    assert_int_equal(look(ACCOUNT_USER, "ann", after).sums.total_cost, 30); /* a user's money stays */
    assert_int_equal(look(ACCOUNT_MODEL, "left", after).sums.total_cost, 10);
}

int main(void)
{
    json_boot();
    account_boot();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(models_that_are_no_more, begin, finish),
        cmocka_unit_test(a_second_counts_for_a_minute),
        cmocka_unit_test(a_clock_may_be_set),
        cmocka_unit_test_setup_teardown(requests_of_a_minute, begin, finish),
        cmocka_unit_test_setup_teardown(tokens_of_a_minute, begin, finish),
        cmocka_unit_test_setup_teardown(all_or_none, begin, finish),
        cmocka_unit_test_setup_teardown(another_attempt_is_no_request_of_its_owner, begin, finish),
        cmocka_unit_test_setup_teardown(a_budget_is_held_before_and_exact_after, begin, finish),
        cmocka_unit_test_setup_teardown(no_price_is_not_free, begin, finish),
        cmocka_unit_test_setup_teardown(budgets_begin_anew, begin, finish),
        cmocka_unit_test(as_the_naive_model_does),
        cmocka_unit_test_setup_teardown(usage_is_summed, begin, finish),
        cmocka_unit_test_setup_teardown(old_days_go, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
