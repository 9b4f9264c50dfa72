/* Reading, printing and replacing the manifest. It has two to a dozen lines and changes with a rewrite only. */
#include "persist/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"
#include "io/file.h"

#define MAX_TEXT  (1u << 20)
#define MAX_WORDS 32

void manifest_release(struct manifest *m)
{
    mem_free(m->files);
    *m = (struct manifest){0};
}

void manifest_copy(struct manifest *to, const struct manifest *from)
{
    to->n = from->n;
    to->files = from->n ? mem_dup(from->files, (size_t)from->n * sizeof *from->files) : NULL;
}

static struct manifest_file *grow(struct manifest *m)
{
    m->files = mem_realloc(m->files, ((size_t)m->n + 1) * sizeof *m->files);
    m->files[m->n] = (struct manifest_file){0};
    return &m->files[m->n++];
}

struct manifest_file *manifest_add(struct manifest *m, char type, const char *name, uint64_t seq, uint64_t lsn)
{
    struct manifest_file *f = grow(m);
    snprintf(f->name, sizeof f->name, "%s", name);
    f->type = type;
    f->seq = seq;
    f->lsn = lsn;
    f->has_lsn = true;
    return f;
}

const struct manifest_file *manifest_base(const struct manifest *m)
{
    for (int i = 0; i < m->n; i++)
        if (m->files[i].type == 'b')
            return &m->files[i];
    return NULL;
}

const struct manifest_file *manifest_last_incr(const struct manifest *m)
{
    for (int i = m->n; i-- > 0;)
        if (m->files[i].type == 'i')
            return &m->files[i];
    return NULL;
}

uint64_t manifest_max_seq(const struct manifest *m, char type)
{
    uint64_t max = 0;
    for (int i = 0; i < m->n; i++)
        if (m->files[i].type == type && m->files[i].seq > max)
            max = m->files[i].seq;
    return max;
}

static int split(struct slice line, struct slice *words)
{
    int n = 0;
    size_t i = 0;
    while (i < line.len) {
        size_t from = i;
        while (i < line.len && line.p[i] != ' ')
            i++;
        if (i > from) {
            if (n == MAX_WORDS)
                return -1;
            words[n++] = slice_of(line.p + from, i - from);
        }
        while (i < line.len && line.p[i] == ' ')
            i++;
    }
    return n;
}

/* A name is a plain file name: what the manifest says must not lead out of the folder. */
static bool good_name(struct slice s)
{
    if (s.len == 0 || s.len > MANIFEST_NAME_MAX || s.p[0] == '.' || s.p[0] == '"')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] < 0x21 || s.p[i] == '/' || s.p[i] == 0x7f)
            return false;
    return true;
}

static const char *parse_line(struct manifest *m, struct slice line)
{
    struct slice w[MAX_WORDS];
    int n = split(line, w);
    if (n < 6 || n % 2)
        return "it is not a list of keys and values";
    struct manifest_file f = {0};
    bool has_seq = false;
    for (int i = 0; i < n; i += 2) {
        struct slice v = w[i + 1];
        if (slice_is(w[i], "file")) {
            if (!good_name(v))
                return "the file name is not a plain name";
            memcpy(f.name, v.p, v.len);
        } else if (slice_is(w[i], "seq")) {
            if (!num_to_u64(v, &f.seq) || f.seq == 0)
                return "seq is not a number above 0";
            has_seq = true;
        } else if (slice_is(w[i], "type")) {
            if (v.len != 1 || !strchr("bih", v.p[0]) || v.p[0] == 0)
                return "the type is not b, i or h";
            f.type = v.p[0];
        } else if (slice_is(w[i], "lsn")) {
            if (!num_to_u64(v, &f.lsn) || f.lsn > INT64_MAX)
                return "lsn is not a number";
            f.has_lsn = true;
        }
    }
    if (!*f.name || !has_seq || !f.type)
        return "file, seq or type is missing";
    if (f.type == 'b' && manifest_base(m))
        return "there is a second base file";
    if (f.type == 'b' && manifest_last_incr(m))
        return "the base does not come before the increments";
    if (f.type == 'i' && manifest_max_seq(m, 'i') >= f.seq)
        return "the increments are not in order";
    *grow(m) = f;
    return NULL;
}

int manifest_parse(struct manifest *m, struct slice text, struct err *err)
{
    *m = (struct manifest){0};
    int number = 0;
    for (size_t at = 0; at < text.len;) {
        const char *nl = memchr(text.p + at, '\n', text.len - at);
        size_t end = nl ? (size_t)(nl - text.p) : text.len;
        struct slice line = slice_of(text.p + at, end - at);
        at = end + 1;
        number++;
        if (line.len && line.p[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0 || line.p[0] == '#')
            continue;
        const char *why = nl ? parse_line(m, line) : "it has no end";
        if (why) {
            manifest_release(m);
            return err_set(err, ERR_IO, "line %d cannot be read: %s", number, why);
        }
    }
    return m->n > 0 ? 0 : err_set(err, ERR_IO, "it names no file");
}

void manifest_print(struct buf *to, const struct manifest *m)
{
    for (int i = 0; i < m->n; i++) {
        const struct manifest_file *f = &m->files[i];
        buf_addf(to, "file %s seq %" PRIu64 " type %c", f->name, f->seq, f->type);
        if (f->has_lsn)
            buf_addf(to, " lsn %" PRIu64, f->lsn);
        buf_add_char(to, '\n');
    }
}

static int slurp(int fd, struct buf *to)
{
    for (;;) {
        char *room = buf_room(to, 4096);
        if (!room)
            return -EFBIG;
        ssize_t r = read(fd, room, 4096);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? -errno : 0;
        buf_grow(to, (size_t)r);
    }
}

int manifest_read(struct manifest *m, const char *path, bool *found, struct err *err)
{
    *m = (struct manifest){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *found = fd >= 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    struct buf text;
    struct err why;
    buf_init(&text, MAX_TEXT);
    int r = slurp(fd, &text);
    close(fd);
    if (r < 0)
        r = err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(-r));
    else if ((r = manifest_parse(m, buf_slice(&text), &why)) < 0)
        r = err_set(err, ERR_IO, "the manifest %s is damaged (%s): restore it, or move the folder away to start empty",
                    path, why.msg);
    buf_release(&text);
    return r;
}

int manifest_store(const char *path, struct slice text, bool *visible, struct err *err)
{
    char temp[PATH_MAX];
    struct err why;
    *visible = false;
    if (snprintf(temp, sizeof temp, "%s.temp", path) >= (int)sizeof temp)
        return err_set(err, ERR_IO, "the path %.80s... is too long", path);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_set(err, ERR_IO, "cannot create %s: %s", temp, strerror(errno));
    int r = file_write_all(fd, text.p, text.len, &why);
    if (r == 0 && fsync(fd) < 0)
        r = err_set(&why, ERR_IO, "fsync: %s", strerror(errno));
    close(fd);
    if (r == 0 && rename(temp, path) < 0)
        r = err_set(&why, ERR_IO, "rename: %s", strerror(errno));
    if (r < 0) {
        unlink(temp);
        return err_set(err, r, "cannot replace the manifest %s: %s", path, why.msg);
    }
    *visible = true;
    return file_sync_dir(path, err);
}
