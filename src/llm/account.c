/* Accounts. Each has what it is allowed, what was taken in the last minute, what runs, and the sums of its money.
 *
 * An account is made when its model or user is first heard of and stays: its sums are what a budget that is set later
 * counts from. Those of models that were deleted go when their usage is no longer kept. Windows are there only where a
 * limit asks for one.
 *
 * Money is held only in accounts with a budget, so what is held never passes the budget and cannot overflow. */
#include "llm/account.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/dict.h"
#include "base/mem.h"
#include "base/setting.h"
#include "base/utf8.h"
#include "llm/window.h"

#define DAY_MS INT64_C(86400000)

static int64_t reserve_tokens = 1024;
static bool let_unpriced;

static const struct setting settings[] = {
    {"llm-reserve-tokens", SETTING_INT, &reserve_tokens, "1024", 0, 1000000000,
     .help = "Tokens that a model call without a limit on its answer reserves for it of limits and budgets."},
    {"llm-budget-unpriced", SETTING_BOOL, &let_unpriced, "no",
     .help = "Let calls of models without a PRICE pass under a budget, uncounted."},
};

void account_boot(void)
{
    SETTING_REGISTER(settings);
    usage_boot();
}

struct account {
    enum account_kind kind;
    bool kept;    /* while accounts_forget_gone looks */
    bool limited; /* a user: LLM.LIMIT has set some */
    struct limits limits;
    struct window *requests, *tokens; /* NULL: nothing was booked yet */
    unsigned epoch;                   /* counts resets: what was booked before one is not corrected after it */
    int64_t running, held;            /* calls, and the money they may cost */
    struct account_sums sums;
    size_t name_len;
    char name[];
};

struct accounts {
    struct dict by_name[ACCOUNT_KINDS];
    struct usage *usage;
    struct account_stats stats;
    void (*on_spent)(void *arg, const struct usage_row *row);
    void *arg;
};

static struct slice name_of(const void *entry)
{
    const struct account *a = entry;
    return slice_of(a->name, a->name_len);
}

static void account_free(void *entry)
{
    struct account *a = entry;
    mem_free(a->requests);
    mem_free(a->tokens);
    mem_free(a);
}

static const struct dict_type by_name = {.key = name_of, .free = account_free};

struct accounts *accounts_create(void)
{
    struct accounts *a = mem_zero(sizeof *a);
    for (int k = 0; k < ACCOUNT_KINDS; k++)
        dict_init(&a->by_name[k], &by_name);
    a->usage = usage_create();
    return a;
}

void accounts_destroy(struct accounts *a)
{
    if (!a)
        return;
    for (int k = 0; k < ACCOUNT_KINDS; k++)
        dict_release(&a->by_name[k]);
    usage_destroy(a->usage);
    mem_free(a);
}

struct usage *accounts_usage(struct accounts *a)
{
    return a->usage;
}

const struct account_stats *accounts_stats(const struct accounts *a)
{
    return &a->stats;
}

void accounts_on_spent(struct accounts *a, void (*fn)(void *arg, const struct usage_row *row), void *arg)
{
    a->on_spent = fn;
    a->arg = arg;
}

static struct account *find(struct accounts *as, enum account_kind kind, struct slice name)
{
    return dict_find(&as->by_name[kind], name);
}

static struct account *find_or_make(struct accounts *as, enum account_kind kind, struct slice name)
{
    struct account *a = find(as, kind, name);
    if (a)
        return a;
    a = mem_zero(sizeof *a + name.len + 1);
    a->kind = kind;
    a->name_len = name.len;
    memcpy(a->name, name.p, name.len);
    dict_add(&as->by_name[kind], a);
    return a;
}

static struct window *window_of(struct window **w)
{
    if (!*w)
        *w = mem_zero(sizeof **w);
    return *w;
}

/* ---- money by the calendar ---- */

/* A clock that was set back goes on counting in the latest period. */
static void roll(struct account_sums *s, int64_t day)
{
    if (day <= s->day)
        return;
    int64_t month = month_of_day(day);
    s->day = day;
    s->day_cost = 0;
    if (month > s->month) {
        s->month = month;
        s->month_cost = 0;
    }
}

static void spend(struct account *a, int64_t day, int64_t cost)
{
    roll(&a->sums, day);
    a->sums.day_cost = money_add(a->sums.day_cost, cost);
    a->sums.month_cost = money_add(a->sums.month_cost, cost);
    a->sums.total_cost = money_add(a->sums.total_cost, cost);
}

