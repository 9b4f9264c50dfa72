/* The inside of an index, shared by the files of this folder only: the header as it stands in the file, the records in
 * the areas, and the struct around them. README.md has the picture. All numbers are little-endian, as the machine has
 * them. */
#ifndef VEC_INDEX_H
#define VEC_INDEX_H

#include <assert.h>
#include <float.h>

#include "base/rng.h"
#include "simd/simd.h"
#include "vec/rabitq.h"
#include "vec/space.h"
#include "vec/vec.h"

#define VEC_MAGIC      "SKALDVEC"
#define VEC_VERSION    2
#define VEC_BYTE_ORDER 0x01020304u
#define HEAP_CLASSES   64
#define VEC_MAX_NODE   0x7ffffffe /* a walk keeps a mark in the top bit of a number */

/* ---- the header ---------------------------------------------------------------------------------------------- *
 *
 *   offset  size  field
 *        0     8  magic           "SKALDVEC"
 *        8     4  version         2
 *       12     4  byte_order      0x01020304
 *       16     8  uid             random, the same for the life of the file; also seeds the name hash
 *       24     8  epoch           checkpoints so far; header (epoch & 1) of the two holds it
 *       32     8  lsn             the caller's number for what this checkpoint contains
 *       40    40  config          dim, metric, kind, quant, m, ef_construction, seed, budget
 *       80    32  rng             state of the level generator
 *      112     8  entry           level << 32 | node; 0 when empty
 *      120    24  count, with_attr, node_uid
 *      144     8  buckets         of the name table
 *      152    24  nodes: free_head, free_count, limbo_head, limbo_tail, limbo_count; upper_free
 *      176    24  heap: limbo_head, limbo_tail, limbo_count
 *      200   512  heap: heads of the free lists by size class
 *      712     8  file_size
 *      720  1680  areas           6 x 280: unit, shift, used, chunks, extents
 *     2400  1692  zero
 *     4092     4  crc             CRC32C of the 4092 bytes before it
 */
struct vec_header {
    char magic[8];
    uint32_t version, byte_order;
    uint64_t uid, epoch, lsn;
    uint32_t dim, metric, kind, quant, m, ef_construction;
    uint64_t seed, budget; /* budget: bytes of memory that an index on file may take; 0: no limit */
    uint64_t rng[4];
    uint64_t entry;
    uint64_t count, with_attr, node_uid;
    uint64_t buckets;
    uint32_t free_head, free_count, limbo_head, limbo_tail, limbo_count, upper_free;
    uint64_t heap_limbo_head, heap_limbo_tail, heap_limbo_count;
    uint64_t heap_free[HEAP_CLASSES];
    uint64_t file_size;
    struct area_desc area[AREA_COUNT];
    char zero[1692];
    uint32_t crc;
};
static_assert(sizeof(struct area_desc) == 280, "the area description is 280 bytes");
static_assert(offsetof(struct vec_header, dim) == 40 && offsetof(struct vec_header, rng) == 80, "header layout");
static_assert(offsetof(struct vec_header, entry) == 112 && offsetof(struct vec_header, buckets) == 144,
              "header layout");
static_assert(offsetof(struct vec_header, heap_limbo_head) == 176 && offsetof(struct vec_header, heap_free) == 200,
              "header layout");
static_assert(offsetof(struct vec_header, file_size) == 712 && offsetof(struct vec_header, area) == 720,
              "header layout");
static_assert(offsetof(struct vec_header, crc) == 4092 && sizeof(struct vec_header) == SPACE_PAGE, "header layout");

/* ---- records in the areas -------------------------------------------------------------------------------------- */

/* AREA_ROWS, one per node; node 0 is "none".
 *   0  4  state   low byte: NODE_FREE, NODE_LIVE or NODE_DEAD; next byte: level
 *   4  4  upper   AREA_UPPER unit of level 1; 0 on level 0
 *   8  4  norm    length taken out of the vector (COSINE), else 1
 *  12  8  lo, step   Q8, BIN: component i is lo + step * byte i; F16: step * half i; NONE: 0
 *  20  8  sum, sum2  Q8, BIN: of the bytes, of their squares; else 0
 *  28  4  flags   ROW_REST: AREA_REST has the rest of the precision, else it is zero; ROW_REST_ROOM: once it had
 *  32     the code: dim floats, dim bytes, dim halves, or struct bin
 *  next multiple of 4: 2m level-0 links, compact, the rest 0; none when kind is FLAT
 *  the row ends at a multiple of 32.
 * AREA_REST, one per node, same number: Q8: dim signed bytes; BIN: dim bytes as Q8 has them, then those; else nothing.
 * Row 0 (no node) of a BIN index has the centre that the bits are relative to, once there is one: ROW_REST says so. */
