#include "cmd/table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/families.h"

/* clang-format off */
static const struct cmd_family *const families[] = { /* one a line: rooms add theirs at the same time */
    &connection_family,
    &acl_family,
    &server_family,
    &cluster_family,
    &debug_family,
    &script_family,
    &function_family,
    &generic_family,
    &expire_family,
    &string_family,
    &bitmap_family,
    &hyperloglog_family,
    &hash_family,
    &hash_expire_family,
    &memory_family,
    &list_family,
    &set_family,
    &slowlog_family,
    &snapshot_family,
    &replication_family,
    &migrate_family,
    &latency_family,
    &zset_family,
    &zset_range_family,
    &zset_pop_family,
    &zset_ops_family,
    &geo_family,
    &geo_search_family,
    &sort_family,
    &stream_family,
    &stream_read_family,
    &stream_group_family,
    &stream_claim_family,
    &stream_info_family,
    &transactions_family,
    &monitor_family,
    &pubsub_family,
    &vector_family,
    &vector_read_family,
    &vector_search_family,
    &vector_bulk_family,
    &vector_optimize_family,
    &llm_family,
    &llm_account_family,
    &llm_media_family,
    &llm_compare_family,
    &session_family,
    &flow_family,
};
/* clang-format on */

static struct slice entry_name(const void *e)
{
    return slice_str(((const struct cmd_entry *)e)->cmd->name);
}

static const struct dict_type table_type = {.key = entry_name, .fold_case = true};
static struct dict table;
static struct cmd_entry **by_id;
static int ids;

/* The same entries for the dispatcher, which looks one up for each command: a table that is nearly empty; a place taken
 * by another name sends one to the next. A name's first and last eight bytes, with the bit set that tells small letters
 * from capital ones, are its key; of a name of letters alone, up to sixteen, they say everything. */
#define SLOTS 4096
static struct slot {
    struct cmd_entry *e;
    uint64_t head, tail;
    size_t len;
    bool exact; /* what agrees in head, tail and len is this name */
} slots[SLOTS];

struct folded {
    uint64_t head, tail;
};

static inline uint64_t load(const char *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v | 0x2020202020202020ULL;
}

static inline struct folded fold(struct slice s)
{
    if (s.len >= 8)
        return (struct folded){load(s.p, 8), load(s.p + s.len - 8, 8)};
    if (s.len >= 4)
        return (struct folded){load(s.p, 4), load(s.p + s.len - 4, 4)};
    return (struct folded){load(s.p, 1), load(s.p + s.len / 2, 1) << 8 | load(s.p + s.len - 1, 1)};
}

static inline unsigned slot_of(struct folded f, size_t len)
{
    uint64_t x = f.head * 0x9e3779b97f4a7c15ULL ^ f.tail ^ len;
    return (unsigned)(x * 0xd6e8feb86659fd93ULL >> 52);
}
_Static_assert(SLOTS == 1 << (64 - 52), "slot_of's shift");

static void slot_put(struct cmd_entry *e)
{
    struct slice name = slice_str(e->cmd->name);
    struct folded f = fold(name);
    unsigned i = slot_of(f, name.len);
    bool exact = name.len <= 16;
    for (size_t k = 0; k < name.len; k++)
        exact &= name.p[k] >= 'a' && name.p[k] <= 'z';
    while (slots[i].e)
        i = (i + 1) % SLOTS;
    slots[i] = (struct slot){e, f.head, f.tail, name.len, exact};
}

static struct cmd_entry *slot_find(struct slice name)
{
    struct folded f = fold(name);
    for (unsigned i = slot_of(f, name.len); slots[i].e; i = (i + 1) % SLOTS) {
        const struct slot *s = &slots[i];
        if (s->head == f.head && s->tail == f.tail && s->len == name.len &&
            (s->exact || strncasecmp(s->e->cmd->name, name.p, name.len) == 0))
            return s->e;
    }
    return NULL;
}

static struct cmd_entry *entry_make(const struct cmd *cmd, struct cmd_entry *parent, const char *group)
{
    size_t room = (parent ? strlen(parent->name) + 1 : 0) + strlen(cmd->name) + 1;
    struct cmd_entry *e = mem_zero(sizeof *e + room);
    e->cmd = cmd;
    e->parent = parent;
    e->group = cmd->group ? cmd->group : group;
    e->id = ids++;
    by_id = mem_realloc(by_id, (size_t)ids * sizeof(struct cmd_entry *));
    by_id[e->id] = e;
    key_specs_parse(cmd, &e->keys);
    snprintf(e->name, room, "%s%s%s", parent ? parent->name : "", parent ? "|" : "", cmd->name);
    dict_init(&e->subs, &table_type);
    for (int i = 0; i < cmd->nsubs; i++)
        dict_add(&e->subs, entry_make(&cmd->subs[i], e, e->group));
    return e;
}

void table_boot(void)
{
    dict_init(&table, &table_type);
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (int i = 0; i < families[f]->n; i++) {
            assert(!dict_find(&table, slice_str(families[f]->rows[i].name)));
            struct cmd_entry *e = entry_make(&families[f]->rows[i], NULL, families[f]->group);
            dict_add(&table, e);
            slot_put(e);
        }
    assert(dict_count(&table) < SLOTS / 2);
}

struct cmd_entry *table_find(struct slice name)
{
    return name.len ? slot_find(name) : NULL;
}

struct cmd_entry *table_find_sub(struct cmd_entry *parent, struct slice name)
{
    return dict_find(&parent->subs, name);
}

struct cmd_entry *table_find_full(struct slice name)
{
    const char *bar = memchr(name.p, '|', name.len);
    if (!bar)
        return table_find(name);
    struct cmd_entry *e = table_find(slice_of(name.p, (size_t)(bar - name.p)));
    return e ? table_find_sub(e, slice_of(bar + 1, (size_t)(name.p + name.len - bar - 1))) : NULL;
}

void table_each(void (*fn)(struct cmd_entry *e, void *arg), void *arg)
{
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (int i = 0; i < families[f]->n; i++)
            fn(table_find(slice_str(families[f]->rows[i].name)), arg);
}

struct cmd_entry *table_by_id(int id)
{
    return by_id[id];
}

int table_ids(void)
{
    return ids;
}

size_t table_count(void)
{
    return dict_count(&table);
}

bool cmd_arity_ok(const struct cmd *cmd, int argc)
{
    return cmd->arity >= 0 ? argc == cmd->arity : argc >= -cmd->arity;
}

int table_keys(const struct cmd *cmd, int argc, const struct slice *argv, int *pos)
{
    if (cmd->keys)
        return cmd->keys(argc, argv, pos);
    if (!cmd->first)
        return 0;
    int last = cmd->last < 0 ? argc + cmd->last : cmd->last, n = 0;
    for (int i = cmd->first; i <= last && i < argc && n < CMD_MAX_KEYS; i += cmd->step)
        pos[n++] = i;
    return n;
}
