#include "base/setting.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/dict.h"
#include "base/mem.h"
#include "base/num.h"

struct table {
    const struct setting *rows;
    int n;
};

static struct table *tables;
static int ntables;

const struct setting *setting_find(struct slice name)
{
    for (int t = 0; t < ntables; t++)
        for (int i = 0; i < tables[t].n; i++)
            if (slice_is(name, tables[t].rows[i].name))
                return &tables[t].rows[i];
    return NULL;
}

void setting_each(void (*fn)(const struct setting *s, void *arg), void *arg)
{
    for (int t = 0; t < ntables; t++)
        for (int i = 0; i < tables[t].n; i++)
            fn(&tables[t].rows[i], arg);
}

static int set_number(const struct setting *s, struct slice v, struct err *err)
{
    int64_t n;
    uint64_t bytes;
    if (s->kind == SETTING_BYTES && num_to_bytes(v, &bytes) && bytes <= INT64_MAX)
        n = (int64_t)bytes;
    else if (!num_to_i64(v, &n))
        return err_set(err, ERR_GENERIC, "%s: argument couldn't be parsed into an integer", s->name);
    if (n < s->min || n > s->max)
        return err_set(err, ERR_GENERIC, "%s: argument must be between %lld and %lld inclusive", s->name,
                       (long long)s->min, (long long)s->max);
    *(int64_t *)s->at = n;
    return 0;
}

static int set_word(const struct setting *s, struct slice v, struct err *err)
{
    char list[160] = "";
    for (const struct setting_word *w = s->words; w->word; w++) {
        if (slice_is(v, w->word)) {
            *(int64_t *)s->at = w->value;
            return 0;
        }
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", w->word);
    }
    return err_set(err, ERR_GENERIC, "%s: argument(s) must be one of the following: %s", s->name, list);
}

static int set_value(const struct setting *s, struct slice v, struct err *err)
{
    if (s->set)
        return s->set(s, v, err);
    switch (s->kind) {
    case SETTING_BOOL:
        if (!slice_is(v, "yes") && !slice_is(v, "no"))
            return err_set(err, ERR_GENERIC, "%s: argument must be 'yes' or 'no'", s->name);
        *(bool *)s->at = slice_is(v, "yes");
        return 0;
    case SETTING_INT:
    case SETTING_BYTES: return set_number(s, v, err);
    case SETTING_ENUM: return set_word(s, v, err);
    case SETTING_STR: {
        char **at = s->at;
        if (v.len && memchr(v.p, 0, v.len))
            return err_set(err, ERR_GENERIC, "%s: argument must not contain a NUL byte", s->name);
        mem_free(*at);
        *at = mem_dup(v.p, v.len);
        return 0;
    }
    default: return err_set(err, ERR_GENERIC, "%s cannot be set", s->name);
    }
}

void setting_get(const struct setting *s, struct buf *to)
{
    if (s->get) {
        s->get(s, to);
        return;
    }
    switch (s->kind) {
    case SETTING_BOOL: buf_add_str(to, *(bool *)s->at ? "yes" : "no"); break;
    case SETTING_INT:
    case SETTING_BYTES: buf_addf(to, "%lld", (long long)*(int64_t *)s->at); break;
    case SETTING_STR: buf_add_str(to, *(char **)s->at); break;
    case SETTING_ENUM:
        for (const struct setting_word *w = s->words; w->word; w++)
            if (w->value == *(int64_t *)s->at) {
                buf_add_str(to, w->word);
                break;
            }
        break;
    default: break;
    }
}

int setting_set(const struct setting *s, struct slice value, bool at_boot, struct err *err)
{
    if (at_boot)
        return set_value(s, value, err);
    if (s->flags & SETTING_FIXED)
        return err_set(err, ERR_GENERIC, "%s: can't set immutable config", s->name);
    struct buf old = {0};
    setting_get(s, &old);
    int rc = set_value(s, value, err);
    if (rc == 0 && s->apply && (rc = s->apply(err)) < 0) {
        set_value(s, buf_slice(&old), NULL); /* the old value was accepted once, so it is again */
        s->apply(NULL);
    }
    buf_release(&old);
    return rc;
}

void setting_register(const struct setting *rows, int n)
{
    for (int i = 0; i < n; i++) {
        struct err err;
        if (setting_find(slice_str(rows[i].name))) {
            fprintf(stderr, "skald: setting %s is registered twice\n", rows[i].name);
            abort();
        }
        if (rows[i].dflt && set_value(&rows[i], slice_str(rows[i].dflt), &err) < 0) {
            fprintf(stderr, "skald: default of %s: %s\n", rows[i].name, err.msg);
            abort();
        }
    }
    tables = mem_realloc(tables, (size_t)(ntables + 1) * sizeof *tables);
    tables[ntables++] = (struct table){rows, n};
}
