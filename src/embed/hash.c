/* Hashed n-grams.
 *
 * A text is first counted: feature hash -> (number of times, base weight), in a small open-addressing table. Then every
 * feature adds weight * sqrt(count) to two places of the vector, the signs and places taken from its hash. Two places
 * and not one, so that a single collision of two heavy words does less harm.
 *
 * Base weights, in 1/1024 (found by trying on questions about the GPL, see the unit test):
 *
 *   a word             1024, a stop word 64; words of up to three letters 768
 *   its n-grams        "^word$" in pieces of 3, 4, 5 letters; together 3/5 of the word's energy, none for stop words
 *   neighbouring words 256 for the pair, when neither is a stop word
 *   a CJK character    512; a pair of neighbouring ones 1024
 *
 * All sums are int64, so neither the order of additions nor fused instructions of some machine can change a bit. The
 * one division and the one square root at the end are exact by IEEE 754. */
#include "embed/hash.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "base/words.h"

#define SEED_WORD  0x776f7264u
#define SEED_PIECE 0x70696563u
#define SEED_PAIR  0x70616972u
#define SEED_CJK   0x636a6b31u
#define WORD_MAX   64 /* bytes of a word that count */

struct feature {
    uint64_t hash; /* 0: free */
    uint32_t count, weight;
};

struct table {
    struct feature *at;
    size_t cap, used;
};

static struct feature *slot_of(const struct table *t, uint64_t h)
{
    size_t i = h & (t->cap - 1);
    while (t->at[i].hash && t->at[i].hash != h)
        i = (i + 1) & (t->cap - 1);
    return &t->at[i];
}

static void grow(struct table *t)
{
    struct table bigger = {.cap = t->cap ? t->cap * 2 : 512, .used = t->used};
    bigger.at = mem_zero(bigger.cap * sizeof *bigger.at);
    for (size_t i = 0; i < t->cap; i++)
        if (t->at[i].hash)
            *slot_of(&bigger, t->at[i].hash) = t->at[i];
    mem_free(t->at);
    *t = bigger;
}

static uint64_t count(struct table *t, const void *p, size_t n, uint64_t seed, uint32_t weight)
{
    if (t->used * 2 >= t->cap)
        grow(t);
    uint64_t h = hash_stable(p, n, seed);
    h += h == 0;
    struct feature *f = slot_of(t, h);
    if (!f->hash) {
        *f = (struct feature){h, 0, weight};
        t->used++;
    }
    f->count++;
    if (weight > f->weight)
        f->weight = weight;
    return h;
}

static uint32_t isqrt(uint64_t v)
{
    uint64_t r = 0;
    for (uint64_t bit = 1ull << 62; bit; bit >>= 2) {
        if (v >= r + bit) {
            v -= r + bit;
            r = (r >> 1) + bit;
        } else {
            r >>= 1;
        }
    }
    return (uint32_t)r;
}

/* Pieces of 3 to 5 letters of ^word$. */
static void count_pieces(struct table *t, const char *word, size_t len)
{
    char marked[WORD_MAX + 2];
    size_t starts[WORD_MAX + 3], n = 0, pieces = 0;
    marked[0] = '^';
    memcpy(marked + 1, word, len);
    marked[len + 1] = '$';
    struct slice s = {marked, len + 2};
    for (size_t i = 0; i < s.len; n++) {
        starts[n] = i;
        utf8_next(s, &i);
    }
    starts[n] = s.len;
    for (size_t k = 3; k <= 5; k++)
        pieces += n > k ? n - k + 1 : 0;
    if (!pieces)
        return;
    uint32_t weight = isqrt(1024ull * 1024 * 3 / 5 / pieces);
    for (size_t k = 3; k <= 5; k++)
        for (size_t i = 0; n > k && i + k <= n; i++)
            count(t, s.p + starts[i], starts[i + k] - starts[i], SEED_PIECE, weight);
}

static void count_word(struct table *t, struct slice text, uint64_t *before)
{
    char word[WORD_MAX];
    size_t n = word_fold(text, word, sizeof word);
    if (word_is_stop(slice_of(word, n))) {
        count(t, word, n, SEED_WORD, 64);
        return; /* *before stays: "conditions of the license" holds the pair conditions license */
    }
    uint64_t pair[2] = {*before, count(t, word, n, SEED_WORD, n <= 3 ? 768 : 1024)};
    count_pieces(t, word, n);
    if (pair[0])
        count(t, pair, sizeof pair, SEED_PAIR, 256);
    *before = pair[1];
}

static void count_text(struct table *t, struct slice text)
{
    struct word w;
    uint64_t before = 0;
    struct slice cjk = {NULL, 0}; /* the CJK character just before */
    for (size_t at = 0; word_next(text, &at, &w);) {
        if (!w.cjk) {
            count_word(t, w.text, &before);
            continue;
        }
        count(t, w.text.p, w.text.len, SEED_CJK, word_is_stop(w.text) ? 64 : 512);
        if (cjk.p && cjk.p + cjk.len == w.text.p)
            count(t, cjk.p, cjk.len + w.text.len, SEED_CJK, 1024);
        cjk = w.text;
        before = 0;
    }
}

/* The hash is 64 bits: two places of 31 bits and a sign each. */
static void spread(const struct table *t, int64_t *sum, int dim)
{
    for (size_t i = 0; i < t->cap; i++) {
        const struct feature *f = &t->at[i];
        if (!f->hash)
            continue;
        uint64_t a = f->hash & 0x7fffffff, b = f->hash >> 32 & 0x7fffffff;
        int64_t v = (int64_t)((uint64_t)f->weight * isqrt((uint64_t)f->count << 20) >> 10);
        sum[a * (uint64_t)dim >> 31] += f->hash >> 31 & 1 ? v : -v;
        sum[b * (uint64_t)dim >> 31] += f->hash >> 63 ? v : -v;
    }
}

static void to_unit(const int64_t *sum, float *out, int dim)
{
    unsigned __int128 squares = 0;
    for (int i = 0; i < dim; i++)
        squares += (unsigned __int128)((__int128)sum[i] * sum[i]);
    double norm = sqrt((double)squares);
    for (int i = 0; i < dim; i++)
        out[i] = (float)((double)sum[i] / norm);
}

static bool all_zero(const int64_t *sum, int dim)
{
    for (int i = 0; i < dim; i++)
        if (sum[i])
            return false;
    return true;
}

int embed_hash(struct slice text, float *out, int dim, struct err *err)
{
    if (dim < EMBED_HASH_DIM_MIN || dim > EMBED_HASH_DIM_MAX)
        return err_set(err, ERR_INVALID, "builtin/hash makes vectors of %d to %d dimensions, not %d",
                       EMBED_HASH_DIM_MIN, EMBED_HASH_DIM_MAX, dim);
    if (text.len > EMBED_HASH_TEXT_MAX)
        return err_set(err, ERR_INVALID, "a text of %zu bytes is over the limit of %u for an embedding; cut it first",
                       text.len, EMBED_HASH_TEXT_MAX);
    if (!utf8_valid(text))
        return err_set(err, ERR_INVALID, "the text to embed is not valid UTF-8");
    struct table t = {0};
    count_text(&t, text);
    int64_t *sum = mem_zero((size_t)dim * sizeof *sum);
    spread(&t, sum, dim);
    bool nothing = all_zero(sum, dim);
    if (!nothing)
        to_unit(sum, out, dim);
    mem_free(sum);
    mem_free(t.at);
    return nothing ? err_set(err, ERR_INVALID, "there is no word in the text to embed") : 0;
}
