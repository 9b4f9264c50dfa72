/* A vector index as a library: named vectors with an optional attribute text, and the k nearest of them to a query.
 *
 * How to think of it: a map from names to (vector, attributes) that can also be asked by nearness. It lives in memory,
 * or on one file that is mapped when it is opened and written only by checkpoints, so that the file always is the last
 * complete checkpoint. It knows nothing of keys, clients or commands. README.md has the structures and the invariants.
 *
 * Scores, as a client sees them: COSINE (1 + cos) / 2, 1 is the same direction and a zero vector scores 0.5 with
 * everything; L2 the Euclidean distance itself, smaller is better; IP the inner product itself, larger is better.
 * Results come best first.
 *
 * Threads. One writer: whoever calls a function marked `loop` (they change the index or read what only the writer may).
 * Functions marked `any` may run on any number of threads meanwhile, as long as the caller holds a reference. Neither
 * side ever waits for the other. */
#ifndef VEC_VEC_H
#define VEC_VEC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define VEC_MAX_DIM    65536
#define VEC_MAX_NAME   65536     /* bytes; at least 1 is needed */
#define VEC_MAX_ATTR   (1 << 20) /* bytes */
#define VEC_MAX_K      1000000
#define VEC_MAX_EF     1000000
#define VEC_MIN_M      4
#define VEC_MAX_M      4096
#define VEC_MAX_LEVELS 16

enum vec_metric { VEC_COSINE, VEC_L2, VEC_IP };
enum vec_kind { VEC_HNSW, VEC_FLAT };
/* What the graph is walked on. NONE: the floats. Q8: a byte a component with a scale per vector; a second byte, kept
 * apart, ranks the last candidates again, so a vector is known to 16 bits of its own range (whole numbers that span at
 * most 255: exactly). F16: half floats with a scale per vector, 11 bits of every component; nothing is ranked again.
 * BIN: a bit a component; the two bytes of Q8 are kept apart, for building the graph and for ranking every candidate
 * again. */
enum vec_quant { VEC_QUANT_NONE, VEC_QUANT_Q8, VEC_QUANT_F16, VEC_QUANT_BIN };

struct vec_config {
    uint32_t dim; /* 1..VEC_MAX_DIM; the only field without a default: {.dim = n} is a valid config */
    enum vec_metric metric;
    enum vec_kind kind;
    enum vec_quant quant;
    uint32_t m;               /* links a node makes; 0 is 16 */
    uint32_t ef_construction; /* candidates looked at per insert; 0 is 200 */
    uint64_t seed;            /* of the level generator; 0 draws one */
    uint64_t budget;          /* on a file: bytes of memory it may take, see below; 0: no limit */
};

struct vec_index;
struct filter;
struct file_io;

/* ---- life ---------------------------------------------------------------------------------------------------- */

/* An empty index in memory, with one reference. */
int vec_create(struct vec_index **out, const struct vec_config *c, struct err *err); /* loop */

/* On a file. vec_create_file refuses a path that exists (ERR_BUSYKEY); the file is a valid empty checkpoint when it
 * returns. vec_open maps the last complete checkpoint: it applies a finished double-write area that a crash left, reads
 * one header and maps; its cost does not depend on the size. A file that is not ours, of another version, too short or
 * with a broken header is refused with a sentence. */
int vec_create_file(struct vec_index **out, const char *path, const struct vec_config *c, struct err *err); /* loop */
int vec_open(struct vec_index **out, const char *path, struct err *err);                                    /* loop */
int vec_drop_file(const char *path,
                  struct err *err); /* removes the file and its double-write area; an open index goes on */

/* An index on a file with a budget keeps codes, links, names and attributes in memory, and what has changed since the
 * last checkpoint; the rest of the vectors' precision is read from the file for the last candidates of a search. The
 * budget is a promise of two: vec_room says when codes and links fill it, and who owns the index checkpoints early and
 * calls vec_trim now and then. */
enum vec_reads {
    VEC_READS_BUFFERED,
    VEC_READS_DIRECT,
    VEC_READS_MAPPED
};                                                        /* through the page cache, past it, not at all */
void vec_reads(enum vec_reads how);                       /* of what is opened from now on; any */
int vec_room(const struct vec_index *v, struct err *err); /* loop; ERR_OOM: one more element is too much */
void vec_trim(struct vec_index *v); /* loop; gives back pages that the file has: at most a system call a run */

