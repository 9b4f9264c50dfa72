/* Typed columns: what filters need of the attributes, a word of eight bytes for each node and attribute, so that a
 * candidate is judged without reading its JSON text.
 *
 * A column is made by the first search whose filter names its attribute, and is empty then. Whoever first wants a word
 * that is not there reads it out of the text and leaves it for the next; so a column costs what is asked of it and
 * nobody waits for it to be built. From then on the writer keeps it true: a node that takes a number over clears its
 * words, and changed attributes are written to every column.
 *
 * A word is a number (the bits of the double, inverted) or, at most 2^51, a tag << 32 and the number of a text. No
 * number looks like a tag: those would be NaNs, which JSON does not have.
 *
 * Thread: columns_find and columns_word are `any` between epoch_begin and epoch_end; the rest is `loop`. README.md,
 * invariants 13 to 17. */
#ifndef VEC_COLUMNS_H
#define VEC_COLUMNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/slice.h"
#include "vec/texts.h"

#define COLUMNS_MOST  16 /* of an index; filters that name more attributes read the text */
#define COLUMN_NAME   64 /* bytes of an attribute's name; longer ones have no column */
#define COLUMN_CHUNKS 20 /* chunk 0 holds 2^COLUMN_SHIFT words, chunk k as many as all before it */
#define COLUMN_SHIFT  13

struct vec_index;

enum {
    WORD_UNSET,   /* nobody has asked yet */
    WORD_MISSING, /* no such attribute, or one that makes every filter false */
    WORD_NULL,
    WORD_ASK,  /* a column cannot hold it: ask the text */
    WORD_TEXT, /* | number in the column's dictionary */
    WORD_LIST, /* the same: the text between the brackets */
};
#define WORD_TAGGED ((UINT64_C(1) << 51) - 1) /* the greatest word that is not a number */
#define WORD(tag)   ((uint64_t)(tag) << 32)
#define WORD_TAG(w) ((unsigned)((w) >> 32))

static inline bool word_is_number(uint64_t w)
{
    return w > WORD_TAGGED;
}
static inline double word_number(uint64_t w)
{
    double d;
    w = ~w;
    memcpy(&d, &w, sizeof d);
    return d;
}

struct column {
    _Atomic(_Atomic uint64_t *) chunk[COLUMN_CHUNKS];
    struct texts texts;
    _Atomic size_t bytes; /* of the chunks */
    uint32_t name_len;
    char name[COLUMN_NAME];
};

struct columns {
    _Atomic(struct column *) at[COLUMNS_MOST]; /* filled from the front, never emptied */
    /* Odd while the writer changes the words of a living node. Who reads several words of a node looks before and
     * after: the same even number says that they belong together. */
    _Atomic uint64_t turn;
};

void columns_release(struct columns *c); /* nobody reads any more */

/* The column of an attribute, made when there is none yet. NULL: there are too many, or the name is too long. */
struct column *columns_find(struct columns *c, struct slice name);
/* The node's word, read out of the attributes when it is not there: never WORD_UNSET. The node was seen alive, or
 * linked to, by this reader. */
uint64_t columns_word(const struct vec_index *v, struct column *col, uint32_t node, struct buf *scratch);

/* A node takes its number over; nobody can see it yet. */
void columns_born(struct columns *c, uint32_t node);
/* Around the store of a living node's new attributes: */
void columns_changing(struct columns *c);
void columns_changed(struct columns *c, uint32_t node, struct slice attr);

uint32_t columns_count(const struct columns *c); /* any */
uint64_t columns_bytes(const struct columns *c); /* any */

/* Which chunk a node's word lies in. A node's number has 31 bits. */
static inline int column_chunk(uint32_t node)
{
    uint32_t q = node >> COLUMN_SHIFT;
    return q ? 32 - __builtin_clz(q) : 0;
}
/* Where the node's word is; NULL when there is no chunk yet. any */
static inline _Atomic uint64_t *column_at(const struct column *col, uint32_t node)
{
    int k = column_chunk(node);
    _Atomic uint64_t *chunk = atomic_load(&col->chunk[k]);
    return chunk ? chunk + (node - (k ? UINT32_C(1) << (COLUMN_SHIFT + k - 1) : 0)) : NULL;
}

#endif
