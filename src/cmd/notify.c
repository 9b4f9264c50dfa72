/* Keyspace notifications, see notify.h. Off unless set: then an event costs one test of a bit. */
#include "cmd/notify.h"

#include <stdio.h>

#include "base/setting.h"
#include "cmd/client.h"

#define ALL                                                                                                            \
    (NOTIFY_GENERIC | NOTIFY_STRING | NOTIFY_LIST | NOTIFY_SET | NOTIFY_HASH | NOTIFY_ZSET | NOTIFY_EXPIRED |          \
     NOTIFY_EVICTED | NOTIFY_STREAM | NOTIFY_MODULE)

static unsigned wanted;

/* In the order in which CONFIG GET prints them; A stands for those before its own row. */
static const struct {
    char letter;
    unsigned flag;
} classes[] = {
    {'g', NOTIFY_GENERIC}, {'$', NOTIFY_STRING},   {'l', NOTIFY_LIST},     {'s', NOTIFY_SET},    {'h', NOTIFY_HASH},
    {'z', NOTIFY_ZSET},    {'x', NOTIFY_EXPIRED},  {'e', NOTIFY_EVICTED},  {'t', NOTIFY_STREAM}, {'d', NOTIFY_MODULE},
    {'A', ALL},            {'n', NOTIFY_NEW},      {'K', NOTIFY_KEYSPACE}, {'E', NOTIFY_KEYEVENT},
    {'m', NOTIFY_KEYMISS},
};
#define CLASSES (sizeof classes / sizeof *classes)

static unsigned flag_of(char letter)
{
    for (size_t i = 0; i < CLASSES; i++)
        if (classes[i].letter == letter)
            return classes[i].flag;
    return 0;
}

static int set_events(const struct setting *s, struct slice value, struct err *err)
{
    unsigned flags = 0;
    for (size_t i = 0; i < value.len; i++) {
        unsigned f = flag_of(value.p[i]);
        if (!f)
            return err_set(err, ERR_INVALID, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        flags |= f;
    }
    wanted = flags;
    return 0;
}

static void get_events(const struct setting *s, struct buf *to)
{
    bool all = (wanted & ALL) == ALL;
    for (size_t i = 0; i < CLASSES; i++) {
        unsigned f = classes[i].flag;
        if (f == ALL ? all : (wanted & f) && !(all && (f & ALL)))
            buf_add_char(to, classes[i].letter);
    }
}

static const struct setting settings[] = {
    {"notify-keyspace-events", SETTING_CALL, NULL, "", .set = set_events, .get = get_events,
     .help = "Which changes of keys are published: K and/or E, then classes of events, A for most of them."},
};

void notify_settings(void)
{
    SETTING_REGISTER(settings);
}

static void publish(const char *where, int db, struct slice what, struct slice message)
{
    struct buf channel = {0};
    buf_addf(&channel, "__%s@%d__:", where, db);
    buf_add(&channel, what.p, what.len);
    pubsub_publish(clients_pubsub(), PUBSUB_CHANNEL, buf_slice(&channel), message);
    buf_release(&channel);
}

void notify_event(enum notify_class cls, const char *event, struct slice key, int db)
{
    if (!(wanted & cls))
        return;
    if (wanted & NOTIFY_KEYSPACE)
        publish("keyspace", db, key, slice_str(event));
    if (wanted & NOTIFY_KEYEVENT)
        publish("keyevent", db, slice_str(event), key);
}
