#include "server/config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/setting.h"

#define MAX_WORDS 64
#define MAX_DEPTH 8 /* files that include files */

static char file[PATH_MAX]; /* the configuration file, absolute; empty: none */

const char *config_file(void)
{
    return file;
}

static int hex(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

static char escaped(const char **p)
{
    const char *s = *p;
    if (s[0] == 'x' && isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2])) {
        *p += 2;
        return (char)(hex(s[1]) * 16 + hex(s[2]));
    }
    switch (*s) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return *s;
    }
}

/* One word from *p on; NULL when its quotes do not close. */
static char *next_word(const char **p)
{
    struct buf w = {0};
    char quote = 0;
    const char *s = *p;
    for (;; s++) {
        if (!*s || (!quote && isspace((unsigned char)*s)))
            break;
        if (quote && *s == quote) {
            quote = 0;
            if (s[1] && !isspace((unsigned char)s[1])) {
                buf_release(&w);
                return NULL; /* a closing quote must end its word */
            }
        } else if (!quote && w.len == 0 && (*s == '"' || *s == '\'')) {
            quote = *s;
        } else if (quote == '"' && *s == '\\' && s[1]) {
            s++;
            buf_add_char(&w, escaped(&s));
        } else if (quote == '\'' && *s == '\\' && s[1] == '\'') {
            buf_add_char(&w, *++s);
        } else {
            buf_add_char(&w, *s);
        }
    }
    *p = s;
    if (quote) {
        buf_release(&w);
        return NULL;
    }
    return buf_take(&w, NULL);
}

int config_split(const char *line, char **words, int max)
{
    int n = 0;
    for (;;) {
        while (isspace((unsigned char)*line))
            line++;
        if (!*line || n == max)
            return n;
        if (!(words[n] = next_word(&line))) {
            while (n > 0)
                mem_free(words[--n]);
            return -1;
        }
        n++;
    }
}

/* Several values of one directive are given to its row as one text, words separated by spaces (`save 60 1`). */
static int apply(const char *name, char **values, int n, struct err *err)
{
    const struct setting *s = setting_find(slice_str(name));
    struct buf text = {0};
    if (!s)
        return err_set(err, ERR_INVALID, "unknown setting '%s'", name);
    if (n == 0)
        return err_set(err, ERR_INVALID, "'%s' needs a value", name);
    for (int i = 0; i < n; i++) {
        if (i)
            buf_add_char(&text, ' ');
        buf_add_str(&text, values[i]);
    }
    int rc = setting_set(s, buf_slice(&text), true, err);
    buf_release(&text);
    return rc;
}

static int load_file(const char *path, int depth, struct err *err);

static int load_line(const char *line, int depth, struct err *err)
{
    char *words[MAX_WORDS];
    int rc = 0;
    if (line[strspn(line, " \t")] == '#')
        return 0; /* a comment may hold half a quotation */
    int n = config_split(line, words, MAX_WORDS);
    if (n < 0)
        return err_set(err, ERR_INVALID, "unbalanced quotes");
    if (n > 0) {
        if (strcasecmp(words[0], "include") == 0 && n == 2)
            rc = load_file(words[1], depth + 1, err);
        else
            rc = apply(words[0], words + 1, n - 1, err);
    }
    while (n > 0)
        mem_free(words[--n]);
    return rc;
}

static int load_file(const char *path, int depth, struct err *err)
{
    struct err why;
    char *line = NULL;
    size_t cap = 0;
    int number = 0, rc = 0;
    if (depth > MAX_DEPTH)
        return err_set(err, ERR_INVALID, "%s: included too deeply", path);
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (!f)
        return err_set(err, ERR_IO, "cannot open configuration file %s: %s", path, strerror(errno));
    while (rc == 0 && getline(&line, &cap, f) >= 0) {
        number++;
        line[strcspn(line, "\r\n")] = 0;
        rc = load_line(line, depth, &why);
        if (rc < 0)
            err_set(err, rc, "%s line %d: %s (the line: %.120s)", path, number, why.msg, line);
    }
    free(line);
    if (f != stdin)
        fclose(f);
    return rc;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] == '-' && word[2];
}

int config_load(int argc, char **argv, struct err *err)
{
    int i = 1;
    if (i < argc && !is_option(argv[i])) {
        if (strcmp(argv[i], "-") != 0 && !realpath(argv[i], file))
            return err_set(err, ERR_IO, "cannot open configuration file %s: %s", argv[i], strerror(errno));
        int rc = load_file(argv[i++], 0, err);
        if (rc < 0)
            return rc;
    }
    while (i < argc) {
        struct err why;
        const char *option = argv[i];
        if (!is_option(option))
            return err_set(err, ERR_INVALID, "'%s': an option begins with -- (as in --port 6379)", option);
        int first = ++i;
        while (i < argc && (!is_option(argv[i]) || i == first))
            i++;
        int rc = apply(option + 2, argv + first, i - first, &why);
        if (rc < 0)
            return err_set(err, rc, "option %s: %s", option, why.msg);
    }
    return 0;
}

static void print_one(const struct setting *s, void *arg)
{
    if (s->flags & (SETTING_HIDDEN | SETTING_IDLE))
        return;
    printf("# %s\n# %s %s%s%s\n\n", s->help ? s->help : "", s->name, s->dflt && *s->dflt ? "" : "\"",
           s->dflt ? s->dflt : "", s->dflt && *s->dflt ? "" : "\"");
}

void config_print_sample(void)
{
    printf("# Skald's settings with their defaults. Start with: skald /path/to/this/file\n\n");
    setting_each(print_one, NULL);
}
