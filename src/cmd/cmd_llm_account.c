/* Limits and usage as commands: LLM.LIMIT, LLM.USAGE; the rows of what the journal alone may say are here, too. */
#include "base/clock.h"
#include "base/info.h"
#include "base/utf8.h"
#include "cmd/cmd_llm.h"
#include "cmd/durable.h"
#include "cmd/families.h"
#include "cmd/llm_spent.h"
#include "cmd/outbound.h"
#include "llm/account.h"
#include "llm/idempotency.h"
#include "llm/llm.h"

#define NAME_LEN_MAX 128

static struct accounts *accounts(void)
{
    return llm_accounts(outbound_llm());
}

static void money(struct reply *r, const char *name, int64_t amount)
{
    char text[MONEY_TEXT];
    reply_field_bulk(r, name, slice_of(text, money_text(text, amount)));
}

/* ---- LLM.LIMIT ---- */

/* USER name, at 2 and 3. Other kinds are refused. */
static bool user_name(struct call *c, struct slice *name)
{
    *name = call_arg(c, 3);
    if (!slice_is(call_arg(c, 2), "user"))
        reply_errorf(c->reply, "INVALID limits are of a USER; those of a model are in LLM.MODEL SET");
    else if (name->len < 1 || name->len > NAME_LEN_MAX || !utf8_valid(*name))
        reply_errorf(c->reply, "INVALID a user's name is 1 to %d bytes of text", NAME_LEN_MAX);
    else
        return true;
    return false;
}

static void no_limits(struct call *c, struct slice name)
{
    reply_errorf(c->reply, "STATE there are no limits of user '%.*s'; set them with LLM.LIMIT SET",
                 (int)utf8_cut(name, 60), name.p);
}

static void changed(struct call *c)
{
    call_effect(c, c->argc, c->argv);
    reply_ok(c->reply);
}

/* What is not named is not limited: a SET replaces what was there.
 *
 * > LLM.LIMIT SET USER bob RPM 60 TPM 90000 BUDGET 5.50 PER DAY
 * < OK
 * > LLM.LIMIT LIST
 * < 1) "bob"
 * > LLM.LIMIT SET USER bob BUDGET five
 * < (error) INVALID *
 * > LLM.LIMIT SET MODEL gpt RPM 1
 * < (error) INVALID *
 * > LLM.LIMIT RESET USER bob
 * < OK
 * > LLM.LIMIT DEL USER bob
 * < OK
 * > LLM.LIMIT DEL USER bob
 * < (error) STATE *
 */
static void limit_set(struct call *c)
{
    struct slice name;
    struct limits l;
    struct err err;
    if (!user_name(c, &name))
        return;
    if (limits_parse(c->argv + 4, c->argc - 4, &l, &err) < 0 ||
        accounts_limit(accounts(), ACCOUNT_USER, name, &l, &err) < 0)
        call_err(c, &err);
    else
        changed(c);
}

static void limit_del(struct call *c)
{
    struct slice name;
    if (!user_name(c, &name))
        return;
    if (accounts_unlimit(accounts(), ACCOUNT_USER, name))
        changed(c);
    else
        no_limits(c, name);
}

/* Also for a user that has spent something without ever having had limits. */
static void limit_reset(struct call *c)
{
    struct slice name;
    if (!user_name(c, &name))
        return;
    if (accounts_reset(accounts(), ACCOUNT_USER, name))
        changed(c);
    else
        no_limits(c, name);
}

static int64_t spent_of(const struct account_state *s)
{
    switch (s->limits->per) {
    case PER_DAY: return s->sums.day_cost;
    case PER_MONTH: return s->sums.month_cost;
    case PER_TOTAL: break;
    }
    return s->sums.total_cost;
}