static int64_t spent_of_budget(struct account *a, int64_t day)
{
    roll(&a->sums, day);
    switch (a->limits.per) {
    case PER_DAY: return a->sums.day_cost;
    case PER_MONTH: return a->sums.month_cost;
    case PER_TOTAL: break;
    }
    return a->sums.total_cost;
}

/* Milliseconds until a budget begins anew; -1: never. */
static int64_t until_anew(const struct account *a, int64_t now_ms)
{
    switch (a->limits.per) {
    case PER_DAY: return (a->sums.day + 1) * DAY_MS - now_ms;
    case PER_MONTH: return day_of_month_start(a->sums.month + 1) * DAY_MS - now_ms;
    case PER_TOTAL: break;
    }
    return -1;
}

/* ---- what a call asks for ---- */

/* The worst case of a claim. */
struct need {
    int64_t now_ms, tokens, cost;
    const struct price *price;
    bool again;
};

/* Why it has to wait, and until when. */
struct verdict {
    bool wait;
    int64_t ms; /* the longest; -1: until a call ends */
    struct err *err;
};

static int64_t at_least_0(int64_t n)
{
    return n > 0 ? n : 0;
}

static struct need need_of(const struct account_claim *c, int64_t now_ms)
{
    const struct price *p = &c->model->price;
    int64_t in = at_least_0(c->tokens_in), out = c->tokens_out > 0 ? c->tokens_out : reserve_tokens;
    bool dear_cache = p->cached > p->in;
    return (struct need){
        .now_ms = now_ms,
        .tokens = money_add(in, out),
        .cost = price_cost(p, in, out, dear_cache ? in : 0),
        .price = p,
        .again = c->again,
    };
}

static const char *kind_name(const struct account *a)
{
    static const char *const names[] = {"model", "user", "tenant"};
    return names[a->kind];
}

#define SHORT(a) (int)utf8_cut(name_of(a), 60), (a)->name

static void must_wait(struct verdict *v, int64_t ms)
{
    v->wait = true;
    v->ms = ms > v->ms ? ms : v->ms;
}

static void wait_for_window(struct verdict *v, const struct account *a, const struct need *n, int64_t wait_s,
                            int64_t limit, const char *what)
{
    int64_t ms = wait_s * 1000 - n->now_ms % 1000;
    if (!v->wait)
        err_set(v->err, ERR_QUOTA, "%s '%.*s' has had its %lld %s of this minute; try again in %lld seconds",
                kind_name(a), SHORT(a), (long long)limit, what, (long long)wait_s);
    must_wait(v, ms > 0 ? ms : 1);
}

/* More than a whole minute's tokens at once would never fit: such a call waits for an empty minute. */
static int64_t minute_share(const struct account *a, const struct need *n)
{
    return n->tokens < a->limits.tpm ? n->tokens : a->limits.tpm;
}

static void check_minute(struct account *a, const struct need *n, struct verdict *v)
{
    const struct limits *l = &a->limits;
    int64_t now_s = n->now_ms / 1000;
    bool asks = !(n->again && a->kind != ACCOUNT_MODEL);
    if (l->rpm && asks && a->requests && window_sum(a->requests, now_s) >= l->rpm)
        wait_for_window(v, a, n, window_wait_s(a->requests, now_s, l->rpm - 1), l->rpm, "requests");
    if (!l->tpm || !a->tokens)
        return;
    int64_t most = l->tpm - minute_share(a, n);
    if (window_sum(a->tokens, now_s) > most)
        wait_for_window(v, a, n, window_wait_s(a->tokens, now_s, most), l->tpm, "tokens");
}

static void check_running(const struct account *a, struct verdict *v)
{
    if (!a->limits.concurrency || a->running < a->limits.concurrency)
        return;
    if (!v->wait)
        err_set(v->err, ERR_QUOTA, "%s '%.*s' has %lld calls running, which is its CONCURRENCY; wait for one to end",
                kind_name(a), SHORT(a), (long long)a->running);
    must_wait(v, -1);
}

