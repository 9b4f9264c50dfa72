#include "base/info.h"

#include "base/mem.h"

struct table {
    const struct info_row *rows; /* NULL: a table of lines */
    int n;
    const char *section;
    void (*lines)(struct buf *to);
    int in_default;
};

static struct table *tables;
static int ntables;

static struct table *add_table(void)
{
    tables = mem_realloc(tables, (size_t)(ntables + 1) * sizeof *tables);
    tables[ntables] = (struct table){0};
    return &tables[ntables++];
}

void info_register(const struct info_row *rows, int n)
{
    struct table *t = add_table();
    t->rows = rows;
    t->n = n;
    t->in_default = 1;
}

void info_register_lines(const char *section, void (*lines)(struct buf *to), int in_default)
{
    struct table *t = add_table();
    t->section = section;
    t->lines = lines;
    t->in_default = in_default;
}

void info_each(void (*fn)(const struct info_row *row, void *arg), void *arg)
{
    for (int t = 0; t < ntables; t++)
        for (int i = 0; i < tables[t].n; i++)
            fn(&tables[t].rows[i], arg);
}

static bool wanted(const char *section, int in_default, const struct slice *names, int n)
{
    if (n == 0)
        return in_default;
    for (int i = 0; i < n; i++)
        if (slice_is(names[i], section) || slice_is(names[i], "all") || slice_is(names[i], "everything") ||
            (in_default && slice_is(names[i], "default")))
            return true;
    return false;
}

/* One section's fields may come from several modules' tables: they are gathered under one heading. */
static void print_section(struct buf *to, const char *section)
{
    if (to->len)
        buf_add_str(to, "\r\n");
    buf_addf(to, "# %s\r\n", section);
    for (int t = 0; t < ntables; t++) {
        if (tables[t].lines && strcmp(tables[t].section, section) == 0)
            tables[t].lines(to);
        for (int i = 0; i < tables[t].n; i++)
            if (strcmp(tables[t].rows[i].section, section) == 0) {
                buf_addf(to, "%s:", tables[t].rows[i].name);
                tables[t].rows[i].value(to);
                buf_add_str(to, "\r\n");
            }
    }
}

/* Redis's sections, in its order; others follow as they were registered. */
static const char *const order[] = {"Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Modules",
                                    "Commandstats", "Errorstats", "Latencystats", "Cluster", "Keyspace"};
#define ORDER ((int)(sizeof order / sizeof *order))

static bool section_wanted(const char *section, const struct slice *names, int n)
{
    for (int t = 0; t < ntables; t++)
        for (int i = 0; i < (tables[t].lines ? 1 : tables[t].n); i++)
            if (strcmp(tables[t].lines ? tables[t].section : tables[t].rows[i].section, section) == 0)
                return wanted(section, tables[t].in_default, names, n);
    return false;
}

void info_print(struct buf *to, const struct slice *names, int n)
{
    const char *done[64];
    int ndone = 0;
    for (int k = 0; k < ORDER; k++) {
        done[ndone++] = order[k];
        if (section_wanted(order[k], names, n))
            print_section(to, order[k]);
    }
    for (int t = 0; t < ntables; t++)
        for (int i = 0; i < (tables[t].lines ? 1 : tables[t].n); i++) {
            const char *section = tables[t].lines ? tables[t].section : tables[t].rows[i].section;
            bool seen = ndone == 64;
            for (int k = 0; k < ndone && !seen; k++)
                seen = strcmp(done[k], section) == 0;
            if (seen || !wanted(section, tables[t].in_default, names, n))
                continue;
            done[ndone++] = section;
            print_section(to, section);
        }
}