struct vec_index *vec_ref(struct vec_index *v); /* any; returns v */
void vec_unref(struct vec_index *v); /* any; NULL allowed; the last one frees (and closes without a checkpoint) */

/* ---- elements ------------------------------------------------------------------------------------------------ */

enum vec_added { VEC_UPDATED = 0, VEC_ADDED = 1 }; /* what vec_add returns when it is not negative */

/* attr.p NULL keeps the attributes of an element that exists; an empty one removes them. Errors leave the index as it
 * was: ERR_INVALID (length of the vector, NaN or infinity, name or attributes too long), ERR_OOM, ERR_IO (damaged
 * file). */
int vec_add(struct vec_index *v, struct slice name, const float *x, uint32_t dim, struct slice attr,
            struct err *err); /* loop */

/* vec_add in two steps, so that the part which takes long and only reads can be a worker's: prepare checks the input
 * and copies it, plan looks for links, commit adds. Between them the index may change in any way; commit uses what
 * still holds. An index that holds few elements is not worth the trouble: vec_add_is_quick. */
struct vec_addition;
int vec_prepare(struct vec_addition **out, struct vec_index *v, const float *x, uint32_t dim,
                struct err *err);                                                              /* loop */
void vec_plan(struct vec_addition *a);                                                         /* any */
int vec_commit(struct vec_addition *a, struct slice name, struct slice attr, struct err *err); /* loop; as vec_add */
void vec_addition_destroy(struct vec_addition *a);                                             /* loop; NULL allowed */
const struct vec_index *vec_addition_for(const struct vec_addition *a);
bool vec_add_is_quick(const struct vec_index *v); /* loop */

bool vec_remove(struct vec_index *v, struct slice name);         /* loop; false: there was none */
bool vec_contains(const struct vec_index *v, struct slice name); /* loop */
/* Borrowed until the next change of the index. True with an empty slice: the element has no attributes. */
bool vec_get_attr(const struct vec_index *v, struct slice name, struct slice *attr); /* loop */
/* 1 set, 0 no such element, or negative. Empty attr removes. */
int vec_set_attr(struct vec_index *v, struct slice name, struct slice attr, struct err *err); /* loop */
/* The vector as it was given, up to float rounding (COSINE keeps the length beside the normalised vector) and, with
 * codes, up to 1/130,000 of its range (F16: 1/2,000 of each component). `to` has room for vec_dim floats. */
bool vec_get_vector(const struct vec_index *v, struct slice name, float *to); /* loop */
/* The same without the length, which is *norm (1 unless COSINE). */
bool vec_get_raw(const struct vec_index *v, struct slice name, float *to, float *norm); /* loop */

/* Walks all elements: *cursor starts at 0; false at the end. An element that is there from the first call to the last
 * without being updated is given exactly once. The slices are borrowed until the next change. */
bool vec_next(const struct vec_index *v, uint32_t *cursor, struct slice *name, struct slice *attr); /* loop */
bool vec_random(struct vec_index *v, struct slice *name); /* loop; false when empty; borrowed until the next change */

/* The neighbours of an element: visit(arg, level, name, score) for every link, level by level from the highest down.
 * False: no such element. *levels (NULL allowed) is how many levels it is on. */
bool vec_links(const struct vec_index *v, struct slice name, int *levels,
               void (*visit)(void *arg, int level, struct slice name, double score), void *arg); /* loop */

/* ---- search -------------------------------------------------------------------------------------------------- */

struct vec_query {
    const float *x;              /* vec_dim floats, borrowed for the call */
    uint32_t dim;                /* checked against the index */
    uint32_t k;                  /* 1..VEC_MAX_K */
    uint32_t ef;                 /* candidates kept during the walk; 0 is 100; raised to k */
    const struct filter *filter; /* NULL: everything matches */
    uint32_t filter_ef;          /* with walk_only: how many nodes may be judged; 0 is k * 100 */
    bool walk_only;              /* filter_ef binds: no scan, though a walk found fewer than k */
    bool exact;                  /* compare with every element (TRUTH) */
    bool has_radius; /* only results whose score is at least `radius` (L2: a distance of at most `radius`) */
    double radius;
    bool with_attr;            /* copy attributes into the results */
    const atomic_bool *cancel; /* NULL, or polled: when it turns true the search ends with ERR_CANCELLED */
};

struct vec_hit {
    struct slice name; /* owned by the result */
    struct slice attr; /* empty without with_attr or without attributes */
    double score;
};

