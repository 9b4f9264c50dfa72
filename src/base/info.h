/* INFO fields and metrics: each module owns a const table of what it can say about itself and registers it at boot.
 * The same rows feed INFO (section, name) and /metrics (the metric's name, its help). Thread: loop. */
#ifndef BASE_INFO_H
#define BASE_INFO_H

#include "base/buf.h"
#include "base/slice.h"

enum info_kind {
    INFO_TEXT,    /* INFO only */
    INFO_GAUGE,   /* a number that goes up and down */
    INFO_COUNTER, /* a number that only grows */
};

struct info_row {
    const char *section; /* "Server", "Clients", ... as INFO prints it */
    const char *name;
    enum info_kind kind;
    void (*value)(struct buf *to); /* appends the value as text; a number for gauges and counters */
    const char *metric;            /* "skald_connected_clients"; NULL: not a metric */
    const char *help;
};

void info_register(const struct info_row *rows, int n); /* kept, not copied */
#define INFO_REGISTER(rows) info_register((rows), (int)(sizeof(rows) / sizeof *(rows)))

/* Appends whole lines of its own at the end of a section (Keyspace, Commandstats): rows whose names are data. */
void info_register_lines(const char *section, void (*lines)(struct buf *to), int in_default);

/* INFO's text for the sections named (case ignored; "all", "everything", "default"); n 0 means default. */
void info_print(struct buf *to, const struct slice *sections, int n);
void info_each(void (*fn)(const struct info_row *row, void *arg), void *arg);

#endif
