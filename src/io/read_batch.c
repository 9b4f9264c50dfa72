/* Wanted ranges, the windows that cover them, and the slots in which windows are read.
 *
 *   submit   sorts what was added by file and place, and covers it with windows of up to 16 KiB
 *   pump     gives windows to free slots and those to the kernel
 *   landed   a window's bytes go to the ranges that want them; a range whose last byte has come has ended
 *
 * What would surprise: files are not registered with the ring. A registered file stays open until the ring lets go of
 * it, and a dropped index would keep its disk space for as long as a thread that once read it lives. Buffers are
 * registered where the limit on locked memory allows it. */
#include "io/read_batch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

#define DEPTH  64
#define WINDOW (4 * READ_PAGE)

struct range {
    uint64_t off, tag;
    char *buf;
    size_t len, left; /* left: bytes that have not come yet */
    int fd, res;
};

struct window {
    uint64_t off;
    uint32_t len, got;
    uint32_t first, end; /* the ranges that may want something of it */
    int fd;
};

struct read_batch {
    bool uring, fixed;
    struct io_uring ring;
    char *room; /* DEPTH windows, page-aligned */
    uint32_t slot_window[DEPTH];
    uint8_t free_slot[DEPTH];
    int free_slots;
    struct range *range;
    struct window *window;
    uint32_t *ended; /* ranges, as they ended */
    uint32_t ranges, ranges_cap, windows, windows_cap;
    uint32_t submitted;         /* ranges that have windows */
    uint32_t next_window;       /* not yet in a slot */
    uint32_t told, ended_count; /* of ended */
    uint64_t asked;
};

static atomic_bool no_uring;

void read_batch_allow_uring(bool on)
{
    atomic_store(&no_uring, !on);
}

/* ---- one per thread ---- */

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void destroy(void *arg)
{
    struct read_batch *b = arg;
    if (b->uring)
        io_uring_queue_exit(&b->ring);
    munmap(b->room, (size_t)DEPTH * WINDOW);
    mem_free(b->range);
    mem_free(b->window);
    mem_free(b->ended);
    mem_free(b);
}

static void make_key(void)
{
    pthread_key_create(&key, destroy);
}

/* The main thread's is not reached by the key's destructor. */
__attribute__((destructor)) static void destroy_last(void)
{
    pthread_once(&once, make_key);
    struct read_batch *b = pthread_getspecific(key);
    if (b) {
        pthread_setspecific(key, NULL);
        destroy(b);
    }
}

static void open_ring(struct read_batch *b)
{
    struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    struct iovec all = {b->room, (size_t)DEPTH * WINDOW};
    if (io_uring_queue_init_params(DEPTH, &b->ring, &p) < 0 && io_uring_queue_init(DEPTH, &b->ring, 0) < 0)
        return;
    io_uring_ring_dontfork(&b->ring);
    b->uring = true;
    b->fixed = io_uring_register_buffers(&b->ring, &all, 1) == 0;
}

