/* LATENCY, see latency.h. A command's histogram is made with its first call; it costs nothing before, and nothing at all
 * with latency-tracking no. */
#include "cmd/latency.h"

#include <string.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "base/info.h"
#include "base/latency.h"
#include "base/mem.h"
#include "base/setting.h"
#include "cmd/families.h"

static bool tracking;

#define PERCENTILES_MAX 32
static double percentiles[PERCENTILES_MAX];
static int npercentiles;

/* ---- commands' times ---- */

void latency_command(struct cmd_entry *e, int64_t us)
{
    if (tracking) {
        if (__builtin_expect(!e->times, 0))
            e->times = mem_zero(sizeof *e->times);
        histogram_add(e->times, (uint64_t)(us < 0 ? 0 : us) * 1000);
    }
    latency_note(e->cmd->flags & CMD_FAST ? "fast-command" : "command", us);
}

void latency_forget(struct cmd_entry *e)
{
    mem_free(e->times);
    e->times = NULL;
}

static void info_line(struct cmd_entry *e, void *arg)
{
    struct buf *to = arg;
    if (e->times) {
        buf_addf(to, "latency_percentiles_usec_%s:", e->name);
        for (int i = 0; i < npercentiles; i++)
            buf_addf(to, "%sp%g=%.3f", i ? "," : "", percentiles[i],
                     (double)histogram_percentile(e->times, percentiles[i]) / 1000);
        buf_add_str(to, "\r\n");
    }
    for (int i = 0; i < e->cmd->nsubs; i++)
        info_line(table_find_sub(e, slice_str(e->cmd->subs[i].name)), arg);
}

static void info_lines(struct buf *to)
{
    if (tracking && npercentiles)
        table_each(info_line, to);
}

/* ---- settings ---- */

static int percentiles_set(const struct setting *s, struct slice value, struct err *err)
{
    double list[PERCENTILES_MAX];
    int n = 0;
    for (const char *p = value.p, *end = value.p + value.len; p < end;) {
        const char *word = p;
        while (p < end && *p != ' ')
            p++;
        if (p == word) {
            p++;
            continue;
        }
        if (n == PERCENTILES_MAX)
            return err_set(err, ERR_INVALID, "at most %d percentiles", PERCENTILES_MAX);
        if (!num_to_double(slice_of(word, (size_t)(p - word)), &list[n]) || list[n] < 0 || list[n] > 100)
            return err_set(err, ERR_INVALID, "latency-tracking-info-percentiles should contain only values between 0.0 and 100.0");
        n++;
    }
    memcpy(percentiles, list, sizeof list);
    npercentiles = n;
    return 0;
}

static void percentiles_get(const struct setting *s, struct buf *to)
{
    for (int i = 0; i < npercentiles; i++)
        buf_addf(to, "%s%g", i ? " " : "", percentiles[i]);
}

static void forget_below(struct cmd_entry *e, void *arg)
{
    latency_forget(e);
    for (int i = 0; i < e->cmd->nsubs; i++)
        latency_forget(table_find_sub(e, slice_str(e->cmd->subs[i].name)));
}

static int tracking_apply(struct err *err)
{
    if (!tracking)
        table_each(forget_below, NULL);
    return 0;
}

static const struct setting settings[] = {
    {.name = "latency-tracking",
     .kind = SETTING_BOOL,
     .at = &tracking,
     .dflt = "yes",
     .apply = tracking_apply,
     .help = "Keeps a histogram of how long each command takes."},
    {.name = "latency-tracking-info-percentiles",
     .kind = SETTING_CALL,
     .dflt = "50 99 99.9",
     .set = percentiles_set,
     .get = percentiles_get,
     .help = "The percentiles that INFO latencystats shows, separated by spaces."},
};

void latency_cmd_settings(void)
{
    latency_settings();
    SETTING_REGISTER(settings);
    info_register_lines("Latencystats", info_lines, false);
}

/* ---- LATENCY HISTOGRAM ---- */

/* How many calls took at most so many microseconds, at the powers of two of 1,024 ns; only where the count grows. */
static void reply_histogram(struct call *c, const struct cmd_entry *e)
{
    uint64_t before = 0;
    size_t n = 0;
    reply_str(c->reply, e->name);
    reply_map(c->reply, 2);
    reply_field_int(c->reply, "calls", (int64_t)e->times->n);
    reply_str(c->reply, "histogram_usec");
    size_t place = reply_defer(c->reply);
    for (int power = 10; before < e->times->n; power++) {
        uint64_t now = histogram_below(e->times, power);
        if (now > before) {
            reply_int(c->reply, (int64_t)(((1ULL << power) - 1) / 1000 ? ((1ULL << power) - 1) / 1000 : 1));
            reply_int(c->reply, (int64_t)now);
            n++;
        }
        before = now;
    }
    reply_defer_map(c->reply, place, n);
}

struct histograms {
    struct call *c;
    size_t n;
};

static void reply_with_subs(struct cmd_entry *e, void *arg)
{
    struct histograms *h = arg;
    if (e->times) {
        reply_histogram(h->c, e);
        h->n++;
    }
    for (int i = 0; i < e->cmd->nsubs; i++)
        reply_with_subs(table_find_sub(e, slice_str(e->cmd->subs[i].name)), arg);
}

