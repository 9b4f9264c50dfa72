/* An index on a file: made, opened, dropped. All of it blocks a little and touches a few pages, whatever the size; the
 * exception is a double-write area that a crash left, which is read through once. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "io/file.h"
#include "vec/bin.h"
#include "vec/checkpoint.h"
#include "vec/rest.h"

#define COLD_SEARCHES 1000 /* after which what searches touch has mostly been touched */

/* ---- headers ---- */

void header_fill(struct vec_index *v, struct vec_header *h)
{
    *h = v->h;
    h->entry = atomic_load_explicit(&v->entry, memory_order_relaxed);
    h->count = atomic_load_explicit(&v->count, memory_order_relaxed);
    memcpy(h->rng, v->rng.s, sizeof h->rng);
    h->file_size = v->space.file_size;
    for (int i = 0; i < AREA_COUNT; i++)
        h->area[i] = v->space.area[i].d;
    h->crc = crc32c(0, h, offsetof(struct vec_header, crc));
}

bool header_sealed(const struct vec_header *h)
{
    return memcmp(h->magic, VEC_MAGIC, sizeof h->magic) == 0 &&
           h->crc == crc32c(0, h, offsetof(struct vec_header, crc));
}

static int read_at(int fd, void *to, size_t n, uint64_t off)
{
    for (size_t got = 0; got < n;) {
        ssize_t r = pread(fd, (char *)to + got, n - got, (off_t)(off + got));
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return -1;
        got += (size_t)r;
    }
    return 0;
}

static int write_at(int fd, const void *from, size_t n, uint64_t off)
{
    for (size_t put = 0; put < n;) {
        ssize_t r = pwrite(fd, (const char *)from + put, n - put, (off_t)(off + put));
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return -1;
        put += (size_t)r;
    }
    return 0;
}

/* The newer of the two headers. */
static int best_header(int fd, struct vec_header *h, struct err *err)
{
    struct vec_header two[2];
    bool ok[2], ours = false;
    for (int i = 0; i < 2; i++) {
        ok[i] = read_at(fd, &two[i], SPACE_PAGE, (uint64_t)i * SPACE_PAGE) == 0;
        ours |= ok[i] && memcmp(two[i].magic, VEC_MAGIC, sizeof two[i].magic) == 0;
        ok[i] = ok[i] && header_sealed(&two[i]) && (int)(two[i].epoch & 1) == i;
    }
    if (!ok[0] && !ok[1])
        return err_set(err, ERR_IO, ours ? "its headers are damaged" : "it is not a vector index");
    *h = ok[0] && (!ok[1] || two[0].epoch > two[1].epoch) ? two[0] : two[1];
    return 0;
}

/* ---- the double-write area ---- */

static bool dw_whole(int dw_fd, const struct dw_header *h, struct dw_entry *list)
{
    size_t bytes = h->count * sizeof *list;
    if (read_at(dw_fd, list, bytes, DW_PAGE(h->count)) < 0 || crc32c(0, list, bytes) != h->list_crc)
        return false;
    char page[SPACE_PAGE];
    for (uint64_t i = 0; i < h->count; i++)
        if (read_at(dw_fd, page, SPACE_PAGE, DW_PAGE(i)) < 0 || crc32c(0, page, SPACE_PAGE) != list[i].crc ||
            list[i].off % SPACE_PAGE)
            return false;
    return true;
}

static int dw_copy(int fd, int dw_fd, const struct dw_header *h, const struct dw_entry *list, struct err *err)
{
    char page[SPACE_PAGE];
    for (uint64_t i = 0; i < h->count; i++)
        if (read_at(dw_fd, page, SPACE_PAGE, DW_PAGE(i)) < 0 || write_at(fd, page, SPACE_PAGE, list[i].off) < 0)
            return err_set(err, ERR_IO, "its double-write area cannot be put in place: %s", strerror(errno));
    memset(page, 0, sizeof page);
    if (fdatasync(fd) < 0 || write_at(dw_fd, page, SPACE_PAGE, 0) < 0)
        return err_set(err, ERR_IO, "its double-write area cannot be put in place: %s", strerror(errno));
    return 0;
}

