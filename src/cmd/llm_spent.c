/* A call is settled deep below, before its turn is added to a session and its reply written. Its LLM.SPENT is therefore
 * stated as an effect that leaves with the next group, which is that turn's; a call that changes nothing else lets it
 * go when it resumes, and the hook takes what is left (a flow's calls), before the journal writes.
 *
 *   LLM.SPENT ADD  day model user calls failed in out cached cost estimated unpriced    a call: usage and money
 *   LLM.SPENT ROW  the same                                                             a compacted journal: usage
 * alone LLM.SPENT SUMS kind name day cost month cost total                                  and the money LLM.KEPT what
 * idem_words gives */
#include "cmd/llm_spent.h"

#include "base/clock.h"
#include "base/num.h"
#include "cmd/dispatch.h"
#include "cmd/durable.h"
#include "cmd/effects.h"
#include "cmd/outbound.h"
#include "llm/account.h"
#include "llm/idempotency.h"
#include "llm/llm.h"

static struct accounts *accounts(void)
{
    return llm_accounts(outbound_llm());
}

static struct idem *idem(void)
{
    return llm_idempotency(outbound_llm());
}

/* ---- words ---- */

#define NUMBERS_MAX 8

/* A command under construction; the text of its numbers is in `room`. */
struct words {
    struct slice at[IDEM_WORDS_MAX + 1];
    int n, used;
    char room[NUMBERS_MAX][NUM_I64_MAX], day[DAY_TEXT];
};

static void word(struct words *w, struct slice s)
{
    w->at[w->n++] = s;
}

static void number(struct words *w, int64_t v)
{
    char *to = w->room[w->used++];
    word(w, slice_of(to, num_from_i64(to, v)));
}

static void row_words(struct words *w, const char *what, const struct usage_row *r)
{
    w->n = w->used = 0;
    day_text(r->day, w->day);
    word(w, SLICE("LLM.SPENT"));
    word(w, slice_str(what));
    word(w, slice_str(w->day));
    word(w, r->model);
    word(w, r->user);
    const int64_t numbers[] = {r->calls,         r->failed, r->tokens_in, r->tokens_out,
                               r->tokens_cached, r->cost,   r->estimated, r->unpriced};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        number(w, numbers[i]);
}

static const char *const kinds[ACCOUNT_KINDS] = {"MODEL", "USER", "TENANT"};

static void sums_words(struct words *w, const struct account_state *s)
{
    w->n = w->used = 0;
    word(w, SLICE("LLM.SPENT"));
    word(w, SLICE("SUMS"));
    word(w, slice_str(kinds[s->kind]));
    word(w, s->name);
    number(w, s->sums.day);
    number(w, s->sums.day_cost);
    number(w, s->sums.month);
    number(w, s->sums.month_cost);
    number(w, s->sums.total_cost);
}

/* ---- out ---- */

static void on_spent(void *arg, const struct usage_row *row)
{
    struct words w;
    row_words(&w, "ADD", row);
    effects_add_soon(0, w.n, w.at);
}

/* The numbers among the words of idem_words are lent for the moment only. */
struct kept {
    struct words w;
    char room[IDEM_WORDS_MAX][NUM_I64_MAX];
    char hashes[2][64];
};

static void kept_word(void *arg, struct slice s)
{
    struct kept *k = arg;
    int i = k->w.n - 1;
    char *to = i < 2 && s.len == sizeof k->hashes[0] ? k->hashes[i] : s.len <= NUM_I64_MAX ? k->room[i] : NULL;
    if (to && s.len)
        memcpy(to, s.p, s.len);
    word(&k->w, to ? slice_of(to, s.len) : s);
}

static void kept_words(struct kept *k, const struct idem_entry *e)
{
    k->w.n = k->w.used = 0;
    word(&k->w, SLICE("LLM.KEPT"));
    idem_words(e, kept_word, k);
}

static void on_kept(void *arg, const struct idem_entry *e)
{
    struct kept k;
    kept_words(&k, e);
    effects_add_soon(0, k.w.n, k.w.at);
}

/* Each day some usage is no longer kept, and with it what is known of models that are no more. */
static void forget_gone(void)
{
    static int64_t looked; /* a day */
    int64_t today = day_of_ms(clock_wall_ms());
    if (today == looked || dispatch_store()->loading)
        return;
    looked = today;
    llm_forget_gone(outbound_llm());
}

