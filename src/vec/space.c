/* Chunks, their pages, and what of them the file does not have yet. */
#include "vec/space.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

#define HEADERS   (2 * SPACE_PAGE)
#define HUGE_PAGE (UINT64_C(2) << 20)

static size_t page_up(size_t n)
{
    return (n + SPACE_PAGE - 1) & ~(size_t)(SPACE_PAGE - 1);
}

void space_init(struct space *s, int fd, uint64_t file_size, const uint32_t unit[AREA_COUNT])
{
    memset(s, 0, sizeof *s);
    s->fd = fd;
    s->file_size = file_size;
    for (int i = 0; i < AREA_COUNT; i++) {
        struct area *a = &s->area[i];
        a->unit = a->d.unit = unit[i];
        while (((uint64_t)unit[i] << (a->shift + 1)) <= SPACE_PAGE)
            a->shift++;
        a->d.shift = a->shift;
        a->d.used = 1;
    }
}

static void free_saved(struct area *a, int k)
{
    if (!a->saved[k])
        return;
    for (size_t p = 0, pages = a->bytes[k] / SPACE_PAGE; p < pages; p++)
        mem_free(a->saved[k][p]);
    mem_free(a->saved[k]);
    a->saved[k] = NULL;
}

static char *chunk_start(const struct area *a, int k)
{
    return (char *)(atomic_load_explicit(&a->bias[k], memory_order_relaxed) + space_first(a, k) * a->unit);
}

static void note(struct area *a, size_t bytes)
{
    mem_note((ptrdiff_t)bytes - (ptrdiff_t)a->noted);
    a->noted = bytes;
}

void space_release(struct space *s)
{
    for (int i = 0; i < AREA_COUNT; i++) {
        struct area *a = &s->area[i];
        for (int k = 0; k < SPACE_CHUNKS; k++) {
            if (!a->bytes[k])
                continue;
            munmap(chunk_start(a, k), a->bytes[k]);
            free_saved(a, k);
            mem_free(a->dirty[k]);
            mem_free(a->frozen[k]);
            mem_free(a->held[k]);
        }
        note(a, 0);
    }
}

/* Fresh memory that begins where a huge page does, so that the kernel can use them: a walk jumps about, and a tenth of
 * its time would go into page tables. */
