/* The memory of an index: a few areas of fixed-size units, each growing by doubling, none ever moving.
 *
 * Chunk 0 of an area holds the first 2^shift units and chunk k the next 2^(shift+k-1), so that capacity doubles with
 * each chunk, 32 pointers reach any size, and a unit's address is arithmetic on its number. In memory a chunk is
 * anonymous; on a file it is a private mapping of an extent of that file, and the pages written to are remembered: the
 * file changes only when a checkpoint copies those pages out.
 *
 * The checkpoint's view: space_freeze makes the pages dirty so far the frozen ones. A frozen page that is written to
 * before it has been released is copied first, so the checkpoint reads the state of the freeze while the writer goes
 * on.
 *
 * Thread: loop (the writer), but for space_at, which is `any` for units whose number was learnt from a link (the
 * release store of the link comes after the chunk was put in place). */
#ifndef VEC_SPACE_H
#define VEC_SPACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SPACE_PAGE   4096
#define SPACE_CHUNKS 32
#define SPACE_MAX    (UINT64_C(1) << 46) /* bytes of an area */

enum area_id {
    AREA_ROWS,  /* what a walk touches: the vector's code and its level-0 links */
    AREA_META,  /* what a result or an insert touches: name, attributes, hash chain */
    AREA_UPPER, /* links of one node on one upper level */
    AREA_TABLE, /* heads of the hash chains, names to nodes */
    AREA_HEAP,  /* the bytes of names and attributes */
    AREA_REST,  /* the rest of a vector's precision, for ranking the last candidates again */
    AREA_COUNT
};

/* As it stands in the file's header. */
struct area_desc {
    uint32_t unit;  /* bytes of one */
    uint32_t shift; /* log2 of the units in chunk 0 */
    uint64_t used;  /* units given out so far, unit 0 included (it stands for "none") */
    uint32_t chunks;
    uint32_t reserved;
    uint64_t extent[SPACE_CHUNKS]; /* where each chunk begins in the file */
};

struct area {
    _Atomic(uintptr_t) bias[SPACE_CHUNKS]; /* address of unit u of chunk k is bias[k] + u * unit */
    uint32_t unit, shift;
    struct area_desc d;
    size_t bytes[SPACE_CHUNKS];
    uint64_t *dirty[SPACE_CHUNKS];        /* a bit per page; NULL in memory */
    uint64_t *frozen[SPACE_CHUNKS];       /* the same for the checkpoint under way */
    char **saved[SPACE_CHUNKS];           /* copies of frozen pages that were written to since */
    _Atomic uint64_t *held[SPACE_CHUNKS]; /* AREA_REST: a bit per page whose bytes the file may lack; for readers */
    size_t noted;                         /* bytes told to mem_note */
};

struct space {
    int fd; /* -1 in memory */
    uint64_t file_size;
    uint64_t dirty_pages, frozen_pages;
    bool freezing;
    bool random; /* units are met in no order: the system need not read ahead. Set before the first is mapped */
    struct area area[AREA_COUNT];
};

/* Where a chunk begins and how many units it holds. */
static inline int space_chunk(const struct area *a, uint64_t u)
{
    uint64_t q = u >> a->shift;
    return q ? 64 - __builtin_clzll(q) : 0;
}
static inline uint64_t space_first(const struct area *a, int k)
{
    return k ? UINT64_C(1) << (a->shift + k - 1) : 0;
}
static inline uint64_t space_units(const struct area *a, int k)
{
    return UINT64_C(1) << (k ? a->shift + k - 1 : a->shift);
}

static inline void *space_at(const struct area *a, uint64_t u)
{
    return (void *)(atomic_load_explicit(&a->bias[space_chunk(a, u)], memory_order_relaxed) + u * a->unit);
}

void space_init(struct space *s, int fd, uint64_t file_size,
                const uint32_t unit[AREA_COUNT]); /* takes no ownership of fd */
void space_release(struct space *s);
/* Maps the areas as the header describes them. Refuses extents that overlap the headers or pass the end of the file. */
int space_map(struct space *s, const struct area_desc desc[AREA_COUNT], struct err *err);

/* Room for `n` units after `used` (used stays): chunks are added as needed. ERR_OOM, ERR_IO. */
int space_reserve(struct space *s, enum area_id id, uint64_t n, struct err *err);

/* `bytes` more of an area are in use whose use cannot be seen from `used`: AREA_REST is written to for some units only.
 */
void space_count(struct space *s, enum area_id id, size_t bytes);

/* Must come before every write to [p, p + n), which lies in unit u of the area. */
void space_dirty(struct space *s, enum area_id id, const void *p, size_t n, uint64_t u);
static inline void space_touch(struct space *s, enum area_id id, uint64_t u, const void *p, size_t n)
{
    if (s->fd >= 0)
        space_dirty(s, id, p, n, u);
}

/* A unit of AREA_REST: does the file have it, and where? True holds for as long as the unit is not given to another
 * node. Any, as space_at. */
bool space_on_file(const struct area *a, uint64_t u, uint64_t *off);
/* Pages of AREA_REST that the file has leave the process; who looks at them meets them again. */
void space_trim(struct space *s);
/* Starts to read the pages of a unit from the file, without waiting. A number that points nowhere is let be. Any. */
void space_fetch(const struct area *a, uint64_t u);
/* The same for n units from u on, as far as they lie in its chunk. Nothing in memory. */
void space_fetch_many(const struct space *s, enum area_id id, uint64_t u, uint64_t n);
/* Bytes in memory without what can be trimmed: all of every other area that is in use, and of AREA_REST what the file
 * does not have. */
uint64_t space_resident(const struct space *s);

/* Bytes in memory that are ours alone. */
uint64_t space_memory(const struct space *s);

void space_freeze(struct space *s);
/* The next frozen page from *cursor on: its place in the file and its frozen content. False: no more. */
bool space_frozen_next(const struct space *s, uint64_t *cursor, uint64_t *off, const char **page);
/* Ends the freeze. kept: the pages are on file now; otherwise they are dirty again. */
void space_thaw(struct space *s, bool kept);

#endif
