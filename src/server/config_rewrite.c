/* CONFIG REWRITE: see config.h. A line of the file is one of: a setting's (it gets the present value; a second line of the
 * same setting goes), or anything else (comments, empty lines, includes), which stays as it is. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/users.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/setting.h"
#include "server/config.h"

#define MARK "# Added by CONFIG REWRITE"
#define SETTINGS_MAX 1024

struct rewrite {
    struct buf text;
    bool marked;                            /* the mark is there already */
    const struct setting *done[SETTINGS_MAX]; /* stand in the file */
    int ndone;
};

static void note_done(struct rewrite *w, const struct setting *s)
{
    if (w->ndone < SETTINGS_MAX)
        w->done[w->ndone++] = s;
}

/* As the parser reads it back: bare where that is the same text, else in double quotes. */
static void add_value(struct buf *to, struct slice v)
{
    bool bare = v.len > 0 && v.p[0] != ' ' && v.p[v.len - 1] != ' ';
    for (size_t i = 0; i < v.len && bare; i++) {
        unsigned char c = (unsigned char)v.p[i];
        bare = c > ' ' ? c != '"' && c != '\'' && c != '\\' && c != 0x7f : c == ' ' && v.p[i - 1] != ' ';
    }
    if (bare) {
        buf_add(to, v.p, v.len);
        return;
    }
    buf_add_char(to, '"');
    for (size_t i = 0; i < v.len; i++) {
        unsigned char c = (unsigned char)v.p[i];
        if (c == '"' || c == '\\')
            buf_addf(to, "\\%c", c);
        else if (c < ' ' || c == 0x7f)
            buf_addf(to, "\\x%02x", c);
        else
            buf_add_char(to, (char)c);
    }
    buf_add_char(to, '"');
}

/* The line keeps the name that it has, which may be an alias. */
static void add_setting(struct rewrite *w, const char *name, const struct setting *s)
{
    struct buf value = {0};
    setting_get(s, &value);
    buf_addf(&w->text, "%s ", name);
    add_value(&w->text, buf_slice(&value));
    buf_add_char(&w->text, '\n');
    buf_release(&value);
    note_done(w, s);
}

/* Aliases share the variable of the setting that they mean. */
static const struct setting *same_setting(const struct rewrite *w, const struct setting *s)
{
    for (int i = 0; i < w->ndone; i++)
        if (w->done[i] == s || (s->at && w->done[i]->at == s->at))
            return w->done[i];
    return NULL;
}

/* Whether text says what the setting is now, if perhaps in other units. */
static bool says(const struct setting *s, struct slice text)
{
    struct buf value = {0};
    uint64_t a, b;
    setting_get(s, &value);
    bool same = slice_eq(buf_slice(&value), text) || (s->kind == SETTING_BYTES && num_to_bytes(text, &a) &&
                                                       num_to_bytes(buf_slice(&value), &b) && a == b);
    buf_release(&value);
    return same;
}

static bool words_say(const struct setting *s, char **words, int n)
{
    struct buf text = {0};
    for (int i = 0; i < n; i++)
        buf_addf(&text, "%s%s", i ? " " : "", words[i]);
    bool same = says(s, buf_slice(&text));
    buf_release(&text);
    return same;
}

#define WORDS_MAX 64

static void rewrite_line(struct rewrite *w, const char *line)
{
    char *words[WORDS_MAX];
    int n = line[strspn(line, " \t")] == '#' ? 0 : config_split(line, words, WORDS_MAX);
    const struct setting *s = n >= 2 ? setting_find(slice_str(words[0])) : NULL;
    if (s && strcmp(s->name, "user") == 0) {
        /* all users follow at the end */
    } else if (s && !same_setting(w, s) && words_say(s, words + 1, n - 1)) {
        buf_addf(&w->text, "%s\n", line);
        note_done(w, s);
    } else if (!s) {
        buf_addf(&w->text, "%s\n", line);
    } else if (!same_setting(w, s)) {
        add_setting(w, words[0], s);
    }
    w->marked |= strcmp(line, MARK) == 0;
    while (n > 0)
        mem_free(words[--n]);
}

static void add_changed(const struct setting *s, void *arg)
{
    struct rewrite *w = arg;
    if ((s->flags & SETTING_HIDDEN) || same_setting(w, s) || (s->dflt && says(s, slice_str(s->dflt))))
        return;
    if (!w->marked)
        buf_add_str(&w->text, MARK "\n");
    w->marked = true;
    add_setting(w, s->name, s);
}

static int read_lines(struct rewrite *w, struct err *err)
{
    char *line = NULL;
    size_t cap = 0;
    FILE *f = fopen(config_file(), "r");
    if (!f && errno != ENOENT)
        return err_set(err, ERR_IO, "Rewriting config file: %s", strerror(errno));
    while (f && getline(&line, &cap, f) >= 0) {
        line[strcspn(line, "\r\n")] = 0;
        rewrite_line(w, line);
    }
    free(line);
    if (f)
        fclose(f);
    return 0;
}

/* A new file beside the old one, which it replaces when it is on disk. */
static int replace(struct slice text, struct err *err)
{
    struct buf path = {0};
    buf_addf(&path, "%s.%d.new", config_file(), (int)getpid());
    buf_add_char(&path, 0);
    int fd = open(path.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = 0;
    bool written = fd >= 0;
    struct stat old;
    if (written && stat(config_file(), &old) == 0)
        written = fchmod(fd, old.st_mode & 0777) == 0;
    for (size_t done = 0; written && done < text.len;) {
        ssize_t n = write(fd, text.p + done, text.len - done);
        written = n > 0 || (n < 0 && errno == EINTR);
        done += n > 0 ? (size_t)n : 0;
    }
    if (!written || fsync(fd) < 0 || rename(path.p, config_file()) < 0) {
        rc = err_set(err, ERR_IO, "Rewriting config file: %s", strerror(errno));
        unlink(path.p);
    }
    if (fd >= 0)
        close(fd);
    buf_release(&path);
    return rc;
}

int config_rewrite(struct err *err)
{
    struct rewrite *w = mem_zero(sizeof *w);
    int rc = -1;
    if (!config_file()[0])
        err_set(err, ERR_GENERIC, "The server is running without a config file");
    else if ((rc = read_lines(w, err)) == 0) {
        setting_each(add_changed, w);
        users_config_lines(&w->text);
        rc = replace(buf_slice(&w->text), err);
    }
    buf_release(&w->text);
    mem_free(w);
    return rc;
}
