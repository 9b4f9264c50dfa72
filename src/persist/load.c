/* Recovery: reads the files that the manifest names, in order, and feeds their commands to the owner.
 *
 * What is forgiven is only what a crash can leave: at the end of the last increment a record that is cut off, a MULTI
 * whose EXEC never came, or a hole of zero bytes where the kernel had made the file longer but not written it. It is
 * cut off and logged. Everything else stops the start: a server that began without some of its data would then compact
 * the loss into the next base.
 *
 * What would surprise: a damaged length can make the rest of the file look like one long unfinished argument. So before
 * a tail is cut, its first megabytes are searched for a whole record; one found there means damage, not a torn write.
 *
 * Reads in pieces of 1 MiB; a buffer holds as much as the largest record or transaction. */
#include "persist/journal.h"
#include "persist/journal_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "persist/record.h"

#define PIECE     (1u << 20)
#define TAIL_LOOK (16u << 20)

struct loader {
    journal_apply_fn apply;
    void *arg;
    struct journal_stats *st;
    bool refuse_torn;
    struct record rec;
    char path[PATH_MAX]; /* of the file being read */
    int fd;
    bool is_base, is_last;
    uint64_t lsn0; /* of the file's first byte */
    uint64_t size; /* of the file */
    /* buf holds the file's bytes from `off` on; `at` of them are behind us, `group` is where an open MULTI starts */
    char *buf;
    size_t cap, len, at, group;
    uint64_t off;
    bool in_group;
    int db;
};

/* --- errors --- */

static int damaged(struct loader *L, uint64_t offset, const char *why, struct err *err)
{
    const char *name = strrchr(L->path, '/');
    return err_set(err, ERR_IO,
                   "journal file %s is damaged at offset %" PRIu64
                   ": %s; restore it from a copy, or try redis-check-aof "
                   "--fix, which drops what follows",
                   name ? name + 1 : L->path, offset, why);
}

/* --- the window on the file --- */

/* Makes at least `want` bytes from `at` on available, or all there are; want is not beyond the end of the file. */
static int fill(struct loader *L, size_t want, struct err *err)
{
    size_t keep = L->in_group ? L->group : L->at;
    if (keep > 0) {
        memmove(L->buf, L->buf + keep, L->len - keep);
        L->len -= keep;
        L->at -= keep;
        L->group = 0;
        L->off += keep;
    }
    if (L->at + want > L->cap) {
        size_t cap = L->at + want < PIECE ? PIECE : (L->at + want) + (L->at + want) / 2;
        char *p = mem_try_realloc(L->buf, cap);
        if (!p)
            return err_set(err, ERR_OOM, "journal file %s: no memory for a record of %zu bytes", L->path, want);
        L->buf = p;
        L->cap = cap;
    }
    size_t end = L->size - L->off < L->cap ? (size_t)(L->size - L->off) : L->cap;
    while (L->len < end) {
        ssize_t r = pread(L->fd, L->buf + L->len, end - L->len, (off_t)(L->off + L->len));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return err_set(err, ERR_IO, "cannot read the journal file %s: %s", L->path, strerror(errno));
        if (r == 0)
            break;
        L->len += (size_t)r;
    }
    return 0;
}

static bool at_end(const struct loader *L)
{
    return L->off + L->len >= L->size;
}

/* --- a torn tail --- */

/* Only zero bytes from the file's offset `from` on? */
static bool zeros_follow(struct loader *L, uint64_t from)
{
    char piece[65536];
    while (from < L->size) {
        ssize_t r = pread(L->fd, piece, sizeof piece, (off_t)from);
        if (r <= 0)
            return false;
        for (ssize_t i = 0; i < r; i++)
            if (piece[i])
                return false;
        from += (uint64_t)r;
    }
    return true;
}

