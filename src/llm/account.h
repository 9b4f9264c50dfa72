/* Accounts: what a model or a user may take in a minute, at once, and of money; what they have taken.
 *
 *   account_reserve ── taken ──► the call runs ──► account_settle     exactly once, however the call ended
 *          │
 *          ├── wait: nothing was taken; ask again in wait_ms, or when another call was settled
 *          └── refused: waiting does not help, or not within reason
 *
 * Before a call its worst case is taken from all accounts that it concerns, or from none: a request, its place among
 * those that run, its tokens (the estimate of its input and the most it may answer) and what they cost. After it the
 * truth is booked and the rest given back, so sums are exact to the token. A budget is never passed by a call whose
 * max_tokens holds; one without a limit on its answer may pass it once, by what it answered more than
 * llm-reserve-tokens.
 *
 * A model's limits are those of its entry at the time of the call (LLM.MODEL SET), a user's those of LLM.LIMIT. Money:
 * see money.h. DAY and MONTH are UTC's. now_ms is wall time. A model with a known price of nothing needs no budget; a
 * model without a price under a budget is refused with ERR_STATE (llm-budget-unpriced yes lets it pass, uncounted).
 *
 * Thread: loop. */
#ifndef LLM_ACCOUNT_H
#define LLM_ACCOUNT_H

#include "llm/limits.h"
#include "llm/model.h"
#include "llm/money.h"
#include "llm/usage.h"

struct account;
struct accounts;

void account_boot(void); /* registers settings; once */
struct accounts *accounts_create(void);
void accounts_destroy(struct accounts *a); /* NULL allowed */
struct usage *accounts_usage(struct accounts *a);

/* ---- a call ---- */

enum account_kind { ACCOUNT_MODEL, ACCOUNT_USER, ACCOUNT_TENANT }; /* there are no tenants yet */
#define ACCOUNT_KINDS 3

struct account_claim {
    const struct model *model;
    struct slice owner; /* empty: nobody's; it counts against the model alone */
    int64_t tokens_in;  /* an estimate */
    int64_t tokens_out; /* the most that may come; 0: not known, llm-reserve-tokens */
    bool again;         /* another attempt for a request that was counted: no further one of the owner's per minute */
};

/* What a call holds; part of the call, zeroed before its first use, free for another reserve after each settle. */
struct account_hold {
    bool held;
    struct price price;
    struct account_part {
        struct account *of;          /* NULL: none of that kind */
        unsigned epoch;              /* of the account: booked before or after a reset */
        bool request, minute;        /* is one booked there? */
        int64_t request_s, minute_s; /* under which seconds they are booked */
        int64_t tokens;              /* as booked, when `minute` */
        int64_t cost;                /* held of its budget */
    } part[ACCOUNT_KINDS];
};

enum { ACCOUNT_TAKEN = 0, ACCOUNT_WAIT = 1 };

/* ACCOUNT_TAKEN; ACCOUNT_WAIT with the milliseconds to wait, -1 when it takes the end of another call; or refused:
 * ERR_QUOTA (a budget is used up; wait_ms: until it begins anew, -1 never) or ERR_STATE (no price under a budget). err
 * says for ACCOUNT_WAIT too what there is to wait for, as ERR_QUOTA. */
int account_reserve(struct accounts *a, const struct account_claim *claim, int64_t now_ms, struct account_hold *hold,
                    int64_t *wait_ms, struct err *err);

enum account_end {
    ACCOUNT_ANSWERED,
    ACCOUNT_FAILED, /* or was cut short: what it used all the same is booked */
    ACCOUNT_UNSENT, /* never left: everything is given back, no call is counted */
};
struct account_spent {
    enum account_end end;
    int64_t tokens_in, tokens_out, tokens_cached; /* of the call; < 0 counts as 0 */
    bool estimated;
};
/* Returns the cost for llm_facts.cost: -1 when the model has no price. Holding nothing is a bug: asserts. */
int64_t account_settle(struct accounts *a, struct account_hold *hold, const struct account_spent *spent,
                       int64_t now_ms);

/* Told of every call at its settling, before settle returns: what usage has booked, for the journal. */
void accounts_on_spent(struct accounts *a, void (*fn)(void *arg, const struct usage_row *row), void *arg);

/* ---- the state of the minute, for the headers of a reply ---- */

struct account_rate {
    int64_t limit, left; /* limit 0: there is none */
    int64_t reset_ms;    /* until all of it is there again */
};
struct account_rates {
    struct account_rate requests, tokens;
};
/* Of whichever of the two has less left. */
void accounts_rates(struct accounts *a, struct slice model, struct slice owner, int64_t now_ms,
                    struct account_rates *to);

/* ---- limits of users ---- */

/* Only these kinds have limits of their own here: ACCOUNT_USER. Others are refused with ERR_INVALID. */
int accounts_limit(struct accounts *a, enum account_kind kind, struct slice name, const struct limits *to,
                   struct err *err);
/* NULL: none was set. */
const struct limits *accounts_limits(struct accounts *a, enum account_kind kind, struct slice name);
bool accounts_unlimit(struct accounts *a, enum account_kind kind, struct slice name); /* false: there were none */
/* The money spent and the minute start at nothing; usage keeps what it has. false: nobody of that name is known. */
bool accounts_reset(struct accounts *a, enum account_kind kind, struct slice name);

/* ---- for LLM.LIMIT GET, LLM.USAGE and the journal ---- */

struct account_sums {
    int64_t day, day_cost;     /* day: since 1970, UTC */
    int64_t month, month_cost; /* month: year * 12 + month - 1 */
    int64_t total_cost;
};
struct account_state {
    enum account_kind kind;
    struct slice name;
    const struct limits *limits; /* NULL: a user without any */
    struct account_sums sums;
    int64_t running;          /* calls that hold something */
    int64_t requests, tokens; /* of the last minute */
    int64_t reserved;         /* money held by running calls */
};
/* False: nobody of that name is known. */
bool accounts_state(struct accounts *a, enum account_kind kind, struct slice name, int64_t now_ms,
                    struct account_state *to);
void accounts_each(struct accounts *a, enum account_kind kind, int64_t now_ms,
                   void (*fn)(void *arg, const struct account_state *s), void *arg); /* by name; fn changes nothing */

/* What the journal says was spent: the usage and the money of accounts, as account_settle books them. */
void accounts_replay(struct accounts *a, const struct usage_row *row);
void accounts_forget_sums(struct accounts *a); /* of everybody, and the usage: before a replay */
void accounts_put_sums(struct accounts *a, enum account_kind kind, struct slice name, const struct account_sums *sums);

/* Models that are no more keep their account as long as there is usage of theirs that is kept (llm-usage-days), or a
 * call that has yet to end. This lets go of the others: a model of that name begins anew. */
void accounts_forget_gone(struct accounts *a, bool (*exists)(void *arg, struct slice model), void *arg, int64_t now_ms);

struct account_stats {
    uint64_t refused_budget, refused_unpriced, waits;
    int64_t cost;      /* of all calls since the start; money.h */
    uint64_t unpriced; /* calls whose cost is not known */
};
const struct account_stats *accounts_stats(const struct accounts *a);

#endif
