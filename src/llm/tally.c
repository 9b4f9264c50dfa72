#include "llm/tally.h"

#include <stddef.h>
#include <string.h>

#include "base/dict.h"
#include "base/mem.h"
#include "base/setting.h"
#include "llm/money.h"

/* ---- histograms of seconds ---- */

static const int64_t bounds_us[] = {100,     250,      500,      1000,     2500,     5000,    10000,
                                    25000,   50000,    100000,   250000,   500000,   1000000, 2500000,
                                    5000000, 10000000, 30000000, 60000000, 120000000};
#define BOUNDS (int)(sizeof bounds_us / sizeof *bounds_us)

struct seconds {
    uint64_t at[BOUNDS + 1]; /* not cumulative; the last is what is over all bounds */
    uint64_t n;
    int64_t sum_us;
};

static void seconds_add(struct seconds *s, int64_t us)
{
    int i = 0;
    us = us > 0 ? us : 0;
    while (i < BOUNDS && us > bounds_us[i])
        i++;
    s->at[i]++;
    s->n++;
    s->sum_us = money_add(s->sum_us, us);
}

/* ---- rows ---- */

enum { TOTAL, FIRST, VENDOR, OVERHEAD, HISTOGRAMS };

struct row {
    char *key; /* its labels as text: model="..",route="..",class=".." */
    uint64_t calls;
    int64_t tokens_in, tokens_out, tokens_cached, attempts;
    int64_t cost;
    struct seconds took[HISTOGRAMS];
};

struct tally {
    struct row **rows; /* in the order of coming */
    int n;
    struct dict by_key;
};

static int64_t max_rows;

static void quote(struct buf *to, struct slice value)
{
    buf_add_char(to, '"');
    for (size_t i = 0; i < value.len; i++) {
        char c = value.p[i];
        if (c == '\\' || c == '"')
            buf_add_char(to, '\\');
        if (c == '\n')
            buf_add_str(to, "\\n");
        else
            buf_add_char(to, c);
    }
    buf_add_char(to, '"');
}

static void put_labels(struct buf *to, struct slice model, struct slice route, const char *class, enum llm_door door)
{
    static const char *const doors[] = {"resp", "http"};
    buf_add_str(to, "model=");
    quote(to, model);
    buf_add_str(to, ",route=");
    quote(to, route);
    buf_addf(to, ",class=\"%s\",door=\"%s\"", class, doors[door]);
}

static struct slice key_of(const void *entry)
{
    return slice_str(((const struct row *)entry)->key);
}

static const struct dict_type by_key = {.key = key_of};

static struct row *add_row(struct tally *t, const char *key)
{
    if ((t->n & (t->n + 1)) == 0)
        t->rows = mem_realloc(t->rows, sizeof *t->rows * ((size_t)t->n * 2 + 2));
    struct row *r = t->rows[t->n++] = mem_zero(sizeof *r);
    r->key = mem_strdup(key);
    dict_add(&t->by_key, r);
    return r;
}

static struct row *row_of(struct tally *t, const struct llm_facts *f, const char *class, enum llm_door door)
{
    struct buf key = {0};
    put_labels(&key, f->model, f->route, class, door);
    struct row *r = dict_find(&t->by_key, buf_slice(&key));
    if (!r && t->n >= max_rows) {
        buf_clear(&key);
        put_labels(&key, SLICE("other"), SLICE("other"), class, door);
        r = dict_find(&t->by_key, buf_slice(&key));
    }
    r = r ? r : add_row(t, buf_cstr(&key));
    buf_release(&key);
    return r;
}

void tally_add(struct tally *t, const struct llm_facts *f, const char *class, enum llm_door door, int64_t overhead_us)
{
    struct row *r = row_of(t, f, class, door);
    r->calls++;
    r->attempts += f->attempts;
    r->tokens_in = money_add(r->tokens_in, f->tokens_in);
    r->tokens_out = money_add(r->tokens_out, f->tokens_out);
    r->tokens_cached = money_add(r->tokens_cached, f->tokens_cached);
    r->cost = money_add(r->cost, f->cost > 0 ? f->cost : 0);
    seconds_add(&r->took[TOTAL], f->us_total);
    seconds_add(&r->took[FIRST], f->us_first);
    seconds_add(&r->took[VENDOR], f->us_vendor);
    seconds_add(&r->took[OVERHEAD], overhead_us);
}

