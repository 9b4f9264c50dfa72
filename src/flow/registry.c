/* Named flows in a sorted array: there are tens, perhaps thousands, and LIST wants them in order. */
#include "flow/registry.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"

#define NAME_MAX_BYTES 128

static struct flow_entry *entry;
static int count, cap;

/* Where the name is, or belongs (*found false). */
static int place(struct slice name, bool *found)
{
    int low = 0, high = count;
    while (low < high) {
        int mid = (low + high) / 2, c = slice_cmp(slice_str(entry[mid].name), name);
        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *found = false;
    return low;
}

static bool name_valid(struct slice name)
{
    if (name.len == 0 || name.len > NAME_MAX_BYTES || !utf8_valid(name))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.p[i] <= ' ' || name.p[i] == 0x7f)
            return false;
    return true;
}

static struct flow_entry *insert(int at, struct slice name)
{
    if (count == cap) {
        cap = cap ? cap * 2 : 16;
        entry = mem_realloc(entry, (size_t)cap * sizeof *entry);
    }
    memmove(&entry[at + 1], &entry[at], (size_t)(count - at) * sizeof *entry);
    count++;
    entry[at] = (struct flow_entry){.name = mem_dup(name.p, name.len)};
    return &entry[at];
}

int flow_registry_set(struct slice name, struct slice json, struct err *err)
{
    struct flow_problems problems;
    struct flow *flow;
    bool found;
    if (!name_valid(name))
        return err_set(err, ERR_INVALID, "a flow's name is 1 to %d characters without spaces", NAME_MAX_BYTES);
    if (flow_parse(json, &flow, &problems) < 0) {
        flow_problems_err(&problems, err);
        flow_problems_release(&problems);
        return ERR_INVALID;
    }
    int at = place(name, &found);
    struct flow_entry *e = found ? &entry[at] : insert(at, name);
    flow_unref(e->flow);
    mem_free(e->text);
    e->flow = flow;
    e->text = mem_dup(json.p, json.len);
    e->text_len = json.len;
    e->set_ms = clock_wall_ms();
    e->version++;
    return 0;
}

const struct flow_entry *flow_registry_find(struct slice name)
{
    bool found;
    int at = place(name, &found);
    return found ? &entry[at] : NULL;
}

static void release(struct flow_entry *e)
{
    flow_unref(e->flow);
    mem_free(e->name);
    mem_free(e->text);
}

bool flow_registry_delete(struct slice name)
{
    bool found;
    int at = place(name, &found);
    if (!found)
        return false;
    release(&entry[at]);
    count--;
    memmove(&entry[at], &entry[at + 1], (size_t)(count - at) * sizeof *entry);
    return true;
}

int flow_registry_count(void)
{
    return count;
}

void flow_registry_each(void (*fn)(void *arg, const struct flow_entry *e), void *arg)
{
    for (int i = 0; i < count; i++)
        fn(arg, &entry[i]);
}

void flow_registry_clear(void)
{
    for (int i = 0; i < count; i++)
        release(&entry[i]);
    mem_free(entry);
    entry = NULL;
    count = cap = 0;
}