static int no_money(const struct account *a, int64_t left, const struct need *n, struct err *err)
{
    char has[MONEY_TEXT], needs[MONEY_TEXT], budget[MONEY_TEXT];
    int nh = (int)money_text(has, at_least_0(left)), nn = (int)money_text(needs, n->cost),
        nb = (int)money_text(budget, a->limits.budget);
    const char *per = budget_per_name(a->limits.per);
    if (left <= 0)
        return err_set(err, ERR_QUOTA,
                       "the budget of %s '%.*s', %.*s per %s, is used up; raise it or wait for the next", kind_name(a),
                       SHORT(a), nb, budget, per);
    return err_set(
        err, ERR_QUOTA,
        "the budget of %s '%.*s' has %.*s left and this call may cost %.*s; ask for fewer tokens or raise it",
        kind_name(a), SHORT(a), nh, has, nn, needs);
}

/* 0, also when it has to wait; or the refusal. */
static int check_money(struct accounts *as, struct account *a, const struct need *n, struct verdict *v)
{
    if (!a->limits.has_budget || price_free(n->price))
        return 0;
    if (!n->price->known) {
        if (let_unpriced)
            return 0;
        as->stats.refused_unpriced++;
        v->ms = -1;
        return err_set(v->err, ERR_STATE,
                       "%s '%.*s' has a budget and the model has no PRICE; give it one with LLM.MODEL SET or set "
                       "llm-budget-unpriced to yes",
                       kind_name(a), SHORT(a));
    }
    int64_t left = a->limits.budget - spent_of_budget(a, day_of_ms(n->now_ms));
    if (n->cost > left) {
        as->stats.refused_budget++;
        v->ms = until_anew(a, n->now_ms);
        return no_money(a, left, n, v->err);
    }
    if (n->cost > left - a->held) {
        if (!v->wait)
            err_set(v->err, ERR_QUOTA,
                    "what is left of the budget of %s '%.*s' is held by calls that run; wait for one", kind_name(a),
                    SHORT(a));
        must_wait(v, -1);
    }
    return 0;
}

static void take(struct account_part *p, const struct need *n)
{
    struct account *a = p->of;
    const struct limits *l = &a->limits;
    int64_t now_s = n->now_ms / 1000;
    a->running++;
    p->epoch = a->epoch;
    p->request = l->rpm && !(n->again && a->kind != ACCOUNT_MODEL);
    if (p->request)
        p->request_s = window_take(window_of(&a->requests), now_s, 1);
    p->minute = l->tpm != 0;
    if (p->minute) {
        p->tokens = minute_share(a, n);
        p->minute_s = window_take(window_of(&a->tokens), now_s, p->tokens);
    }
    p->cost = l->has_budget ? n->cost : 0;
    a->held += p->cost;
}

static struct limits limits_of_model(const struct model *m)
{
    return (struct limits){
        .rpm = m->rpm,
        .tpm = m->tpm,
        .concurrency = m->concurrency,
        .has_budget = m->has_budget,
        .budget = m->budget,
        .per = m->per,
    };
}

static void open_parts(struct accounts *as, const struct account_claim *c, struct account_hold *h)
{
    struct account *m = find_or_make(as, ACCOUNT_MODEL, slice_str(c->model->name));
    m->limits = limits_of_model(c->model);
    memset(h, 0, sizeof *h);
    h->price = c->model->price;
    h->part[ACCOUNT_MODEL].of = m;
    if (c->owner.len)
        h->part[ACCOUNT_USER].of = find_or_make(as, ACCOUNT_USER, c->owner);
}

int account_reserve(struct accounts *as, const struct account_claim *claim, int64_t now_ms, struct account_hold *h,
                    int64_t *wait_ms, struct err *err)
{
    struct need n = need_of(claim, now_ms);
    struct verdict v = {.ms = -1, .err = err};
    int rc = 0;
    assert(!h->held);
    open_parts(as, claim, h);
    for (int k = 0; k < ACCOUNT_KINDS && rc == 0; k++)
        if (h->part[k].of)
            rc = check_money(as, h->part[k].of, &n, &v);
    for (int k = 0; k < ACCOUNT_KINDS && rc == 0; k++)
        if (h->part[k].of) {
            check_minute(h->part[k].of, &n, &v);
            check_running(h->part[k].of, &v);
        }
    *wait_ms = v.ms;
    if (rc < 0)
        return rc;
    if (v.wait) {
        as->stats.waits++;
        return ACCOUNT_WAIT;
    }
    for (int k = 0; k < ACCOUNT_KINDS; k++)
        if (h->part[k].of)
            take(&h->part[k], &n);
    h->held = true;
    return ACCOUNT_TAKEN;
}

