#include "auth/acl_log.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/setting.h"

#define SAME_MS   60000
#define LOOK_BACK 10 /* entries that are compared with a new one */

static struct list entries = {&entries, &entries};
static int64_t max_len;
static size_t count;
static uint64_t next_id, denied[4];

/* ---- life of an entry ---- */

static struct slice keep(struct slice s)
{
    return slice_of(mem_dup(s.p, s.len), s.len);
}

static void destroy(struct acl_entry *e)
{
    list_del(&e->link);
    count--;
    mem_free((char *)e->object.p);
    mem_free((char *)e->username.p);
    mem_free((char *)e->client.p);
    mem_free(e);
}

static void trim(void)
{
    while (count > (size_t)max_len)
        destroy(list_entry(entries.prev, struct acl_entry, link));
}

static int apply_len(struct err *err)
{
    trim();
    return 0;
}

static const struct setting rows[] = {
    {.name = "acllog-max-len",
     .kind = SETTING_INT,
     .at = &max_len,
     .dflt = "128",
     .min = 0,
     .max = 1000000,
     .apply = apply_len,
     .help = "How many entries ACL LOG keeps."},
};

void acl_log_settings(void)
{
    SETTING_REGISTER(rows);
}

/* ---- taking notes ---- */

static struct acl_entry *same_lately(enum acl_reason reason, enum acl_context context, struct slice object,
                                     struct slice username, int64_t now)
{
    int left = LOOK_BACK;
    list_each (l, &entries) {
        struct acl_entry *e = list_entry(l, struct acl_entry, link);
        if (left-- == 0)
            break;
        if (e->reason == reason && e->context == context && now - e->seen_ms <= SAME_MS &&
            slice_eq(e->object, object) && slice_eq(e->username, username))
            return e;
    }
    return NULL;
}

void acl_log_add(enum acl_reason reason, enum acl_context context, struct slice object, struct slice username,
                 struct slice client)
{
    int64_t now = clock_wall_ms();
    denied[reason]++;
    struct acl_entry *e = same_lately(reason, context, object, username, now);
    if (e) {
        mem_free((char *)e->client.p);
        list_del(&e->link);
    } else {
        e = mem_zero(sizeof *e);
        e->id = next_id++;
        e->reason = reason;
        e->context = context;
        e->object = keep(object);
        e->username = keep(username);
        e->made_ms = now;
        count++;
    }
    e->count++;
    e->seen_ms = now;
    e->client = keep(client);
    list_add_head(&entries, &e->link);
    trim();
}

struct list *acl_log_entries(void)
{
    return &entries;
}

void acl_log_reset(void)
{
    while (!list_empty(&entries))
        destroy(list_entry(entries.next, struct acl_entry, link));
}

uint64_t acl_log_denied(enum acl_reason reason)
{
    return denied[reason];
}

const char *acl_reason_name(enum acl_reason r)
{
    static const char *const names[] = {"command", "key", "channel", "auth"};
    return names[r];
}

const char *acl_context_name(enum acl_context c)
{
    static const char *const names[] = {"toplevel", "multi", "lua"};
    return names[c];
}