/* Is there a whole record inside what looks like one unfinished record? */
static bool record_inside(struct loader *L, uint64_t from)
{
    struct record rec = {0};
    uint64_t left = L->size - from;
    size_t n = left < TAIL_LOOK ? (size_t)left : TAIL_LOOK;
    char *p = mem_try(n + 1);
    bool found = false;
    ssize_t got = p ? pread(L->fd, p, n, (off_t)from) : 0;
    for (char *at = p; got > 3 && !found && (at = memmem(at, (size_t)(got - (at - p)), "\r\n*", 3)); at++) {
        char *start = at + 2;
        found = record_parse(&rec, start, (size_t)(got - (start - p))) == RECORD_OK;
    }
    record_release(&rec);
    mem_free(p);
    return found;
}

static int cut_tail(struct loader *L, uint64_t from, const char *why, struct err *err)
{
    uint64_t bytes = L->size - from;
    if (L->refuse_torn)
        return err_set(err, ERR_IO,
                       "journal file %s ends in the middle of a command at offset %" PRIu64
                       " and aof-load-truncated is no: set it to yes to cut the last %" PRIu64 " bytes off",
                       L->path, from, bytes);
    int fd = open(L->path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && ftruncate(fd, (off_t)from) == 0 && fsync(fd) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (!ok)
        return err_set(err, ERR_IO, "cannot cut the torn tail of the journal file %s: %s", L->path, strerror(error));
    log_warning("journal file %s: %s; the last %" PRIu64 " bytes were cut off, the file now ends at offset %" PRIu64,
                L->path, why, bytes, from);
    L->st->cut_bytes += bytes;
    L->size = from;
    return 0;
}

/* The file ends before the record at `at` (or the open group) does. */
static int unfinished(struct loader *L, struct err *err)
{
    uint64_t record = L->off + L->at, from = L->in_group ? L->off + L->group : record;
    if (L->is_base || !L->is_last)
        return damaged(L, record, "the file ends in the middle of a command, but it is not the last of the journal",
                       err);
    if (record_inside(L, record) && !zeros_follow(L, record))
        return damaged(L, record, "a length is wrong, whole commands follow inside the argument", err);
    return cut_tail(L, from,
                    L->in_group ? "it ends in the middle of a transaction" : "it ends in the middle of a command", err);
}

static int bad_record(struct loader *L, struct err *err)
{
    uint64_t record = L->off + L->at, bad = record + L->rec.bad_at;
    if (L->is_last && !L->is_base && zeros_follow(L, bad))
        return cut_tail(L, L->in_group ? L->off + L->group : record, "its end was never written and is zero bytes",
                        err);
    return damaged(L, bad, L->rec.why, err);
}

/* --- commands --- */

static int apply_one(struct loader *L, uint64_t end, struct err *err)
{
    struct record *r = &L->rec;
    struct err why = {0};
    if (r->argc == 2 && slice_is(r->argv[0], "select")) {
        int64_t db;
        if (!num_to_i64(r->argv[1], &db) || db < 0 || db > INT_MAX)
            return damaged(L, end - r->size, "SELECT has no database number", err);
        L->db = (int)db;
        return 0;
    }
    uint64_t lsn = L->is_base ? L->lsn0 : L->lsn0 + end;
    if (L->apply(L->arg, L->db, r->argc, r->argv, lsn, &why) < 0)
        return err_set(err, why.code ? why.code : ERR_IO, "journal file %s, offset %" PRIu64 ": %.*s was refused: %s",
                       strrchr(L->path, '/') + 1, end - r->size, (int)(r->argv[0].len < 32 ? r->argv[0].len : 32),
                       r->argv[0].p, why.msg);
    L->st->commands++;
    return 0;
}

/* From MULTI at `group` to the EXEC that ends at `at`: all of it is there, so all of it is applied. */
static int apply_group(struct loader *L, struct err *err)
{
    size_t at = L->group, end = L->at;
    while (at < end) {
        record_parse(&L->rec, L->buf + at, end - at); /* it was whole a moment ago */
        at += L->rec.size;
        bool border = L->rec.argc == 0 ||
                      (L->rec.argc == 1 && (slice_is(L->rec.argv[0], "multi") || slice_is(L->rec.argv[0], "exec")));
        if (!border && apply_one(L, L->off + at, err) < 0)
            return err->code;
    }
    return 0;
}

static int take_record(struct loader *L, struct err *err)
{
    struct record *r = &L->rec;
    uint64_t record = L->off + L->at;
    bool multi = r->argc == 1 && slice_is(r->argv[0], "multi"), exec = r->argc == 1 && slice_is(r->argv[0], "exec");
    size_t from = L->at;
    if (multi && L->in_group)
        return damaged(L, record, "a MULTI stands inside a transaction", err);
    if (exec && !L->in_group)
        return damaged(L, record, "an EXEC has no MULTI", err);
    L->at += r->size;
    if (multi) {
        L->in_group = true;
        L->group = from;
    } else if (exec) {
        L->in_group = false;
        return apply_group(L, err);
    } else if (!L->in_group && r->argc > 0) {
        return apply_one(L, L->off + L->at, err);
    }
    return 0;
}

/* What the unfinished record needs, at least twice what it had: so it is parsed a logarithm of times. */
static size_t want(const struct loader *L, size_t have)
{
    uint64_t left = L->size - L->off - L->at;
    size_t most = L->rec.need > have * 2 ? L->rec.need : have * 2;
    return most < left ? most : (size_t)left;
}

static int read_commands(struct loader *L, struct err *err)
{
    for (;;) {
        size_t have = L->len - L->at;
        if (have == 0 && at_end(L))
            return L->in_group ? unfinished(L, err) : 0;
        enum record_state st = record_parse(&L->rec, L->buf + L->at, have);
        int r = 0;
        if (st == RECORD_BAD)
            return bad_record(L, err);
        if (st == RECORD_OK)
            r = take_record(L, err);
        else if (at_end(L) || L->rec.need > L->size - L->off - L->at)
            return unfinished(L, err);
        else
            r = fill(L, want(L, have), err);
        if (r < 0)
            return r;
    }
}

/* --- files --- */

static int open_file(struct loader *L, const char *folder, const struct manifest_file *f, struct err *err)
{
    struct stat st;
    snprintf(L->path, sizeof L->path, "%s/%s", folder, f->name);
    L->fd = open(L->path, O_RDONLY | O_CLOEXEC);
    if (L->fd < 0 && errno == ENOENT)
        return err_set(err, ERR_IO,
                       "the journal's manifest names %s, which is missing in %s: restore it, or move the folder "
                       "away to start empty",
                       f->name, folder);
    if (L->fd < 0 || fstat(L->fd, &st) < 0)
        return err_set(err, ERR_IO, "cannot open the journal file %s: %s", L->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_IO, "the journal file %s is not a regular file", L->path);
    L->size = (uint64_t)st.st_size;
    return 0;
}

static int check_start(struct loader *L, const struct manifest_file *f, struct err *err)
{
    if (f->has_lsn && f->type == 'i' && L->st->files > 0 && f->lsn != L->st->lsn)
        return err_set(err, ERR_IO,
                       "journal file %s starts at position %" PRIu64 " but the file before it ends at %" PRIu64
                       ": one of them is not the file it was; restore both from a copy",
                       f->name, f->lsn, L->st->lsn);
    char magic[5];
    if (pread(L->fd, magic, 5, 0) == 5 && memcmp(magic, "REDIS", 5) == 0)
        return err_set(err, ERR_IO,
                       "journal file %s is a snapshot (RDB): have Redis rewrite its file with aof-use-rdb-preamble no",
                       f->name);
    return 0;
}

static int load_file(struct loader *L, const char *folder, const struct manifest_file *f, bool last, struct err *err)
{
    L->is_base = f->type == 'b';
    L->is_last = last;
    L->lsn0 = f->has_lsn ? f->lsn : L->st->lsn;
    L->fd = -1;
    L->at = L->len = L->group = 0;
    L->off = 0;
    L->in_group = false;
    L->db = 0;
    int r = open_file(L, folder, f, err);
    if (r == 0)
        r = check_start(L, f, err);
    if (r == 0)
        r = read_commands(L, err);
    if (L->fd >= 0)
        close(L->fd);
    if (r < 0)
        return r;
    L->st->files++;
    L->st->bytes += L->size;
    L->st->lsn = L->is_base ? L->lsn0 : L->lsn0 + L->size;
    return 0;
}

static int load_all(struct loader *L, const char *folder, const struct manifest *m, struct err *err)
{
    const struct manifest_file *base = manifest_base(m), *last = manifest_last_incr(m);
    if (base && load_file(L, folder, base, false, err) < 0)
        return err->code;
    for (int i = 0; i < m->n; i++)
        if (m->files[i].type == 'i' && load_file(L, folder, &m->files[i], &m->files[i] == last, err) < 0)
            return err->code;
    return 0;
}

/* Files without a manifest are somebody's data: starting empty beside them would be the wrong guess. */
static int check_orphans(const char *folder, const char *filename, struct err *err)
{
    DIR *d = opendir(folder);
    size_t n = strlen(filename);
    int r = 0;
    for (struct dirent *e; d && r == 0 && (e = readdir(d));) {
        const char *tail = e->d_name + n;
        bool ours =
            strncmp(e->d_name, filename, n) == 0 && *tail == '.' && (strstr(tail, ".base.") || strstr(tail, ".incr."));
        struct stat st;
        if (ours && fstatat(dirfd(d), e->d_name, &st, 0) == 0 && st.st_size > 0)
            r = err_set(err, ERR_IO,
                        "%s holds the journal file %s but no manifest: restore %s.manifest, or move the folder away to "
                        "start empty",
                        folder, e->d_name, filename);
    }
    if (d)
        closedir(d);
    return r;
}

static bool plain_name(const char *s, size_t max)
{
    size_t n = strlen(s);
    if (n == 0 || n > max || *s == '.' || *s == '"')
        return false;
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == '/' || *s == 0x7f)
            return false;
    return true;
}

