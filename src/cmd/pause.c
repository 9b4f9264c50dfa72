#include "cmd/pause.h"

#include "base/clock.h"
#include "cmd/dispatch.h"

enum pause_mode pause_mode;
static int64_t until_ms; /* monotonic */
static struct list waiting = {&waiting, &waiting}; /* struct client, by pause_link: in the order in which they came */
static struct timer *timer;

static void set_timer(void)
{
    int64_t in = until_ms - clock_mono_ms();
    timer_start(timer, in > 0 ? (uint64_t)in : 0, 0);
}

static void on_time(void *arg)
{
    if (clock_mono_ms() < until_ms)
        set_timer();
    else
        pause_over();
}

void pause_clients(enum pause_mode mode, int64_t ms)
{
    int64_t now = clock_mono_ms(), end = ms > INT64_MAX - now ? INT64_MAX : now + ms;
    if (pause_mode == PAUSE_OFF || end > until_ms)
        until_ms = end;
    if (mode > pause_mode)
        pause_mode = mode;
    dispatch_store()->paused = true;
    set_timer();
}

void pause_over(void)
{
    pause_mode = PAUSE_OFF;
    dispatch_store()->paused = false;
    timer_stop(timer);
    list_each_safe (l, &waiting) {
        struct client *c = list_entry(l, struct client, pause_link);
        list_del(&c->pause_link);
        c->flags &= ~(unsigned)CLIENT_PAUSED;
        conn_go(c->conn);
    }
}

unsigned pause_flags(const struct cmd *cmd, int argc, const struct slice *argv)
{
    return cmd->harmless && cmd->harmless(argc, argv) ? cmd->flags & ~(unsigned)CMD_MAY_REPLICATE : cmd->flags;
}

bool pause_holds(struct client *c, unsigned flags)
{
    bool holds = pause_mode == PAUSE_ALL || (flags & (CMD_WRITE | CMD_MAY_REPLICATE | CMD_REGISTRY | CMD_MODEL));
    if (!holds || !c->conn)
        return false;
    c->flags |= CLIENT_PAUSED;
    list_add_tail(&waiting, &c->pause_link);
    conn_postpone(c->conn);
    return true;
}

size_t pause_waiting(void)
{
    size_t n = 0;
    list_each (l, &waiting)
        n++;
    return n;
}

void pause_boot(struct loop *l)
{
    timer = timer_create_on(l, on_time, NULL);
}

void pause_end(void)
{
    timer_close(timer);
    timer = NULL;
}