static struct read_batch *create(void)
{
    struct read_batch *b = mem_zero(sizeof *b);
    b->room = mmap(NULL, (size_t)DEPTH * WINDOW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(b->room != MAP_FAILED); /* as any failure of an ordinary allocation */
    for (int i = 0; i < DEPTH; i++)
        b->free_slot[b->free_slots++] = (uint8_t)i;
    if (!atomic_load(&no_uring))
        open_ring(b);
    return b;
}

struct read_batch *read_batch_mine(void)
{
    pthread_once(&once, make_key);
    struct read_batch *b = pthread_getspecific(key);
    if (!b) {
        b = create();
        pthread_setspecific(key, b);
    }
    assert(b->told == b->ranges);
    return b;
}

const char *read_batch_name(const struct read_batch *b)
{
    return b->uring ? "io_uring" : "pread";
}

uint64_t read_batch_windows(const struct read_batch *b)
{
    return b->asked;
}

int read_batch_open(const char *path, bool direct)
{
    int fd = direct ? open(path, O_RDONLY | O_CLOEXEC | O_DIRECT) : -1;
    if (fd < 0)
        fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    return fd < 0 ? -errno : fd;
}

/* ---- ranges to windows ---- */

void read_batch_add(struct read_batch *b, int fd, uint64_t off, void *buf, size_t len, uint64_t tag)
{
    if (b->told == b->ranges) { /* all is told: from the start again */
        b->ranges = b->windows = b->submitted = 0;
        b->next_window = b->told = b->ended_count = 0;
    }
    if (b->ranges == b->ranges_cap) {
        b->ranges_cap = b->ranges_cap ? b->ranges_cap * 2 : DEPTH;
        b->range = mem_realloc(b->range, b->ranges_cap * sizeof *b->range);
        b->ended = mem_realloc(b->ended, b->ranges_cap * sizeof *b->ended);
    }
    b->range[b->ranges++] = (struct range){.fd = fd, .off = off, .buf = buf, .len = len, .left = len, .tag = tag};
}

static int by_place(const void *x, const void *y)
{
    const struct range *a = x, *b = y;
    if (a->fd != b->fd)
        return a->fd < b->fd ? -1 : 1;
    return a->off < b->off ? -1 : a->off > b->off;
}

/* Windows over [from, to), which ranges first..end want pieces of. */
static void cover(struct read_batch *b, uint64_t from, uint64_t to, uint32_t first, uint32_t end)
{
    for (; from < to; from += WINDOW) {
        if (b->windows == b->windows_cap) {
            b->windows_cap = b->windows_cap ? b->windows_cap * 2 : DEPTH;
            b->window = mem_realloc(b->window, b->windows_cap * sizeof *b->window);
        }
        uint32_t len = to - from < WINDOW ? (uint32_t)(to - from) : WINDOW;
        b->window[b->windows++] =
            (struct window){.off = from, .len = len, .first = first, .end = end, .fd = b->range[first].fd};
        while (first < end && b->range[first].off + b->range[first].len <= from + len)
            first++; /* what ends here wants nothing of the windows after it */
    }
}

static void plan(struct read_batch *b)
{
    uint64_t page = READ_PAGE - 1;
    if (b->submitted == b->ranges)
        return; /* nobody may have wanted anything yet: no array to sort */
    qsort(b->range + b->submitted, b->ranges - b->submitted, sizeof *b->range, by_place);
    for (uint32_t i = b->submitted, next; i < b->ranges; i = next) {
        const struct range *r = &b->range[i];
        uint64_t from = r->off & ~page, to = (r->off + r->len + page) & ~page;
        for (next = i + 1; next < b->ranges; next++) {
            const struct range *n = &b->range[next];
            if (n->fd != r->fd || (n->off & ~page) > to)
                break;
            uint64_t its = (n->off + n->len + page) & ~page;
            to = its > to ? its : to;
        }
        cover(b, from, to, i, next);
    }
}

/* ---- windows to ranges ---- */

static char *slot_room(const struct read_batch *b, int slot)
{
    return b->room + (size_t)slot * WINDOW;
}

static void came(struct read_batch *b, uint32_t at, size_t bytes, int res)
{
    struct range *r = &b->range[at];
    if (res < 0 && r->res == 0)
        r->res = res;
    r->left -= bytes;
    if (r->left == 0)
        b->ended[b->ended_count++] = at;
}

/* The window is over: it has w->got bytes, and res says why there are no more. */
static void landed(struct read_batch *b, int slot, int res)
{
    const struct window *w = &b->window[b->slot_window[slot]];
    for (uint32_t i = w->first; i < w->end; i++) {
        struct range *r = &b->range[i];
        uint64_t from = r->off > w->off ? r->off : w->off, to = r->off + r->len, got = w->off + w->got;
        to = to < w->off + w->len ? to : w->off + w->len;
        if (from >= to)
            continue;
        if (from < got)
            memcpy(r->buf + (from - r->off), slot_room(b, slot) + (from - w->off), (to < got ? to : got) - from);
        came(b, i, to - from, to <= got ? 0 : res < 0 ? res : -ENODATA);
    }
    b->free_slot[b->free_slots++] = (uint8_t)slot;
}

/* Notes one answer of the kernel. True: the window is over. An odd number of bytes is the end of the file. */
static bool account(struct window *w, int res)
{
    if (res == -EINTR || res == -EAGAIN)
        return false;
    if (res <= 0)
        return true;
    w->got += (uint32_t)res;
    return w->got >= w->len || w->got % READ_PAGE;
}

/* ---- the two engines ---- */

static void prepare(struct read_batch *b, int slot)
{
    const struct window *w = &b->window[b->slot_window[slot]];
    struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);
    assert(sqe); /* there are as many entries as slots */
    char *to = slot_room(b, slot) + w->got;
    if (b->fixed)
        io_uring_prep_read_fixed(sqe, w->fd, to, w->len - w->got, w->off + w->got, 0);
    else
        io_uring_prep_read(sqe, w->fd, to, w->len - w->got, w->off + w->got);
    io_uring_sqe_set_data64(sqe, (uint64_t)slot);
}

static void read_plain(struct read_batch *b, int slot)
{
    struct window *w = &b->window[b->slot_window[slot]];
    int res;
    do {
        ssize_t r = pread(w->fd, slot_room(b, slot) + w->got, w->len - w->got, (off_t)(w->off + w->got));
        res = r < 0 ? -errno : (int)r;
    } while (!account(w, res));
    landed(b, slot, res);
}

static void pump(struct read_batch *b)
{
    while (b->free_slots && b->next_window < b->windows) {
        int slot = b->free_slot[--b->free_slots];
        b->slot_window[slot] = b->next_window++;
        b->asked++;
        if (b->uring)
            prepare(b, slot);
        else
            read_plain(b, slot);
    }
}

static void reap(struct read_batch *b)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;
    io_uring_for_each_cqe(&b->ring, head, cqe)
    {
        int slot = (int)cqe->user_data;
        n++;
        if (account(&b->window[b->slot_window[slot]], cqe->res))
            landed(b, slot, cqe->res);
        else
            prepare(b, slot);
    }
    io_uring_cq_advance(&b->ring, n);
}

void read_batch_submit(struct read_batch *b)
{
    plan(b);
    for (uint32_t i = b->submitted; i < b->ranges; i++)
        if (b->range[i].len == 0)
            came(b, i, 0, 0);
    b->submitted = b->ranges;
    pump(b);
    if (b->uring)
        io_uring_submit(&b->ring);
}

bool read_batch_next(struct read_batch *b, struct read_end *end)
{
    while (b->told == b->ended_count) {
        if (b->ended_count == b->submitted)
            return false;
        pump(b);
        if (!b->uring)
            continue;
        io_uring_submit_and_wait(&b->ring, 1); /* interrupted or short of memory: once more */
        reap(b);
    }
    const struct range *r = &b->range[b->ended[b->told++]];
    *end = (struct read_end){.tag = r->tag, .res = r->res};
    return true;
}

int read_batch_wait(struct read_batch *b)
{
    struct read_end end;
    int res = 0;
    while (read_batch_next(b, &end))
        res = res < 0 ? res : end.res;
    return res;
}