static void latency_histogram(struct call *c)
{
    struct histograms h = {.c = c};
    size_t place = reply_defer(c->reply);
    if (c->argc == 2)
        table_each(reply_with_subs, &h);
    for (int i = 2; i < c->argc; i++) {
        struct cmd_entry *e = table_find_full(c->argv[i]);
        if (e)
            reply_with_subs(e, &h);
    }
    reply_defer_map(c->reply, place, h.n);
}

/* ---- events ---- */

/* The last time and the longest time of every event.
 *
 * > LATENCY RESET
 * < (integer) 0
 * > LATENCY LATEST
 * < (empty array)
 */
static void latency_latest(struct call *c)
{
    const struct latency_event *e;
    size_t n = latency_events(&e);
    reply_array(c->reply, n);
    for (size_t i = 0; i < n; i++) {
        const struct latency_sample *s = latency_sample(&e[i], LATENCY_SAMPLES - 1);
        reply_array(c->reply, 4);
        reply_str(c->reply, e[i].name);
        reply_int(c->reply, s->when);
        reply_int(c->reply, s->ms);
        reply_int(c->reply, e[i].longest);
    }
}

static void latency_history(struct call *c)
{
    const struct latency_event *e = latency_find(c->argv[2]);
    size_t place = reply_defer(c->reply), n = 0;
    for (int i = 0; e && i < LATENCY_SAMPLES; i++) {
        const struct latency_sample *s = latency_sample(e, i);
        if (!s->when)
            continue;
        reply_array(c->reply, 2);
        reply_int(c->reply, s->when);
        reply_int(c->reply, s->ms);
        n++;
    }
    reply_defer_array(c->reply, place, n);
}

static void latency_reset_cmd(struct call *c)
{
    const struct latency_event *e;
    int64_t n = 0;
    if (c->argc == 2)
        for (; latency_events(&e) && latency_reset(slice_str(e[0].name));)
            n++;
    for (int i = 2; i < c->argc; i++)
        n += latency_reset(c->argv[i]);
    reply_int(c->reply, n);
}

/* How long ago, in the largest unit that fits. */
static void add_age(struct buf *to, int64_t seconds)
{
    if (seconds < 100)
        buf_addf(to, "%llds", (long long)seconds);
    else if (seconds < 100 * 60)
        buf_addf(to, "%lldm", (long long)seconds / 60);
    else if (seconds < 100 * 3600)
        buf_addf(to, "%lldh", (long long)seconds / 3600);
    else
        buf_addf(to, "%lldd", (long long)seconds / 86400);
}

#define GRAPH_ROWS    8
#define GRAPH_COLUMNS 72

/* A column a sample, the newest at the right; below each its age, read from the top down. */
static void draw(struct buf *to, const struct latency_event *e)
{
    const struct latency_sample *shown[GRAPH_COLUMNS];
    int n = 0;
    int64_t low = INT64_MAX, high = 0, now = clock_wall_ms() / 1000;
    for (int i = LATENCY_SAMPLES - GRAPH_COLUMNS; i < LATENCY_SAMPLES; i++) {
        const struct latency_sample *s = latency_sample(e, i);
        if (!s->when)
            continue;
        shown[n++] = s;
        low = s->ms < low ? s->ms : low;
        high = s->ms > high ? s->ms : high;
    }
    buf_addf(to, "%s - high %lld ms, low %lld ms (all time high %lld ms)\n", e->name, (long long)high, (long long)low,
             (long long)e->longest);
    for (int row = GRAPH_ROWS; row > 0; row--) {
        for (int i = 0; i < n; i++) {
            int64_t top = high == low ? GRAPH_ROWS / 2 : 1 + (shown[i]->ms - low) * (GRAPH_ROWS - 1) / (high - low);
            buf_add_char(to, top == row ? '#' : top > row ? '|' : ' ');
        }
        buf_add_char(to, '\n');
    }
    struct buf age = {0};
    for (int row = 0; row < 4; row++) {
        for (int i = 0; i < n; i++) {
            buf_clear(&age);
            add_age(&age, now - shown[i]->when);
            buf_add_char(to, (size_t)row < age.len ? age.p[row] : ' ');
        }
        buf_add_char(to, '\n');
    }
    buf_release(&age);
}

static void latency_graph(struct call *c)
{
    const struct latency_event *e = latency_find(c->argv[2]);
    if (!e) {
        reply_errorf(c->reply, "ERR No samples available for event '%.*s'", (int)c->argv[2].len, c->argv[2].p);
        return;
    }
    struct buf text = {0};
    draw(&text, e);
    reply_verbatim(c->reply, "txt", buf_slice(&text));
    buf_release(&text);
}