int dw_apply(int fd, int dw_fd, struct err *err)
{
    struct dw_header h;
    struct vec_header now;
    struct stat st;
    if (fstat(dw_fd, &st) < 0 || read_at(dw_fd, &h, sizeof h, 0) < 0 ||
        memcmp(h.magic, DW_MAGIC, sizeof h.magic) != 0 || h.crc != crc32c(0, &h, offsetof(struct dw_header, crc)) ||
        h.version != VEC_VERSION || h.count < 1 || h.count > (uint64_t)st.st_size / SPACE_PAGE)
        return 0;
    if (best_header(fd, &now, NULL) == 0 && (now.uid != h.uid || now.epoch > h.epoch))
        return 0;
    struct dw_entry *list = mem_try(h.count * sizeof *list);
    if (!list)
        return err_set(err, ERR_OOM, "no memory for its double-write area");
    int rc = dw_whole(dw_fd, &h, list) ? dw_copy(fd, dw_fd, &h, list, err) : 0;
    mem_free(list);
    return rc;
}

/* ---- open ---- */

static int check_header(const struct vec_header *h, struct vec_config *c, struct err *err)
{
    if (h->version != VEC_VERSION)
        return err_set(err, ERR_IO, "it has format version %u; this program reads %d", h->version, VEC_VERSION);
    if (h->byte_order != VEC_BYTE_ORDER)
        return err_set(err, ERR_IO, "it was written on a machine of the other byte order");
    *c = (struct vec_config){.dim = h->dim,
                             .metric = h->metric,
                             .kind = h->kind,
                             .quant = h->quant,
                             .m = h->m,
                             .ef_construction = h->ef_construction,
                             .seed = h->seed,
                             .budget = h->budget};
    struct err why;
    if (!h->m || !h->ef_construction || !h->seed || vec_config_check(c, &why) < 0)
        return err_set(err, ERR_IO, "its configuration is damaged");
    uint64_t nodes = h->area[AREA_ROWS].used;
    bool ok = nodes >= 1 && nodes <= VEC_MAX_NODE + UINT64_C(1) && h->area[AREA_META].used == nodes &&
              h->area[AREA_REST].used == (h->quant == VEC_QUANT_Q8 || h->quant == VEC_QUANT_BIN ? nodes : 1) &&
              h->count < nodes && h->with_attr <= h->count && h->buckets + 1 == h->area[AREA_TABLE].used &&
              ENTRY_NODE(h->entry) < nodes && (h->entry >> 32) < VEC_MAX_LEVELS && h->free_head < nodes &&
              h->limbo_head < nodes && h->limbo_tail < nodes && h->upper_free < h->area[AREA_UPPER].used &&
              (uint64_t)h->free_count + h->limbo_count + h->count + 1 == nodes && !h->limbo_head == !h->limbo_count &&
              !h->limbo_tail == !h->limbo_count && h->buckets >= h->count;
    if (h->quant == VEC_QUANT_BIN && h->kind == VEC_FLAT)
        ok = ok && h->area[AREA_UPPER].used == (nodes - 1) / 32 + 1;
    return ok ? 0 : err_set(err, ERR_IO, "its header contradicts itself");
}

/* What was in limbo when the file was written has no readers any more. */
static void take_header(struct vec_index *v, const struct vec_header *h)
{
    v->h = *h;
    atomic_store_explicit(&v->entry, h->entry, memory_order_relaxed);
    atomic_store_explicit(&v->count, h->count, memory_order_relaxed);
    atomic_store_explicit(&v->top, (uint32_t)h->area[AREA_ROWS].used, memory_order_release);
    memcpy(v->rng.s, h->rng, sizeof h->rng);
    v->lsn_on_file = h->lsn;
    atomic_store_explicit(&v->newest, h->node_uid, memory_order_relaxed);
    if (h->limbo_count)
        limbo_push(&v->node_limbo, 0, h->limbo_count);
    if (h->heap_limbo_count)
        limbo_push(&v->heap_limbo, 0, (uint32_t)h->heap_limbo_count);
}

static char *dw_name(const char *path)
{
    size_t n = strlen(path);
    char *p = mem_alloc(n + 4);
    memcpy(p, path, n);
    memcpy(p + n, ".dw", 4);
    return p;
}

/* The double-write file is there, by a name that a crash cannot take away, before a checkpoint trusts in it. */
static int dw_open(const char *path, struct err *err)
{
    char *name = dw_name(path);
    int fd = open(name, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd >= 0 && file_sync_dir(path, err) < 0) {
            close(fd);
            fd = -2;
        }
    }
    if (fd == -1)
        err_set(err, ERR_IO, "cannot open %s: %s", name, strerror(errno));
    mem_free(name);
    return fd;
}

