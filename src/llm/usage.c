/* Rows of usage. A sum over groups is a usage of its own in which the other fields are empty. */
#include "llm/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/dict.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/setting.h"
#include "llm/money.h"

#define DAY_S       86400
#define SECONDS_MAX INT64_C(253402300799) /* the end of the year 9999 */

static int64_t keep_days = 400, keep_rows = 100000;

static const struct setting settings[] = {
    {"llm-usage-days", SETTING_INT, &keep_days, "400", 1, 36500, .help = "Days for which the usage of models is kept."},
    {"llm-usage-rows", SETTING_INT, &keep_rows, "100000", 1, 100000000,
     .help = "Rows of usage (one a day, model and user) at which the oldest days are dropped."},
};

void usage_boot(void)
{
    SETTING_REGISTER(settings);
}

/* The key is the row's day (8 bytes), the length of the model's name (8 bytes), that name and the user's. */
struct row {
    struct usage_row r;
    size_t len;
    char key[];
};

struct usage {
    struct dict rows;
    int64_t newest; /* day */
};

static struct slice key_of(const void *entry)
{
    const struct row *r = entry;
    return slice_of(r->key, r->len);
}

static const struct dict_type by_key = {.key = key_of, .free = mem_free};

struct usage *usage_create(void)
{
    struct usage *u = mem_zero(sizeof *u);
    dict_init(&u->rows, &by_key);
    return u;
}

void usage_destroy(struct usage *u)
{
    if (!u)
        return;
    dict_release(&u->rows);
    mem_free(u);
}

void usage_clear(struct usage *u)
{
    dict_release(&u->rows);
    dict_init(&u->rows, &by_key);
    u->newest = 0;
}

int64_t usage_kept_from(int64_t today)
{
    return today - keep_days + 1;
}

int64_t usage_rows(const struct usage *u)
{
    return (int64_t)dict_count(&u->rows);
}

static struct row *make_row(const struct usage_row *like)
{
    uint64_t model_len = like->model.len;
    size_t len = 16 + like->model.len + like->user.len;
    struct row *r = mem_zero(sizeof *r + len);
    char *names = r->key + 16;
    memcpy(r->key, &like->day, 8);
    memcpy(r->key + 8, &model_len, 8);
    if (like->model.len)
        memcpy(names, like->model.p, like->model.len);
    if (like->user.len)
        memcpy(names + like->model.len, like->user.p, like->user.len);
    r->len = len;
    r->r.day = like->day;
    r->r.model = slice_of(names, like->model.len);
    r->r.user = slice_of(names + like->model.len, like->user.len);
    return r;
}

static void drop_before(struct usage *u, int64_t day)
{
    struct dict_iter it;
    struct row *r;
    for (dict_iter_begin(&it, &u->rows); (r = dict_iter_next(&it));)
        if (r->r.day < day)
            mem_free(dict_remove(&u->rows, key_of(r)));
    dict_iter_end(&it);
}

static int64_t oldest_day(struct usage *u)
{
    struct dict_iter it;
    struct row *r;
    int64_t oldest = u->newest;
    for (dict_iter_begin(&it, &u->rows); (r = dict_iter_next(&it));)
        oldest = r->r.day < oldest ? r->r.day : oldest;
    dict_iter_end(&it);
    return oldest;
}

/* A new day takes the old ones away; within a day nothing is looked through. */
static void begin_day(struct usage *u, int64_t day)
{
    u->newest = day;
    drop_before(u, usage_kept_from(day));
    while (usage_rows(u) >= keep_rows && oldest_day(u) < day)
        drop_before(u, oldest_day(u) + 1);
}

static void sum_up(struct usage_row *to, const struct usage_row *row)
{
    to->calls += row->calls;
    to->failed += row->failed;
    to->tokens_in += row->tokens_in;
    to->tokens_out += row->tokens_out;
    to->tokens_cached += row->tokens_cached;
    to->cost = money_add(to->cost, row->cost);
    to->estimated += row->estimated;
    to->unpriced += row->unpriced;
}

static void add(struct usage *u, const struct usage_row *row)
{
    struct row *fresh = make_row(row), *r = dict_find(&u->rows, key_of(fresh));
    if (r)
        mem_free(fresh);
    else
        dict_add(&u->rows, r = fresh);
    sum_up(&r->r, row);
}