/* ---- the page ---- */

static void head(struct buf *to, const char *name, const char *kind, const char *help)
{
    buf_addf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void print_seconds(struct buf *to, const char *name, const char *labels, const struct seconds *s)
{
    uint64_t sum = 0;
    for (int i = 0; i < BOUNDS; i++) {
        sum += s->at[i];
        buf_addf(to, "%s_bucket{%s,le=\"%g\"} %llu\n", name, labels, (double)bounds_us[i] / 1e6,
                 (unsigned long long)sum);
    }
    buf_addf(to, "%s_bucket{%s,le=\"+Inf\"} %llu\n", name, labels, (unsigned long long)s->n);
    buf_addf(to, "%s_sum{%s} %lld.%06lld\n", name, labels, (long long)(s->sum_us / 1000000),
             (long long)(s->sum_us % 1000000));
    buf_addf(to, "%s_count{%s} %llu\n", name, labels, (unsigned long long)s->n);
}

static void print_histograms(const struct tally *t, struct buf *to)
{
    static const struct {
        const char *name, *help;
    } which[HISTOGRAMS] = {
        {"skald_gateway_request_seconds", "From a call's start to its end"},
        {"skald_gateway_first_piece_seconds", "From a call's start to its first piece"},
        {"skald_gateway_upstream_seconds", "Time of a call that was spent with vendors"},
        {"skald_gateway_overhead_seconds", "Time from a request's coming to its end that was not spent with vendors"},
    };
    for (int h = 0; h < HISTOGRAMS; h++) {
        head(to, which[h].name, "histogram", which[h].help);
        for (int i = 0; i < t->n; i++)
            print_seconds(to, which[h].name, t->rows[i]->key, &t->rows[i]->took[h]);
    }
}

static void print_counters(const struct tally *t, struct buf *to)
{
    static const struct {
        const char *name, *help;
        size_t at;
    } which[] = {
        {"skald_gateway_calls_total", "Calls of models that ended", offsetof(struct row, calls)},
        {"skald_gateway_attempts_total", "Times that a vendor was asked", offsetof(struct row, attempts)},
        {"skald_gateway_tokens_in_total", "Tokens sent to models", offsetof(struct row, tokens_in)},
        {"skald_gateway_tokens_out_total", "Tokens that models answered", offsetof(struct row, tokens_out)},
        {"skald_gateway_tokens_cached_total", "Tokens sent that vendors had cached",
         offsetof(struct row, tokens_cached)},
    };
    for (size_t k = 0; k < sizeof which / sizeof *which; k++) {
        head(to, which[k].name, "counter", which[k].help);
        for (int i = 0; i < t->n; i++) {
            int64_t n;
            memcpy(&n, (const char *)t->rows[i] + which[k].at, sizeof n);
            buf_addf(to, "%s{%s} %lld\n", which[k].name, t->rows[i]->key, (long long)n);
        }
    }
}

static void print_cost(const struct tally *t, struct buf *to)
{
    char text[MONEY_TEXT];
    head(to, "skald_gateway_cost_total", "counter", "What calls cost, in the currency of the prices");
    for (int i = 0; i < t->n; i++) {
        buf_addf(to, "skald_gateway_cost_total{%s} ", t->rows[i]->key);
        buf_add(to, text, money_text(text, t->rows[i]->cost));
        buf_add_char(to, '\n');
    }
}

void tally_print(const struct tally *t, struct buf *to)
{
    print_histograms(t, to);
    print_counters(t, to);
    print_cost(t, to);
}

/* ---- life ---- */

struct tally *tally_create(void)
{
    struct tally *t = mem_zero(sizeof *t);
    dict_init(&t->by_key, &by_key);
    return t;
}

void tally_destroy(struct tally *t)
{
    if (!t)
        return;
    dict_release(&t->by_key);
    for (int i = 0; i < t->n; i++) {
        mem_free(t->rows[i]->key);
        mem_free(t->rows[i]);
    }
    mem_free(t->rows);
    mem_free(t);
}

static const struct setting settings[] = {
    {.name = "http-metrics-series",
     .kind = SETTING_INT,
     .at = &max_rows,
     .dflt = "500",
     .min = 1,
     .max = 10000,
     .help =
         "How many sets of labels (model, route, class of failure, door) /metrics tells apart; the rest is \"other\"."},
};

void tally_boot(void)
{
    SETTING_REGISTER(settings);
}
