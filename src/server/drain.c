#include "server/drain.h"

#include <stdint.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/setting.h"
#include "cmd/client.h"
#include "cmd/durable.h"
#include "cmd/pause.h"
#include "server/rooms.h"

#define LOOK_MS   5
#define UNREAD_MS 1000 /* for clients that do not read */

static int64_t timeout_s;
static struct timer *timer;
static void (*when_over)(void);
static int64_t until_ms, unread_since_ms;

static const struct setting rows[] = {
    {.name = "shutdown-timeout",
     .kind = SETTING_INT,
     .at = &timeout_s,
     .dflt = "10",
     .max = INT32_MAX,
     .help = "Seconds that a clean stop may wait for calls to models to end and for answers to reach the disk and "
             "their clients."},
};

void drain_settings(void)
{
    SETTING_REGISTER(rows);
}

/* Replies that are written and not taken. */
static bool unread(void)
{
    list_each (node, clients_all()) {
        const struct client *c = list_entry(node, struct client, link);
        if (c->conn && conn_out_bytes(c->conn) > 0)
            return true;
    }
    return rooms_unread() > 0;
}

static void finish(void)
{
    timer_stop(timer);
    when_over();
}

static void look(void *arg)
{
    int64_t now = clock_mono_ms();
    if (now >= until_ms) {
        log_warning("the stop does not wait longer than shutdown-timeout for %zu calls and %zu answers", rooms_busy(),
                    durable_waits());
        finish();
    } else if (rooms_busy() || durable_waits()) {
        unread_since_ms = now;
    } else if (!unread() || now - unread_since_ms >= UNREAD_MS) {
        finish();
    }
}

/* Not from inside the command that asks for the stop: calls that end here have effects of their own. */
static void first_look(void *arg)
{
    struct loop *l = arg;
    rooms_drain();
    timer_close(timer);
    timer = timer_create_on(l, look, NULL);
    timer_start(timer, LOOK_MS, LOOK_MS);
}

bool drain_begin(struct loop *l, void (*over)(void))
{
    int64_t now = clock_mono_ms();
    if (timeout_s == 0 || (!rooms_busy() && !durable_waits() && !rooms_unread()))
        return false;
    when_over = over;
    until_ms = now + timeout_s * 1000;
    unread_since_ms = now;
    pause_clients(PAUSE_WRITE, timeout_s * 1000);
    timer = timer_create_on(l, first_look, l);
    timer_start(timer, 0, 0);
    return true;
}

void drain_end(void)
{
    timer_close(timer);
    timer = NULL;
}