void usage_add(struct usage *u, const struct usage_row *row)
{
    if (row->day <= u->newest - keep_days)
        return;
    if (row->day > u->newest)
        begin_day(u, row->day);
    add(u, row);
}

/* ---- sums ---- */

static int compare(const void *a, const void *b)
{
    const struct usage_row *x = &(*(struct row *const *)a)->r, *y = &(*(struct row *const *)b)->r;
    if (x->day != y->day)
        return x->day < y->day ? -1 : 1;
    int c = slice_cmp(x->model, y->model);
    return c ? c : slice_cmp(x->user, y->user);
}

static void each_sorted(struct usage *u, int64_t from, int64_t to, void (*fn)(void *arg, const struct usage_row *row),
                        void *arg)
{
    struct row **all = mem_alloc((dict_count(&u->rows) + 1) * sizeof *all), *r;
    size_t n = 0;
    struct dict_iter it;
    for (dict_iter_begin(&it, &u->rows); (r = dict_iter_next(&it));)
        if (r->r.day >= from && r->r.day <= to)
            all[n++] = r;
    dict_iter_end(&it);
    qsort(all, n, sizeof *all, compare);
    for (size_t i = 0; i < n; i++)
        fn(arg, &all[i]->r);
    mem_free(all);
}

void usage_sum(struct usage *u, enum usage_by by, int64_t from, int64_t to,
               void (*fn)(void *arg, const struct usage_row *row), void *arg)
{
    if (by == USAGE_ALL) {
        each_sorted(u, from, to, fn, arg);
        return;
    }
    struct usage *groups = usage_create();
    struct dict_iter it;
    struct row *r;
    for (dict_iter_begin(&it, &u->rows); (r = dict_iter_next(&it));) {
        struct usage_row part = r->r;
        if (part.day < from || part.day > to)
            continue;
        part.day = by == USAGE_BY_DAY ? part.day : 0;
        part.model = by == USAGE_BY_MODEL ? part.model : SLICE("");
        part.user = by == USAGE_BY_USER ? part.user : SLICE("");
        add(groups, &part);
    }
    dict_iter_end(&it);
    each_sorted(groups, INT64_MIN, INT64_MAX, fn, arg);
    usage_destroy(groups);
}

/* ---- days ---- */

int64_t day_of_ms(int64_t wall_ms)
{
    return wall_ms / 1000 / DAY_S;
}

int64_t month_of_day(int64_t day)
{
    time_t t = (time_t)(day * DAY_S);
    struct tm tm = {0};
    gmtime_r(&t, &tm);
    return (tm.tm_year + 1900) * 12 + tm.tm_mon;
}

int64_t day_of_month_start(int64_t month)
{
    struct tm tm = {.tm_year = (int)(month / 12) - 1900, .tm_mon = (int)(month % 12), .tm_mday = 1};
    return timegm(&tm) / DAY_S;
}

void day_text(int64_t day, char to[DAY_TEXT])
{
    time_t t = (time_t)(day * DAY_S);
    struct tm tm = {0};
    gmtime_r(&t, &tm);
    strftime(to, DAY_TEXT, "%Y-%m-%d", &tm);
}

static bool two_digits(const char *p, int *out)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *out = (p[0] - '0') * 10 + p[1] - '0';
    return true;
}

bool day_parse(struct slice s, int64_t *day)
{
    char back[DAY_TEXT];
    int century, year, month, mday;
    int64_t seconds;
    if (num_to_i64(s, &seconds) && seconds >= 0 && seconds <= SECONDS_MAX) {
        *day = seconds / DAY_S;
        return true;
    }
    if (s.len != 10 || s.p[4] != '-' || s.p[7] != '-' || !two_digits(s.p, &century) || !two_digits(s.p + 2, &year) ||
        !two_digits(s.p + 5, &month) || !two_digits(s.p + 8, &mday) || century < 19)
        return false;
    struct tm tm = {.tm_year = century * 100 + year - 1900, .tm_mon = month - 1, .tm_mday = mday};
    *day = timegm(&tm) / DAY_S;
    day_text(*day, back);
    return slice_eq(slice_str(back), s); /* the 31st of February is none */
}