/* What to look at for an event; the first row that fits by prefix. */
static const struct {
    const char *event, *advice;
} advice[] = {
    {"command", "Commands that are slow by what they do (KEYS, SORT, LRANGE over much, scripts): see SLOWLOG GET, and set "
                "slowlog-log-slower-than below the time above."},
    {"fast-command", "Commands that are always short took long: the machine is short of CPU or memory. Look at its load, at "
                     "swapping, and at the neighbours of a virtual machine."},
    {"expire-cycle", "Many keys expire in the same moment. Spread their times to live by a random part."},
    {"eviction", "Memory is at maxmemory, and writes wait until old keys are gone. Raise it, or write less."},
    {"fork", "A copy of the process was made for a snapshot. Less memory or huge pages switched off make it shorter."},
};

static void advise(struct buf *to, const struct latency_event *e)
{
    int64_t sum = 0, n = 0, first = 0, last = 0;
    for (int i = 0; i < LATENCY_SAMPLES; i++) {
        const struct latency_sample *s = latency_sample(e, i);
        if (!s->when)
            continue;
        first = n++ ? first : s->when;
        last = s->when;
        sum += s->ms;
    }
    buf_addf(to, "%s: %lld times, %lld ms on average, %lld ms at worst", e->name, (long long)n, (long long)(n ? sum / n : 0),
             (long long)e->longest);
    if (n > 1)
        buf_addf(to, ", every %lld s or so", (long long)((last - first) / (n - 1)));
    buf_add_str(to, ".\n");
    for (size_t i = 0; i < sizeof advice / sizeof *advice; i++)
        if (strncmp(e->name, advice[i].event, strlen(advice[i].event)) == 0) {
            buf_addf(to, "  %s\n", advice[i].advice);
            return;
        }
}

static void latency_doctor(struct call *c)
{
    struct buf text = {0};
    const struct latency_event *e;
    size_t n = latency_events(&e);
    if (latency_threshold_ms == 0)
        buf_add_str(&text, "Nothing is watched: latency-monitor-threshold is 0. Set it to the milliseconds that your "
                           "application would notice (CONFIG SET latency-monitor-threshold 100), and ask again.\n");
    else if (n == 0)
        buf_addf(&text, "Nothing took %lld ms or longer since the server began to watch.\n", (long long)latency_threshold_ms);
    for (size_t i = 0; i < n; i++)
        advise(&text, &e[i]);
    reply_verbatim(c->reply, "txt", buf_slice(&text));
    buf_release(&text);
}

static void latency_help(struct call *c)
{
    static const char *const lines[] = {
        "LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "    What took long, and what to do about it.",
        "GRAPH <event>",
        "    The last times of an event, drawn.",
        "HISTORY <event>",
        "    The last times of an event: seconds since 1970, milliseconds.",
        "HISTOGRAM [COMMAND ...]",
        "    How many calls of commands took how many microseconds at most.",
        "LATEST",
        "    The last and the longest time of every event.",
        "RESET [<event> ...]",
        "    Forgets these events, or all.",
        "HELP",
        "    This text.",
    };
    reply_array(c->reply, sizeof lines / sizeof *lines);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        reply_status(c->reply, lines[i]);
}

#define FLAGS (CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)

/* clang-format off */
static const struct cmd subs[] = {
    {.name = "latest", .run = latency_latest, .arity = 2, .flags = FLAGS, .acl = ACL_DANGEROUS, .syntax = "",
     .summary = "The last and the longest time of every event.", .since = "2.8.13", .complexity = "O(1)"},
    {.name = "history", .run = latency_history, .arity = 3, .flags = FLAGS, .acl = ACL_DANGEROUS, .syntax = "event",
     .summary = "The last times of an event.", .since = "2.8.13", .complexity = "O(1)"},
    {.name = "histogram", .run = latency_histogram, .arity = -2, .flags = FLAGS, .acl = ACL_DANGEROUS,
     .syntax = "[command...]", .summary = "How many calls of commands took how long at most.", .since = "7.0.0",
     .complexity = "O(N) where N is the number of commands"},
    {.name = "graph", .run = latency_graph, .arity = 3, .flags = FLAGS, .acl = ACL_DANGEROUS, .syntax = "event",
     .summary = "The last times of an event, drawn.", .since = "2.8.13", .complexity = "O(1)"},
    {.name = "doctor", .run = latency_doctor, .arity = 2, .flags = FLAGS, .acl = ACL_DANGEROUS, .syntax = "",
     .summary = "What took long, and what to do about it.", .since = "2.8.13", .complexity = "O(1)"},
    {.name = "reset", .run = latency_reset_cmd, .arity = -2, .flags = FLAGS, .acl = ACL_DANGEROUS,
     .syntax = "[event...]", .summary = "Forgets events.", .since = "2.8.13", .complexity = "O(1)"},
    {.name = "help", .run = latency_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_SLOW, .syntax = "",
     .summary = "The subcommands of LATENCY.", .since = "2.8.13", .complexity = "O(1)"},
};

static const struct cmd rows[] = {
    {.name = "latency", .arity = -2, .acl = ACL_SLOW, .syntax = "", .summary = "What held up the server, and how long commands take.",
     .since = "2.8.13", .complexity = "Depends on the subcommand.", .subs = subs, .nsubs = sizeof subs / sizeof *subs},
};
/* clang-format on */

const struct cmd_family latency_family = CMD_FAMILY("server", rows);
