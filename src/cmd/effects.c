#include "cmd/effects.h"

#include "base/buf.h"
#include "base/mem.h"

#define MAX_SINKS 4

struct effect {
    int db, argc;
    struct slice *argv; /* one allocation with the bytes behind it */
};

struct effects {
    struct effect *at;
    size_t n, cap;
};

static struct {
    effects_sink *fn;
    void *arg;
    bool muted;
} sinks[MAX_SINKS];
static int nsinks, listening; /* listening: sinks that are not muted */
static struct effects group;
static int depth;
static bool skipping;

void effects_add_sink(effects_sink *fn, void *arg)
{
    if (nsinks < MAX_SINKS) {
        sinks[nsinks].fn = fn;
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

static void emit(int db, int argc, const struct slice *argv)
{
    for (int i = 0; i < nsinks; i++)
        if (!sinks[i].muted)
            sinks[i].fn(sinks[i].arg, db, argc, argv);
}

static void keep(struct effects *list, int db, int argc, const struct slice *argv)
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
    if (list->n == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        list->at = mem_realloc(list->at, list->cap * sizeof *list->at);
    }
    list->at[list->n++] = (struct effect){db, argc, copy};
}

static void emit_group(struct effects *list)
{
    if (list->n == 0)
        return;
    if (list->n > 1)
        emit(list->at[0].db, 1, (struct slice[]){SLICE("MULTI")});
    for (size_t i = 0; i < list->n; i++) {
        emit(list->at[i].db, list->at[i].argc, list->at[i].argv);
        mem_free(list->at[i].argv);
    }
    if (list->n > 1)
        emit(list->at[list->n - 1].db, 1, (struct slice[]){SLICE("EXEC")});
    list->n = 0;
}

void effects_begin(void)
{
    depth++;
}

void effects_end(void)
{
    if (--depth == 0)
        emit_group(&group);
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
        keep(&group, db, argc, argv);
    else
        emit(db, argc, argv);
}

void effects_add_last(int db, int argc, const struct slice *argv)
{
    if (depth == 1 && group.n == 0 && !skipping)
        emit(db, argc, argv);
    else
        effects_add(db, argc, argv);
}

struct effects *effects_list_add(struct effects *list, int db, int argc, const struct slice *argv)
{
    if (!list)
        list = mem_zero(sizeof *list);
    keep(list, db, argc, argv);
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
