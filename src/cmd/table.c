#include "cmd/table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/families.h"

/* clang-format off */
static const struct cmd_family *const families[] = { /* one a line: rooms add theirs at the same time */
    &connection_family,
    &server_family,
    &debug_family,
    &function_family,
    &generic_family,
    &expire_family,
    &string_family,
    &bitmap_family,
    &hyperloglog_family,
    &hash_family,
    &list_family,
    &set_family,
    &slowlog_family,
    &snapshot_family,
    &zset_family,
    &zset_range_family,
    &zset_pop_family,
    &zset_ops_family,
    &geo_family,
    &geo_search_family,
    &sort_family,
    &stream_family,
    &transactions_family,
    &monitor_family,
    &pubsub_family,
    &vector_family,
    &llm_family,
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

/* The same entries for the dispatcher, which looks one up for each command: by length and first and last letters, in a table
 * that is nearly empty; a place taken by another name sends one to the next. */
#define SLOTS 4096
static struct slot {
    struct cmd_entry *e;
    size_t len;
} slots[SLOTS];

/* Letters become small, other bytes whatever: the names are compared in the end. */
static inline unsigned slot_of(struct slice name)
{
    uint64_t head = 0, tail = 0;
    size_t n = name.len < 8 ? name.len : 8;
    memcpy(&head, name.p, n);
    memcpy(&tail, name.p + name.len - n, n);
    uint64_t x = (head | 0x2020202020202020ULL) * 0x9e3779b97f4a7c15ULL ^ (tail | 0x2020202020202020ULL) ^ name.len;
    return (unsigned)(x * 0xd6e8feb86659fd93ULL >> 52);
}
_Static_assert(SLOTS == 1 << (64 - 52), "slot_of's shift");

static void slot_put(struct cmd_entry *e)
{
    struct slice name = slice_str(e->cmd->name);
    unsigned i = slot_of(name);
    while (slots[i].e)
        i = (i + 1) % SLOTS;
    slots[i] = (struct slot){e, name.len};
}

static struct cmd_entry *entry_make(const struct cmd *cmd, struct cmd_entry *parent, const char *group)
{
    size_t room = (parent ? strlen(parent->name) + 1 : 0) + strlen(cmd->name) + 1;
    struct cmd_entry *e = mem_zero(sizeof *e + room);
    e->cmd = cmd;
    e->parent = parent;
    e->group = group;
    snprintf(e->name, room, "%s%s%s", parent ? parent->name : "", parent ? "|" : "", cmd->name);
    dict_init(&e->subs, &table_type);
    for (int i = 0; i < cmd->nsubs; i++)
        dict_add(&e->subs, entry_make(&cmd->subs[i], e, group));
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
    if (name.len == 0)
        return NULL;
    for (unsigned i = slot_of(name); slots[i].e; i = (i + 1) % SLOTS)
        if (slots[i].len == name.len && strncasecmp(slots[i].e->cmd->name, name.p, name.len) == 0)
            return slots[i].e;
    return NULL;
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
