#include "cmd/durable_wait.h"

#include "base/list.h"
#include "base/mem.h"

struct durable_wait {
    struct list link;
    uint64_t lsn;
    bool wrote;
    durable_done *done;
    void *arg;
};

static struct list waits = {&waits, &waits};
static size_t count;

static void take_off(struct durable_wait *w)
{
    list_del(&w->link);
    count--;
}

struct durable_wait *durable_wait_add(uint64_t lsn, bool wrote, durable_done *done, void *arg)
{
    struct durable_wait *w = mem_zero(sizeof *w);
    w->lsn = lsn;
    w->wrote = wrote;
    w->done = done;
    w->arg = arg;
    list_add_tail(&waits, &w->link);
    count++;
    return w;
}

void durable_wait_end(struct durable_wait *w)
{
    take_off(w);
    mem_free(w);
}

void durable_waits_end(uint64_t lsn, const struct err *failed)
{
    while (!list_empty(&waits)) {
        struct durable_wait *w = list_entry(waits.next, struct durable_wait, link);
        if (w->lsn > lsn)
            return;
        take_off(w);
        w->done(w->arg, w->wrote ? failed : NULL);
        mem_free(w);
    }
}

size_t durable_waits(void)
{
    return count;
}
