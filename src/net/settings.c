/* The rows of net_settings. client-output-buffer-limit is the one with a syntax of its own: any number of
 * "class hard soft seconds", where the classes that are not named keep what they have; it prints Redis's order and
 * Redis's old name for replicas, which its clients compare with. */
#include "net/settings.h"

#include "base/info.h"
#include "base/num.h"
#include "net/conn.h"

static const struct {
    const char *name, *alias;
    enum conn_class class;
} classes[] = {
    {"normal", "normal", CONN_NORMAL}, {"slave", "replica", CONN_REPLICA}, {"pubsub", "pubsub", CONN_PUBSUB}};

static struct slice next_word(struct slice *text)
{
    size_t i = 0;
    while (i < text->len && (text->p[i] == ' ' || text->p[i] == '\t'))
        i++;
    size_t start = i;
    while (i < text->len && text->p[i] != ' ' && text->p[i] != '\t')
        i++;
    struct slice word = slice_of(text->p + start, i - start);
    *text = slice_of(text->p + i, text->len - i);
    return word;
}

static bool bytes(struct slice text, int64_t *out)
{
    uint64_t v;
    if (!num_to_bytes(text, &v) || v > INT64_MAX)
        return false;
    *out = (int64_t)v;
    return true;
}

static int set_one(struct conn_limits *to, const struct slice word[4], struct err *err)
{
    int64_t hard, soft, seconds;
    size_t k = 0, n = sizeof classes / sizeof *classes;
    while (k < n && !slice_is(word[0], classes[k].name) && !slice_is(word[0], classes[k].alias))
        k++;
    if (k == n)
        return err_set(err, ERR_GENERIC, "Invalid client class specified in buffer limit configuration.");
    if (!bytes(word[1], &hard) || !bytes(word[2], &soft) || !num_to_i64(word[3], &seconds) || seconds < 0 ||
        seconds > INT32_MAX)
        return err_set(err, ERR_GENERIC, "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    to->out_hard[classes[k].class] = hard;
    to->out_soft[classes[k].class] = soft;
    to->out_soft_seconds[classes[k].class] = seconds;
    return 0;
}

static int set_out_limits(const struct setting *s, struct slice value, struct err *err)
{
    struct conn_limits fresh = conn_limits;
    struct slice word[4];
    int n = 0;
    for (;;) {
        word[n] = next_word(&value);
        if (word[n].len == 0)
            break;
        if (++n < 4)
            continue;
        if (set_one(&fresh, word, err) < 0)
            return ERR_GENERIC;
        n = 0;
    }
    if (n != 0)
        return err_set(err, ERR_GENERIC, "Wrong number of arguments in buffer limit configuration.");
    conn_limits = fresh;
    return 0;
}

static void get_out_limits(const struct setting *s, struct buf *to)
{
    for (size_t k = 0; k < sizeof classes / sizeof *classes; k++) {
        enum conn_class c = classes[k].class;
        buf_addf(to, "%s%s %lld %lld %lld", k ? " " : "", classes[k].name, (long long)conn_limits.out_hard[c],
                 (long long)conn_limits.out_soft[c], (long long)conn_limits.out_soft_seconds[c]);
    }
}

const struct setting net_settings[] = {
    {.name = "client-query-buffer-limit",
     .kind = SETTING_BYTES,
     .at = &conn_limits.query_max,
     .dflt = "1gb",
     .min = 1024 * 1024,
     .max = INT64_MAX,
     .help = "A client whose unparsed input grows over this is disconnected."},
    {.name = "proto-max-bulk-len",
     .kind = SETTING_BYTES,
     .at = &conn_limits.bulk_max,
     .dflt = "512mb",
     .min = 1024 * 1024,
     .max = INT64_MAX / 4,
     .help = "The longest single argument of a command."},
    {.name = "client-output-buffer-limit",
     .kind = SETTING_CALL,
     .dflt = "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60",
     .set = set_out_limits,
     .get = get_out_limits,
     .help = "Clients that do not read: class, hard limit, soft limit, seconds that the soft one may be exceeded."},
    {.name = "tcp-keepalive",
     .kind = SETTING_INT,
     .at = &conn_limits.tcp_keepalive,
     .dflt = "300",
     .min = 0,
     .max = INT32_MAX,
     .help = "Seconds of silence after which TCP asks whether a client is still there; 0 is never."},
};

void net_register_settings(void)
{
    SETTING_REGISTER(net_settings);
}

static void put(struct buf *to, uint64_t v)
{
    buf_addf(to, "%llu", (unsigned long long)v);
}

static void in_bytes(struct buf *to)
{
    put(to, conn_stats.in_bytes);
}

static void out_bytes(struct buf *to)
{
    put(to, conn_stats.out_bytes);
}

static void query_closed(struct buf *to)
{
    put(to, conn_stats.query_limit_closed);
}

static void out_closed(struct buf *to)
{
    put(to, conn_stats.out_limit_closed);
}

static const struct info_row net_figures[] = {
    {"Stats", "total_net_input_bytes", INFO_COUNTER, in_bytes, "skald_net_input_bytes_total", "Bytes from clients"},
    {"Stats", "total_net_output_bytes", INFO_COUNTER, out_bytes, "skald_net_output_bytes_total", "Bytes to clients"},
    {"Stats", "client_query_buffer_limit_disconnections", INFO_COUNTER, query_closed,
     "skald_query_limit_disconnections_total", "Clients closed because their unparsed input grew too large"},
    {"Stats", "client_output_buffer_limit_disconnections", INFO_COUNTER, out_closed,
     "skald_output_limit_disconnections_total", "Clients closed because they did not read their replies"},
};

void net_register_info(void)
{
    INFO_REGISTER(net_figures);
}
