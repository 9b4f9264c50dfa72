#include "auth/acl_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define FILE_MAX (64u << 20)
#define MAX_RULES 4096

/* ---- reading ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static int split(struct slice line, struct slice *words, int max)
{
    int n = 0;
    for (size_t at = 0; at < line.len && n < max;) {
        size_t from = at;
        while (at < line.len && !is_blank(line.p[at]))
            at++;
        if (at > from)
            words[n++] = slice_of(line.p + from, at - from);
        else
            at++;
    }
    return n;
}

static bool named_before(const struct user_set *seen, struct slice name)
{
    return user_set_find(seen, name) != NULL;
}

static int read_line(struct user_set *s, struct user_set *seen, struct slice line, struct err *err)
{
    static struct slice words[MAX_RULES];
    struct slice at = SLICE("");
    struct err why;
    int n = split(line, words, MAX_RULES);
    if (n == 0 || words[0].p[0] == '#')
        return 0;
    if (n == MAX_RULES)
        return err_set(err, ERR_INVALID, "the line has more than %d words", MAX_RULES);
    if (!slice_eq(words[0], SLICE("user")) || n < 2)
        return err_set(err, ERR_INVALID, "line should start with user keyword followed by the username");
    if (selector_has_space(words[1]))
        return err_set(err, ERR_INVALID, "usernames can't contain spaces or null characters");
    if (named_before(seen, words[1]))
        return err_set(err, ERR_INVALID, "Duplicate user '%.*s' found", (int)words[1].len, words[1].p);
    user_set_add(seen, words[1]);
    struct user *u = user_set_find(s, words[1]);
    if (u)
        user_rule(u, SLICE("reset"), NULL);
    else
        u = user_set_add(s, words[1]);
    if (user_rules(u, n - 2, words + 2, &at, &why) == 0)
        return 0;
    /* The word itself is not repeated: it may be a password. */
    return err_set(err, ERR_INVALID, "%s", why.msg);
}

int acl_text_read(struct user_set *s, struct slice text, const char *name, struct err *err)
{
    struct user_set seen;
    struct buf wrong = {.max = 400};
    struct err why;
    int number = 0, bad = 0;
    user_set_init(&seen);
    for (size_t at = 0; at < text.len;) {
        const char *p = text.p + at, *eol = memchr(p, '\n', text.len - at);
        struct slice line = slice_of(p, eol ? (size_t)(eol - p) : text.len - at);
        at += line.len + 1;
        number++;
        if (read_line(s, &seen, line, &why) == 0)
            continue;
        log_warning("%s:%d: %s", name, number, why.msg);
        buf_addf(&wrong, "%s:%d: %s. ", name, number, why.msg);
        bad++;
    }
    user_set_release(&seen);
    if (bad)
        err_set(err, ERR_INVALID, "%.*sWARNING: ACL errors detected, no change to the previously active ACL rules was "
                                  "performed", (int)wrong.len, wrong.p);
    buf_release(&wrong);
    return bad ? ERR_INVALID : 0;
}

int acl_file_read(struct user_set *s, const char *path, struct err *err)
{
    struct buf text = {.max = FILE_MAX};
    int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ERR_IO, "Error loading ACLs, opening file '%s': %s", path, strerror(errno));
    for (;;) {
        char *room = buf_room(&text, 65536);
        ssize_t n = room ? read(fd, room, 65536) : -1;
        if (!room)
            rc = err_set(err, ERR_INVALID, "Error loading ACLs: '%s' is over %u MiB", path, FILE_MAX >> 20);
        else if (n < 0)
            rc = err_set(err, ERR_IO, "Error loading ACLs, reading file '%s': %s", path, strerror(errno));
        if (n <= 0)
            break;
        buf_grow(&text, (size_t)n);
    }
    close(fd);
    if (rc == 0)
        rc = acl_text_read(s, buf_slice(&text), path, err);
    buf_release(&text);
    return rc;
}

/* ---- writing ---- */

static bool write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t did = write(fd, p, n);
        if (did < 0 && errno == EINTR)
            continue;
        if (did <= 0)
            return false;
        p += did;
        n -= (size_t)did;
    }
    return true;
}

static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? mem_dup(path, (size_t)(slash - path) + 1) : mem_strdup(".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    mem_free(folder);
}

int acl_file_write(const struct user_set *s, const char *path, struct err *err)
{
    struct buf text = {0}, temp = {0};
    for (int i = 0; i < s->n; i++) {
        user_describe(s->list[i], &text);
        buf_add_char(&text, '\n');
    }
    buf_addf(&temp, "%s.tmp-%d", path, (int)getpid());
    int fd = open(buf_cstr(&temp), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write_all(fd, text.p, text.len) && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    ok = ok && rename(buf_cstr(&temp), path) == 0;
    int rc = ok ? 0 : err_set(err, ERR_IO, "writing %s: %s", path, strerror(errno));
    if (ok)
        sync_folder(path);
    else if (fd >= 0)
        unlink(buf_cstr(&temp));
    buf_release(&text);
    buf_release(&temp);
    return rc;
}