static int map_index(struct vec_index **out, int fd, struct err *err)
{
    struct vec_header h;
    struct vec_config c;
    struct stat st;
    int rc = best_header(fd, &h, err);
    if (rc == 0)
        rc = check_header(&h, &c, err);
    if (rc < 0)
        return rc;
    if (fstat(fd, &st) < 0)
        return err_set(err, ERR_IO, "%s", strerror(errno));
    if ((uint64_t)st.st_size < h.file_size)
        return err_set(err, ERR_IO, "it is shorter than its header says");
    if ((uint64_t)st.st_size > h.file_size && ftruncate(fd, (off_t)h.file_size) < 0) /* growth that was never written */
        return err_set(err, ERR_IO, "%s", strerror(errno));
    struct vec_index *v = vec_new(&c, fd, h.file_size);
    rc = space_map(&v->space, h.area, err);
    if (rc < 0) {
        v->space.fd = -1; /* the caller's still */
        vec_free(v);
        return rc;
    }
    take_header(v, &h);
    atomic_store_explicit(&v->cold, COLD_SEARCHES, memory_order_relaxed);
    bin_restore(v);
    *out = v;
    return 0;
}

int vec_open(struct vec_index **out, const char *path, struct err *err)
{
    struct err why = {0};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ERR_IO, "cannot open the vector index file %s: %s", path, strerror(errno));
    int rc = 0, dw_fd = -1;
    if (file_lock(fd, FILE_LOCK_WAIT_MS) < 0)
        rc = err_set(&why, ERR_IO, "it is in use by another process");
    if (rc == 0 && (dw_fd = dw_open(path, &why)) < 0)
        rc = ERR_IO;
    if (rc == 0)
        rc = dw_apply(fd, dw_fd, &why);
    if (rc == 0)
        rc = map_index(out, fd, &why);
    if (rc == 0) {
        (*out)->path = mem_strdup(path);
        (*out)->dw_fd = dw_fd;
        rest_open(*out);
        return 0;
    }
    close(fd);
    if (dw_fd >= 0)
        close(dw_fd);
    return err_set(err, rc, "cannot open the vector index file %s: %s", path, why.msg);
}

/* ---- make and drop ---- */

static int write_first(struct vec_index *v, int fd, const char *path, struct err *err)
{
    struct vec_header h;
    header_fill(v, &h);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 || ftruncate(fd, 2 * SPACE_PAGE) < 0 || write_at(fd, &h, sizeof h, 0) < 0 ||
        fdatasync(fd) < 0)
        return err_set(err, ERR_IO, "cannot write the vector index file %s: %s", path, strerror(errno));
    v->dw_fd = dw_open(path, err);
    return v->dw_fd < 0 ? ERR_IO : file_sync_dir(path, err);
}

int vec_create_file(struct vec_index **out, const char *path, const struct vec_config *config, struct err *err)
{
    struct vec_config c = *config;
    int rc = vec_config_check(&c, err);
    if (rc < 0)
        return rc;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST)
        return err_set(err, ERR_BUSYKEY, "the vector index file %s exists already", path);
    if (fd < 0)
        return err_set(err, ERR_IO, "cannot make the vector index file %s: %s", path, strerror(errno));
    char *stale = dw_name(path);
    unlink(stale);
    mem_free(stale);
    struct vec_index *v = vec_new(&c, fd, 2 * SPACE_PAGE);
    v->path = mem_strdup(path);
    rc = write_first(v, fd, path, err);
    if (rc < 0) {
        vec_unref(v);
        vec_drop_file(path, NULL);
        return rc;
    }
    rest_open(v);
    *out = v;
    return 0;
}

int vec_drop_file(const char *path, struct err *err)
{
    char *dw = dw_name(path);
    int rc = 0;
    if (unlink(path) < 0 && errno != ENOENT)
        rc = err_set(err, ERR_IO, "cannot remove %s: %s", path, strerror(errno));
    if (unlink(dw) < 0 && errno != ENOENT)
        rc = err_set(err, ERR_IO, "cannot remove %s: %s", dw, strerror(errno));
    mem_free(dw);
    return rc;
}
