/* Postings by term, appended to only.
 *
 * A document gets the next number; its terms' postings grow at their ends: the difference to the number before and how
 * often, in 7-bit groups. A document that goes leaves its postings behind as dead numbers; when the dead outnumber the
 * living, one sweep numbers the living anew and rewrites all postings, so a change costs a constant on average and
 * nothing is ever searched for. Built for some million passages of some hundred words, of which a few are changed at a
 * time; 1.3 to 2 bytes a posting. */
#include "text/text.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/dict.h"
#include "base/mem.h"
#include "text/tokens.h"

#define K1         1.2
#define B          0.75
#define SWEEP_FROM 256 /* dead documents: fewer are not worth a sweep */

struct term {
    uint32_t alive; /* living documents that have it */
    uint32_t last;  /* number of the last document in the postings */
    uint32_t tf;    /* in the document or query being read; 0 between */
    uint32_t len, cap;
    uint8_t *postings;
    uint32_t word_len;
    char word[];
};

struct document {
    uint32_t number, length; /* length in tokens */
    uint32_t terms_n;
    uint32_t name_len;
    struct term **terms; /* distinct */
    char name[];
};

struct text_index {
    atomic_int refs;
    pthread_mutex_t waiting_lock; /* held for a copy */
    struct buf waiting;           /* changes: struct change, name, text */
    pthread_mutex_t lock;         /* all that follows */
    struct tokeniser *tokeniser;
    struct dict terms, names;
    struct document **documents; /* by number; NULL: dead */
    uint32_t n, cap, living;
    uint64_t tokens;
    struct term **seen; /* of the text being read */
    uint32_t seen_n, seen_cap, seen_tokens;
    float *scores; /* by number, zero between searches */
    uint32_t scores_cap;
    uint64_t bytes;
    atomic_size_t told; /* all of it, for who may not wait for the lock */
};

struct change {
    uint32_t name, text;
};

static struct slice term_key(const void *e)
{
    const struct term *t = e;
    return slice_of(t->word, t->word_len);
}
static struct slice document_key(const void *e)
{
    const struct document *d = e;
    return slice_of(d->name, d->name_len);
}
static const struct dict_type term_type = {.key = term_key}, document_type = {.key = document_key};

/* ---- life ---- */

int text_create(struct text_index **out, const char *language, struct err *err)
{
    struct tokeniser *tokeniser = tokeniser_create(language);
    if (!tokeniser)
        return err_set(err, ERR_INVALID, "no stemmer for the language %s; none is one that needs none", language);
    struct text_index *t = mem_zero(sizeof *t);
    atomic_init(&t->refs, 1);
    pthread_mutex_init(&t->waiting_lock, NULL);
    pthread_mutex_init(&t->lock, NULL);
    t->tokeniser = tokeniser;
    dict_init(&t->terms, &term_type);
    dict_init(&t->names, &document_type);
    *out = t;
    return 0;
}

struct text_index *text_ref(struct text_index *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

static void free_document(struct document *d)
{
    mem_free(d->terms);
    mem_free(d);
}

static void free_term(struct term *t)
{
    mem_free(t->postings);
    mem_free(t);
}

void text_unref(struct text_index *t)
{
    struct dict_iter it;
    struct term *term;
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < t->n; i++)
        if (t->documents[i])
            free_document(t->documents[i]);
    for (dict_iter_begin(&it, &t->terms); (term = dict_iter_next(&it));)
        free_term(term);
    dict_iter_end(&it);
    dict_release(&t->terms);
    dict_release(&t->names);
    mem_free(t->documents);
    mem_free(t->seen);
    mem_free(t->scores);
    buf_release(&t->waiting);
    tokeniser_destroy(t->tokeniser);
    pthread_mutex_destroy(&t->lock);
    pthread_mutex_destroy(&t->waiting_lock);
    mem_free(t);
}

/* ---- changes wait ---- */

void text_put(struct text_index *t, struct slice name, struct slice text)
{
    struct change c = {(uint32_t)name.len, (uint32_t)text.len};
    pthread_mutex_lock(&t->waiting_lock);
    buf_add(&t->waiting, &c, sizeof c);
    buf_add(&t->waiting, name.p, name.len);
    buf_add(&t->waiting, text.p, text.len);
    pthread_mutex_unlock(&t->waiting_lock);
}

size_t text_waiting(struct text_index *t)
{
    pthread_mutex_lock(&t->waiting_lock);
    size_t n = t->waiting.len;
    pthread_mutex_unlock(&t->waiting_lock);
    return n;
}

size_t text_bytes(struct text_index *t)
{
    return sizeof *t + atomic_load_explicit(&t->told, memory_order_relaxed) + text_waiting(t);
}

/* ---- reading a text ---- */