int journal_folder_path(char *to, size_t size, const struct journal_options *o, struct err *err)
{
    if (!plain_name(o->dirname, 120))
        return err_set(err, ERR_INVALID, "appenddirname is a plain name of at most 120 bytes without / and blanks");
    if (!plain_name(o->filename, 120))
        return err_set(err, ERR_INVALID, "appendfilename is a plain name of at most 120 bytes without / and blanks");
    if (snprintf(to, size, "%s/%s", o->dir, o->dirname) >= (int)size)
        return err_set(err, ERR_INVALID, "the data folder's path is too long");
    return 0;
}

int journal_manifest_path(char *to, size_t size, const char *folder, const char *filename)
{
    return snprintf(to, size, "%s/%s.manifest", folder, filename) < (int)size ? 0 : ERR_INVALID;
}

int journal_load(const struct journal_options *o, journal_apply_fn apply, void *arg, struct journal_stats *st,
                 struct err *err)
{
    char folder[PATH_MAX - 300], path[PATH_MAX];
    struct manifest m;
    *st = (struct journal_stats){0};
    int r = journal_folder_path(folder, sizeof folder, o, err);
    if (r < 0)
        return r;
    journal_manifest_path(path, sizeof path, folder, o->filename);
    if ((r = manifest_read(&m, path, &st->found, err)) < 0)
        return r;
    if (!st->found)
        return check_orphans(folder, o->filename, err);
    struct err why = {0};
    struct loader L = {.apply = apply, .arg = arg, .st = st, .refuse_torn = o->refuse_torn};
    r = load_all(&L, folder, &m, &why);
    if (r < 0)
        err_set(err, r, "%s", why.msg);
    record_release(&L.rec);
    mem_free(L.buf);
    manifest_release(&m);
    return r;
}