struct vec_result {
    struct vec_hit *hits; /* best first */
    uint32_t count;
    uint64_t distances; /* how many were computed: what the search cost */
    char *text;         /* private: the names' and attributes' bytes */
};

/* any. Fills r, which owns copies of everything; nothing in it points into the index. On error r is empty. A search
 * sees every element that was acknowledged before it began and not removed meanwhile. */
int vec_search(const struct vec_index *v, const struct vec_query *q, struct vec_result *r, struct err *err);
void vec_result_release(struct vec_result *r);

/* ---- facts --------------------------------------------------------------------------------------------------- */

struct vec_stats {
    struct vec_config config;             /* defaults filled in */
    uint64_t count;                       /* elements */
    uint64_t with_attr;                   /* of them with attributes */
    uint64_t node_uid;                    /* nodes ever made: grows by one per add or update */
    uint64_t deleted;                     /* removed nodes whose slot waits to be used again */
    int max_level;                        /* of the entry point; -1 when empty */
    uint64_t level_count[VEC_MAX_LEVELS]; /* nodes whose top level is i; filled by vec_stats_full only */
    uint64_t links, alone;                /* the same; alone: nodes without any link, found only by a scan */
    uint64_t
        memory; /* bytes of memory that are ours alone: all of it, or the pages changed since the last checkpoint */
    uint64_t on_file;  /* bytes of the file; 0 in memory */
    uint64_t resident; /* bytes of memory that it needs: what cannot be left on the file */
    uint64_t reads;    /* made of the file for searches since it was opened */
    uint64_t dirty;    /* bytes that the next checkpoint will write */
    uint64_t lsn;      /* of the checkpoint that the file holds */
    uint64_t epoch;    /* how many checkpoints there have been */
    uint32_t columns;  /* attributes that filters have a column for */
    uint64_t column_bytes;
};

uint64_t vec_count(const struct vec_index *v);                       /* any */
uint32_t vec_dim(const struct vec_index *v);                         /* any */
enum vec_metric vec_metric(const struct vec_index *v);               /* any */
void vec_stats(const struct vec_index *v, struct vec_stats *s);      /* loop; O(1) */
/* Links on level 0 that a node has, the mean of at most 1,000 nodes spread over all; 0 when there are none. loop */
double vec_mean_degree(const struct vec_index *v);
void vec_stats_full(const struct vec_index *v, struct vec_stats *s); /* loop; walks all nodes */

/* Checks every structure against every other: links both ways, names found, free lists whole, no unit used twice. 0, or
 * ERR_IO with what is wrong. Takes long: for tests and tools. loop */
int vec_verify(const struct vec_index *v, struct err *err);

/* ---- checkpoints --------------------------------------------------------------------------------------------- */

/* Writes everything changed since the last checkpoint into the file, as one step, and lsn with it. The state written is
 * that of the call; changes made while it is under way belong to the next. done(arg, res) comes on the loop: 0 or an
 * ERR_ code (the old checkpoint then still stands and what was to be written stays dirty). Holds a reference meanwhile.
 * ERR_STATE at once, without done: one is under way already; ERR_INVALID: the index has no file. loop */
int vec_checkpoint(struct vec_index *v, struct file_io *io, uint64_t lsn, void (*done)(void *arg, int res), void *arg,
                   struct err *err);
/* A checkpoint becomes the file's only when open(its lsn) says so; until then it waits, and vec_checkpoint_go_on asks
 * again. So a file need never hold what its owner's journal may yet lose. NULL: no gate. Loop. */
void vec_checkpoint_gate(struct vec_index *v, bool (*open)(uint64_t lsn));
void vec_checkpoint_go_on(struct vec_index *v);
bool vec_checkpointing(const struct vec_index *v); /* loop */
uint64_t vec_lsn(const struct vec_index *v); /* loop; what is on file; 0 in memory and on a file never checkpointed */

/* ---- as bytes ------------------------------------------------------------------------------------------------ */

/* A self-contained copy with the graph, for dumps. The same bytes on every machine of our byte order. False: `to` is
 * full. */
bool vec_save(const struct vec_index *v, struct buf *to); /* loop */
/* A new index from such bytes, in memory or, with a path, on a new file (as vec_create_file; checkpoint it then).
 * Everything is checked: ids, levels, lengths, links both ways, names unique. ERR_INVALID says what is wrong. */
int vec_load(struct vec_index **out, struct slice from, const char *path, struct err *err); /* loop */

#endif
