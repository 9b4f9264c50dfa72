/* A filter that is nothing but terms joined by `and`, each one attribute compared with one constant, judged straight on
 * the words of the columns: some nanoseconds a node. Most filters are of this kind.
 *
 * Thread: any, as columns.h. */
#ifndef VEC_TERMS_H
#define VEC_TERMS_H

#include "vec/columns.h"
#include "vec/filter_run.h"

#define TERMS_MOST 8

struct term {
    const struct column *col;
    enum op op;
    double num; /* compared with a number */
    uint64_t
        word;     /* or, EQ and NE: the word of the text it is compared with; one that no node has, if the dictionary */
    uint64_t end; /* does not have it. Words from `end` on are of texts that came later, maybe that very one */
};
struct terms {
    uint32_t n; /* 0: the filter is not of this kind */
    struct term at[TERMS_MOST];
};

/* col[i] is the column of f->fields[i]. */
void terms_init(struct terms *t, const struct filter *f, struct column *const *col);

enum term_says { TERM_FALSE, TERM_TRUE, TERM_UNKNOWN }; /* UNKNOWN: the word does not tell; ask otherwise */

static inline bool term_compare(enum op op, double a, double b)
{
    switch (op) {
    case OP_GT: return a > b;
    case OP_GE: return a >= b;
    case OP_LT: return a < b;
    case OP_LE: return a <= b;
    case OP_EQ: return a == b;
    default: return a != b;
    }
}

static inline enum term_says term_test(const struct term *t, uint32_t node)
{
    const _Atomic uint64_t *at = column_at(t->col, node);
    uint64_t w = at ? atomic_load_explicit(at, memory_order_acquire) : WORD(WORD_UNSET);
    if (word_is_number(w) && !t->word)
        return term_compare(t->op, word_number(w), t->num) ? TERM_TRUE : TERM_FALSE;
    if (WORD_TAG(w) == WORD_TEXT && t->word && w < t->end)
        return (w == t->word) == (t->op == OP_EQ) ? TERM_TRUE : TERM_FALSE;
    return w == WORD(WORD_MISSING) ? TERM_FALSE : TERM_UNKNOWN;
}

/* One false term makes the whole filter false, whatever the other words are. */
static inline enum term_says terms_test(const struct terms *t, uint32_t node)
{
    enum term_says all = TERM_TRUE;
    for (uint32_t i = 0; i < t->n; i++) {
        enum term_says one = term_test(&t->at[i], node);
        if (one == TERM_FALSE)
            return TERM_FALSE;
        all = one == TERM_UNKNOWN ? TERM_UNKNOWN : all;
    }
    return all;
}

#define TERMS_BLOCK 64
/* Of 64 nodes from a multiple of 64 on, a bit for each that the words do not rule out. */
uint64_t terms_block(const struct terms *t, uint32_t first);

#endif
