#include "llm/breaker.h"

#include <string.h>

enum breaker_state breaker_state(const struct breaker *b, int64_t now_ms)
{
    if (!b->open)
        return BREAKER_CLOSED;
    return b->probing || now_ms >= b->until_ms ? BREAKER_HALF_OPEN : BREAKER_OPEN;
}

int64_t breaker_wait(const struct breaker *b, int64_t now_ms)
{
    if (!b->open)
        return 0;
    if (b->probing)
        return -1;
    return now_ms >= b->until_ms ? 0 : b->until_ms - now_ms;
}

bool breaker_enter(struct breaker *b, int64_t now_ms, bool force, struct breaker_pass *pass)
{
    int64_t wait = breaker_wait(b, now_ms);
    if (wait < 0 || (wait > 0 && !force))
        return false;
    *pass = (struct breaker_pass){.epoch = b->epoch, .probe = b->open};
    b->probing = b->open;
    return true;
}

static struct breaker_cell *cell_at(struct breaker *b, int64_t now_ms)
{
    int64_t slot = now_ms / BREAKER_CELL_MS;
    struct breaker_cell *c = &b->cells[slot % BREAKER_CELLS];
    if (c->slot != slot)
        *c = (struct breaker_cell){.slot = slot};
    return c;
}

void breaker_minute(const struct breaker *b, int64_t now_ms, int64_t *calls, int64_t *failures)
{
    int64_t slot = now_ms / BREAKER_CELL_MS;
    *calls = *failures = 0;
    for (int i = 0; i < BREAKER_CELLS; i++) {
        const struct breaker_cell *c = &b->cells[i];
        if (c->slot > slot - BREAKER_CELLS && c->slot <= slot) {
            *calls += c->calls;
            *failures += c->failures;
        }
    }
}

static void open_again(struct breaker *b, const struct breaker_rules *rules, int64_t now_ms, struct rng *rng)
{
    int64_t pause = b->open ? b->pause_ms * 2 : rules->pause_ms;
    pause = pause < rules->pause_max_ms ? pause : rules->pause_max_ms;
    int64_t fifth = pause / 5;
    b->open = true;
    b->epoch++;
    b->pause_ms = pause;
    b->until_ms = now_ms + pause - fifth + (int64_t)rng_below(rng, (uint64_t)fifth * 2 + 1);
}

/* What was counted belongs to the time before: the vendor starts anew. */
static void close_it(struct breaker *b)
{
    unsigned epoch = b->epoch + 1;
    memset(b, 0, sizeof *b);
    b->epoch = epoch;
}

static void probe_over(struct breaker *b, const struct breaker_rules *rules, enum breaker_end end, int64_t now_ms,
                       struct rng *rng)
{
    b->probing = false;
    if (end == BREAKER_ANSWERED)
        close_it(b);
    else if (end == BREAKER_FAILED)
        open_again(b, rules, now_ms, rng);
}

void breaker_leave(struct breaker *b, const struct breaker_rules *rules, struct breaker_pass pass, enum breaker_end end,
                   int64_t now_ms, struct rng *rng)
{
    if (pass.epoch != b->epoch)
        return;
    if (pass.probe) {
        probe_over(b, rules, end, now_ms, rng);
        return;
    }
    if (end == BREAKER_NOTHING)
        return;
    struct breaker_cell *c = cell_at(b, now_ms);
    int64_t calls, failures;
    c->calls++;
    c->failures += end == BREAKER_FAILED;
    b->row = end == BREAKER_FAILED ? b->row + 1 : 0;
    breaker_minute(b, now_ms, &calls, &failures);
    if (b->row >= rules->in_row || (calls >= rules->least && failures * 2 > calls && end == BREAKER_FAILED))
        open_again(b, rules, now_ms, rng);
}