static void reply_state(struct reply *r, const struct account_state *s)
{
    static const struct limits none;
    const struct limits *l = s->limits ? s->limits : &none;
    size_t place = reply_defer(r), n = 10;
    reply_field_int(r, "rpm", l->rpm);
    reply_field_int(r, "tpm", l->tpm);
    reply_field_int(r, "concurrency", l->concurrency);
    reply_field_int(r, "requests", s->requests);
    reply_field_int(r, "tokens", s->tokens);
    reply_field_int(r, "running", s->running);
    money(r, "spent-day", s->sums.day_cost);
    money(r, "spent-month", s->sums.month_cost);
    money(r, "spent-total", s->sums.total_cost);
    money(r, "reserved", s->reserved);
    if (l->has_budget) {
        int64_t left = l->budget - spent_of(s) - s->reserved;
        money(r, "budget", l->budget);
        reply_field_str(r, "budget-per", budget_per_name(l->per));
        money(r, "budget-left", left > 0 ? left : 0);
        n += 3;
    }
    reply_defer_map(r, place, n);
}

/* Limits are 0 where there is none; requests and tokens are those of the last minute.
 *
 * > LLM.LIMIT SET USER eve BUDGET 0.5
 * < OK
 * > LLM.LIMIT GET USER eve
 * <  1) "rpm"
 * <  2) (integer) 0
 * < ...
 * < 21) "budget"
 * < 22) "0.5"
 * < 23) "budget-per"
 * < 24) "TOTAL"
 * < 25) "budget-left"
 * < 26) "0.5"
 * > LLM.LIMIT GET USER nobody
 * < (error) STATE *
 */
static void limit_get(struct call *c)
{
    struct slice name;
    struct account_state s;
    if (!user_name(c, &name))
        return;
    if (accounts_state(accounts(), ACCOUNT_USER, name, clock_wall_ms(), &s))
        reply_state(c->reply, &s);
    else
        no_limits(c, name);
}

struct listing {
    struct reply *r;
    size_t n;
};

static void list_one(void *arg, const struct account_state *s)
{
    struct listing *l = arg;
    if (!s->limits)
        return;
    reply_bulk(l->r, s->name);
    l->n++;
}

static void limit_list(struct call *c)
{
    struct listing l = {.r = c->reply};
    size_t place = reply_defer(c->reply);
    accounts_each(accounts(), ACCOUNT_USER, clock_wall_ms(), list_one, &l);
    reply_defer_array(c->reply, place, l.n);
}

/* ---- LLM.USAGE ---- */

struct table {
    struct reply *r;
    enum usage_by by;
    size_t n;
};

static void name_group(const struct table *t, const struct usage_row *row)
{
    char day[DAY_TEXT];
    switch (t->by) {
    case USAGE_BY_MODEL: reply_field_bulk(t->r, "model", row->model); return;
    case USAGE_BY_USER: reply_field_bulk(t->r, "user", row->user); return;
    case USAGE_BY_DAY:
        day_text(row->day, day);
        reply_field_str(t->r, "day", day);
        return;
    case USAGE_ALL:
    case USAGE_TOTAL: return;
    }
}

static void usage_one(void *arg, const struct usage_row *row)
{
    struct table *t = arg;
    reply_map(t->r, t->by == USAGE_TOTAL ? 8 : 9);
    name_group(t, row);
    reply_field_int(t->r, "calls", row->calls);
    reply_field_int(t->r, "failed", row->failed);
    reply_field_int(t->r, "tokens-in", row->tokens_in);
    reply_field_int(t->r, "tokens-out", row->tokens_out);
    reply_field_int(t->r, "tokens-cached", row->tokens_cached);
    money(t->r, "cost", row->cost);
    reply_str(t->r, "estimated");
    reply_double(t->r, row->calls ? (double)row->estimated / (double)row->calls : 0);
    reply_field_int(t->r, "unpriced", row->unpriced);
    t->n++;
}

static bool usage_group(struct slice word, enum usage_by *by)
{
    static const struct {
        const char *word;
        enum usage_by by;
    } groups[] = {{"model", USAGE_BY_MODEL}, {"user", USAGE_BY_USER}, {"day", USAGE_BY_DAY}};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (slice_is(word, groups[i].word)) {
            *by = groups[i].by;
            return true;
        }
    return false;
}