/* ---- after the call ---- */

static void give_back(struct account_part *p, const struct account_spent *s, int64_t now_s)
{
    struct account *a = p->of;
    bool unsent = s->end == ACCOUNT_UNSENT;
    int64_t used = unsent ? 0 : money_add(at_least_0(s->tokens_in), at_least_0(s->tokens_out));
    assert(a->running > 0 && a->held >= p->cost);
    a->running--;
    a->held -= p->cost;
    if (p->epoch != a->epoch)
        return;
    if (p->minute && used != p->tokens)
        window_correct(a->tokens, now_s, p->minute_s, used - p->tokens);
    if (p->request && unsent)
        window_correct(a->requests, now_s, p->request_s, -1);
}

static void book(struct accounts *as, const struct usage_row *row)
{
    usage_add(as->usage, row);
    spend(find_or_make(as, ACCOUNT_MODEL, row->model), row->day, row->cost);
    if (row->user.len)
        spend(find_or_make(as, ACCOUNT_USER, row->user), row->day, row->cost);
}

static struct usage_row row_of(const struct account_hold *h, const struct account_spent *s, int64_t now_ms)
{
    const struct account *m = h->part[ACCOUNT_MODEL].of, *u = h->part[ACCOUNT_USER].of;
    struct usage_row row = {
        .day = day_of_ms(now_ms),
        .model = name_of(m),
        .user = u ? name_of(u) : SLICE(""),
        .calls = 1,
        .failed = s->end == ACCOUNT_FAILED,
        .tokens_in = at_least_0(s->tokens_in),
        .tokens_out = at_least_0(s->tokens_out),
        .tokens_cached = at_least_0(s->tokens_cached),
        .estimated = s->estimated,
        .unpriced = !h->price.known,
    };
    row.cost = price_cost(&h->price, row.tokens_in, row.tokens_out, row.tokens_cached);
    return row;
}

int64_t account_settle(struct accounts *as, struct account_hold *h, const struct account_spent *s, int64_t now_ms)
{
    assert(h->held); /* settled twice, or never reserved */
    h->held = false;
    for (int k = 0; k < ACCOUNT_KINDS; k++)
        if (h->part[k].of)
            give_back(&h->part[k], s, now_ms / 1000);
    if (s->end == ACCOUNT_UNSENT)
        return h->price.known ? 0 : -1;
    struct usage_row row = row_of(h, s, now_ms);
    book(as, &row);
    as->stats.cost = money_add(as->stats.cost, row.cost);
    as->stats.unpriced += (uint64_t)row.unpriced;
    if (as->on_spent)
        as->on_spent(as->arg, &row);
    return h->price.known ? row.cost : -1;
}

void accounts_replay(struct accounts *as, const struct usage_row *row)
{
    book(as, row);
}

void accounts_forget_sums(struct accounts *as)
{
    usage_clear(as->usage);
    for (int k = 0; k < ACCOUNT_KINDS; k++) {
        struct dict_iter it;
        struct account *a;
        for (dict_iter_begin(&it, &as->by_name[k]); (a = dict_iter_next(&it));)
            a->sums = (struct account_sums){0};
        dict_iter_end(&it);
    }
}

void accounts_put_sums(struct accounts *as, enum account_kind kind, struct slice name, const struct account_sums *sums)
{
    find_or_make(as, kind, name)->sums = *sums;
}

/* ---- the minute ---- */

static struct account_rate rate_of(struct window *w, int64_t limit, int64_t now_ms)
{
    struct account_rate r = {.limit = limit, .left = limit};
    if (!limit || !w)
        return r;
    r.left = at_least_0(limit - window_sum(w, now_ms / 1000));
    int64_t ms = window_wait_s(w, now_ms / 1000, 0) * 1000 - now_ms % 1000;
    r.reset_ms = at_least_0(ms);
    return r;
}

static void less_of(struct account_rate *to, struct account_rate r)
{
    if (r.limit && (!to->limit || r.left < to->left))
        *to = r;
}

void accounts_rates(struct accounts *as, struct slice model, struct slice owner, int64_t now_ms,
                    struct account_rates *to)
{
    struct account *of[] = {find(as, ACCOUNT_MODEL, model), find(as, ACCOUNT_USER, owner)};
    *to = (struct account_rates){0};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        if (!of[i])
            continue;
        less_of(&to->requests, rate_of(of[i]->requests, of[i]->limits.rpm, now_ms));
        less_of(&to->tokens, rate_of(of[i]->tokens, of[i]->limits.tpm, now_ms));
    }
}