static struct term *find_term(struct text_index *t, struct slice word, bool make)
{
    struct term *e = dict_find(&t->terms, word);
    if (e || !make)
        return e;
    e = mem_zero(sizeof *e + word.len);
    e->word_len = (uint32_t)word.len;
    memcpy(e->word, word.p, word.len);
    dict_add(&t->terms, e);
    t->bytes += mem_size(e);
    return e;
}

static void see(struct text_index *t, struct term *e)
{
    if (e->tf++)
        return;
    if (t->seen_n == t->seen_cap) {
        t->seen_cap = t->seen_cap ? t->seen_cap * 2 : 64;
        t->seen = mem_realloc(t->seen, t->seen_cap * sizeof *t->seen);
    }
    t->seen[t->seen_n++] = e;
}

static void document_token(void *arg, struct slice word)
{
    struct text_index *t = arg;
    t->seen_tokens++;
    see(t, find_term(t, word, true));
}

static void query_token(void *arg, struct slice word)
{
    struct text_index *t = arg;
    struct term *e = find_term(t, word, false);
    if (e && e->alive)
        see(t, e);
}

static void read_text(struct text_index *t, struct slice text, void (*token)(void *arg, struct slice word))
{
    t->seen_n = t->seen_tokens = 0;
    tokeniser_run(t->tokeniser, text, token, t);
}

/* ---- postings ---- */

static uint32_t put_number(uint8_t *p, uint32_t x)
{
    uint32_t n = 0;
    for (; x >= 128; x >>= 7)
        p[n++] = (uint8_t)(x | 128);
    p[n++] = (uint8_t)x;
    return n;
}

static inline uint32_t get_number(const uint8_t **p)
{
    uint32_t x = 0, c;
    int shift = 0;
    do {
        c = *(*p)++;
        x |= (c & 127) << shift;
        shift += 7;
    } while (c & 128);
    return x;
}

static void append(struct text_index *t, struct term *e, uint32_t number, uint32_t tf)
{
    if (e->cap - e->len < 10) {
        uint32_t cap = e->cap + e->cap / 2 + 16;
        e->postings = mem_realloc(e->postings, cap);
        t->bytes += cap - e->cap;
        e->cap = cap;
    }
    e->len += put_number(e->postings + e->len, number - e->last);
    e->len += put_number(e->postings + e->len, tf);
    e->last = number;
}

/* ---- documents ---- */

static void take_out(struct text_index *t, struct document *d)
{
    dict_remove(&t->names, document_key(d));
    t->documents[d->number] = NULL;
    t->living--;
    t->tokens -= d->length;
    for (uint32_t i = 0; i < d->terms_n; i++)
        d->terms[i]->alive--;
    t->bytes -= mem_size(d) + mem_size(d->terms);
    free_document(d);
}

static struct document *make_document(struct text_index *t, struct slice name)
{
    struct document *d = mem_zero(sizeof *d + name.len);
    d->length = t->seen_tokens;
    d->name_len = (uint32_t)name.len;
    memcpy(d->name, name.p, name.len);
    d->terms_n = t->seen_n;
    d->terms = mem_alloc((t->seen_n + 1) * sizeof(struct term *));
    if (t->seen_n)
        memcpy(d->terms, t->seen, t->seen_n * sizeof(struct term *));
    t->bytes += mem_size(d) + mem_size(d->terms);
    return d;
}

static void put_in(struct text_index *t, struct slice name, struct slice text)
{
    read_text(t, text, document_token);
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 64;
        t->documents = mem_realloc(t->documents, t->cap * sizeof(struct document *));
    }
    struct document *d = make_document(t, name);
    d->number = t->n++;
    t->documents[d->number] = d;
    dict_add(&t->names, d);
    t->living++;
    t->tokens += d->length;
    for (uint32_t i = 0; i < d->terms_n; i++) {
        struct term *e = d->terms[i];
        append(t, e, d->number, e->tf);
        e->alive++;
        e->tf = 0;
    }
}

/* The postings of the living, under their new numbers. */
static void sweep_term(struct text_index *t, struct term *e, const uint32_t *renumbered)
{
    const uint8_t *p = e->postings, *end = p + e->len;
    uint8_t *old = e->postings;
    uint32_t at = 0;
    t->bytes -= e->cap;
    e->postings = NULL;
    e->len = e->cap = e->last = 0;
    while (p < end) {
        at += get_number(&p);
        uint32_t tf = get_number(&p);
        if (t->documents[at])
            append(t, e, renumbered[at], tf);
    }
    mem_free(old);
}