static bool usage_options(struct call *c, enum usage_by *by, int64_t *from, int64_t *to)
{
    for (int i = 1; i < c->argc; i += 2) {
        struct slice word = call_arg(c, i), value = i + 1 < c->argc ? call_arg(c, i + 1) : SLICE("");
        int64_t *day = slice_is(word, "from") ? from : slice_is(word, "to") ? to : NULL;
        if (slice_is(word, "by") && usage_group(value, by))
            continue;
        if (day && day_parse(value, day))
            continue;
        if (slice_is(word, "by"))
            reply_errorf(c->reply, "INVALID usage is BY MODEL, USER or DAY");
        else if (day)
            reply_errorf(c->reply, "INVALID a day is written as 2026-01-31, or as seconds since 1970");
        else
            call_syntax(c);
        return false;
    }
    return true;
}

/* Days are UTC's, FROM and TO included. Without BY: one row with the sum of all. `estimated` is the share of the calls
 * whose tokens the provider did not count; `unpriced` are those whose cost is not known.
 *
 * > LLM.USAGE BY MODEL FROM 1999-01-01 TO 1999-12-31
 * < (empty array)
 * > LLM.USAGE FROM yesterday
 * < (error) INVALID *
 */
static void usage(struct call *c)
{
    struct table t = {.r = c->reply, .by = USAGE_TOTAL};
    int64_t from = INT64_MIN, to = INT64_MAX;
    if (!usage_options(c, &t.by, &from, &to))
        return;
    size_t place = reply_defer(c->reply);
    usage_sum(accounts_usage(accounts()), t.by, from, to, usage_one, &t);
    reply_defer_array(c->reply, place, t.n);
}

/* ---- for the compaction of the journal ---- */

struct emitting {
    durable_write *write;
    void *to;
    struct slice words[16];
    char room[16][MONEY_TEXT];
    int n, rc;
};

static void emit_word(void *arg, struct slice word)
{
    struct emitting *e = arg;
    memcpy(e->room[e->n], word.p, word.len);
    e->words[e->n] = slice_of(e->room[e->n], word.len);
    e->n++;
}

static void emit_limits(void *arg, const struct account_state *s)
{
    struct emitting *e = arg;
    if (!s->limits || e->rc < 0)
        return;
    e->n = 4;
    e->words[0] = SLICE("LLM.LIMIT");
    e->words[1] = SLICE("SET");
    e->words[2] = SLICE("USER");
    e->words[3] = s->name;
    limits_words(s->limits, emit_word, e);
    e->rc = e->write(e->to, 0, e->n, e->words);
}

static int emit_all(durable_write *write, void *to)
{
    struct emitting e = {.write = write, .to = to};
    accounts_each(accounts(), ACCOUNT_USER, clock_wall_ms(), emit_limits, &e);
    return e.rc;
}

/* ---- INFO ---- */

static struct idem_stats kept(void)
{
    struct idem_stats s;
    idem_stats(llm_idempotency(outbound_llm()), &s);
    return s;
}

#define NUM(name, expr)                                                                                                \
    static void name(struct buf *to)                                                                                   \
    {                                                                                                                  \
        buf_addf(to, "%lld", (long long)(expr));                                                                       \
    }
NUM(unpriced, accounts_stats(accounts())->unpriced)
NUM(over_budget, accounts_stats(accounts())->refused_budget)
NUM(no_price, accounts_stats(accounts())->refused_unpriced)
NUM(waits, accounts_stats(accounts())->waits)
NUM(rows_kept, usage_rows(accounts_usage(accounts())))
NUM(answers_kept, kept().kept)
NUM(answers_bytes, kept().bytes)
NUM(answers_replayed, kept().replays)
NUM(calls_joined, kept().joins)
NUM(token_conflicts, kept().conflicts)

static void spent(struct buf *to)
{
    char text[MONEY_TEXT];
    buf_add(to, text, money_text(text, accounts_stats(accounts())->cost));
}

