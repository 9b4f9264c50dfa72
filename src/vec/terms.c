/* Recognises `.field op constant [and ...]` in a compiled program: field, constant, comparison, and after each but the
 * first an AND (or all of them at the end, with brackets on the right). */
#include "vec/terms.h"

static bool comparison(enum op op)
{
    return op >= OP_GT && op <= OP_NE;
}

static bool term_init(struct term *t, const struct instr *c, const struct filter *f, struct column *const *col)
{
    if (c[0].op != OP_FIELD || c[1].op != OP_CONST || !comparison(c[2].op))
        return false;
    const struct fvalue *k = &f->consts[c[1].at];
    *t = (struct term){.col = col[c[0].at], .op = c[2].op, .num = k->num};
    if (k->kind == FV_NUM)
        return true;
    if (k->kind != FV_TEXT || (t->op != OP_EQ && t->op != OP_NE))
        return false;
    uint32_t n;
    int64_t number = texts_find(&col[c[0].at]->texts, k->text, &n);
    t->word = number >= 0 ? WORD(WORD_TEXT) | (uint64_t)number : WORD(WORD_TEXT) | UINT32_MAX;
    t->end = WORD(WORD_TEXT) | n;
    return number != TEXTS_BUSY;
}

void terms_init(struct terms *t, const struct filter *f, struct column *const *col)
{
    uint32_t n = 0;
    t->n = 0;
    for (uint32_t i = 0; i < f->code_n;) {
        if (f->code[i].op == OP_AND) {
            i++;
            continue;
        }
        if (n == TERMS_MOST || i + 3 > f->code_n || !term_init(&t->at[n++], &f->code[i], f, col))
            return;
        i += 3;
    }
    t->n = n;
}

static inline __attribute__((always_inline)) uint64_t block_of(const _Atomic uint64_t *at, enum op op, double num)
{
    uint64_t may = 0;
    for (int i = 0; i < TERMS_BLOCK; i++) {
        uint64_t w = atomic_load_explicit(&at[i], memory_order_relaxed);
        bool yes = word_is_number(w) ? term_compare(op, word_number(w), num) : w != WORD(WORD_MISSING);
        may |= (uint64_t)yes << i;
    }
    return may;
}

/* A loop for each comparison, so that none of them chooses at every word. Relaxed, because what is not ruled out here
 * is looked at again. */
static uint64_t number_block(const struct term *t, const _Atomic uint64_t *at)
{
    switch (t->op) {
    case OP_GT: return block_of(at, OP_GT, t->num);
    case OP_GE: return block_of(at, OP_GE, t->num);
    case OP_LT: return block_of(at, OP_LT, t->num);
    case OP_LE: return block_of(at, OP_LE, t->num);
    case OP_EQ: return block_of(at, OP_EQ, t->num);
    default: return block_of(at, OP_NE, t->num);
    }
}

static uint64_t text_block(const struct term *t, const _Atomic uint64_t *at)
{
    uint64_t may = 0;
    bool equal = t->op == OP_EQ;
    for (int i = 0; i < TERMS_BLOCK; i++) {
        uint64_t w = atomic_load_explicit(&at[i], memory_order_relaxed);
        bool known = w >= WORD(WORD_TEXT) && w < t->end;
        bool yes = known ? (w == t->word) == equal : w != WORD(WORD_MISSING);
        may |= (uint64_t)yes << i;
    }
    return may;
}

uint64_t terms_block(const struct terms *t, uint32_t first)
{
    uint64_t may = UINT64_MAX;
    for (uint32_t i = 0; i < t->n && may; i++) {
        const _Atomic uint64_t *at = column_at(t->at[i].col, first);
        if (at)
            may &= t->at[i].word ? text_block(&t->at[i], at) : number_block(&t->at[i], at);
    }
    return may;
}