static char *map_huge(size_t bytes)
{
    size_t room = bytes + HUGE_PAGE;
    char *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return p;
    char *start = (char *)(((uintptr_t)p + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    if (start > p)
        munmap(p, (size_t)(start - p));
    munmap(start + bytes, room - bytes - (size_t)(start - p));
    madvise(start, bytes, MADV_HUGEPAGE);
    return start;
}

static int map_chunk(struct space *s, struct area *a, int k, struct err *err)
{
    uint64_t units = space_units(a, k);
    if (units > SPACE_MAX / a->unit)
        return err_set(err, ERR_OOM, "the vector index cannot grow further");
    size_t bytes = page_up(units * a->unit);
    int flags = s->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_PRIVATE | MAP_NORESERVE;
    bool huge = s->fd < 0 && a == &s->area[AREA_ROWS] && bytes >= HUGE_PAGE;
    char *p = huge ? map_huge(bytes)
                   : mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, s->fd, s->fd < 0 ? 0 : (off_t)a->d.extent[k]);
    if (p == MAP_FAILED)
        return err_set(err, errno == ENOMEM ? ERR_OOM : ERR_IO, "cannot map %zu bytes of a vector index: %s", bytes,
                       strerror(errno));
    if (s->fd >= 0) {
        size_t words = (bytes / SPACE_PAGE + 63) / 64;
        a->dirty[k] = mem_zero(words * 8);
        a->frozen[k] = mem_zero(words * 8);
        if (a == &s->area[AREA_REST])
            a->held[k] = mem_zero(words * 8);
    }
    if (s->fd >= 0 && s->random) /* else each first touch reads 128 KiB around it, and waits for them */
        madvise(p, bytes, MADV_RANDOM);
    a->bytes[k] = bytes;
    atomic_store_explicit(&a->bias[k], (uintptr_t)p - space_first(a, k) * a->unit, memory_order_relaxed);
    return 0;
}

/* The room is taken at once: a hole would be filled at its first touch, and on a full tmpfs that touch is a SIGBUS. */
static int extend(struct space *s, size_t bytes, struct err *err)
{
    off_t end = (off_t)(s->file_size + bytes);
    if (fallocate(s->fd, 0, (off_t)s->file_size, (off_t)bytes) < 0 &&
        (errno != EOPNOTSUPP || ftruncate(s->fd, end) < 0)) {
        int why = errno;
        if (ftruncate(s->fd, (off_t)s->file_size) < 0)
            why = errno;
        return err_set(err, ERR_IO, "cannot extend a vector index file: %s", strerror(why));
    }
    return 0;
}

static int add_chunk(struct space *s, struct area *a, struct err *err)
{
    int k = (int)a->d.chunks, rc;
    if (k == SPACE_CHUNKS)
        return err_set(err, ERR_OOM, "the vector index cannot grow further");
    size_t bytes = page_up(space_units(a, k) * a->unit);
    if (s->fd >= 0) {
        if ((rc = extend(s, bytes, err)) < 0)
            return rc;
        a->d.extent[k] = s->file_size;
    }
    if ((rc = map_chunk(s, a, k, err)) < 0)
        return rc;
    if (s->fd >= 0)
        s->file_size += bytes;
    a->d.chunks++;
    return 0;
}

int space_reserve(struct space *s, enum area_id id, uint64_t n, struct err *err)
{
    struct area *a = &s->area[id];
    uint64_t last = a->d.used + n - 1;
    if (last > UINT64_C(1) << 40)
        return err_set(err, ERR_OOM, "the vector index cannot grow further");
    while ((int)a->d.chunks <= space_chunk(a, last)) {
        int rc = add_chunk(s, a, err);
        if (rc < 0)
            return rc;
    }
    if (s->fd < 0 && id != AREA_REST)
        note(a, page_up((last + 1) * a->unit));
    return 0;
}

void space_count(struct space *s, enum area_id id, size_t bytes)
{
    struct area *a = &s->area[id];
    if (s->fd < 0)
        note(a, a->noted + bytes);
}

int space_map(struct space *s, const struct area_desc desc[AREA_COUNT], struct err *err)
{
    for (int i = 0; i < AREA_COUNT; i++) {
        struct area *a = &s->area[i];
        const struct area_desc *d = &desc[i];
        if (d->unit != a->unit || d->shift != a->shift || d->chunks > SPACE_CHUNKS || d->used < 1)
            return err_set(err, ERR_IO, "the areas in its header do not fit together");
        if (d->chunks && space_first(a, (int)d->chunks - 1) > (UINT64_C(1) << 40))
            return err_set(err, ERR_IO, "the areas in its header are larger than any index");
        uint64_t room = d->chunks ? space_first(a, (int)d->chunks - 1) + space_units(a, (int)d->chunks - 1) : 1;
        if (d->used > room)
            return err_set(err, ERR_IO, "the areas in its header do not fit together");
        a->d = *d;
        for (int k = 0; k < (int)d->chunks; k++) {
            uint64_t units = space_units(a, k), bytes = page_up(units * a->unit);
            if (units > SPACE_MAX / a->unit || d->extent[k] % SPACE_PAGE || d->extent[k] < HEADERS ||
                d->extent[k] > s->file_size || bytes > s->file_size - d->extent[k])
                return err_set(err, ERR_IO, "it is shorter than its header says");
            int rc = map_chunk(s, a, k, err);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

static void save_page(struct area *a, int k, size_t page)
{
    if (!a->saved[k])
        a->saved[k] = mem_zero(a->bytes[k] / SPACE_PAGE * sizeof(char *));
    if (!a->saved[k][page])
        a->saved[k][page] = mem_dup(chunk_start(a, k) + page * SPACE_PAGE, SPACE_PAGE);
}

void space_dirty(struct space *s, enum area_id id, const void *p, size_t n, uint64_t u)
{
    struct area *a = &s->area[id];
    int k = space_chunk(a, u);
    size_t at = (size_t)((const char *)p - chunk_start(a, k));
    for (size_t page = at / SPACE_PAGE; page <= (at + n - 1) / SPACE_PAGE; page++) {
        uint64_t bit = UINT64_C(1) << (page % 64), *word = &a->dirty[k][page / 64];
        if (s->freezing && (a->frozen[k][page / 64] & bit))
            save_page(a, k, page);
        if (*word & bit)
            continue;
        *word |= bit;
        if (a->held[k]) /* who learns of the node by a release store sees this, too */
            atomic_fetch_or_explicit(&a->held[k][page / 64], bit, memory_order_relaxed);
        s->dirty_pages++;
        mem_note(SPACE_PAGE);
        a->noted += SPACE_PAGE;
    }
}

uint64_t space_memory(const struct space *s)
{
    uint64_t sum = 0;
    for (int i = 0; i < AREA_COUNT; i++)
        sum += s->area[i].noted;
    return sum;
}

void space_freeze(struct space *s)
{
    for (int i = 0; i < AREA_COUNT; i++)
        for (int k = 0; k < (int)s->area[i].d.chunks; k++) {
            struct area *a = &s->area[i];
            uint64_t *t = a->dirty[k];
            a->dirty[k] = a->frozen[k];
            a->frozen[k] = t;
        }
    s->frozen_pages = s->dirty_pages;
    s->dirty_pages = 0;
    s->freezing = true;
}

/* The cursor is area, chunk and page, 8, 8 and 48 bits, of where to look next. */
bool space_frozen_next(const struct space *s, uint64_t *cursor, uint64_t *off, const char **page)
{
    int i = (int)(*cursor >> 56), k = (int)(*cursor >> 48 & 0xff);
    size_t p = *cursor & ((UINT64_C(1) << 48) - 1);
    for (; i < AREA_COUNT; i++, k = 0)
        for (; k < (int)s->area[i].d.chunks; k++, p = 0) {
            const struct area *a = &s->area[i];
            for (size_t pages = a->bytes[k] / SPACE_PAGE; p < pages; p++) {
                uint64_t word = a->frozen[k][p / 64] >> (p % 64);
                if (!word) {
                    p |= 63;
                    continue;
                }
                p += (size_t)__builtin_ctzll(word);
                *cursor = (uint64_t)i << 56 | (uint64_t)k << 48 | (p + 1);
                *off = a->d.extent[k] + p * SPACE_PAGE;
                *page = a->saved[k] && a->saved[k][p] ? a->saved[k][p] : chunk_start(a, k) + p * SPACE_PAGE;
                return true;
            }
        }
    return false;
}

/* What was changed privately and is on file now can come from the page cache again: the same bytes, shared memory. */
static void hand_back(struct area *a, int k)
{
    size_t pages = a->bytes[k] / SPACE_PAGE, run = 0;
    for (size_t p = 0; p <= pages; p++) {
        uint64_t bit = UINT64_C(1) << (p % 64);
        if (p < pages && (a->frozen[k][p / 64] & ~a->dirty[k][p / 64] & bit)) {
            run++;
            continue;
        }
        if (run)
            madvise(chunk_start(a, k) + (p - run) * SPACE_PAGE, run * SPACE_PAGE, MADV_DONTNEED);
        run = 0;
    }
}

bool space_on_file(const struct area *a, uint64_t u, uint64_t *off)
{
    int k = space_chunk(a, u);
    uint64_t at = (u - space_first(a, k)) * a->unit;
    if (!a->held[k])
        return false;
    for (uint64_t page = at / SPACE_PAGE; page <= (at + a->unit - 1) / SPACE_PAGE; page++)
        if (atomic_load_explicit(&a->held[k][page / 64], memory_order_acquire) >> (page % 64) & 1)
            return false;
    *off = a->d.extent[k] + at;
    return true;
}

void space_fetch(const struct area *a, uint64_t u)
{
    int k = space_chunk(a, u);
    if (k >= SPACE_CHUNKS || !atomic_load_explicit(&a->bias[k], memory_order_relaxed))
        return;
    uintptr_t p = (uintptr_t)space_at(a, u), page = p & ~(uintptr_t)(SPACE_PAGE - 1);
    madvise((void *)page, p + a->unit - page, MADV_WILLNEED);
}

void space_fetch_many(const struct space *s, enum area_id id, uint64_t u, uint64_t n)
{
    const struct area *a = &s->area[id];
    int k = space_chunk(a, u);
    uint64_t left = space_first(a, k) + space_units(a, k) - u;
    uintptr_t p = (uintptr_t)space_at(a, u), page = p & ~(uintptr_t)(SPACE_PAGE - 1);
    if (s->fd >= 0)
        madvise((void *)page, p + (n < left ? n : left) * a->unit - page, MADV_WILLNEED);
}

static void trim_chunk(struct area *a, int k)
{
    size_t pages = a->bytes[k] / SPACE_PAGE, run = 0;
    for (size_t p = 0; p <= pages; p++) {
        uint64_t held = p < pages ? atomic_load_explicit(&a->held[k][p / 64], memory_order_relaxed) : 1;
        size_t whole = pages - p < 64 ? pages - p : 64;
        if (p < pages && p % 64 == 0 && !held) { /* 64 at once */
            run += whole;
            p += whole - 1;
            continue;
        }
        if (p < pages && !(held >> (p % 64) & 1)) {
            run++;
            continue;
        }
        if (run)
            madvise(chunk_start(a, k) + (p - run) * SPACE_PAGE, run * SPACE_PAGE, MADV_DONTNEED);
        run = 0;
    }
}

void space_trim(struct space *s)
{
    struct area *a = &s->area[AREA_REST];
    for (int k = 0; k < (int)a->d.chunks && s->fd >= 0; k++)
        trim_chunk(a, k);
}

uint64_t space_resident(const struct space *s)
{
    uint64_t sum = s->area[AREA_REST].noted;
    if (s->fd < 0)
        return space_memory(s);
    for (int i = 0; i < AREA_COUNT; i++)
        sum += i == AREA_REST ? 0 : page_up(s->area[i].d.used * s->area[i].unit);
    return sum;
}

static void settle(struct space *s, struct area *a, int k, bool kept)
{
    size_t gone = 0, words = (a->bytes[k] / SPACE_PAGE + 63) / 64;
    if (kept)
        hand_back(a, k);
    for (size_t w = 0; w < words; w++) {
        uint64_t f = a->frozen[k][w], d = a->dirty[k][w];
        gone += (size_t)__builtin_popcountll(kept ? f : f & d);
        if (!kept) {
            a->dirty[k][w] |= f;
            s->dirty_pages += (size_t)__builtin_popcountll(f & ~d);
        }
        a->frozen[k][w] = 0;
        if (a->held[k]) /* what the file has now may be read from it */
            atomic_store_explicit(&a->held[k][w], a->dirty[k][w], memory_order_release);
    }
    a->noted -= gone * SPACE_PAGE;
    mem_note(-(ptrdiff_t)(gone * SPACE_PAGE));
    free_saved(a, k);
}

void space_thaw(struct space *s, bool kept)
{
    for (int i = 0; i < AREA_COUNT; i++)
        for (int k = 0; k < (int)s->area[i].d.chunks; k++)
            settle(s, &s->area[i], k, kept);
    s->frozen_pages = 0;
    s->freezing = false;
}
