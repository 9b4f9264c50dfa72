/* Why it is enough: a reader writes the epoch it saw into its slot and then reads the counter again (both seq_cst). The
 * writer adds to the counter and then looks at the slots. In the one order of all seq_cst operations either the writer
 * sees the slot, and keeps its hands off; or the reader's second look comes after the writer's add, which hands it
 * everything the writer had unlinked. A slot that is given up (release) and seen free or newer (acquire) hands the
 * writer the reader's last looks. */
#include "vec/epoch.h"

#include <sched.h>
#include <stdatomic.h>

static atomic_uint_fast64_t now = 1;

static struct {
    _Alignas(64) atomic_uint_fast64_t since; /* 0: free */
} slots[EPOCH_READERS];

int epoch_begin(void)
{
    static _Thread_local unsigned hint;
    static atomic_uint threads;
    if (!hint)
        hint = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) * 7;
    for (unsigned i = hint;; i++) {
        uint64_t free_slot = 0, e = atomic_load(&now);
        int s = (int)(i % EPOCH_READERS);
        if (atomic_load_explicit(&slots[s].since, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(&slots[s].since, &free_slot, e)) {
            (void)atomic_load(&now);
            return s;
        }
        if (i - hint >= EPOCH_READERS)
            sched_yield();
    }
}

void epoch_end(int ticket)
{
    atomic_store_explicit(&slots[ticket].since, 0, memory_order_release);
}

uint64_t epoch_retire(void)
{
    return atomic_fetch_add(&now, 1);
}

bool epoch_passed(uint64_t mark)
{
    for (int i = 0; i < EPOCH_READERS; i++) {
        uint64_t since = atomic_load(&slots[i].since);
        if (since && since <= mark)
            return false;
    }
    return true;
}