struct row {
    _Atomic uint32_t state;
    uint32_t upper;
    float norm;
    float lo, step;
    uint32_t sum, sum2;
    uint32_t flags;
};
static_assert(sizeof(struct row) == 32, "row head");
enum { ROW_REST = 1, ROW_REST_ROOM = 2 };
/* The code of a BIN row. */
struct bin {
    struct rabitq_factors f; /* f.dot is 0 as long as the index has no centre */
    uint64_t bits[];
};
static_assert(sizeof(struct bin) == 16, "head of the bits");
enum { NODE_FREE, NODE_LIVE, NODE_DEAD, NODE_LEAVING }; /* LEAVING: alive, its successor of the same name is entering */

/* AREA_META, 32 bytes, one per node, same number. */
struct meta {
    uint64_t name;         /* AREA_HEAP unit */
    _Atomic uint64_t attr; /* the same; 0: none */
    uint32_t hash;
    uint32_t next; /* hash chain; of a dead or free node: the next on its list */
    uint64_t uid;  /* which add or update made the node */
};
static_assert(sizeof(struct meta) == 32, "meta");

/* AREA_UPPER, 16 + 4m bytes: links of one node on one level. FLAT with bits: struct bin_block (bin.h). */
struct upper {
    uint32_t up;   /* the same node one level higher; of a free unit: the next on the free list */
    uint32_t node; /* 0: free */
    uint32_t level;
    uint32_t zero;
    _Atomic uint32_t links[];
};
static_assert(sizeof(struct upper) == 16, "upper");

/* AREA_HEAP, units of 16 bytes; a block is this head and its bytes, and never crosses a chunk. */
struct block {
    uint32_t len;  /* bytes in use after the head */
    uint32_t cls;  /* size class: how many units the block has */
    uint64_t next; /* of a freed block: the next on its list. A reader may still look at the rest */
};
static_assert(sizeof(struct block) == 16, "block");

/* ---- the index ------------------------------------------------------------------------------------------------- */

/* A stretch of a limbo list that was unlinked before `mark`. */
struct limbo_mark {
    uint64_t mark;
    uint32_t count;
};
/* First in, first out. What waits is on a list in the file too, so that a checkpoint loses nothing of it. */
struct limbo {
    struct limbo_mark *marks;
    uint32_t head, n, cap;
};

struct checkpoint;
struct columns;

#define RECENT 64

struct vec_index {
    atomic_int refs;
    struct space space;
    struct vec_header h;    /* the writer's; entry, count and area[].used are kept beside it until a checkpoint */
    _Atomic uint64_t entry; /* level << 32 | node */
    _Atomic uint64_t count;
    _Atomic uint32_t top;          /* node numbers given out are below this */
    atomic_bool damaged;           /* a number in the file pointed nowhere: every call says so from then on */
    uint32_t m0;                   /* links on level 0 */
    uint32_t code_bytes;           /* of a row, after its head */
    uint32_t rest_bytes;           /* of AREA_REST; 0: none */
    uint32_t links_at;             /* where the level-0 links begin in a row */
    double level_scale;            /* 1 / ln m */
    struct rabitq rabitq;          /* BIN */
    _Atomic(const float *) centre; /* BIN: what the bits are relative to; NULL: they are not there yet */
    struct rng rng;
    struct {
        uint64_t uid;
        uint32_t node;
    } recent[RECENT];        /* the last that were added, at uid % RECENT */
    _Atomic uint64_t newest; /* h.node_uid, for readers */
    struct limbo node_limbo, heap_limbo;
    struct columns *columns; /* of attributes, for filters */
    uint64_t lsn_on_file;
    char *path;      /* NULL in memory */
    int dw_fd;       /* the double-write file; -1 in memory */
    bool dw_pending; /* the last checkpoint failed after its commit: the double-write file holds what the file should */
    int read_fd;     /* the file once more, for rest.h; -1: AREA_REST is mapped */
    _Atomic int cold;              /* searches still to come for which the file's pages may not be in memory */
    _Atomic uint64_t reads;        /* made by it */
    struct checkpoint *checkpoint; /* under way */
    bool (*gate)(uint64_t lsn);    /* may a checkpoint with this lsn become the file's? NULL: always */
};

