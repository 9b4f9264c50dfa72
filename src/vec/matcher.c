/* Numbers alone are what most filters compare, so they have a machine of their own; one field that is something else
 * takes the node to the machine of all kinds, and one that no column can hold to the text. */
#include "vec/matcher.h"

#include "vec/filter_run.h"
#include "vec/heap.h"

#define COLUMNS_FROM 1000 /* elements */

void matcher_init(struct matcher *m, const struct vec_index *v, const struct filter *f)
{
    *m = (struct matcher){.v = v, .filter = f};
    if (atomic_load_explicit(&v->count, memory_order_relaxed) < COLUMNS_FROM)
        return;
    for (uint32_t i = 0; i < f->field_n; i++)
        if (!(m->col[i] = columns_find(v->columns, f->fields[i])))
            return;
    m->n = f->field_n;
    m->numeric = f->numeric;
    terms_init(&m->terms, f, m->col);
}

static bool ask_text(const struct matcher *m, uint32_t node, struct buf *scratch)
{
    struct slice attr;
    uint64_t ref = atomic_load_explicit(&vec_meta(m->v, node)->attr, memory_order_acquire);
    return ref && heap_get(m->v, ref, &attr) && filter_match(m->filter, attr, scratch);
}

static struct fvalue value_of(const struct column *col, uint64_t w)
{
    if (word_is_number(w))
        return (struct fvalue){.kind = FV_NUM, .num = word_number(w)};
    if (WORD_TAG(w) == WORD_NULL)
        return (struct fvalue){.kind = FV_NULL};
    return (struct fvalue){.kind = WORD_TAG(w) == WORD_TEXT ? FV_TEXT : FV_JSON_LIST,
                           .text = texts_get(&col->texts, (uint32_t)w)};
}

static bool run_values(const struct matcher *m, const uint64_t *words, struct buf *scratch)
{
    struct fvalue fields[FILTER_MAX_FIELDS];
    for (uint32_t i = 0; i < m->n; i++)
        fields[i] = value_of(m->col[i], words[i]);
    buf_clear(scratch);
    return filter_run(m->filter, fields, scratch);
}

/* Word by word, whatever the filter is made of. */
static bool test_words(const struct matcher *m, uint32_t node, struct buf *scratch)
{
    uint64_t words[FILTER_MAX_FIELDS], turn = 0;
    double numbers[FILTER_MAX_FIELDS];
    bool numeric = m->numeric, missing = false;
    if (m->n > 1)
        turn = atomic_load_explicit(&m->v->columns->turn, memory_order_acquire);
    for (uint32_t i = 0; i < m->n; i++) {
        uint64_t w = words[i] = columns_word(m->v, m->col[i], node, scratch);
        if (w == WORD(WORD_ASK))
            return ask_text(m, node, scratch);
        missing |= w == WORD(WORD_MISSING);
        numeric &= word_is_number(w);
        numbers[i] = word_number(w);
    }
    if (m->n > 1 && ((turn & 1) || turn != atomic_load_explicit(&m->v->columns->turn, memory_order_acquire)))
        return ask_text(m, node, scratch);
    if (missing)
        return false;
    return numeric ? filter_run_numbers(m->filter, numbers) : run_values(m, words, scratch);
}

bool matcher_test(const struct matcher *m, uint32_t node, struct buf *scratch)
{
    if (!m->n)
        return ask_text(m, node, scratch);
    if (m->terms.n) {
        uint64_t turn = atomic_load_explicit(&m->v->columns->turn, memory_order_acquire);
        enum term_says says = terms_test(&m->terms, node);
        bool whole = m->terms.n == 1 ||
                     (!(turn & 1) && turn == atomic_load_explicit(&m->v->columns->turn, memory_order_acquire));
        if (says == TERM_FALSE || (says == TERM_TRUE && whole))
            return says == TERM_TRUE;
    }
    return test_words(m, node, scratch);
}
