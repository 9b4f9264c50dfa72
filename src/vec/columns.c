/* Who fills a word and who changes it may meet. A filler makes the chunk (or the column) known, then reads the
 * attributes, then puts its word where there is none. The writer stores the attributes, then looks for columns and
 * chunks, then stores its word whatever is there. All of these are seq_cst: either the filler read the new attributes,
 * or the writer saw the chunk and its word is the last (Dekker's handshake). */
#include "vec/columns.h"

#include <sys/mman.h>

#include "base/mem.h"
#include "vec/filter_json.h"
#include "vec/heap.h"

static size_t chunk_bytes(int k)
{
    return sizeof(uint64_t) << (COLUMN_SHIFT + (k ? k - 1 : 0));
}

static void column_destroy(struct column *col)
{
    for (int k = 0; k < COLUMN_CHUNKS; k++) {
        _Atomic uint64_t *chunk = atomic_load_explicit(&col->chunk[k], memory_order_relaxed);
        if (chunk)
            munmap((void *)chunk, chunk_bytes(k));
    }
    mem_note(-(ptrdiff_t)atomic_load_explicit(&col->bytes, memory_order_relaxed));
    texts_release(&col->texts);
    mem_free(col);
}

void columns_release(struct columns *c)
{
    for (int i = 0; i < COLUMNS_MOST; i++) {
        struct column *col = atomic_load_explicit(&c->at[i], memory_order_acquire);
        if (col)
            column_destroy(col);
    }
}

static struct column *column_create(struct slice name)
{
    struct column *col = mem_zero(sizeof *col);
    texts_init(&col->texts);
    col->name_len = (uint32_t)name.len;
    memcpy(col->name, name.p, name.len);
    return col;
}

struct column *columns_find(struct columns *c, struct slice name)
{
    struct column *mine = NULL, *col = NULL;
    if (name.len > COLUMN_NAME)
        return NULL;
    for (int i = 0; i < COLUMNS_MOST; i++) {
        col = atomic_load(&c->at[i]);
        if (!col) {
            mine = mine ? mine : column_create(name);
            if (atomic_compare_exchange_strong(&c->at[i], &col, mine))
                return mine;
        }
        if (slice_eq(name, slice_of(col->name, col->name_len)))
            break;
        col = NULL;
    }
    if (mine)
        column_destroy(mine);
    return col;
}

/* Zero pages from the system: what is never written to is never resident. */
static _Atomic uint64_t *make_chunk(struct column *col, int k)
{
    _Atomic uint64_t *there = NULL;
    void *p = mmap(NULL, chunk_bytes(k), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (!atomic_compare_exchange_strong(&col->chunk[k], &there, (_Atomic uint64_t *)p)) {
        munmap(p, chunk_bytes(k));
        return there;
    }
    mem_note((ptrdiff_t)chunk_bytes(k));
    atomic_fetch_add_explicit(&col->bytes, chunk_bytes(k), memory_order_relaxed);
    return p;
}

static uint64_t text_word(struct column *col, int tag, struct slice s)
{
    int64_t number = texts_add(&col->texts, s);
    if (number == TEXTS_BUSY)
        return WORD(WORD_UNSET);
    return number == TEXTS_FULL ? WORD(WORD_ASK) : WORD(tag) | (uint64_t)number;
}

/* What a column holds for these attributes. WORD_UNSET: another thread was adding to the dictionary. */
static uint64_t word_of(struct column *col, struct slice attr, struct buf *scratch)
{
    struct slice name = slice_of(col->name, col->name_len);
    struct fvalue x;
    uint64_t bits;
    buf_clear(scratch);
    if (!attr.len)
        return WORD(WORD_MISSING);
    if (!buf_room(scratch, 2 * attr.len + 1))
        return WORD(WORD_ASK);
    if (!filter_json_fields(attr, &name, 1, &x, scratch))
        return WORD(WORD_MISSING);
    switch (x.kind) {
    case FV_NUM: memcpy(&bits, &x.num, sizeof bits); return word_is_number(~bits) ? ~bits : WORD(WORD_ASK);
    case FV_NULL: return WORD(WORD_NULL);
    case FV_TEXT: return text_word(col, WORD_TEXT, x.text);
    default: return text_word(col, WORD_LIST, x.text);
    }
}

static uint64_t fill(const struct vec_index *v, struct column *col, uint32_t node, struct buf *scratch)
{
    struct slice attr;
    if (!column_at(col, node) && !make_chunk(col, column_chunk(node)))
        return WORD(WORD_ASK);
    _Atomic uint64_t *at = column_at(col, node);
    if (!heap_get(v, atomic_load(&vec_meta(v, node)->attr), &attr))
        return WORD(WORD_MISSING);
    uint64_t there = WORD(WORD_UNSET), w = word_of(col, attr, scratch);
    if (w == WORD(WORD_UNSET))
        return WORD(WORD_ASK);
    return atomic_compare_exchange_strong(at, &there, w) ? w : there;
}

uint64_t columns_word(const struct vec_index *v, struct column *col, uint32_t node, struct buf *scratch)
{
    const _Atomic uint64_t *at = column_at(col, node);
    uint64_t w = at ? atomic_load_explicit(at, memory_order_acquire) : WORD(WORD_UNSET);
    return w != WORD(WORD_UNSET) ? w : fill(v, col, node, scratch);
}

void columns_born(struct columns *c, uint32_t node)
{
    for (int i = 0; i < COLUMNS_MOST; i++) {
        struct column *col = atomic_load(&c->at[i]);
        if (!col)
            break;
        _Atomic uint64_t *at = column_at(col, node);
        if (at)
            atomic_store_explicit(at, WORD(WORD_UNSET), memory_order_release);
    }
}

void columns_changing(struct columns *c)
{
    atomic_store_explicit(&c->turn, atomic_load_explicit(&c->turn, memory_order_relaxed) + 1, memory_order_release);
}

void columns_changed(struct columns *c, uint32_t node, struct slice attr)
{
    struct buf scratch = {0};
    for (int i = 0; i < COLUMNS_MOST; i++) {
        struct column *col = atomic_load(&c->at[i]);
        if (!col)
            break;
        _Atomic uint64_t *at = column_at(col, node);
        if (!at)
            continue; /* nobody asked; who does from now on reads the new text */
        uint64_t w = word_of(col, attr, &scratch);
        atomic_store(at, w == WORD(WORD_UNSET) ? WORD(WORD_ASK) : w);
    }
    buf_release(&scratch);
    atomic_store_explicit(&c->turn, atomic_load_explicit(&c->turn, memory_order_relaxed) + 1, memory_order_release);
}

uint32_t columns_count(const struct columns *c)
{
    uint32_t n = 0;
    while (n < COLUMNS_MOST && atomic_load_explicit(&c->at[n], memory_order_relaxed))
        n++;
    return n;
}

uint64_t columns_bytes(const struct columns *c)
{
    uint64_t bytes = 0;
    for (int i = 0; i < COLUMNS_MOST; i++) {
        struct column *col = atomic_load_explicit(&c->at[i], memory_order_acquire);
        if (col)
            bytes += sizeof *col + atomic_load_explicit(&col->bytes, memory_order_relaxed) +
                     atomic_load_explicit(&col->texts.bytes, memory_order_relaxed);
    }
    return bytes;
}
