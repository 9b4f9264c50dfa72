#include "api/beat.h"

#include <stdbool.h>

#include "base/clock.h"
#include "base/setting.h"

static int64_t every_ms;
static struct timer *timer;
static bool ticking;
static int64_t tick_ms;                      /* when, monotonic */
static struct list beats = {&beats, &beats}; /* who has been quiet longest is first */

static const struct setting settings[] = {
    {.name = "http-stream-keepalive-ms",
     .kind = SETTING_INT,
     .at = &every_ms,
     .dflt = "15000",
     .min = 0,
     .max = 3600 * 1000,
     .help =
         "Milliseconds after which a streamed answer that has nothing to say sends a comment, and its head when that "
         "is still waiting for the first piece; 0: never."},
};

void beat_settings(void)
{
    SETTING_REGISTER(settings);
}

static void set_timer(void)
{
    ticking = timer && every_ms > 0 && !list_empty(&beats);
    if (!ticking)
        return;
    tick_ms = list_entry(beats.next, struct beat, link)->since_ms + every_ms;
    int64_t ms = tick_ms - clock_mono_ms();
    timer_start(timer, ms > 0 ? (uint64_t)ms : 0, 0);
}

static void on_timer(void *arg)
{
    int64_t now = clock_mono_ms();
    while (every_ms > 0 && !list_empty(&beats)) {
        struct beat *b = list_entry(beats.next, struct beat, link);
        if (b->since_ms + every_ms > now)
            break;
        beat_said(b);
        b->quiet(b);
    }
    set_timer();
}

void beat_open(struct loop *l)
{
    timer = timer_create_on(l, on_timer, NULL);
}

void beat_close(void)
{
    timer_close(timer);
    timer = NULL;
    ticking = false;
}

void beat_start(struct beat *b, void (*quiet)(struct beat *b))
{
    b->quiet = quiet;
    b->since_ms = clock_mono_ms();
    list_add_tail(&beats, &b->link);
    if (!ticking || tick_ms > b->since_ms + every_ms) /* the setting is a shorter one now */
        set_timer();
}

void beat_said(struct beat *b)
{
    if (!b->quiet)
        return;
    b->since_ms = clock_mono_ms();
    list_del(&b->link);
    list_add_tail(&beats, &b->link);
}

void beat_stop(struct beat *b)
{
    if (b->quiet)
        list_del(&b->link);
    b->quiet = NULL;
}
