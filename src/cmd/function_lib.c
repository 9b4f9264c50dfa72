#include "cmd/function_lib.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"

static struct slice library_key(const void *e)
{
    return ((const struct library *)e)->name;
}

static struct slice function_key(const void *e)
{
    return ((const struct function *)e)->name;
}

static const struct dict_type libraries_type = {.key = library_key};
static const struct dict_type functions_type = {.key = function_key, .fold_case = true};

static struct slice own(struct slice s)
{
    return s.p ? slice_of(mem_dup(s.p, s.len), s.len) : s;
}

/* ---- one library ---- */

static int check_name(struct slice name, struct err *err)
{
    bool ok = name.len > 0;
    for (size_t i = 0; ok && i < name.len; i++)
        ok = isalnum((unsigned char)name.p[i]) || name.p[i] == '_';
    if (ok)
        return 0;
    return err_set(err, ERR_GENERIC, "Library names can only contain letters, numbers, or underscores(_) and must be at "
                                     "least one character long");
}

/* The next word of the header, quotes taken off, into `to`. 1, 0 at the end, negative when a quote does not close. */
static int next_word(struct slice *line, struct buf *to)
{
    char quote = 0;
    while (line->len && isspace((unsigned char)*line->p))
        line->p++, line->len--;
    if (!line->len)
        return 0;
    for (; line->len && (quote || !isspace((unsigned char)*line->p)); line->p++, line->len--) {
        char c = *line->p;
        if (c == quote)
            quote = 0;
        else if (!quote && (c == '"' || c == '\''))
            quote = c;
        else
            buf_add_char(to, c);
    }
    return quote ? -1 : 1;
}

/* One "name=x", the word that begins at `at`. *name_at is where x begins; 0: none has come yet. */
static int read_option(const struct buf *words, size_t at, size_t *name_at, struct err *err)
{
    struct slice w = slice_of(words->p + at, words->len - at);
    if (w.len < 5 || strncasecmp(w.p, "name=", 5) != 0)
        return err_set(err, ERR_GENERIC, "Invalid metadata value given: %.*s", (int)w.len, w.p);
    if (*name_at)
        return err_set(err, ERR_GENERIC, "Invalid metadata value, name argument was given multiple times");
    *name_at = at + 5;
    return 0;
}

int library_header(struct slice code, struct slice *name, struct buf *words, struct err *err)
{
    const char *eol = code.len ? memchr(code.p, '\n', code.len) : NULL;
    if (code.len < 2 || code.p[0] != '#' || code.p[1] != '!')
        return err_set(err, ERR_GENERIC, "Missing library metadata");
    if (!eol)
        return err_set(err, ERR_GENERIC, "Invalid library metadata");
    struct slice line = slice_of(code.p, (size_t)(eol - code.p));
    size_t name_at = 0, name_end = 0;
    int rc = 0, more = next_word(&line, words);
    size_t engine_len = words->len;
    while (rc == 0 && more > 0) {
        size_t at = words->len;
        if ((more = next_word(&line, words)) > 0 && (rc = read_option(words, at, &name_at, err)) == 0)
            name_end = words->len;
    }
    if (rc < 0)
        return rc;
    if (more < 0 || words->full)
        return err_set(err, ERR_GENERIC, "Invalid library metadata");
    if (!name_at)
        return err_set(err, ERR_GENERIC, "Library name was not given");
    *name = slice_of(words->p + name_at, name_end - name_at);
    if ((rc = check_name(*name, err)) < 0)
        return rc;
    struct slice engine = slice_of(words->p + 2, engine_len - 2);
    if (!slice_is(engine, "lua"))
        return err_set(err, ERR_GENERIC, "Engine '%.*s' not found", (int)engine.len, engine.p);
    return 0;
}

static struct function *find_in(struct library *l, struct slice name)
{
    list_each (at, &l->functions) {
        struct function *f = list_entry(at, struct function, link);
        if (f->name.len == name.len && strncasecmp(f->name.p, name.p, name.len) == 0)
            return f;
    }
    return NULL;
}

static int on_function(void *arg, const struct engine_function *from, struct err *err)
{
    struct library *l = arg;
    int rc = check_name(from->name, err);
    if (rc < 0)
        return rc;
    if (find_in(l, from->name))
        return err_set(err, ERR_GENERIC, "Function already exists in the library");
    struct function *f = mem_zero(sizeof *f);
    *f = (struct function){.of = l, .name = own(from->name), .about = own(from->about), .flags = from->flags,
                           .chunk = from->chunk};
    list_add_tail(&l->functions, &f->link);
    l->n++;
    return 0;
}

static void free_function(struct function *f, struct engine *e)
{
    list_del(&f->link);
    engine_drop(e, f->chunk);
    mem_free((char *)f->name.p);
    mem_free((char *)f->about.p);
    mem_free(f);
}

void library_destroy(struct library *l, struct engine *e)
{
    if (!l)
        return;
    list_each_safe (at, &l->functions)
        free_function(list_entry(at, struct function, link), e);
    mem_free((char *)l->name.p);
    mem_free((char *)l->code.p);
    mem_free(l);
}