/* ---- limits of users ---- */

int accounts_limit(struct accounts *as, enum account_kind kind, struct slice name, const struct limits *to,
                   struct err *err)
{
    if (kind != ACCOUNT_USER)
        return err_set(err, ERR_INVALID, "limits are set for USER name; a model's own are in LLM.MODEL SET");
    struct account *a = find_or_make(as, kind, name);
    a->limits = *to;
    a->limited = true;
    return 0;
}

const struct limits *accounts_limits(struct accounts *as, enum account_kind kind, struct slice name)
{
    struct account *a = find(as, kind, name);
    return a && (a->limited || kind == ACCOUNT_MODEL) ? &a->limits : NULL;
}

bool accounts_unlimit(struct accounts *as, enum account_kind kind, struct slice name)
{
    struct account *a = find(as, kind, name);
    if (!a || !a->limited)
        return false;
    a->limited = false;
    a->limits = (struct limits){0};
    return true;
}

bool accounts_reset(struct accounts *as, enum account_kind kind, struct slice name)
{
    struct account *a = find(as, kind, name);
    if (!a)
        return false;
    a->sums.day_cost = a->sums.month_cost = a->sums.total_cost = 0;
    mem_free(a->requests);
    mem_free(a->tokens);
    a->requests = a->tokens = NULL;
    a->epoch++;
    return true;
}

/* ---- looking at them ---- */

static struct account_state state_of(struct account *a, int64_t now_ms)
{
    int64_t now_s = now_ms / 1000;
    roll(&a->sums, day_of_ms(now_ms));
    return (struct account_state){
        .kind = a->kind,
        .name = name_of(a),
        .limits = a->limited || a->kind == ACCOUNT_MODEL ? &a->limits : NULL,
        .sums = a->sums,
        .running = a->running,
        .requests = a->requests ? window_sum(a->requests, now_s) : 0,
        .tokens = a->tokens ? window_sum(a->tokens, now_s) : 0,
        .reserved = a->held,
    };
}

bool accounts_state(struct accounts *as, enum account_kind kind, struct slice name, int64_t now_ms,
                    struct account_state *to)
{
    struct account *a = find(as, kind, name);
    if (a)
        *to = state_of(a, now_ms);
    return a != NULL;
}

static int compare(const void *a, const void *b)
{
    return slice_cmp(name_of(*(struct account *const *)a), name_of(*(struct account *const *)b));
}

void accounts_each(struct accounts *as, enum account_kind kind, int64_t now_ms,
                   void (*fn)(void *arg, const struct account_state *s), void *arg)
{
    struct dict *d = &as->by_name[kind];
    struct account **all = mem_alloc((dict_count(d) + 1) * sizeof *all), *a;
    size_t n = 0;
    struct dict_iter it;
    for (dict_iter_begin(&it, d); (a = dict_iter_next(&it));)
        all[n++] = a;
    dict_iter_end(&it);
    qsort(all, n, sizeof *all, compare);
    for (size_t i = 0; i < n; i++) {
        struct account_state s = state_of(all[i], now_ms);
        fn(arg, &s);
    }
    mem_free(all);
}

/* ---- models that are no more ---- */

static void keep_used(void *arg, const struct usage_row *row)
{
    struct account *a = find(arg, ACCOUNT_MODEL, row->model);
    if (a)
        a->kept = true;
}

void accounts_forget_gone(struct accounts *as, bool (*exists)(void *arg, struct slice model), void *arg, int64_t now_ms)
{
    struct dict *d = &as->by_name[ACCOUNT_MODEL];
    struct dict_iter it;
    struct account *a;
    int gone = 0;
    for (dict_iter_begin(&it, d); (a = dict_iter_next(&it));) {
        a->kept = a->running > 0 || exists(arg, name_of(a));
        gone += !a->kept;
    }
    dict_iter_end(&it);
    if (gone == 0)
        return;
    usage_sum(as->usage, USAGE_BY_MODEL, usage_kept_from(day_of_ms(now_ms)), INT64_MAX, keep_used, as);
    for (dict_iter_begin(&it, d); (a = dict_iter_next(&it));)
        if (!a->kept)
            account_free(dict_remove(d, name_of(a)));
    dict_iter_end(&it);
}
