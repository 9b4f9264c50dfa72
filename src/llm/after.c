/* After an attempt: it is booked, the model's state learns of it, and the call goes on or ends.
 *
 *   class       first                                   then
 *   AUTH CREDIT the key rests; the model's next key     the next model
 *   RATE        the key rests as long as the vendor     a pause and the same model; the next model
 *               wants; the model's next key
 *   TRANSIENT   a pause (none the first time, when a    the next model
 *               kept connection had died) and the same
 *               model
 *   CONTENT                                             the next model
 *   BAD                                                 the end
 *
 * Nothing of this after the first piece was handed out, past the deadline, or once the call is cancelled. */
#include "llm/call.h"

#include <string.h>

#include "base/mem.h"
#include "base/setting.h"
#include "llm/tokens.h"

#define ASKED_MAX_MS 60000 /* a longer Retry-After is not waited for between attempts */
#define PAUSE_STEPS  3     /* the pause, twice that, four times, eight times */
#define TIME_TO_SHOW 1000  /* a vendor that was given less than these ms may time out without blame */

static int64_t retry_pause;

static const struct setting settings[] = {
    {"llm-retry-pause", SETTING_INT, &retry_pause, "1000", 0, 3600 * 1000,
     .help = "Milliseconds before a model is tried again after a failure that may pass; doubles with each try."},
};

void after_boot(void)
{
    SETTING_REGISTER(settings);
}

static int64_t pause_of(struct llm_call *c)
{
    int step = c->retries_done < PAUSE_STEPS ? c->retries_done : PAUSE_STEPS;
    int64_t ms = retry_pause << step, fifth = ms / 5;
    return ms - fifth + (int64_t)rng_below(&c->llm->rng, (uint64_t)fifth * 2 + 1);
}

static bool has_others(const struct llm_call *c)
{
    for (int i = 0; i < c->nplan; i++)
        if (i != c->at && !c->plan[i].done)
            return true;
    return false;
}

/* True: the same model will be tried again after a pause. A vendor that wants a longer one than ours would have been is
 * not waited for when there is another model. */
static bool pause_and_retry(struct llm_call *c)
{
    const struct attempt *a = &c->attempt;
    int64_t pause = pause_of(c), asked = a->retry_after_ms;
    if (c->retries_left <= 0 || a->tell_no || asked > ASKED_MAX_MS)
        return false;
    if (asked > retry_pause << PAUSE_STEPS && has_others(c))
        return false;
    if (a->stale && c->retries_done == 0)
        pause = 0;
    pause = asked >= 0 ? asked + 1 : pause;
    if (decide_now() + pause >= c->deadline_ms)
        return false;
    c->retries_left--;
    c->retries_done++;
    c->hurried = 0;
    c->llm->stats.retries++;
    c->state = CALL_PAUSING;
    decide_set_timer(c, pause);
    return true;
}

static bool other_key_is_left(const struct llm_call *c)
{
    const struct model *m = models_find(&c->llm->models, slice_str(c->plan[c->at].model));
    for (int i = 0; m && m->state == c->deployment && i < m->nkeys; i++)
        if (!((c->refused | c->hurried) & (1u << i)) && !keyring_rests(&m->state->keyring, i, decide_now()))
            return true;
    return false;
}

static void rest_key(struct llm_call *c)
{
    const struct attempt *a = &c->attempt;
    int64_t ms = deployment_key_rest(a->failure, a->retry_after_ms);
    int key = c->key >= 0 ? c->key : 0;
    if (c->key < 0 && a->failure != LLM_RATE)
        return;
    *(a->failure == LLM_RATE ? &c->hurried : &c->refused) |= 1u << key;
    if (ms > 0)
        keyring_rest(&c->deployment->keyring, key, a->failure, c->key_print, decide_now() + ms);
}