int library_make(struct engine *e, struct slice code, int64_t limit_ms, struct library **out, struct err *err)
{
    struct buf words = {.max = 1 << 16};
    struct slice name;
    int rc = library_header(code, &name, &words, err);
    struct library *l = NULL;
    if (rc == 0) {
        size_t head = (size_t)((const char *)memchr(code.p, '\n', code.len) - code.p);
        l = mem_zero(sizeof *l);
        l->name = own(name);
        l->code = own(code);
        list_init(&l->functions);
        rc = engine_load(e, slice_of(code.p + head, code.len - head), limit_ms, on_function, l, err);
    }
    if (rc == 0 && l->n == 0)
        rc = err_set(err, ERR_GENERIC, "No functions registered");
    if (rc < 0) {
        library_destroy(l, e);
        l = NULL;
    }
    buf_release(&words);
    *out = l;
    return rc;
}

/* ---- sets ---- */

void library_set_init(struct library_set *s)
{
    dict_init(&s->libraries, &libraries_type);
    dict_init(&s->functions, &functions_type);
    s->bytes = 0;
}

static size_t bytes_of(const struct library *l)
{
    size_t n = sizeof *l + l->name.len + l->code.len + 2;
    list_each (at, &l->functions) {
        const struct function *f = list_entry(at, struct function, link);
        n += sizeof *f + f->name.len + f->about.len + 2;
    }
    return n;
}

static void put(struct library_set *s, struct library *l)
{
    dict_add(&s->libraries, l);
    list_each (at, &l->functions)
        dict_add(&s->functions, list_entry(at, struct function, link));
    s->bytes += bytes_of(l);
}

static void take_out(struct library_set *s, struct library *l)
{
    dict_remove(&s->libraries, l->name);
    list_each (at, &l->functions)
        dict_remove(&s->functions, list_entry(at, struct function, link)->name);
    s->bytes -= bytes_of(l);
}

static struct library *any_library(struct library_set *s)
{
    struct dict_iter it;
    dict_iter_begin(&it, &s->libraries);
    struct library *l = dict_iter_next(&it);
    dict_iter_end(&it);
    return l;
}

void library_set_release(struct library_set *s, struct engine *e)
{
    for (struct library *l; (l = any_library(s));) {
        take_out(s, l);
        library_destroy(l, e);
    }
    dict_release(&s->libraries);
    dict_release(&s->functions);
    library_set_init(s);
}

/* May l be added? What it would replace does not count. */
static int fits(struct library_set *s, const struct library *l, bool replace, struct err *err)
{
    if (!replace && dict_find(&s->libraries, l->name))
        return err_set(err, ERR_GENERIC, "Library '%.*s' already exists", (int)l->name.len, l->name.p);
    list_each (at, &l->functions) {
        const struct function *f = list_entry(at, struct function, link), *old = dict_find(&s->functions, f->name);
        if (old && !slice_eq(old->of->name, l->name))
            return err_set(err, ERR_GENERIC, "Function %.*s already exists", (int)f->name.len, f->name.p);
    }
    return 0;
}

int library_add(struct library_set *s, struct library *l, bool replace, struct engine *e, struct err *err)
{
    int rc = fits(s, l, replace, err);
    if (rc < 0)
        return rc;
    library_delete(s, l->name, e);
    put(s, l);
    return 0;
}

bool library_delete(struct library_set *s, struct slice name, struct engine *e)
{
    struct library *l = dict_find(&s->libraries, name);
    if (!l)
        return false;
    take_out(s, l);
    library_destroy(l, e);
    return true;
}

/* All that must be true of a join, before anything changes: names of `from` against those that stay in `to`. */
static int joinable(struct library_set *to, struct library_set *from, bool replace, struct err *err)
{
    struct dict_iter it;
    struct library *l;
    int rc = 0;
    for (dict_iter_begin(&it, &from->libraries); rc == 0 && (l = dict_iter_next(&it));) {
        if (!replace && dict_find(&to->libraries, l->name))
            rc = err_set(err, ERR_GENERIC, "Library %.*s already exists", (int)l->name.len, l->name.p);
        list_each (at, &l->functions) {
            const struct function *f = list_entry(at, struct function, link), *old = dict_find(&to->functions, f->name);
            if (rc == 0 && old && !dict_find(&from->libraries, old->of->name))
                rc = err_set(err, ERR_GENERIC, "Function %.*s already exists", (int)f->name.len, f->name.p);
        }
    }
    dict_iter_end(&it);
    return rc;
}

int library_join(struct library_set *to, struct library_set *from, bool replace, struct engine *e, struct err *err)
{
    int rc = joinable(to, from, replace, err);
    if (rc < 0)
        return rc;
    struct dict_iter it;
    struct library *l;
    for (dict_iter_begin(&it, &from->libraries); (l = dict_iter_next(&it));)
        library_delete(to, l->name, e);
    dict_iter_end(&it);
    while ((l = any_library(from))) {
        take_out(from, l);
        put(to, l);
    }
    return 0;
}

struct function *function_find(struct library_set *s, struct slice name)
{
    return dict_find(&s->functions, name);
}