static void before_sleep(void *arg)
{
    effects_let_go();
    forget_gone();
}

/* ---- a compacted journal ---- */

struct emitting {
    durable_write *write;
    void *to;
    int rc;
};

static void emit(struct emitting *e, const struct words *w)
{
    if (e->rc >= 0)
        e->rc = e->write(e->to, 0, w->n, w->at);
}

static void emit_row(void *arg, const struct usage_row *row)
{
    struct words w;
    row_words(&w, "ROW", row);
    emit(arg, &w);
}

static void emit_sums(void *arg, const struct account_state *s)
{
    struct words w;
    if (s->sums.total_cost == 0)
        return;
    sums_words(&w, s);
    emit(arg, &w);
}

static void emit_kept(void *arg, const struct idem_entry *entry)
{
    struct kept k;
    kept_words(&k, entry);
    emit(arg, &k.w);
}

static int emit_all(durable_write *write, void *to)
{
    struct emitting e = {.write = write, .to = to};
    int64_t now = clock_wall_ms();
    usage_sum(accounts_usage(accounts()), USAGE_ALL, INT64_MIN, INT64_MAX, emit_row, &e);
    for (int k = 0; k < ACCOUNT_KINDS; k++)
        accounts_each(accounts(), (enum account_kind)k, now, emit_sums, &e);
    idem_each(idem(), emit_kept, &e);
    return e.rc;
}

static void forget(void)
{
    accounts_forget_sums(accounts());
}

void llm_spent_open(struct loop *l)
{
    static struct loop_hook hook = {.fn = before_sleep};
    loop_before_sleep(l, &hook);
    accounts_on_spent(accounts(), on_spent, NULL);
    idem_on_kept(idem(), on_kept, NULL);
    durable_add_registry(emit_all);
    durable_before_reload(forget);
}

/* ---- in again ---- */

static bool from_journal(struct call *c)
{
    if (c->flags & CALL_REPLAY)
        return true;
    reply_errorf(c->reply, "STATE %.*s is written by the server itself, into its journal", (int)c->argv[0].len,
                 c->argv[0].p);
    return false;
}

static bool numbers_from(struct call *c, int first, int64_t *to, int n)
{
    for (int i = 0; i < n; i++)
        if (!num_to_i64(c->argv[first + i], &to[i]) || to[i] < 0)
            return false;
    return true;
}

static bool spent_row(struct call *c, bool money)
{
    int64_t v[8];
    struct usage_row r = {0};
    if (c->argc != 13 || !day_parse(c->argv[2], &r.day) || !numbers_from(c, 5, v, 8))
        return false;
    r.model = c->argv[3];
    r.user = c->argv[4];
    r.calls = v[0];
    r.failed = v[1];
    r.tokens_in = v[2];
    r.tokens_out = v[3];
    r.tokens_cached = v[4];
    r.cost = v[5];
    r.estimated = v[6];
    r.unpriced = v[7];
    if (money)
        accounts_replay(accounts(), &r);
    else
        usage_add(accounts_usage(accounts()), &r);
    return true;
}

static bool spent_sums(struct call *c)
{
    int64_t v[5];
    if (c->argc != 9 || !numbers_from(c, 4, v, 5))
        return false;
    struct account_sums s = {.day = v[0], .day_cost = v[1], .month = v[2], .month_cost = v[3], .total_cost = v[4]};
    for (int k = 0; k < ACCOUNT_KINDS; k++)
        if (slice_is(c->argv[2], kinds[k])) {
            accounts_put_sums(accounts(), (enum account_kind)k, c->argv[3], &s);
            return true;
        }
    return false;
}

void llm_spent_run(struct call *c)
{
    struct slice what = c->argv[1];
    if (!from_journal(c))
        return;
    bool ok = slice_is(what, "add")    ? spent_row(c, true)
              : slice_is(what, "row")  ? spent_row(c, false)
              : slice_is(what, "sums") ? spent_sums(c)
                                       : false;
    if (ok)
        reply_ok(c->reply);
    else
        call_syntax(c);
}

void llm_kept_run(struct call *c)
{
    struct err err;
    if (!from_journal(c))
        return;
    if (idem_restore(idem(), c->argv + 1, c->argc - 1, clock_wall_ms(), &err) < 0)
        call_err(c, &err);
    else
        reply_ok(c->reply);
}