#define ENTRY_NODE(e)  ((uint32_t)(e))
#define ENTRY_LEVEL(e) ((int)((e) >> 32))
#define NODE_LEVEL(s)  ((int)((s) >> 8 & 0xff))
#define NODE_KIND(s)   ((int)((s)&0xff))

static inline struct row *vec_row(const struct vec_index *v, uint32_t node)
{
    return space_at(&v->space.area[AREA_ROWS], node);
}
static inline struct meta *vec_meta(const struct vec_index *v, uint32_t node)
{
    return space_at(&v->space.area[AREA_META], node);
}
static inline struct upper *vec_upper(const struct vec_index *v, uint32_t unit)
{
    return space_at(&v->space.area[AREA_UPPER], unit);
}
static inline _Atomic uint32_t *vec_links0(const struct vec_index *v, struct row *r)
{
    return (_Atomic uint32_t *)(void *)((char *)r + v->links_at);
}
static inline uint32_t vec_state(const struct vec_index *v, uint32_t node)
{
    return atomic_load_explicit(&vec_row(v, node)->state, memory_order_acquire);
}
static inline bool vec_alive(const struct vec_index *v, uint32_t node)
{
    int kind = NODE_KIND(vec_state(v, node));
    return kind == NODE_LIVE || kind == NODE_LEAVING;
}
static inline uint32_t vec_top(const struct vec_index *v)
{
    return atomic_load_explicit(&v->top, memory_order_acquire);
}
static inline bool vec_damaged(const struct vec_index *v)
{
    return atomic_load_explicit(&v->damaged, memory_order_relaxed);
}
/* Notes that a number read from the file points nowhere. Readers may do it, hence the cast. */
static inline void vec_set_damaged(const struct vec_index *v)
{
    atomic_store_explicit(&((struct vec_index *)v)->damaged, true, memory_order_relaxed);
}
/* ERR_IO with the sentence when the file has been found damaged. */
int vec_check(const struct vec_index *v, struct err *err);

/* The order inside: smaller is nearer. NaN and what overflows count as very far. */
static inline float vec_distance(const struct vec_index *v, const float *a, const float *b)
{
    float d = v->h.metric == VEC_L2 ? simd.l2sq_f32(a, b, v->h.dim) : -simd.dot_f32(a, b, v->h.dim);
    if (v->h.metric == VEC_COSINE)
        d += 1;
    return d <= FLT_MAX ? d : FLT_MAX;
}
double vec_score(const struct vec_index *v, float distance);

/* vec.c: an index around a space that has been set up; names of the header's fields must hold. Takes nothing over on
 * error. */
void vec_derive(struct vec_index *v);
int vec_config_check(struct vec_config *c, struct err *err); /* fills defaults in */
struct vec_index *vec_new(const struct vec_config *c, int fd, uint64_t file_size);
void vec_free(struct vec_index *v);

/* Nodes: their numbers come from the free list or from the end. */
void vec_node_retire(struct vec_index *v, uint32_t node);
void vec_reclaim(struct vec_index *v, int most); /* moves what no reader can see any more to the free lists */
struct coded;
int vec_add_node(struct vec_index *v, struct slice name, uint32_t hash, const struct coded *c, struct slice attr,
                 int level, uint32_t *node, struct err *err);
void vec_set_state(struct vec_index *v, uint32_t node, uint32_t state); /* a release store */
void vec_remember(struct vec_index *v, uint32_t node);                  /* it is the last that was linked */
/* vec_add of a vector that is coded already; plan NULL: links are looked for now. */
struct hnsw_plan;
int vec_put(struct vec_index *v, struct slice name, const struct coded *c, struct slice attr,
            const struct hnsw_plan *plan, struct err *err);

/* Limbo marks. */
void limbo_push(struct limbo *l, uint64_t mark, uint32_t count);
bool limbo_ready(const struct limbo *l); /* may the oldest go? */
void limbo_pop(struct limbo *l);

#endif
