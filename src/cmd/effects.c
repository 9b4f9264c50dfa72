#include "cmd/effects.h"

#include "base/buf.h"
#include "base/mem.h"

#define MAX_SINKS 4

struct effect {
    int db, argc;
    bool followers;     /* for followers only */
    struct slice *argv; /* one allocation with the bytes behind it */
};

struct effects {
    struct effect *at;
    size_t n, cap;
};

static struct {
    effects_sink *fn;
    void *arg;
    bool muted, followers;
} sinks[MAX_SINKS];
static int nsinks, listening; /* listening: sinks that are not muted */
static struct effects group, soon;
static int depth;
static bool skipping;
static bool apart; /* the commands of the group have nothing to do with each other */

void effects_add_sink(effects_sink *fn, void *arg, bool followers)
{
    if (nsinks < MAX_SINKS) {
        sinks[nsinks].fn = fn;
        sinks[nsinks].followers = followers;
        sinks[nsinks++].arg = arg;
        listening++;
    }
}

void effects_mute(effects_sink *fn, bool muted)
{
    for (int i = 0; i < nsinks; i++)
        if (sinks[i].fn == fn && sinks[i].muted != muted) {
            sinks[i].muted = muted;
            listening += muted ? -1 : 1;
        }
}

bool effects_heard(void)
{
    return listening > 0 && !skipping;
}

static void emit(int db, int argc, const struct slice *argv)
{
    for (int i = 0; i < nsinks; i++)
        if (!sinks[i].muted)
            sinks[i].fn(sinks[i].arg, db, argc, argv);
}

static void push(struct effects *list, struct effect e)
{
    if (list->n == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        list->at = mem_realloc(list->at, list->cap * sizeof *list->at);
    }
    list->at[list->n++] = e;
}

static void keep(struct effects *list, int db, int argc, const struct slice *argv, bool followers)
{
    size_t bytes = (size_t)argc * sizeof *argv;
    for (int i = 0; i < argc; i++)
        bytes += argv[i].len;
    struct slice *copy = mem_alloc(bytes);
    char *p = (char *)(copy + argc);
    for (int i = 0; i < argc; i++) {
        if (argv[i].len)
            memcpy(p, argv[i].p, argv[i].len);
        copy[i] = slice_of(p, argv[i].len);
        p += argv[i].len;
    }
    push(list, (struct effect){db, argc, followers, copy});
}

/* A sink's part of a group, between MULTI and EXEC if that is more than one command. */
static void emit_to(int sink, const struct effects *list)
{
    effects_sink *fn = sinks[sink].fn;
    void *arg = sinks[sink].arg;
    size_t n = 0, last = 0;
    for (size_t i = 0; i < list->n; i++)
        if (sinks[sink].followers || !list->at[i].followers) {
            last = i;
            n++;
        }
    bool begun = false;
    for (size_t i = 0; n > 0 && i <= last; i++) {
        const struct effect *e = &list->at[i];
        if (e->followers && !sinks[sink].followers)
            continue;
        if (n > 1 && !begun && !apart)
            fn(arg, e->db, 1, (struct slice[]){SLICE("MULTI")});
        begun = true;
        fn(arg, e->db, e->argc, e->argv);
    }
    if (n > 1 && !apart)
        fn(arg, list->at[last].db, 1, (struct slice[]){SLICE("EXEC")});
}

static void emit_group(struct effects *list)
{
    if (list->n == 0)
        return;
    for (int i = 0; i < nsinks; i++)
        if (!sinks[i].muted)
            emit_to(i, list);
    for (size_t i = 0; i < list->n; i++)
        mem_free(list->at[i].argv);
    list->n = 0;
}

void effects_apart(void)
{
    apart = depth == 1;
}

void effects_begin(void)
{
    depth++;
}

/* Into the group that ends, unless its effects have nothing to do with each other. */
static void join_soon(void)
{
    if (apart) {
        apart = false;
        emit_group(&soon);
        apart = true;
        return;
    }
    for (size_t i = 0; i < soon.n; i++)
        push(&group, soon.at[i]);
    soon.n = 0;
}

void effects_end(void)
{
    if (--depth > 0)
        return;
    if (soon.n)
        join_soon();
    emit_group(&group);
    apart = false;
}

void effects_add_soon(int db, int argc, const struct slice *argv)
{
    if (listening)
        keep(&soon, db, argc, argv, false);
}

void effects_let_go(void)
{
    if (depth == 0)
        emit_group(&soon);
}

void effects_abandon(void)
{
    for (size_t i = 0; i < group.n; i++)
        mem_free(group.at[i].argv);
    group.n = 0;
    skipping = true;
}

void effects_skip(bool on)
{
    skipping = on;
}

void effects_add(int db, int argc, const struct slice *argv)
{
    if (listening == 0 || skipping)
        return;
    if (depth)
        keep(&group, db, argc, argv, false);
    else
        emit(db, argc, argv);
}

void effects_add_followers(int db, int argc, const struct slice *argv)
{
    bool any = false;
    for (int i = 0; i < nsinks; i++)
        any |= sinks[i].followers && !sinks[i].muted;
    if (!any || skipping)
        return;
    effects_begin();
    keep(&group, db, argc, argv, true);
    effects_end();
}

void effects_add_last(int db, int argc, const struct slice *argv)
{
    if (depth == 1 && group.n == 0 && soon.n == 0 && !skipping)
        emit(db, argc, argv);
    else
        effects_add(db, argc, argv);
}

struct effects *effects_list_add(struct effects *list, int db, int argc, const struct slice *argv)
{
    if (!list)
        list = mem_zero(sizeof *list);
    keep(list, db, argc, argv, false);
    return list;
}

void effects_list_emit(struct effects *list)
{
    if (!list)
        return;
    effects_begin();
    for (size_t i = 0; i < list->n; i++) {
        effects_add(list->at[i].db, list->at[i].argc, list->at[i].argv);
        mem_free(list->at[i].argv);
    }
    effects_end();
    mem_free(list->at);
    mem_free(list);
}