/* True when the call goes on, now or after a pause; what it goes on to is decided by decide_go. */
static bool goes_on(struct llm_call *c, bool *now)
{
    *now = true;
    if (c->pieces || c->cancelled || c->llm->stopping)
        return false;
    switch (c->failure) {
    case LLM_FINE:
    case LLM_BAD: return false;
    case LLM_AUTH:
    case LLM_CREDIT:
        rest_key(c);
        if (c->key >= 0 && other_key_is_left(c))
            return true;
        break;
    case LLM_RATE:
        rest_key(c);
        if (c->key >= 0 && other_key_is_left(c))
            return true;
        /* fallthrough */
    case LLM_TRANSIENT:
        if (pause_and_retry(c)) {
            *now = false;
            return true;
        }
        break;
    case LLM_CONTENT: break;
    }
    bool others = has_others(c) && decide_now() < c->deadline_ms;
    c->plan[c->at].done = true;
    c->llm->stats.failovers += others;
    return others;
}

static enum breaker_end health_of(const struct llm_call *c)
{
    const struct attempt *a = &c->attempt;
    bool given_time = a->us >= TIME_TO_SHOW * 1000;
    if (c->cancelled || a->err.code == ERR_CANCELLED)
        return BREAKER_NOTHING;
    switch (a->failure) {
    case LLM_FINE: return a->err.code && a->err.code != ERR_INVALID ? BREAKER_NOTHING : BREAKER_ANSWERED;
    case LLM_BAD:
    case LLM_CONTENT: return BREAKER_ANSWERED;
    case LLM_TRANSIENT: return a->timed_out && !given_time ? BREAKER_NOTHING : BREAKER_FAILED;
    case LLM_AUTH:
    case LLM_CREDIT:
    case LLM_RATE: break;
    }
    return BREAKER_NOTHING;
}

/* A vendor that has the request charges what it read of it, whether or not anybody waits for the answer. One that says
 * what is wrong charges nothing. */
static bool is_charged(const struct llm_call *c)
{
    const struct attempt *a = &c->attempt;
    bool said = a->answer.text.len || a->answer.tool_calls.len || a->answer.reasoning.len;
    bool given_up = a->sent && (a->timed_out || a->err.code == ERR_CANCELLED);
    return a->err.code == 0 || said || given_up;
}

/* Where the vendor did not count, we do. */
static void estimate(struct llm_call *c)
{
    struct llm_answer *a = &c->attempt.answer;
    if (c->attempt.probe || !is_charged(c))
        return;
    if (a->tokens_in < 0 || (a->tokens_out < 0 && c->asked.kind == MODEL_CHAT))
        a->estimated = true;
    if (a->tokens_in < 0)
        a->tokens_in = c->tokens_in;
    if (a->tokens_out < 0)
        a->tokens_out = tokens_estimate(buf_slice(&a->text)) + tokens_estimate(buf_slice(&a->tool_calls));
}

static void close_attempt(struct llm_call *c)
{
    struct attempt *a = &c->attempt;
    int64_t first = c->pieces ? c->first_us - (a->started_us - c->started_us) : a->us;
    estimate(c);
    c->vendor_us += a->us;
    c->failure = a->failure;
    c->timed_out = a->err.code && a->timed_out;
    c->err = a->err;
    c->retry_after_ms = a->err.code ? a->retry_after_ms : -1;
    decide_settle(c, a->err.code ? ACCOUNT_FAILED : ACCOUNT_ANSWERED);
    deployment_leave(c->deployment, c->pass, health_of(c), a->probe ? -1 : first / 1000, decide_now(), &c->llm->rng);
}

static void leave_deployment(struct llm_call *c)
{
    deployment_unref(c->deployment);
    c->deployment = NULL;
}

void decide_after(void *call)
{
    struct llm_call *c = call;
    bool now = true;
    close_attempt(c);
    if (c->err.code == 0) {
        leave_deployment(c);
        report_end(c, NULL);
        return;
    }
    bool on = goes_on(c, &now);
    leave_deployment(c);
    if (!on) {
        report_end(c, &c->err);
    } else if (now) {
        c->state = CALL_PAUSING;
        decide_go_or_end(c);
    }
}