static const struct info_row info[] = {
    {"Models", "llm_spent", INFO_COUNTER, spent, "skald_llm_spent_total",
     "Cost of model calls, in the prices' currency"},
    {"Models", "llm_spent_unpriced_calls", INFO_COUNTER, unpriced, "skald_llm_unpriced_calls_total",
     "Model calls whose cost is not known"},
    {"Models", "llm_budget_refused", INFO_COUNTER, over_budget, "skald_llm_budget_refused_total",
     "Model calls refused because a budget was used up"},
    {"Models", "llm_unpriced_refused", INFO_COUNTER, no_price, NULL, NULL},
    {"Models", "llm_limit_waits", INFO_COUNTER, waits, "skald_llm_limit_waits_total",
     "Times that a model call had to wait for a limit"},
    {"Models", "llm_usage_rows", INFO_GAUGE, rows_kept, NULL, NULL},
    {"Models", "llm_idempotency_kept", INFO_GAUGE, answers_kept, NULL, NULL},
    {"Models", "llm_idempotency_bytes", INFO_GAUGE, answers_bytes, NULL, NULL},
    {"Models", "llm_idempotency_replays", INFO_COUNTER, answers_replayed, "skald_llm_idempotency_replays_total",
     "Answers given again for an idempotency token"},
    {"Models", "llm_idempotency_joins", INFO_COUNTER, calls_joined, NULL, NULL},
    {"Models", "llm_idempotency_conflicts", INFO_COUNTER, token_conflicts, NULL, NULL},
};

void llm_account_settings(void)
{
    INFO_REGISTER(info);
}

void llm_account_open(struct loop *l)
{
    durable_add_registry(emit_all);
    llm_spent_open(l);
}

/* ---- rows ---- */

static const struct cmd limit_subs[] = {
    {.name = "set",
     .run = limit_set,
     .arity = -4,
     .flags = CMD_REGISTRY | CMD_ADMIN,
     .acl = ACL_LLM,
     .syntax = "USER name [RPM n] [TPM n] [CONCURRENCY n] [BUDGET amount [PER (DAY|MONTH|TOTAL)]]",
     .summary = "Limits a user's calls of models.",
     .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "get",
     .run = limit_get,
     .arity = 4,
     .acl = ACL_LLM,
     .syntax = "USER name",
     .summary = "A user's limits and what was taken of them.",
     .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "list",
     .run = limit_list,
     .arity = 2,
     .acl = ACL_LLM,
     .syntax = "",
     .summary = "The users that have limits.",
     .since = "1.0.0",
     .complexity = "O(N log N) where N is the users"},
    {.name = "del",
     .run = limit_del,
     .arity = 4,
     .flags = CMD_REGISTRY | CMD_ADMIN,
     .acl = ACL_LLM,
     .syntax = "USER name",
     .summary = "Removes a user's limits.",
     .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "reset",
     .run = limit_reset,
     .arity = 4,
     .flags = CMD_REGISTRY | CMD_ADMIN,
     .acl = ACL_LLM,
     .syntax = "USER name",
     .summary = "Begins a user's budget and minute anew; usage keeps what it has.",
     .since = "1.0.0",
     .complexity = "O(1)"},
};

static const struct cmd rows[] = {
    {.name = "llm.limit",
     .arity = -2,
     .acl = ACL_LLM | ACL_SLOW,
     .syntax = "",
     .summary = "Limits and budgets of users.",
     .since = "1.0.0",
     .complexity = "Depends on the subcommand.",
     .subs = limit_subs,
     .nsubs = sizeof limit_subs / sizeof *limit_subs},
    {.name = "llm.usage",
     .run = usage,
     .arity = -1,
     .acl = ACL_LLM,
     .syntax = "[BY (MODEL|USER|DAY)] [FROM from:str] [TO to:str]",
     .summary = "Calls, tokens and cost of models.",
     .since = "1.0.0",
     .complexity = "O(N) where N is the rows of a day, a model and a user each"},
    {.name = "llm.spent",
     .run = llm_spent_run,
     .arity = -2,
     .flags = CMD_REGISTRY | CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_MULTI,
     .acl = ACL_LLM,
     .syntax = "what word...",
     .summary = "What calls have spent, in the journal; not for clients.",
     .since = "1.0.0",
     .complexity = "O(1)"},
    {.name = "llm.kept",
     .run = llm_kept_run,
     .arity = -4,
     .flags = CMD_REGISTRY | CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_MULTI,
     .acl = ACL_LLM,
     .syntax = "word...",
     .summary = "An answer that is kept for an idempotency token, in the journal; not for clients.",
     .since = "1.0.0",
     .complexity = "O(N) where N is the bytes"},
};

const struct cmd_family llm_account_family = CMD_FAMILY("llm", rows);