static void sweep(struct text_index *t)
{
    struct dict_iter it;
    struct term *e;
    uint32_t *renumbered = mem_alloc((t->n + 1) * sizeof *renumbered), next = 0;
    for (uint32_t i = 0; i < t->n; i++)
        renumbered[i] = t->documents[i] ? next++ : 0;
    for (dict_iter_begin(&it, &t->terms); (e = dict_iter_next(&it));) {
        sweep_term(t, e, renumbered);
        if (e->alive)
            continue;
        dict_remove(&t->terms, term_key(e)); /* the entry just returned may go */
        t->bytes -= mem_size(e);
        free_term(e);
    }
    dict_iter_end(&it);
    for (uint32_t i = 0; i < t->n; i++)
        if (t->documents[i]) {
            t->documents[i]->number = renumbered[i];
            t->documents[renumbered[i]] = t->documents[i];
        }
    t->n = next;
    mem_free(renumbered);
}

static size_t all_bytes(const struct text_index *t)
{
    return t->bytes + dict_bytes(&t->terms) + dict_bytes(&t->names) + t->cap * sizeof(struct document *) +
           t->scores_cap * sizeof *t->scores;
}

static void apply(struct text_index *t)
{
    pthread_mutex_lock(&t->waiting_lock);
    struct buf work = t->waiting;
    t->waiting = (struct buf){0};
    pthread_mutex_unlock(&t->waiting_lock);
    for (size_t at = 0; at < work.len;) {
        struct change c;
        memcpy(&c, work.p + at, sizeof c);
        struct slice name = slice_of(work.p + at + sizeof c, c.name), text = slice_of(name.p + c.name, c.text);
        at += sizeof c + c.name + c.text;
        struct document *old = dict_find(&t->names, name);
        if (old)
            take_out(t, old);
        if (text.len)
            put_in(t, name, text);
    }
    buf_release(&work);
    if (t->n - t->living > t->living && t->n - t->living > SWEEP_FROM)
        sweep(t);
    atomic_store_explicit(&t->told, all_bytes(t), memory_order_relaxed);
}

/* ---- search ---- */

static void add_scores(struct text_index *t, const struct term *e, uint32_t query_tf, uint32_t *touched, uint32_t *n)
{
    double idf = log(1 + ((double)t->living - e->alive + 0.5) / (e->alive + 0.5)) * query_tf;
    double average = t->tokens ? (double)t->tokens / t->living : 1;
    const uint8_t *p = e->postings, *end = p + e->len;
    uint32_t at = 0;
    while (p < end) {
        at += get_number(&p);
        double tf = get_number(&p);
        const struct document *d = t->documents[at];
        if (!d)
            continue;
        if (t->scores[at] == 0)
            touched[(*n)++] = at;
        t->scores[at] += (float)(idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * d->length / average)));
    }
}

struct found {
    float score;
    uint32_t number;
};

static int better_first(const void *x, const void *y)
{
    const struct found *a = x, *b = y;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

static void give(struct text_index *t, const struct found *f, uint32_t n, struct text_result *r)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        bytes += t->documents[f[i].number]->name_len;
    r->hits = mem_alloc((n + 1) * sizeof *r->hits);
    r->names = mem_alloc(bytes + 1);
    r->count = n;
    char *to = r->names;
    for (uint32_t i = 0; i < n; i++) {
        const struct document *d = t->documents[f[i].number];
        memcpy(to, d->name, d->name_len);
        r->hits[i] = (struct text_hit){slice_of(to, d->name_len), (double)f[i].score};
        to += d->name_len;
    }
}

void text_search(struct text_index *t, struct slice query, uint32_t k, struct text_result *r)
{
    pthread_mutex_lock(&t->lock);
    apply(t);
    if (t->scores_cap < t->n) {
        mem_free(t->scores);
        t->scores_cap = t->n + t->n / 2;
        t->scores = mem_zero(t->scores_cap * sizeof *t->scores);
    }
    uint32_t *touched = mem_alloc((t->n + 1) * sizeof *touched), n = 0;
    read_text(t, query, query_token);
    for (uint32_t i = 0; i < t->seen_n; i++) {
        add_scores(t, t->seen[i], t->seen[i]->tf, touched, &n);
        t->seen[i]->tf = 0;
    }
    struct found *f = mem_alloc((n + 1) * sizeof *f);
    for (uint32_t i = 0; i < n; i++) {
        f[i] = (struct found){t->scores[touched[i]], touched[i]};
        t->scores[touched[i]] = 0;
    }
    if (n)
        qsort(f, n, sizeof *f, better_first);
    give(t, f, n < k ? n : k, r);
    mem_free(f);
    mem_free(touched);
    pthread_mutex_unlock(&t->lock);
}

void text_result_release(struct text_result *r)
{
    mem_free(r->hits);
    mem_free(r->names);
    *r = (struct text_result){0};
}

void text_stats(struct text_index *t, struct text_stats *s)
{
    pthread_mutex_lock(&t->lock);
    apply(t);
    *s = (struct text_stats){
        .documents = t->living,
        .terms = dict_count(&t->terms),
        .tokens = t->tokens,
        .bytes = all_bytes(t),
        .dead = t->n - t->living,
    };
    pthread_mutex_unlock(&t->lock);
}
